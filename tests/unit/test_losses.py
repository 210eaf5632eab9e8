"""The chunked cross-entropies against the plain one, in value, gradient and precision."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame import losses
from fame.losses import head_cross_entropy, linear_cross_entropy, sampled_cross_entropy
from tests import reference

EXACT = {"rtol": 1e-10, "atol": 1e-13}


def example(positions: int = 10, items: int = 7, width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, item table and targets in float64; the first two collect gradients."""
    generator = torch.Generator().manual_seed(positions)
    query, table = (
        torch.randn(rows, width, generator=generator, dtype=torch.float64, requires_grad=True)
        for rows in (positions, items)
    )
    return query, table, torch.randint(0, items, (positions,), generator=generator)


def plain_loss(query: Tensor, table: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """All logits at once and autograd."""
    return F.cross_entropy(query @ table.T, target, label_smoothing=smoothing)


@contextmanager
def by_softmax(wanted: bool = True) -> Iterator[None]:
    """Takes the sweep that a GPU takes, and a CPU where a logit is too large to do without."""
    with pytest.MonkeyPatch.context() as patch:
        if wanted:
            patch.setattr(losses, "_safe", lambda log_total: False)
        yield


@given(
    positions=st.integers(1, 12),
    items=st.integers(1, 9),
    chunk=st.integers(1, 15),
    smoothing=st.floats(0, 0.9),
    softmax=st.booleans(),
)
@settings(max_examples=100)
def test_equals_the_plain_cross_entropy_with_gradients(positions, items, chunk, smoothing, softmax):
    query, table, target = example(positions, items)
    with by_softmax(softmax):
        loss = linear_cross_entropy(query, table, target, smoothing=smoothing, chunk=chunk)
    # Scaled, so that the gradient that comes from above is seen to be used.
    gradients = torch.autograd.grad(3 * loss, (query, table))

    plain = plain_loss(query, table, target, smoothing)
    expected = torch.autograd.grad(3 * plain, (query, table))
    torch.testing.assert_close(loss, plain, **EXACT)
    for gradient, plain_gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, plain_gradient, **EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_the_twin(smoothing):
    query, table, target = example()
    losses = []
    for row, item in zip(query, target, strict=True):
        scores = F.pad(table @ row, (1, 0))  # the twin counts the padding as item 0
        losses.append(reference.cross_entropy(scores, int(item) + 1, smoothing))
    loss = linear_cross_entropy(query, table, target, smoothing=smoothing, chunk=3)
    torch.testing.assert_close(loss, torch.stack(losses).mean(), **EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_gradients_the_value_is_the_same(smoothing):
    query, table, target = example()
    loss = linear_cross_entropy(query, table, target, smoothing=smoothing)
    with torch.no_grad():
        quiet = linear_cross_entropy(query, table, target, smoothing=smoothing, chunk=4)
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, loss.detach(), **EXACT)


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (2000.0, 1.0),  # exponentials overflow unless they are shifted
        (85.0, 100.0),  # they do not, but their products with long embeddings do
        (75.0, 1.0),  # nothing does, but their total leaves the range in which no shift is needed
        (60.0, 1.0),  # inside that range
        (-90.0, 1.0),  # they are subnormal numbers of float32, with few digits left
        (-2000.0, 1.0),  # they vanish
    ],
)
def test_scores_of_any_size_give_the_plain_loss_and_gradients(size, length):
    generator = torch.Generator().manual_seed(0)
    query = torch.tensor([[1.0, size / length], [0.5, size / length]], requires_grad=True)
    table = torch.randn(6, 2, generator=generator)
    table[:, 1] = length
    table.requires_grad_()
    target = torch.tensor([0, 3])
    loss = linear_cross_entropy(query, table, target, chunk=1)
    plain = plain_loss(query, table, target)
    rounding = 2**-23 * abs(size)  # of a score of that size in float32
    torch.testing.assert_close(loss, plain, rtol=1e-6, atol=1e-6 + rounding)
    gradients, expected = (torch.autograd.grad(value, (query, table)) for value in (loss, plain))
    for gradient, plain_gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, plain_gradient, rtol=1e-5, atol=1e-5 + rounding)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_no_positions_give_no_loss_and_no_gradient(smoothing):
    """A process whose share of a batch is empty takes part in the step all the same."""
    query = torch.zeros(0, 3, requires_grad=True)
    table = torch.randn(5, 3, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    loss = linear_cross_entropy(query, table, none, smoothing=smoothing)
    loss.backward()
    assert loss == 0
    assert (table.grad == 0).all()
    assert query.grad.shape == (0, 3)


def test_a_second_derivative_is_refused_instead_of_wrong():
    query, table, target = example()
    loss = linear_cross_entropy(query, table, target) ** 2
    (gradient,) = torch.autograd.grad(loss, query, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def relative_error(value: Tensor, truth: Tensor) -> float:
    return float((value.double() - truth).norm() / truth.norm())


# Two-sided: an error below the lower bound would mean that the arithmetic asked for was not used.
@pytest.mark.parametrize("kind", ["all", "by softmax", "drawn"])
@pytest.mark.parametrize(
    ("precision", "loss_bounds", "gradient_bounds"),
    [
        (torch.float32, (0.0, 1e-6), (1e-9, 2e-6)),
        (torch.bfloat16, (1e-9, 1e-3), (5e-4, 1e-2)),
    ],
)
def test_error_against_double_precision(precision, loss_bounds, gradient_bounds, kind):
    query, table, target = example(positions=300, items=500, width=32)
    if kind == "drawn":
        items = torch.randint(500, (200,), generator=torch.Generator().manual_seed(0))
        exact, ours = partial(plain_drawn_loss, drawn=items), partial(drawn_loss, drawn=items)
    else:
        exact, ours = plain_loss, linear_cross_entropy
    truth = exact(query, table, target)
    true_gradients = torch.autograd.grad(truth, (query, table))

    query, table = (tensor.detach().float().requires_grad_() for tensor in (query, table))
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16)
    with by_softmax(kind == "by softmax"), autocast:
        loss = ours(query, table, target, chunk=128)
    gradients = torch.autograd.grad(loss, (query, table))

    low, high = loss_bounds
    assert low <= relative_error(loss.detach(), truth.detach()) < high
    low, high = gradient_bounds
    for gradient, true_gradient in zip(gradients, true_gradients, strict=True):
        assert low < relative_error(gradient, true_gradient) < high


@pytest.mark.parametrize("softmax", [False, True])
def test_of_a_nearly_certain_target_the_gradient_is_not_lost_in_bfloat16(softmax):
    """What its share is short of 1 is 3e-4 here; the nearest bfloat16 of the share is 1."""
    query = torch.tensor([[1.0]], requires_grad=True)
    table = torch.tensor([[8.0], [0.0]])
    with by_softmax(softmax), torch.autocast("cpu", torch.bfloat16):
        linear_cross_entropy(query, table, torch.tensor([0])).backward()
    short = 1 / (1 + math.exp(8))
    # The two entries of the gradient for the logits are rounded to bfloat16, 2^-9 at most.
    torch.testing.assert_close(query.grad, torch.tensor([[-8 * short]]), rtol=2**-8, atol=0.0)


def test_the_loss_of_bfloat16_queries_is_not_rounded_to_bfloat16():
    """Under autocast the queries arrive in bfloat16, which tells 4.62 from 4.66 and no finer."""
    query, table, target = example(positions=300, items=500, width=8)
    rounded = query.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(rounded, table.detach().float(), target)
    loss.backward()
    assert loss.dtype is torch.float32
    assert loss.bfloat16() != loss
    assert rounded.grad.dtype is torch.bfloat16


def test_under_autocast_the_products_are_rounded_and_nothing_after_them():
    """Exponentials, totals and their logarithms are those of the rounded logits in float32."""
    query, table, target = (t.detach() for t in example(positions=300, items=500, width=32))
    logits = (query.bfloat16() @ table.bfloat16().T).float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(query.float(), table.float(), target, chunk=128)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("shares", "weights"),
    [((), (1 / 3, 1 / 3, 1 / 3)), ((0.5, 0.0, 1.5), (0.25, 0, 0.75)), ((0, 2, 0), (0, 1, 0))],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_head_loss_is_the_mean_over_heads(smoothing, shares, weights):
    state = torch.randn(6, 3, 2, dtype=torch.float64, requires_grad=True)
    tables = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 4, 2, 2, 1, 3])
    loss = head_cross_entropy(state, tables, target, smoothing=smoothing, shares=shares)
    plain = torch.stack(
        [
            weights[head]
            * F.cross_entropy(state[:, head] @ tables[head].T, target, label_smoothing=smoothing)
            for head in range(3)
        ]
    ).sum()
    torch.testing.assert_close(loss, plain, **EXACT)
    gradients, expected = (torch.autograd.grad(value, (state, tables)) for value in (loss, plain))
    for gradient, plain_gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, plain_gradient, **EXACT)


