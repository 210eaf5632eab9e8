"""A guided tour of one person, for a stage: guess, list, heads, maps, mute one, reveal.

Each step draws back the curtain of the first screen (:mod:`lens_parts.stage`) by as much as it
talks about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

import components
import item_maps
import map_of
import pickers
import resources
import state
import tables
from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError
from fame.lens.people import HIT, RULES, BaseRate
from fame.lens.trace import fused_table
from fame.presentation import sentences
from fame.presentation.names import FREE
from fame.survey import People
from lens_parts import desk
from lens_parts import scene as change
from lens_parts.scene import Scene
from lens_parts.stage import EVERYTHING, Shown, stage
from text import for_markdown

_CHOSEN_FROM = ("fusion_hits", "gate_flips", "heads_disagree")  # who makes a good tour
_OFFERED = 4  # items to guess from
_MARKED = 20  # latest clicks on the maps; hundreds would hide the items
_GUESSED = "tour-guessed"  # the item guessed, by index
_ASKED = "tour-guess"  # the widget


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


# --- what is said -------------------------------------------------------------------------------


def _guess(scene: Scene) -> str:
    asks = (
        "What did they choose next?"
        if scene.person.held_out is not None
        else "Which of these will the model put first?"
    )
    return (
        f"This is {scene.person.name}{_why_them(scene)}. All that the model knows of them is what "
        f"they clicked. {asks} All four are about as popular."
    )


def _list(scene: Scene) -> str:
    return (
        f"{sentences.history_sentence(len(scene.history), len(scene.trace.read))} From them it "
        "ranks the whole catalogue, and this is the top. In bold stands what a third of the clicks "
        f"have too.{_fails(scene)}"
    )


def _heads(scene: Scene) -> str:
    said = sentences.gate_sentence(scene.trace.gate, scene.called)
    return (
        f"Behind the one list stand {scene.trace.heads} heads. Each ranks the whole catalogue in "
        f"its own way, and the streams show how much each counts. {said}"
    )


def _maps(scene: Scene) -> str:
    first, second = (scene.called.head(head) for head in _mapped(scene))
    return (
        f"The same items as {first} sees them, and as {second} does: what lies together on one map "
        "lies apart on the other. Marked are the latest clicks and the list. Draw around some "
        "points, and the other map shows where they are there."
    )


def _mute(scene: Scene) -> str:
    head = _largest(scene)
    muted = scene.trace.gate[head] == 0
    done = (
        "It has been muted. Move the faders, mute another" if muted else "Mute it, move the faders"
    )
    return f"What if {scene.called.head(head)} were silent? {done}, and watch the rows."


def _reveal(scene: Scene) -> str:
    said = [_verdict(scene)]
    if scene.person.held_out is not None:
        rank, by_head, candidates = tables.held_out_ranks(scene.real, scene.person.held_out)
        title = tables.item_title(scene.opened.items, scene.person.held_out)
        said.append(sentences.held_out_sentence(title, rank, by_head, candidates, scene.called))
    people = _people(scene.opened)
    if people is not None:
        rates, among = people.base_rates, people.looked_at
        won, lost = rates["fusion_hits"].meeting, rates["one_head_better"].meeting
        said.append(sentences.mix_wins_sentence(won, lost, among))
    return " ".join(part for part in said if part)


def _fails(scene: Scene) -> str:
    """That the mix does not find what they chose, where it does not; said before the reveal."""
    if scene.person.held_out is None:
        return ""
    rank, *_ = tables.held_out_ranks(scene.real, scene.person.held_out)
    if rank is not None and rank <= HIT:
        return ""
    return " For this person the list misses what they chose next."


def _verdict(scene: Scene) -> str:
    guessed, right = st.session_state.get(_GUESSED), _answer(scene)
    if guessed is None:
        return ""
    title = tables.item_title(scene.opened.items, right)
    if guessed == right:
        return f"Guessed right: {title}."
    return f"The guess was {tables.item_title(scene.opened.items, guessed)}; it was {title}."


# --- what is shown ------------------------------------------------------------------------------


def _show_guess(scene: Scene) -> None:
    items = _offered(scene)
    st.pills(
        "Your guess",
        items,
        format_func=lambda item: for_markdown(tables.item_title(scene.opened.items, item)),
        default=st.session_state.get(_GUESSED) if st.session_state.get(_GUESSED) in items else None,
        key=_ASKED,
        on_change=_guessed,
    )
    stage(scene, Shown(heads=False, fused=False, held_out=False, controls=False))


def _guessed() -> None:
    st.session_state[_GUESSED] = st.session_state[_ASKED]


def _answer(scene: Scene) -> int:
    """What is to be guessed: what they chose next, else what the model puts first."""
    if scene.person.held_out is not None:
        return scene.person.held_out
    return int(fused_table(scene.real, 1)["item"].iloc[0])


def _offered(scene: Scene) -> list[int]:
    """The answer among others that were clicked about as often, in an order of no meaning."""
    answer, counts = _answer(scene), scene.opened.items["train_count"].to_numpy()
    near = np.argsort(np.abs(counts - counts[answer - 1]), kind="stable") + 1
    barred = {answer, *scene.person.history.tolist()}
    others = [int(item) for item in near[: _OFFERED + len(barred)] if int(item) not in barred]
    offered = [answer, *others[: _OFFERED - 1]]
    return sorted(offered, key=lambda item: hashlib.sha256(f"{answer} {item}".encode()).digest())


def _show_list(scene: Scene) -> None:
    stage(scene, Shown(heads=False, held_out=False, controls=False))


def _show_heads(scene: Scene) -> None:
    stage(scene, Shown(held_out=False, controls=False))


def _mapped(scene: Scene) -> tuple[int, int]:
    """Two heads to lay beside one another: those with a name first."""
    named = scene.called.names or (None,) * scene.trace.heads
    ordered = sorted(range(scene.trace.heads), key=lambda head: named[head] in (None, FREE))
    first, second = sorted(ordered[:2])
    return first, second


def _show_maps(scene: Scene) -> None:
    opened = resources.checkpoint(scene.opened.path.name)  # new items are on no map
    try:
        projection = resources.projection(opened)
    except CheckpointError as error:
        components.quiet(str(error))
        return
    if projection is None:
        components.quiet("The items have not been laid out yet; the Atlas page does that.")
        return
    person = replace(scene.person, held_out=None)  # it is still to be guessed
    latest = set(scene.history[-_MARKED:].tolist())
    drawn = {
        item: mark
        for item, mark in map_of.marks(scene.opened, person, scene.k).items()
        if item <= len(opened.items) and (mark != "History" or item in latest)
    }
    maps = [map_of.space(opened, projection, f"head_{head}", drawn) for head in _mapped(scene)]
    colouring = map_of.colouring(opened, next(iter(tables.colourings(opened.items))))
    document = item_maps.document(resources.map_hover(opened), colouring, maps)
    with st.container(key="tour-maps"):
        item_maps.draw(document, f"tour-maps-{opened.name}", lambda: None)


def _show_mute(scene: Scene) -> None:
    stage(scene, Shown(held_out=False))


def _show_reveal(scene: Scene) -> None:
    stage(scene, EVERYTHING)


STEPS = (
    Step("Guess the next click", _guess, _show_guess),
    Step("The list", _list, _show_list),
    Step("The heads", _heads, _show_heads),
    Step("Two maps", _maps, _show_maps),
    Step("Mute one", _mute, _show_mute),
    Step("What they chose", _reveal, _show_reveal),
)
_MUTES = 5  # the step on which a head is silent


# --- on and back --------------------------------------------------------------------------------


def button(opened: Checkpoint) -> None:
    """Starts the tour, or leaves it."""
    if opened.model.heads < 2:
        return
    on_tour = state.get("tour") > 0
    st.button(
        "Leave the tour" if on_tour else "Guided tour",
        icon=":material/close:" if on_tour else ":material/tour:",
        key="tour-button",
        on_click=_leave if on_tour else _start,
        args=() if on_tour else (opened,),
        width="content" if state.presenting() else "stretch",
        help="Six steps through one person: guess, list, heads, maps, mute one, what they chose",
    )


def step(scene: Scene) -> None:
    """The present step, with the way on, back and out of the tour."""
    number = state.get("tour")
    now = STEPS[number - 1]
    with st.container(key="tour"):
        ways = components.section(f"{number} of {len(STEPS)} · {now.name}")
        components.step(now.says(scene))
        with ways.container(horizontal=True):
            for label, icon, to, key in (
                ("Back", "arrow_back", number - 1, "Left"),
                ("Next", "arrow_forward", number + 1, "Right"),
            ):
                if 1 <= to <= len(STEPS):
                    st.button(
                        label,
                        key=f"tour-{label}",
                        icon=f":material/{icon}:",
                        type="primary" if to > number else "secondary",
                        on_click=_go,
                        args=(to, scene),
                        shortcut=key,
                    )
            st.button("Leave the tour", key="tour-leave", icon=":material/close:", on_click=_leave)
    now.shows(scene)


def _largest(scene: Scene) -> int:
    return int(np.argmax(scene.real.gate))


def _start(opened: Checkpoint) -> None:
    change.reset_desk()
    state.put("without", ())
    state.put("tour", 1)
    st.session_state.pop(_GUESSED, None)
    picked = _picked(opened)
    if picked is not None:  # else whoever is shown now is as good as any
        pickers.show_user(picked.user)


def _people(opened: Checkpoint) -> People | None:
    try:
        return resources.people(opened)
    except CheckpointError:  # told where the lists are shown
        return None


def _picked(opened: Checkpoint) -> Picked | None:
    """Who is shown, where the data set is at hand and a survey has found somebody."""
    people = _people(opened)
    if people is None or pickers.people_of(opened) is None:
        return None
    for rule in _CHOSEN_FROM:
        if people.lists[rule]:
            rate: BaseRate = people.base_rates[rule]
            usual = sentences.base_rate_phrase(rule, rate, people.looked_at)
            return Picked(people.lists[rule][0]["user"], f"{RULES[rule].shows} ({usual})")
    return None


def _why_them(scene: Scene) -> str:
    """That the tour picked them with hindsight, and how usual what they show is."""
    picked = _picked(scene.opened)
    if picked is None or state.get("source") != state.PERSON or state.get("user") != picked.user:
        return ""
    return f", picked with hindsight because {picked.shows}"


def _go(to: int, scene: Scene) -> None:
    """To another step; the desk is touched on its own step alone."""
    if to == _MUTES and scene.desk.gate is None:
        state.put("gate", desk.without_head(scene, _largest(scene)))
    elif to != _MUTES:
        change.reset_desk()
    state.put("tour", to)


def _leave() -> None:
    change.reset_desk()
    state.put("tour", 0)
