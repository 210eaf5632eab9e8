"""A checkpoint on a set that has grown: histories by id, and items that the model never saw."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from fame import library
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.cli import app
from fame.config import ModelConfig
from fame.data import Dataset, append_file, import_file, load
from fame.data.head_values import numbers_of
from fame.errors import CheckpointError
from fame.evaluate import evaluate, model_ranks
from fame.grown import fitted, known_clicks, with_new_items
from fame.lens.trace import fused_table, new_item, trace_history, value_ledger
from tests import made_up

NAME = "shop"
PLAIN = ModelConfig(width=24, heads=3, experts=2, layers=2, max_length=8)
VALUED = dataclasses.replace(PLAIN, head_facets="genres/kind/")
ITEMS = [str(item) for item in range(10, 40)]
# Before all others, between them, and behind them; and a word, after which ids count as text.
NEW_IDS = pytest.mark.parametrize("new", ["1", "100", "25b", "00", "zz"])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in made_up.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", item, time)
        for user in range(20)
        for time, item in enumerate(rng.permutation(ITEMS)[: rng.integers(4, 9)])
    ]
    pd.DataFrame(rows, columns=["user", "item", "time"]).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(
        {
            "item_id": ITEMS,
            "title": [f"Title {item}" for item in ITEMS],
            "genres": ["Drama|War" if int(item) % 3 else "Comedy" for item in ITEMS],
            "kind": ["film" if int(item) % 2 else "show" for item in ITEMS],
        }
    ).to_csv(tmp_path / "items.csv", index=False)
    import_file(tmp_path / "a.csv", NAME, items=tmp_path / "items.csv")
    return tmp_path


def checkpoint_of(home: Path, config: ModelConfig = PLAIN) -> Checkpoint:
    made_up.write_checkpoint(home / "checkpoints" / NAME, config, seed=4, name=NAME)
    return load_checkpoint(home / "checkpoints" / NAME)


def append(home: Path, rows: str, items: str = "") -> Dataset:
    (home / "b.csv").write_text("user,item,time\n" + rows)
    catalogue = None
    if items:
        catalogue = home / "b-items.csv"
        catalogue.write_text("item_id,title,genres,kind\n" + items)
    append_file(home / "b.csv", NAME, catalogue)
    return load(NAME, offline=True)


def ids_of(data: Dataset, user: str) -> list[str]:
    inner = data.interactions
    own: list[str] = inner.item_ids[inner.sequence(inner.user_index(user))].tolist()
    return own


@NEW_IDS
@pytest.mark.parametrize("config", [PLAIN, VALUED], ids=["plain", "made of values"])
def test_histories_are_brought_over_by_id(home: Path, config: ModelConfig, new: str) -> None:
    before = load(NAME, offline=True)
    checkpoint = checkpoint_of(home, config)
    data = append(home, f"u3,{new},90\nnobody,{new},1\nu5,12,95\n")
    if new not in ("zz", "100"):
        assert before.interactions.item_ids[25] != data.interactions.item_ids[25], "numbered anew"
    found = fitted(checkpoint, data)
    brought = found.dataset
    assert brought.interactions.item_ids.tolist() == ["", *checkpoint.items["item_id"]]
    for user in before.interactions.user_ids:
        added = ["12"] * (user == "u5")  # the click on what the model does not know is left out
        assert ids_of(brought, user) == [*ids_of(before, user), *added]
    assert ids_of(brought, "nobody") == []
    own = before.interactions
    kept = brought.interactions.sequence(brought.interactions.user_index("u3"))
    assert (kept == own.sequence(own.user_index("u3"))).all()
    assert found.growth is not None
    assert found.fingerprint == data.interactions.fingerprint
    assert (found.growth.clicks, found.growth.people, found.growth.items) == (3, 1, 1)
    assert (found.growth.clicks_left_out, found.growth.targets_left_out) == (2, 2)
    assert found.growth.left_out == {new: f"Item {new}"}


def test_a_set_as_it_was_is_left_alone(home: Path) -> None:
    checkpoint, data = checkpoint_of(home, VALUED), load(NAME, offline=True)
    assert with_new_items(checkpoint, data) is checkpoint
    found = fitted(checkpoint, data)
    assert (found.dataset, found.growth, found.other) == (data, None, False)


@NEW_IDS
def test_a_new_item_is_ranked_from_its_values(home: Path, new: str) -> None:
    checkpoint = checkpoint_of(home, VALUED)
    data = append(home, f"u3,{new},90\nu4,{new},91\nu4,15,92\n", f"{new},New one,Comedy,film\n")
    larger = with_new_items(checkpoint, data)
    assert larger.items["item_id"].tolist() == [*checkpoint.items["item_id"], new]
    assert (larger.name, larger.data, larger.weights_hash) == (
        checkpoint.name,
        checkpoint.data,
        checkpoint.weights_hash,
    )
    assert larger.hash != checkpoint.hash, "caches must not mix them up"
    known = len(checkpoint.items)
    old, own = checkpoint.model.item_vectors(), larger.model.item_vectors()
    assert torch.equal(old, own[: known + 1]), "known items stay bit by bit"
    found = fitted(larger, data)
    growth = found.growth
    assert growth is not None
    assert (growth.placed, growth.left_out, growth.clicks_left_out) == ((new,), {}, 0)
    assert ids_of(found.dataset, "u3")[-1] == new
    assert ids_of(found.dataset, "u4")[-2:] == [new, "15"]

    history, target = found.dataset.interactions.split_user(
        found.dataset.interactions.user_index("u3")
    )
    assert target == known + 1
    traced = trace_history(larger.model, history)
    alone = trace_history(checkpoint.model, history)
    composed = new_item(
        alone, numbers_of(["genres=Comedy", "kind=film"], checkpoint.value_names), raw=True
    )
    assert np.isclose(traced.scores[target], composed.score, rtol=1e-5, atol=1e-5)
    better = traced.scores[traced.candidates] > traced.scores[target]
    assert 1 + int(better.sum()) == composed.rank
    # Its account has its two values and nothing of its own, before centring.
    row = value_ledger(traced, target, raw=True)
    names = [[value for value, _ in parts] for parts in row]
    assert [len(own) for own in names] == [2, 2, 1]
    own_points = [points for parts in row for value, points in parts if value is None]
    assert np.allclose(own_points, 0, atol=1e-7)
    ranks = model_ranks(larger.model, found.dataset.interactions, "test")
    assert ranks[found.dataset.interactions.user_index("u3")] == composed.rank
    # A checkpoint that was given its new items takes them as known.
    assert with_new_items(larger, data) is larger


def test_items_of_no_known_value_are_left_out_and_named(home: Path) -> None:
    checkpoint = checkpoint_of(home, VALUED)
    rows = "u3,1,90\nu3,2,91\nu3,3,92\nu4,3,93\n"
    items = "1,One,Comedy,\n2,Two,Opera,\n3,Three,Opera|Ballet,\n"
    data = append(home, rows, items)
    larger = with_new_items(checkpoint, data)
    growth = fitted(larger, data).growth
    assert growth is not None
    assert growth.placed == ("1",)
    assert growth.left_out == {"2": "Two", "3": "Three"}
    assert (growth.clicks_left_out, growth.targets_left_out) == (3, 2)
    assert growth.sentences() == [
        "The data set has grown since this model was trained: 4 newer clicks, 0 new people and 3 "
        "new items; stored figures are those of the data that it was trained on.",
        "One new item is ranked from what the catalogue says of it, and nothing else.",
        "The model does not know 2 new items, which no list has, and whose 3 clicks no history "
        "has: Two, Three.",
        "Of 2 people the last click is one of those, so the last one before it stands for what "
        "came next.",
    ]
    trace = trace_history(larger.model, np.array([3, 4]))
    assert len(fused_table(trace, 100)) == len(checkpoint.items) + 1 - 2


def test_another_set_with_the_same_ids_is_refused(home: Path) -> None:
    """Ids such as 1, 2, 3 are everybody's: more of them are no later state of this set."""
    checkpoint = checkpoint_of(home)
    rng = np.random.default_rng(9)
    rows = [
        (f"u{user}", item, time)
        for user in range(60)
        for time, item in enumerate(rng.permutation([*ITEMS[:3], *map(str, range(100, 160))])[:9])
    ]
    rows += [("all", item, 100 + time) for time, item in enumerate(ITEMS)]
    pd.DataFrame(rows, columns=["user", "item", "time"]).to_csv(home / "c.csv", index=False)
    import_file(home / "c.csv", "other")
    other = load("other", offline=True)
    assert set(ITEMS) <= set(other.interactions.item_ids)
    assert len(other.interactions.items) > checkpoint.data.interactions
    with pytest.raises(CheckpointError, match="another catalogue"):
        fitted(checkpoint, other)


