"""Sub-embeddings as files: the model's numbers, in the catalogue's order, whatever titles hold."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
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
from fame.facets.spaces import space_names, space_vectors
from tests.tiny import TINY, TINY_SASREC, interactions_of, random_model

TITLES = ["Tab\there", "Two\nlines", "\r\n", "Ünïcode ☃ 日本", '"Quote", \\n', "a\x85b\u2028c\x0bd"]
ITEMS = len(TITLES)


def make_checkpoint(path: Path, config: Any = TINY) -> Path:
    data = interactions_of([[1, 2, 3, 4, 5, 6]], ITEMS)
    items = pd.DataFrame(
        {
            "item_id": data.item_ids[1:],
            "title": TITLES,
            "genres": [["a\tb", "c"], [], ["d"], [], [], ["e"]],
            "brand": ["x", None, "y\nz", "x", "x", None],
        }
    ).astype({"item_id": "string", "title": "string", "brand": "string"})
    write_description(path, config, TrainConfig(), data, items)
    write_weights(path, random_model(config, ITEMS).float().state_dict())
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def spaces(checkpoint: Path) -> dict[str, np.ndarray]:
    model = fame.load(checkpoint).checkpoint.model
    found = {space: space_vectors(model, space) for space in space_names(model)}
    assert list(found) == ["all", "head_0", "head_1"]
    assert not np.allclose(found["head_0"], found["head_1"])
    return found


def run(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [str(own) for own in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize("out", ["v.parquet", "folder", ""])
def test_parquet_has_a_row_an_item(
    checkpoint: Path, spaces: dict[str, np.ndarray], tmp_path: Path, out: str
) -> None:
    done = run("export", checkpoint, "--out", tmp_path / out, "--json")
    (file,) = json.loads(done.stdout)["files"]
    assert file == str(
        tmp_path / out if out == "v.parquet" else tmp_path / out / "embeddings.parquet"
    )
    table = pq.read_table(file)
    assert table.column_names == ["item_id", "title", *spaces]
    assert table["item_id"].to_pylist() == [f"i{item}" for item in range(1, ITEMS + 1)]
    assert table["title"].to_pylist() == TITLES
    for space, vectors in spaces.items():
        np.testing.assert_array_equal(np.array(table[space].to_pylist(), np.float32), vectors)
    assert json.loads(done.stdout) == {
        "files": [file], "format": "parquet", "items": ITEMS,
        "spaces": {"all": 8, "head_0": 4, "head_1": 4},
    }  # fmt: skip


def test_numpy_reads_it_without_pickle(
    checkpoint: Path, spaces: dict[str, np.ndarray], tmp_path: Path
) -> None:
    run("export", checkpoint, "--format", "npy", "--out", tmp_path)
    with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as held:
        assert held.files == ["item_id", "title", *spaces]
        assert held["item_id"].tolist() == [f"i{item}" for item in range(1, ITEMS + 1)]
        assert held["title"].tolist() == TITLES
        for space, vectors in spaces.items():
            assert held[space].dtype == np.float32
            np.testing.assert_array_equal(held[space], vectors)


def test_tensorboard_reads_its_projector(
    checkpoint: Path, spaces: dict[str, np.ndarray], tmp_path: Path
) -> None:
    plugin = pytest.importorskip("tensorboard.plugins.projector.projector_plugin")
    test = pytest.importorskip("werkzeug.test")
    done = run("export", checkpoint, "--format", "projector", "--out", tmp_path, "--json")
    assert sorted(Path(file).name for file in json.loads(done.stdout)["files"]) == sorted(
        path.name for path in tmp_path.iterdir()
    )
    served = plugin.ProjectorPlugin(
        SimpleNamespace(
            logdir=str(tmp_path), data_provider=SimpleNamespace(list_runs=lambda *_, **__: [])
        )
    )

    def asked(route: str, **arguments: Any) -> Any:
        answer = test.Client(served.get_plugin_apps()[route]).get("/", query_string=arguments)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer

    (name,) = asked("/runs").get_json()
    config = asked("/info", run=name).get_json()
    assert {own["tensorName"]: own["tensorShape"] for own in config["embeddings"]} == {
        space: list(vectors.shape) for space, vectors in spaces.items()
    }
    for space, vectors in spaces.items():
        raw = asked("/tensor", run=name, name=space, num_rows=1000).get_data()
        np.testing.assert_array_equal(
            np.frombuffer(raw, np.float32).reshape(vectors.shape), vectors
        )
        text = asked("/metadata", run=name, name=space, num_rows=1000).get_data(as_text=True)
        rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
        assert rows == [
            ["title", "item_id", "genres", "brand"],
            ["Tab here", "i1", "a b, c", "x"],
            ["Two lines", "i2", "", ""],
            ["", "i3", "d", "y z"],
            ["Ünïcode ☃ 日本", "i4", "", "x"],
            ['"Quote", \\n', "i5", "", "x"],
            ["a b c d", "i6", "e", ""],
        ]


def test_a_model_without_heads_has_the_whole_alone(tmp_path: Path) -> None:
    made = make_checkpoint(tmp_path / "sasrec", TINY_SASREC)
    done = run("export", made, "--out", tmp_path / "v.npz", "--format", "npy", "--json")
    assert json.loads(done.stdout)["spaces"] == {"all": 8}


@pytest.mark.parametrize("kind", ["parquet", "npy", "projector"])
def test_nothing_is_replaced_unasked(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    arguments = ("export", checkpoint, "--format", kind, "--out", tmp_path)
    run(*arguments)
    files = sorted(path.name for path in tmp_path.iterdir())
    for name in files:
        for other in tmp_path.iterdir():
            other.unlink()
        (tmp_path / name).write_text("mine")
        refused = run(*arguments)
        assert refused.exit_code == 2 and f"{name} is there already" in refused.stderr
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "other.txt").write_text("mine")
    assert run(*arguments, "--overwrite").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, "other.txt"])
    assert (tmp_path / "other.txt").read_text() == "mine"
    assert (tmp_path / files[-1]).read_bytes() != b"mine"


def test_a_projector_half_written_does_not_open(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors of one checkpoint are never shown with the titles of another."""
    arguments = ("export", checkpoint, "--format", "projector", "--out", tmp_path)
    run(*arguments)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fame.export.write_text", full)
    refused = run(*arguments, "--overwrite")
    assert refused.exit_code == 2 and "disk is full" in refused.stderr
    assert not (tmp_path / "projector_config.pbtxt").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--format", "csv", "--out", "x.csv"],
            "must be one of parquet, npy, projector, not 'csv'",
        ),
        (["--out", "x.csv"], "x.csv: --format parquet needs a name ending in .parquet"),
        (["--format", "npy", "--out", "x.parquet"], "needs a name ending in .npz"),
        (["--out", "/dev/null/x.parquet"], "x.parquet could not be written"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("export", checkpoint, *arguments)
    assert done.exit_code == 2 and words in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
