"""BSARec's filter against the authors' formulation, and what it must never see.

The whole model and its gradients are held against the slow twin in test_models.py, as are all
properties that hold for every model.
"""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from fame.config import ModelConfig
from fame.errors import ConfigError
from fame.models.bsarec import FrequencyFilter, low_pass_response
from tests.tiny import TINY_MODELS, padded, random_model

BSAREC = TINY_MODELS["bsarec"]
SASREC = TINY_MODELS["sasrec"]
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def as_published(x_BTD: torch.Tensor, cutoff: int, sqrt_beta_D: torch.Tensor) -> torch.Tensor:
    """The filter by its equations: transform, keep the lowest, transform back; all positions."""
    spectrum = torch.fft.rfft(x_BTD, dim=1, norm="ortho")
    kept = torch.zeros(spectrum.shape[1], 1, dtype=x_BTD.dtype)
    kept[: cutoff // 2 + 1] = 1
    low = torch.fft.irfft(spectrum * kept, n=x_BTD.shape[1], dim=1, norm="ortho")
    return low + sqrt_beta_D**2 * (x_BTD - low)


@pytest.mark.parametrize("length", [7, 8])
@pytest.mark.parametrize("cutoff", [1, 3, 5, 9])
@pytest.mark.parametrize("clicks", [1, 4, 7])
def test_the_filter_is_the_published_one_at_the_last_position(length, cutoff, clicks):
    """Of a sequence with silence before it, as the authors pad; for odd and even lengths."""
    torch.manual_seed(0)
    own = FrequencyFilter(4, length, cutoff)
    x_BTD = torch.randn(2, clicks, 4, dtype=torch.float64)
    silent_first = F.pad(x_BTD, (0, 0, length - clicks, 0))
    expected = as_published(silent_first, cutoff, own.sqrt_beta.double())[:, -1]
    filtered = own.double()(x_BTD)
    torch.testing.assert_close(filtered[:, -1], expected, **EXACT)
    alone = own(x_BTD, torch.full((2,), clicks - 1))
    torch.testing.assert_close(alone[:, 0], expected, **EXACT)


def test_a_filter_that_keeps_every_frequency_keeps_the_sequence():
    assert torch.equal(low_pass_response(5, 5).round(decimals=12), torch.eye(5)[0].double())
    assert torch.equal(low_pass_response(4, 99).round(decimals=12), torch.eye(4)[0].double())
    torch.testing.assert_close(low_pass_response(4, 1), torch.full((4,), 0.25).double())


def test_the_filter_passes_slow_changes_and_weighs_fast_ones():
    """Over a full sequence a slow wave comes through whole, a fast one times beta."""
    own = FrequencyFilter(1, 40, 3).double()
    with torch.no_grad():
        own.sqrt_beta.fill_(0.5)
    place = torch.arange(40, dtype=torch.float64)
    for waves, share in ((0, 1.0), (1, 1.0), (2, 0.25), (13, 0.25)):
        wave = torch.cos(2 * torch.pi * waves * (place - 39) / 40)[None, :, None]  # ends on 1
        assert own(wave)[0, -1].item() == pytest.approx(share, abs=1e-12)


def test_without_the_filters_share_it_is_sasrec():
    bare = dataclasses.replace(BSAREC, filter_weight=0.0)
    model, sasrec = random_model(bare), random_model(SASREC)
    weights = {name: own for name, own in model.state_dict().items() if "filter" not in name}
    sasrec.load_state_dict(weights)
    items_BT = padded([[3, 1, 4], [5]])
    torch.testing.assert_close(model(items_BT).query, sasrec(items_BT).query, **EXACT)
    seen = random_model(BSAREC)(items_BT).query
    assert (seen - sasrec(items_BT).query).abs().max() > 0.1  # and with it, it is not


def test_an_even_cutoff_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match=r"frequency_cutoff must be odd, not 4: .* in pairs"):
        ModelConfig(model="bsarec", frequency_cutoff=4)
