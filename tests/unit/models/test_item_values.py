"""Items made of values: what each part weighs, what is cut, and what nobody may give."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import torch

from fame.config import TrainConfig
from fame.models.item_values import ItemValues, ValueIndex
from fame.models.registry import build_model
from fame.training.objective import Objective, StepItems
from tests.tiny import TINY_VALUES, padded, random_model, values_for

# Two named heads of three and two values over three items; the free one is the second.
COUNTS = (3, 0, 2)
VALUE = [0, 2, 1, 3, 3, 4]
START = [0, 0, 2, 3, 3, 3, 4, 4, 6]
INDEX = ValueIndex.of(COUNTS, VALUE, START)


def made(bound: float) -> tuple[ItemValues, torch.Tensor]:
    """Vectors of two numbers that can be added up in the head."""
    values = ItemValues(INDEX, 2, bound)
    given = [[3.0, 0.0], [0.0, 2.0], [0.0, 4.0], [1.0, 0.0], [0.0, 1.0]]
    own = [[0.0] * 6, [0.3, 0.4, 7.0, 8.0, 30.0, 40.0], [0.0, 9.0] * 3, [5.0, 6.0] * 3]
    with torch.no_grad():
        values.vectors.copy_(torch.tensor(given))
    return values, torch.tensor(own)


def test_an_item_is_the_sum_of_its_values_over_the_root_of_their_number_and_of_its_own() -> None:
    values, own = made(bound=0.5)
    root = math.sqrt(2)
    expected = [
        [0.0] * 6,
        # Own parts: .5 long where 2.5 / root * root is allowed: kept; 50 where .5 is: cut.
        [3 / root + 0.3, 4 / root + 0.4, 7.0, 8.0, 1 + 0.3, 0.4],
        # One value, an own part of 9 where 1 is allowed; no value in the last head: not cut.
        [0.0, 2 + 1, 0.0, 9.0, 0.0, 9.0],
        [
            5.0,
            6.0,
            5.0,
            6.0,
            1 / root + 0.5 * 5 / math.hypot(5, 6),
            1 / root + 3 / math.hypot(5, 6),
        ],
    ]
    torch.testing.assert_close(values.compose(own), torch.tensor(expected))


@pytest.mark.parametrize("bound", [0.0, 0.5, 1e9])
def test_parts_add_up_to_the_item(bound: float) -> None:
    values, own = made(bound)
    own_VHK = values.own_parts(own)
    given_VD = values.compose(own) - own_VHK.flatten(1)
    torch.testing.assert_close(given_VD, values.compose(torch.zeros_like(own)))
    if not bound:  # values alone, but for free slices and items without a value
        assert not own_VHK[1, [0, 2]].any() and not own_VHK[2, 0].any()
        torch.testing.assert_close(own_VHK[:, 1], own[:, 2:4])
        torch.testing.assert_close(own_VHK[3, 0], own[3, :2])
    if bound > 1:
        torch.testing.assert_close(own_VHK.flatten(1), own)


def test_an_own_part_is_never_longer_than_its_bound_and_has_a_gradient_at_zero() -> None:
    values, own = made(0.5)
    own = (100 * own).requires_grad_()
    given = values.compose(torch.zeros_like(own)).unflatten(1, (3, 2))
    length = values.own_parts(own.detach()).norm(dim=-1)
    for item, head in ((1, 0), (2, 0), (1, 2), (3, 2)):
        torch.testing.assert_close(length[item, head], 0.5 * given[item, head].norm())
    nothing = torch.zeros_like(own).requires_grad_()
    values.compose(nothing).sum().backward()
    assert nothing.grad is not None and torch.equal(nothing.grad, torch.ones_like(own))


@torch.no_grad()
def test_a_named_head_scores_an_item_without_values_by_its_own_vector_alone() -> None:
    """Whatever the bound: there is nothing to be shorter than."""
    for bound in (0.0, 0.6):
        config = dataclasses.replace(TINY_VALUES, own_bound=bound)
        model = random_model(config)
        assert model.values is not None
        bare = [item for item in range(1, 10) if not model.values.index.values_of(item)[0]]
        assert bare and len(bare) < 9
        trace = model.trace(padded([[3, 1, 4]]))
        K = config.head_width
        for item in bare:
            own = model.item_embedding.weight[item, :K]
            expected = model.facet_maps[0] @ own @ trace.head_queries[0, 0]
            torch.testing.assert_close(trace.head_scores[0, 0, item], expected)


@torch.no_grad()
def test_with_values_alone_items_of_the_same_values_are_one_to_their_head() -> None:
    index = ValueIndex.of((2, 0), [0, 1, 0, 1, 1], [0, 0, 2, 4, 5])
    model = build_model(dataclasses.replace(TINY_VALUES, own_bound=0.0), 3, index).eval()
    scores = model.trace(padded([[3, 1]])).head_scores[0, 0]
    assert scores[1] == scores[2] != scores[3]


@torch.no_grad()
def test_a_head_sees_its_own_slice_of_an_item_alone() -> None:
    model = random_model(TINY_VALUES)
    before, K = model.sub_embeddings(), TINY_VALUES.head_width
    model.item_embedding.weight[:, K:] += 1
    after = model.sub_embeddings()
    assert torch.equal(after[0], before[0]) and not torch.equal(after[1], before[1])


def test_a_step_composes_the_items_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compose = ItemValues.compose

    def counted(
        self: ItemValues, own_ND: torch.Tensor, item_N: torch.Tensor | None = None
    ) -> torch.Tensor:
        calls.append(None if item_N is None else item_N.tolist())
        return compose(self, own_ND, item_N)

    monkeypatch.setattr(ItemValues, "compose", counted)
    for negatives in (0, 2):
        model = random_model(TINY_VALUES)
        objective = Objective(model, TrainConfig(negatives=negatives, head_loss_weight=0.5))
        torch.manual_seed(0)
        objective(padded([[1, 2], [3]]), torch.arange(2), torch.tensor([1, 4]))
        torch.manual_seed(0)
        drawn = set((torch.randint(9, (2,)) + 1).tolist())
        # Against drawn items only those that the step has to do with, the padding first.
        assert calls == [sorted({0, 1, 2, 3, 5} | drawn) if negatives else None]
        calls.clear()
    random_model(TINY_VALUES).trace(padded([[1, 2]]))
    assert calls == [None]


@pytest.mark.parametrize("samples", ["windows", "prefixes"])
@pytest.mark.parametrize("second", [[3], [3, 4, 5, 6, 7]], ids=["padding", "no padding"])
def test_items_composed_for_a_step_alone_are_as_good_as_all(
    monkeypatch: pytest.MonkeyPatch, samples: str, second: list[int]
) -> None:
    """Loss and every gradient, with the heads' own loss too."""
    outcomes = []
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(StepItems, "of", lambda model, *_: StepItems(model.item_vectors()))
        model = random_model(dataclasses.replace(TINY_VALUES, score="fused-cosine"))
        config = TrainConfig(negatives=3, head_loss_weight=0.5, samples=samples)
        torch.manual_seed(1)
        places = torch.arange(2) if samples == "prefixes" else torch.tensor([0, 1, 5])
        targets = torch.tensor([1, 4, 7])[: len(places)]
        loss = Objective(model, config)(padded([[1, 2, 9, 1, 6], second]), places, targets)
        loss.backward()
        outcomes.append([loss, *(parameter.grad for parameter in model.parameters())])
    for few, all_ in zip(*outcomes, strict=True):
        torch.testing.assert_close(few, all_, rtol=1e-9, atol=1e-12)


