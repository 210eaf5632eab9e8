"""What the figures are measured against: the plain loss, and the arithmetic as it is counted."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fame.bench.flops import epoch_flops, loss_flops, network_flops
from fame.bench.loss import LossStep, implementations
from fame.bench.machine import MatrixPeak
from fame.bench.reference_loss import ReferenceEpoch, reference_loss
from fame.config import ModelConfig
from fame.models.bsarec import FrequencyFilter
from fame.models.fame import Fame
from fame.models.moe_attention import MoEAttention
from fame.models.registry import MODELS, build_model
from tests.tiny import values_for


@pytest.mark.parametrize("rows", [3, 256])
def test_the_reference_loss_is_cross_entropy_with_its_gradients(rows: int) -> None:
    rng = torch.Generator().manual_seed(0)
    query = torch.randn(10, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    table = torch.randn(7, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    target = torch.randint(7, (10,), generator=rng)
    loss = F.cross_entropy(query @ table.T, target)
    loss.backward()
    found = reference_loss(query.detach(), table.detach(), target, rows=rows)
    for ours, true in zip(found, (loss.detach(), query.grad, table.grad), strict=True):
        torch.testing.assert_close(ours, true, rtol=1e-12, atol=1e-14)


def test_the_reference_epoch_extrapolates_from_the_positions_it_did(monkeypatch) -> None:
    done: list[int] = []
    module = "fame.bench.reference_loss"
    monkeypatch.setattr(f"{module}._BLOCK", 4)
    monkeypatch.setattr(f"{module}.reference_loss", lambda query, *_: done.append(len(query)))
    clock = iter(range(100))
    monkeypatch.setattr(f"{module}.time.perf_counter", lambda: float(next(clock)))
    epoch = ReferenceEpoch(positions=10, items=5, width=2, dtype="float32", device="cpu")
    whole = epoch()
    assert done == [4, 4, 2] and whole["share"] == 1
    done.clear()
    part = epoch(share=0.5)
    assert done == [4, 1] and part["share"] == 0.5
    done.clear()
    assert epoch(seconds=1.5)["share"] == 0.4 and done == [4]
    # The clock ticks once at the start, once a block and once at the end.
    assert (whole["seconds"], part["seconds"]) == (4.0, 6.0)


LENGTHS = np.array([1, 3, 4])


def counted(config: ModelConfig) -> float:
    """Multiplications of one forward pass over windows of LENGTHS, from the model's own weights."""
    model = build_model(config, 9, values_for(config))
    mults = 0
    filters = any(isinstance(module, FrequencyFilter) for module in model.modules())
    for length in LENGTHS.tolist():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear):
                times = config.heads if name.startswith("head_feed_forward") else 1
                mults += length * times * module.weight.numel()
            if isinstance(module, MoEAttention):
                mults += length * module.router_weight.numel()
        if isinstance(model, Fame):
            mults += length * model.facet_maps.numel()
        mixtures = [module for module in model.modules() if isinstance(module, MoEAttention)]
        for block in range(config.layers):
            experts = config.experts if mixtures and block == 0 else 1
            for position in range(length):
                mults += (position + 1) * (2 * experts + filters) * config.width
    return mults


@pytest.mark.parametrize(
    "changes", [*({"model": name} for name in MODELS), {"facets": "off"}, {"head_facets": "a/b/"}]
)
def test_the_network_is_counted_from_its_weights_and_causal_pairs(changes) -> None:
    config = ModelConfig(width=12, heads=3, experts=5, layers=3, **changes)
    assert network_flops(config, LENGTHS) == 2 * 3 * counted(config)


def test_an_epoch_adds_the_loss_and_where_it_is_trained_the_loss_of_the_heads() -> None:
    fame, sasrec = ModelConfig(width=8), ModelConfig(model="sasrec", width=8)
    loss = loss_flops(8, 9, 8)
    assert loss == 3 * 2 * 8 * 9 * 8
    for config, head_loss, losses in ((fame, False, 1), (fame, True, 2), (sasrec, True, 1)):
        total = epoch_flops(config, LENGTHS, 9, head_loss=head_loss, steps=5)
        maps = 5 * 6 * 9 * 8 * 8 if losses == 2 else 0  # sub-embeddings are made in every step
        assert total == network_flops(config, LENGTHS) + losses * loss + maps


def test_the_peak_is_a_rate_at_one_of_the_sizes(monkeypatch) -> None:
    monkeypatch.setattr("fame.bench.machine._SECONDS_A_PRODUCT", 0.0)
    peak = MatrixPeak(items=50, width=4, dtype="float32", device="cpu")()
    assert peak["flops_per_second"] > 0 and peak["rows"] in (64, 128, 256, 512)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (form, name)
        for form in ("fused", "heads", "drawn")
        for name in implementations("cpu", form)[0]
    ],
)
def test_every_implementation_of_the_loss_agrees_with_float64(form, name) -> None:
    # Six orders above the rounding of float32 would be a wrong gradient; one is not.
    shape = {"positions": 70, "items": 40, "width": 8, "heads": 2}
    answer = LossStep(name, form, **shape, dtype="float32", device="cpu")(check=True)
    assert answer["loss_error"] < 1e-5 and answer["gradient_error"] < 1e-5


def test_a_wrong_gradient_would_be_seen(monkeypatch) -> None:
    monkeypatch.setattr(
        "fame.bench.loss.plain", lambda q, t, y: F.cross_entropy(q @ t.T, y, label_smoothing=0.01)
    )
    step = LossStep("plain", "fused", 70, 40, 8, 2, "float32", "cpu")
    assert step(check=True)["gradient_error"] > 1e-3


def test_what_a_device_cannot_run_has_a_reason() -> None:
    found, missing = implementations("cpu")
    assert missing["liger"] == "its kernel is for CUDA"
    assert not set(found) & set(missing)
