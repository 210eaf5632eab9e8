"""Cards, lists and chips in HTML: every piece of data in them is escaped here.

Colours are those of the palette, or mixed from the text's own, so that both themes are served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from fame.models.registry import MODELS
from fame.presentation.names import HeadNames
from fame.presentation.palette import (
    ACCENT,
    AGAINST,
    FOR,
    HELD_OUT,
    NEUTRAL,
    head_colour,
    ink_on,
)
from fame.presentation.text import percent, points
from fame.presentation.values import HeadLine, ValueName, column_widths
from fame.training.runs import Status
from tables import item_facts, item_title
from text import for_html

INK, INK_IN_THE_DARK = "#1E2833", "#E7EBF0"  # as in .streamlit/config.toml

STYLE = f"""<style>
[data-testid="stMainBlockContainer"] {{ padding: 2.6rem 3rem 4rem; max-width: 96rem; }}
[data-testid="stHeading"] h2 {{ padding-top: 1.1rem; }}
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .cbaxis) text,
[data-testid="stPlotlyChart"] .textpoint text,
[data-testid="stPlotlyChart"] text:is(.legendtext, .xtitle, .ytitle, .cbtitle, .annotation-text)
  {{ fill: currentColor !important; }}
button[data-variant][data-selected="true"] p, [data-testid="stSliderThumbValue"] p
  {{ color: light-dark({INK}, {INK_IN_THE_DARK}); }}
.lens-line {{ font-size: 1.02rem; line-height: 1.55; }}
.lens-words {{ border-left: 4px solid {NEUTRAL}; padding: .2rem 0 .2rem .9rem; font-size: 1.08rem;
  line-height: 1.6; max-width: 82rem; }}
.lens-quiet {{ opacity: .72; font-size: .9rem; line-height: 1.45; }}
.lens-strip {{ display: flex; gap: .6rem; align-items: stretch; overflow-x: auto;
  padding: .2rem 0 .5rem; }}
.lens-card {{ flex: 1 1 0; min-width: 6.6rem; max-width: 18rem; border-radius: .6rem;
  padding: .55rem .7rem; border: 1px solid color-mix(in srgb, currentColor 18%, transparent);
  background: color-mix(in srgb, currentColor 4%, transparent); font-size: .86rem;
  line-height: 1.3; display: flex; flex-direction: column; gap: .25rem; }}
.lens-card b {{ display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical;
  overflow: hidden; font-weight: 600; overflow-wrap: anywhere; }}
.lens-card small {{ opacity: .72; font-size: .76rem; display: -webkit-box; -webkit-line-clamp: 2;
  -webkit-box-orient: vertical; overflow: hidden; }}
.lens-card .when {{ opacity: .72; font-size: .74rem; letter-spacing: .02em; }}
.lens-card.latest {{ flex-grow: 1.3; font-size: .95rem; border-width: 2px;
  background: color-mix(in srgb, currentColor 8%, transparent); }}
.lens-card.earlier {{ flex: 0 0 5.2rem; min-width: 5.2rem; justify-content: center;
  text-align: center; border-style: dashed; background: none; }}
.lens-card.unread {{ opacity: .5; }}
.lens-card.hidden {{ flex-grow: 1.3; border: 2px dashed {HELD_OUT}; font-size: .95rem;
  background: color-mix(in srgb, {HELD_OUT} 10%, transparent); }}
.lens-chip {{ display: inline-flex; align-items: center; gap: .4rem; font-weight: 600;
  max-width: 100%; overflow-wrap: anywhere; }}
.lens-chip i {{ flex: none; width: .8rem; height: .8rem; border-radius: .2rem;
  display: inline-block; }}
.lens-legend {{ display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; }}
.lens-gate {{ display: flex; height: 2.6rem; margin-top: .6rem; border-radius: .5rem;
  overflow: hidden; }}
.lens-gate div {{ display: flex; align-items: center; justify-content: center; min-width: 2px;
  font-weight: 600; overflow: hidden; white-space: nowrap; }}
