"""Damaged and odd input: every one is taken and adds up, or is refused in a sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fame.bench import faults
from fame.bench.faults import ENDS, FEWER, KINDS, bench_faults
from fame.cli import app
from fame.errors import DataError

# By kind, so that all of them end within seconds; those whose inputs take longest are fewest.
MANY = {
    **{"log": 120, "catalogue": 60, "checkpoint": 40, "run": 40},
    **{"setting": 200, "file name": 30},
}


@pytest.mark.filterwarnings("ignore")  # of pandas and NumPy, of what is in the files
@pytest.mark.parametrize("kind", MANY)
def test_every_input_is_right_or_a_sentence(kind: str) -> None:
    """Other seeds than those of the command: `bench faults` tries 3,000 more."""
    report = bench_faults(scale=MANY[kind] / faults.INPUTS, seed=26, only=[kind])
    row = report.rows[kind]
    assert not report.about["faults"]
    assert [row[end] for end in ENDS[2:]] == [0, 0, 0]
    assert row["right"] + row["sentence"] == row["inputs"] == MANY[kind]  # type: ignore[operator]
    if kind != "run":  # of which what is wrong is told in its status
        assert row["sentence"] > 0  # type: ignore[operator]
    if kind != "checkpoint":  # of which every file that counts is hashed
        assert row["right"] > 2  # type: ignore[operator]


def test_every_kind_is_tried() -> None:
    assert list(KINDS) == [*MANY, *FEWER], "the latter by test_interruptions.py"


def asked(kind: str, many: int = 10) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    report = bench_faults(scale=many / faults.INPUTS, only=[kind])
    return report.rows[kind], report.about["faults"]


def test_each_bad_end_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The meter is held against code that does each of them."""

    def ending(what: Any) -> None:
        monkeypatch.setattr(faults, "own_items", what)

    def raises(error: Exception) -> Any:
        def read(path: Path) -> None:
            raise error

        return read

    ending(raises(KeyError("x")))
    row, found = asked("catalogue")
    assert row["traceback"] == 10 and found[0]["what"] == "KeyError: \"'x'\""
    ending(raises(DataError("two\nlines")))
    assert asked("catalogue")[0]["sentence"] == 10  # an error of ours is a line whatever is in it
    ending(raises(DataError("")))
    assert asked("catalogue")[0]["traceback"] == 10
    monkeypatch.setattr(faults, "_SECONDS", 0.05)
    ending(lambda path: time.sleep(5))
    started = time.perf_counter()
    assert asked("catalogue", 2)[0]["hang"] == 2
    assert time.perf_counter() - started < 5


def test_rows_that_are_lost_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    read_file, own_items = faults.read_file, faults.own_items

    def loses_a_row(*given: Any, **named: Any) -> Any:
        found = read_file(*given, **named)
        report = found[2].report
        assert report is not None
        report["rows"] -= 1
        return found

    def adds_up_and_loses_one(*given: Any, **named: Any) -> Any:
        found = loses_a_row(*given, **named)
        report = found[2].report
        report["kept"] -= 1
        data = found[0]
        object.__setattr__(data, "items", data.items[:-1])
        return found

    def loses_an_item(path: Path) -> Any:
        found = own_items(path)
        return type(found)(found.label, found.frame[:-1], found.notes)

    monkeypatch.setattr(faults, "read_file", loses_a_row)
    row, found = asked("log", 40)
    assert row["right"] == 0 and row["silent"] > 2  # type: ignore[operator]
    assert found[0]["what"].startswith("rows read, and rows kept and dropped: ")
    monkeypatch.setattr(faults, "read_file", adds_up_and_loses_one)
    assert asked("log", 80)[0]["silent"] > 0  # type: ignore[operator]
    monkeypatch.setattr(faults, "own_items", loses_an_item)
    assert asked("catalogue", 50)[0]["silent"] > 0  # type: ignore[operator]


def test_a_checkpoint_that_opens_as_another_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    load, whole = faults.load_checkpoint, []

    def forgives(path: Path) -> Any:
        whole.append(load(path) if not whole else whole[0])
        found = whole[0]
        items = found.items if path.name == "whole" else found.items[::-1].reset_index(drop=True)
        return type(found)(**{**vars(found), "items": items})

    monkeypatch.setattr(faults, "load_checkpoint", forgives)
    row, found = asked("checkpoint")
    assert row["silent"] == 10
    assert found[0]["what"] == "the catalogue is another one than was written"


def test_equal_seeds_make_equal_inputs() -> None:
    names = ["setting", "catalogue"]
    first, again = (bench_faults(scale=0.02, seed=3, only=names).rows for _ in range(2))
    assert first == again
    others = [bench_faults(scale=0.02, seed=seed, only=names).rows for seed in (4, 5, 6)]
    assert any(rows != first for rows in others), "counts of other inputs may agree, not all"


def test_the_command_prints_the_counts() -> None:
    done = CliRunner().invoke(
        app, ["bench", "faults", "--scale", "0.02", "--only", "setting", "--json"]
    )
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)["benches"]["faults"]
    assert list(report["rows"]) == ["setting"]
    assert list(report["rows"]["setting"]) == ["inputs", *ENDS]
    assert report["rows"]["setting"]["inputs"] == 60 and report["about"]["faults"] == []
    shown = CliRunner().invoke(app, ["bench", "faults", "--scale", "0.01", "--only", "setting"])
    assert "traceback" in shown.stdout and "setting" in shown.stdout
    wrong = CliRunner().invoke(app, ["bench", "faults", "--only", "logs"])
    assert wrong.exit_code == 2 and "--only knows log, catalogue" in wrong.stderr
