"""Made-up sets: the counts asked for, the truth that was planted, and the way back from a file."""

from __future__ import annotations

import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.data import import_file, load
from fame.data.catalogue import facet_columns
from fame.data.sequences import Interactions
from fame.data.synthetic import (
    FACETS,
    ML_20M,
    PlantedFacets,
    Shape,
    _items_with,
    _lengths,
    generate,
    ml_20m,
    planted_facets,
)
from fame.errors import DataError, FameError

SMALL = Shape(users=300, items=60, interactions=20_011)


@pytest.fixture(scope="module")
def planted() -> PlantedFacets:
    return planted_facets()


def owners(data: Interactions) -> np.ndarray:
    """``(N,)`` whose click it is."""
    return np.repeat(np.arange(len(data)), np.diff(data.offsets))


def check_counts(data: Interactions, shape: Shape, fewest: int) -> None:
    assert (len(data), data.num_items, len(data.items)) == astuple(shape)
    assert data.items.dtype == np.int32
    assert np.diff(data.offsets).min() >= fewest
    assert np.unique(data.items).tolist() == list(range(1, shape.items + 1))


# --- the shape of MovieLens 20M ---------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [SMALL, Shape(1, 1, 20), Shape(1, 20, 20), Shape(5, 300, 300), ML_20M.scaled(0.001)]
)
def test_the_counts_are_the_ones_asked_for(shape: Shape) -> None:
    check_counts(ml_20m(shape), shape, fewest=20)


def test_a_shape_is_scaled_as_a_whole() -> None:
    assert ML_20M.scaled(0.001) == Shape(138, 27, 20_000)
    assert ML_20M.scaled(1e-9) == Shape(1, 1, 1)


def test_lengths_have_a_log_normal_tail() -> None:
    lengths = _lengths(np.random.default_rng(0), ML_20M, 20)
    # 20 and a log-normal of mean 124.4 and spread 1.38, hence of median 48; its quartiles lie
    # 0.6745 spreads beside it. Those of 138,493 people have errors of 0.1, 0.2 and 0.6.
    quartiles = [20 + 48 * math.exp(z * 1.38) for z in (-0.6745, 0, 0.6745)]
    assert np.quantile(lengths, [0.25, 0.5, 0.75]) == pytest.approx(quartiles, rel=0.02)
    assert lengths.max() == pytest.approx(9_254, abs=100)  # as in ML-20M; not cut off: 30,000
    assert lengths.sum() == ML_20M.interactions


def test_popularity_is_as_uneven_as_the_published_one() -> None:
    counts = np.bincount(ml_20m(ML_20M.scaled(0.05)).items)[1:]
    V = len(counts)
    number = np.arange(1, V + 1)
    gini = 2 * (number * np.sort(counts)).sum() / (V * counts.sum()) - (V + 1) / V
    assert gini == pytest.approx(
        0.903, abs=0.01
    )  # of ML-20M; with even popularity it would be 0.02
    # And an item's number does not tell it: the error of 1,337 items' correlation is 0.03.
    assert abs(np.corrcoef(number, np.log(counts))[0, 1]) < 0.1


@pytest.mark.parametrize(
    "make", [ml_20m, lambda shape, seed: planted_facets(shape, seed=seed).dataset.interactions]
)
def test_equal_seeds_give_equal_histories(make) -> None:  # type: ignore[no-untyped-def]
    one, again, other = (make(SMALL, seed=seed).fingerprint for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (ml_20m, Shape(0, 5, 100), "The number of users has to be at least 1, not 0"),
        (ml_20m, Shape(5, 0, 100), "The number of items has to be at least 1, not 0"),
        (ml_20m, Shape(5, 5, -1), "The number of interactions has to be at least 1, not -1"),
        (ml_20m, Shape(5, 5, 99), "5 users .* 20 .* need 100 interactions at least, not 99"),
        (ml_20m, Shape(5, 101, 100), "101 items need 101 interactions at least, not 100"),
        (ml_20m, Shape(5, 5, 10**12), "At most 200,000,000 interactions .* 1,000,000,000,000"),
        (planted_facets, Shape(5, 5, 49), "5 users .* 10 .* need 50 interactions at least"),
        (planted_facets, Shape(5, 20, 199), "20 items need 200 interactions at least"),
    ],
)
def test_a_shape_that_cannot_be_is_one_sentence(make, shape: Shape, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=words) as caught:
        make(shape)
    assert "\n" not in str(caught.value)


# --- planted facets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "facets"),
    [
        (SMALL, {"A": 12, "B": 40}),  # fewer items than combinations of values
        (SMALL, {"A": 2, "B": 3, "C": 4}),
        (Shape(10, 10, 100), {"only": 1}),
    ],
)
def test_any_number_of_facets_can_be_planted(shape: Shape, facets: dict[str, int]) -> None:
    made = planted_facets(shape, facets=facets)
    check_counts(made.dataset.interactions, shape, fewest=10)
    assert facet_columns(made.dataset.items) == dict.fromkeys(facets, "category")
    assert made.decided_by.max() == len(facets) - 1
    # Of 60 items a value of twelve is missing with a chance of (11/12)^60, half a percent.
    assert made.dataset.items.iloc[:, 2].nunique() >= min(next(iter(facets.values())), 10)


def test_the_facets_set_has_its_counts(planted: PlantedFacets) -> None:
    check_counts(planted.dataset.interactions, FACETS, fewest=10)
    item_ids = planted.dataset.interactions.item_ids[1:]
    assert planted.dataset.items["item_id"].tolist() == item_ids.tolist()