def test_a_set_that_lost_an_item_is_refused(home: Path) -> None:
    checkpoint = checkpoint_of(home)
    frame = pd.read_csv(home / "a.csv", dtype=str)
    frame[frame["item"] != "12"].to_csv(home / "c.csv", index=False)
    import_file(home / "c.csv", NAME, replace=True)
    with pytest.raises(CheckpointError, match="another catalogue"):
        fitted(checkpoint, load(NAME, offline=True))


def test_a_whole_export_in_its_place_is_the_same_growth(home: Path) -> None:
    """Whether newer clicks were appended, or everything was imported anew, is all the same."""
    checkpoint = checkpoint_of(home)
    newer = "u3,1,90\nnobody,1,1\nu5,12,95\n"
    appended = fitted(checkpoint, append(home, newer))
    (home / "all.csv").write_text((home / "a.csv").read_text() + newer)
    import_file(home / "all.csv", NAME, replace=True)
    anew = fitted(checkpoint, load(NAME, offline=True))
    assert anew.growth == appended.growth is not None
    assert anew.dataset.interactions.fingerprint == appended.dataset.interactions.fingerprint


def test_histories_that_only_differ_are_said_to(home: Path) -> None:
    checkpoint = checkpoint_of(home)
    frame = pd.read_csv(home / "a.csv", dtype=str)
    frame.assign(time=-frame["time"].astype(int)).to_csv(home / "c.csv", index=False)
    import_file(home / "c.csv", NAME, replace=True)
    found = fitted(checkpoint, load(NAME, offline=True))
    assert (found.growth, found.other) == (None, True)


