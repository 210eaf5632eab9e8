"""A person's own data set: brought in from a file, kept in the cache, found by its name."""

from __future__ import annotations

import dataclasses
import re
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fame.data.append import (
    ALREADY,
    Appended,
    already_there,
    begins_anew,
    grown_catalogue,
    in_one_unit,
    joined,
    older_clicks,
    taken,
    text_ids,
)
from fame.data.catalogue import align, facet_columns, has_title, read_items, write_items
from fame.data.columns import ROLES, Roles, choose, guessed, listed, time_columns
from fame.data.fetch import cache_folder
from fame.data.histories import Ties, by_person_and_time, by_session, counted_histories
from fame.data.opening import Opened, opened
from fame.data.own_items import MISSING, OwnItems, own_items
from fame.data.readers import Log, read_sequences
from fame.data.registry import SETS, Format
from fame.data.repeats import (
    ChosenBy,
    repeated_share,
    repeats_by_share,
    repeats_sentence,
    sparsity,
)
from fame.data.report import (
    ImportReport,
    chosen,
    dropped_rows,
    facets_known,
    titled,
)
from fame.data.sequences import Interactions, Repeats
from fame.data.tables import OwnTable, Rows, parts_table, table_in
from fame.data.texttables import is_sequences
from fame.data.times import bad_times, read_times
from fame.errors import DataError, FameError
from fame.files import (
    folders_to_mend,
    locked,
    mend_folder,
    parse_json,
    replacing_folder,
    telling_of,
    write_json,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# From this share of titled items on, nothing is said of the others.
_ENOUGH_TITLES = 0.9
_SHOWN = 5  # rows before anything is kept
_ROWS, _CATALOGUE = "rows.parquet", "catalogue.parquet"
_LONGEST_LINE = 200  # characters of them
_GAP = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Wishes:
    """How a file is to be read and cleaned, where the file and what is usual do not decide.

    Attributes:
        user, item, time, rating, event: Names of columns; an empty rating or event: no column.
        sep: What separates columns, and ``quotes`` whether ``"`` holds values together.
        timezone: The zone of dates that say none, like ``Europe/Paris``; otherwise UTC.
        core: Users and items with fewer interactions are dropped until none is left.
        min_rating: Interactions with a lower rating, or with none, are dropped.
        events: Interactions of other kinds are dropped; empty keeps all.
        session_gap: Each of a person's sessions becomes a history of its own, and ends where more
            time passes than this: a number and s, m, h or d, like ``30m``.
        dedupe: Keep one of the clicks with the same person, item and time.
        skip_bad: So many rows may be dropped because they cannot be read.
        in_order: Lines stand in order: without ``time`` they are the order, with it they order
            equal times.
        facets: Columns of the catalogue that are facets although they look like none.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    rating: str | None = None
    event: str | None = None
    sep: str | None = None
    quotes: bool = True
    timezone: str | None = None
    core: int = 0
    min_rating: float | None = None
    events: tuple[str, ...] = ()
    session_gap: str | None = None
    dedupe: bool = False
    skip_bad: int = 0
    in_order: bool = False
    facets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sep is not None and self.sep != "::" and len(self.sep.encode()) != 1:
            raise DataError(f"--sep is one character, '::' or tab, not {self.sep!r}.")
        if self.timezone is not None:
            try:
                zoneinfo.ZoneInfo(self.timezone)
            except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
                raise DataError(
                    f"--timezone: there is no zone {self.timezone!r}; write it like Europe/Paris."
                ) from error
        for name in ("core", "skip_bad"):
            if getattr(self, name) < 0:
                raise DataError(f"--{name.replace('_', '-')} may not be less than 0.")
        if self.session_gap is not None and not self.gap_seconds:
            raise DataError(
                f"--session-gap is a number above 0 and s, m, h or d, like 30m, not "
                f"{self.session_gap[:40]!r}."
            )

    @property
    def gap_seconds(self) -> float:
        """``session_gap`` in seconds; 0 where none can be read."""
        found = _GAP.fullmatch((self.session_gap or "").strip())
        return float(found[1]) * _SECONDS[found[2]] if found else 0.0

    @property
    def asked(self) -> dict[str, Any]:
        """What differs from what is usual."""
        usual = Wishes()
        return {name: own for name, own in asdict(self).items() if own != getattr(usual, name)}


@dataclass(frozen=True)
class Labels:
    """What to call the files in all that is said of them; by default their paths."""

    clicks: str | None = None
    items: str | None = None


@dataclass(frozen=True)
class About:
    """What is kept about an imported set: its file's name, its size, and its order in words.

    Attributes:
        repeats: Whether the history's items may be recommended again, and ``repeats_by``: who says.
        repeated_targets: Share of the test targets that stand in their history.
        report: What the import did, as :class:`fame.data.report.ImportReport` has it.
        second: How many of the kept times make a second; ``None`` where nobody knows.

    All of these are ``None`` in a set that an early version kept: there the share decides.
    """

    file: str
    users: int
    items: int
    interactions: int
    filters: str
    repeats: Repeats | None = None
    repeats_by: ChosenBy | None = None
    repeated_targets: float | None = None
    report: dict[str, Any] | None = None
    second: int | None = None


@dataclass(frozen=True)
class _Made:
    """What a set's folder holds.

    Attributes:
        rows: The interactions that were read and not dropped for what they say, by person and in
            order: also those that the core leaves out, sessions uncut and duplicates there.
        catalogue: As it was given, with items that nobody clicked.
    """

    data: Interactions
    items: pd.DataFrame
    about: About
    rows: Log
    catalogue: pd.DataFrame | None


@dataclass(frozen=True)
class Preview:
    """What a file is taken for, before anything is kept.

    Attributes:
        label: What to call the file.
        form: What it is, in words.
        columns: All its columns; empty where it has none that could be chosen.
        rows: The first rows, with a value for each column, as text.
        roles: By role the column, ``None`` where none is; of a file with a fault as far as names
            decide.
        guess: Which column is which, in one line; empty where there is a fault.
        ignored: The columns that are not used.
        fault: Why it cannot be brought in like this, in a sentence; empty where it can.
    """

    label: str
    form: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    roles: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    guess: str = ""
    ignored: tuple[str, ...] = ()
    fault: str = ""

    def __str__(self) -> str:
        """For a terminal: the used columns of the first rows, and which is which."""
        if not self.columns:
            return f"{self.label}: {self.form}"
        used = {name: place for place, name in enumerate(self.columns) if name not in self.ignored}
        first = {
            name: [row[used[name]][:24] for row in self.rows]
            for name in self.roles.values()
            if name is not None
        }
        frame = pd.DataFrame({name: pd.Series(own, dtype=object) for name, own in first.items()})
        lines = [f"{self.label}: {self.form}", frame.to_string(index=False), self.guess]
        if self.ignored:
            lines.append(f"ignored: {listed(self.ignored)}")
        return "\n".join(lines)


def preview(path: Path, wishes: Wishes | None = None, label: str | None = None) -> Preview:
    """What a file is taken for, with its first rows; nothing is kept.

    Args:
        label: What to call the file; by default its path.

    Raises:
        DataError: where it cannot be read; what is wrong with the columns stands in ``fault``.
    """
    wishes = wishes or Wishes()
    if path.is_dir():
        form = _movielens(path)
        return _of_movielens(path, form) if form else _look(parts_table(path), wishes)[0]
    with opened(path, label) as file:
        if _has_sequences(file, wishes):
            return _of_sequences(file)
        return _look(table_in(file, wishes.sep, wishes.quotes), wishes)[0]


def import_file(
    path: Path,
    name: str,
    items: Path | None = None,
    replace: bool = False,
    repeats: Repeats | None = None,
    wishes: Wishes | None = None,
    told: Callable[[str], None] | None = None,
    labels: Labels = Labels(),
) -> None:
    """Brings a file of interactions into the cache as the data set ``name``; see :func:`read_file`.

    Raises:
        DataError: where the name cannot be given, or a file cannot be read.
    """
    check_name(name, replace)
    _keep(_read(path, name, items, repeats, wishes, told, labels))


def read_file(
    path: Path,
    name: str,
    items: Path | None = None,
    repeats: Repeats | None = None,
    wishes: Wishes | None = None,
    told: Callable[[str], None] | None = None,
    labels: Labels = Labels(),
) -> tuple[Interactions, pd.DataFrame, About]:
    """The histories in a file, the catalogue, and what there is to keep about them.

    What the file is, its content says: text with any separator, JSON lines (also with lists of
    events), Parquet (also a folder of parts), any of them packed by gzip, bzip2, zstd or zip;
    lines ``user item item ...`` in whole numbers; or a folder of MovieLens.

    Args:
        path: The file.
        name: What to call the set: small letters, digits, ``-`` and ``_``.
        items: A catalogue with ``item_id``, ``title`` and any facet columns, written likewise.
        repeats: Whether the history's items may be recommended again; by default the share of
            repeated targets decides (:data:`fame.data.repeats.REPEATED_FROM`).
        wishes: Which columns to use, and what to drop.
        told: Given what the file was taken for, with its first rows, before anything is kept.
        labels: What to call the files.

    Raises:
        DataError: where a file cannot be read.
    """
    made = _read(path, name, items, repeats, wishes, told, labels)
    return made.data, made.items, made.about


def _read(
    path: Path,
    name: str,
    items: Path | None,
    repeats: Repeats | None,
    wishes: Wishes | None,
    told: Callable[[str], None] | None,
    labels: Labels,
) -> _Made:
    wishes = wishes or Wishes()
    if wishes.facets and items is None:
        raise DataError("--facet names a column of a catalogue; give that with --items.")
    own = None
    if items is not None:
        own = own_items(items, wishes.quotes, wishes.facets, label=labels.items)
    label = labels.clicks or str(path)
    with _read_log(path, label, wishes, told or _unheard) as found:
        return _ordered(name, path.name, label, found, wishes, own, repeats)


def _unheard(text: str) -> None:
    """Where nobody asked what the file was taken for."""


def _ordered(
    name: str,
    file: str,
    label: str,
    found: _Found,
    wishes: Wishes,
    own: OwnItems | None,
    repeats: Repeats | None,
) -> _Made:
    """Makes histories of what was found, and a report."""
    catalogue = found.items if own is None else own.frame
    notes = () if own is None else own.notes
    if found.log.times is None:
        if wishes.dedupe:
            raise DataError(f"--dedupe needs times, and {label} has none.")
        order = "lines in the order of the source file"
    elif wishes.in_order:
        order = "in order of time, equal times in the order of the source file"
    else:
        order = "in order of time, equal times in a random order fixed by the set"
    filters = f"{_filters(wishes)}; {order}"
    logged, ties = _sessions(found, label, wishes), _ties(wishes)
    data, counted = counted_histories(
        name, logged, core=wishes.core, filters=filters, ties=ties, dedupe=wishes.dedupe
    )
    dropped = dict(found.dropped)
    for reason, rows in counted.dropped.items():
        dropped[reason] = rows if found.kept is None else found.kept[rows]
    kept = len(data.items)
    assert found.rows == kept + sum(map(len, dropped.values())), "rows in are rows out"
    ids = data.item_ids[1:].tolist()
    titles = None
    if catalogue is not None:
        titles, warning = _match(catalogue, ids, label if own is None else own.label)
        notes = (*notes, *([warning] if warning else []))
    described = align(catalogue, ids)
    if titles is not None:
        titles["titled"] = titled(described)
    log = found.log
    report = ImportReport(
        form=found.form,
        rows=found.rows,
        kept=kept,
        dropped=found.told(dropped),
        columns=found.columns,
        ignored=found.ignored,
        order=order,
        times=found.times,
        tied=None if log.times is None else counted.tied / kept,
        duplicates=None if log.times is None else counted.duplicates,
        sparsity=sparsity(data),
        titles=titles,
        facets=facets_known(described),
        options=wishes.asked,
        notes=[*found.notes, *notes],
    )
    share = repeated_share(data)
    about = About(
        file=file,
        users=len(data),
        items=data.num_items,
        interactions=kept,
        filters=filters,
        repeats=repeats or repeats_by_share(share),
        repeats_by="given" if repeats else "share",
        repeated_targets=share,
        report=report.to_json(),
        second=found.second,
    )
    assert about.repeats is not None, "it was just chosen"
    return _Made(
        dataclasses.replace(data, repeats=about.repeats),
        described,
        about,
        taken(log, by_person_and_time(logged, ties)),
        catalogue,
    )


def append_file(
    path: Path,
    name: str,
    items: Path | None = None,
    reading: Mapping[str, Any] | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Adds newer clicks to an imported set; the set is then what all files together give.

    The file is read and cleaned by the options that the set was imported with, and each of them is
    done again over the rows of all files: the core may let rows of earlier files in that it had
    left out, and sessions are cut anew. Rows that the set has already, by person, item and time,
    are dropped. Equal times stand in their former order, and newer clicks behind them. Whatever
    fails leaves the set as it was.

    Args:
        path: The file.
        name: The set.
        items: A catalogue of new items, and of known ones of which it says something else.
        reading: How to read this file, where it is otherwise than in the set's options:
            ``user``, ``item``, ``time``, ``rating``, ``event``, ``sep``, ``quotes``, ``timezone``
            and ``skip_bad`` of :class:`Wishes`.
        told: Given what the file was taken for, with its first rows, before anything is kept.

    Raises:
        DataError: where the set is a published one, none, or of an earlier version, which kept no
            rows; where the file has other columns, or cannot be read.
    """
    if name in SETS:
        raise DataError(
            f"{name!r} is a published data set and stays as it is; import your own clicks under a "
            "name of their own."
        )
    if name not in names():
        there = f"there are {', '.join(names())}" if names() else "none is there"
        raise DataError(
            f"There is no imported set {name!r} to append to; {there}. Bring it in with "
            "`python -m fame data import`."
        )
    with _held(name):
        former = _stored(name)
        report = former.about.report
        assert report is not None, "who keeps rows keeps a report"
        options: dict[str, Any] = {
            key: tuple(own) if isinstance(own, list) else own
            for key, own in report["options"].items()
        }
        wishes = dataclasses.replace(Wishes(**options), **(reading or {}))
        own = None
        if items is not None:
            known = () if former.catalogue is None else tuple(facet_columns(former.catalogue))
            own = own_items(items, wishes.quotes, known=known)
        before = {
            role: column
            for role, column in report["columns"].items()
            if column is not None and getattr(wishes, role) is None and _is_read(role, wishes)
        }
        with _read_log(path, str(path), wishes, told or _unheard, _Before(name, before)) as found:
            grown = _grown(former, path, found, wishes, own)
        _keep(grown, lock=False)


def _is_read(role: str, wishes: Wishes) -> bool:
    """Whether what a set is depends on a column."""
    asked = {"rating": wishes.min_rating is not None, "event": bool(wishes.events)}
    return asked.get(role, True)


def _grown(former: _Made, path: Path, found: _Found, wishes: Wishes, own: OwnItems | None) -> _Made:
    """A set and what was found, as one set."""
    name, about, report = former.data.name, former.about, former.about.report
    assert report is not None
    added = found.log
    if (added.times is None) != (former.rows.times is None):
        has, lacks = (path, f"the set {name!r}") if added.times is not None else (name, path)
        raise DataError(
            f"{path} does not fit: {has} has times and {lacks} has none; give them all times, or "
            f"import everything anew with --name {name} --replace."
        )
    second = about.second
    stored = former.rows
    if stored.times is not None and added.times is not None:
        forms = [own["form"] for own in (report["times"], found.times) if own]
        if None in (found.second, second) and (found.second != second or len(set(forms)) > 1):
            raise DataError(
                f"{path} does not fit: its times are {forms[-1]}, and those of {name!r} are "
                f"{forms[0]}; write them alike."
            )
        before, after, second = in_one_unit(stored.times, second, added.times, found.second)
        stored = dataclasses.replace(stored, times=before)
        added = dataclasses.replace(added, times=after)
    order = by_person_and_time(added, _ties(wishes))
    at = order if found.kept is None else found.kept[order]
    dropped = dict(found.dropped)
    many = len(stored.users)
    whole = joined(_with_text_ids(stored), _with_text_ids(taken(added, order)))
    notes = [*found.notes, *(own.notes if own else ())]
    if whole.times is not None:
        again = already_there(whole, many)
        if again.any():
            dropped[ALREADY] = np.sort(at[again])
            whole = taken(whole, np.append(np.ones(many, bool), ~again).nonzero()[0])
            at = at[~again]
    elif people := begins_anew(whole, many):
        raise DataError(
            f"{path} begins, for all {people:,} people whom it shares with {name!r}, with what the "
            "set has of them, so it seems to hold those clicks once more, and without times nobody "
            "can tell; leave them out of the file, or import it with "
            f"--name {name} --replace."
        )
    else:
        notes.append("without times nobody can tell whether the set had these clicks already")
    # Rows of the set stand in their order already, which equal times keep.
    logged = whole
    if wishes.session_gap is not None:
        logged = by_session(whole, _gap(second, found, str(path), wishes))
    data, counted = counted_histories(
        name,
        logged,
        core=wishes.core,
        filters=about.filters,
        ties="file",
        dedupe=wishes.dedupe,
    )
    is_kept = np.ones(len(whole.users), dtype=bool)
    for reason, rows in counted.dropped.items():
        is_kept[rows] = False
        if len(rows := rows[rows >= many]):
            dropped[reason] = np.sort(at[rows - many])
    kept = int(is_kept[many:].sum())
    returned = int(is_kept[:many].sum()) - about.interactions
    assert found.rows == kept + sum(map(len, dropped.values())), "rows in are rows out"
    assert returned >= 0 and len(data.items) == about.interactions + returned + kept
    ids = data.item_ids[1:].tolist()
    newer = own
    if newer is None and found.items is not None:
        newer = OwnItems(str(path), found.items, ())
    catalogue, changed, told = grown_catalogue(former.catalogue, newer, former.data.item_ids[1:])
    described, titles = align(catalogue, ids), None
    if catalogue is not None:
        titles, _ = _match(catalogue, ids, str(path) if newer is None else newer.label)
        titles["titled"] = titled(described)
    known = set(former.data.item_ids.tolist())
    is_new = np.array([item not in known for item in ids])
    share = repeated_share(data)
    repeats = about.repeats if about.repeats_by == "given" else repeats_by_share(share)
    assert repeats is not None
    if repeats != about.repeats:
        notes.append(repeats_sentence(repeats, share, "share"))
    own_report = Appended(
        file=path.name,
        form=found.form,
        rows=found.rows,
        kept=kept,
        dropped=found.told(dropped),
        returned=returned,
        columns=found.columns,
        ignored=found.ignored,
        times=found.times,
        older=None if whole.times is None else older_clicks(whole, many, is_kept[many:]),
        people=len(set(data.user_ids.tolist()) - set(former.data.user_ids.tolist())),
        items=int(is_new.sum()),
        untitled=int((~has_title(described).to_numpy()[is_new]).sum()),
        changed=changed,
        was=former.data.fingerprint,
        notes=[*notes, *told],
    )
    interactions = len(data.items)
    untimed = whole.times is None
    return _Made(
        dataclasses.replace(data, repeats=repeats),
        described,
        dataclasses.replace(
            about,
            users=len(data),
            items=data.num_items,
            interactions=interactions,
            repeats=repeats,
            repeated_targets=share,
            second=second,
            report={
                **report,
                "tied": None if untimed else counted.tied / interactions,
                "duplicates": None if untimed else counted.duplicates,
                "sparsity": sparsity(data),
                "titles": titles,
                "facets": facets_known(described),
                "appended": [*report.get("appended", ()), own_report.to_json()],
            },
        ),
        taken(whole, by_person_and_time(logged, "file")),
        catalogue,
    )


def _with_text_ids(log: Log) -> Log:
    return Log(text_ids(log.users), text_ids(log.items), log.times)


def names() -> list[str]:
    """The names of all imported sets."""
    for folder in folders_to_mend(_home()):
        with suppress(OSError, FameError), _held(folder.name, wait=False):
            mend_folder(folder)
    return sorted(path.parent.name for path in _home().glob("*/about.json"))


def version(name: str) -> int:
    """When a set was written, in ns: what was made of it before is stale; 0 for what is none."""
    try:
        return (_home() / name / "about.json").stat().st_mtime_ns if _NAME.fullmatch(name) else 0
    except OSError:
        return 0


def describe(name: str) -> str:
    """One line about an imported set."""
    try:
        about = _about(name)
    except DataError:
        return "damaged; import it once more"
    return (
        f"{about.interactions:,} interactions with {about.items:,} items by {about.users:,} people"
    )


def lacks(name: str) -> tuple[str, ...]:
    """What an imported set has not; nothing is said of one that kept no report, or is damaged."""
    try:
        report = _about(name).report
    except DataError:
        return ()
    if report is None:
        return ()
    found = [] if (report["titles"] or {}).get("titled") else ["no titles"]
    found += [] if report["facets"] else ["no facets"]
    return (*found, *([] if report["times"] else ["no times"]))


def describe_repeats(name: str) -> str:
    """How many of an imported set's targets repeat, and what is done about it; "" if damaged."""
    try:
        about = _about(name)
        if about.repeats is None:
            about = read(name)[2]
    except DataError:
        return ""
    assert about.repeats and about.repeats_by and about.repeated_targets is not None
    return repeats_sentence(about.repeats, about.repeated_targets, about.repeats_by)


def read(name: str) -> tuple[Interactions, pd.DataFrame, About]:
    """The histories, the catalogue and what is kept about an imported set.

    Of a set that an earlier version kept, what is said of repeats is made up for.

    Raises:
        DataError: where the set's folder is not as ``import_file`` writes it now.
    """
    folder, about = _home() / name, _about(name)
    try:
        items = read_items(folder / "items.parquet")
        table = pq.read_table(folder / "interactions.parquet")
        clicked = table["items"].combine_chunks()
        data = Interactions(
            name=name,
            user_ids=table["user"].to_numpy(),
            item_ids=np.array(["", *items["item_id"]], dtype=object),
            items=clicked.values.to_numpy().copy(),  # Arrow's own memory is read-only
            offsets=clicked.offsets.to_numpy(),
            filters=about.filters,
        )
        if not 1 <= data.items.min() <= data.items.max() <= data.num_items:
            raise ValueError("there are items that the catalogue does not describe")
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(
            f"{folder} is damaged or of an earlier version; import {name!r} once more with "
            "--replace."
        ) from error
    repeats = about.repeats
    if repeats is None:
        share = repeated_share(data)
        repeats = repeats_by_share(share)
        about = dataclasses.replace(
            about, repeats=repeats, repeats_by="share", repeated_targets=share
        )
    return dataclasses.replace(data, repeats=repeats), items, about


def _stored(name: str) -> _Made:
    """All that a set's folder holds, also what no history needs.

    Raises:
        DataError: where it is damaged, or of an earlier version, which kept no rows.
    """
    data, items, about = read(name)
    folder, catalogue = _home() / name, None
    if not (folder / _ROWS).is_file() or about.report is None:
        raise DataError(
            f"{name!r} was imported by an earlier version, which did not keep what appending needs;"
            " import all of its clicks once more with --replace."
        )
    try:
        table = pq.read_table(folder / _ROWS, read_dictionary=["user", "item"])
        times = table["time"].to_numpy() if "time" in table.column_names else None
        rows = Log(table["user"], table["item"], times)
        if (folder / _CATALOGUE).is_file():
            catalogue = read_items(folder / _CATALOGUE)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(
            f"{folder} is damaged; import {name!r} once more with --replace."
        ) from error
    return _Made(data, items, about, rows, catalogue)


def _home() -> Path:
    return cache_folder() / "imported"


@contextmanager
def _held(name: str, *, wait: bool = True) -> Iterator[None]:
    """Keeps others from writing a set, which an append reads and then replaces.

    Raises:
        BlockingIOError: where another process holds it and ``wait`` is false.
    """
    lock = cache_folder() / "locks" / f"{name}.lock"
    with telling_of(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock, wait=wait):
        yield


def _about(name: str) -> About:
    path = _home() / name / "about.json"
    try:
        about = About(**parse_json(path.read_text("utf-8")))
        told = (about.repeats, about.repeats_by, about.repeated_targets)
        if told != (None, None, None) and (
            about.repeats not in get_args(Repeats)
            or about.repeats_by not in get_args(ChosenBy)
            or not isinstance(about.repeated_targets, (int, float))
        ):
            raise ValueError("what it says of repeats is not what is ever written")
        return about
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged; import {name!r} once more with --replace.") from error


def check_name(name: str, replace: bool = False) -> None:
    """Raises ``DataError`` where no set can be called so, or one is and may not be replaced."""
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{name!r} cannot name a data set: up to 64 small letters, digits, '-' and '_' make a "
            "name, and it begins with a letter or a digit."
        )
    if name in SETS:
        raise DataError(f"{name!r} is the name of a published data set; choose another one.")
    if name in names() and not replace:
        raise DataError(
            f"There is an imported set {name!r}; choose another name, or add --replace."
        )


