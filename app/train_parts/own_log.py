"""What does a file hold, and what became of it? A log of one's own, by way of `data import`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import components
import resources
from fame.data import Preview, Wishes, facet_columns, list_sets
from fame.data.columns import listed
from fame.data.imports import check_name, names
from fame.data.own_items import OwnItems
from fame.data.sequences import Repeats
from fame.errors import FameError
from fame.presentation.text import count, duration
from resources import Upload
from text import for_markdown
from train_parts import import_report
from train_parts.form import train_on

# What a column is for: its label, and what it does.
_ROLES = {
    "user": ("User", "Who clicked: each gets a history."),
    "item": ("Item", "What was clicked."),
    "time": ("Time", "Orders the clicks of a person; without one, the order of the lines does."),
    "rating": ("Rating", "Only looked at where a least rating is asked for, under “More”."),
    "event": ("Kind of event", "Such as view or purchase: some can be kept alone, under “More”."),
}
_OPTIONAL = ("time", "rating", "event")
_NO_COLUMN = "no column"
_SEPARATORS = {
    "comma": ",",
    "tab": "\t",
    "semicolon": ";",
    "bar |": "|",
    "two colons ::": "::",
    "blank": " ",
}
_REPEATS: dict[str, Repeats | None] = {
    "by the share that repeats": None,
    "recommended again": "recommend",
    "not recommended again": "exclude",
}
# Labels of the fields by the options of `data import` that they stand for.
_LABELS = {
    **{role: label for role, (label, _) in _ROLES.items()},
    "name": "Name of the data set",
    "replace": "Replace the set of that name",
    "items": "Items",
    "core": "Least clicks of a user and an item",
    "min-rating": "Least rating",
    "events": "Kinds of events to keep",
    "dedupe": "Equal clicks once",
    "timezone": "Time zone",
    "session-gap": "A session ends after",
    "skip-bad": "Rows that may be dropped",
    "in-order": "Lines stand in order",
    "sep": "Between columns",
    "repeats": "What somebody had before",
    "facet": "Facets all the same",
    "no-quotes": "Quotes are letters",
}
_OPTION = re.compile(rf"--({'|'.join(sorted(_LABELS, key=len, reverse=True))})(?![\w-])")
_COMMAND = "python -m fame data import FILE --name NAME --items ITEMS"
_MOST_COLUMNS = 30  # of the first rows that are shown
_STARTED, _ARRIVED, _ROUND = "import-started", "import-arrived", "import-round"


class _Places:
    """Where to say what is wrong: beside the field that an error is about."""

    def __init__(self) -> None:
        self._by_option: dict[str, DeltaGenerator] = {}

    def add(self, option: str) -> None:
        """Keeps a place here, below the field of an option."""
        self._by_option[option] = st.container()

    def tell(self, message: str, otherwise: str = "") -> str:
        """Says an error beside the field that it names; gives it in the words of the fields.

        Args:
            otherwise: The field where it names none.
        """
        told = _in_words(message)
        named = [option for option in _OPTION.findall(message) if option in self._by_option]
        if place := self._by_option.get(named[0] if named else otherwise):
            place.error(for_markdown(told))
        return told


def _in_words(message: str) -> str:
    """An importer's sentence with the labels of fields for the options of the command line."""
    return _OPTION.sub(lambda found: f"“{_LABELS[found[1]]}”", message)


