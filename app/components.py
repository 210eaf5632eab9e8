"""Blocks that several pages use: the guard, the sidebar's pickers, item cards and lists.

All HTML of the app is made here, and every piece of data in it is escaped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import resources
import state
from examples import offers
from fame.checkpoint import Checkpoint
from fame.data import Dataset
from fame.errors import DataError, FameError
from fame.training.runs import Status
from glossary import TERMS, explain
from palette import ACCENT, HEADS, HELD_OUT, NEUTRAL, head_colour, head_name
from tables import item_facts, item_title
from text import for_html, for_markdown
from words import percent

logger = logging.getLogger(__name__)

_START = "ml-100k"  # what the app opens on where it is there
_STYLE = f"""<style>
[data-testid="stMainBlockContainer"] {{ padding: 2.6rem 3rem 4rem; max-width: 96rem; }}
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .g-xtitle, .g-ytitle, .legendtext, .annotation)
  text, [data-testid="stPlotlyChart"] text:is(.legendtext, .xtitle, .ytitle)
  {{ fill: currentColor !important; }}
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
  white-space: nowrap; }}
.lens-chip i {{ width: .8rem; height: .8rem; border-radius: .2rem; display: inline-block; }}
.lens-legend {{ display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; }}
.lens-list {{ list-style: none; margin: .3rem 0 0 !important; padding: 0 !important; }}
.lens-list li {{ display: flex; gap: .5rem; align-items: baseline; padding: .28rem .35rem;
  margin: 0 !important; font-size: .9rem; line-height: 1.3;
  border-bottom: 1px solid color-mix(in srgb, currentColor 10%, transparent); }}
.lens-list .rank {{ opacity: .6; min-width: 1.3rem; text-align: right;
  font-variant-numeric: tabular-nums; }}
