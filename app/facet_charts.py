"""Charts of the Facets page: as :mod:`charts`, pure functions from a table to a Plotly figure.

A model's own figures have the heads' colours, controls are grey, each with a mark of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from charts import _BARE, _FONT, _LEGEND_ABOVE, SHARES, _figure, _in_hover, _title, told
from fame.presentation.facet_sentences import CONTROLS
from fame.presentation.palette import ACCENT, NEUTRAL, head_colour
from fame.presentation.text import shortened
from text import for_plotly

_MARKS = dict(
    zip(
        CONTROLS.values(),
        ("x-thin", "diamond-open", "triangle-up-open", "square-open", "asterisk"),
        strict=True,
    )
)
_CONTROL = 0.5  # rows between two controls, so that their intervals do not hide each other
_ROW = 24  # pixels of a row of dots
_LABEL = 30  # characters beside a row
_LONGEST_LEGEND = 28


def evidence_dots(drawn: pd.DataFrame, axis: str) -> go.Figure:
    """By facet a band: the whole, every head, and one row of controls, with their intervals.

    Args:
        drawn: ``facet, of, control, head, mean, low, high`` (:func:`facet_tables.drawn`).
        axis: What a share is of.
    """
    place: dict[tuple[str, str], float] = {}
    bands, below = [], 0.0
    for facet, rows in drawn.groupby("facet", sort=False):
        first = below
        for of in rows.loc[rows["control"] == "", "of"]:
            place[str(facet), of] = below
            below += 1
        place[str(facet), ""] = below  # the controls, each a little below the one before it
        below += _CONTROL * max(0, rows.loc[rows["control"] != "", "control"].nunique() - 1)
        bands.append((str(facet), first, below))
        below += 1.8
    traces = []
    own = drawn[drawn["control"] == ""]
    for (head, of), rows in own.groupby(["head", "of"], sort=False):
        colour = NEUTRAL if head < 0 else head_colour(int(head))
        marker: dict[str, Any] = {"size": 12, "color": colour}
        if head < 0:
            marker |= {"symbol": "circle-open", "line": {"width": 3, "color": colour}}
        heights = [place[facet, of] for facet in rows["facet"]]
        name = "Whole embedding" if head < 0 else str(of)
        traces.append(_dots(rows, heights, name, marker, colour))
    controls = drawn[drawn["control"] != ""].groupby("control", sort=False)
    for number, (control, rows) in enumerate(controls):
        marker = {
            "size": 10,
            "symbol": _MARKS[str(control)],
            "color": NEUTRAL,
            "line": {"width": 2, "color": NEUTRAL},
        }
        heights = [place[facet, ""] + _CONTROL * number for facet in rows["facet"]]
        traces.append(_dots(rows, heights, str(control), marker, NEUTRAL))
    ticks = [(at, of or "Controls") for (_, of), at in place.items()]
    longest = max((len(shortened(label, _LABEL)) for _, label in ticks), default=0)
    notes = [
        {
            "x": 0, "xref": "paper", "xanchor": "right", "xshift": -20 - 7.6 * longest,
            "y": (first + last) / 2, "yref": "y", "showarrow": False, "align": "right",
            "text": f"<b>{for_plotly(facet, 20)}</b>", "font": {"size": 15},
        }
        for facet, first, last in bands
    ]  # fmt: skip
    widest = max((len(shortened(facet, 20)) for facet, _, _ in bands), default=0)
    return _figure(
        traces,
        150 + round(_ROW * below),
        left=44 + round(7.6 * longest) + 9 * widest,
        top=76,
        x={
            "rangemode": "tozero",
            **SHARES,
            "title": _title(axis),
            "fixedrange": True,
            "zeroline": True,
            "zerolinewidth": 2,
        },
        y=_BARE
        | {
            "range": [below - 1.2, -0.8],
            "tickvals": [at for at, _ in ticks],
            "ticktext": [for_plotly(label, _LABEL) for _, label in ticks],
            "fixedrange": True,
        },
        legend=_LEGEND_ABOVE,
        annotations=notes,
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": last + 0.9,
                "y1": last + 0.9,
                "line": {"width": 1, "color": "rgba(127,135,145,.35)"},
            }
            for _, _, last in bands[:-1]
        ],
        dragmode=False,
    )


def _dots(
    rows: pd.DataFrame,
    heights: Sequence[float],
    name: str,
    marker: dict[str, Any],
    colour: str,
    number: str = ".1%",
) -> dict[str, Any]:
    """One entry of the legend: dots with their intervals."""
    mean = rows["mean"].to_numpy()
    said = _in_hover(shortened(name, 60))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": for_plotly(name, _LONGEST_LEGEND),
        "x": mean.tolist(),
        "y": list(heights),
        "marker": marker,
        "cliponaxis": False,  # a dot at 0 is whole
        **_interval(rows, said, "x", colour, number),
    }


def _interval(
    rows: pd.DataFrame, said: str, axis: Literal["x", "y"], colour: str, number: str
) -> dict[str, Any]:
    """Bars from ``low`` to ``high`` about ``mean`` along an axis, and a hover that tells them.

    A figure without an interval has neither.
    """
    means = told(rows["mean"], number)
    hover = {"hovertemplate": f"{said}: %{{hovertext}}<extra></extra>"}
    if rows["low"].isna().all():
        return hover | {"hovertext": means}
    ends = zip(means, told(rows["low"], number), told(rows["high"], number), strict=True)
    return hover | {
        "hovertext": [f"{mean}<br>95 % interval {low} to {high}" for mean, low, high in ends],
        f"error_{axis}": {
            "type": "data",
            "symmetric": False,
            "array": (rows["high"] - rows["mean"]).tolist(),
            "arrayminus": (rows["mean"] - rows["low"]).tolist(),
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
    }


def _rows_of(labels: Sequence[str]) -> dict[str, Any]:
    """A vertical axis with a row for every label, the first one on top."""
    return _BARE | {
        "range": [len(labels) - 0.4, -0.6],
        "tickvals": list(range(len(labels))),
        "ticktext": [for_plotly(label) for label in labels],
        "fixedrange": True,
    }


_SIDE = 46  # pixels of the largest square


def causes_squares(causes: pd.DataFrame) -> go.Figure:
    """Head x facet: the area of a square is how far the head's list moves with the facet.

    Args:
        causes: ``facet, head, of, moved``. A value below 0 has no square.
    """
    facets = list(dict.fromkeys(causes["facet"]))
    heads = causes.drop_duplicates("head").sort_values("head")
    row = {head: place for place, head in enumerate(heads["head"])}
    most = max(float(causes["moved"].max()), 1e-9)
    size = _SIDE * (causes["moved"].clip(lower=0) / most) ** 0.5
    places = {
        "type": "scatter",
        "x": [facets.index(facet) for facet in causes["facet"]],
        "y": [row[head] for head in causes["head"]],
        "hoverinfo": "skip",
    }
    labels = [shortened(of, _LABEL) for of in heads["of"]]
    return _figure(
        [
            places
            | {
                "mode": "markers+text",
                "marker": {
                    "symbol": "square-open",
                    "size": _SIDE,
                    "color": NEUTRAL,
                    "opacity": 0.5,
                },
                "text": told(causes["moved"], ".2f"),
                "textposition": "bottom center",
                "textfont": {"size": 14},
            },
            places
            | {
                "mode": "markers",
                "marker": {
                    "symbol": "square",
                    "size": size.tolist(),
                    "color": [head_colour(head) for head in causes["head"]],
                    "opacity": 1,
                },
                "hoverinfo": "text",
                "hovertext": [
                    f"{for_plotly(row.of, 60)}, {for_plotly(row.facet, 60)}: {row.moved:.3f}"
                    for row in causes.itertuples()
                ],
            },
        ],
        64 + 92 * len(heads),
        left=30 + 8 * max(map(len, labels)),
        top=40,
        bottom=8,
        x=_BARE
        | {
            "range": [-0.6, max(len(facets), 5) - 0.4],
            "tickvals": list(range(len(facets))),
            "ticktext": [for_plotly(facet, 20) for facet in facets],
            "side": "top",
            "fixedrange": True,
        },
        y=_BARE
        | {
            "range": [len(heads) - 0.3, -0.5],
            "tickvals": list(row.values()),
            "ticktext": [for_plotly(label) for label in labels],
            "fixedrange": True,
        },
        showlegend=False,
        dragmode=False,
    )


def apart_dots(apart: pd.DataFrame) -> go.Figure:
    """Figures of disentanglement, the heads' beside the controls', with their intervals.

    Args:
        apart: ``figure, control, mean, low, high`` (:func:`facet_tables.apart_table`).
    """
    figures = list(dict.fromkeys(apart["figure"]))
    controls = [control for control in dict.fromkeys(apart["control"]) if control]
    traces = []
    for control, rows in apart.groupby("control", sort=False):
        own = not control
        colour = ACCENT if own else NEUTRAL
        marker = {
            "size": 16 if own else 11,
            "color": colour,
            "symbol": "circle" if own else _MARKS[str(control)],
            "line": {"width": 0 if own else 2, "color": colour},
        }
        # Controls below the heads, each a little lower than the one before it.
        below = 0.0 if own else 0.28 + 0.11 * controls.index(str(control))
        heights = [figures.index(figure) + below for figure in rows["figure"]]
        name = "The heads" if own else str(control)
        traces.append(_dots(rows, heights, name, marker, colour, ".3f"))
    return _figure(
        traces,
        140 + 92 * len(figures),
        left=170,
        top=60,
        x={
            "range": [-0.03, 1.03],
            "title": _title("0: no sign of it; 1: as far as it goes"),
            "fixedrange": True,
        },
        y=_BARE
        | {
            "range": [len(figures) - 0.3, -0.6],
            "tickvals": list(range(len(figures))),
            "ticktext": figures,
            "fixedrange": True,
        },
        legend=_LEGEND_ABOVE,
        dragmode=False,
    )


def pair_dots(pairs: pd.DataFrame, axis: str, *, share: bool = False) -> go.Figure:
    """Pairs of heads, the most alike first, and controls: ``pair, control, mean, low, high``.

    Args:
        pairs: Also ``first, second``, which a click on a pair's dot gives.
        axis: What the figure is.
        share: Whether it is a share of 1.
    """
    labels = [shortened(pair, 40) for pair in pairs["pair"]]
    traces = []
    for control, rows in pairs.groupby("control", sort=False):
        colour = NEUTRAL if control else ACCENT
        marker = {"size": 14, "color": colour}
        if control:
            marker |= {"symbol": _MARKS[str(control)], "size": 11}
            marker |= {"line": {"width": 2, "color": colour}}
        name = str(control) or "Heads"
        dots = _dots(rows, rows.index.tolist(), name, marker, colour, ".1%" if share else ".2f")
        if not control:
            dots["customdata"] = rows[["first", "second"]].to_numpy().tolist()
        traces.append(dots)
    return _figure(
        traces,
        90 + 32 * len(pairs),
        left=34 + round(7.6 * max(map(len, labels), default=0)),
        top=16,
        x={"range": [-0.02, 1.02], "title": _title(axis), "fixedrange": True}
        | (SHARES if share else {}),
        y=_rows_of(labels),
        showlegend=False,
    )


def gate_boxes(gate: pd.DataFrame) -> go.Figure:
    """How each head's share of the gate spreads over people; whiskers hold the middle 90 %."""
    labels = [shortened(of, _LABEL) for of in gate["of"]]
    traces = [
        {
            "type": "box",
            "orientation": "h",
            "y": [label],
            "q1": [row.q25],
            "median": [row.q50],
            "q3": [row.q75],
            "lowerfence": [row.q05],
            "upperfence": [row.q95],
            "mean": [row.mean],
            "marker": {"color": head_colour(row.head)},
            "line": {"color": head_colour(row.head), "width": 2.5},
            "name": for_plotly(label),
            "hoverinfo": "x",
            "xhoverformat": SHARES["tickformat"],
        }
        for label, row in zip(map(for_plotly, labels), gate.itertuples(index=False), strict=True)
    ]
    return _figure(
        traces,
        90 + 54 * len(gate),
        left=34 + round(7.6 * max(map(len, labels))),
        x={
            "range": [0, 1],
            **SHARES,
            "title": _title("Share of the gate"),
            "fixedrange": True,
        },
        y=_BARE | {"autorange": "reversed", "fixedrange": True},
        showlegend=False,
        dragmode=False,
    )


