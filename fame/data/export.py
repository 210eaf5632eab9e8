"""Histories as a file: what ``data import`` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from fame.data.fetch import writing
from fame.data.sequences import Interactions
from fame.errors import DataError
from fame.files import replacing

_FIRST_TIME = 1_000_000_000  # in seconds: September 2001
_TEN_YEARS = 315_576_000
_HOUR = 3_600
_ROWS_AT_ONCE = 1 << 20

_WRITERS: dict[str, Callable[[Path, pa.Schema], csv.CSVWriter | pq.ParquetWriter]] = {
    ".csv": csv.CSVWriter,
    ".parquet": pq.ParquetWriter,
}


def write_log(data: Interactions, path: Path, *, seed: int = 0) -> None:
    """Writes histories as the table ``user``, ``item``, ``timestamp`` that ``data import`` reads.

    Times are made up, in whole seconds. Rows stand in the order of time over all people, as a
    server would log them; on import everybody's own order comes back.

    Raises:
        DataError: where ``path`` ends in neither ``.csv`` nor ``.parquet``, or cannot be written.
    """
    suffix = log_suffix(path)
    times = _times(np.random.default_rng(seed), data)
    order = np.argsort(times, kind="stable")
    users = np.repeat(np.arange(len(data), dtype=np.int32), np.diff(data.offsets))
    schema = pa.schema({"user": pa.string(), "item": pa.string(), "timestamp": pa.int64()})
    user_ids, item_ids = (pa.array(ids, pa.string()) for ids in (data.user_ids, data.item_ids))
    with (
        writing(path),
        replacing(path) as temporary,
        _WRITERS[suffix](temporary, schema) as writer,
    ):
        for begin in range(0, len(order), _ROWS_AT_ONCE):
            rows = order[begin : begin + _ROWS_AT_ONCE]
            columns = [user_ids.take(users[rows]), item_ids.take(data.items[rows]), times[rows]]
            writer.write_table(pa.table(columns, schema=schema))


def write_catalogue(items: pd.DataFrame, path: Path) -> None:
    """Writes a catalogue without list columns as the CSV that ``data import --items`` takes."""
    with writing(path), replacing(path) as temporary:
        items.to_csv(temporary, index=False)


def log_suffix(path: Path) -> str:
    """What says how to write a log; ``DataError`` where it says nothing known."""
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise DataError(f"{path} is of no known kind; its name has to end in .csv or .parquet.")
    return suffix


def _times(rng: np.random.Generator, data: Interactions) -> np.ndarray:
    """``(N,)`` seconds: everybody begins somewhere in ten years and clicks about once an hour."""
    gaps = 1 + rng.exponential(_HOUR, size=len(data.items)).astype(np.int64)
    since = np.concatenate([[0], np.cumsum(gaps)])
    begin = _FIRST_TIME + rng.integers(_TEN_YEARS, size=len(data))
    return since[1:] + np.repeat(begin - since[data.offsets[:-1]], np.diff(data.offsets))
