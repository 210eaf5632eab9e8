"""Popularity and the Markov chain, counted by hand."""

import numpy as np
import pytest
import torch

from fame.baselines import baseline_ranks, markov_scorer, popularity_scorer
from fame.data.sequences import Interactions, held_out
from tests.tiny import interactions_of

NUM_ITEMS = 5
# The last two clicks of each are held back: training has [1 2 3], [2 3 2], [1 2] and [].
HISTORIES = [[1, 2, 3, 4, 5], [2, 3, 2, 3, 4], [1, 2, 3, 1], [5, 4]]
COUNTS = [0, 2, 4, 2, 0, 0]


def data() -> Interactions:
    return interactions_of(HISTORIES, NUM_ITEMS)


def scores_of(scorer, examples: int) -> list[list[float]]:
    return scorer(np.arange(examples), torch.empty(0)).tolist()


def test_popularity_counts_the_training_part_alone():
    assert scores_of(popularity_scorer(data()), 2) == [COUNTS, COUNTS]


def test_markov_counts_what_followed_the_last_click():
    """Test histories end in 4, 3, 3, 5; validation histories in 3, 2, 2."""
    popularity = [count / 9 for count in COUNTS]  # below 1: it only orders what is level

    def with_followers(followers: dict[int, int]) -> list[float]:
        return [popularity[item] + followers.get(item, 0) for item in range(NUM_ITEMS + 1)]

    after_2, after_3, never_left = with_followers({3: 2}), with_followers({2: 1}), popularity
    test = markov_scorer(data(), held_out(data(), "test"))
    expected = [never_left, after_3, after_3, never_left]
    for row, expected_row in zip(scores_of(test, 4), expected, strict=True):
        assert row == pytest.approx(expected_row)
    valid = markov_scorer(data(), held_out(data(), "valid"))
    for row, expected_row in zip(scores_of(valid, 3), [after_3, after_2, after_2], strict=True):
        assert row == pytest.approx(expected_row)


def test_ranks_of_both_by_hand():
    """Ties go against the target, and everything in the history is excluded."""
    ranks = baseline_ranks(data(), "test")
    # Targets 5, 4, 1, 4. Candidates {5}; {1 4 5} with counts 2 0 0, the target level with 5;
    # {1 4 5}, the target best of them though it stands in the history; {1 2 3 4} with 2 4 2 0.
    assert ranks["popularity"].tolist() == [1, 3, 1, 4]
    # The chain saw 2 after 3, which is in both histories that end in 3: popularity decides again.
    assert ranks["markov"].tolist() == [1, 3, 1, 4]


def test_the_chain_knows_what_popularity_does_not():
    """3 follows 2 always, and 5 is the most popular."""
    sequences = [[2, 3, 1, 1], [2, 3, 1, 1], [5, 5, 5, 4, 4], [1, 2, 3]]
    ranks = baseline_ranks(interactions_of(sequences, NUM_ITEMS), "test")
    assert ranks["popularity"][3] == 2  # behind 5, of 3, 4 and 5
    assert ranks["markov"][3] == 1


def test_an_unknown_continuation_is_ranked_by_popularity():
    sequences = [[1, 2, 2, 3, 4], [4, 3]]
    ranks = baseline_ranks(interactions_of(sequences, NUM_ITEMS), "test")
    assert ranks["markov"][1] == ranks["popularity"][1] == 4  # behind 2, 1 and the level 5
