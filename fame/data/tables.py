"""A person's own table, whatever it is written as: text, JSON lines, or Parquet and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from fame.data.jsonforms import JsonRows, json_rows
from fame.data.opening import Opened, opened
from fame.data.readers import TEXT_IDS
from fame.data.texttables import TextTable, text_table
from fame.errors import DataError

_SAMPLE = 1_000
_FIRST = 5  # rows that are shown
_HEAD = 1 << 20
# What a damaged Parquet or JSON file makes Arrow raise: its own errors, and Python's for bad text.
_DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Rows:
    """What was read of a table.

    Attributes:
        table: The columns, in the order in which they were asked for.
        bad: ``(n,)`` rows of the file, from 0, with another count of columns; not in ``table``.
        parents: ``(N,)`` the row of the file that every event stood in, where rows hold lists.
    """

    table: pa.Table
    bad: np.ndarray
    parents: np.ndarray | None = None


class OwnTable(Protocol):
    """A table that can be looked into before it is read."""

    @property
    def label(self) -> str:
        """What to call it in an error."""

    @property
    def form(self) -> str:
        """What it was taken for, in words."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def header(self) -> bool:
        """Whether the names of the columns are the file's own."""

    @property
    def header_place(self) -> str:
        """Where they stand."""

    @property
    def sample(self) -> Mapping[str, list[str]]:
        """First values of every column, as text."""

    @property
    def first(self) -> list[tuple[str, ...]]:
        """The first rows, a value for each column, as text; where rows hold lists, events."""

    @property
    def breaks(self) -> int:
        """How many lines end inside quotes."""

    @property
    def unit(self) -> str:
        """What ``places`` counts: ``line`` or ``row``."""

    def read(self, ids: Sequence[str], others: Sequence[str], skip_bad: int) -> Rows:
        """Columns of ids and others; of a row that holds lists, a row for each entry."""

    def values(self) -> dict[str, list[Any]]:
        """All columns as Python's values, of a table of few rows."""

    def places(self, rows: Sequence[int]) -> list[int]:
        """The number, from 1, of the line or row where each of some rows (from 0) begins."""


def table_in(file: Opened, separator: str | None = None, quotes: bool = True) -> OwnTable:
    """The table that a file holds; see :func:`fame.data.texttables.text_table`."""
    if file.kind == "parquet":
        return _ParquetTable.of([file.path], file.label, file.how)
    if (rows := json_rows(file)) is not None:
        return _JsonTable.of(rows, file.how)
    return _Text(text_table(file, separator, quotes))


def parts_table(folder: Path) -> OwnTable:
    """The table whose rows lie in the Parquet files of a folder, in the order of their names."""
    return _ParquetTable.of(_parts(folder), str(folder), "Parquet in parts")


@contextmanager
def open_table(path: Path, quotes: bool = True, label: str | None = None) -> Iterator[OwnTable]:
    """The table of a file, or of a folder of Parquet parts; see :func:`opened`."""
    if path.is_dir():
        yield parts_table(path)
        return
    with opened(path, label) as file:
        yield table_in(file, quotes=quotes)


@dataclass(frozen=True)
class _Text:
    """A :class:`TextTable` as an :class:`OwnTable`."""

    table: TextTable
    unit: str = "line"

    @property
    def label(self) -> str:
        return self.table.file.label

    @property
    def form(self) -> str:
        return f"{self.table.form}, {self.table.file.how}"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.table.columns

    @property
    def header(self) -> bool:
        return self.table.header

    @property
    def header_place(self) -> str:
        return f"line {self.table.header_line}"

    @property
    def breaks(self) -> int:
        return self.table.breaks

    @cached_property
    def sample(self) -> dict[str, list[str]]:
        return {
            name: [row[place] for row in self.table.sample]
            for place, name in enumerate(self.table.columns)
        }

    @property
    def first(self) -> list[tuple[str, ...]]:
        return [tuple(row) for row in self.table.sample[:_FIRST]]

    def read(self, ids: Sequence[str], others: Sequence[str], skip_bad: int) -> Rows:
        wanted: dict[str, pa.DataType] = dict.fromkeys(ids, TEXT_IDS)
        return Rows(*self.table.read(wanted | dict.fromkeys(others, pa.string()), skip_bad))

    def values(self) -> dict[str, list[Any]]:
        table, _ = self.table.read(dict.fromkeys(self.columns, pa.large_string()), 0)
        return {name: table[name].to_pylist() for name in self.columns}

    def places(self, rows: Sequence[int]) -> list[int]:
        return self.table.lines(rows)


