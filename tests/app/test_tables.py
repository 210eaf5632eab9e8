"""Tables for the pages: titles joined to what the model says."""

import numpy as np
import pandas as pd
import pytest

import tables
from fame.lens.account import item_account
from fame.lens.steps import history_steps
from fame.lens.trace import trace_history
from fame.presentation.names import UNNAMED, HeadNames
from tests.tiny import TINY, random_model


@pytest.fixture
def items():
    return pd.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(1, 10)],
            "title": [f"Title\n{item}" for item in range(1, 10)],
            "year": pd.array([1990, None, *range(1992, 1999)], dtype="Int64"),
            "genres": [["A", "B"], [], ["B"], *[["A"]] * 6],
            "brand": pd.array([None, "X", *["Y"] * 7], dtype="string"),
            "category_1": "Top",
            "category_2": pd.array(["Deep", *[None] * 8], dtype="string"),
            "train_count": range(9),
        }
    )


@pytest.fixture
def trace():
    return trace_history(random_model(TINY), np.array([1, 2, 3, 4, 5, 6]))


def test_facts_are_one_line_with_the_deepest_category(items):
    assert tables.item_facts(items, 1) == "1990 · A, B · Deep"
    assert tables.item_facts(items, 2) == "X · Top"
    assert tables.item_facts_of_all(items)[0] == tables.item_facts(items, 1)
    assert tables.item_title(items, 3) == "Title 3"


def test_a_ledger_is_laid_against_the_item_below_and_the_middle(items, trace):
    fused = tables.fused_list(items, trace, 3, held_out=7, raw=False)
    columns = ["score", *tables.head_columns(fused)]
    below = tables.against_next(fused)
    assert below["item"].tolist() == fused["item"].tolist()[:2]
    for name in columns:
        np.testing.assert_allclose(below[name], -np.diff(fused[name]))
    middle = tables.against_middle(fused)
    np.testing.assert_allclose(middle[columns].iloc[1], 0, atol=1e-12)
    np.testing.assert_allclose(
        middle[columns].to_numpy(), (fused[columns] - fused[columns].iloc[1]).to_numpy()
    )
    for table in (below, middle):  # the parts still add up
        np.testing.assert_allclose(table[columns[1:]].sum(axis=1), table["score"], atol=1e-9)
    assert not len(tables.against_next(fused.iloc[:1]))


def test_the_fused_list_sums_and_marks_the_held_out_item(items, trace):
    fused = tables.fused_list(items, trace, 3, held_out=7, raw=False)
    np.testing.assert_allclose(fused[tables.head_columns(fused)].sum(axis=1), fused["score"])
    assert set(fused["item"]) == {7, 8, 9}  # the history is in no list
    assert fused.loc[fused["held_out"], "item"].tolist() == [7]
    download = tables.ledger_for_download(items, fused, UNNAMED)
    np.testing.assert_allclose(download[["Head 1", "Head 2"]].sum(axis=1), download["Score"])


def test_columns_of_the_ledger_are_called_as_the_heads_and_hide_no_other_column(items, trace):
    fused = tables.fused_list(items, trace, 3, held_out=None, raw=False)
    called = HeadNames(("Brand", "Era"))
    download = tables.ledger_for_download(items, fused, called)
    assert download["Brand"].tolist() == ["Y", "Y", "Y"]  # the catalogue's column
    assert list(download.columns[-4:]) == ["Score", "Brand (head 1)", "Era", "Held out"]
    sums = download[["Brand (head 1)", "Era"]].sum(axis=1)
    np.testing.assert_allclose(sums, download["Score"])
    account = tables.account_table(item_account(trace, 7, 3), called)
    assert account["Head"].tolist() == ["Brand", "Era"]


def test_head_lists_know_the_rank_in_the_fused_list(items, trace):
    lists = tables.head_lists(items, trace, 2, held_out=None)
    fused = tables.fused_list(items, trace, 2, None, raw=False)
    rank = dict(zip(fused["item"], fused["rank"], strict=True))
    for row in lists.itertuples():
        assert rank.get(row.item) == (None if pd.isna(row.fused_rank) else row.fused_rank)
    assert not lists["held_out"].any()


def test_the_history_says_what_is_read(items, trace):
    table = tables.history_table(items, trace)
    assert table["Click"].tolist() == [6, 5, 4, 3, 2, 1]
    assert table["Read by the model"].tolist() == [True] * 5 + [False]


