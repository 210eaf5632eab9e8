"""Agreement of neighbours by facet, held against loops over all pairs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fame.data.catalogue import values_by_facet
from fame.facets import agreement
from fame.facets.agreement import facet_agreement
from tests.tiny import TINY, TINY_SASREC, random_model

V = 30
RNG = np.random.default_rng(3)
ITEMS = pd.DataFrame(
    {
        "item_id": [str(item) for item in range(V)],
        "title": ["alike"] * V,
        "brand": pd.array(RNG.choice(["a", "b", "c", None], V).tolist(), dtype="string"),
        "genres": [RNG.choice(["x", "y", "z"], RNG.integers(0, 3)).tolist() for _ in range(V)],
        "year": pd.array(RNG.integers(1999, 2003, V), dtype="Int64"),
        "unknown": pd.array([None] * V, dtype="string"),
        "train_count": [7] * V,
    }
)


def agree(column: str, one: int, other: int) -> bool:
    first, second = ITEMS[column][one], ITEMS[column][other]
    if column == "genres":
        return bool(set(first) & set(second))
    return bool(not pd.isna(first) and not pd.isna(second) and first == second)


def by_hand(column: str, space: np.ndarray) -> tuple[int, float, float]:
    """Items asked, share of agreeing neighbours, chance: over all pairs, one by one."""
    unit = space / np.linalg.norm(space, axis=1, keepdims=True)
    shares, chances = [], []
    for item in range(V):
        known = ITEMS[column][item]
        if (column == "genres" and not known) or (column != "genres" and pd.isna(known)):
            continue
        others = sorted(set(range(V)) - {item}, key=lambda other: -(unit[item] @ unit[other]))
        shares.append(np.mean([agree(column, item, other) for other in others[:10]]))
        chances.append(np.mean([agree(column, item, other) for other in others]))
    return len(shares), float(np.mean(shares)), float(np.mean(chances))


@pytest.mark.parametrize("at_a_time", [7, 1024])
def test_agreement_is_that_of_all_pairs(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_AT_A_TIME", at_a_time)
    model = random_model(replace(TINY, width=16), V)
    found = facet_agreement(model, values_by_facet(ITEMS))
    assert list(found) == ["brand", "genres", "year"], "what nobody knows is left out"
    first, second = model.sub_embeddings()
    spaces = {"all": model.item_table, "head_0": first, "head_1": second}
    for column, facet in found.items():
        assert list(facet.spaces) == list(spaces)
        for name, space in spaces.items():
            asked, share, chance = by_hand(column, space.detach().numpy())
            assert facet.asked == asked
            assert facet.spaces[name] == pytest.approx(share, abs=1e-12)
            assert facet.chance == pytest.approx(chance, abs=1e-12)


def test_a_model_without_heads_has_the_whole_embedding_alone() -> None:
    found = facet_agreement(random_model(TINY_SASREC, V), values_by_facet(ITEMS))
    assert list(found["brand"].spaces) == ["all"]


def test_fewer_items_than_neighbours_are_all_asked() -> None:
    found = facet_agreement(random_model(TINY, 4), values_by_facet(ITEMS[:4]))
    for facet in found.values():
        assert facet.spaces["all"] == pytest.approx(facet.chance)


def test_a_sample_of_items_is_asked_and_the_whole_catalogue_answers() -> None:
    model = random_model(TINY, V)
    values = {"brand": values_by_facet(ITEMS)["brand"]}
    everybody = facet_agreement(model, values)["brand"]
    some = [facet_agreement(model, values, sample=9, seed=seed)["brand"] for seed in range(40)]
    assert all(facet.asked < 10 for facet in some)
    weights = [facet.asked for facet in some]
    mean = np.average([facet.spaces["all"] for facet in some], weights=weights)
    # 40 draws of about 7 items: a standard error of about 0.01.
    assert mean == pytest.approx(everybody.spaces["all"], abs=0.04)
