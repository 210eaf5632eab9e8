"""How far one model is ahead of another, and how sure that is: paired gains with their intervals.

Shapes: ``S`` paired seeds · ``P`` people. All is done by figure, ``HR@10`` and ``NDCG@10``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from fame.metrics import gains, hits

_FIGURES = {"HR@10": hits, "NDCG@10": gains}
# Draws of the bootstrap that share one matrix product.
_DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class Gain:
    """Relative gain of one model over another: the mean and a 95 % interval, as shares.

    ``low`` and ``high`` are ``None`` where nothing says how much seeds differ.
    """

    mean: float
    low: float | None
    high: float | None

    def in_words(self) -> str:
        """``+3.2 % (+1.0 to +5.4)``, or ``+3.2 % (one seed: no interval)``."""
        if self.low is None or self.high is None:
            return f"{100 * self.mean:+z.1f} % (one seed: no interval)"
        mean, low, high = (f"{100 * value:+z.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} % ({low} to {high})"


def brackets_in_words(seeds: int, *, interval: bool = True) -> str:
    """What stands in the brackets of :meth:`Gain.in_words`.

    Args:
        seeds: Paired seeds of the comparison.
        interval: Whether it has an interval.
    """
    if seeds > 1:
        return (
            "in brackets a 95 % interval that draws seeds and people anew; it is conservative: "
            "rather too wide than too narrow."
        )
    if interval:
        return (
            "in brackets a 95 % interval that draws people anew and adds how much seeds differ in "
            "the rows of this data set that have several; one seed alone does not tell."
        )
    return (
        "one seed tells nothing of other seeds, and no row of this data set has several, so there "
        "is no interval."
    )


@dataclass(frozen=True)
class SeedSpread:
    """How much a mean figure differs between seeds, as a share of the figure, squared.

    Attributes:
        between: Variance between seeds on the same people.
        interaction: The part of it that more people would average out: seeds differ in whom they
            serve well. Who draws people anew has this part already.
        degrees: Degrees of freedom of ``between``.
    """

    between: float
    interaction: float
    degrees: int

    @property
    def own(self) -> float:
        """The variance that is the seeds' own, on however many people."""
        return max(self.between - self.interaction, 0.0)


def seed_spread(rows: Sequence[np.ndarray]) -> dict[str, SeedSpread]:
    """The spread of seeds by figure, pooled over models; nothing where none has several seeds.

    The two mean squares of a two-way analysis of variance with both factors random (seeds, people,
    one observation in each cell), divided by the people; pooled by degrees of freedom. Assumed is
    that the models pooled differ between seeds by the same share of their figure.

    Args:
        rows: Ranks ``(S, P)``, one array a model with its settings; S may differ.
    """
    found = {}
    for name, of in _FIGURES.items():
        between, interaction, degrees = 0.0, 0.0, 0
        for ranks in rows:
            values = of(ranks, 10).astype(np.float64)
            seeds, people = values.shape
            if seeds < 2 or people < 2 or not values.any():
                continue
            values /= values.mean()
            of_seed = values.mean(1, keepdims=True)
            left = values - of_seed - values.mean(0) + 1
            between += float(((of_seed - 1) ** 2).sum())
            interaction += float((left**2).sum()) / (people - 1) / people
            degrees += seeds - 1
        if degrees:
            found[name] = SeedSpread(between / degrees, interaction / degrees, degrees)
    return found


def paired_gains(
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    spread: Mapping[str, SeedSpread] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Gain]:
    """Gain in mean HR@10 and NDCG@10 with 95 % intervals over seeds and people.

    The interval is the wider one, to either side, of two:

    - The pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics
      2007): seeds and people are drawn anew together, quantiles of the gains. It is conservative in
      what seed and person have only together, which it counts ``3 - 2 / S`` times. But of the
      variance that is the seeds' own it sees ``(S - 1) / S``, so nothing of it with one seed, and
      its quantiles know nothing of how badly few seeds tell it.
    - ``mean ± t sqrt(2 own (1 + mean)^2 / S + v)``: ``own`` is the seeds' own variance
      (:class:`SeedSpread`; twice, for ours and for theirs), ``v`` the variance over people of the
      gain to first order, ``t`` Student's quantile with Satterthwaite's degrees of freedom. This
      takes it that two models' runs of one seed are no more alike than any two, which makes it
      rather too wide, and that means over people are about normal.

    With one seed and no ``spread`` there is no interval.

    Args:
        ours, theirs: Ranks ``(S, P)``; row i of both had the same seed, column j is the same
            person.
        spread: Of models on the same people, ours and theirs among them where they have several
            seeds; without it these two alone.
    """
    seeds, people = ours.shape
    if spread is None:
        spread = seed_spread([ours, theirs])
    # What every person got: (figures, ours and theirs, S, P).
    values = np.array([[of(ranks, 10) for ranks in (ours, theirs)] for of in _FIGURES.values()])
    values = values.astype(np.float64)
    drawn = _drawn_gains(values, draws, seed)
    found = {}
    for index, name in enumerate(_FIGURES):
        our, their = values[index].mean(axis=1)  # (P,) over seeds
        least = max(their.mean(), 1e-12)
        ratio = float(our.mean() / least)
        if name not in spread or people < 2:
            found[name] = Gain(ratio - 1, None, None)
            continue
        of_people = float(((our - ratio * their) / least).var(ddof=1)) / people
        half = _half_width(spread[name], 2 * ratio**2 / seeds, of_people)
        low, high = np.quantile(drawn[:, index], [0.025, 0.975])
        found[name] = Gain(
            ratio - 1, min(float(low), ratio - 1 - half), max(float(high), ratio - 1 + half)
        )
    return found


def _half_width(spread: SeedSpread, times: float, of_people: float) -> float:
    """Half of a 95 % interval whose variance is ``times`` that of seeds and that of people."""
    variance, uncertain = times * spread.own + of_people, times * spread.between
    degrees = spread.degrees * (variance / uncertain) ** 2 if uncertain else np.inf
    return float(stats.t.ppf(0.975, degrees) * np.sqrt(variance)) if variance else 0.0


def _drawn_gains(values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Gains ``(draws, figures)`` of values ``(figures, 2, S, P)`` over seeds and people drawn."""
    figures, _, seeds, people = values.shape
    of_people = _times_drawn(people, draws, seed)
    of_seeds = _times_drawn(seeds, draws, seed + 1) / seeds
    means = np.empty((draws, figures, 2))
    for first in range(0, draws, _DRAWS_AT_ONCE):
        among = slice(first, first + _DRAWS_AT_ONCE)
        by_seed = values @ (of_people[among].T / people)
        means[among] = np.einsum("ds,fwsd->dfw", of_seeds[among], by_seed)
    return means[..., 0] / np.maximum(means[..., 1], 1e-12) - 1


@lru_cache(maxsize=4)  # all comparisons on a data set draw the same people
def _times_drawn(number: int, draws: int, seed: int) -> np.ndarray:
    """How often each of ``number`` things is among as many draws with replacement.

    Returns:
        ``(draws, number)`` in 8 bits each, since nothing is drawn more than 255 times: with as many
        things as that the chance is below 10^-500.
    """
    rng = np.random.default_rng(seed)
    times = np.empty((draws, number), np.uint8)
    for row in times:
        row[:] = np.bincount(rng.integers(number, size=number), minlength=number)
    return times
