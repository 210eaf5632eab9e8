"""Checkpoints go to a Hub and come back, through huggingface_hub itself and a server at hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import fame
from fame.checkpoint import write_description, write_metrics, write_weights
from fame.cli import app
from fame.config import TrainConfig
from fame.errors import CheckpointError, FameError
from fame.head_names import choose_names
from fame.hub import SHARED, hub_card, push, stage
from fame.metrics import FIGURES
from tests.hub_server import Hub, running_hub
from tests.tiny import TINY, interactions_of, random_model

hub_library = pytest.importorskip("huggingface_hub")
REPO = "me/tiny"
TEST = {figure: (place + 1) / 100 for place, figure in enumerate(FIGURES)}
# What a run's folder holds besides: logs, locks, states, people and whatever a person put there.
OTHERS = ("train.log", "status.json", "run.lock", ".fame-run", "people.json", "histories.csv",
          "metrics.jsonl", "notes.pkl")  # fmt: skip


def make_checkpoint(path: Path, *, seed: int = 0) -> Path:
    data = interactions_of([[1, 2, 3, 4, 5]], 5, name="our-shop")
    items = pd.DataFrame({"item_id": data.item_ids[1:], "title": list("abcde")}).astype("string")
    write_description(path, TINY, TrainConfig(), data, items)
    write_weights(path, random_model(TINY, 5, seed=seed).float().state_dict())
    figures = {"users": 1, **TEST}
    write_metrics(path, {"protocol": "leave-one-out", "test": figures, "valid": figures})
    (path / "README.md").write_text("# FAME on our-shop\n\nOurs.\n")
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = make_checkpoint(tmp_path / "tiny")
    choose_names(fame.load(path).checkpoint, {0: "Mood"})
    for name in OTHERS:
        (path / name).write_text("u0 i1 i2 secret")
    (path / "resume").mkdir()
    (path / "resume" / "config.json").write_text("secret")
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that huggingface_hub asks in place of the real one, and a cache of its own."""
    with running_hub() as running:
        point_to(running.endpoint, tmp_path / "cache", monkeypatch)
        yield running


