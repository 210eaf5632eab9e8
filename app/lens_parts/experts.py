"""Which experts read the history, and what does one of them do?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd
import streamlit as st

import cards
import charts
import components
import pickers
import resources
import state
import tables
from fame.errors import CheckpointError
from fame.facets.experts import ExpertUse
from fame.lens.experts import ExpertAccount
from fame.presentation import sentences
from fame.presentation.names import expert_name
from fame.presentation.palette import NEUTRAL, head_colour
from fame.presentation.text import percent
from fame.survey import Facets
from lens_parts import desk
from lens_parts.answer import line
from lens_parts.scene import Scene
from text import for_markdown


def experts(scene: Scene) -> None:
    components.section("Which experts read the history?", "Expert", "Router", "Intervention")
    chosen = state.get("expert")
    measured = _Measured.of(scene)
    router = tables.router_table(scene.trace)
    router["name"] = [measured.name(pair) for pair in _pairs(scene)]
    router["serves"] = [measured.serves(pair) for pair in _pairs(scene)]
    squares, text = st.columns([3, 2], vertical_alignment="center")
    with squares:
        components.pickable_chart(
            charts.router_squares(router, scene.called, chosen),
            "router",
            _pick,
            chosen=chosen or (),
        )
    with text:
        components.quiet(
            "Every row is a head and adds up to 100 %. The filled part of a square is the share of "
            "that expert in its head, for this history; a full square would be 100 %."
        )
        called = {pair: measured.name(pair) for pair in _pairs(scene)}
        pickers.expert_picker(called, "square")
    if state.get("expert") is not None:
        _account(scene, state.get("expert"), measured)


@dataclass(frozen=True)
class _Measured:
    """What was found out about the experts over everybody, where somebody looked."""

    scene: Scene
    found: Facets | None
    problem: str

    @classmethod
    def of(cls, scene: Scene) -> _Measured:
        try:
            found = resources.facets(scene.opened)
        except CheckpointError as error:
            return cls(scene, None, str(error))
        return cls(scene, found, "")

    def use(self, pair: tuple[int, int]) -> ExpertUse | None:
        if self.found is None:
            return None
        return self.found.experts[pair[0] * self.scene.trace.experts + pair[1]]

    def name(self, pair: tuple[int, int]) -> str:
        use = self.use(pair)
        head = self.scene.called.head(pair[0])
        return expert_name(pair[1], use.named_after if use else (), head=head)

    def serves(self, pair: tuple[int, int]) -> str:
        """The values that it serves, for a hover; nothing where nobody looked."""
        use = self.use(pair)
        return sentences.served_phrase(use) if use else ""

    def dossier(self, pair: tuple[int, int]) -> None:
        """Says what is known, or how to find it out."""
        use = self.use(pair)
        if self.found is None or use is None:
            command = components.command_about(self.scene.opened.path, "facets")
            quiet = self.problem or (
                f"Nobody has measured yet whom the experts of this checkpoint serve: {command}"
            )
            components.quiet(quiet)
            return
        lists = self.found.expert_lists[pair[0] * self.scene.trace.experts + pair[1]]
        found = self.found
        components.words(sentences.dossier_sentence(use, lists, found.expert_people, found.people))


def _pairs(scene: Scene) -> list[tuple[int, int]]:
    """All experts (head, expert)."""
    return list(product(range(scene.trace.heads), range(scene.trace.experts)))


def _pick(data: Any) -> None:
    state.put("expert", (int(data[0]), int(data[1])))


def _account(scene: Scene, pair: tuple[int, int], measured: _Measured) -> None:
    account = resources.expert(scene.opened, scene.history, pair, scene.k, scene.desk)
    colour = head_colour(pair[0])
    name = measured.name(pair)
    components.words(_sentence(account, scene, name))
    _switches(scene, pair)
    components.part(f"What does {for_markdown(name)} attend to?")
    attention = tables.attention_table(scene.opened.items, scene.trace, account.attention)
    components.chart(charts.attention_bars(attention, colour), "attention")
    components.part("Whom does it serve, and what does it change, over everybody?")
    measured.dossier(pair)
    components.part("What would the list be with it alone in its head, and without it?")
    components.quiet(
        "The model is run again for each list: from an expert to a score the path is not linear, "
        "so these are interventions and no shares of the score. A tag gives the rank in the "
        "list above."
    )
    columns = st.columns(3)
    with columns[0]:
        _list(scene, account.alone, "Alone", colour)
    with columns[1]:
        if account.without is None:
            components.quiet("Its head has no other expert, so there is no list without it.")
        else:
            _list(scene, account.without, "Without", NEUTRAL)
    with columns[2]:
        _served(scene, pair)


def _switches(scene: Scene, pair: tuple[int, int]) -> None:
    """Mutes the expert on the desk, or lets it speak alone in its head."""
    with st.container(horizontal=True):
        for choice, icon, change in (
            ("solo", "headphones", desk.solo_expert),
            ("mute", "volume_off", desk.mute_expert),
        ):
            on = pair in state.get(choice)
            st.button(
                choice.capitalize(),
                key=f"{choice}-expert",
                icon=f":material/{icon}:",
                type="primary" if on else "secondary",
                on_click=change,
                args=(scene, *pair),
            )


def _sentence(account: ExpertAccount, scene: Scene, name: str) -> str:
    if not scene.trace.gate[account.head]:
        return (
            f"{scene.called.head(account.head)} is silent on the desk, so nothing that its "
            "experts do reaches the list."
        )
    k = len(account.alone)
    said = (
        f"{name} has {percent(account.share)} of its head. "
        f"With it alone there, {account.shared_alone} of the {k} items stay"
    )
    if account.shared_without is None:
        return f"{said}."
    if account.shared_without == k:
        return f"{said}; without it all of them do, so it changes nothing here."
    return f"{said}; without it, {account.shared_without}."


def _list(scene: Scene, table: pd.DataFrame, label: str, colour: str) -> None:
    ranks = scene.fused.set_index("item")["rank"]
    rows = table.assign(
        title=tables.item_titles(scene.opened.items, table["item"]),
        fused_rank=table["item"].map(ranks).astype("Int64"),
        held_out=table["item"] == (scene.person.held_out or 0),
    )
    lines = [line(scene, row) for row in tables.rows_of(rows)]
    cards.ranked_list(label, colour, "intervention", lines)


def _served(scene: Scene, pair: tuple[int, int]) -> None:
    """Whom the expert serves most, each one click away."""
    components.part("Whose histories does it read most?")
    can_open = pickers.people_of(scene.opened) is not None
    for user, label in pickers.people_served(scene.opened, pair):
        st.button(
            label,
            key=f"served-{user}",
            on_click=state.turn_to,
            args=(user,),
            disabled=not can_open,
            width="stretch",
        )
