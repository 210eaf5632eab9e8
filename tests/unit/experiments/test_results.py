"""The table of runs: rows by key, ranks beside them, paired gains."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fame.baselines import COUNTING
from fame.checkpoint import read_description
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig, split_settings
from fame.data import Dataset
from fame.data.registry import SETS
from fame.errors import FameError
from fame.experiments import results as table
from fame.experiments.gains import Gain, paired_gains, seed_spread
from fame.experiments.reproduce import reproduce
from fame.experiments.results import (
    DataKey,
    Results,
    RunKey,
    paired_comparison,
    run_settings,
    settings_key,
)
from fame.experiments.variants import (
    ABLATIONS,
    CLICKS_ALONE,
    FORMER,
    MODELS,
    OF_VALUES,
    OTHERS,
    WIDE,
    variant,
    variants,
)
from fame.metrics import summarise_ranks
from tests.tiny import interactions_of

DATA = DataKey("walks", "f" * 64, "c" * 64, "exclude")
KEY = RunKey(DATA, "fame", "abc", 0, code=1)
ROOT = Path(__file__).resolve().parents[3]
# For every setting another value than its default.
OTHER: dict[str, Any] = {
    **{"model": "sasrec", "width": 32, "heads": 4, "experts": 3, "layers": 3, "max_length": 9},
    **{"dropout": 0.1, "positions": "relative", "score": "cosine", "temperature": 0.2},
    **{"gate": "uniform", "facets": "off", "epochs": 3, "samples": "prefixes"},
    **{"item_start": "catalogue", "start_facets": "title", "batch_size": 8, "learning_rate": 0.1},
    **{"weight_decay": 0.1, "weight_average": 0.9, "warmup_steps": 5, "negatives": 7},
    **{"label_smoothing": 0.1, "head_loss_weight": 0.0, "patience": 1, "seed": 7},
    **{"device": "cpu", "precision": "fp32", "compile": "on"},
}


def key_with(**settings: Any) -> RunKey:
    if "start_facets" in settings:
        settings["item_start"] = "catalogue"
    model, training = split_settings(settings, "test")
    return RunKey.of(DATA, "fame", ModelConfig(**model), TrainConfig(**training))


def test_every_setting_that_changes_figures_is_in_the_key() -> None:
    """The others are the seed, which is a part of the key by itself, and where a run computes."""
    base = key_with()
    for name, value in OTHER.items():
        other = key_with(**{name: value})
        assert (other == base) == (name in ("device", "compile")), name
        assert (other.settings == base.settings) == (name in ("device", "compile", "seed")), name
    keys = {key_with(**{name: value}).settings for name, value in OTHER.items()}
    assert len(keys) == len(OTHER) - 2  # no two of them the same but those three
    known = {*ModelConfig().to_dict(), *TrainConfig().to_dict()} - {
        key for new in ADDED_SETTINGS.values() for key in new
    }
    assert known <= set(OTHER)


def test_a_default_has_no_part_in_the_key() -> None:
    """Whoever set dropout to .3 keeps the key where .3 becomes the default, and only they."""
    before = [key_with(dropout=0.4), key_with(dropout=0.3)]

    @dataclass(frozen=True)
    class Changed(ModelConfig):
        dropout: float = 0.3

    after = [
        RunKey.of(DATA, "fame", config, TrainConfig())
        for config in (Changed(dropout=0.4), Changed())
    ]
    assert after == before and after[0] != after[1]


def test_a_setting_added_later_makes_no_strangers_and_no_twins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Left out at the value that all runs had before, whatever its default is now."""
    settings = run_settings(ModelConfig(), TrainConfig())
    before = settings_key(settings)
    assert settings_key({**settings, "new": 0.5}) != before
    added = {**ADDED_SETTINGS, 98: {"new": 0.5}, 99: {"newer": "off"}}
    monkeypatch.setattr(table, "ADDED_SETTINGS", added)
    assert settings_key({**settings, "new": 0.5}) == before
    assert settings_key({**settings, "new": 0.5, "newer": "off"}) == before
    keys = [settings_key({**settings, "new": new}) for new in (0.4, 0.6, "0.5")]
    assert len({before, *keys}) == 4


