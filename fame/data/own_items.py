"""A person's own catalogue: from any table with ids and titles to facets of the right kinds."""

from __future__ import annotations

import ast
import html
import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fame.data.catalogue import facet_columns
from fame.data.columns import is_known, listed, plain
from fame.data.no_facets import why_no_facet
from fame.data.tables import OwnTable, open_table
from fame.errors import DataError

# A number that says no more than its value: 00123 is a code, and so is one beyond 64 bits.
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,3})?")
_WHOLE = re.compile(r"[-+]?\d+")
_LARGEST = 2**63 - 1
# What programs write where a value is missing.
MISSING = frozenset({"", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "N/A", "NA", "\\N"})
_MISSING_TEXT = MISSING - {"NA"}  # a country, too, where there are no numbers beside it
_ID_NAMES = ("itemid", "item")
_TITLE_NAMES = ("title", "name", "itemname", "itemtitle", "movietitle", "producttitle",
                "productname", "songtitle", "trackname", "prodname")  # fmt: skip
_INDEX = re.compile(r"(|Unnamed: \d+|__index_level_\d+__)")
# Names that tables of the app and of reports give their own columns, as a person reads them.
_TAKEN = {"item", "title", "rank", "click", "score", "popularity", "train count", "item id",
          "read by the model", "held out", "space", "cosine", "found in"}  # fmt: skip


@dataclass(frozen=True)
class OwnItems:
    """A catalogue as ``fame.data.catalogue`` has it, and what was done with its columns."""

    label: str
    frame: pd.DataFrame
    notes: tuple[str, ...]


def own_items(
    path: Path,
    quotes: bool = True,
    facets: Collection[str] = (),
    known: Collection[str] = (),
    label: str | None = None,
) -> OwnItems:
    """Reads a catalogue: ``item_id``, ``title`` and any facet columns.

    A column of numbers is a number. One in which ``|`` separates values, or in which all values are
    JSON arrays or Python's lists, is a list; any other is a category. A missing value is missing.
    What tells all items apart is no facet (:mod:`fame.data.no_facets`).

    Args:
        quotes: Whether ``"`` holds a value together in text.
        facets: Columns that are facets whatever they hold.
        known: Facets by the names that they have; those of them that are there are facets likewise.
        label: What to call the file; by default its path.

    Raises:
        DataError: where a column is lacking, or an id is missing or stands there twice with
            something else beside it.
    """
    with open_table(path, quotes, label) as table:
        return _catalogue(table, facets, known)


def _catalogue(table: OwnTable, facets: Collection[str], known: Collection[str]) -> OwnItems:
    label = table.label
    names = list(table.columns)
    item = _first_of(names, _ID_NAMES) or next((n for n in names if is_known(n, "item")), None)
    title = _first_of([name for name in names if name != item], _TITLE_NAMES)
    for name, found in (("item_id", item), ("title", title)):
        if found is None:
            raise DataError(
                f"{label}, {table.header_place}: the header has no column {name!r}; as {table.form}"
                f" it has {listed(names)}."
            )
    values = table.values()
    if not values or not len(next(iter(values.values()))):
        raise DataError(f"{label} is empty: it describes no item.")
    if item not in values or title not in values:
        raise DataError(f"{label}: {item!r} and {title!r} may not be inside other columns.")
    for name in facets:
        if name not in values:
            raise DataError(
                f"{label}, {table.header_place}: there is no column {name[:40]!r}, as --facet says;"
                f" it has {listed(names)}."
            )
    notes: list[str] = []
    ids = [_text(value) for value in values[item]]
    first: dict[str, int] = {}
    again: list[int] = []
    for row, own in enumerate(ids):
        if own is None or own.strip() in MISSING:
            raise DataError(f"{label}, {table.unit} {table.places([row])[0]} has no item_id.")
        before = first.setdefault(own, row)
        if before == row:
            continue
        if any(column[before] != column[row] for column in values.values()):
            raise DataError(
                f"{label}, {table.unit} {table.places([row])[0]} has the item_id {own[:40]!r}, "
                "which stands there before with other values; keep one of the two."
            )
        again.append(row)
    if again:
        values = {
            name: [own for row, own in enumerate(column) if first[str(ids[row])] == row]
            for name, column in values.items()
        }
        ids = list(first)
        notes.append(f"{len(again):,} rows say what one before them says and are left out")
    titles = [_title(_text(value)) for value in values[title]]
    frame = pd.DataFrame({"item_id": ids, "title": titles}, dtype="string")
    labels: set[str] = set()
    none: dict[str, list[str]] = {}
    for name in values:
        if name in (item, title):
            continue
        if _INDEX.fullmatch(name):
            notes.append(f"column {name!r} is a table's row number and no facet")
            continue
        facet = _facet_name(name, labels, notes)
        frame[facet] = _facet(values[name], seq=name.endswith("_seq") and ":" in name)
        kind = facet_columns(frame[["item_id", facet]])[facet]
        taken = name in facets or facet in known
        why = None if taken else why_no_facet(name, frame[facet], kind)
        if why is not None:
            none.setdefault(why, []).append(name)
            frame = frame.drop(columns=facet)
    if none:
        told = "; ".join(f"{listed(own)} ({why})" for why, own in none.items())
        notes.append(f"no facets: {told}; --facet COLUMN takes one all the same")
    return OwnItems(label, frame, tuple(notes))