def own_log() -> None:
    """Draws the way in: files, what they are taken for, options, and what became of the rows."""
    if resources.is_demo():
        return
    components.section("What does your own log hold?", "Click")
    limit = resources.upload_limit()
    if not limit:
        components.quiet(f"This server takes no files; in a terminal, {_COMMAND} does.")
        return
    components.quiet(
        "A row for each click, purchase or rating. What a file is, its content decides: text with "
        "any separator, JSON, Parquet, RecBole's files, lines of sequences, packed or not. Nothing "
        f"is kept before you press Import. A file of more than {limit:,} MB, or a folder, goes in "
        f"in a terminal: {_COMMAND}"
    )
    # Looked at once: it may end while the page is being drawn, and that is told on the next run.
    started, job = _job()
    running = job is not None and not job.done
    if job is not None and not running and not job.error:
        job, st.session_state[_ARRIVED] = None, st.session_state.pop(_STARTED)
        st.session_state[_ROUND] += 1  # what was brought in need not be chosen any more
    turn = st.session_state.setdefault(_ROUND, 0)
    places = _Places()
    left, right = st.columns(2, gap="large")
    with left:
        clicks = st.file_uploader("Clicks", key=f"clicks-{turn}", max_upload_size=limit)
        places.add("clicks")
    with right:
        items = st.file_uploader(
            "Items, if you have them",
            key=f"items-{turn}",
            max_upload_size=limit,
            help="A catalogue with ids, titles and any columns: brands, genres, prices. Columns "
            "become facets that heads can be named after.",
        )
        places.add("items")
    if clicks is not None:
        _offer(clicks, items, places, started if running else "", job)
    elif items is not None:
        components.quiet("A catalogue alone says nothing of people: choose a file of clicks too.")
    elif arrived := st.session_state.get(_ARRIVED):
        _arrived(arrived)


def _job() -> tuple[str, resources.Job | None]:
    """The import that this visitor started last: its name, and how it goes."""
    started = st.session_state.get(_STARTED, "")
    return started, resources.job(resources.import_job(started)) if started else None


@st.fragment(run_every=1)
def _follow(name: str) -> None:
    """Shows an import under way; the page is drawn anew when it has ended."""
    job = resources.job(resources.import_job(name))
    if job is None or job.done:
        st.rerun()
    else:
        st.progress(job.share or 0.0, text=for_markdown(f"{job.message} … {duration(job.seconds)}"))


def _arrived(name: str) -> None:
    """What became of the rows, and the way to the form."""
    if name not in names():  # removed meanwhile
        return
    components.words(f"{name} is in. This is what became of its rows.")
    import_report.draw(name)
    st.button(
        f"Train on {name}",
        type="primary",
        icon=":material/arrow_upward:",
        key="train-on",
        on_click=train_on,
        args=(name,),
        help="Chooses it in the form at the top of this page.",
    )


# --- its parts -----------------------------------------------------------------------------------


def _offer(
    clicks: Upload,
    items: Upload | None,
    places: _Places,
    running: str,
    job: resources.Job | None,
) -> None:
    """What the files are taken for, the options, and the button.

    Args:
        running: The name of the import that is under way, and ``job`` the last one.
    """
    rows, roles = st.container(), st.container()
    name, replacing = _name_fields(clicks, places)
    options = _more_fields(clicks.file_id, items is not None, places)
    button = st.container()
    problems = []
    if not running and (said := _name_problem(name, replacing)):
        problems.append(places.tell(said, "name"))
    known, wishes = None, Wishes()
    try:
        plain = resources.previewed(clicks, _as_read(options))
        with roles:
            chosen = _role_fields(plain, clicks.file_id, places)
        look = plain
        try:
            wishes = _with_roles(_wishes(options), plain, chosen)
            look = resources.previewed(clicks, wishes)
        except FameError as error:
            problems.append(places.tell(str(error)))
        if look.fault:
            problems.append(places.tell(look.fault))
        if items is not None:
            known = _catalogue(items, wishes, places, problems)
        with rows:
            _first_rows(look, known)
    except FameError as error:
        problems.append(places.tell(str(error), "clicks"))
    with button:
        if st.button(
            "Import",
            type="primary",
            icon=":material/upload:",
            disabled=bool(problems or running),
            key="import",
        ):
            try:
                resources.start_import(
                    name, clicks, items, wishes, _REPEATS[options["repeats"]], replacing
                )
            except FameError as error:  # the name may have been taken meanwhile
                problems.append(places.tell(str(error), "name"))
            else:
                st.session_state[_STARTED] = name
                st.rerun()
        if running:
            _follow(running)
        elif problems:
            components.quiet(f"It cannot be imported yet: {problems[0]}")
        elif job is not None and job.error:
            st.error(for_markdown(_in_words(job.error)))


