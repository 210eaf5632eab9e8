"""What needs a CUDA device: training in bf16 there without waiting, by fused kernels, and scores
equal to the CPU's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from fame.checkpoint import load_checkpoint
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.models.moe_attention import grouped_causal_attention
from fame.models.registry import build_model
from fame.training.loop import Progress, fit, new_state
from fame.training.objective import Objective
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


@pytest.mark.parametrize("model", ["fame", "sasrec"])
def test_attention_in_bf16_runs_a_fused_kernel(model: str) -> None:
    """No other kernel is allowed, so a mask or a grouping that none of them takes is an error."""
    config = ModelConfig(model=model, max_length=50)
    objective = Objective(build_model(config, 100), TrainConfig()).cuda().train()
    items = torch.randint(1, 101, (4, 50), device="cuda")
    real = torch.arange(200, device="cuda")
    fused = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with sdpa_kernel(fused), torch.autocast("cuda", torch.bfloat16):
        loss = objective(items, real, real % 100)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in objective.parameters())


def test_experts_in_fp32_run_a_fused_kernel_too() -> None:
    """None takes groups in float32: left to itself, PyTorch would write every weight down."""
    parts = [
        torch.randn(2, heads, 50, 32, device="cuda", requires_grad=True) for heads in (8, 2, 2)
    ]
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        found = grouped_causal_attention(*parts)
    found.sum().backward()
    on_cpu = grouped_causal_attention(*(part.detach().cpu() for part in parts))
    torch.testing.assert_close(found.detach().cpu(), on_cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["fame", "sasrec"])
def test_a_step_does_not_wait_for_the_device(dataset: Dataset, model: str) -> None:
    """Between two looks at the loss nothing asks the device for an answer."""
    training = replace(TRAINING, epochs=1, device="cuda", precision="bf16", label_smoothing=0.1)
    state = new_state(
        replace(SHAPE, model=model), training, dataset.interactions.num_items, torch.device("cuda")
    )
    watched: list[int] = []

    def watch(progress: Progress) -> None:
        # The loss is read in the first step and in the last one of these few.
        within = progress.step < progress.steps - 1
        watched.append(within)
        torch.cuda.set_sync_debug_mode("error" if within else "default")

    try:
        fit(state, dataset.interactions, training, on_step=watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert sum(watched) >= 3


@pytest.mark.parametrize("samples", ["windows", "prefixes"])
def test_a_compiled_model_has_the_loss_of_a_plain_one(samples, caplog) -> None:
    model = build_model(ModelConfig(dropout=0.0), 100).cuda().train()
    plain, compiled = (
        Objective(model, TrainConfig(compile=choice, samples=samples)) for choice in ("off", "on")
    )
    for width in (50, 20, 7, 1):
        items = torch.randint(1, 101, (8, width), device="cuda")
        real = torch.arange(8 * (width if samples == "windows" else 1), device="cuda")
        # Both in float32, summed in another order.
        torch.testing.assert_close(
            compiled(items, real, real % 100), plain(items, real, real % 100), rtol=1e-4, atol=1e-4
        )
    # PyTorch itself logs every step of compiling.
    ours = [record for record in caplog.records if record.name.startswith("fame")]
    assert not ours, "it fell back to the plain model"
