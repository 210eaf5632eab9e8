"""Where a row of ``results.csv`` comes from: the day, PyTorch's version, the commit of the code."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

import fame

CHANGES = "+changes"


def origin() -> dict[str, str]:
    """``date`` (of today, UTC), ``torch`` and ``commit``, as a row has them."""
    today = datetime.now(UTC).date().isoformat()
    return {"date": today, "torch": torch.__version__, "commit": code_commit()}


@cache
def code_commit() -> str:
    """The commit of the library's code when this was first asked for, see :func:`commit_of`."""
    return commit_of(Path(fame.__file__).parent)


def commit_of(package: Path) -> str:
    """The commit that a package's files are of; empty where no repository has them.

    ``+changes`` follows it where files of the package were changed, added or removed since.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    try:
        # A package may lie in somebody else's repository, which knows nothing of it.
        git("ls-files", "--error-unmatch", "__init__.py")
        changes = git("status", "--porcelain", "--", ".")
        return git("rev-parse", "HEAD") + (CHANGES if changes else "")
    except (OSError, subprocess.SubprocessError):
        return ""
