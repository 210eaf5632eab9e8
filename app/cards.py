"""Cards, lists and chips in HTML: every piece of data in them is escaped here.

Colours are those of the palette, or mixed from the text's own, so that both themes are served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from fame.checkpoint import Description
from fame.models.registry import MODELS, spec_of
from fame.presentation.palette import (
    ACCENT,
    AGAINST,
    FOR,
    HEADS,
    HELD_OUT,
    NEUTRAL,
    head_colour,
    ink_on,
)
from fame.presentation.text import points
from fame.presentation.values import HeadLine, ValueName, column_widths
from fame.training.runs import Phase, Status
from text import for_html

INK, INK_IN_THE_DARK = "#1E2833", "#E7EBF0"  # as in .streamlit/config.toml

STYLE = f"""<style>
[data-testid="stMainBlockContainer"] {{ padding: 3.3rem 3rem 4rem; max-width: 96rem; }}
[data-testid="stHeading"] h2 {{ padding-top: 1.1rem; }}
[data-testid="stPlotlyChart"] :is([class^="x"][class$="tick"], .ytick, .cbaxis) text,
[data-testid="stPlotlyChart"] .textpoint text,
[data-testid="stPlotlyChart"]
  text:is(.legendtext, [class^="x"][class$="title"], .ytitle, .cbtitle, .annotation-text)
  {{ fill: currentColor !important; }}
[data-testid="stHeading"] h1 {{ font-size: 1.8rem; padding: .1rem 0 .3rem; }}
.lens-badge {{ display: flex; flex-wrap: wrap; gap: .4rem; font-size: .8rem; line-height: 1.5; }}
.lens-badge span {{ border: 1px solid color-mix(in srgb, currentColor 22%, transparent);
  border-radius: 1rem; padding: 0 .7rem; cursor: help; }}
.lens-badge .poor {{ background: {HEADS[5]}; color: {ink_on(HEADS[5])}; font-weight: 600; }}
button[data-variant][data-selected="true"] p, [data-testid="stSliderThumbValue"] p
  {{ color: light-dark({INK}, {INK_IN_THE_DARK}); }}
.lens-line {{ font-size: 1.02rem; line-height: 1.55; }}
.lens-words {{ border-left: 4px solid {NEUTRAL}; padding: .2rem 0 .2rem .9rem; font-size: 1.08rem;
  line-height: 1.6; max-width: 82rem; }}
.lens-quiet {{ opacity: .72; font-size: .9rem; line-height: 1.45; }}
.lens-chip {{ display: inline-flex; align-items: center; gap: .4rem; font-weight: 600;
  max-width: 100%; overflow-wrap: anywhere; }}
.lens-chip i {{ flex: none; width: .8rem; height: .8rem; border-radius: .2rem;
  display: inline-block; }}
.lens-list {{ list-style: none; margin: .3rem 0 0 !important; padding: 0 !important; }}
.lens-list li {{ display: flex; gap: .5rem; align-items: baseline; padding: .28rem .35rem;
  margin: 0 !important; font-size: .9rem; line-height: 1.3;
  border-bottom: 1px solid color-mix(in srgb, currentColor 10%, transparent); }}
.lens-list .rank {{ opacity: .75; min-width: 1.3rem; text-align: right;
  font-variant-numeric: tabular-nums; }}
.lens-list .what {{ flex: 1; min-width: 0; }}
.lens-list .title, .lens-list .note {{ overflow-wrap: break-word; display: -webkit-box;
  -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }}
.lens-list .score {{ opacity: .75; font-variant-numeric: tabular-nums; }}
.lens-list .tag {{ font-size: .74rem; padding: 0 .35rem; border-radius: .6rem; white-space: nowrap;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }}
.lens-list li.target {{ background: color-mix(in srgb, {HELD_OUT} 18%, transparent);
  border-radius: .3rem; }}
.lens-ranks {{ display: flex; flex-wrap: wrap; gap: .6rem; }}
.lens-rank {{ border-radius: .6rem; padding: .5rem .9rem; min-width: 8rem;
  border: 1px solid color-mix(in srgb, currentColor 18%, transparent); }}
.lens-rank b {{ font-size: 1.5rem; font-variant-numeric: tabular-nums; }}
.lens-rank span.of {{ opacity: .72; font-size: .85rem; }}
.lens-list .note {{ opacity: .75; font-size: .78rem; line-height: 1.3; min-height: 1rem; }}
.lens-values .line {{ display: flex; gap: .5rem; align-items: baseline; padding: .3rem .35rem; }}
.lens-values .line > :first-child {{ opacity: .75; min-width: 2.6rem; text-align: right; }}
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
.lens-figures {{ display: flex; flex-wrap: wrap; gap: .4rem 1.8rem; }}
.lens-figures b {{ font-size: 1.25rem; font-variant-numeric: tabular-nums; }}
.lens-facts {{ display: grid; grid-template-columns: max-content minmax(0, 1fr);
  gap: .15rem 1.2rem; font-size: .92rem; line-height: 1.45; margin: .3rem 0 !important;
  padding: 0 !important; }}
