"""Tables in text: their separator and header, quotes held against the rule, and lines counted."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame.data import texttables
from fame.data.opening import opened
from fame.data.texttables import SEPARATORS, is_sequences, text_table
from fame.errors import DataError


def rows(path: Path, content: str, **asked: object) -> list[tuple[str | None, ...]]:
    """The rows of a table, as tuples."""
    path.write_bytes(content.encode())
    with opened(path) as file:
        table = text_table(file, **asked)  # type: ignore[arg-type]
        read, _ = table.read(dict.fromkeys(table.columns, pa.string()), 0)
        return list(zip(*(read[name].to_pylist() for name in table.columns), strict=True))


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("head", ["user{0}item{0}note\n", ""])
def test_the_separator_and_the_header_are_found(tmp_path: Path, separator: str, head: str) -> None:
    content = head.format(separator) + "".join(
        separator.join((f"u{k % 3}", str(k), "x")) + "\n" for k in range(9)
    )
    (tmp_path / "f").write_text(content)
    with opened(tmp_path / "f") as file:
        table = text_table(file)
    assert table.form.startswith(f"text with {SEPARATORS[separator]} between columns")
    assert table.header == bool(head)
    found = rows(tmp_path / "f", content)
    assert found[4] == ("u1", "4", "x") and len(found) == 9


def test_a_spreadsheets_own_word_for_the_separator_is_heeded(tmp_path: Path) -> None:
    assert rows(tmp_path / "f", "sep=;\nuser;item\na;b,c\n") == [("a", "b,c")]


VALUES = st.text(st.sampled_from('a,";\n\r \té'), max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t"),
    chunk=st.integers(1, 9),
)
def test_what_a_writer_of_csv_quotes_is_read_back(
    tmp_path: Path, table: list[tuple[str, str, str]], separator: str, chunk: int
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("user", "item", "note"), *table])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texttables, "_CHUNK", chunk)  # whatever is read at once
        found = rows(tmp_path / "f", out.getvalue(), separator=separator)
    assert found == [tuple(value or None for value in row) for row in table]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ('user,item\na,b\nc,"d\ne,f\n', 3, "a quote is opened and never closed"),
        ('user,item\na,b\nc,"d\ne,"f"\n', 3, r"text follows .* opened here \(in line 4\)"),
        ('user,item\na,b"c\n', 2, "a quote stands within a value"),
        ('user,item\na,"b"c\n', 2, "text follows the quote that closes what is opened here;"),
        ('user,item\na, "b"\n', 2, "a quote stands within a value"),
        ('user,item\n"x\ny","b\nc" \n', 3, r"text follows .* \(in line 4\)"),
        ('"user","item"\n"a""b","c"\n"d","e"f"\n', 3, "text follows"),
    ],
)
def test_a_quote_against_the_rule_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, line: int, words: str, chunk: int
) -> None:
    monkeypatch.setattr(texttables, "_CHUNK", chunk)
    with pytest.raises(DataError, match=f"f, line {line}: {words}.*--no-quotes"):
        rows(tmp_path / "f", content)


def test_quotes_may_be_letters(tmp_path: Path) -> None:
    assert rows(tmp_path / "f", 'user\titem\na\t5" x\n', quotes=False) == [("a", '5" x')]


@pytest.mark.parametrize("many", [3, 60_000])
def test_newlines_in_quotes_are_read_at_every_size(tmp_path: Path, many: int) -> None:
    content = "user,item,note\n" + 'a,b,"line\nand, line"\n' * many
    assert rows(tmp_path / "f", content) == [("a", "b", "line\nand, line")] * many


@pytest.mark.parametrize("chunk", [1, 4, 1 << 20])
def test_lines_that_end_inside_quotes_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(texttables, "_CHUNK", chunk)
    (tmp_path / "f").write_text('user,item\n"a\nlong b",c\nd,"e\n\n"\nf,g\n')
    with opened(tmp_path / "f") as file:
        assert text_table(file).breaks == 3


def test_a_row_may_be_longer_than_what_arrow_reads_at_once(tmp_path: Path) -> None:
    content = f"user,item,note\na,b,{'x' * 3_000_000}\nc,d,y\n"
    assert [row[:2] for row in rows(tmp_path / "f", content)] == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_with_other_columns_are_counted_or_refused_by_their_line(
    tmp_path: Path, end: str
) -> None:
    text = '\nuser,item,note\n1,2,"a\nb"\n\n3\n\n4,5,6,7\n8,9,x\n'.replace("\n", end)
    (tmp_path / "f").write_bytes(text.encode())
    with opened(tmp_path / "f") as file:
        table = text_table(file)
        read, bad = table.read({"user": pa.string()}, skip_bad=2)
        assert read["user"].to_pylist() == ["1", "8"]
        assert bad.tolist() == [1, 2]
        assert table.lines([0, 1, 2, 3]) == [3, 6, 8, 9]
        with pytest.raises(DataError, match="f, line 8: 3 columns are expected, not 4, with ','"):
            table.read({"user": pa.string()}, skip_bad=1)


def test_a_colon_within_a_value_is_no_separator(tmp_path: Path) -> None:
    content = 'id::title::genre\n1::Alien: one::Horror\n2::The "Heat"::\n3::a::b:c\n'
    expected = [("1", "Alien: one", "Horror"), ("2", 'The "Heat"', None), ("3", "a", "b:c")]
    assert rows(tmp_path / "f", content) == expected
    # Two separators with nothing between them are an empty value.
    assert rows(tmp_path / "f", "user::item::note::x\n1::2::::y\n") == [("1", "2", None, "y")]


@pytest.mark.parametrize("line", ["2::Alien:::Horror", "2:::Alien::Horror", "2::::: one::Horror"])
def test_a_colon_beside_double_colons_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="f, line 2: a ':' stands beside the '::' between columns"):
        rows(tmp_path / "f", f"1::Heat::Crime\n{line}\n", separator="::")


def test_a_row_of_another_count_between_double_colons_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="f, line 2: 3 columns are expected, not 2, with '::'"):
        rows(tmp_path / "f", "1::Heat::Crime\n2::Alien\n")


def test_a_return_within_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="f, line 2: a carriage return stands within the line"):
        rows(tmp_path / "f", "user,item\na,b\rc,d\n")
    with pytest.raises(DataError, match="f, line 2: a carriage return stands within the line"):
        rows(tmp_path / "f", 'user,item\n"a",b\rc,d\n')


def test_no_column_has_the_name_of_another(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("user,item,item\na,b,c\n")
    with opened(tmp_path / "f") as file:
        table = text_table(file)
        assert table.columns == ("user", "item", "item.1")
        read, _ = table.read({"item": pa.string()}, 0)
    assert read["item"].to_pylist() == ["b"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1 2 3\n2 3 4\n", True),
        ("1 2 3 4 5\n1 2 3\n", True),
        ("1 2 3\n1 2 4\n", False),  # one user on two lines, three numbers each
        ("1\t7\t5\t978300760\n2\t8\t3\t978302109\n", False),  # ending in times
        ("1 7 5 44\n2 8 3 45\n", True),
        ("1 two\n", True),  # and its fault is told
        ("u1 i1 3\nu1 i2 4\n", False),
        ("user,item\n1,2\n", False),
        ("1,2\n", False),
    ],
)
def test_sequences_are_told_from_ratings(tmp_path: Path, content: str, expected: bool) -> None:
    (tmp_path / "f").write_text(content)
    with opened(tmp_path / "f") as file:
        assert is_sequences(file) == expected
