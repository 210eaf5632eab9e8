"""The queue with real trainings: stopped, resumed, killed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.checkpoint import load_checkpoint
from fame.errors import FameError
from fame.training import jobs
from fame.training.event_files import FOLDER
from fame.training.jobs import Job
from fame.training.runs import RunFolder, Status, request_stop, submit
from tests.integration.conftest import environment

SMALL = {"width": 16, "max_length": 8, "layers": 1, "head_facets": "region/", "patience": 0}


def status_of(run: RunFolder) -> Status:
    status = run.status()
    assert status is not None
    return status


def until(true: Callable[[], object], run: RunFolder, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        said = f"{run.status()}\n{run.log_tail()}"
        assert time.monotonic() < deadline and status_of(run).phase != "failed", said
        time.sleep(0.1)


def test_a_run_is_stopped_another_takes_its_place_and_it_goes_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FAME_DATA", raising=False)
    long, short = RunFolder(tmp_path / "long"), RunFolder(tmp_path / "short")
    submit(long.path, Job("walks", SMALL | {"epochs": 100_000}, "cpu"))
    submit(short.path, Job("walks", SMALL | {"epochs": 2}, "cpu", tensorboard=True))
    with pytest.raises(FameError, match="not started twice"):
        submit(short.path, Job("walks", {}, "cpu"))
    until(lambda: len(long.history()) >= 3, long)
    assert status_of(short).phase == "queued" and not short.is_alive()
    before = status_of(long)
    assert before.phase == "training" and before.on == "cpu" and before.learning_rate == 0.001

    assert request_stop(long)
    until(lambda: status_of(long).phase == "stopped", long)
    stopped = status_of(long)
    assert long.can_resume() and long.ranks() is not None

    until(lambda: status_of(short).phase == "projecting", short)
    assert len(short.history()) == 2 and list((short.path / FOLDER).iterdir())
    killed(short)
    assert status_of(short).phase == "lost" and load_checkpoint(short.path).metrics is not None

    time.sleep(1.0)
    submit(long.path, Job("walks", {}, "cpu", resume=True))
    assert status_of(long).phase == "queued"
    until(lambda: len(long.history()) > stopped.epoch, long)
    gone_on = status_of(long)
    assert gone_on.phase == "training" and gone_on.started == stopped.started
    assert gone_on.resumed is not None and gone_on.earlier_seconds == pytest.approx(
        stopped.seconds, abs=0.01
    )
    assert stopped.seconds < gone_on.seconds < time.time() - gone_on.started, "pauses left out"

    killed(long)
    lost = status_of(long)
    assert lost.phase == "lost" and "resumed after epoch" in lost.message
    assert not jobs.waiting(tmp_path)


def killed(run: RunFolder) -> None:
    """As by a person, or for want of memory."""
    holder = run.holder()
    assert holder is not None
    holder.kill()
    until(lambda: not run.is_alive(), run)
