"""What needs a CUDA device: training in bf16 there, and scores equal to the CPU's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fame.checkpoint import load_checkpoint
from fame.data import Dataset
from fame.training.train import train
from tests.integration.conftest import SHAPE, TRAINING

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.mark.parametrize("model", ["fame", "sasrec"])
def test_a_run_in_bf16_learns_and_scores_as_on_the_cpu(
    dataset: Dataset, model: str, tmp_path: Path
) -> None:
    training = replace(TRAINING, epochs=12, device="cuda", precision="bf16")
    assert train(dataset, replace(SHAPE, model=model), training, tmp_path / "run", projection=False)
    on_gpu = load_checkpoint(tmp_path / "run", "cuda")
    on_cpu = load_checkpoint(tmp_path / "run")
    assert on_cpu.metrics is not None and on_cpu.metrics["test"]["MRR"] > 0.95
    history = torch.from_numpy(dataset.interactions.sequence(0)[-8:].astype(np.int64))[None]
    scores = on_gpu.model.trace(history.cuda()).scores.cpu()
    # Both are float32 sums of 16 products; 1e-4 is a hundred times their rounding.
    torch.testing.assert_close(scores, on_cpu.model.trace(history).scores, rtol=1e-4, atol=1e-4)