def _keep(made: _Made, *, lock: bool = True) -> None:
    """Writes the set's folder under a temporary name and renames it.

    ``interactions.parquet`` has one row a person, with item indices in order: to open a set again,
    nothing has to be sorted or numbered. Row ``i`` of ``items.parquet`` describes index ``i + 1``.
    ``rows.parquet`` and ``catalogue.parquet`` are for :func:`append_file` alone.

    Args:
        lock: Whether to keep others from writing it; not where the caller does already.
    """
    data, name, home = made.data, made.data.name, _home()
    histories = pa.table(
        {
            "user": pa.array(data.user_ids, pa.string()),
            "items": pa.LargeListArray.from_arrays(data.offsets, data.items),
        }
    )
    rows = pa.table({"user": text_ids(made.rows.users), "item": text_ids(made.rows.items)})
    if made.rows.times is not None:
        rows = rows.append_column("time", pa.array(made.rows.times))
    try:
        home.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if lock:
                stack.enter_context(_held(name))
            mend_folder(home / name)
            folder = stack.enter_context(replacing_folder(home / name))
            pq.write_table(histories, folder / "interactions.parquet")
            pq.write_table(rows, folder / _ROWS)
            write_items(made.items, folder / "items.parquet")
            if made.catalogue is not None:
                write_items(made.catalogue, folder / _CATALOGUE)
            write_json(folder / "about.json", asdict(made.about))
    except OSError as error:
        raise DataError(f"{home / name} cannot be written ({error.strerror}).") from error


