"""Files of interactions: what is read, and what a faulty line is told."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from fame.data.movielens import ratings_csv, ratings_dat, recbole_inter, u_data
from fame.data.readers import Log, read_rows, read_sequences
from fame.errors import DataError

Reader = Callable[[io.BytesIO, str], Log]

HEADER = b"userId,movieId,rating,timestamp\n"
RECBOLE = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
GOOD = [
    (u_data, b"7\t3\t4\t90\n8\t2\t5\t80\n"),
    (recbole_inter, RECBOLE + b"7\t3\t4\t90\n8\t2\t5\t80\n"),
    (ratings_dat, b"7::3::4::90\n8::2::5::80\n"),
    (ratings_csv, HEADER + b"7,3,4.0,90\n8,2,5.0,80\n"),
]


@pytest.mark.parametrize(("reader", "content"), GOOD)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_movielens_formats_give_the_same_log(
    reader: Reader, content: bytes, line_end: bytes
) -> None:
    log = reader(io.BytesIO(content.replace(b"\n", line_end)), "f")
    assert log.users.to_pylist() == [7, 8]
    assert log.items.to_pylist() == [3, 2]
    assert log.times is not None
    assert log.times.tolist() == [90, 80]


@pytest.mark.parametrize(
    ("reader", "content", "words"),
    [
        (u_data, b"", "f is empty"),
        (u_data, b"1\t2\t3\t4\nx\t2\t3\t4\n", "f, line 2: 'x' is no whole number"),
        (u_data, b"1\t2\t3\t4\n1\t2\n", "f, line 2: 4 columns are expected, not 2"),
        (u_data, b"1\t2\t3\t4\n1\t\t3\t4\n", "f, line 2: column 'item' has no value"),
        (ratings_csv, HEADER, "f is empty"),
        (ratings_csv, HEADER + b"1,2,3.0,now\n", "f, line 2: 'now' is no whole number"),
        (ratings_dat, b"1::2::3::4\n1::x::3::4\n", "f, line 2: 'x' is no whole number"),
        (ratings_dat, b"1::2::3\n", "f, line 1: 7 columns are expected, not 5"),
    ],
)
def test_a_faulty_line_is_named(reader: Reader, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        reader(io.BytesIO(content), "f")


def test_sequences_are_one_line_a_user() -> None:
    log = read_sequences(io.BytesIO(b" 4 30 10 \r\n\r\n2\t10\n4 20\n"), "f")
    assert log.users.to_pylist() == [4, 4, 2, 4]
    assert log.items.to_pylist() == [30, 10, 10, 20]
    assert log.times is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\n  \n", "f is empty"),
        (b"1 2\n\n2 x 3\n", "f, line 3: 'x' is no whole number"),
        (b"1 2\n2 3.5\n", "f, line 2: '3.5' is no whole number"),
        (b"1 -2\n", "f, line 1: '-2' is no whole number"),
        (b"1 2\n\n2\n", "f, line 3: there is no item"),
        (b"1 \xff\n", "f is no UTF-8 text"),
    ],
)
def test_a_faulty_sequence_is_named(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_sequences(io.BytesIO(content), "f")


def test_rows_may_hold_newlines_and_begin_with_a_mark() -> None:
    content = '\ufeffitem_id,title\n1,"two\nlines, one ""title"""\n'.encode()
    assert read_rows(io.BytesIO(content), "f", ["title"]) == [
        {"item_id": "1", "title": 'two\nlines, one "title"'}
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "f, line 1: the header has no column 'title'"),
        (b"item_id,name\n", "f, line 1: the header has no column 'title'"),
        (b"item_id,title\n1,a\n2\n", "f, line 3: the columns do not fit"),
        (b"item_id,title\n1,a,b\n", "f, line 2: the columns do not fit"),
    ],
)
def test_rows_that_do_not_fit_are_named(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_rows(io.BytesIO(content), "f", ["title"])