def _first_of(columns: list[str], names: tuple[str, ...]) -> str | None:
    for name in names:
        for column in columns:
            if plain(column) == name:
                return column
    return None


def _facet_name(name: str, labels: set[str], notes: list[str]) -> str:
    """What a column is called as a facet: a name that no table of ours gives to its own columns."""
    own = re.sub(r":(token|float)(_seq)?$", "", name).strip().replace("/", "_").replace("=", "_")
    shown = own.replace("_", " ").lower()
    if shown in _TAKEN:
        own = f"catalogue_{own}"
    twins, first = 1, own
    while own.replace("_", " ").lower() in labels:
        twins += 1
        own = f"{first}_{twins}"
    labels.add(own.replace("_", " ").lower())
    if own != name and not re.fullmatch(re.escape(own) + r":\w+", name):
        notes.append(
            f"column {name[:40]!r} is the facet {own[:50]!r}, since the other name is taken"
        )
    return own


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _title(value: str | None) -> str | None:
    if value is None or value.strip() in _MISSING_TEXT - {"None", "null"}:
        return None
    return html.unescape(value)


def _facet(values: list[Any], *, seq: bool) -> Any:
    """One facet column in the type that its values have."""
    if any(isinstance(value, (list, tuple)) for value in values):
        return [_members(value) for value in values]
    if any(isinstance(value, dict) for value in values):
        values = [None if value is None else json.dumps(value) for value in values]
    if all(value is None or (_is_number(value)) for value in values) and any(
        value is not None for value in values
    ):
        numbers = pd.array([None if v is None or v != v else v for v in values], dtype="Float64")
        return pd.Series(numbers).convert_dtypes()
    texts = [None if value is None else str(value) for value in values]
    known = [text for text in texts if text is not None and text.strip() not in MISSING]
    if seq:
        return [[] if text is None else text.split() for text in texts]
    if known and all(_plain_number(text.strip()) for text in known):
        present = [
            None if text is None or text.strip() in MISSING else text.strip() for text in texts
        ]
        return pd.to_numeric(pd.Series(present, dtype="string")).convert_dtypes()
    if known and all(text.strip().startswith("[") for text in known):
        lists = [_written_list(text) for text in known]
        if all(own is not None for own in lists):
            opened = iter(lists)
            return [
                _members(next(opened)) if text is not None and text.strip() not in MISSING else []
                for text in texts
            ]
    if any("|" in text for text in known):
        return [
            [part.strip() for part in (text or "").split("|") if part.strip()] for text in texts
        ]
    plain_texts = [
        None if text is None or text.strip() in _MISSING_TEXT else text for text in texts
    ]
    return pd.array(plain_texts, dtype="string")


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value if value == value else 0) <= _LARGEST
    )


def _plain_number(text: str) -> bool:
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return False
    return abs(int(text)) <= _LARGEST if _WHOLE.fullmatch(text) else math.isfinite(float(text))


def _members(value: Any) -> list[str]:
    if value is None or (isinstance(value, float) and value != value):
        return []
    entries = value if isinstance(value, (list, tuple)) else [value]
    while any(isinstance(entry, (list, tuple)) for entry in entries):  # paths of categories
        entries = [
            own
            for entry in entries
            for own in (entry if isinstance(entry, (list, tuple)) else [entry])
        ]
    texts = [_text(entry) for entry in entries]
    return list(dict.fromkeys(text.strip() for text in texts if text is not None and text.strip()))


def _written_list(text: str) -> list[Any] | None:
    """``["a", "b"]`` as JSON or Python writes it; ``None`` where it is neither."""
    if len(text) > 100_000:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return list(found) if isinstance(found, (list, tuple)) else None
    return None