@dataclass(frozen=True)
class _Found:
    """What a file held.

    Attributes:
        kept: ``(N,)`` the row of the file of every interaction; ``None`` where all are kept.
        dropped: By reason, the rows that are not in ``log``, ascending, from 0.
        told: Turns rows by reason into their numbers in the file.
        second: How many of the log's times make a second; ``None`` where nobody knows.
        items: The catalogue that came with it.
    """

    log: Log
    rows: int
    form: str
    told: Callable[[Mapping[str, np.ndarray]], dict[str, dict[str, Any]]]
    kept: np.ndarray | None = None
    dropped: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    columns: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    times: dict[str, Any] | None = None
    second: int | None = None
    notes: tuple[str, ...] = ()
    items: pd.DataFrame | None = None


def _filters(wishes: Wishes) -> str:
    """What is dropped, in words."""
    parts = []
    if wishes.events:
        parts.append(f"events {' and '.join(wishes.events)}")
    if wishes.min_rating is not None:
        parts.append(f"ratings from {wishes.min_rating:g}")
    if wishes.session_gap is not None:
        parts.append(f"a history for each session, with more than {wishes.session_gap} between")
    if wishes.dedupe:
        parts.append("exact duplicates once")
    if wishes.core > 1:
        parts.append(f"{wishes.core}-core on users and items")
    return ", ".join(parts) or "none"


