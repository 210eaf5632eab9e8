"""The deletion test: slow twin, areas by hand, and a verdict that can be any of the three."""

import dataclasses

import numpy as np
import pytest
import torch

from fame.lens.faithfulness import (
    CurvePoint,
    DeletionCurve,
    bootstrap_mean,
    deletion_curves,
    faithfulness_of_people,
    verdict,
)
from fame.lens.influence import history_influence, item_effects, list_order
from fame.lens.trace import fused_scores, fused_table, top_items, trace_history
from fame.models.sequence_model import Intervention
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 20
MODEL = random_model(TINY, NUM_ITEMS)
SASREC = random_model(TINY_SASREC, NUM_ITEMS)
LONG = np.array([7, 2, 3, 12, 1, 20, 3, 9])  # the model reads 12, 1, 20, 3, 9; 3 stands twice
CHANGE = Intervention(gate=(1.0, 3.0), muted=((0, 1),))


def curves_of(model, history, change=None, **options):
    influence = history_influence(model, history, 4, intervention=change)
    return influence, deletion_curves(model, influence, intervention=change, **options)


@pytest.mark.parametrize(
    ("model", "change"), [(MODEL, None), (SASREC, None), (MODEL, CHANGE)], ids=str
)
def test_curves_are_those_of_removing_and_tracing_again(model, change):
    influence, curves = curves_of(model, LONG, change, draws=3, seed=5)
    before = trace_history(model, LONG, intervention=change)
    listed = fused_table(before, 4)["item"].to_numpy()

    def effects(order: list[int]) -> dict[str, list[float]]:
        found = {"list": [0.0], "item": [0.0]}
        for count in range(1, len(order) + 1):
            rest = LONG[~np.isin(LONG, order[:count])]
            after = trace_history(model, rest, intervention=change)
            now = top_items(after.scores, before.candidates, 4)
            found["list"].append(1 - np.isin(listed, now).mean())
            loss = fused_scores(before)[listed[0]] - fused_scores(after)[listed[0]]
            found["item"].append(loss)
        return found

    rng = np.random.default_rng(5)
    drawn = [influence.items[rng.permutation(5)][:4].tolist() for _ in range(3)]
    for measure, curve in curves.items():
        removed = curve.removed.tolist()
        assert len(removed) == 4  # of five items that are read, one stays
        np.testing.assert_allclose(curve.influential, effects(removed)[measure], atol=1e-12)
        np.testing.assert_allclose(curve.latest, effects([9, 3, 20, 1])[measure], atol=1e-12)
        for row, order in enumerate(drawn):
            np.testing.assert_allclose(curve.random[row], effects(order)[measure], atol=1e-12)
    assert set(curves) == {"list", "item"}


def test_each_curve_removes_what_was_found_most_influential():
    influence, curves = curves_of(MODEL, LONG)
    first = influence.items[list_order(MODEL, influence)][:4]
    assert curves["list"].removed.tolist() == first.tolist()
    effects = item_effects(MODEL, influence, influence.fused[:1])[:, 0].sum(-1)
    assert curves["item"].removed.tolist() == influence.items[np.argsort(-effects)][:4].tolist()
    for curve in curves.values():  # so at one click it cannot lose, and that is not counted
        assert curve.influential[1] >= curve.random[:, 1].max() - 1e-12


def curve(influential, random):
    return DeletionCurve(
        measure="list",
        removed=np.arange(len(influential) - 1),
        influential=np.array(influential, dtype=float),
        latest=np.array(influential, dtype=float),
        random=np.array(random, dtype=float),
    )


def test_areas_by_hand():
    """From two clicks on; at one click the explanation is right by construction."""
    found = curve([0, 1, 0.5, 0.7], [[0, 0, 0.1, 0.3], [0, 0, 0.5, 0.7]])
    assert found.areas.tolist() == pytest.approx([0.4, 0])
    assert found.area == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.01, 0.39))
    assert found.verdict == "holds"


def test_an_account_that_does_not_hold_says_so():
    assert curve([0, 1, 0.1], [[0, 0, 0.4], [0, 0, 0.5]]).verdict == "fails"
    assert curve([0, 1, 0.4], [[0, 0, 0.3], [0, 0, 0.6]]).verdict == "unclear"
    assert [verdict(0.1, 0.2), verdict(-0.2, -0.1)] == ["holds", "fails"]
    assert {verdict(0.0, 0.2), verdict(-0.1, 0.0), verdict(1e-7, 1e-7)} == {"unclear"}


@pytest.mark.parametrize("history", [[4], [4, 4, 4], [4, 5], [5, 4, 5]], ids=str)
def test_too_short_a_history_is_not_tested(history):
    assert curves_of(MODEL, np.array(history))[1] == {}


def test_the_same_seed_draws_the_same():
    first, again, other = (curves_of(MODEL, LONG, seed=seed)[1]["item"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.random, again.random)
    assert not np.array_equal(first.random, other.random)
    assert len(np.unique(first.random[:, 1])) > 1


def test_an_explanation_of_a_deaf_model_is_not_borne_out():
    """A model that always says the same has no influential clicks, and the test must say so."""
    deaf = random_model(TINY, NUM_ITEMS)
    with torch.no_grad():
        deaf.head_feed_forward_norm.weight.zero_()  # every F_h is then the norm's bias
    for found in curves_of(deaf, LONG)[1].values():
        np.testing.assert_allclose(found.influential, 0, atol=1e-12)
        assert found.verdict == "unclear"


def test_a_mean_over_people_has_the_interval_of_its_bootstrap():
    values = np.random.default_rng(0).normal(1.0, 2.0, size=400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    # Within a tenth of the normal interval: 2,000 draws put an end off by about 3 % of it.
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)
    alone = bootstrap_mean(np.array([0.5]))
    assert dataclasses.astuple(alone) == (0.5, 0.5, 0.5)


def test_people_are_the_mean_of_their_curves():
    histories = [LONG, np.array([4, 4]), LONG[:4], LONG[2:]]
    told = []
    found = faithfulness_of_people(
        MODEL, histories, k=4, draws=3, seed=7, on_person=lambda *done: told.append(done)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for measure, measured in found.items():
        own = [
            curves_of(MODEL, history, draws=3, seed=7 + person)[1][measure]
            for person, history in enumerate(histories)
            if person != 1  # too short
        ]
        areas = np.array([c.area for c in own])
        assert measured.people == 3
        assert measured.area.mean == pytest.approx(areas.mean())
        assert measured.above_zero.mean == pytest.approx((areas > 0).mean())
        leads = np.array([(c.influential - c.latest)[2:].mean() for c in own])
        assert measured.above_latest.mean == pytest.approx((leads > 1e-4).mean())
        assert measured.below_latest.mean == pytest.approx((leads < -1e-4).mean())
        assert measured.verdict == verdict(measured.area.low, measured.area.high)
        assert [point.people for point in measured.curve] == [3, 3, 3, 3, 2]
        expected = CurvePoint(
            removed=4,
            people=2,
            influential=np.mean([c.influential[4] for c in own if len(c.influential) > 4]),
            latest=np.mean([c.latest[4] for c in own if len(c.influential) > 4]),
            random=np.mean([c.random[:, 4].mean() for c in own if len(c.influential) > 4]),
        )
        assert dataclasses.astuple(measured.curve[4]) == pytest.approx(
            dataclasses.astuple(expected)
        )


def test_nobody_to_test_is_no_figure():
    assert faithfulness_of_people(MODEL, [np.array([4])]) == {}
