"""``bench data``: from a file of twenty million lines to the batches of an epoch."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np

from fame import data
from fame.bench.measure import Report, Say, chosen, figure_of, in_turns
from fame.bench.processes import Process, start_all
from fame.data import synthetic
from fame.data.sequences import (
    Split,
    bucketed_batches,
    held_out,
    held_out_batches,
    training_windows,
)
from fame.training.batches import share_of_batch

FORMATS = ("csv", "parquet")
_NAME = "bench"


class Reading:
    """Imports a file as a person would, opens the set, splits it and goes over its batches.

    Args:
        path: The file.
        home: A folder that stands in for the person's own, so that their data sets stay as they
            are.
    """

    def __init__(self, path: str, home: str, max_length: int, batch_size: int) -> None:
        os.environ |= {"HOME": home, "XDG_CACHE_HOME": home}
        self._path, self._max_length, self._batch_size = Path(path), max_length, batch_size

    def __call__(self) -> dict[str, Any]:
        """Seconds of every part and of all; ``interactions`` and ``batches`` counted."""
        started = time.perf_counter()
        data.import_file(self._path, _NAME, replace=True)
        read = time.perf_counter()
        histories = data.load(_NAME).interactions
        opened = time.perf_counter()
        rng = np.random.default_rng(0)
        windows = training_windows(histories, self._max_length, rng)
        batches = bucketed_batches(windows, self._batch_size, rng)
        for index in batches:
            share_of_batch(histories, windows, index)
        for split in get_args(Split):
            examples = held_out(histories, split)
            for _ in held_out_batches(histories, examples, self._max_length, self._batch_size):
                pass
        ended = time.perf_counter()
        return {
            "seconds": ended - started,
            "read_seconds": read - started,
            "open_seconds": opened - read,
            "batch_seconds": ended - opened,
            "interactions": len(histories.items),
            "batches": len(batches),
        }


def bench_data(
    *,
    scale: float,
    max_length: int,
    batch_size: int,
    repeats: int,
    only: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Report:
    """Seconds and peak memory from a file with the shape of MovieLens 20M to its batches.

    Args:
        scale: Users, items and interactions, as a share of the full numbers.
        max_length, batch_size: Of the windows and batches that are made.
        only: Names out of ``FORMATS``; default all.
    """
    kinds = chosen(only, FORMATS)
    shape = synthetic.ML_20M.scaled(scale)
    report = Report(
        "Reading a file, splitting it and making the batches of an epoch and of both splits",
        {"users": shape.users, "items": shape.items, "interactions": shape.interactions},
        [f"{shape.interactions:,} lines; {shape.users:,} people, {shape.items:,} items."],
    )
    with TemporaryDirectory(prefix="fame-bench-") as folder, ExitStack() as stack:
        say("Making the files")
        made = synthetic.ml_20m(shape)
        files = {kind: Path(folder) / f"clicks.{kind}" for kind in kinds}
        for path in files.values():
            synthetic.write_log(made, path)
        starts = {
            kind: partial(
                Process,
                Reading,
                {
                    "path": str(path),
                    "home": f"{folder}/{kind}",
                    "max_length": max_length,
                    "batch_size": batch_size,
                },
            )
            for kind, path in files.items()
        }
        running = start_all(starts, stack, report.missing, say)
        answers = in_turns(running, dict.fromkeys(running, repeats), report.missing, say)
        for kind, rows in answers.items():
            report.rows[kind] = {
                **{
                    name: figure_of(rows, name)
                    for name in ("seconds", "read_seconds", "open_seconds", "batch_seconds")
                },
                "cores_busy": figure_of(rows, "cores_busy"),
                "peak_memory_bytes": max(row["peak_memory_bytes"] for row in rows),
                "file_bytes": files[kind].stat().st_size,
                "batches": rows[0]["batches"],
            }
    return report
