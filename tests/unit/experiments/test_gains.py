"""Gains and their intervals: by hand, against twins, and by how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

import fame.experiments.gains
from fame.experiments.gains import (
    Gain,
    SeedSpread,
    brackets_in_words,
    paired_gains,
    seed_spread,
)
from fame.metrics import summarise_ranks

SEVERAL = np.array([[1, 10, 11, 3], [1, 10, 11, 30]])  # 3 and 2 of 4 within 10


def test_gain_by_hand() -> None:
    ours = np.array([[1, 10, 11, 3]])  # 3 of 4 within 10
    theirs = np.array([[1, 10, 11, 30]])  # 2 of 4
    assert paired_gains(ours, theirs)["HR@10"] == Gain(0.5, None, None)
    gain = paired_gains(ours, theirs, spread=seed_spread([SEVERAL]))["HR@10"]
    assert gain.mean == 0.5
    assert gain.low is not None and gain.high is not None
    assert gain.low < 0.5 < gain.high


def test_spread_by_hand() -> None:
    """Figures .75 and .5 about .625: 1.2 and .8 of it."""
    spread = seed_spread([SEVERAL])["HR@10"]
    assert spread.degrees == 1
    assert spread.between == pytest.approx(0.2**2 + 0.2**2)
    # But for the fourth person all get the same of both seeds. The values are 1.6 for a hit, so
    # what is left is 1.6 less the means of seed and person and one: .6 for one, .2 for three.
    assert spread.interaction == pytest.approx(2 * (0.6**2 + 3 * 0.2**2) / 3 / 4)
    assert spread.own == pytest.approx(0, abs=1e-15)  # all that differs is one person of four
    more = np.array([[1, 1, 11, 11], [1, 11, 1, 11], [11, 1, 1, 11]])  # .5 by all
    pooled = seed_spread([SEVERAL, more, SEVERAL[:1]])["HR@10"]
    assert pooled.degrees == 1 + 2
    assert pooled.between == pytest.approx(0.08 / 3)
    assert seed_spread([SEVERAL[:1]]) == {} and seed_spread([np.full((2, 4), 99)]) == {}


def test_the_interval_of_equal_models_holds_zero_and_that_of_a_better_one_does_not() -> None:
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 60, size=(4, 600))
    shuffled = np.stack([rng.permutation(row) for row in ranks])
    equal = paired_gains(ranks, shuffled)["NDCG@10"]
    assert equal.low < 0 < equal.high
    better = paired_gains(np.maximum(ranks - 15, 1), ranks)["NDCG@10"]
    assert 0 < better.low < better.mean < better.high


def test_an_interval_is_never_narrower_than_that_of_drawing_seeds_and_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The obvious twin: people are picked by index, one draw at a time, and averaged over seeds."""
    rng = np.random.default_rng(1)
    ours, theirs = rng.integers(1, 30, size=(2, 3, 70))
    draws = 120  # more than one matrix product of draws, and a part of another
    draw_people, draw_seeds = np.random.default_rng(5), np.random.default_rng(6)
    ratios: dict[str, list[float]] = {"HR@10": [], "NDCG@10": []}
    for _ in range(draws):
        seeds, people = draw_seeds.integers(3, size=3), draw_people.integers(70, size=70)
        picked = [ranks[seeds][:, people] for ranks in (ours, theirs)]
        for name, of in ratios.items():
            a, b = (summarise_ranks(ranks.ravel())[name] for ranks in picked)
            of.append(a / b - 1)
    monkeypatch.setattr(fame.experiments.gains, "_half_width", lambda *_: 0.0)
    found = paired_gains(ours, theirs, draws=draws, seed=5)
    for name, of in ratios.items():
        # Only the order of additions differs.
        assert [found[name].low, found[name].high] == pytest.approx(
            np.quantile(of, [0.025, 0.975]), rel=0, abs=1e-12
        )


