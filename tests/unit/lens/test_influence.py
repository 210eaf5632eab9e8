"""Leaving each click out, in one batch, is leaving it out and reading again."""

import numpy as np
import pytest

from fame.lens import influence as influence_module
from fame.lens.influence import (
    because,
    history_influence,
    item_effects,
    item_influence_table,
    list_influence_table,
    list_order,
)
from fame.lens.trace import fused_scores, fused_table, leave_out, ledger, trace_history
from fame.models.sequence_model import Intervention
from fame.ranking import leaving, top_items
from tests import reference
from tests.tiny import TINY, TINY_SASREC, random_model
from tests.twin import fame_twin

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
REPEATED = np.array([7, 7, 3, 12, 3, 1])  # the model reads the last five
LONG = np.array([7, 2, 3, 12, 1, 20, 5, 9])
CHANGE = Intervention(gate=(1.0, 3.0), muted=((0, 1),))

variants = pytest.mark.parametrize(
    ("model", "change"), [(MODEL, None), (SASREC, None), (MODEL, CHANGE)], ids=str
)
histories = pytest.mark.parametrize("history", [REPEATED, LONG], ids=["repeated", "long"])


def test_rows_are_the_items_that_are_read_by_their_latest_click():
    influence = history_influence(MODEL, REPEATED)
    assert influence.items.tolist() == [7, 12, 3, 1]
    assert influence.places == ((0, 1), (3,), (2, 4), (5,))
    assert list_influence_table(influence)["clicks"].tolist() == [2, 1, 2, 1]
    # What stands before the window has no row: leaving it out would change nothing.
    assert history_influence(MODEL, LONG).items.tolist() == [12, 1, 20, 5, 9]


def test_only_the_latest_clicks_are_tried(monkeypatch):
    monkeypatch.setattr(influence_module, "MOST_CLICKS", 2)
    assert history_influence(MODEL, LONG).items.tolist() == [5, 9]


@variants
@histories
def test_effects_are_those_of_leaving_out_and_tracing_again(model, change, history):
    influence = history_influence(model, history, 4, intervention=change)
    before = trace_history(model, history, intervention=change)
    items = np.array([19, 4, int(history[0])])  # any item, even one of the history
    effects = item_effects(model, influence, items)
    assert effects.shape == (len(influence.items), 3, before.heads)
    listed = set(influence.fused.tolist())
    assert influence.fused.tolist() == fused_table(before, 4)["item"].tolist()
    for row, item in enumerate(influence.items):
        without = trace_history(model, leave_out(history, item), intervention=change)
        expected = ledger(before, items) - ledger(without, items)
        np.testing.assert_allclose(effects[row], expected, atol=1e-12)
        score = fused_scores(before)[items] - fused_scores(without)[items]
        np.testing.assert_allclose(effects[row].sum(-1), score, atol=1e-12)
        # The person still knows the item: it does not turn up in the list without its click.
        remaining = top_items(without.scores, before.candidates, 4)
        assert influence.replaced[row] == len(listed - set(remaining.tolist()))
        for head in range(before.heads):
            own, now = (
                set(top_items(trace.head_scores[head], before.candidates, 4).tolist())
                for trace in (before, without)
            )
            assert influence.replaced_by_head[row, head] == len(own - now)


def test_an_effect_is_the_twins():
    history = LONG[:5]
    influence = history_influence(MODEL, history)
    effects = item_effects(MODEL, influence, np.array([19]))[:, 0]
    before = reference.centred(fame_twin(MODEL, history.tolist())[-1].ledger)
    for row, item in enumerate(influence.items):
        rest = [click for click in history.tolist() if click != item]
        after = reference.centred(fame_twin(MODEL, rest)[-1].ledger)
        expected = [float((b - a).detach()[19]) for b, a in zip(before, after, strict=True)]
        np.testing.assert_allclose(effects[row], expected, atol=1e-12)


def test_the_tables_add_up():
    influence = history_influence(MODEL, LONG, 4)
    table = item_influence_table(MODEL, influence, 19)
    assert table["left_out"].tolist() == influence.items.tolist()
    np.testing.assert_allclose(table["head_0"] + table["head_1"], table["score"])
    whole = list_influence_table(influence)
    assert list(whole) == ["left_out", "clicks", "fused", "head_0", "head_1"]
    assert whole["fused"].tolist() == influence.replaced.tolist()
    assert whole["head_1"].tolist() == influence.replaced_by_head[:, 1].tolist()


@pytest.mark.parametrize("history", [np.array([4]), np.array([4, 4, 4])], ids=["one", "the same"])
def test_the_only_item_of_a_history_cannot_be_left_out(history):
    influence = history_influence(MODEL, history, 3)
    assert len(influence.items) == len(influence.replaced) == 0
    assert len(influence.fused) == 3
    assert item_influence_table(MODEL, influence, 5).empty
    assert list_influence_table(influence).empty
    assert because(MODEL, influence, influence.fused).empty
    assert list_order(MODEL, influence).tolist() == []


def test_because_names_the_costliest_clicks_first_and_none_that_costs_nothing():
    influence = history_influence(MODEL, LONG, 4)
    items = np.arange(1, NUM_ITEMS + 1)
    effects = item_effects(MODEL, influence, items).sum(-1)
    named = because(MODEL, influence, items, 3)
    assert (named["effect"] > 0).all()
    for column, item in enumerate(items):
        rows = named[named["item"] == item]
        costly = sorted((e for e in effects[:, column] if e > 0), reverse=True)[:3]
        assert rows["effect"].tolist() == costly
        assert rows["place"].tolist() == list(range(1, len(costly) + 1))
        for row in rows.itertuples():
            place = influence.items.tolist().index(row.cause)
            assert effects[place, column] == row.effect
    assert len(named) < 3 * NUM_ITEMS, "no item that fewer than three clicks speak for"


def test_the_order_is_by_items_replaced_and_then_by_points_lost():
    influence = history_influence(MODEL, LONG, 4)
    order = list_order(MODEL, influence)
    loss = item_effects(MODEL, influence, influence.fused).sum(-1).mean(-1)
    keys = [(influence.replaced[row], loss[row]) for row in order]
    assert keys == sorted(keys, reverse=True)
    assert sorted(order.tolist()) == list(range(len(influence.items)))


def test_leaving_counts_what_is_gone_and_never_a_gap():
    before, after = np.array([3, 5, 0]), np.array([[5, 3, 9], [9, 8, 0], [3, 0, 0]])
    assert leaving(before, after).tolist() == [0, 2, 1]
    assert leaving(np.array([[1, 2], [1, 2]]), np.array([[2, 3], [3, 4]])).tolist() == [1, 2]