@dataclass(frozen=True)
class _Leaves:
    """The columns of a nested schema: by name, the path of fields to each."""

    paths: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, schema: pa.Schema) -> _Leaves:
        found: list[tuple[str, ...]] = []

        def walk(path: tuple[str, ...], kind: pa.DataType) -> None:
            inner = kind.value_type if _is_list(kind) else kind
            if pa.types.is_struct(inner) and len(path) < 5:
                for own in inner:
                    walk((*path, own.name), own.type)
            else:
                found.append(path)

        for field in schema:
            walk((field.name,), field.type)
        last = [path[-1] for path in found]
        return cls(
            {path[-1] if last.count(path[-1]) == 1 else ".".join(path): path for path in found}
        )

    def take(self, table: pa.Table, names: Sequence[str], label: str) -> Rows:
        """Some columns, one row an event: a list gives as many rows as it has entries.

        The first name is the user's; it may not be a list, the others may.
        """
        arrays: dict[str, pa.Array] = {}
        parents: dict[str, np.ndarray] = {}
        for name in names:
            top, *inner = self.paths[name]
            values = table[top].combine_chunks()
            parent = None
            for field in [None, *inner]:
                if field is not None:
                    values = pc.struct_field(values, field)
                if _is_list(values.type) and parent is None and name != names[0]:
                    parent = pc.list_parent_indices(values).to_numpy()
                    values = pc.list_flatten(values)
            arrays[name] = values
            if parent is not None:
                parents[name] = parent
        rows = parents.get(names[1])
        if rows is not None:
            for name in names:
                if name not in parents:
                    arrays[name] = arrays[name].take(pa.array(rows))
                elif not np.array_equal(parents[name], rows):
                    raise DataError(
                        f"{label}: the lists of columns {names[1]!r} and {name!r} are not equally "
                        "long."
                    )
        else:
            for name in parents:  # as they are: what they hold is said where they are read
                arrays[name] = table[self.paths[name][0]].combine_chunks()
        return Rows(pa.table(arrays), np.zeros(0, dtype=np.int64), rows)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


@dataclass(frozen=True)
class _ParquetTable:
    paths: Sequence[Path]
    label: str
    form: str
    columns: tuple[str, ...]
    sample: Mapping[str, list[str]]
    first: list[tuple[str, ...]]
    leaves: _Leaves
    texts: frozenset[str]
    header: bool = True
    header_place: str = "its schema"
    breaks: int = 0
    unit: str = "row"

    @classmethod
    def of(cls, paths: Sequence[Path], label: str, form: str) -> _ParquetTable:
        with _told(label, "Parquet"):
            schema = pq.read_schema(paths[0])
            leaves = _Leaves.of(schema)
            texts = frozenset(field.name for field in schema if _is_text(field.type))
            top = list(dict.fromkeys(path[0] for path in leaves.paths.values()))
            # Without threads or reading ahead: what runs on while Python ends aborts the process.
            with pq.ParquetFile(paths[0], pre_buffer=False) as file:
                batch = next(file.iter_batches(_SAMPLE, columns=top, use_threads=False), None)
            rows = [] if batch is None else pa.Table.from_batches([batch]).to_pylist()
        columns = tuple(leaves.paths)
        sample = {name: _first(rows, leaves.paths[name]) for name in columns}
        return cls(paths, label, form, columns, sample, _events(rows, leaves), leaves, texts)

    def read(self, ids: Sequence[str], others: Sequence[str], skip_bad: int) -> Rows:
        names = [*ids, *others]
        with _told(self.label, "Parquet"):
            table = self._table(list(dict.fromkeys(self.leaves.paths[name][0] for name in names)))
            rows = self.leaves.take(table, names, self.label)
            for name in ids:
                rows.table[name].validate(full=True)  # text that is no UTF-8
        return rows

    def values(self) -> dict[str, list[Any]]:
        with _told(self.label, "Parquet"):
            table = self._table(None, codes=False)
            found = {name: table[name].to_pylist() for name in table.column_names}
        return found

    def places(self, rows: Sequence[int]) -> list[int]:
        return [row + 1 for row in rows]

    def _table(self, columns: list[str] | None, codes: bool = True) -> pa.Table:
        tables = []
        for path in self.paths:
            # Text is stored as codes of its distinct values, and they are all that is needed.
            texts = sorted(self.texts & set(columns or ())) if codes else []
            with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
                tables.append(file.read(columns=columns, use_threads=False))
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _parts(folder: Path) -> list[Path]:
    parts = sorted(
        path for path in folder.rglob("*.parquet") if not path.name.startswith((".", "_"))
    )
    if not parts:
        raise DataError(
            f"{folder} is a folder without Parquet parts, and none of MovieLens; name a file."
        )
    return parts


