"""Heads of two models matched by their lists: against plain sets, and on known truth."""

from itertools import permutations

import numpy as np
import pytest

from fame.facets.lists import head_lists
from fame.facets.matching import match_heads, overlap
from fame.lens.reading import read_histories
from tests import planted

RNG = np.random.default_rng(8)


def drawn_lists(people: int, *, items: int = 400, k: int = 20) -> np.ndarray:
    return np.stack([RNG.permutation(items)[:k] + 1 for _ in range(people)])


def spaces(*heads, fused=None):
    fused = heads[0] if fused is None else fused
    return {"all": fused, **{f"head_{head}": own for head, own in enumerate(heads)}}


def mixed(first, second, share):
    """Lists whose first items are another's."""
    length = round(share * first.shape[1])
    return np.concatenate([second[:, :length] + 1000, first[:, length:]], axis=1)


def test_heads_in_another_order_are_found_and_half_mixed_ones_between():
    """A copy in another order has all in common, one of half of each list half, others chance."""
    heads = [drawn_lists(80) for _ in range(4)]
    order = [2, 0, 3, 1]  # the second's head h is the first's head order[h]
    same = match_heads(spaces(*heads), spaces(*(heads[at] for at in order)))
    assert [(one.first, order[one.second]) for one in same.matches] == [(h, h) for h in range(4)]
    assert all(one.overlap.mean == one.overlap.low == 1 for one in same.matches)
    half = match_heads(spaces(*heads), spaces(*(mixed(heads[at], heads[at], 0.5) for at in order)))
    assert [order[one.second] for one in half.matches] == [0, 1, 2, 3]
    assert all(one.overlap.mean == pytest.approx(0.5) for one in half.matches)
    other = match_heads(spaces(*heads), spaces(*(drawn_lists(80) for _ in range(4))))
    for one in other.matches:  # 20 of 400 items: a twentieth in common by chance
        assert one.overlap.mean == pytest.approx(0.05, abs=0.02)
    for found in (same, other):
        for one in found.matches:
            assert one.chance.mean == pytest.approx(0.05, abs=0.02)
    assert same.fused.overlap.mean == pytest.approx(0.05, abs=0.02)  # other heads' lists here


def test_no_other_way_to_pair_them_has_more_in_common():
    first = [drawn_lists(30, items=60) for _ in range(4)]
    second = [drawn_lists(30, items=60) for _ in range(4)]
    found = match_heads(spaces(*first), spaces(*second))
    table = np.array(
        [
            [np.mean([len({*a} & {*b}) / 20 for a, b in zip(x, y, strict=True)]) for y in second]
            for x in first
        ]
    )
    np.testing.assert_allclose(found.overlaps, table, atol=1e-12)
    best = max(sum(table[h, p] for h, p in enumerate(order)) for order in permutations(range(4)))
    assert sum(one.overlap.mean for one in found.matches) == pytest.approx(best)
    assert found.overlaps[found.matches[0].first][found.matches[0].second] == pytest.approx(
        found.matches[0].overlap.mean
    )


def test_of_more_heads_some_are_left_over_and_without_heads_fused_lists_remain():
    heads = [drawn_lists(20) for _ in range(3)]
    found = match_heads(spaces(*heads), spaces(heads[2], heads[0]))
    assert [(one.first, one.second) for one in found.matches] == [(0, 1), (2, 0)]
    alone = match_heads({"all": heads[0]}, spaces(*heads))
    assert alone.matches == [] and alone.fused.overlap.mean == 1


def test_people_on_whom_the_two_differ_most_come_first():
    first = drawn_lists(10)
    second = first.copy()
    second[4], second[7, :10] = drawn_lists(1)[0] + 1000, drawn_lists(1)[0][:10] + 1000
    found = match_heads(spaces(first), spaces(second))
    assert found.differing[:2] == [4, 7] and sorted(found.differing) == list(range(10))


def test_short_lists_count_what_they_have():
    first, second = np.array([[1, 2, 0], [3, 0, 0]]), np.array([[2, 9, 0], [4, 0, 0]])
    assert overlap(first, second).tolist() == [0.5, 0.0]
    assert overlap(np.zeros((1, 3), dtype=int), np.zeros((1, 3), dtype=int)).tolist() == [1.0]


def test_popular_lists_are_alike_by_chance_too():
    """Everybody gets the same list: the overlap is 1, and so is its control."""
    same = np.repeat(drawn_lists(1), 25, axis=0)
    (one,) = match_heads(spaces(same), spaces(same)).matches
    assert one.overlap.mean == one.chance.mean == 1


def test_planted_heads_of_a_model_and_of_its_mirror_image_find_each_other():
    histories, _ = planted.people()

    def lists(head_facets):
        model = planted.built_model(head_facets)
        return head_lists(model, read_histories(model, histories), histories, "exclude")

    found = match_heads(lists("genres/year"), lists("year/genres"))
    assert [(one.first, one.second) for one in found.matches] == [(0, 1), (1, 0)]
    for one in found.matches:
        assert one.overlap.mean > 0.8 > 0.5 > one.chance.mean
