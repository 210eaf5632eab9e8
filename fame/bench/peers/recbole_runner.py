"""RecBole's SASRec as a piece of work for :mod:`fame.bench.serve`; runs in RecBole's environment.

Nothing of this project is imported, and nothing of RecBole is changed: it reads its own format,
splits, batches, trains and ranks by its own code.
"""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed


class RecBoleSASRec:
    """SASRec with cross-entropy over all items, by RecBole's trainer.

    Args:
        folder: The folder that holds ``name/name.inter``.
        name: The data set.
        settings: Entries of RecBole's configuration.
        threads: Of PyTorch, as many as ours has.
        detect_anomaly: Whether PyTorch's anomaly detection stays as RecBole leaves it. RecBole
            1.2.1 turns it on when its models are imported (in ``sine.py``), for all of them.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        settings: dict[str, Any],
        threads: int,
        detect_anomaly: bool,
    ) -> None:
        os.chdir(folder)  # where it stands, RecBole leaves logs
        torch.set_num_threads(threads)
        config = Config(
            model="SASRec",
            dataset=name,
            config_dict={**settings, "data_path": folder, "checkpoint_dir": folder},
        )
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        self._train, _, self._test = data_preparation(config, dataset)
        model = get_model(config["model"])(config, self._train._dataset).to(config["device"])
        self._trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        self._trainer.eval_collector.data_collect(self._train)
        if not detect_anomaly:
            torch.autograd.set_detect_anomaly(False)

    def __call__(self, what: str) -> dict[str, Any]:
        """Trains one epoch (``train``) or ranks the test split (``rank``); ``seconds`` of it."""
        started = time.perf_counter()
        if what == "train":
            self._trainer._train_epoch(self._train, 0)
        else:
            self._trainer.evaluate(self._test, load_best_model=False)
        read = self._train if what == "train" else self._test
        return {"seconds": time.perf_counter() - started, "examples": len(read._dataset)}
