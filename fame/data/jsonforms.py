"""Rows as JSON and Python write them, brought into one form: an object a line.

JSON lines are left as they are. An array of objects, a list of objects under one key, columns by
their names, and objects that take several lines are rewritten; so are dictionaries as Python prints
them, which is how the Amazon metadata of 2014 is written. Those are read by ``ast.literal_eval``,
which knows values and runs nothing.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.data.columns import is_known
from fame.data.opening import Opened
from fame.errors import DataError

_ARRAY = re.compile(rb"\s*\[\s*[{\]]")
_BLANK = re.compile(r"[ \t\r\n]*")
_HEAD = 1 << 12
_LONGEST = 1 << 20  # a line of literals: Python's parser takes a hundred times as much memory
# `json` reads the words of Python's own writer for missing numbers; a missing value is meant.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
_NO_JSON = (ValueError, RecursionError)


@dataclass(frozen=True)
class JsonRows:
    """A file with a JSON object in every line that is not blank.

    Attributes:
        form: What the person's file was taken for, in words.
        unit: What a line of ``path`` is in the person's file: a ``line`` or an ``entry``.
    """

    label: str
    path: Path
    form: str
    unit: str = "line"

    def objects(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The object of every line that is not blank, and its length in bytes.

        Raises:
            DataError: naming the line or entry that is none.
        """
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except _NO_JSON as error:
                    reason = getattr(error, "msg", None) or "it cannot be read"
                    raise DataError(
                        f"{self.label}, {self.unit} {number} is no JSON object ({reason}); every "
                        f"{self.unit} has to be one of its own."
                    ) from error
                if not isinstance(row, dict):
                    raise DataError(f"{self.label}, {self.unit} {number} is no JSON object.")
                yield row, len(line)


def json_rows(file: Opened) -> JsonRows | None:
    """The rows of a text that is JSON, or Python's literals; ``None`` where it is neither.

    Raises:
        DataError: where it begins as one of them and does not go on so.
    """
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
    if _ARRAY.match(head):
        return _rewritten(file, _array(file), "a JSON array", "entry")
    if head.lstrip()[:1] != b"{":
        return None
    with file.path.open("rb") as stream:
        line = next(line for line in stream if line.strip())
        alone = not any(line.strip() for line in stream)
    as_lines = JsonRows(file.label, file.path, "JSON lines")
    text = line.decode("utf-8", errors="replace").strip()
    try:
        first = json.loads(text)
    except json.JSONDecodeError as error:
        if _literal(text) is not None:
            return _rewritten(file, _literals(file), "dictionaries of Python, one a line", "line")
        if error.pos < len(text):
            return as_lines
        document = list(_documents(file))  # the first line ends before its object does
        if len(document) > 1:
            return _rewritten(file, iter(document), "JSON objects", "entry")
        first, alone = document[0], True
    except _NO_JSON:
        return as_lines  # said where its lines are read
    if not (alone and isinstance(first, dict)):
        return as_lines
    if (key := _list_key(first)) is not None:
        return _rewritten(file, iter(first[key]), f"a JSON array under {key[:40]!r}", "entry")
    if (columns := _columns(first)) is not None:
        return _rewritten(file, columns, "columns in JSON", "entry")
    return _rewritten(file, iter([first]), "a JSON object", "entry")


def _list_key(document: dict[str, Any]) -> str | None:
    """The one key under which objects stand in a list, unless the document is a row itself."""
    lists = [
        key
        for key, value in document.items()
        if isinstance(value, list) and value and all(isinstance(own, dict) for own in value)
    ]
    is_row = any(is_known(key, role) for key in document for role in ("user", "item"))
    return lists[0] if len(lists) == 1 and not is_row else None


def _columns(document: dict[str, Any]) -> Iterator[dict[str, Any]] | None:
    """The rows of ``{"user": {"0": .., "1": ..}, ..}`` or ``{"user": [..], ..}``, equally long."""
    values = list(document.values())
    if len(values) > 1 and all(isinstance(own, dict) for own in values):
        keys = list(values[0])
        if not all(list(own) == keys for own in values):
            return None
        values = [list(own.values()) for own in values]
    elif not (len(values) > 1 and all(isinstance(own, list) for own in values)):
        return None
    if len({len(own) for own in values}) > 1:
        return None
    return (dict(zip(document, row, strict=True)) for row in zip(*values, strict=True))


def _array(file: Opened) -> Iterator[Any]:
    """The values of an array that is the whole text."""
    text = file.path.read_text("utf-8", errors="replace")
    at, more = _after_blanks(text, text.index("[") + 1), True
    if text[at : at + 1] == "]":
        at, more = at + 1, False
    while more:
        value, at = _decoded(file, text, at)
        yield value
        at = _after_blanks(text, at)
        if text[at : at + 1] not in (",", "]"):
            what = "']' that ends the array" if at >= len(text) else "',' or ']' behind an entry"
            raise _no_json(file, text, at, f"there is no {what}")
        more = text[at] == ","
        at = _after_blanks(text, at + 1)
    if text[_after_blanks(text, at) :]:
        raise _no_json(file, text, at, "text follows the array")


def _documents(file: Opened) -> Iterator[Any]:
    """The values that stand in a text one after the other."""
    text = file.path.read_text("utf-8", errors="replace")
    at = _after_blanks(text, 0)
    while at < len(text):
        value, at = _decoded(file, text, at)
        yield value
        at = _after_blanks(text, at)


def _after_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None, "it may match nothing"
    return found.end()


def _decoded(file: Opened, text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _no_json(file, text, error.pos, error.msg) from error
    except _NO_JSON as error:
        raise _no_json(file, text, at, "it nests or counts beyond all measure") from error


def _no_json(file: Opened, text: str, at: int, reason: str) -> DataError:
    line = text.count("\n", 0, at) + 1
    return DataError(
        f"{file.label}, line {line} is no JSON ({reason}); write the file anew, or as JSON lines."
    )


def _literal(text: str) -> dict[Any, Any] | None:
    """A dictionary as Python prints it; ``None`` where the text is none."""
    if len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():  # of odd escapes, which stand in the files of 2014
            warnings.simplefilter("ignore")
            found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _literals(file: Opened) -> Iterator[dict[Any, Any] | None]:
    """The dictionary of every line; ``None`` for a blank one."""
    with file.path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            text = line.decode("utf-8", errors="replace").strip()
            row = _literal(text) if text else None
            if text and row is None:
                raise DataError(
                    f"{file.label}, line {number} is no dictionary as Python prints one, which "
                    "those before it are; mend or drop the line."
                )
            yield row


def _rewritten(file: Opened, rows: Iterator[Any], form: str, unit: str) -> JsonRows:
    target = file.folder / "rows.jsonl"
    with target.open("w", encoding="utf-8") as out:
        for number, row in enumerate(rows, start=1):
            if row is None and unit == "line":
                out.write("\n")
                continue
            if not isinstance(row, dict):
                raise DataError(f"{file.label}, {unit} {number} is no JSON object.")
            try:
                out.write(json.dumps(row, default=str, allow_nan=False) + "\n")
            except (*_NO_JSON, TypeError) as error:
                raise DataError(
                    f"{file.label}, {unit} {number} holds what JSON has no words for; write it as "
                    "text or a number."
                ) from error
    return JsonRows(file.label, target, form, unit)
