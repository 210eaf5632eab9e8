"""The queue of trainings: what waits for a device, and the process that starts it.

A run that waits is a folder with ``queued.json`` in it. A process of its own, which belongs to no
server, takes the runs in the order they came in, one a device, and is gone when nothing waits::

    python -m fame.training.jobs checkpoints

What holds is held by the kernel, and no file has to be believed: a training inherits the locks of
its device and of its folder (``job.lock``) from the process that starts it, so they are held for
exactly as long as it lives, whatever became of all others. Task queues (huey, rq, Celery) keep
their state in a store of their own, and lose a task whose worker is killed.

This module loads nothing heavy, so that a training begins without delay.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fame.errors import FameError
from fame.files import claim_folder, hold_lock, is_locked, locked, read_json, telling_of, write_json

QUEUED, TAKEN, JOB_LOCK, RUN_LOCK = "queued.json", "job.json", "job.lock", "run.lock"
STATUS, LAUNCH_LOG, STOP = "status.json", "launch.log", "stop"
QUEUE = ".queue"  # below the folder of checkpoints
_MUTEX, _RUNNER, _RUNNER_LOG = "mutex", "runner.lock", "runner.log"
REFUSED = "refused.json"  # what could not be started, and why; its own folder cannot be written
_POLL = 0.5  # seconds between two looks at devices that were busy
_CLOCK = 2.0  # seconds: what a correction of the clock can do to the start time of a process


@dataclass(frozen=True)
class Job:
    """What is to be trained in a folder.

    Attributes:
        data: Name of the data set.
        settings: Keys of the two configurations; what is not given comes from the recipe, or from
            the run itself where it is resumed.
        device: ``cpu`` or ``cuda:N``: what it waits for.
        resume: Whether it goes on with the run in its folder.
        tensorboard: Whether it writes event files for TensorBoard.
        submitted: When it was handed in, in seconds since 1970: the order of the queue.
    """

    data: str
    settings: dict[str, Any]
    device: str
    resume: bool = False
    tensorboard: bool = False
    submitted: float = field(default_factory=time.time)

    @property
    def model(self) -> str:
        return str(self.settings.get("model", "fame"))


def train_arguments(job: Job, out: Path) -> list[str]:
    """What follows ``python`` on the command line that does the same."""
    arguments = ["-m", "fame", "train", "--data", job.data, "--out", str(out)]
    arguments += ["--device", job.device]
    for key, value in job.settings.items():
        arguments += ["--set", f"{key}={value}"]
    arguments += ["--tensorboard"] * job.tensorboard + ["--resume"] * job.resume
    return [*arguments, "--survey"]


def read_job(path: Path) -> Job:
    """A job out of ``queued.json`` or ``job.json``.

    Raises:
        FameError: where the file holds none.
    """
    try:
        job = Job(**read_json(path))
        given = (job.data, job.settings, job.device, job.resume, job.tensorboard)
        if tuple(map(type, given)) != (str, dict, str, bool, bool):
            raise ValueError("a field is of another type")
        if type(job.submitted) not in (int, float):
            raise ValueError("it does not say when it was handed in")
    except (OSError, ValueError, TypeError) as error:
        raise FameError(
            f"{path} does not say what is to be trained ({error}); remove the file, and start the "
            "run again."
        ) from None
    return job


def is_launched(folder: Path) -> bool:
    """Whether a process that was started for a folder lives, even if it has not said a word."""
    return is_locked(folder / JOB_LOCK)


def is_queued(folder: Path) -> bool:
    """Whether a folder waits for its device."""
    return (folder / QUEUED).is_file() and not is_launched(folder) and not refusal(folder)


def refusal(folder: Path) -> str:
    """Why the job of a folder could not be started, in a sentence; empty where it was not tried.

    It is told until the run is handed in again, or the job is gone.
    """
    if not (folder / QUEUED).is_file():
        return ""
    refused = _refused(folder.parent)
    if not refused:
        return ""
    with suppress(FameError):
        return refused.get(_number(read_job(folder / QUEUED)), "")
    return ""


def _number(job: Job) -> str:
    """What a job is known by, whatever its folder is called meanwhile."""
    return repr(float(job.submitted))


def _refused(root: Path) -> dict[str, str]:
    """Why jobs could not be started, by their numbers."""
    try:
        found = read_json(root / QUEUE / REFUSED)
    except (OSError, ValueError):
        return {}
    told = found.items() if isinstance(found, dict) else ()
    return {number: why for number, why in told if type(why) is str and why}


def _refuse(folder: Path, job: Job, why: str) -> None:
    """Leaves a job out, which keeps its folder as it is; those that are gone are forgotten."""
    root = folder.parent
    still_there = set()
    for file in root.glob(f"*/{QUEUED}"):
        with suppress(FameError):
            still_there.add(_number(read_job(file)))
    kept = {number: told for number, told in _refused(root).items() if number in still_there}
    write_json(root / QUEUE / REFUSED, kept | {_number(job): why})


def waiting(root: Path) -> list[Path]:
    """The folders below ``root`` that wait, in the order in which they are taken.

    What does not say what is to be trained is not among them, and is never taken.
    """
    found = []
    for file in root.glob(f"*/{QUEUED}"):
        if is_queued(file.parent):
            with suppress(FameError):
                found.append((read_job(file).submitted, file.parent))
    return [folder for _, folder in sorted(found)]


@contextmanager
def queue_held(root: Path) -> Iterator[None]:
    """Whatever changes the folders below ``root`` as a whole does it in this block."""
    with telling_of(root / QUEUE):
        (root / QUEUE).mkdir(parents=True, exist_ok=True)
    with locked(root / QUEUE / _MUTEX, wait=True):
        yield


def enqueue(folder: Path, job: Job) -> None:
    """Puts a folder into the queue; in a block of :func:`queue_held`.

    Raises:
        FameError: where it waits or is trained already, or the disk refuses it.
    """
    if is_queued(folder) or is_launched(folder):
        raise FameError(f"{folder.name} waits or trains already; it is not started twice.")
    is_new = not folder.exists()
    try:
        claim_folder(folder)
        with telling_of(folder):
            (folder / STOP).unlink(missing_ok=True)  # asked of who was here before
        write_json(folder / QUEUED, asdict(job))
    except FameError:
        if is_new:  # or its name would be taken by nothing
            shutil.rmtree(folder, ignore_errors=True)
        raise


def withdraw(folder: Path) -> bool:
    """Takes a folder out of the queue; whether it was in it; in a block of :func:`queue_held`."""
    if not is_queued(folder):
        return False
    with telling_of(folder):
        (folder / QUEUED).unlink()
    return True


def needs_runner(root: Path) -> bool:
    """Whether something waits and nobody is there to start it, as after the machine went down."""
    return bool(waiting(root)) and not is_locked(root / QUEUE / _RUNNER)


def start_runner(root: Path) -> None:
    """Starts the process that starts trainings; where there is one already, a second one goes."""
    log = root / QUEUE / _RUNNER_LOG
    with telling_of(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            subprocess.Popen(
                [sys.executable, "-m", "fame.training.jobs", str(root.resolve())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def run_queue(root: Path) -> None:
    """Starts what waits below ``root``, until nothing does; at once where another does it.

    What cannot be started, as in a folder without write permission, is left out and told by
    :func:`refusal`; the others go on.

    Raises:
        FameError: where the queue's own folder cannot be written.
    """
    with telling_of(root / QUEUE):
        (root / QUEUE).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(root / QUEUE / _RUNNER, wait=False, holder=_holder()))
        except BlockingIOError:
            return
        while True:
            with queue_held(root):
                for folder, job in first_in_line(root):
                    try:
                        _start(folder, job)
                    except FameError as error:
                        print(f"{folder.name} could not be started: {error}", file=sys.stderr)
                        _refuse(folder, job, str(error))
                if not waiting(root):
                    # Before anybody else may hand something in, who then starts another runner.
                    stack.close()
                    return
            time.sleep(_POLL)


def first_in_line(root: Path) -> list[tuple[Path, Job]]:
    """What each device would take next: whoever comes later does not slip in before it."""
    line: dict[str, tuple[Path, Job]] = {}
    for folder in waiting(root):
        job = read_job(folder / QUEUED)
        line.setdefault(job.device, (folder, job))
    return list(line.values())


def _start(folder: Path, job: Job) -> None:
    """Starts the training of a folder where its device is free.

    Raises:
        FameError: where the folder cannot be written; it still waits then.
    """
    if any(_others_on(job.device, folder.parent)):
        return
    with ExitStack() as stack:
        device = folder.parent / QUEUE / f"{job.device.replace(':', '-')}.lock"
        try:
            held = [stack.enter_context(locked_file(path)) for path in (device, folder / JOB_LOCK)]
        except BlockingIOError:
            return
        with telling_of(folder / LAUNCH_LOG), (folder / LAUNCH_LOG).open("wb") as log:
            # Its time is when the job was taken. It leaves the queue before its training begins:
            # whatever kills this process meanwhile, it is not trained a second time.
            with telling_of(folder):
                os.utime(folder / QUEUED)
                (folder / STOP).unlink(missing_ok=True)
                (folder / QUEUED).rename(folder / TAKEN)
            try:
                process = subprocess.Popen(
                    [sys.executable, *train_arguments(job, folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=held,
                )
            except OSError as error:
                log.write(f"It could not be started: {error}.\n".encode())
            else:
                # It is nobody's child once this process has gone, and until then nobody waits.
                process.returncode = 0
                with suppress(OSError):  # who cannot say its number can only not be stopped
                    os.write(held[1], _holder(process.pid).encode())


@contextmanager
def locked_file(path: Path) -> Iterator[int]:
    """Holds a lock; the descriptor, given to a child, holds it for as long as that lives.

    Raises:
        BlockingIOError: where somebody holds it.
    """
    with telling_of(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        hold_lock(descriptor, wait=False)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def having(root: Path, device: str) -> list[Path]:
    """The folders below ``root`` whose trainings have a device, for as long as they live.

    What they do when the model is whole, its map and its survey, is part of that: two at once
    would take the device's memory, and each other's time.
    """
    launched = []
    for lock in root.glob(f"*/{JOB_LOCK}"):
        if is_launched(lock.parent):
            with suppress(FameError):
                if read_job(lock.parent / TAKEN).device == device:
                    launched.append(lock.parent)
    return [*launched, *_others_on(device, root)]


def _others_on(device: str, root: Path) -> Iterator[Path]:
    """The trainings that no queue started and that have a device: those from a command line."""
    for lock in root.glob(f"*/{RUN_LOCK}"):
        if not is_launched(lock.parent) and is_locked(lock):
            try:
                on = read_json(lock.parent / STATUS).get("on", "")
            except (OSError, ValueError, AttributeError):
                on = ""
            if on in (device, ""):  # who does not say so yet may be anywhere
                yield lock.parent


def _holder(pid: int | None = None) -> str:
    process = psutil.Process(pid)
    return json.dumps({"pid": process.pid, "started": process.create_time()})


def proven_holder(lock: Path) -> psutil.Process | None:
    """The process that holds a lock file; ``None`` where there is none, or none that proves it.

    A number alone may have become another process's, or have been written by anybody: it has
    to be the process that the lock names, started when that says, with the lock open.
    """
    if not is_locked(lock):
        return None
    try:
        said = read_json(lock)
        if type(said["pid"]) is not int or said["pid"] < 2:
            return None
        process = psutil.Process(said["pid"])
        if abs(process.create_time() - said["started"]) > _CLOCK:
            return None
        path = lock.resolve()
        held = any(Path(file.path) == path for file in process.open_files())
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return None
    return process if held else None


def send(process: psutil.Process, number: signal.Signals) -> bool:
    """Sends a signal to a process, and to its group where it leads one; whether it was there."""
    try:
        alone = os.getsid(process.pid) != process.pid
        (os.kill if alone else os.killpg)(process.pid, number)
    except OSError:  # it has ended meanwhile
        return False
    return True


if __name__ == "__main__":
    try:
        run_queue(Path(sys.argv[1]))
    except FameError as error:
        sys.exit(str(error))
