"""Which head of one model does what a head of another does: two seeds, or before and after.

Heads have no order that two trainings would share, so they are matched by what they recommend:
one head of the second model for each of the first, so that the pairs have as many of their listed
items in common as can be, all pairs together (the assignment problem, solved by scipy).

Shapes: ``U`` people · ``H``, ``G`` heads of the first and of the second model · ``k`` items in a
list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fame.facets.estimates import bootstrap_means
from fame.lens.faithfulness import Estimate
from fame.ranking import leaving


@dataclass(frozen=True)
class Match:
    """A head of the first model and the one of the second that is matched with it.

    Attributes:
        overlap: Share of their listed items in common, mean over people with a 95 % interval.
        chance: The same with the second list that of somebody else: what is popular with
            everybody, two lists have in common without a head.
    """

    first: int
    second: int
    overlap: Estimate
    chance: Estimate


@dataclass(frozen=True)
class Matching:
    """The heads of two models.

    Attributes:
        people: People whose lists were compared.
        overlaps: ``[H][G]`` of every pair of heads, mean over people.
        matches: ``[min(H, G)]`` by head of the first model; none where either has no heads.
        fused: The two fused lists, as a match; its heads are -1.
        differing: ``[U]`` rows of the people, those first whose lists differ most, over the fused
            lists and those of the matches.
    """

    people: int
    overlaps: list[list[float]]
    matches: list[Match]
    fused: Match
    differing: list[int]


def match_heads(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], *, seed: int = 0
) -> Matching:
    """Matches the heads of two models by their lists for the same people.

    Args:
        first, second: By space (``all``, ``head_0``, ..) ``(U, k)`` items, 0 where a list ends
            early (:func:`fame.facets.lists.head_lists`).
        seed: Of whose lists are held against whose for chance, and of the intervals.
    """
    fused = first["all"], second["all"]
    heads = tuple(
        [own for space, own in lists.items() if space != "all"] for lists in (first, second)
    )
    U = len(fused[0])
    shares_HGU = np.array(
        [[overlap(one, other) for other in heads[1]] for one in heads[0]]
    ).reshape(len(heads[0]), len(heads[1]), U)
    mean_HG = shares_HGU.mean(2) if U else np.zeros(shares_HGU.shape[:2])
    pairs = [
        (int(one), int(other)) for one, other in zip(*linear_sum_assignment(-mean_HG), strict=True)
    ]
    else_U = _somebody_else(U, np.random.default_rng(seed))
    columns = {"fused": overlap(*fused), "fused by chance": overlap(fused[0], fused[1][else_U])}
    for one, other in pairs:
        columns[f"{one} {other}"] = shares_HGU[one, other]
        by_chance = overlap(heads[0][one], heads[1][other][else_U])
        columns[f"{one} {other} by chance"] = by_chance
    found = bootstrap_means(columns, seed=seed)
    together = [columns["fused"], *(columns[f"{one} {other}"] for one, other in pairs)]
    return Matching(
        people=U,
        overlaps=mean_HG.tolist(),
        matches=[
            Match(one, other, found[f"{one} {other}"], found[f"{one} {other} by chance"])
            for one, other in pairs
        ],
        fused=Match(-1, -1, found["fused"], found["fused by chance"]),
        differing=np.argsort(np.mean(together, axis=0), kind="stable").tolist(),
    )


def overlap(first_Uk: np.ndarray, second_Uk: np.ndarray) -> np.ndarray:
    """``(U,)`` the share of the first list's items that the second list has too."""
    length_U = (first_Uk > 0).sum(1)
    return 1 - leaving(first_Uk, second_Uk) / np.maximum(length_U, 1)


def _somebody_else(people: int, rng: np.random.Generator) -> np.ndarray:
    """``(U,)`` another person for each, everybody once; oneself where there is nobody else."""
    order = rng.permutation(people)
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    return other