def test_an_interval_is_never_narrower_than_that_of_the_variances() -> None:
    """On the log scale a gain is the difference of two figures; people are left out in turn."""
    rng = np.random.default_rng(2)
    ours, theirs = rng.integers(1, 30, size=(2, 2, 300))
    spread = SeedSpread(between=0.05, interaction=0.01, degrees=6)  # far more than two seeds show
    found = paired_gains(ours, theirs, spread={"HR@10": spread})
    assert found["NDCG@10"].low is None  # nothing is known of its seeds
    a, b = ours <= 10, theirs <= 10
    mean = a.mean() / b.mean() - 1
    without = [np.delete(a, j, 1).mean() / np.delete(b, j, 1).mean() for j in range(300)]
    of_people = 299 * np.var(without)  # the jackknife's
    of_seeds = (1 + mean) ** 2 * (0.04 + 0.04) / 2
    uncertain = (1 + mean) ** 2 * (0.05 + 0.05) / 2
    degrees = 6 * ((of_seeds + of_people) / uncertain) ** 2
    half = stats.t.ppf(0.975, degrees) * math.sqrt(of_seeds + of_people)
    # The jackknife is the first order and a little more.
    assert found["HR@10"].low == pytest.approx(mean - half, rel=1e-3)
    assert found["HR@10"].high == pytest.approx(mean + half, rel=1e-3)


def made_up_hits(rng: np.random.Generator, people: np.ndarray, seeds: int, sd: float) -> np.ndarray:
    """Ranks ``(seeds, people)`` of 1 or 99 whose mean over seeds and people is that of ``people``.

    Each seed multiplies every person's chance of a hit by a lognormal factor of mean 1.
    """
    factor = np.exp(sd * rng.standard_normal((seeds, 1)) - sd**2 / 2)
    return np.where(rng.random((seeds, len(people))) < people * factor, 1, 99)


REPETITIONS = 400
# Three standard errors of a share of .95 over the repetitions: what luck alone may take away.
TOLERANCE = 3 * math.sqrt(0.95 * 0.05 / REPETITIONS)


def covered(seeds: int, sd: float, known: tuple[int, ...]) -> float:
    """How often the interval of two equal models holds 0.

    Args:
        known: Seeds of each other model of the data set.
    """
    rng = np.random.default_rng(seeds)
    hits = 0
    for _ in range(REPETITIONS):
        people = np.where(rng.random(400) < 0.8, 0.05, 0.6)  # many who are hard to serve
        ours, theirs = (made_up_hits(rng, people, seeds, sd) for _ in range(2))
        others = [made_up_hits(rng, people, number, sd) for number in known]
        gain = paired_gains(ours, theirs, spread=seed_spread([ours, theirs, *others]), draws=100)
        hits += gain["HR@10"].low <= 0 <= gain["HR@10"].high
    return hits / REPETITIONS


# Seeds differ of their own by about as much as people make them differ (as on MovieLens 100K), and
# by far more.
@pytest.mark.parametrize("sd", [0.08, 0.2])
@pytest.mark.parametrize(("seeds", "known"), [(1, (5, 5)), (2, (3, 3)), (2, ()), (3, ()), (5, ())])
def test_an_interval_holds_the_truth_as_often_as_it_says(
    seeds: int, known: tuple[int, ...], sd: float
) -> None:
    assert covered(seeds, sd, known) >= 0.95 - TOLERANCE


@pytest.mark.parametrize(("seeds", "sd"), [(1, 0.08), (2, 0.2), (3, 0.2)])
def test_drawing_people_and_few_seeds_anew_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, seeds: int, sd: float
) -> None:
    monkeypatch.setattr(fame.experiments.gains, "_half_width", lambda *_: 0.0)
    assert covered(seeds, sd, (5, 5)) < 0.95 - TOLERANCE


def test_a_gain_in_words_has_signs_and_no_negative_nothing() -> None:
    assert Gain(0.0316, 0.0121, 0.05).in_words() == "+3.2 % (+1.2 to +5.0)"
    assert Gain(-0.0002, -0.0251, 0.0004).in_words() == "+0.0 % (-2.5 to +0.0)"
    assert Gain(-0.0002, None, None).in_words() == "+0.0 % (one seed: no interval)"


def test_what_was_drawn_is_said() -> None:
    assert "seeds and people" in brackets_in_words(2) and "conservative" in brackets_in_words(2)
    one = brackets_in_words(1)
    assert "people" in one and "rows of this data set that have several" in one
    assert "no interval" in brackets_in_words(1, interval=False)
