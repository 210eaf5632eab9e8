"""Histories written as a file: the order of rows, the parts, and names that need quotes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.data.export import write_log
from fame.data.sequences import Interactions
from fame.data.synthetic import Shape, ml_20m

SMALL = Shape(users=300, items=60, interactions=20_011)


def test_rows_stand_in_the_order_of_time_over_all_people(tmp_path: Path) -> None:
    write_log(ml_20m(SMALL), tmp_path / "a.parquet")
    rows = pd.read_parquet(tmp_path / "a.parquet")
    assert rows["timestamp"].is_monotonic_increasing
    assert not rows["user"].astype(int).is_monotonic_increasing
    # Nobody clicks twice at a time, though one gap in 3,600 is drawn as shorter than a second.
    assert rows.groupby("user")["timestamp"].diff().min() >= 1


def test_a_large_set_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ml_20m(SMALL)
    write_log(made, tmp_path / "one.csv")
    monkeypatch.setattr("fame.data.export._ROWS_AT_ONCE", 999)
    write_log(made, tmp_path / "parts.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()


def test_people_without_clicks_are_no_trouble(tmp_path: Path) -> None:
    data = Interactions(
        name="x",
        user_ids=np.array(["1", "2", "3"], dtype=object),
        item_ids=np.array(["", "a,b", 'c"d'], dtype=object),
        items=np.array([2, 1], dtype=np.int32),
        offsets=np.array([0, 0, 2, 2]),
    )
    write_log(data, tmp_path / "a.csv")
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows[["user", "item"]].to_numpy().tolist() == [[2, 'c"d'], [2, "a,b"]]
