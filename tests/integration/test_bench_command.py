"""``python -m fame bench`` at toy size: what is in the document, and what is refused."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from fame.bench import data, lens, loss, machine, rank, train
from fame.bench.peers import Peer, recbole_settings, write_inter
from fame.bench.work import read_histories, shared_work
from fame.checkpoint import load_checkpoint
from fame.data import Dataset
from fame.data.sequences import held_out, training_windows
from fame.models.registry import MODELS
from fame.training.loop import Progress
from tests import made_up
from tests.integration.conftest import SHAPE, TRAINING, CommandLine

TOY = ["--data", "walks", "--set", "max_length=8", "--set", "batch_size=16", "--set", "width=16"]


class InThisProcess:
    """Does a measuring process's work here: a process of its own costs seconds to start."""

    ready_bytes = 0
    started: ClassVar[list[dict[str, Any]]] = []  # the arguments of all, in order

    def __init__(
        self, make: Callable[..., Any], arguments: dict, *, warm_up: dict | None = None
    ) -> None:
        self.started.append(arguments)
        self._make, self._arguments, self._warm_up = make, arguments, warm_up

    def ready(self) -> InThisProcess:
        self._work = self._make(**json.loads(json.dumps(self._arguments)))
        self.first = {} if self._warm_up is None else self(**self._warm_up)
        return self

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        return {**self._work(**arguments), "cores_busy": 1.0, "peak_memory_bytes": 1}

    def close(self) -> None:
        pass


