"""Lists with an expert alone and without it, held against the account of every single person."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fame.facets import expert_lists as module
from fame.facets.expert_lists import LIST_LENGTH, expert_lists
from fame.lens.experts import expert_account
from fame.lens.faithfulness import bootstrap_mean
from fame.lens.trace import fused_table, trace_history
from tests.tiny import TINY, TINY_SASREC, random_model

V = 40
RNG = np.random.default_rng(3)
HISTORIES = [RNG.permutation(V)[: RNG.integers(1, 9)] + 1 for _ in range(30)]
TARGETS = np.array(
    [int(RNG.choice(np.setdiff1d(np.arange(V) + 1, history))) for history in HISTORIES]
)


@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
@pytest.mark.parametrize("at_once", [1, 700, 8_000_000])
def test_lists_are_those_of_every_persons_account(repeats, at_once, monkeypatch):
    monkeypatch.setattr(module, "_SCORES", at_once)
    model = random_model(TINY, V, seed=5)  # both heads' experts matter
    found = expert_lists(model, HISTORIES, TARGETS, repeats=repeats, seed=2)
    assert [(one.head, one.expert) for one in found] == list(np.ndindex(2, 3))
    traces = [trace_history(model, history, repeats=repeats) for history in HISTORIES]
    own = [
        target in fused_table(trace, LIST_LENGTH)["item"].tolist()
        for trace, target in zip(traces, TARGETS, strict=True)
    ]
    for one in found:
        accounts = [
            expert_account(model, trace, one.head, one.expert, LIST_LENGTH) for trace in traces
        ]
        for kind in ("alone", "without"):
            measured = getattr(one, kind)
            stay = [getattr(account, f"shared_{kind}") / LIST_LENGTH for account in accounts]
            hit = [
                target in getattr(account, kind)["item"].tolist()
                for account, target in zip(accounts, TARGETS, strict=True)
            ]
            assert measured.stay == bootstrap_mean(np.array(stay), seed=2)
            assert measured.hit_rate == bootstrap_mean(np.array(hit, dtype=float), seed=2)
            gain = np.array(hit, dtype=float) - np.array(own, dtype=float)
            assert measured.gain == bootstrap_mean(gain, seed=2)


def test_an_expert_that_the_router_never_asks_changes_nothing():
    model = random_model(TINY, V, seed=5)
    with torch.no_grad():
        model.attention.router_bias[0] = torch.tensor([0.0, 0.0, -1e4])
    for one in expert_lists(model, HISTORIES, TARGETS, repeats="exclude"):
        assert one.changes_nothing == ((one.head, one.expert) == (0, 2))
        if one.changes_nothing:
            assert (one.without.stay.mean, one.without.gain.mean) == (1, 0)
            assert one.alone.stay.mean < 1


def test_one_expert_no_experts_and_a_whole_catalogue_read():
    one = expert_lists(
        random_model(replace(TINY, experts=1), V), HISTORIES, TARGETS, repeats="exclude"
    )
    assert [(found.alone.stay.mean, found.without) for found in one] == [(1.0, None)] * 2
    assert not any(found.changes_nothing for found in one)
    assert expert_lists(random_model(TINY_SASREC, V), HISTORIES, TARGETS, repeats="exclude") == []
    everything = [np.arange(1, V + 1)]
    for found in expert_lists(random_model(TINY, V), everything, np.array([1]), repeats="exclude"):
        assert (found.alone.stay.mean, found.alone.hit_rate.mean) == (1, 0)
