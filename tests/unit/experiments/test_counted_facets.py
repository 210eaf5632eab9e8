"""Lists and groups that are only counted: loops, one facet that tells of another, and what is not
there to count."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

from fame.data import Dataset
from fame.errors import DataError, FameError
from fame.experiments import counted_facets
from fame.experiments.counted_facets import (
    Counted,
    counted,
    counted_groups,
    counted_lists,
    markdown,
)
from fame.facets.experts import value_counts
from fame.facets.lists import LIST_LENGTH
from fame.facets.values import value_indicator
from tests import planted
from tests.tiny import interactions_of

V, U = 90, 40
RNG = np.random.default_rng(5)
GENRES = [RNG.choice([*"abcdef"], RNG.integers(0, 4), replace=False).tolist() for _ in range(V)]
HISTORIES = [RNG.choice(V, RNG.integers(1, 12), replace=False) + 1 for _ in range(U)]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    items = planted.catalogue().drop(columns="train_count")
    return Dataset(interactions_of(planted.sequences(400), planted.ITEMS), items, "made up")


@pytest.fixture(scope="module")
def found(dataset: Dataset) -> Counted:
    return counted(dataset)


@pytest.mark.parametrize("repeats", ["exclude", "recommend"])
def test_a_list_has_the_items_with_most_values_in_common(repeats) -> None:
    lists = counted_lists(HISTORIES, value_indicator(GENRES), repeats, seed=1)
    for history, listed in zip(HISTORIES, lists, strict=True):
        wanted = Counter(value for click in history for value in GENRES[click - 1])
        common = {
            item: sum(wanted[value] for value in GENRES[item - 1])
            for item in range(1, V + 1)
            if repeats == "recommend" or item not in history
        }
        best = sorted(common.values(), reverse=True)[:LIST_LENGTH]
        assert [common[item] for item in listed] == best
        assert len(set(listed)) == LIST_LENGTH


def test_equal_items_are_drawn_by_chance_not_in_the_order_of_the_catalogue() -> None:
    alike = value_indicator([["a"]] * 400)
    lists = counted_lists([np.array([1])] * 300, alike, "exclude", seed=2)
    times = np.bincount(lists.ravel(), minlength=401)[2:]
    # 300 people draw 20 of 399: 15 times each, with a deviation of 3.8; five of them either way.
    assert times.min() > 0
    assert times.max() < 15 + 5 * 3.8
    assert lists.mean() == pytest.approx(201, abs=5 * 115 / 6000**0.5)


def test_the_latest_clicks_count_and_the_whole_history_is_excluded() -> None:
    values = value_indicator([["a"], ["a"], ["b"], ["b"], ["c"]])
    history = [np.array([1, 3])]
    both, latest = (
        counted_lists(history, values, "exclude", max_length=length)[0] for length in (2, 1)
    )
    assert sorted(both[:2]) == [2, 4] and both[2] == 5
    assert latest[0] == 4 and sorted(latest[1:3]) == [2, 5]
    assert not latest[3:].any()


def test_bad_input_is_one_sentence_and_figures_are_json(dataset: Dataset, monkeypatch) -> None:
    page = Typer()
    page.command()(counted_facets.main)
    refused = CliRunner().invoke(page, ["nowhere"])
    assert refused.exit_code == 2 and "There is no data set 'nowhere'" in refused.stderr
    monkeypatch.setattr(counted_facets, "load", lambda name: dataset)
    told = CliRunner().invoke(page, ["made-up", "--json", "--max-length", "3"])
    lists = {one["column"]: one for one in json.loads(told.stdout)["lists"]}
    (_, *whole), (_, *cut) = (
        (one.column, one.by["genres"].mean)
        for length in (200, 3)
        for one in counted(dataset, max_length=length).lists
        if one.column == "genres"
    )
    assert [lists["genres"]["by"]["genres"]["mean"]] == cut != whole


def test_a_list_ends_where_there_are_no_more_items() -> None:
    lists = counted_lists([np.array([1, 2])], value_indicator([["a"], ["b"], ["a"]]), "exclude")
    assert lists[0].tolist() == [3] + [0] * (LIST_LENGTH - 1)


def test_agreement_is_that_of_a_loop_over_people(dataset: Dataset, found: Counted) -> None:
    data, items = dataset.interactions, dataset.items
    genres = items["genres"].tolist()
    people = [data.sequence(user) for user in range(len(data)) if len(data.sequence(user)) > 1]
    histories = [sequence[:-1].astype(np.int64) for sequence in people]
    lists = counted_lists(histories, value_indicator(genres), data.repeats, seed=0)
    shares = [
        np.mean([bool(set(genres[item - 1]) & set(genres[sequence[-1] - 1])) for item in own])
        for own, sequence in zip(lists, people, strict=True)
        if len(genres[sequence[-1] - 1])
    ]
    own = next(one for one in found.lists if one.column == "genres")
    assert own.people == len(shares)
    assert own.by["genres"].mean == pytest.approx(np.mean(shares))
    assert own.lead is not None and own.over_best_other is not None
    assert own.lead.mean == pytest.approx(own.by["genres"].mean - own.by["year"].mean)
    assert own.over_best_other == pytest.approx(own.by["genres"].mean / own.by["year"].mean - 1)


def with_makers(dataset: Dataset, told: float) -> Dataset:
    """The same, and a maker for each item: of its genre's own with a share ``told``, else any."""
    rng = np.random.default_rng(0)
    genre = np.array([own[0] for own in dataset.items["genres"]])
    makers = np.where(rng.random(len(genre)) < told, genre, rng.permutation(genre))
    numbered = [f"{maker} {number % 2}" for number, maker in enumerate(makers)]
    items = dataset.items.drop(columns="year").assign(maker=pd.array(numbered, dtype="string"))
    return Dataset(dataset.interactions, items, "made up")


