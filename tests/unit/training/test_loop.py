"""The training loop on a few people: it learns, it repeats itself, and no setting is dead."""

import dataclasses

import pytest
import torch

from fame.config import ModelConfig, TrainConfig
from fame.errors import FameError
from fame.evaluate import evaluate
from fame.training.loop import (
    TrainState,
    fit,
    make_optimizer,
    new_state,
    out_of_patience,
    resolve_device,
    resolve_precision,
)
from tests.tiny import (
    TINY,
    TINY_SASREC,
    cyclic_interactions,
    every_model,
    interactions_of,
    random_model,
)

CPU = torch.device("cpu")
MODEL = dataclasses.replace(TINY, experts=2, dropout=0.1)
TRAIN = TrainConfig(epochs=2, batch_size=8, learning_rate=0.01, patience=0, device="cpu")


def trained(
    data, train: TrainConfig = TRAIN, model: ModelConfig = MODEL, **callbacks
) -> TrainState:
    state = new_state(model, train, data.num_items, CPU)
    fit(state, data, train, **callbacks)
    return state


def same_weights(first: TrainState, second: TrainState) -> bool:
    pairs = zip(first.weights().items(), second.weights().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


@pytest.mark.parametrize("model", [MODEL, TINY_SASREC], ids=["fame", "sasrec"])
def test_it_learns_what_is_certain(model):
    data = cyclic_interactions(people=60, num_items=15, length=8)  # 9 candidates to validate
    train = dataclasses.replace(TRAIN, epochs=10, learning_rate=0.03)
    state = trained(data, train, dataclasses.replace(model, width=16))
    untrained = new_state(model, train, data.num_items, CPU).model
    assert evaluate(untrained, data, "test")["MRR"] < 0.6
    assert evaluate(state.model, data, "test")["MRR"] > 0.95
    assert state.history[-1]["loss"] < state.history[0]["loss"] / 3


def test_the_same_seed_gives_the_same_run(cyclic):
    first, second = trained(cyclic), trained(cyclic)
    assert same_weights(first, second)
    assert [row["loss"] for row in first.history] == [row["loss"] for row in second.history]


# A value of each field that makes another run of it.
CHANGED: dict[str, object] = {
    "epochs": 3,
    "samples": "prefixes",
    "batch_size": 5,
    "learning_rate": 0.02,
    "weight_decay": 0.5,
    "warmup_steps": 50,
    "negatives": 3,
    "label_smoothing": 0.2,
    "head_loss_weight": 0.0,
    "seed": 1,
    "precision": "bf16",
}


@pytest.mark.parametrize("field", CHANGED)
def test_no_field_of_the_configuration_is_dead(cyclic, field):
    changed = dataclasses.replace(TRAIN, **{field: CHANGED[field]})
    assert not same_weights(trained(cyclic), trained(cyclic, changed))


def test_every_field_of_the_configuration_is_tested():
    """Six fields have tests of their own; a new one fails until it has one."""
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert fields == {
        *CHANGED,
        "patience",
        "device",
        "compile",
        "weight_average",
        "item_start",
        "head_facets",
    }


def test_the_average_of_the_weights_is_what_is_validated_and_kept(cyclic):
    """Held against an average taken by hand after every step; the weights themselves learn on."""
    share = 0.7
    train = dataclasses.replace(TRAIN, epochs=1, weight_average=share)
    state, plain = (new_state(MODEL, t, cyclic.num_items, CPU) for t in (train, TRAIN))
    steps: list[dict] = []
    fit(state, cyclic, train, on_step=lambda _: steps.append(state.weights()))
    expected = steps[0]
    for step in steps[1:]:
        expected = {n: share * expected[n] + (1 - share) * w for n, w in step.items()}
    assert len(steps) > 2
    for name, tensor in state.best_weights.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
        if name == "item_embedding.weight":
            assert not torch.equal(tensor, state.weights()[name])
    fit(plain, cyclic, dataclasses.replace(train, weight_average=0.0))
    assert same_weights(state, plain)
    assert state.history[0]["valid_MRR"] == evaluate(state.ranking_model, cyclic, "valid")["MRR"]


def test_patience_ends_training_when_nothing_gets_better(cyclic):
    # Every candidate but the target was clicked on, so validation is perfect from the start.
    train = dataclasses.replace(TRAIN, epochs=6, patience=2)
    state = trained(cyclic, train)
    assert (state.best_epoch, state.epoch) == (1, 3)
    assert out_of_patience(state, train)
    assert trained(cyclic, dataclasses.replace(train, patience=0)).epoch == 6


def test_a_device_that_is_not_there_is_refused():
    assert resolve_device("cpu") == CPU
    with pytest.raises(FameError, match="'cuda:99' is not there"):
        resolve_device("cuda:99")


def test_precision_follows_the_device_unless_it_is_given():
    assert resolve_precision("auto", CPU) is torch.float32
    assert resolve_precision("auto", torch.device("cuda")) is torch.bfloat16
    assert resolve_precision("bf16", CPU) is torch.bfloat16
    assert resolve_precision("fp32", torch.device("cuda")) is torch.float32


@every_model
def test_weight_decay_spares_biases_and_norms(config):
    model = random_model(config)
    decayed, spared = make_optimizer(model, TrainConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group, parameters in (("decayed", decayed["params"]), ("spared", spared["params"])):
        for name in (names.pop(id(parameter)) for parameter in parameters):
            is_spared = name.endswith(("bias", "sqrt_beta")) or "norm" in name
            assert is_spared == (group == "spared"), name
    assert not names  # every parameter is trained


def test_the_learning_rate_grows_to_its_peak(cyclic):
    rates = []
    train = dataclasses.replace(TRAIN, warmup_steps=4)
    state = new_state(MODEL, train, cyclic.num_items, CPU)

    def note(_) -> None:
        rates.append({group["lr"] for group in state.optimizer.param_groups})

    fit(state, cyclic, train, on_step=note)
    share = [rate / train.learning_rate for group in rates for rate in group]
    assert share[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert len(share) == len(rates)  # the same for every group


def test_the_best_epochs_weights_are_kept(cyclic):
    by_epoch = []
    state = trained(cyclic, on_epoch=lambda state: by_epoch.append(state.weights()))
    assert len(by_epoch) == state.epoch == len(state.history) == 2
    for name, tensor in state.best_weights.items():
        assert torch.equal(tensor, by_epoch[state.best_epoch - 1][name])


def test_progress_is_told_after_every_step(cyclic):
    seen = []
    trained(cyclic, on_step=seen.append)
    assert [(p.epoch, p.step) for p in seen[:3]] == [(1, 1), (1, 2), (1, 3)]
    assert all(p.step <= p.steps and p.epochs == 2 for p in seen)
    assert all(p.positions_per_second > 0 and p.eta_seconds >= 0 for p in seen)
    assert seen[-1].epoch == 2 and seen[-1].step == seen[-1].steps


def test_a_run_that_is_asked_to_stop_stops_before_the_next_step(cyclic):
    steps = []
    state = new_state(MODEL, TRAIN, cyclic.num_items, CPU)
    finished = fit(state, cyclic, TRAIN, on_step=steps.append, should_stop=lambda: len(steps) == 2)
    assert not finished
    assert len(steps) == 2 and state.epoch == 0 and not state.history


def test_a_loss_that_is_no_number_is_refused_with_a_way_out(cyclic):
    with pytest.raises(FameError, match="try a smaller learning_rate"):
        state = new_state(MODEL, TRAIN, cyclic.num_items, CPU)
        with torch.no_grad():
            state.model.position_embedding.weight.fill_(float("inf"))
        fit(state, cyclic, TRAIN)


def test_data_with_nothing_to_train_on_is_refused():
    with pytest.raises(FameError, match="nothing to train on"):
        trained(interactions_of([[1, 2, 3], [2, 1]], 3))
