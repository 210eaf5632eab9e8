"""A small data set and checkpoints of it, made up for the tests of the app; nobody's data."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fame.checkpoint import load_checkpoint, write_description, write_metrics, write_weights
from fame.config import ModelConfig, TrainConfig
from fame.data import import_file, load
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.facets.spaces import space_names
from fame.files import read_json, write_json
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model, made_of_values
from fame.projection import Projection, write_projection
from fame.survey import FACETS, survey, survey_facets

NAME = "made-up"
HTML_TITLE = "*NSYNC <b>x</b> $5 [a](b)"
SHORTCODE_TITLE = ":material/home: :red[hot] $x^2$ `code`"
ITEMS = 40
LONG, SINGLE = "long", "single"  # users: more clicks than the model reads; one click only
FAME = ModelConfig(width=24, heads=3, experts=2, layers=2, max_length=8)
NAMED = replace(FAME, head_facets="genres/genres/")  # the third head is free
SASREC = ModelConfig(model="sasrec", width=24, heads=2, layers=2, max_length=8)


def titles() -> list[str]:
    plain = [f"Film number {item}" for item in range(1, ITEMS + 1)]
    plain[0], plain[1] = HTML_TITLE, SHORTCODE_TITLE
    return plain


def environment(home: Path) -> dict[str, str]:
    """What keeps a process, or this one, to folders of its own."""
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "FAME_CHECKPOINTS": str(home / "checkpoints"),
        "FAME_DATA": "",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Runs a block in the environment of ``home``."""
    before = dict(os.environ)
    os.environ.update(environment(home))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def make(home: Path) -> None:
    """Imports the data set and writes the checkpoints ``made-up`` and ``sasrec`` below ``home``."""
    with at_home(home):
        _import(home)
        write_checkpoint(home / "checkpoints" / NAME, FAME, seed=1)
        write_checkpoint(home / "checkpoints" / "sasrec", SASREC, seed=2)


def _import(home: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", int(item) + 1)
        for user in range(30)
        for item in rng.permutation(ITEMS)[: rng.integers(5, 9)]
    ]
    rows += [(LONG, item + 1) for item in rng.permutation(ITEMS)[:20]]
    rows += [(LONG, 1), (LONG, 2)][: 0 if {1, 2} <= {i for u, i in rows if u == LONG} else 2]
    rows += [(SINGLE, 3)]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "clicks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item"])
        writer.writerows(rows)
    pd.DataFrame(
        {
            "item_id": range(1, ITEMS + 1),
            "title": titles(),
            "year": [1950 + item if item % 7 else None for item in range(ITEMS)],
            "genres": ["Drama|War" if item % 3 else "Comedy|<i>Odd</i>" for item in range(ITEMS)],
        }
    ).astype({"year": "Int64"}).to_csv(home / "items.csv", index=False)
    import_file(home / "clicks.csv", NAME, items=home / "items.csv")


def write_checkpoint(path: Path, config: ModelConfig, seed: int, name: str = NAME) -> None:
    """A checkpoint of an imported set whose weights are noise, with a projection of noise."""
    dataset = load(name, offline=True)
    data = dataset.interactions
    torch.manual_seed(seed)
    values = None
    if made_of_values(config):
        made = head_values(ItemAttributes.of(dataset.items), config.facet_shares, data.num_items)
        values = ValueIndex.of(made.counts, made.value, made.start)
    model = build_model(config, data.num_items, values)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    write_description(path, config, TrainConfig(), data, dataset.items)
    write_weights(path, model.state_dict())
    write_metrics(path, {"test": {"NDCG@10": 0.1, "HR@10": 0.2}})
    checkpoint = load_checkpoint(path)
    rng = np.random.default_rng(seed)
    spaces = space_names(checkpoint.model)
    points = pd.DataFrame({"item_id": checkpoint.items["item_id"].tolist()})
    for space in spaces:
        points[f"{space}_x"], points[f"{space}_y"] = rng.normal(size=(2, data.num_items))
    projection = Projection(points, dict.fromkeys(spaces, 0.4))
    write_projection(path, projection, checkpoint.weights_hash)


def write_named_checkpoint(path: Path, names: Sequence[str | None]) -> None:
    """A surveyed checkpoint of :data:`NAMED` whose ``facets.json`` names the heads so."""
    write_checkpoint(path, NAMED, seed=3)
    checkpoint, data = load_checkpoint(path), load(NAME, offline=True).interactions
    survey(checkpoint, data, sample=2)
    survey_facets(checkpoint, data, sample=10)
    document = read_json(path / FACETS)
    for head, name in zip(document["heads"], names, strict=True):
        facet = None if name in (None, "Free") else next(iter(document["lists"]))
        head |= {"name": name, "facet": facet}
    write_json(path / FACETS, document)
