"""Times as people write them: numbers of any unit, and dates in the usual forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from fame.errors import DataError

# What times may be written as: whole numbers, decimal numbers, ISO dates without and with a zone.
_KINDS = (
    pa.int64(),
    pa.uint64(),
    pa.float64(),
    pa.timestamp("ns"),
    pa.timestamp("ns", tz="UTC"),
)
# Forms that are no ISO dates. Those of a day before a month come after their twins.
_FORMS = (
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z", "%d/%b/%Y:%H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%m %d, %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y",
)  # fmt: skip
_SLASHED = tuple(
    (f"%m/%d/%{year}{clock}", f"%d/%m/%{year}{clock}")
    for year in "Yy"
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p")
)
_LOOKED_AT = 200  # values, to say whether a column holds times
# Seconds from 1990 to 2040; thousands of them are milliseconds, and so on.
_FIRST, _LAST = 631_152_000, 2_208_988_800
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_ZONED = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"


@dataclass(frozen=True)
class Times:
    """When the interactions were.

    Attributes:
        numbers: ``(N,)`` to sort by.
        form: What they were written as, in words.
        span: First and last as dates; ``None`` where the numbers have no known unit.
        second: How many of them make a second; ``None`` likewise, and where they are days.
    """

    numbers: np.ndarray
    form: str
    span: tuple[str, str] | None
    second: int | None = None


def looks_like_times(values: Sequence[str]) -> bool:
    """Whether all of some values that are not empty are dates or numbers of a time since 1990."""
    present = [value.strip() for value in values[:_LOOKED_AT] if value and value.strip()]
    if not present:
        return False
    numbers = pd.to_numeric(pd.Series(present), errors="coerce")
    if numbers.notna().all():
        return _unit(float(numbers.min()), float(numbers.max())) is not None
    # Cheap first: a table may have thousands of columns of other text.
    if not all(len(value) < 40 and re.search(r"\d[-/.:,\sT]", value) for value in present):
        return False
    return _dates(pd.Series(present, dtype=object), None) is not None


def read_times(
    column: pa.ChunkedArray, place: Callable[[int], str], timezone: str | None = None
) -> Times:
    """Reads a column of times.

    Args:
        column: Numbers, dates, or text that says either.
        place: Names a row and the column in an error.
        timezone: The zone of dates that say none; UTC where it is ``None``.

    Raises:
        DataError: naming the first value that is neither a number nor a date.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    for kind in _KINDS:
        try:
            times = column.cast(kind)
        except pa.ArrowException:
            continue
        if pa.types.is_timestamp(kind):
            if timezone and not kind.tz:
                break  # below, where zones are put on
            numbers = times.cast(pa.int64()).to_numpy()
            zone = "with zones" if kind.tz else "without a zone, taken as UTC"
            return Times(numbers, f"dates, {zone}", _span(numbers, "ns"), _UNITS["ns"])
        numbers = times.to_numpy()
        if np.isfinite(numbers).all():
            return _of_numbers(numbers)
    texts = column.cast(pa.large_string()).to_pandas().astype(object)
    if pd.to_numeric(texts[:1], errors="coerce").notna().all():  # so the column means numbers
        wrong = ~np.isfinite(pd.to_numeric(texts, errors="coerce"))
    else:
        found = _dates(texts, timezone)
        if found is not None:
            return Times(found[0], found[1], _span(found[0], "ns"), _UNITS["ns"])
        wrong = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce").isna()
        for form in _FORMS:  # that of the first value is the one that was meant
            if pd.notna(pd.to_datetime(texts.iloc[0], format=form, utc=True, errors="coerce")):
                wrong = pd.to_datetime(texts, format=form, utc=True, errors="coerce").isna()
        both = [_parsed(texts, form) for pair in _SLASHED for form in pair]
        if any(parsed is not None for parsed in both):
            raise DataError(
                f"{place(0)} has {texts[0][:40]!r}: day and month cannot be told apart in this "
                "column; write dates as year-month-day."
            )
    row = int(np.argmax(wrong))
    raise DataError(f"{place(row)} has {texts[row][:40]!r}, which is neither a number nor a date.")


