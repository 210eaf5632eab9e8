"""Everything that is kept between runs of the script: each cache of the app stands in this file.

What ``st.cache_resource`` gives is the same object for every session, so nobody may change it.
Caches are keyed by a checkpoint's hash, or by the time stamps of its files where the hash is not
known yet.
"""

from __future__ import annotations

import logging
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import streamlit as st
import torch
from streamlit import config

import fame
from fame.baselines import CountingBaselines, baselines_beside
from fame.checkpoint import (
    CONFIG,
    ITEMS,
    METRICS,
    WEIGHTS,
    Checkpoint,
    Description,
    list_checkpoints,
    load_checkpoint,
    read_description,
)
from fame.comparison import Compared, compare_checkpoints, why_not
from fame.config import ModelConfig, ModelName, TrainConfig
from fame.data import Dataset, Preview, Wishes, import_file, load, preview, version
from fame.data.imports import Labels, check_name
from fame.data.own_items import OwnItems, own_items
from fame.data.sequences import Repeats
from fame.errors import FameError
from fame.experiments.choice import Choice, choose_settings
from fame.experiments.compare_runs import baseline_ranks, gains_over, table_ranks
from fame.experiments.estimate import Estimate, Pace, estimate, pace_of
from fame.experiments.gains import Gain
from fame.experiments.results import RESULTS
from fame.experiments.standing import Standing
from fame.experiments.standing import standing as standing_of
from fame.facets.above_base import BaseRates
from fame.facets.agreement import Agreement, facet_agreement
from fame.facets.estimates import items_among
from fame.facets.spaces import space_vectors
from fame.files import parse_json
from fame.grown import Fitted
from fame.grown import fitted as fit_to
from fame.grown import with_new_items as add_new_items
from fame.head_names import NAMES, choose_names, read_head_names
from fame.lens.experts import ExpertAccount, expert_account
from fame.lens.faithfulness import DeletionCurve, Measure, deletion_curves
from fame.lens.influence import Influence, because, history_influence
from fame.lens.steps import Steps, history_steps
from fame.lens.trace import SequenceTrace, trace_history
from fame.models.sequence_model import Intervention
from fame.opening import OPENING, Opening, read_opening
from fame.presentation.evidence import ItemFacts
from fame.presentation.examples import Offer, offers
from fame.presentation.item_names import item_names
from fame.presentation.names import HeadNames
from fame.presentation.text import shortened
from fame.projection import PROJECTION, Projection, read_projection, regions
from fame.survey import (
    FACETS,
    FAITHFULNESS,
    PEOPLE,
    Facets,
    Faithfulness,
    People,
    facet_values,
    read_facets,
    read_faithfulness,
    read_people,
)
from fame.training.jobs import (
    LAUNCH_LOG,
    QUEUED,
    STATUS,
    TAKEN,
    needs_runner,
    start_runner,
)
from fame.training.jobs import Job as TrainingJob
from fame.training.memory import available_memory
from fame.training.runs import (
    HISTORY,
    RANKS,
    RunFolder,
    discard,
    empty_trash,
    end_at_once,
    job_that_goes_on,
    rename,
    request_stop,
    submit,
    withdraw,
)
from tables import item_facts_of_all, map_labels, shared_values

logger = logging.getLogger(__name__)


def checkpoint_root() -> Path:
    """Where checkpoints lie: ``FAME_CHECKPOINTS``, else ``checkpoints/`` beside the library."""
    named = os.environ.get("FAME_CHECKPOINTS")
    return Path(named) if named else Path(fame.__file__).resolve().parent.parent / "checkpoints"


def checkpoint_names() -> list[str]:
    return [path.name for path in list_checkpoints(checkpoint_root())]


Stamp = tuple[tuple[str, int, int], ...]


def _stamp_of_file(file: Path) -> Stamp:
    """Name, time and size of a file: changes when it does; empty where there is none.

    A page asks for some on every redraw, so no more than that file is looked at.
    """
    try:
        stat = file.stat()
    except OSError:
        return ()
    return ((file.name, stat.st_mtime_ns, stat.st_size),)


def _stamp_of(opened: Checkpoint, file: str) -> Stamp:
    return _stamp_of_file(opened.path / file)


