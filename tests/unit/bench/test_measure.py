"""Repeats, ratios and turns, by hand."""

import pytest

from fame.bench.measure import Figure, NotMeasured, Report, chosen, in_turns, ratio
from fame.bench.tables import table
from fame.errors import FameError


def quiet(text: str) -> None:
    pass


def test_a_figure_is_its_median_between_least_and_most() -> None:
    figure = Figure((3.0, 1.0, 10.0, 2.0))
    assert (figure.median, figure.low, figure.high) == (2.5, 1.0, 10.0)
    assert figure.to_json() == {"median": 2.5, "min": 1.0, "max": 10.0, "values": [3, 1, 10, 2]}
    assert figure.rate(6).values == (2.0, 6.0, 0.6, 3.0)
    with pytest.raises(ValueError, match="at least one repeat"):
        Figure(())


def test_a_ratio_is_taken_turn_by_turn_and_not_from_the_medians() -> None:
    # The machine is three times slower in the second turn, for both alike.
    ours, theirs = Figure((1.0, 6.0, 2.0)), Figure((1.0, 3.0, 4.0))
    assert ratio(ours, theirs).values == (1.0, 2.0, 0.5)
    assert ratio(ours, theirs).median == 1.0 != ours.median / theirs.median
    assert ratio(ours, Figure((4.0,))).values == (0.25,)


def test_turns_go_there_and_back_and_each_has_its_number_of_repeats() -> None:
    done: list[str] = []
    work = {name: lambda name=name: done.append(name) or len(done) for name in "abc"}
    answers = in_turns(work, {"a": 3, "b": 3, "c": 1}, {}, quiet)
    assert "".join(done) == "abcbaab"
    assert answers == {"a": [1, 5, 6], "b": [2, 4, 7], "c": [3]}


def test_what_cannot_be_measured_has_its_reason_and_no_figure() -> None:
    def killed() -> int:
        raise NotMeasured("it was killed")

    missing: dict[str, str] = {}
    answers = in_turns({"a": lambda: 1, "b": killed}, {"a": 2, "b": 2}, missing, quiet)
    assert answers == {"a": [1, 1]} and missing == {"b": "it was killed"}


def test_an_unknown_contender_is_one_sentence() -> None:
    assert chosen((), ("a", "b")) == ("a", "b") == chosen(("b", "a"), ("a", "b"))
    with pytest.raises(FameError, match=r"--only knows a, b, not 'c'\."):
        chosen(("c",), ("a", "b"))


def test_a_report_as_json_and_as_a_table() -> None:
    report = Report("Title", {"users": 3}, ["A note."], missing={"peer": "nobody gave one"})
    report.rows["fame"] = {"seconds": Figure((2.0, 3.0)), "peak_memory_bytes": 1_200_000_000}
    report.rows["sasrec"] = {"seconds": Figure((4.0, 2.0)), "steps": 7}
    report.compare("fame", "sasrec")
    report.compare("fame", "peer")  # was not measured: no ratio
    answer = report.to_json()
    assert list(answer) == ["title", "about", "notes", "rows", "ratios", "not_measured"]
    assert answer["rows"]["fame"]["seconds"]["values"] == [2.0, 3.0]
    assert answer["rows"]["sasrec"]["steps"] == 7
    assert list(answer["ratios"]) == ["fame / sasrec"]
    assert answer["ratios"]["fame / sasrec"]["values"] == [0.5, 1.5]
    lines = table(report).splitlines()
    assert lines[:2] == ["Title", "  A note."]
    assert lines[2].split() == ["time", "peak", "memory"]
    assert "fame    2.5 s (2 s .. 3 s)  1.20 GB" in lines[3]
    assert lines[4].endswith("-")
    assert lines[5:] == [
        "  fame / sasrec  1 (0.5 .. 1.5)",
        "  peer: not measured (nobody gave one)",
    ]
