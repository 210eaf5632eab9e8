"""The command line as people use it, from data to projection, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fame.checkpoint import load_checkpoint, read_choice
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.experiments.results_page import marks
from fame.files import MARK
from fame.projection import read_projection
from fame.survey import read_faithfulness, read_people
from tests.integration.conftest import CommandLine, environment
from tests.tiny import sealed


@pytest.fixture(scope="module")
def checkpoint(process: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checkpoints") / "try"
    settings = ["--set", "width=16", "--set", "max_length=8", "--set", "experts=3"]
    done = process("train", "--data", "walks", "--out", str(out), "--epochs", "3", *settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Epoch 3/3" in done.stderr and "clicks/s" in done.stderr
    assert (
        "walks has no recipe, so its settings follow what it looks like: 96 people" in done.stderr
    )
    return out


def test_a_file_of_settings_turns_choosing_off(
    fame: CommandLine, tmp_path: Path, checkpoint: Path
) -> None:
    file = tmp_path / "own.toml"
    file.write_text("width = 8\nmax_length = 8\nepochs = 1\n")
    out = tmp_path / "out"
    train = ["train", "--data", "walks", "--out", str(out), "--no-projection"]
    done = fame(*train, "--config", str(file))
    assert done.returncode == 0, done.stderr
    assert "no recipe" not in done.stderr and read_choice(out) is None
    loaded = load_checkpoint(out)
    assert loaded.model_config == ModelConfig(width=8, max_length=8)
    assert loaded.train_config == TrainConfig(epochs=1)
    card = (out / "README.md").read_text()
    assert "Why these settings" not in card
    # Without the file settings would be chosen, so the command of the card says all of them.
    for setting in ("width=8", "heads=2", "samples=windows", "batch_size=256", "score=dot"):
        assert f" --set {setting}" in card


def traced(fame: CommandLine, checkpoint: Path, *arguments: str) -> dict:
    done = fame("trace", str(checkpoint), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_training_leaves_the_whole_folder(checkpoint: Path) -> None:
    names = {file.name for file in checkpoint.iterdir()}
    assert names >= {
        "config.json", "model.safetensors", "items.parquet", "metrics.json", "projection.parquet",
        "README.md", "metrics.jsonl", "train.log", "status.json",
    }  # fmt: skip
    assert "resume" not in names
    card = (checkpoint / "README.md").read_text()
    for part in ("popularity", "Markov", "item-kNN", "Fingerprint"):
        assert part in card
    # The set has no recipe: what was chosen stands in the card, in the log and beside the weights.
    choice = read_choice(checkpoint)
    assert choice is not None and choice["like"] == "beauty"
    assert choice["given"] == {"width": 16, "max_length": 8, "experts": 3, "epochs": 3}
    assert f"## Why these settings\n\n{choice['why']}\n" in card
    assert "Given and kept: width=16, max_length=8, experts=3, epochs=3." in choice["why"]
    assert choice["why"] in (checkpoint / "train.log").read_text()
    loaded = load_checkpoint(checkpoint)
    own = {**loaded.model_config.to_dict(), **loaded.train_config.to_dict()}
    assert choice["settings"].items() <= own.items()
    command = next(line for line in card.splitlines() if line.startswith("python -m fame train"))
    assert command.split()[4:] == [
        *("--data", "walks", "--out", "checkpoints/try"),
        *("--set", "width=16", "--set", "experts=3", "--set", "max_length=8", "--epochs", "3"),
    ]


def test_evaluate_gives_the_figures_of_the_card(
    process: CommandLine, fame: CommandLine, checkpoint: Path
) -> None:
    done = process("evaluate", str(checkpoint), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    figures = [f"{kind}@{k}" for kind in ("HR", "NDCG") for k in (5, 10, 20)]
    about = ["seconds", "fingerprint", "repeats"]
    assert list(answer) == ["users", "split", *figures, "MRR", *about]  # no target repeats
    assert answer["repeats"] == "exclude"
    assert f"Ranking {answer['users']} people" in done.stderr.splitlines()
    stored = json.loads((checkpoint / "metrics.json").read_text())["test"]
    # Equal up to the order in which a product sums: at most one person on the edge of a cut-off.
    for name in (*figures, "MRR"):
        assert abs(answer[name] - stored[name]) <= 1 / answer["users"], name
    row = next(line for line in (checkpoint / "README.md").read_text().splitlines()
               if line.startswith("| FAME |"))  # fmt: skip
    assert f"{stored['HR@10']:.4f}" in row
    valid = json.loads(fame("evaluate", str(checkpoint), "--split", "valid", "--json").stdout)
    assert valid["split"] == "valid" and valid["users"] == answer["users"]


def test_trace_of_a_person(fame: CommandLine, checkpoint: Path, dataset: Dataset) -> None:
    answer = traced(fame, checkpoint, "--user", "u3", "--top-k", "4")
    data = dataset.interactions
    history = data.item_ids[data.sequence(3)[:-1]].tolist()
    assert list(answer) == [
        "history", "seen_from", "gate", "names", "router", "heads", "fused", "held_out", "ledger",
        "repeats",
    ]  # fmt: skip
    assert answer["names"] == [None, None]
    assert answer["history"] == history
    assert answer["seen_from"] == len(history) - 8
    assert sum(answer["gate"]) == pytest.approx(1, abs=1e-6)
    assert [len(row) for row in answer["router"]] == [3, 3]
    assert np.sum(answer["router"], axis=1) == pytest.approx([1, 1], abs=1e-6)
    for ranking in (*answer["heads"], answer["fused"]):
        assert not {row["item"] for row in ranking} & set(history)
        scores = [row["score"] for row in ranking]
        assert scores == sorted(scores, reverse=True)
    for row in answer["fused"]:
        assert sum(row["by_head"]) == pytest.approx(row["score"], abs=1e-4)
        assert row["by_value"] == [[{"value": None, "points": own}] for own in row["by_head"]]
    assert answer["held_out"]["item"] == data.item_ids[data.sequence(3)[-1]]
    by_items = traced(fame, checkpoint, "--items", ",".join(history), "--top-k", "4")
    assert by_items["heads"] == answer["heads"] and by_items["fused"] == answer["fused"]
    assert by_items["held_out"] is None


def test_values_from_training_to_a_new_item(fame: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "valued"
    shape = ["--set", "width=16", "--set", "head_facets=region/", "--set", "max_length=8"]
    done = fame(
        "train", "--data", "walks", "--out", str(out), "--epochs", "1", "--no-projection", *shape
    )
    assert done.returncode == 0, done.stderr
    assert "head_facets=region/" in (out / "README.md").read_text()
    whose = ["--items", "i1,i2,i3"]
    answer = traced(fame, out, *whose, "--new", "region=north")
    for row in answer["fused"]:
        region = "north" if int(row["item"][1:]) % 2 else "south"
        named, free = row["by_value"]
        assert [part["value"] for part in named] == [f"region={region}", None]
        assert [part["value"] for part in free] == [None]
        for parts, by_head in zip(row["by_value"], row["by_head"], strict=True):
            assert sum(part["points"] for part in parts) == pytest.approx(by_head, abs=1e-5)
    new = answer["new"]
    assert list(new) == ["values", "score", "rank", "rank_by_head", "by_value"]
    assert new["values"] == ["region=north"] and len(new["rank_by_head"]) == 2
    assert all(1 <= rank <= 10 for rank in (new["rank"], *new["rank_by_head"]))  # 9 candidates
    points = [part["points"] for parts in new["by_value"] for part in parts]
    assert sum(points) == pytest.approx(new["score"], abs=1e-5)
    ahead = sum(row["score"] >= new["score"] for row in answer["fused"])
    assert new["rank"] == 1 + ahead  # the list has all of them
    told = fame("trace", str(out), *whose, "--new", "region=north").stdout
    assert f"A new item of region=north: rank {new['rank']} (by head: " in told
    for text, message in (
        ("region=nroth", "No item has the value 'region=nroth'; near it are region=north"),
        ("", "at least one value to be ranked by, such as region=north"),
    ):
        refused = fame("trace", str(out), *whose, "--new", text)
        assert refused.returncode == 2 and message in refused.stderr
        assert refused.stderr.count("\n") == 1
    wrong = ["--set", "head_facets=a/b/", "--set", "heads=2"]
    refused = fame("train", "--data", "walks", "--out", str(out / "x"), *wrong)
    assert refused.returncode == 2 and "3 shares and there are 2 heads" in refused.stderr


def test_a_new_item_needs_a_model_that_knows_values(fame: CommandLine, checkpoint: Path) -> None:
    refused = fame("trace", str(checkpoint), "--items", "i1", "--new", "region=north")
    assert refused.returncode == 2 and "not by their values" in refused.stderr


def test_trace_with_a_change(fame: CommandLine, checkpoint: Path) -> None:
    plain = traced(fame, checkpoint, "--items", "i1,i2,i3")
    solo = traced(fame, checkpoint, "--items", "i1,i2,i3", "--gate", "0,7")
    assert solo["gate"] == [0, 1]
    assert [row["item"] for row in solo["fused"]] == [row["item"] for row in plain["heads"][1]]
    muted = traced(fame, checkpoint, "--items", "i1,i2,i3", "--mute", "0:1", "--solo", "1:2")
    kept = np.array(plain["router"][0])[[0, 2]]
    assert muted["router"][0] == pytest.approx([kept[0] / kept.sum(), 0, kept[1] / kept.sum()])
    assert muted["router"][1] == [0, 0, 1]
    without = traced(fame, checkpoint, "--items", "i1,i2,i3", "--without", "i2")
    assert without == traced(fame, checkpoint, "--items", "i1,i3")
    raw = traced(fame, checkpoint, "--items", "i1,i2,i3", "--raw")
    assert raw["ledger"] == "raw" and plain["ledger"] == "centred"
    assert [row["item"] for row in raw["fused"]] == [row["item"] for row in plain["fused"]]


def test_a_history_may_be_given_item_by_item(fame: CommandLine, checkpoint: Path) -> None:
    single = [part for item in ("i1", "i2", "i3") for part in ("--item", item)]
    assert traced(fame, checkpoint, *single) == traced(fame, checkpoint, "--items", "i1,i2,i3")


def test_a_report_tells_what_the_trace_does(
    process: CommandLine, fame: CommandLine, checkpoint: Path, tmp_path: Path
) -> None:
    """With the same options, for a person and for a history; nothing is printed."""
    change = ["--gate", "0.2,0.8", "--mute", "0:1", "--solo", "1:2", "--top-k", "4"]
    for number, whose in enumerate((["--user", "u3"], ["--items", "i1,i2,i3"])):
        out = tmp_path / f"report-{number}.html"
        run = process if number == 0 else fame
        done = run("report", str(checkpoint), *whose, *change, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "" and "has not been made yet" in done.stderr
        text = out.read_text(encoding="utf-8")
        block = text.split('type="application/json">', 1)[1].split("</script>", 1)[0]
        assert json.loads(block)["trace"] == traced(fame, checkpoint, *whose, *change)
        assert "Place <b>" not in text  # titles hold markup


def test_a_survey_is_stored_and_printed(
    fame: CommandLine, checkpoint: Path, dataset: Dataset
) -> None:
    done = fame("survey", str(checkpoint), "--sample", "6", "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["people"]["looked_at"] == len(dataset.interactions)
    assert answer["faithfulness"]["sample"] == 6 and answer["faithfulness"]["seed"] == 1
    loaded = load_checkpoint(checkpoint)
    people, faithfulness = read_people(loaded), read_faithfulness(loaded)
    assert people is not None and answer["people"] == asdict(people)
    assert faithfulness is not None and answer["faithfulness"] == asdict(faithfulness)
    for line in ("Looking at 96 people", "Testing the explanations of 6 people"):
        assert line in done.stderr
    said = fame("survey", str(checkpoint), "--sample", "6").stdout
    assert "the longest histories (the extremes of 96 people, whose median is " in said
    assert "in no head's own (for " in said and "explanations of this checkpoint" in said


def test_project_writes_the_same_picture_again(fame: CommandLine, checkpoint: Path) -> None:
    first = pd.read_parquet(checkpoint / "projection.parquet")
    assert list(first) == [
        "item_id", "all_x", "all_y", "head_0_x", "head_0_y", "head_1_x", "head_1_y"
    ]  # fmt: skip
    (checkpoint / "projection.parquet").unlink()
    done = fame("project", str(checkpoint))
    assert done.returncode == 0, done.stderr
    projection = read_projection(load_checkpoint(checkpoint))
    assert projection is not None
    pd.testing.assert_frame_equal(projection.points, first)
    assert set(projection.preservation) == {"all", "head_0", "head_1"}


def test_facets_says_how_far_neighbours_agree(fame: CommandLine, checkpoint: Path) -> None:
    answer = json.loads(fame("facets", str(checkpoint), "--json").stdout)
    assert answer["neighbours"] == 10
    region = answer["agreement"]["region"]
    assert region["asked"] == 12 and set(region["spaces"]) == {"all", "head_0", "head_1"}
    assert region["chance"] == pytest.approx(5 / 11)  # of the 11 others, 5 lie in the same region
    done = fame("facets", str(checkpoint))
    assert done.returncode == 0 and "region" in done.stdout and "45.5%" in done.stdout


def test_facets_measures_lists_and_causes_where_the_data_is(
    fame: CommandLine, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    done = fame("facets", str(copy), "--sample", "20", "--seed", "1", "--json")
    answer = json.loads(done.stdout)
    assert set(answer["lists"]["region"]) == {"people", "all", "head_0", "head_1", "controls"}
    assert set(answer["lists"]["region"]["head_0"]["history"]) == {"mean", "low", "high"}
    assert len(answer["causes"]["region"]) == 2
    assert [list(head) for head in answer["heads"]] == [["head", "name", "facet", "why"]] * 2
    first = answer["experts"][0]
    assert {"head", "expert", "load", "sharpness", "values"} <= set(first)
    assert len(answer["expert_share"]) == 2 and 0 <= answer["expert_share"][0] <= 1
    stored = json.loads((copy / "facets.json").read_text())
    assert {key: stored[key] for key in answer} == answer
    # What the evidence calls the heads stands beside the gate, as long as it is of these weights.
    stored["heads"][1] |= {"name": "Region", "facet": "region"}
    (copy / "facets.json").write_text(json.dumps(stored))
    assert traced(fame, copy, "--items", "i1")["names"] == [answer["heads"][0]["name"], "Region"]
    assert "Head 1 (Region), gate share" in fame("trace", str(copy), "--items", "i1").stdout
    (copy / "facets.json").write_text(json.dumps(stored | {"weights": "0" * 64}))
    done = fame("trace", str(copy), "--items", "i1", "--json")
    assert json.loads(done.stdout)["names"] == [None, None]
    assert "Stored names of heads are left aside" in done.stderr
    assert "other weights" in done.stderr
    said = fame("facets", str(copy), "--sample", "20", "--seed", "1").stdout
    assert f"Head 2 ({answer['heads'][1]['name'] or 'no name'}): " in said
    assert f"load {first['load']:.1%}" in said and "share of person and expert" in said
    assert "Experts as preferences inside facets: goal not reached." in said
    # What rests on less does not take the place of what was held against a SASRec too.
    stored = json.loads((copy / "facets.json").read_text())
    for own in stored["lists"].values():
        own["controls"]["sasrec_slices"] = own["controls"]["slices_turned"]
    (copy / "facets.json").write_text(json.dumps(stored))
    done = fame("facets", str(copy), "--sample", "19", "--json")
    assert json.loads(done.stdout)["people"] == 19
    assert "facets.json stays as it is: it was held against a SASRec too" in done.stderr
    assert json.loads((copy / "facets.json").read_text()) == stored
    done = fame("facets", str(copy), "--sasrec", str(checkpoint))
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"Error: {checkpoint} is a fame, and a sasrec is asked for.\n"


def test_a_person_names_heads_from_the_command_line(
    fame: CommandLine, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    (copy / "facets.json").unlink(missing_ok=True)
    done = fame("facets", str(copy), "--name", "1=Mood", "--name", "2=Maker = x", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"names": ["Mood", "Maker = x"]}
    assert not (copy / "facets.json").exists()  # nothing was measured
    assert traced(fame, copy, "--items", "i1")["names"] == ["Mood", "Maker = x"]
    said = fame("facets", str(copy), "--name", "2=").stdout.splitlines()
    assert said[0].startswith("Head 1 (Mood): A person chose this name")
    assert said[1].startswith("Head 2 (no name): Nobody has looked")
    for wrong, told in (
        ("Mood", "A name is given as HEAD=NAME, like 1=Mood, not 'Mood'."),
        ("0=Mood", "has heads 1 to 2 and no head 0"),
        ("-1=Mood", "HEAD=NAME"),
        ("1=" + "x" * 25, "at most 24 characters"),
        ("1=a\nb", "one line"),
    ):
        done = fame("facets", str(copy), "--name", wrong)
        assert done.returncode == 2 and not done.stdout, wrong
        assert told in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = fame("facets", str(copy), "--name", "1=A", "--name", "1=B")
    assert done.returncode == 2 and "Head 1 is named twice" in done.stderr
    assert traced(fame, copy, "--items", "i1")["names"] == ["Mood", None]


def test_facets_without_the_data_measures_tables_and_says_so(
    fame: CommandLine, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    config = json.loads((copy / "config.json").read_text())
    config["data"]["name"] = "nowhere"
    sealed(copy / "config.json", config)
    (copy / "metrics.json").unlink()  # of the configuration before
    (copy / "facets.json").unlink(missing_ok=True)  # of another test
    done = fame("facets", str(copy), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["lists"] is answer["causes"] is answer["heads"] is None
    assert answer["experts"] is answer["expert_share"] is None
    assert answer["agreement"]["region"]["asked"] == 12 and answer["neighbours"] == 10
    assert (
        "Only tables were measured" in done.stderr
        and "data import PATH --name nowhere" in done.stderr
    )
    assert not (copy / "facets.json").exists()


def test_reproduce_fills_a_table_and_goes_on_where_it_stopped(
    fame: CommandLine, home: Path, tmp_path: Path
) -> None:
    def run(*arguments: str) -> dict:
        done = fame("reproduce", "walks", "--out", str(tmp_path), "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # An imported set has no recipe, so the defaults are what is trained; histories this regular
    # are learnt in a few epochs and patience ends the runs.
    run("--seeds", "1", "--models", "fame")
    rows = pd.read_csv(tmp_path / "results.csv").set_index("model")
    assert rows.index.tolist() == ["fame", "item_knn", "markov", "popularity"]
    seconds = rows.loc["fame", "seconds"]
    shown = tmp_path / "shown"
    answer = run("--seeds", "1", "--models", "fame,sasrec,no-facets", "--ship", str(shown))
    rows = pd.read_csv(tmp_path / "results.csv").set_index("model")
    assert set(rows.index) == {"popularity", "markov", "item_knn", "fame", "sasrec", "no-facets"}
    assert rows.loc["fame", "seconds"] == seconds, "a run that has its row was run again"
    for model in ("fame", "sasrec", "no-facets"):
        assert answer["models"][model]["mean"]["HR@10"] == pytest.approx(rows.loc[model, "HR@10"])
    stored = json.loads(rows.loc["no-facets", "configuration"])
    assert stored["facets"] == "off" and stored["score"] == "dot" and stored["epochs"] == 200
    assert "seed" not in stored and "device" not in stored
    assert rows["torch"].eq(torch.__version__).all() and rows["date"].str.match(r"\d{4}-").all()
    assert set(answer["gains_over_sasrec"]) == {"fame", "no-facets"}
    gain = answer["gains_over_sasrec"]["fame"]["NDCG@10"]
    # One seed tells nothing of others, and there is no row of several.
    assert set(gain) == {"mean", "low", "high"} and gain["low"] is gain["high"] is None

    # The checkpoint made of the first row shows the figures of that run, and SASRec's beside them.
    figures = json.loads(fame("evaluate", str(shown), "--json").stdout)
    assert figures["NDCG@10"] == pytest.approx(rows.loc["fame", "NDCG@10"], abs=1e-12)
    card = (shown / "README.md").read_text()
    assert "| SASRec, one seed |" in card and "## Beside SASRec" in card
    assert "--out checkpoints/shown" in card
    over = answer["gains_over_sasrec"]["fame"]["HR@10"]["mean"]
    assert f"| FAME over SASRec | {100 * over:+.1f} %" in card
    assert read_projection(load_checkpoint(shown)) is not None
    assert {path.name for path in shown.iterdir()} == {
        "config.json", "model.safetensors", "items.parquet", "metrics.json", "projection.parquet",
        "README.md", "metrics.jsonl",
    }  # fmt: skip

    # A checkpoint of another run takes its place only where nothing else lies there.
    for name in ("notes.txt", "status.json"):
        (shown / name).write_text("{}")
        before = {path.name: path.read_bytes() for path in shown.iterdir()}
        done = fame("reproduce", "walks", "--out", str(tmp_path), "--models", "sasrec",
                    "--seeds", "1", "--ship", str(shown))  # fmt: skip
        assert done.returncode == 2 and f"holds '{name}'" in done.stderr
        assert {path.name: path.read_bytes() for path in shown.iterdir()} == before
        (shown / name).unlink()

    # Of the same run the card alone is written anew, whether the run's folder is there or gone.
    (shown / "people.json").write_text("added since")
    before = {path.name: path.read_bytes() for path in shown.iterdir()}
    for _ in range(2):
        (shown / "README.md").write_text("of former seeds")
        run("--models", "fame", "--seeds", "1", "--ship", str(shown))
        assert {path.name: path.read_bytes() for path in shown.iterdir()} == before
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    # There is nothing to make another row's checkpoint of: said, and nothing is lost.
    for at in (shown, tmp_path / "nowhere"):
        done = fame("reproduce", "walks", "--out", str(tmp_path), "--models", "no-facets",
                    "--seeds", "1", "--ship", str(at))  # fmt: skip
        assert done.returncode == 2 and "only its row was kept" in done.stderr
    assert {path.name: path.read_bytes() for path in shown.iterdir()} == before


def test_a_model_made_of_values_is_shipped_with_them(fame: CommandLine, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    table = ["reproduce", "walks", "--models", "fame", "--seeds", "1", "--out", str(tmp_path)]
    settings = ("--set", "head_facets=region/", "--set", "epochs=1", "--set", "width=8")
    for _ in range(2):  # made, and then found to be made
        done = fame(*table, *settings, "--ship", str(shown))
        assert done.returncode == 0, done.stderr
        assert all(own and all(one.startswith("region=") for one in own)
                   for own in load_checkpoint(shown).value_names[:1])  # fmt: skip


def test_nothing_is_shipped_over_a_folder_of_others(fame: CommandLine, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "thesis").mkdir(parents=True)
    (theirs / "config.json").write_text('{"format": 2}')
    out = tmp_path / "table"
    done = fame("reproduce", "walks", "--out", str(out), "--seeds", "1", "--ship", str(theirs))
    assert done.returncode == 2 and "is no folder of a run or checkpoint of ours" in done.stderr
    assert sorted(path.name for path in theirs.iterdir()) == ["config.json", "thesis"]
    assert not out.exists(), "it is told before anything is trained"


def test_a_file_is_overwritten_only_where_that_is_asked_for(
    fame: CommandLine, checkpoint: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.csv"
    sizes = ["--users", "20", "--items", "30", "--interactions", "600"]
    for command in (
        ["report", str(checkpoint), "--items", "i1,i2", "--out", str(tmp_path / "a.html")],
        ["data", "generate", "ml-20m", *sizes, "--out", str(tmp_path / "made.parquet")],
        ["data", "generate", "facets", *sizes, "--out", str(made)],
    ):
        out = Path(command[-1])
        out.write_text("theirs")
        refused = fame(*command)
        assert refused.returncode == 2 and "replace it with --overwrite" in refused.stderr
        assert out.read_text() == "theirs"
        assert fame(*command, "--overwrite").returncode == 0
        assert out.stat().st_size > len("theirs")
    made.unlink()  # its catalogue, which is written beside, is still there
    refused = fame(*command)
    assert refused.returncode == 2 and "made.items.csv is there already" in refused.stderr
    assert not made.exists()


def test_an_interrupted_table_goes_on_after_the_last_epoch(
    fame: CommandLine, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the third epoch; the rest gives the row that one go would have given."""
    settings = ("--set", "epochs=4", "--set", "weight_average=0.9", "--set", "negatives=5")

    def arguments(out: str) -> list[str]:
        table = ["reproduce", "walks", "--models", "fame", "--seeds", "1"]
        return [*table, "--device", "cpu", "--out", str(tmp_path / out), *settings]

    from fame.training import loop

    validate, epochs = loop.validate, []

    def interrupt(*given: object) -> dict[str, float]:
        epochs.append(len(epochs))
        if len(epochs) == 2:
            os.kill(os.getpid(), signal.SIGINT)  # heard before the next step
        return validate(*given)

    monkeypatch.setattr(loop, "validate", interrupt)
    assert fame(*arguments("parts")).returncode == 130
    assert not (pd.read_csv(tmp_path / "parts" / "results.csv")["model"] == "fame").any()
    monkeypatch.setattr(loop, "validate", validate)
    for out in ("parts", "whole"):
        done = fame(*arguments(out))
        assert done.returncode == 0, done.stderr
    parts, whole = (
        pd.read_csv(tmp_path / out / "results.csv").drop(columns="seconds")
        for out in ("parts", "whole")
    )
    pd.testing.assert_frame_equal(parts, whole)