@pytest.fixture
def bench(fame: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """``bench("train", ...)``: the document of that command, measured in this process."""
    for module in (data, loss, rank, train):
        monkeypatch.setattr(module, "Process", InThisProcess)
    monkeypatch.setattr(machine, "_SECONDS_A_PRODUCT", 0.0)
    monkeypatch.setattr(loss, "_SECONDS_A_REPEAT", 0.0)
    for name, few in {"PEOPLE": 3, "LONG_PEOPLE": 2}.items():
        monkeypatch.setattr(lens, name, few)
    monkeypatch.setattr(lens, "STOPWATCH", Path("no-such-file"))  # the page has its own test
    for name in ("HOME", "XDG_CACHE_HOME"):  # `bench data` sets them in its process
        monkeypatch.setenv(name, os.environ.get(name, ""))

    def run(*arguments: str) -> dict[str, Any]:
        done = fame("bench", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def repeats_of(figure: dict[str, Any]) -> int:
    """How many there were; least, median and most must be those of the repeats."""
    values = figure["values"]
    assert figure["min"] == min(values) and figure["max"] == max(values)
    assert figure["median"] == pytest.approx(np.median(values))
    return len(values)


def test_training_is_measured_beside_sasrec_and_the_bare_loss(bench, dataset: Dataset) -> None:
    InThisProcess.started.clear()
    document = bench("train", *TOY, "--repeats", "3")
    trained = [
        (
            arguments["model"]["model"],
            arguments["training"]["head_loss_weight"],
            arguments["model"]["head_facets"],
        )
        for arguments in InThisProcess.started
        if "training" in arguments
    ]
    assert trained[:5] == [
        *(("fame", 0.0, ""), ("fame", 0.5, ""), ("fame", 0.0, "made up/")),
        *(("sasrec", 0.0, ""), ("bsarec", 0.0, "")),
    ]
    assert list(document) == ["format", "machine", "benches"] and document["format"] == 1
    assert {"cpu", "cores", "threads", "gpu", "torch"} <= set(document["machine"])
    report = document["benches"]["train"]
    names = {*MODELS, "fame_heads_loss", "fame_values", "reference_fp32"}
    assert names <= set(report["rows"])
    assert set(report["rows"]) | set(report["not_measured"]) == set(train.CONTENDERS)
    positions = training_windows(dataset.interactions, 8).targets
    assert report["about"]["positions"] == positions
    for row in report["rows"].values():
        for name in ("seconds", "positions_per_second", "share_of_peak", "cores_busy"):
            assert repeats_of(row[name]) == 3, name
        rates = [positions / seconds for seconds in row["seconds"]["values"]]
        assert row["positions_per_second"]["values"] == pytest.approx(rates)
        assert row["peak_memory_bytes"] == 1
    assert report["rows"]["fame"]["steps"] == report["rows"]["fame"]["steps_timed"]
    for pair in (
        ("fame", "sasrec"),
        ("fame", "reference_fp32"),
        ("fame_heads_loss", "fame"),
        ("fame_values", "fame"),
    ):
        ours, theirs = (report["rows"][name]["seconds"]["values"] for name in pair)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        assert report["ratios"][" / ".join(pair)]["values"] == pytest.approx(ratios)
    peak = report["about"]["peak_flops_per_second"]["float32"]
    row = report["rows"]["sasrec"]
    shares = [row["flops"] / seconds / peak for seconds in row["seconds"]["values"]]
    assert row["share_of_peak"]["values"] == pytest.approx(shares)


def test_an_epoch_beyond_the_budget_is_timed_in_part_and_says_so(bench, monkeypatch) -> None:
    monkeypatch.setattr(train, "_share_within", lambda budget, first: 0.4)
    report = bench("train", *TOY, "--repeats", "1", "--only", "fame")["benches"]["train"]
    row = report["rows"]["fame"]
    assert list(report["rows"]) == ["fame"]
    assert (row["steps_timed"], row["steps"]) == (3, 6)  # 0.4 of 6, rounded up
    assert report["about"]["share_of_epoch_timed"] == 0.4
    assert any("40.0% of the steps were timed" in note for note in report["notes"])


def test_the_share_keeps_the_slowest_within_the_budget() -> None:
    first = [{"seconds": 40.0, "steps": 1000}, {"seconds": 100.0}]
    assert train._share_within(100.0, first) == 1
    assert train._share_within(25.0, first) == 0.25
    assert train._share_within(0.1, first) == 0.01  # but ten steps at the least


def test_steps_in_part_extrapolate_to_the_epoch(dataset: Dataset, monkeypatch) -> None:
    with shared_work(dataset.interactions, SHAPE, TRAINING) as work:
        epoch = train.TrainingEpoch(str(work.path), SHAPE.to_dict(), TRAINING.to_dict())
    before = epoch._state.weights()

    def fit(state, data, config, *, on_step) -> None:
        """Six steps: the first ends at 5 s, every other takes 2 s."""
        for step in range(1, 7):
            clock[0] = 3.0 + 2.0 * step
            on_step(Progress(1, 1, step, 6, 0.0, 0.0, 0.0))

    clock = [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(train.time, "perf_counter", lambda: clock[0])
        patch.setattr(train, "fit", fit)
        for arguments, timed in (({"share": 0.5}, 3), ({}, 6), ({"seconds": 8.0}, 3)):
            clock[0] = 0.0
            answer = epoch(**arguments)
            assert (answer["steps_timed"], answer["steps"]) == (timed, 6)
            assert answer["seconds"] == pytest.approx(15.0)
    epoch()
    after = epoch._state.weights()
    assert any((before[name] != after[name]).any() for name in before)
    assert epoch._state.epoch == 0  # the next repeat trains on the same batches


def test_ranking_all_people(bench, dataset: Dataset) -> None:
    report = bench("rank", *TOY, "--repeats", "2")["benches"]["rank"]
    people = len(held_out(dataset.interactions, "test"))
    assert report["about"]["people"] == people and set(report["rows"]) == set(MODELS)
    seconds = report["rows"]["fame"]["seconds"]["values"]
    rates = report["rows"]["fame"]["people_per_second"]["values"]
    assert rates == pytest.approx([people / value for value in seconds])
    assert repeats_of(report["ratios"]["fame / sasrec"]) == 2


def test_the_loss_in_all_forms(bench) -> None:
    wanted = [word for name in ("ours", "plain", "liger") for word in ("--only", name)]
    benches = bench("loss", *TOY, "--repeats", "2", *wanted)["benches"]
    assert list(benches) == ["loss", "loss_of_heads", "loss_of_drawn"]
    for name, report in benches.items():
        assert set(report["rows"]) == {"ours", "plain"}
        assert ("liger" in report["not_measured"]) == (name != "loss_of_drawn")
        assert repeats_of(report["ratios"]["ours / plain"]) == 2
        assert all(row["gradient_error"] < 1e-5 for row in report["rows"].values())


def test_a_shipped_checkpoint_without_its_data_and_without_the_app(bench) -> None:
    report = bench("lens", "--only", "ml-100k", "--repeats", "2")["benches"]["lens"]
    assert set(report["rows"]) == {"ml-100k: account", "ml-100k: influence"}
    assert report["not_measured"] == {"ml-100k: page": "the app is not beside the library"}
    for row in report["rows"].values():
        assert row["items"] == 1349 and "made up" in row["histories"]
        assert_quantiles(row, repeats=2)


def test_pages_are_redrawn_for_one_and_for_many(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("streamlit")
    few = {"PEOPLE": 3, "LONG_PEOPLE": 2, "LONG": 6, "DESK_CLICKS": 2, "CROWD": 2}
    for name, value in {**few, "CROWD_CLICKS": 2, "PAUSE": 0.01}.items():
        monkeypatch.setattr(lens, name, value)
    made_up.make(tmp_path)
    with made_up.at_home(tmp_path):
        paths = [tmp_path / "checkpoints" / name for name in (made_up.NAME, "sasrec")]
        report = json.loads(json.dumps(lens.bench_lens(paths, repeats=1).to_json()))
    parts = ("account", "influence", "redraw", "crowd", "rush")
    measured = [f"{made_up.NAME}: {part}" for part in parts]
    assert list(report["rows"]) == [*measured, "sasrec: account", "sasrec: influence"]
    assert report["not_measured"] == {"sasrec: page": "SASRec has no mixing desk"}
    for row in report["rows"].values():
        assert 30 < row["items"] <= made_up.ITEMS and row["histories"] == "real"
        assert row["values"] == 0  # as neither is made of any
        assert_quantiles(row, repeats=1)


def assert_quantiles(row: dict[str, Any], *, repeats: int) -> None:
    assert repeats_of(row["p50_seconds"]) == repeats
    for p50, p95 in zip(row["p50_seconds"]["values"], row["p95_seconds"]["values"], strict=True):
        assert 0 < p50 <= p95


def test_long_histories_are_made_up_where_nobody_has_one(tmp_path: Path, monkeypatch) -> None:
    made_up.make(tmp_path)
    monkeypatch.setattr(lens, "LONG_PEOPLE", 3)
    found = {}
    with made_up.at_home(tmp_path):
        opened = load_checkpoint(tmp_path / "checkpoints" / made_up.NAME)
        for clicks in (15, 30):  # one person has twenty or some more, nobody thirty
            monkeypatch.setattr(lens, "LONG", clicks)
            found[clicks] = lens.people_of(opened)
            assert [len(history) for history in found[clicks].long] == [clicks] * 3
    assert (found[15].long_are, found[15].patient) == ("real", made_up.LONG)
    assert (found[30].long_are, found[30].patient) == ("made up, nobody has 30 clicks", None)
    assert all(len(set(history.tolist())) == 30 for history in found[30].long)


def test_files_are_read_to_their_batches(bench) -> None:
    report = bench("data", "--scale", "0.0005", "--repeats", "2")["benches"]["data"]
    assert set(report["rows"]) == {"csv", "parquet"} and report["about"]["interactions"] == 10_000
    for row in report["rows"].values():
        parts = zip(
            *(row[f"{name}_seconds"]["values"] for name in ("read", "open", "batch")), strict=True
        )
        assert row["seconds"]["values"] == pytest.approx([sum(part) for part in parts])
        assert row["batches"] > 0


def test_made_up_data_of_a_known_shape(bench) -> None:
    report = bench(
        "rank", "--data", "synthetic:ml-20m", "--scale", "0.0005", "--only", "fame",
        "--repeats", "1", "--set", "width=8",
    )["benches"]["rank"]  # fmt: skip
    assert (report["about"]["users"], report["about"]["interactions"]) == (69, 10_000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_has_its_own_memory_figures(bench) -> None:
    document = bench("train", "rank", "loss", *TOY, "--device", "cuda", "--repeats", "2")
    assert document["machine"]["gpu"]
    for report in document["benches"].values():
        for row in report["rows"].values():
            assert repeats_of(row["seconds"]) == 2
    for name in ("train", "rank"):
        assert document["benches"][name]["rows"]["fame"]["peak_gpu_memory_bytes"] > 0
    assert "bfloat16" in document["benches"]["train"]["about"]["peak_flops_per_second"]


def test_processes_of_their_own_and_a_table(process: CommandLine) -> None:
    done = process("bench", "rank", *TOY, "--repeats", "2", "--only", "fame")
    assert done.returncode == 0, done.stderr
    assert "people/s" in done.stdout and " .. " in done.stdout and "PyTorch" in done.stdout
    assert "fame, 2 of 2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gpu", "train"], "bench gpu stands alone"),
        (["gpu", "--device", "cuda:99"], "'cuda:99' is not there"),
        (["speed"], "bench knows train, rank, loss, lens, data, faults, serve, not 'speed'"),
        (["train", "--only", "bert"], "--only knows fame,"),
        (["train", "--set", "widht=3"], "unknown key 'widht'"),
        (["loss", "--set", "samples=prefixes"], "leave samples=windows as it is"),
        (["train", "--device", "cuda:99"], "'cuda:99' is not there"),
        (["train", "--precision", "fp8"], "precision must be one of"),
        (["rank", "--scale", "0.5"], "--scale goes with"),
        (["data", "--scale", "nan"], "--scale must be above 0 and at most 10, not nan"),
        (["lens", "--checkpoint", "nowhere"], "nowhere"),
        (["rank", "--checkpoint", "nowhere"], "--checkpoint goes with `bench lens`"),
        (["rank", "--sessions", "3"], "go with `bench serve`"),
        (["train", "--peer", "recbole"], "--peer and --peer-python go together"),
        (
            ["train", "--peer", "bert", "--peer-python", "python"],
            "--peer knows recbole, not 'bert'",
        ),
        (["train", "--peer", "recbole", "--peer-python", "no-python"], "is no Python"),
        (["loss", "--peer", "recbole", "--peer-python", sys.executable], "--peer goes with"),
    ],
)
def test_bad_input_is_one_sentence(fame: CommandLine, arguments: list[str], sentence: str) -> None:
    done = fame("bench", *arguments, *([] if "--scale" in arguments else ["--data", "walks"]))
    assert done.returncode == 2 and done.stdout == ""
    *_, last = done.stderr.splitlines()
    assert last.startswith("Error: ") and sentence in last and "Traceback" not in done.stderr


# --- peers --------------------------------------------------------------------------------------


def test_a_measuring_process_reads_the_same_histories(dataset: Dataset) -> None:
    with shared_work(dataset.interactions, SHAPE, TRAINING) as work:
        read = read_histories(work.path)
    assert np.array_equal(read.items, dataset.interactions.items)
    assert np.array_equal(read.offsets, dataset.interactions.offsets)
    assert read.num_items == dataset.interactions.num_items


def test_a_peer_gets_the_same_histories_in_the_same_order(dataset: Dataset, tmp_path: Path) -> None:
    write_inter(dataset.interactions, tmp_path / "x.inter")
    header, *lines = (tmp_path / "x.inter").read_text().splitlines()
    assert header == "user_id:token\titem_id:token\ttimestamp:float"
    rows = np.array([line.split("\t") for line in lines], dtype=int)
    for user in range(len(dataset.interactions)):
        own = rows[rows[:, 0] == user]
        assert own[:, 1].tolist() == dataset.interactions.sequence(user).tolist()
        assert own[:, 2].tolist() == list(range(len(own)))


def test_a_peer_has_our_shape(dataset: Dataset) -> None:
    with shared_work(dataset.interactions, SHAPE, TRAINING) as work:
        settings = recbole_settings(work)
    assert settings["hidden_size"] == SHAPE.width and settings["inner_size"] == 4 * SHAPE.width
    assert settings["n_layers"] == SHAPE.layers and settings["n_heads"] == SHAPE.heads
    assert settings["MAX_ITEM_LIST_LENGTH"] == SHAPE.max_length
    assert settings["hidden_dropout_prob"] == SHAPE.dropout
    assert settings["train_batch_size"] == TRAINING.batch_size
    assert settings["loss_type"] == "CE" and settings["eval_args"]["mode"] == "full"


def test_an_environment_without_the_peer_is_said(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"  # a Python without any package
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(rank, "Process", InThisProcess)
    with shared_work(dataset.interactions, SHAPE, TRAINING) as work:
        report = rank.bench_rank(work, repeats=1, only=["fame"], peer=Peer("recbole", str(bare), 1))
    assert "it failed in its Python (ModuleNotFoundError" in report.missing["recbole"]
    assert list(report.rows) == ["fame"]
