"""The ledger down to values, for people: what values are called, and figures that add up as shown.

Names of values come from a catalogue: whoever shows them escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fame.lens.values import ByValue
from fame.presentation.text import one_line, points

OWN, NOTHING_OWN = "its own", "nothing of its own"
BY_VALUE = (
    "A head's part is the exact sum of what the item's values are worth to it after this history, "
    "and of what the item has for itself; nothing is taken away and run again."
)
_LEVEL = " > "
_MOST = 4  # values of a head that are told apart
_MOST_COLUMNS = 4


@dataclass(frozen=True)
class ValueName:
    """What a value is called: ``category=Makeup > Nails`` as ``Makeup > `` and ``Nails``.

    Attributes:
        above: The levels above it, with what parts them from it; mostly empty.
        label: The value itself.
    """

    above: str
    label: str

    @classmethod
    def of(cls, name: str) -> ValueName:
        """From ``column=value``, the name in a checkpoint."""
        above, level, label = one_line(name.partition("=")[2]).rpartition(_LEVEL)
        return cls(f"{above}{level}", label)

    @property
    def near(self) -> str:
        """Of the levels above it the nearest one alone."""
        *further, nearest, _ = ["", *self.above.split(_LEVEL)]
        return f"{'…' + _LEVEL if any(further) else ''}{nearest}{_LEVEL}" if nearest else ""

    def __str__(self) -> str:
        return f"{self.above}{self.label}"


@dataclass(frozen=True)
class Part:
    """One part of a head's points.

    Attributes:
        name: The value's; a text where the part is of no single value: the item's own, the rest.
        points: As shown, to two digits.
    """

    name: ValueName | str
    points: float


@dataclass(frozen=True)
class HeadLine:
    """What one head put into a score, and what of it comes of which value.

    Attributes:
        points: As shown, to two digits.
        parts: The largest first, what is not of one value last; as shown they add up to ``points``.
            None where there is nothing to tell apart: a head that knows no values, or is silent.
        free: Whether it is a head that knows no values.
    """

    head: int
    points: float
    parts: tuple[Part, ...]
    free: bool = False

    def sentence(self, head_name: str) -> str:
        """``Genre +2.10: Thriller +1.60, Crime +0.40, its own +0.10``."""
        parts = ", ".join(f"{part.name} {points(part.points)}" for part in self.parts)
        return f"{head_name} {points(self.points)}{': ' if parts else ''}{parts}"


def head_lines(
    by_value: ByValue, value_names: Sequence[Sequence[str]], *, new: bool = False
) -> list[HeadLine]:
    """The ledger of one item by head and value, as it is shown.

    Args:
        by_value: ``[H]`` of (value or ``None``, points) (:func:`fame.lens.trace.value_ledger`).
        value_names: ``[H]`` the names of the values, as of the checkpoint.
        new: Whether it is in no catalogue: what is called its own is then what centring takes off.
    """
    ours = NOTHING_OWN if new else OWN
    lines: list[HeadLine] = []
    before = 0  # values of the heads before this one
    for head, (parts, known) in enumerate(zip(by_value, value_names, strict=True)):
        total = round(sum(given for _, given in parts), 2)
        told: list[tuple[ValueName | str, float]] = []
        if (known or new) and any(given for _, given in parts):
            own = [given for value, given in parts if value is None]
            values = [
                (ValueName.of(known[value - before]), given)
                for value, given in sorted(parts, key=lambda part: -abs(part[1]))
                if value is not None
            ]
            most = _MOST if len(values) > _MOST + 1 else len(values)
            told += values[:most]
            if values[most:]:
                rest = sum(given for _, given in values[most:])
                told.append((f"{len(values) - most} more", rest))
            told.append((ours if values or not known else f"{ours}, no value known", sum(own)))
        shown = adding_up([given for _, given in told], total)
        named = zip(told, shown, strict=True)
        told_apart = tuple(Part(name, part) for (name, _), part in named)
        lines.append(HeadLine(head, total, told_apart, free=not known))
        before += len(known)
    return lines


def column_widths(lines: Sequence[HeadLine]) -> str:
    """CSS: the heads' columns, the same for every item; a free head has little to say."""
    if len(lines) > _MOST_COLUMNS:
        return "grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr))"
    widths = (f"minmax(0, {1 if line.free else 3}fr)" for line in lines)
    return f"grid-template-columns: {' '.join(widths)}"


def adding_up(parts: Sequence[float], total: float) -> list[float]:
    """Parts to two digits that add up to their total to two digits, by largest remainders.

    Each is moved by less than 0.01, where rounding alone moves it by 0.005 and lets the sum of n
    parts miss the total by n times that.
    """
    exact = [100 * part for part in parts]
    down = [math.floor(part) for part in exact]
    missing = round(100 * round(total, 2)) - sum(down)
    by_remainder = sorted(range(len(parts)), key=lambda place: down[place] - exact[place])
    for place in by_remainder[:missing]:
        down[place] += 1
    return [part / 100 for part in down]