def _catalogue(
    items: Upload, wishes: Wishes, places: _Places, problems: list[str]
) -> OwnItems | None:
    try:
        return resources.catalogue(items, wishes)
    except FameError as error:
        problems.append(places.tell(str(error), "items"))
        return None


def _first_rows(look: Preview, known: OwnItems | None) -> None:
    """The first rows of the clicks, and of the items beside them."""
    left, right = st.columns(2, gap="large")
    with left:
        components.quiet(f"{look.label}: {look.form}")
        shown = _shown_columns(look)
        at = [look.columns.index(name) for name in shown]
        table = [[row[place] for place in at] for row in look.rows] if shown else look.rows
        st.dataframe(
            pd.DataFrame(table, columns=shown or ["line"], dtype="string"),
            hide_index=True,
            placeholder="",
        )
        if look.guess:
            components.words(look.guess)
        if look.ignored:
            components.quiet(f"Not used: {listed(look.ignored)}")
    if known is not None:
        with right:
            components.quiet(f"{known.label}: {count(len(known.frame), 'item')}")
            st.dataframe(known.frame.head(len(look.rows) or 5), hide_index=True, placeholder="")
            facets = facet_columns(known.frame)
            told = ", ".join(f"{name} ({kind})" for name, kind in facets.items()) or "none"
            components.words(f"facets = {told}")
            for note in known.notes:
                components.quiet(_in_words(note))


def _shown_columns(look: Preview) -> list[str]:
    """The columns that are used, and others as far as there is room."""
    used = [name for name in look.roles.values() if name is not None]
    others = [name for name in look.columns if name not in used]
    return [*used, *others[: max(0, _MOST_COLUMNS - len(used))]]


def _role_fields(plain: Preview, file: str, places: _Places) -> dict[str, str | None]:
    """Which column is what; at first as it was guessed."""
    chosen: dict[str, str | None] = {}
    if not plain.columns:
        return chosen
    for place, (role, (label, does)) in zip(st.columns(len(_ROLES)), _ROLES.items(), strict=True):
        guess = plain.roles.get(role)
        offered = [name for name in plain.columns if name != _NO_COLUMN]
        if role in _OPTIONAL:
            offered, guess = [_NO_COLUMN, *offered], guess or _NO_COLUMN
        with place:
            said = st.selectbox(
                label,
                offered,
                index=None if guess is None else offered.index(guess),
                placeholder="Choose a column",
                key=f"{role}-{file}-{plain.form}",
                help=f"{does} On the command line: `--{role}`.",
            )
            chosen[role] = None if said == _NO_COLUMN else said
            places.add(role)
    return chosen


def _with_roles(wishes: Wishes, plain: Preview, chosen: Mapping[str, str | None]) -> Wishes:
    """Says which column is what, where somebody chose otherwise than was guessed."""
    if all(plain.roles.get(role) == name for role, name in chosen.items()):
        # Asked to go by the lines, the importer uses no time but one that it is told of.
        return replace(wishes, time=chosen.get("time")) if wishes.in_order else wishes
    unused = {role: "" for role in ("rating", "event") if chosen[role] is None}
    left_out = chosen["time"] is None and plain.roles.get("time") is not None
    return replace(wishes, **{**chosen, **unused}, in_order=wishes.in_order or left_out)


def _name_fields(clicks: Upload, places: _Places) -> tuple[str, bool]:
    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    with left:
        name = st.text_input(
            "Name of the data set",
            value=_free_name(clicks.name),
            key=f"log-name-{clicks.file_id}",
            help="Small letters, digits, - and _. On the command line: `--name`.",
        ).strip()
        places.add("name")
    replacing = False
    if name in names():
        with right:
            replacing = st.checkbox(
                _LABELS["replace"],
                key=f"replace-{clicks.file_id}-{name}",
                help="What was imported under it before is gone then. On the command line: "
                "`--replace`.",
            )
    return name, replacing


