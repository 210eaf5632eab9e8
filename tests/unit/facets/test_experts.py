"""Whom experts serve: loops over people, routers built to follow a value, and what chance gives."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fame.facets import experts as module
from fame.facets.experts import (
    EXPECTED_CLICKS,
    SERVED_PEOPLE,
    ExpertGoals,
    ExpertUse,
    ValueLift,
    expert_goals,
    expert_share,
    experts_of_router,
    experts_report,
    lifts,
    permuted_routers,
    sharpness,
    supported,
    value_counts,
)
from fame.facets.values import value_indicator, value_names
from fame.lens.reading import read_histories
from tests import planted
from tests.tiny import TINY, TINY_SASREC, random_model

V, U, H, E = 30, 60, 2, 3
RNG = np.random.default_rng(7)
VALUES = {
    "brand": [[one] if one else [] for one in RNG.choice([*"aaaabc", ""], V).tolist()],
    "genres": [
        RNG.choice([*"xyz"], RNG.integers(0, 4), p=[0.8, 0.1, 0.1]).tolist() for _ in range(V)
    ],
}
READ = [RNG.integers(1, V + 1, RNG.integers(1, 12)) for _ in range(U)]
TARGETS = RNG.integers(1, V + 1, U)
ROUTER = RNG.dirichlet([0.4] * E, size=(U, H))  # (U, H, E)


def entropy(shares) -> float:
    return -sum(p * math.log(p) for p in shares if p > 0)


# --- the slow twin ----------------------------------------------------------------------------


def test_share_and_sharpness_are_those_of_loops():
    for head in range(H):
        mean = [math.fsum(ROUTER[u, head, e] for u in range(U)) / U for e in range(E)]
        own = math.fsum(entropy(ROUTER[u, head]) for u in range(U)) / U
        assert expert_share(ROUTER)[head] == pytest.approx((entropy(mean) - own) / math.log(E))
        assert sharpness(ROUTER)[head] == pytest.approx(1 - own / math.log(E))
    found = experts_of_router(ROUTER, READ, TARGETS, VALUES)
    assert found.expert_share == expert_share(ROUTER).tolist()
    assert [(one.head, one.expert) for one in found.experts] == list(np.ndindex(H, E))
    for one in found.experts:
        assert one.load == pytest.approx(ROUTER[:, one.head, one.expert].mean())
        assert one.sharpness == sharpness(ROUTER)[one.head]


@pytest.mark.parametrize("facet", list(VALUES))
def test_lifts_and_support_are_those_of_loops(facet):
    counts = value_counts(READ, value_indicator(VALUES[facet]))
    clicks = np.array([len(own) for own in READ], dtype=float)
    router = ROUTER.reshape(U, -1)
    found, enough = lifts(router, counts, clicks), supported(router, counts, clicks)
    names = value_names(VALUES[facet])
    assert set(names) == {value for own in VALUES[facet] for value in own} and len(names) == 3
    some = set()
    for w, value in enumerate(names):
        times = [sum(value in set(VALUES[facet][item - 1]) for item in own) for own in READ]
        base = math.fsum(times) / math.fsum(clicks)
        for x in range(H * E):
            weight = router[:, x].tolist()
            served = math.fsum(b * n for b, n in zip(weight, times, strict=True))
            everything = math.fsum(b * n for b, n in zip(weight, clicks, strict=True))
            assert found[w, x] == pytest.approx(served / everything / base)
            squares = math.fsum((b * n) ** 2 for b, n in zip(weight, times, strict=True))
            behind = everything * base >= EXPECTED_CLICKS and served**2 / squares >= SERVED_PEOPLE
            assert enough[w, x] == behind
            some.add(behind)
    assert some == {True, False}, "both sides of the rule are met"


def test_a_lift_of_few_people_has_no_support_however_many_their_clicks():
    """9 people with 100 clicks of value a each; the tenth makes them enough."""
    values = {"kind": [["a"], ["b"]]}
    read = [np.full(100, 1)] * 10 + [np.full(100, 2)] * 90
    counts, clicks = value_counts(read, value_indicator(values["kind"])), np.full(100, 100.0)
    router = np.zeros((100, 2))
    router[:10, 0] = 1
    router[:, 1] = 1 - router[:, 0]
    assert supported(router, counts, clicks)[0].tolist() == [True, False]
    router[0] = [0, 1]
    assert supported(router, counts, clicks)[0].tolist() == [False, False]


def test_what_the_model_reads_is_what_counts():
    """Clicks older than the model reads are no clicks; its routers are those at the last one."""
    model = random_model(TINY, V)
    long = [np.concatenate([RNG.integers(1, V + 1, 20), own]) for own in READ]
    read = [own[-TINY.max_length :] for own in long]
    router = read_histories(model, long).router.numpy()
    found = experts_report(model, long, TARGETS, VALUES, seed=3)
    assert found == experts_of_router(router, read, TARGETS, VALUES, seed=3)
    assert found != experts_of_router(router, long, TARGETS, VALUES, seed=3)
    assert found == experts_report(model, long, TARGETS, VALUES, seed=3)


# --- known truth ------------------------------------------------------------------------------


def following_model(value: int = 0, *, strength: float = 400.0):
    """Expert 1 of the head "genres" has all who clicked genre ``value``, expert 2 all others.

    Attention is even and carries the one-hot genres, so the router reads how large a part of the
    clicks has the value, and its threshold is half a click. ``strength`` is how sharp it is; the
    head "year" stays even.
    """
    model = planted.built_model("genres/year")
    attention, K = model.attention, model.config.head_width
    with torch.no_grad():
        model.position_embedding.weight.zero_()
        attention.query.weight.zero_()
        attention.query.bias.zero_()
        slot = model.item_vectors()[1:, :K].argmax(1)[planted.GENRE.tolist().index(value)]
        seen = model.embedding_norm(model.item_vectors()[1:])[:, slot]
        low, high = seen.min(), seen.max()
        attention.value.weight[slot, slot] = 1 / (high - low)
        attention.value.bias[slot] = -low / (high - low)
        attention.router_weight.zero_()
        attention.router_bias.zero_()
        attention.router_weight[0, slot, 0] = strength
        attention.router_bias[0, 0] = -strength * 0.5 / planted.LENGTH
    return model


def served(report, head: int, expert: int) -> dict[str, float]:
    chosen = report.experts[head * 2 + expert]
    assert (chosen.head, chosen.expert) == (head, expert)
    return {one.value: one.lift for one in chosen.values}


def clicked_it(histories, value: int = 0) -> np.ndarray:
    return np.array([bool((planted.GENRE[own - 1] == value).any()) for own in histories])


def test_a_router_that_follows_a_value_is_found_with_its_lift():
    """Everybody has as many clicks, and all on the value are served by its expert: a closed form.

    lift = all clicks / clicks of those who have it; share = entropy of how many have it.
    """
    histories, targets = planted.people()
    report = experts_report(following_model(), histories, targets, planted.VALUES)
    part = clicked_it(histories).mean()
    assert 0.2 < part < 0.45
    own = served(report, 0, 0)
    assert next(iter(own)) == "genres=genre 0"
    assert own["genres=genre 0"] == pytest.approx(1 / part, rel=1e-3)
    assert report.expert_share[0] == pytest.approx(
        entropy([part, 1 - part]) / math.log(2), rel=1e-2
    )
    low, high = report.expert_share_interval[0]
    assert low < report.expert_share[0] < high and high - low < 0.2
    assert report.experts[0].load == pytest.approx(part, rel=1e-3)
    value = report.experts[0].values[0]
    assert 1 < value.control < value.low < value.lift < value.high
    assert "genres=genre 0" not in served(report, 0, 1)
    assert report.expert_share[1] == pytest.approx(0, abs=1e-6)  # of float32
    assert served(report, 1, 0) == served(report, 1, 1) == {}


def test_a_half_mixed_router_lies_between():
    histories, _ = planted.people()
    found = []
    for strength in (0.0, 16.0, 400.0):
        model = following_model(strength=strength)
        router = read_histories(model, histories).router.double().numpy()
        counts = value_counts(histories, value_indicator(planted.VALUES["genres"]))
        clicks = np.full(len(histories), float(planted.LENGTH))
        genre = value_names(planted.VALUES["genres"]).index("genre 0")
        lift = lifts(router[:, 0], counts, clicks)[genre, 0]
        found.append((expert_share(router)[0], lift))
    (no_share, no_lift), (half_share, half_lift), (share, lift) = found
    assert no_share == pytest.approx(0, abs=1e-6) and no_lift == pytest.approx(1, abs=1e-4)
    assert 0.1 * share < half_share < 0.9 * share
    assert 1 + 0.1 * (lift - 1) < half_lift < 1 + 0.9 * (lift - 1)


def test_permuted_routers_serve_nothing():
    """They share people out as before, and who gets which expert says nothing of what they click.

    24 copies by 2 experts by 2 facets, each finding one with 1 % at most: 1 is usual, 5 is not
    (a chance of 0.3 %).
    """
    histories, targets = planted.people()
    router = read_histories(following_model(), histories).router.double().numpy()
    finds = 0
    for seed in range(24):
        dealt = router[np.random.default_rng(seed).permutation(len(router))]
        report = experts_of_router(dealt, histories, targets, planted.VALUES, seed=seed)
        assert report.expert_share[0] == pytest.approx(expert_share(router)[0])
        finds += sum(len(one.values) for one in report.experts)
    assert finds < 5


def test_the_control_gives_the_best_value_what_chance_gives_it():
    """Routers drawn for nobody in particular: the best lift is as high as the control says."""
    histories, targets = planted.people()
    counts = value_counts(histories, value_indicator(planted.VALUES["genres"]))
    clicks = np.full(len(histories), float(planted.LENGTH))
    best, control = [], []
    for seed in range(30):
        router = np.random.default_rng(seed).dirichlet([0.5, 0.5], size=(len(histories), 1))
        best.append(lifts(router[:, 0], counts, clicks).max(0).mean())
        facets = {"genres": planted.VALUES["genres"]}
        report = experts_of_router(router, histories, targets, facets, seed=seed)
        control.append(np.mean([one.by_chance for one in report.experts]))
    assert np.mean(control) > 1.1, "a maximum of many is above 1"
    spread = np.std(best) / math.sqrt(len(best))
    assert np.mean(control) == pytest.approx(np.mean(best), abs=3 * spread) and spread < 0.02


def test_an_even_router_and_one_that_is_alike_for_everybody_share_nothing():
    even = np.full((U, 1, 4), 0.25)
    same = np.broadcast_to([1.0, 0.0, 0.0, 0.0], (U, 1, 4))
    sharp = np.eye(4)[np.arange(U) % 4][:, None]
    for router, how_sharp, share in ((even, 0, 0), (same, 1, 0), (sharp, 1, 1)):
        report = experts_of_router(router, READ, TARGETS, VALUES)
        assert report.expert_share == [pytest.approx(share, abs=1e-12)]
        assert report.expert_share_interval[0][0] <= report.expert_share[0] + 1e-6
        assert report.experts[0].sharpness == pytest.approx(how_sharp, abs=1e-12)
    report = experts_of_router(same, READ, TARGETS, VALUES)
    assert [one.dead for one in report.experts] == [False, True, True, True]
    assert not any(one.values for one in report.experts)


def test_an_expert_is_dead_below_a_tenth_of_an_even_share():
    for load, dead in ((0.0249, True), (0.0251, False)):
        rest = (1 - load) / 3
        router = np.broadcast_to([load, rest, rest, rest], (U, 1, 4))
        assert experts_of_router(router, READ, TARGETS, VALUES).experts[0].dead == dead


# --- intervals and controls -------------------------------------------------------------------


def test_intervals_are_those_of_people_drawn_anew():
    """Against the delta method: the standard error of the logarithm of a ratio of four sums."""
    histories, targets = planted.people()
    router = read_histories(following_model(strength=16.0), histories).router.double().numpy()
    report = experts_of_router(router, histories, targets, planted.VALUES)
    value = next(one for one in report.experts[0].values if one.value == "genres=genre 0")
    beta = router[:, 0, 0]
    times = np.array([(planted.GENRE[own - 1] == 0).sum() for own in histories])
    n = np.full(len(histories), planted.LENGTH)
    parts = [beta * times, -beta * n, -times, n]
    influence = sum(part / abs(part.sum()) for part in parts)
    error = value.lift * math.sqrt((influence**2).sum())
    assert value.high - value.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert value.low < value.lift < value.high


def test_draws_are_of_people_with_replacement(monkeypatch):
    whole = module._Drawn(5, np.random.default_rng(0)).sums(np.eye(5))
    assert whole.shape == (module.DRAWS, 5) and (whole.sum(1) == 5).all()
    assert whole.mean(0) == pytest.approx(np.ones(5), abs=0.12)  # 4 standard errors
    assert whole.var() == pytest.approx(0.8, abs=0.1)
    monkeypatch.setattr(module, "_COUNTS", 5 * 300)  # 300 draws at a time
    assert (module._Drawn(5, np.random.default_rng(0)).sums(np.eye(5)) == whole).all()


def test_routers_are_permuted_among_people_of_like_length():
    clicks = RNG.integers(1, 40, U).astype(float)
    router = np.arange(2.0 * U).reshape(U, 2)
    permuted = permuted_routers(router, clicks, np.random.default_rng(0))
    source = (permuted[:, 0] / 2).astype(int)
    assert sorted(source) == list(range(U)) and (source != np.arange(U)).any()
    np.testing.assert_array_equal(permuted, router[source])
    ranked = np.sort(clicks)
    for length, other in zip(clicks, clicks[source], strict=True):
        places = np.searchsorted(ranked, [length, other], "left")
        ends = np.searchsorted(ranked, [length, other], "right")
        assert max(places) - min(ends) <= U // module.STRATA


def test_a_head_of_a_length_alone_serves_nothing_of_its_own():
    """Long histories have value b and short ones a, and the router follows the length."""
    values = {"kind": [["a"], ["b"]]}
    rng = np.random.default_rng(0)
    long = np.arange(400) % 2 == 1
    read = [
        rng.choice([1, 2], 20 if own else 4, p=[0.2, 0.8] if own else [0.8, 0.2]) for own in long
    ]
    router = np.stack([~long, long], 1)[:, None].astype(float)
    report = experts_of_router(router, read, np.ones(400, dtype=int), values)
    assert report.expert_share == [pytest.approx(1)]
    assert not any(one.values for one in report.experts)


# --- what values come first, and edges --------------------------------------------------------


def test_values_of_the_heads_own_facet_come_first():
    """Two facets that say the same: the head's own is named first whichever stands first."""
    histories, targets = planted.people()
    router = read_histories(following_model(), histories).router.double().numpy()
    genres = planted.VALUES["genres"]
    facets = {"copy": genres, "genres": genres}
    for own in ("copy", "genres"):
        report = experts_of_router(router, histories, targets, facets, own=[{own}, ()])
        values = [one.value for one in report.experts[0].values]
        assert values[0] == f"{own}=genre 0" and len(values) >= 2


