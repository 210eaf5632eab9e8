"""Ranks and figures against cases worked out by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.metrics import CUTOFFS, UNRANKED, gains, hits, summarise_ranks, target_ranks
from tests import reference


def test_ranks_by_hand():
    scores = torch.tensor(
        [
            [-math.inf, 5.0, 3.0, 1.0],  # target 1 is best
            [-math.inf, 5.0, 3.0, 1.0],  # target 3 is last of three
            [-math.inf, 2.0, 2.0, 2.0],  # all alike: last
            [-math.inf, -math.inf, 2.0, 1.0],  # an excluded item is not ahead
            [-math.inf, -math.inf, 2.0, 1.0],  # an excluded target has no rank
        ]
    )
    ranks = target_ranks(scores, torch.tensor([1, 3, 2, 3, 1]))
    assert ranks.tolist() == [1, 3, 3, 2, UNRANKED]
    assert ranks.dtype is torch.int64


@given(data=st.data())
def test_ties_never_favour_the_target(data):
    """Few different scores, so that ties are common; against the twin's rank."""
    scores = data.draw(st.lists(st.integers(-2, 2).map(float), min_size=2, max_size=8))
    target = data.draw(st.integers(1, len(scores) - 1))
    excluded = data.draw(st.sets(st.integers(1, len(scores) - 1))) - {target}
    masked = torch.tensor([scores])
    masked[0, [0, *excluded]] = -math.inf
    rank = int(target_ranks(masked.clone(), torch.tensor([target])))
    assert rank == reference.rank(scores, target, excluded)
    # A rival that draws level goes ahead.
    for rival in set(range(1, len(scores))) - excluded - {target}:
        level = masked.clone()
        level[0, rival] = scores[target]
        assert int(target_ranks(level, torch.tensor([target]))) >= rank


def test_hits_and_gains_by_hand():
    ranks = np.array([1, 3, 7, 8])
    assert hits(ranks, 7).tolist() == [1, 1, 1, 0]
    assert gains(ranks, 7).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 0])


def test_figures_by_hand():
    figures = summarise_ranks(np.array([1, 5, 6, 30]))
    assert figures["HR@5"] == 2 / 4
    assert figures["HR@10"] == 3 / 4
    assert figures["HR@20"] == 3 / 4
    assert figures["NDCG@5"] == pytest.approx((1 + 1 / math.log2(6)) / 4)
    assert figures["NDCG@10"] == pytest.approx((1 + 1 / math.log2(6) + 1 / math.log2(7)) / 4)
    assert figures["MRR"] == pytest.approx((1 + 1 / 5 + 1 / 6 + 1 / 30) / 4)
    assert set(figures) == {"MRR", *(f"{name}@{k}" for name in ("HR", "NDCG") for k in CUTOFFS)}


def test_what_has_no_rank_adds_nothing_to_any_figure():
    """Not even to MRR, nor in a catalogue so small that its last place is within a cutoff."""
    one, with_misses = (summarise_ranks(np.array(r)) for r in ([2], [UNRANKED, 2, UNRANKED]))
    for name, value in one.items():
        assert with_misses[name] == pytest.approx(value / 3, rel=1e-12)
    assert set(summarise_ranks(np.array([UNRANKED])).values()) == {0.0}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_figures_grow_with_the_cutoff_and_stay_below_the_hit_rate(ranks):
    figures = summarise_ranks(np.array(ranks))
    for small, large in itertools.pairwise(CUTOFFS):
        assert figures[f"HR@{small}"] <= figures[f"HR@{large}"]
        assert figures[f"NDCG@{small}"] <= figures[f"NDCG@{large}"]
    for k in CUTOFFS:
        assert figures[f"NDCG@{k}"] <= figures[f"HR@{k}"]
    assert all(type(value) is float and 0 <= value <= 1 for value in figures.values())


def test_no_ranks_have_no_figures():
    with pytest.raises(ValueError, match="no ranks"):
        summarise_ranks(np.array([]))