def _ties(wishes: Wishes) -> Ties:
    return "file" if wishes.in_order else "random"


def _sessions(found: _Found, label: str, wishes: Wishes) -> Log:
    """What was found, with a user for every session where that was asked for."""
    if wishes.session_gap is None:
        return found.log
    if found.log.times is None:
        raise DataError(f"--session-gap needs times, and {label} has none.")
    return by_session(found.log, _gap(found.second, found, label, wishes))


def _gap(second: int | None, found: _Found, label: str, wishes: Wishes) -> float:
    """The gap between two sessions in the unit of the times, of which so many make a second."""
    if second is None:
        form = found.times["form"] if found.times else "numbers of no known unit"
        raise DataError(
            f"--session-gap needs times of a known unit, and those of {label} are {form}; write "
            "them as dates, or as seconds since 1970."
        )
    return wishes.gap_seconds * second


@dataclass(frozen=True)
class _Before:
    """The columns, by role, that a file has to have because the set was imported with them."""

    name: str
    columns: Mapping[str, str]

    def told(self) -> str:
        own = " and ".join(f"{role} = {column}" for role, column in self.columns.items())
        return f"the set {self.name!r} was imported with {own}"


_FREE = _Before("", {})


@contextmanager
def _read_log(
    path: Path,
    label: str,
    wishes: Wishes,
    told: Callable[[str], None],
    before: _Before = _FREE,
) -> Iterator[_Found]:
    """What a file or folder holds; lines can be told as long as it is open."""
    if path.is_dir():
        if form := _movielens(path):
            _no_columns(str(path), wishes, before)
            yield _read_folder(path, form, told)
        else:
            yield _read_table(parts_table(path), wishes, told, before)
        return
    with opened(path, label) as file:
        if _has_sequences(file, wishes):
            _no_columns(file.label, wishes, before)
            yield _read_sequences(file, told)
        else:
            yield _read_table(table_in(file, wishes.sep, wishes.quotes), wishes, told, before)


