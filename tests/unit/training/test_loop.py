"""The training loop on a few people: it learns, it repeats itself, and no setting is dead."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fame import evaluate as evaluating
from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Interactions
from fame.errors import FameError
from fame.evaluate import evaluate
from fame.training import loop
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
    with_first_choices,
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


def batches_read(state: TrainState) -> list[Tensor]:
    """The items of every batch that the model reads in training from now on, filled as it reads."""
    read: list[Tensor] = []

    def note(model: nn.Module, inputs: tuple[Tensor]) -> None:
        if model.training:
            read.append(inputs[0].clone())

    state.model.register_forward_pre_hook(note)
    return read


def epochs_read(data, train: TrainConfig = TRAIN, *, seed: int | None = None) -> list[list]:
    """Batches of every epoch as lists; ``seed`` is another one than the weights start from."""
    state = new_state(MODEL, train, data.num_items, CPU)
    read, ends = batches_read(state), []
    drawn_by = train if seed is None else dataclasses.replace(train, seed=seed)
    fit(state, data, drawn_by, on_epoch=lambda _: ends.append(len(read)))
    batches = [batch.tolist() for batch in read]
    return [batches[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def uneven_people() -> Interactions:
    """34 people with histories of 4 to 20 clicks: windows of all lengths, some of them cut."""
    walks = cyclic_interactions(people=34, num_items=30, length=20)
    lengths = [4 + user % 17 for user in range(len(walks))]
    return interactions_of([walks.sequence(u)[:n].tolist() for u, n in enumerate(lengths)], 30)


def windows_of(epoch: list) -> list:
    """The windows of an epoch's batches without their padding, in an order of their own."""
    return sorted([item for item in row if item] for batch in epoch for row in batch)


def test_no_attention_that_is_planned_by_width_while_it_trains(cyclic):
    allowed: list[bool] = []
    assert torch.backends.cuda.cudnn_sdp_enabled()
    trained(cyclic, on_step=lambda step: allowed.append(torch.backends.cuda.cudnn_sdp_enabled()))
    assert allowed and not any(allowed)
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_every_epoch_reads_every_target_once_in_batches_of_the_size_asked_for():
    data = uneven_people()
    train = dataclasses.replace(TRAIN, batch_size=7)  # no divisor of the number of windows
    expected = sorted(item for user in range(len(data)) for item in data.sequence(user)[:-3])
    for epoch in epochs_read(data, train):
        assert max(len(batch) for batch in epoch) == 7
        assert sorted(item for batch in epoch for row in batch for item in row if item) == expected


def test_every_epoch_draws_its_batches_and_cuts_anew_and_the_seed_decides():
    data = uneven_people()
    first, second = epochs_read(data)
    assert windows_of(first) != windows_of(second)  # long histories are cut elsewhere
    assert epochs_read(data) == [first, second]
    other = epochs_read(data, seed=1)[0]
    assert other not in (first, second)
    # With nothing to cut, the order alone is drawn.
    short = cyclic_interactions(people=40, num_items=8, length=8)
    first, second = epochs_read(short)
    assert first != second and windows_of(first) == windows_of(second)
    assert epochs_read(short, seed=1)[0] not in (first, second)