def test_everything_that_identifies_a_run_is_in_its_file_name() -> None:
    others = [
        *(replace(KEY, data=replace(DATA, **{name: "other"})) for name in DATA.__dict__),
        *(replace(KEY, **change) for change in ({"model": "x"}, {"settings": "abd"})),
        *(replace(KEY, **{name: 2}) for name in ("seed", "code")),
    ]
    assert len(others) == len(KEY.columns)
    assert len({str(KEY), *map(str, others)}) == len(others) + 1
    assert str(KEY).startswith("walks-fame-") and str(KEY).endswith("-0")


def test_a_row_and_its_ranks_come_back(tmp_path: Path) -> None:
    results = Results(tmp_path)
    ranks = np.array([1, 3, 70_000])
    assert not results.has(KEY)
    results.add(KEY, summarise_ranks(ranks), ranks)
    assert results.has(KEY)
    for other in ({"seed": 1}, {"settings": "abd"}, {"code": 2}):
        assert not results.has(replace(KEY, **other))
    for name in DATA.__dict__:
        assert not results.has(replace(KEY, data=replace(DATA, **{name: "other"}))), name
    assert results.ranks(KEY).tolist() == ranks.tolist()
    row = results.select(replace(KEY, seed=7))
    assert row["HR@5"].tolist() == [pytest.approx(2 / 3)]


def test_runs_are_found_by_their_settings_under_a_former_name(tmp_path: Path) -> None:
    results, own = Results(tmp_path), replace(KEY, model="fame-start")
    assert results.stored_as(own, ("fame",)) == own
    results.add(replace(KEY, settings="abd"), {}, np.array([1]))
    assert results.stored_as(own, ("fame",)) == own  # other settings are other runs
    results.add(KEY, {}, np.array([1]))
    assert results.stored_as(own, ("fame",)) == KEY
    assert results.stored_as(own, ()) == own
    results.add(own, {}, np.array([1]))
    assert results.stored_as(own, ("fame",)) == own


def test_a_run_added_again_replaces_its_row_and_no_other(tmp_path: Path) -> None:
    results = Results(tmp_path)
    other = replace(KEY, seed=1)
    results.add(KEY, {"HR@5": 0.1}, np.array([9]))
    results.add(other, {"HR@5": 0.2}, np.array([9]))
    results.add(KEY, {"HR@5": 0.3}, np.array([8]))
    rows = results.rows().set_index("seed")["HR@5"]
    assert rows.to_dict() == {0: 0.3, 1: 0.2}
    assert results.ranks(KEY).tolist() == [8]


def test_rows_come_back_as_they_were_written_to_the_last_bit(tmp_path: Path) -> None:
    """A file that another row is added to may not drift."""
    results, digits = Results(tmp_path), np.random.default_rng(0).random(200)
    commits = ["1234567890" * 4, "12345e67890123456789", ""]
    for seed, value in enumerate(digits):
        origin = {"commit": commits[seed % 3], "torch": "2.10", "date": "2026-11-27"}
        key = replace(KEY, seed=seed, settings="123456789012")
        results.add(key, {"HR@10": value, **origin}, np.array([1]))
    rows = results.rows().fillna("")
    assert rows["HR@10"].tolist() == digits.tolist()
    assert rows["torch"].eq("2.10").all() and rows["settings"].eq("123456789012").all()
    assert rows["commit"].tolist() == [commits[seed % 3] for seed in range(len(digits))]