def by_cohort(
    table: pd.DataFrame, axis: str, group: str, *, share: bool = False, ordered: bool = True
) -> go.Figure:
    """One figure over cohorts, a line a head: ``head, of, cohort, mean, low, high``.

    Args:
        table: ``head`` is -1 for the fused list.
        axis: What the figure is.
        group: What the cohorts are.
        ordered: Whether they go from low to high, so that a line between them means something.
        share: Whether the figure is a share of 1.
    """
    cohorts = list(dict.fromkeys(table["cohort"]))
    number = ".1%" if share else ".3f"
    lines = table.groupby(["head", "of"], sort=False)
    traces = []
    for place, ((head, of), rows) in enumerate(lines):
        colour = NEUTRAL if head < 0 else head_colour(int(head))
        mean = rows["mean"].to_numpy()
        shift = 0.06 * (place - (lines.ngroups - 1) / 2)  # so that intervals do not hide each other
        said = _in_hover(shortened(str(of), 60))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if ordered and len(cohorts) > 1 else "markers",
                "name": for_plotly(str(of), _LONGEST_LEGEND),
                "x": [cohorts.index(cohort) + shift for cohort in rows["cohort"]],
                "y": mean.tolist(),
                "line": {"color": colour, "width": 2.5, "dash": "dot" if head < 0 else "solid"},
                "marker": {"size": 11, "color": colour},
                **_interval(rows, said, "y", colour, number),
            }
        )
    return _figure(
        traces,
        360,
        left=78,
        top=44,
        x={
            "title": _title(group) if len(cohorts) > 1 else None,
            "range": [-0.5, len(cohorts) - 0.5],
            "tickvals": list(range(len(cohorts))),
            "ticktext": [for_plotly(cohort) for cohort in cohorts],
            "showgrid": False,
            "fixedrange": True,
        },
        y={
            "title": _title(axis),
            "rangemode": "tozero",
            "zeroline": True,
            "zerolinewidth": 2,
            **(SHARES if share else {}),
            "fixedrange": True,
        },
        legend=_LEGEND_ABOVE | {"traceorder": "normal"},
        dragmode=False,
    )