def test_the_seed_decides_what_a_model_starts_from():
    first, again, other = (
        new_state(MODEL, dataclasses.replace(TRAIN, seed=seed), 8, CPU) for seed in (0, 0, 1)
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_every_step_of_every_epoch_has_dropout_of_its_own_and_the_seed_decides():
    """Seen at the embeddings, where every batch has the same shape."""
    data = cyclic_interactions(people=16, num_items=8, length=8)
    masks: list[Tensor] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if module.training:
            masks.append(output == 0)

    for seed in (0, 1, 1):
        state = new_state(dataclasses.replace(MODEL, dropout=0.5), TRAIN, 8, CPU)
        state.model.embedding_dropout.register_forward_hook(note)
        fit(state, data, dataclasses.replace(TRAIN, epochs=3, seed=seed))
    steps = 3 * 2
    assert len(masks) == 3 * steps
    for index, mask in enumerate(masks[: 2 * steps]):
        # 640 draws: five standard deviations.
        assert mask.double().mean().item() == pytest.approx(0.5, abs=0.1)
        assert not any(torch.equal(mask, other) for other in masks[:index])
    for mask, again in zip(masks[steps : 2 * steps], masks[2 * steps :], strict=True):
        assert torch.equal(mask, again)


@pytest.mark.parametrize("warmup_steps", [0, 5])
def test_a_step_is_adamws_on_the_mean_over_the_batch(warmup_steps):
    """Held against plain steps, by PyTorch's own loss and gradients, on the batches it read."""
    data = cyclic_interactions(people=19, num_items=8, length=8)  # the last batch has 3 people
    shape = dataclasses.replace(TINY_SASREC, width=4)
    train = dataclasses.replace(TRAIN, weight_decay=0.5, warmup_steps=warmup_steps)
    state, plain = (new_state(shape, train, data.num_items, CPU) for _ in range(2))
    read = batches_read(state)
    fit(state, data, train)
    assert sorted(map(len, read)) == [3, 3, 8, 8, 8, 8]

    model = plain.model.train()
    decayed = [p for name, p in model.named_parameters() if p.ndim > 1]
    spared = [p for name, p in model.named_parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.5}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    losses = []
    for step, items in enumerate(read):
        logits = model(items).query @ model.item_embedding.weight[1:].T
        loss = F.cross_entropy(logits.flatten(0, 1), (items % 8).flatten())  # the next item's row
        for group in optimizer.param_groups:
            group["lr"] = train.learning_rate * min(1, (step + 1) / max(warmup_steps, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item() * len(items) / len(data))
    for name, tensor in plain.weights().items():
        torch.testing.assert_close(state.weights()[name], tensor, rtol=1e-4, atol=1e-5)
    told = [row["loss"] for row in state.history]
    assert told == pytest.approx([sum(losses[:3]), sum(losses[3:])], rel=1e-5)


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
    "head_loss_shares": "0/1",
    "expert_loss_weight": 0.5,
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
        "start_facets",
    }


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_the_average_of_the_weights_is_what_is_validated_and_kept(cyclic, share):
    """Held against an average taken by hand after every step; the weights themselves learn on."""
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


@pytest.mark.parametrize("name", ["tpu", "", "meta", "cuda:", "cuda:²", "cuda:1x", "9" * 5000])
def test_what_no_device_is_called_is_one_sentence_wherever_it_is_said(name: str):
    says = r"^device must be auto, cpu, cuda or cuda:N, not '.{0,40}'\.$"
    for said in (lambda: resolve_device(name), lambda: TrainConfig(device=name)):
        with pytest.raises(FameError, match=says):
            said()


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


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_best_epoch_is_chosen_on_the_validation_split_and_never_on_the_test_split(share):
    """On data where the two choose different epochs; in figures, weights and history.

    With an average of the weights, by the figures of the average.
    """
    shape = dataclasses.replace(MODEL, width=16)
    train = dataclasses.replace(TRAIN, epochs=5, learning_rate=1e-3, weight_average=share)
    data = cyclic_interactions(people=60, num_items=40, length=8)
    data = with_first_choices(data, "test", new_state(shape, train, 40, CPU).model.eval())
    figures: dict[str, list[float]] = {"valid": [], "test": []}

    def note(state: TrainState) -> None:
        for split, scores in figures.items():
            scores.append(evaluate(state.ranking_model, data, split)["NDCG@10"])

    state = trained(data, train, shape, on_epoch=note)
    best, tempting = (scores.index(max(scores)) + 1 for scores in figures.values())
    assert tempting == 1 < best, "the data no longer tell the two apart"
    assert state.best_epoch == best
    assert state.best_score == max(figures["valid"])
    assert [row["valid_NDCG@10"] for row in state.history] == figures["valid"]
    kept = new_state(shape, train, data.num_items, CPU).model
    kept.load_state_dict(state.best_weights)
    assert evaluate(kept, data, "valid")["NDCG@10"] == state.best_score


def test_progress_is_told_after_every_step(cyclic):
    seen = []
    trained(cyclic, on_step=seen.append)
    assert [(p.epoch, p.step) for p in seen[:3]] == [(1, 1), (1, 2), (1, 3)]
    assert all(p.step <= p.steps and p.epochs == 2 for p in seen)
    assert all(p.positions_per_second > 0 and p.eta_seconds >= 0 for p in seen)
    assert seen[-1].epoch == 2 and seen[-1].step == seen[-1].steps


def test_rates_and_the_time_left_by_a_clock_that_ticks_when_it_is_read(monkeypatch):
    """Three steps of 8 people with 5 targets each; a step takes a second, validation one more."""
    data = cyclic_interactions(people=24, num_items=8, length=8)
    ticks = iter(range(1000))
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(loop, "time", clock)
    seen = []
    state = trained(data, on_step=seen.append)
    # An epoch takes 3 s before a validation was timed, and 4 s with it.
    assert [p.eta_seconds for p in seen] == pytest.approx([5, 4, 3, 3, 2, 1])
    assert [p.positions_per_second for p in seen] == pytest.approx([40, 40, 40] * 2)
    for row in state.history:
        assert row["seconds"] - row["train_seconds"] == 1
        assert row["positions_per_second"] == 24 * 5 / row["train_seconds"]


def test_how_far_a_validation_is_by_the_same_clock(monkeypatch):
    """24 people ranked in batches of 10; a step of three takes a second, and so does a batch."""
    data = cyclic_interactions(people=24, num_items=8, length=8)
    ticks = iter(range(1000))
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(evaluating, "time", clock)
    monkeypatch.setattr(evaluating, "CPU_BATCH", 10)
    seen = []
    trained(data, on_ranked=seen.append)
    assert [(r.epoch, r.epochs, r.done, r.people) for r in seen] == [
        (epoch, 2, done, 24) for epoch in (1, 2) for done in (10, 20, 24)
    ]
    # After a batch the whole ranking seems to last 2.4 s; to learn took five looks at the clock.
    assert [r.eta_seconds for r in seen[:3]] == pytest.approx(
        [2.4 - 1 + 5 + 2.4, 2.4 - 2 + 5 + 2.4, 0 + 5 + 3]
    )
    assert [r.eta_seconds for r in seen[3:]] == pytest.approx([2.4 - 1, 2.4 - 2, 0])


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
