"""From a log to histories: the k-core filter, the order of time, and the numbering of ids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from fame.data.readers import Log
from fame.data.sequences import Interactions
from fame.errors import DataError

# Equal times: in the order of the file, or in a random order that the set itself fixes.
Ties = Literal["file", "random"]


@dataclass(frozen=True)
class Counted:
    """What was seen on the way from a log to its histories.

    Attributes:
        tied: Clicks whose person has another click at the same time.
        duplicates: Clicks that say the same as another one: person, item and time.
        dropped: By reason, the rows of the log ``(n,)`` that were left out, ascending.
    """

    tied: int
    duplicates: int
    dropped: dict[str, np.ndarray]


def build_histories(
    name: str, log: Log, *, core: int, filters: str, ties: Ties = "file"
) -> Interactions:
    """Orders and numbers the interactions of a log; see :func:`counted_histories`."""
    return counted_histories(name, log, core=core, filters=filters, ties=ties, count=False)[0]


def by_session(log: Log, gap: float) -> Log:
    """The log with a user for every session: of ``ann`` become ``ann/1``, ``ann/2`` and so on.

    A person's session ends where more than ``gap`` lies between a click and the next one.

    Args:
        log: Interactions with times.
        gap: In the unit of those times.
    """
    assert log.times is not None, "sessions are cut by times"
    users, ids = encode(log.users)
    order = _by_user_and_time(users, log.times)
    owner, when = users[order], log.times[order]
    of_another = np.ones(len(order), dtype=bool)
    of_another[1:] = owner[1:] != owner[:-1]
    # Differences of whole numbers may leave 64 bits; as decimal numbers they are exact enough.
    begins = of_another.copy()
    begins[1:] |= np.diff(when.astype(np.float64)) > gap
    session = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    number = np.arange(len(first)) - np.maximum.accumulate(
        np.where(of_another[first], np.arange(len(first)), 0)
    )
    names = [
        f"{ids[user]}/{own + 1}"
        for user, own in zip(owner[first].tolist(), number.tolist(), strict=True)
    ]
    codes = np.empty(len(order), dtype=np.int32)
    codes[order] = session
    cut = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.large_string()))
    return Log(pa.chunked_array([cut]), log.items, log.times)


def counted_histories(
    name: str,
    log: Log,
    *,
    core: int,
    filters: str,
    ties: Ties,
    dedupe: bool = False,
    count: bool = True,
) -> tuple[Interactions, Counted]:
    """Orders and numbers the interactions of a log, and counts what stands in the way of an order.

    A person's clicks stand in order of time. Users and items are numbered by their ids: as numbers
    where all of them are digits, else as text.

    Args:
        name: The data set's name.
        log: The interactions as their file holds them.
        core: Users and items with fewer interactions are dropped until none is left; 0 keeps all.
        filters: What that means in words; kept with the interactions.
        ties: How equal times of one person are ordered: as in the ``file``, which favours whoever
            knows how the file is sorted, or by a ``random`` order that the ids of the set fix, so
            that it is the same for the same rows in any order.
        dedupe: Keep one of the clicks that say the same: person, item and time.
        count: Whether ties and duplicates are counted; needed for ``random`` and ``dedupe``.

    Raises:
        DataError: where the filter leaves nothing.
    """
    users, user_ids = encode(log.users)
    items, item_ids = encode(log.items)
    times = log.times
    rows = None  # of the log, where some are dropped
    dropped: dict[str, np.ndarray] = {}
    if dedupe and times is not None:
        order = _by_user_and_time(users, times)
        _, again = _tied(users, items, times, order, b"")
        dropped["exact duplicate"] = np.sort(again)
        rows = np.delete(np.arange(len(users)), again)
        users, items, times = users[rows], items[rows], times[rows]
    if core > 1:
        kept = core_mask(users, items, core)
        if not kept.any():
            raise DataError(
                f"Nothing of {name!r} is left: nobody has {core} interactions with items that have "
                f"{core} interactions themselves."
            )
        left_out = np.flatnonzero(~kept)
        dropped[f"not in the {core}-core"] = left_out if rows is None else rows[left_out]
        users, items = users[kept], items[kept]
        times = None if times is None else times[kept]
    order = _by_user_and_time(users, times)
    tied = duplicates = 0
    if count and times is not None:
        seed = _seed(user_ids, item_ids)
        places, again = _tied(users, items, times, order, seed, reorder=ties == "random")
        tied, duplicates = len(places), len(again)
    items = items[order]
    counts = np.bincount(users, minlength=len(user_ids))
    has_history = counts > 0
    is_clicked = np.bincount(items, minlength=len(item_ids)) > 0
    number = np.cumsum(is_clicked, dtype=np.int32)  # 1 for the first item that is left, and so on
    data = Interactions(
        name=name,
        user_ids=user_ids[has_history],
        item_ids=np.concatenate([[""], item_ids[is_clicked]]),
        items=number[items],
        offsets=np.concatenate([[0], np.cumsum(counts[has_history])]),
        filters=filters,
    )
    return data, Counted(tied, duplicates, dropped)


def by_person_and_time(log: Log, ties: Ties) -> np.ndarray:
    """``(N,)`` the rows of a log by person, then in the order of :func:`counted_histories`.

    In that order with ``ties="file"`` a log gives the histories that it gave with ``ties``.
    """
    users, user_ids = encode(log.users)
    order = _by_user_and_time(users, log.times)
    if log.times is not None and ties == "random":
        items, item_ids = encode(log.items)
        _tied(users, items, log.times, order, _seed(user_ids, item_ids), reorder=True)
    return order


def _seed(user_ids: np.ndarray, item_ids: np.ndarray) -> bytes:
    return hashlib.sha256("\n".join([*user_ids, "", *item_ids]).encode()).digest()


def _tied(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    seed: bytes,
    *,
    reorder: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Places in ``order`` of clicks at equal times, and the rows that say what one before says.

    With ``reorder`` the clicks within a tie are put into a random order that depends on person and
    item: one that depends on items alone would put the same item first for everybody, which is what
    a model would learn.
    """
    owner, when = users[order], times[order]
    same = (owner[1:] == owner[:-1]) & (when[1:] == when[:-1])
    is_tied = np.zeros(len(order), dtype=bool)
    is_tied[1:] = same
    is_tied[:-1] |= same
    places = np.flatnonzero(is_tied)
    if not len(places):
        return places, places
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = ~same
    run = np.cumsum(begins)[places]
    rows = order[places]
    keys = _mixed(users[rows], items[rows], seed)
    by_key = np.lexsort((keys, run))
    sorted_rows, keys, run = rows[by_key], keys[by_key], run[by_key]
    again = sorted_rows[1:][(keys[1:] == keys[:-1]) & (run[1:] == run[:-1])]
    if reorder:
        order[places] = sorted_rows
    return places, again


