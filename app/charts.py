"""Charts: pure functions from a table to a Plotly figure. Nothing here knows Streamlit.

Backgrounds stay transparent and text uncoloured, so that a figure takes on the theme it is shown
in. Titles from data pass through :func:`text.for_plotly`, because Plotly reads HTML in labels.
A figure is made of plain dictionaries in one go: Plotly checks it once, instead of at every change.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fame.presentation.names import HeadNames
from fame.presentation.palette import (
    ACCENT,
    AGAINST,
    FOR,
    HELD_OUT,
    NEUTRAL,
    VALUES,
    head_colour,
    space_colour,
)
from fame.presentation.text import percent, points, shortened, written
from text import for_plotly

_FONT = {"size": 14}
_BARE = {"showgrid": False, "zeroline": False}
_LEGEND_ABOVE = {"orientation": "h", "y": 1.03, "yanchor": "bottom", "x": 0, "font": _FONT}


def _figure(
    traces: list[dict[str, Any]],
    height: int,
    *,
    x: dict[str, Any],
    y: dict[str, Any],
    left: int = 64,
    top: int = 12,
    bottom: int = 56,
    **layout: Any,
) -> go.Figure:
    """A figure of traces; ``x`` and ``y`` describe the axes.

    Margins (in pixels) are given: where Plotly finds them itself it draws everything twice.
    """
    axis = {"tickfont": _FONT, "automargin": False}
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "height": height,
                "margin": {"l": left, "r": 12, "t": top, "b": bottom},
                "font": _FONT,
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "hovermode": "closest",
                "hoverlabel": {"align": "left", "font": {"size": 13}},
                "xaxis": axis | x,
                "yaxis": axis | y,
                **layout,
            },
        }
    )


# An axis of shares, which writes them as sentences do: Plotly itself leaves out the space.
SHARES = {"tickformat": ".0%", "labelalias": {f"{i}%": percent(i / 100) for i in range(101)}}


def told(values: Iterable[float], number: str) -> list[str]:
    """Figures as a hover tells them, see :func:`fame.presentation.text.written`."""
    return [written(value, number) for value in values]


def _in_hover(name: str) -> str:
    """A name inside a template, where Plotly fills in what stands behind a percent sign."""
    return for_plotly(name).replace("%", "&#37;")


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": _FONT}


_KINDS = {"bar": "Bars", "scatter": "Points and lines", "scattergl": "Points", "box": "Boxes"}


def described(figure: go.Figure) -> str:
    """What a figure shows, in words for who does not see it: kind, axes, and what is told apart."""
    traces, layout = figure.data, figure.layout
    kinds = dict.fromkeys(_KINDS.get(trace.type, trace.type) for trace in traces)
    told = [" and ".join(kinds) or "An empty chart"]
    for axis, title in (("across", layout.xaxis.title.text), ("upwards", layout.yaxis.title.text)):
        if title:
            told.append(f"{axis}: {title}")
    for axis, ticks in (("columns", layout.xaxis.ticktext), ("rows", layout.yaxis.ticktext)):
        if ticks is not None and 0 < len(ticks) <= _MOST_TICKS:
            told.append(f"{axis}: {', '.join(map(str, ticks))}")
    named = [trace.name for trace in traces if trace.name and trace.showlegend is not False]
    if named:
        told.append(f"told apart: {', '.join(dict.fromkeys(named))}")
    return html.unescape(_TAG.sub(" ", "; ".join(told))) + "."


_TAG = re.compile(r"</?(?:b|i|br|span)\b[^>]*>")  # as our own labels have them
_MOST_TICKS = 12


# --- Lens --------------------------------------------------------------------------------------


_DARK = "#20262E"  # outlines of white marks, so that they show on both themes
_LONGEST_LABEL = 44  # characters of a title beside its bar
_LONGEST_TICK = 14  # and of a head's name at a row or column of squares


def ledger_bars(
    fused: pd.DataFrame, called: HeadNames, *, zero: str = "0 is the average item"
) -> go.Figure:
    """The fused list: for every item a signed stacked bar of what each head put into its score.

    Args:
        fused: ``rank, title, score, held_out, head_0 .. head_{H-1}``, best first; in every row the
            heads sum to the score.
        zero: What the axis says of its zero.
    """
    heads = [name for name in fused.columns if name.startswith("head_")]
    titles = [for_plotly(title, 90) for title in fused["title"]]
    places, scores = list(range(1, len(fused) + 1)), fused["score"].tolist()
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": fused[column].tolist(),
            "y": places,
            "orientation": "h",
            "name": for_plotly(called.head(head)),
            "marker": {"color": head_colour(head), "line": {"width": 0}},
            "customdata": list(zip(titles, scores, strict=True)),
            "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{_in_hover(called.head(head))} put in "
            "%{x:+.2f}"
            "<br>Score %{customdata[1]:.2f}<extra></extra>",
        }
        for head, column in enumerate(heads)
    ]
    if len(heads) > 1:
        traces.append(
            {
                "type": "scatter",
                "x": scores,
                "y": places,
                "mode": "markers",
                "name": "Score (the sum)",
                "marker": {
                    "symbol": "diamond",
                    "size": 10,
                    "color": "white",
                    "line": {"color": _DARK, "width": 2},
                },
                "customdata": titles,
                "hovertemplate": "<b>%{customdata}</b><br>Score %{x:.2f}<extra></extra>",
            }
        )
    what = "Contribution to the score" if len(heads) > 1 else "Score"
    title = f"{what} ({zero})"
    labels = _ranked_labels(fused)
    longest = max(len(shortened(title, _LONGEST_LABEL)) for title in fused["title"])
    return _figure(
        traces,
        100 + 33 * len(fused),
        left=50 + round(7.1 * longest),
        top=40,
        x={"title": _title(title), "zeroline": True, "zerolinewidth": 2},
        y={
            "tickvals": places,
            "ticktext": labels,
            "autorange": "reversed",
            "showgrid": False,
        },
        barmode="relative",
        bargap=0.34,
        showlegend=len(heads) > 1,
        legend=_LEGEND_ABOVE,
    )


def _ranked_labels(fused: pd.DataFrame) -> list[str]:
    """Title and rank of every row; the held-out item is marked."""
    labels = []
    for row in fused.itertuples():
        label = f"{for_plotly(row.title, _LONGEST_LABEL)}  <b>{row.rank}</b>"
        labels.append(f"<b>◎ {label}</b>" if row.held_out else label)
    return labels


_MOST_BARS = 30  # a longer history is drawn as areas: a bar for every share makes a page slow


def share_path(path: pd.DataFrame, names: Sequence[str], colours: Sequence[str]) -> go.Figure:
    """Shares after every click, stacked to 100 %: ``click, title, part, share, listed``."""
    clicks = path["click"].nunique()
    traces = []
    for part, (name, colour) in enumerate(zip(names, colours, strict=True)):
        rows = path[path["part"] == part]
        if clicks <= _MOST_BARS:
            look = {"type": "bar", "marker": {"color": colour, "line": {"width": 0}}}
        else:
            look = {
                "type": "scatter",
                "mode": "lines",
                "stackgroup": "shares",
                "line": {"width": 0, "shape": "hvh", "color": colour},
                "fillcolor": colour,
            }
        traces.append(
            look
            | {
                "x": rows["click"].to_numpy(),
                "y": rows["share"].to_numpy(),
                "hovertext": told(rows["share"], ".0%"),
                "name": for_plotly(name),
                "customdata": [
                    (for_plotly(row.title, 70), _listed(row.listed)) for row in rows.itertuples()
                ],
                "hovertemplate": "After click %{x}: <b>%{customdata[0]}</b><br>"
                f"{_in_hover(name)} %{{hovertext}}<br>Then listed first:%{{customdata[1]}}"
                "<extra></extra>",
            }
        )
    return _figure(
        traces,
        250,
        top=40,
        x={
            "title": _title("Click (the latest on the right)"),
            "showgrid": False,
            "dtick": 1 if clicks <= 12 else None,
        },
        y={
            "title": _title("Share"),
            "range": [0, 1],
            **SHARES,
            "dtick": 0.5,
            "fixedrange": True,
        },
        barmode="stack",
        bargap=0.12,
        legend=_LEGEND_ABOVE | {"traceorder": "normal"},
    )


def _listed(titles: Sequence[str]) -> str:
    """The first titles of a list as lines of a hover."""
    return "".join(f"<br>{rank}. {for_plotly(title, 60)}" for rank, title in enumerate(titles, 1))


def shades(colour: str, count: int) -> list[str]:
    """``count`` steps of one colour, from full to a quarter of it, for the experts of a head."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return [f"rgba({red},{green},{blue},{step:.2f})" for step in np.linspace(1, 0.25, count)]


