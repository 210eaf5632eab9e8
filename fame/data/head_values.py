"""The values that heads are facets of: which item has which, numbered for training.

Shapes: ``V`` items with the padding id 0 · ``H`` heads, ``G`` of them with a share of the columns ·
``N`` pairs of item and value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from fame.data.attributes import FacetValues, ItemAttributes
from fame.errors import DataError

_LEVEL = re.compile(r"(?P<facet>.+)_(?P<level>\d+)")
_PATH = " > "


@dataclass(frozen=True)
class HeadValues:
    """Which item has which values, by head; the arrays are as in a model's index of values.

    Attributes:
        names: ``[H]`` the names of each head's values in their order, such as ``genres=Drama``;
            none for a free head. A value's number counts through all heads, from 0.
        value: ``(N,)`` int32: values of the first head's items in the order of the items, then of
            the next head's; each item's ascending.
        start: ``(G V + 1,)`` int32: where in ``value`` those of each item begin, and N.
    """

    names: tuple[tuple[str, ...], ...]
    value: np.ndarray
    start: np.ndarray

    @property
    def counts(self) -> tuple[int, ...]:
        """``[H]`` how many values each head knows."""
        return tuple(map(len, self.names))


def head_values(
    attributes: ItemAttributes, shares: Sequence[Sequence[str]], num_items: int
) -> HeadValues:
    """Numbers the values of every head's share of the columns.

    A column gives its values, ``year`` also the decade of each, and ``category`` all columns
    ``category_1``, ``category_2``, ..: a value of a level is the whole path down to it, since
    "Accessories" of one shelf are not those of another.

    Args:
        shares: ``[H]`` the columns of each head; none for a free head.
        num_items: ``V - 1``.

    Raises:
        DataError: where the catalogue has no attributes, lacks a column, or a column tells no items
            apart or none together.
    """
    names: list[tuple[str, ...]] = []
    values: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for share in shares:
        if not share:
            names.append(())
            continue
        item, label = map(
            np.concatenate, zip(*(_column(attributes, name) for name in share), strict=True)
        )
        known, value = np.unique(label, return_inverse=True)
        pairs = np.unique(np.stack([item + 1, value]), axis=1)  # by item, then by value
        values.append(pairs[1] + sum(map(len, names)))
        counts.append(np.bincount(pairs[0], minlength=num_items + 1))
        names.append(tuple(known.tolist()))
    start = np.cumsum([0, *chain.from_iterable(counts)])
    return HeadValues(tuple(names), np.concatenate(values).astype(np.int32), start.astype(np.int32))


def _column(attributes: ItemAttributes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Items (rows) and names of their values, ``(n,)`` each, of one column or group of columns."""
    facets = attributes.facets
    if not facets:
        raise DataError(
            f"head_facets names {name!r}, and this catalogue says nothing of its items; leave "
            "head_facets empty, or import the data with attributes (data import --items FILE)."
        )
    if name in facets:
        item, own = facets[name].item, _labels(facets[name])
        wider = []
        if name == "year":
            years = [_year(text) for text in own]
            own = np.array(list(map(str, years)), dtype=object)  # 1998 where a table has 1998.0
            wider = [f"{year // 10 * 10}s" for year in years]
    else:
        levels = _levels(attributes, name)
        if not levels:
            raise DataError(
                f"head_facets names {name!r}, and the catalogue has no such column; it has "
                f"{', '.join(facets)}."
            )
        item, own = _paths(levels)
        wider = []
    distinct, times = np.unique(own, return_counts=True)
    if len(distinct) < 2:
        raise DataError(
            f"head_facets names {name!r}, of which the catalogue has "
            f"{'the one value ' + repr(str(distinct[0])) if len(distinct) else 'no value'}, so it "
            "tells no items apart; leave it out."
        )
    if times.max() == 1:
        raise DataError(
            f"head_facets names {name!r}, of which every item has a value of its own, so no two "
            "items have anything in common there; leave it out."
        )
    if wider:
        item, own = np.concatenate([item, item]), np.concatenate([own, wider])
    return item, np.array([f"{name}={value}" for value in own], dtype=object)


def _labels(facet: FacetValues) -> np.ndarray:
    return np.array(facet.values, dtype=object)[facet.value]


def _year(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise DataError(
            f"head_facets names 'year', and {text!r} is no year; mend it in the catalogue, or "
            "leave the column out."
        ) from None


def _levels(attributes: ItemAttributes, name: str) -> list[FacetValues]:
    """The columns ``name_1``, ``name_2``, .. from the top down."""
    found = {}
    for column, facet in attributes.facets.items():
        level = _LEVEL.fullmatch(column)
        if level and level["facet"] == name:
            found[int(level["level"])] = facet
    return [found[level] for level in sorted(found)]


def _paths(levels: Sequence[FacetValues]) -> tuple[np.ndarray, np.ndarray]:
    """Each item's path down to each of its levels; where a level has several values, to each."""
    paths: dict[int, list[str]] = {}
    pairs: list[tuple[int, str]] = []
    for level in levels:
        here: dict[int, list[str]] = {}
        for item, label in zip(level.item.tolist(), _labels(level), strict=True):
            above = paths.get(item, [""])
            here.setdefault(item, []).extend(
                f"{path}{_PATH}{label}" if path else label for path in above
            )
        paths |= here
        pairs += [(item, path) for item, own in here.items() for path in own]
    items, labels = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(items, dtype=np.int64), np.array(labels, dtype=object)
