"""Files are whole or not there."""

import errno
from pathlib import Path

import pytest

from fame.errors import FameError
from fame.files import file_hash, read_json, replacing, write_json, write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "note.txt", "one")
    write_text(tmp_path / "a" / "note.txt", "två")
    assert (tmp_path / "a" / "note.txt").read_text(encoding="utf-8") == "två"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["note.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    before = file_hash(tmp_path / "x.json")
    with pytest.raises(RuntimeError), replacing(tmp_path / "x.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file_hash(tmp_path / "x.json") == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="disk is full"), replacing(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), replacing(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "no")


def test_other_people_can_read_what_was_written(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "key 'b' stands there twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "Infinity is no number"),
        ("[1e999]", "1e999 is beyond all numbers"),
        ("9" * 5000, "digits"),
        ("[" * 100_000, "nests too deeply"),
        ("{", "Expecting"),
        ("\udcff", "decode"),
    ],
)
def test_json_beyond_its_standard_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "x.json")


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    value = {"b": [0.1, 1e-300, 1, True, None, "två"], "a": {"c": {}}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


def test_hash_of_known_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "abc")
    assert file_hash(tmp_path / "x") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
