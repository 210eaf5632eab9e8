"""The first screen: the clicks, what each head makes of them, and the list that they make together.

One component of our own: its markup is written and escaped here, and ``assets/stage.js``
draws the streams between the columns, slides the rows and says what was pressed. It is text before
any chart is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

import components
import resources
import state
import tables
from fame.errors import CheckpointError
from fame.lens.compare import Comparison
from fame.presentation import sentences
from fame.presentation.evidence import Fact, ItemFacts, Shared, Value
from fame.presentation.names import expert_name, value_name
from fame.presentation.palette import HELD_OUT, head_colour
from fame.presentation.text import APART, count, percent, written
from fame.survey import Facets, known_facets
from lens_parts import desk
from lens_parts import scene as change
from lens_parts.scene import Scene
from text import for_html

_ASSETS = Path(__file__).resolve().parents[1] / "assets"
_CSS = (_ASSETS / "stage.css").read_text(encoding="utf-8")
# Attributes of the markup that change nothing of its look.
_UNSEEN = re.compile(
    r' (?:(?:data-[a-z-]+|title|role|aria-(?!pressed="true")[a-z-]+)="[^"]*"|type="button")'
)
_STAGE = st.components.v2.component(
    "fame-stage",
    css=_CSS,
    js=(_ASSETS / "stage.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)
KEY = "stage"
FIRST = "stage-first"  # the class of what stands in for the stage, and the mark that it has stood
_CLICKS = 6  # shown; older ones are counted
_OWN_ROWS = {1: 10, 2: 10, 3: 4, 4: 1}  # of each head's list, by the number of heads; else none
_LEAST_SHOWN = 0.16  # a narrower expert has room for its number alone


@dataclass(frozen=True)
class Shown:
    """Which parts of the stage are shown: the tour draws back the curtain step by step."""

    heads: bool = True
    fused: bool = True
    held_out: bool = True
    controls: bool = True


EVERYTHING = Shown()


def told_stage(scene: Scene) -> None:
    """Draws the whole first screen, with the one sentence above it made from its figures."""
    drawn = _Stage(scene, EVERYTHING)
    components.words(drawn.summary())
    _mount(drawn)


def stage(scene: Scene, shown: Shown = EVERYTHING) -> None:
    """Draws the first screen and takes what is pressed on it."""
    _mount(_Stage(scene, shown))


def _mount(drawn: _Stage) -> None:
    scene, markup = drawn.scene, drawn.markup()
    _stand_in(markup)
    _STAGE(key=KEY, data={"html": markup}, on_act_change=lambda: _acted(scene))


def _stand_in(markup: str) -> None:
    """Shows the first stage of a visit as mere text until the component has drawn it.

    A browser fetches what runs components when it meets the first one, and runs it after all else
    on the page: the list would be there for seconds and nobody could read it. It is Markdown, which
    Streamlit's page has from its start, where it fetches what shows HTML; one line, so that no part
    of it is read as Markdown, and no more than is seen, because a browser reads it twice.
    ``stage.js`` takes the text away as it draws; it has classes of its own, so that nothing takes
    it for the stage.
    """
    place = st.empty()
    if st.session_state.get(FIRST):
        return
    st.session_state[FIRST] = True
    still = markup.replace('<div class="stage', f'<div class="{FIRST}', 1)
    still = _UNSEEN.sub("", still)
    still = re.sub("<(button|input) ", r"<\1 disabled ", still)
    style = _CSS.replace(".stage", f".{FIRST}")
    style += f" .{FIRST} :disabled {{ opacity: 1 !important; }}"
    still = f'<div class="{FIRST}-root" aria-hidden="true"><style>{style}</style>{still}</div>'
    place.markdown(" ".join(still.split()), unsafe_allow_html=True)


class _Stage:
    """What the stage shows of a scene, and how it is written."""

    def __init__(self, scene: Scene, shown: Shown) -> None:
        self.scene = scene
        self.shown = shown
        self.items = scene.opened.items
        self.ids = self.items["item_id"]
        self.known: ItemFacts = resources.item_facts(scene.opened)
        self.held: frozenset[Value] = self.known.held_by(scene.trace.read)
        facets = known_facets(scene.opened)
        self.clicked = {
            value for item in scene.trace.read for value in self.known.values(item, facets)
        }

    @property
    def many(self) -> bool:
        """Whether there are more heads than have room for lists of their own."""
        return self.scene.trace.heads > max(_OWN_ROWS)

    @property
    def by_part(self) -> bool:
        """Whether scores are shown by the heads' parts: not before heads have been talked of."""
        return self.scene.trace.experts > 0 and self.shown.heads

    # --- figures ---------------------------------------------------------------------------------

    @cached_property
    def evidence(self) -> list[Shared | None]:
        """``[H]`` the value that most of a head's list share, of its facet where it has one."""
        shares = self.scene.opened.model_config.facet_shares
        found = []
        for head in range(self.scene.trace.heads):
            lists = self.scene.by_head
            listed = lists.loc[lists["head"] == head, "item"].tolist()
            own = self.known.columns_of(shares[head]) if shares and shares[head] else None
            found.append(self.known.shared(listed, own))
        return found

    @cached_property
    def measured(self) -> Facets | None:
        """What was measured of all heads and experts, where somebody has."""
        try:
            return resources.facets(self.scene.opened)
        except CheckpointError:  # told where the names of heads are
            return None

    @cached_property
    def together(self) -> Shared | None:
        return self.known.shared(self.scene.fused["item"].tolist())

    @cached_property
    def comparison(self) -> Comparison:
        """The list as it really is against the one after all changes."""
        return self.scene.comparison()

    @cached_property
    def moves(self) -> Mapping[int, str]:
        """Where an item of the list came from, after a change; empty where nothing changed it."""
        if not self.scene.touched:
            return {}
        told = {}
        for row in self.comparison.moves.itertuples():
            if row.listed == "after":
                told[row.item] = "new"
            elif not pd.isna(row.change) and row.change:
                told[row.item] = f"{'▲' if row.change > 0 else '▼'}{abs(row.change)}"
        return told

    def summary(self) -> str:
        """What is seen, or what a change did."""
        scene, trace = self.scene, self.scene.trace
        if scene.touched:
            changed = sentences.desk_sentence(scene.desk, len(scene.without), scene.called)
            start = f"Changed: {changed}. " if changed else ""
            return start + sentences.comparison_sentence(self.comparison)
        if not trace.experts:
            return sentences.history_sentence(len(trace.history), len(trace.read))
        seen = [(float(share), self.evidence[head]) for head, share in enumerate(trace.gate)]
        return sentences.stage_sentence(len(trace.read), seen, self.together, scene.called)

    # --- markup ----------------------------------------------------------------------------------

    def markup(self) -> str:
        columns = [self._clicks()]
        if self.by_part:
            columns.append(self._heads())
        if self.shown.fused:
            columns.append(self._fused())
        many = " many" if self.many else ""
        kind = (
            f"stage{many}"
            if self.by_part
            else "stage single"
            if self.shown.fused
            else "stage alone"
        )
        return (
            f'<div class="{kind}" style="--held-out: {HELD_OUT}">'
            f'<svg class="flow" aria-hidden="true"></svg>{"".join(columns)}</div>'
        )

    def _clicks(self) -> str:
        trace, person = self.scene.trace, self.scene.person
        whole = person.history
        lines = []
        for place in range(len(whole) - 1, max(-1, len(whole) - 1 - _CLICKS), -1):
            lines.append(self._click(int(whole[place]), latest=place == len(whole) - 1))
        told = [f"{len(whole) - _CLICKS:,} earlier"] if len(whole) > _CLICKS else []
        told += [f"the model reads the last {len(trace.read):,}"] if trace.seen_from else []
        more = f'<div class="small">{"; ".join(told)}</div>' if told else ""
        if self.scene.edited and self.shown.controls:
            more += '<div class="small">' + _button("Back to the real history", {"do": "real"})
            more += "</div>"
        return (
            '<section class="column clicks" aria-label="The history"><header><h2>'
            f"{count(len(self.scene.history), 'click')}, latest first</h2></header>"
            f"<ol>{''.join(lines)}</ol>{more}{self._next()}</section>"
        )

    def _click(self, item: int, *, latest: bool) -> str:
        title, item_id = self._title(item), str(self.ids.iat[item - 1])
        out = item in self.scene.without
        if not self.shown.controls:
            button = ""
        elif out:
            button = _button("↺", {"do": "back", "item": item_id}, label=f"Put back {title}")
        else:
            button = _button("×", {"do": "leave", "item": item_id}, label=f"Leave out {title}")
        kind = f"click{' latest' if latest else ''}{' out' if out else ''}"
        return (
            f'<li class="{kind}" data-slide="click-{for_html(item_id)}">'
            f'<span class="title" title="{for_html(title)}">{for_html(title)}</span>'
            f"{self._facts(item)}{button}</li>"
        )

    def _title(self, item: int) -> str:
        """What an item is called on the stage, where what is known of it stands below."""
        return tables.item_title(self.items, item, beside_facts=True)

    def _facts(self, item: int) -> str:
        """What is known of an item; in bold what the history agrees with."""
        facts = self.known.facts(item, self.held)
        if not facts:
            return ""
        told = [
            f"<b>{for_html(fact.text)}</b>" if fact.agrees else for_html(fact.text)
            for fact in facts
        ]
        return (
            f'<span class="facts" title="{for_html(_plain(facts))}">{"&nbsp;· ".join(told)}</span>'
        )

    def _heads(self) -> str:
        heads = self.scene.trace.heads
        articles = "".join(self._head(head) for head in range(heads))
        shares = f"{count(heads, 'head')} and their shares of the mix" if heads > 1 else "1 head"
        return (
            '<section class="column heads" aria-label="The heads">'
            f"<header><h2>{shares}</h2></header>{articles}</section>"
        )

    def _head(self, head: int) -> str:
        scene, trace = self.scene, self.scene.trace
        name, share = scene.called.head(head), float(trace.gate[head])
        alone, silent = share == 1, share == 0
        controls = fader = ""
        if self.shown.controls and trace.heads > 1:
            solo, mute = {"do": "solo", "head": head}, {"do": "mute", "head": head}
            controls = _button(
                "Solo", solo, key=f"solo-{head}", label=f"Solo {name}", pressed=alone
            ) + _button(
                "Mute",
                mute,
                key=f"mute-{head}",
                label=f"Mute {name}",
                pressed=silent,
                disabled=alone,
            )
            fader = self._fader(head, name)
        parts = [round(share * float(part), 5) for part in trace.router[head]]
        seen = self.evidence[head]
        evidence = sentences.evidence_phrase(seen) if seen else "No value is known of its items"
        short = sentences.evidence_label(seen) if seen and self.many else evidence
        return (
            f'<article class="head{" silent" if silent else ""}" data-head="{head}" '
            f'data-parts="{for_html(json.dumps(parts))}" style="--colour: {head_colour(head)}">'
            f'<header title="{for_html(scene.called.why(head))}"><i></i><b>{for_html(name)}</b>'
            f'<span class="share">{percent(share)}</span>{controls}</header>'
            f'<div class="evidence" title="{for_html(evidence)}">{for_html(short)}</div>{fader}'
            f"{self._experts(head, name)}"
            f"{self._own_list(head)}</article>"
        )

    def _fader(self, head: int, name: str) -> str:
        weight = desk.weights(self.scene)[head]
        act = for_html(json.dumps({"do": "weigh", "head": head}))
        return (
            f'<input class="fader" type="range" min="0" max="1" step="0.01" value="{weight:g}" '
            f'style="--at: {100 * weight:g}%" data-key="fader-{head}" data-act="{act}" '
            f'aria-label="Weight of {for_html(name)} in the mix">'
        )

    def _experts(self, head: int, name: str) -> str:
        """The router as the parts of a bar; a click mutes one."""
        shares, drawn = self.scene.trace.router[head], []
        if len(shares) < 2:
            return ""
        muted = {expert for own, expert in state.get("mute") if own == head}
        for expert, share in enumerate(shares):
            serves = self._serves(head, expert)
            # A name that has nothing to do with this history would only puzzle.
            fitting = [value_name(value) for value in serves if _split(value) in self.clicked]
            wide = share >= _LEAST_SHOWN and not self.many
            told = (fitting or [f"Expert {expert + 1}"])[0] if wide else str(expert + 1)
            hint = f"{expert_name(expert, serves, head=name)}: {percent(share)} of {name}"
            mix = round(62 - 40 * expert / (len(shares) - 1))
            style = f"flex: {max(float(share), 0.001):.4f} 1 0; --mix: {mix}%"
            drawn.append(
                _button(
                    told,
                    {"do": "expert", "head": head, "expert": expert},
                    key=f"expert-{head}-{expert}",
                    label=hint,
                    pressed=expert in muted,
                    disabled=not self.shown.controls,
                    style=style,
                )
            )
        return f'<div class="experts" role="group" aria-label="Experts">{"".join(drawn)}</div>'

    def _serves(self, head: int, expert: int) -> Sequence[str]:
        """The values that an expert is named after, where somebody has measured them."""
        if self.measured is None:
            return ()
        return self.measured.experts[head * self.scene.trace.experts + expert].named_after

    def _own_list(self, head: int) -> str:
        shown = _OWN_ROWS.get(self.scene.trace.heads, 0)
        if state.presenting():  # where type is larger
            shown = shown * 3 // 4
        lists, lines = self.scene.by_head, []
        for row in tables.rows_of(lists[lists["head"] == head].head(shown)):
            place = "" if pd.isna(row.fused_rank) else f"#{row.fused_rank}"
            hint = f"Rank {row.fused_rank} of the list on the right" if place else ""
            mark = "◎ " if row.held_out else ""
            lines.append(
                f'<li class="{"target" if row.held_out else ""}"><span class="rank">{row.rank}'
                f'</span><span class="what" title="{for_html(row.title)}">'
                f"{_cut_before_the_end(mark + row.title)}</span>"
                f'<span class="place" title="{hint}">{place}</span>'
                "</li>"
            )
        return f'<ol class="own">{"".join(lines)}</ol>'

    def _fused(self) -> str:
        fused = self.scene.fused
        parts = tables.head_columns(fused) if self.by_part else ["score"]
        put_in = fused[parts].to_numpy(float)
        up, down = (float(np.clip(s * put_in, 0, None).sum(1).max(initial=0)) for s in (1, -1))
        rows = "".join(
            self._row(row, put_in[place], up, down)
            for place, row in enumerate(tables.rows_of(fused))
        )
        aside = ""
        if self.by_part and not self.scene.touched:
            aside = '<span class="small">each head’s part · score</span>'
        if self.scene.desk != change.UNTOUCHED and self.shown.controls:
            aside = _button("Reset the desk", {"do": "reset"}, key="reset")
        remark = "Recommended" + (", after the changes" if self.scene.touched else "")
        return (
            '<section class="column fused" aria-label="The list"><header>'
            f"<h2>{remark}</h2>{aside}</header><ol>{rows}</ol></section>"
        )

    def _row(self, row: Any, put_in: np.ndarray, up: float, down: float) -> str:
        item_id = str(self.ids.iat[row.item - 1])
        moved = self.moves.get(row.item, "")
        moved = f"<small>{moved}</small>" if moved else ""
        shares = [round(float(part), 4) for part in put_in]
        mark = "◎ " if row.held_out else ""
        if tables.unseen(self.items, row.item):
            mark += "(unseen) "
        name = self._title(row.item)
        why = _button(
            f"{mark}{name}", {"do": "why", "item": item_id}, kind="plain title", hint=name
        )
        return (
            f'<li class="row{" target" if row.held_out else ""}" data-row="{row.rank}" '
            f'data-slide="item-{for_html(item_id)}" data-shares="{for_html(json.dumps(shares))}">'
            f'<span class="rank">{row.rank}{moved}</span>'
            f"<span>{why}{self._facts(row.item)}</span>"
            f'{self._bar(put_in, up, down)}<span class="score">{row.score:.2f}</span></li>'
        )

    def _bar(self, put_in: np.ndarray, up: float, down: float) -> str:
        """What each head put in, to the right of zero what speaks for the item."""
        whole, zero = (up + down) or 1.0, down / ((up + down) or 1.0)
        right, left, drawn, told = zero, zero, [], []
        for head, part in enumerate(put_in):
            width = abs(float(part)) / whole
            start = right if part >= 0 else left - width
            right, left = (right + width, left) if part >= 0 else (right, left - width)
            colour = head_colour(head) if self.by_part else "currentColor"
            drawn.append(
                f'<i style="left: {100 * max(start, 0):.2f}%; width: {100 * width:.2f}%; '
                f'background: {colour}"></i>'
            )
            told.append(f"{self.scene.called.head(head)} {written(part, '+z.2f')}")
        hint = for_html(", ".join(told) if self.by_part else "The score")
        return (
            f'<span class="bar" role="img" aria-label="{hint}" title="{hint}" '
            f'style="--zero: {100 * zero:.2f}%">{"".join(drawn)}</span>'
        )

    def _next(self) -> str:
        """What they really chose next, with its rank as a counter."""
        trace, item = self.scene.trace, self.scene.person.held_out
        if item is None or not self.shown.held_out:
            return ""
        rank, by_head, candidates = tables.held_out_ranks(trace, item)
        title = self._title(item)
        if rank is None:
            figure = (
                '<span class="count">– <small>it is in the history, and what is in the history is '
                "in no list here: it counts as a miss</small></span>"
            )
        else:
            figure = (
                f'<span class="count"><span data-key="rank" data-count="{rank}">{rank:,}</span>'
                f" <small>of {candidates:,}</small></span>"
            )
        alone = ""
        if trace.heads > 1 and rank is not None:
            ranks = zip(self.scene.head_names, by_head, strict=True)
            # A name may end in a number, so a rank has its sign, and the two stay on one line.
            told = [
                f'<span class="whole">{for_html(name)} #{own:,}</span>'
                for name, own in ranks
                if own is not None
            ]
            alone = f'<span class="facts">Alone: {", ".join(told)}</span>'
        return (
            '<div class="next" aria-live="polite"><h2>◎ Really chosen next</h2>'
            f'<b class="title" title="{for_html(title)}">{for_html(title)}</b>{self._facts(item)}'
            f"{figure}{alone}</div>"
        )