def _free_name(file: str) -> str:
    """A name after the file's, that no set has."""
    plain = re.sub(r"[^a-z0-9]+", "-", resources.file_name(file).split(".")[0].lower())
    base = plain.strip("-")[:60].strip("-") or "log"
    taken = {info.name for info in list_sets()}
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([base], numbered) if name not in taken)


def _name_problem(name: str, replacing: bool) -> str:
    try:
        check_name(name, replacing)
    except FameError as error:
        return str(error)
    return ""


def _more_fields(file: str, has_items: bool, places: _Places) -> dict[str, Any]:
    """The options of reading and cleaning, as the fields have them."""
    said: dict[str, Any] = {}

    def place(option: str, draw: Callable[..., Any], does: str, **arguments: Any) -> None:
        said[option] = draw(
            _LABELS[option],
            key=f"{option}-{file}",
            help=f"{does} On the command line: `--{option}`.",
            **arguments,
        )
        places.add(option)

    with st.expander("More: how it is read, and what is dropped"):
        first, second, third = st.columns(3)
        with first:
            does = "Drops users and items with fewer, until none is left; 0 keeps all."
            place("core", st.number_input, does, min_value=0, value=0)
            does = "Drops clicks with a lower rating or none; empty keeps all."
            place("min-rating", st.number_input, does, value=None, placeholder="any")
            does = "Drops clicks of other kinds: words between commas; empty keeps all."
            place("events", st.text_input, does, placeholder="all")
            does = "Keeps one of the clicks with the same person, item and time."
            place("dedupe", st.checkbox, does)
        with second:
            does = "Of dates that say none; without one, UTC."
            zones = {"options": resources.time_zones(), "index": None, "placeholder": "UTC"}
            place("timezone", st.selectbox, does, **zones)
            does = (
                "Makes each session a history of its own: it ends where more time passes between "
                "two clicks of a person. A number and s, m, h or d, like 30m."
            )
            place("session-gap", st.text_input, does, placeholder="never")
            does = "So many rows may be dropped because they cannot be read."
            place("skip-bad", st.number_input, does, min_value=0, value=0)
            does = (
                "Lines are the order where no time is used; otherwise they order equal times, "
                "which come in a random order that the set fixes."
            )
            place("in-order", st.checkbox, does)
        with third:
            does = "What parts the columns of text, where it is found wrongly."
            parts = {"options": list(_SEPARATORS), "index": None, "placeholder": "found by itself"}
            place("sep", st.selectbox, does, **parts)
            does = "Whether an item of a person's history may be recommended to them again."
            place("repeats", st.selectbox, does, options=list(_REPEATS))
            does = "Columns of the items, between commas: free text, ids, addresses, coordinates."
            place("facet", st.text_input, does, placeholder="none", disabled=not has_items)
            does = 'Takes " in text as any other letter.'
            place("no-quotes", st.checkbox, does)
    return said


def _wishes(said: Mapping[str, Any]) -> Wishes:
    """What the fields ask of the importer; raises ``DataError`` where that cannot be."""
    return replace(
        _as_read(said),
        timezone=said["timezone"],
        core=said["core"],
        min_rating=said["min-rating"],
        events=_listed(said["events"]),
        session_gap=said["session-gap"].strip() or None,
        dedupe=said["dedupe"],
        skip_bad=said["skip-bad"],
        in_order=said["in-order"],
        facets=_listed(said["facet"]),
    )


def _as_read(said: Mapping[str, Any]) -> Wishes:
    """What decides which columns there are."""
    return Wishes(sep=_SEPARATORS.get(said["sep"]), quotes=not said["no-quotes"])


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
