"""Two runs beside each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fame.checkpoint import DataInfo, Description, read_description
from fame.config import ModelConfig, TrainConfig
from fame.experiments.compare_runs import baseline_ranks, differing, gains_over, table_ranks
from fame.experiments.results import DataKey, Results, RunKey

DATA = DataInfo("walks", "f", "none", 4, 9, 40, "exclude", "c")
ABOUT = Description(ModelConfig(), TrainConfig(seed=3), DATA, 1, {}, {}, 4, "")


def test_only_settings_that_differ_are_told() -> None:
    table = differing({"a": {"width": 8, "heads": 2}, "b": {"width": 16, "heads": 2, "new": 1}})
    assert table.to_dict("index") == {"width": {"a": "8", "b": "16"}, "new": {"a": "", "b": "1"}}
    assert not len(differing({"a": {"width": 8}, "b": {"width": 8}}))


def test_the_interval_is_over_people_in_pairs() -> None:
    """Against the textbook: the mean of paired differences, and 1.96 of its standard errors."""
    rng = np.random.default_rng(0)
    theirs = rng.integers(1, 30, size=4000)
    ours = np.where(rng.random(4000) < 0.2, np.maximum(theirs - 10, 1), theirs)
    gain = gains_over(ours, theirs)["HR@10"]
    hit, base = (ours <= 10).astype(float), (theirs <= 10).astype(float)
    mean = hit.mean() / base.mean() - 1
    left = (hit - (1 + mean) * base) / base.mean()
    half = 1.96 * left.std(ddof=1) / np.sqrt(len(left))
    assert gain.mean == pytest.approx(mean)
    assert gain.low is not None and gain.high is not None
    assert gain.high - gain.mean == pytest.approx(half, rel=0.15)
    assert gain.mean - gain.low == pytest.approx(half, rel=0.15)
    same = gains_over(theirs, theirs)["NDCG@10"]
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_checkpoint_finds_the_ranks_of_its_row_and_of_no_other(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert table_ranks(tmp_path, ABOUT) is None
    configs = ABOUT.model_config, ABOUT.train_config
    ranks = np.array([1, 5, 2, 9])
    results.add(RunKey.of(DataKey.of(DATA), "fame", *configs, 1), {"HR@10": 1.0}, ranks)
    found = table_ranks(tmp_path, ABOUT)
    assert found is not None and found.tolist() == ranks.tolist()
    others = (
        replace(ABOUT, train_config=TrainConfig(seed=4)),
        replace(ABOUT, model_config=ModelConfig(width=32)),
        replace(ABOUT, data=replace(DATA, fingerprint="g")),
        replace(ABOUT, code=2),
    )
    assert all(table_ranks(tmp_path, other) is None for other in others)
    (tmp_path / "results.csv").write_text("nonsense")
    assert table_ranks(tmp_path, ABOUT) is None


@pytest.mark.parametrize("name", ["beauty", "ml-1m"])  # ml-1m's recipe has no row of SASRec yet
def test_a_shipped_checkpoint_lies_beside_the_sasrec_of_the_tables(name: str) -> None:
    folder = Path("checkpoints")
    ranks = baseline_ranks(folder, read_description(folder / name))
    assert ranks is not None
    rows = Results(folder).rows()
    rows = rows[(rows["data"] == name) & rows["model"].str.startswith("sasrec")]
    assert (rows["HR@10"] - (ranks <= 10).mean()).abs().min() < 1e-12
