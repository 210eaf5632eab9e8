"""The list after every click is the list of a history that ended there."""

import numpy as np
import pytest

from fame.lens import steps as steps_module
from fame.lens.steps import history_steps
from fame.lens.trace import fused_table, trace_history
from fame.models.sequence_model import Intervention
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
LONG = np.array([7, 7, 3, 12, 1, 20, 5, 9])  # three more than the model reads
CHANGE = Intervention(gate=(1.0, 3.0), muted=((0, 1),))


@pytest.mark.parametrize("history", [LONG, LONG[:4], LONG[:1]], ids=len)
@pytest.mark.parametrize(
    ("model", "change"), [(MODEL, None), (SASREC, None), (MODEL, CHANGE)], ids=str
)
@pytest.mark.parametrize("count", [None, 2, 99])
def test_every_step_is_a_trace_of_its_own(model, history, change, count):
    steps = history_steps(model, history, 4, count=count, intervention=change)
    wanted = min(len(history), 5 if count is None else count)
    assert steps.clicks.tolist() == list(range(len(history) - wanted, len(history)))
    for row, click in enumerate(steps.clicks):
        trace = trace_history(model, history[: click + 1], intervention=change)
        np.testing.assert_allclose(steps.gate[row], trace.gate)
        np.testing.assert_allclose(steps.router[row], trace.router)
        found = steps.lists[steps.lists["click"] == click]
        expected = fused_table(trace, 4)
        assert found["item"].tolist() == expected["item"].tolist()
        assert found["rank"].tolist() == expected["rank"].tolist()
        np.testing.assert_allclose(found["score"], expected["score"], atol=1e-12)


def test_only_the_latest_steps_are_made(monkeypatch):
    monkeypatch.setattr(steps_module, "MOST_STEPS", 2)
    assert history_steps(MODEL, LONG, 4).clicks.tolist() == [6, 7]


def test_what_was_clicked_later_may_stand_in_an_earlier_list():
    lists = history_steps(MODEL, LONG, NUM_ITEMS).lists
    at_first = set(lists[lists["click"] == 3]["item"])
    assert {20, 5, 9, 1} <= at_first and not at_first & {7, 3, 12}
