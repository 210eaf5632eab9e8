"""Agreement of lists by facet, held against loops over people, items and values."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fame.facets import lists as module
from fame.facets.lists import (
    LIST_LENGTH,
    PERMUTED,
    PROJECTED,
    SASREC,
    STRATA,
    TURNED,
    UNTRAINED,
    control_lists,
    head_lists,
    list_agreement,
    permuted_values,
    projections,
    slice_lists,
)
from fame.facets.values import likeness, value_indicator
from fame.lens.reading import fused_scores, read_histories
from fame.lens.trace import trace_history
from fame.ranking import top_items
from tests.tiny import TINY, TINY_SASREC, TINY_VALUES, random_model

V = 40
RNG = np.random.default_rng(3)
VALUES = {
    "brand": [[one] if one else [] for one in RNG.choice(["a", "b", "c", ""], V).tolist()],
    "genres": [RNG.choice(["x", "y", "z"], RNG.integers(0, 3)).tolist() for _ in range(V)],
    "nobody": [[] for _ in range(V)],
}
COUNT = RNG.integers(1, 9, V)
HISTORIES = [RNG.permutation(V)[: RNG.integers(1, 9)] + 1 for _ in range(25)]
TARGETS = np.array(
    [int(RNG.choice(np.setdiff1d(np.arange(V) + 1, history))) for history in HISTORIES]
)


def agree(facet: str, one: int, other: int) -> bool:
    return bool(set(VALUES[facet][one - 1]) & set(VALUES[facet][other - 1]))


def by_hand(facet: str, lists: list[np.ndarray]) -> tuple[list[float], list[float]]:
    """Of everybody whose target has a value: agreement of their list with it, and with clicks."""
    came_next, clicked = [], []
    for own, history, target in zip(lists, HISTORIES, TARGETS, strict=True):
        if VALUES[facet][target - 1]:
            came_next.append(np.mean([agree(facet, item, target) for item in own]))
            clicked.append(np.mean([agree(facet, i, click) for i in own for click in history]))
    return came_next, clicked


@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
@pytest.mark.parametrize("at_once", [1, 700, 8_000_000])
@pytest.mark.parametrize("config", [TINY, TINY_VALUES])
def test_agreement_is_that_of_traced_lists_one_by_one(config, repeats, at_once, monkeypatch):
    monkeypatch.setattr(module, "_SCORES", at_once)
    model = random_model(config, V)
    found = list_agreement(model, HISTORIES, TARGETS, VALUES, COUNT, repeats=repeats)
    assert list(found) == ["brand", "genres"], "what no target has is left out"
    traces = [trace_history(model, history, repeats=repeats) for history in HISTORIES]
    for space in ("all", "head_0", "head_1"):
        lists = []
        for trace in traces:
            by_head = trace.head_scores[int(space[-1])] if space != "all" else trace.scores
            lists.append(top_items(by_head, trace.candidates, LIST_LENGTH))
        for facet, agreement in found.items():
            came_next, clicked = by_hand(facet, lists)
            np.testing.assert_allclose(agreement.held_out[space], came_next, atol=1e-12)
            np.testing.assert_allclose(agreement.history[space], clicked, atol=1e-12)
    turned = slice_lists(model, read_histories(model, HISTORIES), HISTORIES, repeats, 2, turn_by=0)
    for space, lists in turned.items():
        for facet, agreement in found.items():
            came_next, _ = by_hand(facet, list(lists))
            np.testing.assert_allclose(agreement.controls[TURNED][space], came_next, atol=1e-12)


def test_lists_that_end_early_count_the_items_that_are_there():
    model = random_model(TINY, V)
    histories, targets = [np.arange(1, V - 2), np.arange(1, V + 1)], np.array([V, V])
    values = {"same": [["one"]] * (V - 1) + [["one", "two"]]}
    found = list_agreement(model, histories, targets, values, COUNT, repeats="exclude")["same"]
    for share in (*found.held_out.values(), *found.history.values()):
        assert share.tolist() == [1.0, 0.0]  # of three items all; of no item none


@pytest.mark.parametrize(
    "cut", [[slice(0, 4), slice(4, 8)], [slice(0, 3), slice(3, 6), slice(6, 8)]]
)
def test_slices_cut_the_fused_score(cut):
    """By hand, with a rotation: a slice scores its part of both sides, and the parts add up."""
    model = random_model(TINY, V)
    readings = read_histories(model, HISTORIES)
    found = slice_lists(model, readings, HISTORIES, "exclude", len(cut), turn_by=4)
    with torch.no_grad():
        table, query = model.item_table.numpy(), readings.query.numpy()
    from scipy.stats import ortho_group

    turn = ortho_group.rvs(8, random_state=4)
    np.testing.assert_allclose(turn @ turn.T, np.eye(8), atol=1e-12)
    parts = [(query @ turn.T)[:, s] @ (table @ turn.T)[:, s].T for s in cut]
    fused = fused_scores(model, readings)[:, 1:].numpy()
    np.testing.assert_allclose(sum(parts), fused, atol=1e-9)
    assert list(found) == [f"head_{part}" for part in range(len(cut))]
    for space, scores in zip(found, parts, strict=True):
        for person, history in enumerate(HISTORIES):
            allowed = np.ones(V, dtype=bool)
            allowed[history - 1] = False
            expected = top_items(scores[person], allowed, LIST_LENGTH) + 1
            assert found[space][person].tolist() == expected.tolist()


def test_slices_that_are_not_turned_are_those_of_the_table():
    """Where a head sees its own slice through a map W, the cut is the head's list for W = 1."""
    model = random_model(TINY_VALUES, V)
    with torch.no_grad():
        model.facet_maps.copy_(torch.eye(4).expand(2, 4, 4))
    readings = read_histories(model, HISTORIES)
    heads = head_lists(model, readings, HISTORIES, "exclude")
    for space, own in slice_lists(model, readings, HISTORIES, "exclude", 2).items():
        np.testing.assert_array_equal(own, heads[space])


