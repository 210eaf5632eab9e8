"""A run's folder: who holds it, what it says while it trains, and how it goes on.

A run and its checkpoint share one folder, which is marked as ours before anything else is written
(:data:`fame.files.MARK`). Beside the checkpoint's files it has ``status.json`` (now),
``metrics.jsonl`` (a row an epoch), ``train.log``, ``run.lock`` (held while a process trains, and
says which), ``stop`` (once that was asked to stop), ``ranks.npz`` (of every person's test item) and
``resume/state.safetensors`` (all that the next epoch needs; gone when the run has finished). What
came through the queue (:mod:`fame.training.jobs`) also has ``queued.json`` or, once it was taken,
``job.json``.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fame.checkpoint import (
    CARD,
    CHOICE,
    CONFIG,
    ITEMS,
    METRICS,
    START,
    VALUES,
    WEIGHTS,
    is_own_folder,
)
from fame.errors import FameError
from fame.files import (
    MARK,
    check_folder,
    claim_folder,
    drop_unfinished,
    is_locked,
    locked,
    parse_json,
    replacing,
    telling_of,
    write_json,
    write_text,
)
from fame.training import jobs
from fame.training.event_files import FOLDER
from fame.training.jobs import JOB_LOCK, LAUNCH_LOG, QUEUED, STATUS, STOP, TAKEN, Job
from fame.training.jobs import RUN_LOCK as LOCK
from fame.training.loop import TrainState, copy_of_weights
from fame.typed_json import read_as

HISTORY, LOG, RANKS = "metrics.jsonl", "train.log", "ranks.npz"
TRASH = ".trash"  # below the folder of checkpoints
GRACE = 10.0  # seconds that a process has to stop by itself before it may be ended
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESTARTED = 60.0  # seconds by which the start of a machine may be told differently
_TAIL = 1 << 16  # bytes of a log that are read for its end
_STATE = "state.safetensors"
# What only the process that trains writes; a survey or a projection may write beside it.
_TRAININGS_OWN = (
    *(STATUS, HISTORY, CONFIG, WEIGHTS, ITEMS, VALUES, METRICS, CARD, CHOICE, START, RANKS),
    f"resume/{_STATE}",
)

Phase = Literal[
    "queued",
    "starting",
    "preparing",
    "training",
    "evaluating",
    "projecting",
    "naming",
    "surveying",
    "finished",
    "stopped",
    "failed",
    "lost",
    "damaged",
]
# What a run says while its process lives.
ACTIVE: frozenset[str] = frozenset(
    {"preparing", "training", "evaluating", "projecting", "naming", "surveying"}
)
_AFTER_THE_END: frozenset[str] = frozenset({"naming", "surveying"})  # the checkpoint is whole
# What no process writes: it is seen from outside.
_SEEN: frozenset[str] = frozenset({"queued", "starting", "lost", "damaged"})


@dataclass
class Status:
    """What a run is doing, as ``status.json`` has it.

    While an epoch is validated, ``ranked`` of ``to_rank`` people are ranked; both are 0 while it
    learns. After training the people of both splits are counted in them, those of the test split
    twice where heads rank too. ``positions_per_second`` counts real targets; times are in seconds,
    ``started`` (the first time) and ``updated`` since 1970. A run that went on has
    ``earlier_seconds`` of work before it was ``resumed``. ``on`` is the device's name in
    configurations. ``peak_memory_mb`` is the most that the (first) process had, of the GPU where it
    trains on one, ``host_memory_mb`` what it has of the machine's memory. ``machine_started`` tells
    whether the machine went down meanwhile. ``message`` is one sentence where the run failed.
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
    ranked: int = 0
    to_rank: int = 0
    loss: float | None = None
    positions_per_second: float | None = None
    eta_seconds: float | None = None
    best_epoch: int = 0
    best_score: float | None = None
    peak_memory_mb: float | None = None
    message: str = ""
    on: str = ""
    learning_rate: float | None = None
    host_memory_mb: float | None = None
    resumed: float | None = None
    earlier_seconds: float = 0.0
    machine_started: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it was worked on, pauses left out."""
        since = self.started if self.resumed is None else self.resumed
        return self.earlier_seconds + max(self.updated - since, 0.0)

    @property
    def is_active(self) -> bool:
        """Whether its process lives."""
        return self.phase in ACTIVE or self.phase == "starting"


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
                    for name in (WEIGHTS, ITEMS, CHOICE, START, CONFIG):
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
            self._forget_stop(before=me.create_time())
            try:
                yield
            finally:
                (self.path / STOP).unlink(missing_ok=True)

    def _forget_stop(self, before: float) -> None:
        """What was asked of who was here before; this process may have been asked already."""
        stop = self.path / STOP
        with suppress(FileNotFoundError):
            if stop.stat().st_mtime < before:
                stop.unlink()

    def holder(self) -> psutil.Process | None:
        """The process that trains here, or is about to; ``None`` where none can prove it."""
        return jobs.proven_holder(self.path / LOCK) or jobs.proven_holder(self.path / JOB_LOCK)

    def is_stopping(self) -> bool:
        """Whether the process that trains here was asked to stop."""
        return (self.path / STOP).exists() and self.is_alive()

    def is_held(self) -> bool:
        """Whether a process is training here now; true to the fact even after a crash."""
        return is_locked(self.path / LOCK)

    def is_alive(self) -> bool:
        """Whether a process trains here or was started to."""
        return self.is_held() or jobs.is_launched(self.path)

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
        """What is true of the run now, whatever it said last; ``None`` where there is no run."""
        if jobs.is_queued(self.path):
            return self._of_the_queue(QUEUED, "queued")
        alive, held = self.is_alive(), self.is_held()
        try:
            told = self.last_word()
        except ValueError as error:
            return self._seen(
                "starting" if alive else "damaged",
                f"{self.path / STATUS} cannot be read ({error}); remove that file to see what is "
                "left of the run.",
            )
        if not alive and (refused := self._refused(told)):
            return refused
        launched = self._launched_at()
        if told is None or told.updated < launched:  # what it says is of another sitting
            if alive:
                return self._of_the_queue(TAKEN, "starting", told)
            return self._never_spoke(told) if launched else told
        if alive:
            if told.phase in ACTIVE or self._is_of_holder(told, held=held):
                return told
            return self._of_the_queue(TAKEN, "starting", told)
        return self._without_a_process(told) if told.phase in ACTIVE else told

    def last_word(self) -> Status | None:
        """What ``status.json`` says, true or not; ``None`` without one.

        Raises:
            ValueError: where it holds no status.
        """
        try:
            values = parse_json((self.path / STATUS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from None
        if not isinstance(values, dict):
            raise ValueError("it holds no table")
        kinds = get_type_hints(Status)
        known = {}
        for entry in fields(Status):  # a run of a later version may say more
            if entry.name == "phase":
                if values.get("phase") not in set(get_args(Phase)) - _SEEN:
                    raise ValueError(f"phase {values.get('phase')!r} is none")
                known["phase"] = values["phase"]
            elif entry.name in values:
                try:
                    known[entry.name] = read_as(kinds[entry.name], values[entry.name])
                except ValueError as error:
                    raise ValueError(f"{entry.name}: {error}") from None
            elif entry.default is MISSING:
                raise ValueError(f"it has no {entry.name}")
        return Status(**known)

    def _launched_at(self) -> float:
        """When a process was last started for this folder through the queue; 0 where none was."""
        for name in (TAKEN, LAUNCH_LOG):
            with_it = self.path / name
            if with_it.is_file():
                return with_it.stat().st_mtime if name == TAKEN else 1.0
        return 0.0

    def _is_of_holder(self, told: Status, *, held: bool) -> bool:
        """Whether it is the process that lives that said so, which is then on its way out."""
        if not held:
            return True
        holder = jobs.proven_holder(self.path / LOCK)
        return holder is not None and holder.pid == told.pid

    def _seen(self, phase: Phase, message: str = "", job: Job | None = None) -> Status:
        now = time.time()
        data, model, device = (job.data, job.model, job.device) if job else ("", "", "")
        return Status(phase, data, model, device, 0, now, now, message=message, on=device)

    def _of_the_queue(self, name: str, phase: Phase, told: Status | None = None) -> Status:
        """A run of which only the queue knows; ``told`` is what it said in a former sitting."""
        try:
            job = jobs.read_job(self.path / name)
        except FameError as error:
            if told is None:
                return self._seen("damaged" if phase == "queued" else phase, str(error))
            job = None
        seen = told or self._seen(phase, job=job)
        seen.phase, seen.message = phase, ""
        if job is not None:
            seen.on = job.device
            if told is None:
                seen.started = seen.updated = job.submitted
        return seen

    def _refused(self, told: Status | None) -> Status | None:
        """A run that the queue could not start; ``None`` where it could, or another way was found.

        ``told`` is what the run said last.
        """
        if not (why := jobs.refusal(self.path)):
            return None
        job = jobs.read_job(self.path / QUEUED)
        if told is not None and told.updated > job.submitted:
            return None
        seen = self._of_the_queue(QUEUED, "failed", told)
        seen.message = f"It could not be started. {why}"
        return seen

    def _never_spoke(self, told: Status | None) -> Status:
        """A run whose process ended before it could say what it is doing."""
        lines = self.log_tail(1, LAUNCH_LOG).splitlines()
        seen = told or self._of_the_queue(TAKEN, "failed")
        if (self.path / STOP).exists():
            seen.phase, seen.message = "stopped", "It was stopped before it had begun."
        else:
            seen.phase = "failed"
            seen.message = lines[-1] if lines else "It ended before it began, without a word."
        return seen

    def _without_a_process(self, told: Status) -> Status:
        """A run that says it is at work, and nobody is."""
        if told.phase in _AFTER_THE_END:
            told.phase = "finished"
            told.message = "Its process ended without a word while it looked at the finished model."
            return told
        after = len(self.history())
        way_out = (
            f"It can be resumed after epoch {after}."
            if self.can_resume()
            else "No epoch had ended: it can only begin again."
        )
        if (self.path / STOP).exists():
            told.phase, told.message = "stopped", f"It was ended at once. {way_out}"
            return told
        told.phase = "lost"
        restarted = abs(psutil.boot_time() - told.machine_started) > _RESTARTED
        how = (
            "The machine went down while it was at work."
            if told.machine_started and restarted
            else "Its process was killed from outside: by a person, or by the machine for want of "
            "memory."
        )
        told.message = f"{how} {way_out}"
        return told

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        write_text(self.path / HISTORY, "".join(json.dumps(row) + "\n" for row in rows))

    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: loss, validation figures, seconds, rate, facets forming.

        What is no row is left out.
        """
        return self.read_history()[0]

    def read_history(self) -> tuple[list[dict[str, Any]], int]:
        """The rows of :meth:`history`, and how many lines of the file are none."""
        try:
            lines = (self.path / HISTORY).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return [], 0
        rows = []
        for line in lines:
            try:
                row = parse_json(line)
            except ValueError:
                continue
            # Figures are numbers; what is told by head may be a list of them.
            kinds = {type(value) for value in row.values()} if isinstance(row, dict) else {None}
            if kinds <= {int, float, list, dict} and {"epoch", "loss"} <= set(row):
                rows.append(row)
        return rows, len(lines) - len(rows)

    def log_tail(self, lines: int = 30, *names: str) -> str:
        """The end of what the process wrote, of its launch where it did not get any further."""
        for name in names or (LOG, LAUNCH_LOG):
            file = self.path / name
            try:
                with file.open("rb") as log:
                    size = log.seek(0, 2)
                    log.seek(max(size - _TAIL, 0))
                    text = log.read().decode("utf-8", errors="replace")
            except OSError:
                continue
            if text := text.rstrip():
                return "\n".join(text.splitlines()[-lines:])
        return ""

    def ranks(self) -> np.ndarray | None:
        """``(P,)`` the rank of every person's item of the test split; ``None`` without them."""
        try:
            with np.load(self.path / RANKS, allow_pickle=False) as archive:
                return archive["ranks"].astype(np.int64)
        except (OSError, ValueError, KeyError):
            return None

    def write_ranks(self, ranks: np.ndarray) -> None:
        with replacing(self.path / RANKS) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ranks=ranks.astype(np.uint32))

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
        note = json.dumps(
            {
                "epoch": state.epoch,
                "best_score": state.best_score,
                "best_epoch": state.best_epoch,
                "history": state.history,
            }
        )
        about = {"state": note, "digest": _digest(note, tensors)}
        with replacing(self.path / "resume" / _STATE) as temporary:
            save_file(tensors, temporary, metadata=about)

    def load_state(self, state: TrainState) -> None:
        """Puts what :meth:`save_state` kept into a fresh state of the same configuration."""
        file = self.path / "resume" / _STATE
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "average": {}, "best": {}}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        try:
            with safe_open(file, framework="pt") as archive:
                about = archive.metadata() or {}
                tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
            # Whatever lacks or was changed would go on to another result, and nobody would know.
            # Files of earlier versions have no digest.
            if about.get("digest", digest := _digest(about["state"], tensors)) != digest:
                raise ValueError("it is not what was written")
            note = parse_json(about["state"])
            for name, tensor in tensors.items():
                kind, rest = name.split(".", 1)
                if kind == "optimizer":
                    index, entry = rest.split(".")
                    moments.setdefault(int(index), {})[entry] = tensor
                else:
                    parts[kind][rest] = tensor
            state.model.load_state_dict(parts["model"])
            if state.average is not None:
                state.average.load_state_dict(parts["average"])
            state.best_weights = parts["best"]
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