_SIDE = 44  # pixels of a square that stands for 100 %


def router_squares(
    router: pd.DataFrame, called: HeadNames, chosen: tuple[int, int] | None = None
) -> go.Figure:
    """Head x expert: the filled area of a square is the expert's share of its head.

    Args:
        router: ``head, expert, share``, and ``name`` and ``serves`` for the hover: what the expert
            is called, and whom it serves, where that is known.
        chosen: The expert (head, expert) whose frame is drawn strongly. A click on a square gives
            ``[head, expert, share]``.
    """
    traces: list[dict[str, Any]] = []
    heads, experts = int(router["head"].max()) + 1, int(router["expert"].max()) + 1
    for head, rows in router.groupby("head"):
        colour = head_colour(int(head))
        places = {"type": "scatter", "x": rows["expert"].tolist(), "y": rows["head"].tolist()}
        strong = [(head, expert) == chosen for expert in rows["expert"]]
        frame = {
            "symbol": "square-open",
            "size": _SIDE,
            "color": colour,
            "opacity": [1.0 if one else 0.45 for one in strong],
        }
        filled = {"symbol": "square", "size": (_SIDE * np.sqrt(rows["share"])).tolist()}
        traces += [
            places
            | {
                "mode": "markers+text",
                "text": [percent(share) for share in rows["share"]],
                "textposition": "bottom center",
                "textfont": {"size": 13},
                "marker": frame | {"line": {"width": [4.0 if one else 1.5 for one in strong]}},
                "hoverinfo": "skip",
            },
            places
            | {
                "mode": "markers",
                "marker": filled | {"color": colour, "opacity": 1},
                "customdata": [
                    [row.head, row.expert, row.share, _further_line(row.serves)]
                    for row in rows.itertuples()
                ],
                "text": [for_plotly(name) for name in rows["name"]],
                "hovertext": told(rows["share"], ".0%"),
                "hovertemplate": "%{text}: %{hovertext}%{customdata[3]}<extra></extra>",
            },
        ]
    labels = [shortened(called.head(head), _LONGEST_TICK) for head in range(heads)]
    return _figure(
        traces,
        50 + 84 * heads,
        left=24 + 8 * max(map(len, labels)),
        top=34,
        bottom=4,
        x=_BARE
        | {
            "range": [-0.6, experts - 0.4],
            "tickvals": list(range(experts)),
            "ticktext": [f"Expert {expert + 1}" for expert in range(experts)],
            "side": "top",
            "fixedrange": True,
        },
        y=_BARE
        | {
            "range": [heads - 0.3, -0.5],
            "tickvals": list(range(heads)),
            "ticktext": [for_plotly(label) for label in labels],
            "fixedrange": True,
        },
        showlegend=False,
    )


