"""Small models and histories made for the tests, from nobody's data."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from fame.config import ModelConfig
from fame.data.sequences import Interactions
from fame.models.item_values import ValueIndex
from fame.models.registry import MODELS, build_model, made_of_values
from fame.models.sequence_model import SequenceModel

TINY = ModelConfig(model="fame", width=8, heads=2, experts=3, layers=2, max_length=5, dropout=0.0)
TINY_SASREC = dataclasses.replace(TINY, model="sasrec")
TINY_MODELS = {name: dataclasses.replace(TINY, model=name) for name in MODELS}
TINY_VALUES = dataclasses.replace(TINY, head_facets="kind/")
# For tests of what must hold for every model of the registry.
every_model = pytest.mark.parametrize(
    "config", [*TINY_MODELS.values(), TINY_VALUES], ids=[*TINY_MODELS, "fame made of values"]
)


def values_for(config: ModelConfig, num_items: int = 9) -> ValueIndex | None:
    """Values drawn for every named head, four to know and up to three an item; some have none."""
    if not made_of_values(config):
        return None
    rng = np.random.default_rng(5)
    counts, value, start, known = [], [], [0], 0
    for share in config.facet_shares:
        counts.append(4 if share else 0)
        for item in range(num_items + 1 if share else 0):
            many = int(rng.integers(4)) if item else 0
            value += sorted(known + int(one) for one in rng.permutation(4)[:many])
            start.append(len(value))
        known += counts[-1]
    index = ValueIndex.of(counts, value, start)
    index.check(num_items)
    return index


def random_model(
    config: ModelConfig, num_items: int = 9, *, seed: int = 0, dtype: torch.dtype = torch.float64
) -> SequenceModel:
    """A model in eval mode whose every parameter is random and large enough to matter.

    An untrained model hides faults: its gate is uniform, its biases are 0 and its attention flat.
    """
    model = build_model(config, num_items, values_for(config, num_items)).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            is_gain = name.endswith("norm.weight")
            parameter.copy_(noise * 0.5 + (1.0 if is_gain else 0.0))
        model.item_embedding.weight[0] = 0  # the padding
    return model.eval()


def padded(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Sequences as one int64 tensor ``(B, longest)``, padded with 0 on the right."""
    longest = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[0] * (longest - len(sequence))] for sequence in sequences])


def interactions_of(
    sequences: Sequence[Sequence[int]], num_items: int, name: str = "tiny"
) -> Interactions:
    """A data set of whole histories; user ids are u0, u1, .. and item ids i1, i2, .."""
    return Interactions(
        name=name,
        user_ids=np.array([f"u{user}" for user in range(len(sequences))], dtype=object),
        item_ids=np.array(["", *(f"i{item + 1}" for item in range(num_items))], dtype=object),
        items=np.array([item for sequence in sequences for item in sequence], dtype=np.int32),
        offsets=np.cumsum([0, *(len(sequence) for sequence in sequences)]),
    )


def cyclic_interactions(people: int, num_items: int, length: int, *, seed: int = 0) -> Interactions:
    """People who walk round the catalogue one item at a time, each from a start of their own.

    What comes next is certain given the last click, so a model that learns must find it.
    """
    starts = np.random.default_rng(seed).integers(0, num_items, people)
    return interactions_of(
        [[int((start + step) % num_items) + 1 for step in range(length)] for start in starts],
        num_items,
    )


def with_first_choices(
    data: Interactions, split: Literal["valid", "test"], model: SequenceModel
) -> Interactions:
    """The same histories, but the target of a split is what ``model`` (in eval mode) ranks first.

    If it is untrained, training can only lose what it has there: the first epoch is that split's
    best one, while what is certain is learnt later. So validation and test choose apart.
    """
    items = data.items.copy()
    for user in range(len(data)):
        history, _ = data.split_user(user, split)
        read = padded([history[-model.config.max_length :].tolist()])
        with torch.no_grad():
            scores = model.item_table @ model(read, last_only=True).query[0, 0]
        scores[data.sequence(user) - 1] = -torch.inf  # never what was certain, or a repeat
        items[data.offsets[user] + len(history)] = int(scores.argmax()) + 1
    return dataclasses.replace(data, items=items)


def sealed(file: Path, document: dict[str, Any]) -> None:
    """Writes JSON with the SHA-256 of its content, as who edits a checkpoint on purpose would."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    seal = hashlib.sha256(plain.encode()).hexdigest()
    if "sha256" in document:
        content["sha256"] = seal
    file.write_text(json.dumps(content))