@dataclass(frozen=True)
class _JsonTable:
    rows: JsonRows
    form: str
    columns: tuple[str, ...]
    sample: Mapping[str, list[str]]
    first: list[tuple[str, ...]]
    leaves: _Leaves
    schema: pa.Schema
    header: bool = True
    breaks: int = 0

    @property
    def label(self) -> str:
        return self.rows.label

    @property
    def unit(self) -> str:
        return self.rows.unit

    @property
    def header_place(self) -> str:
        return f"{self.unit} 1"

    @classmethod
    def of(cls, rows: JsonRows, how: str) -> _JsonTable:
        first: list[dict[str, Any]] = []
        size = 0
        for row, length in rows.objects():
            first.append(row)
            size += length
            if len(first) == _SAMPLE or size > _HEAD:
                break
        with _told(rows.label, rows.form):
            schema = _schema(first)
        leaves = _Leaves.of(schema)
        columns = tuple(leaves.paths)
        sample = {name: _first(first, leaves.paths[name]) for name in columns}
        events = _events(first, leaves)
        return cls(rows, f"{rows.form}, {how}", columns, sample, events, leaves, schema)

    def read(self, ids: Sequence[str], others: Sequence[str], skip_bad: int) -> Rows:
        names = [*ids, *others]
        top = list(dict.fromkeys(self.leaves.paths[name][0] for name in names))
        schema = pa.schema([self.schema.field(name) for name in top])
        options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        block = _HEAD
        while True:
            try:
                with pa.OSFile(str(self.rows.path)) as stream:
                    read = pj.ReadOptions(block_size=block)
                    table = pj.read_json(stream, read, options)
                break
            except pa.ArrowInvalid as error:
                if "straddling" in str(error) and block < self.rows.path.stat().st_size:
                    block = min(8 * block, 2**31 - 1)
                    continue
                for _ in self.rows.objects():  # raises where a line is no object
                    pass
                reason = str(error).splitlines()[0][:120].rstrip(".")
                raise DataError(
                    f"{self.label} cannot be read as {self.rows.form} ({reason}); give a column "
                    "values of one kind throughout."
                ) from error
        with _told(self.label, self.rows.form):
            return self.leaves.take(table, names, self.label)

    def values(self) -> dict[str, list[Any]]:
        rows = [row for row, _ in self.rows.objects()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return {name: [row.get(name) for row in rows] for name in names}

    def places(self, rows: Sequence[int]) -> list[int]:
        with self.rows.path.open("rb") as stream:
            lines = [number for number, line in enumerate(stream, start=1) if line.strip()]
        return [lines[row] for row in rows]


def _schema(rows: list[dict[str, Any]]) -> pa.Schema:
    """The types of the columns whose values have one; the others are of no use for a log."""
    fields = []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            kind = pa.array([row.get(name) for row in rows]).type
        except (pa.ArrowException, OverflowError, TypeError):
            kind = pa.string()
        fields.append(pa.field(name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)


def _first(rows: list[dict[str, Any]], path: tuple[str, ...]) -> list[str]:
    """First values below a path of fields, as text; lists are opened."""
    values: list[Any] = list(rows)
    for field in path:
        values = [own.get(field) if isinstance(own, dict) else None for own in values]
        opened_: list[Any] = []
        for own in values:
            opened_.extend(own) if isinstance(own, list) else opened_.append(own)
        values = opened_
    return ["" if own is None else str(own) for own in values[:_SAMPLE]]


def _events(rows: list[dict[str, Any]], leaves: _Leaves) -> list[tuple[str, ...]]:
    """The first events as text; a row without lists is one, and others have as many as a list."""
    found: list[tuple[str, ...]] = []
    for row in rows[:_FIRST]:
        cells = [_first([row], path) for path in leaves.paths.values()]
        for place in range(max(map(len, cells), default=0)):
            found.append(tuple(_at(own, place) for own in cells))
            if len(found) == _FIRST:
                return found
    return found


def _at(values: list[str], place: int) -> str:
    """A value of a list, or the one that the events of its row share."""
    if len(values) == 1:
        return values[0]
    return values[place] if place < len(values) else ""


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


@contextmanager
def _told(label: str, kind: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGE as error:
        named = "parquet file" if kind == "Parquet" else f"file of {kind}"
        raise DataError(
            f"{label} is no readable {named}; write it anew, or give it as CSV."
        ) from error
