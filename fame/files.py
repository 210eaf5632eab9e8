"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from fame.errors import FameError

# By this file a folder is known as ours, in which we replace what we write. Its name counts, not
# what it says, so that it can be made on a full disk as well.
MARK = ".fame-run"
_MARK_SAYS = "A run of FAME Lens. `python -m fame train` writes into this folder.\n"
_UNFINISHED, _OLD = ".tmp", "old"  # what is being written, and in it what it is to replace
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIES, _MOMENT = 5, 0.02  # to hold a lock that others may only be asking about; seconds between


def disk_is_full(error: BaseException) -> bool:
    """Whether a failed writing failed for want of room; the libraries say it in ways of their own.

    safetensors has an error that is no ``OSError``, and pyarrow's may lack the number.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return isinstance(error, (OSError, SafetensorError)) and any(
        os.strerror(number) in str(error) for number in _FULL
    )


@contextmanager
def telling_of(path: Path) -> Iterator[None]:
    """What the disk refuses in the block, which writes ``path``, becomes one sentence.

    Raises:
        FameError: in place of ``OSError`` and ``SafetensorError``.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if disk_is_full(error):
            raise FameError(
                f"The disk is full: {path} could not be written and what was there before stays; "
                "make room and run again."
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise FameError(
            f"{path} could not be written ({reason}); choose another place, or mend that one."
        ) from error


def _is_there(path: Path) -> bool:
    """Whether anything has that name, be it a link to nowhere; ``OSError`` where nothing can."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise FameError(f"{str(path)!a} is no UTF-8 text; choose another name.") from None
    if "\0" in str(path):
        raise FameError(f"{str(path)!a} holds a zero byte; choose another name.")
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def check_file(path: Path, *, overwrite: bool) -> None:
    """``FameError`` where a file may not be written, before the time for its content is spent.

    Args:
        overwrite: Whether a file that lies there may be replaced. Nothing but a file ever is: to
            rename a file to ``/dev/null`` would replace the device.
    """
    with telling_of(path):
        if not _is_there(path):
            return
        if path.is_dir():
            raise FameError(f"{path} is a folder; name a file.")
        if not path.is_file():
            raise FameError(f"{path} is no regular file and stays as it is; name another file.")
    if not overwrite:
        raise FameError(
            f"{path} is there already; name another file, or replace it with --overwrite."
        )


def check_folder(folder: Path, *, is_ours: Callable[[Path], bool]) -> None:
    """``FameError`` unless a folder is not there, is empty, or is ours: others' stay untouched.

    Args:
        is_ours: Whether a folder without :data:`MARK` is ours all the same.
    """
    with telling_of(folder):
        if not _is_there(folder):
            return
        if not folder.is_dir():
            raise FameError(f"{folder} is no folder; choose another one, or a new one.")
        held = min((entry.name for entry in folder.iterdir()), default=None)
        if held is None or (folder / MARK).is_file():
            return
    if not is_ours(folder):
        raise FameError(
            f"{folder} holds {held!r} and is no folder of a run or checkpoint of ours, so it stays "
            "untouched; choose an empty folder, or a new one."
        )


def claim_folder(folder: Path) -> None:
    """Makes a folder and marks it as ours; :func:`check_folder` comes before."""
    with telling_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(_MARK_SAYS, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; on success it is flushed and renamed to ``path``.

    Whatever stops the block leaves the old file as it was and no half-written one.

    Raises:
        FameError: where the disk refuses it, or ``path`` is no file.
    """
    with telling_of(path):
        check_file(path, overwrite=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)  # mkstemp's files are for the owner only
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def drop_unfinished(path: Path) -> None:
    """Removes what :func:`replacing` left of ``path`` where its process was killed.

    Only for whoever knows that nobody is writing ``path`` now.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives a new folder beside ``path``; on success it is renamed to ``path``.

    Whatever stops the block leaves the old folder as it was; what a kill leaves,
    :func:`mend_folder` puts right.

    Raises:
        OSError: where the disk refuses it.
    """
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED
    ) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / _OLD
        new.mkdir()
        yield new
        if path.exists():
            path.replace(old)
        try:
            new.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise


def mend_folder(path: Path) -> None:
    """Removes what :func:`replacing_folder` left of ``path`` where its process was killed.

    Between its two renames the old folder has another name, from which it comes back. Only for
    whoever holds the lock.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        if not path.exists() and (left / _OLD).is_dir():
            (left / _OLD).replace(path)
        shutil.rmtree(left, ignore_errors=True)


def folders_to_mend(parent: Path) -> list[Path]:
    """Folders in ``parent`` that are not there for as long as nobody calls :func:`mend_folder`."""
    away = parent.glob(f".*{_UNFINISHED}/{_OLD}")
    return [parent / old.parent.name[1:].rsplit(".", 2)[0] for old in away]


@contextmanager
def locked(path: Path, *, wait: bool, holder: str = "") -> Iterator[None]:
    """Holds a lock file for the block, against other processes; it goes with the process.

    Args:
        holder: What the file says while it is held, of who holds it.

    Raises:
        BlockingIOError: where another process holds it and ``wait`` is false.
        FameError: where there can be no such file, or its folder is not there, or no longer.
    """
    with telling_of(path):
        # What another holder wrote stays. Unbuffered, so that on a full disk nothing is left to be
        # written when it is closed.
        file = path.open("ab", buffering=0)
    with file:
        hold_lock(file.fileno(), wait=wait)
        with telling_of(path):
            # A folder may be moved away after its file was opened and before it is held.
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            file.truncate(0)
            file.write(holder.encode())
        yield


def hold_lock(descriptor: int, *, wait: bool) -> None:
    """Locks an open file; ``BlockingIOError`` where another holds it and ``wait`` is false.

    To ask whether it is held (:func:`is_locked`) is to hold it for a moment, so a lock that is not
    to be waited for is tried a few times.
    """
    for left in reversed(range(1 if wait else _TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return
        except BlockingIOError:
            if not left:
                raise
            time.sleep(_MOMENT)


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file now; true to the fact even after a crash."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value: Any) -> str:
    """JSON as all our files have it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, json_text(value))


def read_json(path: Path) -> Any:
    """Reads JSON as its standard has it: no key twice in an object, no ``NaN``, no ``Infinity``.

    Raises:
        OSError: where the file cannot be read.
        ValueError: where it holds anything else, or nests or counts beyond all measure.
    """
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_each_key_once,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def parse_json(text: str) -> Any:
    """``json.loads`` of what anybody may have edited.

    Raises:
        ValueError: where it is no JSON, or nests or counts beyond all measure.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands there twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is beyond all numbers")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