def _further_line(text: str) -> str:
    """A further line of a hover, where there is any text."""
    return f"<br>{for_plotly(text)}" if text else ""


_ROW = 30  # pixels of a row of squares, or of a list


def influence_squares(
    squares: pd.DataFrame, called: HeadNames, heads: int, full: float, unit: str, *, signed: bool
) -> go.Figure:
    """Past items x lists: the area of a square is how much leaving that item out does.

    Args:
        squares: ``row, item, title, part, value``; a click on a square gives its ``item``.
        full: The value whose square fills its place.
        unit: What a value is, after the number in the hover.
        signed: Whether values speak for (above 0) or against; else they are counts by list.
    """
    side = _ROW - 7
    size = side * np.sqrt((squares["value"].abs() / full).clip(upper=1))
    if signed:
        colours = [FOR if value >= 0 else AGAINST for value in squares["value"]]
    else:
        colours = [NEUTRAL if part < 0 else head_colour(part) for part in squares["part"]]
    places = {"type": "scatter", "mode": "markers"}
    places |= {"x": squares["part"].tolist(), "y": squares["row"].tolist()}
    places |= {"customdata": squares["item"].tolist()}
    hover = [
        f"Without <b>{for_plotly(row.title, 70)}</b><br>{for_plotly(_part(row.part, called))}: "
        + (points(row.value) if signed else f"{row.value:.0f}")
        + f" {unit}"
        for row in squares.itertuples()
    ]
    drawn = {"text": hover, "hovertemplate": "%{text}<extra></extra>"}
    frame = {"symbol": "square", "size": side, "color": NEUTRAL, "opacity": 0.12}
    filled = {"symbol": "square", "size": size.tolist(), "color": colours, "opacity": 1}
    rows = squares.drop_duplicates("row")
    labels = [shortened(title, _LONGEST_LABEL) for title in rows["title"]]
    return _figure(
        [places | drawn | {"marker": frame}, places | drawn | {"marker": filled}],
        60 + _ROW * len(rows),
        left=30 + round(7.1 * max(map(len, labels))),
        top=40,
        bottom=8,
        x=_BARE
        | {
            "range": [-1.6, max(heads, 4) - 0.4],
            "tickvals": list(range(-1, heads)),
            "ticktext": [
                for_plotly(_part(part, called), _LONGEST_TICK) for part in range(-1, heads)
            ],
            "side": "top",
            "fixedrange": True,
        },
        y=_BARE
        | {
            "range": [len(rows) - 0.4, -0.6],
            "tickvals": rows["row"].tolist(),
            "ticktext": [for_plotly(label) for label in labels],
            "fixedrange": True,
        },
        showlegend=False,
        dragmode=False,
    )


