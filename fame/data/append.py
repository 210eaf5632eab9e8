"""What newer clicks change in a set that is kept: which of them it has already, and its catalogue.

Shapes: ``N`` rows of a log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fame.data.catalogue import FacetKind, facet_columns
from fame.data.columns import listed
from fame.data.histories import encode
from fame.data.own_items import OwnItems
from fame.data.readers import Log
from fame.errors import DataError

ALREADY = "in the set already"  # the reason why a row of an overlapping export is dropped
_SHOWN = 5  # changed values that are told one by one


@dataclass(frozen=True)
class Appended:
    """What an append did; it is told, and kept with the set.

    Attributes:
        file: The name of the file.
        form: What it was taken for.
        rows: Interactions read; ``rows == kept + sum of the dropped``.
        dropped: By reason, as in :class:`fame.data.report.ImportReport`.
        returned: Interactions of earlier files that ``--core`` had left out and that are in now.
        columns: The columns that were read, by role.
        ignored: The columns that were not.
        times: What times were written as, the first and the last; ``None`` without times.
        older: ``{"rows", "people"}``: kept clicks from before the last one that the set had of
            their person; ``None`` without times.
        people: Histories that are new in the set.
        items: Items that are new in it; ``untitled`` of them have no title.
        changed: ``{"items": how many, "first": [{"item", "column", "from", "to"}]}``: items that
            the set knew and of which the catalogue says something else now.
        was: The fingerprint before.
        notes: Sentences on what else was done.
    """

    file: str
    form: str
    rows: int
    kept: int
    dropped: Mapping[str, Mapping[str, Any]]
    returned: int
    columns: Mapping[str, str | None]
    ignored: Sequence[str]
    times: Mapping[str, Any] | None
    older: Mapping[str, int] | None
    people: int
    items: int
    untitled: int
    changed: Mapping[str, Any]
    was: str
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def text_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as text, each distinct one once: those of two files may be numbers and words."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    values = pa.array(map(str, encoded.dictionary.to_pylist()), pa.large_string())
    codes = encoded.indices.cast(pa.int32())
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, values)])


def taken(log: Log, rows: np.ndarray) -> Log:
    """Some rows of a log, in their order."""
    index = pa.array(rows)
    times = None if log.times is None else log.times[rows]
    return Log(log.users.take(index), log.items.take(index), times)


def joined(before: Log, after: Log) -> Log:
    """Two logs, one behind the other; both have times or neither has."""
    users, items = (
        pa.chunked_array([*first.chunks, *second.chunks]).unify_dictionaries()
        for first, second in ((before.users, after.users), (before.items, after.items))
    )
    times = None
    if before.times is not None and after.times is not None:
        times = np.concatenate([before.times, after.times])
    return Log(users, items, times)


def in_one_unit(
    before: np.ndarray, second: int | None, after: np.ndarray, other: int | None
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Times of two files as numbers that can be compared: both, and how many make a second.

    The finer unit is taken, so that nothing is rounded.

    Args:
        second: How many of ``before`` make a second, and ``other`` of ``after``; ``None`` where
            nobody knows: then the numbers are compared as they are.
    """
    if second and other and second != other:
        finer = max(second, other)
        before, after = _finer(before, finer // second), _finer(after, finer // other)
        second = finer
    if before.dtype != after.dtype:
        exact = all(np.abs(own).max(initial=0) < 2**53 for own in (before, after))
        common = np.float64 if exact else np.int64
        before, after = before.astype(common), after.astype(common)
    return before, after, second


def _finer(times: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return times
    if np.issubdtype(times.dtype, np.integer):
        return times.astype(np.int64) * factor
    return np.rint(times * factor).astype(np.int64)


def already_there(whole: Log, stored: int) -> np.ndarray:
    """``(N - stored,)`` which rows behind the first ``stored`` say what one of those says.

    That is person, item and time. Where a click stands in the set once and twice in a newer export,
    the second one is new: of equal rows as many are there already as the set has.

    Args:
        whole: With times; those of the set first.
    """
    assert whole.times is not None, "without times a row says no when"
    (users, _), (items, _) = encode(whole.users), encode(whole.items)
    concerned = np.zeros(users.max(initial=0) + 1, dtype=bool)
    concerned[users[stored:]] = True
    rows = np.concatenate(
        [np.flatnonzero(concerned[users[:stored]]), np.arange(stored, len(users))]
    )
    columns = (users[rows], items[rows], whole.times[rows])
    order = np.lexsort((rows, *columns))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = np.any([own[order][1:] != own[order][:-1] for own in columns], axis=0)
    group, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    rows = rows[order]
    is_new = rows >= stored
    had = np.bincount(group[~is_new], minlength=len(first))
    place = np.arange(len(rows)) - first[group]  # those of the set stand first
    again = np.zeros(len(users) - stored, dtype=bool)
    again[rows[is_new & (place < 2 * had[group])] - stored] = True
    return again


def begins_anew(whole: Log, stored: int) -> int:
    """How many people's newer rows begin with all that the set has of them; 0 unless all's do.

    Without times that is all there is to know a whole export by. One click that is repeated says
    nothing yet.
    """
    (users, _), (items, _) = encode(whole.users), encode(whole.items)
    order = np.argsort(users, kind="stable")  # those of the set first
    ends = np.cumsum(np.bincount(users))
    counts = np.bincount(users[:stored], minlength=len(ends))
    people, longest = 0, 0
    for user in np.unique(users[stored:]).tolist():
        own = items[order[ends[user - 1] if user else 0 : ends[user]]]
        old, new = own[: counts[user]], own[counts[user] :]
        if not len(old):
            continue
        if len(new) < len(old) or (new[: len(old)] != old).any():
            return 0
        people, longest = people + 1, max(longest, len(old))
    return people if longest > 1 else 0


def older_clicks(whole: Log, stored: int, kept: np.ndarray) -> dict[str, int]:
    """Clicks behind the first ``stored`` from before their person's last one in those.

    Args:
        whole: With times.
        kept: ``(N - stored,)`` which rows count.
    """
    assert whole.times is not None, "without times nothing is older"
    users, ids = encode(whole.users)
    order = np.lexsort((whole.times[:stored], users[:stored]))
    last = np.zeros(len(ids), dtype=whole.times.dtype)
    last[users[:stored][order]] = whole.times[:stored][order]  # the last one written stays
    known = np.bincount(users[:stored], minlength=len(ids)) > 0
    own = users[stored:]
    older = kept & known[own] & (whole.times[stored:] < last[own])
    return {"rows": int(older.sum()), "people": len(np.unique(own[older]))}


def grown_catalogue(
    before: pd.DataFrame | None, own: OwnItems | None, items: Collection[str]
) -> tuple[pd.DataFrame | None, dict[str, Any], list[str]]:
    """A set's catalogue with what a newer one says, what it changed, and what there is to tell.

    What the newer one leaves empty stays as it was.

    Args:
        before: What the set has, ``None`` where it has none.
        own: The newer one.
        items: Ids of the set's items, of which changes are told.

    Raises:
        DataError: where a column holds another kind of values than before.
    """
    changed: dict[str, Any] = {"items": 0, "first": []}
    if own is None or before is None:
        return before if own is None else own.frame, changed, []
    kinds, theirs = facet_columns(before), facet_columns(own.frame)
    after = own.frame.copy()
    for name, kind in kinds.items():
        if name in theirs and theirs[name] != kind:
            after[name] = _as_kind(after[name], theirs[name], kind, f"{own.label}: column {name!r}")
    notes = []
    if lacking := [name for name in kinds if name not in theirs]:
        notes.append(f"{own.label} does not say {listed(lacking)}, so new items have none of it")
    if added := [name for name in theirs if name not in kinds]:
        notes.append(f"new in the catalogue: {listed(added)}, of which other items have nothing")
    old, new = (
        {name: dict(zip(frame["item_id"], frame[name], strict=True)) for name in frame.columns}
        for frame in (before, after)
    )
    told = set(items) & old["item_id"].keys()
    touched: set[str] = set()
    whole = pd.DataFrame({"item_id": list(old["item_id"] | new["item_id"])}, dtype="string")
    for name in ("title", *kinds, *added):
        values = old.get(name, {})
        for item, says in new.get(name, {}).items():
            if _none(says):
                continue
            if item in told and name not in added and not _same(values[item], says):
                touched.add(item)
                if len(changed["first"]) < _SHOWN:
                    one = {"item": item, "column": name}
                    changed["first"].append(
                        {**one, "from": _plain(values[item]), "to": _plain(says)}
                    )
            values[item] = says
        kind = "category" if name == "title" else kinds.get(name) or theirs[name]
        whole[name] = _column([values.get(item) for item in whole["item_id"]], kind)
    return whole, {**changed, "items": len(touched)}, notes


def _none(value: Any) -> bool:
    return not len(value) if isinstance(value, list) else value is None or bool(pd.isna(value))


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, list):
        return set(old) == set(new)
    return not _none(old) and bool(old == new)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if _none(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _column(values: list[Any], kind: FacetKind) -> Any:
    if kind == "list":
        return [[] if value is None else value for value in values]
    present = [None if _none(value) else value for value in values]
    if kind == "number":
        return pd.Series(present, dtype="Float64").convert_dtypes()
    return pd.array(present, dtype="string")


def _as_kind(column: pd.Series, kind: FacetKind, wanted: FacetKind, where: str) -> pd.Series:
    """A facet of few items as the kind that it has for all: few may all be numbers by chance."""
    if wanted == "list":
        values = [[] if _none(value) else [_text(value)] for value in column]
        return pd.Series(values, index=column.index)
    if kind == "list":
        raise DataError(
            f"{where} holds several values an item, and in the set it holds one; write one, or "
            "import all clicks anew with the whole catalogue."
        )
    if wanted == "category":
        texts = [None if _none(value) else _text(value) for value in column]
        return pd.Series(pd.array(texts, dtype="string"), index=column.index)
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & ~column.isna()]
    if len(wrong):
        raise DataError(
            f"{where} has {str(wrong.iloc[0])[:40]!r}, and in the set it holds numbers; mend it, "
            "or import all clicks anew with the whole catalogue."
        )
    return numbers


def _text(value: Any) -> str:
    """A value as text; 1995 where a table has 1995.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