.lens-list {{ list-style: none; margin: .3rem 0 0 !important; padding: 0 !important; }}
.lens-list li {{ display: flex; gap: .5rem; align-items: baseline; padding: .28rem .35rem;
  margin: 0 !important; font-size: .9rem; line-height: 1.3;
  border-bottom: 1px solid color-mix(in srgb, currentColor 10%, transparent); }}
.lens-list .rank {{ opacity: .6; min-width: 1.3rem; text-align: right;
  font-variant-numeric: tabular-nums; }}
.lens-list .what {{ flex: 1; min-width: 0; }}
.lens-list .title, .lens-list .note {{ overflow-wrap: break-word; display: -webkit-box;
  -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }}
.lens-list .score {{ opacity: .72; font-variant-numeric: tabular-nums; }}
.lens-list .tag {{ font-size: .74rem; padding: 0 .35rem; border-radius: .6rem; white-space: nowrap;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }}
.lens-list li.target {{ background: color-mix(in srgb, {HELD_OUT} 18%, transparent);
  border-radius: .3rem; }}
.lens-ranks {{ display: flex; flex-wrap: wrap; gap: .6rem; }}
.lens-rank {{ border-radius: .6rem; padding: .5rem .9rem; min-width: 8rem;
  border: 1px solid color-mix(in srgb, currentColor 18%, transparent); }}
.lens-rank b {{ font-size: 1.5rem; font-variant-numeric: tabular-nums; }}
.lens-rank span.of {{ opacity: .72; font-size: .85rem; }}
.lens-list .note {{ opacity: .66; font-size: .78rem; line-height: 1.3; min-height: 1rem; }}
.lens-values .line {{ display: flex; gap: .5rem; align-items: baseline; padding: .3rem .35rem; }}
.lens-values .line > :first-child {{ opacity: .6; min-width: 2.6rem; text-align: right; }}
.lens-values .line > :last-child, .lens-values b, .lens-values .part
  {{ font-variant-numeric: tabular-nums; }}
.lens-values .what {{ flex: 1; min-width: 0; overflow-wrap: anywhere; }}
.lens-values .heads {{ display: grid; gap: 0 1.4rem; font-size: .84rem; line-height: 1.4; }}
.lens-values .lens-chip {{ display: inline; }}
.lens-values .lens-chip i {{ margin-right: .4rem; vertical-align: -.05em; }}
.lens-values .part {{ display: inline-block; max-width: 100%; }}
.lens-values .part :is(small, i) {{ opacity: .72; font-style: normal; font-size: inherit; }}
.lens-values .line.target {{ background: color-mix(in srgb, {HELD_OUT} 18%, transparent);
  border-radius: .3rem; }}
.lens-values .line.new {{ background: color-mix(in srgb, {ACCENT} 22%, transparent);
  border-radius: .3rem; }}
.lens-gone {{ text-decoration: line-through; opacity: .6; }}
.lens-figures {{ display: flex; flex-wrap: wrap; gap: .4rem 1.8rem; }}
.lens-figures b {{ font-size: 1.25rem; font-variant-numeric: tabular-nums; }}
.lens-step {{ font-size: 1.15rem; line-height: 1.55; max-width: 70rem; }}
[data-testid="stPlotlyChart"] .modebar:focus-within > *
  {{ opacity: 1 !important; transition: none; }}
@media (max-width: 640px) {{
  [data-testid="stMainBlockContainer"] {{ padding: 2.6rem 1rem 4rem; }}
  [data-testid="stButtonGroup"] [role="radiogroup"] {{ flex-wrap: wrap; }}
  [data-testid="stElementContainer"]:has([data-testid="stPlotlyChart"]) {{ overflow-x: auto; }}
  [data-testid="stPlotlyChart"] {{ min-width: 38rem; }}
}}
.st-key-closer {{ margin-top: 1.6rem; padding-top: 1rem;
  border-top: 1px solid color-mix(in srgb, currentColor 18%, transparent); }}
