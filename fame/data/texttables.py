"""Tables in text: what separates their columns, whether they have a header, where each row stands.

Arrow reads them; but Arrow takes a stray quote for text and loses what an unclosed one swallows. So
a file that has quotes is first held against the rule: a quoted value begins and ends a column, and
a quote inside it is doubled.
"""

from __future__ import annotations

import contextlib
import csv as quoted_csv
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fame.data.columns import has_roles
from fame.data.opening import Opened
from fame.data.times import looks_like_times
from fame.errors import DataError

# In place of '::' a byte that no text has (`fame.data.opening`) separates the columns: Arrow and
# Python's own reader want one character, and a value may have a ':' in it.
_UNIT = "\x1f"
SEPARATORS = {",": "','", "\t": "tab", ";": "';'", "|": "'|'", "::": "'::'", " ": "space"}
_ODD_COLONS = re.compile(rb"(?<!:):(?:::)+(?!:)")
_HEAD = 1 << 20  # bytes that are looked at before anything is decided
_SAMPLE = 1_000
_CHUNK = 1 << 23
_BLOCK = 1 << 20
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")

# Python's own limit for a value in quotes; it holds for the first lines, and those are bounded.
quoted_csv.field_size_limit(sys.maxsize // 2 if sys.maxsize < 2**32 else 2**31 - 1)


@dataclass(frozen=True)
class TextTable:
    """A table in text whose form is known.

    Attributes:
        columns: Their names, none of them twice; numbered where there is no header.
        sample: First rows, as many values as there are columns.
        start: The byte where the rows begin, and ``start_line`` the line they begin in, from 1.
        quotes: Whether values stand in quotes.
        breaks: How many lines end inside quotes.
    """

    file: Opened
    separator: str
    columns: tuple[str, ...]
    header: bool
    header_line: int
    start: int
    start_line: int
    sample: tuple[tuple[str, ...], ...]
    quotes: bool
    breaks: int = 0

    @property
    def form(self) -> str:
        """What the file was taken for, in words."""
        head = "" if self.header else ", no header"
        return f"text with {self._between} between columns{head}"

    @property
    def _between(self) -> str:
        own = "::" if self.separator == _UNIT else self.separator
        return SEPARATORS.get(own, repr(own))

    def read(self, wanted: Mapping[str, pa.DataType], skip_bad: int) -> tuple[pa.Table, np.ndarray]:
        """Some columns, and which rows (from 0, of all) have too many or too few values.

        Those rows are not in the table.

        Raises:
            DataError: where more than ``skip_bad`` rows are such, or the file cannot be read.
        """
        names = [str(place) for place in range(len(self.columns))]
        keys = {name: str(self.columns.index(name)) for name in wanted}
        bad: list[csv.InvalidRow] = []

        def on_bad(row: csv.InvalidRow) -> str:
            bad.append(row)
            return "skip" if len(bad) <= skip_bad else "error"

        def parse(threads: bool, block: int) -> pa.Table:
            bad.clear()
            # A file of Arrow's own: its threads never wait for Python.
            with pa.OSFile(str(self.file.path)) as stream:
                stream.seek(self.start)
                return csv.read_csv(
                    stream,
                    csv.ReadOptions(use_threads=threads, column_names=names, block_size=block),
                    csv.ParseOptions(
                        delimiter=self.separator,
                        quote_char='"' if self.quotes else False,
                        newlines_in_values=self.breaks > 0,
                        invalid_row_handler=on_bad,
                    ),
                    csv.ConvertOptions(
                        column_types={keys[name]: kind for name, kind in wanted.items()},
                        include_columns=list(keys.values()),
                        null_values=[""],
                        strings_can_be_null=True,
                    ),
                )

        try:
            table = self._parsed(parse)
            if bad:  # only one thread counts rows
                table = self._parsed(parse, threads=False)
        except pa.ArrowInvalid as error:
            if len(bad) <= skip_bad:
                raise self._unreadable(error) from error
            with contextlib.suppress(pa.ArrowInvalid):
                self._parsed(parse, threads=False)
            row = max(bad, key=lambda own: own.number or 0)
            line = self.lines([(row.number or 1) - 1])[0]
            lost = f" (after {skip_bad:,} that --skip-bad drops)" if skip_bad else ""
            raise DataError(
                f"{self.file.label}, line {line}: {row.expected_columns} columns are expected, not "
                f"{row.actual_columns}, with {self._between} between them{lost}; mend the line, or "
                "give --sep or --skip-bad N."
            ) from error
        rows = np.array([(row.number or 1) - 1 for row in bad], dtype=np.int64)
        return table.rename_columns(list(wanted)), rows

    def lines(self, rows: Sequence[int]) -> list[int]:
        """The line, from 1, in which each of some rows (ascending, from 0) begins.

        Lines are those of the file: blank ones and those inside quotes count.
        """
        found: list[int] = []
        wanted = iter(rows)
        row = next(wanted, None)
        at, begin, inside = -1, self.start_line, False
        with self.file.path.open("rb") as stream:
            stream.seek(self.start)
            for number, line in enumerate(stream, start=self.start_line):
                if not inside:
                    if not line.strip(b"\r\n"):
                        continue
                    at, begin = at + 1, number
                if self.quotes and line.count(b'"') % 2:
                    inside = not inside
                while row is not None and row == at and not inside:
                    found.append(begin)
                    row = next(wanted, None)
                if row is None:
                    break
        return found + [begin] * (len(rows) - len(found))

    def _parsed(self, parse, threads: bool = True) -> pa.Table:  # type: ignore[no-untyped-def]
        """Tries again with larger blocks where a row is longer than one."""
        block, size = _BLOCK, self.file.path.stat().st_size
        while True:
            try:
                return parse(threads, block)
            except pa.ArrowInvalid as error:
                if "block" not in str(error) or block > size:
                    raise
                block = min(8 * block, 2**31 - 1)
                if block == 2**31 - 1 and size > block:
                    raise

    def _unreadable(self, error: pa.ArrowInvalid) -> DataError:
        if "Empty CSV" in str(error):
            return DataError(f"{self.file.label} is empty: it holds no interactions.")
        reason = str(error).splitlines()[0][:120].rstrip(".")
        return DataError(f"{self.file.label} cannot be read as {self.form} ({reason}); give --sep.")


def text_table(file: Opened, separator: str | None = None, quotes: bool = True) -> TextTable:
    """Finds out what separates the columns, and what they are called.

    Args:
        separator: The one that was asked for.
        quotes: Whether ``"`` may hold a value together; without it, it is a letter as any other.

    Raises:
        DataError: where a quote is not closed or stands within a value, or no table can be seen.
    """
    lines = _first_lines(file)
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise DataError(f"{file.label} is empty: a header and interactions are needed.")
    told = re.fullmatch(r"sep=(.)\r?", lines[first])  # a spreadsheet's own way to say it
    if told:
        separator = separator or told[1]
        first = next((i for i in range(first + 1, len(lines)) if lines[i].strip()), first)
    if separator is None:
        separator = _separator(lines[first:], file.quotes and quotes)
    if separator == "::":
        file, separator, quotes = _one_separator(file), _UNIT, False
        lines = _first_lines(file)
    has_quotes = file.quotes and quotes
    breaks = _checked(file, separator) if has_quotes else 0
    if file.returns and not has_quotes:
        raise _stray_return(file)
    rows = _rows(lines[first : first + _SAMPLE + 1], separator, has_quotes)
    header = _is_header(rows)
    names = [name.strip() for name in rows[0]] if header else [
        f"column {place}" for place in range(1, len(rows[0]) + 1)
    ]  # fmt: skip
    taken = 0
    if header:  # a header that breaks inside quotes takes more lines than one
        taken, open_quote = 1, has_quotes and lines[first].count('"') % 2 == 1
        while open_quote and first + taken < len(lines):
            open_quote ^= lines[first + taken].count('"') % 2 == 1
            taken += 1
    before = lines[: first + taken]
    start = min(len("\n".join([*before, ""]).encode()), file.path.stat().st_size)
    return TextTable(
        file,
        separator,
        tuple(_each_once(names)),
        header,
        first + 1,
        start,
        first + taken + 1,
        tuple(tuple(row) for row in rows[int(header) :] if len(row) == len(names)),
        has_quotes,
        breaks,
    )


def _first_lines(file: Opened) -> list[str]:
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
        if len(head) == _HEAD:
            head += stream.readline()  # whatever its length, to its end
    return head.decode("utf-8", errors="replace").split("\n")


def _one_separator(file: Opened) -> Opened:
    """The file with one character in place of every '::'.

    Raises:
        DataError: where a ':' stands beside one, so that nobody can tell to which side it belongs.
    """
    target = file.folder / "columns"
    with file.path.open("rb") as stream, target.open("wb") as out:
        for number, line in enumerate(stream, start=1):
            if b":::" in line and _ODD_COLONS.search(line):
                raise DataError(
                    f"{file.label}, line {number}: a ':' stands beside the '::' between columns, "
                    "and to which side it belongs cannot be told; write the file with tabs."
                )
            out.write(line.replace(b"::", _UNIT.encode()))
    return replace(file, path=target)


def is_sequences(file: Opened) -> bool:
    """Whether text is S3-Rec's: lines ``user item item ...`` in whole numbers between blanks.

    Lines that all have the same count of two to four numbers, with one user on several of them, are
    rows ``user item rating time`` and not sequences; so are four numbers that end in times.
    """
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
    cut = head if len(head) < _HEAD else head[: head.rfind(b"\n") + 1]
    rows = [line.split() for line in cut.decode("utf-8", errors="replace").splitlines()]
    rows = [row for row in rows if row]
    if not rows or not (rows[0][0].isascii() and rows[0][0].isdigit()):
        return False
    counts = {len(row) for row in rows}
    if len(counts) > 1 or not 3 <= (width := counts.pop()) <= 4:
        # What is not a number is a fault of its line, unless other columns can be seen.
        return not any(set(",;|") & set(token) for token in rows[0])
    if not all(token.isdigit() for token in rows[0]):
        return False
    repeated = len({row[0] for row in rows}) < len(rows)
    times = width == 4 and looks_like_times([row[3] for row in rows[:_SAMPLE]])
    return not (repeated or times)


def _separator(lines: list[str], quotes: bool) -> str:
    """The separator that gives a header with a user and an item; else the one that fits best."""
    scores = {}
    for place, separator in enumerate(SEPARATORS):
        rows = [row for row in _rows(lines[:50], separator, quotes) if row]
        width = len(rows[0])
        same = sum(len(row) == width for row in rows) / len(rows)
        scores[separator] = (has_roles(rows[0]), width > 1 and same, -place)
    return max(scores, key=lambda own: scores[own])


def _rows(lines: list[str], separator: str, quotes: bool) -> list[list[str]]:
    # A carriage return inside a value is kept apart from the end of a line, or refused, elsewhere.
    kept = [line.rstrip("\r").replace("\r", " ") for line in lines]
    if quotes and separator != "::":
        reader = quoted_csv.reader((f"{line}\n" for line in kept), delimiter=separator)
        return [row for row in reader if row]
    return [line.split(separator) for line in kept if line]


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no name is a number, and none is a date."""
    if has_roles(rows[0]):
        return True
    cells = [cell.strip() for cell in rows[0]]
    return not any(_NUMBER.fullmatch(cell) or looks_like_times([cell]) for cell in cells)


def _each_once(names: list[str]) -> list[str]:
    """Names of which none stands there twice: the second gets its number, as pandas does it."""
    found: dict[str, int] = {}
    for name in names:
        own = name
        while own in found:
            found[name] += 1
            own = f"{name}.{found[name]}"
        found[own] = 0
    return list(found)


def _stray_return(file: Opened) -> DataError:
    with file.path.open("rb") as stream:
        lines = enumerate(stream, start=1)
        within = (number for number, line in lines if b"\r" in line.removesuffix(b"\r\n"))
        number = next(within, 1)
    return DataError(
        f"{file.label}, line {number}: a carriage return stands within the line; end all lines "
        "alike."
    )


def _checked(file: Opened, separator: str) -> int:
    """Holds every quote against the rule; how many lines end inside some.

    By the rule quotes open and close in turns. What opens stands at the beginning of a value or
    behind a quote that has just closed (a doubled one); what closes, at the end of one or before
    the next quote.
    """
    beside = {ord("\n"), ord("\r"), ord(separator), ord('"')}
    is_edge = np.isin(np.arange(256), list(beside))
    count, lines, inside = 0, 1, 0
    last, opened_at = ord("\n"), 0
    size, done = file.path.stat().st_size, 0
    with file.path.open("rb") as stream:
        carried = b""
        while done < size:
            chunk = carried + stream.read(_CHUNK)
            if done + len(chunk) < size:  # the last byte waits for what follows it
                carried, chunk = chunk[-1:], chunk[:-1]
                following = carried[0]
            else:
                carried, following = b"", ord("\n")
            done += len(chunk)
            if count % 2 == 0 and not file.returns and b'"' not in chunk:
                lines += chunk.count(b"\n")
                last = chunk[-1] if chunk else last
                continue
            around = np.frombuffer(bytes([last]) + chunk + bytes([following]), dtype=np.uint8)
            own, behind = around[1:-1], around[2:]
            at, ends = np.flatnonzero(own == ord('"')), np.flatnonzero(own == ord("\n"))
            opening = (count + np.arange(len(at))) % 2 == 0
            wrong = ~is_edge[np.where(opening, around[at], behind[at])]
            if wrong.any():
                place = int(np.argmax(wrong))
                line = lines + int(np.searchsorted(ends, at[place]))
                if opening[place]:
                    raise _quote_fault(file, line, "a quote stands within a value")
                begun = (
                    opened_at if place == 0 else lines + int(np.searchsorted(ends, at[place - 1]))
                )
                follows = "" if begun == line else f" (in line {line})"
                raise _quote_fault(
                    file, begun, f"text follows the quote that closes what is opened here{follows}"
                )
            if file.returns:
                alone = np.flatnonzero((own == ord("\r")) & (behind != ord("\n")))
                if not ((count + np.searchsorted(at, alone)) % 2).all():
                    raise _stray_return(file)
                inside += len(alone)
            inside += int(((count + np.searchsorted(at, ends)) % 2).sum())
            if len(at) and (count + len(at)) % 2:
                opened_at = lines + int(np.searchsorted(ends, at[-1]))
            count += len(at)
            lines += len(ends)
            last = chunk[-1] if chunk else last
    if count % 2:
        raise _quote_fault(file, opened_at, "a quote is opened and never closed")
    return inside


def _quote_fault(file: Opened, line: int, what: str) -> DataError:
    return DataError(
        f"{file.label}, line {line}: {what}; double the quotes inside values, or give --no-quotes "
        "where they are letters as any other."
    )
