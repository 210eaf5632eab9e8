"""A person's own data set: brought in from a file, kept in the cache, found by its name."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fame.data.catalogue import align, read_items, write_items
from fame.data.columns import Roles, choose, listed, time_columns
from fame.data.fetch import cache_folder
from fame.data.histories import Ties, by_session, counted_histories
from fame.data.opening import Opened, opened
from fame.data.own_items import MISSING, OwnItems, own_items
from fame.data.readers import Log, read_sequences
from fame.data.registry import SETS, Format
from fame.data.repeats import ChosenBy, repeated_share, repeats_by_share, repeats_sentence
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
from fame.errors import DataError
from fame.files import parse_json, write_json

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# From this share of titled items on, nothing is said of the others.
_ENOUGH_TITLES = 0.9
_SHOWN = 5  # rows before anything is kept
_GAP = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Wishes:
    """How a file is to be read and cleaned, where the file and what is usual do not decide.

    Attributes:
        user, item, time, rating, event: Names of columns.
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
class About:
    """What is kept about an imported set: its file's name, its size, and its order in words.

    Attributes:
        repeats: Whether the history's items may be recommended again, and ``repeats_by``: who says.
        repeated_targets: Share of the test targets that stand in their history.
        report: What the import did, as :class:`fame.data.report.ImportReport` has it.

    These four are ``None`` in a set that an earlier version kept: there the share decides.
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


def import_file(
    path: Path,
    name: str,
    items: Path | None = None,
    replace: bool = False,
    repeats: Repeats | None = None,
    wishes: Wishes | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Brings a file of interactions into the cache as the data set ``name``; see :func:`read_file`.

    Raises:
        DataError: where the name cannot be given, or a file cannot be read.
    """
    _check_name(name, replace)
    _keep(*read_file(path, name, items, repeats, wishes, told))