.st-key-tour {{ border-left: 4px solid {ACCENT}; padding-left: 1rem; }}
</style>"""

PRESENTING = """<style>
html { font-size: 20px; }
[data-testid="stMainBlockContainer"] { max-width: 110rem; }
[data-testid="stSidebarContent"] { zoom: .8; }
.lens-quiet { opacity: .85; }
</style>"""


def _card(title: str, facts: str, when: str, kind: str = "") -> str:
    return (
        f'<div class="lens-card {kind}" title="{for_html(title)}"><span class="when">{when}</span>'
        f"<b>{for_html(title)}</b><small>{for_html(facts)}</small></div>"
    )


def history_strip(
    items: pd.DataFrame,
    history: np.ndarray,
    seen_from: int,
    held_out: int | None,
    shown: int = 5,
) -> None:
    """The latest clicks as cards, the newest on the right, then what was held out."""
    first = max(0, len(history) - shown)
    cards = []
    if first:
        cards.append(f'<div class="lens-card earlier"><b>{first:,}</b>earlier<br>clicks</div>')
    for place in range(first, len(history)):
        item = int(history[place])
        latest = place == len(history) - 1
        kind = "unread" if place < seen_from else "latest" if latest else ""
        when = f"Click {place + 1:,}" + (", the latest" if latest else "")
        cards.append(_card(item_title(items, item), item_facts(items, item), when, kind))
    if held_out is not None:
        when = "◎ Held out: chosen next"
        cards.append(
            _card(item_title(items, held_out), item_facts(items, held_out), when, "hidden")
        )
    st.html(f'<div class="lens-strip">{"".join(cards)}</div>')


def chip(label: str, colour: str, hint: str = "") -> str:
    """A name with its colour; ``hint`` says more of it to the mouse."""
    title = f' title="{for_html(hint)}"' if hint else ""
    return (
        f'<span class="lens-chip"{title}><i style="background:{colour}"></i>'
        f"{for_html(label)}</span>"
    )


def head_line(label: str, colour: str, remark: str = "", hint: str = "") -> None:
    quiet = f' <span class="lens-quiet">{for_html(remark)}</span>' if remark else ""
    st.html(f'<div class="lens-line">{chip(label, colour, hint)}{quiet}</div>')


def gate_bar(gate: np.ndarray, called: HeadNames) -> None:
    """One bar of 100 % with the share of every head; the legend names the smallest too."""
    legend, parts = [], []
    for head, share in enumerate(gate):
        name, colour = called.head(head), head_colour(head)
        label = chip(name, colour, called.why(head))
        legend.append(f'<span>{label} <span class="lens-quiet">{percent(share)}</span></span>')
        figure = percent(share) if share >= 0.05 else ""
        parts.append(
            f'<div style="flex: {share:.6f} 0 0; background: {colour}; color: {ink_on(colour)}" '
            f'title="{for_html(name)}: {share:.1%} of the gate">{figure}</div>'
        )
    st.html(
        f'<div class="lens-legend">{"".join(legend)}</div>'
        f'<div class="lens-gate">{"".join(parts)}</div>'
    )


@dataclass(frozen=True)
class Line:
    """A line of a ranked list; ``hint`` explains ``tag`` to the mouse, ``note`` stands below."""

    rank: int
    title: str
    score: str
    tag: str = ""
    hint: str = ""
    held_out: bool = False
    note: str = ""


def _line(line: Line) -> str:
    tag = f'<span class="tag" title="{for_html(line.hint)}">{for_html(line.tag)}</span>'
    title = f"{'◎ ' if line.held_out else ''}{for_html(line.title)}"
    note = f'<span class="note" title="{for_html(line.note)}">{for_html(line.note)}</span>'
    return (
        f'<li class="{"target" if line.held_out else ""}"><span class="rank">{line.rank}</span>'
        f'<span class="what"><span class="title" title="{for_html(line.title)}">{title}</span>'
        f"{note if line.note else ''}</span>{tag if line.tag else ''}"
        f'<span class="score">{for_html(line.score)}</span></li>'
    )


def ranked_list(
    label: str, colour: str, remark: str, lines: Sequence[Line], hint: str = ""
) -> None:
    """A list under the name of the head (or space) that it comes from."""
    st.html(
        f'{chip(label, colour, hint)} <span class="lens-quiet">{for_html(remark)}</span>'
        f'<ol class="lens-list">{"".join(map(_line, lines))}</ol>'
    )


@dataclass(frozen=True)
class ValueRow:
    """An item and its score by head and value; ``new`` marks one that is in no catalogue."""

    rank: str
    title: str
    score: str
    heads: Sequence[HeadLine]
    held_out: bool = False
    new: bool = False


def value_rows(rows: Sequence[ValueRow], names: Sequence[str]) -> None:
    """Scores down to the values that items are made of, below the items.

    Args:
        names: ``[H]`` what the heads are called.
    """
    told = []
    for row in rows:
        kind = "target" if row.held_out else "new" if row.new else ""
        heads = "".join(f"<div>{_head_line(head, names[head.head])}</div>" for head in row.heads)
        title = f"{'◎ ' if row.held_out else ''}{for_html(row.title)}"
        told.append(
            f'<div class="line {kind}"><span>{for_html(row.rank)}</span><div class="what">{title}'
            f'<div class="heads" style="{column_widths(row.heads)}">{heads}</div></div>'
            f"<span>{for_html(row.score)}</span></div>"
        )
    st.html(f'<div class="lens-values">{"".join(told)}</div>')


def _head_line(line: HeadLine, name: str) -> str:
    """As :meth:`HeadLine.sentence` says it; a value keeps its points beside it."""
    parts = []
    for part in line.parts:
        if isinstance(part.name, ValueName):
            tip, near = for_html(str(part.name)), for_html(part.name.near)
            # The space that parts a level from the next one is lost where HTML ends with it.
            above = f"<small>{near} </small>" if near else ""
            what = f"{above}{for_html(part.name.label)}"
        else:
            tip, what = "", f"<i>{for_html(part.name)}</i>"
        parts.append((tip, f"{what} {points(part.points)}"))
    told = [
        f'<span class="part" title="{tip}">{said}{"," if place < len(parts) else ""}</span>'
        for place, (tip, said) in enumerate(parts, 1)
    ]
    start = f"{chip(name, head_colour(line.head))} <b>{points(line.points)}</b>"
    return f"{start}{': ' if told else ''}{' '.join(told)}"


def rank_card(label: str, colour: str, rank: int | None, candidates: int) -> str:
    """Where an item stands in one list, as HTML; ``None``: in none, it is in the history."""
    figure, remark = (
        ("–", "in the history") if rank is None else (f"{rank:,}", f"of {candidates:,}")
    )
    return (
        f'<div class="lens-rank">{chip(label, colour)}<br><b>{figure}</b> '
        f'<span class="of">{remark}</span></div>'
    )


def rank_cards(cards: list[str]) -> None:
    st.html(f'<div class="lens-ranks">{"".join(cards)}</div>')


_PHASES = {  # what a run is doing, in words and colour
    "preparing": ("Preparing", NEUTRAL),
    "training": ("Training", ACCENT),
    "evaluating": ("Ranking everybody's held-out item", ACCENT),
    "projecting": ("Laying out the items", ACCENT),
    "naming": ("Looking which heads are facets", ACCENT),
    "finished": ("Finished", FOR),
    "stopped": ("Stopped", HELD_OUT),
    "failed": ("Failed", AGAINST),
}


def run_line(status: Status) -> None:
    """What a run is doing, on what, and its best figure."""
    label, colour = _PHASES[status.phase]
    spec = MODELS.get(status.model)  # a run may be of a later version
    facts = [f"{spec.title if spec else status.model} on {status.data}", status.device]
    if status.best_score is not None:
        best = f"best validation NDCG@10 {status.best_score:.4f}"
        facts.append(f"{best} in epoch {status.best_epoch}")
    st.html(
        f'<div class="lens-line">{chip(label, colour)} '
        f'<span class="lens-quiet">{for_html(" · ".join(facts))}</span></div>'
    )


def figures(pairs: Sequence[tuple[str, str]]) -> None:
    """A few figures in a row: ``(what it is, the figure)``."""
    told = "".join(
        f'<div><span class="lens-quiet">{for_html(label)}</span><br><b>{for_html(figure)}</b></div>'
        for label, figure in pairs
    )
    st.html(f'<div class="lens-figures">{told}</div>')
