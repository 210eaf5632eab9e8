"""A run's folder: who holds it, what it says while it trains, and how it goes on.

A run and its checkpoint share one folder, which is marked as ours before anything else is written
(:data:`fame.files.MARK`). Beside the checkpoint's files it has ``status.json`` (now),
``metrics.jsonl`` (a row an epoch), ``train.log``, ``run.lock`` (held while a process trains, and
says which), ``stop`` (once that was asked to stop) and ``resume/state.safetensors`` (all that the
next epoch needs; gone when the run has finished).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fame.checkpoint import CARD, CHOICE, CONFIG, ITEMS, METRICS, WEIGHTS, is_own_folder
from fame.errors import FameError
from fame.files import (
    MARK,
    check_folder,
    claim_folder,
    drop_unfinished,
    locked,
    read_json,
    replacing,
    telling_of,
    write_json,
    write_text,
)
from fame.training.loop import TrainState, copy_of_weights

STATUS, HISTORY, LOG, LOCK = "status.json", "metrics.jsonl", "train.log", "run.lock"
LAUNCH_LOG = "launch.log"
_STOP = "stop"
_CLOCK = 2.0  # seconds: what a correction of the clock can do to the start time of a process
_STATE = "state.safetensors"
# What only the process that trains writes; a survey or a projection may write beside it.
_TRAININGS_OWN = (
    *(STATUS, HISTORY, CONFIG, WEIGHTS, ITEMS, METRICS, CARD, CHOICE),
    f"resume/{_STATE}",
)

Phase = Literal[
    "preparing",
    "training",
    "evaluating",
    "projecting",
    "naming",
    "finished",
    "stopped",
    "failed",
]
ACTIVE: frozenset[str] = frozenset({"preparing", "training", "evaluating", "projecting", "naming"})


@dataclass
class Status:
    """What a run is doing, as ``status.json`` has it.

    ``positions_per_second`` counts real targets; times are in seconds, ``started`` and ``updated``
    since 1970. ``peak_memory_mb`` is the most that the (first) process had, of the GPU where it
    trains on one. ``message`` is one sentence where the run failed.
    """

    phase: Phase
    data: str
    model: str
    device: str
    pid: int
    started: float
    updated: float
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    positions_per_second: float | None = None
    eta_seconds: float | None = None
    best_epoch: int = 0
    best_score: float | None = None
    peak_memory_mb: float | None = None
    message: str = ""


class RunFolder:
    """The folder of one run; reading never disturbs the process that trains in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- who holds it -------------------------------------------------------------------------

    def check(self, *, resume: bool) -> None:
        """``FameError`` where no training may begin here, or none may go on where ``resume``."""
        check_folder(self.path, is_ours=is_own_folder)
        if resume and not (self.can_resume() or self.is_beginning()):
            raise FameError(
                f"There is nothing to resume in {self.path}: no run was interrupted there; leave "
                "--resume away to start one."
            )
        if self.has_run() and not resume:
            way = "continue it with --resume, or choose" if self.can_resume() else "choose"
            raise FameError(f"{self.path} already holds a run; {way} another --out.")

    @contextmanager
    def taken(self, *, resume: bool) -> Iterator[None]:
        """Makes the folder ours and holds it for a training; ``FameError`` as :meth:`check` says.

        What a run left here of which no epoch had ended goes, unless it goes on.
        """
        if not self.is_held():
            self.check(resume=resume)
            claim_folder(self.path)
        with self.held():
            self.check(resume=resume)  # another training may have come and gone meanwhile
            if not resume:
                with telling_of(self.path):
                    for name in (WEIGHTS, ITEMS, CHOICE, CONFIG):
                        (self.path / name).unlink(missing_ok=True)
                self.drop_state()
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the folder against any other training; ``FameError`` where one is under way.

        What a process that was killed had half written goes.
        """
        me = psutil.Process()
        holder = json.dumps({"pid": me.pid, "started": me.create_time()})
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / LOCK, wait=False, holder=holder))
            except BlockingIOError:
                raise FameError(
                    f"Another process is training in {self.path}; stop it or choose another --out."
                ) from None
            for name in _TRAININGS_OWN:
                drop_unfinished(self.path / name)
            (self.path / _STOP).unlink(missing_ok=True)  # asked of who was here before
            try:
                yield
            finally:
                (self.path / _STOP).unlink(missing_ok=True)

    def holder(self) -> psutil.Process | None:
        """The process that trains here; ``None`` where there is none, or none that proves it.

        A number alone may have become another process's, or have been written by anybody: it has
        to be the process that says so in the lock, started when that says, with the lock open.
        """
        if not self.is_held():
            return None
        try:
            said = read_json(self.path / LOCK)
            if type(said["pid"]) is not int or said["pid"] < 2:
                return None
            process = psutil.Process(said["pid"])
            if abs(process.create_time() - said["started"]) > _CLOCK:
                return None
            lock = (self.path / LOCK).resolve()
            held = any(Path(file.path) == lock for file in process.open_files())
        except (OSError, ValueError, TypeError, KeyError, psutil.Error):
            return None
        return process if held else None

    def is_stopping(self) -> bool:
        """Whether the process that trains here was asked to stop."""
        return (self.path / _STOP).exists() and self.is_held()

    def is_held(self) -> bool:
        """Whether a process is training here now; true to the fact even after a crash."""
        try:
            with (self.path / LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def has_run(self) -> bool:
        """Whether an epoch was ever trained here, or a checkpoint put here."""
        kept = any((self.path / name).exists() for name in (HISTORY, METRICS))
        return kept or self.can_resume() or ((self.path / CONFIG).exists() and not self._began())

    def is_beginning(self) -> bool:
        """Whether a training began here of which no epoch is kept: it can only begin again."""
        return self._began() and not self.has_run()

    def _began(self) -> bool:
        return any((self.path / name).is_file() for name in (STATUS, MARK))

    def has_ended(self) -> bool:
        """Whether the run came to its end and has its figures."""
        return (self.path / METRICS).is_file() and not self.can_resume()

    # --- what it says -------------------------------------------------------------------------

    def write_status(self, status: Status) -> None:
        status.updated = time.time()
        write_json(self.path / STATUS, asdict(status))

    def status(self) -> Status | None:
        """The last word of the run; a run whose process died says so itself."""
        try:
            status = Status(**json.loads((self.path / STATUS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if status.phase in ACTIVE and not self.is_held():
            status.message = "The process ended without a word: it was killed, or the machine was."
            if status.phase == "naming":  # the checkpoint was whole before that began
                status.phase = "finished"
            else:
                status.phase = "stopped" if self.can_resume() else "failed"
        return status

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        write_text(self.path / HISTORY, "".join(json.dumps(row) + "\n" for row in rows))

    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: loss, validation figures, seconds, rate, facets forming."""
        try:
            text = (self.path / HISTORY).read_text(encoding="utf-8")
            return [json.loads(line) for line in text.splitlines()]
        except (OSError, ValueError):
            return []

    def log_tail(self, lines: int = 30) -> str:
        """The end of what the process wrote, of its launch where it did not get any further."""
        for name in (LOG, LAUNCH_LOG):
            file = self.path / name
            if file.is_file() and file.stat().st_size:
                text = file.read_text(encoding="utf-8", errors="replace")
                return "\n".join(text.splitlines()[-lines:])
        return ""

    # --- how it goes on -----------------------------------------------------------------------

    def can_resume(self) -> bool:
        return (self.path / "resume" / _STATE).is_file()

    def save_state(self, state: TrainState) -> None:
        """Keeps model, optimizer, best weights and history as of the end of an epoch."""
        tensors = {f"model.{name}": tensor for name, tensor in state.weights().items()}
        if state.average is not None:
            average = copy_of_weights(state.average)
            tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in state.best_weights.items()}
        for index, entries in state.optimizer.state_dict()["state"].items():
            for name, tensor in entries.items():
                tensors[f"optimizer.{index}.{name}"] = tensor.detach().cpu()
        note = {
            "epoch": state.epoch,
            "best_score": state.best_score,
            "best_epoch": state.best_epoch,
            "history": state.history,
        }
        with replacing(self.path / "resume" / _STATE) as temporary:
            save_file(tensors, temporary, metadata={"state": json.dumps(note)})

    def load_state(self, state: TrainState) -> None:
        """Puts what :meth:`save_state` kept into a fresh state of the same configuration."""
        file = self.path / "resume" / _STATE
        model: dict[str, torch.Tensor] = {}
        average: dict[str, torch.Tensor] = {}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        try:
            with safe_open(file, framework="pt") as archive:
                note = json.loads(archive.metadata()["state"])
                for name in archive.keys():  # noqa: SIM118 (an archive is no mapping)
                    kind, rest = name.split(".", 1)
                    tensor = archive.get_tensor(name)
                    if kind == "model":
                        model[rest] = tensor
                    elif kind == "average":
                        average[rest] = tensor
                    elif kind == "best":
                        state.best_weights[rest] = tensor
                    else:
                        index, entry = rest.split(".")
                        moments.setdefault(int(index), {})[entry] = tensor
            state.model.load_state_dict(model)
            if state.average is not None:
                state.average.load_state_dict(average)
            groups = state.optimizer.state_dict()["param_groups"]
            state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            state.epoch, state.history = note["epoch"], note["history"]
            state.best_score, state.best_epoch = note["best_score"], note["best_epoch"]
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            raise FameError(
                f"{file} cannot be resumed from ({error}); remove {self.path} and train again."
            ) from None

    def drop_state(self) -> None:
        shutil.rmtree(self.path / "resume", ignore_errors=True)


