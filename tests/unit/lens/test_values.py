"""The ledger down to values: it adds up, says what each part is, and places what is new."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import ModelConfig
from fame.errors import FameError
from fame.lens.trace import (
    around,
    item_ranks,
    ledger,
    new_item,
    trace_history,
    value_ledger,
)
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.models.sequence_model import Intervention, SequenceModel
from tests import reference
from tests.tiny import TINY, TINY_SASREC, TINY_VALUES, random_model
from tests.twin import index_of, leaves_of, twin_parameters

NUM_ITEMS = 9
EXACT = {"rel": 1e-9, "abs": 1e-11}
SHAPES = [
    TINY_VALUES,
    dataclasses.replace(TINY_VALUES, score="cosine", temperature=0.3, head_facets="a/b"),
    dataclasses.replace(
        TINY_VALUES, width=12, heads=3, head_facets="/a/b", own_bound=0.3, score="fused-cosine"
    ),
    dataclasses.replace(TINY_VALUES, own_bound=0.0),
]
of_shapes = pytest.mark.parametrize("config", SHAPES, ids=lambda c: f"{c.score} {c.head_facets}")
histories = st.lists(st.integers(1, NUM_ITEMS), min_size=1, max_size=5)
CHANGED = Intervention(gate=(1.0, 3.0, 2.0))


@of_shapes
@pytest.mark.parametrize("raw", [False, True])
@given(history=histories, seed=st.integers(0, 100))
@settings(max_examples=5)
def test_the_parts_of_every_item_sum_to_its_ledger(
    config: ModelConfig, raw: bool, history: list[int], seed: int
) -> None:
    model = random_model(config, NUM_ITEMS, seed=seed)
    change = Intervention(gate=CHANGED.gate[: config.heads])
    for intervention in (None, change):
        trace = trace_history(model, np.array(history), intervention=intervention)
        items = np.arange(1, NUM_ITEMS + 1)
        for item, by_head in zip(items, ledger(trace, items, raw=raw), strict=True):
            parts = value_ledger(trace, int(item), raw=raw)
            sums = [sum(points for _, points in own) for own in parts]
            assert sums == pytest.approx(by_head, rel=1e-9, abs=1e-10)


@of_shapes
def test_every_part_is_what_the_equation_says(config: ModelConfig) -> None:
    """From the slow twin's items and states: no intervention is needed to know a part."""
    model, history = random_model(config, NUM_ITEMS), [3, 1, 4]
    leaves = {name: leaf.detach() for name, leaf in leaves_of(model).items()}
    parameters = twin_parameters(leaves, config, index_of(model))
    end = reference.fame(parameters, history)[-1]
    whole = reference.item_vectors(parameters)
    bare = {**parameters, "item_embedding": torch.zeros_like(parameters["item_embedding"])}
    trace, K = trace_history(model, np.array(history)), config.head_width
    found = 0
    for item in range(1, NUM_ITEMS + 1):
        length = 1.0 if config.score == "dot" else whole[item].norm()
        for head, parts in enumerate(value_ledger(trace, item, raw=True)):
            own = slice(head * K, (head + 1) * K)
            asks = end.head_state[head] @ parameters["sub_embedding"][head][:, own]
            query = end.gate[head] / length * asks
            given_part = reference.item_vectors(bare)[item][own]
            assert parts[-1] == (
                None,
                pytest.approx(float(query @ (whole[item][own] - given_part)), **EXACT),
            )
            values = parameters["values"][head]
            numbers = values["of"][item] if values else []
            assert len(parts) == 1 + len(numbers)
            first = sum(model.values.counts[:head])
            for (value, points), number in zip(parts[:-1], numbers, strict=True):
                assert value == first + number
                vector = values["vectors"][number] / math.sqrt(len(numbers))
                assert points == pytest.approx(float(query @ vector), **EXACT)
                found += 1
    assert found > 5


def test_what_an_item_has_for_itself_moves_its_own_part_alone() -> None:
    """The values' part bounds the own one, and is not moved by it."""
    model = random_model(TINY_VALUES, NUM_ITEMS)
    item = next(i for i in range(1, 10) if len(model.values.index.values_of(i)[0]) > 1)
    history = np.array([i for i in (1, 2, 3) if i != item])
    before = value_ledger(trace_history(model, history), item, raw=True)[0]
    for factor in (0.1, -1.0, 50.0):
        with torch.no_grad():
            model.item_embedding.weight[item] *= factor
        after = value_ledger(trace_history(model, history), item, raw=True)[0]
        assert after[:-1] == before[:-1]
        assert after[-1][1] != pytest.approx(before[-1][1], rel=1e-3)


def test_weights_that_were_changed_are_noticed() -> None:
    """What does not depend on a history is composed once, as long as the weights stay."""
    model, history = random_model(SHAPES[1], NUM_ITEMS), np.array([3, 1])
    trace_history(model, history)
    for weights in (model.item_embedding.weight, model.values.vectors, model.facet_maps):
        with torch.no_grad():
            weights[1:] *= 0.5
        found = trace_history(model, history).values
        fresh = random_model(SHAPES[1], NUM_ITEMS)
        fresh.load_state_dict(model.state_dict())
        expected = trace_history(fresh, history).values
        assert np.array_equal(found.own, expected.own)
        assert np.array_equal(found.length, expected.length)


