"""What two heads share, held against the plain equations, and on heads that are alike or not."""

import numpy as np
import pytest

from fame.facets.redundancy import linear_cka, rank_biased_overlaps, redundancy
from fame.lens.compare import rank_biased_overlap

RNG = np.random.default_rng(4)
PEOPLE, V = 60, 30


def lists(length: int = 20) -> np.ndarray:
    drawn = np.stack([RNG.permutation(V)[:20] + 1 for _ in range(PEOPLE)])
    drawn[:, length:] = 0
    return drawn


def test_overlaps_are_those_of_two_rankings_one_by_one():
    first, second = lists(), lists()
    first[:20, 7:], second[:20, 7:] = 0, 0  # lists that end early
    first[20:25], second[20:25] = 0, 0  # nothing left to recommend
    found = rank_biased_overlaps(first, second)
    for person in range(PEOPLE):
        one, other = (ranked[person][ranked[person] > 0] for ranked in (first, second))
        expected = rank_biased_overlap(one, other) if len(one) else 1.0
        assert found[person] == pytest.approx(expected, abs=1e-12)
    assert np.ptp(found[25:]) > 0.1


def test_cka_follows_its_equation_and_sees_no_rotation():
    x, y = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 4)) + 5
    y[:, 0] += x[:, 1]
    x0, y0 = x - x.mean(0), y - y.mean(0)
    K, L = x0 @ x0.T, y0 @ y0.T  # as kernels: <K, L> / (|K| |L|)
    expected = (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())
    assert linear_cka(x, y) == pytest.approx(expected, abs=1e-12)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    assert linear_cka(x, 3 * x @ turn + 2) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x, np.ones((50, 2))) == 0


def test_heads_that_are_alike_half_alike_and_not_alike_are_told_apart():
    first, other = lists(), lists()
    half = np.where(np.arange(PEOPLE)[:, None] % 2, first, other)
    code, noise = RNG.normal(size=(2, 200, 6))
    codes = [code, code[:, ::-1], code + noise, noise]
    states = np.stack([RNG.normal(size=(PEOPLE, 6))] * 4, axis=1)
    states[:, 3] = RNG.normal(size=(PEOPLE, 6))
    ids = [f"u{person}" for person in range(PEOPLE)]
    found = redundancy([first, first, half, other], states, codes, {"cut": [first, half]}, ids)
    assert (found.people, found.items) == (PEOPLE, 200)
    pairs = {tuple(pair.heads): pair for pair in found.pairs}
    assert list(pairs) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    same, between, apart = pairs[0, 1], pairs[0, 2], pairs[0, 3]
    shared = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(first, other, strict=True)])
    assert (same.overlap.mean, same.rbo.mean) == pytest.approx((1, 1))
    assert apart.overlap.mean == pytest.approx(shared)
    assert between.overlap.mean == pytest.approx((1 + found_even(first, other)) / 2)
    assert same.rbo.mean > between.rbo.mean > apart.rbo.mean + 0.1
    assert same.embeddings == pytest.approx(1)
    assert same.embeddings > between.embeddings + 0.1 > apart.embeddings + 0.2
    assert same.states == pytest.approx(1) and apart.states < 0.4
    worst = np.argsort([rank_biased_overlap(a, b) for a, b in zip(first, other, strict=True)])[:5]
    assert apart.disagreeing == [ids[person] for person in worst]
    assert found.controls["cut"].mean == pytest.approx(between.overlap.mean)


def found_even(first: np.ndarray, other: np.ndarray) -> float:
    """Share in common of those people whose half-alike list is the other one."""
    pairs = zip(first[::2], other[::2], strict=True)
    return float(np.mean([len(set(a) & set(b)) / 20 for a, b in pairs]))


def test_one_head_has_no_pair():
    found = redundancy([lists()], np.zeros((PEOPLE, 1, 2)), [np.eye(3)], {"cut": [lists()]}, ["u"])
    assert (found.pairs, found.controls) == ([], {})
