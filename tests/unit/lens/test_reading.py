"""Many histories at once say what each says alone in a trace."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.lens import reading
from fame.lens.reading import contributions, fused_scores, head_scores, read_histories, read_steps
from fame.lens.trace import fused_table, head_table, ledger, trace_history
from fame.models.sequence_model import Intervention
from fame.ranking import only_candidates, top_lists
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
HISTORIES = [np.array(h) for h in ([7, 7, 3, 12, 1, 20, 5, 9], [4], [2, 3, 2], [8, 1, 6, 5, 19])]
CHANGE = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 2),))

both_models = pytest.mark.parametrize("model", [MODEL, SASREC], ids=["fame", "sasrec"])


@pytest.mark.parametrize(
    ("model", "change"), [(MODEL, None), (SASREC, None), (MODEL, CHANGE)], ids=str
)
@pytest.mark.parametrize("positions", [1, 10_000])
def test_a_batch_says_what_every_trace_says(model, change, positions, monkeypatch):
    """Whatever the batches are cut into; order and padding change nothing."""
    monkeypatch.setattr(reading, "_POSITIONS", positions)
    readings = read_histories(model, HISTORIES, intervention=change)
    assert len(readings) == len(HISTORIES)
    fused, by_head = fused_scores(model, readings), head_scores(model, readings)
    items = np.array([5, 20, 5])
    accounts = contributions(model, readings, items)
    for row, history in enumerate(HISTORIES):
        trace = trace_history(model, history, intervention=change)
        np.testing.assert_allclose(readings.gate[row], trace.gate)
        np.testing.assert_allclose(readings.router[row], trace.router)
        np.testing.assert_allclose(fused[row], trace.scores)
        np.testing.assert_allclose(by_head[:, row], trace.head_scores)
        np.testing.assert_allclose(accounts[row], ledger(trace, items), atol=1e-12)


@both_models
@given(history=st.lists(st.integers(1, NUM_ITEMS), min_size=1, max_size=9).map(np.array))
@settings(max_examples=6)
def test_steps_are_readings_of_every_prefix(model, history):
    """In one pass up to the model's length, and in windows of their own from there on."""
    for first in (0, len(history) - 1):
        steps = read_steps(model, history, first)
        prefixes = [history[: end + 1] for end in range(first, len(history))]
        expected = read_histories(model, prefixes)
        for field in ("query", "gate", "router", "head_states"):
            torch.testing.assert_close(getattr(steps, field), getattr(expected, field))


@both_models
@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
def test_lists_are_those_of_the_traces(model, repeats):
    readings = read_histories(model, HISTORIES)
    fused = top_lists(only_candidates(fused_scores(model, readings), HISTORIES, repeats), 6)
    by_head = top_lists(only_candidates(head_scores(model, readings), HISTORIES, repeats), 6)
    for row, history in enumerate(HISTORIES):
        trace = trace_history(model, history, repeats=repeats)
        assert fused[row].tolist() == fused_table(trace, 6)["item"].tolist()
        own = head_table(trace, 6).groupby("head")["item"].apply(list).tolist()
        assert by_head[:, row].tolist() == own


def test_a_list_ends_where_nothing_is_left_to_recommend():
    history = np.arange(1, NUM_ITEMS - 1)
    scores = fused_scores(MODEL, read_histories(MODEL, [history]))
    only_candidates(scores, [history], "exclude")
    (found,) = top_lists(scores, 4).tolist()
    assert sorted(found[:2]) == [NUM_ITEMS - 1, NUM_ITEMS]
    assert found[2:] == [0, 0]
    assert top_lists(scores, 99).shape == (1, NUM_ITEMS)


def test_a_model_in_training_is_not_read():
    model = random_model(TINY, NUM_ITEMS).train()
    with pytest.raises(RuntimeError, match="eval mode"):
        read_histories(model, HISTORIES)
    with pytest.raises(RuntimeError, match="eval mode"):
        read_steps(model, HISTORIES[0], 0)


def test_nothing_is_read_from_an_empty_history():
    with pytest.raises(ValueError, match="at least one item"):
        read_histories(MODEL, [np.array([1]), np.array([], dtype=np.int64)])
    with pytest.raises(ValueError, match="at least one item"):
        read_histories(MODEL, [])