def point_to(endpoint: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the variables HF_ENDPOINT, HF_HOME and HF_HUB_DISABLE_XET do, before it is imported."""
    constants = pytest.importorskip("huggingface_hub.constants")
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_test")


def run(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [str(own) for own in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


# --- what goes there ------------------------------------------------------------------------------


def test_a_checkpoint_goes_to_the_hub_and_comes_back(
    checkpoint: Path, hub: Hub, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    done = run("push", checkpoint, REPO, "--private", "--json",
               "--message", "First")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    sha, message, files = hub.commits[REPO][-1]
    assert (message, hub.private[REPO]) == ("First", True)
    there = {"config.json", "items.parquet", "metrics.json", "model.safetensors", "names.json"}
    assert set(files) == {".gitattributes", "README.md", *there}
    assert set(answer["files"]) == {"README.md", *there}
    assert set(answer["left_out"]) == {*OTHERS, "resume"}
    assert answer["url"] == f"{hub.endpoint}/{REPO}/commit/{sha}" and answer["repo_id"] == REPO
    for name in there:
        assert files[name] == (checkpoint / name).read_bytes()
    assert not any(b"secret" in raw or b"u0" in raw for raw in files.values())
    assert {path: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before

    # Other weights in its place: the names of the former heads go, an older commit still opens.
    other = make_checkpoint(tmp_path / "other", seed=1)
    assert run("push", other, REPO).exit_code == 0
    assert "names.json" not in hub.commits[REPO][-1][2]
    assert hub.commits[REPO][-1][1] == "Push other"
    for address, revision, local, names in (
        (f"hf://{REPO}", "", other, [None, None]),
        (f"hf://{REPO}@{sha}", "", checkpoint, ["Mood", None]),
        (f"hf://{REPO}", sha, checkpoint, ["Mood", None]),
    ):
        model = fame.load(address, revision=revision or None)
        expected = fame.load(local)
        pd.testing.assert_frame_equal(
            model.explain(["i1", "i3"], k=2).ledger, expected.explain(["i1", "i3"], k=2).ledger
        )
        assert model.explain(["i1"]).gate["name"].tolist() == names
        assert model.name == REPO and model.path.is_relative_to(tmp_path / "cache")


def test_a_public_repository_takes_nothing_private(checkpoint: Path, hub: Hub) -> None:
    repo = "me/seen-by-all"
    assert run("push", checkpoint, repo).exit_code == 0
    assert not hub.private[repo]
    commits = len(hub.commits[repo])
    done = run("push", checkpoint, repo, "--private")
    assert done.exit_code == 2 and "everybody can see it" in done.stderr
    assert len(hub.commits[repo]) == commits


def test_nothing_is_pushed_that_does_not_open(checkpoint: Path, tmp_path: Path) -> None:
    loaded = fame.load(checkpoint).checkpoint
    (checkpoint / "names.json").write_text("{}")
    (tmp_path / "a").mkdir()
    with pytest.raises(FameError, match=r"cannot be pushed: .*names.json must hold"):
        stage(loaded, REPO, tmp_path / "a")
    (checkpoint / "names.json").unlink()
    (checkpoint / "model.safetensors").write_bytes(b"damaged since it was opened")
    (tmp_path / "b").mkdir()
    with pytest.raises(FameError, match=r"model.safetensors"):
        stage(loaded, REPO, tmp_path / "b")


def test_the_files_are_the_ones_that_name_nobody() -> None:
    assert all(Path(name).suffix in (".json", ".parquet", ".safetensors", ".md") for name in SHARED)
    assert "people.json" not in SHARED


# --- the card -------------------------------------------------------------------------------------


def test_the_hub_reads_the_card(checkpoint: Path) -> None:
    text = hub_card(fame.load(checkpoint).checkpoint, REPO)
    card = hub_library.ModelCard(text)
    assert card.data.library_name == "fame-lens" and card.data.license is None
    assert card.data.tags == ["recommender-systems", "sequential-recommendation", "fame"]
    results = card.data.eval_results
    assert {own.metric_name: own.metric_value for own in results} == TEST
    assert {(own.dataset_name, own.dataset_split) for own in results} == {("our-shop", "test")}
    assert card.text.strip().startswith("# FAME on our-shop\n\nOurs.")
    assert f'fame.load("hf://{REPO}")' in card.text


def test_what_a_person_wrote_at_its_head_wins(checkpoint: Path) -> None:
    (checkpoint / "README.md").write_text("---\nlicense: mit\ntags: [shop]\n---\n# Ours\n")
    data = hub_library.ModelCard(hub_card(fame.load(checkpoint).checkpoint, REPO)).data
    assert (data.license, data.tags, data.library_name) == ("mit", ["shop"], "fame-lens")
    assert len(data.eval_results) == len(FIGURES)
    (checkpoint / "README.md").write_text("---\nlicense: [\n---\n# Ours\n")
    with pytest.raises(FameError, match=r"The head of .*README.md is nothing that the Hub reads"):
        hub_card(fame.load(checkpoint).checkpoint, REPO)


def test_a_checkpoint_without_card_and_figures_gets_a_card(checkpoint: Path) -> None:
    (checkpoint / "README.md").unlink()
    (checkpoint / "metrics.json").unlink()
    card = hub_library.ModelCard(hub_card(fame.load(checkpoint).checkpoint, REPO))
    assert card.data.eval_results is None and card.text.strip().startswith("# FAME on our-shop")


# --- what cannot be -------------------------------------------------------------------------------


def test_what_comes_back_is_read_strictly(checkpoint: Path, hub: Hub) -> None:
    repo = "me/damaged"
    assert run("push", checkpoint, repo).exit_code == 0
    _, _, files = hub.commits[repo][-1]
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    hub.commit(repo, "damaged", {**files, "model.safetensors": bytes(weights), "x.pkl": b"no"})
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        fame.load(f"hf://{repo}")
    assert not any(asked.endswith((".pkl", ".gitattributes")) for asked in hub.asked)


def test_what_the_hub_does_not_have_is_one_sentence(hub: Hub) -> None:
    hub.commits["me/known"], hub.private["me/known"] = [], False
    hub.commit("me/known", "initial commit", {})
    with pytest.raises(FameError, match="There is no model me/nothing on the Hub, or you may not"):
        fame.load("hf://me/nothing")
    with pytest.raises(FameError, match="me/known on the Hub has no such revision"):
        fame.load("hf://me/known@v9")
    with pytest.raises(CheckpointError, match=r"config\.json|no checkpoint folder"):
        fame.load("hf://me/known")


def test_a_hub_that_is_not_there_is_one_sentence(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to("http://127.0.0.1:9", tmp_path / "cache", monkeypatch)  # where nobody listens
    with pytest.raises(FameError, match=f"The Hub did not do it for {REPO}"):
        fame.load(f"hf://{REPO}")
    done = run("push", checkpoint, REPO)
    assert done.exit_code == 2 and f"The Hub did not do it for {REPO}" in done.stderr


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_store_that_takes_no_large_files_is_one_sentence(
    checkpoint: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The Hub keeps them in a store of its own (Xet), whose client raises errors of its own."""
    pytest.importorskip("hf_xet")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.xet = (status, {"error": "no"})
    done = run("push", checkpoint, REPO)
    assert done.exit_code == 2
    assert any("xet-write-token" in asked for asked in hub.asked)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"Error: The Hub did not do it for {REPO}") and str(status) in last
    assert [message for _, message, _ in hub.commits[REPO]] == ["initial commit"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda path: fame.load("hf://tiny"), "'tiny' is no name of a model on the Hub"),
        (lambda path: fame.load("hf://a/b/c"), "'a/b/c' is no name of a model"),
        (lambda path: fame.load("hf://../b"), "'../b' is no name of a model"),
        (lambda path: fame.load("hf://a/b@"), "names the revision '', and None is asked for"),
        (lambda path: fame.load("hf://a/b@v1", revision="v2"), "the revision 'v1', and 'v2' is"),
        (lambda path: fame.load(path, revision="v1"), "is a folder and has no revisions"),
        (
            lambda path: push(fame.load(path).checkpoint, "tiny", private=False, message=None),
            "'tiny' is no name of a model on the Hub",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(checkpoint: Path, ask: Any, words: str) -> None:
    with pytest.raises(FameError, match=words.replace(".", r"\.")) as caught:
        ask(checkpoint)
    assert "\n" not in str(caught.value)


def test_without_its_library_that_is_said(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = fame.load(checkpoint).checkpoint
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FameError, match="needs the package huggingface_hub; install it"):
        fame.load("hf://me/tiny")
    with pytest.raises(FameError, match="needs the package huggingface_hub; install it"):
        push(loaded, REPO, private=False, message=None)
