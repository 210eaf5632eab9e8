"""Lens: why does this person get this list?"""

from contextlib import nullcontext

import streamlit as st

import components
import naming
import pickers
import resources
import state
from badge import badge
from fame.checkpoint import Checkpoint
from fame.models.registry import spec_of
from lens_parts import (
    answer,
    clicks,
    desk,
    experts,
    item,
    mix,
    new_item,
    others,
    stage,
    tour,
    truth,
)
from lens_parts.scene import Scene, set_up
from lens_parts.take_along import take_along
from pickers import Person

QUESTION = "Why does this person get this list?"
# What this page keeps in its address, beside the person.
OWN = (
    *("without", "gate", "mute", "solo", "scores"),
    *("part", "of", "item", "new", "expert", "mix", "tour", "present"),
)
PARTS = {  # in the order of state.PARTS: what the button says, what draws it, whether heads need be
    "lists": ("Each head’s list", answer.lists, False),
    "ledger": ("The account", answer.ledger, False),
    "clicks": ("Which clicks?", clicks.clicks, False),
    "item": ("Any item", item.item, False),
    "new": ("Something new", new_item.new_item, False),
    "experts": ("Experts", experts.experts, True),
    "mix": ("Over time", mix.mix, True),
    "changed": ("What changed?", desk.changed, False),
    "truth": ("Is it true?", truth.truth, False),
    "others": ("Other models", others.others, False),
}


def main() -> None:
    state.begin("lens", (*state.PERSON_NAMES, *OWN))
    place = components.page_head(QUESTION)
    opened = pickers.with_new_items(pickers.checkpoint_picker())
    row = st.container(horizontal=True, vertical_alignment="center")
    with row:
        badge(opened)
    pickers.tell_growth(opened)
    person = pickers.person_picker(opened)
    with resources.turn():
        scene = set_up(opened, person, state.get("k"))
    if state.presenting() and not state.get("tour"):  # on a stage there is no sidebar
        with row:
            tour.button(opened)
    components.tell(place)
    if state.get("source") == state.OWN and not state.get("tour"):
        pickers.own_history_editor(opened)
    with resources.turn():
        shown = _first_screen(scene)
    if not state.presenting():  # below what the first screen waits for
        _sidebar(opened, person, scene)
    if shown is not None:
        _closer(shown, bool(shown.trace.experts))
    components.tell(place)
    state.publish(_address())


def _first_screen(scene: Scene | None) -> Scene | None:
    """Draws the whole answer in one picture; gives what there is to look closer at."""
    if scene is None:
        components.quiet("Add an item to see what the model makes of it.")
    elif not scene.trace.candidates.any():
        components.quiet("The history holds the whole catalogue: nothing is left to recommend.")
    elif state.get("tour"):
        tour.step(scene)
    else:
        stage.told_stage(scene)
        return scene
    return None


def _address() -> tuple[str, ...]:
    return (*state.person_names(), *OWN)


def _sidebar(opened: Checkpoint, person: Person, scene: Scene | None) -> None:
    with st.sidebar:
        tour.button(opened)
        with st.expander("More", icon=":material/tune:", key="more"):
            pickers.list_length()
            if scene is not None:
                take_along(scene, _address())
            naming.names_of_heads(opened)
            if state.get("source") != state.OWN:
                pickers.edit_button(opened, person.history if scene is None else scene.history)


def _closer(scene: Scene, several: bool) -> None:
    """One part at a time: the others cost nothing until they are opened."""
    if not several:
        components.section("What is missing here?")
        config = scene.opened.model_config
        title = spec_of(config).title_of(config)
        components.quiet(
            f"{title} ranks with one query, so there are no heads to compare, no gate that mixes "
            "them, no desk and no router; choose a FAME checkpoint in the sidebar to see those."
        )
    offered = [name for name, (_, _, heads) in PARTS.items() if several or not heads]
    if not scene.opened.value_names:  # there is nothing to make something new of
        offered.remove("new")
    if not scene.touched:
        offered.remove("changed")
    if state.get("part") not in offered:
        state.settle("part", offered[0])
    with st.container(key="closer"):
        part = st.segmented_control(
            "Look closer",
            offered,
            format_func=lambda name: PARTS[name][0],
            required=True,
            key=state.key("part"),
        )
    state.keep("part", part)
    with resources.turn() if part == offered[0] else nullcontext():
        PARTS[part][1](scene)


main()
