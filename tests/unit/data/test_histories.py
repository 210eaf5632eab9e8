"""Order, numbering and the k-core, against the plain way to do it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
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


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (np.int64, 0, 3),  # sorted as one number with the user
        (np.int64, 2**61, 2**63 - 1),  # 2^61 times a user or two is near the edge of that
        (np.int64, -(2**63), 2**63 - 1),
        (np.uint64, 0, 2**64 - 1),
        (np.float64, -5, 5),
    ],
)
@settings(max_examples=40)
@given(st.data())
def test_times_of_every_kind_and_size_are_in_order(
    kind: type[np.number], low: int, high: int, data: st.DataObject
) -> None:
    time = st.sampled_from([low, high]) | st.integers(low, high)
    clicks = data.draw(st.lists(st.tuples(st.integers(0, 5), time), min_size=1, max_size=20))
    users = [user for user, _ in clicks]
    rows = sorted(range(len(clicks)), key=lambda row: clicks[row])
    expected = {
        str(user): [str(row) for row in rows if users[row] == user] for user in sorted(set(users))
    }
    times = np.array([time for _, time in clicks], dtype=kind)
    log = Log(pa.chunked_array([users]), pa.chunked_array([list(range(len(clicks)))]), times)
    assert as_ids(build_histories("x", log, core=0, filters="none")) == expected


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


def test_codes_of_ids_make_no_difference() -> None:
    """Whatever dictionary each chunk has, and whatever stands in it that no row has."""
    plain = pa.chunked_array([["b", "a", "c", "a"]])
    coded = pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), ["a", "b", "unused"]),
            pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int32()), ["c", "0", "a"]),
        ]
    )
    one, other = (
        build_histories("x", Log(column, column, None), core=0, filters="none")
        for column in (plain, coded)
    )
    assert one.user_ids.tolist() == other.user_ids.tolist() == ["a", "b", "c"]
    assert one.fingerprint == other.fingerprint


def test_what_no_row_has_does_not_decide_the_order() -> None:
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int32()), ["10", "b", "9"])
    column = pa.chunked_array([numbers])
    data = build_histories("x", Log(column, column, None), core=0, filters="none")
    assert data.user_ids.tolist() == ["9", "10"]
