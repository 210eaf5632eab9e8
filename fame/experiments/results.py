"""``checkpoints/results.csv``: one row a run of every table, and the ranks behind each row.

A run is known by data fingerprint, model, settings and seed, so a table that was interrupted goes
on where it stopped. The rank of every target is kept beside the rows (``ranks/``), because an
honest interval draws people as well as seeds. Ranks are numbers only: no history can be read from
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame.config import ModelConfig, TrainConfig
from fame.errors import FameError
from fame.experiments.gains import (
    Gain,
    SeedSpread,
    brackets_in_words,
    paired_gains,
    seed_spread,
)
from fame.files import locked, replacing

RESULTS, RANKS, RUNS, LOCK = "results.csv", "ranks", "runs", ".results.lock"
# What a run is compared across, or what does not change it.
_NOT_SETTINGS = ("model", "seed", "device", "compile")
# In what runs on the same data differ.
_MAY_DIFFER = ("model", "settings", "seed")
_DEFAULTS = {**ModelConfig().to_dict(), **TrainConfig().to_dict()}


def told_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from their default, less those that do not change a run.

    So that a new setting does not make strangers of the runs that had it at its default.
    """
    return {
        key: value
        for key, value in settings.items()
        if key not in _NOT_SETTINGS and value != _DEFAULTS[key]
    }


def settings_key(settings: Mapping[str, Any]) -> str:
    """A short hash of :func:`told_settings`."""
    told = json.dumps(told_settings(settings), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class RunKey:
    """What identifies a run; ``model`` names a row, see :mod:`fame.experiments.variants`."""

    data: str
    fingerprint: str
    model: str
    settings: str
    seed: int

    @classmethod
    def of(
        cls,
        data: str,
        fingerprint: str,
        model: str,
        model_config: ModelConfig,
        train_config: TrainConfig,
    ) -> RunKey:
        settings = {**model_config.to_dict(), **train_config.to_dict()}
        return cls(data, fingerprint, model, settings_key(settings), train_config.seed)

    def __str__(self) -> str:
        """As a file name."""
        return f"{self.data}-{self.model}-{self.settings}-{self.seed}"


class Results:
    """The table of runs in one folder (``checkpoints/``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spreads: dict[tuple[RunKey, ...], dict[str, SeedSpread]] = {}

    def rows(self) -> pd.DataFrame:
        """All rows, empty where nothing was run yet."""
        file = self.folder / RESULTS
        if not file.is_file():
            return pd.DataFrame(columns=["data", "fingerprint", "model", "settings", "seed"])
        try:
            return pd.read_csv(file, dtype={"data": str, "settings": str})
        except (OSError, ValueError) as error:
            raise FameError(f"{file} is not readable as CSV ({error}); restore it.") from None

    def select(self, key: RunKey) -> pd.DataFrame:
        """The rows of one model with one set of settings, by seed; the key's is not looked at."""
        rows = self.rows()
        named = {name: value for name, value in key.__dict__.items() if name != "seed"}
        return rows[(rows[list(named)] == pd.Series(named)).all(axis=1)].sort_values("seed")

    def has(self, key: RunKey) -> bool:
        return (
            bool((self.select(key)["seed"] == key.seed).any()) and self._ranks_file(key).is_file()
        )

    def run_folder(self, key: RunKey) -> Path:
        """Where a run is trained and its checkpoint stays; never part of the repository."""
        return self.folder / RUNS / str(key)

    def add(self, key: RunKey, figures: Mapping[str, Any], ranks: np.ndarray) -> None:
        """Keeps a run: its ranks first, then its row, so that a row never lacks its ranks."""
        with replacing(self._ranks_file(key)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ranks=ranks.astype(np.uint32))
        row = pd.DataFrame([{**key.__dict__, **figures}])
        with locked(self.folder / LOCK, wait=True):  # two tables may be filled at once
            rows = self.rows()
            same = (rows[list(key.__dict__)] == pd.Series(key.__dict__)).all(axis=1)
            rows = rows[~same]
            merged = pd.concat([rows, row]) if len(rows) else row
            merged = merged.sort_values(list(key.__dict__))  # so that a row done again stays put
            with replacing(self.folder / RESULTS) as temporary:
                merged.to_csv(temporary, index=False)

    def ranks(self, key: RunKey) -> np.ndarray:
        """Rank of every person's target in the test split of a run."""
        with np.load(self._ranks_file(key), allow_pickle=False) as archive:
            return archive["ranks"].astype(np.int64)

    def seed_spread(self, key: RunKey) -> dict[str, SeedSpread]:
        """How much seeds differ on the key's data: :func:`fame.experiments.gains.seed_spread`.

        Over all models and settings that were run with several seeds.
        """
        same = {name: key.__dict__[name] for name in key.__dict__ if name not in _MAY_DIFFER}
        rows = self.rows()
        rows = rows[(rows[list(same)] == pd.Series(same)).all(axis=1)]
        groups = [
            [
                replace(key, model=str(model), settings=str(settings), seed=int(n))
                for n in runs["seed"]
            ]
            for (model, settings), runs in rows.groupby(["model", "settings"])
            if len(runs) > 1
        ]
        groups = [keys for keys in groups if all(self._ranks_file(run).is_file() for run in keys)]
        pooled = tuple(chain.from_iterable(groups))
        if pooled not in self._spreads:  # a table asks for it again and again
            ranks = [np.stack([self.ranks(run) for run in keys]) for keys in groups]
            self._spreads[pooled] = seed_spread(ranks)
        return self._spreads[pooled]

    def _ranks_file(self, key: RunKey) -> Path:
        return self.folder / RANKS / f"{key}.npz"


@dataclass(frozen=True)
class Comparison:
    """Two rows of the table over the seeds that both were run with.

    Attributes:
        ours, theirs: The rows of those seeds.
        gains: Ours over theirs in ``HR@10`` and ``NDCG@10``.
    """

    seeds: int
    ours: pd.DataFrame
    theirs: pd.DataFrame
    gains: dict[str, Gain]

    @property
    def brackets(self) -> str:
        """What stands in the brackets of the gains."""
        interval = any(gain.low is not None for gain in self.gains.values())
        return brackets_in_words(self.seeds, interval=interval)


def paired_comparison(
    results: Results, ours: RunKey, theirs: RunKey, *, seeds: int | None = None
) -> Comparison | None:
    """Compares two models over the seeds that both were run with; ``None`` without one.

    Args:
        ours, theirs: Which models with which settings; the keys' own seeds do not matter.
        seeds: Only seeds below this.
    """
    our_rows, their_rows = results.select(ours), results.select(theirs)
    both = sorted(set(our_rows["seed"]) & set(their_rows["seed"]))
    both = [int(seed) for seed in both if seeds is None or seed < seeds]
    our_keys, their_keys = ([replace(key, seed=seed) for seed in both] for key in (ours, theirs))
    if not both or not all(map(results.has, [*our_keys, *their_keys])):
        return None
    our_ranks, their_ranks = (
        np.stack([results.ranks(key) for key in keys]) for keys in (our_keys, their_keys)
    )
    return Comparison(
        seeds=len(both),
        ours=our_rows[our_rows["seed"].isin(both)],
        theirs=their_rows[their_rows["seed"].isin(both)],
        gains=paired_gains(our_ranks, their_ranks, spread=results.seed_spread(ours)),
    )