def expert_bars(experts: pd.DataFrame, chosen: tuple[int, int] | None = None) -> go.Figure:
    """The load of every expert, and the first values that it serves.

    Args:
        experts: ``head, expert, of, load, values, changes``.
        chosen: The expert (head, expert) beside whom the others' bars are pale. A click on a bar
            gives ``[head, expert]``.
    """
    pairs = list(zip(experts["head"], experts["expert"], strict=True))
    pale = 0.4 if chosen in pairs else 1.0
    labels = [f"{shortened(row.of, 18)}, {row.expert + 1}" for row in experts.itertuples()]
    return _figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": experts["load"].tolist(),
                "y": list(range(len(experts))),
                "marker": {
                    "color": [head_colour(head) for head in experts["head"]],
                    "opacity": [1.0 if pair == chosen else pale for pair in pairs],
                },
                # Without colours of its own for either, Plotly fails at a click on a bar with text.
                "selected": {"textfont": {"color": NEUTRAL}},
                "unselected": {"textfont": {"color": NEUTRAL}},
                "text": [for_plotly(shortened(values, 90)) for values in experts["values"]],
                "textposition": "outside",
                "cliponaxis": False,
                "customdata": [list(pair) for pair in pairs],
                "hovertext": [
                    f"Load {load}<br>{for_plotly(values or 'nothing above chance')}<br>"
                    f"{for_plotly(changes)}"
                    for load, values, changes in zip(
                        told(experts["load"], ".1%"),
                        experts["values"],
                        experts["changes"],
                        strict=True,
                    )
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        ],
        80 + 34 * len(experts),
        left=34 + round(7.6 * max(map(len, labels))),
        x={
            "range": [0, 1],
            **SHARES,
            "title": _title("Load: mean share of its head"),
            "fixedrange": True,
        },
        y=_rows_of(labels),
        showlegend=False,
    )


