"""The settings behind every shipped checkpoint: one small TOML file a data set."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from fame.config import ModelConfig, TrainConfig, split_settings
from fame.errors import ConfigError


def read_recipe(path: Path) -> dict[str, Any]:
    """Flat settings from a TOML file; ``ConfigError`` names the file and what is wrong."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not readable as TOML ({error}).") from None
    split_settings(settings, str(path))
    return settings


def load_recipe(data_name: str) -> dict[str, Any]:
    """The shipped settings of a named data set; empty (= the defaults) where it has none."""
    with resources.as_file(resources.files(__package__)) as folder:
        if data_name not in {path.stem for path in folder.glob("*.toml")}:
            return {}
        return read_recipe(folder / f"{data_name}.toml")


def build_configs(settings: dict[str, Any], where: str) -> tuple[ModelConfig, TrainConfig]:
    """Validated configurations from flat settings; what is not set keeps its default."""
    model, training = split_settings(settings, where)
    return ModelConfig.from_mapping(model, where), TrainConfig.from_mapping(training, where)