def test_results_prints_the_tables_and_writes_them_into_a_page(
    fame: CommandLine, tmp_path: Path
) -> None:
    fame("reproduce", "walks", "--out", str(tmp_path), "--models", "fame", "--seeds", "1")
    done = fame("results", "--out", str(tmp_path))
    assert done.returncode == 0 and "### walks" in done.stdout
    page = tmp_path / "page.md"
    page.write_text("\n".join(marks("results")) + "\n")
    assert fame("results", "--out", str(tmp_path), "--write", str(page)).returncode == 0
    assert done.stdout in page.read_text()
    page.write_text("no marks")
    refused = fame("results", "--out", str(tmp_path), "--write", str(page))
    assert refused.returncode == 2 and "needs the lines" in refused.stderr


def in_the_way(folder: Path, name: str) -> Path:
    """A folder of a run in which a folder lies where training writes a file."""
    (folder / "run" / name).mkdir(parents=True)
    (folder / "run" / MARK).touch()
    return folder / "run"


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("theirs")
    return folder / "file"


IMPOSSIBLE = {
    "a file": (a_file, "is no folder"),
    "under a file": (lambda folder: a_file(folder) / "run", "could not be written (Not a dir"),
    "under /proc": (lambda folder: Path("/proc/fame/run"), "could not be written"),
    "a device": (lambda folder: Path("/dev/null"), "is no folder"),
    "a long name": (lambda folder: folder / ("x" * 300), "could not be written (File name too"),
    "no text": (lambda folder: folder / "\udcff", "is no UTF-8 text"),
    "a lock": (lambda folder: in_the_way(folder, "run.lock"), "run.lock could not be written"),
    "a log": (lambda folder: in_the_way(folder, "train.log"), "train.log could not be written"),
    "a status": (lambda folder: in_the_way(folder, "status.json"), "status.json is a folder"),
    "weights": (lambda folder: in_the_way(folder, "model.safetensors"), "could not be written"),
}