def _has_sequences(file: Opened, wishes: Wishes) -> bool:
    return file.kind == "text" and wishes.sep is None and is_sequences(file)


def _of_sequences(file: Opened) -> Preview:
    with file.path.open(encoding="utf-8", errors="replace") as stream:
        lines = [line.strip()[:_LONGEST_LINE] for line in islice(stream, _SHOWN)]
    form = "a line 'user item item ...' for every user, oldest first"
    return Preview(file.label, form, rows=tuple((line,) for line in lines))


def _read_sequences(file: Opened, told: Callable[[str], None]) -> _Found:
    told(str(_of_sequences(file)))
    with file.path.open("rb") as stream:
        log = read_sequences(stream, file.label)
    form = f"lines of sequences, {file.how}"
    return _Found(log, len(log.items), form, _rows_told("interaction"))


def _rows_told(
    unit: str,
) -> Callable[[Mapping[str, np.ndarray]], dict[str, dict[str, Any]]]:
    """Rows of a log that has no lines of its own are counted through."""
    return lambda rows: dropped_rows(rows, unit, lambda own: [row + 1 for row in own])


def _no_columns(label: str, wishes: Wishes, before: _Before) -> None:
    if before.columns:
        raise DataError(f"{label} has no named columns, and {before.told()}; give such a table.")
    for name in ("user", "item", "time", "rating", "event", "min_rating", "events"):
        if getattr(wishes, name) not in (None, ()):
            raise DataError(f"{label} has no columns that --{name.replace('_', '-')} could name.")


