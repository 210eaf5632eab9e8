"""The sidebar's pickers, and the editor for a history of one's own.

A picker puts a choice right before its widget is drawn: what an address or a text field asks for in
vain is told in a sentence, and something that exists is shown instead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import resources
import state
from components import command_about, quiet, section, title_window
from fame.checkpoint import Checkpoint
from fame.data import Dataset
from fame.data.registry import SETS
from fame.errors import CheckpointError, DataError, FameError
from fame.models.registry import spec_of
from fame.opening import best_opening
from fame.presentation import sentences
from fame.presentation.text import percent
from fame.survey import People
from tables import item_title
from text import for_html, for_markdown

logger = logging.getLogger(__name__)

_FEW, _MANY = 8, 50  # clicks of the person whom it opens on
_SERVED = 10  # people whom an expert serves


@dataclass(frozen=True)
class Person:
    """Whose history is looked at: a real person, an example, or one composed here.

    Attributes:
        name: How a sentence calls them.
        history: ``(n,)`` item indices, oldest first; may be empty where it is being composed.
        held_out: What they really chose next, an item index; only real people have one, and it
            stays theirs while their history is edited.
        original: The history before it was edited, where it was taken from somebody.
    """

    name: str
    history: np.ndarray
    held_out: int | None = None
    original: np.ndarray | None = None


def checkpoint_picker() -> Checkpoint:
    """The checkpoint that is looked at; stops the page where there is none to open."""
    names = resources.checkpoint_names()
    root = resources.checkpoint_root()
    if not names:
        st.info(
            f"There is no checkpoint in {for_markdown(str(root))} yet: train one on the Train page."
        )
        st.stop()
    wanted = state.get("checkpoint")
    if wanted not in names:
        best = best_opening(root / name for name in names)
        start = names[0] if best is None else best[0].name
        if wanted:
            state.notice(
                f"There is no checkpoint {wanted!r} in {root}; {start!r} is shown instead."
            )
        state.settle("checkpoint", start)
    with st.sidebar:
        name = st.selectbox(
            "Checkpoint",
            names,
            key=state.key("checkpoint"),
            help="A trained model with its catalogue. The Train page makes new ones.",
        )
        state.keep("checkpoint", name)
        opened = resources.checkpoint(name)
        title_window(opened.name)
        model = opened.model_config
        shape = spec_of(model).shape_of(model)
        quiet(f"{shape}, width {model.width} · {len(opened.items):,} items of {opened.data.name}")
    return opened


def person_picker(opened: Checkpoint) -> Person:
    """Lets a person be chosen in the sidebar; what the address asks for in vain is told."""
    state.of_data(opened.data.name)
    data = people_of(opened)
    source = state.get("source")
    if source == state.PERSON and data is None:
        state.notice(f"People need the data set {opened.data.name}; an example is shown instead.")
    if not source or (source == state.PERSON and data is None):
        to_show = data is None or resources.opening(opened) is not None
        state.settle("source", state.EXAMPLE if to_show else state.PERSON)
    labels = {state.PERSON: "Person", state.EXAMPLE: "Example", state.OWN: "My own"}
    with st.sidebar:
        source = st.segmented_control(
            "Whose history?",
            [name for name in labels if name != state.PERSON or data is not None],
            format_func=labels.__getitem__,
            required=True,
            key=state.key("source"),
            width="stretch",
            help=(
                "A person out of the data set, an example that we wrote, or clicks that you put "
                "together yourself."
            ),
        )
        state.keep("source", source)
        if source == state.PERSON and data is not None:
            person = _real_person(opened, data)
        elif source == state.EXAMPLE:
            person = _example(opened)
        else:
            person = _own(opened, data)
        if data is None:
            _offer_data(opened.data.name)
    return person


def list_length() -> int:
    """How many recommendations to show; the widget stands where it is called."""
    k = st.slider("Recommendations", 1, state.MAX_K, key=state.key("k"))
    return int(state.keep("k", k))


def item_search(opened: Checkpoint, place: DeltaGenerator, label: str, hint: str) -> str | None:
    """Any item of the catalogue by a part of its title; ``None`` where nobody chose one.

    Args:
        place: Where to draw it.
        hint: What stands in the field while nothing is chosen.
    """
    titles = resources.title_by_id(opened)
    if state.get("item") not in (*titles, "", None):
        state.notice(f"The catalogue of {opened.name!r} has no item {state.get('item')!r}.")
        state.settle("item", "")
    if state.get("item") == "":
        state.settle("item", None)
    chosen = place.selectbox(
        label,
        list(titles),
        index=None,
        format_func=titles.__getitem__,
        filter_mode="contains",
        placeholder=hint,
        key=state.key("item"),
    )
    state.keep("item", chosen)
    return chosen


def people_of(opened: Checkpoint) -> Dataset | None:
    """The data set of a checkpoint, where it is at hand and knows all of its items.

    It is in the item numbers of the checkpoint, also where it has grown and has others.
    """
    try:
        return resources.fitted(opened).dataset
    except FameError as error:
        logger.info("No people for %s: %s", opened.name, error)
        return None


def with_new_items(opened: Checkpoint) -> Checkpoint:
    """The checkpoint with what its data set has grown by, where it can rank that from values."""
    if opened.data.name in SETS:  # which never grow
        return opened
    try:
        return resources.with_new_items(opened)
    except FameError as error:
        logger.info("No new items for %s: %s", opened.name, error)
        return opened


def tell_growth(opened: Checkpoint, *, stored: bool = False) -> None:
    """Says that the data set has grown since training, and what becomes of what is new.

    Args:
        stored: Whether the page shows what is stored with the checkpoint, and so no new item.
    """
    if opened.data.name in SETS:
        return
    try:
        growth = resources.fitted(opened).growth
    except FameError:  # told where people are chosen
        return
    if growth is not None:
        told = growth.sentences()
        quiet(f"{told[0]} New items are not on this page." if stored else " ".join(told))


def _own(opened: Checkpoint, data: Dataset | None) -> Person:
    """A composed history, and whose it was before where it was taken from somebody."""
    name, items, origin = "your own history", _own_items(opened), state.get("origin")
    if origin == state.PERSON and data is not None and state.get("user"):
        people = data.interactions
        try:
            history, target = people.split_user(people.user_index(state.get("user")))
        except DataError as error:
            state.notice(f"{error} So there is no real history to compare with.")
        else:
            return Person(f"{name}, from user {state.get('user')}", items, target, history)
    elif origin == state.EXAMPLE and (
        offer := resources.examples(opened).get(state.get("example"))
    ):
        return Person(f"{name}, from “{offer.title}”", items, None, offer.history)
    state.settle("origin", "")
    return Person(name, items)


def _real_person(opened: Checkpoint, dataset: Dataset) -> Person:
    data = dataset.interactions
    user = state.get("user")
    try:
        history, target = data.split_user(data.user_index(user or _first_user(dataset)))
    except DataError as error:
        instead = _first_user(dataset)
        state.notice(f"{error} User {instead} is shown instead.")
        user, (history, target) = instead, data.split_user(data.user_index(instead))
    state.settle("user", user or _first_user(dataset))
    user = st.text_input(
        "User id",
        key=state.key("user"),
        help=for_markdown(f"One of {len(data):,} people in {data.name}."),
    )
    state.keep("user", user)
    st.button(
        "Somebody at random",
        icon=":material/casino:",
        on_click=_random_user,
        args=(dataset,),
        width="stretch",
    )
    if not state.presenting():
        _worth_showing(opened)
    return Person(f"user {user}", history, target)


def _worth_showing(opened: Checkpoint) -> None:
    """The lists of people who make a point about the model, with the figure that makes it."""
    popover = st.popover(
        "People worth showing",
        icon=":material/stars:",
        width="stretch",
        key="people",
        on_change="rerun",
    )
    if not popover.open:
        return
    with popover:
        people = people_found(opened)
        if people is None:
            return
        quiet(
            "Picked with hindsight, by what the model does with them; each list says how usual "
            "that is."
        )
        names = [name for name, rows in people.lists.items() if rows]
        rule = st.selectbox(
            "What they show", names, format_func=sentences.rule_label, key="people-rule"
        )
        if not rule:
            return
        usual = sentences.base_rate_phrase(rule, people.base_rates[rule], people.looked_at)
        quiet(f"{usual[0].upper()}{usual[1:]}.")
        called = resources.called(opened)
        for row in people.lists[rule]:
            st.button(
                for_markdown(f"{row['user']} · {sentences.figures_text(rule, row, called)}"),
                key=f"people-{row['user']}",
                on_click=show_user,
                args=(row["user"],),
                width="stretch",
            )


def people_found(opened: Checkpoint) -> People | None:
    """The survey's people; where there are none, says how to find them."""
    try:
        people = resources.people(opened)
    except CheckpointError as error:
        quiet(str(error))
        return None
    if people is None:
        quiet("Nobody has looked through the people of this checkpoint yet. In a terminal:")
        st.code(command_about(opened.path, "survey"), language="bash", wrap_lines=True)
    return people


