"""Figures with their spread, ratios of things measured side by side, and the answer of a bench.

Machines are shared and noisy, so nothing here is a single number: work that is to be compared is
repeated in turns (A B, B A, A B, ...), and a ratio is taken within each turn, where both met the
same neighbours.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fame.errors import FameError

T = TypeVar("T")

# Told what is being measured.
Say = Callable[[str], None]


class NotMeasured(Exception):
    """A figure that cannot be had here; the message is the reason that stands in its place."""


@dataclass(frozen=True)
class Figure:
    """Repeats of one measurement: their median is the figure, least and most its spread."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a figure needs at least one repeat")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def rate(self, amount: float) -> Figure:
        """``amount`` by each repeat: where these are seconds, how much of it a second."""
        return Figure(tuple(amount / value for value in self.values))

    def to_json(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "min": self.low,
            "max": self.high,
            "values": list(self.values),
        }


def figure_of(rows: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """The figure of one entry of all repeats."""
    return Figure(tuple(float(row[name]) for row in rows))


def ratio(ours: Figure, theirs: Figure) -> Figure:
    """``ours / theirs`` within each turn; where one has fewer repeats, over the turns of both."""
    return Figure(tuple(a / b for a, b in zip(ours.values, theirs.values, strict=False)))


def in_turns(
    work: Mapping[str, Callable[[], T]],
    repeats: Mapping[str, int],
    missing: dict[str, str],
    say: Say,
) -> dict[str, list[T]]:
    """Does every piece of work its number of times, in turns, every other turn backwards.

    Going there and back keeps a machine that gets slower or faster from favouring one side.

    Args:
        missing: Gets the reason of what could not be measured.

    Returns:
        The answers by name, in the order of their turns.
    """
    answers: dict[str, list[T]] = {name: [] for name in work}
    for turn in range(max(repeats.values(), default=0)):
        for name in list(work)[:: 1 if turn % 2 == 0 else -1]:
            if turn < repeats[name] and name in answers:
                say(f"{name}, {turn + 1} of {repeats[name]}")
                try:
                    answers[name].append(work[name]())
                except NotMeasured as reason:
                    missing[name] = str(reason)
                    del answers[name]
    return answers


# What a row of an answer holds; the end of its name says its unit.
Cell = Figure | float | int | str


@dataclass
class Report:
    """What one bench has to say, in a form that is printed as a table or as JSON.

    Args:
        title: What was measured, in a line.
        about: The work, its settings, and what holds for all rows.
        notes: Sentences without which the figures could be misread.
        rows: By contender its figures.
        ratios: ``"a / b"`` to the ratio of their seconds, turn by turn.
        missing: What could not be measured here, and why.
    """

    title: str
    about: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    ratios: dict[str, Figure] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def compare(self, ours: str, theirs: str) -> None:
        """Adds the ratio of the seconds of two rows, where both were measured."""
        if ours in self.rows and theirs in self.rows:
            a, b = self.rows[ours]["seconds"], self.rows[theirs]["seconds"]
            assert isinstance(a, Figure) and isinstance(b, Figure)
            self.ratios[f"{ours} / {theirs}"] = ratio(a, b)

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": self.about,
            "notes": self.notes,
            "rows": {
                name: {
                    key: value.to_json() if isinstance(value, Figure) else value
                    for key, value in row.items()
                }
                for name, row in self.rows.items()
            },
            "ratios": {name: figure.to_json() for name, figure in self.ratios.items()},
            "not_measured": self.missing,
        }


def chosen(only: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names asked for, in their own order; ``FameError`` for one that nobody measures."""
    for name in only:
        if name not in known:
            raise FameError(f"--only knows {', '.join(known)}, not {name!r}.")
    return tuple(name for name in known if not only or name in only)
