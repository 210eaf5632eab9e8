"""Everything that is kept between runs of the script: each cache of the app stands in this file.

What ``st.cache_resource`` gives is the same object for every session, so nobody may change it.
Caches are keyed by a checkpoint's hash, or by the time stamps of its files where the hash is not
known yet.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch

import fame
from fame.baselines import CountingBaselines, baselines_beside
from fame.checkpoint import (
    CONFIG,
    METRICS,
    Checkpoint,
    Description,
    list_checkpoints,
    load_checkpoint,
    read_description,
)
from fame.comparison import Compared, compare_checkpoints, why_not
from fame.config import ModelName
from fame.data import Dataset, load
from fame.data.catalogue import facet_columns, values_by_facet
from fame.errors import CheckpointError, FameError
from fame.experiments.choice import Choice, choose_settings
from fame.experiments.results import RESULTS
from fame.experiments.standing import Standing
from fame.experiments.standing import standing as standing_of
from fame.facets.above_base import BaseRates
from fame.facets.agreement import Agreement, facet_agreement
from fame.facets.estimates import items_among
from fame.facets.spaces import space_vectors
from fame.head_names import NAMES, choose_names, read_head_names
from fame.lens.experts import ExpertAccount, expert_account
from fame.lens.faithfulness import DeletionCurve, Measure, deletion_curves
from fame.lens.influence import Influence, history_influence
from fame.lens.steps import Steps, history_steps
from fame.lens.trace import SequenceTrace, trace_history
from fame.models.sequence_model import Intervention
from fame.opening import OPENING, Opening, read_opening
from fame.presentation.evidence import ItemFacts
from fame.presentation.examples import offers
from fame.presentation.names import HeadNames
from fame.presentation.text import one_line, shortened
from fame.projection import PROJECTION, Projection, read_projection, regions
from fame.survey import (
    FACETS,
    FAITHFULNESS,
    PEOPLE,
    Facets,
    Faithfulness,
    People,
    read_facets,
    read_faithfulness,
    read_people,
)
from fame.training.runs import ACTIVE, LAUNCH_LOG, STATUS, RunFolder, launch, request_stop
from tables import item_facts_of_all, map_labels

logger = logging.getLogger(__name__)


def checkpoint_root() -> Path:
    """Where checkpoints lie: ``FAME_CHECKPOINTS``, else ``checkpoints/`` beside the library."""
    named = os.environ.get("FAME_CHECKPOINTS")
    return Path(named) if named else Path(fame.__file__).resolve().parent.parent / "checkpoints"


def checkpoint_names() -> list[str]:
    return [path.name for path in list_checkpoints(checkpoint_root())]


Stamp = tuple[tuple[str, int, int], ...]


def _stamp(path: Path) -> Stamp:
    """Name, time and size of every file of a folder: changes when any of them does."""
    stats = [(file.name, file.stat()) for file in sorted(path.iterdir()) if file.is_file()]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def _stamp_of(opened: Checkpoint, file: str) -> Stamp:
    return tuple(entry for entry in _stamp(opened.path) if entry[0] == file)


@st.cache_resource(max_entries=6, show_spinner="Opening the checkpoint …")
def _checkpoint(path: Path, stamp: Stamp) -> Checkpoint:
    return load_checkpoint(path)


def checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its folder's name; ``CheckpointError`` where it is missing or damaged."""
    path = checkpoint_root() / name
    wanted = {"config.json", "model.safetensors", "items.parquet", "metrics.json"}
    stamp = _stamp(path) if path.is_dir() else ()
    return _checkpoint(path, tuple(entry for entry in stamp if entry[0] in wanted))


@st.cache_resource(max_entries=6, show_spinner=False)
def _item_index(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, int]:
    return {str(item): row + 1 for row, item in enumerate(_opened.items["item_id"])}