@of_shapes
def test_centred_parts_have_mean_zero_over_the_catalogue(config: ModelConfig) -> None:
    trace = trace_history(random_model(config, NUM_ITEMS), np.array([3, 1]))
    parts = [value_ledger(trace, item) for item in range(1, NUM_ITEMS + 1)]
    for head in range(config.heads):
        given_ = sum(points for own in parts for _, points in own[head][:-1])
        bare = [own[head][-1][1] for own in parts if len(own[head]) == 1]
        assert given_ + sum(own[head][-1][1] for own in parts) == pytest.approx(0, abs=1e-9)
        if config.facet_shares[head]:
            # What values give has mean 0 too; items without any carry its mean in their own part.
            off = trace.gate[head] * trace.values.given_mean[head] * len(bare)
            assert given_ == pytest.approx(off, abs=1e-9)


@pytest.mark.parametrize("config", [TINY, TINY_SASREC], ids=["fame", "sasrec"])
def test_without_values_each_head_has_one_part(config: ModelConfig) -> None:
    trace = trace_history(random_model(config, NUM_ITEMS), np.array([3, 1, 4]))
    assert value_ledger(trace, 5) == [
        [(None, points)] for points in ledger(trace, np.array([5]))[0]
    ]
    with pytest.raises(FameError, match="not by their values"):
        new_item(trace, [[0]] * trace.heads)


def with_another_item(model: SequenceModel, values: list[list[int]]) -> SequenceModel:
    """The same model with one more item of these values, which has nothing of its own."""
    index = model.values.index
    value: list[int] = []
    start = [0]
    for head in index.named:
        for item in range(model.num_items + 2):
            own = values[head] if item > model.num_items else index.values_of(item)[head]
            value += own
            start.append(len(value))
    grown = ValueIndex.of(index.counts, value, start)
    larger = build_model(model.config, model.num_items + 1, grown).double().eval()
    state = model.state_dict() | {"values.value": grown.value, "values.start": grown.start}
    own_VD = state["item_embedding.weight"]
    state["item_embedding.weight"] = torch.cat([own_VD, torch.zeros_like(own_VD[:1])])
    larger.load_state_dict(state)
    return larger


@of_shapes
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("one_head_only", [False, True])
def test_a_new_item_stands_where_it_would_stand_in_the_catalogue(
    config: ModelConfig, raw: bool, one_head_only: bool
) -> None:
    model, history = random_model(config, NUM_ITEMS), np.array([3, 1, 4])
    counts = model.values.counts
    named = model.values.index.named
    values: list[list[int]] = [[] for _ in counts]
    for head in named[: 1 if one_head_only else None]:
        first = sum(counts[:head])
        values[head] = [first, first + 2]
    trace = trace_history(model, history)
    found = new_item(trace, values, raw=raw)
    larger = trace_history(with_another_item(model, values), history)
    expected = item_ranks(larger, NUM_ITEMS + 1)
    # In the larger catalogue the item itself is one of those that score as much.
    assert (found.rank, found.rank_by_head) == expected
    off = 0.0 if raw else trace.scores[1:].mean()
    assert found.score == pytest.approx(larger.scores[-1] - off, **EXACT)
    sums = [sum(points for _, points in own) for own in found.by_value]
    by_head = ledger(larger, np.array([NUM_ITEMS + 1]), raw=True)[0]
    means = 0.0 if raw else trace.gate * trace.head_scores[:, 1:].mean(1)
    assert sums == pytest.approx(by_head - means, rel=1e-9, abs=1e-10)
    assert [[value for value, _ in own] for own in found.by_value] == [[*v, None] for v in values]
    if raw:
        assert all(own[-1][1] == 0 for own in found.by_value)


def test_what_stands_around_a_new_item_scores_more_and_less() -> None:
    """Its neighbours are those that the whole ranking has there."""
    trace = trace_history(random_model(TINY_VALUES, NUM_ITEMS), np.array([3, 1]))
    allowed = np.flatnonzero(trace.candidates)
    whole = sorted(allowed.tolist(), key=lambda item: -trace.scores[item])
    for value in range(4):
        rank = new_item(trace, [[value], []]).rank
        for reach in (1, 3, 20):
            above, below = around(trace, rank, reach)
            assert above == whole[max(0, rank - 1 - reach) : rank - 1]
            assert below == whole[rank - 1 : rank - 1 + reach]
    assert around(trace, 1, 2) == ([], whole[:2])
    assert around(trace, len(whole) + 1, 2) == (whole[-2:], [])


def test_a_new_item_without_a_value_is_refused() -> None:
    trace = trace_history(random_model(TINY_VALUES), np.array([1]))
    with pytest.raises(FameError, match="at least one value"):
        new_item(trace, [[], []])


@pytest.mark.parametrize("score", ["dot", "fused-cosine"])
def test_parts_add_up_in_single_precision_too(score: str) -> None:
    config = ModelConfig(head_facets="a/", dropout=0.0, score=score)
    trace = trace_history(random_model(config, 400, dtype=torch.float32), np.array([5, 300, 17]))
    largest = abs(trace.scores[1:]).max()
    for item in (1, 77, 400):
        sums = [sum(points for _, points in own) for own in value_ledger(trace, item)]
        by_head = ledger(trace, np.array([item]))[0]
        assert abs(np.array(sums) - by_head).max() < 1e-5 * largest
