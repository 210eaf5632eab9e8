"""The gate over people and what each head adds, held against traces one by one."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from fame.facets import use as module
from fame.facets.use import favourites, ranks, use
from fame.lens.faithfulness import bootstrap_mean
from fame.lens.trace import item_ranks, trace_history
from fame.metrics import UNRANKED, gains
from fame.models.sequence_model import Intervention
from tests.tiny import TINY, TINY_SASREC, TINY_VALUES, random_model

V = 40
RNG = np.random.default_rng(3)
HISTORIES = [RNG.permutation(V)[: RNG.integers(1, 9)] + 1 for _ in range(30)]
TARGETS = RNG.integers(1, V + 1, 30)
COUNT = RNG.integers(1, 50, V)
THREE = replace(TINY, heads=3, width=12, score="fused-cosine")


def measured(model, repeats="exclude"):
    return use(model, HISTORIES, TARGETS, COUNT, repeats=repeats)


@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
@pytest.mark.parametrize("at_once", [1, 8_000_000])
@pytest.mark.parametrize("config", [TINY, TINY_VALUES, THREE])
def test_ranks_are_those_of_traces(config, at_once, repeats, monkeypatch):
    monkeypatch.setattr(module, "_SCORES", at_once)
    model = random_model(config, V)
    gate, found = ranks(model, HISTORIES, TARGETS, repeats=repeats)
    for person, (history, target) in enumerate(zip(HISTORIES, TARGETS, strict=True)):
        traced = trace_history(model, history, repeats=repeats)
        np.testing.assert_allclose(gate[person], traced.gate, atol=1e-12)
        fused, heads = item_ranks(traced, target)
        expected = [fused, *heads]
        for head in range(model.heads):
            rest = traced.gate.copy()
            rest[head] = 0
            without = trace_history(
                model, history, repeats=repeats, intervention=Intervention(gate=tuple(rest))
            )
            expected.append(item_ranks(without, target)[0])
        assert found[person].tolist() == [UNRANKED if rank is None else rank for rank in expected]


def test_figures_are_means_over_people_and_what_is_lost_is_paired():
    model = random_model(THREE, V)
    gate, found = ranks(model, HISTORIES, TARGETS, repeats="exclude")
    value = gains(found, 10)
    everybody, *_ = measured(model).cohorts
    assert (everybody.by, everybody.people) == ("all", 30)
    figures = everybody.accuracy["NDCG@10"]
    assert vars(figures.fused) == pytest.approx(vars(bootstrap_mean(value[:, 0])))
    for head in range(3):
        assert vars(figures.alone[head]) == pytest.approx(vars(bootstrap_mean(value[:, 1 + head])))
        lost = bootstrap_mean(value[:, 0] - value[:, 4 + head])
        assert vars(figures.lost[head]) == pytest.approx(vars(lost))
    assert everybody.accuracy["HR@10"].fused.mean == pytest.approx((found[:, 0] <= 10).mean())
    for head, share in enumerate(measured(model).gate):
        own = gate[:, head]
        assert vars(share.mean) == pytest.approx(vars(bootstrap_mean(own)))
        assert share.quantiles == pytest.approx(np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95]))
        assert share.largest == pytest.approx((own == gate.max(1)).mean())
    assert sum(share.largest for share in measured(model).gate) == pytest.approx(1)


def test_cohorts_part_the_people_by_what_they_say():
    model = random_model(TINY, V)
    found = measured(model)
    length = np.array([len(history) for history in HISTORIES])
    gate, ranked = ranks(model, HISTORIES, TARGETS, repeats="exclude")
    for by, sizes in (("length", length), ("popularity", COUNT[TARGETS - 1])):
        cohorts = [cohort for cohort in found.cohorts if cohort.by == by]
        assert 2 <= len(cohorts) <= 4 and sum(cohort.people for cohort in cohorts) == 30
        assert all(one.high < other.low for one, other in pairwise(cohorts))
        for number, cohort in enumerate(cohorts):
            who = (sizes >= cohort.low) & (sizes <= cohort.high)
            assert who.sum() == cohort.people
            mean = gains(ranked[who, 0], 10).mean()
            assert cohort.accuracy["NDCG@10"].fused.mean == pytest.approx(mean)
            if by == "length":
                for head in (0, 1):
                    share = found.gate[head].by_length[number].mean
                    assert share == pytest.approx(gate[who, head].mean())


def test_favourites_are_the_values_that_most_clicks_have_and_ties_are_nobodys(monkeypatch):
    monkeypatch.setattr(module, "FEWEST", 1)
    genres = [["A"], ["A", "B"], ["B"], ["C"], []]
    histories = [np.array(own) for own in ([1, 2], [2], [3, 3, 1], [4, 5], [5], [1, 3], [1])]
    facets = {"genres": genres, "kind": [["one"]] * 5}
    found = favourites(histories, facets)
    # A, A and B once; a tie; B twice; C alone; nothing; a tie; A.
    assert {value: np.flatnonzero(who).tolist() for value, who in found.items()} == {
        "genres=A": [0, 6], "genres=B": [2], "genres=C": [3]
    }  # fmt: skip
    assert next(iter(found)) == "genres=A"  # of most people
    monkeypatch.setattr(module, "FEWEST", 2)
    assert list(favourites(histories, facets)) == ["genres=A"]
    monkeypatch.setattr(module, "COHORTS", 1)
    monkeypatch.setattr(module, "FEWEST", 1)
    assert list(favourites(histories, facets)) == ["genres=A"]


def test_favourites_are_what_counters_find(monkeypatch):
    monkeypatch.setattr(module, "FEWEST", 1)
    monkeypatch.setattr(module, "COHORTS", 99)
    rng = np.random.default_rng(4)
    values = [[f"v{v}" for v in rng.permutation(6)[: rng.integers(0, 4)]] for _ in range(V)]
    found = favourites(HISTORIES, {"x": values})
    for person, history in enumerate(HISTORIES):
        first = Counter(value for item in history for value in values[item - 1]).most_common(2)
        alone = first and (len(first) == 1 or first[0][1] > first[1][1])
        own = [value for value, who in found.items() if who[person]]
        assert own == ([f"x={first[0][0]}"] if alone else [])


def test_planted_favourites_part_the_people_and_permuted_values_do_not(monkeypatch):
    """Half of the people click kind a alone, and only the first head finds what they click next."""
    monkeypatch.setattr(module, "FEWEST", 5)
    people, half = 200, 100
    histories = [
        np.array([1, 2]) if person < half else np.array([3, 4]) for person in range(people)
    ]
    kinds = [["a"], ["a"], ["b"], ["b"]] + [["c"]] * 4
    hit = np.arange(people) < half
    good, bad = np.where(hit, 1, 999), np.where(hit, 999, 1)
    ranked = np.stack([np.ones(people), good, bad, bad, good], axis=1).astype(int)
    gate = np.full((people, 2), 0.5)
    monkeypatch.setattr(module, "ranks", lambda *args, **kwargs: (gate, ranked))

    def cohorts(facet):
        found = use(
            random_model(TINY, 8), histories, np.full(people, 5), np.full(8, 3), repeats="exclude",
            facets={"kind": facet},
        )  # fmt: skip
        return {one.value: one for one in found.cohorts if one.by == "value"}

    found = cohorts(kinds)
    assert {value: one.people for value, one in found.items()} == {"kind=a": 100, "kind=b": 100}
    lost = {value: one.accuracy["HR@10"].lost for value, one in found.items()}
    assert [one.mean for one in lost["kind=a"]] == [1, 0]
    assert [one.mean for one in lost["kind=b"]] == [0, 1]
    assert lost["kind=a"][0].low == 1  # for everybody, so surely
    mixed = cohorts([["a", "b"]] * 4 + [["c"]] * 4)  # every click is of both: nobody has one
    assert mixed == {}
    dealt = cohorts([["a"], ["b"], ["a"], ["b"]] + [["c"]] * 4)  # each has one of either: a tie
    assert dealt == {}


def test_people_who_are_all_alike_are_one_cohort():
    found = use(
        random_model(TINY, V), [history[:1] for history in HISTORIES], TARGETS, np.full(V, 5),
        repeats="exclude",
    )  # fmt: skip
    assert [(cohort.by, cohort.people) for cohort in found.cohorts] == [
        ("all", 30), ("length", 30), ("popularity", 30)
    ]  # fmt: skip


def test_a_head_with_all_of_the_gate_is_all_that_there_is_to_lose():
    model = random_model(TINY, V)
    with torch.no_grad():
        model.gate.weight.zero_()
        model.gate.bias.copy_(torch.tensor([0.0, -900.0]))
    found = measured(model)
    figures = found.cohorts[0].accuracy["HR@10"]
    assert figures.fused == figures.alone[0] == figures.lost[0]
    assert figures.fused.mean > 0.1 and figures.lost[1].mean == 0
    assert [share.largest for share in found.gate] == [1, 0]


def test_the_head_that_finds_what_came_next_is_missed_and_the_other_is_not():
    """For everybody, for every other person, and for nobody."""
    people = np.arange(200)
    lost = {}
    for name, found in (("all", people >= 0), ("half", people % 2 == 0), ("none", people < 0)):
        good = np.where(found, 1, 999)
        bad = np.full(200, 999)
        ranked = np.stack([good, good, bad, bad, good], axis=1)  # fused, alone twice, without twice
        figures = module._accuracy(ranked, 0)["HR@10"]
        assert figures.alone[0] == figures.fused and figures.alone[1].mean == 0
        assert figures.lost[1].mean == 0
        lost[name] = figures.lost[0]
    assert lost["all"].mean == 1 and lost["none"].mean == 0
    assert lost["half"].mean == 0.5 and 0.4 < lost["half"].low < 0.5 < lost["half"].high < 0.6


def test_models_without_ranking_heads_have_no_use_and_one_head_nothing_to_lose():
    assert measured(random_model(TINY_SASREC, V)) is None
    one = measured(random_model(replace(TINY, heads=1), V)).cohorts[0].accuracy["HR@10"]
    assert one.lost == [] and one.alone == [one.fused]
