"""Order, numbering and the k-core, against the plain way to do it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.data.histories import build_histories, core_mask
from fame.data.readers import Log
from fame.data.sequences import Interactions
from fame.errors import DataError

Row = tuple[int, int, int]
rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)), min_size=1)


def log(entries: list[Row], timed: bool = True) -> Log:
    users, items, times = (list(column) for column in zip(*entries, strict=True))
    return Log(
        pa.chunked_array([users]), pa.chunked_array([items]), np.array(times) if timed else None
    )


def as_ids(data: Interactions) -> dict[str, list[str]]:
    return {
        data.user_ids[user]: data.item_ids[data.sequence(user)].tolist()
        for user in range(len(data))
    }


def plain_core(entries: list[Row], core: int) -> list[Row]:
    while True:
        kept = [
            row
            for row in entries
            if sum(row[0] == other[0] for other in entries) >= core
            and sum(row[1] == other[1] for other in entries) >= core
        ]
        if len(kept) == len(entries):
            return kept
        entries = kept


@given(rows)
def test_clicks_stand_in_order_of_time_and_then_of_the_file(entries: list[Row]) -> None:
    data = build_histories("x", log(entries), core=0, filters="none")
    expected = {
        str(user): [str(row[1]) for row in sorted(entries, key=lambda r: r[2]) if row[0] == user]
        for user in sorted({row[0] for row in entries})
    }
    assert as_ids(data) == expected
    assert data.items.dtype == np.int32
    assert data.item_ids.tolist() == ["", *map(str, sorted({row[1] for row in entries}))]


@given(rows)
def test_without_times_the_order_is_the_files(entries: list[Row]) -> None:
    data = build_histories("x", log(entries, timed=False), core=0, filters="none")
    for user, items in as_ids(data).items():
        assert items == [str(row[1]) for row in entries if str(row[0]) == user]


@given(rows, st.integers(2, 4))
def test_the_core_is_the_plain_one(entries: list[Row], core: int) -> None:
    users, items, _ = (np.array(column) for column in zip(*entries, strict=True))
    kept = core_mask(users, items, core)
    assert [row for row, keep in zip(entries, kept, strict=True) if keep] == plain_core(
        entries, core
    )


def test_dropping_an_item_can_drop_a_user_and_the_other_way_round() -> None:
    # Item 9 goes; then user 3 has one click left and goes; then item 8 does.
    entries = [(u, i, 0) for u in (1, 2) for i in (5, 6)] + [(1, 8, 0), (3, 8, 0), (3, 9, 0)]
    data = build_histories("x", log(entries), core=2, filters="2-core")
    assert as_ids(data) == {"1": ["5", "6"], "2": ["5", "6"]}
    assert data.filters == "2-core"


def test_nothing_left_is_one_sentence() -> None:
    with pytest.raises(DataError, match="Nothing of 'x' is left"):
        build_histories("x", log([(1, 1, 1)]), core=2, filters="2-core")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["10", "9", "b"], ["10", "9", "b"]),
        (["07", "7", "6"], ["6", "07", "7"]),
    ],
)
def test_ids_are_numbered_as_numbers_or_as_text(ids: list[str], expected: list[str]) -> None:
    column = pa.chunked_array([pa.array(ids, type=pa.large_string())])
    data = build_histories("x", Log(column, column, None), core=0, filters="none")
    assert data.user_ids.tolist() == expected
    assert data.item_ids.tolist() == ["", *expected]


def test_chunks_of_a_column_make_no_difference() -> None:
    whole, parts = pa.chunked_array([[3, 1, 2, 1]]), pa.chunked_array([[3, 1], [2, 1]])
    one, other = (
        build_histories("x", Log(column, column, None), core=0, filters="none")
        for column in (whole, parts)
    )
    assert one.fingerprint == other.fingerprint