def _part(part: int, called: HeadNames) -> str:
    return "Fused" if part < 0 else called.head(part)


def slope(moves: pd.DataFrame, k: int) -> go.Figure:
    """Ranks before and after, joined by lines; what only one list holds stands below the other.

    Args:
        moves: ``title, rank_before, rank_after, held_out``; a rank is ``<NA>`` where the history
            holds the item.
        k: Length of the lists.
    """
    places = {side: _slots(moves[f"rank_{side}"], k) for side in ("before", "after")}
    traces: list[dict[str, Any]] = []
    for row, before, after in zip(
        moves.itertuples(), places["before"], places["after"], strict=True
    ):
        known = not (pd.isna(row.rank_before) or pd.isna(row.rank_after))
        change = int(row.rank_before - row.rank_after) if known else 0
        colour = FOR if change > 0 else AGAINST if change < 0 else NEUTRAL
        title = f"{'◎ ' if row.held_out else ''}{for_plotly(row.title, 40)}"
        moved = f"up {change:,}" if change > 0 else f"down {-change:,}" if change else "stays"
        first, second = _rank(row.rank_before), _rank(row.rank_after)
        labels = [f"{title}  {first}", f"{second}  {title}"]
        bold = [_weighted(labels[0], row.rank_before, k), _weighted(labels[1], row.rank_after, k)]
        traces.append(
            {
                "type": "scatter",
                "x": [0, 1],
                "y": [before, after],
                "mode": "lines+markers+text",
                "text": bold,
                "textposition": ["middle left", "middle right"],
                "textfont": {"size": 13},
                "line": {"color": colour, "width": 2},
                "marker": {"color": colour, "size": 8},
                "cliponaxis": False,
                "hovertemplate": f"<b>{for_plotly(row.title, 90)}</b><br>{first} → {second}, "
                f"{moved if known else 'in one history only'}<extra></extra>",
            }
        )
    lowest = max(max(places["before"]), max(places["after"]))
    return _figure(
        traces,
        60 + round(26 * (lowest + 1)),
        left=8,
        top=36,
        bottom=8,
        x=_BARE
        | {
            "range": [-1.5, 2.5],
            "tickvals": [0, 1],
            "ticktext": ["<b>Before</b>", "<b>After</b>"],
            "side": "top",
            "fixedrange": True,
        },
        y=_BARE | {"range": [lowest + 0.6, -0.6], "showticklabels": False, "fixedrange": True},
        showlegend=False,
    )


def _slots(ranks: pd.Series, k: int) -> list[float]:
    """Places from the top: the k listed at their rank, the others below in the order of theirs."""
    far = ranks.astype("Float64").fillna(np.inf).to_numpy(dtype=float)
    order = np.argsort(far, kind="stable")
    places = np.empty(len(far))
    listed = int((far <= k).sum())
    places[order] = np.arange(len(far)) + np.where(np.arange(len(far)) < listed, 0, 0.6)
    return places.tolist()


