"""Charts: pure functions from a table to a Plotly figure. Nothing here knows Streamlit.

Backgrounds stay transparent and text uncoloured, so that a figure takes on the theme it is shown
in. Titles from data pass through :func:`text.for_plotly`, because Plotly reads HTML in labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from palette import ACCENT, HELD_OUT, NEUTRAL, SEQUENCE, VALUES, head_colour, head_name
from tables import OTHER, UNKNOWN
from text import for_plotly
from words import percent

_FONT = 14


def _layout(figure: go.Figure, height: int, **layout: object) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"size": _FONT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "font": {"size": 13}},
        **layout,
    )
    figure.update_xaxes(tickfont={"size": _FONT}, title_font={"size": _FONT}, automargin=True)
    figure.update_yaxes(tickfont={"size": _FONT}, title_font={"size": _FONT}, automargin=True)
    figure.update_layout(legend_font={"size": _FONT})
    return figure


def gate_bar(gate: Sequence[float]) -> go.Figure:
    """One bar of 100 %: the share of every head, ``(H,)``."""
    figure = go.Figure()
    for head, share in enumerate(gate):
        name = head_name(head)
        figure.add_bar(
            x=[share],
            y=["gate"],
            orientation="h",
            name=name,
            marker={"color": head_colour(head), "line": {"width": 0}},
            text=percent(share) if share >= 0.05 else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "white", "size": 15},
            hovertemplate=f"{name}: {share:.1%} of the gate<extra></extra>",
        )
    figure.update_xaxes(range=[0, 1], visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    _layout(figure, 46, barmode="stack", showlegend=False, bargap=0)
    return figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})


def ledger_bars(fused: pd.DataFrame, *, raw: bool = False) -> go.Figure:
    """The fused list: for every item a signed stacked bar of what each head put into its score.

    Args:
        fused: ``rank, title, score, held_out, head_0 .. head_{H-1}``, best first; in every row the
            heads sum to the score.
    """
    figure = go.Figure()
    heads = [name for name in fused.columns if name.startswith("head_")]
    titles = [for_plotly(title, 90) for title in fused["title"]]
    scores = fused["score"].to_numpy()
    for head, column in enumerate(heads):
        figure.add_bar(
            x=fused[column],
            y=fused["rank"],
            orientation="h",
            name=head_name(head),
            marker={"color": head_colour(head), "line": {"width": 0}},
            customdata=list(zip(titles, scores, strict=True)),
            hovertemplate=(
                f"<b>%{{customdata[0]}}</b><br>{head_name(head)} put in %{{x:+.3f}}"
                "<br>Score %{customdata[1]:.3f}<extra></extra>"
            ),
        )
    if len(heads) > 1:
        figure.add_scatter(
            x=scores,
            y=fused["rank"],
            mode="markers",
            name="Score (the sum)",
            marker={
                "symbol": "diamond",
                "size": 10,
                "color": "white",
                "line": {"color": "#2B3440", "width": 2},
            },
            customdata=titles,
            hovertemplate="<b>%{customdata}</b><br>Score %{x:.3f}<extra></extra>",
        )
    labels = []
    for rank, title, held_out in zip(fused["rank"], fused["title"], fused["held_out"], strict=True):
        label = f"{for_plotly(title, 44)}  <b>{rank}</b>"
        labels.append(f"<b>◎ {label}</b>" if held_out else label)
    figure.update_yaxes(
        tickvals=fused["rank"], ticktext=labels, autorange="reversed", showgrid=False, title=None
    )
    unit = "raw score" if raw else "score above the average item"
    title = f"Contribution to the score ({unit})" if len(heads) > 1 else unit.capitalize()
    figure.update_xaxes(title=title, zeroline=True, zerolinewidth=2)
    return _layout(
        figure,
        90 + 33 * len(fused),
        barmode="relative",
        bargap=0.34,
        hovermode="closest",
        showlegend=len(heads) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )


def share_path(path: pd.DataFrame, names: Sequence[str], colours: Sequence[str]) -> go.Figure:
    """Shares after every click, stacked to 100 %: ``click, title, part, share``."""
    figure = go.Figure()
    clicks = path["click"].nunique()
    for part, (name, colour) in enumerate(zip(names, colours, strict=True)):
        rows = path[path["part"] == part]
        figure.add_bar(
            x=rows["click"],
            y=rows["share"],
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=[for_plotly(title, 90) for title in rows["title"]],
            hovertemplate=(
                f"After click %{{x}}: <b>%{{customdata}}</b><br>{name} %{{y:.1%}}<extra></extra>"
            ),
        )
    figure.update_yaxes(range=[0, 1], tickformat=".0%", title="Share", fixedrange=True, dtick=0.5)
    figure.update_xaxes(title="Click (the latest on the right)", showgrid=False)
    if clicks <= 12:
        figure.update_xaxes(dtick=1)
    return _layout(
        figure,
        240,
        barmode="stack",
        bargap=0.12 if clicks <= 60 else 0,
        hovermode="closest",
        legend={"orientation": "h", "y": 1.04, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )


def shades(colour: str, count: int) -> list[str]:
    """``count`` steps of one colour, from full to a quarter of it, for the experts of a head."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    steps = np.linspace(1, 0.25, count)
    return [f"rgba({red},{green},{blue},{step:.2f})" for step in steps]


