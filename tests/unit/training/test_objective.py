"""What a step makes smaller, without positions, and with and without compilation.

That the loss is the right one is held against the slow twin in tests/unit/models/test_models.py.
"""

import dataclasses
import logging

import pytest
import torch

from fame.config import ModelConfig, TrainConfig
from fame.models.sequence_model import Encoding
from fame.training.objective import Objective, Step, experts_loss
from tests.tiny import TINY, every_model, random_model

COMPILED = TrainConfig(compile="on")


def batch(width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    items = torch.arange(3 * width).view(3, width) % 9 + 1
    return items, torch.arange(3 * width), (torch.arange(3 * width) + 1) % 9


@every_model
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    "training",
    [
        TrainConfig(label_smoothing=0.1),
        TrainConfig(negatives=4),
        TrainConfig(samples="prefixes"),
        TrainConfig(head_loss_shares="0/1"),
        TrainConfig(head_loss_shares="1/0", negatives=4),
    ],
)
def test_without_a_target_nothing_pulls_at_the_weights(config, training, relative):
    if relative:
        config = dataclasses.replace(config, positions="relative")
    objective = Objective(random_model(config), training)
    nowhere = torch.zeros(0, dtype=torch.int64)
    loss = objective(torch.zeros(1, 1, dtype=torch.int64), nowhere, nowhere)
    loss.backward()
    assert loss.item() == 0
    for name, parameter in objective.model.named_parameters():
        # There is a gradient, since processes that train together wait for each other's.
        assert parameter.grad is not None, name
        assert torch.equal(parameter.grad, torch.zeros_like(parameter)), name


def terms_of(config: ModelConfig, heads: float, experts: float = 0.0) -> dict[str, float]:
    training = TrainConfig(head_loss_weight=heads, expert_loss_weight=experts)
    objective = Objective(random_model(config), training)
    return {term.name: weight for weight, term in objective.terms}


def test_a_term_without_weight_is_left_away():
    assert terms_of(TINY, 0.7) == {"fused": 1, "heads": 0.7}
    assert terms_of(TINY, 0.0, 0.2) == {"fused": 1, "experts": 0.2}
    for none_to_rank in ({"facets": "off"}, {"model": "sasrec"}, {"model": "bsarec"}):
        assert terms_of(dataclasses.replace(TINY, **none_to_rank), 0.7, 0.2) == {"fused": 1}
    one_head, one_expert = (dataclasses.replace(TINY, **{n: 1}) for n in ("heads", "experts"))
    assert terms_of(one_head, 0.7, 0.2) == {"fused": 1, "experts": 0.2}
    assert terms_of(one_expert, 0.7, 0.2) == {"fused": 1, "heads": 0.7}


def unsaid(router_NHE: list[list[list[float]]]) -> float:
    """The term that a step with these routers' weights has."""
    router = torch.tensor(router_NHE, dtype=torch.float64)
    encoding = Encoding(*(torch.zeros(1) for _ in range(3)), router[None])
    fields = dict.fromkeys(field.name for field in dataclasses.fields(Step))
    step = Step(**{**fields, "encoding": encoding, "target_positions_N": torch.arange(len(router))})
    return experts_loss(step).item()


@pytest.mark.parametrize(
    ("routers", "expected"),
    [
        ([[[1, 0]], [[0, 1]]], 0),  # sharp for each, even over all
        ([[[1, 0]], [[1, 0]]], 1),  # sharp, and the same for everybody
        ([[[0.5, 0.5]], [[0.5, 0.5]]], 1),  # even for everybody
        ([[[1, 0], [1, 0]], [[0, 1], [1, 0]]], 0.5),  # one head of two
        ([[[1, 0]], [[1, 0]], [[1, 0]], [[0, 1]]], 1 - 0.8112781244591328),  # H(1/4) in bits
    ],
)
def test_what_routers_leave_unsaid_has_its_closed_form(routers, expected):
    assert unsaid(routers) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shares", ["", "0.2/1"])