def test_projected_and_untrained_lists_are_those_of_their_scores():
    model, other = random_model(TINY, V), random_model(TINY, V, seed=1)
    readings = read_histories(model, HISTORIES)
    found = control_lists(model, readings, HISTORIES, "exclude", seed=4, untrained=other)
    table, query = model.item_table.detach().numpy(), readings.query.numpy()
    for head, projection in enumerate(projections(8, 2, seed=4).numpy()):
        scores = (query @ projection.T) @ (table @ projection.T).T
        for person, history in enumerate(HISTORIES):
            allowed = np.ones(V, dtype=bool)
            allowed[history - 1] = False
            expected = top_items(scores[person], allowed, LIST_LENGTH) + 1
            assert found[PROJECTED][f"head_{head}"][person].tolist() == expected.tolist()
    heads = head_lists(other, read_histories(other, HISTORIES), HISTORIES, "exclude")
    assert set(found[UNTRAINED]) == {"head_0", "head_1"}
    for space, lists in found[UNTRAINED].items():
        np.testing.assert_array_equal(lists, heads[space])


def test_permuted_values_stay_among_items_of_like_popularity():
    values = value_indicator(VALUES["genres"])
    counts = np.arange(V)
    permuted = permuted_values(values, counts, np.random.default_rng(0))
    known = np.flatnonzero(np.diff(values.indptr))
    assert np.flatnonzero(np.diff(permuted.indptr)).tolist() == known.tolist()
    assert (permuted != values).nnz
    whole, dealt = values.toarray(), permuted.toarray()
    for stratum in np.array_split(known, STRATA):
        assert sorted(map(tuple, dealt[stratum])) == sorted(map(tuple, whole[stratum]))


def test_permuted_labels_agree_as_popularity_alone_does():
    """With values that are strata of popularity nothing is lost by permuting within them."""
    model = random_model(TINY, V)
    counts = np.arange(V)
    values = {"popularity": [[str(item // (V // STRATA))] for item in range(V)]}
    found = list_agreement(model, HISTORIES, TARGETS, values, counts, repeats="exclude")
    for space, share in found["popularity"].held_out.items():
        np.testing.assert_allclose(found["popularity"].controls[PERMUTED][space], share)


def test_which_controls_there_are():
    model, sasrec = random_model(TINY, V), random_model(TINY_SASREC, V)

    def controls(model, sasrec=None, untrained=None):
        found = list_agreement(
            model,
            HISTORIES,
            TARGETS,
            VALUES,
            COUNT,
            repeats="exclude",
            sasrec=sasrec,
            untrained=untrained,
        )["brand"].controls
        return {name: list(by_space) for name, by_space in found.items()}

    heads = ["head_0", "head_1"]
    always = {PERMUTED: ["all", *heads], TURNED: heads, PROJECTED: heads}
    assert controls(model) == always
    assert controls(model, sasrec) == always | {SASREC: heads}
    assert controls(model, None, random_model(TINY, V, seed=1)) == always | {UNTRAINED: heads}
    three = random_model(replace(TINY, heads=3, width=9), V)
    assert controls(three, sasrec)[SASREC] == [*heads, "head_2"], "8 is cut into 3, 3 and 2"
    narrow = random_model(replace(TINY_SASREC, width=2), V)
    assert SASREC not in controls(three, narrow), "2 cannot be cut into 3"
    assert controls(sasrec) == {PERMUTED: ["all"]}


def test_likeness_is_jaccards():
    found = likeness(value_indicator(VALUES["genres"]), np.arange(V))
    for one, first in enumerate(VALUES["genres"]):
        for other, second in enumerate(VALUES["genres"]):
            either, both = set(first) | set(second), set(first) & set(second)
            expected = len(both) / len(either) if either else 0.0
            assert math.isclose(found[one, other], expected, abs_tol=1e-6)  # of float32
