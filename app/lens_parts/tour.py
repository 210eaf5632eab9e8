"""A guided tour of one person, for a stage: five steps, each with only what it talks about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

import components
import pickers
import resources
import state
from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError
from fame.lens.people import RULES
from fame.presentation import sentences
from lens_parts import answer, desk
from lens_parts import scene as change
from lens_parts.scene import Scene

_CHOSEN_FROM = ("one_head_better", "gate_flips", "heads_disagree")  # who makes a good tour


@dataclass(frozen=True)
class Picked:
    """Somebody who makes a good tour, and what they show."""

    user: str
    shows: str


@dataclass(frozen=True)
class Step:
    """One step: its name, what is said, and what is shown."""

    name: str
    says: Callable[[Scene], str]
    shows: Callable[[Scene], None]


def _history(scene: Scene) -> str:
    return (
        f"This is {scene.person.name}{_why_them(scene)}. All that the model knows of them is what "
        f"they clicked, here with the latest on the right. "
        f"{sentences.history_sentence(len(scene.history), len(scene.trace.read))} From that it has "
        "to guess what comes next."
    )


def _list(scene: Scene) -> str:
    return (
        "From that it ranks the catalogue, and this is the top of its list. Below each item "
        "stand the clicks that it hangs on most: without them it would score lower."
    )


def _heads(scene: Scene) -> str:
    said = sentences.gate_sentence(scene.trace.gate, scene.called)
    return (
        f"Behind the one list stand {scene.trace.heads} heads. Each ranks the whole catalogue in "
        f"its own way, and a gate decides how much it counts. {said}"
    )


def _desk(scene: Scene) -> str:
    return (
        f"What if {scene.called.head(_largest(scene))} were silent? The faders of this desk are "
        "the gate; one of them has been pulled down. Move them, and watch the list."
    )


def _changed(scene: Scene) -> str:
    return (
        "A line that rises is an item that won places, one that falls has lost some; what stands "
        "below the gap is not in that list. So much of the list was the work of the mix."
    )


def _show_list(scene: Scene) -> None:
    answer.history(scene)
    answer.with_causes(scene, answer.lists(scene, by_head=False))


def _show_heads(scene: Scene) -> None:
    answer.gate(scene)
    answer.lists(scene, causes=False)


def _show_desk(scene: Scene) -> None:
    answer.lists(scene, causes=False)


def _show_changed(scene: Scene) -> None:
    if scene.touched:
        desk.changed(scene)
    else:
        components.quiet("Nothing is changed: go back a step and move a fader.")


STEPS = (
    Step("The history", _history, answer.history),
    Step("The list", _list, _show_list),
    Step("The heads", _heads, _show_heads),
    Step("The mixing desk", _desk, _show_desk),
    Step("What changed", _changed, _show_changed),
)


def button(opened: Checkpoint) -> None:
    """Starts the tour, or leaves it."""
    if opened.model.heads < 2:
        return
    on_tour = state.get("tour") > 0
    st.sidebar.button(
        "Leave the tour" if on_tour else "Guided tour",
        icon=":material/close:" if on_tour else ":material/tour:",
        key="tour-button",
        on_click=_leave if on_tour else _start,
        args=() if on_tour else (opened,),
        width="stretch",
        help="Five steps through one person: history, list, heads, desk, what changed",
    )


def step(scene: Scene) -> None:
    """The present step, with the way on, back and out of the tour."""
    number = state.get("tour")
    now = STEPS[number - 1]
    with st.container(key="tour"):
        components.section(f"{number} of {len(STEPS)} · {now.name}")
        components.step(now.says(scene))
        with st.container(horizontal=True):
            for label, icon, to in (
                ("Back", "arrow_back", number - 1),
                ("Next", "arrow_forward", number + 1),
            ):
                if 1 <= to <= len(STEPS):
                    st.button(
                        label,
                        key=f"tour-{label}",
                        icon=f":material/{icon}:",
                        type="primary" if to > number else "secondary",
                        on_click=_go,
                        args=(to, scene),
                    )
            st.button("Leave the tour", key="tour-leave", icon=":material/close:", on_click=_leave)
    now.shows(scene)


def _largest(scene: Scene) -> int:
    return int(np.argmax(scene.real.gate))


def _start(opened: Checkpoint) -> None:
    change.reset_desk()
    state.put("without", ())
    state.put("tour", 1)
    picked = _picked(opened)
    if picked is not None:  # else whoever is shown now is as good as any
        pickers.show_user(picked.user)


def _picked(opened: Checkpoint) -> Picked | None:
    """Who is shown, where the data set is at hand and a survey has found somebody."""
    try:
        people = resources.people(opened)
    except CheckpointError:  # told where the lists are shown
        people = None
    if people is None or pickers.people_of(opened) is None:
        return None
    for rule in _CHOSEN_FROM:
        if people.lists[rule]:
            usual = sentences.base_rate_phrase(rule, people.base_rates[rule], people.looked_at)
            return Picked(people.lists[rule][0]["user"], f"{RULES[rule].shows} ({usual})")
    return None


def _why_them(scene: Scene) -> str:
    """That the tour picked them with hindsight, and how usual what they show is."""
    picked = _picked(scene.opened)
    if picked is None or state.get("source") != state.PERSON or state.get("user") != picked.user:
        return ""
    return f", picked with hindsight because {picked.shows}"


def _go(to: int, scene: Scene) -> None:
    """To another step; the desk is untouched before its own step, and set when that is reached."""
    if to == 4 and scene.desk.gate is None:
        state.put("gate", desk.without_head(scene, _largest(scene)))
    elif to < 4:
        change.reset_desk()
    state.put("tour", to)


def _leave() -> None:
    change.reset_desk()
    state.put("tour", 0)
