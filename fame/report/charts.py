"""Charts as HTML and SVG. Every mark says its figures to the mouse in ``data-tip``.

What is hovered over and chosen is wired in ``report.js``; without it every chart still stands.

Shapes: ``H`` heads · ``E`` experts in each head · ``k`` clicks removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fame.lens.faithfulness import DeletionCurve
from fame.presentation.names import HeadNames
from fame.presentation.palette import AGAINST, FOR, NEUTRAL, head_colour, ink_on
from fame.presentation.text import percent, points, shortened
from fame.presentation.values import HeadLine, ValueName, column_widths
from fame.report.markup import Child, Html, element


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most ``most``: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    for step in (power * multiple for multiple in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [round(step * i, 12) for i in range(first, last + 1)]


def _tick(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


def share_bar(shares: Sequence[float] | np.ndarray, called: HeadNames) -> Html:
    """One bar of 100 %: the gate. A share too small for its figure says it to the mouse only."""
    parts = [
        element(
            "span",
            percent(share) if share >= 0.15 else None,
            style=f"flex:{share:.6f} 0 0;background:{colour};color:{ink_on(colour)}",
            data_tip=f"{called.head(head)}: {share:.1%} of the gate",
        )
        for head, share in enumerate(shares)
        for colour in (head_colour(head),)
        if share  # the narrowest bar would still be seen
    ]
    return element("div", *parts, class_="share-bar")


def head_chip(head: int, called: HeadNames, remark: str = "") -> Html:
    """The name of a head with its colour; on what it rests is said to the mouse."""
    return chip(called.head(head), head_colour(head), remark, called.why(head))


def chip(label: str, colour: str, remark: str = "", tip: str | None = None) -> Html:
    return element(
        "span",
        element("i", style=f"background:{colour}"),
        label,
        element("small", remark) if remark else None,
        class_="chip",
        data_tip=tip,
    )


@dataclass(frozen=True)
class LedgerRow:
    """A row of the ledger: ``parts`` ``(H,)`` sum to the score; ``key`` is the item's id.

    ``below`` is the same down to values, where items are made of them.
    """

    rank: int
    key: str
    title: str
    parts: np.ndarray
    held_out: bool = False
    below: Html | None = None


def ledger_bars(rows: Sequence[LedgerRow], called: HeadNames) -> Html:
    """Signed stacked bars by head around 0, a diamond at their sum."""
    low = min(0.0, *(float(row.parts[row.parts < 0].sum()) for row in rows))
    high = max(0.0, *(float(row.parts[row.parts > 0].sum()) for row in rows))
    span = (high - low) or 1.0
    low, high = low - 0.01 * span, high + 0.02 * span

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    marks = ticks(low, high)
    grid = [element("i", class_="grid", style=f"left:{at(tick):.2f}%") for tick in marks]
    lines = [_ledger_row(row, called, at, grid) for row in rows]
    labels = [element("span", _tick(tick), style=f"left:{at(tick):.2f}%") for tick in marks]
    axis = element(
        "div", element("span"), element("span"), element("div", *labels, class_="axis"),
        class_="ledger-row",
    )  # fmt: skip
    return element("div", *lines, axis, class_="ledger")


def _ledger_row(
    row: LedgerRow, called: HeadNames, at: Callable[[float], float], grid: list[Html]
) -> Html:
    drawn, ends = [], {True: 0.0, False: 0.0}  # how far the bars reach on either side
    for head, part in enumerate(row.parts.tolist()):
        start = ends[part >= 0]
        ends[part >= 0] = end = start + part
        left, right = sorted((at(start), at(end)))
        drawn.append(
            element(
                "i",
                class_="part",
                style=f"left:{left:.2f}%;width:{right - left:.2f}%;background:{head_colour(head)}",
                data_tip=f"{row.title}\n{called.head(head)} put in {points(part)}",
            )
        )
    score = float(row.parts.sum())
    if len(row.parts) > 1:
        drawn.append(
            element(
                "i",
                class_="sum",
                style=f"left:{at(score):.2f}%",
                data_tip=f"{row.title}\nScore {points(score)}, the sum",
            )
        )
    zero = element("i", class_="zero", style=f"left:{at(0):.2f}%")
    return element(
        "div",
        element("span", row.rank, class_="rank"),
        element("span", "◎ " if row.held_out else None, row.title, class_="title"),
        element("div", grid, drawn, zero, class_="track"),
        element("span", points(score), class_="score"),
        row.below,
        class_=f"ledger-row{' target' if row.held_out else ''}",
        data_item=row.key,
    )


def value_lines(lines: Sequence[HeadLine], names: Sequence[str]) -> Html:
    """What each head put into a score, and what of it comes of which value of the item.

    Args:
        names: ``[H]`` what the heads are called.
    """
    told = (_value_line(line, names[line.head]) for line in lines)
    return element("div", *told, class_="values", style=column_widths(lines))


def _value_line(line: HeadLine, name: str) -> Html:
    """As :meth:`HeadLine.sentence` says it; a value keeps its points beside it."""
    said: list[Child] = [chip(name, head_colour(line.head)), " ", element("b", points(line.points))]
    for place, part in enumerate(line.parts):
        if isinstance(part.name, ValueName):
            what: Child = [element("small", part.name.near), part.name.label]
            tip = str(part.name)
        else:
            what, tip = element("i", part.name), None
        more = "," if place + 1 < len(line.parts) else None
        said += [
            " " if place else ": ",
            element("span", what, " ", points(part.points), more, class_="part", data_tip=tip),
        ]
    return element("div", said)


def columns(heights: np.ndarray, tips: Sequence[str], colour: str) -> Html:
    """A column a click, as high as its share of the largest: what an expert attends to."""
    largest = float(heights.max(initial=0)) or 1.0
    bars = [
        element(
            "span",
            element("i", style=f"height:{100 * height / largest:.1f}%;background:{colour}"),
            data_tip=tip,
        )
        for height, tip in zip(heights.tolist(), tips, strict=True)
    ]
    return element("div", *bars, class_="columns")


def square(share: float, colour: str) -> Html:
    """A square filled from its middle: the filled area is the share."""
    side = 100 * math.sqrt(share)
    return element(
        "i",
        element("i", style=f"width:{side:.1f}%;height:{side:.1f}%;background:{colour}"),
        class_="square",
        style=f"border-color:{colour}",
    )


# --- SVG ---------------------------------------------------------------------------------------


def _svg(width: int, height: int, label: str, *children: Html) -> Html:
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        preserveAspectRatio="xMidYMid meet",
    )


def _text(x: float, y: float, text: str, **attributes: str) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", **attributes)


def _path(xs: Sequence[float], ys: Sequence[float], **attributes: str) -> Html:
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    return element("polyline", points=steps, fill="none", **attributes)


def deletion_chart(curve: DeletionCurve) -> Html:
    """What removing k clicks does: those the explanation names, the latest, and random ones."""
    width, height, left, right, top, bottom = 740, 340, 84, 168, 16, 52
    share = curve.measure == "list"
    low_band, high_band = np.quantile(curve.random, [0.025, 0.975], axis=0)
    drawn = curve.random.mean(0)
    everything = np.concatenate([curve.influential, curve.latest, low_band, high_band])
    low, high = min(0.0, float(everything.min())), float(everything.max()) or 1.0
    if share:
        high = 1.0
    last = len(curve.influential) - 1

    def x(count: float) -> float:
        return left + (width - left - right) * count / last

    def y(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - low) / (high - low)

    def said(value: float) -> str:
        return percent(value) if share else points(value)

    counts = range(last + 1)
    xs = [x(count) for count in counts]
    grid = []
    for tick in ticks(low, high):
        grid.append(
            element(
                "line",
                x1=left,
                x2=width - right,
                y1=f"{y(tick):.1f}",
                y2=f"{y(tick):.1f}",
                class_="grid",
            )
        )
        label = percent(tick) if share else _tick(tick)
        grid.append(_text(left - 10, y(tick) + 4, label, text_anchor="end"))
    axis = [
        _text(x(count), height - bottom + 22, str(count), text_anchor="middle") for count in counts
    ]
    what = "Share of the list replaced" if share else "Loss of the first item's score"
    axis += [
        _text((left + width - right) / 2, height - 8, "Clicks removed", text_anchor="middle"),
        _text(
            0,
            0,
            what,
            text_anchor="middle",
            transform=f"translate(14 {height / 2 - 20}) rotate(-90)",
        ),
    ]
    outline = [*zip(xs, high_band, strict=True), *zip(xs[::-1], low_band[::-1], strict=True)]
    band = element(
        "polygon",
        points=" ".join(f"{px:.1f},{y(value):.1f}" for px, value in outline),
        class_="band",
    )
    lines = [
        (drawn, "random", "at random"),
        (curve.latest, "latest", "the latest"),
        (curve.influential, "named", "those it names"),
    ]
    paths = [_path(xs, [y(v) for v in values], class_=kind) for values, kind, _ in lines]
    labels = [
        _text(width - right + 12, place + 4, f"{name} ({said(values[-1])})", class_=kind)
        for (values, kind, name), place in zip(
            lines, _apart([y(values[-1]) for values, _, _ in lines], 19), strict=True
        )
    ]
    slot = (width - left - right) / last
    hovers = [
        element(
            "rect",
            x=f"{x(count) - slot / 2:.1f}",
            y=top,
            width=f"{slot:.1f}",
            height=height - top - bottom,
            class_="hover",
            data_tip=f"{count} removed\nthose it names: {said(curve.influential[count])}\n"
            f"the latest: {said(curve.latest[count])}\nat random: {said(drawn[count])} "
            f"({said(low_band[count])} to {said(high_band[count])})",
        )
        for count in counts[1:]
    ]
    return _svg(width, height, what, *grid, *axis, band, *paths, *labels, *hovers)


def _apart(places: list[float], least: float) -> list[float]:
    """Moves labels down until they no longer overlap; the order stays."""
    moved = list(places)
    order = np.argsort(places, kind="stable")
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + least)
    return moved


@dataclass(frozen=True)
class Move:
    """An item, by its id, of either list; a rank is ``None`` where the history excludes it."""

    key: str
    title: str
    before: int | None
    after: int | None
    held_out: bool = False


def slope_chart(moves: Sequence[Move], k: int) -> Html:
    """Ranks before and after, joined by lines; what is in one list only stands below the other."""
    width, row, top, inner = 1120, 30, 34, 440

    def places(side: str) -> dict[str, float]:
        def rank(move: Move) -> float:
            found = getattr(move, side)
            return math.inf if found is None else found

        listed = sorted((m for m in moves if rank(m) <= k), key=rank)
        beyond = sorted((m for m in moves if rank(m) > k), key=rank)
        start = top + row * len(listed) + (row * 0.5 if beyond else 0)
        return {m.key: top + row * i for i, m in enumerate(listed)} | {
            m.key: start + row * i for i, m in enumerate(beyond)
        }

    before, after = places("before"), places("after")
    height = int(max([*before.values(), *after.values()])) + row
    drawn = [
        _text(inner - 16, 14, "Before", text_anchor="end", class_="caption"),
        _text(width - inner + 16, 14, "After", class_="caption"),
    ]
    for move in moves:
        first, second = before[move.key], after[move.key]
        colour, change = _direction(move)
        tip = f"{move.title}\n{_rank(move.before)} → {_rank(move.after)}, {change}"
        title = f"{'◎ ' if move.held_out else ''}{shortened(move.title, 42)}"

        def faded(rank: int | None) -> str:
            return "label" if rank is not None and rank <= k else "label faded"

        drawn.append(
            element(
                "g",
                _path(
                    [inner, width - inner], [first - 4, second - 4], stroke=colour, class_="slope"
                ),
                *(
                    element("circle", cx=x, cy=f"{y - 4:.1f}", r=4.5, fill=colour)
                    for x, y in ((inner, first), (width - inner, second))
                ),
                _text(inner - 16, first, _rank(move.before), text_anchor="end"),
                _text(inner - 66, first, title, text_anchor="end", class_=faded(move.before)),
                _text(width - inner + 16, second, _rank(move.after)),
                _text(width - inner + 66, second, title, class_=faded(move.after)),
                data_item=move.key,
                data_tip=tip,
            )
        )
    return _svg(width, height, "Ranks before and after", *drawn)


def _rank(rank: int | None) -> str:
    return "–" if rank is None else f"#{rank:,}"


def _direction(move: Move) -> tuple[str, str]:
    if move.before is None or move.after is None:
        return NEUTRAL, "in one history only"
    won = move.before - move.after
    if not won:
        return NEUTRAL, "stays"
    return (FOR, f"up {won:,}") if won > 0 else (AGAINST, f"down {-won:,}")
