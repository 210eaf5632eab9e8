"""Splits, windows and batches against plain Python lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.sequences import (
    HeldOut,
    Interactions,
    Windows,
    bucketed_batches,
    gather_padded,
    held_out,
    held_out_batches,
    training_prefixes,
    training_windows,
)
from fame.errors import DataError

histories = st.lists(st.lists(st.integers(1, 9), max_size=40), min_size=1, max_size=8)


def interactions(lists: list[list[int]]) -> Interactions:
    lengths = [len(items) for items in lists]
    return Interactions(
        name="made-up",
        user_ids=np.array([f"u{n}" for n in range(len(lists))]),
        item_ids=np.array(["", *map(str, range(1, 10))]),
        items=np.array([item for items in lists for item in items], dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
    )


def places(windows: Windows) -> list[int]:
    """Where in ``items`` the targets of all windows stand."""
    pairs = zip(windows.starts, windows.lengths, strict=True)
    return [int(start + step + 1) for start, length in pairs for step in range(length)]


def training_targets(data: Interactions) -> list[int]:
    ends = zip(data.offsets[:-1], data.offsets[1:], strict=True)
    return [place for begin, end in ends for place in range(begin + 1, end - 2)]


def test_interactions_know_their_people() -> None:
    data = interactions([[1, 2, 3, 4], [], [5]])
    assert (len(data), data.num_items) == (3, 9)
    assert data.sequence(0).tolist() == [1, 2, 3, 4]
    assert data.user_index("u2") == 2
    with pytest.raises(DataError, match=r"no user 'nobody'.*3 users.*u0"):
        data.user_index("nobody")


def test_what_does_not_fit_together_is_refused() -> None:
    ids, none = np.array(["", "a"]), np.array([], dtype=np.int32)
    with pytest.raises(ValueError, match="padding"):
        Interactions("x", none, np.array(["a"]), none, np.array([0]))
    with pytest.raises(ValueError, match="offsets"):
        Interactions("x", none, ids, np.array([1]), np.array([0]))


def test_split_user_holds_back_the_last_items() -> None:
    data = interactions([[1, 2, 3, 4]])
    history, target = data.split_user(0, "test")
    assert (history.tolist(), target) == ([1, 2, 3], 4)
    history, target = data.split_user(0, "valid")
    assert (history.tolist(), target) == ([1, 2], 3)


@pytest.mark.parametrize(
    ("length", "split", "words"),
    [(0, "test", "0 interactions"), (1, "test", "1 interaction;"), (2, "valid", "2 interactions")],
)
def test_split_user_names_who_has_too_few(length: int, split: str, words: str) -> None:
    with pytest.raises(DataError, match=f"'u0'.*{words}.*{split}"):
        interactions([[1] * length]).split_user(0, split)  # type: ignore[arg-type]


@given(histories)
def test_held_out_is_split_user_for_everybody(lists: list[list[int]]) -> None:
    data = interactions(lists)
    for split, needed in (("valid", 3), ("test", 2)):
        examples = held_out(data, split)  # type: ignore[arg-type]
        assert examples.users.tolist() == [u for u, one in enumerate(lists) if len(one) >= needed]
        for i, user in enumerate(examples.users):
            history, target = data.split_user(user, split)  # type: ignore[arg-type]
            assert data.items[examples.starts[i] : examples.ends[i]].tolist() == history.tolist()
            assert examples.targets[i] == target


def test_train_counts_leave_out_the_last_two() -> None:
    counts = interactions([[1, 1, 2, 3, 3], [4, 5], [6]]).train_counts
    assert counts.tolist() == [0, 2, 1, 0, 0, 0, 0, 0, 0, 0]


@given(histories)
def test_train_counts_are_those_of_a_plain_count(lists: list[list[int]]) -> None:
    clicks = [item for items in lists for item in items[:-2]]
    counts = interactions(lists).train_counts
    assert counts.tolist() == [clicks.count(item) for item in range(10)]


def test_equal_histories_have_equal_fingerprints() -> None:
    base = interactions([[1, 2], [3]])
    assert base.fingerprint == interactions([[1, 2], [3]]).fingerprint
    others = [[[2, 1], [3]], [[1], [2, 3]], [[1, 2, 3], []], [[1, 2], [3], []]]
    assert base.fingerprint not in {interactions(lists).fingerprint for lists in others}


def test_the_same_clicks_of_others_or_on_others_have_another_fingerprint() -> None:
    base = interactions([[1, 2], [3]])
    people, items = base.user_ids.copy(), base.item_ids.copy()
    people[1], items[3] = "somebody", "something"
    other = [replace(base, user_ids=people), replace(base, item_ids=items)]
    assert len({data.fingerprint for data in (base, *other)}) == 3


@given(histories, st.integers(1, 7), st.none() | st.integers(0, 99))
def test_every_target_lies_in_exactly_one_window(
    lists: list[list[int]], max_length: int, seed: int | None
) -> None:
    data = interactions(lists)
    rng = None if seed is None else np.random.default_rng(seed)
    windows = training_windows(data, max_length, rng)
    assert sorted(places(windows)) == training_targets(data)
    assert windows.targets == len(places(windows))
    assert ((windows.lengths >= 1) & (windows.lengths <= max_length)).all()
    # A window and its last target belong to one person.
    owner = np.searchsorted(data.offsets, windows.starts, side="right")
    last = np.searchsorted(data.offsets, windows.starts + windows.lengths, side="right")
    assert (owner == last).all()


@given(histories, st.integers(1, 7))
def test_every_target_is_once_a_prefix_of_its_own(lists: list[list[int]], longest: int) -> None:
    data = interactions(lists)
    prefixes = training_prefixes(data, longest)
    pairs = [
        (data.items[start : start + length].tolist(), int(data.items[start + length]))
        for start, length in zip(prefixes.starts, prefixes.lengths, strict=True)
    ]
    assert pairs == [
        (items[max(end - longest, 0) : end], items[end])
        for items in lists
        for end in range(1, len(items) - 2)
    ]
    assert prefixes.targets == len(pairs)


def test_without_a_draw_the_short_window_comes_first() -> None:
    windows = training_windows(interactions([[1] * 13]), 4)  # 10 targets
    assert (windows.starts.tolist(), windows.lengths.tolist()) == ([0, 2, 6], [2, 4, 4])


def test_the_random_cut_differs_from_epoch_to_epoch_and_follows_the_seed() -> None:
    data = interactions([[1] * 33] * 5)
    one, other = (training_windows(data, 8, np.random.default_rng(seed)) for seed in (0, 1))
    again = training_windows(data, 8, np.random.default_rng(0))
    assert one.starts.tolist() == again.starts.tolist()
    assert one.starts.tolist() != other.starts.tolist()


def test_a_long_history_is_cut_at_random_and_a_short_one_never() -> None:
    """Its first window has every length up to the longest, each as often as the others."""
    long, short = [[1] * 20] * 2000, [[1] * 7] * 50  # 17 targets, and 4
    data = interactions(long + short)
    windows = training_windows(data, 4, np.random.default_rng(0))
    first = windows.lengths[np.isin(windows.starts, data.offsets[:-1])]
    assert first[2000:].tolist() == [4] * 50
    counts = np.bincount(first[:2000], minlength=5)
    assert counts[0] == 0 and len(counts) == 5
    assert abs(counts[1:] - 500).max() < 4 * (2000 * 1 / 4 * 3 / 4) ** 0.5  # binomial


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(1, 9), st.integers(1, 4))
def test_batches_hold_every_window_once(lengths: list[int], size: int, pool: int) -> None:
    windows = Windows(np.zeros(len(lengths), dtype=np.int64), np.array(lengths, dtype=np.int64))
    batches = bucketed_batches(windows, size, np.random.default_rng(0), pool=pool)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)


def test_batches_hold_windows_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 51, size=2048)
    windows = Windows(np.zeros_like(lengths), lengths)
    batches = bucketed_batches(windows, 64, np.random.default_rng(1))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_any_window_meets_any_other_in_a_batch() -> None:
    """Neighbours, who in a file are often alike, share a batch no more often than by chance."""
    lengths = np.full(4096, 7, dtype=np.int64)
    windows = Windows(np.zeros_like(lengths), lengths)
    batches = bucketed_batches(windows, 32, np.random.default_rng(0), pool=4)
    batch_of = np.empty(len(windows), dtype=np.int64)
    for number, batch in enumerate(batches):
        batch_of[batch] = number
    together = int((batch_of[:-1] == batch_of[1:]).sum())
    expected = 4095 * 31 / 4095  # each has 31 of the other 4,095 beside it
    assert abs(together - expected) < 4 * expected**0.5  # a count of rare events
    # Pools mix too: the first one is not the first 128 windows.
    assert batch_of.reshape(32, 128).std(1).min() > 25  # 37 where any batch is as likely


def test_a_batch_is_of_like_and_not_of_equal_length() -> None:
    """Sorted over a whole epoch, windows of one length would meet only one another."""
    lengths = np.random.default_rng(0).integers(1, 51, size=4096)
    windows = Windows(np.zeros_like(lengths), lengths)
    batches = bucketed_batches(windows, 32, np.random.default_rng(1))
    # Of 512 windows in a pool about 10 have the same length, of all 4,096 about 82.
    assert 3 < np.mean([len(set(lengths[batch])) for batch in batches]) < 8


def test_batches_come_in_no_order_of_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 51, size=4096)
    windows = Windows(np.zeros_like(lengths), lengths)
    batches = bucketed_batches(windows, 32, np.random.default_rng(1), pool=128)
    means = [lengths[batch].mean() for batch in batches]
    # Of 128 draws without an order the correlation has a standard deviation of 1 / sqrt(127).
    assert abs(np.corrcoef(means, np.arange(128))[0, 1]) < 4 / 127**0.5


@settings(max_examples=50)
@given(st.lists(st.integers(1, 99), min_size=1, max_size=30), st.data())
def test_gather_pads_on_the_right(items: list[int], data: st.DataObject) -> None:
    starts = data.draw(st.lists(st.integers(0, len(items) - 1), max_size=6))
    lengths = [data.draw(st.integers(0, len(items) - start)) for start in starts]
    rows = gather_padded(np.array(items), np.array(starts, dtype=int), np.array(lengths, dtype=int))
    assert rows.dtype == np.int64
    assert rows.shape == (len(starts), max(lengths, default=0))
    for row, start, length in zip(rows.tolist(), starts, lengths, strict=True):
        assert row == items[start : start + length] + [0] * (len(row) - length)


def test_held_out_batches_read_the_last_clicks_of_everybody() -> None:
    data = interactions([[1, 2, 3, 4, 5, 6], [7, 8], [9, 1, 2]])
    examples = held_out(data, "test")
    inputs = {
        int(index): row[row > 0].tolist()
        for indices, rows in held_out_batches(data, examples, max_length=3, batch_size=2)
        for index, row in zip(indices, rows, strict=True)
    }
    assert inputs == {0: [3, 4, 5], 1: [7], 2: [9, 1]}


def test_held_out_of_nobody_is_empty() -> None:
    data = interactions([[1]])
    examples = held_out(data, "test")
    assert isinstance(examples, HeldOut)
    assert len(examples) == 0
    assert list(held_out_batches(data, examples, 3, 2)) == []
