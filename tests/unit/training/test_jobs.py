"""The queue of trainings: what is started, how often, and what is left when processes are killed.

A training is here a few lines that wait to be told to end; the runner, the locks and the signals
are the real ones.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fame.errors import FameError
from fame.files import is_locked, locked
from fame.training import jobs
from fame.training.jobs import Job, enqueue, is_launched, is_queued, queue_held, waiting

# Notes that it began, and ends when a file tells it to.
TRAINING = """
import os, sys, time
from pathlib import Path
out = Path(sys.argv[1])
with (out.parent / "log").open("a") as log:
    print("begin", out.name, file=log)
(out / "pid").write_text(str(os.getpid()))
while not (out / "end").exists():
    time.sleep(0.02)
with (out.parent / "log").open("a") as log:
    print("end", out.name, file=log)
"""
RUNNER = f"""
import sys
from pathlib import Path
from fame.training import jobs
jobs.train_arguments = lambda job, out: ["-c", {TRAINING!r}, str(out)]
jobs._POLL = 0.05
jobs.run_queue(Path(sys.argv[1]))
"""
# A runner that is killed at the moment when the training that it starts has begun.
KILLED_AS_IT_STARTS = """
import os, signal, subprocess
def start(*given, start=subprocess.Popen, **options):
    start(*given, **options)
    os.kill(os.getpid(), signal.SIGKILL)
subprocess.Popen = start
"""


def until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


class Queue:
    """A folder of runs, and processes that start them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runners: list[subprocess.Popen] = []

    def add(self, name: str, device: str = "cpu") -> Path:
        with queue_held(self.root):
            enqueue(self.root / name, Job("walks", {}, device))
        return self.root / name

    def runner(self, program: str = RUNNER) -> subprocess.Popen:
        command = [sys.executable, "-c", program, str(self.root)]
        self.runners.append(subprocess.Popen(command, start_new_session=True))
        return self.runners[-1]

    def log(self) -> list[str]:
        file = self.root / "log"
        return file.read_text().splitlines() if file.exists() else []

    def wait_for(self, line: str) -> None:
        until(lambda: line in self.log())

    def end(self, name: str) -> None:
        (self.root / name / "end").touch()
        self.wait_for(f"end {name}")

    def pid(self, name: str) -> int:
        file = self.root / name / "pid"
        until(lambda: file.exists() and file.read_text())
        return int(file.read_text())

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)
        until(lambda: not is_launched(self.root / name))


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "checkpoints")
    yield queue
    for runner in queue.runners:
        runner.kill()
        runner.wait()
    for file in queue.root.glob("*/pid"):
        (file.parent / "end").touch()  # of one that nobody can name any more
        process = jobs.proven_holder(file.parent / jobs.JOB_LOCK)
        if process is not None:
            process.kill()


def test_one_at_a_time_on_a_device_and_in_the_order_they_came(queue: Queue) -> None:
    first, second, other = queue.add("b"), queue.add("a"), queue.add("c", "cuda:0")
    assert waiting(queue.root) == [first, second, other]
    runner = queue.runner()
    queue.wait_for("begin b")
    queue.wait_for("begin c")
    time.sleep(0.3)  # in which the runner looks several times
    assert is_launched(first) and is_launched(other) and is_queued(second)
    assert waiting(queue.root) == [second]
    queue.end("b")
    queue.wait_for("begin a")
    assert runner.wait(10) == 0, "the runner goes when nothing waits, whoever trains"
    assert is_launched(second) and not jobs.needs_runner(queue.root)
    queue.end("a")
    queue.end("c")
    assert sorted(queue.log()) == sorted(f"{w} {n}" for n in "abc" for w in ("begin", "end"))


