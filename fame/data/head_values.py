"""The values that heads are facets of: which item has which, numbered for training.

Shapes: ``V`` items with the padding id 0 · ``H`` heads, ``G`` of them with a share of the columns ·
``N`` pairs of item and value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain

import numpy as np

from fame.data.attributes import FacetValues, ItemAttributes
from fame.errors import DataError

_LEVEL = re.compile(r"(?P<facet>.+)_(?P<level>\d+)")
_PATH = " > "
TITLE = "title"  # names the words of titles, which are no column of facets
_WORD = re.compile(r"\w\w+")
_NEXT_VALUE = re.compile(r",(?=[^,=]+=)")


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
    "Accessories" of one shelf are not those of another. ``title`` gives :func:`title_words`.

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


def facet_names(attributes: ItemAttributes) -> dict[str, tuple[str, ...]]:
    """What a share of ``head_facets`` may name, and the columns that it then has.

    ``category`` stands for ``category_1``, ``category_2``, .., unless a column is called so.
    """
    names: dict[str, tuple[str, ...]] = {}
    for column in attributes.facets:
        level = _LEVEL.fullmatch(column)
        group = level["facet"] if level else column
        if group in attributes.facets:
            names[column] = (column,)
        else:
            names[group] = (*names.get(group, ()), column)
    return names


def values_named(text: str, names: Sequence[Sequence[str]]) -> list[list[int]]:
    """:func:`numbers_of` values of a text, which parts them by commas; a value may have commas."""
    return numbers_of([part.strip() for part in _NEXT_VALUE.split(text.strip(" ,"))], names)


def numbers_of(asked: Iterable[str], names: Sequence[Sequence[str]]) -> list[list[int]]:
    """The numbers of values by their names, ``[H]``, each head's ascending.

    A head gets what it knows of them. A year brings its decade, and a level of a category those
    above it, as they do in a catalogue.

    Args:
        asked: ``column=value``; empty ones count for nothing.
        names: ``[H]`` the names of each head's values, in the order of their numbers.

    Raises:
        DataError: where there are no values, none is named, or nobody knows one of them.
    """
    known = {name for own in names for name in own}
    if not known:
        raise DataError(
            "This checkpoint knows items one by one and not by their values, so it cannot rank a "
            "new one; train a model with head_facets."
        )
    asked = [name for name in asked if name]
    if not asked:
        some = " and ".join(own[0] for own in names if own)
        raise DataError(f"A new item needs at least one value to be ranked by, such as {some}.")
    for name in asked:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
            raise DataError(
                f"No item has the value {name!r}; "
                + (f"near it are {', '.join(near)}." if near else "write it as column=value.")
            )
    wanted = {wider for name in asked for wider in (name, *_wider(name))}
    by_head, before = [], 0
    for own in names:
        by_head.append([before + n for n, name in enumerate(own) if name in wanted])
        before += len(own)
    return by_head


def _wider(name: str) -> list[str]:
    """What else an item has that has this value."""
    column, _, value = name.partition("=")
    if column == "year" and value.isdigit():
        return [f"{column}={decade(int(value))}"]
    levels = value.split(_PATH)
    return [f"{column}={_PATH.join(levels[:depth])}" for depth in range(1, len(levels))]


def decade(year: int) -> str:
    """``1990s`` of 1998."""
    return f"{year // 10 * 10}s"


def _column(attributes: ItemAttributes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Items (rows) and names of their values, ``(n,)`` each, of one column or group of columns."""
    facets = attributes.facets
    if not facets and name != TITLE:
        raise DataError(
            f"head_facets names {name!r}, and this catalogue says nothing of its items; leave "
            "head_facets empty, or import the data with attributes (data import --items FILE)."
        )
    wider: list[str] = []
    if name == TITLE:
        item, own = _title_words(attributes.titles)
    elif name in facets:
        item, own = facets[name].item, _labels(facets[name])
        if name == "year":
            years = [_year(text) for text in own]
            own = np.array(list(map(str, years)), dtype=object)  # 1998 where a table has 1998.0
            wider = list(map(decade, years))
    else:
        levels = _levels(attributes, name)
        if not levels:
            raise DataError(
                f"head_facets names {name!r}, and the catalogue has no such column; it has "
                f"{', '.join(facets)}."
            )
        item, own = _paths(levels)
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


def title_words(titles: Sequence[str | None]) -> list[list[str]]:
    """The words of every title, in lower case and each once, that tell items apart or together.

    Those of one title alone and those of more than half of them do not.
    """
    by_item = [sorted(set(_WORD.findall(title.lower()))) if title else [] for title in titles]
    times = Counter(chain.from_iterable(by_item))
    most = len(titles) / 2
    return [[word for word in words if 2 <= times[word] <= most] for words in by_item]


def _title_words(titles: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Items (rows) and the words of their titles, ``(n,)`` each."""
    by_item = title_words(titles)
    item = np.repeat(np.arange(len(by_item)), list(map(len, by_item)))
    return item, np.array(list(chain.from_iterable(by_item)), dtype=object)


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
