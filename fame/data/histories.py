"""From a log to histories: the k-core filter, the order of time, and the numbering of ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fame.data.readers import Log
from fame.data.sequences import Interactions
from fame.errors import DataError


def build_histories(name: str, log: Log, *, core: int, filters: str) -> Interactions:
    """Orders and numbers the interactions of a log.

    A person's clicks stand in order of time, equal times in the order of the file. Users and items
    are numbered by their ids: as numbers where all of them are digits, else as text.

    Args:
        name: The data set's name.
        log: The interactions as their file holds them.
        core: Users and items with fewer interactions are dropped until none is left; 0 keeps all.
        filters: What that means in words; kept with the interactions.

    Raises:
        DataError: where the filter leaves nothing.
    """
    users, user_ids = _encode(log.users)
    items, item_ids = _encode(log.items)
    times = log.times
    if core > 1:
        kept = core_mask(users, items, core)
        if not kept.any():
            raise DataError(
                f"Nothing of {name!r} is left: nobody has {core} interactions with items that have "
                f"{core} interactions themselves."
            )
        users, items = users[kept], items[kept]
        times = None if times is None else times[kept]
    items = items[_by_user_and_time(users, times)]
    counts = np.bincount(users, minlength=len(user_ids))
    has_history = counts > 0
    is_clicked = np.bincount(items, minlength=len(item_ids)) > 0
    number = np.cumsum(is_clicked, dtype=np.int32)  # 1 for the first item that is left, and so on
    return Interactions(
        name=name,
        user_ids=user_ids[has_history],
        item_ids=np.concatenate([[""], item_ids[is_clicked]]),
        items=number[items],
        offsets=np.concatenate([[0], np.cumsum(counts[has_history])]),
        filters=filters,
    )


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


def _encode(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
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