def test_many_drawn_items_give_the_loss_over_the_catalogue(shares):
    """Fused and by head. With 20,000 draws of 9 items the estimate is good to 1 in 100."""
    model = random_model(TINY)
    torch.manual_seed(0)
    whole, drawn = (
        Objective(
            model,
            TrainConfig(negatives=negatives, head_loss_weight=0.7, head_loss_shares=shares),
        )(*batch(5)).item()
        for negatives in (0, 20_000)
    )
    assert drawn == pytest.approx(whole, rel=0.01)
    fused_alone = Objective(model, TrainConfig(head_loss_weight=0))(*batch(5)).item()
    assert abs(whole - fused_alone) > 0.1 * whole  # so the heads' part is seen too
    alike = Objective(model, TrainConfig(head_loss_weight=0.7))(*batch(5)).item()
    assert (abs(whole - alike) > 0.02 * whole) == bool(shares)  # and how it is dealt out


def test_every_step_draws_from_the_whole_catalogue_anew():
    """Seen in whose embedding a step pulls at: the drawn items', beside the clicks and target."""
    model = random_model(TINY)
    objective = Objective(model, TrainConfig(negatives=2))
    torch.manual_seed(0)
    pulled = []
    for _ in range(60):
        model.zero_grad()
        objective(torch.tensor([[3]]), torch.tensor([0]), torch.tensor([4])).backward()
        rows = model.item_embedding.weight.grad.any(dim=1).nonzero().flatten().tolist()
        pulled.append(frozenset(rows) - {3, 5})
    assert len(set(pulled)) > 20  # of 29 ways to draw two
    # An item is left out of 120 draws once in 1.4 million times.
    assert frozenset().union(*pulled) == set(range(1, 10)) - {3, 5}


@every_model
@pytest.mark.parametrize(
    "changes",
    [{}, {"positions": "relative", "score": "cosine", "layers": 1}],
    ids=["plain", "shop"],
)
def test_prefixes_have_the_loss_of_their_histories_windows(config, changes):
    """Without dropout a causal model says the same of a click whatever comes after it."""
    model = random_model(dataclasses.replace(config, **changes)).eval()
    items, real, targets = batch(5)
    windows = Objective(model, TrainConfig(head_loss_weight=0.7))(items, real, targets)
    prefixes = [
        (items[row, : end + 1], targets[5 * row + end]) for row in range(3) for end in range(5)
    ]
    padded = torch.nn.utils.rnn.pad_sequence([clicks for clicks, _ in prefixes], batch_first=True)
    one_each = Objective(model, TrainConfig(head_loss_weight=0.7, samples="prefixes"))(
        padded, torch.arange(15), torch.stack([target for _, target in prefixes])
    )
    torch.testing.assert_close(one_each, windows, rtol=1e-5, atol=0)
    for a, b in zip(
        torch.autograd.grad(one_each, tuple(model.parameters())),
        torch.autograd.grad(windows, tuple(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_model_is_compiled_once_for_batches_of_all_widths(monkeypatch):
    calls: list[object] = []

    def compile_(function, **settings):
        calls.append(settings)

        def compiled(items, **more):
            calls.append(items.shape[1])
            return function(items, **more)

        return compiled

    monkeypatch.setattr(torch, "compile", compile_)
    model = random_model(TINY)
    plain, objective = Objective(model, TrainConfig()), Objective(model, COMPILED)
    for width in (5, 3, 4):
        assert torch.equal(objective(*batch(width)), plain(*batch(width)))
    assert calls == [{"dynamic": True}, 5, 3, 4]
    assert objective.state_dict().keys() == plain.state_dict().keys()


def test_without_a_compiler_training_goes_on_and_says_so_once(monkeypatch, caplog):
    def compile_(function, **settings):
        def compiled(items, **more):
            raise RuntimeError("no working compiler found\nTraceback ...")

        return compiled

    monkeypatch.setattr(torch, "compile", compile_)
    model = random_model(TINY)
    plain, objective = Objective(model, TrainConfig()), Objective(model, COMPILED)
    with caplog.at_level(logging.WARNING):
        for width in (5, 3):
            assert torch.equal(objective(*batch(width)), plain(*batch(width)))
    (record,) = caplog.records
    assert record.getMessage().endswith("it is left out: no working compiler found")
