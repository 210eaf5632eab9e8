"""What a run will take, before it starts: parameters, memory, and time at a pace seen before.

Time is that of another run times the ratio of the arithmetic; figures of the machine itself would
say little, because small models are far from what it can do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fame.checkpoint import DataInfo, Description
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import facet_columns
from fame.data.head_values import head_values
from fame.models.item_values import ValueIndex
from fame.models.registry import costs_of, made_of_values, ranking_heads
from fame.training.loop import resolve_precision, training_samples
from fame.training.memory import count_parameters, memory_need

_OTHER_DEVICE, _OTHER_DATA = 2.0, 1.0  # doublings of the work that these count as


@dataclass(frozen=True)
class Pace:
    """How fast a run was.

    Attributes:
        run: Its name, for people.
        described: What it trained, on what data.
        epoch_seconds: Of its median epoch, validation included.
        here: Whether it ran on the device that is asked about.
    """

    run: str
    described: Description
    epoch_seconds: float
    here: bool = True

    @property
    def work(self) -> float:
        """Of one of its epochs, see :func:`epoch_work`."""
        told = self.described
        return epoch_work(told.data, told.model_config, told.train_config)


@dataclass(frozen=True)
class Estimate:
    """What a run will take, and what its data set is.

    Attributes:
        people, items, clicks: Of the data set.
        titles: Whether its items have titles.
        columns: What its items could be facets of.
        parameters: Exactly.
        memory: Bytes on the device, about.
        epoch_seconds: About; ``None`` where no run is there to go by.
        pace: The run that it goes by.
    """

    people: int
    items: int
    clicks: int
    titles: bool
    columns: tuple[str, ...]
    parameters: int
    memory: int
    epoch_seconds: float | None = None
    pace: Pace | None = None


def epoch_work(data: DataInfo, model_config: ModelConfig, train_config: TrainConfig) -> float:
    """Multiply-adds of an epoch, up to a factor: training at 3 to each of the validation's.

    Histories count as all of one length, the mean.
    """
    history = max(data.interactions / max(data.users, 1), 1.0)
    length = min(history, float(model_config.max_length))
    blocks = costs_of(model_config).blocks
    a_position = sum(
        block.products_per_position + block.products_per_pair * (length + 1) / 2 for block in blocks
    )
    targets = max(data.interactions - 3 * data.users, 1)
    read = targets * (length / 2 if train_config.samples == "prefixes" else 1.0)
    heads_too = train_config.head_loss_weight > 0 and ranking_heads(model_config) > 1
    against = (train_config.negatives or data.items) * model_config.width * (1 + heads_too)
    validation = data.users * (length * a_position + data.items * model_config.width)
    return 3 * (read * a_position + targets * against) + validation


def pace_of(
    run: str, described: Description, history: Sequence[dict[str, float]], *, here: bool = True
) -> Pace | None:
    """The pace of a run by its rows an epoch; ``None`` where they do not tell."""
    seconds = [row["seconds"] for row in history if row.get("seconds", 0) > 0]
    return Pace(run, described, float(np.median(seconds)), here) if seconds else None


def nearest_pace(
    paces: Sequence[Pace], data: DataInfo, model_config: ModelConfig, train_config: TrainConfig
) -> tuple[float, Pace] | None:
    """Seconds an epoch, by the run that is most like this one, and that run.

    Alike is what has about as much work an epoch: a small model is far slower for its work than a
    large one. Another device counts as a factor of 4, other data as one of 2.
    """
    if not paces:
        return None
    work = epoch_work(data, model_config, train_config)

    def unlike(pace: Pace) -> float:
        other_data = pace.described.data.fingerprint != data.fingerprint
        distance = abs(float(np.log2(work / pace.work)))
        return distance + _OTHER_DEVICE * (not pace.here) + _OTHER_DATA * other_data

    nearest = min(paces, key=unlike)
    return nearest.epoch_seconds * work / nearest.work, nearest


def estimate(
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    device: str,
    paces: Sequence[Pace] = (),
) -> Estimate:
    """What a run of these settings will take.

    Args:
        device: ``cpu`` or ``cuda:N``; nothing is asked of it.
        paces: Runs to go by.

    Raises:
        FameError: where heads cannot be what ``head_facets`` says.
    """
    data, attributes = dataset.interactions, ItemAttributes.of(dataset.items)
    values = None
    if made_of_values(model_config):
        made = head_values(attributes, model_config.facet_shares, data.num_items)
        values = ValueIndex.of(made.counts, made.value, made.start)
    on = torch.device(device)
    need = memory_need(
        model_config,
        train_config,
        data.num_items,
        training_samples(data, model_config, train_config),
        device=on,
        precision=resolve_precision(train_config.precision, on),
        values=values,
    )
    found = nearest_pace(paces, DataInfo.of(data, dataset.items), model_config, train_config)
    titles = dataset.items["title"].astype(str) != dataset.items["item_id"].astype(str)
    return Estimate(
        people=len(data),
        items=data.num_items,
        clicks=len(data.items),
        titles=bool(titles.any()),
        columns=tuple(facet_columns(dataset.items)),
        parameters=count_parameters(model_config, data.num_items, values),
        memory=int(need.total),
        epoch_seconds=found[0] if found else None,
        pace=found[1] if found else None,
    )
