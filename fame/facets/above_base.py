"""What some items have in common above the base rate of their catalogue.

Shapes: ``V`` real items · ``n`` items chosen among them · ``W`` values of a facet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from fame.facets.values import value_indicator, value_names

FEWEST = 10  # items; shares of fewer say little
_LEVEL = 0.01  # of the hypergeometric test, over all values together
_LIFT = 1.5  # a share has to be this many times the base rate


@dataclass(frozen=True)
class Above:
    """A value that the chosen items have more often than the catalogue.

    Attributes:
        facet: The column.
        value: The value.
        share: Of the chosen items whose facet is known, the share that has the value.
        base: The same of the whole catalogue.
        number: How many of the chosen items have it.
        known: How many of the chosen items have a known facet.
    """

    facet: str
    value: str
    share: float
    base: float
    number: int
    known: int


class BaseRates:
    """Counts of the values of every facet, made once and asked often.

    Args:
        values: By facet, the values of every item in catalogue order; none where unknown.
    """

    def __init__(self, values: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._names = {facet: value_names(own) for facet, own in values.items()}
        self._has = {facet: value_indicator(own) for facet, own in values.items()}  # (V, W)
        self._known = {facet: np.diff(has.indptr) > 0 for facet, has in self._has.items()}  # (V,)
        self._overall = {
            facet: np.asarray(has.sum(0)).ravel().astype(int) for facet, has in self._has.items()
        }
        self._tested = sum(map(len, self._names.values()))

    def above(
        self, chosen: np.ndarray, most: int | None = None, *, least: float = 0.0
    ) -> list[Above]:
        """At most ``most`` values above the base rate, the largest gain in share first.

        A value counts where a hypergeometric test (``n`` items drawn without order from the ``V``),
        corrected for the number of all values by Bonferroni, has p < 0.01 and its share is at least
        1.5 times the base rate. Nothing is said of fewer than ten items.

        Args:
            chosen: ``(n,)`` rows of the catalogue, from 0, each once.
            least: Only values with at least this share are looked at.
        """
        found = []
        for facet, has in self._has.items():
            is_known, overall = self._known[facet], self._overall[facet]
            among, all_known = int(is_known[chosen].sum()), int(is_known.sum())
            if among < FEWEST:
                continue
            number = np.asarray(has[chosen].sum(0)).ravel().astype(int)  # (W,)
            share, base = number / among, overall / all_known
            places = np.flatnonzero((number > 0) & (share >= np.maximum(_LIFT * base, least)))
            chance = hypergeom.sf(number[places] - 1, all_known, overall[places], among)
            found += [
                Above(
                    facet,
                    self._names[facet][place],
                    float(share[place]),
                    float(base[place]),
                    int(number[place]),
                    among,
                )
                for place in places[chance * self._tested < _LEVEL]
            ]
        return sorted(found, key=lambda one: (one.base - one.share, one.facet, one.value))[:most]
