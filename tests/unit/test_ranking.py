"""Which items are candidates, against loops in plain Python: for a person, a batch and all figures.

The made-up people choose few places again and again, so that many targets stand in their history.
"""

import dataclasses
import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.baselines import CountingBaselines, baseline_ranks
from fame.checkpoint import load_checkpoint, write_description, write_weights
from fame.config import TrainConfig
from fame.data.repeats import repeated_share
from fame.data.sequences import Interactions, held_out, repeated_targets
from fame.evaluate import evaluate, head_report, protocol, read_heads
from fame.lens import people as people_module
from fame.lens.faithfulness import faithfulness_of_people
from fame.lens.people import everybodys_figures
from fame.metrics import FIGURES, UNRANKED, summarise_ranks
from fame.ranking import candidates, only_candidates
from fame.survey import survey
from fame.training.loop import validate
from fame.training.workers import Workers
from tests import reference
from tests.tiny import TINY, TINY_SASREC, interactions_of, random_model
from tests.twin import fame_twin, twin_scores

NUM_ITEMS = 9
HISTORIES = [
    [1, 2, 1, 3, 1],  # the last click repeats
    [4, 4, 4, 4],  # all do
    [5, 6, 7, 8],  # none does
    [9, 2, 9, 2, 3],
    [3, 1, 2, 3, 1, 2, 3],
    [6, 1, 6, 5, 1],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 4],  # everything was chosen before
    [7, 8],
]
TEST_REPEATS = [True, True, False, False, True, True, True, False]
CHOICES = pytest.mark.parametrize("repeats", ["exclude", "recommend"])
SPLITS = pytest.mark.parametrize(("split", "held_back"), [("test", 1), ("valid", 2)])


def data(repeats: str = "exclude") -> Interactions:
    return dataclasses.replace(interactions_of(HISTORIES, NUM_ITEMS), repeats=repeats)


def examples(held_back: int) -> list[tuple[list[int], int]]:
    """History and target of everybody who has both."""
    return [(s[:-held_back], s[-held_back]) for s in HISTORIES if len(s) > held_back]


def stored(ranks: list[int | None]) -> list[int]:
    return [UNRANKED if rank is None else rank for rank in ranks]


histories = st.lists(
    st.lists(st.integers(1, NUM_ITEMS), min_size=1, max_size=12), min_size=1, max_size=4
)


@CHOICES
@given(rows=histories)
def test_a_batch_has_the_candidates_of_each_person(rows, repeats):
    arrays = [np.array(row) for row in rows]
    scores = torch.zeros(2, len(rows), NUM_ITEMS + 1)
    kept = only_candidates(scores, arrays, repeats).isfinite().numpy()
    for index, row in enumerate(rows):
        expected = reference.candidates(NUM_ITEMS, set(row), repeats)
        one = candidates(arrays[index], NUM_ITEMS + 1, repeats)
        assert np.flatnonzero(one).tolist() == expected
        assert (kept[:, index] == one).all()


@SPLITS
def test_targets_that_repeat_by_hand(split, held_back):
    expected = [target in history for history, target in examples(held_back)]
    repeated = repeated_targets(data(), held_out(data(), split))
    assert repeated.tolist() == expected
    if split == "test":
        assert expected == TEST_REPEATS
        assert repeated_share(data()) == 5 / 8


@given(rows=histories)
def test_targets_that_repeat_in_any_histories(rows):
    drawn = interactions_of(rows, NUM_ITEMS)
    expected = [row[-1] in row[:-1] for row in rows if len(row) > 1]
    assert repeated_targets(drawn, held_out(drawn, "test")).tolist() == expected
    share = sum(expected) / len(expected) if expected else 0.0
    assert repeated_share(drawn) == pytest.approx(share, abs=1e-15)


def assert_figures(figures: dict, ranks: list[int | None], repeated: list[bool]) -> None:
    """All, novel and repeated, against sums in plain Python."""
    for name in FIGURES:
        assert figures[name] == pytest.approx(reference.figure(ranks, name), abs=1e-12)
    for kind, wanted in (("novel", False), ("repeated", True)):
        own = [rank for rank, again in zip(ranks, repeated, strict=True) if again is wanted]
        assert figures[kind]["users"] == len(own)
        for name in FIGURES:
            assert figures[kind][name] == pytest.approx(reference.figure(own, name), abs=1e-12)


@CHOICES
@SPLITS
@pytest.mark.parametrize("config", [TINY, TINY_SASREC], ids=["fame", "sasrec"])
def test_a_models_figures_are_the_twins_all_and_apart(config, split, held_back, repeats):
    model = random_model(config, NUM_ITEMS)
    told = examples(held_back)
    ranks = [
        reference.rank(twin_scores(model, history).tolist(), target, set(history), repeats)
        for history, target in told
    ]
    assert (None in ranks) == (repeats == "exclude"), "the example must tell the two apart"
    figures = evaluate(model, data(repeats), split, batch_size=3)
    assert figures["users"] == len(told)
    assert_figures(figures, ranks, [target in history for history, target in told])
    if split == "valid":  # what training goes by
        chosen_by = validate(model, data(repeats), Workers(torch.device("cpu")))
        assert chosen_by == {name: figures[name] for name in FIGURES}