def test_a_facet_says_nothing_about_the_other(planted: PlantedFacets) -> None:
    items = planted.dataset.items
    table = pd.crosstab(items["A"], items["B"]).to_numpy()
    assert table.shape == (12, 40)
    assert set(table.ravel()) == {4, 5}  # 2,000 items over 480 combinations: independent exactly
    # And neither stands in the order of the items: a correlation of 2,000 has an error of 0.022.
    for name in ("A", "B"):
        assert abs(np.corrcoef(np.arange(2_000), items[name].str[1:].astype(int))[0, 1]) < 0.1


def test_people_click_what_they_prefer_nine_times_in_ten(planted: PlantedFacets) -> None:
    data, items = planted.dataset.interactions, planted.dataset.items
    assert (planted.decided_by == -1).sum() == FACETS.interactions // 10
    user_of = owners(data)
    for index, name in enumerate(("A", "B")):
        own = [{f"{name}{value + 1:02}" for value in row} for row in planted.preferred[name]]
        assert {len(values) for values in own} == {3}
        value_of = items[name].to_numpy()[data.items - 1]
        likes = np.array([value in own[u] for u, value in zip(user_of, value_of, strict=True)])
        assert likes[planted.decided_by == index].all()
        # Where the other facet or chance decided, this one is as by chance: a click's share has an
        # error of at most 0.45 / sqrt(32,000) = 0.0025, and popularity weighs values unevenly.
        chance = 3 / items[name].nunique()
        assert likes[planted.decided_by == 1 - index].mean() == pytest.approx(chance, abs=0.02)
        assert likes[planted.decided_by == -1].mean() == pytest.approx(chance, abs=0.02)


def test_hardly_anybody_clicks_an_item_twice(planted: PlantedFacets) -> None:
    data = planted.dataset.interactions
    twice = [len(set(own)) < len(own) for own in map(data.sequence, range(len(data)))]
    lengths = np.diff(data.offsets)
    assert np.mean(twice) == pytest.approx(0.026, abs=0.01)
    # Two facets' preferred values are had by 3/12 + 3/40 of 2,000 items: some 600.
    assert lengths[twice].min() > 60


def test_all_three_values_of_a_person_are_clicked_alike(planted: PlantedFacets) -> None:
    data, items = planted.dataset.interactions, planted.dataset.items
    decided = np.flatnonzero(planted.decided_by == 1)
    value = items["B"].str[1:].astype(int).to_numpy()[data.items[decided] - 1] - 1
    which = planted.preferred["B"][owners(data)[decided]] == value[:, None]
    # 144,000 clicks: the error of a share of a third is 0.0012.
    assert which.mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.006)


def test_the_facet_that_decides_stays_for_a_while(planted: PlantedFacets) -> None:
    user_of, decided_by = owners(planted.dataset.interactions), planted.decided_by
    known = (decided_by[1:] >= 0) & (decided_by[:-1] >= 0)
    alike = decided_by[1:] == decided_by[:-1]
    same_person = user_of[1:] == user_of[:-1]
    # 0.8 it stays, and of the draws half give the same: 0.9; with another person's, a half.
    assert alike[known & same_person].mean() == pytest.approx(0.9, abs=0.005)
    assert alike[known & ~same_person].mean() == pytest.approx(0.5, abs=0.03)
    assert (decided_by == 0).mean() == pytest.approx(0.45, abs=0.01)


def test_items_of_a_value_are_drawn_by_their_weights() -> None:
    values, weights = np.array([0, 1, 0, 1, 2]), np.array([0.1, 0.2, 0.3, 0.4, 1e-12])
    rng = np.random.default_rng(0)
    for value, shares in enumerate([{1: 1 / 4, 3: 3 / 4}, {2: 1 / 3, 4: 2 / 3}, {5: 1.0}]):
        items = _items_with(rng, values, np.full(40_000, value), weights)
        assert set(items) == set(shares)
        for item, share in shares.items():
            # Five standard errors.
            assert (items == item).mean() == pytest.approx(
                share, abs=5 * math.sqrt(share * (1 - share) / 40_000)
            )


# --- written and read again -------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_cache(cache: Path) -> None:
    """An empty cache for what is imported."""


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_a_written_set_comes_back_by_import(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clicks{suffix}"
    made, catalogue = generate("facets", path, users=40, items=30, interactions=999, seed=3)
    assert catalogue == tmp_path / "clicks.items.csv"
    import_file(path, "made", items=catalogue)
    data = load("made")
    assert data.interactions.fingerprint == made.fingerprint
    expected = planted_facets(Shape(40, 30, 999), seed=3).dataset.items
    pd.testing.assert_frame_equal(data.items, expected)


def test_a_set_has_as_many_clicks_a_person_as_the_full_one(tmp_path: Path) -> None:
    made, catalogue = generate("ml-20m", tmp_path / "a.parquet", users=100, items=30)
    assert catalogue is None
    assert len(made.items) == round(100 * 20_000_263 / 138_493)


@pytest.mark.parametrize(
    ("kind", "file", "words"),
    [
        ("films", "a.csv", "no made-up set 'films'; there are ml-20m, facets"),
        ("facets", "a.txt", "a.txt is of no known kind"),
        ("facets", "b/a.csv", "b/a.csv could not be written"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    tmp_path: Path, kind: str, file: str, words: str
) -> None:
    (tmp_path / "b").write_text("a file, not a folder")
    with pytest.raises(FameError, match=words):
        generate(kind, tmp_path / file, users=10, items=5, interactions=100)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
