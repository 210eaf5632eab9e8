"""What things are called in front of people, who count heads and experts from 1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from fame.data.head_values import TITLE
from fame.models.registry import MODELS
from fame.presentation.text import one_line, shortened

# Lists of other models: what they are called, and a remark; in the order in which they are shown.
OTHER_LISTS: dict[str, tuple[str, str]] = {
    **{name: (spec.title, spec.remark) for name, spec in MODELS.items()},
    "item_knn": ("Item-kNN", "near the latest clicks"),
    "markov": ("Markov chain", "after the latest click"),
    "popularity": ("Popularity", "clicked most"),
}


def head_name(head: int) -> str:
    """What a head is called as long as nothing names it; people count from 1."""
    return f"Head {head + 1}"


FREE = "Free"  # a head that was given no facet
LONGEST_NAME = 24  # characters; a longer name would not fit beside a chart
_WHOLE = "Whole embedding"
# What stands beside the heads in lists, legends and tables; no head reads the same.
_TAKEN = (
    *(_WHOLE, "Fused", "Fused list", "The list", "Gate", "Score", "Score (the sum)", "Chance"),
    *("Rank", "Item", "Title", "Held out", "Alone", "Without"),
)


@dataclass(frozen=True)
class HeadNames:
    """What the heads of one checkpoint are called in front of people, and on what grounds.

    The one place that knows: every sentence, chart, table and legend asks it. A head without a name
    has its number. No two heads read the same, and none as what stands beside them: where a name
    would, it has the head's number behind it.

    Names are data, like titles: who shows one escapes it.

    Attributes:
        given: ``[H]`` the names, ``None`` for a head without one; may be left out where none has.
        grounds: ``[H]`` on what each name rests, or that nothing names the head.
        problems: What keeps stored names from being used, a sentence each.
    """

    given: tuple[str | None, ...] = ()
    grounds: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def head(self, head: int) -> str:
        """``Genre``, or ``Head 2`` where that has no name."""
        name = self.names[head] if head < len(self.given) else None
        return name or head_name(head)

    def heads(self, heads: int) -> list[str]:
        """All of so many heads."""
        return [self.head(head) for head in range(heads)]

    def space(self, space: str) -> str:
        """``all`` or ``head_<h>`` as a person reads it."""
        return _WHOLE if space == "all" else self.head(int(space.removeprefix("head_")))

    def why(self, head: int) -> str:
        """On what the name rests; heads in it are called by their names too."""
        if head >= len(self.grounds):
            return "Nothing names this head, so it has its number."
        return grounds_told(self.grounds[head], self.head)

    @cached_property
    def names(self) -> tuple[str | None, ...]:
        """``[H]`` the names as they are shown; ``None`` for a head without one."""
        shown = [None if name is None else _fit(name) or None for name in self.given]
        while clashing := self._clashing(shown):
            for head in clashing:
                shown[head] = f"{shown[head]} (head {head + 1})"
        return tuple(shown)

    def columns(self, heads: int, beside: Collection[object]) -> list[str]:
        """The heads as headings of a table that has the columns ``beside`` already."""
        taken = {str(column).casefold() for column in beside}
        return [
            f"{name} (head {head + 1})" if name.casefold() in taken else name
            for head, name in enumerate(self.heads(heads))
        ]

    @staticmethod
    def _clashing(shown: list[str | None]) -> list[int]:
        """Named heads that would read as another head, or as what stands beside them."""
        read = [(name or head_name(head)).casefold() for head, name in enumerate(shown)]
        times = Counter([*read, *(taken.casefold() for taken in _TAKEN)])
        return [head for head, name in enumerate(shown) if name and times[read[head]] > 1]


_NUMBERED = re.compile(r"\bHead (\d{1,4})\b")


_COLUMN = re.compile(r"\b[a-z]+_\d+\b")
_INTERVAL = re.compile(r"(?<![(\d.])([+−][\d.]+), 95 % ([+−][\d.]+ to [+−][\d.]+)")


def grounds_told(why: str, called: Callable[[int], str]) -> str:
    """Stored grounds as a person reads them: names for heads, headings for columns.

    Args:
        why: :attr:`fame.facets.naming.NamedHead.why`.
        called: What a head is called, by its number from 0.
    """
    # Before heads are called by their names, which are data.
    told = why.replace(f"Nearest is {TITLE},", "Nearest are the words of titles,")
    told = told.replace(f"a value of {TITLE} ", "a word of their titles ")
    told = told.replace(f"when {TITLE} changes", "when the words of titles change")
    told = _NUMBERED.sub(lambda found: called(int(found[1]) - 1), told)
    told = _COLUMN.sub(lambda found: facet_label(found[0]), told)
    told = re.sub(r"(?<=\d)%", " %", told)
    told = re.sub(r"(?<![\w.])-(?=\d)", "−", told)
    return _INTERVAL.sub(r"\1 (95 %: \2)", told)


def _fit(name: str) -> str:
    """A stored name on one line, without what cannot be printed, and not too long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return shortened(one_line(printable), LONGEST_NAME)


UNNAMED = HeadNames()  # every head by its number


def facet_label(column: str) -> str:
    """``category_2`` as ``Category 2``."""
    return "Words of titles" if column == TITLE else column.replace("_", " ").capitalize()


_FACETS = {"genres": "Genre", "year": "Era", "brand": "Brand", TITLE: "Words"}


def facet_name(column: str) -> str:
    """What a head is called that is this facet: all levels of a category are its ``Kind``."""
    if column.startswith("category_"):
        return "Kind"
    return _FACETS.get(column) or facet_label(column)


def value_name(value: str) -> str:
    """``genres=Film-Noir`` as a person reads it: ``Film-Noir``."""
    return value.partition("=")[2]


def expert_name(expert: int, named_after: Sequence[str] = (), *, head: str = "") -> str:
    """``Expert 2``, with the values that it serves: ``Genre, expert 2 (Horror, Thriller)``.

    Names are data, like titles: who shows one escapes it.

    Args:
        named_after: As ``facet=value``; none where nothing names it.
        head: What its head is called, where that does not stand beside it.
    """
    number = f"{head}, expert {expert + 1}" if head else f"Expert {expert + 1}"
    values = dict.fromkeys(shortened(value_name(value), LONGEST_NAME) for value in named_after)
    return f"{number} ({', '.join(values)})" if values else number