def _digest(note: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Of all that a file to resume from holds."""
    found = hashlib.sha256(note.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def submit(out: Path, job: Job) -> None:
    """Puts a run into the queue of its folder's parent, and sees that somebody starts it.

    Raises:
        FameError: where no training may begin in ``out``, or one waits or is at work there.
    """
    with jobs.queue_held(out.parent):
        RunFolder(out).check(resume=job.resume)
        jobs.enqueue(out, job)
    jobs.start_runner(out.parent)


def job_that_goes_on(run: RunFolder, data: str, device: str) -> Job:
    """What resumes a run, with event files where it had them.

    Its settings are in its own ``config.json``; one that ended before it wrote that has them from
    the job that it was started by, or could not be.
    """
    former = Job(data, {}, device, tensorboard=(run.path / FOLDER).is_dir())  # of a command line
    for name in (TAKEN, QUEUED):
        with suppress(FameError):
            former = jobs.read_job(run.path / name)
    settings = {} if (run.path / CONFIG).is_file() else former.settings
    return Job(data, settings, device, resume=True, tensorboard=former.tensorboard)


def withdraw(run: RunFolder) -> bool:
    """Takes a run out of the queue; whether it waited. One that had never begun goes with it."""
    with jobs.queue_held(run.path.parent):
        if not jobs.withdraw(run.path):
            return False
        if {file.name for file in run.path.iterdir()} <= {MARK, JOB_LOCK}:
            shutil.rmtree(run.path, ignore_errors=True)
    return True


def request_stop(run: RunFolder) -> bool:
    """Asks the process that trains in a folder to stop after its step; whether there was one.

    It is asked once, however often this is called: a second signal would end it at once. Where it
    was launched, and so leads a session of its own, its children are asked with it.
    """
    process = run.holder()
    if process is None:
        return False
    try:
        (run.path / STOP).touch(exist_ok=False)
    except FileExistsError:
        return True
    except OSError as error:
        raise FameError(
            f"{run.path} could not be told to stop ({error.strerror}); stop process {process.pid}."
        ) from error
    if not jobs.send(process, signal.SIGTERM):
        (run.path / STOP).unlink(missing_ok=True)
        return False
    return True


def may_be_ended(run: RunFolder) -> bool:
    """Whether a run was asked to stop and has not done so within :data:`GRACE` seconds."""
    try:
        asked = (run.path / STOP).stat().st_mtime
    except OSError:
        return False
    return time.time() - asked >= GRACE and run.is_alive()


def end_at_once(run: RunFolder) -> bool:
    """Kills the process that trains in a folder, and its group; whether there was one.

    Raises:
        FameError: where it was not asked to stop before, or has not had the time to.
    """
    process = run.holder()
    if process is None:
        return False
    if not may_be_ended(run):
        raise FameError(
            f"{run.path.name} is asked to stop first, and has {GRACE:.0f} seconds for that."
        )
    return jobs.send(process, signal.SIGKILL)


def name_problem(root: Path, name: str) -> str:
    """What is wrong with the name of a new run below ``root``, in a sentence; empty if nothing."""
    if not _NAME.fullmatch(name):
        return (
            f"{name!r} cannot be the name of a checkpoint: use up to 64 lower-case letters, "
            "digits, dots, underscores and dashes, with a letter or digit first."
        )
    with telling_of(root):
        taken = any(entry.name == name for entry in root.iterdir()) if root.is_dir() else False
    if taken:  # by a checkpoint or by anything else
        return f"There is {name!r} in the folder of checkpoints already; choose another name."
    return ""


@contextmanager
def _at_rest(run: RunFolder) -> Iterator[None]:
    """Holds a run's folder at rest, to be moved; in a block of ``queue_held``.

    Its lock is held meanwhile, so that no training begins in a folder that is on its way.

    Raises:
        FameError: where it waits, trains, or is none of ours, or cannot be written.
    """
    if not (run.path / MARK).is_file() or run.path.is_symlink():
        raise FameError(f"{run.path.name} is no run of yours, and stays as it is.")
    busy = FameError(f"{run.path.name} waits or trains; stop it first.")
    try:
        with locked(run.path / LOCK, wait=False):
            if jobs.is_launched(run.path) or jobs.is_queued(run.path):
                raise busy
            yield
    except BlockingIOError:
        raise busy from None


def rename(run: RunFolder, name: str) -> RunFolder:
    """Gives a run that is at rest another name; ``FameError`` where that cannot be."""
    root = run.path.parent
    with jobs.queue_held(root), _at_rest(run):
        if problem := name_problem(root, name):
            raise FameError(problem)
        with telling_of(run.path):
            return RunFolder(run.path.rename(root / name))


def discard(run: RunFolder) -> None:
    """Moves a run that is at rest into the trash; ``FameError`` where that cannot be."""
    root = run.path.parent
    trash = root / TRASH
    with jobs.queue_held(root), _at_rest(run):
        if trash.is_symlink():  # it may lead to a folder of others, or to another disk
            raise FameError(f"{trash} is a link, and nothing is moved through it; remove the link.")
        with telling_of(trash):
            trash.mkdir(exist_ok=True)
        with telling_of(run.path):
            run.path.rename(trash / f"{run.path.name} {datetime.now():%Y-%m-%d %H.%M.%S.%f}")


def discarded(root: Path) -> list[Path]:
    """The runs in the trash; what else lies there is none of ours, and links lead elsewhere."""
    trash = root / TRASH
    if not trash.is_dir() or trash.is_symlink():
        return []
    with telling_of(trash):
        return sorted(path for path in trash.iterdir() if _is_discarded(path))


def _is_discarded(path: Path) -> bool:
    with suppress(OSError):  # one that may not be read is not known as ours
        return not path.is_symlink() and (path / MARK).is_file()
    return False


def empty_trash(root: Path) -> None:
    """Removes for good the runs that were discarded, and nothing else.

    Raises:
        FameError: where some could not be removed; the others are gone.
    """
    stay = []
    with jobs.queue_held(root):
        for folder in discarded(root):
            try:
                # The mark goes last: what could only be removed in part is still known as ours.
                for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == MARK):
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
                folder.rmdir()
            except OSError as error:
                stay.append(f"{folder.name} ({error.strerror or error})")
    if stay:
        raise FameError(
            f"Not all of {root / TRASH} could be removed: {', '.join(stay)}; set the permissions "
            "right, or remove it by hand."
        )
