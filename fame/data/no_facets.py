"""Which columns of a catalogue are no facets.

A facet says what items have in common. Free text, addresses, coordinates and ids tell every item
apart from every other one, and a long list (what else was bought) says nothing in a word. The
bounds are ours, made for catalogues of shops, films and places; who knows better asks for a column
by its name.
"""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

import pandas as pd

from fame.data.catalogue import FacetKind, values_of

_JUDGED_FROM = 20  # items; among fewer nobody can say whether values repeat
_FEW = 0.1  # a smaller share of items has a value in common with another one
_HALF = 0.5
_TEXT, _LONG_TEXT = 40, 100  # letters: nobody writes a category so long
_LONG_LIST = 20
_ADDRESS = re.compile(r"(https?://|www\.|//)\S+")
_PAIR = re.compile(r"\W{0,2}-?\d{1,3}\.\d+\s*[,; ]\s*-?\d{1,3}\.\d+\W{0,2}|POINT ?\(.*\)")
_DECIMAL = re.compile(r"-?\d{1,3}\.\d+")
_PLACES = {"lat", "latitude", "lon", "lng", "long", "longitude"}
_IDS = {"id", "ids", "ean", "isbn", "upc", "gtin", "asin", "sku"}


def why_no_facet(name: str, column: pd.Series, kind: FacetKind) -> str | None:
    """What a column holds that makes it none, in a word or two; ``None`` where it may be one."""
    by_item = [own for own in values_of(column) if own]
    if not by_item:
        return None
    shared = _shared(by_item) if len(by_item) >= _JUDGED_FROM else 1.0
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    if kind == "number":
        numbers = column.dropna().astype(float)
        whole = bool((numbers % 1 == 0).all())
        if words & _PLACES and not whole and bool((numbers.abs() <= 180).all()):
            return "coordinates"
        return "ids" if words & _IDS and whole and shared < _FEW else None
    values = [value for own in by_item for value in own]
    if kind == "list" and all(len(own) == 2 for own in by_item) and _most(_DECIMAL, values):
        return "coordinates"
    if _most(_PAIR, values):
        return "coordinates"
    if _most(_ADDRESS, values):
        return "addresses"
    if sum(value.startswith("{") for value in values) > _HALF * len(values):
        return "nested values"
    if median(map(len, by_item)) > _LONG_LIST:
        return "long lists"
    length = median(map(len, values))
    if length > _LONG_TEXT or (length > _TEXT and shared < _HALF):
        return "free text"
    if shared < _FEW:
        return "ids" if words & _IDS else "a value of its own for nearly every item"
    return None


def _shared(by_item: list[list[str]]) -> float:
    """Share of the items that have a value in common with another one."""
    counts = Counter(value for own in by_item for value in set(own))
    return sum(any(counts[value] > 1 for value in own) for own in by_item) / len(by_item)


def _most(pattern: re.Pattern[str], values: list[str]) -> bool:
    return sum(pattern.fullmatch(value.strip()) is not None for value in values) > _HALF * len(
        values
    )