def _mixed(users: np.ndarray, items: np.ndarray, seed: bytes) -> np.ndarray:
    """``(n,)`` uint64 that look random, one of its own for every pair: splitmix64's finaliser."""
    first = np.uint64(int.from_bytes(seed[:8], "little"))
    x = ((users.astype(np.uint64) << np.uint64(32)) | items.astype(np.uint64)) ^ first
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def core_mask(users: np.ndarray, items: np.ndarray, core: int) -> np.ndarray:
    """``(N,)`` which interactions the ``core``-core keeps.

    Every user and every item that is left has at least ``core`` interactions that are left.
    Dropping users leaves items with fewer interactions and the other way round, so it is done until
    nothing changes.
    """
    kept = np.ones(len(users), dtype=bool)
    while True:
        still = kept.copy()
        for ids in (users, items):
            still &= np.bincount(ids[kept], minlength=ids.max(initial=0) + 1)[ids] >= core
        if still.sum() == kept.sum():
            return kept
        kept = still


def _by_user_and_time(users: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    """``(N,)`` places in the log by user, then by time; equal times as they stand in the log."""
    if times is None:
        return np.argsort(users, kind="stable")
    if times.dtype == np.int64:
        first, last = int(times.min()), int(times.max())
        span = last - first + 1
        if (int(users.max()) + 1) * span < 2**63:
            # User and time as one number: twenty million are sorted in half of lexsort's time.
            return np.argsort(users * np.int64(span) + (times - first), kind="stable")
    return np.lexsort((times, users))


def encode(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Codes ``(N,)`` int32 in the order of the ids, and those ids as strings."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    codes = encoded.indices.to_numpy()
    # A dictionary may hold values that no row has.
    used = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    ids = [str(value) for value in encoded.dictionary.take(pa.array(used)).to_pylist()]
    numeric = all(value.isascii() and value.isdigit() for value in ids)
    order = sorted(range(len(ids)), key=lambda i: (int(ids[i]), ids[i]) if numeric else ids[i])
    rank = np.zeros(len(encoded.dictionary), dtype=np.int32)
    rank[used[order]] = np.arange(len(ids), dtype=np.int32)
    return rank[codes], np.array([ids[i] for i in order], dtype=object)