.lens-facts dt {{ opacity: .72; }}
.lens-facts dt.part {{ padding-left: 1rem; }}
.lens-facts dd {{ margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }}
.lens-step {{ font-size: 1.15rem; line-height: 1.55; max-width: 70rem; }}
[data-testid="stPlotlyChart"] .modebar:focus-within > *
  {{ opacity: 1 !important; transition: none; }}
@media (min-width: 641px) and (max-width: 900px) {{
  [data-testid="stColumn"]:has(.lens-list) {{ min-width: calc(50% - 1rem); }}
}}
[data-testid="stMain"] [data-testid="stButtonGroup"] [role="radiogroup"] {{ flex-wrap: wrap; }}
@media (max-width: 640px) {{
  [data-testid="stMainBlockContainer"] {{ padding: 2.6rem 1rem 4rem; }}
  [data-testid="stElementContainer"]:has([data-testid="stPlotlyChart"]) {{ overflow-x: auto; }}
  [data-testid="stFullScreenFrame"]:has([data-testid="stPlotlyChart"]) {{ min-width: 38rem; }}
}}
.st-key-closer [data-testid="stWidgetLabel"] p {{ font-size: 1.05rem; font-weight: 600; }}
.st-key-tour-maps {{ --above-maps: 30rem; }}
.st-key-closer {{ margin-top: 1.6rem; padding-top: 1rem;
  border-top: 1px solid color-mix(in srgb, currentColor 18%, transparent); }}
button kbd[aria-label] {{ opacity: .85; }}
.st-key-tour {{ border-left: 4px solid {ACCENT}; padding-left: 1rem; }}
</style>"""

PRESENTING_SIZE = 1.25  # how much larger all type is on a stage
PRESENTING = f"""<style>
@media (min-width: 641px) {{ html {{ font-size: {16 * PRESENTING_SIZE:g}px; }} }}
[data-testid="stMainBlockContainer"] {{ max-width: 110rem; }}
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] {{ display: none; }}
.lens-quiet {{ opacity: .85; }}
</style>"""


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


_PHASES: dict[Phase, tuple[str, str]] = {  # what a run is doing, in words and colour
    "queued": ("In the queue", NEUTRAL),
    "starting": ("Starting", NEUTRAL),
    "preparing": ("Preparing", NEUTRAL),
    "training": ("Training", ACCENT),
    "evaluating": ("Ranking everybody's held-out item", ACCENT),
    "projecting": ("Making its map: laying out the items", ACCENT),
    "naming": ("Making its map: which heads are facets", ACCENT),
    "surveying": ("Making its map: looking at everybody", ACCENT),
    "finished": ("Finished", FOR),
    "stopped": ("Stopped", HELD_OUT),
    "failed": ("Failed", AGAINST),
    "lost": ("Lost", AGAINST),
    "damaged": ("Cannot be read", AGAINST),
}


def phase_label(phase: Phase) -> str:
    """What a run is doing, in a word or a few."""
    return _PHASES[phase][0]


def run_line(status: Status) -> None:
    """What a run is doing, on what, and its best figure."""
    label, colour = phase_label(status.phase), _PHASES[status.phase][1]
    spec = MODELS.get(status.model)  # a run may be of a later version
    named = spec.title if spec else status.model
    facts = [f"{named} on {status.data}" if status.data else "", status.device]
    facts = [fact for fact in facts if fact]
    if status.best_score is not None:
        best = f"best validation NDCG@10 {status.best_score:.4f}"
        facts.append(f"{best} in epoch {status.best_epoch}")
    st.html(
        f'<div class="lens-line">{chip(label, colour)} '
        f'<span class="lens-quiet">{for_html(" · ".join(facts))}</span></div>'
    )


def checkpoint_line(about: Description | None, metrics: Mapping[str, Any]) -> None:
    """A checkpoint that came trained: what it is, on what, and its figures."""
    facts = []
    if about is not None:
        facts.append(f"{spec_of(about.model_config).shape_of(about.model_config)}")
        facts.append(f"on {about.data.name}")
    for split, name in (("valid", "validation"), ("test", "test")):
        if (score := metrics.get(split, {}).get("NDCG@10")) is not None:
            facts.append(f"{name} NDCG@10 {score:.4f}")
    st.html(
        f'<div class="lens-line">{chip("Came trained", HEADS[2])} '
        f'<span class="lens-quiet">{for_html(" · ".join(facts))}</span></div>'
    )


def figures(pairs: Sequence[tuple[str, str]]) -> None:
    """A few figures in a row: ``(what it is, the figure)``."""
    told = "".join(
        f'<div><span class="lens-quiet">{for_html(label)}</span><br><b>{for_html(figure)}</b></div>'
        for label, figure in pairs
    )
    st.html(f'<div class="lens-figures">{told}</div>')


def facts(lines: Mapping[str, str]) -> None:
    """Lines of a report; a label that begins with blanks is a part of the one above it."""
    told = "".join(
        f'<dt class="{"part" if label.startswith(" ") else ""}">{for_html(label)}</dt>'
        f"<dd>{for_html(said)}</dd>"
        for label, said in lines.items()
    )
    st.html(f'<dl class="lens-facts">{told}</dl>')
