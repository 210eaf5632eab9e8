"""Other libraries' models on the same histories, each run by a Python of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow import csv

from fame.bench.processes import Process
from fame.bench.work import Work
from fame.data.sequences import Interactions, places
from fame.errors import FameError
from fame.training.loop import resolve_device

PEERS = ("recbole",)
# Beside RecBole as it comes: without the anomaly detection that it turns on, see its runner.
NO_ANOMALY = "recbole_no_anomaly"
_RUNNER = Path(__file__).with_name("recbole_runner.py")
_NAME = "histories"


@dataclass(frozen=True)
class Peer:
    """A peer and the Python whose environment has it.

    Args:
        name: One of ``PEERS``.
        python: Path of that Python.
        repeats: Times that it is measured; it takes minutes where ours takes seconds.
    """

    name: str
    python: str
    repeats: int

    def __post_init__(self) -> None:
        if self.name not in PEERS:
            raise FameError(f"--peer knows {', '.join(PEERS)}, not {self.name!r}.")
        if shutil.which(self.python) is None:
            raise FameError(
                f"--peer-python {self.python!r} is no Python that can be run; name the one of an "
                f"environment that has {self.name}."
            )

    def start(
        self, work: Work, *, detect_anomaly: bool = True, warm_up: dict[str, Any] | None = None
    ) -> Process:
        """The peer's process, with the work's histories written in its own format."""
        folder = work.path.parent / self.name
        if not folder.is_dir():
            (folder / _NAME).mkdir(parents=True)
            write_inter(work.data, folder / _NAME / f"{_NAME}.inter")
        arguments = {
            "folder": str(folder),
            "name": _NAME,
            "settings": recbole_settings(work),
            "threads": torch.get_num_threads(),
            "detect_anomaly": detect_anomaly,
        }
        return Process((self.python, str(_RUNNER), "RecBoleSASRec"), arguments, warm_up=warm_up)


def write_inter(data: Interactions, path: Path) -> None:
    """Histories as RecBole's atomic file; people and items are numbered, time is the place."""
    lengths = np.diff(data.offsets)
    users = np.repeat(np.arange(len(data)), lengths)
    table = pa.table([users, data.items, places(lengths)], names=["user", "item", "place"])
    with path.open("wb") as file:
        file.write(b"user_id:token\titem_id:token\ttimestamp:float\n")
        csv.write_csv(table, file, csv.WriteOptions(include_header=False, delimiter="\t"))


def recbole_settings(work: Work) -> dict[str, Any]:
    """RecBole's SASRec in the shape of ours: cross-entropy, leave-one-out, full ranking.

    It has no dropout inside the attention either, which is to its advantage: that is slow on a
    CPU. Its batch holds ``batch_size`` prefixes of histories, ours that many whole windows.
    """
    model, training = work.model, work.training
    device = resolve_device(training.device)
    return {
        "n_layers": model.layers,
        "n_heads": model.heads,
        "hidden_size": model.width,
        "inner_size": 4 * model.width,
        "hidden_dropout_prob": model.dropout,
        "attn_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "MAX_ITEM_LIST_LENGTH": model.max_length,
        "train_batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "seed": training.seed,
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        },
        "metrics": ["Hit", "NDCG"],
        "topk": [5, 10, 20],
        "valid_metric": "NDCG@10",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "use_gpu": device.type == "cuda",
        "gpu_id": str(device.index or 0),
        "show_progress": False,
        "state": "WARNING",
    }
