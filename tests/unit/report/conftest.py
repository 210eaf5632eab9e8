"""A made-up checkpoint with titles that would be markup, and everything a report tells of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fame.baselines import CountingBaselines
from fame.checkpoint import Checkpoint, load_checkpoint, write_description, write_weights
from fame.config import ModelConfig, TrainConfig
from fame.report.content import Content, Subject, gather
from tests.tiny import TINY, TINY_SASREC, cyclic_interactions, random_model

DATA = cyclic_interactions(people=8, num_items=40, length=9)
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'`*x*`"


def make(path: Path, config: ModelConfig) -> Checkpoint:
    titles = [f"Place {item}" for item in range(1, 41)]
    titles[6] = titles[7] = NASTY
    genres = [["<i>Odd</i>", "War"]] * 40
    items = pd.DataFrame({"item_id": DATA.item_ids[1:], "title": titles, "genres": genres})
    write_description(path, config, TrainConfig(), DATA, items)
    write_weights(path, random_model(config, DATA.num_items, dtype=torch.float32).state_dict())
    return load_checkpoint(path)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: make(root / name, config) for name, config in
            (("fame", TINY), ("sasrec", TINY_SASREC))}  # fmt: skip


@pytest.fixture(scope="session")
def told(checkpoints: dict[str, Checkpoint]) -> Callable[..., Content]:
    """``told(history, ...)``: what a report tells; the rest are the fields of its subject."""

    def tell(
        history: list[int], model: str = "fame", k: int = 5, counted: bool = True, **subject
    ) -> Content:
        return gather(
            checkpoints[model],
            Subject(np.array(history), **subject),
            k=k,
            baselines=CountingBaselines(DATA) if counted else None,
        )

    return tell