def chosen_expert(opened: Checkpoint) -> tuple[int, int] | None:
    """The expert that was chosen, as (head, expert); one that is not there is told and left."""
    pair, model = state.get("expert"), opened.model
    if pair is None or (pair[0] < model.heads and pair[1] < model.experts):
        return pair
    state.notice(f"There is no expert {pair[0]}:{pair[1]} here; it is left aside.")
    state.settle("expert", None)
    return None


def expert_picker(called: Mapping[tuple[int, int], str], mark: str) -> tuple[int, int] | None:
    """Lets one of the experts be chosen, as (head, expert).

    Args:
        called: What each is called.
        mark: What stands for an expert in the chart above.
    """
    st.selectbox(
        "Look at one expert",
        list(called),
        index=None,
        format_func=called.__getitem__,
        placeholder=f"Choose one here, or click its {mark}",
        help="In brackets: the two values that the histories which it serves have most above their "
        "base rate, where that is sure and at least half again. Hover it in the chart for all.",
        key=state.key("expert"),
    )
    return state.keep("expert", st.session_state[state.key("expert")])


def people_served(opened: Checkpoint, pair: tuple[int, int]) -> list[tuple[str, str]]:
    """Whom an expert serves most, as (id, words for a button); says what that is, or how to know.

    Args:
        pair: The expert, as (head, expert).
    """
    people = people_found(opened)
    if people is None:
        return []
    quiet(f"Here are {sentences.most_routed_phrase(people.looked_at)}.")
    return [
        (row["user"], for_markdown(f"User {row['user']} · {percent(row['share'])}"))
        for row in people.experts[pair[0]][pair[1]][:_SERVED]
    ]


