"""Work that is stopped: the bench sees what is lost, half written, or cannot go on."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from fame.bench import faults, interruptions
from fame.bench.ends import Silent
from fame.bench.faults import bench_faults
from fame.bench.interruptions import Work, full_disks, kills, read_only
from fame.bench.measure import NotMeasured
from fame.errors import FameError

STOPPED = ("kill", "full disk", "read-only folder")


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            full_disks(Path(folder))
        except NotMeasured:
            return False
    return True


needs_disks = pytest.mark.skipif(not may_mount(), reason="only who may mount a disk can try this")


@pytest.mark.parametrize("kind", STOPPED)
def test_stopped_work_loses_nothing_and_can_be_done_again(kind: str) -> None:
    """Other seeds than those of the command: `bench faults` tries more."""
    many = 2
    report = bench_faults(scale=many / faults.FEWER[kind], seed=26, only=[kind])
    if kind in report.missing:
        pytest.skip(report.missing[kind])
    assert report.about["faults"] == [] and report.about["inputs"] == many
    row = report.rows[kind]
    assert row["right"] + row["sentence"] == many  # type: ignore[operator]
    assert (row["right"] if kind == "kill" else row["sentence"]) == many


# --- works that do it wrong: each has to be seen --------------------------------------------------


def nothing(folder: Path) -> None:
    (folder / "file").write_text("before")


def content(folder: Path) -> str:
    return (folder / "file").read_text()


def result(folder: Path) -> dict[str, Any]:
    return {"file": content(folder), "files": sorted(path.name for path in folder.iterdir())}


def in_place(folder: Path) -> None:
    """Truncates what was there, and takes its time over what is to come."""
    with (folder / "file").open("w") as file:
        time.sleep(0.2)
        file.write("after")


def leaves_a_file(folder: Path) -> None:
    half = folder / f"half {time.time_ns()}"
    half.touch()
    time.sleep(0.2)
    (folder / "file").write_text("after")
    half.unlink()


def goes_on_wrongly(folder: Path) -> None:
    began = (folder / "began").exists()
    (folder / "began").touch()
    time.sleep(0.2)
    (folder / "file").write_text("another" if began else "after")


def cannot_go_on(folder: Path) -> None:
    if (folder / "began").exists():
        raise FameError("There is something here.")
    (folder / "began").touch()
    time.sleep(0.2)
    (folder / "file").write_text("after")


def dies(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fills(folder: Path) -> None:
    """Says nothing of its own where there is no room."""
    (folder / "file").write_text("after" * 100_000)


def writes_a_part(folder: Path) -> None:
    try:
        (folder / "file").write_text("after" * 100_000)
    except OSError as error:
        raise FameError("There was no room.") from error


def run(
    monkeypatch: pytest.MonkeyPatch, make: Any, folder: Path, do: Any, seed: int = 0
) -> BaseException | None:
    monkeypatch.setattr(interruptions, "WORKS", {"work": Work(nothing, do, content, result)})
    try_one = make(folder)
    try:
        try_one(random.Random(seed))
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (in_place, "neither what was before nor what was to come"),
        (leaves_a_file, "files after it was done once more"),
        (goes_on_wrongly, "another"),
        (cannot_go_on, "once more it was refused: There is something here."),
        (dies, "work ended with status -11"),
    ],
)
def test_what_a_kill_breaks_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, do: Any, says: str
) -> None:
    for seed in range(20):  # not every moment is a bad one
        (tmp_path / str(seed)).mkdir()
        error = run(monkeypatch, kills, tmp_path / str(seed), do, seed)
        if error is not None:
            break
    assert isinstance(error, (Silent, RuntimeError)) and says in str(error)


@needs_disks
def test_what_a_full_disk_breaks_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("no sentence", "half", "nothing amiss"):
        (tmp_path / name).mkdir()
    error = run(monkeypatch, full_disks, tmp_path / "no sentence", fills)
    assert isinstance(error, RuntimeError) and "No space left" in str(error)
    error = run(monkeypatch, full_disks, tmp_path / "half", writes_a_part)
    assert isinstance(error, Silent) and "neither what was before" in str(error)
    assert not (tmp_path / "half" / "disk").is_mount()


@needs_disks
def test_what_a_folder_that_cannot_be_written_breaks_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = run(monkeypatch, read_only, tmp_path, fills)
    assert isinstance(error, RuntimeError) and "Read-only file system" in str(error)


def test_where_no_disk_can_be_mounted_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuses(*arguments: str) -> None:
        raise RuntimeError("mount: only root can do that")

    monkeypatch.setattr(interruptions, "_mount", refuses)
    report = bench_faults(scale=0.01, only=["full disk", "setting"])
    assert report.missing == {
        "full disk": "only who may mount a disk can try this (mount: only root can do that)"
    }
    assert list(report.rows) == ["setting"]
    assert report.about["inputs"] == report.rows["setting"]["inputs"]