def test_a_facet_that_tells_of_another_leaves_it_no_lead(dataset: Dataset) -> None:
    """Where a maker makes one genre alone, lists of makers have the right genres as well."""
    over = {}
    for told in (0.0, 1.0):
        by_column = {one.column: one for one in counted(with_makers(dataset, told)).lists}
        over[told] = by_column["genres"].over_best_other
        if told:
            assert by_column["genres"].lead.high < 0.05
        else:
            assert by_column["genres"].lead.low > 0.1
    assert over[0.0] > 3 * abs(over[1.0])


def test_groups_part_people_whose_clicks_are_apart() -> None:
    """Three kinds of people, each of whom has a value of their own."""
    kind = np.repeat([0, 1, 2], [20, 30, 40])
    rng = np.random.default_rng(0)
    read = [rng.choice(np.arange(10 * k, 10 * k + 12) % 30, 6) + 1 for k in kind.tolist()]
    counts = value_counts(read, value_indicator([[f"{item // 10}"] for item in range(30)]))
    belongs = counted_groups(counts, 3, seed=0)
    assert belongs.sum(1).tolist() == [1] * len(kind)
    assert sorted(belongs.sum(0)) == [20, 30, 40]
    assert len({(k, g) for k, g in zip(kind, belongs.argmax(1), strict=True)}) == 3


def test_groups_are_counted_as_experts_are(found: Counted) -> None:
    for own in found.groups:
        assert sum(one.load for one in own.groups) == pytest.approx(1)
        assert {value.value.split("=")[0] for one in own.groups for value in one.values} <= {
            own.facet
        }
        assert own.specialised == sum(
            max((value.lift for value in one.values), default=0) >= 2.3 for one in own.groups
        )
    assert sum(own.specialised for own in found.groups) > 0


def test_both_tables_are_printed(found: Counted) -> None:
    page = markdown(found).splitlines()
    assert page[0].count("|") == page[2].count("|") == 6
    assert [row.split(" | ")[0] for row in page[2:4]] == ["| year", "| genres"] or [
        row.split(" | ")[0] for row in page[2:4]
    ] == ["| genres", "| year"]
    assert page[-1].endswith("of 4 |")


def test_what_cannot_be_counted_is_said(dataset: Dataset) -> None:
    bare = Dataset(dataset.interactions, dataset.items[["item_id", "title"]], "made up")
    with pytest.raises(DataError, match="no facet"):
        counted(bare)
    with pytest.raises(FameError, match="cannot be put into 500 groups"):
        counted(dataset, groups=500)
