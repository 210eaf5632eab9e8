"""The table of runs: rows by key, ranks beside them, paired gains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.errors import FameError
from fame.experiments.reproduce import reproduce
from fame.experiments.results import (
    Gain,
    Results,
    RunKey,
    paired_comparison,
    paired_gains,
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


def test_gain_by_hand() -> None:
    ours = np.array([[1, 10, 11, 3]])  # 3 of 4 within 10
    theirs = np.array([[1, 10, 11, 30]])  # 2 of 4
    gain = paired_gains(ours, theirs)["HR@10"]
    assert gain.mean == pytest.approx(0.5)
    # Ours is never worse for anybody, so no draw can show a loss.
    assert gain.low >= 0 and gain.high >= 0.5


def test_the_interval_of_equal_models_holds_zero_and_that_of_a_better_one_does_not() -> None:
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 60, size=(4, 600))
    shuffled = np.stack([rng.permutation(row) for row in ranks])
    equal = paired_gains(ranks, shuffled)["NDCG@10"]
    assert equal.low < 0 < equal.high
    better = paired_gains(np.maximum(ranks - 15, 1), ranks)["NDCG@10"]
    assert 0 < better.low < better.mean < better.high


def test_intervals_are_those_of_drawing_seeds_and_people_one_draw_at_a_time() -> None:
    """The obvious twin: people are picked by index, and averaged over picked seeds."""
    rng = np.random.default_rng(1)
    ours, theirs = rng.integers(1, 30, size=(2, 3, 70))
    draws = 120  # more than one matrix product of draws, and a part of another
    rng = np.random.default_rng(5)
    ratios: dict[str, list[float]] = {"HR@10": [], "NDCG@10": []}
    for _ in range(draws):
        seeds, people = rng.integers(3, size=3), rng.integers(70, size=70)
        picked = [ranks[seeds][:, people] for ranks in (ours, theirs)]
        for name, of in ratios.items():
            a, b = (summarise_ranks(ranks.ravel())[name] for ranks in picked)
            of.append(a / b - 1)
    found = paired_gains(ours, theirs, draws=draws, seed=5)
    for name, of in ratios.items():
        # Only the order of additions differs.
        assert [found[name].low, found[name].high] == pytest.approx(
            np.quantile(of, [0.025, 0.975]), rel=0, abs=1e-12
        )


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


def test_a_gain_in_words_has_signs_and_no_negative_nothing() -> None:
    assert Gain(0.0316, 0.0121, 0.05).in_words() == "+3.2 % (+1.2 to +5.0)"
    assert Gain(-0.0002, -0.0251, 0.0004).in_words() == "+0.0 % (-2.5 to +0.0)"
