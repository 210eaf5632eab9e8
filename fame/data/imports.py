"""A person's own data set: brought in from a file, kept in the cache, found by its name."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fame.data.catalogue import own_items, read_items, write_items
from fame.data.fetch import cache_folder
from fame.data.readers import Log, read_columns, read_sequences
from fame.data.registry import SETS
from fame.errors import DataError
from fame.files import write_json

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Column names, compared without case, punctuation and RecBole's ":type".
_USER = ("user", "userid")
_ITEM = ("item", "itemid")
_TIME = ("timestamp", "time")
_SUFFIXES = {".csv": ",", ".tsv": "\t", ".inter": "\t"}


@dataclass(frozen=True)
class About:
    """What is kept about an imported set: its file's name, its size, and its order in words."""

    file: str
    users: int
    items: int
    interactions: int
    filters: str


def import_file(path: Path, name: str, items: Path | None = None, replace: bool = False) -> None:
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
    about = About(
        file=path.name,
        users=pc.count_distinct(log.users).as_py(),
        items=pc.count_distinct(log.items).as_py(),
        interactions=len(log.users),
        filters=f"none; {order} in the order of the source file",
    )
    _keep(name, log, catalogue, about)


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


def read(name: str) -> tuple[Log, pd.DataFrame | None, About]:
    """The log, the catalogue (where there is one) and what is kept about an imported set."""
    folder = _home() / name
    try:
        table = pq.read_table(folder / "interactions.parquet")
        times = table["time"].to_numpy() if "time" in table.column_names else None
        log = Log(table["user"], table["item"], times)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            f"{folder} is damaged; import {name!r} once more with --replace."
        ) from error
    catalogue = folder / "items.parquet"
    return log, read_items(catalogue) if catalogue.is_file() else None, _about(name)


def _home() -> Path:
    return cache_folder() / "imported"


def _about(name: str) -> About:
    path = _home() / name / "about.json"
    try:
        return About(**json.loads(path.read_text("utf-8")))
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


def _keep(name: str, log: Log, catalogue: pd.DataFrame | None, about: About) -> None:
    """Writes the set's folder under a temporary name and renames it."""
    columns = {"user": log.users, "item": log.items}
    if log.times is not None:
        columns["time"] = pa.chunked_array([log.times])
    home = _home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".") as temporary:
            folder = Path(temporary) / "new"
            folder.mkdir()
            pq.write_table(pa.table(columns), folder / "interactions.parquet")
            if catalogue is not None:
                write_items(catalogue, folder / "items.parquet")
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
    wanted = dict.fromkeys([user, item] + [time] * (time is not None), pa.large_string())
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
        file = pq.ParquetFile(stream)
        user, item, time = _detect(file.schema_arrow.names, label)
        table = file.read(columns=[user, item] + [time] * (time is not None))
    except pa.ArrowException as error:
        raise DataError(f"{label} is no readable parquet file.") from error
    if not len(table):
        raise DataError(f"{label} is empty: it holds no interactions.")
    for column in table.column_names:
        if table[column].null_count:
            row = pc.index(table[column].is_null(), True).as_py()
            raise DataError(f"{label}, row {row + 1}: column {column!r} has no value.")
    users, items = (_as_text(table[column], label, column) for column in (user, item))
    if time is None:
        return Log(users, items, None)
    times = table[time]
    if pa.types.is_timestamp(times.type):
        times = times.cast(pa.int64())
    texts = times.cast(pa.large_string())
    return Log(users, items, _times(texts, lambda row: f"{label}, row {row + 1}: column {time!r}"))


def _as_text(ids: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Ids as text; decimal numbers are refused, since 1.0 may be the id 1 or a rounded one."""
    try:
        if not pa.types.is_floating(ids.type):
            return ids.cast(pa.large_string())
    except pa.ArrowException:
        pass
    raise DataError(f"{label}: column {name!r} holds {ids.type}; ids are text or whole numbers.")


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
    for number in (pa.int64(), pa.float64()):
        try:
            times = column.cast(number).to_numpy()
        except pa.ArrowInvalid:
            continue
        if np.isfinite(times).all():
            return times
    texts = column.to_pandas().astype(object)
    if pd.to_numeric(texts[:1], errors="coerce").notna().all():  # so the column means numbers
        wrong = ~np.isfinite(pd.to_numeric(texts, errors="coerce"))
    else:
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        wrong = dates.isna()
        if not wrong.any():
            return dates.astype("int64").to_numpy()
    row = int(np.argmax(wrong))
    raise DataError(f"{place(row)} has {texts[row][:40]!r}, which is neither a number nor a date.")
