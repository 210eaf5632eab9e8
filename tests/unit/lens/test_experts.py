"""One expert's account is that of the interventions it names."""

import numpy as np
import pytest

from fame.errors import FameError
from fame.lens.experts import expert_account
from fame.lens.trace import fused_table, trace_history
from fame.models.sequence_model import Intervention
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
HISTORY = np.array([7, 7, 3, 12, 1, 20, 5, 9])


def account(head, expert, change=None, k=6):
    trace = trace_history(MODEL, HISTORY, intervention=change)
    return expert_account(MODEL, trace, head, expert, k, intervention=change)


def listed(change, k=6):
    return fused_table(trace_history(MODEL, HISTORY, intervention=change), k)


@pytest.mark.parametrize("pair", [(0, 0), (1, 2)])
def test_alone_and_without_are_solo_and_mute(pair):
    found = account(*pair)
    trace = trace_history(MODEL, HISTORY)
    assert found.share == trace.router[pair]
    np.testing.assert_array_equal(found.attention, trace.attention[pair])
    assert found.attention.sum() == pytest.approx(1) and len(found.attention) == 5
    alone, without = listed(Intervention(solo=(pair,))), listed(Intervention(muted=(pair,)))
    assert found.alone.equals(alone)
    assert found.without is not None and found.without.equals(without)
    present = set(fused_table(trace, 6)["item"])
    assert found.shared_alone == len(present & set(alone["item"]))
    assert found.shared_without == len(present & set(without["item"]))


def test_the_desk_stays_as_it_is_elsewhere():
    """The gate and the other heads keep their change; in this head it is alone, or away as well."""
    desk = Intervention(gate=(1.0, 3.0), muted=((0, 1), (1, 0)), solo=((1, 1),))
    found = account(0, 1, desk)
    kept = {"gate": (1.0, 3.0), "solo": ((1, 1),)}
    alone = Intervention(**kept | {"solo": ((1, 1), (0, 1))}, muted=((1, 0),))
    assert found.alone.equals(listed(alone))
    assert found.share == 0
    assert found.without is not None and found.without.equals(listed(desk))


def test_the_only_expert_left_cannot_be_done_without():
    for desk in (Intervention(solo=((0, 1),)), Intervention(muted=((0, 0), (0, 2)))):
        found = account(0, 1, desk)
        assert found.without is None and found.shared_without is None
        assert found.shared_alone == 6


@pytest.mark.parametrize("pair", [(9, 0), (0, 3)])
def test_an_expert_that_is_not_there_is_refused(pair):
    with pytest.raises(FameError, match=f"no expert {pair[0]}:{pair[1]}"):
        account(*pair)


def test_a_model_without_experts_says_so():
    sasrec = random_model(TINY_SASREC, NUM_ITEMS)
    with pytest.raises(FameError, match="no experts"):
        expert_account(sasrec, trace_history(sasrec, HISTORY), 0, 0, 5)