def test_shares_of_other_heads_than_there_are_are_refused():
    state, tables = torch.randn(6, 3, 2), torch.randn(3, 5, 2)
    with pytest.raises(ValueError, match="2 shares cannot be dealt out to 3 heads"):
        head_cross_entropy(state, tables, torch.zeros(6, dtype=torch.int64), shares=(1, 0))


def drawn_loss(
    query: Tensor, table: Tensor, target: Tensor, drawn: Tensor, chunk: int | None = None
) -> Tensor:
    importance_weight = len(table) / len(drawn)
    return sampled_cross_entropy(
        query,
        table[target],
        table[drawn],
        target,
        drawn,
        importance_weight=importance_weight,
        chunk=chunk,
    )


def plain_drawn_loss(query: Tensor, table: Tensor, target: Tensor, drawn: Tensor) -> Tensor:
    """All logits against drawn items at once and autograd."""
    wanted = (query * table[target]).sum(1, keepdim=True)
    others = query @ table[drawn].T + math.log(len(table) / len(drawn))
    logits = torch.cat([wanted, others.masked_fill(target[:, None] == drawn, -math.inf)], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64))


@given(
    positions=st.integers(1, 12),
    items=st.integers(2, 9),
    draws=st.integers(1, 20),
    chunk=st.integers(1, 15),
    size=st.sampled_from([1e-3, 1.0, 30.0, 1000.0]),
)
@settings(max_examples=60)
def test_drawn_negatives_give_the_plain_loss_and_gradients(positions, items, draws, chunk, size):
    query, table, target = example(positions, items)
    drawn = torch.randint(items, (draws,), generator=torch.Generator().manual_seed(draws))
    outcomes = []
    for loss_of in (partial(drawn_loss, chunk=chunk), plain_drawn_loss):
        loss = loss_of(query * size, table, target, drawn)
        outcomes.append((loss, *torch.autograd.grad(3 * loss, (query, table))))
    for found, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13 * size)


