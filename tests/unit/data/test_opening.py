"""Files as they lie on disk: unpacked, recoded, and refused where they are neither."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from fame.data.opening import opened
from fame.errors import DataError

TEXT = "user,item\né,x\n"


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (TEXT.encode(), "UTF-8"),
        (TEXT.encode("utf-8-sig"), "UTF-8"),
        (TEXT.encode("latin-1"), "Latin-1"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "UTF-16"),
        (TEXT.replace("\n", "\r").encode(), "UTF-8"),
        (gzip.compress(TEXT.encode()), "UTF-8, gzip"),
        (gzip.compress(TEXT[:5].encode()) + gzip.compress(TEXT[5:].encode()), "UTF-8, gzip"),
        (bz2.compress(TEXT.encode("utf-16")), "UTF-16, bzip2"),
        (zstd(TEXT.encode()), "UTF-8, zstd"),
        (zipped(**{"a.csv": TEXT.encode(), "__MACOSX/a": b"x"}), "UTF-8, zip"),
    ],
)
def test_text_comes_out_as_plain_utf_8(tmp_path: Path, content: bytes, how: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with opened(tmp_path / "f") as file:
        assert file.path.read_bytes().decode() == TEXT
        assert (file.kind, file.how, file.label) == ("text", how, str(tmp_path / "f"))
        left = file.path
    assert left.exists() == (left == tmp_path / "f")  # what was written is gone


@pytest.mark.parametrize("size", [1 << 23, (1 << 23) - 1, (1 << 23) - 2, 3])
@pytest.mark.parametrize(
    ("end", "returns", "quotes"),
    [("\r\n", False, False), ("\r", True, False), ('"\n', False, True)],
)
def test_returns_and_quotes_are_seen_across_what_is_read_at_once(
    tmp_path: Path, size: int, end: str, returns: bool, quotes: bool
) -> None:
    (tmp_path / "f").write_text("x" * size + end + "é\n", newline="")
    with opened(tmp_path / "f") as file:
        assert (file.returns, file.quotes, file.how) == (returns, quotes, "UTF-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "f is empty"),
        (b"a\nb\0\n", "f, line 2 holds the byte 0x00"),
        (b"\x89PNG\r\n\x1a\n", "f, line 2 holds the byte 0x1a"),
        (gzip.compress(TEXT.encode())[:-9], "f is a damaged gzip file"),
        (b"\x1f\x8b\x08junk", "f is a damaged gzip file"),
        (bz2.compress(TEXT.encode())[:-9], "f is a damaged bzip2 file"),
        (zstd(TEXT.encode() * 99)[:-9], "f is a damaged zstd file"),
        (zipped(a=TEXT.encode())[:-9], "f is a damaged zip file"),
        (zipped(a=b"1", b=b"2"), "f has to hold one file, and it holds a, b"),
        (zipped(**{"[Content_Types].xml": b"1", "b": b"2"}), "f is a workbook"),
        (b"\xff\xfea", "f begins as UTF-16 text but is none"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match=words), opened(tmp_path / "f"):
        pass


def test_an_archive_whose_entry_lost_its_name_is_damaged(tmp_path: Path) -> None:
    """`zipfile` ends a name at a zero byte, and then asks for the last letter of none."""
    content = zipped(**{"a.csv": TEXT.encode()}).replace(b"a.csv", b"\0.csv")
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match="f is a damaged zip file"), opened(tmp_path / "f"):
        pass
