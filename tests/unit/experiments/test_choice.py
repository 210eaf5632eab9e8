"""What is chosen for a data set without a recipe, and what is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import align
from fame.data.head_values import head_values
from fame.experiments.choice import Choice, choose_settings
from fame.experiments.recipes import build_configs, load_recipe
from fame.models.registry import MODELS, made_of_values
from tests.tiny import interactions_of

ITEMS, PEOPLE = 240, 500
# What somebody goes by from one click to the next, in shares; else popularity alone.
BY_KIND, BY_MAKER = 0.35, 0.3


def catalogue(rng: np.random.Generator) -> pd.DataFrame:
    """Items whose kind and maker people go by, and columns that are no facets."""
    kind, maker = rng.integers(8, size=ITEMS), rng.integers(40, size=ITEMS)
    return pd.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(1, ITEMS + 1)],
            "title": [f"Thing {item}" for item in range(1, ITEMS + 1)],
            "noise": [f"n{value}" for value in rng.integers(10, size=ITEMS)],
            "kind": [f"k{value}" for value in kind],
            "shelf": [f"s{value // 2}" for value in kind],  # a kind stands on one shelf
            "maker": [f"m{value}" for value in maker],
            "code": [f"c{item}" for item in range(ITEMS)],
            "one": "always",
            "rare": [f"r{item % 2}" if item % 9 == 0 else None for item in range(ITEMS)],
            "a/b": [f"x{value}" for value in kind],
        }
    )


def shop(
    *, length: int = 7, people: int = PEOPLE, seed: int = 0, by: tuple[float, float] | None = None
) -> Dataset:
    """People who mostly stay with a kind, or with a maker, from one click to the next."""
    rng = np.random.default_rng(seed)
    items = catalogue(rng)
    weight = 1 / (np.arange(ITEMS) + 10)
    groups = {
        column: {value: np.flatnonzero(items[column] == value) for value in items[column]}
        for column in ("kind", "maker")
    }
    by_kind, by_maker = by or (BY_KIND, BY_MAKER)
    histories = []
    for _ in range(people):
        own = [int(rng.choice(ITEMS, p=weight / weight.sum()))]
        while len(own) < length:
            drawn, last = rng.random(), own[-1]
            among = np.arange(ITEMS)
            if drawn < by_kind:
                among = groups["kind"][items["kind"][last]]
            elif drawn < by_kind + by_maker:
                among = groups["maker"][items["maker"][last]]
            own.append(int(rng.choice(among, p=weight[among] / weight[among].sum())))
        histories.append([item + 1 for item in own])
    data = replace(interactions_of(histories, ITEMS), name="mine")
    return Dataset(data, align(items, data.item_ids[1:].tolist()), "made up")


@pytest.fixture(scope="module")
def mine() -> Dataset:
    return shop()


def heads_of(choice: Choice) -> dict[str, int | None]:
    return {column.name: column.head for column in choice.columns}


def test_heads_are_facets_of_what_people_go_by_and_one_is_free(mine: Dataset) -> None:
    choice = choose_settings(mine)
    assert choice.settings["head_facets"] == "kind/maker/"
    heads = heads_of(choice)
    assert (heads.pop("kind"), heads.pop("maker")) == (0, 1)
    assert set(heads.values()) == {None}
    model, training = build_configs(choice.settings, "test")
    assert made_of_values(model) and model.width % model.heads == 0 and model.heads == 3
    head_values(ItemAttributes.of(mine.items), model.facet_shares, ITEMS)  # training takes it
    beauty = load_recipe("beauty")
    assert choice.like == "beauty"
    for name in ("samples", "max_length", "layers", "dropout", "positions", "temperature"):
        assert choice.settings[name] == beauty[name], name
    assert training.item_start == "catalogue" and training.start_facets == ""
    assert training.negatives == 0  # 240 items are few
    # What Beauty's heads count is for a head of brands and one of kinds; here all count alike.
    assert beauty["head_loss_shares"] and not training.head_loss_shares
    assert training.head_loss_weight == 0.2


def test_the_reasons_are_told_with_their_figures(mine: Dataset) -> None:
    choice = choose_settings(mine)
    why = choice.why
    assert "\n" not in why
    reasons = {column.name: column.why_not for column in choice.columns}
    assert reasons["kind"] == reasons["maker"] == ""
    assert reasons["shelf"] == "it says the same as kind"
    assert "no clear difference" in reasons["noise"]
    assert reasons["code"] == "its 240 values are nearly one an item"
    assert reasons["one"] == "it has one value"
    assert reasons["rare"].startswith("only 11.")
    assert "separates names" in reasons["a/b"]
    for column in choice.columns:
        assert not column.why_not or f"{column.name} ({column.why_not})" in why
        if column.head is not None:
            assert f"head {column.head + 1} is made of {column.name}" in why
            assert f"in {100 * column.agreement.observed:.1f} % of pairs" in why
            assert f"by popularity alone in {100 * column.agreement.chance:.1f} %" in why
    assert f"{PEOPLE} people with 7 clicks in the median" in why and "Amazon Beauty" in why


@pytest.mark.parametrize("seed", range(5))
def test_permuted_labels_are_no_facets(mine: Dataset, seed: int) -> None:
    """The same clicks, and what the catalogue says of an item is said of another one."""
    given = np.random.default_rng(seed).permutation(ITEMS)
    other = mine.items.iloc[given].reset_index(drop=True)
    other["item_id"] = mine.items["item_id"]
    choice = choose_settings(replace(mine, items=other))
    assert choice.settings["head_facets"] == "" and choice.settings["heads"] == 2
    assert "There is nothing to name heads by: no column is good enough" in choice.why


def test_clicks_by_popularity_alone_show_no_facets() -> None:
    choice = choose_settings(shop(by=(0.0, 0.0)))
    assert choice.settings["head_facets"] == ""


def test_held_out_clicks_have_no_part(mine: Dataset) -> None:
    """Neither as pairs nor as popularity; and agreement in held-out clicks alone is not seen."""
    data = mine.interactions
    items = data.items.copy()
    ends = data.offsets[1:]
    rng = np.random.default_rng(0)
    items[ends - 1], items[ends - 2] = rng.integers(1, ITEMS + 1, size=(2, PEOPLE))
    changed = replace(mine, interactions=replace(data, items=items))
    assert choose_settings(changed) == choose_settings(mine)
    plain = shop(by=(0.0, 0.0))
    kinds = plain.items["kind"].to_numpy()
    late = plain.interactions.items.copy()
    by_kind = {kind: np.flatnonzero(kinds == kind) + 1 for kind in kinds}
    for end in plain.interactions.offsets[1:]:
        late[end - 2 : end] = rng.choice(by_kind[kinds[late[end - 3] - 1]], size=2)
    agreeing_late = replace(plain, interactions=replace(plain.interactions, items=late))
    assert choose_settings(agreeing_late).settings["head_facets"] == ""


def test_long_histories_are_trained_as_films_are() -> None:
    choice = choose_settings(shop(length=60, people=60))
    assert choice.like == "ml-100k" and "long, as those of MovieLens 100K" in choice.why
    films = load_recipe("ml-100k")
    assert choice.settings["max_length"] == films["max_length"]
    assert choice.settings.get("samples", "windows") == "windows"
    assert choice.settings["head_facets"].startswith("kind/")


def with_words(data: Dataset, titled: int = ITEMS) -> Dataset:
    """Items with one of twelve words in their titles, so many of them."""
    titles = [f"thing of {'abcdefghijkl'[item % 12] * 3}" for item in range(titled)]
    titles += [f"Item i{item + 1}" for item in range(titled, ITEMS)]  # stand-ins, no titles
    return replace(data, items=data.items.assign(title=titles))


def test_of_short_histories_one_head_is_made_of_the_words_of_titles(mine: Dataset) -> None:
    choice = choose_settings(with_words(mine))
    model, training = build_configs(choice.settings, "test")
    assert (model.head_facets, model.heads) == ("kind/maker/title", 3)
    assert (training.item_start, training.head_loss_shares) == ("random", "")
    assert "head 3 is made of the words of titles." in choice.why and "free" not in choice.why
    assert "random), since all heads are made of values" in choice.why
    head_values(ItemAttributes.of(with_words(mine).items), model.facet_shares, ITEMS)
    more = choose_settings(with_words(mine), {"heads": 4})
    assert more.settings["head_facets"] == "kind/maker/title/"
    assert "words of titles, and 1 head is left free" in more.why
    assert more.settings["item_start"] == "catalogue"


def test_a_given_head_of_words_is_told_too(mine: Dataset) -> None:
    for given, head in (("title/", 1), ("kind/maker,title", 2)):
        choice = choose_settings(with_words(mine), {"head_facets": given})
        assert f"head {head} is made of the words of titles" in choice.why


@pytest.mark.parametrize(
    "why_not", ["most items have no title", "histories are long", "no column", "one word"]
)
def test_no_head_is_made_of_words(mine: Dataset, why_not: str) -> None:
    data = with_words(mine, ITEMS // 3)
    if why_not == "histories are long":
        data = with_words(shop(length=60, people=60))
    elif why_not == "one word":
        titles = [f"red {item}" if item % 2 else f"thing{item}" for item in range(ITEMS)]
        data = replace(mine, items=mine.items.assign(title=titles))
    elif why_not == "no column":
        data = with_words(shop(by=(0.0, 0.0)))
    assert "title" not in choose_settings(data).settings["head_facets"]


def test_a_set_that_says_nothing_of_its_items_gets_no_facets(mine: Dataset) -> None:
    bare = replace(mine, items=align(None, mine.items["item_id"].tolist()))
    choice = choose_settings(bare)
    assert (choice.settings["head_facets"], choice.settings["item_start"]) == ("", "random")
    assert "nothing to name heads by: the catalogue has no facets" in choice.why
    assert choice.columns == ()
    build_configs(choice.settings, "test")


def test_levels_of_a_category_are_one_facet_and_named_together() -> None:
    data = shop()
    kind = data.items["kind"].str[1:].astype(int)
    items = data.items[["item_id", "title"]].assign(
        category_1=[f"top{value // 4}" for value in kind], category_2=data.items["kind"]
    )
    choice = choose_settings(replace(data, items=items))
    assert choice.settings["head_facets"] == "category/" and choice.settings["heads"] == 2
    assert [column.values for column in choice.columns] == [8]  # of the more telling level


@pytest.mark.parametrize(
    ("given", "facets"),
    [
        ({"heads": 1}, ""),
        ({"heads": 2}, "kind/"),
        ({"heads": 5}, "kind/maker///"),
        ({"width": 64}, "kind/"),
        ({"width": 9}, "kind/maker/"),
        ({"width": 7}, ""),
        ({"heads": 4, "width": 64}, "kind/maker//"),
        ({"head_facets": "maker/noise//"}, "maker/noise//"),
        ({"head_facets": "maker/kind"}, "maker/kind"),
        ({"head_facets": ""}, ""),
        ({"facets": "off"}, ""),
        ({"item_start": "random"}, "kind/maker/"),
        ({"start_facets": "title"}, "kind/maker/"),
        ({"label_smoothing": 0.1}, "kind/maker/"),
        ({"samples": "windows", "batch_size": 999}, "kind/maker/"),
        ({"model": "sasrec"}, ""),
        ({"model": "bsarec", "width": 33}, ""),
    ],
    ids=str,
)
def test_what_is_given_wins_and_the_rest_fits(
    mine: Dataset, given: dict[str, Any], facets: str
) -> None:
    choice = choose_settings(mine, given)
    assert choice.given == given and given.items() <= choice.settings.items()
    model, training = build_configs(choice.settings, "test")
    assert model.head_facets == facets
    if model.head_facets and training.item_start == "catalogue":
        assert () in model.facet_shares  # a free head for it
    for key, value in given.items():
        if key != "model" and value not in ("", "random"):
            assert f"{key}={value}" in choice.why.partition("Given and kept: ")[2]
    if not MODELS[model.model].heads_rank:
        assert "head" not in choice.why


def test_every_model_compares_at_one_width(mine: Dataset) -> None:
    widths = {choose_settings(mine, {"model": name}).settings["width"] for name in MODELS}
    assert len(widths) == 1


@pytest.mark.parametrize("histories", [[[1, 2, 3, 4]], [[1], [2]], [[1, 2, 3]] * 3])
def test_a_tiny_set_is_looked_at_all_the_same(histories: list[list[int]]) -> None:
    data = interactions_of(histories, 4)
    items = pd.DataFrame({"item_id": data.item_ids[1:], "title": "x", "kind": list("aabb")})
    choice = choose_settings(Dataset(data, align(items, data.item_ids[1:].tolist()), "made up"))
    build_configs(choice.settings, "test")
    assert choice.settings["head_facets"] == ""