def lift_dots(lifts: pd.DataFrame, colour: str) -> go.Figure:
    """The values that an expert serves by their lift, beside the best lift by chance.

    Args:
        lifts: ``of, mean, low, high, control, next`` (:func:`facet_tables.lifts_table`).
        colour: Of the expert's head.
    """
    labels = [shortened(of, 44) for of in lifts["of"]]
    rows = list(range(len(lifts)))
    came = lifts.dropna(subset="next")
    own = {"size": 14, "color": colour}
    ring = {
        "size": 12,
        "symbol": "circle-open",
        "color": colour,
        "line": {"width": 2.5, "color": colour},
    }
    cross = {
        "size": 11,
        "symbol": "x-thin",
        "color": NEUTRAL,
        "line": {"width": 2, "color": NEUTRAL},
    }

    def alone(of: pd.DataFrame, column: str) -> pd.DataFrame:
        """A figure without an interval."""
        return of.assign(mean=of[column], low=math.nan, high=math.nan)

    traces = [
        _dots(lifts, rows, "Their histories", own, colour, ".1f"),
        _dots(alone(came, "next"), list(came.index), "What they clicked next", ring, colour, ".1f"),
        _dots(alone(lifts, "control"), rows, "Best by chance", cross, NEUTRAL, ".1f"),
    ]
    return _figure(
        traces,
        140 + 32 * len(lifts),
        left=34 + round(7.6 * max(map(len, labels))),
        top=60,
        x={
            "rangemode": "tozero",
            "ticksuffix": "×",
            "title": _title("Times the base rate of the value, which is 1"),
            "fixedrange": True,
        },
        y=_rows_of(labels),
        legend=_LEGEND_ABOVE,
        shapes=[
            {
                "type": "line",
                "yref": "paper",
                "x0": 1,
                "x1": 1,
                "y0": 0,
                "y1": 1,
                "line": {"width": 2, "color": NEUTRAL},
            }
        ],
        dragmode=False,
    )


