"""An epoch's batches: shared out without loss, in order, made ahead and no further."""

import threading
from functools import partial

import numpy as np
import pytest
import torch

from fame.data.sequences import bucketed_batches, training_prefixes, training_windows
from fame.training.batches import Batch, batches_on, prefetched, share_of_batch
from tests.tiny import interactions_of


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 20, size=40)
    return interactions_of([rng.integers(1, 9, length).tolist() for length in lengths], 8)


def clicks_and_targets(batch: Batch, *, last_only: bool) -> list[tuple[int, int]]:
    """Every target beside the click before it."""
    if last_only:
        assert batch.target_positions.tolist() == list(range(len(batch.target)))
        if not len(batch.target):
            return []
        last = (batch.items != 0).sum(1) - 1
        clicks = batch.items.gather(1, last[:, None])[:, 0].tolist()
    else:
        clicks = batch.items.flatten()[batch.target_positions].tolist()
    return list(zip(clicks, batch.target.tolist(), strict=True))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("samples", [training_windows, training_prefixes])
def test_the_shares_of_all_processes_are_the_batch(data, samples, count):
    windows = samples(data, 8)
    for index in bucketed_batches(windows, 16, np.random.default_rng(2)):
        whole = share_of_batch(data, windows, index)
        shares = [
            share_of_batch(data, windows, index, rank=rank, count=count) for rank in range(count)
        ]
        pairs_of = partial(clicks_and_targets, last_only=windows.last_only)
        together = [pair for share in shares for pair in pairs_of(share)]
        assert sorted(together) == sorted(pairs_of(whole))
        assert {share.targets for share in shares} == {len(together)}
        sizes = [len(share.items) for share in shares if len(share.target)]
        assert max(sizes) - min(sizes) <= 1


def test_targets_are_the_next_clicks(data):
    windows = training_windows(data, 8)
    batch = share_of_batch(data, windows, np.array([3, 0]))
    for row, window in enumerate([3, 0]):
        start, length = windows.starts[window], windows.lengths[window]
        clicks = data.items[start : start + length + 1]
        assert batch.items[row].tolist() == [*clicks[:-1], *[0] * (batch.items.shape[1] - length)]
        here = (batch.target_positions // batch.items.shape[1] == row).numpy()
        assert batch.target.numpy()[here].tolist() == (clicks[1:] - 1).tolist()


def test_the_target_of_a_prefix_is_the_click_after_it(data):
    prefixes = training_prefixes(data, 8)
    batch = share_of_batch(data, prefixes, np.array([30, 4, 17]))
    assert batch.target_positions.tolist() == [0, 1, 2] and batch.targets == 3
    for row, prefix in enumerate([30, 4, 17]):
        start, length = prefixes.starts[prefix], prefixes.lengths[prefix]
        assert batch.items[row, :length].tolist() == data.items[start : start + length].tolist()
        assert batch.target[row] == data.items[start + length] - 1
    nobody = share_of_batch(data, prefixes, np.array([5]), rank=1, count=2)
    assert nobody.items.tolist() == [[0]] and len(nobody.target) == 0 and nobody.targets == 1


def test_a_process_without_a_window_takes_part_and_adds_nothing(data):
    windows = training_windows(data, 8)
    batch = share_of_batch(data, windows, np.array([5]), rank=1, count=2)
    assert batch.items.tolist() == [[0]]
    assert len(batch.target_positions) == len(batch.target) == 0
    assert batch.targets == windows.lengths[5]


def batch_of(index: np.ndarray) -> Batch:
    place = torch.from_numpy(index)
    return Batch(place, place, place, len(index))


def test_a_thread_makes_batches_in_order_and_only_so_far_ahead():
    made: list[int] = []

    def make(index: np.ndarray) -> Batch:
        made.append(int(index[0]))
        assert threading.current_thread() is not threading.main_thread()
        return batch_of(index)

    plan = [np.array([step]) for step in range(9)]
    taken = []
    for batch in prefetched(make, plan, ahead=2):
        taken.append(int(batch.items[0]))
        assert made == list(range(len(made)))
        assert len(made) <= len(taken) + 2
    assert taken == list(range(9))


def test_a_batch_that_cannot_be_made_is_said_at_its_turn():
    def make(index: np.ndarray) -> Batch:
        if index[0] == 3:
            raise MemoryError("no more pinned memory")
        return batch_of(index)

    taken = []
    with pytest.raises(MemoryError, match="pinned"):
        for batch in prefetched(make, [np.array([step]) for step in range(9)]):
            taken.append(int(batch.items[0]))
    assert taken == [0, 1, 2]


def test_who_leaves_early_leaves_no_thread():
    before = threading.active_count()
    batches = prefetched(batch_of, [np.array([step]) for step in range(100)])
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_on_a_cpu_batches_are_made_when_they_are_needed():
    made = []
    batches = batches_on(
        torch.device("cpu"),
        lambda index: made.append(1) or batch_of(index),
        [np.array([step]) for step in range(5)],
    )
    for taken, batch in enumerate(batches):
        assert batch.items.tolist() == [taken]
        assert len(made) == taken + 1