def _cut_before_the_end(name: str) -> str:
    """A name in a line that may be too short: what tells it from others of its title stays."""
    title, apart, ending = name.partition(APART)
    return f"<span>{for_html(title)}</span>" + f"<b>&nbsp;∙ {for_html(ending)}</b>" * bool(apart)


def _split(value: str) -> Value:
    column, _, name = value.partition("=")
    return column, name


def _plain(facts: Sequence[Fact]) -> str:
    said = " · ".join(fact.text for fact in facts)
    return f"{said}. In bold: what a third of the clicks have too" * any(f.agrees for f in facts)


def _button(
    text: str,
    act: Mapping[str, Any],
    *,
    key: str = "",
    label: str = "",
    hint: str = "",
    pressed: bool | None = None,
    disabled: bool = False,
    kind: str = "",
    style: str = "",
) -> str:
    """A button that says ``act`` when it is pressed.

    Args:
        key: By which it keeps the focus when the stage is drawn anew.
        label: What it is called where its text is not enough.
        hint: What the mouse is told; the label, where there is one.
        pressed: Of a button that stays pressed; ``None`` for any other.
    """
    attributes = {
        "class": kind,
        "style": style,
        "data-key": key,
        "data-act": json.dumps(act),
        "aria-label": label,
        "title": hint or label,
        "aria-pressed": "" if pressed is None else str(pressed).lower(),
    }
    # An act holds an item's id, in which every space counts.
    told = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value)
    off = " disabled" if disabled else ""
    return f'<button type="button"{told}{off}><span>{for_html(text)}</span></button>'


# --- what was pressed ---------------------------------------------------------------------------


def _acted(scene: Scene) -> None:
    """Does what a button of the stage asks for; what no button says is left aside."""
    act = (st.session_state.get(KEY) or {}).get("act")
    if not isinstance(act, dict):
        return
    head, expert, item = (act.get(name) for name in ("head", "expert", "item"))
    known_head = type(head) is int and 0 <= head < scene.trace.heads
    match act.get("do"):
        case "weigh" if known_head and isinstance(act.get("to"), int | float):
            desk.weigh(scene, head, float(act["to"]))
        case "solo" if known_head:
            desk.solo(scene, head)
        case "mute" if known_head:
            desk.mute(scene, head)
        case "expert" if known_head and type(expert) is int and 0 <= expert < scene.trace.experts:
            desk.mute_expert(scene, head, expert)
        case "leave" if isinstance(item, str):
            change.leave_out(item)
        case "back" if isinstance(item, str):
            change.put_back(item)
        case "why" if isinstance(item, str):
            state.put("item", item)
            state.put("part", "item")
        case "real":
            change.real_history()
        case "reset":
            change.reset_desk()