def item_index(opened: Checkpoint) -> dict[str, int]:
    """Item index by item id, in catalogue order."""
    return _item_index(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _title_by_id(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, str]:
    titles = map(one_line, _opened.items["title"])
    return dict(zip(map(str, _opened.items["item_id"]), titles, strict=True))


def title_by_id(opened: Checkpoint) -> dict[str, str]:
    """Titles by item id, in catalogue order."""
    return _title_by_id(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _item_facts(checkpoint_hash: str, _opened: Checkpoint) -> ItemFacts:
    return ItemFacts(_opened.items)


def item_facts(opened: Checkpoint) -> ItemFacts:
    """What is known of each item of the catalogue."""
    return _item_facts(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _map_hover(checkpoint_hash: str, _opened: Checkpoint) -> list[tuple[str, str]]:
    items = _opened.items
    titles = [shortened(title, 90) for title in items["title"]]
    facts = [shortened(known, 90) for known in item_facts_of_all(items)]
    return list(zip(titles, facts, strict=True))


def map_hover(opened: Checkpoint) -> list[tuple[str, str]]:
    """Title and facts of the whole catalogue: what a map shows under the mouse."""
    return _map_hover(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _base_rates(checkpoint_hash: str, _opened: Checkpoint) -> BaseRates:
    kinds = facet_columns(_opened.items)
    values = values_by_facet(_opened.items)
    return BaseRates({name: own for name, own in values.items() if kinds[name] != "number"})


def base_rates(opened: Checkpoint) -> BaseRates:
    """How frequent every value of the catalogue is; numbers, such as years, are left out."""
    return _base_rates(opened.hash, opened)


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …")
def dataset(name: str) -> Dataset:
    """A data set that is at hand; ``DataError`` where it would have to be fetched."""
    return load(name, offline=True)


@st.cache_resource(max_entries=16, show_spinner="Looking at the data set …")
def choice(name: str, model: str) -> Choice:
    """The settings that a data set without a recipe gets, and why."""
    return choose_settings(dataset(name), {"model": model})


# --- one history; keyed by what the model reads and by what the desk does to it ------------------

AS_IT_IS = Intervention()
DeskKey = tuple[Any, ...]
History = tuple[int, ...]


def _desk_key(desk: Intervention) -> DeskKey:
    return (desk.gate, desk.muted, desk.solo)


def _key(opened: Checkpoint, history: np.ndarray, desk: Intervention) -> tuple[Any, ...]:
    return (opened.hash, tuple(history.tolist()), _desk_key(desk))


def _array(history: History) -> np.ndarray:
    return np.array(history, dtype=np.int64)


@st.cache_resource(max_entries=256, show_spinner=False)
def _trace(
    checkpoint_hash: str, history: History, desk: DeskKey, _opened: Checkpoint
) -> SequenceTrace:
    return trace_history(
        _opened.model,
        _array(history),
        repeats=_opened.data.repeats,
        intervention=Intervention(*desk),
    )


def trace(opened: Checkpoint, history: np.ndarray, desk: Intervention = AS_IT_IS) -> SequenceTrace:
    """What the model says after a history of item indices."""
    return _trace(*_key(opened, history, desk), opened)


@st.cache_resource(max_entries=32, show_spinner=False)
def _influence(
    checkpoint_hash: str, history: History, desk: DeskKey, k: int, _opened: Checkpoint
) -> Influence:
    return history_influence(
        _opened.model,
        _array(history),
        k,
        repeats=_opened.data.repeats,
        intervention=Intervention(*desk),
    )


def influence(
    opened: Checkpoint, history: np.ndarray, k: int, desk: Intervention = AS_IT_IS
) -> Influence:
    """What the model says without each click of a history."""
    return _influence(*_key(opened, history, desk), k, opened)


@st.cache_resource(max_entries=64, show_spinner=False)
def _steps(
    checkpoint_hash: str, history: History, desk: DeskKey, k: int, _opened: Checkpoint
) -> Steps:
    return history_steps(
        _opened.model,
        _array(history),
        k,
        repeats=_opened.data.repeats,
        intervention=Intervention(*desk),
    )


def steps(opened: Checkpoint, history: np.ndarray, k: int, desk: Intervention = AS_IT_IS) -> Steps:
    """Gate, router and list after each of the clicks that the model reads."""
    return _steps(*_key(opened, history, desk), k, opened)


@st.cache_resource(max_entries=64, show_spinner=False)
def _expert(
    checkpoint_hash: str,
    history: History,
    desk: DeskKey,
    pair: tuple[int, int],
    k: int,
    _opened: Checkpoint,
) -> ExpertAccount:
    change = Intervention(*desk)
    traced = trace(_opened, _array(history), change)
    return expert_account(_opened.model, traced, *pair, k, intervention=change)


def expert(
    opened: Checkpoint,
    history: np.ndarray,
    pair: tuple[int, int],
    k: int,
    desk: Intervention = AS_IT_IS,
) -> ExpertAccount:
    """What one expert does for a history."""
    return _expert(*_key(opened, history, desk), pair, k, opened)


@dataclass
class DeletionTest:
    """The deletion test of one history: under way until ``thread`` has ended."""

    thread: threading.Thread | None = None
    curves: dict[Measure, DeletionCurve] | None = None


@st.cache_resource(max_entries=64, show_spinner=False)
def _deletion(
    checkpoint_hash: str, history: History, desk: DeskKey, k: int, _opened: Checkpoint
) -> DeletionTest:
    test = DeletionTest()
    model, change, repeats = _opened.model, Intervention(*desk), _opened.data.repeats

    def work() -> None:
        try:
            found = history_influence(
                model, _array(history), k, repeats=repeats, intervention=change
            )
            test.curves = deletion_curves(model, found, intervention=change)
        except Exception:
            logger.exception("The deletion test failed")

    test.thread = threading.Thread(target=work, daemon=True)
    test.thread.start()
    return test


def deletion(
    opened: Checkpoint, history: np.ndarray, k: int, desk: Intervention = AS_IT_IS
) -> DeletionTest:
    """Starts the deletion test of a history outside the script, or gives the one there is."""
    return _deletion(*_key(opened, history, desk), k, opened)


# --- two checkpoints ---------------------------------------------------------------------------


@st.cache_resource(max_entries=64, show_spinner=False)
def _description(path: Path, stamp: Stamp) -> Description:
    return read_description(path)


def comparable(opened: Checkpoint) -> tuple[list[str], dict[str, str]]:
    """Names of the checkpoints that can be compared with one, and why each other one cannot be."""
    fit, unfit = [], {}
    for path in list_checkpoints(checkpoint_root()):
        if path.name == opened.name:
            continue
        try:
            stamp = tuple(entry for entry in _stamp(path) if entry[0] == CONFIG)
            reason = why_not(opened, _description(path, stamp))
        except CheckpointError as error:
            reason = str(error)
        if reason:
            unfit[path.name] = reason
        else:
            fit.append(path.name)
    return fit, unfit


@st.cache_resource(max_entries=8, show_spinner="Comparing the lists of both checkpoints …")
def _compared(
    first: str,
    second: str,
    fingerprint: str,
    _opened: Checkpoint,
    _other: Checkpoint,
    _data: Dataset,
) -> Compared:
    return compare_checkpoints(_opened, _other, _data.interactions)


def compared(opened: Checkpoint, other: Checkpoint, data: Dataset) -> Compared:
    """Which heads of two checkpoints do the same, over a sample of the people."""
    fingerprint = data.interactions.fingerprint
    return _compared(opened.hash, other.hash, fingerprint, opened, other, data)


# --- beside a checkpoint ------------------------------------------------------------------------


@st.cache_resource(max_entries=4, show_spinner=False)
def _baselines(fingerprint: str, _data: Dataset) -> CountingBaselines:
    return CountingBaselines(_data.interactions)


def baselines(data: Dataset) -> CountingBaselines:
    """Popularity, the Markov chain and item-kNN, counted over a data set."""
    return _baselines(data.interactions.fingerprint, data)


def baselines_trained(opened: Checkpoint) -> dict[ModelName, Checkpoint]:
    """Models without heads that were trained on the same histories and lie beside, by model."""
    return {name: checkpoint(path.name) for name, path in baselines_beside(opened).items()}


@st.cache_resource(max_entries=8, show_spinner=False)
def _people(weights: str, stamp: Stamp, _opened: Checkpoint) -> People | None:
    return read_people(_opened)


def people(opened: Checkpoint) -> People | None:
    """People worth showing; ``None`` where there is no survey, an error where it is stale."""
    return _people(opened.weights_hash, _stamp_of(opened, PEOPLE), opened)


@st.cache_resource(max_entries=8, show_spinner=False)
def _faithfulness(weights: str, stamp: Stamp, _opened: Checkpoint) -> Faithfulness | None:
    return read_faithfulness(_opened)


def faithfulness(opened: Checkpoint) -> Faithfulness | None:
    """Whether the checkpoint's explanations hold; ``None`` or an error as in :func:`people`."""
    return _faithfulness(opened.weights_hash, _stamp_of(opened, FAITHFULNESS), opened)


@st.cache_resource(max_entries=16, show_spinner=False)
def _called(checkpoint_hash: str, stamp: Stamp, _opened: Checkpoint) -> HeadNames:
    return read_head_names(_opened)


def called(opened: Checkpoint) -> HeadNames:
    """What the heads of a checkpoint are called; what is wrong with stored names is in it."""
    stamp = _stamp_of(opened, FACETS) + _stamp_of(opened, NAMES)
    return _called(opened.hash, stamp, opened)


@st.cache_resource(max_entries=8, show_spinner=False)
def _facets(checkpoint_hash: str, stamp: Stamp, _opened: Checkpoint) -> Facets | None:
    return read_facets(_opened)


def facets(opened: Checkpoint) -> Facets | None:
    """What ``fame facets`` stored; ``None`` or an error as in :func:`people`."""
    return _facets(opened.hash, _stamp_of(opened, FACETS), opened)


def can_keep_names(opened: Checkpoint) -> bool:
    """Whether names for heads can be set from here."""
    return not is_demo() and os.access(opened.path, os.W_OK)


def keep_names(opened: Checkpoint, names: Mapping[int, str]) -> None:
    """Keeps the names that a person chose for heads; ``FameError`` where that cannot be."""
    if is_demo():
        raise FameError(DEMO_NAMES)
    choose_names(opened, names)


@st.cache_resource(max_entries=8, show_spinner=False)
def _standing(checkpoint_hash: str, stamp: Stamp, table: int, _opened: Checkpoint) -> Any:
    return standing_of(_opened)


def standing(opened: Checkpoint) -> Standing | None:
    """How well a checkpoint ranks beside others; ``None`` where there are no figures of it."""
    table = opened.path.parent / RESULTS
    changed = table.stat().st_mtime_ns if table.is_file() else 0
    return _standing(opened.hash, _stamp_of(opened, METRICS), changed, opened)


@st.cache_resource(max_entries=8, show_spinner=False)
def _opening(checkpoint_hash: str, stamp: Stamp, _opened: Checkpoint) -> Opening | None:
    opening = read_opening(_opened.path)
    return opening if opening and opening.example in offers(_opened.items) else None


def opening(opened: Checkpoint) -> Opening | None:
    """The example on which a checkpoint's heads differ most; ``None`` where none is known."""
    return _opening(opened.hash, _stamp_of(opened, OPENING), opened)


@st.cache_resource(max_entries=4, show_spinner="Reading the projection …")
def _projection(weights: str, stamp: Stamp, _opened: Checkpoint) -> Projection | None:
    return read_projection(_opened)


def projection(opened: Checkpoint) -> Projection | None:
    """The stored picture of a checkpoint's items; ``None`` where there is none of its weights."""
    return _projection(opened.weights_hash, _stamp_of(opened, PROJECTION), opened)


@st.cache_resource(max_entries=32, show_spinner=False)
def _map_labels(
    weights: str, stamp: Stamp, space: str, _opened: Checkpoint, _points: np.ndarray
) -> list[tuple[float, float, str]]:
    return map_labels(_points, regions(_points), base_rates(_opened))


def map_points(found: Projection, space: str) -> np.ndarray:
    """``(V, 2)`` where the items lie on the map of a space."""
    return found.points[[f"{space}_x", f"{space}_y"]].to_numpy()


def labels_of_map(
    opened: Checkpoint, found: Projection, space: str
) -> list[tuple[float, float, str]]:
    """What stands on the map of a space, as :func:`tables.map_labels` has it."""
    stamp = _stamp_of(opened, PROJECTION)
    return _map_labels(opened.weights_hash, stamp, space, opened, map_points(found, space))


@st.cache_resource(max_entries=4, show_spinner="Looking at what nearest items have in common …")
def _agreement(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, Agreement]:
    among = items_among(_opened.items["train_count"].to_numpy())
    return facet_agreement(_opened.model, values_by_facet(_opened.items), among=among)


def agreement(opened: Checkpoint) -> dict[str, Agreement]:
    """How far nearest items agree, by facet of the catalogue and space.

    What ``fame facets`` stored of these weights is taken; else it is measured, which takes seconds.
    """
    try:
        stored = facets(opened)
    except FameError:  # told on the Facets page
        stored = None
    return stored.agreement if stored is not None else _agreement(opened.hash, opened)


@st.cache_resource(max_entries=32, show_spinner=False)
def _vectors(checkpoint_hash: str, space: str, _model: Any) -> np.ndarray:
    return space_vectors(_model, space)


def vectors(opened: Checkpoint, space: str) -> np.ndarray:
    """``(V - 1, K)`` the items as one head has them, or ``(V - 1, D)`` of the whole embedding."""
    return _vectors(opened.hash, space, opened.model)


@dataclass
class Job:
    """Work that goes on outside the script, for every session to look at.

    ``share`` is how much of it is done, where that is known; ``error`` is one sentence where it
    failed.
    """

    message: str
    share: float | None = None
    error: str = ""
    done: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.started


@dataclass
class _Jobs:
    lock: threading.Lock = field(default_factory=threading.Lock)
    by_name: dict[str, Job] = field(default_factory=dict)


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def job(name: str) -> Job | None:
    """The job of that name that was started last, if there was one."""
    return _jobs().by_name.get(name)


def _start(name: str, message: str, work: Callable[[Job], None]) -> None:
    """Runs ``work`` in a thread, unless a job of that name is under way already."""
    jobs = _jobs()
    with jobs.lock:
        running = jobs.by_name.get(name)
        if running is not None and not running.done:
            return
        new = jobs.by_name[name] = Job(message)

    def run() -> None:
        try:
            work(new)
        except FameError as error:
            new.error = str(error)
        except Exception:
            logger.exception("Job %s failed", name)
            new.error = "It failed for a reason of ours; the app's log in the terminal has it."
        finally:
            new.done = True

    threading.Thread(target=run, daemon=True).start()


def fetch_job(name: str) -> str:
    return f"fetch {name}"


def start_fetch(name: str) -> None:
    """Fetches a data set into the cache."""

    def work(job: Job) -> None:
        def progress(message: str, share: float | None) -> None:
            job.message, job.share = message, share

        load(name, progress=progress)

    _start(fetch_job(name), f"Fetching {name}", work)


def project_job(path: Path) -> str:
    return f"project {path}"


def start_projection(path: Path) -> None:
    """Makes a checkpoint's projection, in a process of its own: UMAP bears no second thread."""

    def work(job: Job) -> None:
        with tempfile.TemporaryFile() as log:
            code = subprocess.Popen(
                [sys.executable, "-m", "fame", "project", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).wait()
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
        if code == 2 and lines:
            job.error = lines[-1]
        elif code:
            logger.error("Projection of %s failed:\n%s", path, "\n".join(lines))
            job.error = "The projection failed; the app's log in the terminal says why."

    _start(project_job(path), f"Laying out the items of {path.name}", work)


# --- training ----------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def devices() -> dict[str, str]:
    """What this machine can train on: the name in the configuration, and what a person calls it."""
    found = {}
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
    threads = torch.get_num_threads()
    return found | {"cpu": f"CPU, {threads} thread{'s' * (threads != 1)}"}


@dataclass
class _Launched:
    """The processes that were started from here, and what they train on, by the run's folder."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    by_path: dict[Path, tuple[int, str]] = field(default_factory=dict)


@st.cache_resource(show_spinner=False)
def _launched() -> _Launched:
    return _Launched()


DEMO = "This is a demonstration, in which nothing can be trained: install FAME Lens to train."
DEMO_NAMES = "This is a demonstration, in which heads keep their names."


def is_demo() -> bool:
    """Whether ``FAME_DEMO`` says that visitors may look, and neither start nor stop anything."""
    return os.environ.get("FAME_DEMO", "0") not in ("", "0")


def launch_run(
    path: Path, data: str, settings: dict[str, Any], device: str | None, resume: bool
) -> None:
    """Starts a training process, which outlives the app; one at a time on each device.

    Raises:
        FameError: where another run trains on that device, or this is a demonstration.
    """
    if is_demo():
        raise FameError(DEMO)
    launched = _launched()
    with launched.lock:  # two sessions may press Start at once
        on = _device(path) if device is None else _plain_device(device)
        for name, run in runs().items():
            if is_active(run) and _device(run.path) in (on, ""):
                raise FameError(
                    f"{name} is training there already, and one run at a time has a device; stop "
                    "it, wait until it has ended, or choose another device."
                )
        launched.by_path[path] = (launch(path, data, settings, device=device, resume=resume), on)


def stop_run(run: RunFolder) -> None:
    """Asks a run to stop after its step.

    Raises:
        FameError: where no process can be shown to train there, or this is a demonstration.
    """
    if is_demo():
        raise FameError(DEMO)
    if not request_stop(run) and run.is_held():
        raise FameError(
            f"{run.path.name} does not say which process trains it; stop it where it was started."
        )


def is_active(run: RunFolder) -> bool:
    """Whether a run is training, or about to."""
    status = run.status()
    return (status is not None and status.phase in ACTIVE) or is_starting(run.path)


def _device(path: Path) -> str:
    """What a run trains on; empty where it does not say so yet."""
    if path in _launched().by_path:
        return _launched().by_path[path][1]
    try:
        return _plain_device(read_description(path).train_config.device)
    except FameError:
        return ""


def _plain_device(name: str) -> str:
    """``cpu`` or ``cuda:N``, of which ``auto`` and ``cuda`` are other names."""
    named = next(iter(devices())) if name == "auto" else name
    return "cuda:0" if named == "cuda" else named


def is_starting(path: Path) -> bool:
    """Whether a process that was launched from here is alive, even if it has not said a word."""
    launched = _launched().by_path
    if path not in launched:
        return False
    try:
        ended, _ = os.waitpid(launched[path][0], os.WNOHANG)  # 0 as long as the child lives
    except ChildProcessError:
        ended = 1
    if ended:
        launched.pop(path, None)  # another page may have looked as well
    return not ended


def runs() -> dict[str, RunFolder]:
    """Every folder under the root in which something was or is being trained, by name."""
    root = checkpoint_root()
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    marks = (STATUS, LAUNCH_LOG)
    return {
        path.name: RunFolder(path)
        for path in sorted(folders)
        if any((path / mark).is_file() for mark in marks)
    }


def metrics(path: Path) -> dict[str, Any]:
    """A run's final figures; empty where it has none yet."""
    try:
        found = json.loads((path / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
