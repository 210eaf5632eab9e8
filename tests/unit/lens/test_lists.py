"""Many lists at once: equal to a trace of each history, down to heads and values."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from fame.config import ModelConfig
from fame.errors import FameError
from fame.lens import lists
from fame.lens.lists import first_items
from fame.lens.trace import fused_table, trace_history, value_ledger
from fame.ranking import Repeats
from tests.tiny import TINY, TINY_VALUES, every_model, random_model

HISTORIES = [np.array(own) for own in ([1], [4, 2, 9, 9, 3, 7, 1], [5, 6], [2, 8, 3], [7] * 12)]


@every_model
@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
@pytest.mark.parametrize("at_once", [1, 30, 1 << 24])
def test_lists_are_those_of_a_trace(
    config: ModelConfig, repeats: Repeats, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_SCORES", at_once)
    model = random_model(config)
    found = first_items(model, HISTORIES, 4, repeats=repeats)
    for row, history in enumerate(HISTORIES):
        trace = trace_history(model, history, repeats=repeats)
        table = fused_table(trace, 4)
        assert found.items[row].tolist() == [*table["item"], *[0] * (4 - len(table))]
        heads = [f"head_{head}" for head in range(trace.heads)]
        # Both in float64, in another order of sums.
        np.testing.assert_allclose(
            found.by_head[row, : len(table)], table[heads], rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            found.scores[row, : len(table)], table["score"], rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("score", ["dot", "cosine"])
@pytest.mark.parametrize("head_facets", ["kind/", "/kind", "kind/kind"])
def test_parts_by_value_are_those_of_a_trace(score: str, head_facets: str) -> None:
    model = random_model(dataclasses.replace(TINY_VALUES, score=score, head_facets=head_facets))
    k = 9
    found = first_items(model, HISTORIES, k, repeats="exclude")
    rows = found.by_value
    assert rows is not None
    several = 0
    for row, history in enumerate(HISTORIES):
        trace = trace_history(model, history)
        for place in range(k):
            part = slice(*rows.start[row * k + place : row * k + place + 2])
            item = found.items[row, place]
            if not item:
                assert part.start == part.stop
                continue
            expected = [
                (head, -1 if value is None else value, points)
                for head, own in enumerate(value_ledger(trace, int(item)))
                for value, points in own
            ]
            several = max(several, len(expected))
            assert rows.head[part].tolist() == [own[0] for own in expected]
            assert rows.value[part].tolist() == [own[1] for own in expected]
            points = [own[2] for own in expected]
            np.testing.assert_allclose(rows.points[part], points, rtol=0, atol=1e-12)
            by_head = np.bincount(rows.head[part], rows.points[part])
            np.testing.assert_allclose(by_head, found.by_head[row, place], rtol=0, atol=1e-12)
    assert several > 3  # an item of more than one value was among them


def test_a_list_ends_where_nothing_is_left() -> None:
    found = first_items(
        random_model(TINY), [np.arange(1, 9), np.arange(1, 10)], 3, repeats="exclude"
    )
    assert found.items.tolist() == [[9, 0, 0], [0, 0, 0]]
    assert not found.by_head[0, 1:].any() and not found.by_head[1].any()
    assert found.by_head[0, 0].any()


def test_a_list_is_no_longer_than_the_catalogue() -> None:
    found = first_items(random_model(TINY), HISTORIES, 50, repeats="recommend")
    assert sorted(found.items[1].tolist()) == list(range(1, 10))


def test_broken_weights_are_told() -> None:
    model = random_model(TINY)
    with torch.no_grad():
        model.item_embedding.weight[3] = torch.nan
    with pytest.raises(FameError, match="not finite numbers"):
        first_items(model, [np.array([9])], 3, repeats="exclude")