def test_paths_and_router_are_shares(items, trace):
    steps = history_steps(random_model(TINY), trace.history, 4)
    gate = tables.path_table(items, trace.history, steps, None, top=2)
    np.testing.assert_allclose(gate.groupby("click")["share"].sum(), 1)
    assert gate["click"].unique().tolist() == [2, 3, 4, 5, 6]  # the clicks that are read
    assert {len(listed) for listed in gate["listed"]} == {2}
    last = steps.lists[steps.lists["click"] == 5]["item"].iloc[:2]
    assert gate["listed"].iat[-1] == [tables.item_title(items, item) for item in last]
    experts = tables.path_table(items, trace.history, steps, 1)
    np.testing.assert_allclose(experts.groupby("click")["share"].sum(), 1)
    np.testing.assert_allclose(tables.router_table(trace).groupby("head")["share"].sum(), 1)


def test_colourings_begin_with_the_most_telling(items):
    *facets, last = tables.colourings(items)
    assert (facets[0], last) == ("genres", tables.POPULARITY)
    assert next(iter(tables.colourings(items.drop(columns="genres")))) == "category_1"


def test_value_labels_of_categories_and_lists(items):
    assert tables.value_labels(items, "genres", None)[:3].tolist() == ["A", tables.UNKNOWN, "B"]
    assert tables.value_labels(items, "genres", "B")[:3].tolist() == ["B", tables.UNKNOWN, "B"]
    assert tables.value_labels(items, "brand", None)[:2].tolist() == [tables.UNKNOWN, "X"]
    assert tables.facet_values(items, "genres") == ["A", "B"]


def test_only_the_most_frequent_values_have_a_label_of_their_own(items):
    many = pd.concat([items] * 4, ignore_index=True)
    many["brand"] = pd.array([f"brand {row % 15}" for row in range(len(many))], dtype="string")
    labels = tables.value_labels(many, "brand", None)
    assert len(set(labels) - {tables.OTHER}) == 9


def test_numbers_keep_what_is_missing(items):
    assert np.isnan(tables.number_values(items, "year")[1])
    assert tables.number_values(items, tables.POPULARITY).tolist() == list(range(9))


def test_neighbours_tell_which_heads_share_them(items):
    base = np.zeros((9, 4))
    base[0] = [1, 0, 0, 0]
    near, other = base.copy(), base.copy()
    near[1], near[2] = [1, 0.1, 0, 0], [1, 0.2, 0, 0]
    other[1], other[3] = [1, 0.1, 0, 0], [1, 0.2, 0, 0]
    found = tables.neighbour_table(items, {"all": near, "head_0": near, "head_1": other}, 1, 2)
    heads = found[found["space"] != "all"].set_index(["space", "item"])["found_in"]
    assert heads.to_dict() == {
        ("head_0", 2): 2,
        ("head_0", 3): 1,
        ("head_1", 2): 2,
        ("head_1", 4): 1,
    }


def test_held_out_ranks_count_the_item_itself(trace):
    fused, by_head, candidates = tables.held_out_ranks(trace, 7)
    assert candidates == 3
    assert all(1 <= rank <= 3 for rank in (fused, *by_head))


def test_a_real_other_is_not_our_own() -> None:
    items = pd.DataFrame({"kind": ["Other", "Not known", None, "A"]})
    assert tables.value_labels(items, "kind", "Other").tolist() == [
        "Other (in the catalogue)", "Other", "Not known", "Other"
    ]  # fmt: skip
    assert tables.value_labels(items, "kind", None).tolist() == [
        "Other (in the catalogue)", "Not known (in the catalogue)", "Not known", "A"
    ]  # fmt: skip


def test_rows_are_those_of_itertuples_and_titles_those_of_each_item(items, trace):
    for table in (tables.head_lists(items, trace, 3, None), tables.head_lists(items, trace, 3, 7)):
        ours = [tuple(row) for row in tables.rows_of(table)]
        assert ours == [tuple(row) for row in table.itertuples(index=False)]
        assert [row.title for row in tables.rows_of(table)] == [
            tables.item_title(items, item) for item in table["item"]
        ]
    assert not list(tables.rows_of(table.head(0))) and not tables.item_titles(items, [])
