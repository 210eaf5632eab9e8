"""What moves lists: exchanges by the rule, and heads that listen to one facet alone."""

import numpy as np
import pytest

from fame.facets import causes as module
from fame.facets.causes import exchanges, facet_causes
from fame.facets.lists import head_lists
from fame.lens.compare import rank_biased_overlap
from fame.lens.reading import read_histories
from tests import planted
from tests.tiny import TINY, TINY_SASREC, random_model

V = 40
RNG = np.random.default_rng(5)
VALUES = {
    "brand": [[one] if one else [] for one in RNG.choice(["a", "b", "c", ""], V).tolist()],
    "genres": [RNG.choice(["x", "y", "z"], RNG.integers(0, 4)).tolist() for _ in range(V)],
    "year": [[str(1990 + year)] for year in RNG.integers(0, 4, V)],
}
HISTORIES = [RNG.permutation(V)[:9] + 1 for _ in range(12)]


def jaccard(facet: str, one: int, other: int) -> float:
    first, second = set(VALUES[facet][one - 1]), set(VALUES[facet][other - 1])
    return len(first & second) / len(first | second) if first | second else 0.0


@pytest.mark.parametrize("at_once", [1, 300, 4_000_000])
def test_exchanges_follow_the_rule(at_once, monkeypatch):
    monkeypatch.setattr(module, "_PAIRS", at_once)
    clicked = np.arange(1, V)  # all but the last one
    found = exchanges(VALUES, clicked, seed=1)
    assert list(found) == list(VALUES)
    for facet, (alike, unlike) in found.items():
        assert alike[0] == unlike[0] == 0 and alike[V] == unlike[V] == V
        for item in clicked:
            others = [other for other in range(1, V + 1) if other != item]
            same = {other: jaccard(facet, item, other) for other in others}
            rest = {
                other: sum(jaccard(name, item, other) for name in VALUES if name != facet)
                for other in others
            }
            most = max(same.values())
            strange = [other for other in others if not same[other] and VALUES[facet][other - 1]]
            if not most or not strange:
                assert alike[item] == unlike[item] == item
                continue
            assert alike[item] != item and same[alike[item]] == pytest.approx(most)
            best = max(rest[other] for other in others if same[other] >= most - 1e-9)
            assert rest[alike[item]] == pytest.approx(best)
            assert unlike[item] in strange
            assert rest[unlike[item]] == pytest.approx(max(rest[other] for other in strange))


def test_items_equally_alike_are_drawn_from():
    values = {"kind": [["a"]] * 10 + [["b"]] * 10}
    drawn = [exchanges(values, np.array([1]), seed=seed)["kind"] for seed in range(60)]
    assert {int(alike[1]) for alike, _ in drawn} == set(range(2, 11))
    assert {int(unlike[1]) for _, unlike in drawn} == set(range(11, 21))


def test_a_facet_with_one_value_or_one_of_its_own_for_each_moves_nothing():
    values = {"one": [["a"]] * V, "own": [[str(item)] for item in range(V)]}
    found = facet_causes(random_model(TINY, V), HISTORIES, values, repeats="exclude")
    assert found == {"one": [0.0, 0.0], "own": [0.0, 0.0]}


def test_what_moves_is_counted_list_by_list():
    model = random_model(TINY, V)
    found = facet_causes(model, HISTORIES, VALUES, repeats="exclude", seed=2)
    read = [history[-TINY.max_length :] for history in HISTORIES]
    tables = exchanges(VALUES, np.unique(np.concatenate(read)), seed=2)

    def lists(histories):
        readings = read_histories(model, histories)
        return head_lists(model, readings, HISTORIES, "exclude")

    before = lists(HISTORIES)
    for facet, (alike, unlike) in tables.items():
        kept, changed = (lists([table[own] for own in read]) for table in (alike, unlike))
        for head in range(2):
            space = f"head_{head}"
            further = [
                rank_biased_overlap(before[space][person], kept[space][person])
                - rank_biased_overlap(before[space][person], changed[space][person])
                for person in range(len(HISTORIES))
            ]
            assert found[facet][head] == pytest.approx(np.mean(further), abs=1e-12)


def test_a_head_that_is_a_facet_has_one_hot_square():
    histories, _ = planted.people()
    for head_facets in ("genres/year", "year/genres"):
        model = planted.built_model(head_facets)
        found = facet_causes(model, histories, planted.VALUES, repeats="exclude")
        for head, facet in enumerate(head_facets.split("/")):
            assert found[facet][head] > 0.95  # all that can move does; the rest is one tie or two
            assert abs(found[facet][1 - head]) < 0.01


def test_a_head_that_knows_items_alone_listens_to_no_facet():
    """Its list moves with every exchange, and no further when a facet changes."""
    histories, _ = planted.people()
    model = planted.built_model("genres/year/")
    found = facet_causes(model, histories, planted.VALUES, repeats="exclude")
    for facet in planted.VALUES:
        assert abs(found[facet][2]) < 0.1  # 150 people, most of them moved wholly either way


def test_a_model_without_heads_moves_none_and_a_whole_catalogue_read_leaves_no_list():
    assert facet_causes(random_model(TINY_SASREC, V), HISTORIES, VALUES, repeats="exclude") == {
        facet: [] for facet in VALUES
    }
    everything = [np.arange(1, V + 1)]
    found = facet_causes(random_model(TINY, V), everything, VALUES, repeats="exclude")
    assert all(moved == [0.0, 0.0] for moved in found.values())


def test_of_a_large_catalogue_clicks_are_exchanged_for_a_sample_by_the_same_rule():
    """Whatever is clicked, what it is exchanged for is the best of the sample."""
    among = np.arange(0, V, 3)
    clicked = np.arange(1, V + 1)
    whole, some = exchanges(VALUES, clicked), exchanges(VALUES, clicked, among=among)
    for facet, (alike, unlike) in some.items():
        moved = np.flatnonzero(alike != np.arange(V + 1))
        assert len(moved) > 10
        for item in moved.tolist():
            others = [row + 1 for row in among.tolist() if row + 1 != item]
            assert alike[item] in others and unlike[item] in others
            most = max(jaccard(facet, item, other) for other in others)
            assert jaccard(facet, item, int(alike[item])) == pytest.approx(most)
            assert not jaccard(facet, item, int(unlike[item]))
        everything = exchanges(VALUES, clicked, among=np.arange(V))[facet]
        assert all(
            (one == other).all() for one, other in zip(everything, whole[facet], strict=True)
        )