def test_what_another_checkpoint_does_not_know_is_left_away(home: Path) -> None:
    checkpoint = checkpoint_of(home)
    many = len(checkpoint.items)
    assert known_clicks(np.array([1, many + 1, many]), checkpoint).tolist() == [1, many]


def run(*arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("config", [PLAIN, VALUED], ids=["plain", "made of values"])
def test_every_command_reads_a_grown_set(home: Path, config: ModelConfig) -> None:
    checkpoint = checkpoint_of(home, config)
    path = str(checkpoint.path)
    data = append(home, "u3,1,90\nnobody,1,1\nu5,12,95\n", "1,One,Comedy,film\n")
    placed = ["1"] if config is VALUED else []

    answer = run("trace", path, "--user", "u3", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "Note: The data set has grown since this model was trained: 3 newer" in answer.stderr
    told = json.loads(answer.stdout)
    assert told["grown"]["placed"] == placed
    assert told["grown"]["left_out"] == ([] if placed else ["1"])
    raw = ids_of(data, "u3")
    assert told["history"] == (raw[:-1] if placed else raw[:-2])
    assert told["held_out"]["item"] == (raw[-1] if placed else raw[-2])

    answer = run("evaluate", path, "--json")
    figures = json.loads(answer.stdout)
    assert figures["fingerprint"] == data.interactions.fingerprint
    assert (figures["users"], figures["grown"]["clicks"]) == (20, 3)
    larger = with_new_items(checkpoint, data)
    own = evaluate(larger.model, fitted(larger, data).dataset.interactions, "test")
    assert figures["NDCG@10"] == pytest.approx(own["NDCG@10"], abs=1e-9)
    assert library.load(path).evaluate()["NDCG@10"] == pytest.approx(own["NDCG@10"], abs=1e-9)

    out = home / "lists.parquet"
    answer = run("recommend", path, "--out", str(out), "--top-k", "50", "--json")
    assert answer.exit_code == 0, answer.stderr
    lists = pd.read_parquet(out)
    had = lists.groupby("user")["item"].agg(set)
    assert ("nobody" in had.index) == bool(placed), (
        "who has no history that can be read is left out"
    )
    for user in ("u1", "u3", "u5"):
        assert had[user] == {*ITEMS, *placed} - set(ids_of(data, user))
    assert run("report", path, "--user", "u3", "--out", str(home / "r.html")).exit_code == 0
