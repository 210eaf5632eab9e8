"""The settings behind every shipped checkpoint and table: one small TOML file a data set.

What stands at the top of a file holds for every model; a table with a model's name, such as
``[fame]`` or ``[sasrec]``, adds what holds for that one alone. A model without a table of its own
takes that of the model which its row of :data:`fame.models.registry.MODELS` names.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from fame.config import ModelConfig, TrainConfig, split_settings
from fame.errors import ConfigError
from fame.models.registry import MODELS, check_loss_shares

# What a recipe may speak of beside the models as they are trained here, and whose table holds where
# there is none: FAME whose heads are of columns alone and none of words; FAME as it was before its
# heads could be made of facets (rows of both in results.csv stand for good, so their tables say
# everything); both models from clicks alone; FAME by the paper's equations, SASRec as plainly.
_SPECIAL = {
    "fame-columns": "fame",
    "fame-start": "fame",
    "fame-clicks": "fame-start",
    "sasrec-clicks": "sasrec",
    "paper": "paper",
    "sasrec-paper": "paper",
}
_WITHOUT_A_TABLE = _SPECIAL | {name: spec.trained_like or name for name, spec in MODELS.items()}
KINDS = tuple(_WITHOUT_A_TABLE)


def read_recipe(path: Path, kind: str = "fame") -> dict[str, Any]:
    """Flat settings of one of :data:`KINDS`; ``ConfigError`` names the file and what is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not readable as TOML ({error}).") from None
    tables = {name: content.pop(name) for name in KINDS if isinstance(content.get(name), dict)}
    for name, table in {"": content, **tables}.items():
        split_settings(table, f"{path} [{name}]" if name else str(path))
    while kind not in tables and _WITHOUT_A_TABLE.get(kind, kind) != kind:
        kind = _WITHOUT_A_TABLE[kind]
    return {**content, **tables.get(kind, {})}


def has_recipe(data_name: str) -> bool:
    """Whether a data set has a recipe of its own."""
    with resources.as_file(resources.files(__package__)) as folder:
        return data_name in {path.stem for path in folder.glob("*.toml")}


def load_recipe(data_name: str, kind: str = "fame") -> dict[str, Any]:
    """The shipped settings of a named data set; without a recipe of its own just the defaults."""
    if not has_recipe(data_name):
        return {}
    with resources.as_file(resources.files(__package__)) as folder:
        return read_recipe(folder / f"{data_name}.toml", kind)


def build_configs(settings: dict[str, Any], where: str) -> tuple[ModelConfig, TrainConfig]:
    """Validated configurations from flat settings; what is not set keeps its default."""
    model, training = split_settings(settings, where)
    configs = ModelConfig.from_mapping(model, where), TrainConfig.from_mapping(training, where)
    check_loss_shares(*configs)
    return configs