def _rank(rank: Any) -> str:
    return "in the history" if pd.isna(rank) else f"{rank:,}"


def _weighted(label: str, rank: Any, k: int) -> str:
    """What is in the list stands out from what is below it."""
    return f"<b>{label}</b>" if not pd.isna(rank) and rank <= k else label


def attention_bars(attention: pd.DataFrame, colour: str) -> go.Figure:
    """What an expert attends to: ``click, title, share``; the shares sum to 1."""
    return _figure(
        [
            {
                "type": "bar",
                "x": attention["click"].tolist(),
                "y": attention["share"].tolist(),
                "marker": {"color": colour, "line": {"width": 0}},
                "customdata": [for_plotly(title, 90) for title in attention["title"]],
                "hovertext": told(attention["share"], ".0%"),
                "hovertemplate": "Click %{x}: <b>%{customdata}</b><br>%{hovertext} of its attention"
                "<extra></extra>",
            }
        ],
        230,
        left=70,
        x={
            "title": _title("Click (the latest on the right)"),
            "showgrid": False,
            "dtick": 1 if len(attention) <= 12 else None,
        },
        y={"title": _title("Attention"), "rangemode": "tozero"} | SHARES,
        showlegend=False,
    )


def deletion_curves(curve: pd.DataFrame, title: str, *, share: bool) -> go.Figure:
    """What removing more and more clicks does, by which ones are removed.

    Args:
        curve: ``removed, influential, latest, random``, and ``low, high`` where a band is known.
        title: What the curves measure.
        share: Whether they are shares of 1.
    """
    number = ".0%" if share else ".2f"
    removed = curve["removed"].tolist()
    traces: list[dict[str, Any]] = []
    if "low" in curve:
        edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        edge |= {"x": removed, "showlegend": False}
        traces += [
            edge | {"y": curve["low"].tolist()},
            edge
            | {"y": curve["high"].tolist(), "fill": "tonexty", "fillcolor": "rgba(127,135,145,.2)"},
        ]
    for column, name, colour, dash in (
        ("influential", "Named clicks", FOR, "solid"),
        ("latest", "Latest clicks", ACCENT, "dot"),
        ("random", "Random clicks", NEUTRAL, "solid"),
    ):
        traces.append(
            {
                "type": "scatter",
                "x": removed,
                "y": curve[column].tolist(),
                "hovertext": told(curve[column], number),
                "mode": "lines+markers",
                "name": name,
                "line": {"color": colour, "width": 2.5, "dash": dash},
                "hovertemplate": f"{name}: %{{x}} removed, %{{hovertext}}<extra></extra>",
            }
        )
    return _figure(
        traces,
        320,
        left=76,
        top=40,
        x={"title": _title("Clicks removed"), "dtick": 1, "showgrid": False},
        # Shares have one scale, so that two such charts beside one another can be compared.
        y={
            "title": _title(title),
            **(SHARES | {"range": [0, 1.03]} if share else {"rangemode": "tozero"}),
        },
        legend=_LEGEND_ABOVE | {"traceorder": "normal"},
    )


# --- Atlas -------------------------------------------------------------------------------------

_APART = 0.14  # of a row, between the dots of two spaces


