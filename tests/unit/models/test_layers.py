"""Dropout whose mask is cut out of random integers, against what dropout has to be."""

import pytest
import torch
import torch.nn.functional as F

from fame.models.layers import Dropout


@pytest.mark.parametrize("p", [0.001, 0.1, 0.4, 0.5, 0.9])
def test_the_share_dropped_and_the_scale_are_those_of_p(p):
    torch.manual_seed(0)
    count = 1_000_003  # no multiple of the four draws in a random word
    dropped = Dropout(p)(torch.ones(count))
    zeros = int((dropped == 0).sum())
    # Four standard deviations of a binomial count, and p is taken to the nearest 1 / 65,536.
    assert abs(zeros - p * count) < 4 * (p * (1 - p) * count) ** 0.5 + count / 65536
    kept = dropped[dropped != 0]
    assert kept.min() == kept.max()
    assert float(kept[0]) * (1 - p) == pytest.approx(1, abs=2e-5 / (1 - p))


def test_neighbours_and_later_draws_are_independent():
    torch.manual_seed(0)
    module, x = Dropout(0.5), torch.ones(400_000)
    first, second = (module(x) == 0).float(), (module(x) == 0).float()
    pairs = [(first[:-lag], first[lag:]) for lag in (1, 2, 3, 4)] + [(first, second)]
    for one, other in pairs:
        # The correlation of n independent pairs has standard deviation 1 / sqrt(n) = 0.0016.
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.0065


def test_the_gradient_passes_where_the_value_did():
    x = torch.full((7, 11), 3.0, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.3)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, y / 3)


def test_the_seed_decides_the_mask():
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(Dropout(0.4)(torch.ones(64)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_nothing_is_dropped_in_evaluation_or_at_zero():
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(0.9).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)


def test_half_precision_is_kept():
    assert Dropout(0.5)(torch.ones(9, dtype=torch.bfloat16)).dtype is torch.bfloat16


def test_away_from_the_cpu_it_is_pytorchs_own(monkeypatch):
    """A meta tensor stands in for any device that is no CPU."""
    asked = []
    monkeypatch.setattr(F, "dropout", lambda x, p, training: asked.append((p, training)) or x)
    Dropout(0.25)(torch.ones(3, device="meta"))
    assert asked == [(0.25, True)]
