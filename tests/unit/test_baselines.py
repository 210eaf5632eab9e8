"""Popularity and the Markov chain, counted by hand; item-kNN has a file of its own."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fame.baselines import (
    CountingBaselines,
    baseline_ranks,
    baselines_beside,
    markov_scorer,
    popularity_scorer,
)
from fame.checkpoint import load_checkpoint, write_description, write_weights
from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Interactions, held_out
from fame.metrics import UNRANKED
from tests.tiny import TINY, TINY_MODELS, TINY_SASREC, interactions_of, random_model

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
    # {4 5}, where 1 is not, so it has no rank; {1 2 3 4} with 2 4 2 0.
    assert ranks["popularity"].tolist() == [1, 3, UNRANKED, 4]
    # The chain saw 2 after 3, which is in both histories that end in 3: popularity decides again.
    assert ranks["markov"].tolist() == [1, 3, UNRANKED, 4]


def test_the_chain_knows_what_popularity_does_not():
    """3 follows 2 always, and 5 is the most popular."""
    sequences = [[2, 3, 1, 1], [2, 3, 1, 1], [5, 5, 5, 4, 4], [1, 2, 3]]  # the last one is ranked
    ranks = baseline_ranks(interactions_of(sequences, NUM_ITEMS), "test")
    assert ranks["popularity"][3] == 2  # behind 5, of 3, 4 and 5
    assert ranks["markov"][3] == 1


def test_in_validation_the_chain_reads_the_click_before_its_own_target():
    """3 follows 2 twice, 5 is more popular, and nothing is known to follow 3."""
    sequences = [[2, 3, 1, 4], [2, 3, 4, 1], [5, 1, 4], [5, 4, 1], [5, 1, 2], [1, 2, 3, 4]]
    ranks = baseline_ranks(interactions_of(sequences, NUM_ITEMS), "valid")
    assert ranks["popularity"][5] == 2  # behind 5, of 3, 4 and 5
    assert ranks["markov"][5] == 1


def test_an_unknown_continuation_is_ranked_by_popularity():
    sequences = [[1, 2, 2, 3, 4], [4, 3]]
    ranks = baseline_ranks(interactions_of(sequences, NUM_ITEMS), "test")
    assert ranks["markov"][1] == ranks["popularity"][1] == 4  # behind 2, 1 and the level 5


def test_lists_of_one_person_hold_nothing_of_the_history():
    baselines = CountingBaselines(data())
    lists = baselines.lists(np.array([5, 2]), 10)
    assert lists["popularity"].tolist() == [1, 3, 4]  # counts 2 2 0, level ones as they come
    assert lists["markov"].tolist() == [3, 1, 4]  # 3 followed 2
    assert lists["item_knn"].tolist() == [1, 3, 4]  # each two people chose with 2
    assert baselines.lists(np.array([3]), 1)["markov"].tolist() == [2]
    assert baselines.lists(np.array([1, 2, 3, 4, 5]), 3)["popularity"].tolist() == []


def test_lists_of_one_person_are_those_that_are_evaluated():
    baselines, ranks = CountingBaselines(data()), baseline_ranks(data(), "test")
    history, target = data().split_user(3)  # level with nothing
    for name, items in baselines.lists(history, 10).items():
        assert items.tolist().index(target) + 1 == ranks[name][3]


def write_checkpoint(path: Path, config: ModelConfig, histories: Interactions) -> None:
    items = pd.DataFrame({"item_id": histories.item_ids[1:], "title": histories.item_ids[1:]})
    write_description(path, config, TrainConfig(), histories, items)
    model = random_model(config, histories.num_items, dtype=torch.float32)
    write_weights(path, model.state_dict())


def test_baselines_are_found_where_they_are_of_the_same_histories(tmp_path: Path):
    write_checkpoint(tmp_path / "a-fame", TINY, data())
    checkpoint = load_checkpoint(tmp_path / "a-fame")
    other = interactions_of([[1, 2, 3]], NUM_ITEMS)
    write_checkpoint(tmp_path / "b-other", TINY_SASREC, other)
    write_checkpoint(tmp_path / "c-damaged", TINY_SASREC, data())
    (tmp_path / "c-damaged" / "config.json").write_text("{")
    again = dataclasses.replace(data(), repeats="recommend")
    write_checkpoint(tmp_path / "c-other-choice", TINY_SASREC, again)
    assert baselines_beside(checkpoint) == {}
    write_checkpoint(tmp_path / "d-sasrec", TINY_SASREC, data())
    assert baselines_beside(checkpoint) == {"sasrec": tmp_path / "d-sasrec"}
    assert baselines_beside(load_checkpoint(tmp_path / "d-sasrec")) == {}
    write_checkpoint(tmp_path / "e-sasrec", TINY_SASREC, data())
    write_checkpoint(tmp_path / "f-fame", TINY, data())
    write_checkpoint(tmp_path / "a-bsarec", TINY_MODELS["bsarec"], data())
    both = {"sasrec": tmp_path / "d-sasrec", "bsarec": tmp_path / "a-bsarec"}
    assert list(baselines_beside(checkpoint).items()) == list(both.items())
