"""Everything that is kept between runs of the script: each cache of the app stands in this file.

What ``st.cache_resource`` gives is the same object for every session, so nobody may change it.
Caches are keyed by a checkpoint's hash, or by the time stamps of its files where the hash is not
known yet.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

import fame
from fame.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
from fame.data import Dataset, load
from fame.errors import FameError
from fame.lens.trace import SequenceTrace, trace_history
from fame.projection import PROJECTION, Projection, read_projection, space_vectors

logger = logging.getLogger(__name__)


def checkpoint_root() -> Path:
    """Where checkpoints lie: ``FAME_CHECKPOINTS``, else ``checkpoints/`` beside the library."""
    named = os.environ.get("FAME_CHECKPOINTS")
    return Path(named) if named else Path(fame.__file__).resolve().parent.parent / "checkpoints"


def checkpoint_names() -> list[str]:
    return [path.name for path in list_checkpoints(checkpoint_root())]


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every file of a folder: changes when any of them does."""
    stats = [(file.name, file.stat()) for file in sorted(path.iterdir()) if file.is_file()]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


@st.cache_resource(max_entries=6, show_spinner="Opening the checkpoint …")
def _checkpoint(path: Path, stamp: tuple[tuple[str, int, int], ...]) -> Checkpoint:
    return load_checkpoint(path)


def checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its folder's name; ``CheckpointError`` where it is missing or damaged."""
    path = checkpoint_root() / name
    wanted = {"config.json", "model.safetensors", "items.parquet", "metrics.json"}
    stamp = _stamp(path) if path.is_dir() else ()
    return _checkpoint(path, tuple(entry for entry in stamp if entry[0] in wanted))


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …")
def dataset(name: str) -> Dataset:
    """A data set that is at hand; ``DataError`` where it would have to be fetched."""
    return load(name, offline=True)


@st.cache_resource(max_entries=256, show_spinner=False)
def _trace(checkpoint_hash: str, history: tuple[int, ...], _model: Any) -> SequenceTrace:
    return trace_history(_model, np.array(history, dtype=np.int64))


def trace(opened: Checkpoint, history: np.ndarray) -> SequenceTrace:
    """What the model says after a history of item indices."""
    return _trace(opened.hash, tuple(history.tolist()), opened.model)


@st.cache_resource(max_entries=4, show_spinner="Reading the projection …")
def _projection(
    weights: str, stamp: tuple[tuple[str, int, int], ...], _opened: Checkpoint
) -> Projection | None:
    return read_projection(_opened)


def projection(opened: Checkpoint) -> Projection | None:
    """The stored picture of a checkpoint's items; ``None`` where there is none of its weights."""
    stamp = tuple(entry for entry in _stamp(opened.path) if entry[0] == PROJECTION)
    return _projection(opened.weights_hash, stamp, opened)


@st.cache_resource(max_entries=32, show_spinner=False)
def _vectors(checkpoint_hash: str, space: str, _model: Any) -> np.ndarray:
    return space_vectors(_model, space)


def vectors(opened: Checkpoint, space: str) -> np.ndarray:
    """``(V - 1, K)`` the items as one head has them, or ``(V - 1, D)`` of the whole embedding."""
    return _vectors(opened.hash, space, opened.model)


@dataclass
class Job:
    """Work that goes on outside the script, for every session to look at.

    ``share`` is how much of it is done, where that is known; ``error`` one sentence where it failed.
    """

    message: str
    share: float | None = None
    error: str = ""
    done: bool = False


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
