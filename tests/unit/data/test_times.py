"""Times as people write them: every form gives the same moments, and none is guessed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fame.data.times import bad_times, looks_like_times, read_times
from fame.errors import DataError

SECONDS = [1_600_000_000, 1_500_000_000]  # 2020-09-13 12:26:40, 2017-07-14 02:40:00 UTC


def texts(*values: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.mark.parametrize(
    "written",
    [
        ["2020-09-13T12:26:40Z", "2017-07-14T02:40:00Z"],
        ["2020-09-13 14:26:40+02:00", "2017-07-14 02:40:00+00:00"],
        ["2020-09-13 12:26:40", "2017-07-14 02:40"],
        ["Sun Sep 13 12:26:40 +0000 2020", "Fri Jul 14 02:40:00 +0000 2017"],
        ["Sun, 13 Sep 2020 14:26:40 +0200", "Fri, 14 Jul 2017 02:40:00 +0000"],
        ["2020/09/13 12:26:40", "2017/07/14 02:40:00"],
        ["13.09.2020 12:26:40", "14.07.2017 02:40:00"],
        ["09/13/2020 12:26:40", "07/14/2017 02:40:00"],
        ["13/09/2020 12:26:40", "14/07/2017 02:40:00"],
        ["13/Sep/2020:12:26:40 +0000", "14/Jul/2017:02:40:00 +0000"],
    ],
)
def test_dates_in_the_usual_forms(written: list[str]) -> None:
    read = read_times(texts(*written), str)
    assert (read.numbers // 10**9).tolist() == SECONDS
    assert read.span == ("2017-07-14 02:40:00", "2020-09-13 12:26:40")
    assert read.form.startswith("dates")
    assert looks_like_times(written)


@pytest.mark.parametrize(
    "written",
    [
        ["09 13, 2020", "07 14, 2017"], ["Sep 13, 2020", "Jul 14, 2017"],
        ["13 Sep 2020", "14 Jul 2017"], ["13-Sep-2020", "14-Jul-2017"], ["20200913", "20170714"],
        ["9/13/20", "7/14/17"], ["2020-09-13", "2017-07-14"],
    ],
)  # fmt: skip
def test_days(written: list[str]) -> None:
    read = read_times(texts(*written), str)
    assert read.numbers[0] > read.numbers[1]
    assert read.span == ("2017-07-14", "2020-09-13")


@pytest.mark.parametrize(
    ("scale", "form"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
@pytest.mark.parametrize("kind", ["whole", "text", "decimal"])
def test_units_are_found_by_size(scale: int, form: str, kind: str) -> None:
    numbers = [second * scale for second in SECONDS]
    column = {
        "whole": pa.chunked_array([numbers]),
        "text": texts(*map(str, numbers)),
        "decimal": pa.chunked_array([[float(number) for number in numbers]]),
    }[kind]
    read = read_times(column, str)
    assert read.form == f"{form} since 1970"
    assert read.span == ("2017-07-14 02:40:00", "2020-09-13 12:26:40")
    assert read.numbers.tolist() == numbers


@pytest.mark.parametrize("values", [["1", "2"], ["1000", "20000"], ["x", "y"], ["", ""], ["12:30"]])
def test_small_numbers_and_words_are_no_times(values: list[str]) -> None:
    assert not looks_like_times(values)


def test_mixed_units_are_told() -> None:
    read = read_times(pa.chunked_array([[SECONDS[0], SECONDS[1] * 1000]]), str)
    assert (read.form, read.span) == ("numbers of ms and s mixed", None)


def test_a_zone_is_put_on_dates_that_have_none() -> None:
    naive, zoned = "2020-07-01 12:00:00", "2020-07-01 11:00:00+00:00"
    plain = read_times(texts(naive, zoned), str)
    assert plain.numbers[0] > plain.numbers[1]
    assert plain.form == "dates, some with zones, 1 without one, taken as UTC"
    paris = read_times(texts(naive, zoned), str, "Europe/Paris")
    assert paris.numbers[0] < paris.numbers[1]  # noon in Paris is ten o'clock
    assert paris.form == "dates, some with zones, 1 without one, taken as Europe/Paris"
    alone = read_times(texts(naive, "2020-01-01 12:00:00"), str, "Europe/Paris")
    assert np.diff(alone.numbers // 3_600_000_000_000) == [-(182 * 24 - 1)]  # summer time between


def test_day_and_month_are_not_guessed() -> None:
    with pytest.raises(DataError, match=r"0 has '05/06/2020': day and month cannot be told apart"):
        read_times(texts("05/06/2020", "07/08/2020"), str)


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (["5", "x"], 1), (["5", "inf"], 1), (["2020-01-01", "2020-13-01"], 1),
        (["13 Sep 2020", "14 Sep 2020", "later"], 2), (["x", "2020-01-01"], 0),
    ],
)  # fmt: skip
def test_the_first_value_that_is_none_is_named(values: list[str], row: int) -> None:
    with pytest.raises(DataError, match=f"^{row} has {values[row]!r}, which is neither"):
        read_times(texts(*values), str)


def test_bad_times_are_those_outside_the_usual_form() -> None:
    assert bad_times(texts("1", "2", "x", "nan")).tolist() == [False, False, True, True]
    assert bad_times(texts("2020-01-01", "x", "2020-01-02")).tolist() == [False, True, False]
    dates = texts("13 Sep 2020", "14 Sep 2020", "2020")
    assert bad_times(dates).tolist() == [False, False, True]