@pytest.mark.parametrize("resume", [(), ("--resume",)], ids=["new", "resumed"])
@pytest.mark.parametrize("place", IMPOSSIBLE)
def test_a_run_where_none_can_be_is_refused_in_one_sentence(
    fame: CommandLine, tmp_path: Path, place: str, resume: tuple[str, ...]
) -> None:
    make, message = IMPOSSIBLE[place]
    out = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    settings = ("--set", "epochs=1", "--device", "cpu", "--no-projection")
    done = fame("train", "--data", "walks", "--out", str(out), *settings, *resume)
    assert done.returncode == 2
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert message in told or (resume and "nothing to resume" in told)
    kept = [path for path in before if path.name not in (MARK, "run.lock", "train.log")]
    assert set(kept) <= set(tmp_path.rglob("*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_answer_that_finds_no_room_is_one_sentence(home: Path, checkpoint: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fame", "trace", str(checkpoint), "--items", "i1", "--json"],
            env=environment(home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        2,
        "Error: The disk is full; make room and run again.\n",
    )


BAD_INPUT = [
    (["trace", "{c}", "--user", "nobody"], "no user 'nobody'"),
    (["trace", "{c}", "--items", "i1,i99"], "no item 'i99'"),
    (["trace", "{c}", "--items", " , "], "at least one item"),
    (["trace", "{c}"], "exactly one of the three"),
    (["trace", "{c}", "--items", "i1", "--item", "i2"], "exactly one of the three"),
    (["trace", "{c}", "--item", "i1", "--item", "i1,i2"], "no item 'i1,i2'"),
    (["trace", "{c}", "--item", " i1"], "no item ' i1'"),
    (["trace", "{c}", "--user", "u1", "--items", "i1"], "exactly one of the three"),
    (["trace", "{c}", "--items", "i1", "--gate", "1"], "needs 2 weights"),
    (["trace", "{c}", "--items", "i1", "--gate", "nan,1"], "finite"),
    (["trace", "{c}", "--items", "i1", "--gate", "0,0"], "above 0"),
    (["trace", "{c}", "--items", "i1", "--gate", "a,b"], "numbers"),
    (["trace", "{c}", "--items", "i1", "--mute", "9:0"], "no expert 9:0"),
    (["trace", "{c}", "--items", "i1", "--mute", "x"], "HEAD:EXPERT"),
    (["trace", "{c}", "--items", "i1", "--without", "i2"], "not in the history"),
    (["trace", "{c}", "--items", "i1", "--without", "i1"], "empty"),
    (["trace", "nowhere", "--items", "i1"], "no checkpoint folder"),
    (["report", "{c}", "--user", "nobody", "--out", "{t}"], "no user 'nobody'"),
    (["report", "{c}", "--out", "{t}"], "exactly one of the three"),
    (["report", "{c}", "--items", "i1", "--solo", "9:0", "--out", "{t}"], "no expert 9:0"),
    (["report", "{c}", "--items", "i1", "--gate", "nan,1", "--out", "{t}"], "finite"),
    (["report", "{c}", "--items", "i1", "--without", "i1", "--out", "{t}"], "empty"),
    (["report", "{c}", "--items", "i1", "--link", "javascript:x", "--out", "{t}"], "must begin"),
    (["report", "{c}", "--items", "i1", "--out", "{c}"], "is a folder"),
    (["survey", "nowhere"], "no checkpoint folder"),
    (["evaluate", "{c}", "--split", "train"], "test or valid"),
    (["evaluate", "{c}", "--device", "tpu"], "device must be auto, cpu, cuda or cuda:N"),
    (["export", "{c}", "--out", "x" * 300], "is too long for a file; shorten it"),
    (["evaluate", "{c}", "--data", "nothing"], "nothing"),
    (["train", "--data", "walks", "--out", "{c}"], "already holds a run"),
    (["train", "--data", "walks", "--out", "{t}", "--set", "widht=8"], "unknown key 'widht'"),
    (
        ["train", "--data", "walks", "--out", "{t}", "--set", "width=9", "--set", "heads=2"],
        "multiple of heads",
    ),
    (
        ["train", "--data", "walks", "--out", "{t}", "--set", "head_facets=colour/"],
        "head_facets names 'colour', and the catalogue has no such column; it has region",
    ),
    (["train", "--data", "walks", "--out", "{t}", "--set", "width"], "key=value"),
    (["train", "--data", "walks", "--out", "{t}", "--device", "tpu"], "device"),
    (["train", "--data", "walks", "--out", "{t}", "--config", "{t}.toml"], "TOML"),
    (["train", "--data", "walks", "--out", "{t}", "--resume"], "nothing to resume"),
    (["reproduce", "walks", "--models", "bert"], "'bert'"),
    (["reproduce", "walks", "--models", "3x1"], "multiple of heads"),
    (["reproduce", "walks", "--set", "widht=8"], "unknown key 'widht'"),
    (["cold", "walks", "--models", "bert"], "'bert'"),
    (["cold", "walks", "--share", "0.9"], "at most 0.5, not 0.9"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=lambda part: str(part)[:60])
def test_bad_input_is_one_sentence(
    fame: CommandLine, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"{c}": str(checkpoint), "{t}": str(tmp_path / "new"), "{t}.toml": "none.toml"}
    done = fame(*(places.get(part, part) for part in arguments))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("Error: ") and len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "new").exists()


def test_a_set_with_another_catalogue_is_refused(
    fame: CommandLine, home: Path, checkpoint: Path
) -> None:
    (home / "other.csv").write_text("user,item\n" + "a,1\na,2\na,3\nb,1\nb,2\nb,3\n")
    assert fame("data", "import", str(home / "other.csv"), "--name", "other").returncode == 0
    done = fame("evaluate", str(checkpoint), "--data", "other")
    assert done.returncode == 2
    assert "another catalogue" in done.stderr


def _damage_config(folder: Path, change: dict) -> None:
    """Changes fields, and the hash of the content with them: what is wrong is said all the same."""
    config = json.loads((folder / "config.json").read_text())
    for path, value in change.items():
        place, key = config, path.split(".")
        for part in key[:-1]:
            place = place[part]
        place[key[-1]] = value
    sealed(folder / "config.json", config)


def rewrite(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new, 1))