def router_squares(router: pd.DataFrame) -> go.Figure:
    """Head x expert: the filled area of a square is the expert's share of its head.

    Args:
        router: ``head, expert, share``.
    """
    figure = go.Figure()
    side = 44
    heads, experts = int(router["head"].max()) + 1, int(router["expert"].max()) + 1
    for head, rows in router.groupby("head"):
        colour = head_colour(int(head))
        places = {"x": rows["expert"], "y": rows["head"]}
        figure.add_scatter(
            **places,
            mode="markers+text",
            text=[f"{percent(share)}" for share in rows["share"]],
            textposition="bottom center",
            textfont={"size": 13},
            marker={
                "symbol": "square-open",
                "size": side,
                "color": colour,
                "opacity": 0.45,
                "line": {"width": 1.5},
            },
            hoverinfo="skip",
        )
        figure.add_scatter(
            **places,
            mode="markers",
            marker={
                "symbol": "square",
                "size": side * np.sqrt(rows["share"]),
                "color": colour,
                "opacity": 1,
            },
            customdata=np.column_stack([rows["expert"] + 1, rows["share"]]),
            hovertemplate=(
                f"{head_name(int(head))}, expert %{{customdata[0]}}: %{{customdata[1]:.1%}}"
                "<extra></extra>"
            ),
        )
    figure.update_xaxes(
        range=[-0.6, experts - 0.4],
        tickvals=list(range(experts)),
        ticktext=[f"Expert {expert + 1}" for expert in range(experts)],
        side="top",
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        range=[heads - 0.3, -0.5],
        tickvals=list(range(heads)),
        ticktext=[head_name(head) for head in range(heads)],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    return _layout(figure, 50 + 84 * heads, showlegend=False, hovermode="closest")


_DARK = "#20262E"  # outlines of white marks, so that they show on both themes
_OVERLAYS = {  # what is drawn over a map: symbol, size, fill, outline
    "History": ("circle", 9, "white", _DARK),
    "Latest click": ("triangle-up", 14, "white", _DARK),
    "Recommended": ("diamond", 11, "#D14B4B", "white"),
    "Held out": ("square", 12, HELD_OUT, "white"),
    "Looked up": ("star", 18, "white", _DARK),
    "Its nearest": ("circle-open", 14, "#D14B4B", "#D14B4B"),
}


_MANY_MARKS = 40  # from here on they are drawn smaller, or they would hide the map


def _points(
    figure: go.Figure,
    rows: pd.DataFrame,
    name: str,
    marker: dict[str, object],
    *,
    rank: int = 1,
    shown: bool = True,
) -> None:
    """One kind of points; its entry in the legend is solid, even where the points are faint."""
    label = for_plotly(name, 32)
    figure.add_scattergl(
        x=rows["x"],
        y=rows["y"],
        mode="markers",
        name=label,
        marker=marker,
        customdata=list(zip(rows["item"], rows["hover"], strict=True)),
        hovertemplate="%{customdata[1]}<extra></extra>",
        legendgroup=label,
        showlegend=False,
    )
    if shown:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=label,
            marker=marker | {"opacity": 1},
            legendgroup=label,
            legendrank=rank,  # grey is drawn first, so that it lies below, and named last
        )


