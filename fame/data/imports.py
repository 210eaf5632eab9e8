"""A person's own data set: brought in from a file, kept in the cache, found by its name."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fame.data.catalogue import align, own_items, read_items, write_items
from fame.data.fetch import cache_folder
from fame.data.histories import build_histories
from fame.data.readers import TEXT_IDS, Log, read_columns, read_sequences
from fame.data.registry import SETS
from fame.data.repeats import ChosenBy, repeated_share, repeats_by_share, repeats_sentence
from fame.data.sequences import Interactions, Repeats
from fame.errors import DataError
from fame.files import write_json

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Column names, compared without case, punctuation and RecBole's ":type".
_USER = ("user", "userid")
_ITEM = ("item", "itemid")
_TIME = ("timestamp", "time")
_SUFFIXES = {".csv": ",", ".tsv": "\t", ".inter": "\t"}
# What times may be written as: whole numbers, decimal numbers, ISO dates without and with a zone.
_TIME_KINDS = (
    pa.int64(),
    pa.uint64(),
    pa.float64(),
    pa.timestamp("ns"),
    pa.timestamp("ns", tz="UTC"),
)


@dataclass(frozen=True)
class About:
    """What is kept about an imported set: its file's name, its size, and its order in words.

    Attributes:
        repeats: Whether the history's items may be recommended again, and ``repeats_by``: who says.
        repeated_targets: Share of the test targets that stand in their history.

    These three are ``None`` in a set that an earlier version kept: there the share decides.
    """

    file: str
    users: int
    items: int
    interactions: int
    filters: str
    repeats: Repeats | None = None
    repeats_by: ChosenBy | None = None
    repeated_targets: float | None = None


def import_file(
    path: Path,
    name: str,
    items: Path | None = None,
    replace: bool = False,
    repeats: Repeats | None = None,
) -> None:
    """Brings a file of interactions into the cache as the data set ``name``.

    A ``.csv``, ``.tsv``, ``.inter`` or ``.parquet`` file has columns ``user`` (or ``user_id``),
    ``item`` (or ``item_id``) and, where the lines are not in order of time already, ``timestamp``
    (or ``time``); ids may be any text. A ``.txt`` file has a line ``user item item ...`` for every
    user, oldest first, in whole numbers.

    Args:
        path: The file.
        name: What to call the set: small letters, digits, ``-`` and ``_``.
        items: A CSV catalogue with ``item_id``, ``title`` and any facet columns.
        replace: Take the place of an imported set of that name.
        repeats: Whether the history's items may be recommended again; by default the share of
            repeated targets decides (:data:`fame.data.repeats.REPEATED_FROM`).

    Raises:
        DataError: where the name cannot be given, or a file cannot be read.
    """
    _check_name(name, replace)
    log = _read_log(path)
    catalogue = None
    if items is not None:
        with _open(items) as stream:
            catalogue = own_items(stream, str(items))
    order = "in order of time, equal times" if log.times is not None else "lines"
    filters = f"none; {order} in the order of the source file"
    data = build_histories(name, log, core=0, filters=filters)
    share = repeated_share(data)
    about = About(
        file=path.name,
        users=len(data),
        items=data.num_items,
        interactions=len(data.items),
        filters=filters,
        repeats=repeats or repeats_by_share(share),
        repeats_by="given" if repeats else "share",
        repeated_targets=share,
    )
    _keep(data, align(catalogue, data.item_ids[1:].tolist()), about)


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
        about = About(**json.loads(path.read_text("utf-8")))
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


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _read_log(path: Path) -> Log:
    suffix = path.suffix.lower()
    with _open(path) as stream:
        if suffix == ".txt":
            return read_sequences(stream, str(path))
        if suffix == ".parquet":
            return _read_parquet(stream, str(path))
        if suffix in _SUFFIXES:
            return _read_delimited(stream, str(path), _SUFFIXES[suffix])
    known = ", ".join([*_SUFFIXES, ".parquet", ".txt"])
    raise DataError(f"{path} is of no known kind; its name has to end in one of {known}.")


def _read_delimited(stream: IO[bytes], label: str, delimiter: str) -> Log:
    try:
        header = stream.readline().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{label}, line 1: this is no UTF-8 text.") from error
    if not header:
        raise DataError(f"{label} is empty: a header and interactions are needed.")
    columns = [column.strip() for column in next(csv.reader([header], delimiter=delimiter))]
    user, item, time = _detect(columns, label)
    wanted = {user: TEXT_IDS, item: TEXT_IDS} | ({time: pa.string()} if time else {})
    table = read_columns(
        stream,
        label,
        wanted,
        delimiter=delimiter,
        names=columns,
        header=True,
        quotes=delimiter == ",",
    )
    if time is None:
        return Log(table[user], table[item], None)
    times = _times(table[time], lambda row: f"{label}, line {row + 2}: column {time!r}")
    return Log(table[user], table[item], times)


def _read_parquet(stream: IO[bytes], label: str) -> Log:
    try:
        schema = pq.read_schema(stream)
        user, item, time = _detect(schema.names, label)
        # Text is stored as codes of its distinct values, and they are all that is needed.
        texts = [name for name in (user, item) if _is_text(schema.field(name).type)]
        file = pq.ParquetFile(stream, read_dictionary=texts)
        table = file.read(columns=[user, item] + [time] * (time is not None))
    except pa.ArrowException as error:
        raise DataError(f"{label} is no readable parquet file.") from error
    if not len(table):
        raise DataError(f"{label} is empty: it holds no interactions.")
    for column in table.column_names:
        if table[column].null_count:
            row = pc.index(table[column].is_null(), True).as_py()
            raise DataError(f"{label}, row {row + 1}: column {column!r} has no value.")
    users, items = (_ids(table[column], label, column) for column in (user, item))
    if time is None:
        return Log(users, items, None)
    if pa.types.is_nested(table[time].type):
        raise DataError(f"{label}: column {time!r} holds {table[time].type}; times are no lists.")
    times = _times(table[time], lambda row: f"{label}, row {row + 1}: column {time!r}")
    return Log(users, items, times)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _ids(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Ids as whole numbers or text; decimals are refused, since 1.0 may be 1 or a rounded id."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind) or _is_text(kind):
        return column
    try:
        if not pa.types.is_floating(kind):
            return column.cast(pa.large_string())
    except pa.ArrowException:
        pass
    raise DataError(f"{label}: column {name!r} holds {kind}; ids are text or whole numbers.")


def _detect(columns: list[str], label: str) -> tuple[str, str, str | None]:
    """Which columns hold user, item and time (None where there is no time)."""
    plain = {re.sub(r"[^a-z]", "", column.split(":")[0].lower()): column for column in columns}

    def find(names: tuple[str, ...]) -> str | None:
        return next((plain[name] for name in names if name in plain), None)

    user, item = find(_USER), find(_ITEM)
    if user is None or item is None:
        lacking = "user or user_id" if user is None else "item or item_id"
        raise DataError(f"{label}, line 1: the header has no column {lacking}.")
    return user, item, find(_TIME)


def _times(column: pa.ChunkedArray, place: Callable[[int], str]) -> np.ndarray:
    """Times as numbers: whole numbers, decimal numbers or ISO dates; ``place`` names a row."""
    for kind in _TIME_KINDS:
        try:
            times = column.cast(kind)
        except pa.ArrowException:
            continue
        numbers = times.cast(pa.int64()) if pa.types.is_timestamp(kind) else times
        if np.isfinite(numbers.to_numpy()).all():
            return numbers.to_numpy()
    texts = column.cast(pa.large_string()).to_pandas().astype(object)
    if pd.to_numeric(texts[:1], errors="coerce").notna().all():  # so the column means numbers
        wrong = ~np.isfinite(pd.to_numeric(texts, errors="coerce"))
    else:
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        wrong = dates.isna()
        if not wrong.any():
            return dates.astype("int64").to_numpy()
    row = int(np.argmax(wrong))
    raise DataError(f"{place(row)} has {texts[row][:40]!r}, which is neither a number nor a date.")
