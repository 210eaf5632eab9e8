"""The same settings give the same figures, or the version of the code is another one.

Small trainings whose figures are pinned, so that nobody changes by accident what rows of
``results.csv`` and shipped checkpoints were made with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fame import CODE_VERSION
from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Interactions
from fame.evaluate import model_ranks
from fame.metrics import summarise_ranks
from fame.training.item_start import catalogue_vectors
from fame.training.loop import fit, new_state
from tests.tiny import interactions_of

PINNED_VERSION = 1
ITEMS, PEOPLE = 40, 80
# Rounding on another CPU moves the figures by a few 1e-7 (tried with ATEN_CPU_CAPABILITY, MKL_CBWR
# and two threads). Any dropout that is .01 larger, and first weights, or those of one router alone,
# that are 5 % larger, move some figure of some case by more than this.
TOLERANCE = 2e-4


def history_of(person: int, rng: np.random.Generator) -> list[int]:
    """Mostly the next item but one, so that there is something to learn."""
    item, items = int(rng.integers(ITEMS)), []
    for _ in range(int(rng.integers(5, 16))):
        items.append(item + 1)
        item = (item + 2 if rng.random() < 0.7 else int(rng.integers(ITEMS))) % ITEMS
    return items


def dataset() -> tuple[Interactions, pd.DataFrame]:
    rng = np.random.default_rng(0)
    data = interactions_of([history_of(person, rng) for person in range(PEOPLE)], ITEMS)
    words = ["red", "green", "blue", "old", "new"]
    items = pd.DataFrame(
        {
            "item_id": data.item_ids[1:],
            "title": [f"{words[item % 5]} {words[item // 8]} thing" for item in range(ITEMS)],
            "brand": [f"brand {item % 7}" for item in range(ITEMS)],
        }
    )
    return data, items


SHAPE = ModelConfig(width=16, heads=2, experts=3, max_length=8, dropout=0.3)
TRAINING = TrainConfig(epochs=3, batch_size=16, learning_rate=5e-3, patience=0, device="cpu")
# Shape, training, and: scale of the weights before training, loss of each epoch, length of the
# weights after it, MRR of the test split.
CASES = {
    "fame": (
        SHAPE,
        replace(TRAINING, label_smoothing=0.1, weight_decay=0.1, warmup_steps=5),
        [0.850516809, 5.48896939, 5.30141681, 5.08306177, 12.145829, 0.528307807],
    ),
    "fame from the catalogue": (
        replace(SHAPE, positions="relative", score="fused-cosine", layers=1),
        replace(
            TRAINING,
            samples="prefixes",
            item_start="catalogue",
            start_facets="title/brand",
            negatives=16,
            weight_average=0.9,
            head_loss_weight=0.2,
        ),
        [0.951451711, 8.64948545, 4.37292803, 3.67338365, 11.3589397, 0.614017286],
    ),
    "sasrec": (
        replace(SHAPE, model="sasrec", score="cosine"),
        TRAINING,
        [0.980213514, 6.88265791, 4.31653063, 3.71041606, 9.64102142, 0.430263811],
    ),
}


def scale_of(model: torch.nn.Module) -> float:
    """Geometric mean of the lengths of all tensors of weights that are not 0."""
    norms = [float(weights.detach().double().norm()) for weights in model.parameters()]
    return float(np.exp(np.mean(np.log([norm for norm in norms if norm]))))


def norm_of(model: torch.nn.Module) -> float:
    """Length of all weights as one vector."""
    squares = (float(weights.detach().double().square().sum()) for weights in model.parameters())
    return sum(squares) ** 0.5


@pytest.mark.skipif(
    not torch.backends.mkl.is_available(),
    reason="PyTorch without MKL draws other dropout from the same seed",
)
@pytest.mark.parametrize("name", CASES)
def test_settings_give_the_figures_that_they_gave(name: str) -> None:
    shape, training, pinned = CASES[name]
    data, items = dataset()
    vectors = None
    if training.item_start == "catalogue":
        vectors = catalogue_vectors(items, shape.width, shape.heads, training.start_facets)
    state = new_state(shape, training, data.num_items, torch.device("cpu"), item_vectors=vectors)
    first = scale_of(state.model)
    assert fit(state, data, training)
    end = state.ranking_model.eval()
    found = [first, *(row["loss"] for row in state.history), norm_of(end)]
    mrr = summarise_ranks(model_ranks(end, data, "test"))["MRR"]
    message = (
        f"{name}: the same settings train otherwise than version {CODE_VERSION} of the code did; "
        "where that is meant raise CODE_VERSION in fame/__init__.py and pin what this says here"
    )
    assert found == pytest.approx(pinned[:-1], rel=TOLERANCE), message
    assert mrr == pytest.approx(pinned[-1], abs=1 / PEOPLE / 2), message


def test_the_pinned_figures_are_those_of_the_present_version() -> None:
    assert PINNED_VERSION == CODE_VERSION, "CODE_VERSION was raised: pin its figures here"
