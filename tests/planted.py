"""A made-up catalogue of genres and years, people who choose by them, and models of known heads."""

import numpy as np
import pandas as pd
import torch

from fame.config import ModelConfig
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.models.sequence_model import SequenceModel

KINDS, COPIES, PEOPLE, LENGTH = 8, 3, 150, 6
GENRE, YEAR = (column.ravel() for column in np.indices((KINDS, KINDS, COPIES))[:2])
ITEMS = len(GENRE)
VALUES = {
    "genres": [[f"genre {genre}"] for genre in GENRE],
    "year": [[str(1990 + year)] for year in YEAR],
}
TRAIN_COUNT = np.random.default_rng(1).integers(1, 50, ITEMS)


def catalogue() -> pd.DataFrame:
    ids = [f"i{item + 1}" for item in range(ITEMS)]
    return pd.DataFrame({"item_id": ids, "title": ids, **VALUES}).assign(
        year=1990 + YEAR, train_count=TRAIN_COUNT
    )


def sequences(people: int = PEOPLE, *, seed: int = 0) -> list[list[int]]:
    """Every click has the genre of the one before, or else its year, and is new."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(people):
        own = [int(rng.integers(ITEMS))]
        while len(own) <= LENGTH:
            column = GENRE if rng.random() < 0.5 else YEAR
            alike = np.flatnonzero(column == column[own[-1]])
            own.append(int(rng.choice(alike[~np.isin(alike, own)])))
        found.append([item + 1 for item in own])
    return found


def people() -> tuple[list[np.ndarray], np.ndarray]:
    """Histories and what came next."""
    whole = np.array(sequences())
    return list(whole[:, :-1]), whole[:, -1]


def built_config(head_facets: str = "genres/year") -> ModelConfig:
    heads = head_facets.count("/") + 1
    return ModelConfig(
        width=KINDS * 2 * heads, heads=heads, experts=2, layers=1, max_length=LENGTH, dropout=0.0,
        head_facets=head_facets, own_bound=0.0, score="dot",
    )  # fmt: skip


def built_model(head_facets: str = "genres/year") -> SequenceModel:
    """Each head asks for the values that the latest click has of its facet, and for nothing else.

    A value's vector is an axis of its own, attention adds nothing, and items have no own part.
    """
    config = built_config(head_facets)
    made = head_values(ItemAttributes.of(catalogue()), config.facet_shares, ITEMS)
    torch.manual_seed(0)
    model = build_model(config, ITEMS, ValueIndex.of(made.counts, made.value, made.start))
    with torch.no_grad():
        for layer in (model.attention.value, model.head_feed_forward.outer):
            layer.weight.zero_()
            layer.bias.zero_()
        first = 0
        for count in made.counts:
            model.values.vectors[first : first + count] = torch.eye(count, config.head_width)
            first += count
    return model.eval()