def test_a_table_that_does_not_say_which_runs_its_rows_are_of_is_refused(tmp_path: Path) -> None:
    columns = "data,fingerprint,model,settings,seed,HR@10"
    (tmp_path / "results.csv").write_text(f"{columns}\nwalks,f,fame,abc,0,0.5\n")
    with pytest.raises(FameError, match=r"no column 'catalogue'.* move it away"):
        Results(tmp_path).rows()


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
    elsewhere = [
        replace(KEY, data=replace(DATA, data="other"), model="paper", seed=seed) for seed in (0, 1)
    ]
    for key, own in zip(elsewhere, ranks[2:4], strict=True):
        results.add(key, {}, own)
    alone = paired_comparison(results, one, other)
    assert alone is not None and alone.gains["HR@10"].low is None
    assert "no interval" in alone.brackets and results.seed_spread(one) == {}
    for key, own in zip(elsewhere, ranks[4:], strict=True):
        results.add(replace(key, data=DATA, settings="b"), {}, own)
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
    """A new setting or recipe must not make strangers of the rows of before.

    Every row is found by the variant of its name, or by one that may stand under that name.
    """
    results = Results(ROOT / "checkpoints")
    rows = results.rows().query("settings != 'none'")
    assert len(rows)
    named = (*MODELS, *OF_VALUES, *FORMER, *OTHERS, *CLICKS_ALONE, *WIDE, *ABLATIONS)
    former = {old: [row for row in named if old in row.formerly] for old in rows["model"].unique()}
    for (*data, model, settings), _ in rows.groupby(
        [*DataKey.__dataclass_fields__, "model", "settings"]
    ):
        keys = [
            results.stored_as(
                RunKey.of(DataKey(*data), row.name, *row.configs(data[0])), row.formerly
            )
            for row in (variant(model), *former[model])
        ]
        found = [key for key in keys if (key.model, key.settings) == (model, settings)]
        assert found and results.has(found[0]), f"{model} on {data[0]}"


def test_every_shipped_row_has_the_key_of_its_own_configuration_and_its_ranks() -> None:
    results = Results(ROOT / "checkpoints")
    rows = results.rows()
    of_rows = []
    for row in rows.to_dict("records"):
        settings, code = row["settings"], row["code"]
        if settings == "none":
            assert pd.isna(row["configuration"]) and row["model"] in COUNTING
        else:
            stated = json.loads(row["configuration"])
            assert settings_key(stated) == settings
            kind = "sasrec" if variant(row["model"]).kind.startswith("sasrec") else "fame"
            assert stated["model"] == kind
        data = DataKey(*(row[name] for name in DataKey.__dataclass_fields__))
        of_rows.append(RunKey(data, row["model"], settings, row["seed"], code))
        figures = summarise_ranks(results.ranks(of_rows[-1]))
        # Their sums may be rounded in another order.
        assert figures == pytest.approx({name: row[name] for name in figures}, rel=0, abs=1e-12)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) and row["torch"][0].isdigit()
        assert pd.isna(row["commit"]) or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", row["commit"])
    assert len(set(of_rows)) == len(rows)
    files = {file.stem for file in (ROOT / "checkpoints" / "ranks").glob("*.npz")}
    assert files == set(map(str, of_rows))


@pytest.mark.parametrize("name", SETS)
def test_a_shipped_checkpoint_is_of_the_data_of_its_rows(name: str) -> None:
    folder = ROOT / "checkpoints" / name
    if not folder.is_dir():
        pytest.skip("no checkpoint of this set is shipped")
    rows = Results(ROOT / "checkpoints").rows().query("data == @name")
    named = rows[list(DataKey.__dataclass_fields__)].drop_duplicates()
    of_rows = [DataKey(*row) for row in named.itertuples(index=False)]
    assert of_rows == [DataKey.of(read_description(folder).data)]


def test_a_gain_in_words_has_signs_and_no_negative_nothing() -> None:
    assert Gain(0.0316, 0.0121, 0.05).in_words() == "+3.2 % (+1.2 to +5.0)"
    assert Gain(-0.0002, -0.0251, 0.0004).in_words() == "+0.0 % (-2.5 to +0.0)"
