"""What can be seen of a head in the lists themselves: values that items share.

An item *has* the values of its facet columns; of a year its decade counts. The words of its title
are had only where they are asked for, as for a head that is made of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fame.data.attributes import known_titles
from fame.data.catalogue import FacetKind, facet_columns
from fame.data.head_values import TITLE, decade, title_words
from fame.presentation.facts import facet_text
from fame.presentation.text import one_line

Value = tuple[str, str]  # the column, and the value as it is compared
_YEARS = range(1000, 2200)  # a whole number among these is a year


@dataclass(frozen=True)
class Fact:
    """One thing known of an item, as it is shown, and whether the history agrees with it."""

    text: str
    agrees: bool = False


@dataclass(frozen=True)
class Shared:
    """A value that ``count`` of ``among`` items have."""

    column: str
    value: str
    count: int
    among: int

    @property
    def is_word(self) -> bool:
        """Whether it is a word of their titles, and no value of a column."""
        return self.column == TITLE


class ItemFacts:
    """A catalogue's facets, an item at a time.

    Args:
        items: The frame of a checkpoint: row i is item index i + 1.
    """

    def __init__(self, items: pd.DataFrame) -> None:
        self.kinds: dict[str, FacetKind] = facet_columns(items)
        self._items = items
        self._columns = {name: items[name].tolist() for name in self.kinds}
        self._levels = [name for name in reversed(self.kinds) if is_level(name)]

    @cached_property
    def _words(self) -> list[list[str]]:
        """Of every item the words of its title."""
        return title_words(known_titles(self._items))

    @cached_property
    def _telling(self) -> dict[str, float]:
        """How much a word tells of an item: the logarithm of how few have it."""
        times = Counter(word for own in self._words for word in own)
        return {word: math.log(len(self._words) / many) for word, many in times.items()}

    def values(self, item: int, columns: Iterable[str] | None = None) -> list[Value]:
        """The values of an item, of all facet columns or of some."""
        found: list[Value] = []
        for column in self.kinds if columns is None else columns:
            found += [(column, value) for _, value in self._told(column, item)]
        return found

    def facts(self, item: int, held: Collection[Value] = ()) -> list[Fact]:
        """What is known of an item: year or brand, then genres, or the last category.

        Args:
            held: What the history agrees with, from :meth:`held_by`.
        """
        shown = [column for column in self.kinds if column not in self._levels]
        last = next((column for column in self._levels if self._told(column, item)), None)
        return [
            Fact(text, (column, value) in held)
            for column in (*shown, *([last] if last else []))
            for text, value in self._told(column, item)
        ]

    def held_by(self, clicks: Sequence[int] | np.ndarray) -> frozenset[Value]:
        """The values that a third of some clicks have, and two of them at least where there are.

        These are what a recommendation is said to agree with.
        """
        counts = Counter(value for item in clicks for value in set(self.values(int(item))))
        least = max(min(2, len(clicks)), math.ceil(len(clicks) / 3))
        return frozenset(value for value, count in counts.items() if count >= least)

    def shared(
        self, listed: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None
    ) -> Shared | None:
        """The value that most items of a list have; of levels the deepest that half of them share.

        Of words it is the one that tells most among those that at least half as many titles have
        as the most frequent one, and two at least where there are: many titles have a "with".
        ``None`` where no item of the list has a value in these columns.
        """
        best: Shared | None = None
        for column in sorted(self.kinds if columns is None else columns, reverse=True):
            counts = Counter(
                value for item in listed for value in set(self.values(int(item), [column]))
            )
            if not counts:
                continue
            if column == TITLE:
                (_, value), number = self._most_telling(counts)
            else:
                (_, value), number = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
            found = Shared(column, value, number, len(listed))
            if is_level(column) and 2 * number >= len(listed):
                return found
            if best is None or number > best.count:
                best = found
        return best

    def _most_telling(self, counts: Mapping[Value, int]) -> tuple[Value, int]:
        """Of the words that many have, the one that tells most by ``count log(V / items)``."""
        most = max(counts.values())
        least = max(min(2, most), math.ceil(most / 2))
        frequent = [word for word, count in counts.items() if count >= least]
        best = max(frequent, key=lambda word: (counts[word] * self._telling[word[1]], word))
        return best, counts[best]

    def columns_of(self, share: Sequence[str]) -> list[str]:
        """The facet columns of one share of ``head_facets``; ``category`` means every level.

        ``title``, of whose words a head may be made, stands among them.
        """
        return [
            column
            for column in (*self.kinds, TITLE)
            if column in share or (is_level(column) and "category" in share)
        ]

    def _told(self, column: str, item: int) -> list[tuple[str, str]]:
        """An item's values in one column: as they are shown, and as they are compared."""
        if column == TITLE:
            return [(word, word) for word in self._words[item - 1]]
        value = self._columns[column][item - 1]
        if self.kinds[column] == "list":
            return [(text, text) for text in map(_text, value)]
        if pd.isna(value):
            return []
        text = _text(value)
        if self.kinds[column] == "number" and int(value) == value and int(value) in _YEARS:
            return [(str(int(value)), decade(int(value)))]
        return [(text, text)]


def _text(value: object) -> str:
    return one_line(facet_text(value))


def is_level(column: str) -> bool:
    """Whether a column is one level of several: ``category_1`` is the widest."""
    return column.startswith("category_")
