"""Who holds a run's folder, and what is found there of those who held it before."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from fame.config import TrainConfig
from fame.errors import FameError
from fame.training.loop import TrainState, copy_of_weights, fit, new_state
from fame.training.runs import RunFolder, Status, request_stop
from tests.tiny import TINY

TRAIN = TrainConfig(
    epochs=2, batch_size=8, learning_rate=0.01, weight_average=0.7, patience=0, device="cpu"
)


def assert_same(tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, expected[name]), name


def assert_same_state(state: TrainState, expected: TrainState) -> None:
    for row, other in zip(state.history, expected.history, strict=True):
        assert (row["epoch"], row["loss"], row["valid_MRR"]) == (
            other["epoch"], other["loss"], other["valid_MRR"],
        )  # fmt: skip
    for name in ("epoch", "best_epoch", "best_score"):
        assert getattr(state, name) == getattr(expected, name), name
    assert_same(state.best_weights, expected.best_weights)
    assert_same(state.weights(), expected.weights())
    assert_same(copy_of_weights(state.average), copy_of_weights(expected.average))
    moments, others = (s.optimizer.state_dict()["state"] for s in (state, expected))
    assert moments.keys() == others.keys()
    for parameter, entries in others.items():
        assert_same(moments[parameter], entries)


def test_a_state_comes_back_as_it_was_and_goes_on_as_it_would_have(cyclic, tmp_path: Path):
    """All of it: weights, their average, moments, and a best epoch that is not the last one."""
    state, fresh = (
        new_state(TINY, replace(TRAIN, seed=seed), cyclic.num_items, torch.device("cpu"))
        for seed in (0, 1)
    )
    fit(state, cyclic, TRAIN)
    state.best_score, state.best_epoch = 2.0, 1  # which nothing can better
    state.best_weights = {name: tensor + 1 for name, tensor in state.best_weights.items()}
    run = RunFolder(tmp_path)
    run.save_state(state)
    run.load_state(fresh)
    assert_same_state(fresh, state)
    for one in (state, fresh):
        fit(one, cyclic, replace(TRAIN, epochs=3))
    assert_same_state(fresh, state)
    assert (fresh.epoch, fresh.best_epoch) == (3, 1)


def test_what_a_killed_process_was_writing_goes_when_the_folder_is_held_again(tmp_path: Path):
    run = RunFolder(tmp_path)
    half = [tmp_path / ".status.json.x1y2.tmp", tmp_path / "resume" / ".state.safetensors.z3.tmp"]
    whole = tmp_path / "status.json"
    (tmp_path / "resume").mkdir()
    for file in (*half, whole):
        file.write_text("{")
    assert not run.is_held()
    assert all(file.exists() for file in half)  # to read disturbs nobody
    others = tmp_path / ".people.json.q4.tmp"  # a survey may be writing it
    others.write_text("{")
    with run.held():
        assert not any(file.exists() for file in half)
        assert whole.exists() and others.exists() and run.is_held()
        half[0].write_text("{")  # is being written now
        with pytest.raises(FameError, match="Another process"), RunFolder(tmp_path).held():
            pass
        assert half[0].exists()


TRAINER = """
import signal, subprocess, sys, time
from pathlib import Path
from fame.training.runs import RunFolder, Status, request_stop

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
with RunFolder(Path(sys.argv[1])).held():
    child = subprocess.Popen(["sleep", "60"])
    print("ready", flush=True)
    sys.stdin.readline()
    gone = child.poll() is not None
    child.kill()
    print(len(heard), gone, flush=True)
"""


@pytest.mark.parametrize("launched", [True, False])
def test_a_run_is_asked_to_stop_once_and_with_its_children_where_it_was_launched(
    tmp_path: Path, launched: bool
) -> None:
    run = RunFolder(tmp_path)
    assert not request_stop(run) and not run.is_stopping()
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=launched,
    ) as trainer:  # fmt: skip
        assert trainer.stdin and trainer.stdout
        assert trainer.stdout.readline() == "ready\n"
        holder = run.holder()
        assert holder is not None and holder.pid == trainer.pid
        assert not run.is_stopping()
        for _ in range(3):
            assert request_stop(run) and run.is_stopping()
            time.sleep(0.2)  # within which a signal is heard, and does not become one with the next
        trainer.stdin.write("\n")
        trainer.stdin.flush()
        assert trainer.stdout.readline() == f"1 {launched}\n"
    assert not run.is_stopping() and not request_stop(run)
    assert not (tmp_path / "stop").exists()


@pytest.mark.parametrize("lie", ["not the holder", "started earlier", -1, 0, 1, "text", None])
def test_no_process_is_stopped_that_does_not_prove_to_train_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: object
) -> None:
    """Whatever the files of the folder say."""
    run, now = RunFolder(tmp_path), time.time()
    signals: list[object] = []
    for send in ("kill", "killpg"):
        monkeypatch.setattr(os, send, lambda *given: signals.append(given))
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as innocent:
        try:
            with run.held():
                run.write_status(Status("training", "walks", "fame", "CPU", innocent.pid, now, now))
                said = json.loads((tmp_path / "run.lock").read_text())
                assert run.holder() == psutil.Process()
                if lie == "not the holder":
                    started = psutil.Process(innocent.pid).create_time()
                    said = {"pid": innocent.pid, "started": started}
                elif lie == "started earlier":  # as where the number was another process's
                    said["started"] -= 60
                else:
                    said["pid"] = lie
                (tmp_path / "run.lock").write_text(json.dumps(said))
                assert not request_stop(run) and not run.is_stopping()
                (tmp_path / "run.lock").write_text("")
                assert not request_stop(run) and not run.is_stopping()
            assert innocent.poll() is None and not signals
        finally:
            monkeypatch.undo()
            innocent.kill()
