"""Recipes are valid, and wrong ones are told."""

from importlib import resources
from pathlib import Path

import pytest

from fame.config import ModelConfig, TrainConfig
from fame.data.registry import SETS
from fame.errors import ConfigError
from fame.experiments.recipes import build_configs, load_recipe, read_recipe


def shipped() -> list[str]:
    files = resources.files("fame.experiments.recipes").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".toml"))


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_build(name: str) -> None:
    assert name in SETS, "a recipe is named after its data set"
    model, training = build_configs(load_recipe(name), name)
    assert model.model == "fame" and training.seed == 0


def test_a_set_without_a_recipe_has_the_defaults() -> None:
    assert load_recipe("my-own") == {}
    assert load_recipe("../config") == {}
    assert build_configs({}, "nothing") == (ModelConfig(), TrainConfig())


def test_wrong_recipes_name_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("widht = 8")
    with pytest.raises(ConfigError, match=r"own\.toml has the unknown key 'widht'"):
        read_recipe(file)
    file.write_text("width =")
    with pytest.raises(ConfigError, match=r"own\.toml is not readable as TOML"):
        read_recipe(file)
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        read_recipe(tmp_path / "gone.toml")


def test_as_many_shares_of_the_heads_loss_as_heads() -> None:
    given = {"heads": 3, "width": 12, "head_loss_shares": "0/1"}
    with pytest.raises(ConfigError, match="head_loss_shares=0/1 has 2 shares and there are 3 head"):
        build_configs(given, "test")
    assert build_configs(given | {"heads": 2}, "test")[1].shares_of_heads == (0, 1)
    build_configs(given | {"facets": "off"}, "test")  # no head ranks by itself there


def test_a_further_model_takes_sasrecs_table_until_it_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("layers = 3\n[fame]\nwidth = 128\n[sasrec]\nwidth = 32\n")
    assert read_recipe(file, "bsarec") == read_recipe(file, "sasrec") == {"layers": 3, "width": 32}
    file.write_text(file.read_text() + "[bsarec]\nfilter_weight = 0.3\n")
    assert read_recipe(file, "bsarec") == {"layers": 3, "filter_weight": 0.3}