def test_without_a_target_drawn_negatives_give_no_loss_and_no_gradient():
    query, table = torch.zeros(0, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    loss = drawn_loss(query, table, torch.zeros(0, dtype=torch.int64), torch.tensor([1, 4]))
    loss.backward()
    assert loss == 0 and (table.grad == 0).all() and query.grad.shape == (0, 3)


def test_drawn_negatives_by_hand():
    """Two draws of a catalogue of four: each stands for two items, the target's own is void."""
    table = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    query = torch.tensor([[0.5], [-1.0]], dtype=torch.float64)
    target, drawn = torch.tensor([0, 2]), torch.tensor([2, 1])
    first = math.log(math.exp(0.5) + 2 * (math.exp(1.5) + math.exp(1.0))) - 0.5
    second = math.log(math.exp(-3.0) + 2 * math.exp(-2.0)) + 3.0  # item 2 was drawn itself
    loss = drawn_loss(query, table, target, drawn)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-12)


def test_each_item_drawn_once_gives_the_loss_over_the_catalogue_with_its_gradients():
    """In value and in gradient, with no correction left over."""
    generator = torch.Generator().manual_seed(0)
    query, table = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (7, 40))
    target = torch.randint(40, (7,), generator=generator)
    outcomes = []
    for loss_of in (
        lambda q, t: plain_loss(q, t, target),
        lambda q, t: drawn_loss(q, t, target, torch.arange(40)),
    ):
        q, t = query.clone().requires_grad_(), table.clone().requires_grad_()
        loss = loss_of(q, t)
        loss.backward()
        outcomes.append((loss, q.grad, t.grad))
    for expected, found in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_where_every_draw_is_the_target_nothing_is_to_be_won():
    table = torch.eye(3, dtype=torch.float64)
    query = torch.randn(2, 3, dtype=torch.float64).requires_grad_()
    target = torch.tensor([1, 1])
    loss = drawn_loss(query, table, target, torch.tensor([1, 1, 1]))
    loss.backward()
    assert loss.item() == 0 and torch.equal(query.grad, torch.zeros_like(query))
