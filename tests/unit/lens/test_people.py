"""People worth showing: figures by slow traces, and rules that pick whom they should."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from fame.lens import people
from fame.lens.people import (
    RULES,
    BaseRate,
    base_rates,
    everybodys_figures,
    most_routed,
    worth_showing,
)
from fame.lens.trace import head_table, item_ranks, trace_history
from fame.metrics import UNRANKED
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 60
THREE = random_model(TINY.__class__(**{**TINY.to_dict(), "width": 9, "heads": 3}), NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
HISTORIES = [np.array(h) for h in ([7, 7, 3, 12, 1, 20, 5, 9], [4], [2, 3, 2], [8, 1, 6], [9, 5])]
TARGETS = np.array([6, 9, 2, 30, 4])  # the third stands in its own history


@pytest.mark.parametrize("model", [THREE, SASREC], ids=["fame", "sasrec"])
@pytest.mark.parametrize("batch", [2, 256])
@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
def test_figures_are_those_of_the_traces(model, batch, repeats, monkeypatch):
    monkeypatch.setattr(people, "_BATCH", batch)
    told = []
    found = everybodys_figures(
        model, HISTORIES, TARGETS, repeats=repeats, on_person=lambda *done: told.append(done)
    )
    assert told[-1] == (5, 5)
    for row, (history, target) in enumerate(zip(HISTORIES, TARGETS, strict=True)):
        trace, figures = trace_history(model, history, repeats=repeats), found.people.iloc[row]
        rank, by_head = item_ranks(trace, int(target))
        rank, by_head = rank or UNRANKED, [own or UNRANKED for own in by_head]
        best = int(np.argmin(by_head))
        assert figures["length"] == len(history)
        assert figures["gate"] == pytest.approx(trace.gate.max())
        assert figures["gate_head"] == trace.gate.argmax()
        assert figures["rank"] == rank
        assert (figures["best_head"], figures["best_head_rank"]) == (best, by_head[best])
        np.testing.assert_allclose(found.router[row], trace.router)
        if len(history) > 1:
            before = trace_history(model, history[:-1]).gate
            moved = np.abs(trace.gate - before).sum() / 2
            assert figures["gate_move"] == pytest.approx(moved, abs=1e-12)
        else:
            assert np.isnan(figures["gate_move"])
        own = head_table(trace, 20).groupby("head")["item"].apply(set).tolist()
        shared = [len(a & b) / 20 for a, b in combinations(own, 2)]
        if shared:
            assert figures["shared"] == pytest.approx(np.mean(shared))
        else:
            assert np.isnan(figures["shared"])


def figures(**columns):
    """Six people; what is not given is the same for all."""
    same = {
        "length": 5, "gate": 0.5, "gate_head": 0, "gate_move": 0.0, "shared": 0.5, "rank": 50,
        "best_head": 0, "best_head_rank": 50,
    }  # fmt: skip
    return pd.DataFrame({name: columns.get(name, [value] * 6) for name, value in same.items()})


USERS = list("abcdef")


def users(table, name, count=3):
    return [row["user"] for row in worth_showing(table, USERS, count)[name]]


def test_every_list_has_its_figures():
    lists = worth_showing(figures(rank=[1, 5, 11, 11, 50, 50], best_head_rank=[20] * 6), USERS)
    assert list(lists) == list(RULES)
    for name, rows in lists.items():
        for row in rows:
            assert list(row) == ["user", *RULES[name].figures]
            assert all(type(value) in (str, int, float) for value in row.values())


def test_the_clearest_case_stands_first():
    assert users(figures(gate=[0.5, 0.9, 0.6, 0.9, 0.7, 0.5]), "one_head_rules") == list("bde")
    assert users(figures(shared=[0.5, 0.1, 0.0, 0.1, 0.9, 1.0]), "heads_disagree") == list("cbd")
    move = [0.1, np.nan, 0.5, 0.2, 0.0, np.nan]
    assert users(figures(gate_move=move), "gate_flips", 9) == list("cdae")
    assert users(figures(length=[1, 9, 3, 9, 2, 4]), "longest") == list("bdf")


def test_fusion_hits_where_every_head_misses():
    table = figures(rank=[10, 3, 11, 1, 9, 2], best_head_rank=[11, 40, 90, 10, 12, 15])
    assert users(table, "fusion_hits", 9) == list("bfea")  # by places won


def test_one_head_would_have_been_better():
    table = figures(rank=[11, 30, 10, 500, 12, 70], best_head_rank=[10, 9, 1, 11, 1, 8])
    assert users(table, "one_head_better", 9) == list("fbea")


def test_a_model_with_one_head_has_long_histories_only():
    table = figures(shared=[np.nan] * 6, rank=[1] * 6, best_head_rank=[20] * 6)
    lists = worth_showing(table, USERS)
    assert {name for name, rows in lists.items() if rows} == {"longest"}


def test_base_rates_count_everybody_and_not_only_who_is_listed():
    table = figures(
        gate=[0.5, 0.9, 0.6, 0.9, 0.7, 0.5],
        gate_move=[0.1, np.nan, 0.5, 0.2, 0.0, np.nan],
        length=[1, 9, 3, 9, 2, 4],
        rank=[10, 3, 11, 1, 9, 11],
        best_head_rank=[11, 40, 90, 10, 12, 10],
    )
    found = base_rates(table)
    assert set(found) == set(RULES)
    assert found["one_head_rules"] == BaseRate(6, pytest.approx(0.65))
    assert found["heads_disagree"] == BaseRate(6, 0.5)
    assert found["gate_flips"] == BaseRate(4, pytest.approx(0.15))  # two have one click alone
    assert found["longest"] == BaseRate(6, 3.5)
    assert found["fusion_hits"] == BaseRate(3, None)
    assert found["one_head_better"] == BaseRate(1, None)
    for name, rows in worth_showing(table, USERS, 2).items():
        assert len(rows) == min(2, found[name].meeting)


def test_a_model_with_one_head_has_the_base_rate_of_long_histories_only():
    found = base_rates(figures(shared=[np.nan] * 6, rank=[1] * 6, best_head_rank=[20] * 6))
    assert found.pop("longest") == BaseRate(6, 5.0)
    assert set(found.values()) == {BaseRate(0, None)}


def test_an_expert_serves_those_most_whose_router_trusts_it_most():
    router = np.array([[[0.1, 0.9]], [[0.7, 0.3]], [[0.7, 0.3]]])
    assert most_routed(router, ["a", "b", "c"], 2) == [
        [
            [{"user": "b", "share": 0.7}, {"user": "c", "share": 0.7}],
            [{"user": "a", "share": 0.9}, {"user": "b", "share": 0.3}],
        ]
    ]
    assert most_routed(np.zeros((3, 1, 0)), ["a", "b", "c"]) == [[]]
