"""A person's file as it lies on disk: unpacked where it is packed, and text as plain UTF-8.

What a file is, its first bytes say and not its name. Readers get a path, not a stream: Arrow's
threads must never have to call back into Python, which aborts the process where it is ending.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa

from fame.errors import DataError

_CHUNK = 1 << 23
# What begins a packed file.
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NAMED = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "latin-1": "Latin-1"}
# Workbooks and the like: never a table in text, whatever their first bytes.
_NO_TABLES = {".xlsx", ".xls", ".ods", ".pkl", ".pickle", ".npz", ".npy", ".h5", ".feather"}
# Bytes that no text holds: control characters but tab, the ends of lines and pages, and escape.
_NO_TEXT = bytes(set(range(32)) - {9, 10, 11, 12, 13, 27})


@dataclass(frozen=True)
class Opened:
    """A file that can be read as it is.

    Attributes:
        label: What to call it in an error: the path it was given by.
        path: Where it lies, unpacked and in UTF-8 without a mark, its lines ending in a newline.
        folder: A place for what has to be written to read it; gone with the block.
        kind: Whether it is text or Parquet.
        how: How it was written, in words.
        quotes: Whether there is a ``"`` in it.
        returns: Whether there is a carriage return in it that no newline follows.
    """

    label: str
    path: Path
    folder: Path
    kind: Literal["text", "parquet"]
    how: str
    quotes: bool = False
    returns: bool = False


@contextmanager
def opened(path: Path, label: str | None = None) -> Iterator[Opened]:
    """Opens a file; what had to be written for that is gone afterwards.

    Args:
        label: What to call it; by default its path.

    Raises:
        DataError: where it cannot be read, is damaged, empty, or is neither text nor Parquet.
    """
    label = label or str(path)
    if path.suffix.lower() in _NO_TABLES:
        raise DataError(
            f"{label} is of no known kind; save it as a CSV, TSV, Parquet or JSON lines file."
        )
    with tempfile.TemporaryDirectory(prefix="fame-import-") as folder:
        try:
            plain, packed = _unpacked(path, label, Path(folder))
            with plain.open("rb") as stream:
                begins = stream.read(4)
            if begins == b"PAR1":
                how = ", ".join(["Parquet", *packed])
                yield Opened(label, plain, Path(folder), "parquet", how)
                return
            text, encoding, quotes, returns = _as_text(plain, label, Path(folder))
        except OSError as error:
            raise DataError(f"{label} cannot be read ({error.strerror or error}).") from error
        how = ", ".join([encoding, *packed])
        yield Opened(label, text, Path(folder), "text", how, quotes, returns)


def _unpacked(path: Path, label: str, folder: Path) -> tuple[Path, list[str]]:
    with path.open("rb") as stream:
        begins = stream.read(4)
    kind = next((kind for mark, kind in _PACKED.items() if begins.startswith(mark)), None)
    if kind is None:
        return path, []
    plain = folder / "unpacked"
    try:
        with plain.open("wb") as out:
            if kind == "zip":
                with zipfile.ZipFile(path) as archive, archive.open(_member(archive, label)) as one:
                    shutil.copyfileobj(one, out, _CHUNK)
            else:
                with _unpacking(path, kind) as one:
                    shutil.copyfileobj(one, out, _CHUNK)
    except DataError:
        raise
    except (
        OSError,
        EOFError,
        zlib.error,
        struct.error,
        zipfile.BadZipFile,
        LookupError,  # zipfile's where an entry has no name
        ValueError,
        NotImplementedError,
        RuntimeError,  # a password is needed
        pa.ArrowException,
    ) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise DataError(f"{label} is a damaged {kind} file ({reason}); pack it anew.") from error
    return plain, [kind]


def _unpacking(path: Path, kind: str) -> IO[bytes]:
    if kind == "gzip":
        return cast(IO[bytes], gzip.open(path))
    return bz2.open(path) if kind == "bzip2" else pa.input_stream(str(path), compression="zstd")


def _member(archive: zipfile.ZipFile, label: str) -> zipfile.ZipInfo:
    """The one file of an archive; a sentence where it is not one."""
    files = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.filename == "[Content_Types].xml" for info in files):
        raise DataError(f"{label} is a workbook or document; save its table as a CSV file.")
    files = [info for info in files if not info.filename.startswith("__MACOSX/")]
    if len(files) != 1:
        found = ", ".join(info.filename[:60] for info in files[:6]) or "nothing"
        raise DataError(f"{label} has to hold one file, and it holds {found}; unpack it first.")
    return files[0]


def _as_text(path: Path, label: str, folder: Path) -> tuple[Path, str, bool, bool]:
    """The file in UTF-8: its path, its encoding in words, and whether quotes and returns are in it.

    It is copied only where it is of another encoding, begins with a mark, or ends its lines in
    carriage returns alone.
    """
    with path.open("rb") as stream:
        begins = stream.read(1 << 12)
    if not begins:
        raise DataError(f"{label} is empty: a header and interactions are needed.")
    encoding = next((name for mark, name in _MARKS if begins.startswith(mark)), None)
    if encoding is None and len(begins) > 3 and 0 in begins[:4]:
        # UTF-16 without a mark: every second byte of plain letters is zero.
        encoding = {0: "utf-16-be", 1: "utf-16-le"}.get(begins.find(b"\0"))
        if encoding is None or begins[:4].count(0) != 2:
            encoding = None
    seen = None
    if encoding is None:
        seen = _seen(path, label)
        encoding = "utf-8" if seen.utf8 else "latin-1"
    current = path
    if encoding != "utf-8":
        current = _recoded(path, label, encoding, folder / "recoded")
        seen = None if encoding.startswith("utf-16") else seen
    seen = seen or _seen(current, label)
    if seen.returns and not seen.newlines:
        target = folder / "lines"
        with current.open("rb") as stream, target.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                out.write(chunk.replace(b"\r", b"\n"))
        current, seen = target, replace(seen, returns=False)
    return current, _NAMED.get(encoding, "UTF-16"), seen.quotes, seen.returns


def _recoded(path: Path, label: str, encoding: str, target: Path) -> Path:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream, target.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                out.write(decoder.decode(chunk).encode())
            out.write(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        name = _NAMED.get(encoding, "UTF-16")
        raise DataError(f"{label} begins as {name} text but is none; save it as UTF-8.") from error
    return target


@dataclass(frozen=True)
class _Seen:
    """Whether a text is UTF-8, and has newlines, carriage returns without one, and quotes."""

    utf8: bool
    newlines: bool
    returns: bool
    quotes: bool


def _seen(path: Path, label: str) -> _Seen:
    """Goes over a text once; refuses what no text has."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8, newlines, returns, quotes, before = True, False, False, False, 0
    last = b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if len(chunk.translate(None, _NO_TEXT)) != len(chunk):
                raise _no_text(path, label, chunk, before)
            if utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf8 = False
            newlines |= b"\n" in chunk
            quotes |= b'"' in chunk
            if last or b"\r" in chunk:
                # One at the end may be the first half of a line's end.
                joined = last + chunk
                last = joined[-1:] if joined.endswith(b"\r") else b""
                joined = joined.removesuffix(b"\r")
                returns |= joined.count(b"\r") > joined.count(b"\r\n")
            before += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        utf8 = False
    return _Seen(utf8, newlines, returns or bool(last), quotes)


def _no_text(path: Path, label: str, chunk: bytes, before: int) -> DataError:
    at = next(place for place, byte in enumerate(chunk) if byte in _NO_TEXT)
    left, line = before + at, 1
    with path.open("rb") as stream:
        while left > 0:
            part = stream.read(min(left, _CHUNK))
            line += part.count(b"\n")
            left -= len(part)
    return DataError(
        f"{label}, line {line} holds the byte {chunk[at]:#04x}, which no text has; it is damaged, "
        "or no file of text or Parquet."
    )