@CHOICES
def test_every_heads_ranks_and_lists_are_the_twins(repeats):
    model = random_model(TINY, NUM_ITEMS)
    ranks: list[list[int | None]] = [[], []]
    shared = []
    for history, target in examples(1):
        scores = [own.tolist() for own in fame_twin(model, history)[-1].head_scores]
        allowed = reference.candidates(NUM_ITEMS, set(history), repeats)
        for own, kept in zip(scores, ranks, strict=True):
            kept.append(reference.rank(own, target, set(history), repeats))
        shared.append(1.0 if allowed else 0.0)  # 20 places hold all the candidates there are
    heads = read_heads(model, data(repeats), "test", batch_size=3)
    assert heads.ranks.tolist() == [stored(own) for own in ranks]
    assert heads.overlap.tolist() == shared
    report = head_report(model, data(repeats), "test")
    for name in ("HR@10", "NDCG@10"):
        expected = [reference.figure(own, name) for own in ranks]
        assert report[name] == pytest.approx(expected, abs=1e-12)


def counted(history: list[int]) -> dict[str, list[float]]:
    """Popularity, and the Markov chain after the last click, counted one click at a time."""
    parts = [sequence[:-2] for sequence in HISTORIES]
    clicks = Counter(item for part in parts for item in part)
    pairs = Counter(pair for part in parts for pair in itertools.pairwise(part))
    total = sum(clicks.values()) + 1
    return {
        "popularity": [float(clicks[item]) for item in range(NUM_ITEMS + 1)],
        "markov": [
            pairs[history[-1], item] + clicks[item] / total for item in range(NUM_ITEMS + 1)
        ],
    }


@CHOICES
@SPLITS
def test_both_baselines_ranks_and_lists_are_counted_the_same(split, held_back, repeats):
    found, beside = baseline_ranks(data(repeats), split), CountingBaselines(data(repeats))
    for index, (history, target) in enumerate(examples(held_back)):
        allowed = reference.candidates(NUM_ITEMS, set(history), repeats)
        lists = beside.lists(np.array(history), 4, repeats=repeats)
        for name, scores in counted(history).items():
            (expected,) = stored([reference.rank(scores, target, set(history), repeats)])
            assert found[name][index] == expected
            assert lists[name].tolist() == sorted(allowed, key=lambda item: -scores[item])[:4]


@CHOICES
def test_a_survey_follows_the_checkpoint(tmp_path: Path, monkeypatch, repeats):
    """Also where the data set has been given another choice since."""
    monkeypatch.setattr(people_module, "OVERLAP_AT", 3)  # shorter than the catalogue
    of_checkpoint = data(repeats)
    ids = of_checkpoint.item_ids[1:]
    items = pd.DataFrame({"item_id": ids, "title": ids})
    write_description(tmp_path, TINY, TrainConfig(), of_checkpoint, items)
    write_weights(tmp_path, random_model(TINY, NUM_ITEMS).float().state_dict())
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.data.repeats == repeats
    since = data("recommend" if repeats == "exclude" else "exclude")
    people, tested = survey(checkpoint, since, sample=8)
    told = [(np.array(history), target) for history, target in examples(1)]
    figures = everybodys_figures(
        checkpoint.model,
        [history for history, _ in told],
        np.array([target for _, target in told]),
        repeats=repeats,
    ).people
    shared = {row["user"]: row["shared"] for row in people.lists["heads_disagree"]}
    assert shared == {f"u{user}": figures["shared"][user] for user in range(len(told))}
    assert len(set(shared.values())) > 1
    histories = [history for history, _ in told]
    assert tested.measures == faithfulness_of_people(
        checkpoint.model, histories, k=tested.list_length, draws=tested.draws, repeats=repeats
    )


def test_a_target_that_is_in_no_list_misses_however_small_the_catalogue():
    """Who has seen all items has no candidates, so not even a last place among five."""
    seen_all = interactions_of([[1, 2, 3, item] for item in (1, 2, 3)], 3)
    ranks = baseline_ranks(seen_all, "test")["popularity"]
    assert ranks.tolist() == [UNRANKED] * 3
    assert set(summarise_ranks(ranks).values()) == {0.0}
    again = dataclasses.replace(seen_all, repeats="recommend")
    assert baseline_ranks(again, "test")["popularity"].max() <= 3


def test_figures_of_nobody_are_none():
    """Where every target repeats there are no novel ones to average over."""
    only_repeats = interactions_of([[1, 2, 1, 2], [3, 4, 3]], 5)
    figures = evaluate(random_model(TINY, 5), only_repeats, "test")
    assert figures["novel"] == {"users": 0, **dict.fromkeys(FIGURES)}
    assert figures["repeated"]["users"] == 2


def test_where_nothing_repeats_the_choice_only_widens_the_ranking():
    """And nothing is told apart, since there is nothing to tell."""
    novel = interactions_of([[1, 2, 3, 4], [5, 4, 3, 2, 1]], 6)
    found = {
        repeats: evaluate(
            random_model(TINY, 6), dataclasses.replace(novel, repeats=repeats), "test"
        )
        for repeats in ("exclude", "recommend")
    }
    assert all(set(figures) == {"users", *FIGURES} for figures in found.values())
    assert found["exclude"]["MRR"] > found["recommend"]["MRR"]


def test_the_protocol_says_what_is_done():
    assert "everything in the history excluded (a target in it is a miss)" in protocol("exclude")
    assert "items in the history ranked like all others" in protocol("recommend")
    assert math.isfinite(UNRANKED) and np.uint32(UNRANKED) == UNRANKED  # as ranks are stored