def show_user(user: str) -> None:
    """Chooses a real person, in a callback."""
    state.put("user", user)
    state.put("source", state.PERSON)


def _first_user(dataset: Dataset) -> str:
    """The first person with a history of a size to look at, else with any history at all."""
    data = dataset.interactions
    clicks = np.diff(data.offsets) - 1  # the last one is held out
    for fitting in ((clicks >= _FEW) & (clicks <= _MANY), clicks >= 1):
        if fitting.any():
            return str(data.user_ids[fitting.argmax()])
    raise DataError(
        f"Nobody in {data.name!r} has two interactions, so there is no history to look at; "
        "choose an example in the sidebar."
    )


def _random_user(dataset: Dataset) -> None:
    data = dataset.interactions
    enough = np.flatnonzero(np.diff(data.offsets) >= 2)
    show_user(str(data.user_ids[np.random.default_rng().choice(enough)]))


def _example(opened: Checkpoint) -> Person:
    found = resources.examples(opened)
    name = state.get("example")
    if name not in found:
        opening = resources.opening(opened)
        first = opening.example if opening else next(iter(found))
        if name:
            state.notice(
                f"There is no example {name!r} for {opened.data.name}; "
                f"{found[first].title!r} is shown instead."
            )
        state.settle("example", first)
    name = st.selectbox(
        "Example history",
        list(found),
        format_func=lambda name: found[name].title,
        key=state.key("example"),
        help="Written by us for this catalogue; nobody's real history.",
    )
    state.keep("example", name)
    return Person(f"the example “{found[name].title}”", found[name].history)


def _own_items(opened: Checkpoint) -> np.ndarray:
    """The composed history as item indices; ids that the catalogue does not have are told."""
    ids = state.get("items")
    index = resources.item_index(opened)
    unknown = [item for item in ids if item not in index]
    if unknown:
        state.notice(
            f"The catalogue of {opened.name!r} has no item {unknown[0]!r}"
            + (f" and lacks {len(unknown) - 1} more of the address" if unknown[1:] else "")
            + "; they are left out."
        )
        ids = tuple(item for item in ids if item in index)
        state.settle("items", ids)
    return np.array([index[item] for item in ids], dtype=np.int64)


