"""Made-up histories: one set of the shape of MovieLens 20M, one with facets whose truth is known.

Everything is drawn in whole arrays from one seed: twenty million interactions take seconds.

Shapes: ``U`` users · ``N`` interactions · ``V`` items with the padding id 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from fame.data.dataset import Dataset
from fame.data.export import log_suffix, write_catalogue, write_log
from fame.data.sequences import Interactions
from fame.errors import DataError
from fame.files import check_file

# The popularity of rank r, from 0 to 1, is exp(-fall r^0.44). In ML-20M a film has at most 67,310
# ratings, and the Gini coefficient of all films is 0.903; a fall of 11 gives 61,000 and 0.907.
_POPULARITY_POWER = 0.44
_STEEP = 11.0
# So mild that the least popular item, too, is clicked often enough to show its facets.
_MILD = 2.0

# Clicks beyond a person's fewest are log-normal, cut off at a multiple of their median: with a mean
# of 144.4 clicks, as in ML-20M, the longest history has its 9,250.
_LENGTH_SPREAD = 1.38
_LONGEST = 192
_FEWEST_ML_20M = 20
_FEWEST_FACETS = 10
_MOST_INTERACTIONS = 200_000_000  # about 10 GB while they are made

_CHANCE_ONE_IN = 10  # clicks
_STAY = 0.8
_PREFERRED = 3
_ROUNDS = 10  # in which what somebody has clicked before is drawn anew


@dataclass(frozen=True)
class Shape:
    """How large a made-up set is, exactly: every user and every item occurs."""

    users: int
    items: int
    interactions: int

    def scaled(self, factor: float) -> Shape:
        """All three ``factor`` times as large."""
        return Shape(*(max(round(size * factor), 1) for size in astuple(self)))


ML_20M = Shape(138_493, 26_744, 20_000_263)
FACETS = Shape(8_000, 2_000, 320_000)
_FULL_SHAPES = {"ml-20m": ML_20M, "facets": FACETS}
FACET_VALUES: Mapping[str, int] = MappingProxyType({"A": 12, "B": 40})


def ml_20m(shape: Shape = ML_20M, *, seed: int = 0) -> Interactions:
    """Histories of MovieLens 20M's shape: long-tailed in length and in popularity.

    Everybody has at least 20 interactions. Clicks are independent of one another, so there is
    nothing to learn but popularity, and one click in seven is on an item that the person has
    clicked before: this set is for measuring speed, not quality.

    Raises:
        DataError: where the shape cannot be.
    """
    _check(shape, _FEWEST_ML_20M, shape.items)
    rng = np.random.default_rng(seed)
    lengths = _lengths(rng, shape, _FEWEST_ML_20M)
    items = _popular_items(rng, _popularity(rng, shape.items, _STEEP), shape.interactions)
    return _interactions("ml-20m-shape", items, lengths, shape.items)


@dataclass(frozen=True)
class PlantedFacets:
    """A made-up set, and the truth about it.

    Args:
        dataset: Histories, and a catalogue with one category column a facet.
        decided_by: ``(N,)`` int8, which facet decided the click, by its place in ``preferred``; -1
            where chance did.
        preferred: For every facet ``(U, 3)``: the values, from 0, that each person prefers.
    """

    dataset: Dataset
    decided_by: np.ndarray
    preferred: dict[str, np.ndarray]


def planted_facets(
    shape: Shape = FACETS, *, seed: int = 0, facets: Mapping[str, int] = FACET_VALUES
) -> PlantedFacets:
    """Histories in which one of several independent facets decides each click.

    Every item has one value of every facet, and every combination of values belongs to as many
    items, up to one: a facet says nothing about another. A person prefers three values of each
    facet. 90 % of the clicks are decided by one facet: one of its preferred values is drawn, then
    one of the items that have it, by popularity. The facet stays from click to click with a chance
    of 80 %, else it is drawn anew, so the latest clicks tell which facet rules. The other 10 % of
    clicks are drawn from the whole catalogue, by popularity. Nobody clicks an item twice, but for
    the few (3 % of people) whose history is so long that little of what they like is left.

    Args:
        shape: The counts.
        seed: Equal seeds give equal sets.
        facets: How many values each facet has, by its name.

    Raises:
        DataError: where the shape cannot be.
    """
    _check(shape, _FEWEST_FACETS, _CHANCE_ONE_IN * shape.items)
    rng = np.random.default_rng(seed)
    lengths = _lengths(rng, shape, _FEWEST_FACETS)
    weights = _popularity(rng, shape.items, _MILD)
    values = _independent_values(rng, shape.items, facets)
    preferred = {name: _preferred(rng, shape.users, column) for name, column in values.items()}

    decided_by = _sticky(rng, lengths, len(facets))
    by_chance = rng.permutation(shape.interactions)[: shape.interactions // _CHANCE_ONE_IN]
    decided_by[by_chance] = -1
    # Chance is a facet of one value, which everybody prefers.
    rules = {facet: (values[name], preferred[name]) for facet, name in enumerate(facets)}
    rules[-1] = np.zeros(shape.items, dtype=int), np.zeros((shape.users, 1), dtype=int)
    users = np.repeat(np.arange(shape.users), lengths)
    items = np.empty(shape.interactions, dtype=np.int32)
    items[by_chance] = _popular_items(rng, weights, len(by_chance))  # so every item occurs
    drawn = np.flatnonzero(decided_by >= 0)
    for _ in range(_ROUNDS):
        for facet, (value_of, liked) in rules.items():
            clicks = drawn[decided_by[drawn] == facet]
            choice = rng.integers(liked.shape[1], size=len(clicks))
            items[clicks] = _items_with(rng, value_of, liked[users[clicks], choice], weights)
        drawn = _repeats(users, items)

    interactions = _interactions("planted-facets", items, lengths, shape.items)
    catalogue = _catalogue(interactions.item_ids[1:], values)
    dataset = Dataset(interactions, catalogue, "made up, with planted facets")
    return PlantedFacets(dataset, decided_by, preferred)


def generate(
    kind: str,
    path: Path,
    *,
    users: int | None = None,
    items: int | None = None,
    interactions: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> tuple[Interactions, Path | None]:
    """Makes a set up and writes it where ``data import`` can read it.

    Args:
        kind: ``ml-20m`` or ``facets``.
        path: The log, ``.csv`` or ``.parquet``.
        users: How many; like ``items``, by default those of ``ML_20M`` or ``FACETS``.
        items: How many.
        interactions: How many; by default as many a person as there.
        seed: Equal seeds give equal files.
        overwrite: Whether files that are there already may be replaced.

    Returns:
        The histories, and the catalogue's file beside ``path`` where the items have facets.

    Raises:
        FameError: where there is no such kind, shape or way to write it.
    """
    if kind not in _FULL_SHAPES:
        raise DataError(f"There is no made-up set {kind!r}; there are {', '.join(_FULL_SHAPES)}.")
    log_suffix(path)  # refused before the time is spent
    beside = path.with_suffix(".items.csv") if kind == "facets" else None
    for file in (path, beside):
        if file is not None:
            check_file(file, overwrite=overwrite)
    full = _FULL_SHAPES[kind]
    users = full.users if users is None else users
    if interactions is None:
        interactions = round(full.interactions / full.users * users)
    shape = Shape(users, full.items if items is None else items, interactions)
    if beside is None:
        data = ml_20m(shape, seed=seed)
    else:
        dataset = planted_facets(shape, seed=seed).dataset
        data = dataset.interactions
        write_catalogue(dataset.items, beside)
    write_log(data, path, seed=seed)
    return data, beside


def _check(shape: Shape, fewest: int, for_items: int) -> None:
    """Refuses a shape in which not everybody has ``fewest`` interactions, or with too many."""
    for name, size in asdict(shape).items():
        if size < 1:
            raise DataError(f"The number of {name} has to be at least 1, not {size:,}.")
    least = max(fewest * shape.users, for_items)
    if shape.interactions < least:
        raise DataError(
            f"{shape.users:,} users with at least {fewest} interactions each and {shape.items:,} "
            f"items need {least:,} interactions at least, not {shape.interactions:,}."
        )
    if shape.interactions > _MOST_INTERACTIONS:
        raise DataError(
            f"At most {_MOST_INTERACTIONS:,} interactions can be made up, not "
            f"{shape.interactions:,}."
        )


def _lengths(rng: np.random.Generator, shape: Shape, fewest: int) -> np.ndarray:
    """``(U,)`` long-tailed lengths of histories: at least ``fewest``, ``N`` together."""
    beyond = np.minimum(rng.lognormal(sigma=_LENGTH_SPREAD, size=shape.users), _LONGEST)
    left = shape.interactions - fewest * shape.users
    # The floor of the running sum, so that rounding never adds up.
    ends = np.floor(np.cumsum(beyond) * (left / beyond.sum())).astype(np.int64)
    ends[-1] = left
    return fewest + np.diff(ends, prepend=0)


def _popularity(rng: np.random.Generator, items: int, fall: float) -> np.ndarray:
    """``(V - 1,)`` how likely each item is, in no order; sums to 1."""
    weights = np.exp(-fall * ((np.arange(items) + 0.5) / items) ** _POPULARITY_POWER)
    return rng.permutation(weights / weights.sum())


def _popular_items(rng: np.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
    """``(count,)`` item indices drawn by ``weights``, every item at least once."""
    counts = 1 + rng.multinomial(count - len(weights), weights)
    return rng.permutation(np.repeat(np.arange(1, len(weights) + 1, dtype=np.int32), counts))


def _independent_values(
    rng: np.random.Generator, items: int, facets: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """For every facet ``(V - 1,)`` values from 0: all combinations equally often, up to one."""
    combinations = math.prod(facets.values())
    rounds = -(-items // combinations)
    drawn = [rng.permutation(combinations) for _ in range(rounds)]
    combination = rng.permutation(np.concatenate(drawn)[:items])
    return dict(zip(facets, np.unravel_index(combination, tuple(facets.values())), strict=True))


def _preferred(rng: np.random.Generator, users: int, values: np.ndarray) -> np.ndarray:
    """``(U, 3)`` different values for everybody, out of those that an item has."""
    there = np.unique(values)
    return there[np.argsort(rng.random((users, len(there))), axis=1)[:, :_PREFERRED]]


def _sticky(rng: np.random.Generator, lengths: np.ndarray, facets: int) -> np.ndarray:
    """``(N,)`` int8 which facet rules at each click: the one before, or one drawn anew."""
    is_drawn = rng.random(lengths.sum()) >= _STAY
    is_drawn[np.cumsum(lengths) - lengths] = True  # everybody's first click
    drawn_at = np.maximum.accumulate(np.where(is_drawn, np.arange(len(is_drawn)), 0))
    return rng.integers(facets, size=len(is_drawn), dtype=np.int8)[drawn_at]


def _items_with(
    rng: np.random.Generator, values: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """An item with each ``wanted`` value, drawn by ``weights`` among those that have it."""
    by_value = np.argsort(values, kind="stable")
    # A value's items share one stretch of the cumulated weights: draw a point in it.
    reached = np.concatenate([[0], np.cumsum(weights[by_value])])
    begins = np.concatenate([[0], np.cumsum(np.bincount(values))])
    first, end = begins[wanted], begins[wanted + 1]
    point = reached[first] + rng.random(len(wanted)) * (reached[end] - reached[first])
    place = np.searchsorted(reached, point, side="right") - 1
    return 1 + by_value[np.clip(place, first, end - 1)]


def _repeats(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The clicks, as places in ``items``, on what the same person has clicked before."""
    pairs = users * (np.int64(items.max()) + 1) + items
    order = np.argsort(pairs, kind="stable")
    return order[1:][pairs[order][1:] == pairs[order][:-1]]


def _interactions(
    name: str, items: np.ndarray, lengths: np.ndarray, catalogue: int
) -> Interactions:
    def numbered(count: int) -> list[str]:
        return [str(number) for number in range(1, count + 1)]

    return Interactions(
        name=name,
        user_ids=np.array(numbered(len(lengths)), dtype=object),
        item_ids=np.array(["", *numbered(catalogue)], dtype=object),
        items=items,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        filters="none; made up",
    )


def _catalogue(item_ids: np.ndarray, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Items called by their number and values; a value is its facet's name with a number."""
    texts = {}
    for name, column in values.items():
        digits = len(str(column.max() + 1))  # so that values sort as text
        texts[name] = [f"{name}{value + 1:0{digits}}" for value in column]
    titles = [
        f"Item {item}: {', '.join(own)}"
        for item, *own in zip(item_ids, *texts.values(), strict=True)
    ]
    return pd.DataFrame({"item_id": item_ids, "title": titles, **texts}, dtype="string")
