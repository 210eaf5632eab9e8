"""The work that contenders are measured on: one data set and one pair of configurations.

A measuring process gets its histories from a file of plain arrays rather than by name, so that
its memory is that of training and ranking, not of reading, and made-up sets are made up once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fame import data
from fame.bench.measure import Say
from fame.config import ModelConfig, TrainConfig
from fame.data import synthetic
from fame.data.sequences import Interactions, training_windows

# Made-up histories with the shape of a set that not everybody has.
ML_20M_SHAPE = "synthetic:ml-20m"


def load_histories(name: str, scale: float, say: Say) -> Interactions:
    """The histories of a named set, or made-up ones.

    Args:
        name: A name out of ``data list``, or ``ML_20M_SHAPE``.
        scale: Size of what is made up, as a share of the full one.
    """
    if name == ML_20M_SHAPE:
        return synthetic.ml_20m(synthetic.ML_20M.scaled(scale))
    return data.load(name, progress=lambda text, share: say(text)).interactions


@dataclass(frozen=True)
class Work:
    """What is measured: histories, and the configurations that all contenders share.

    Args:
        path: The histories as a file that :func:`read_histories` opens.
    """

    data: Interactions
    model: ModelConfig
    training: TrainConfig
    path: Path

    @property
    def window_lengths(self) -> np.ndarray:
        """``(W,)`` real positions of the training windows of an epoch."""
        return training_windows(self.data, self.model.max_length).lengths

    def about(self) -> dict[str, Any]:
        """The work in words and numbers, for the answer."""
        return {
            "data": self.data.name,
            "fingerprint": self.data.fingerprint,
            "users": len(self.data),
            "items": self.data.num_items,
            "interactions": len(self.data.items),
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
        }


@contextmanager
def shared_work(data: Interactions, model: ModelConfig, training: TrainConfig) -> Iterator[Work]:
    """The work with its histories in a temporary file, for the block."""
    with TemporaryDirectory(prefix="fame-bench-") as folder:
        path = Path(folder) / "histories.npz"
        np.savez(path, items=data.items, offsets=data.offsets, num_items=data.num_items)
        yield Work(data, model, training, path)


def read_histories(path: Path | str) -> Interactions:
    """The histories of :func:`shared_work`; people and items are numbered, not named."""
    with np.load(path, allow_pickle=False) as arrays:
        items, offsets, num_items = arrays["items"], arrays["offsets"], int(arrays["num_items"])
    return Interactions(
        name="bench",
        user_ids=np.arange(len(offsets) - 1).astype(str),
        item_ids=np.array(["", *map(str, range(1, num_items + 1))]),
        items=items,
        offsets=offsets,
    )
