"""Catalogues: what an item is called and which facets it has.

A catalogue is a data frame with one row an item: ``item_id`` and ``title`` as text, then facet
columns. A facet is a number (``year``), a category (``brand``) or a list (``genres``). A missing
number or category is ``<NA>``, a missing list is empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from fame.errors import DataError
from fame.files import replacing

FacetKind = Literal["number", "category", "list"]

_NO_FACET = {"item_id", "title", "train_count"}


def facet_columns(items: pd.DataFrame) -> dict[str, FacetKind]:
    """The facet columns of a catalogue, and of which kind each of them is."""
    return {str(name): _kind(items[name]) for name in items.columns if name not in _NO_FACET}


def values_by_facet(items: pd.DataFrame) -> dict[str, list[list[str]]]:
    """By facet column, the values of every item: a list's own, else the one; none where missing."""
    return {column: values_of(items[column]) for column in facet_columns(items)}


def values_of(column: pd.Series) -> list[list[str]]:
    """The values of every item in one facet column."""
    if _kind(column) == "list":
        return [[str(value) for value in own] for own in column]
    return [[] if pd.isna(value) else [str(value)] for value in column]


def align(known: pd.DataFrame | None, item_ids: Sequence[str]) -> pd.DataFrame:
    """The catalogue in the order of ``item_ids``; what it does not know is called by its id."""
    ids = pd.array(list(item_ids), dtype="string")
    if known is None:
        known = pd.DataFrame({"item_id": [], "title": []}, dtype="string")
    kinds = facet_columns(known)
    frame = known.drop_duplicates("item_id").set_index("item_id").reindex(ids).reset_index()
    frame["item_id"] = ids
    frame["title"] = frame["title"].fillna(_stand_ins(frame))
    for column, kind in kinds.items():
        if kind == "list":
            frame[column] = [value if isinstance(value, list) else [] for value in frame[column]]
    return frame[["item_id", "title", *kinds]]


def _stand_ins(items: pd.DataFrame) -> pd.Series:
    """What an item without a title is called."""
    return "Item " + items["item_id"].astype("string")


def has_title(items: pd.DataFrame) -> pd.Series:
    """Which items have a title, and not a stand-in for one."""
    return items["title"] != _stand_ins(items)


def catalogue_hash(items: pd.DataFrame) -> str:
    """SHA-256 of what a catalogue says: equal exactly when ids, titles and facets are.

    The order of the rows counts, because row i is item i + 1; that of the columns does not, because
    nothing reads it. How a table stores its values (a year as a whole number or not, a missing
    value as ``None`` or ``NaN``, the encoding of a Parquet file) changes nothing, nor does
    ``train_count``, which the histories give.
    """
    kinds = facet_columns(items)
    facets = {name: _plain_values(items[name], kinds[name]) for name in sorted(kinds)}
    digest = hashlib.sha256()
    # Every line is a JSON document, so no value can be taken for a part of another.
    digest.update(f"{json.dumps(['item_id', 'title', *facets])}\n".encode())
    texts = [[str(value) for value in items[name]] for name in ("item_id", "title")]
    for row in zip(*texts, *facets.values(), strict=True):
        digest.update(f"{json.dumps(row)}\n".encode())
    return digest.hexdigest()


def _plain_values(column: pd.Series, kind: FacetKind) -> list[Any]:
    """The values of a facet as JSON has them; ``None`` where one is missing."""
    if kind == "list":
        return [[str(value) for value in own] for own in column]
    if kind == "category":
        return [None if pd.isna(value) else str(value) for value in column]
    return [None if pd.isna(value) else _plain_number(value) for value in column]


def _plain_number(value: Any) -> int | float:
    """1995 and 1995.0 are the same year."""
    return int(value) if float(value).is_integer() else float(value)


def write_items(items: pd.DataFrame, path: Path) -> None:
    """Writes a catalogue as parquet, whole or not at all."""
    with replacing(path) as temporary:
        items.to_parquet(temporary, index=False)


def read_items(path: Path) -> pd.DataFrame:
    """Reads what ``write_items`` wrote: the same columns, types and values.

    Raises:
        DataError: where the file is missing, damaged, or no catalogue.
    """
    try:
        items = pd.read_parquet(path)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is missing or is no readable parquet file.") from error
    for column in ("item_id", "title"):
        if column not in items.columns:
            raise DataError(f"{path} is no catalogue: it has no column {column!r}.")
    for column, kind in facet_columns(items).items():
        if kind == "list":
            items[column] = [list(value) for value in items[column]]
    return items


def _kind(column: pd.Series) -> FacetKind:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return "number"
    present = column.dropna()
    is_list = len(present) and isinstance(present.iloc[0], (list, np.ndarray))
    return "list" if is_list else "category"