def _movielens(folder: Path) -> Format | None:
    """The format of MovieLens that a folder is in."""
    forms = [
        form for named in SETS.values() for form in named.formats if form.log != "sequences.txt"
    ]
    return next((form for form in forms if (folder / form.log).is_file()), None)


def _of_movielens(folder: Path, form: Format) -> Preview:
    return Preview(str(folder), f"MovieLens, its {form.log} and {form.items}")


def _read_folder(folder: Path, form: Format, told: Callable[[str], None]) -> _Found:
    told(str(_of_movielens(folder, form)))
    items = None
    try:
        with (folder / form.log).open("rb") as stream:
            log = form.read_log(stream, str(folder / form.log))
        if (folder / form.items).is_file():
            with (folder / form.items).open("rb") as stream:
                items = form.read_items(stream, str(folder / form.items))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}).") from error
    times = second = None
    if log.times is not None:
        read = read_times(pa.chunked_array([log.times]), str)
        times, second = _times_told(read.form, read.span), read.second
    return _Found(
        log,
        len(log.items),
        f"MovieLens, {form.log}",
        _rows_told("row"),
        times=times,
        second=second,
        items=items,
    )


def _times_told(form: str, span: tuple[str, str] | None) -> dict[str, Any]:
    first, last = span or (None, None)
    return {"form": form, "first": first, "last": last}


def _read_table(
    table: OwnTable, wishes: Wishes, told: Callable[[str], None], before: _Before
) -> _Found:
    look, roles = _look(table, wishes, before)
    if roles is None:
        raise DataError(look.fault)
    told(str(look))
    others = [name for name in (roles.time,) if name is not None]
    if wishes.min_rating is not None and roles.rating is not None:
        others.append(roles.rating)
    if roles.event is not None:
        others.append(roles.event)
    read = table.read([roles.user, roles.item], others, wishes.skip_bad)
    if not len(read.table):
        raise DataError(f"{table.label} is empty: it holds no interactions.")
    return _cleaned(table, read, roles, look.ignored, wishes)


