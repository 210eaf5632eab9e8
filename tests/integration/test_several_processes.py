"""Two CPU processes under ``accelerate launch`` train what one process trains, and end as one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from fame.checkpoint import load_checkpoint
from fame.training import loop
from fame.training.runs import RunFolder
from fame.training.workers import Workers
from tests.integration import two_processes
from tests.integration.conftest import CommandLine, environment

ROOT = Path(__file__).resolve().parents[2]
# --multi_gpu is what makes Accelerate start processes itself; whether they use GPUs is said later.
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
LAUNCH += ["--main_process_port", "0"]


def loopback(home: Path) -> dict[str, str]:
    return {**environment(home), "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}


@contextmanager
def launched(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A launcher in a process group of its own; it and what it started are gone after the block."""
    process = subprocess.Popen(
        [*LAUNCH, *arguments],
        env=loopback(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for started in (*workers_of(process), process):
                started.kill()
        process.communicate()


def workers_of(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    """What the launcher started, in the order of the ranks."""
    return psutil.Process(launcher.pid).children()


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What one process sees."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "READ_EVERY", 1)
        return two_processes.answers(Workers(torch.device("cpu")))


@pytest.fixture(scope="module")
def both(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes sees, in the order of their ranks."""
    out = tmp_path_factory.mktemp("both")
    with launched(home, two_processes.__file__, str(out)) as process:
        said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
    return [json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("run", ["fame", "sasrec", "one window a batch", "one prefix a batch"])
def test_two_processes_have_the_loss_curve_of_one(alone, both, run: str) -> None:
    assert [process["count"] for process in both] == [2, 2]
    assert len(alone[run]) == two_processes.STEPS
    assert alone[run][-1] < alone[run][0]
    for process in both:
        # Sums of float32 in another order, a few units of 1e-7: nothing that 50 steps make large.
        assert process[run] == pytest.approx(alone[run], abs=1e-5)


def test_validation_is_shared_out_and_exact(both) -> None:
    first, second = (process["validation"] for process in both)
    assert first["shared"] == first["alone"] == second["shared"]


def test_every_process_draws_its_own_dropout(alone, both) -> None:
    first, second = both
    assert first["seed of dropout"] == alone["seed of dropout"]
    assert second["seed of dropout"] != alone["seed of dropout"]


def test_all_stop_where_one_is_asked_to(both) -> None:
    for process in both:
        assert process["stop"] == {"steps": 7, "finished": False}


def test_what_goes_wrong_in_one_process_goes_wrong_in_all(both) -> None:
    for process in both:
        assert "weights are broken" in process["broken"]
        assert process["failure"] == "process 0 could not write"


def test_a_killed_process_ends_the_run_and_it_goes_on_until_it_is_stopped(
    home: Path, fame: CommandLine, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = RunFolder(out)
    arguments = ["-m", "fame", "train", "--data", "walks", "--out", str(out), "--device", "cpu"]
    arguments += ["--set", "width=16", "--set", "max_length=8", "--set", "patience=0"]

    with launched(home, *arguments, "--epochs", "100000") as process:
        wait_for(lambda: len(run.history()) >= 2, process)
        _, second = workers_of(process)
        second.kill()
        process.communicate(timeout=60)
        assert process.returncode != 0
    status = run.status()
    assert status is not None and not run.is_held() and run.can_resume()
    load_checkpoint(out)
    done = len(run.history())

    with launched(home, *arguments, "--epochs", "100000", "--resume") as process:
        wait_for(lambda: len(run.history()) >= done + 2, process)
        # As a cluster stops a job: everybody gets the signal, and the launcher passes it on again.
        for started in (*workers_of(process), process):
            started.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    status = run.status()
    assert status is not None and status.phase == "stopped", said
    assert status.device.startswith("2 x ")
    assert said.count("Stopped; go on with the same command") == 1
    assert load_checkpoint(out).metrics is not None
    done = len(run.history())

    # One process goes on with what two began.
    last = fame(*arguments[2:], "--epochs", str(done + 1), "--resume", "--no-projection")
    assert last.returncode == 0, last.stderr
    assert [row["epoch"] for row in run.history()] == list(range(1, done + 2))
    log = (out / "train.log").read_text()
    assert log.count(f"epoch {done}:") == 1, "more than one process writes"
    assert not list(out.rglob("*.tmp"))


def test_a_refusal_is_said_once(
    fame: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "--data", "walks", "--out", str(tmp_path / "run"), "--resume"]
    for rank, said in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        done = fame(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("There is nothing to resume") == said