def read_file(
    path: Path,
    name: str,
    items: Path | None = None,
    repeats: Repeats | None = None,
    wishes: Wishes | None = None,
    told: Callable[[str], None] | None = None,
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

    Raises:
        DataError: where a file cannot be read.
    """
    wishes = wishes or Wishes()
    if wishes.facets and items is None:
        raise DataError("--facet names a column of a catalogue; give that with --items.")
    own = None if items is None else own_items(items, wishes.quotes, wishes.facets)
    with _read_log(path, wishes, told or (lambda _: None)) as found:
        return _ordered(name, path, found, wishes, own, repeats)


def _ordered(
    name: str,
    path: Path,
    found: _Found,
    wishes: Wishes,
    own: OwnItems | None,
    repeats: Repeats | None,
) -> tuple[Interactions, pd.DataFrame, About]:
    """Makes histories of what was found, and a report."""
    catalogue = found.items if own is None else own.frame
    notes = () if own is None else own.notes
    ties: Ties = "file" if wishes.in_order else "random"
    if found.log.times is None:
        if wishes.dedupe:
            raise DataError(f"--dedupe needs times, and {path} has none.")
        order = "lines in the order of the source file"
    elif wishes.in_order:
        order = "in order of time, equal times in the order of the source file"
    else:
        order = "in order of time, equal times in a random order fixed by the set"
    filters = f"{_filters(wishes)}; {order}"
    logged = found.log
    if wishes.session_gap is not None:
        logged = _sessions(found, path, wishes)
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
        titles, warning = _match(catalogue, ids, str(path) if own is None else own.label)
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
        sparsity=1 - kept / (len(data) * data.num_items),
        titles=titles,
        facets=facets_known(described),
        options=wishes.asked,
        notes=[*found.notes, *notes],
    )
    share = repeated_share(data)
    about = About(
        file=path.name,
        users=len(data),
        items=data.num_items,
        interactions=kept,
        filters=filters,
        repeats=repeats or repeats_by_share(share),
        repeats_by="given" if repeats else "share",
        repeated_targets=share,
        report=report.to_json(),
    )
    assert about.repeats is not None, "it was just chosen"
    return dataclasses.replace(data, repeats=about.repeats), described, about


def names() -> list[str]:
    """The names of all imported sets."""
    return sorted(path.parent.name for path in _home().glob("*/about.json"))


def describe(name: str) -> str:
    """One line about an imported set."""
    try:
        about = _about(name)
    except DataError:
        return "damaged; import it once more"
    return (
        f"{about.interactions:,} interactions with {about.items:,} items by {about.users:,} people"
    )


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


def _home() -> Path:
    return cache_folder() / "imported"


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


def _check_name(name: str, replace: bool) -> None:
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


def _keep(data: Interactions, items: pd.DataFrame, about: About) -> None:
    """Writes the set's folder under a temporary name and renames it.

    ``interactions.parquet`` has one row a person, with item indices in order: to open a set again,
    nothing has to be sorted or numbered. Row ``i`` of ``items.parquet`` describes index ``i + 1``.
    """
    histories = pa.table(
        {
            "user": pa.array(data.user_ids, pa.string()),
            "items": pa.LargeListArray.from_arrays(data.offsets, data.items),
        }
    )
    home, name = _home(), data.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".") as temporary:
            folder = Path(temporary) / "new"
            folder.mkdir()
            pq.write_table(histories, folder / "interactions.parquet")
            write_items(items, folder / "items.parquet")
            write_json(folder / "about.json", asdict(about))
            if (home / name).exists():
                (home / name).replace(Path(temporary) / "old")
            folder.replace(home / name)
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


def _sessions(found: _Found, path: Path, wishes: Wishes) -> Log:
    if found.log.times is None:
        raise DataError(f"--session-gap needs times, and {path} has none.")
    if found.second is None:
        form = found.times["form"] if found.times else "numbers of no known unit"
        raise DataError(
            f"--session-gap needs times of a known unit, and those of {path} are {form}; write "
            "them as dates, or as seconds since 1970."
        )
    return by_session(found.log, wishes.gap_seconds * found.second)


@contextmanager
def _read_log(path: Path, wishes: Wishes, told: Callable[[str], None]) -> Iterator[_Found]:
    """What a file or folder holds; lines can be told as long as it is open."""
    if path.is_dir():
        if form := _movielens(path):
            yield _read_folder(path, form, wishes, told)
        else:
            yield _read_table(parts_table(path), wishes, told)
        return
    with opened(path) as file:
        if file.kind == "text" and wishes.sep is None and is_sequences(file):
            yield _read_sequences(file, wishes, told)
        else:
            yield _read_table(table_in(file, wishes.sep, wishes.quotes), wishes, told)


def _read_sequences(file: Opened, wishes: Wishes, told: Callable[[str], None]) -> _Found:
    told(f"{file.label}: a line 'user item item ...' for every user, oldest first")
    _no_columns(file.label, wishes)
    with file.path.open("rb") as stream:
        log = read_sequences(stream, file.label)
    form = f"lines of sequences, {file.how}"
    return _Found(log, len(log.items), form, _rows_told("interaction"))


def _rows_told(
    unit: str,
) -> Callable[[Mapping[str, np.ndarray]], dict[str, dict[str, Any]]]:
    """Rows of a log that has no lines of its own are counted through."""
    return lambda rows: dropped_rows(rows, unit, lambda own: [row + 1 for row in own])


def _no_columns(label: str, wishes: Wishes) -> None:
    for name in ("user", "item", "time", "rating", "event", "min_rating", "events"):
        if getattr(wishes, name) not in (None, ()):
            raise DataError(f"{label} has no columns that --{name.replace('_', '-')} could name.")


def _movielens(folder: Path) -> Format | None:
    """The format of MovieLens that a folder is in."""
    forms = [
        form for named in SETS.values() for form in named.formats if form.log != "sequences.txt"
    ]
    return next((form for form in forms if (folder / form.log).is_file()), None)


def _read_folder(folder: Path, form: Format, wishes: Wishes, told: Callable[[str], None]) -> _Found:
    told(f"{folder}: MovieLens, its {form.log} and {form.items}")
    _no_columns(str(folder), wishes)
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


def _read_table(table: OwnTable, wishes: Wishes, told: Callable[[str], None]) -> _Found:
    label = table.label

    def fault(what: str) -> DataError:
        return DataError(
            f"{label}, {table.header_place}: {what}; read as {table.form}, it has "
            f"{listed(table.columns)}."
        )

    given = {role: getattr(wishes, role) for role in ("user", "item", "time", "rating", "event")}
    if not table.columns:
        raise DataError(f"{label} is empty: it holds no interactions.")
    if len(table.columns) < 2:
        raise fault("there is one column, and a user and an item are needed; give --sep")
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
    ignored = tuple(name for name in table.columns if name not in roles.used)
    told(_shown(table, roles, ignored))
    others = [name for name in (roles.time,) if name is not None]
    if wishes.min_rating is not None and roles.rating is not None:
        others.append(roles.rating)
    if roles.event is not None:
        others.append(roles.event)
    read = table.read([roles.user, roles.item], others, wishes.skip_bad)
    if not len(read.table):
        raise DataError(f"{label} is empty: it holds no interactions.")
    return _cleaned(table, read, roles, ignored, wishes)


def _shown(table: OwnTable, roles: Roles, ignored: tuple[str, ...]) -> str:
    """The first rows and which column is which, for a person to look at."""
    first = {name: [own[:24] for own in table.sample[name][:_SHOWN]] for name in roles.used}
    frame = pd.DataFrame({name: pd.Series(own, dtype=object) for name, own in first.items()})
    text = None
    if roles.time is not None:
        text = next((f"like {own[:40]}" for own in table.sample[roles.time] if own), None)
    lines = [f"{table.label}: {table.form}", frame.fillna("").to_string(index=False)]
    lines.append(chosen(roles, text) if len(frame) else chosen(roles, None))
    if ignored:
        lines.append(f"ignored: {listed(ignored)}")
    return "\n".join(lines)


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
