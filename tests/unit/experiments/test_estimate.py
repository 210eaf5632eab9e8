"""What a run will take, told before it starts."""

from dataclasses import replace

import numpy as np
import pytest

from fame.checkpoint import DataInfo, Description
from fame.config import ModelConfig, TrainConfig
from fame.errors import FameError
from fame.experiments.estimate import (
    Pace,
    epoch_work,
    estimate,
    nearest_pace,
    pace_of,
)
from fame.models.registry import build_model
from fame.training.loop import training_samples
from tests.integration.conftest import made_up_dataset

SHAPE = ModelConfig(width=16, heads=2, experts=2, layers=2, max_length=8)
TRAIN = TrainConfig(batch_size=16, device="cpu")
DATA = DataInfo("walks", "f", "none", 1000, 500, 20_000, "exclude", "c")


def described(model: ModelConfig = SHAPE, train: TrainConfig = TRAIN, data: DataInfo = DATA):
    return Description(model, train, data, 1, {}, {}, 4, "")


def test_parameters_are_exact_and_the_data_set_is_told() -> None:
    dataset = made_up_dataset()
    found = estimate(dataset, SHAPE, TRAIN, "cpu")
    model = build_model(SHAPE, dataset.interactions.num_items)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert (found.people, found.items, found.clicks) == (96, 12, 96 * 11)
    assert found.titles and found.columns == ("region",)
    assert found.memory > 4 * 4 * found.parameters
    assert found.epoch_seconds is None and found.pace is None


def test_heads_that_cannot_be_facets_are_told() -> None:
    with pytest.raises(FameError, match="no such column"):
        estimate(made_up_dataset(), replace(SHAPE, head_facets="colour/"), TRAIN, "cpu")


def test_the_same_run_takes_the_same_time_and_a_median_epoch_counts() -> None:
    rows = [{"seconds": seconds} for seconds in (9.0, 1.0, 1.2)]
    pace = pace_of("a", described(), rows)
    assert pace is not None and pace.epoch_seconds == 1.2
    assert nearest_pace([pace], DATA, SHAPE, TRAIN) == (pytest.approx(1.2), pace)
    assert pace_of("b", described(), [{"seconds": 0.0}]) is None
    assert nearest_pace([], DATA, SHAPE, TRAIN) is None


@pytest.mark.parametrize(
    ("model", "train", "low", "high"),
    [
        ({"width": 32}, {}, 2.0, 4.0),  # between the item table's share and the blocks'
        ({"layers": 4}, {}, 1.1, 2.1),
        ({}, {"samples": "prefixes"}, 1.2, 4.0),
        ({}, {"negatives": 50}, 0.3, 1.0),
        ({}, {"head_loss_weight": 0.0}, 0.4, 1.0),
        ({"dropout": 0.1}, {"seed": 7}, 1.0, 1.0),
    ],
)
def test_more_work_takes_longer(model: dict, train: dict, low: float, high: float) -> None:
    more = epoch_work(DATA, replace(SHAPE, **model), replace(TRAIN, **train))
    assert low <= more / epoch_work(DATA, SHAPE, TRAIN) <= high


def test_work_counts_the_targets_that_an_epoch_has() -> None:
    dataset = made_up_dataset()
    data = DataInfo.of(dataset.interactions, dataset.items)
    targets = training_samples(dataset.interactions, SHAPE, TRAIN).targets
    assert data.interactions - 3 * data.users == targets


def test_it_goes_by_the_run_that_is_most_alike() -> None:
    wide = replace(SHAPE, width=64)
    here = Pace("here", described(), 1.0)
    elsewhere = Pace("elsewhere", described(), 2.0, here=False)
    other = Pace("other data", described(data=replace(DATA, fingerprint="g")), 3.0)
    large = Pace("large", described(wide), 4.0)
    paces = [elsewhere, other, large, here]
    assert nearest_pace(paces, DATA, SHAPE, TRAIN) == (pytest.approx(1.0), here)
    assert nearest_pace([elsewhere, here], DATA, wide, TRAIN)[1] is here
    found = nearest_pace(paces, DATA, wide, TRAIN)
    assert found is not None and found[1] is large
    tiny = Pace("tiny", described(replace(SHAPE, width=2)), 0.1)
    assert nearest_pace([tiny, elsewhere], DATA, wide, TRAIN)[1] is elsewhere
    ratio = epoch_work(DATA, wide, TRAIN) / epoch_work(DATA, SHAPE, TRAIN)
    assert np.isclose(nearest_pace([here], DATA, wide, TRAIN)[0], ratio)