def test_what_came_next_is_lifted_by_the_same_equation():
    histories, _ = planted.people()
    many = histories * 4
    targets = np.concatenate([own[-1:] for own in many])
    router = read_histories(following_model(), many).router.double().numpy()
    report = experts_of_router(router, many, targets, planted.VALUES)
    value = report.experts[0].values[0]
    part = clicked_it(many).mean()
    assert value.value == "genres=genre 0"
    assert value.next == pytest.approx(1 / part, rel=1e-3), "whose last click has it has it"
    few = experts_of_router(router, many, np.full(len(many), 1), planted.VALUES).experts[0]
    assert few.values[0].next == pytest.approx(1.0)
    none = experts_of_router(router, many, np.full(len(many), 72), planted.VALUES).experts[0]
    assert none.values[0].next is None, "nobody went on to the value"


def test_one_expert_a_model_without_experts_and_items_of_which_nothing_is_known():
    one = random_model(replace(TINY, experts=1), V)
    report = experts_report(one, READ, TARGETS, VALUES)
    assert report.expert_share == [None, None] == report.expert_share_interval
    assert [(u.load, u.sharpness, u.dead, u.values) for u in report.experts] == [
        (1.0, None, False, [])
    ] * 2
    nothing = experts_report(random_model(TINY_SASREC, V), READ, TARGETS, VALUES)
    assert (nothing.people, nothing.experts, nothing.expert_share) == (U, [], [])
    for facets in ({}, {"brand": [[]] * V}, {"own": [[str(item)] for item in range(V)]}):
        bare = experts_report(random_model(TINY, V), READ, TARGETS, facets)
        full = experts_report(random_model(TINY, V), READ, TARGETS, VALUES)
        assert bare.expert_share == full.expert_share
        assert not any(one.values for one in bare.experts)
        assert {one.by_chance for one in bare.experts} == {None}


