"""Catalogue of the Amazon review sets: titles, brands and categories as they were collected."""

from __future__ import annotations

import html
from collections import Counter
from typing import IO

import pandas as pd

from fame.data.readers import read_rows

_COLUMNS = ("item_id", "title", "brand", "categories", "keywords")
# What stands where a brand is not known.
_NO_BRAND = {"", "Unknown", "#1", "#23"}
_CATEGORY_LEVELS = 3


def items_csv(stream: IO[bytes], label: str) -> pd.DataFrame:
    """``items.csv``: title (else the keywords), brand and up to three category levels."""
    rows = read_rows(stream, label, _COLUMNS)
    titles = [_plain(row["title"]) or _plain(row["keywords"]) or None for row in rows]
    brands = [_plain(row["brand"]) for row in rows]
    columns: dict[str, list[str | None]] = {
        "item_id": [row["item_id"] for row in rows],
        "title": titles,
        "brand": [None if brand in _NO_BRAND else _named(brand) for brand in brands],
    }
    levels = category_levels([row["categories"] for row in rows])
    columns |= {f"category_{number}": level for number, level in enumerate(levels, start=1)}
    return pd.DataFrame(columns, dtype="string")


def _named(brand: str) -> str:
    """In Toys nearly all brands are numbers, which beside a rank would read as one ("#178")."""
    return f"brand {brand[1:]}" if brand[:1] == "#" and brand[1:].isdecimal() else brand


def category_levels(paths: list[str]) -> list[list[str | None]]:
    """Up to three levels below the set's root, without those in which all items agree.

    A path reads ``root > level > level``. An item can be filed in several places, separated by
    ``|`` or run together by `` > `` itself. The place that counts is the first below the root that
    most items have; an item filed only elsewhere has no category.
    """
    filed = [[place.split(" > ") for place in path.split("|")] for path in paths]
    roots = Counter(places[0][0] for places in filed)
    root = roots.most_common(1)[0][0] if roots else ""
    below = [_below(root, places) for places in filed]
    depth = max(map(len, below), default=0)
    levels = [
        [_plain(p[level]) if level < len(p) else None for p in below] for level in range(depth)
    ]
    return [level for level in levels if len(set(level) - {None}) > 1][:_CATEGORY_LEVELS]


def _below(root: str, places: list[list[str]]) -> list[str]:
    for place in places:
        if root in place:
            path = place[place.index(root) + 1 :]
            return path[: path.index(root)] if root in path else path
    return []


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())
