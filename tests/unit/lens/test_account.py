"""Any item's account: ranks everywhere, and a lead that is the exact sum of the heads'."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.lens.account import item_account
from fame.lens.trace import (
    fused_scores,
    fused_table,
    head_scores,
    item_ranks,
    ledger,
    trace_history,
)
from tests import reference
from tests.tiny import TINY, TINY_SASREC, random_model
from tests.twin import fame_twin

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
HISTORY = np.array([7, 7, 3, 12, 1, 20, 5, 9])
both_models = pytest.mark.parametrize("model", [MODEL, SASREC], ids=["fame", "sasrec"])


@both_models
@given(item=st.integers(1, NUM_ITEMS), k=st.integers(1, 14))
@settings(max_examples=12)
def test_the_account_is_what_the_lists_say(model, item, k):
    trace = trace_history(model, HISTORY)
    account = item_account(trace, item, k)
    rank, by_head = item_ranks(trace, item)
    assert account.rank == rank
    assert [None if pd.isna(own) else own for own in account.by_head["rank"]] == by_head
    assert (account.rank is None) == (item in HISTORY)
    assert account.candidates == NUM_ITEMS - len(set(HISTORY.tolist()))
    assert account.score == pytest.approx(fused_scores(trace)[item])
    np.testing.assert_allclose(account.by_head["score"], head_scores(trace)[:, item])
    np.testing.assert_allclose(account.by_head["contribution"], ledger(trace, np.array([item]))[0])
    # The leads add up, and are the same without centring.
    rival = account.rival
    assert account.lead == pytest.approx(account.by_head["lead"].sum())
    assert account.lead == pytest.approx(trace.scores[item] - trace.scores[rival])
    assert account.score - account.lead == pytest.approx(
        account.by_head["rival_contribution"].sum()
    )
    if item in HISTORY:
        return
    table = fused_table(trace, NUM_ITEMS)["item"].tolist()
    k = min(k, len(table) - 1)
    # Out of the list, the item at rank k has what it wanted; in it, the first one outside lost.
    assert rival == (table[k - 1] if rank > k else table[k])
    assert account.rival_rank == table.index(rival) + 1
    assert (account.lead > 0) == (rank <= k)


def test_the_lead_is_the_twins():
    trace, last = trace_history(MODEL, HISTORY), fame_twin(MODEL, HISTORY.tolist())[-1]
    account = item_account(trace, 15, 3)
    centred = [part.detach()[[15, account.rival]] for part in reference.centred(last.ledger)]
    expected = [float(item - rival) for item, rival in centred]
    np.testing.assert_allclose(account.by_head["lead"], expected, atol=1e-12)


def test_an_item_without_rivals_has_no_lead():
    history = np.array([item for item in range(1, NUM_ITEMS + 1) if item != 4])
    account = item_account(trace_history(MODEL, history), 4, 10)
    assert (account.rank, account.candidates) == (1, 1)
    assert account.rival is None and account.rival_rank is None
    assert np.isnan(account.lead)


def test_level_items_win_against_the_one_asked_about():
    trace = trace_history(MODEL, np.array([1]))
    level = np.array([-np.inf, *[0.0] * NUM_ITEMS])
    trace = dataclasses.replace(trace, scores=level, head_scores=np.stack([level] * 2))
    account = item_account(trace, 2, 3)
    assert account.rank == NUM_ITEMS - 1
    assert (account.lead, account.rival_rank) == (0, 3)


@pytest.mark.parametrize("item", [0, -1, NUM_ITEMS + 1])
def test_there_is_no_account_of_what_is_no_item(item):
    with pytest.raises(ValueError, match="there is no item"):
        item_account(trace_history(MODEL, HISTORY), item, 3)