.lens-list .title {{ flex: 1; min-width: 0; overflow-wrap: break-word; display: -webkit-box;
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
</style>"""


# --- the page ----------------------------------------------------------------------------------


@contextmanager
def guard() -> Iterator[None]:
    """Nothing that goes wrong on a page shows a traceback.

    What a person can mend is told in its own sentence; anything else is a fault of ours, told
    plainly, with its traceback in the log.
    """
    try:
        yield
    except FameError as error:
        st.error(for_markdown(str(error)), icon=":material/error:")
    except Exception:
        logger.exception("A page failed")
        st.error(
            "This page could not be drawn, through a fault of the app and none of yours. The "
            "terminal that runs the app has the details in its log; reload the page or choose "
            "something else in the sidebar to go on.",
            icon=":material/error:",
        )


def page_head(question: str, lede: str) -> DeltaGenerator:
    """The page's question and a sentence on what it shows; gives the place for :func:`tell`."""
    st.html(_STYLE)
    st.title(question, anchor=False)
    st.html(f'<div class="lens-line">{for_html(lede)}</div>')
    return st.container()


def tell(place: DeltaGenerator) -> None:
    """Shows what has to be said before the page itself."""
    for sentence in state.take_notices():
        place.warning(for_markdown(sentence), icon=":material/info:")


def section(question: str, *terms: str) -> DeltaGenerator:
    """A heading with the words it uses explained beside it; gives the place on its right."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.subheader(
            question, anchor=False, help=explain(*terms) if terms else None, width="content"
        )
        return st.container(width="content")


def quiet(sentence: str) -> None:
    st.html(f'<div class="lens-quiet">{for_html(sentence)}</div>')


def words(sentence: str) -> None:
    """What the figures of the page say, in words."""
    st.html(f'<div class="lens-words">{for_html(sentence)}</div>')


def chart(figure: go.Figure, name: str, *, vector: bool = True) -> None:
    """Draws a figure; the bar over it saves it as SVG, or as PNG where it is drawn by WebGL."""
    st.plotly_chart(figure, key=name, config=chart_config(name, vector=vector))


def selectable_chart(figure: go.Figure, name: str) -> list[int]:
    """Draws a WebGL figure whose points carry item indices first; gives the ones drawn around."""
    event = st.plotly_chart(
        figure,
        key=name,
        config=chart_config(name, vector=False) | {"scrollZoom": True},
        on_select="rerun",
        selection_mode=("box", "lasso"),
    )
    return [int(point["customdata"][0]) for point in event["selection"]["points"]]


def chart_config(name: str, *, vector: bool = True) -> dict[str, object]:
    image = {"format": "svg"} if vector else {"format": "png", "scale": 2}
    return {"displaylogo": False, "toImageButtonOptions": {**image, "filename": name}}


def download(table: pd.DataFrame, label: str, name: str) -> None:
    st.download_button(
        label,
        table.to_csv(index=False).encode("utf-8-sig"),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"download-{name}",
        on_click="ignore",
    )


def glossary() -> None:
    with st.sidebar.popover("Words used here", icon=":material/menu_book:", width="stretch"):
        for term, meaning in TERMS.items():
            st.markdown(f"**{term}.** {meaning}")


# --- the sidebar -------------------------------------------------------------------------------


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
        start = _START if _START in names else names[0]
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
        model = opened.model_config
        shape = (
            f"FAME, {model.heads} heads of {model.experts} experts"
            if model.model == "fame"
            else "SASRec, the baseline without heads"
        )
        quiet(f"{shape}, width {model.width} · {len(opened.items):,} items of {opened.data.name}")
    return opened


@dataclass(frozen=True)
class Person:
    """Whose history is looked at: a real person, an example, or one composed here.

    Attributes:
        name: How a sentence calls them.
        history: ``(n,)`` item indices, oldest first; may be empty where it is being composed.
        held_out: What they really chose next, an item index; only real people have one.
    """

    name: str
    history: np.ndarray
    held_out: int | None = None


def person_picker(opened: Checkpoint) -> Person:
    """Lets a person be chosen in the sidebar; what the address asks for in vain is told."""
    state.of_data(opened.data.name)
    data = _people(opened)
    source = state.get("source")
    if source == state.PERSON and data is None:
        state.notice(f"People need the data set {opened.data.name}; an example is shown instead.")
    if not source or (source == state.PERSON and data is None):
        source = state.EXAMPLE if data is None else state.PERSON
        state.settle("source", source)
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
            person = _real_person(data)
        elif source == state.EXAMPLE:
            person = _example(opened)
        else:
            person = Person("your own history", _own_items(opened))
        if data is None:
            _offer_data(opened.data.name)
    return person


def list_length() -> int:
    """How many recommendations to show."""
    with st.sidebar:
        k = st.slider("Recommendations", 1, state.MAX_K, key=state.key("k"))
    return int(state.keep("k", k))


def _people(opened: Checkpoint) -> Dataset | None:
    """The data set of a checkpoint, where it is at hand and has the same catalogue."""
    try:
        data = resources.dataset(opened.data.name)
        opened.check_catalogue(data.interactions)
    except FameError as error:
        logger.info("No people for %s: %s", opened.name, error)
        return None
    return data


def _real_person(dataset: Dataset) -> Person:
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
        "User id", key=state.key("user"), help=f"One of {len(data):,} people in {data.name}."
    )
    state.keep("user", user)
    st.button(
        "Somebody at random",
        icon=":material/casino:",
        on_click=_random_user,
        args=(dataset,),
        width="stretch",
    )
    return Person(f"user {user}", history, target)


def _first_user(dataset: Dataset) -> str:
    """The first person with enough clicks to have a history and a held-out item."""
    data = dataset.interactions
    enough = np.flatnonzero(np.diff(data.offsets) >= 2)
    if not len(enough):
        raise DataError(
            f"Nobody in {data.name!r} has two interactions, so there is no history to look at; "
            "choose an example in the sidebar."
        )
    return str(data.user_ids[enough[0]])


def _random_user(dataset: Dataset) -> None:
    data = dataset.interactions
    enough = np.flatnonzero(np.diff(data.offsets) >= 2)
    state.put("user", str(data.user_ids[np.random.default_rng().choice(enough)]))


def _example(opened: Checkpoint) -> Person:
    found = offers(opened.items)
    name = state.get("example")
    if name not in found:
        first = next(iter(found))
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
        st.error(for_markdown(job.error))
    st.button(
        "Get the data set",
        icon=":material/download:",
        on_click=resources.start_fetch,
        args=(name,),
        width="stretch",
        help=f"The same as: python -m fame data fetch {name}",
    )


# --- a history of one's own --------------------------------------------------------------------

_EDITED = 12  # clicks with buttons beside them; older ones stay as they are


def own_history_editor(opened: Checkpoint, person: Person) -> None:
    """Search, add, remove and reorder where a history is being composed; else the way there."""
    if state.get("source") != state.OWN:
        st.sidebar.button(
            "Change this history",
            icon=":material/edit:",
            on_click=_take_over,
            args=(opened, person.history),
            width="stretch",
            help="Copies the clicks to a history of your own, to add, remove and reorder",
        )
        return
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


# --- items -------------------------------------------------------------------------------------


def _card(title: str, facts: str, when: str, kind: str = "") -> str:
    return (
        f'<div class="lens-card {kind}" title="{for_html(title)}"><span class="when">{when}</span>'
        f"<b>{for_html(title)}</b><small>{for_html(facts)}</small></div>"
    )


def history_strip(items: pd.DataFrame, person: Person, seen_from: int, shown: int = 5) -> None:
    """The latest clicks as cards, the newest on the right, then what was held out."""
    history = person.history
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
    if person.held_out is not None:
        item = person.held_out
        when = "◎ Held out: chosen next"
        cards.append(_card(item_title(items, item), item_facts(items, item), when, "hidden"))
    st.html(f'<div class="lens-strip">{"".join(cards)}</div>')


def chip(label: str, colour: str) -> str:
    return f'<span class="lens-chip"><i style="background:{colour}"></i>{for_html(label)}</span>'


def head_line(label: str, colour: str) -> None:
    st.html(f'<div class="lens-line">{chip(label, colour)}</div>')


def head_legend(gate: np.ndarray) -> None:
    """Every head's colour, name and share, so that the smallest is named too."""
    chips = [
        f'{chip(head_name(head), head_colour(head))} <span class="lens-quiet">'
        f"{percent(share)}</span>"
        for head, share in enumerate(gate)
    ]
    st.html(f'<div class="lens-legend">{"".join(f"<span>{entry}</span>" for entry in chips)}</div>')


@dataclass(frozen=True)
class Line:
    """A line of a ranked list; ``hint`` explains ``tag`` to the mouse."""

    rank: int
    title: str
    score: str
    tag: str = ""
    hint: str = ""
    held_out: bool = False


def _line(line: Line) -> str:
    tag = f'<span class="tag" title="{for_html(line.hint)}">{for_html(line.tag)}</span>'
    title = f"{'◎ ' if line.held_out else ''}{for_html(line.title)}"
    return (
        f'<li class="{"target" if line.held_out else ""}"><span class="rank">{line.rank}</span>'
        f'<span class="title" title="{for_html(line.title)}">{title}</span>'
        f'{tag if line.tag else ""}<span class="score">{for_html(line.score)}</span></li>'
    )


def ranked_list(label: str, colour: str, remark: str, lines: Sequence[Line]) -> None:
    """A list under the name of the head (or space) that it comes from."""
    st.html(
        f'{chip(label, colour)} <span class="lens-quiet">{for_html(remark)}</span>'
        f'<ol class="lens-list">{"".join(map(_line, lines))}</ol>'
    )


def rank_card(label: str, colour: str, rank: int, candidates: int) -> str:
    """Where an item stands in one list, as HTML."""
    return (
        f'<div class="lens-rank">{chip(label, colour)}<br><b>{rank:,}</b> <span class="of">of {candidates:,}</span>'
        "</div>"
    )


def rank_cards(cards: list[str]) -> None:
    st.html(f'<div class="lens-ranks">{"".join(cards)}</div>')


_PHASES = {  # what a run is doing, in words and colour
    "preparing": ("Preparing", NEUTRAL),
    "training": ("Training", ACCENT),
    "evaluating": ("Ranking everybody's held-out item", ACCENT),
    "projecting": ("Laying out the items", ACCENT),
    "finished": ("Finished", HEADS[2]),
    "stopped": ("Stopped", HELD_OUT),
    "failed": ("Failed", HEADS[5]),
}


def run_line(status: Status) -> None:
    """What a run is doing, on what, and its best figure."""
    label, colour = _PHASES[status.phase]
    model = {"fame": "FAME", "sasrec": "SASRec"}.get(status.model, status.model)
    facts = [f"{model} on {status.data}", status.device]
    if status.best_score is not None:
        best = f"best validation NDCG@10 {status.best_score:.4f}"
        facts.append(f"{best} in epoch {status.best_epoch}")
    st.html(
        f'<div class="lens-line">{chip(label, colour)} '
        f'<span class="lens-quiet">{for_html(" · ".join(facts))}</span></div>'
    )
