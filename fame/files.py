"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fame.errors import FameError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; on success it is flushed and renamed to ``path``.

    Whatever stops the block leaves the old file as it was and no half-written one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are for the owner only
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FameError(
                f"The disk is full: {path} could not be written and is as it was before; make "
                "room and run again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def drop_unfinished(path: Path) -> None:
    """Removes what :func:`replacing` left of ``path`` where its process was killed.

    Only for whoever knows that nobody is writing ``path`` now.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Holds a lock file for the block, against other processes; it goes with the process.

    Raises:
        BlockingIOError: where another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