def _look(table: OwnTable, wishes: Wishes, before: _Before = _FREE) -> tuple[Preview, Roles | None]:
    """What a table is taken for, and which column is which where nothing is wrong with them."""
    if not table.columns:
        raise DataError(f"{table.label} is empty: it holds no interactions.")
    asked = {role: getattr(wishes, role) for role in ROLES}  # "" says that no column is it
    given = {role: before.columns.get(role) if own is None else own for role, own in asked.items()}
    rows = tuple(tuple(value[:_LONGEST_LINE] for value in row) for row in table.first)
    look = Preview(table.label, table.form, table.columns, rows)
    try:
        roles = _roles(table, wishes, given, before)
    except DataError as error:
        found = guessed(table.columns, table.sample) if table.header else dict.fromkeys(ROLES)
        named = {role: name if name in table.columns else None for role, name in given.items()}
        likely = {role: named[role] or found[role] for role in ROLES}
        return dataclasses.replace(look, roles=likely, fault=str(error)), None
    text = None
    if roles.time is not None:
        text = next((f"like {own[:40]}" for own in table.sample[roles.time] if own), None)
    ignored = tuple(name for name in table.columns if name not in roles.used)
    guess = chosen(roles, text)
    look = dataclasses.replace(look, roles=roles.named, guess=guess, ignored=ignored)
    return look, roles


def _roles(
    table: OwnTable, wishes: Wishes, given: Mapping[str, str | None], before: _Before
) -> Roles:
    def fault(what: str) -> DataError:
        return DataError(
            f"{table.label}, {table.header_place}: {what}; read as {table.form}, it has "
            f"{listed(table.columns)}."
        )

    if len(table.columns) < 2:
        raise fault("there is one column, and a user and an item are needed; give --sep")
    for role, column in before.columns.items():
        if column not in table.columns:
            raise fault(
                f"there is no column {column[:40]!r}, and {before.told()}; say with --{role} which "
                "one it is here"
            )
    roles = choose(
        table.columns,
        table.sample,
        given,
        header=table.header,
        in_order=wishes.in_order,
        fault=fault,
    )
    if wishes.min_rating is not None and roles.rating is None:
        raise fault("no column holds ratings for --min-rating; say with --rating which one does")
    if wishes.events and roles.event is None:
        raise fault("no column holds kinds of events for --events; say with --event which one does")
    return roles


def _cleaned(
    table: OwnTable,
    read: Rows,
    roles: Roles,
    ignored: tuple[str, ...],
    wishes: Wishes,
) -> _Found:
    """Drops what has no id, no time or too low a rating, and remembers which rows those were."""
    rows, bad, parents = read.table, read.bad, read.parents
    label, total = table.label, len(rows) + len(bad)
    dropped: dict[str, np.ndarray] = {}
    at: np.ndarray | None = None  # of the rows that are left, in the file
    if len(bad):
        dropped["another number of columns"] = bad
        at = np.delete(np.arange(total), bad)

    def places(own: Sequence[int]) -> list[int]:
        return table.places(own if parents is None else parents[list(own)].tolist())

    def place(row: int) -> str:
        own = row if at is None else int(at[row])
        return f"{label}, {table.unit} {places([own])[0]}"

    def drop(reason: str, mask: np.ndarray) -> None:
        nonlocal rows, at
        if not mask.any():
            return
        at = np.arange(total) if at is None else at
        dropped[reason] = at[mask]
        at = at[~mask]
        rows = rows.filter(pa.array(~mask))

    for role, column in (("user", roles.user), ("item", roles.item)):
        ids = _ids(rows[column], label, column).unify_dictionaries()
        rows = rows.set_column(rows.column_names.index(column), column, ids)
        drop(f"no {role} id", _missing(ids))
    notes = _order_notes(table, roles, ignored, wishes)
    if roles.event is not None:
        kinds = _texts(rows[roles.event], label, roles.event)
        counts = Counter(
            {own["values"]: own["counts"] for own in pc.value_counts(kinds).to_pylist()}
        )
        shown = ", ".join(f"{kind[:40] or 'none'} {many:,}" for kind, many in counts.most_common(8))
        shown += ", ..." if len(counts) > 8 else ""
        if lacking := [kind for kind in wishes.events if kind not in counts]:
            raise DataError(f"{label}: no row has {roles.event} = {lacking[0]!r}; it has {shown}.")
        if wishes.events:
            drop("another kind of event", ~pc.is_in(kinds, pa.array(wishes.events)).to_numpy())
        elif len(counts) > 1:
            notes += (f"all kinds of {roles.event} are kept ({shown}); --events keeps some alone",)
    if wishes.min_rating is not None and roles.rating is not None:
        ratings = _ratings(rows[roles.rating], lambda row: place(row), roles.rating)
        drop("no rating", np.isnan(ratings))
        ratings = ratings[~np.isnan(ratings)]
        drop(f"rating under {wishes.min_rating:g}", ratings < wishes.min_rating)
    if not len(rows):
        reasons = ", ".join(f"{len(own):,} {reason}" for reason, own in dropped.items())
        raise DataError(f"{label}: no interaction is left ({reasons}).")
    times = None
    if roles.time is not None:
        if pa.types.is_nested(rows[roles.time].type):
            kind = rows[roles.time].type
            raise DataError(f"{label}: column {roles.time!r} holds {kind}; times are no lists.")
        missing = rows[roles.time].is_null().to_numpy()
        left = wishes.skip_bad - len(bad)
        if left > 0:
            wrong = missing.copy()
            wrong[~missing] = bad_times(rows[roles.time].drop_null())
            if wrong.sum() <= left:
                drop("a time that cannot be read", wrong)
                missing = missing[~wrong]
        if missing.any():
            row = int(np.argmax(missing))
            raise DataError(
                f"{place(row)}: column {roles.time!r} has no value; --skip-bad N drops such rows, "
                "--in-order goes by the order of the lines."
            )
        when = read_times(
            rows[roles.time], lambda row: f"{place(row)}: column {roles.time!r}", wishes.timezone
        )
        times = when.numbers
    log = Log(rows[roles.user], rows[roles.item], times)
    return _Found(
        log,
        total,
        table.form,
        lambda own: dropped_rows(own, table.unit, places),
        kept=at,
        dropped=dropped,
        columns=roles.named,
        ignored=ignored,
        times=None if roles.time is None else _times_told(when.form, when.span),
        second=None if roles.time is None else when.second,
        notes=notes,
    )


