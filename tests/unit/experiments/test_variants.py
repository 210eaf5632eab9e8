"""Which rows a table has, and how each differs from FAME as shipped."""

import json
import tomllib
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from fame.config import ModelConfig, TrainConfig
from fame.data.registry import SETS
from fame.errors import ConfigError
from fame.experiments import variants as rows
from fame.experiments.recipes import load_recipe, read_recipe
from fame.experiments.variants import (
    ABLATIONS,
    BOUNDS,
    CLICKS_ALONE,
    FORMER,
    MODELS,
    OTHERS,
    SWEEP,
    WIDE,
    bounds,
    grids,
    variant,
    variants,
)

RECIPES = sorted(
    Path(file.name).stem
    for file in resources.files("fame.experiments.recipes").iterdir()
    if file.name.endswith(".toml")
)
EVERY_ROW = [
    *(row.name for row in (*MODELS, *FORMER, *OTHERS, *CLICKS_ALONE, *WIDE, *ABLATIONS)),
    *SWEEP,
    *(f"{grid}-clicks" for grid in SWEEP),
]


@pytest.mark.parametrize("data", ["beauty", "ml-100k", "a-set-without-a-recipe"])
def test_an_ablation_is_fame_with_one_thing_changed(data: str) -> None:
    fame = {**(shape := variant("fame-start").configs(data))[0].to_dict(), **shape[1].to_dict()}
    changes = {
        "no-experts": {"experts": 1},
        "no-facets": {"facets": "off"},
        "uniform-gate": {"gate": "uniform"},
        "neither": {"experts": 1, "facets": "off"},
        "4x3": {"heads": 4, "experts": 3},
    }
    assert {ablation.name for ablation in ABLATIONS} == set(changes) - {"4x3"}
    for name, changed in changes.items():
        model, training = variant(name).configs(data)
        assert {**model.to_dict(), **training.to_dict()} == {**fame, **changed}


@pytest.mark.parametrize("data", sorted(SETS))
def test_the_papers_row_is_trained_by_the_papers_equations(data: str) -> None:
    model, training = variant("paper").configs(data)
    assert (model.model, model.score, model.positions) == ("fame", "dot", "absolute")
    assert (model.gate, model.facets) == ("learned", "on")
    assert (training.negatives, training.head_loss_weight) == (0, 0.0)
    assert training.item_start == "random"
    # And beside it a SASRec of the very same settings.
    likewise, trained = variant("sasrec-paper").configs(data)
    assert variant("paper").base == "sasrec-paper"
    assert likewise.to_dict() == {**model.to_dict(), "model": "sasrec"} and trained == training


@pytest.mark.parametrize("name", ["fame", "sasrec"])
def test_clicks_alone_is_the_model_without_the_catalogue(name: str) -> None:
    row = variant(f"{name}-clicks")
    assert row.base == "sasrec-clicks" or name == "sasrec"
    model, training = row.configs("mine", item_start="catalogue")  # what is given wins
    assert (model.model, training.item_start) == (name, "catalogue")
    model, training = row.configs("beauty")
    assert training.item_start == "random"
    assert model.model == name
    # On a set that starts from noise, and has no table for it, it is the model itself.
    assert row.configs("ml-20m") == variant(name).configs("ml-20m")


@pytest.mark.parametrize("data", ["beauty", "mine"])
def test_heads_x_experts_from_clicks_alone_are_fame_from_clicks_with_these(data: str) -> None:
    row, fame = variant("4x2-clicks"), variant("fame-clicks")
    assert row.base == "sasrec-clicks"
    assert row.label == "4 heads x 2 experts, from clicks alone"
    assert row.configs(data) == fame.configs(data, heads=4, experts=2)


@pytest.mark.parametrize(("name", "like"), [("fame", "fame-start"), ("sasrec", "sasrec")])
def test_the_wide_models_differ_in_width_alone(name: str, like: str) -> None:
    row = variant(f"{name}-256")
    assert row.base == "sasrec-256" or name == "sasrec"
    model, training = row.configs("sports")
    narrow, as_narrow = variant(like).configs("sports")
    assert (model.width, narrow.width) == (256, 128)
    assert {**model.to_dict(), "width": 128} == narrow.to_dict()
    assert training == as_narrow


def test_without_a_recipe_all_is_at_its_default() -> None:
    assert variant("fame").configs("mine") == (ModelConfig(), TrainConfig())
    assert variant("sasrec").configs("mine") == (ModelConfig(model="sasrec"), TrainConfig())


def test_a_setting_that_is_given_wins() -> None:
    model, training = variant("2x8").configs("mine", experts=3, device="cpu")
    assert (model.experts, training.device) == (3, "cpu")


def test_groups_are_spelt_out_and_nothing_comes_twice() -> None:
    names = [row.name for row in variants(["sasrec", "models", " 4x2", "ablations"])]
    assert names == [
        "sasrec",
        "fame",
        "paper",
        "sasrec-paper",
        "4x2",
        *(row.name for row in ABLATIONS),
    ]
    assert [row.name for row in variants(["models"])] == [row.name for row in MODELS]
    assert [row.name for row in variants(["clicks"])] == ["fame-clicks", "sasrec-clicks"]
    assert [row.name for row in variants(["wide"])] == ["fame-256", "sasrec-256"]
    assert len(variants(["sweep"])) == len({row.name for row in variants(["sweep"])}) > 3


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_is_the_recipes_fame_with_another_one(name: str) -> None:
    row, fame = variant(name), variant("fame")
    share = float(name.removeprefix("bound-"))
    assert row.configs("ml-100k") == fame.configs("ml-100k", own_bound=share)
    assert row.configs("ml-100k")[0].own_bound == share
    assert row.formerly == ("fame",)  # whose runs are its own where the recipe has that bound
    with pytest.raises(ConfigError, match=r"recipe of sports makes items of none"):
        row.configs("sports", head_facets="", expert_view="all")


