"""Facets that nobody tells a model of: the ways to look for them, and how finds are counted."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fame.data.synthetic import PlantedFacets, Shape, planted_facets
from fame.experiments import untold_facets
from fame.experiments.untold_facets import (
    FACETS,
    WAYS,
    Model,
    agreement,
    experiment,
    hit_rate,
    purity,
    table,
    trained,
)

SMALL = Shape(users=60, items=128, interactions=1_500)
K = 16


@pytest.fixture(scope="module")
def planted() -> PlantedFacets:
    return planted_facets(SMALL, seed=0, facets=FACETS)


def sequences(planted: PlantedFacets) -> tuple[Tensor, Tensor]:
    data = planted.dataset.interactions
    rows = [data.sequence(user)[:10].astype(np.int64) for user in range(8)]
    clicks = torch.from_numpy(np.stack(rows))
    return clicks[:, :9], clicks[:, 1:]


def model_of(way: str, planted: PlantedFacets) -> Model:
    """Untrained, but with weights large enough to matter."""
    torch.manual_seed(1)
    model = Model(WAYS[way], planted).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.keep_blocks()
    return model


@pytest.mark.parametrize("way", WAYS)
def test_shares_are_those_of_the_equations(way: str, planted: PlantedFacets) -> None:
    model, (items, _) = model_of(way, planted), sequences(planted)
    x_VD = model.items()
    encoding = model.fame(items, vectors_VD=x_VD)
    bias = model.popularity_V if WAYS[way].codes else torch.zeros(SMALL.items)
    log_p, both = model.log_shares(items)
    assert log_p.exp().sum(-1).detach().numpy() == pytest.approx(1)
    for row, place in ((0, 0), (3, 8), (7, 4)):
        gate = encoding.gate[row, place]
        scores = [
            sub @ encoding.head_states[row, place, h] for h, sub in enumerate(model.seen(x_VD))
        ]
        if WAYS[way].mixture == "sum":
            expected = (gate[0] * scores[0] + gate[1] * scores[1] + bias).softmax(-1)
        else:
            expected = sum(
                g * (own + bias).softmax(-1) for g, own in zip(gate, scores, strict=True)
            )
            shares = both[row * 9 + place].exp()
            torch.testing.assert_close(shares.sum(-1), gate)
        torch.testing.assert_close(log_p[row * 9 + place].exp(), expected)


def test_as_much_responsibility_as_is_due_is_the_mixture(
    planted: PlantedFacets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of an EM step is that of the likelihood; a sharper one is another."""
    gradients = {}
    for way, power in (("mixture", 1.0), ("winner", 1.0), ("winner", 4.0)):
        monkeypatch.setattr(untold_facets, "_SHARPER", power)
        model, batch = model_of(way, planted), sequences(planted)
        model.loss(*batch).backward()
        gradients[way, power] = model.fame.facet_maps.grad
    torch.testing.assert_close(gradients["winner", 1.0], gradients["mixture", 1.0])
    assert (gradients["winner", 4.0] - gradients["mixture", 1.0]).abs().max() > 1e-3


def test_a_head_sees_its_own_slice_alone(planted: PlantedFacets) -> None:
    for way, own_slice in (("mixture", True), ("plain", False), ("told", True)):
        model = trained(WAYS[way], planted, seed=0, epochs=1)
        x_VD = torch.randn(9, 2 * K)
        other = x_VD.clone()
        other[:, K:] += 1.0
        changed = (model.seen(other) - model.seen(x_VD)).detach().abs().amax((1, 2))
        assert (float(changed[0]) == 0) == own_slice and float(changed[1]) > 0.1


def test_cold_codes_are_one_vector_of_the_book(planted: PlantedFacets) -> None:
    model = model_of("codes", planted)
    model.temperature = 1e-4
    slices = model.items()[1:].view(SMALL.items, 2, K)
    for head in range(2):
        best = model.code_VHM[1:, head].argmax(-1)
        torch.testing.assert_close(slices[:, head], model.book_HMK[head, best])
    assert model.items()[0].abs().max() == 0


class Known:
    """Heads whose slices are what they are said to be."""

    def __init__(self, heads: list[np.ndarray]) -> None:
        self.heads = [torch.from_numpy(head.astype(np.float64)) for head in heads]

    def items(self) -> Tensor:
        whole = torch.cat(self.heads, dim=1)
        return torch.cat([torch.zeros_like(whole[:1]), whole])

    def seen(self, x_VD: Tensor) -> list[Tensor]:
        return self.heads


def test_heads_are_matched_with_facets_either_way_round() -> None:
    a, b = np.arange(240) // 20 % 12, np.arange(240) % 12  # twenty items of every value
    one_hot = [np.eye(12)[values] for values in (a, b)]
    noise = 0.01 * np.random.default_rng(0).normal(size=(240, 12))
    assert agreement(one_hot[0] + noise, a) == 1
    by_chance = agreement(one_hot[0] + noise, b)
    for heads in (one_hot, one_hot[::-1]):
        found = purity(Known([heads[0] + noise, heads[1]]), [a, b])
        assert found["own"] == 1 and found["other"] < 0.2
        assert found["over"] == pytest.approx(1 / found["whole"], rel=0.1)
    # Where both heads know one of the two only one of them can have it.
    found = purity(Known([one_hot[0] + noise, one_hot[0]]), [a, b])
    assert found["own"] == pytest.approx((1 + by_chance) / 2, abs=0.06)


def test_hits_are_counted_over_the_rest_of_the_catalogue(planted: PlantedFacets) -> None:
    model, data = model_of("mixture", planted).float(), planted.dataset.interactions
    hits = 0
    for user in range(len(data)):
        history, target = data.split_user(user)
        read = torch.from_numpy(history[-50:].astype(np.int64))[None]
        with torch.no_grad():
            score = model.log_shares(read, last_only=True)[0][0].numpy().copy()
        score[history - 1] = -np.inf
        hits += target - 1 in np.argsort(-score)[:10]
    assert hit_rate(model, data) == pytest.approx(hits / len(data))


def test_who_is_told_finds_both_and_permuted_attributes_are_found_by_nobody() -> None:
    rows = list(experiment(["told"], [0], shape=SMALL, epochs=3))
    (row,) = rows
    assert row["own"] > 0.7 and row["own"] > 5 * row["other"]
    # By chance 15 of 127 others have an item's A and 7 its B: .086 in the mean.
    assert row["permuted"] == pytest.approx(0.086, abs=0.04)
    page = table(rows)
    assert page.count("\n") == 3 and "| oracle: told both attributes | 1 |" in page
