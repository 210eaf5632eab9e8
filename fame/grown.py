"""A checkpoint on a data set that has grown since: its histories in the model's own item numbers.

A set that grows may number its items anew, since it numbers them by their ids. So histories are
brought over by id and never by number. Items that the model has never seen are ranked from their
values where it makes items of values (:func:`with_new_items`); clicks on all others are left out.

Shapes: ``V`` items of the checkpoint with the padding id 0 · ``C`` new items · ``G`` heads that
know values.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch

from fame.checkpoint import Checkpoint
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import catalogue_hash, facet_columns
from fame.data.head_values import head_values
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model, made_of_values

_NAMED = 5  # items that are named one by one


@dataclass(frozen=True)
class Growth:
    """What a data set has that it had not when a checkpoint was trained on it.

    Attributes:
        clicks, people, items: How many more of them.
        placed: Ids of new items that the model ranks from their values.
        left_out: ``{id: title}`` of items that it does not know.
        clicks_left_out: Clicks on those, which no history has.
        targets_left_out: People whose last click is one of them: the last known one stands for it.
    """

    clicks: int
    people: int
    items: int
    placed: tuple[str, ...]
    left_out: dict[str, str]
    clicks_left_out: int
    targets_left_out: int

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "left_out": list(self.left_out)}

    def sentences(self) -> list[str]:
        """That the set has grown, what becomes of new items, and whose figures the stored ones are.

        One sentence each; only the first where the catalogue is the same.
        """
        more = [
            f"{many:,} {word}"
            for many, word in (
                (self.clicks, "newer clicks" if self.clicks != 1 else "newer click"),
                (self.people, "new people" if self.people != 1 else "new person"),
                (self.items, "new items" if self.items != 1 else "new item"),
            )
        ]
        told = [
            f"The data set has grown since this model was trained: {more[0]}, {more[1]} and "
            f"{more[2]}; stored figures are those of the data that it was trained on."
        ]
        if many := len(self.placed):
            which, them = ("One new item is", "it")
            if many > 1:
                which, them = f"{many:,} new items are", "them"
            told.append(f"{which} ranked from what the catalogue says of {them}, and nothing else.")
        if many := len(self.left_out):
            titles = list(self.left_out.values())
            names = ", ".join(titles[:_NAMED]) + (f" and {many - _NAMED:,} more" * (many > _NAMED))
            clicks = f"{self.clicks_left_out:,} click{'s' * (self.clicks_left_out != 1)}"
            told.append(
                f"The model does not know {many:,} new item{'s' * (many != 1)}, which no list has, "
                f"and whose {clicks} no history has: {names}."
            )
        if many := self.targets_left_out:
            people = "one person" if many == 1 else f"{many:,} people"
            told.append(
                f"Of {people} the last click is one of those, so the last one before it stands for "
                "what came next."
            )
        return told


@dataclass(frozen=True)
class Fitted:
    """A data set as a checkpoint reads it.

    Attributes:
        fingerprint: That of the data set as it is.
        dataset: Its histories in the item numbers of the checkpoint, and the checkpoint's
            catalogue; a person whose clicks are all left out has an empty history.
        growth: ``None`` where the histories are those of training, or others that the same items
            can be ranked for.
        other: Whether they are such others.
    """

    fingerprint: str
    dataset: Dataset
    growth: Growth | None
    other: bool


def fitted(checkpoint: Checkpoint, dataset: Dataset) -> Fitted:
    """Brings a data set to the items of a checkpoint, of which it has to know every one.

    Raises:
        CheckpointError: where it has another catalogue, or lacks clicks of those that the
            checkpoint was trained on: equal ids alone do not make it the same set.
    """
    data, ids = dataset.interactions, checkpoint.items["item_id"].tolist()
    same = ids == data.item_ids[1:].tolist()
    own = {item: number for number, item in enumerate(ids, 1)}
    number_V = np.array([own.get(item, 0) for item in data.item_ids.tolist()], dtype=np.int32)
    if same and data.fingerprint == checkpoint.data.fingerprint:
        return Fitted(data.fingerprint, dataset, None, False)
    if not _has_grown(checkpoint, dataset, number_V):
        checkpoint.check_catalogue(data)
        return Fitted(data.fingerprint, dataset, None, True)
    numbers = number_V[data.items]
    is_known = numbers > 0
    before = np.concatenate([[0], np.cumsum(is_known)])
    last = data.offsets[1:][np.diff(data.offsets) > 0] - 1
    strange = np.flatnonzero(number_V[1:] == 0)
    trained = checkpoint.data
    growth = Growth(
        clicks=len(data.items) - trained.interactions,
        people=max(0, len(data) - trained.users),
        items=data.num_items - trained.items,
        placed=tuple(ids[trained.items :]),
        left_out={
            dataset.items["item_id"].iloc[row]: str(dataset.items["title"].iloc[row])
            for row in strange.tolist()
        },
        clicks_left_out=int((~is_known).sum()),
        targets_left_out=int((~is_known[last]).sum()),
    )
    brought = dataclasses.replace(
        data,
        item_ids=np.array(["", *ids], dtype=object),
        items=numbers[is_known],
        offsets=before[data.offsets],
    )
    catalogue = checkpoint.items.drop(columns="train_count")
    brought_set = dataclasses.replace(dataset, interactions=brought, items=catalogue)
    return Fitted(data.fingerprint, brought_set, growth, False)


def _has_grown(checkpoint: Checkpoint, dataset: Dataset, number_V: np.ndarray) -> bool:
    """Whether a set has every item of a checkpoint, at least as often as in training.

    A set that only gained clicks has each item no less often in its training part, which is all but
    everybody's last two clicks. Another set of other people's clicks has hardly ever.
    """
    trained = checkpoint.items["train_count"].to_numpy()
    counts = np.zeros(len(trained) + 1, dtype=np.int64)
    counts[number_V] = dataset.interactions.train_counts
    has_all = len(np.unique(number_V[number_V > 0])) == len(trained)
    more = len(dataset.interactions.items) > checkpoint.data.interactions
    return has_all and more and bool((counts[1:] >= trained).all())


def known_clicks(history: np.ndarray, checkpoint: Checkpoint) -> np.ndarray:
    """A history without the items that another checkpoint of the same data added behind its own."""
    return history[history <= len(checkpoint.items)]


def with_new_items(checkpoint: Checkpoint, dataset: Dataset) -> Checkpoint:
    """A checkpoint that also ranks a set's new items: those of which it knows a value.

    They stand behind its own items and are made of their values alone, with nothing of their own,
    as of :func:`fame.lens.trace.new_item`. Its own items and weights stay as they are, bit by bit;
    what is stored with it (maps, evidence) knows its own items only.

    Returns:
        ``checkpoint`` itself where it does not make items of values, or has nothing to add.
    """
    if not made_of_values(checkpoint.model_config):
        return checkpoint
    is_new = ~dataset.items["item_id"].isin(checkpoint.items["item_id"]).to_numpy(dtype=bool)
    new = dataset.items[is_new].reset_index(drop=True)
    if not len(new):
        return checkpoint
    counts_GC = values_of_new(checkpoint, new).start.diff().view(-1, len(new) + 1)[:, 1:]
    new = new[(counts_GC.sum(0) > 0).numpy()].reset_index(drop=True)
    if not len(new):
        return checkpoint
    model, config = checkpoint.model, checkpoint.model_config
    assert model.values is not None, "its items are made of values"
    index = _joined(model.values.index, values_of_new(checkpoint, new))
    catalogue = pd.concat([checkpoint.items, _as_in(checkpoint.items, new)], ignore_index=True)
    state = dict(model.state_dict())
    own_VD = state["item_embedding.weight"]
    state["item_embedding.weight"] = torch.cat([own_VD, own_VD.new_zeros(len(new), config.width)])
    for name in ("value", "start"):
        state[f"values.{name}"] = getattr(index, name).to(own_VD.device)
    with torch.device("meta"):
        larger = build_model(config, len(catalogue), index)
    larger.load_state_dict(state, assign=True)
    digest = hashlib.sha256(f"{checkpoint.hash} {catalogue_hash(new)}".encode())
    return dataclasses.replace(
        checkpoint,
        model=larger.eval().requires_grad_(False),
        items=catalogue,
        hash=digest.hexdigest(),
        known_as=checkpoint.name,
    )


def _joined(own: ValueIndex, new: ValueIndex) -> ValueIndex:
    """The values of items and of those that stand behind them; values are numbered alike."""
    G = len(own.named)
    values: list[torch.Tensor] = []
    counts: list[torch.Tensor] = []
    for group in range(G):
        for index, first in ((own, 0), (new, 1)):  # the padding stands there once
            many = (len(index.start) - 1) // G
            starts = index.start.cpu()[group * many + first : (group + 1) * many + 1]
            values.append(index.value.cpu()[int(starts[0]) : int(starts[-1])])
            counts.append(starts.diff())
    start = torch.cat([torch.zeros(1), torch.cat(counts).cumsum(0)])
    return ValueIndex.of(own.counts, torch.cat(values), start)


def _as_in(items: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """New items with the columns of a checkpoint's catalogue."""
    kinds = facet_columns(items)
    rows = new.reindex(columns=items.columns)
    rows["train_count"] = 0
    for name, kind in kinds.items():
        if kind == "list":
            rows[name] = [own if isinstance(own, list) else [] for own in rows[name]]
    return rows


def values_of_new(checkpoint: Checkpoint, new: pd.DataFrame) -> ValueIndex:
    """Which new item has which of the values that a model knows, padding first.

    Args:
        new: ``C`` rows as in the checkpoint's catalogue.
    """
    both = pd.concat([checkpoint.items, new])  # a column of the few alone might say nothing
    shares = checkpoint.model_config.facet_shares
    made = head_values(ItemAttributes.of(both), shares, len(both))
    number_of = {
        name: number for number, name in enumerate(chain.from_iterable(checkpoint.value_names))
    }
    number = np.array([number_of.get(name, -1) for name in chain.from_iterable(made.names)])
    named = sum(map(bool, shares))
    first = len(checkpoint.items) + 1
    value: list[int] = []
    start = [0]
    for group in range(named):
        bags = made.start[group * (len(both) + 1) : (group + 1) * (len(both) + 1) + 1]
        # The padding has none, then come the new items, which stand behind the others.
        for begin, end in ((0, 0), *zip(bags[first:-1], bags[first + 1 :], strict=True)):
            own = number[made.value[begin:end]]
            value += own[own >= 0].tolist()
            start.append(len(value))
    return ValueIndex.of(tuple(map(len, checkpoint.value_names)), value, start)
