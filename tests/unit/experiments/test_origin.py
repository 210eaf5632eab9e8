"""The commit that a row names."""

import subprocess
from pathlib import Path

import pytest
import torch

from fame.experiments.origin import commit_of, origin


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a repository with one commit."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.org")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    return package


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_and_whether_the_code_differs_from_it(package: Path) -> None:
    head = git(package, "rev-parse", "HEAD")
    assert commit_of(package) == head
    (package.parent / "results.csv").write_text("rows are no code")
    assert commit_of(package) == head
    (package / "new.py").write_text("")
    assert commit_of(package) == f"{head}+changes"
    (package / "new.py").unlink()
    (package / "__init__.py").write_text("changed")
    assert commit_of(package) == f"{head}+changes"


def test_the_commit_of_somebody_elses_repository_is_not_told(package: Path) -> None:
    installed = package.parent / "venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert commit_of(installed) == ""


def test_there_is_no_commit_without_a_repository_or_without_git(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "__init__.py").write_text("")
    assert commit_of(outside) == ""
    monkeypatch.setenv("PATH", "")
    assert commit_of(package) == ""


def test_a_row_has_the_running_pytorch() -> None:
    found = origin()
    assert set(found) == {"date", "torch", "commit"} and found["torch"] == torch.__version__