def _order_notes(
    table: OwnTable, roles: Roles, ignored: tuple[str, ...], wishes: Wishes
) -> tuple[str, ...]:
    unused = time_columns(ignored, table.sample)
    notes = []
    if roles.time is None and not wishes.in_order:
        notes.append("no column holds times, so clicks stand in the order of the lines")
    if table.breaks:
        notes.append(f"{table.breaks:,} lines end inside quotes, which holds rows together")
    if unused:
        notes.append(f"not used, though times are in it: {listed(unused)}")
    return tuple(notes)


def _missing(ids: pa.ChunkedArray) -> np.ndarray:
    """``(N,)`` which ids are none: empty, blank, or what programs write for a missing value."""
    mask = ids.is_null().to_numpy()
    codes = pa.types.is_dictionary(ids.type)
    if not ids.num_chunks or not _is_text(ids.type.value_type if codes else ids.type):
        return mask
    # In a dictionary the few distinct values are looked at; its chunks have the same one.
    values = ids.chunk(0).dictionary if codes else ids
    none = pc.is_in(pc.utf8_trim_whitespace(values), pa.array(sorted(MISSING), values.type))
    if not codes:
        return mask | none.to_numpy()
    wrong = np.flatnonzero(none.to_numpy(zero_copy_only=False))
    if len(wrong):
        indices = pa.chunked_array([chunk.indices for chunk in ids.chunks])
        mask = mask | pc.is_in(indices, pa.array(wrong, indices.type)).to_numpy()
    return mask


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _ids(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Ids as whole numbers or text.

    Decimal numbers are ids only where all are whole: tables write whole numbers so as soon as one
    is missing. Others are refused, since they are rounded or no ids at all.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind) or _is_text(kind):
        return column
    try:
        if not pa.types.is_floating(kind):
            return column.cast(pa.large_string())
        exact = pc.all(pc.less(pc.abs(column), 2**53)).as_py()
        if exact is not False:
            return column.cast(pa.int64())
    except pa.ArrowException:
        pass
    raise DataError(f"{label}: column {name!r} holds {kind}; ids are text or whole numbers.")


def _texts(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """``(N,)`` values as text, empty where there is none."""
    try:
        return column.cast(pa.string()).fill_null("")
    except pa.ArrowException as error:
        raise DataError(
            f"{label}: column {name!r} holds {column.type}, which is no kind of an event."
        ) from error


def _ratings(column: pa.ChunkedArray, place: Callable[[int], str], name: str) -> np.ndarray:
    """``(N,)`` ratings, NaN where there is none."""
    texts = column.cast(pa.large_string()).to_pandas().astype(object)
    blank = texts.isna() | texts.isin(MISSING)
    ratings = pd.to_numeric(texts.mask(blank), errors="coerce").to_numpy(dtype=float)
    wrong = np.isnan(ratings) & ~blank.to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{place(row)}: column {name!r} has {texts[row][:40]!r}, which is no number."
        )
    return ratings


def _match(
    catalogue: pd.DataFrame, ids: list[str], label: str
) -> tuple[dict[str, int], str | None]:
    """How many of the items a catalogue knows, and a sentence where those are few.

    Raises:
        DataError: where it knows none of them.
    """
    theirs = catalogue["item_id"].tolist()
    known = len(set(theirs) & set(ids))
    counts = {"items": len(ids), "known": known, "listed": len(theirs)}
    if known >= _ENOUGH_TITLES * len(ids):
        return counts, None
    alike = {_bare(own) for own in theirs} & {_bare(own) for own in ids}
    hint = ""
    if len(alike) > known:
        other = next((own for own in theirs if own not in ids and _bare(own) in alike), None)
        twin = next((own for own in ids if other is not None and _bare(own) == _bare(other)), None)
        if other is not None and twin is not None:
            hint = f" ({other[:40]!r} there may be {twin[:40]!r} here)"
    told = f"{label} knows {known:,} of the {len(ids):,} items{hint}"
    if not known:
        raise DataError(
            f"{told}: it has ids like {', '.join(map(repr, theirs[:3]))}, and the "
            f"interactions have {', '.join(map(repr, ids[:3]))}; write both alike."
        )
    return counts, told


def _bare(own: str) -> str:
    """An id without blanks, quotes, leading zeros and a decimal part of zeros."""
    bare = re.sub(r"\.0+$", "", own.strip().strip("'\"").strip())
    return bare.lstrip("0") or "0"