def test_nobody_is_no_cohort():
    with pytest.raises(ValueError, match="over people"):
        experts_of_router(np.zeros((0, 1, 2)), [], np.zeros(0, dtype=int), VALUES)


def test_a_value_whose_interval_reaches_down_to_its_base_rate_is_not_listed(monkeypatch):
    """With no control to beat, routers drawn for nobody in particular lift about half of 16 values,
    and few of them surely."""

    def none(router_UX, counts_UW, clicks_U, facet_of_W, facets, rng):
        return np.zeros((1, facets, router_UX.shape[1]))

    monkeypatch.setattr(module, "_controls", none)
    monkeypatch.setattr(module, "LISTED", 16)
    histories, targets = planted.people()
    router = np.random.default_rng(0).dirichlet([0.5, 0.5], size=(len(histories), 1))
    report = experts_of_router(router, histories, targets, planted.VALUES)
    values = [value for one in report.experts for value in one.values]
    assert all(value.low > 1 for value in values) and len(values) < 8


# --- names and the goal -----------------------------------------------------------------------


def use(head: int, expert: int, *lifted: float, dead: bool = False) -> ExpertUse:
    values = [ValueLift(f"kind={at}", lift, 1.1, 9.0, 1.2, None) for at, lift in enumerate(lifted)]
    return ExpertUse(head, expert, 0.25, 0.5, dead, values, 1.1)


