"""``python -m fame data``: what stands on which stream, and with which status it leaves."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fame import data
from fame.cli import app

CLICKS = "user,item,time\nann,y,20\nann,x,10\nann,z,30\nbob,z,5\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.delenv("FAME_DATA", raising=False)


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(CLICKS)
    return path


def run(*arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["data", *arguments])


def test_list_names_every_set() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(data.registry.SETS)
    assert "to be fetched" in result.stdout

    listed = json.loads(run("list", "--json").stdout)
    assert {"name", "title", "description", "place", "repeats", "lacks"} == set(listed[0])


def test_import_then_show(clicks: Path) -> None:
    result = run("import", str(clicks), "--name", "mine", "--json")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary == json.loads(run("show", "mine", "--json").stdout)
    assert (summary["users"], summary["items"], summary["interactions"]) == (2, 3, 4)
    assert summary["sequence_length"] == {"min": 1, "median": 2.0, "max": 3}
    assert summary["users_excluded"] == {"valid": 1, "test": 1}
    shown = run("show", "mine").stdout
    assert "1 users for valid, 1 for test" in shown
    assert summary["fingerprint"] in shown


def test_import_says_what_it_does_about_repeats_and_why(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_text("user,item\nann,x\nann,y\nann,x\nbob,x\nbob,z\n")
    said = run("import", str(path), "--name", "mine").stdout
    assert "repeats          50 % of the test targets were chosen before (5 % or more), so" in said
    assert "--repeats exclude to change that" in said
    shown = json.loads(run("show", "mine", "--json").stdout)
    assert (shown["repeats"], shown["repeated_targets"]) == ("recommend", 0.5)
    asked = ("import", str(path), "--name", "mine", "--replace", "--repeats", "exclude", "--json")
    assert json.loads(run(*asked).stdout)["repeats"] == "exclude"
    assert "as asked for with --repeats exclude" in run("show", "mine").stdout


def test_generate_then_import(tmp_path: Path) -> None:
    out = str(tmp_path / "a.csv")
    result = run("generate", "facets", "--out", out, "--users", "600", "--seed", "5", "--json")
    made = json.loads(result.stdout)
    assert (made["users"], made["items"], made["interactions"]) == (600, 2_000, 24_000)
    arguments = ["import", made["file"], "--name", "mine", "--items", made["items_file"], "--json"]
    summary = json.loads(run(*arguments).stdout)
    assert summary["fingerprint"] == made["fingerprint"]
    assert summary["facets"] == {"A": "category", "B": "category"}


def test_generate_says_how_to_bring_it_in(tmp_path: Path) -> None:
    out = tmp_path / "a b.parquet"
    sizes = ["--users", "20", "--items", "9", "--interactions", "500"]
    lines = run("generate", "ml-20m", "--out", str(out), *sizes).stdout.splitlines()
    assert lines[0] == "500 interactions with 9 items by 20 people"
    command = shlex.split(lines[1].partition(": ")[2])
    assert command[:4] == ["python", "-m", "fame", "data"]
    assert run(*command[4:]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nothing", "--json"], "There is no data set 'nothing'; there are ml-100k"),
        (["import", "no.csv", "--name", "mine"], "no.csv cannot be read"),
        (["import", "no.csv", "--name", "../mine"], "cannot name a data set"),
        (
            ["import", "no.csv", "--name", "mine", "--repeats", "maybe"],
            "--repeats must be recommend or exclude, not 'maybe'",
        ),
        (["generate", "films", "--out", "a.csv"], "no made-up set 'films'"),
        (["generate", "facets", "--out", "a.txt"], "a.txt is of no known kind"),
        (["generate", "facets", "--out", "a.csv", "--users", "0"], "users has to be at least 1"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["fetch"], ["show", "--what"], ["nothing"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_fetch_reports_on_standard_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, progress):  # type: ignore[no-untyped-def]
        progress("Fetching it", None)
        progress("Fetching it", 0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", load)
    result = run("fetch", "ml-100k", "--json")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr == "Fetching it\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(data, "load", load)
    result = run("show", "ml-100k")
    assert result.exit_code == 1
    assert isinstance(result.exception, RuntimeError)


def test_the_module_runs() -> None:
    command = [sys.executable, "-m", "fame", "data", "show", "nothing", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: There is no data set 'nothing'")
    assert "Traceback" not in done.stderr


def test_import_shows_its_columns_first_and_says_what_became_of_every_row(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("visitorId;poi;when;stars\nann;x;2020-01-02;5\nNA;x;2020-01-01;4\nann;y;1;1\n")
    asked = ("import", str(path), "--name", "mine", "--item", "poi", "--rating", "stars")
    first = run(*asked, "--min-rating", "2", "--time", "when", "--sep", ";")
    assert first.exit_code == 0  # the row with the odd time has too low a rating
    assert "user = visitorId, item = poi, time = when (like 2020-01-02)" in first.stderr
    assert "rows             3 read, 1 kept, 2 dropped" in first.stdout
    assert "  no user id     1 (line 3)" in first.stdout
    assert "  rating under 2 1 (line 4)" in first.stdout
    options = ("--time", "when", "--skip-bad", "1", "--core", "1", "--timezone", "Europe/Paris")
    done = run(*asked, *options, "--dedupe", "--replace", "--json")
    report = json.loads(done.stdout)["import"]
    assert report["options"] == {
        "item": "poi", "time": "when", "rating": "stars", "timezone": "Europe/Paris", "core": 1,
        "dedupe": True, "skip_bad": 1,
    }  # fmt: skip
    assert report["dropped"]["a time that cannot be read"]["first"] == [4]
    assert report["times"]["first"] == "2020-01-01 23:00:00"  # midnight in Paris
    in_order = run(*asked, "--in-order", "--replace", "--json")
    assert json.loads(in_order.stdout)["import"]["columns"]["time"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sep", "ab"], "--sep is one character"),
        (["--timezone", "Mars"], "there is no zone 'Mars'"),
        (["--timezone", "/etc/passwd"], "there is no zone"),
        (["--core", "-1"], "--core may not be less than 0"),
        (["--skip-bad", "-1"], "--skip-bad may not be less than 0"),
        (["--user", "nobody"], "there is no column 'nobody', as --user says"),
        (["--min-rating", "3"], "no column holds ratings for --min-rating"),
    ],
)
def test_wishes_that_cannot_be_met_are_one_sentence(
    clicks: Path, options: list[str], words: str
) -> None:
    result = run("import", str(clicks), "--name", "mine", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_append_then_show(clicks: Path, tmp_path: Path) -> None:
    run("import", str(clicks), "--name", "mine")
    newer = tmp_path / "newer.tsv"
    newer.write_text("who\titem\ttime\nann\ty\t20\nann\tw\t40\n")
    refused = run("append", "mine", str(newer))
    assert refused.exit_code == 2
    assert "there is no column 'user'" in refused.stderr
    assert "say with --user which one it is here" in refused.stderr
    result = run("append", "mine", str(newer), "--user", "who", "--sep", "tab", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary == json.loads(run("show", "mine", "--json").stdout)
    assert (summary["users"], summary["items"], summary["interactions"]) == (2, 4, 5)
    own = summary["import"]["appended"][0]
    assert (own["rows"], own["kept"], list(own["dropped"])) == (2, 1, ["in the set already"])
    assert "newer.tsv: 2 read, 1 kept, 1 dropped; 1 new item" in run("show", "mine").stdout
    assert run("append", "beauty", str(newer)).exit_code == 2