def test_some_items_are_composed_as_among_all() -> None:
    values, own = made(0.5)
    asked = torch.tensor([3, 0, 1, 1])
    torch.testing.assert_close(values.compose(own[asked], asked), values.compose(own)[asked])


def test_an_index_says_what_an_item_has() -> None:
    INDEX.check(3)
    assert [INDEX.values_of(item) for item in (0, 1, 2, 3)] == [
        [[], [], []],
        [[0, 2], [], [3]],
        [[1], [], []],
        [[], [], [3, 4]],
    ]
    drawn = values_for(TINY_VALUES)
    assert drawn is not None
    assert [drawn.values_of(item)[0] for item in range(10)] == [
        drawn.value[a:b].tolist() for a, b in pairwise(drawn.start.tolist())
    ]


@pytest.mark.parametrize(
    ("counts", "value", "start", "items", "message"),
    [
        (COUNTS, VALUE, START, 4, "places for 8 sets of values, and 2 heads over 4 items have 10"),
        (COUNTS, VALUE, [1, *START[1:]], 3, "do not cut"),
        (COUNTS, VALUE[:-1], START, 3, "do not cut its 5 values"),
        (COUNTS, VALUE, [0, 0, 3, 2, 3, 3, 4, 4, 6], 3, "do not cut"),
        (COUNTS, [0, 3, *VALUE[2:]], START, 3, "the value 3, which its head does not"),
        (COUNTS, [*VALUE[:3], 2, 3, 4], START, 3, "the value 2, which its head does not"),
        (COUNTS, [*VALUE[:5], 5], START, 3, "the value 5, which its head does not"),
        (COUNTS, [-1, *VALUE[1:]], START, 3, "the value -1, which its head does not"),
        (COUNTS, VALUE, [0, 1, 2, 3, 3, 3, 4, 4, 6], 3, "values to the padding"),
        (COUNTS, [*VALUE[:4], 3, 3], START, 3, "item 3 a value twice"),
        (COUNTS, [2, 0, *VALUE[2:]], START, 3, "item 1 a value twice, or values out of order"),
    ],
)
def test_an_index_that_fits_no_catalogue_is_refused(
    counts: tuple[int, ...], value: list[int], start: list[int], items: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ValueIndex.of(counts, value, start).check(items)
    with pytest.raises(ValueError, match=r"of torch\.int64"):
        dataclasses.replace(INDEX, value=INDEX.value.long()).check(3)


def test_a_model_made_of_values_needs_them() -> None:
    with pytest.raises(ValueError, match="head_facets=kind/ needs"):
        build_model(TINY_VALUES, 9)