def agreement_dots(agreement: pd.DataFrame, called: HeadNames) -> go.Figure:
    """By facet, how far nearest items agree in every space: a dot a space, a stroke for chance.

    Args:
        agreement: ``facet, space, share, chance``, a row a dot.
    """
    facets = list(dict.fromkeys(agreement["facet"]))
    place = {facet: row for row, facet in enumerate(facets)}
    by_chance = agreement.drop_duplicates("facet")
    spread = agreement.groupby("facet", sort=False)["share"].agg(["min", "max"])
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [end for low, high in spread.itertuples(index=False) for end in (low, high, None)],
            "y": [row for facet in facets for row in (place[facet], place[facet], None)],
            "line": {"color": NEUTRAL, "width": 2},
            "opacity": 0.5,
            "hoverinfo": "skip",
            "showlegend": False,
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "Chance",
            "x": by_chance["chance"].tolist(),
            "y": list(place.values()),
            "marker": {
                "symbol": "line-ns",
                "size": 16,
                "line": {"width": 3, "color": NEUTRAL},
                "color": NEUTRAL,
            },
            "hovertext": told(by_chance["chance"], ".1%"),
            "hovertemplate": "By chance: %{hovertext}<extra></extra>",
        },
    ]
    by_space = agreement.groupby("space", sort=False)
    for number, (space, rows) in enumerate(by_space):
        # A little above one another, so that equal shares do not hide each other.
        shift = _APART * (number - (by_space.ngroups - 1) / 2)
        colour, name = space_colour(str(space)), called.space(str(space))
        hollow = {"symbol": "circle-open", "line": {"width": 3}} if space == "all" else {}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": for_plotly(name),
                "x": rows["share"].tolist(),
                "y": (rows["facet"].map(place) + shift).tolist(),
                "marker": {"size": 15, "color": colour, **hollow},
                "hovertext": told(rows["share"], ".1%"),
                "hovertemplate": f"{_in_hover(name)}: %{{hovertext}}<extra></extra>",
            }
        )
    return _figure(
        traces,
        110 + 42 * len(facets),
        left=30 + round(8 * max(map(len, facets), default=0)),
        top=40,
        x={
            "rangemode": "tozero",
            **SHARES,
            "fixedrange": True,
            "title": _title("Share of an item's ten nearest items that agree with it"),
        },
        y=_BARE
        | {
            "range": [len(facets) - 0.4, -0.6],
            "tickvals": list(place.values()),
            "ticktext": [for_plotly(facet) for facet in facets],
            "fixedrange": True,
        },
        legend=_LEGEND_ABOVE,
        dragmode=False,
    )


# --- Train -------------------------------------------------------------------------------------


def loss_curve(history: pd.DataFrame) -> go.Figure:
    """Training loss by epoch: ``epoch, loss``."""
    return _curve(history, [_line(history, "loss", NEUTRAL, "loss")], "Training loss")


def validation_curve(history: pd.DataFrame) -> go.Figure:
    """Validation NDCG@10 by epoch, the best one marked: ``epoch, valid_NDCG@10``."""
    best = history.loc[history["valid_NDCG@10"].idxmax()]
    mark = {
        "type": "scatter",
        "x": [best["epoch"]],
        "y": [best["valid_NDCG@10"]],
        "mode": "markers",
        "marker": {"size": 14, "symbol": "circle-open", "color": HELD_OUT, "line": {"width": 3}},
        "hovertemplate": "Best so far: epoch %{x}, NDCG@10 %{y:.4f}<extra></extra>",
    }
    line = _line(history, "valid_NDCG@10", ACCENT, "NDCG@10")
    return _curve(history, [line, mark], "Validation NDCG@10")


def curves(histories: Mapping[str, pd.DataFrame], column: str) -> go.Figure:
    """A figure by epoch, a line a run: ``epoch`` and ``column``."""
    title = "Training loss" if column == "loss" else f"Validation {column.removeprefix('valid_')}"
    traces = [
        _line(rows, column, VALUES[place % len(VALUES)], title)
        | {"name": for_plotly(name, 40), "showlegend": True}
        for place, (name, rows) in enumerate(histories.items())
    ]
    for trace in traces:
        trace["hovertemplate"] = f"{trace['name']}, epoch %{{x}}: %{{y:.4f}}<extra></extra>"
        trace["mode"] = "lines"
    longest = max(histories.values(), key=len)
    return _curve(longest, traces, title, showlegend=True, legend=_LEGEND_ABOVE, top=48)


def _line(history: pd.DataFrame, column: str, colour: str, name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": history["epoch"].tolist(),
        "y": history[column].tolist(),
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2.5},
        "hovertemplate": f"Epoch %{{x}}: {name} %{{y:.4f}}<extra></extra>",
    }


def _curve(
    history: pd.DataFrame, traces: list[dict[str, Any]], title: str, **layout: Any
) -> go.Figure:
    return _figure(
        traces,
        260,
        left=76,
        x={
            "title": _title("Epoch"),
            "showgrid": False,
            "dtick": 1 if len(history) <= 12 else None,
        },
        y={"title": _title(title), "rangemode": "nonnegative"},
        **({"showlegend": False} | layout),
    )
