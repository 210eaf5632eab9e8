"""Training that starts from a trained model, where the catalogue may have grown since.

What a model has learned goes over by name: items by their ids, values by head and name, all else as
it is. New items and values start as in any training; those that the data set has no longer are left
behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fame.checkpoint import Checkpoint
from fame.config import ModelConfig
from fame.errors import FameError
from fame.models.sequence_model import SequenceModel

# Settings of a model that may differ: no weight means anything else because of them.
_MAY_DIFFER = {"dropout"}


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        given: Settings that somebody gave; all others are the checkpoint's.
    """

    checkpoint: Checkpoint
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TakenOver:
    """How many items and values were taken over, are new, and were left behind."""

    items: int
    new_items: int
    left_items: int
    values: int
    new_values: int
    left_values: int


def start_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The settings of a checkpoint for a run that starts from it, on any device."""
    settings = {**checkpoint.model_config.to_dict(), **checkpoint.train_config.to_dict()}
    del settings["device"]
    return settings


def check_start(checkpoint: Checkpoint, config: ModelConfig, out: Path) -> None:
    """``FameError`` unless a model of ``config`` can take over a checkpoint's weights."""
    theirs = checkpoint.model_config.to_dict()
    for name, own in config.to_dict().items():
        if name not in _MAY_DIFFER and own != theirs[name]:
            raise FameError(
                f"The run in {out} has {name}={own!r} and cannot start from {checkpoint.name!r}, "
                f"which has {name}={theirs[name]!r}; leave the setting away, or start without it."
            )


@torch.no_grad()
def take_over(
    model: SequenceModel,
    checkpoint: Checkpoint,
    item_ids: Sequence[str],
    value_names: Sequence[Sequence[str]] = (),
) -> TakenOver:
    """Gives an untrained model the weights of a trained one.

    Args:
        model: Changed in place; of the checkpoint's configuration, see :func:`check_start`.
        item_ids: Ids of its items, from item 1 on.
        value_names: ``[H]`` the names of each head's values, where it makes items of them.

    Raises:
        FameError: where none of its items is known.
    """
    theirs, own = checkpoint.model.state_dict(), model.state_dict()
    known = checkpoint.items["item_id"].tolist()
    items = _places(["", *known], ["", *item_ids])  # the padding goes with them
    if len(items) == 1:
        raise FameError(
            f"{checkpoint.name!r} knows none of the {len(item_ids):,} items, so a training on them "
            "cannot start from it; start without it."
        )
    values = _places(_named(checkpoint.value_names), _named(value_names))
    by_row = {"item_embedding.weight": items, "values.vectors": values}
    for name, tensor in own.items():
        if name in by_row:
            rows = torch.tensor(by_row[name], device=tensor.device).view(-1, 2)
            tensor[rows[:, 1]] = theirs[name].to(tensor)[rows[:, 0]]
        elif name not in ("values.value", "values.start"):  # which item has which value now
            tensor.copy_(theirs[name])
    many = sum(map(len, value_names))
    return TakenOver(
        items=len(items) - 1,
        new_items=len(item_ids) - (len(items) - 1),
        left_items=len(known) - (len(items) - 1),
        values=len(values),
        new_values=many - len(values),
        left_values=sum(map(len, checkpoint.value_names)) - len(values),
    )


def _named(names: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Every value by its head and name, in the order of their numbers."""
    return [(head, name) for head, own in enumerate(names) for name in own]


def _places(theirs: Sequence[object], own: Sequence[object]) -> list[tuple[int, int]]:
    """Where what both have stands in the first and in the second."""
    place = {name: row for row, name in enumerate(theirs)}
    return [(place[name], row) for row, name in enumerate(own) if name in place]