_GAP = 0.035  # between panels, of the width of a chart


def forming_lines(
    forming: pd.DataFrame, axis: str, *, best_epoch: int = 0, share: bool = True
) -> go.Figure:
    """A panel a facet: one figure over epochs, a line a head, chance dotted.

    Args:
        forming: ``facet, head, of, epoch, value`` (:func:`facet_tables.forming_drawn`).
        axis: What the figure is.
        best_epoch: The one that was kept, an upright line; 0 for none.
        share: Whether the figure is a share of 1.
    """
    facets = list(dict.fromkeys(forming["facet"]))
    width = (1 - _GAP * (len(facets) - 1)) / max(len(facets), 1)
    epochs = forming["epoch"]
    span = [int(epochs.min()) - 0.5, int(epochs.max()) + 0.5]
    traces, axes, notes, named = [], {}, [], set()
    number = ".1%" if share else ".2f"
    for place, facet in enumerate(facets):
        which = "" if place == 0 else str(place + 1)
        begin = place * (width + _GAP)
        axes[f"xaxis{which}"] = {
            "domain": [begin, begin + width],
            "range": span,
            "title": _title("Epoch"),
            "tickfont": _FONT,
            "showgrid": False,
            "fixedrange": True,
            "dtick": 1 if span[1] - span[0] <= 8 else None,
        }
        notes.append(
            {
                "x": begin, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper",
                "yanchor": "bottom", "showarrow": False, "font": {"size": 15},
                "text": f"<b>{for_plotly(facet, 24)}</b>",
            }
        )  # fmt: skip
        rows_of_facet = forming[forming["facet"] == facet]
        for (head, of), rows in rows_of_facet.groupby(["head", "of"], sort=True):
            colour = NEUTRAL if head < 0 else head_colour(int(head))
            said = _in_hover(shortened(str(of), 60))
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers" if len(rows) == 1 else "lines",
                    "name": for_plotly(str(of), _LONGEST_LEGEND),
                    "legendgroup": int(head),
                    "legendrank": 1000 - int(head) if head < 0 else 100 + int(head),
                    "showlegend": head not in named,
                    "xaxis": f"x{which}",
                    "x": rows["epoch"].tolist(),
                    "y": rows["value"].tolist(),
                    "line": {
                        "color": colour,
                        "width": 2 if head < 0 else 3,
                        "dash": {-1: "dash", -2: "dot"}.get(int(head), "solid"),
                    },
                    "hovertext": told(rows["value"], number),
                    "hovertemplate": f"{said}, epoch %{{x}}: %{{hovertext}}<extra></extra>",
                }
            )
            named.add(head)
    shapes = [
        {
            "type": "line", "xref": f"x{'' if place == 0 else place + 1}", "x0": best_epoch,
            "x1": best_epoch, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
            "line": {"width": 1.5, "color": NEUTRAL},
        }
        for place in range(len(facets) if best_epoch else 0)
    ]  # fmt: skip
    first = axes.pop("xaxis", {})
    return _figure(
        traces,
        380,
        left=78,
        top=72,
        x=first,
        y={
            "title": _title(axis),
            "rangemode": "tozero",
            "zeroline": True,
            "zerolinewidth": 2,
            **(SHARES if share else {}),
            "fixedrange": True,
        },
        legend=_LEGEND_ABOVE | {"y": 1.1, "traceorder": "normal"},
        annotations=notes,
        shapes=shapes,
        dragmode=False,
        **axes,
    )