DAMAGE = [
    (lambda f: (f / "items.parquet").unlink(), "no items.parquet"),
    (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    (lambda f: (f / "config.json").unlink(), "no config.json"),
    (lambda f: (f / "config.json").write_text("{"), "config.json is not readable"),
    (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object"),
    (lambda f: (f / "items.parquet").write_bytes(b"PAR1"), "items.parquet is damaged"),
    (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 40), "model.safetensors is damaged"),
    (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:-100]
        ),
        "model.safetensors is damaged",
    ),
    (lambda f: rewrite(f / "config.json", '"learned"', '"uniform"'), "config.json was changed"),
    (lambda f: rewrite(f / "metrics.json", "0.", "0.9"), "metrics.json was changed"),
    (lambda f: _damage_config(f, {"format": 99}), "format 99"),
    (lambda f: _damage_config(f, {"surprise": 1}), "unknown key 'surprise'"),
    (lambda f: _damage_config(f, {"model.depth": 1}), "unknown key 'depth'"),
    (lambda f: _damage_config(f, {"training.epochs": "many"}), "epochs must be a whole number"),
    (lambda f: _damage_config(f, {"model.width": 32}), "has shape"),
    (lambda f: _damage_config(f, {"model.model": "sasrec"}), "model.safetensors has"),
    (lambda f: _damage_config(f, {"data.items": 5}), "12 items"),
    (lambda f: _damage_config(f, {"data": 5}), "field 'data'"),
    (lambda f: _damage_config(f, {"model": 5}), "field 'model'"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[message for _, message in DAMAGE])
def test_a_damaged_checkpoint_says_what_is_wrong(
    fame: CommandLine, checkpoint: Path, tmp_path: Path, damage: Callable, message: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    damage(folder)
    done = fame("trace", str(folder), "--items", "i1")
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
