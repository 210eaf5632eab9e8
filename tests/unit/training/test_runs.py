"""Who holds a run's folder, and what is found there of those who held it before."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fame.config import TrainConfig
from fame.errors import FameError
from fame.training.loop import TrainState, copy_of_weights, fit, new_state
from fame.training.runs import RunFolder
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
