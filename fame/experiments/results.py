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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame import CODE_VERSION
from fame.checkpoint import DataInfo
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig
from fame.errors import FameError
from fame.files import locked, replacing
from fame.metrics import gains, hits

RESULTS, RANKS, RUNS, LOCK = "results.csv", "ranks", "runs", ".results.lock"
# What does not change a run's figures, and the seed, across which runs are compared.
_NOT_SETTINGS = ("seed", "device", "compile")
# Columns that identify a run.
_IDENTITY = ("data", "fingerprint", "catalogue", "repeats", "model", "settings", "seed", "code")
# Columns of text that pandas might take for numbers.
_TEXT = (*_IDENTITY[:6], "configuration", "device", "date", "torch", "commit")
# Draws of the bootstrap that share one matrix product.
_DRAWS_AT_ONCE = 50


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

    def _ranks_file(self, key: RunKey) -> Path:
        return self.folder / RANKS / f"{key}.npz"


@dataclass(frozen=True)
class Gain:
    """Relative gain of one model over another: the mean and a 95 % interval, as shares."""

    mean: float
    low: float
    high: float

    def in_words(self) -> str:
        """``+3.2 % (+1.0 to +5.4)``."""
        mean, low, high = (f"{100 * value:+z.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} % ({low} to {high})"


def brackets_in_words(seeds: int) -> str:
    """What stands in the brackets of :meth:`Gain.in_words`."""
    drawn = "seeds and people" if seeds > 1 else "people"
    return f"in brackets a 95 % interval that draws {drawn} anew."


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


def paired_gains(
    ours: np.ndarray, theirs: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> dict[str, Gain]:
    """Gain in mean HR@10 and NDCG@10, with intervals that bootstrap seeds and people together.

    Args:
        ours, theirs: Ranks ``(seeds, people)``; row i of both had the same seed, column j is the
            same person.
    """
    seeds, people = ours.shape
    figures = {"HR@10": hits, "NDCG@10": gains}
    # What every person got: (figures, ours and theirs, seeds, people).
    values = np.array([[of(ranks, 10) for ranks in (ours, theirs)] for of in figures.values()])
    values = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty((draws, len(figures), 2))
    for first in range(0, draws, _DRAWS_AT_ONCE):
        among = slice(first, min(first + _DRAWS_AT_ONCE, draws))
        drawn = [
            (_shares_drawn(rng, seeds), _shares_drawn(rng, people))
            for _ in range(among.stop - among.start)
        ]
        of_seeds, of_people = map(np.stack, zip(*drawn, strict=True))
        means[among] = np.einsum("ds,fwsd->dfw", of_seeds, values @ of_people.T)
    found = {}
    for index, name in enumerate(figures):
        our, their = values[index].mean(axis=(1, 2))
        ratios = means[:, index, 0] / np.maximum(means[:, index, 1], 1e-12) - 1
        low, high = np.quantile(ratios, [0.025, 0.975])
        found[name] = Gain(float(our / their - 1), float(low), float(high))
    return found


def _shares_drawn(rng: np.random.Generator, number: int) -> np.ndarray:
    """The share of each of ``number`` things in as many draws with replacement: ``(number,)``."""
    return np.bincount(rng.integers(number, size=number), minlength=number) / number


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
        gains=paired_gains(our_ranks, their_ranks),
    )