def test_bounds_are_those_of_the_data_set_from_values_alone_on() -> None:
    models = ["bound-1", "bound-0.25", "fame", "bound-0.9"]
    rows = pd.DataFrame({"data": ["ml-100k"] * 3 + ["beauty"], "model": models})
    assert bounds(rows, "ml-100k") == [
        *("bound-0", "bound-0.2", "bound-0.25", "bound-0.4", "bound-0.6", "bound-1")
    ]
    assert [row.name for row in variants(["bounds"])] == list(BOUNDS)
    assert bounds(rows, "a-set-without-a-recipe") == []  # whose items are not made of values


@pytest.mark.parametrize(
    "name",
    ["bert", "", "0x4", "4x", "x", "2x100", "bound-", "bound--1", "bound-01", "bound-1.234"],
)
def test_an_unknown_row_is_told_what_there_is(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--models knows fame, .* such as 4x2"):
        variant(name)


def test_grids_are_those_of_the_data_set_in_order() -> None:
    models = ["8x2", "2x8", "2x8-clicks", "2x2", "fame", "fame-clicks", "9x9"]
    rows = pd.DataFrame({"data": ["a"] * 6 + ["b"], "model": models})
    assert grids(rows, "a") == ["2x2", "2x8", "8x2"]
    assert grids(rows, "a", from_clicks=True) == ["2x8-clicks"]


@pytest.fixture
def made_of_facets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every recipe has heads that are facets, three of them, by what it says of FAME alone.

    With the parameter ``no recipe of before`` that is all that it says of FAME.
    """

    def load(data: str, kind: str) -> dict[str, object]:
        if data not in RECIPES:
            return load_recipe(data, kind)
        shipped = resources.files("fame.experiments.recipes") / f"{data}.toml"
        recipe = tomllib.loads(shipped.read_text(encoding="utf-8"))
        facets = {"heads": 3, "width": 192, "head_facets": "brand/category/", "own_bound": 0.3}
        plain = {"start_facets": "", "head_loss_shares": ""}
        recipe["fame"] = {**recipe.get("fame", {}), **plain, **facets}
        if getattr(request, "param", "") == "no recipe of before":
            del recipe["fame-start"]
        own = {key: value for key, value in recipe.items() if not isinstance(value, dict)}
        lines = [f"{key} = {json.dumps(value)}" for key, value in own.items()]
        for name, table in recipe.items():
            if isinstance(table, dict):
                lines += [f"[{name}]"]
                lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        file = tmp_path / f"{data}.toml"
        file.write_text("\n".join(lines))
        return read_recipe(file, kind)

    monkeypatch.setattr(rows, "load_recipe", load)


@pytest.mark.parametrize("data", RECIPES)
@pytest.mark.parametrize("name", EVERY_ROW)
@pytest.mark.usefixtures("made_of_facets")
def test_only_fame_itself_is_made_of_facets(data: str, name: str) -> None:
    """Every row still builds where a recipe gives facets to FAME, and means what it meant."""
    model, training = variant(name).configs(data)
    assert model.head_facets == ("brand/category/" if name == "fame" else "")
    assert model.own_bound == (0.3 if name == "fame" else 0.6)
    if grid := rows._GRID.fullmatch(name):
        assert (model.heads, model.experts) == (int(grid["heads"]), int(grid["experts"]))
    elif name != "fame":
        assert model.heads == 2
    if "paper" in name or "clicks" in name:
        assert training.item_start == "random" and training.start_facets == ""
    if name in ("no-facets", "neither"):
        assert model.facets == "off"


@pytest.mark.parametrize("made_of_facets", ["no recipe of before"], indirect=True)
@pytest.mark.parametrize("name", sorted(set(EVERY_ROW) - {"fame"}))
@pytest.mark.usefixtures("made_of_facets")
def test_a_recipe_of_facets_alone_gives_them_to_no_other_row(name: str) -> None:
    """No row asks for a share too many, or makes items of values."""
    for data in RECIPES:
        assert variant(name).configs(data)[0].head_facets == ""


@pytest.mark.parametrize("data", RECIPES)
@pytest.mark.parametrize("name", sorted(set(EVERY_ROW) - {"fame"}))
def test_facets_for_fame_change_no_other_row(
    data: str, name: str, request: pytest.FixtureRequest
) -> None:
    before = variant(name).configs(data)
    request.getfixturevalue("made_of_facets")
    assert variant(name).configs(data) == before
    assert variant("fame").configs(data)[0].head_facets == "brand/category/"


@pytest.mark.parametrize("data", RECIPES)
def test_the_recipe_of_before_says_everything_itself(data: str) -> None:
    """So nothing that a recipe gets later, for all models or for FAME, moves its rows."""
    shipped = resources.files("fame.experiments.recipes") / f"{data}.toml"
    recipe = tomllib.loads(shipped.read_text(encoding="utf-8"))
    said = {key for key, value in recipe.items() if not isinstance(value, dict)}
    said |= set(recipe.get("fame", {})) - {"own_bound"}
    assert said <= set(recipe["fame-start"])
    assert variant("fame-start").configs(data)[0].head_facets == ""