@st.fragment(run_every=1)
def _follow_fetch(name: str) -> None:
    """Shows a fetch under way; the page is drawn anew when it has ended."""
    job = resources.job(resources.fetch_job(name))
    if job is None or job.done:
        st.rerun()
    else:
        st.progress(job.share or 0.0, text=for_markdown(job.message))


def _offer_data(name: str) -> None:
    job = resources.job(resources.fetch_job(name))
    if job is not None and not job.done:
        _follow_fetch(name)
        return
    quiet(f"The histories of {name} are not on this machine, so there are no real people to show.")
    if job is not None and job.error:
        quiet(job.error)
    st.button(
        "Get the data set",
        icon=":material/download:",
        on_click=resources.start_fetch,
        args=(name,),
        width="stretch",
        help=for_markdown(f"The same as: python -m fame data fetch {name}"),
    )


# --- a history of one's own --------------------------------------------------------------------

_EDITED = 12  # clicks with buttons beside them; older ones stay as they are


def edit_button(opened: Checkpoint, history: np.ndarray) -> None:
    """The way from somebody's history to one's own copy of it."""
    st.button(
        "Change this history",
        icon=":material/edit:",
        on_click=_take_over,
        args=(opened, history),
        width="stretch",
        help="Copies the clicks to a history of your own, to add, remove and reorder",
    )


def own_history_editor(opened: Checkpoint) -> None:
    """Search, add, remove and reorder, where a history is being composed."""
    section("Which clicks make up the history?", "Click")
    titles = resources.title_by_id(opened)
    search, back = st.columns([4, 1], vertical_alignment="bottom")
    search.selectbox(
        "Search the catalogue and add an item",
        list(titles),
        index=None,
        format_func=titles.__getitem__,
        filter_mode="contains",
        placeholder="Type part of a title …",
        key=_ADD,
        on_change=_add,
    )
    if state.get("origin"):
        back.button(
            "Back to the real history" if state.get("origin") == state.PERSON else "Back",
            icon=":material/undo:",
            on_click=_go_back,
            width="stretch",
        )
    ids = state.get("items")
    first = max(0, len(ids) - _EDITED)
    for place in range(len(ids) - 1, first - 1, -1):
        _edited_click(opened, ids, place)
    if first:
        quiet(f"{first:,} older clicks stay as they are.")


_ADD = "add-item"


def _edited_click(opened: Checkpoint, ids: tuple[str, ...], place: int) -> None:
    item = resources.item_index(opened)[ids[place]]
    row = st.container(horizontal=True, vertical_alignment="center", key=f"click-{place}")
    when = f"{place + 1}{' · the latest' if place == len(ids) - 1 else ''}"
    row.html(
        f'<div class="lens-line"><span class="lens-quiet">{when}</span> '
        f"{for_html(item_title(opened.items, item))}</div>"
    )
    for label, icon, moved in (
        ("Later", "arrow_upward", swapped(ids, place, place + 1)),
        ("Earlier", "arrow_downward", swapped(ids, place, place - 1)),
        ("Remove", "close", ids[:place] + ids[place + 1 :]),
    ):
        row.button(
            "",
            icon=f":material/{icon}:",
            key=f"{label}-{place}",
            help=label,
            disabled=moved is None,
            on_click=state.put,
            args=("items", moved),
        )


def swapped(ids: tuple[str, ...], place: int, other: int) -> tuple[str, ...] | None:
    """The ids with two of them changed over; ``None`` where there is no other place."""
    if not 0 <= other < len(ids):
        return None
    new = list(ids)
    new[place], new[other] = new[other], new[place]
    return tuple(new)


def _add() -> None:
    added = st.session_state[_ADD]
    st.session_state[_ADD] = None
    if added is not None:
        state.put("items", (*state.get("items"), added)[-state.MAX_ITEMS :])


def _take_over(opened: Checkpoint, history: np.ndarray) -> None:
    ids = opened.items["item_id"].to_numpy()[history - 1]
    state.put("origin", state.get("source"))
    state.put("items", tuple(str(item) for item in ids[-state.MAX_ITEMS :]))
    state.put("source", state.OWN)


def _go_back() -> None:
    state.put("source", state.get("origin"))
