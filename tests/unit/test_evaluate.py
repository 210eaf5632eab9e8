"""Full ranking on data small enough to rank by hand, and against the twin."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from fame.data.sequences import Interactions
from fame.evaluate import (
    evaluate,
    fused_scorer,
    head_report,
    model_ranks,
    rank_targets,
    read_heads,
)
from fame.metrics import UNRANKED, summarise_ranks
from tests import reference
from tests.tiny import TINY, TINY_SASREC, interactions_of, random_model
from tests.twin import fame_twin, twin_scores

# Every scorer below gives item v the score 10 - v: item 1 is best, item 6 is worst.
NUM_ITEMS = 6
HISTORIES = [
    [1, 2, 3, 6],  # test: of 4, 5, 6 the target is last
    [5, 4, 3, 2, 1],  # test: of 1, 6 the target is first
    [2, 2, 3, 2],  # test: the target stands in the history, so it is in no list
    [6, 4],  # test: of 1 to 5 the target is fourth; too short to validate
    [1],  # too short for either
]
TEST_RANKS = [3, 1, UNRANKED, 4]
RECOMMENDED = [6, 1, 2, 4]  # where what is in the history is ranked too


def data() -> Interactions:
    return interactions_of(HISTORIES, NUM_ITEMS)


def descending(index: np.ndarray, _: torch.Tensor) -> torch.Tensor:
    return (10 - torch.arange(NUM_ITEMS + 1.0)).repeat(len(index), 1)


@pytest.mark.parametrize("max_length", [1, 2, 50])
@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_ranks_by_hand(max_length, batch_size):
    """What the model reads is cut to ``max_length``; what is excluded is not."""
    options = {"max_length": max_length, "batch_size": batch_size}
    assert rank_targets(descending, data(), "test", **options).tolist() == TEST_RANKS
    again = dataclasses.replace(data(), repeats="recommend")
    assert rank_targets(descending, again, "test", **options).tolist() == RECOMMENDED


def test_validation_ranks_by_hand():
    """Histories [1 2], [5 4 3], [2 2] before the targets 3, 2, 3."""
    ranks = rank_targets(descending, data(), "valid", max_length=50)
    # Candidates 3 4 5 6; 1 2 6; 1 3 4 5 6.
    assert ranks.tolist() == [1, 2, 2]


def test_equal_scores_put_the_target_last():
    def level(index: np.ndarray, _: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(index), NUM_ITEMS + 1)

    ranks = rank_targets(level, data(), "test", max_length=50)
    assert ranks.tolist() == [3, 2, UNRANKED, 5]  # as many as there are candidates


def test_a_scorer_sees_the_last_clicks_of_each_history():
    seen = {}

    def look(index: np.ndarray, inputs: torch.Tensor) -> torch.Tensor:
        for row, example in zip(inputs.tolist(), index.tolist(), strict=True):
            seen[example] = [item for item in row if item]
        return descending(index, inputs)

    rank_targets(look, data(), "test", max_length=2, batch_size=2)
    assert seen == {0: [2, 3], 1: [3, 2], 2: [2, 3], 3: [6]}


def test_a_score_that_is_not_a_number_is_refused():
    def broken(index: np.ndarray, inputs: torch.Tensor) -> torch.Tensor:
        scores = descending(index, inputs)
        scores[0, 4] = math.nan
        return scores

    with pytest.raises(FloatingPointError, match="not a number"):
        rank_targets(broken, data(), "test", max_length=50)


MODELS = pytest.mark.parametrize("config", [TINY, TINY_SASREC], ids=["fame", "sasrec"])


@MODELS
@pytest.mark.parametrize(("split", "held_back"), [("test", 1), ("valid", 2)])
def test_a_models_figures_are_those_of_the_twins_ranks(config, split, held_back):
    model = random_model(dataclasses.replace(config, max_length=3), NUM_ITEMS).train()
    ranks = []
    for sequence in HISTORIES:
        if len(sequence) > held_back:
            history, target = sequence[:-held_back], sequence[-held_back]
            scores = twin_scores(model, history).tolist()
            ranks.append(reference.rank(scores, target, set(history)) or UNRANKED)
    figures = evaluate(model, data(), split, batch_size=2)
    apart = {"novel", "repeated"} & set(figures)
    assert apart == ({"novel", "repeated"} if split == "test" else set())
    own = {name: value for name, value in figures.items() if name not in apart}
    assert own == {"users": len(ranks), **summarise_ranks(np.array(ranks))}
    assert not model.training
    assert ranks == rank_targets(fused_scorer(model), data(), split, max_length=3).tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_each_heads_ranks_and_shares_are_the_twins(batch_size):
    model = random_model(TINY, NUM_ITEMS)
    heads = read_heads(model, data(), "test", batch_size=batch_size)
    for example, sequence in enumerate(HISTORIES[:4]):
        last = fame_twin(model, sequence[:-1])[-1]
        excluded = set(sequence[:-1])
        for head in range(TINY.heads):
            rank = reference.rank(last.head_scores[head].tolist(), sequence[-1], excluded)
            assert heads.ranks[head, example] == (rank or UNRANKED)
        close = {"abs": 1e-6}
        assert heads.gate[example] == pytest.approx(last.gate.tolist(), **close)
        assert heads.router[example] == pytest.approx(
            torch.stack(last.router).detach().numpy(), **close
        )


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_ranks_shared_out_add_up_to_those_of_one_call(parts):
    """Also where there are more parts than batches."""
    model = random_model(TINY, NUM_ITEMS)
    shares = [
        model_ranks(model, data(), "test", batch_size=2, share=(part, parts))
        for part in range(parts)
    ]
    assert sum(shares).tolist() == model_ranks(model, data(), "test", batch_size=2).tolist()
    assert (np.stack(shares) > 0).sum(0).tolist() == [1] * len(TEST_RANKS)  # each is ranked once


def test_the_head_report_is_a_summary_of_the_twins_accounts():
    model = random_model(TINY, NUM_ITEMS)
    report = head_report(model, data(), "test", batch_size=3)
    last = [fame_twin(model, sequence[:-1])[-1] for sequence in HISTORIES if len(sequence) > 1]
    gates = torch.stack([position.gate.detach() for position in last])
    routers = torch.stack([torch.stack(position.router).detach() for position in last])
    entropy = -(routers * routers.log()).sum(-1) / math.log(TINY.experts)
    ranks = read_heads(model, data(), "test").ranks
    close = {"abs": 1e-6}
    assert report["gate_mean"] == pytest.approx(gates.mean(0).tolist(), **close)
    assert report["gate_std"] == pytest.approx(gates.std(0, correction=0).tolist(), **close)
    for head in range(TINY.heads):
        assert report["router_mean"][head] == pytest.approx(routers.mean(0)[head].tolist(), **close)
        for name in ("HR@10", "NDCG@10"):
            assert report[name][head] == summarise_ranks(ranks[head])[name]
    assert report["router_entropy"] == pytest.approx(entropy.mean(0).tolist(), **close)


def wide_histories() -> Interactions:
    """Twelve people and 50 items, with more items than a list has places; one has had nearly all.

    Nobody clicks on anything twice.
    """
    rng = np.random.default_rng(0)
    lengths = [3, 4, 6, 9, 12, 20, 25, 30, 5, 7, 8, 41]  # the last one has 10 items left
    return interactions_of([(rng.permutation(50)[:n] + 1).tolist() for n in lengths], 50)


def test_the_heads_lists_overlap_as_the_twins_do():
    """Over pairs of four heads, among what a person has not had: 20 items, or all that are left.

    The heads' own figures too, where ranks are so wide that every cutoff tells another story.
    """
    config, people = dataclasses.replace(TINY, heads=4), wide_histories()
    model = random_model(config, 50)
    overlaps, ranks = [], []
    for user in range(len(people)):
        history, target = people.split_user(user)
        candidates = sorted(set(range(1, 51)) - set(history.tolist()))
        scores = [s.tolist() for s in fame_twin(model, history.tolist())[-1].head_scores]
        first = [set(sorted(candidates, key=lambda v: -own[v])[:20]) for own in scores]
        pairs = [(a, b) for place, a in enumerate(first) for b in first[:place]]
        overlaps.append(np.mean([len(a & b) / min(20, len(candidates)) for a, b in pairs]))
        ranks.append([reference.rank(own, target, set(history.tolist())) for own in scores])
    report = head_report(model, people, "test", batch_size=5)
    assert report["overlap@20"] == pytest.approx(np.mean(overlaps), abs=1e-6)
    assert 0.3 < np.mean(overlaps[:-1]) < 0.9 and overlaps[-1] == 1
    for head, own in enumerate(np.array(ranks).T):
        figures = summarise_ranks(own)
        assert figures["NDCG@10"] != figures["NDCG@5"] and figures["HR@10"] != figures["HR@5"]
        for name in ("HR@10", "NDCG@10"):
            assert report[name][head] == figures[name]


def test_no_head_favours_the_target_where_it_scores_all_alike():
    model = random_model(TINY, 50)
    with torch.no_grad():
        model.facet_maps.zero_()  # every head sees the same nothing in every item
    people = wide_histories()
    candidates = [51 - len(people.sequence(user)) for user in range(len(people))]
    assert read_heads(model, people, "test").ranks.tolist() == [candidates] * TINY.heads


def test_heads_are_read_without_dropout():
    model = random_model(dataclasses.replace(TINY, dropout=0.5), NUM_ITEMS)
    quiet = read_heads(model, data(), "test").gate
    assert (read_heads(model.train(), data(), "test").gate == quiet).all()
    assert not model.training


def test_a_single_expert_is_as_even_as_a_router_can_be():
    report = head_report(random_model(dataclasses.replace(TINY, experts=1), 6), data(), "test")
    assert report["router_entropy"] == [1.0, 1.0]


def test_the_head_report_of_one_person_has_no_holes():
    report = head_report(random_model(TINY, NUM_ITEMS), interactions_of([[1, 2, 3]], 6), "test")
    assert report["gate_std"] == [0.0, 0.0]


def test_a_model_without_heads_of_its_own_has_no_head_report():
    assert head_report(random_model(TINY_SASREC, NUM_ITEMS), data(), "test") == {}
