"""``import fame``: ids in, tables out, equal to what the command line and a trace say."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import fame
from fame.checkpoint import write_description, write_weights
from fame.cli import app
from fame.config import TrainConfig
from fame.data import Dataset
from tests import planted
from tests.tiny import interactions_of

ROOT = Path(__file__).resolve().parents[2]
HISTORY = ["i7", "i30", "i100", "i2"]


@pytest.fixture(scope="module")
def people() -> Dataset:
    data = interactions_of(planted.sequences(40), planted.ITEMS, name="planted")
    items = planted.catalogue().drop(columns="train_count")
    items["title"] = [f"Film {item}" for item in items["item_id"]]
    return Dataset(data, items, source="made up")


@pytest.fixture(scope="module")
def checkpoint(people: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose items are made of genres and years, with a third head that is free."""
    path = tmp_path_factory.mktemp("checkpoints") / "planted"
    config, model = planted.built_config("genres/year/"), planted.built_model("genres/year/")
    write_description(path, config, TrainConfig(), people.interactions, people.items)
    write_weights(path, model.state_dict())
    return path


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> fame.Model:
    return fame.load(checkpoint)


@pytest.fixture
def asked(people: Dataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the command line where the made-up set is at hand under its name."""
    monkeypatch.setattr("fame.data.load", lambda *_, **__: people)

    def run(*arguments: object) -> Any:
        done = CliRunner().invoke(app, [str(own) for own in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


# --- the package ----------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["fame", "fame.library"])
def test_the_examples_in_its_documentation_run(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    fame.load("checkpoints/beauty")  # so that the module is there
    failed, tried = doctest.testmod(sys.modules[module])
    assert tried > 2 and not failed


def test_every_name_is_there_and_documented() -> None:
    assert set(fame.__all__) <= set(dir(fame))
    for name in fame.__all__:
        assert getattr(fame, name).__doc__
    with pytest.raises(AttributeError, match="module 'fame' has no attribute 'lode'"):
        fame.lode  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_loads_nothing_else() -> None:
    program = "import sys, fame; print(*{'torch', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "")


# --- one history ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [None, (1.0, 0.0, 3.0)])
@pytest.mark.parametrize("raw", [False, True])
def test_an_explanation_says_what_a_trace_says(
    model: fame.Model, asked: Any, gate: tuple[float, ...] | None, raw: bool
) -> None:
    why = model.explain(HISTORY, k=4, gate=gate, muted=[(0, 1)], raw=raw)
    arguments = ["trace", model.path, "--items", ",".join(HISTORY), "--top-k", 4, "--json"]
    arguments += ["--mute", "0:1", *(["--raw"] if raw else [])]
    arguments += ["--gate", ",".join(map(str, gate))] if gate else []
    trace = json.loads(asked(*arguments).stdout)
    heads = [f"head_{head}" for head in range(3)]
    for rank, row in enumerate(trace["fused"]):
        own = why.ledger.iloc[rank]
        assert [own["rank"], own["item"], own["title"], own["score"], *own[heads]] == [
            rank + 1, row["item"], row["title"], row["score"], *row["by_head"]
        ]  # fmt: skip
        for head, parts in enumerate(row["by_value"]):
            of = why.values[(why.values["rank"] == rank + 1) & (why.values["head"] == head)]
            assert of["value"].tolist() == [part["value"] for part in parts]
            assert of["points"].tolist() == [part["points"] for part in parts]
            assert of["points"].sum() == pytest.approx(row["by_head"][head], abs=1e-5)
    assert why.gate["share"].tolist() == trace["gate"]
    assert why.router["share"].tolist() == [share for own in trace["router"] for share in own]
    for head, own in why.lists.groupby("head"):
        assert own["item"].tolist() == [row["item"] for row in trace["heads"][head]]
        assert own["score"].tolist() == [row["score"] for row in trace["heads"][head]]
    assert why.history["item"].tolist() == HISTORY
    assert why.history["title"].tolist() == [f"Film {item}" for item in HISTORY]
    assert why.history["read"].all()


def test_a_long_history_says_what_is_read(model: fame.Model) -> None:
    clicks = [f"i{item}" for item in range(1, 10)]
    assert model.explain(clicks).history["read"].tolist() == [False] * 3 + [True] * 6


def test_a_model_without_heads_of_its_own_explains_as_far_as_it_can(
    people: Dataset, tmp_path: Path
) -> None:
    from fame.config import ModelConfig
    from fame.models.registry import build_model

    config = ModelConfig(model="sasrec", width=8, heads=2, layers=1, max_length=6)
    write_description(tmp_path, config, TrainConfig(), people.interactions, people.items)
    write_weights(tmp_path, build_model(config, planted.ITEMS).state_dict())
    model = fame.load(tmp_path)
    why = model.explain(HISTORY, k=2)
    assert why.gate["share"].tolist() == [1.0] and not len(why.router)
    assert list(model.sub_embeddings()) == ["all"]
    assert "by_value" not in model.recommend([HISTORY])


# --- many of them ---------------------------------------------------------------------------------


def test_lists_for_many_are_those_of_their_explanations(model: fame.Model) -> None:
    histories = {"ann": HISTORY, 7: ["i1"], "bob": HISTORY[::-1]}
    lists = model.recommend(histories, k=3)
    assert lists["user"].unique().tolist() == ["ann", 7, "bob"]
    heads = [f"head_{head}" for head in range(3)]
    for user, history in histories.items():
        own, why = lists[lists["user"] == user], model.explain(history, k=3)
        for name in ("rank", "item", "title"):
            assert own[name].tolist() == why.ledger[name].tolist()
        # Weights are of single precision, and batches are summed in another order.
        numbers = ["score", *heads]
        np.testing.assert_allclose(own[numbers], why.ledger[numbers], rtol=0, atol=1e-5)
        parts = [(row["head"], row["value"]) for item in own["by_value"] for row in item]
        assert parts == list(zip(why.values["head"], why.values["value"], strict=True))
        points = [row["points"] for item in own["by_value"] for row in item]
        np.testing.assert_allclose(points, why.values["points"], rtol=0, atol=1e-5)
    counted = model.recommend(list(histories.values()), k=3)
    assert counted["user"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert counted["item"].tolist() == lists["item"].tolist()


def test_sub_embeddings_are_named_by_their_items(model: fame.Model) -> None:
    spaces = model.sub_embeddings()
    assert {name: table.shape for name, table in spaces.items()} == {
        "all": (planted.ITEMS, 48), **{f"head_{head}": (planted.ITEMS, 16) for head in range(3)}
    }  # fmt: skip
    row = spaces["head_1"].loc["i30"].to_numpy()
    expected = model.checkpoint.model.sub_embeddings()[1, 29].detach().numpy()
    np.testing.assert_array_equal(row, expected)


def test_figures_are_those_of_the_command_line(
    model: fame.Model, asked: Any, people: Dataset
) -> None:
    told = json.loads(asked("evaluate", model.path, "--split", "valid", "--json").stdout)
    figures = model.evaluate(people, "valid")
    assert figures == model.evaluate(split="valid")
    assert figures["HR@10"] == told["HR@10"] and figures["users"] == told["users"] == 40


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m: m.explain([]), "The history is empty"),
        (lambda m: m.explain("i1"), "The history is 'i1' and has to be a list of item ids"),
        (lambda m: m.explain(["i1", "nothing"]), "has no item 'nothing'"),
        (lambda m: m.explain(["i1"], gate=[1.0]), "The gate needs 3 weights"),
        (lambda m: m.explain(["i1"], k=0), "k may not be 0"),
        (lambda m: m.recommend([["i1"], []]), "The history of 1 is empty"),
        (lambda m: m.recommend(["i1", "i2"]), "The history of 0 is 'i1' and has to be a list"),
        (lambda m: m.recommend([["i1"], [3]]), "has no item '3'"),
        (lambda m: m.recommend({}), "There is no history"),
        (lambda m: m.recommend([["i1"]], k=-1), "k may not be -1"),
        (lambda m: m.evaluate(split="train"), "A split is test or valid, not 'train'"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(model: fame.Model, ask: Any, words: str) -> None:
    with pytest.raises(fame.FameError, match=words) as caught:
        ask(model)
    assert "\n" not in str(caught.value)


def test_another_catalogue_is_not_evaluated(model: fame.Model) -> None:
    other = interactions_of([[1, 2, 3]], 3)
    items = pd.DataFrame({"item_id": ["i1", "i2", "i3"], "title": "T"})
    with pytest.raises(fame.FameError, match="has another catalogue"):
        model.evaluate(Dataset(other, items, source="made up"))


def test_a_log_is_read_trained_on_and_opened(tmp_path: Path) -> None:
    rows = "".join(f"u{u},i{(u + t) % 9},{t},{t % 5}\n" for u in range(20) for t in range(8))
    (tmp_path / "clicks.csv").write_text(f"who,item,when,rating\n{rows}")
    (tmp_path / "items.csv").write_text(
        "item_id,title\n" + "".join(f"i{k},Film {k}\n" for k in range(9))
    )
    wishes = fame.Wishes(user="who", time="when", min_rating=1)
    log = fame.read_log(tmp_path / "clicks.csv", tmp_path / "items.csv", wishes=wishes)
    assert len(log.interactions) == 20 and log.interactions.name == "log"
    assert log.summary()["import"]["options"] == {"user": "who", "time": "when", "min_rating": 1}
    assert not (tmp_path / "cache").exists()
    settings: dict[str, Any] = {"width": 8, "heads": 2, "layers": 1, "max_length": 4}
    with pytest.raises(fame.FameError, match="widht"):
        fame.train(log, tmp_path / "run", widht=8)
    model = fame.train(log, tmp_path / "run", epochs=1, device="cpu", **settings)
    assert model.items["title"].tolist()[0] == "Film 0"
    assert len(model.explain(["i1", "i2"], k=3).ledger) == 3
    assert (tmp_path / "run" / "README.md").is_file()
    with pytest.raises(fame.FameError, match="already holds"):
        fame.train(log, tmp_path / "run", epochs=1, device="cpu", **settings)


# --- `python -m fame recommend` -------------------------------------------------------------------


def test_everybodys_lists_are_written(
    model: fame.Model, asked: Any, people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fame.recommend._AT_ONCE", 7)
    out = tmp_path / "lists.parquet"
    done = asked("recommend", model.path, "--top-k", 5, "--out", out, "--json")
    answer = json.loads(done.stdout)
    assert (answer["users"], answer["rows"], answer["file"]) == (40, 200, str(out))
    written = pd.read_parquet(out)
    assert written["user"].unique().tolist() == people.interactions.user_ids.tolist()
    whole = {
        user: [f"i{item}" for item in people.interactions.sequence(row)]
        for row, user in enumerate(people.interactions.user_ids)
    }
    expected = model.recommend(whole, k=5)
    for name in ("user", "rank", "item", "title"):
        assert written[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(written["score"], expected["score"], rtol=0, atol=1e-5)
    schema = pq.read_schema(out)
    assert schema.names[-1] == "by_value" and schema.names[:3] == ["user", "rank", "item"]
    heads = written[[f"head_{head}" for head in range(3)]].sum(axis=1)
    np.testing.assert_allclose(heads, written["score"], rtol=0, atol=1e-12)


def test_lists_before_a_split_are_those_that_are_evaluated(
    model: fame.Model, asked: Any, people: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "lists.parquet"
    asked("recommend", model.path, "--top-k", 10, "--split", "test", "--out", out)
    lists = pd.read_parquet(out).groupby("user")["item"].agg(list)
    data = people.interactions
    hits = [f"i{data.sequence(row)[-1]}" in lists[user] for row, user in enumerate(data.user_ids)]
    assert np.mean(hits) == model.evaluate(people)["HR@10"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.txt", b"u3\n\n u11 \r\nu3\n"),
        ("a.txt", b"\xef\xbb\xbfuser_id\nu3\nu11\n"),
        ("a.csv", b"age,visitorId\n7,u3\n8,u11\n"),
        ("a.jsonl", b'{"user": "u3"}\n{"user": "u11"}\n'),
    ],
)
def test_some_people_may_be_named(
    model: fame.Model, asked: Any, tmp_path: Path, file: str, content: bytes
) -> None:
    (tmp_path / file).write_bytes(content)
    out = tmp_path / "lists.parquet"
    done = asked("recommend", model.path, "--users", tmp_path / file, "--top-k", 2, "--out", out)
    assert "4 rows for 2 people" in done.stdout
    assert pd.read_parquet(out)["user"].tolist() == ["u3", "u3", "u11", "u11"]
    again = asked("recommend", model.path, "--out", out)
    assert again.exit_code == 2 and "is there already" in again.stderr
    assert len(pd.read_parquet(out)) == 4
    asked("recommend", model.path, "--out", out, "--overwrite", "--top-k", 1)
    assert len(pd.read_parquet(out)) == 40


@pytest.mark.parametrize(
    ("arguments", "content", "words"),
    [
        (["--users", "{}"], "u3\n\nnobody\n", "people.txt, line 3: Data set 'planted' has no user"),
        (["--users", "{}"], "\n", "people.txt names nobody"),
        (["--users", "{}"], "who,age\nu3,1\n", "people.txt has no column of users"),
        (["--split", "train"], "", "--split must be test or valid, not 'train'"),
        (["--out", "lists.csv"], "", "give it a name ending in .parquet"),
        (["--out", "/dev/null/x.parquet"], "", "x.parquet could not be written"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(
    model: fame.Model, asked: Any, tmp_path: Path, arguments: list[str], content: str, words: str
) -> None:
    (tmp_path / "people.txt").write_text(content)
    given = [own.format(tmp_path / "people.txt") for own in arguments]
    out = [] if "--out" in given else ["--out", tmp_path / "out.parquet"]
    done = asked("recommend", model.path, *given, *out)
    assert done.exit_code == 2 and words in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.parquet"))