def test_nobody_slips_in_where_a_device_falls_free_as_the_line_is_gone_through(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, other = queue.add("b"), queue.add("a"), queue.add("c", "cuda:0")
    tried: list[Path] = []

    def busy(folder: Path, job: Job) -> None:
        tried.append(folder)
        if len(tried) == 4:
            for waits in waiting(queue.root):
                (waits / jobs.QUEUED).unlink()

    monkeypatch.setattr(jobs, "_start", busy)
    monkeypatch.setattr(jobs, "_POLL", 0.0)
    jobs.run_queue(queue.root)
    assert tried == [first, other] * 2


def test_what_comes_while_one_trains_waits_with_a_new_runner(queue: Queue) -> None:
    queue.add("a")
    assert queue.runner().wait(30) == 0
    queue.add("b")
    assert jobs.needs_runner(queue.root)
    queue.runner()
    until(lambda: not jobs.needs_runner(queue.root))
    time.sleep(0.3)
    assert queue.log() == ["begin a"]
    queue.end("a")
    queue.wait_for("begin b")


def test_a_killed_runner_loses_nothing_and_starts_nothing_twice(queue: Queue) -> None:
    a, b = queue.add("a"), queue.add("b")
    runner = queue.runner()
    queue.wait_for("begin a")
    runner.kill()
    runner.wait()
    assert is_launched(a) and is_queued(b) and jobs.needs_runner(queue.root)
    queue.runner()
    time.sleep(0.5)
    assert queue.log() == ["begin a"]
    queue.end("a")
    queue.wait_for("begin b")
    assert [line for line in queue.log() if line.startswith("begin")] == ["begin a", "begin b"]


def test_a_runner_killed_as_it_started_one_does_not_start_it_again(queue: Queue) -> None:
    """Neither while that trains nor when it has ended."""
    a = queue.add("a")
    killed = queue.runner(KILLED_AS_IT_STARTS + RUNNER)
    assert killed.wait(30) == -signal.SIGKILL
    queue.wait_for("begin a")
    assert is_launched(a) and not is_queued(a) and not waiting(queue.root)
    queue.end("a")
    until(lambda: not is_launched(a))
    assert not is_queued(a) and not waiting(queue.root)
    assert queue.runner().wait(30) == 0
    assert not is_launched(a) and queue.log() == ["begin a", "end a"]


def test_a_killed_training_frees_its_device(queue: Queue) -> None:
    a = queue.add("a")
    queue.add("b")
    queue.runner()
    queue.kill("a")
    queue.wait_for("begin b")
    assert not is_queued(a) and (a / jobs.TAKEN).is_file()


def test_both_killed_leave_the_queue_to_whoever_comes(queue: Queue) -> None:
    """As where the machine went down."""
    a, b = queue.add("a"), queue.add("b")
    runner = queue.runner()
    queue.wait_for("begin a")
    runner.kill()
    runner.wait()
    queue.kill("a")
    assert not is_launched(a) and waiting(queue.root) == [b] and jobs.needs_runner(queue.root)
    queue.runner()
    queue.wait_for("begin b")
    assert queue.log() == ["begin a", "begin b"]


def test_of_two_runners_one_goes_at_once(queue: Queue) -> None:
    queue.add("a")
    queue.add("b")
    first = queue.runner()
    queue.wait_for("begin a")
    assert queue.runner().wait(30) == 0
    assert first.poll() is None and queue.log() == ["begin a"]


def test_a_folder_is_handed_in_once_however_many_press_at_once(queue: Queue) -> None:
    told: list[str] = []
    ready = threading.Barrier(8)

    def press() -> None:
        ready.wait()
        try:
            queue.add("a")
            told.append("")
        except FameError as error:
            told.append(str(error))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("") == 1 and len(told) == 8
    assert all("not started twice" in sentence for sentence in told if sentence)
    queue.runner()
    queue.wait_for("begin a")
    with pytest.raises(FameError, match="not started twice"):
        queue.add("a")


@pytest.mark.parametrize(("says", "waits"), [("cpu", True), ("cuda:0", False), (None, True)])
def test_a_training_from_a_command_line_has_its_device_too(
    queue: Queue, says: str | None, waits: bool
) -> None:
    theirs = queue.root / "theirs"
    theirs.mkdir(parents=True)
    if says:
        (theirs / jobs.STATUS).write_text(json.dumps({"on": says}))
    queue.add("a")
    with locked(theirs / jobs.RUN_LOCK, wait=False):
        queue.runner()
        if waits:
            until(lambda: is_locked(queue.root / jobs.QUEUE / jobs._RUNNER))
            time.sleep(0.3)
            assert not queue.log() and jobs.having(queue.root, "cpu") == [theirs]
        else:
            queue.wait_for("begin a")
    queue.wait_for("begin a")


def test_what_is_taken_out_of_the_queue_is_not_started(queue: Queue) -> None:
    a, b = queue.add("a"), queue.add("b")
    with queue_held(queue.root):
        assert jobs.withdraw(a) and not jobs.withdraw(a)
    assert queue.runner().wait(30) == 0
    queue.wait_for("begin b")
    assert queue.log() == ["begin b"]
    with queue_held(queue.root):
        assert not jobs.withdraw(b), "it is no longer in the queue"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"data": 1, "settings": {}, "device": "cpu"}'])
