"""The table of models is whole, and what it says of a configuration is so."""

import dataclasses
from typing import get_args

import pytest
import torch

from fame.config import ModelConfig, ModelName, TrainConfig
from fame.experiments.recipes import KINDS, build_configs, load_recipe
from fame.experiments.variants import variant
from fame.models.registry import (
    MODELS,
    build_model,
    costs_of,
    ranking_heads,
    settings_of_others,
    spec_of,
)
from tests.tiny import TINY, TINY_MODELS, every_model, padded, random_model, values_for

FIELDS = {field.name for kind in (ModelConfig, TrainConfig) for field in dataclasses.fields(kind)}


def test_every_name_of_the_configuration_has_a_row_and_no_other():
    assert tuple(MODELS) == get_args(ModelName)


@every_model
def test_a_model_is_what_its_row_says(config):
    for changed in (config, dataclasses.replace(config, facets="off")):
        model = build_model(changed, 9, values_for(changed))
        assert model.heads == ranking_heads(changed)
        assert bool(model.experts) == spec_of(changed).ranks_by_head(changed)
        costs = costs_of(changed)
        assert len(costs.blocks) == changed.layers


@every_model
def test_a_model_is_whole_where_only_its_weights_were_kept(config):
    """A checkpoint is opened into a model that was built without memory."""
    model = random_model(config)
    values = values_for(config)
    with torch.device("meta"):
        opened = build_model(config, 9, values)
    opened.load_state_dict(model.state_dict(), assign=True)
    items_BT = padded([[3, 1, 4], [5]])
    assert torch.equal(opened.to("cpu").eval()(items_BT).query, model(items_BT).query)


@every_model
def test_its_settings_are_fields_of_the_configurations(config):
    own = MODELS[config.model].settings
    assert own <= FIELDS and settings_of_others(config.model) <= FIELDS
    assert not own & settings_of_others(config.model)


@every_model
def test_it_has_a_recipe_and_a_row_of_the_tables(config):
    name = config.model
    assert name in KINDS
    shape, training = variant(name).configs("ml-100k")
    recipe = load_recipe("ml-100k", name)
    assert (shape, training) == build_configs({**recipe, "model": name}, "the recipe")
    like = MODELS[name].trained_like
    if like is not None:  # it has no table of its own there
        as_like, training_like = variant(like).configs("ml-100k")
        assert (shape, training) == (dataclasses.replace(as_like, model=name), training_like)
        assert variant(name).base == "sasrec"


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (TINY, "FAME, 2 heads of 3 experts"),
        (dataclasses.replace(TINY, heads=1, experts=1), "FAME, 1 head of 1 expert"),
        (
            dataclasses.replace(TINY, facets="off"),
            "FAME without facets, 2 heads of 3 experts",
        ),
        (TINY_MODELS["sasrec"], "SASRec, one query, no heads of its own"),
        (TINY_MODELS["bsarec"], "BSARec, one query, a frequency filter beside attention"),
    ],
)
def test_a_shape_is_one_line(config, shape):
    assert spec_of(config).shape_of(config) == shape