def beside_dots(beside: pd.DataFrame, axis: str, number: str = ".3f") -> go.Figure:
    """Two figures in each row, the first filled and the second open, with their intervals.

    Args:
        beside: ``label, of, mean, low, high``; two kinds of ``of``.
        axis: What the figures are.
        number: How they are told.
    """
    labels = list(dict.fromkeys(beside["label"]))
    shown = [shortened(label, 44) for label in labels]
    traces = []
    for place, (of, rows) in enumerate(beside.groupby("of", sort=False)):
        colour = NEUTRAL if place else ACCENT
        marker: dict[str, Any] = {"size": 13, "color": colour}
        if place:
            marker |= {"symbol": "circle-open", "line": {"width": 3, "color": colour}}
        heights = [labels.index(label) + (0.12 if place else -0.12) for label in rows["label"]]
        traces.append(_dots(rows, heights, str(of), marker, colour, number))
    return _figure(
        traces,
        130 + 40 * len(labels),
        left=34 + round(7.6 * max(map(len, shown), default=0)),
        top=48,
        x={
            "rangemode": "tozero",
            "title": _title(axis),
            **(SHARES if number.endswith("%") else {}),
            "zeroline": True,
            "zerolinewidth": 2,
            "fixedrange": True,
        },
        y=_rows_of(shown),
        legend=_LEGEND_ABOVE | {"traceorder": "normal"},
        dragmode=False,
    )