def item_map(points: pd.DataFrame, scale_title: str, *, logarithmic: bool = False) -> go.Figure:
    """Items in a plane, drawn by WebGL.

    Args:
        points: ``item, x, y, title, facts`` and either ``label`` or ``value`` to colour them by.
            In ``mark`` stands what is drawn over the map (a key of the overlays), else ``""``.
        scale_title: What the colours mean.
        logarithmic: Whether ``value`` is a count to be shown on a logarithmic scale.
    """
    points = points.assign(
        hover=[
            f"<b>{for_plotly(title, 90)}</b><br>{for_plotly(facts, 90)}"
            for title, facts in zip(points["title"], points["facts"], strict=True)
        ]
    )
    marked = points["mark"] != ""
    size = 4 if len(points) > 5000 else 6
    base: dict[str, object] = {"size": size, "opacity": 0.5 if marked.any() else 0.8}
    figure = go.Figure()
    if "label" in points:
        counts = points["label"].value_counts()
        values = [name for name in counts.index if name not in (OTHER, UNKNOWN)]
        colours = dict(zip(values, VALUES, strict=False))
        for name in (UNKNOWN, OTHER, *values):
            rows = points[points["label"] == name]
            if len(rows):
                marker = base | {"color": colours.get(name, NEUTRAL)}
                _points(figure, rows, name, marker, rank=1 if name in colours else 2)
    else:
        known = points["value"].notna()
        if not known.all():
            _points(figure, points[~known], UNKNOWN, base | {"color": NEUTRAL}, rank=2)
        rows = points[known]
        values = rows["value"].to_numpy()
        bar: dict[str, object] = {"title": {"text": for_plotly(scale_title)}, "thickness": 12}
        if logarithmic:
            top = int(np.log10(max(values.max(initial=1), 1))) + 1
            bar |= {
                "tickvals": np.log10(1 + 10.0 ** np.arange(top)).tolist(),
                "ticktext": [f"{10**power:,}" for power in range(top)],
            }
            values = np.log10(1 + values)
        colouring = {
            "color": values,
            "colorscale": [[step / 3, colour] for step, colour in enumerate(SEQUENCE)],
            "colorbar": bar,
        }
        _points(figure, rows, scale_title, base | colouring, shown=False)
    for name, (symbol, mark_size, fill, line) in _OVERLAYS.items():
        rows = points[points["mark"] == name]
        if len(rows):
            marker = {
                "symbol": symbol,
                "size": mark_size,
                "color": fill,
                "line": {"color": line, "width": 1.5},
                "opacity": 1,
            }
            if len(rows) > _MANY_MARKS:
                marker |= {"size": 6, "line": {"color": line, "width": 1}}
            _points(figure, rows, name, marker, rank=3)
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(showgrid=False, zeroline=False, showticklabels=False, title=None)
    figure.update_yaxes(scaleanchor="x")
    return _layout(
        figure,
        560,
        hovermode="closest",
        dragmode="pan",
        legend={
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "x": 0,
            "itemsizing": "constant",
        },
    )


def loss_curve(history: pd.DataFrame) -> go.Figure:
    """Training loss by epoch: ``epoch, loss``."""
    figure = go.Figure()
    figure.add_scatter(
        x=history["epoch"],
        y=history["loss"],
        mode="lines+markers",
        line={"color": NEUTRAL, "width": 2.5},
        hovertemplate="Epoch %{x}: loss %{y:.4f}<extra></extra>",
    )
    return _curve(figure, history, "Training loss (nats)")


def validation_curve(history: pd.DataFrame) -> go.Figure:
    """Validation NDCG@10 by epoch, the best one marked: ``epoch, valid_NDCG@10``."""
    values = history["valid_NDCG@10"]
    best = history.loc[[values.idxmax()]]
    figure = go.Figure()
    figure.add_scatter(
        x=history["epoch"],
        y=values,
        mode="lines+markers",
        line={"color": ACCENT, "width": 2.5},
        hovertemplate="Epoch %{x}: NDCG@10 %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=best["epoch"],
        y=best["valid_NDCG@10"],
        mode="markers",
        marker={"size": 14, "symbol": "circle-open", "color": HELD_OUT, "line": {"width": 3}},
        hovertemplate="Best so far: epoch %{x}, NDCG@10 %{y:.4f}<extra></extra>",
    )
    return _curve(figure, history, "Validation NDCG@10")


def _curve(figure: go.Figure, history: pd.DataFrame, title: str) -> go.Figure:
    figure.update_yaxes(title=title)
    figure.update_xaxes(title="Epoch", showgrid=False)
    if len(history) <= 12:
        figure.update_xaxes(dtick=1)
    return _layout(figure, 260, showlegend=False, hovermode="closest")
