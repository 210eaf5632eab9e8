"""The models by name: what each is called, what it has, and where it is built.

The table is all that the rest of the project knows of a particular model, and it loads no torch: a
model's own module is imported when one is built or its costs are counted. Such a module has

- ``build(config, num_items, values)``, the untrained
  :class:`~fame.models.sequence_model.SequenceModel`;
- ``costs(config)``, its :class:`~fame.models.costs.ModelCosts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from fame.config import ModelConfig, ModelName, TrainConfig
from fame.errors import ConfigError

if TYPE_CHECKING:
    from fame.models.costs import ModelCosts
    from fame.models.item_values import ValueIndex
    from fame.models.sequence_model import SequenceModel


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model without building one.

    Attributes:
        title: Its name for people.
        module: Has its ``build`` and ``costs``.
        remark: What it is, in a few words behind its name.
        about: The same as a sentence, beside the choice of a model.
        heads_rank: Whether its heads rank by themselves (unless ``facets=off``), with experts
            inside them and a gate over them.
        settings: Settings that mean something to it and not to every model.
        trained_like: The model whose recipe holds where a data set has none for this one.
    """

    title: str
    module: str
    remark: str
    about: str
    heads_rank: bool = False
    settings: frozenset[str] = frozenset()
    trained_like: ModelName | None = None

    def ranks_by_head(self, config: ModelConfig) -> bool:
        """Whether a model of this configuration has heads that rank by themselves."""
        return self.heads_rank and config.facets == "on"

    def title_of(self, config: ModelConfig) -> str:
        """The title, and what of the model a configuration leaves away."""
        return f"{self.title}{' without facets' * (self.heads_rank and config.facets == 'off')}"

    def shape_of(self, config: ModelConfig) -> str:
        """Title and shape in one line, such as ``FAME, 2 heads of 4 experts``."""
        shape = self.remark
        if "experts" in self.settings:
            heads, experts = config.heads, config.experts
            shape = f"{heads} head{'s' * (heads != 1)} of {experts} expert{'s' * (experts != 1)}"
        return f"{self.title_of(config)}, {shape}"


MODELS: dict[ModelName, ModelSpec] = {
    "fame": ModelSpec(
        title="FAME",
        module="fame.models.fame",
        remark="heads that rank, with experts inside",
        about="FAME has heads that each rank the catalogue, with experts inside them.",
        heads_rank=True,
        settings=frozenset(
            {
                *("experts", "expert_view", "expert_loss_weight", "gate", "facets"),
                *("head_facets", "own_bound", "head_loss_weight", "head_loss_shares"),
            }
        ),
    ),
    "sasrec": ModelSpec(
        title="SASRec",
        module="fame.models.sasrec",
        remark="one query, no heads of its own",
        about="SASRec is the baseline without them.",
    ),
    "bsarec": ModelSpec(
        title="BSARec",
        module="fame.models.bsarec",
        remark="one query, a frequency filter beside attention",
        about="BSARec is SASRec with a filter of frequencies beside its attention.",
        settings=frozenset({"filter_weight", "frequency_cutoff"}),
        trained_like="sasrec",
    ),
}


def spec_of(config: ModelConfig) -> ModelSpec:
    """The row of :data:`MODELS` that a configuration names."""
    return MODELS[config.model]


def ranking_heads(config: ModelConfig) -> int:
    """How many heads rank by themselves: H, or 1 where the whole embedding is the one head."""
    return config.heads if spec_of(config).ranks_by_head(config) else 1


def check_loss_shares(config: ModelConfig, training: TrainConfig) -> None:
    """``ConfigError`` where there is not one share of the heads' own loss for every head."""
    shares, heads = training.shares_of_heads, ranking_heads(config)
    if shares and heads > 1 and len(shares) != heads:
        raise ConfigError(
            f"head_loss_shares={training.head_loss_shares} has {len(shares)} shares and there are "
            f"{heads} heads; give one a head with / between them, or leave it empty."
        )


def settings_of_others(name: ModelName) -> frozenset[str]:
    """The settings that a model has no use for."""
    of_some = frozenset[str]().union(*(spec.settings for spec in MODELS.values()))
    return of_some - MODELS[name].settings


def made_of_values(config: ModelConfig) -> bool:
    """Whether items are made of the catalogue's values, see :mod:`fame.models.item_values`."""
    return spec_of(config).ranks_by_head(config) and bool(config.head_facets)


def build_model(
    config: ModelConfig, num_items: int, values: ValueIndex | None = None
) -> SequenceModel:
    """The model that ``config`` describes, for a catalogue of ``num_items`` real items.

    Args:
        values: Which item has which values, where the configuration makes items of them; other
            models do not look at it.
    """
    if made_of_values(config) and values is None:
        raise ValueError(f"head_facets={config.head_facets} needs to know the items' values")
    build = import_module(spec_of(config).module).build
    model: SequenceModel = build(config, num_items, values if made_of_values(config) else None)
    return model


def costs_of(config: ModelConfig) -> ModelCosts:
    """What the model that ``config`` describes takes in memory and arithmetic."""
    costs: ModelCosts = import_module(spec_of(config).module).costs(config)
    return costs
