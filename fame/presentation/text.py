"""Titles cut to length, and figures as people write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_NO_BREAK = "\u00a0"
_FIGURES = re.compile(
    r"(?<=\d) (?=%)"  # 37 %
    r"|(?<=\d) (?=of \d)|(?<=\d of) (?=\d)"  # 9 of 10
    r"|(?<=\d) (?=(?:percentage )?points?\b)"  # +4.2 points
    r"|(?<=[Hh]ead) (?=\d)|(?<=xpert) (?=\d)|(?<=rank) (?=\d)"  # Head 2, Expert 3, rank 41
    r"|(?<=@10) (?=\d)|(?<=SASRec) (?=\d)|(?<=-kNN) (?=\d)|(?<=opularity) (?=\d)"  # the badge
)

# Between a title that several items have and what differs. It looks like a middle dot and is
# another sign, so that what follows it is known when a name is cut.
APART = " ∙ "


def one_line(text: str) -> str:
    return " ".join(str(text).split())


def unbroken(text: str) -> str:
    """Text for a page, where no line ends between a figure and what it is a figure of.

    Only what draws a page asks for it: in a table, a file or a terminal a space is a space.
    """
    return _FIGURES.sub(_NO_BREAK, text)


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters, cut at a word where that costs little.

    What tells a name from others of the same title stays (:data:`APART`), where there is room.
    """
    text = one_line(text)
    if len(text) <= length:
        return text
    title, apart, ending = text.partition(APART)
    left = length - len(apart) - len(ending)
    if apart and left >= length // 4:
        return f"{shortened(title, left)}{apart}{ending}"
    cut = text[: length - 1]
    word = cut.rfind(" ")
    return (cut[:word] if word > length * 0.7 else cut).rstrip(" ,;:-(") + "…"


def told_apart(titles: Sequence[str], length: int) -> list[str]:
    """Titles of at most ``length`` characters; two that begin alike show how they end."""
    cut = [shortened(title, length) for title in titles]
    clashing = {short for short, times in Counter(cut).items() if times > 1}
    return [
        _ends(one_line(title), length) if short in clashing else short
        for title, short in zip(titles, cut, strict=True)
    ]


def _ends(title: str, length: int) -> str:
    """A title cut in its middle."""
    if len(title) <= length:
        return title
    tail = length // 2
    return f"{title[: length - tail - 1].rstrip()}…{title[-tail:].lstrip()}"


def quoted(title: str) -> str:
    return f"“{shortened(title, 70)}”"


def written(value: float, number: str) -> str:
    """A number as ``format`` writes it, with a true minus and a space before a percent sign."""
    return f"{value:{number}}".replace("%", " %").replace("-", "−")


def percent(share: float) -> str:
    return written(share, ".0%")


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def points(value: float) -> str:
    """A score to two digits with its sign, a true minus, and none where it rounds to nothing."""
    rounded = f"{value:+.2f}"
    return "0.00" if rounded in ("+0.00", "-0.00") else rounded.replace("-", "−")


def changes(changed: int, k: int) -> str:
    """``7 of the 10 items change``."""
    if k == 1:
        return "the one item changes" if changed else "the one item stays"
    if changed == k:
        return f"all {k} items change"
    return f"{changed or 'none'} of the {k} items {'change' if changed > 1 else 'changes'}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