def test_an_order_edited_by_hand_is_told_and_keeps_nobody_waiting(queue: Queue, text: str) -> None:
    a = queue.add("a")
    queue.add("b")
    (a / jobs.QUEUED).write_text(text)
    with pytest.raises(FameError, match="does not say what is to be trained"):
        jobs.read_job(a / jobs.QUEUED)
    assert queue.runner().wait(30) == 0
    queue.wait_for("begin b")


def test_what_cannot_be_started_is_told_and_keeps_nobody_waiting(queue: Queue) -> None:
    a = queue.add("a")
    queue.add("b")
    (a / jobs.LAUNCH_LOG).mkdir()  # as where its folder cannot be written
    kept = (a / jobs.QUEUED).read_text()
    runner = queue.runner()
    queue.wait_for("begin b")
    assert runner.wait(30) == 0 and queue.log() == ["begin b"]
    assert (a / jobs.QUEUED).read_text() == kept, "what was asked for is not lost"
    assert not is_queued(a) and not waiting(queue.root) and not jobs.needs_runner(queue.root)
    assert f"{a / jobs.LAUNCH_LOG} could not be written" in jobs.refusal(a)
    b = queue.root / "b"
    assert not jobs.refusal(b) and jobs.having(queue.root, "cpu") == [b]
    queue.end("b")
    until(lambda: not is_launched(b))

    a = a.rename(queue.root / "renamed")
    assert jobs.refusal(a) and not waiting(queue.root), "another name starts nothing"
    (a / jobs.LAUNCH_LOG).rmdir()
    queue.add("renamed")
    assert is_queued(a) and not jobs.refusal(a)
    queue.runner()
    queue.wait_for("begin renamed")


def test_what_was_refused_and_is_gone_is_forgotten(queue: Queue) -> None:
    for name in ("a", "b"):
        folder = queue.add(name)
        jobs._refuse(folder, jobs.read_job(folder / jobs.QUEUED), f"no {name}")
    assert jobs.refusal(queue.root / "a") == "no a"
    (queue.root / "a" / jobs.QUEUED).unlink()
    folder = queue.add("c")
    jobs._refuse(folder, jobs.read_job(folder / jobs.QUEUED), "no c")
    assert sorted(jobs._refused(queue.root).values()) == ["no b", "no c"]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {}}', "9" * 5000])
def test_notes_of_what_was_refused_that_were_edited_by_hand_refuse_nothing(
    queue: Queue, text: str
) -> None:
    a = queue.add("a")
    (queue.root / jobs.QUEUE / jobs.REFUSED).write_text(text)
    assert is_queued(a) and waiting(queue.root) == [a]


def test_a_runner_that_can_write_nothing_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / jobs.QUEUE).write_text("a file where the queue has its folder")
    command = [sys.executable, "-m", "fame.training.jobs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "could not be written" in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_process_of_a_job_is_known_by_its_lock(queue: Queue) -> None:
    a = queue.add("a")
    queue.runner()
    pid = queue.pid("a")
    holder = jobs.proven_holder(a / jobs.JOB_LOCK)
    assert holder == psutil.Process(pid)
    assert os.getsid(pid) == pid, "a session of its own outlives the terminal"
    (a / jobs.JOB_LOCK).write_text(json.dumps({"pid": os.getpid(), "started": 0}))
    assert jobs.proven_holder(a / jobs.JOB_LOCK) is None


def test_a_place_without_a_queue_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / jobs.QUEUE).write_text("a file where the queue has its folder")
    with pytest.raises(FameError, match="could not be written"), queue_held(tmp_path):
        pass
    with pytest.raises(FameError, match="could not be written"):
        jobs.start_runner(tmp_path)


def test_a_full_disk_is_one_sentence_and_takes_no_name(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = queue.add("kept")
    (kept / jobs.QUEUED).unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for name in ("a", "kept"):
        with pytest.raises(FameError, match="The disk is full"):
            queue.add(name)
    assert not (queue.root / "a").exists() and kept.exists() and not waiting(queue.root)


def test_the_runner_loads_nothing_heavy() -> None:
    program = "import sys, fame.training.jobs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not {"torch", "numpy", "pandas"} & set(done.stdout.split())


def test_the_command_line_says_everything(tmp_path: Path) -> None:
    job = Job("walks", {"width": 8, "head_facets": "a,b/"}, "cuda:1", resume=True, tensorboard=True)
    assert jobs.train_arguments(job, tmp_path / "x")[2:] == [
        *("train", "--data", "walks", "--out", str(tmp_path / "x"), "--device", "cuda:1"),
        *("--set", "width=8", "--set", "head_facets=a,b/", "--tensorboard", "--resume", "--survey"),
    ]