def test_an_expert_is_named_after_two_values_that_are_well_above_their_base_rate():
    assert use(0, 0).named_after == use(0, 0, 1.49).named_after == []
    assert use(0, 0, 1.4, 1.5).named_after == ["kind=1"]
    assert use(0, 0, 1.9, 1.4, 3.0, 2.0).named_after == ["kind=0", "kind=2"]


def test_the_goal_is_all_of_shares_in_named_heads_living_experts_and_enough_lifts():
    experts = [use(0, 0, 2.3), use(0, 1, 2.29), use(1, 0, 1.1, 5.0), use(1, 1)]
    reached = expert_goals(experts, [0.3, 0.1], named=[0])
    assert reached == ExpertGoals([0], [], [], 2, 4) and reached.reached
    assert expert_goals(experts, [0.29, 0.9], named=[0, 1]).below == [0]
    assert expert_goals(experts, [0.3, None], named=[0, 1]).below == [1]
    for shares, named, uses in (
        ([0.29, 0.9], [0], experts),
        ([0.3, 0.9], [], experts),
        ([0.3, 0.9], [0], [*experts[:3], use(1, 1, dead=True)]),
        ([0.3, 0.9], [0], [use(0, 0, 2.2), *experts[1:]]),
    ):
        assert not expert_goals(uses, shares, named).reached
    assert expert_goals([*experts[:3], use(1, 1, dead=True)], [0.3, 0.1], [0]).dead == [(1, 1)]
    assert not expert_goals([], [], []).reached