@st.cache_resource(max_entries=6, show_spinner="Opening the checkpoint …")
def _checkpoint(path: Path, stamp: Stamp) -> Checkpoint:
    return load_checkpoint(path)


def checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its folder's name; ``CheckpointError`` where it is missing or damaged."""
    path = checkpoint_root() / name
    stamps = (_stamp_of_file(path / file) for file in (CONFIG, WEIGHTS, ITEMS, METRICS))
    return _checkpoint(path, sum(stamps, ()))


@st.cache_resource(max_entries=6, show_spinner=False)
def _item_index(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, int]:
    return {str(item): row + 1 for row, item in enumerate(_opened.items["item_id"])}


def item_index(opened: Checkpoint) -> dict[str, int]:
    """Item index by item id, in catalogue order."""
    return _item_index(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _title_by_id(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, str]:
    names = item_names(_opened.items)
    ids = map(str, _opened.items["item_id"])
    return {own: names[item] for item, own in enumerate(ids, start=1)}


def title_by_id(opened: Checkpoint) -> dict[str, str]:
    """What items are called by item id, in catalogue order; no two alike."""
    return _title_by_id(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _item_facts(checkpoint_hash: str, _opened: Checkpoint) -> ItemFacts:
    return ItemFacts(_opened.items)


def item_facts(opened: Checkpoint) -> ItemFacts:
    """What is known of each item of the catalogue."""
    return _item_facts(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _examples(checkpoint_hash: str, _opened: Checkpoint) -> dict[str, Offer]:
    return offers(_opened.items)


def examples(opened: Checkpoint) -> dict[str, Offer]:
    """The example histories that the catalogue has the items for, by name."""
    return _examples(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _map_hover(checkpoint_hash: str, _opened: Checkpoint) -> list[tuple[str, str]]:
    items = _opened.items
    names = item_names(items)
    titles = [shortened(names.beside_facts(item), 90) for item in range(1, len(names) + 1)]
    facts = [shortened(known, 90) for known in item_facts_of_all(items)]
    return list(zip(titles, facts, strict=True))


def map_hover(opened: Checkpoint) -> list[tuple[str, str]]:
    """Title and facts of the whole catalogue: what a map shows under the mouse."""
    return _map_hover(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _base_rates(checkpoint_hash: str, _opened: Checkpoint) -> BaseRates:
    return BaseRates(shared_values(_opened.items))


def base_rates(opened: Checkpoint) -> BaseRates:
    """How frequent every value of the catalogue is; numbers, such as years, are left out."""
    return _base_rates(opened.hash, opened)


@st.cache_resource(max_entries=6, show_spinner=False)
def _values_by_use(checkpoint_hash: str, _opened: Checkpoint) -> list[tuple[str, ...]]:
    index = _opened.model.values.index
    items = torch.bincount(index.value.cpu().long(), minlength=sum(index.counts)).tolist()
    found, first = [], 0
    for names in _opened.value_names:
        own = dict(zip(names, items[first : first + len(names)], strict=True))
        found.append(tuple(sorted(names, key=lambda name: -own[name])))
        first += len(names)
    return found


def values_by_use(opened: Checkpoint) -> list[tuple[str, ...]]:
    """``[H]`` the values of a checkpoint that is made of some, those of most items first."""
    return _values_by_use(opened.hash, opened)


@st.cache_resource(max_entries=4, show_spinner=False)
def _dataset(name: str, version: int) -> Dataset:
    return load(name, offline=True)


def dataset(name: str) -> Dataset:
    """A data set that is at hand; ``DataError`` where it would have to be fetched."""
    with st.spinner("Reading the data set …"):
        return _dataset(name, version(name))


@st.cache_resource(max_entries=4, show_spinner=False)
def _fitted(checkpoint_hash: str, version: int, _opened: Checkpoint) -> Fitted:
    return fit_to(_opened, dataset(_opened.data.name))


def fitted(opened: Checkpoint) -> Fitted:
    """The data set of a checkpoint in its item numbers; ``FameError`` where it has none."""
    return _fitted(opened.hash, version(opened.data.name), opened)


@st.cache_resource(max_entries=4, show_spinner=False)
def _with_new_items(checkpoint_hash: str, version: int, _opened: Checkpoint) -> Checkpoint:
    return add_new_items(_opened, dataset(_opened.data.name))


def with_new_items(opened: Checkpoint) -> Checkpoint:
    """A checkpoint that ranks its set's new items, too; ``FameError`` where there is no set."""
    return _with_new_items(opened.hash, version(opened.data.name), opened)


@st.cache_resource(max_entries=16, show_spinner="Looking at the data set …")
def _choice(name: str, version: int, model: str) -> Choice:
    return choose_settings(dataset(name), {"model": model})


def choice(name: str, model: str) -> Choice:
    """The settings that a data set without a recipe gets, and why."""
    return _choice(name, version(name), model)


@st.cache_resource(max_entries=16, show_spinner=False)
def _summary(name: str, version: int) -> dict[str, Any]:
    return dataset(name).summary()


def summary(name: str) -> dict[str, Any]:
    """What there is to say about a data set that is at hand, as ``Dataset.summary`` has it."""
    return _summary(name, version(name))


_TURN = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Keeps others waiting while a picture is made, for what takes a fraction of a second.

    The interpreter works for one visitor at a time anyway. Where many ask at once and it goes round
    among them, all wait for the last one; one after the other most have theirs far sooner.
    """
    with _TURN:
        yield


# --- one history; keyed by what the model reads and by what the desk does to it ------------------

AS_IT_IS = Intervention()
DeskKey = tuple[Any, ...]
History = bytes  # of int64: a key of numbers one by one costs more to make than a page's text


def _desk_key(desk: Intervention) -> DeskKey:
    return (desk.gate, desk.muted, desk.solo)


def _key(opened: Checkpoint, history: np.ndarray, desk: Intervention) -> tuple[Any, ...]:
    return (opened.hash, history.astype(np.int64).tobytes(), _desk_key(desk))


def _array(history: History) -> np.ndarray:
    return np.frombuffer(history, dtype=np.int64).copy()


@st.cache_resource(max_entries=128, show_spinner=False)
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


@st.cache_resource(max_entries=32, show_spinner=False)
def _causes(
    checkpoint_hash: str, history: History, desk: DeskKey, k: int, _opened: Checkpoint
) -> pd.DataFrame:
    found = influence(_opened, _array(history), k, Intervention(*desk))
    return because(_opened.model, found, found.fused)


def causes(
    opened: Checkpoint, history: np.ndarray, k: int, desk: Intervention = AS_IT_IS
) -> pd.DataFrame:
    """The clicks that every item of the fused list hangs on; see :func:`because`."""
    return _causes(*_key(opened, history, desk), k, opened)


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


def comparable(opened: Checkpoint) -> tuple[list[str], dict[str, str]]:
    """Names of the checkpoints that can be compared with one, and why each other one cannot be."""
    fit, unfit = [], {}
    for path in list_checkpoints(checkpoint_root()):
        if path.name == opened.name:
            continue
        about = description(path)
        reason = "its config.json cannot be read" if about is None else why_not(opened, about)
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
    return opening if opening and opening.example in examples(_opened) else None


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
    return facet_agreement(_opened.model, facet_values(_opened), among=among)


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


# --- a log of one's own --------------------------------------------------------------------------

UPLOAD_MB = 200  # of one file: it is held in memory while somebody looks at it
_UPLOAD_OPTION = "server.maxUploadSize"
_SET_HERE = "app/resources.py"
_NO_FILE_NAME = re.compile(r"[^\w.,()+ -]")
_LONGEST_FILE_NAME = 100


class Upload(Protocol):
    """A file as Streamlit hands it over: in memory, under a name that a visitor chose."""

    name: str
    file_id: str

    def getbuffer(self) -> memoryview: ...


def upload_limit() -> int:
    """How many MB an uploaded file may have; 0 where nothing may be uploaded.

    Streamlit's server takes files from any open page, whether or not that page asks for one. So
    its configuration allows none, and here the app allows them; never in a demonstration, and not
    where whoever starts the server sets a limit of their own.
    """
    where = config.get_where_defined(_UPLOAD_OPTION)
    if is_demo():
        limit = 0
    elif where == _SET_HERE or where.endswith("config.toml"):
        limit = UPLOAD_MB
    else:
        limit = max(0, int(config.get_option(_UPLOAD_OPTION)))
    if config.get_option(_UPLOAD_OPTION) != limit:
        config.set_option(_UPLOAD_OPTION, limit, _SET_HERE)
    return limit


@contextmanager
def _on_disk(*files: Upload | None) -> Iterator[list[Path]]:
    """Copies of uploaded files, which are gone with the block; without those that are none.

    The name of a file is a visitor's: of it only letters are kept that cannot lead elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="fame-upload-") as folder:
        paths = []
        for number, file in enumerate(filter(None, files)):
            path = Path(folder, str(number), file_name(file.name))
            try:
                path.parent.mkdir()
                path.write_bytes(file.getbuffer())
            except OSError as error:
                raise FameError(f"{path.name} cannot be kept here ({error.strerror}).") from error
            paths.append(path)
        yield paths


def file_name(given: str) -> str:
    """A plain file name out of what a browser says."""
    last = given.replace("\\", "/").rpartition("/")[2]
    return _NO_FILE_NAME.sub("_", last)[-_LONGEST_FILE_NAME:].lstrip(". ") or "upload"


@st.cache_resource(max_entries=16, show_spinner="Looking into the file …")
def _previewed(file_id: str, wishes: Wishes, _file: Upload) -> Preview:
    with _on_disk(_file) as (path,):
        return preview(path, wishes, path.name)


def previewed(file: Upload, wishes: Wishes) -> Preview:
    """What an uploaded file is taken for; ``DataError`` where it cannot be read."""
    return _previewed(file.file_id, wishes, file)


@st.cache_resource(max_entries=8, show_spinner="Looking into the catalogue …")
def _catalogue(file_id: str, quotes: bool, facets: tuple[str, ...], _file: Upload) -> OwnItems:
    with _on_disk(_file) as (path,):
        return own_items(path, quotes, facets, label=path.name)


def catalogue(file: Upload, wishes: Wishes) -> OwnItems:
    """An uploaded catalogue as the importer reads it; ``DataError`` where it cannot be read."""
    return _catalogue(file.file_id, wishes.quotes, wishes.facets, file)


@cache
def time_zones() -> list[str]:
    """The names of all time zones."""
    return sorted(zoneinfo.available_timezones())


def import_job(name: str) -> str:
    return f"import {name}"


def start_import(
    name: str,
    clicks: Upload,
    items: Upload | None,
    wishes: Wishes,
    repeats: Repeats | None,
    replace: bool,
) -> None:
    """Brings uploaded files in as the data set ``name``, outside the script.

    Raises:
        FameError: where the name cannot be taken, or this is a demonstration.
    """
    if is_demo():
        raise FameError(DEMO_UPLOADS)
    check_name(name, replace)
    called = file_name(clicks.name)

    def work(job: Job) -> None:
        def told(_: str) -> None:
            job.message, job.share = f"Step 2 of 2: reading the rows of {called} into order", 0.5

        with _on_disk(clicks, items) as (path, *catalogues):
            beside = catalogues[0] if catalogues else None
            labels = Labels(path.name, beside.name if beside else None)
            import_file(path, name, beside, replace, repeats, wishes, told, labels)

    _start(import_job(name), f"Step 1 of 2: looking into {called}", work)


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


DEMO = "This is a demonstration, in which nothing can be trained: install FAME Lens to train."
DEMO_UPLOADS = "This is a demonstration, which takes no files: install FAME Lens to import."
DEMO_NAMES = "This is a demonstration, in which heads keep their names."


def is_demo() -> bool:
    """Whether ``FAME_DEMO`` says that visitors may look, and neither start nor stop anything."""
    return os.environ.get("FAME_DEMO", "0") not in ("", "0")


def launch_run(
    path: Path,
    data: str,
    settings: dict[str, Any],
    device: str,
    tensorboard: bool = False,
) -> None:
    """Puts a new run into the queue of its device, which goes on without the app.

    Args:
        device: As of :func:`devices`.

    Raises:
        FameError: where it waits or trains already, or this is a demonstration.
    """
    _refuse_in_a_demonstration()
    submit(path, TrainingJob(data, settings, _plain_device(device), tensorboard=tensorboard))


def resume_run(run: RunFolder, data: str) -> None:
    """Puts a run into the queue of the device that it was on; errors as of :func:`launch_run`."""
    _refuse_in_a_demonstration()
    submit(run.path, job_that_goes_on(run, data, _device(run)))


def keep_the_queue_going() -> None:
    """Starts what starts trainings, where something waits and it is gone."""
    root = checkpoint_root()
    if not is_demo() and needs_runner(root) and _runner().is_due():
        start_runner(root)


@dataclass
class _Runner:
    """When a runner was last started from here: it takes a moment until it can be seen."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    started: float = -math.inf

    def is_due(self) -> bool:
        with self.lock:
            due = time.monotonic() - self.started > 5.0
            if due:
                self.started = time.monotonic()
            return due


@st.cache_resource(show_spinner=False)
def _runner() -> _Runner:
    return _Runner()


def stop_run(run: RunFolder) -> None:
    """Takes a run out of the queue, or asks it to stop after its step.

    Raises:
        FameError: where no process can be shown to train there, or this is a demonstration.
    """
    _refuse_in_a_demonstration()
    if not withdraw(run) and not request_stop(run) and run.is_alive():
        raise FameError(
            f"{run.path.name} does not say which process trains it; stop it where it was started."
        )


def end_run(run: RunFolder) -> None:
    """Ends a run that did not stop when it was asked to; errors as of :func:`stop_run`."""
    _refuse_in_a_demonstration()
    if not end_at_once(run) and run.is_alive():
        raise FameError(
            f"{run.path.name} does not say which process trains it; end it where it was started."
        )


def rename_run(run: RunFolder, name: str) -> None:
    _refuse_in_a_demonstration()
    rename(run, name)


def discard_run(run: RunFolder) -> None:
    _refuse_in_a_demonstration()
    discard(run)


def empty_the_trash() -> None:
    _refuse_in_a_demonstration()
    empty_trash(checkpoint_root())


def _refuse_in_a_demonstration() -> None:
    if is_demo():
        raise FameError(DEMO)


def _device(run: RunFolder) -> str:
    """What a run trains on."""
    status = run.status()
    if status is not None and status.on:
        return status.on
    described = description(run.path)
    return _plain_device("auto" if described is None else described.train_config.device)


def _plain_device(name: str) -> str:
    """``cpu`` or ``cuda:N``, of which ``auto`` and ``cuda`` are other names."""
    named = next(iter(devices())) if name == "auto" else name
    return "cuda:0" if named == "cuda" else named


def runs() -> dict[str, RunFolder]:
    """Every folder under the root in which something is, was or will be trained, by name."""
    root = checkpoint_root()
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    marks = (STATUS, LAUNCH_LOG, QUEUED, TAKEN)
    return {
        path.name: RunFolder(path)
        for path in sorted(folders)
        if not path.name.startswith(".") and any((path / mark).is_file() for mark in marks)
    }


def trained() -> dict[str, RunFolder]:
    """The runs, and the checkpoints that came trained, by name."""
    came = {path.name: RunFolder(path) for path in list_checkpoints(checkpoint_root())}
    return came | runs()


@st.cache_resource(max_entries=256, show_spinner=False)
def _description(path: Path, stamp: Stamp) -> Description | None:
    try:
        return read_description(path)
    except FameError:
        return None


def description(path: Path) -> Description | None:
    """What ``config.json`` of a folder says; ``None`` where there is none that can be read."""
    return _description(path, _stamp_of_file(path / CONFIG))


@st.cache_resource(max_entries=256, show_spinner=False)
def _history(path: Path, stamp: Stamp) -> tuple[pd.DataFrame, int]:
    rows, broken = RunFolder(path).read_history()
    return pd.DataFrame(rows), broken


def history(run: RunFolder) -> tuple[pd.DataFrame, int]:
    """A row an epoch of a run, and how many lines of the file are none; read once for all."""
    return _history(run.path, _stamp_of_file(run.path / HISTORY))


@st.cache_resource(max_entries=64, show_spinner="Comparing runs person by person …")
def _gains(ours: Path, theirs: Path | None, stamps: Stamp) -> dict[str, Gain] | None:
    about = _description(ours, _stamp_of_file(ours / CONFIG))
    if about is None:
        return None
    our_ranks = _ranks(ours)
    their_ranks = baseline_ranks(ours.parent, about) if theirs is None else _ranks(theirs)
    if our_ranks is None or their_ranks is None or len(our_ranks) != len(their_ranks):
        return None
    return gains_over(our_ranks, their_ranks)


def gains(ours: RunFolder, theirs: RunFolder | None) -> dict[str, Gain] | None:
    """How far a run is ahead of another on the same data, or of the tables' SASRec.

    ``None`` where the ranks of one were not kept.
    """
    folders = [run.path for run in (ours, theirs) if run is not None]
    files = [folder / name for folder in folders for name in (RANKS, CONFIG, METRICS)]
    stamps: Stamp = sum(map(_stamp_of_file, [*files, ours.path.parent / RESULTS]), ())
    return _gains(ours.path, None if theirs is None else theirs.path, stamps)


def _ranks(path: Path) -> np.ndarray | None:
    """Ranks of everybody's test item: the run's own, or those of its row of the tables."""
    own = RunFolder(path).ranks()
    about = _description(path, _stamp_of_file(path / CONFIG))
    return table_ranks(path.parent, about) if own is None and about else own


# --- before a run ------------------------------------------------------------------------------


@dataclass
class _Estimating:
    """An estimate under way: until ``thread`` has ended there is neither it nor an error."""

    thread: threading.Thread | None = None
    found: Estimate | None = None
    error: str = ""


@st.cache_resource(max_entries=64, show_spinner=False)
def _estimating(
    data: str,
    kept: int,
    model: ModelConfig,
    training: TrainConfig,
    device: str,
    going_by: tuple[tuple[str, float], ...],
    _paces: list[Pace],
) -> _Estimating:
    under_way = _Estimating()

    def work() -> None:
        try:
            under_way.found = estimate(_dataset(data, kept), model, training, device, _paces)
        except FameError as error:
            under_way.error = str(error)
        except Exception:
            logger.exception("An estimate failed")
            under_way.error = "It failed for a reason of ours; the app's log has it."

    under_way.thread = threading.Thread(target=work, daemon=True)
    under_way.thread.start()
    return under_way


def estimated(
    data: str, model: ModelConfig, training: TrainConfig, device: str
) -> tuple[Estimate | None, str]:
    """What a run will take, or why nobody can say; neither where it is still being looked at."""
    known = paces(device)
    going_by = tuple((pace.run, pace.epoch_seconds) for pace in known)
    under_way = _estimating(data, version(data), model, training, device, going_by, known)
    assert under_way.thread is not None
    under_way.thread.join(0.3)
    return under_way.found, under_way.error


def paces(device: str) -> list[Pace]:
    """How fast the runs of this machine were on a device, and the checkpoints that came trained."""
    found = []
    for name, run in trained().items():
        described, (rows, _) = description(run.path), history(run)
        if described is None:
            continue
        status = run.status()
        here = status is not None and status.on == device
        told = rows.to_dict("records")
        if status is None and not told:
            final = metrics(run.path)
            if final.get("epochs") and final.get("train_seconds"):
                told = [{"seconds": final["train_seconds"] / final["epochs"]}]
        pace = pace_of(name, described, told, here=here)
        found += [pace] if pace else []
    return found


def free_memory(device: str) -> int | None:
    """Bytes that are free on a device; ``None`` where nobody says.

    A GPU is asked by its driver's own program: to ask through PyTorch would take memory there.
    """
    if device == "cpu":
        return available_memory(torch.device("cpu"))
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    query = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout
        free = dict(line.split(", ") for line in told.splitlines())
        return int(free[uuid]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def metrics(path: Path) -> dict[str, Any]:
    """A run's final figures, those that are some; empty where it has none yet."""
    try:
        found = parse_json((path / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    for split in ("valid", "test"):
        figures = found.get(split)
        known = figures.items() if isinstance(figures, dict) else ()
        found[split] = {name: value for name, value in known if type(value) in (int, float)}
    for name, kind in (("epochs", int), ("train_seconds", float), ("device", str)):
        if type(found.get(name)) is not kind:
            found.pop(name, None)
    return found