def launch(
    out: Path,
    data: str,
    settings: dict[str, Any],
    *,
    device: str | None = None,
    resume: bool = False,
) -> int:
    """Starts ``python -m fame train`` as a process of its own, which outlives this one.

    Args:
        settings: Keys of the two configurations; what is not given comes from the recipe, or
            from the run itself where it is resumed. So does ``device``.

    Returns:
        The process id. What goes wrong before the run has a log stands in ``launch.log``.
    """
    command = [sys.executable, "-m", "fame", "train", "--data", data, "--out", str(out)]
    if device is not None:
        command += ["--device", device]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    if resume:
        command.append("--resume")
    RunFolder(out).check(resume=resume)
    claim_folder(out)
    with telling_of(out / LAUNCH_LOG), (out / LAUNCH_LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid


def request_stop(run: RunFolder) -> bool:
    """Asks the process that trains in a folder to stop after its step; whether there was one.

    It is asked once, however often this is called: a second signal would end it at once. Where it
    was launched, and so leads a session of its own, its children are asked with it.
    """
    process = run.holder()
    if process is None:
        return False
    try:
        (run.path / _STOP).touch(exist_ok=False)
    except FileExistsError:
        return True
    except OSError as error:
        raise FameError(
            f"{run.path} could not be told to stop ({error.strerror}); stop process {process.pid}."
        ) from error
    try:
        alone = os.getsid(process.pid) != process.pid
        (os.kill if alone else os.killpg)(process.pid, signal.SIGTERM)
    except OSError:  # it has ended meanwhile
        (run.path / _STOP).unlink(missing_ok=True)
        return False
    return True
