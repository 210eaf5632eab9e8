"""From one history to tables: what is shown adds up and holds no item that was seen."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.sequences import held_out
from fame.errors import FameError
from fame.evaluate import model_ranks, read_heads
from fame.lens.trace import (
    centre,
    fused_scores,
    fused_table,
    head_scores,
    head_table,
    item_ranks,
    leave_out,
    ledger,
    trace_history,
)
from fame.metrics import UNRANKED
from fame.models.sequence_model import Intervention
from tests import reference
from tests.tiny import TINY, TINY_SASREC, interactions_of, random_model
from tests.twin import fame_twin

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
LONG = np.array([7, 7, 3, 12, 1, 20, 5, 9])  # three more than the model reads

histories = st.lists(st.integers(1, NUM_ITEMS), min_size=1, max_size=12).map(np.array)
both_models = pytest.mark.parametrize("model", [MODEL, SASREC], ids=["fame", "sasrec"])


def assert_same(first: object, second: object) -> None:
    for field in dataclasses.fields(first):
        if field.name not in ("history", "seen_from", "repeats", "values"):
            np.testing.assert_allclose(getattr(first, field.name), getattr(second, field.name))


def test_a_trace_is_the_twins_account_of_the_last_position():
    trace, expected = trace_history(MODEL, LONG), fame_twin(MODEL, LONG.tolist())
    last = expected[-1]
    np.testing.assert_allclose(trace.scores[1:], last.scores.detach()[1:])
    for head in range(TINY.heads):
        np.testing.assert_allclose(trace.head_scores[head, 1:], last.head_scores[head].detach()[1:])
        for expert in range(TINY.experts):
            attention = [float(share.detach()) for share in last.attention[head][expert]]
            np.testing.assert_allclose(trace.attention[head, expert], attention)
    for t, position in enumerate(expected):
        np.testing.assert_allclose(trace.gate_path[t], position.gate.detach())
        for head in range(TINY.heads):
            np.testing.assert_allclose(trace.router_path[t, head], position.router[head].detach())
    np.testing.assert_array_equal(trace.gate, trace.gate_path[-1])
    np.testing.assert_array_equal(trace.router, trace.router_path[-1])


@both_models
def test_of_a_long_history_the_last_clicks_are_read_and_all_are_excluded(model):
    trace, short = trace_history(model, LONG), trace_history(model, LONG[-5:])
    assert (trace.seen_from, short.seen_from) == (3, 0)
    assert trace.history.tolist() == LONG.tolist()
    assert_same(trace, short)
    assert not trace.candidates[LONG].any()
    assert short.candidates[7]


@both_models
@given(history=histories, k=st.integers(1, 25))
@settings(max_examples=15)
def test_lists_hold_no_padding_and_nothing_of_the_history(model, history, k):
    trace = trace_history(model, history)
    length = min(k, NUM_ITEMS - len(set(history.tolist())))
    tables = [table for _, table in head_table(trace, k).groupby("head")]
    assert len(tables) == trace.heads
    for table in (*tables, fused_table(trace, k)):
        items = table["item"].tolist()
        assert len(items) == len(set(items)) == length
        assert not {0, *history.tolist()} & set(items)
        assert table["rank"].tolist() == list(range(1, length + 1))
        assert table["score"].is_monotonic_decreasing


@both_models
@pytest.mark.parametrize("raw", [False, True])
def test_every_fused_score_is_the_sum_of_its_ledger(model, raw):
    trace = trace_history(model, LONG)
    table = fused_table(trace, 10, raw=raw)
    by_head = table[[f"head_{head}" for head in range(trace.heads)]]
    np.testing.assert_allclose(by_head.sum(axis=1), table["score"], atol=1e-12)
    np.testing.assert_allclose(ledger(trace, table["item"].to_numpy(), raw=raw), by_head)
    np.testing.assert_allclose(fused_scores(trace, raw=raw)[table["item"]], table["score"])


def test_the_shown_ledger_is_the_twins_centred_one():
    trace, last = trace_history(MODEL, LONG), fame_twin(MODEL, LONG.tolist())[-1]
    centred = [account.detach().numpy()[1:] for account in reference.centred(last.ledger)]
    np.testing.assert_allclose(ledger(trace, np.arange(1, NUM_ITEMS + 1)).T, centred, atol=1e-12)
    raw = [account.detach().numpy()[1:] for account in last.ledger]
    np.testing.assert_allclose(
        ledger(trace, np.arange(1, NUM_ITEMS + 1), raw=True).T, raw, atol=1e-12
    )


def test_centring_takes_the_mean_of_the_real_items_off():
    scores = np.array([[-np.inf, 1.0, 2.0, 6.0], [-np.inf, 0.0, 0.0, 0.0]])
    expected = [[-np.inf, -2.0, -1.0, 3.0], [-np.inf, 0.0, 0.0, 0.0]]
    assert centre(scores).tolist() == expected


@both_models
def test_centring_changes_no_list(model):
    trace = trace_history(model, LONG)
    for table in (head_table, fused_table):
        assert table(trace, 8)["item"].tolist() == table(trace, 8, raw=True)["item"].tolist()
    assert np.isneginf(head_scores(trace)[:, 0]).all()


@both_models
@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
def test_ranks_are_those_of_the_evaluation(model, repeats):
    """One rank of an item, wherever it is told."""
    sequences = [[3, 1, 4], [2, 2, 6, 2], LONG.tolist(), [8, 9]]
    data = dataclasses.replace(interactions_of(sequences, NUM_ITEMS), repeats=repeats)
    fused = model_ranks(model, data, "test")
    by_head = read_heads(model, data, "test").ranks
    assert len(held_out(data, "test")) == len(sequences)
    for index, sequence in enumerate(sequences):
        trace = trace_history(model, np.array(sequence[:-1]), repeats=repeats)
        rank, ranks = item_ranks(trace, sequence[-1])
        assert (rank or UNRANKED) == fused[index]
        assert [own or UNRANKED for own in ranks] == [head[index] for head in by_head]


@both_models
def test_the_rank_of_a_listed_item_is_its_place(model):
    trace = trace_history(model, LONG)
    for row in fused_table(trace, 30).itertuples():
        assert item_ranks(trace, row.item)[0] == row.rank
    for row in head_table(trace, 30).itertuples():
        assert item_ranks(trace, row.item)[1][row.head] == row.rank


def test_level_items_stand_before_the_ranked_one():
    trace = dataclasses.replace(
        trace_history(MODEL, np.array([1])),
        scores=np.array([-np.inf, *[0.0] * NUM_ITEMS]),
    )
    assert item_ranks(trace, 5)[0] == NUM_ITEMS - 1  # all but the one in the history
    assert item_ranks(trace, 1) == (None, [None] * TINY.heads)  # in no list
    again = dataclasses.replace(trace, repeats="recommend")
    assert item_ranks(again, 1)[0] == NUM_ITEMS
    assert fused_table(trace, 3)["item"].tolist() == [2, 3, 4]


def test_the_gate_of_one_head_gives_that_heads_list():
    plain = head_table(trace_history(MODEL, LONG), 10)
    for head in range(TINY.heads):
        gate = tuple(float(h == head) for h in range(TINY.heads))
        trace = trace_history(MODEL, LONG, intervention=Intervention(gate=gate))
        assert trace.gate.tolist() == list(gate)
        fused, own = fused_table(trace, 10), plain[plain["head"] == head]
        assert fused["item"].tolist() == own["item"].tolist()
        np.testing.assert_allclose(fused["score"], own["score"])


def test_gate_and_router_are_told_as_applied():
    intervention = Intervention(gate=(1.0, 3.0), muted=((0, 0),), solo=((1, 2),))
    trace = trace_history(MODEL, LONG, intervention=intervention)
    assert trace.gate.tolist() == [0.25, 0.75]
    assert trace.router[0, 0] == 0 and trace.router[0].sum() == pytest.approx(1)
    assert trace.router[1].tolist() == [0.0, 0.0, 1.0]


@both_models
def test_leaving_a_click_out_equals_a_history_without_it(model):
    """Positions close up, and an older click moves into the window."""
    without = leave_out(LONG, 20)
    assert without.tolist() == [7, 7, 3, 12, 1, 5, 9]
    trace = trace_history(model, without)
    assert trace.history[trace.seen_from :].tolist() == [3, 12, 1, 5, 9]
    assert trace.candidates[20]
    assert_same(trace, trace_history(model, np.array([3, 12, 1, 5, 9])))


def test_every_click_on_an_item_is_left_out():
    assert leave_out(LONG, 7).tolist() == [3, 12, 1, 20, 5, 9]


def test_an_item_nobody_clicked_cannot_be_left_out():
    with pytest.raises(FameError, match="is not in the history"):
        leave_out(LONG, 2)


def test_the_last_item_of_a_history_cannot_be_left_out():
    with pytest.raises(FameError, match="makes the history empty"):
        leave_out(np.array([4, 4]), 4)


def test_an_empty_history_is_refused():
    with pytest.raises(ValueError, match="at least one item"):
        trace_history(MODEL, np.array([], dtype=np.int64))


def test_sasrec_is_told_as_one_head_without_experts():
    trace = trace_history(SASREC, LONG)
    assert (trace.heads, trace.experts) == (1, 0)
    assert trace.gate.tolist() == [1.0]
    assert trace.router.shape == (1, 0)
    np.testing.assert_allclose(trace.head_scores[0], trace.scores)
