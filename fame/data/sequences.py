"""Interaction histories in flat arrays, and how they are split, windowed and batched.

Shapes: ``U`` users · ``N`` interactions · ``V`` items with the padding id 0 · ``W`` windows ·
``B`` batch · ``T`` positions. Nothing here holds a Python list per user, so twenty million
interactions cost two arrays (and, where each is a sample of its own, some more while they are
shuffled).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from fame.errors import DataError

Split = Literal["valid", "test"]
# Whether what a person has had may be recommended to them again.
Repeats = Literal["exclude", "recommend"]

# How many interactions at a person's end stand outside the history that a split reads.
_HELD_BACK: dict[str, int] = {"valid": 2, "test": 1}


def places(lengths: np.ndarray) -> np.ndarray:
    """``0 .. n - 1`` for every n in ``lengths``, one after the other, as one flat array."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


@dataclass(frozen=True)
class Interactions:
    """Histories of all people in a data set, oldest click first.

    Args:
        name: The data set's name.
        user_ids: ``(U,)`` the data set's own user ids, as strings.
        item_ids: ``(V,)`` the data set's own item ids, as strings; entry 0 is ``""``, the padding.
        items: ``(N,)`` int32 item indices in ``1 .. V - 1``, one person after the other.
        offsets: ``(U + 1,)`` int64; person ``u`` owns ``items[offsets[u]:offsets[u + 1]]``.
        filters: What was filtered and how ties were ordered, in words; part of the protocol.
        repeats: Whether the items of a person's history are candidates for what comes next
            (:mod:`fame.ranking`); part of the protocol. Films and products are chosen once,
            places and songs again and again.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    items: np.ndarray
    offsets: np.ndarray
    filters: str = "none"
    repeats: Repeats = "exclude"

    def __post_init__(self) -> None:
        if len(self.item_ids) == 0 or self.item_ids[0] != "":
            raise ValueError("item_ids[0] must be the empty id of the padding")
        if len(self.offsets) != len(self.user_ids) + 1 or self.offsets[-1] != len(self.items):
            raise ValueError("offsets do not describe items")

    def __len__(self) -> int:
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """Items in the catalogue, padding not counted."""
        return len(self.item_ids) - 1

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids and sequences: equal exactly when the histories are equal."""
        digest = hashlib.sha256()
        for ids in (self.user_ids, self.item_ids):
            digest.update("\n".join(ids.tolist()).encode())
            digest.update(b"\0")
        digest.update(np.ascontiguousarray(self.offsets, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.items, dtype="<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def _user_index(self) -> dict[str, int]:
        return {user: index for index, user in enumerate(self.user_ids.tolist())}

    def user_index(self, user_id: str) -> int:
        """Index of a user id; ``DataError`` where nobody has it."""
        index = self._user_index.get(str(user_id))
        if index is None:
            examples = ", ".join(self.user_ids[:3].tolist())
            raise DataError(
                f"Data set {self.name!r} has no user {str(user_id)!r}; its {len(self):,} users "
                f"have ids like {examples}."
            )
        return index

    def sequence(self, user: int) -> np.ndarray:
        """Everything person ``user`` (an index) did, oldest first: a view, ``(n,)``."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def split_user(self, user: int, split: Split = "test") -> tuple[np.ndarray, int]:
        """History and target of one person: ``((n,), item)``.

        Raises:
            DataError: where the person has too few clicks to have both.
        """
        sequence = self.sequence(user)
        held_back = _HELD_BACK[split]
        if len(sequence) <= held_back:
            raise DataError(
                f"User {self.user_ids[user]!r} of {self.name!r} has {len(sequence)} interaction"
                f"{'s' * (len(sequence) != 1)}; the {split} split needs at least {held_back + 1}: "
                "a history and the item that follows it."
            )
        end = len(sequence) - held_back
        return sequence[:end], int(sequence[end])

    @cached_property
    def train_counts(self) -> np.ndarray:
        """``(V,)`` how often each item stands in the training part: all but the last two."""
        lengths, V = np.diff(self.offsets), len(self.item_ids)
        counts = np.bincount(self.items, minlength=V)
        for last in (1, 2):  # taken away: marking all other clicks would cost arrays of all
            ends = self.offsets[1:][lengths >= last]
            counts -= np.bincount(self.items[ends - last], minlength=V)
        return counts


@dataclass(frozen=True)
class HeldOut:
    """The examples of one leave-one-out split: one history and one target a person.

    ``users``, ``starts``, ``ends``, ``targets`` are ``(n,)``; the history of example ``i`` is
    ``items[starts[i]:ends[i]]`` of the interactions it was made from.
    """

    users: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


def repeated_targets(data: Interactions, examples: HeldOut) -> np.ndarray:
    """``(n,)`` bool: which targets stand in their own history already."""
    sought = np.zeros(len(data), dtype=np.int32)  # 0 is no item: nobody else's clicks are it
    sought[examples.users] = examples.targets
    found = np.flatnonzero(data.items == np.repeat(sought, np.diff(data.offsets)))
    owners = np.searchsorted(data.offsets, found, side="right") - 1
    ends = np.zeros(len(data), dtype=np.int64)
    ends[examples.users] = examples.ends
    repeated = np.zeros(len(data), dtype=bool)
    repeated[owners[found < ends[owners]]] = True
    return repeated[examples.users]


def held_out(data: Interactions, split: Split) -> HeldOut:
    """Every person with a history and a target in ``split``; the others are left out."""
    held_back = _HELD_BACK[split]
    users = np.flatnonzero(np.diff(data.offsets) > held_back)
    starts, ends = data.offsets[users], data.offsets[users + 1] - held_back
    return HeldOut(users, starts, ends, data.items[ends].astype(np.int64))


@dataclass(frozen=True)
class Windows:
    """Training windows: inputs ``items[start:start + length]``, targets one click later.

    ``starts`` and ``lengths`` are ``(W,)`` int64. With ``last_only`` a window's only target is the
    click that follows its last one.
    """

    starts: np.ndarray
    lengths: np.ndarray
    last_only: bool = False

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def targets(self) -> int:
        """Number of targets in all windows."""
        return self.targets_of(slice(None))

    def targets_of(self, index: np.ndarray | slice) -> int:
        """Number of targets in some of the windows."""
        lengths = self.lengths[index]
        return len(lengths) if self.last_only else int(lengths.sum())


def training_windows(
    data: Interactions, max_length: int, rng: np.random.Generator | None = None
) -> Windows:
    """Cuts every training history so that **every** target occurs exactly once.

    A history no longer than ``max_length`` is one window. A longer one is cut into windows of
    ``max_length``, with one shorter window at its beginning; where ``rng`` is given the length of
    that first window is drawn anew, so that over the epochs a target sees contexts of all lengths.
    """
    lengths = np.maximum(np.diff(data.offsets) - 3, 0)  # all but the first and last two
    owners = np.flatnonzero(lengths)
    lengths = lengths[owners]
    first = lengths - (lengths - 1) // max_length * max_length  # in 1 .. max_length
    if rng is not None:
        drawn = rng.integers(1, max_length + 1, size=len(lengths))
        first = np.where(lengths > max_length, drawn, first)
    counts = 1 + -(-(lengths - first) // max_length)
    owner = np.repeat(np.arange(len(owners)), counts)
    place = places(counts)
    begin = np.where(place == 0, 0, first[owner] + (place - 1) * max_length)
    end = np.minimum(first[owner] + place * max_length, lengths[owner])
    return Windows(data.offsets[owners[owner]] + begin, end - begin)


def training_prefixes(data: Interactions, max_length: int) -> Windows:
    """Every target of every training history by itself, after the ``max_length`` clicks before it.

    The targets are those of :func:`training_windows`.
    """
    counts = np.maximum(np.diff(data.offsets) - 3, 0)
    before = places(counts) + 1  # clicks before each target
    lengths = np.minimum(before, max_length)
    starts = np.repeat(data.offsets[:-1], counts) + before - lengths
    return Windows(starts, lengths, last_only=True)


def bucketed_batches(
    windows: Windows, batch_size: int, rng: np.random.Generator, *, pool: int = 16
) -> list[np.ndarray]:
    """Shuffled batches of windows of similar length, so that hardly a position is padding.

    Windows are shuffled, taken ``pool`` batches at a time, sorted by length inside that pool and
    cut into batches, and the batches are shuffled: lengths are alike within a batch, while which
    windows meet in it stays random. Returns index arrays into ``windows``.
    """
    order = rng.permutation(len(windows))
    batches: list[np.ndarray] = []
    for begin in range(0, len(order), pool * batch_size):
        block = order[begin : begin + pool * batch_size]
        block = block[np.argsort(windows.lengths[block], kind="stable")]
        batches += [block[i : i + batch_size] for i in range(0, len(block), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def gather_padded(items: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``(B, max(lengths))`` int64: slices of ``items``, padded with 0 **on the right**.

    Right padding under a causal mask needs no padding mask: no real position looks to its right.
    """
    width = int(lengths.max()) if len(lengths) else 0
    place = np.arange(width)
    inside = place < lengths[:, None]
    index = np.where(inside, starts[:, None] + place, 0)
    return np.where(inside, items[index], 0).astype(np.int64)


def held_out_batches(
    data: Interactions, examples: HeldOut, max_length: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of evaluation examples by length: ``(indices (B,), inputs (B, T))``.

    A model reads the last ``max_length`` clicks of a history.
    """
    seen = np.minimum(examples.ends - examples.starts, max_length)
    order = np.argsort(seen, kind="stable")
    for begin in range(0, len(order), batch_size):
        index = order[begin : begin + batch_size]
        yield index, gather_padded(data.items, examples.ends[index] - seen[index], seen[index])
