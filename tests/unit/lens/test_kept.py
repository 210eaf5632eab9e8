"""What is made once of a model's weights is never another than they are now."""

import dataclasses

import numpy as np
import pytest
import torch

from fame.lens import kept
from fame.lens.influence import history_influence, item_effects
from fame.lens.trace import trace_history, value_ledger
from fame.models.item_values import ItemValues
from fame.models.sequence_model import SequenceModel
from tests.tiny import TINY, TINY_SASREC, TINY_VALUES, random_model

HISTORY = np.array([3, 1, 4, 5])
SHAPES = [TINY, TINY_SASREC, dataclasses.replace(TINY_VALUES, score="cosine", temperature=0.3)]
every_shape = pytest.mark.parametrize("config", SHAPES, ids=["dot", "sasrec", "values, cosine"])


def frozen(config, *, seed: int = 0) -> SequenceModel:
    """As a checkpoint is opened."""
    return random_model(config, seed=seed).requires_grad_(False)


def said(model: SequenceModel) -> list[np.ndarray]:
    """All that is read with the tables, of one history."""
    trace = trace_history(model, HISTORY)
    influence = history_influence(model, HISTORY, 4)
    told = [trace.scores[1:], trace.head_scores[:, 1:], item_effects(model, influence, HISTORY)]
    if trace.values is not None:
        told.append(np.array([points for own in value_ledger(trace, 2) for _, points in own]))
    return told


def assert_says(model: SequenceModel, expected: SequenceModel) -> None:
    for ours, theirs in zip(said(model), said(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@every_shape
def test_tables_are_what_the_model_gives(config) -> None:
    model = frozen(config)
    for _ in range(2):
        torch.testing.assert_close(kept.item_vectors(model), model.item_vectors())
        torch.testing.assert_close(kept.item_table(model), model.item_table)
        torch.testing.assert_close(kept.sub_embeddings(model), model.sub_embeddings())
        mean = model.sub_embeddings().double().mean(1, keepdim=True)
        torch.testing.assert_close(kept.mean_sub_embeddings(model), mean)


def test_items_are_composed_once_for_all_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    model, composed = frozen(SHAPES[2]), []
    really = ItemValues.compose

    def compose(self: ItemValues, *given: torch.Tensor) -> torch.Tensor:
        composed.append(given)
        return really(self, *given)

    monkeypatch.setattr(ItemValues, "compose", compose)
    for first in (1, 2, 3):
        trace_history(model, np.array([first, 4]))
        history_influence(model, np.array([first, 4]), 3)
    assert len(composed) == 1


@every_shape
@pytest.mark.parametrize("change", ["in place", "loaded", "assigned", "other type", "one value"])
def test_changed_weights_are_never_told_as_they_were(config, change: str) -> None:
    model, other = frozen(config), frozen(config, seed=1)
    said(model)
    if change == "in place":
        with torch.no_grad():
            for own, theirs in zip(model.parameters(), other.parameters(), strict=True):
                own.copy_(theirs)
    elif change == "loaded":
        model.load_state_dict(other.state_dict())
    elif change == "assigned":
        model.load_state_dict(other.state_dict(), assign=True)
    elif change == "other type":
        model, other = model.float(), frozen(config).float()
        assert kept.item_table(model).dtype == torch.float32
    else:
        for one in (model, other := frozen(config)):
            weights = one.item_embedding.weight if one.values is None else one.values.vectors
            with torch.no_grad():
                weights[2] += 1
    assert_says(model, other)


def test_two_models_are_not_taken_for_one_another() -> None:
    ours, theirs = frozen(TINY_VALUES), frozen(TINY_VALUES, seed=1)
    before = said(ours)
    assert not np.allclose(said(theirs)[0], before[0])
    assert_says(ours, frozen(TINY_VALUES))


@every_shape
def test_nothing_is_kept_of_a_model_that_trains_or_in_inference_mode(config) -> None:
    learning = random_model(config)
    trace_history(learning, HISTORY)
    assert not {"vectors", "table", "seen"} & set(getattr(kept._kept.get(learning), "found", {}))
    model = frozen(config)
    with torch.inference_mode():
        kept.sub_embeddings(model)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    (weight * kept.sub_embeddings(model)).sum().backward()
    assert weight.grad is not None
