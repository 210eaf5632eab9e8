"""What an item is called, so that no two items of a catalogue read the same.

Most have a title that is theirs alone. Of titles that several items share, what differs follows: a
year, a brand, else the id. An item without a title is called by its id and what is known of it.
"""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fame.data.catalogue import facet_columns, has_title
from fame.presentation.facts import facet_text, item_facts_of_all
from fame.presentation.text import APART, one_line, shortened

_LONGEST_TITLE, _LONGEST_VALUE, _LONGEST_FACTS = 80, 30, 60  # characters, of those told apart


class ItemNames:
    """The names of a catalogue's items, by item index from 1.

    Args:
        items: The frame of a checkpoint: row i is item index i + 1.
    """

    def __init__(self, items: pd.DataFrame) -> None:
        ids = items["item_id"].astype(str).tolist()
        titled = (
            has_title(items).to_numpy(dtype=bool) & (items["title"].str.strip() != "").to_numpy()
        )
        titles = [one_line(title) for title in items["title"]]
        # Beside facts, then with them; the frame itself is not kept, or it would never be let go.
        self._short = [
            title if own else f"Item {item_id}"
            for title, own, item_id in zip(titles, titled, ids, strict=True)
        ]
        for row, name in _told_apart(items, self._short, ids).items():
            self._short[row] = name
        self._long = list(self._short)
        known = item_facts_of_all(items[~titled])
        for row, facts in zip(np.flatnonzero(~titled).tolist(), known, strict=True):
            if facts:
                told = shortened(facts.replace(" · ", ", "), _LONGEST_FACTS)
                self._long[row] = f"{self._short[row]} ({told})"

    def __len__(self) -> int:
        return len(self._long)

    def __getitem__(self, item: int) -> str:
        """The name of an item; one without a title says what is known of it."""
        return self._long[item - 1]

    def beside_facts(self, item: int) -> str:
        """The name where what is known of the item stands beside it anyway."""
        return self._short[item - 1]


def _told_apart(items: pd.DataFrame, titles: Sequence[str], ids: Sequence[str]) -> dict[int, str]:
    """By row the names of the items whose title is not theirs alone."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, title in enumerate(titles):
        rows_of[title].append(row)
    named: dict[int, str] = {}
    for title, rows in rows_of.items():
        if len(rows) > 1:
            short = shortened(title, _LONGEST_TITLE)
            endings = _differing(items, rows) or [f"item {ids[row]}" for row in rows]
            for row, ending in zip(rows, endings, strict=True):
                named[row] = f"{short}{APART}{ending}"
    # Somebody's title may be what another one has become.
    taken = Counter(named.get(row, title) for row, title in enumerate(titles))
    return {
        row: f"{name}{APART}item {ids[row]}" if taken[name] > 1 else name
        for row, name in named.items()
    }


def _differing(items: pd.DataFrame, rows: Sequence[int]) -> list[str]:
    """The values of the first facet that items all differ in, one value before lists; or none."""
    kinds = facet_columns(items)
    for column in sorted(kinds, key=lambda name: kinds[name] == "list"):
        values = items[column].iloc[list(rows)]
        texts = [one_line(facet_text(_plain(value))) for value in values]
        if len(set(texts)) == len(rows) and all(0 < len(own) <= _LONGEST_VALUE for own in texts):
            return texts
    return []


def _plain(value: object) -> object:
    """1991.0 as 1991."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_known: dict[int, tuple[weakref.ref[pd.DataFrame], ItemNames]] = {}


def item_names(items: pd.DataFrame) -> ItemNames:
    """The names of a catalogue, worked out once a frame: nobody changes a checkpoint's."""
    place = id(items)
    found = _known.get(place)
    if found is None or found[0]() is not items:
        found = _known[place] = (weakref.ref(items, _forget(place)), ItemNames(items))
    return found[1]


def _forget(place: int, known: dict[int, Any] = _known) -> Callable[[Any], None]:
    """Called when a frame is let go; at the end of a process the module's own names are gone."""
    return lambda _: known.pop(place, None)