def bad_times(column: pa.ChunkedArray) -> np.ndarray:
    """``(N,)`` which texts are not written as most are, or as the first where that is in doubt."""
    texts = column.cast(pa.large_string()).to_pandas().astype(object)
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float)
    wrong = [~np.isfinite(numbers)]
    for form in ("ISO8601", *_FORMS, *(form for pair in _SLASHED for form in pair)):
        if not wrong[-1].any():
            break
        dates = pd.to_datetime(texts, format=form, utc=True, errors="coerce")
        wrong.append(dates.isna().to_numpy())
    return min(wrong, key=lambda mask: (np.count_nonzero(mask), mask[0]))


def _dates(texts: pd.Series, timezone: str | None) -> tuple[np.ndarray, str] | None:
    """Nanoseconds of dates in one form, and that form in words; ``None`` where they fit none."""
    zoned = texts.str.contains(_ZONED, regex=True, na=False) & texts.str.contains("[:T]", na=False)
    own = timezone or "UTC"
    parsed = _parsed(texts, "ISO8601")
    if parsed is not None:
        mixed = zoned.any() and not zoned.all()
        if timezone and not zoned.all():
            naive = _parsed(texts[~zoned], "ISO8601")
            assert naive is not None, "all of them could be parsed"
            parsed = parsed.copy()
            parsed[~zoned.to_numpy()] = _in_zone(naive, timezone)
        said = "with zones" if zoned.all() else f"without a zone, taken as {own}"
        if mixed:
            said = f"some with zones, {int((~zoned).sum()):,} without one, taken as {own}"
        return parsed, f"dates, {said}"
    for form in _FORMS:
        parsed = _parsed(texts, form)
        if parsed is not None:
            if "%z" in form or "%Z" in form:
                return parsed, "dates, with zones"
            parsed = _in_zone(parsed, timezone) if timezone else parsed
            return parsed, f"dates, without a zone, taken as {own}"
    for forms in _SLASHED:
        fits = [(form, parsed) for form in forms if (parsed := _parsed(texts, form)) is not None]
        if len(fits) == 1:
            form, parsed = fits[0]
            order = "month/day/year" if form.startswith("%m") else "day/month/year"
            parsed = _in_zone(parsed, timezone) if timezone else parsed
            return parsed, f"dates as {order}, without a zone, taken as {own}"
    return None


def _parsed(texts: pd.Series, form: str) -> np.ndarray | None:
    first = pd.to_datetime(texts.iloc[:1], format=form, utc=True, errors="coerce")
    if first.isna().any():
        return None
    dates = pd.to_datetime(texts, format=form, utc=True, errors="coerce")
    return (
        None
        if dates.isna().any()
        else dates.astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    )


def _in_zone(numbers: np.ndarray, timezone: str) -> np.ndarray:
    """Nanoseconds by the clock on the wall of a zone, as those of UTC."""
    walls = pd.Series(numbers.astype("datetime64[ns]"))
    try:
        zoned = walls.dt.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
    except (KeyError, ValueError) as error:
        raise DataError(
            f"--timezone: there is no zone {timezone!r}; write Europe/Paris."
        ) from error
    return zoned.astype("int64").to_numpy()


def _of_numbers(numbers: np.ndarray) -> Times:
    first, last = float(numbers.min()), float(numbers.max())
    if unit := _unit(first, last):
        return Times(numbers, f"{_WORDS[unit]} since 1970", _span(numbers, unit), _UNITS[unit])
    if first >= 19000101 and last <= 21001231:
        ends = [str(int(number)) for number in (first, last)]
        if all(pd.notna(pd.to_datetime(end, format="%Y%m%d", errors="coerce")) for end in ends):
            span = tuple(f"{end[:4]}-{end[4:6]}-{end[6:]}" for end in ends)
            return Times(numbers, "days as year, month and day", (span[0], span[1]))
    units = {own for number in (first, last) if (own := _unit(number, number))}
    if len(units) > 1:
        return Times(numbers, f"numbers of {' and '.join(sorted(units))} mixed", None)
    return Times(numbers, "numbers of no known unit", None)


def _unit(first: float, last: float) -> str | None:
    return next(
        (unit for unit, many in _UNITS.items() if _FIRST * many <= first and last <= _LAST * many),
        None,
    )


def _span(numbers: np.ndarray, unit: str) -> tuple[str, str]:
    scale = 10**9 // _UNITS[unit]
    ends = (int(float(end) * scale) if unit != "ns" else int(end) for end in
            (numbers.min(), numbers.max()))  # fmt: skip
    first, last = (
        str(pd.Timestamp(end, unit="ns").floor("s")).replace(" 00:00:00", "") for end in ends
    )
    return first, last
