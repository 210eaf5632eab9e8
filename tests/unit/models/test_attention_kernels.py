"""Which attention kernel runs: the fused one, not the one that holds (T, T) weights.

Grouped-query attention, an explicit mask or dropout on the weights can each take the fused kernel
away without a word. What needs a CUDA device is in tests/integration/test_gpu.py.
"""

from dataclasses import replace

import pytest
import torch

from fame.config import ModelConfig, TrainConfig
from fame.models.registry import build_model
from fame.training.objective import Objective

SHAPE = ModelConfig(width=16, heads=2, experts=3, layers=3, max_length=8, dropout=0.3)


@pytest.mark.parametrize("model", ["fame", "sasrec"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_training_runs_the_fused_kernel_of_the_cpu(model, precision):
    objective = Objective(build_model(replace(SHAPE, model=model), 20), TrainConfig()).train()
    items = torch.randint(1, 20, (4, 8))
    bf16 = precision == torch.bfloat16
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = objective(items, torch.arange(32), torch.arange(32) % 20)
        loss.backward()
    ran = [event.name for event in profile.events()]
    fused = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert ran.count(fused) == SHAPE.layers
    assert ran.count(fused + "_backward") == SHAPE.layers
    assert "aten::_scaled_dot_product_attention_math" not in ran
