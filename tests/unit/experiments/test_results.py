"""The table of runs: rows by key, ranks beside them, paired gains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.errors import FameError
from fame.experiments.gains import paired_gains, seed_spread
from fame.experiments.reproduce import reproduce
from fame.experiments.results import (
    Results,
    RunKey,
    paired_comparison,
    settings_key,
)
from fame.experiments.variants import variant, variants
from fame.metrics import summarise_ranks
from tests.tiny import interactions_of

KEY = RunKey("walks", "f" * 64, "fame", "abc", 0)


def test_settings_are_equal_across_model_seed_device_and_compilation_only() -> None:
    base = {**ModelConfig().to_dict(), **TrainConfig().to_dict()}
    same = {**base, "model": "sasrec", "seed": 7, "device": "cpu", "compile": "on"}
    assert settings_key(same) == settings_key(base)
    for name, value in {"width": 32, "dropout": 0.1, "epochs": 3, "head_loss_weight": 0.0}.items():
        assert settings_key({**base, name: value}) != settings_key(base), name


def test_a_row_and_its_ranks_come_back(tmp_path: Path) -> None:
    results = Results(tmp_path)
    ranks = np.array([1, 3, 70_000])
    assert not results.has(KEY)
    results.add(KEY, summarise_ranks(ranks), ranks)
    assert results.has(KEY)
    assert not results.has(replace(KEY, seed=1)) and not results.has(replace(KEY, settings="abd"))
    assert results.ranks(KEY).tolist() == ranks.tolist()
    row = results.select(replace(KEY, seed=7))
    assert row["HR@5"].tolist() == [pytest.approx(2 / 3)]


def test_a_run_added_again_replaces_its_row_and_no_other(tmp_path: Path) -> None:
    results = Results(tmp_path)
    other = replace(KEY, seed=1)
    results.add(KEY, {"HR@5": 0.1}, np.array([9]))
    results.add(other, {"HR@5": 0.2}, np.array([9]))
    results.add(KEY, {"HR@5": 0.3}, np.array([8]))
    rows = results.rows().set_index("seed")["HR@5"]
    assert rows.to_dict() == {0: 0.3, 1: 0.2}
    assert results.ranks(KEY).tolist() == [8]


def test_a_damaged_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FameError, match=r"results\.csv is not readable"):
        Results(tmp_path).rows()


def test_only_seeds_that_both_models_have_are_compared(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for model, seeds in {"fame": (0, 1, 2), "sasrec": (1, 2, 3)}.items():
        for seed in seeds:
            key = replace(KEY, model=model, seed=seed)
            results.add(key, {"HR@10": 1.0, "NDCG@10": 1.0}, np.array([1, 1]))
    pair = KEY, replace(KEY, model="sasrec")
    comparison = paired_comparison(results, *pair)
    assert comparison is not None and comparison.seeds == 2
    assert comparison.ours["seed"].tolist() == comparison.theirs["seed"].tolist() == [1, 2]
    assert comparison.gains["HR@10"].mean == 0
    limited = paired_comparison(results, *pair, seeds=2)
    assert limited is not None and limited.seeds == 1
    assert paired_comparison(results, *pair, seeds=1) is None


def test_one_seed_has_an_interval_where_other_rows_of_the_data_have_several(tmp_path: Path) -> None:
    results = Results(tmp_path)
    ranks = np.random.default_rng(0).integers(1, 30, size=(6, 50))
    one, other = KEY, replace(KEY, model="sasrec")
    results.add(one, {}, ranks[0])
    results.add(other, {}, ranks[1])
    elsewhere = [replace(KEY, data="other", model="paper", seed=seed) for seed in (0, 1)]
    for key, own in zip(elsewhere, ranks[2:4], strict=True):
        results.add(key, {}, own)
    alone = paired_comparison(results, one, other)
    assert alone is not None and alone.gains["HR@10"].low is None
    assert "no interval" in alone.brackets and results.seed_spread(one) == {}
    for key, own in zip(elsewhere, ranks[4:], strict=True):
        results.add(replace(key, data="walks", settings="b"), {}, own)
    assert results.seed_spread(one) == seed_spread([ranks[4:]])
    beside = paired_comparison(results, one, other)
    assert beside is not None and "have several" in beside.brackets
    expected = paired_gains(ranks[:1], ranks[1:2], spread=seed_spread([ranks[4:]]))
    assert beside.gains == expected and beside.gains["HR@10"].low is not None


def test_reproduce_refuses_several_processes(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    data = Dataset(interactions_of([[1, 2, 3, 4]], 4), pd.DataFrame(), "made up")
    with pytest.raises(FameError, match="one process"):
        reproduce(data, variants(["fame"]), 1, Results(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_shipped_rows_are_those_of_the_shipped_recipes() -> None:
    """A new setting must not make the rows of runs that had it at its default strangers."""
    results = Results(Path(__file__).resolve().parents[3] / "checkpoints")
    rows = results.rows().query("settings != 'none'")
    assert len(rows)
    for (name, fingerprint, model), _ in rows.groupby(["data", "fingerprint", "model"]):
        key = RunKey.of(name, fingerprint, model, *variant(model).configs(name))
        assert results.has(key), f"{model} on {name}"
