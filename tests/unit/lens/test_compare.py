"""Two lists side by side: overlap by hand and by its definition, ranks before and after."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.errors import FameError
from fame.lens.compare import PERSISTENCE, compare, new_without_head, rank_biased_overlap
from fame.lens.trace import fused_table, item_ranks, leave_out, trace_history
from fame.models.sequence_model import Intervention
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
HISTORY = np.array([7, 3, 12, 1])

rankings = st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True)
persistence = st.floats(0.05, 0.95)


def overlap_by_its_definition(first: list[int], second: list[int], p: float) -> float:
    """``(1 - p) sum p^(d - 1) A_d`` summed far down, with what is not seen put in.

    Below its end the shorter list goes on sharing as it did, X_s of s; below both ends the
    agreement stays what it is there.
    """
    short, long = sorted((first, second), key=len)
    total, at_end = 0.0, 0.0
    for d in range(1, 3000):
        if d <= len(long):
            shared = len(set(short[:d]) & set(long[:d]))
            if d > len(short):
                at_shorts_end = len(set(short) & set(long[: len(short)]))
                shared += at_shorts_end * (d - len(short)) / len(short)
            at_end = shared / d
        total += (1 - p) * p ** (d - 1) * at_end
    return total


def test_overlap_by_hand():
    # Agreement at depths 1, 2, 3 is 1, 1/2, 2/3; the last one goes on for ever.
    expected = 0.5 * 1 + 0.25 * 1 / 2 + 0.125 * 2 / 3 + 0.125 * 2 / 3
    assert rank_biased_overlap([1, 2, 3], [1, 3, 4], p=0.5) == pytest.approx(expected)
    # One list shorter: at depth 1 they share 0 of 1, at depth 2 (with nothing put in) 1 of 2.
    assert rank_biased_overlap([1], [2, 1], p=0.5) == pytest.approx(0.25 * 1 / 2 + 0.25 * 1 / 2)


@given(first=rankings, second=rankings, p=persistence)
@settings(max_examples=30)
def test_overlap_is_its_definition_summed_far_down(first, second, p):
    expected = overlap_by_its_definition(first, second, p)
    assert rank_biased_overlap(first, second, p) == pytest.approx(expected, abs=1e-9)


@given(first=rankings, second=rankings, p=persistence)
@settings(max_examples=30)
def test_overlap_is_symmetric_and_between_0_and_1(first, second, p):
    overlap = rank_biased_overlap(first, second, p)
    assert overlap == pytest.approx(rank_biased_overlap(second, first, p), abs=1e-12)
    assert -1e-12 <= overlap <= 1 + 1e-12


@given(ranking=rankings, p=persistence)
@settings(max_examples=20)
def test_overlap_of_the_same_is_1_and_of_strangers_0(ranking, p):
    assert rank_biased_overlap(ranking, ranking, p) == pytest.approx(1)
    assert rank_biased_overlap(ranking, [item + 50 for item in ranking], p) == 0


def test_a_difference_at_the_top_weighs_more():
    same = list(range(1, 11))
    top, bottom = [99, *same[1:]], [*same[:-1], 99]
    assert rank_biased_overlap(same, top) < rank_biased_overlap(same, bottom) < 1


def test_ten_ranks_carry_the_weight_that_the_text_names():
    p, below = PERSISTENCE, np.arange(10, 5000)
    # Equation 21 of the paper; its logarithm less a sum is what is left of that sum.
    seen = 1 - p**9 + (1 - p) / p * 10 * (p**below / below).sum()
    assert round(seen, 2) == 0.86


@pytest.mark.parametrize(
    ("first", "second", "p"), [([], [1], 0.9), ([1], [1], 1.0), ([1, 1], [1, 2], 0.9)]
)
def test_overlap_refuses_what_is_no_ranking(first, second, p):
    with pytest.raises(ValueError, match=r"overlap needs|stands twice"):
        rank_biased_overlap(first, second, p)


def test_nothing_moves_where_nothing_changed():
    trace = trace_history(MODEL, HISTORY)
    same = compare(trace, trace, 5, held_out=9)
    assert same.moves["change"].tolist() == [0] * 5
    assert set(same.moves["listed"]) == {"both"}
    assert (same.shared, same.length, same.rbo) == (5, 5, pytest.approx(1))
    assert same.held_out == (item_ranks(trace, 9)[0],) * 2


@pytest.mark.parametrize("gate", [(1.0, 0.0), (0.0, 1.0)])
def test_moves_are_the_ranks_of_both_lists(gate):
    before = trace_history(MODEL, HISTORY)
    after = trace_history(MODEL, HISTORY, intervention=Intervention(gate=gate))
    found = compare(before, after, 5, held_out=9)
    lists = [fused_table(trace, 5)["item"].tolist() for trace in (before, after)]
    new = [item for item in lists[1] if item not in lists[0]]
    assert found.moves["item"].tolist() == lists[0] + new
    for row in found.moves.itertuples():
        assert row.rank_before == item_ranks(before, row.item)[0]
        assert row.rank_after == item_ranks(after, row.item)[0]
        assert row.change == row.rank_before - row.rank_after
        where = [row.item in ranking for ranking in lists]
        assert row.listed == {(1, 1): "both", (1, 0): "before", (0, 1): "after"}[tuple(where)]
    assert found.shared == len(set(lists[0]) & set(lists[1])) == 5 - len(new)
    assert found.rbo == pytest.approx(rank_biased_overlap(*lists))
    ranks = [item_ranks(trace, 9) for trace in (before, after)]
    assert found.held_out == (ranks[0][0], ranks[1][0])
    assert found.held_out_by_head == list(zip(ranks[0][1], ranks[1][1], strict=True))
    assert found.moves["score_after"].notna().all()


def test_what_only_one_history_holds_has_no_rank_there():
    """An item that is left out may be recommended again; before, it had no rank."""
    before, after = (trace_history(MODEL, h) for h in (HISTORY, leave_out(HISTORY, 3)))
    moves = compare(before, after, NUM_ITEMS).moves.set_index("item")
    assert moves.loc[3, "rank_before"] is pd.NA and moves.loc[3, "change"] is pd.NA
    assert moves.loc[3, "rank_after"] >= 1 and moves.loc[3, "listed"] == "after"


def test_an_empty_list_cannot_be_compared():
    whole = trace_history(MODEL, np.arange(1, NUM_ITEMS + 1))
    for pair in ((whole, trace_history(MODEL, HISTORY)), (trace_history(MODEL, HISTORY), whole)):
        with pytest.raises(FameError, match="nothing left to recommend"):
            compare(*pair, 5)


@pytest.mark.parametrize("model", [MODEL, SASREC], ids=["fame", "sasrec"])
def test_without_a_head_is_the_gate_with_0_there(model):
    trace = trace_history(model, HISTORY)
    listed = set(fused_table(trace, 5)["item"])
    expected = []
    for head in range(trace.heads):
        gate = np.where(np.arange(trace.heads) == head, 0, trace.gate)
        if not gate.any():
            expected.append(None)
            continue
        change = Intervention(gate=tuple(gate))
        without = fused_table(trace_history(model, HISTORY, intervention=change), 5)
        expected.append(5 - len(listed & set(without["item"])))
    assert new_without_head(trace, 5) == expected


def test_a_head_with_all_of_the_gate_cannot_be_done_without():
    trace = dataclasses.replace(trace_history(MODEL, HISTORY), gate=np.array([1.0, 0.0]))
    assert new_without_head(trace, 5)[0] is None
