"""Two runs beside each other: how far one is ahead, over the same people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame.checkpoint import Description
from fame.errors import FameError
from fame.experiments.gains import Gain, SeedSpread, paired_gains
from fame.experiments.results import DataKey, Results, RunKey, run_settings, settings_key
from fame.experiments.variants import BASELINES, variant

# Nothing of what another seed would do: people alone are drawn anew.
PEOPLE_ALONE: Mapping[str, SeedSpread] = {
    name: SeedSpread(0.0, 0.0, 1) for name in ("HR@10", "NDCG@10")
}
_DRAWS = 1000
BASELINE = variant("sasrec").model


def table_ranks(folder: Path, described: Description) -> np.ndarray | None:
    """``(P,)`` the ranks of the row of ``results.csv`` that a checkpoint is of; else ``None``.

    Args:
        folder: Where ``results.csv`` lies.
    """
    data = DataKey.of(described.data)
    wanted = {
        **data.__dict__,
        "settings": settings_key(run_settings(described.model_config, described.train_config)),
        "seed": described.train_config.seed,
        "code": described.code,
    }
    results = Results(folder)
    try:
        rows = results.rows()
        if not len(rows):
            return None
        rows = rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]
        keys = [RunKey.of(data, str(name), *_configs(described)) for name in rows["model"]]
        return next((results.ranks(key) for key in keys if results.has(key)), None)
    except (FameError, OSError, ValueError, KeyError):
        return None  # a table that cannot be read is no fault of the run's


def baseline_ranks(folder: Path, described: Description) -> np.ndarray | None:
    """The ranks of the baseline's row of the tables, on a checkpoint's data and with its seed; of
    the one from clicks alone where the recipe's own has no row."""
    for name in BASELINES:
        configs = variant(name).configs(described.data.name, seed=described.train_config.seed)
        model, training = configs
        row = replace(described, model_config=model, train_config=training)
        if (found := table_ranks(folder, row)) is not None:
            return found
    return None


def _configs(described: Description) -> tuple[Any, Any, int]:
    return described.model_config, described.train_config, described.code


def gains_over(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Gain]:
    """How far a run is ahead of another, with 95 % intervals that draw people anew, in pairs.

    Args:
        ours, theirs: ``(P,)`` ranks of the same people's items.
    """
    return paired_gains(ours[None], theirs[None], spread=PEOPLE_ALONE, draws=_DRAWS)


def differing(settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The settings in which runs differ, a row each, a column a run; no row where all agree.

    Args:
        settings: By run.
    """
    names: Sequence[str] = list(dict.fromkeys(key for one in settings.values() for key in one))
    rows = {}
    for name in names:
        values = [one.get(name) for one in settings.values()]
        if any(value != values[0] for value in values[1:]):
            rows[name] = ["" if value is None else f"{value}" for value in values]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(settings)).rename_axis(
        "Setting"
    )
