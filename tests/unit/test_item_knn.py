"""Item-kNN against its equations, one pair of items at a time."""

import math

import numpy as np
import pytest

import fame.item_knn
from fame.baselines import item_knn_scorer
from fame.data.sequences import Interactions, held_out
from fame.evaluate import rank_targets
from fame.item_knn import ItemNeighbours
from tests.tiny import interactions_of

V = 13  # with the padding


def made_up(people: int = 40, *, seed: int = 0) -> Interactions:
    """People of 0 to 12 clicks, some of them on the same item again."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 13, people)
    return interactions_of([rng.integers(1, V - 1, n).tolist() for n in lengths], V - 1)


def plain_scores(
    data: Interactions,
    history: list[int],
    *,
    latest: int,
    neighbours: int,
    shrink: float,
    decay: float,
) -> list[float]:
    """The slow twin, without matrices."""
    parts = [data.sequence(user).tolist()[:-2][-latest:] for user in range(len(data))]
    chosen = [set(part) for part in parts if part]

    def product(i: int, j: int) -> float:
        return sum(1 / math.sqrt(len(items)) for items in chosen if i in items and j in items)

    def similarity(i: int, j: int) -> float:
        if not product(i, j):
            return 0.0
        return product(i, j) / (math.sqrt(product(i, i)) * math.sqrt(product(j, j)) + shrink)

    # What stands in the whole training part, also what is too long ago to count a pair.
    trained = [item for user in range(len(data)) for item in data.sequence(user).tolist()[:-2]]
    scores = []
    for j in range(len(data.item_ids)):
        near = sorted(range(len(data.item_ids)), key=lambda i: -similarity(i, j))[:neighbours]
        score = 1e-12 * trained.count(j) / (len(trained) + 1)
        for age, i in enumerate(history[::-1][:latest]):
            score += decay**age * similarity(i, j) * (i in near)
        scores.append(score)
    return scores


@pytest.mark.parametrize(
    "settings",
    [
        {"latest": 50, "neighbours": 200, "shrink": 10.0, "decay": 0.7},
        {"latest": 50, "neighbours": 4, "shrink": 2.0, "decay": 0.5},
        {"latest": 3, "neighbours": 200, "shrink": 0.0, "decay": 1.0},
    ],
)
@pytest.mark.parametrize("cells", [2**22, V])  # all items at a time, and one
def test_scores_are_those_of_the_equations(settings, cells, monkeypatch):
    monkeypatch.setattr(fame.item_knn, "_MOST_CELLS", cells)
    data = made_up()
    histories = [[3], [1, 2, 3, 4, 5, 6], [7, 7, 2], [12], list(range(1, 12))]
    found = ItemNeighbours(data, **settings).scores([np.array(history) for history in histories])
    for row, history in zip(found, histories, strict=True):
        # Only the order of additions differs; popularity alone gives about 1e-13.
        expected = plain_scores(data, history, **settings)
        assert row.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-25)


def test_by_hand():
    """Training parts 1 2, 1 2 and 1 3: an item is near what the same people chose."""
    data = interactions_of([[1, 2, 5, 5], [2, 1, 5, 5], [1, 3, 5, 5]], 5)
    scores = ItemNeighbours(data, shrink=0.0, decay=0.5).scores([np.array([3, 2])])[0]
    # Each person has two items, so that a common factor of 2^(-1/2) falls out of the cosines.
    from_2, from_3 = 2 / math.sqrt(3 * 2), 1 / math.sqrt(3)
    assert scores.tolist() == pytest.approx([0, from_2 + 0.5 * from_3, 1, 0.5, 0, 0], abs=1e-9)


def test_only_the_training_part_is_counted_but_the_whole_history_is_read():
    base = [[1, 2, 3, 4], [2, 1, 3, 4], [5, 3, 4, 6]]
    changed = [[1, 2, 6, 5], [2, 1, 1, 3], [5, 3, 2, 1]]  # the last two clicks of each
    histories = [np.array([1]), np.array([2, 5])]
    expected = ItemNeighbours(interactions_of(base, 6)).scores(histories)
    assert np.array_equal(ItemNeighbours(interactions_of(changed, 6)).scores(histories), expected)
    # 3 is only ever chosen with 5, so of the histories that end in 4 and 3 the latter leads to it.
    data = interactions_of([[5, 3, 1, 1], [5, 3, 1, 1], [2, 4, 3, 5]], 6)
    test = item_knn_scorer(data, held_out(data, "test"))(np.array([2]), None)
    valid = item_knn_scorer(data, held_out(data, "valid"))(np.array([2]), None)
    assert test[0, 5] > 0.1 and valid[0, 5] < 1e-9


def test_a_long_history_outvotes_nobody():
    """Once 1 stands with 2 among 40 others, once with 3 alone."""
    long, short = [1, 2, *range(4, 42), 43, 43], [1, 3, 43, 43]
    scores = ItemNeighbours(interactions_of([long, short], 43)).scores([np.array([1])])[0]
    assert scores[3] > 2 * scores[2] > 0


def test_clicks_before_the_latest_are_neither_counted_nor_read():
    data = interactions_of([[*range(1, 11), 11, 12]] * 3, 12)
    neighbours = ItemNeighbours(data, latest=4)
    assert neighbours.scores([np.array([6])])[0].max() < 1e-11  # but by popularity
    scores = neighbours.scores([np.array([7]), np.array([7, 1, 1, 1, 1])])
    assert scores[0, 8] > 0.1 and scores[1].max() < 1e-11


def test_what_no_neighbour_leads_to_is_ordered_by_popularity():
    data = interactions_of([[1, 2, 6, 6], [3, 4, 6, 6], [4, 6, 6], [5, 4, 6, 6]], 6)
    scores = ItemNeighbours(data).scores([np.array([1])])[0]
    assert scores[2] > scores[4] > scores[3] == scores[5] > scores[6] == 0


def test_of_level_neighbours_the_first_are_kept():
    data = interactions_of([[1, 2, 3, 4, 5, 5]], 5)  # all as similar to one another
    scores = ItemNeighbours(data, neighbours=2).scores([np.array([i]) for i in range(1, 5)])
    assert (scores[:, 1:5] > 1e-3).tolist() == [[True] * 4, [True] * 4, [False] * 4, [False] * 4]


def test_a_data_set_without_a_training_part_gives_a_ranking():
    data = interactions_of([[1, 2], [2, 3]], 3)
    scorer = item_knn_scorer(data, held_out(data, "test"))
    assert rank_targets(scorer, data, "test", max_length=1).tolist() == [2, 2]  # level with another
