"""What a file of interactions holds: the ``Log``, and how delimited files and sequences are read.

A reader takes an open binary stream and the name to call it by in an error. It filters nothing and
orders nothing: that is the part of ``histories``.
"""

from __future__ import annotations

import csv as quoted_csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from fame.errors import DataError

# Ids as four-byte codes of their distinct values: a log has far more lines than ids.
WHOLE_IDS = pa.dictionary(pa.int32(), pa.int64())
TEXT_IDS = pa.dictionary(pa.int32(), pa.large_string())


@dataclass(frozen=True)
class Log:
    """Interactions in the order of their file.

    Args:
        users: ``(N,)`` user ids, integers or strings, as they are or dictionary-encoded.
        items: ``(N,)`` item ids, likewise.
        times: ``(N,)`` when, in any unit; None where the file is in order of time already.
    """

    users: pa.ChunkedArray
    items: pa.ChunkedArray
    times: np.ndarray | None


LogReader = Callable[[IO[bytes], str], Log]


def read_sequences(stream: IO[bytes], label: str) -> Log:
    """S3-Rec's text format: a line ``user item item ...``, oldest first, whole numbers.

    Raises:
        DataError: naming the file and the line that is not of this form.
    """
    text = read_text(stream, label)
    lines = pc.utf8_trim_whitespace(pa.array(text.splitlines(), type=pa.large_string()))
    numbers = np.flatnonzero(pc.not_equal(lines, "").to_numpy(zero_copy_only=False))
    if not len(numbers):
        raise DataError(f"{label} is empty; a line 'user item item ...' is needed for every user.")
    tokens = pc.utf8_split_whitespace(lines.take(pa.array(numbers)))
    values, starts = tokens.flatten(), tokens.offsets.to_numpy()
    is_number = pc.match_substring_regex(values, r"^[0-9]{1,18}$").to_numpy(zero_copy_only=False)
    if not is_number.all():
        wrong = int(np.argmin(is_number))
        line = numbers[np.searchsorted(starts, wrong, side="right") - 1] + 1
        raise DataError(
            f"{label}, line {line}: {values[wrong].as_py()[:40]!r} is no whole number; a line has "
            "to read 'user item item ...'."
        )
    lengths = np.diff(starts) - 1
    if not lengths.all():
        line = numbers[np.argmin(lengths)] + 1
        raise DataError(
            f"{label}, line {line}: there is no item; a line has to read 'user item item ...'."
        )
    ids = values.cast(pa.int64()).to_numpy()
    is_user = np.zeros(len(ids), dtype=bool)
    is_user[starts[:-1]] = True
    users = np.repeat(ids[is_user], lengths)
    return Log(pa.chunked_array([users]), pa.chunked_array([ids[~is_user]]), None)


def read_columns(
    stream: IO[bytes],
    label: str,
    wanted: Mapping[str, pa.DataType],
    *,
    delimiter: str,
    names: Sequence[str],
    header: bool,
    quotes: bool = False,
) -> pa.Table:
    """Named columns of a delimited file.

    Args:
        stream: The file; read a second time where a faulty line must be named.
        label: What to call the file in an error.
        wanted: The columns to keep and their types.
        delimiter: One character.
        names: The names of all columns, in their order.
        header: Whether the first line is a header, to be passed over.
        quotes: Whether values may stand in quotes.

    Raises:
        DataError: naming the file and the line, where a value is missing or of another type.
    """

    def parse(threads: bool) -> pa.Table:
        stream.seek(0)
        return csv.read_csv(
            stream,
            csv.ReadOptions(use_threads=threads, column_names=names, skip_rows=int(header)),
            csv.ParseOptions(delimiter=delimiter, quote_char='"' if quotes else False),
            csv.ConvertOptions(
                column_types=wanted,
                include_columns=list(wanted),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    try:
        try:
            table = parse(threads=True)
        except pa.ArrowInvalid:
            table = parse(threads=False)  # fails again, but only one thread knows the line
    except pa.ArrowInvalid as error:
        raise DataError(_explain(str(error), label)) from error
    if not len(table):
        raise DataError(f"{label} is empty: it holds no interactions.")
    for name in wanted:
        if table[name].null_count:
            row = pc.index(table[name].is_null(), True).as_py()
            raise DataError(f"{label}, line {row + 1 + header}: column {name!r} has no value.")
    return table


def read_rows(stream: IO[bytes], label: str, required: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a small quoted CSV file with a header, where a value may hold a newline.

    Raises:
        DataError: naming the file and the line, where a column or a value is missing.
    """
    reader = quoted_csv.DictReader(io.StringIO(read_text(stream, label, "utf-8-sig"), newline=""))
    missing = [name for name in required if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{label}, line 1: the header has no column {missing[0]!r}.")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise DataError(f"{label}, line {reader.line_num}: the columns do not fit the header.")
        rows.append(row)
    return rows


def read_text(stream: IO[bytes], label: str, encoding: str = "utf-8") -> str:
    """The whole file as text; ``DataError`` where it is of another encoding."""
    try:
        return stream.read().decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{label} is no UTF-8 text (see its byte {error.start:,}).") from error


def _explain(message: str, label: str) -> str:
    """Arrow's message as one sentence with the file and the line in it."""
    if "Empty CSV" in message:
        return f"{label} is empty: it holds no interactions."
    row = re.search(r"Row #(\d+)", message)
    place = f"{label}, line {row[1]}" if row else label
    if value := re.search(r"invalid value '(.*)'", message, re.DOTALL):
        return f"{place}: {value[1][:40]!r} is no whole number."
    if "invalid UTF8" in message:
        return f"{place}: this is no UTF-8 text."
    if counts := re.search(r"Expected (\d+) columns, got (\d+)", message):
        return f"{place}: {counts[1]} columns are expected, not {counts[2]}."
    return f"{place} cannot be read ({message.splitlines()[0][:120]})."
