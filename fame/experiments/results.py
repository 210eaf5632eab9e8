"""``checkpoints/results.csv``: one row a run of every table, and the ranks behind each row.

A run is known by all that its figures depend on (:class:`RunKey`), so a table that was interrupted
goes on where it stopped, and never with the row of another run. The rank of every target is kept
beside the rows (``ranks/``), because an honest interval draws people as well as seeds. Ranks are
numbers only: no history can be read from them.

Where a row comes from stands in it too: ``date``, ``torch`` (the version) and ``commit`` (of the
code that ran it, see :mod:`fame.experiments.origin`). Rows of 2026-11-27 and before, whose
``commit`` has no ``+changes``, have these from the repository's history: ``commit`` and ``date``
are those of the commit that brought the row, and ``torch`` is the version that its
``requirements.txt`` names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame import CODE_VERSION
from fame.checkpoint import DataInfo
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig
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
# What does not change a run's figures, and the seed, across which runs are compared.
_NOT_SETTINGS = ("seed", "device", "compile")
# Columns that identify a run.
_IDENTITY = ("data", "fingerprint", "catalogue", "repeats", "model", "settings", "seed", "code")
# In what runs on the same data by the same code differ.
_MAY_DIFFER = ("model", "settings", "seed")
# Columns of text that pandas might take for numbers.
_TEXT = (*_IDENTITY[:6], "configuration", "facets", "device", "date", "torch", "commit")


def run_settings(model_config: ModelConfig, train_config: TrainConfig) -> dict[str, Any]:
    """All settings of a run but those that do not change its figures, and the seed."""
    settings = {**model_config.to_dict(), **train_config.to_dict()}
    return {key: value for key, value in settings.items() if key not in _NOT_SETTINGS}


def settings_key(settings: Mapping[str, Any]) -> str:
    """A short hash of the whole configuration.

    No default has a part in it: whatever a default is today, a run keeps its key and no other run
    gets it. Only what came after rows had been stored (:data:`fame.config.ADDED_SETTINGS`) is left
    out where it has the value that all runs before it had.

    Args:
        settings: As of :func:`run_settings`.
    """
    added = {key: value for new in ADDED_SETTINGS.values() for key, value in new.items()}
    kept = {
        key: value for key, value in settings.items() if key not in added or value != added[key]
    }
    return _short_hash(kept)


def _short_hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class DataKey:
    """What identifies the data of a run: a name alone may stand for other histories or items."""

    data: str
    fingerprint: str
    catalogue: str
    repeats: str

    @classmethod
    def of(cls, info: DataInfo) -> DataKey:
        return cls(info.name, info.fingerprint, info.catalogue, info.repeats)


@dataclass(frozen=True)
class RunKey:
    """What identifies a run: everything that its figures depend on.

    Attributes:
        data: Histories, catalogue, and whether repeats are candidates.
        model: Names a row, see :mod:`fame.experiments.variants`.
        settings: :func:`settings_key` of the whole configuration; ``none`` for what counts only.
        seed: Of initialisation, batches and dropout.
        code: :data:`fame.CODE_VERSION` of the code that ran it.
    """

    data: DataKey
    model: str
    settings: str
    seed: int
    code: int = CODE_VERSION

    @classmethod
    def of(
        cls,
        data: DataKey,
        model: str,
        model_config: ModelConfig,
        train_config: TrainConfig,
        code: int = CODE_VERSION,
    ) -> RunKey:
        settings = settings_key(run_settings(model_config, train_config))
        return cls(data, model, settings, train_config.seed, code)

    @property
    def columns(self) -> dict[str, Any]:
        """As ``results.csv`` has it, in the order that its rows are sorted by."""
        own = {name: value for name, value in self.__dict__.items() if name != "data"}
        return {**self.data.__dict__, **own}

    def __str__(self) -> str:
        """As a file name: what a person looks for, and a hash of all but the seed."""
        identity = {name: value for name, value in self.columns.items() if name != "seed"}
        return f"{self.data.data}-{self.model}-{_short_hash(identity)}-{self.seed}"


class Results:
    """The table of runs in one folder (``checkpoints/``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spreads: dict[tuple[RunKey, ...], dict[str, SeedSpread]] = {}

    def rows(self) -> pd.DataFrame:
        """All rows, empty where nothing was run yet."""
        file = self.folder / RESULTS
        if not file.is_file():
            return pd.DataFrame(columns=list(_IDENTITY))
        try:
            rows = pd.read_csv(file, dtype=dict.fromkeys(_TEXT, str))
        except (OSError, ValueError) as error:
            raise FameError(f"{file} is not readable as CSV ({error}); restore it.") from None
        if missing := [name for name in _IDENTITY if name not in rows]:
            raise FameError(
                f"{file} has no column {missing[0]!r}, so it does not say which runs its rows are "
                "of; move it away and run again."
            )
        return rows

    def select(self, key: RunKey) -> pd.DataFrame:
        """The rows of one model with one set of settings, by seed; the key's is not looked at."""
        rows = self.rows()
        named = {name: value for name, value in key.columns.items() if name != "seed"}
        return rows[(rows[list(named)] == pd.Series(named)).all(axis=1)].sort_values("seed")

    def stored_as(self, key: RunKey, others: Sequence[str]) -> RunKey:
        """A key by the name that its runs are stored under: its own, or one of ``others``.

        Runs of the same data, settings and code are the same runs, whatever they were called.
        """
        keys = [replace(key, model=name) for name in (key.model, *others)]
        return next((named for named in keys if len(self.select(named))), key)

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
        row = pd.DataFrame([{**key.columns, **figures}])
        with locked(self.folder / LOCK, wait=True):  # two tables may be filled at once
            rows = self.rows()
            same = (rows[list(key.columns)] == pd.Series(key.columns)).all(axis=1)
            rows = rows[~same]
            merged = pd.concat([rows, row]) if len(rows) else row
            merged = merged.sort_values(list(key.columns))  # so that a row done again stays put
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
        same = {name: value for name, value in key.columns.items() if name not in _MAY_DIFFER}
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
