"""Whole training runs: they learn, they can be interrupted, and they refuse what cannot work."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fame import checkpoint
from fame.baselines import baseline_ranks
from fame.checkpoint import load_checkpoint
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.data.catalogue import align
from fame.data.sequences import bucketed_batches, held_out, training_windows
from fame.errors import FameError
from fame.evaluate import evaluate, head_report, model_ranks
from fame.facets.forming import read_forming
from fame.files import MARK
from fame.losses import linear_cross_entropy
from fame.metrics import summarise_ranks
from fame.models.registry import MODELS
from fame.survey import read_facets, read_people
from fame.training import loop, objective
from fame.training.item_start import catalogue_vectors
from fame.training.jobs import Job
from fame.training.loop import Progress, fit, new_state
from fame.training.memory import peak_memory
from fame.training.objective import Step, Term
from fame.training.runs import RunFolder, Status, submit
from fame.training.train import _stop_signals, stored_settings, train
from tests.integration.conftest import SHAPE, TRAINING, environment
from tests.tiny import cyclic_interactions, interactions_of, with_first_choices

CPU = torch.device("cpu")


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def figures_of(path: Path) -> list[dict[str, float]]:
    """The history of a run without the clock."""
    rows = RunFolder(path).history()
    return [
        {k: v for k, v in row.items() if "seconds" not in k and "per_" not in k} for row in rows
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_tiny_run_learns(dataset: Dataset, model: str, tmp_path: Path) -> None:
    shape = replace(SHAPE, model=model)
    assert train(dataset, shape, replace(TRAINING, epochs=12), tmp_path / "run", projection=False)
    data = dataset.interactions
    untrained = new_state(shape, TRAINING, data.num_items, CPU).model
    trained = load_checkpoint(tmp_path / "run").model
    popularity = summarise_ranks(baseline_ranks(data, "test")["popularity"])
    after = evaluate(trained, data, "test")
    # What comes next is certain, and 4 of 12 items are left as candidates.
    assert after["HR@5"] == 1.0
    assert after["MRR"] > 0.95
    assert after["MRR"] > evaluate(untrained, data, "test")["MRR"] + 0.2
    assert after["MRR"] > popularity["MRR"] + 0.2


def test_a_term_of_the_loss_sees_the_catalogue_on_a_fresh_start_and_after_resuming(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A toy term pulls the items of one region together, which shows in the loss of every epoch."""
    seen = []

    def spread(step: Step) -> torch.Tensor:
        region = step.attributes.facets["region"]
        seen.append(region)
        southern = torch.from_numpy(region.item[region.value == region.values.index("south")])
        return step.model.rows_of_item_table(southern).var(0).mean()

    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    training = replace(TRAINING, epochs=2)
    assert train(dataset, SHAPE, training, tmp_path / "plain", projection=False)
    toy = Term("spread", lambda model, training: 100.0, spread)
    monkeypatch.setattr(objective, "TERMS", (*objective.TERMS, toy))
    out = tmp_path / "with-a-term"
    assert not train(dataset, SHAPE, training, out, projection=False, on_step=interrupt)
    fresh = len(seen)
    assert train(dataset, SHAPE, training, out, resume=True, projection=False)
    assert len(seen) > fresh > 0
    for region in seen:
        assert region.values == ("north", "south")
        assert region.item.tolist() == list(range(12)) and region.value.tolist() == [0, 1] * 6
    for plain, more in zip(figures_of(tmp_path / "plain"), figures_of(out), strict=True):
        assert more["loss"] > plain["loss"] + 0.01


def test_status_says_how_far_a_ranking_is_while_it_lasts(dataset, tmp_path, monkeypatch):
    """Every writing of status.json, by what it says; what is told goes to the caller as well."""
    out, told, written = tmp_path / "run", [], []
    monkeypatch.setattr("fame.training.record._STATUS_EVERY", 0.0)
    before = RunFolder.write_status

    def note(run: RunFolder, status: Status) -> None:
        written.append((status.phase, status.step, status.ranked, status.to_rank))
        before(run, status)

    monkeypatch.setattr(RunFolder, "write_status", note)
    assert train(
        dataset, SHAPE, replace(TRAINING, epochs=2), out, projection=False, on_ranked=told.append
    )
    validated = [one for one in told if one.epoch is not None]
    people = validated[-1].people
    assert [one.done for one in validated if one.epoch == 2][-1] == people
    ranking = [(ranked, to) for phase, _, ranked, to in written if phase == "training" and to]
    assert ranking == [(one.done, people) for one in validated]
    steps = [to for phase, step, _, to in written if phase == "training" and step == 1]
    assert steps and not any(steps), "the second epoch learns"
    at_the_end = [one for one in told if one.epoch is None]
    both = people + 2 * len(held_out(dataset.interactions, "test"))
    assert [one.done for one in at_the_end] == sorted({one.done for one in at_the_end})
    assert {one.people for one in at_the_end} == {both} == {at_the_end[-1].done}
    assert {one.eta_seconds for one in at_the_end} == {None}
    ranking = [(ranked, to) for phase, _, ranked, to in written if phase == "evaluating" and to]
    assert ranking == [(one.done, both) for one in at_the_end]
    assert RunFolder(out).status().to_rank == 0


def test_every_target_is_trained_on_once_and_hardly_any_padding(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, size=400)
    data = interactions_of([rng.integers(1, 9, n).tolist() for n in lengths], 8)
    windows = training_windows(data, 50, rng)
    assert windows.targets == (lengths - 3).sum()
    padded = sum(
        len(batch) * windows.lengths[batch].max() for batch in bucketed_batches(windows, 16, rng)
    )
    assert windows.targets <= padded < 1.15 * windows.targets


def test_the_same_seed_gives_the_same_model_and_another_seed_another(dataset: Dataset) -> None:
    def trained(seed: int) -> torch.Tensor:
        training = replace(TRAINING, epochs=1, seed=seed)
        state = new_state(SHAPE, training, dataset.interactions.num_items, CPU)
        fit(state, dataset.interactions, training)
        return state.model.item_embedding.weight

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_a_checkpoint_comes_back_bit_for_bit(dataset: Dataset, tmp_path: Path) -> None:
    data = dataset.interactions
    state = new_state(SHAPE, TRAINING, data.num_items, CPU)
    fit(state, data, TRAINING)
    train(dataset, SHAPE, TRAINING, tmp_path / "run", projection=False)
    loaded = load_checkpoint(tmp_path / "run")
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, state.best_weights[name]), name
    state.model.load_state_dict(state.best_weights)
    sequence = torch.from_numpy(data.sequence(0)[-8:].astype(np.int64))[None]
    assert torch.equal(
        loaded.model.trace(sequence).scores, state.model.eval().trace(sequence).scores
    )
    assert (loaded.model_config, loaded.train_config) == (SHAPE, TRAINING)
    assert loaded.data.fingerprint == data.fingerprint
    assert loaded.items["train_count"].tolist() == data.train_counts[1:].tolist()
    ranks = model_ranks(loaded.model, data, "test")
    assert loaded.metrics is not None
    assert loaded.metrics["test"] == {"users": len(ranks), **summarise_ranks(ranks)}


def test_a_checkpoint_is_the_best_epoch_and_says_its_figures(
    dataset: Dataset, tmp_path: Path
) -> None:
    """On data whose validation is best in the first epoch, while training goes on to others."""
    training = replace(TRAINING, learning_rate=1e-3, weight_average=0.5)
    untrained = new_state(SHAPE, training, 40, CPU).model.eval()
    walks = cyclic_interactions(people=96, num_items=40, length=11)
    data = replace(with_first_choices(walks, "valid", untrained), name="contrary")
    contrary = Dataset(data, align(None, data.item_ids[1:].tolist()), source="made up for a test")
    out, after_first = tmp_path / "run", []

    def look(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 1):
            after_first.append(weights_of(out))

    assert train(contrary, SHAPE, training, out, projection=False, on_step=look)
    checkpoint = load_checkpoint(out)
    metrics, history = checkpoint.metrics, RunFolder(out).history()
    assert metrics is not None
    assert (metrics["best_epoch"], metrics["epochs"]) == (1, 4)
    for name, tensor in weights_of(out).items():
        assert torch.equal(tensor, after_first[0][name]), name
    valid, test = (evaluate(checkpoint.model, data, split) for split in ("valid", "test"))
    assert metrics["valid"] == valid != test == metrics["test"]
    assert valid["NDCG@10"] == history[0]["valid_NDCG@10"] > history[-1]["valid_NDCG@10"]
    for name, ranks in baseline_ranks(data, "test").items():
        assert metrics["baselines"][name] == summarise_ranks(ranks)
    of_heads = {split: head_report(checkpoint.model, data, split) for split in ("valid", "test")}
    assert metrics["heads"] == of_heads["test"] != of_heads["valid"]
    assert metrics["train_seconds"] == sum(row["train_seconds"] for row in history)
    formed = [{"epoch": row["epoch"], "facets": row["facets"]} for row in history]
    assert metrics["forming"] == formed  # so the checkpoint has it where the run's files are gone
    assert list(read_forming(metrics["forming"])) == [1, 2, 3, 4]
    status = RunFolder(out).status()
    assert status is not None
    assert (status.best_epoch, status.best_score) == (1, valid["NDCG@10"])


@pytest.mark.parametrize(
    ("item_start", "head_facets"), [("random", ""), ("catalogue", ""), ("catalogue", "region/")]
)
def test_interrupted_and_resumed_equals_uninterrupted(
    dataset: Dataset, tmp_path: Path, item_start: Literal["random", "catalogue"], head_facets: str
) -> None:
    training = replace(TRAINING, item_start=item_start, weight_average=0.9)
    shape = replace(SHAPE, head_facets=head_facets)
    train(dataset, shape, training, tmp_path / "whole", projection=False)

    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (3, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    pieces = tmp_path / "pieces"
    finished = train(dataset, shape, training, pieces, projection=False, on_step=interrupt)
    assert not finished
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    status = RunFolder(pieces).status()
    assert status is not None and status.phase == "stopped"
    assert load_checkpoint(pieces).metrics is not None  # the best epoch so far opens as it is
    resumed: list[Progress] = []
    assert train(
        dataset, shape, training, pieces, resume=True, projection=False, on_step=resumed.append
    )
    assert (resumed[0].epoch, resumed[0].step) == (3, 1)  # two epochs were whole
    assert figures_of(pieces) == figures_of(tmp_path / "whole")
    for name, tensor in weights_of(tmp_path / "whole").items():
        assert torch.equal(tensor, weights_of(pieces)[name]), name
    assert not RunFolder(pieces).can_resume()


def test_items_start_where_the_catalogue_puts_them(dataset: Dataset, tmp_path: Path) -> None:
    """After a step that moves nothing, items of a region lie nearer to each other than others."""
    training = replace(TRAINING, epochs=1, learning_rate=1e-8, item_start="catalogue")
    train(dataset, SHAPE, training, tmp_path / "run", projection=False)
    items = load_checkpoint(tmp_path / "run").model.item_table
    near = items @ items.T / items.square().sum(1)
    alike = torch.arange(12) % 2 == torch.arange(12)[:, None] % 2
    assert near[alike & ~torch.eye(12, dtype=torch.bool)].min() > near[~alike].max() + 0.5


def test_each_head_starts_where_its_share_of_the_catalogue_puts_it(
    dataset: Dataset, tmp_path: Path
) -> None:
    shares = "region/title,region"
    training = replace(
        TRAINING, epochs=1, learning_rate=1e-8, item_start="catalogue", start_facets=shares
    )
    train(dataset, SHAPE, training, tmp_path / "run", projection=False)
    vectors = catalogue_vectors(dataset.items, SHAPE.width, SHAPE.heads, shares)
    start = new_state(SHAPE, training, 12, CPU, item_vectors=vectors).model.item_table
    items = load_checkpoint(tmp_path / "run").model.item_table
    torch.testing.assert_close(items, start.detach(), rtol=0, atol=1e-6)  # 6 steps of 1e-8


MADE_OF_VALUES = replace(SHAPE, head_facets="region/", own_bound=0.1)


@pytest.mark.parametrize("negatives", [0, 4])
def test_items_are_made_of_values_from_the_first_step_to_the_checkpoint(
    dataset: Dataset, tmp_path: Path, negatives: int
) -> None:
    """The named head's items lie with their region after training."""
    training = replace(TRAINING, negatives=negatives, weight_average=0.9)
    train(dataset, MADE_OF_VALUES, training, tmp_path / "run", projection=False)
    loaded = load_checkpoint(tmp_path / "run")
    north, south = (f"region={one}" for one in sorted(set(dataset.items["region"])))
    assert loaded.value_names == ((north, south), ())
    assert loaded.model.values is not None
    for item, region in enumerate(dataset.items["region"], 1):
        own, free = loaded.model.values.index.values_of(item)
        assert [loaded.value_names[0][value] for value in own] == [f"region={region}"]
        assert not free
    alike = torch.arange(12) % 2 == torch.arange(12)[:, None] % 2
    named = torch.nn.functional.normalize(loaded.model.sub_embeddings()[0], dim=1)
    nearest = (named @ named.T).fill_diagonal_(-9).argmax(1)
    assert alike[torch.arange(12), nearest].all()
    assert loaded.metrics is not None
    assert loaded.metrics["test"] == evaluate(loaded.model, dataset.interactions, "test")
    assert loaded.metrics["parameters"] == loaded.model.parameter_count
    valid = RunFolder(tmp_path / "run").history()
    assert max(row["valid_NDCG@10"] for row in valid) > 0.9


def test_only_free_heads_start_from_the_catalogue_where_others_are_facets(
    dataset: Dataset, tmp_path: Path
) -> None:
    training = replace(TRAINING, epochs=1, learning_rate=1e-8, item_start="catalogue")
    train(dataset, MADE_OF_VALUES, training, tmp_path / "run", projection=False)
    own = load_checkpoint(tmp_path / "run").model.item_embedding.weight[1:]
    assert own[:, :8].std() == pytest.approx(0.02, rel=0.25)  # 96 numbers: 7 % of themselves
    assert own[:, 8:].std() == pytest.approx(0.08, rel=0.25)
    every = replace(SHAPE, head_facets="region/region")
    with pytest.raises(FameError, match="leaves none free"):
        train(dataset, every, training, tmp_path / "no", projection=False)


def test_heads_that_cannot_be_facets_are_refused_before_the_run(
    dataset: Dataset, tmp_path: Path
) -> None:
    bare = replace(dataset, items=align(None, dataset.items["item_id"].tolist()))
    codes = [f"c{item}" for item in range(len(dataset.items))]
    more = replace(dataset, items=dataset.items.assign(one="always", code=codes))
    for data, share, message in (
        (bare, "region", "this catalogue says nothing of its items"),
        (dataset, "colour", "no such column; it has region"),
        (more, "one", "the one value 'always', so it tells no items apart"),
        (more, "code", "every item has a value of its own"),
    ):
        shape = replace(SHAPE, head_facets=f"{share}/")
        with pytest.raises(FameError, match=message):
            train(data, shape, TRAINING, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_catalogue_that_says_nothing_is_refused_before_the_run(
    dataset: Dataset, tmp_path: Path
) -> None:
    bare = replace(dataset, items=align(None, dataset.items["item_id"].tolist()))
    training = replace(TRAINING, item_start="catalogue")
    with pytest.raises(FameError, match="item_start=catalogue starts from words"):
        train(bare, SHAPE, training, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored; here it has Python's own meaning."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_acts_at_once_unless_it_is_the_first_one_passed_on() -> None:
    with _stop_signals(relayed=False) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with _stop_signals(relayed=True) as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_killed_run_leaves_a_checkpoint_and_goes_on(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "fame", "train", "--data", "walks", "--out", str(out)]
    command += ["--set", "width=16", "--set", "max_length=8", "--set", "patience=0"]
    process = subprocess.Popen(
        [*command, "--epochs", "100000"], env=environment(home), stderr=subprocess.DEVNULL
    )
    run = RunFolder(out)
    try:
        deadline = time.monotonic() + 120
        while len(run.history()) < 3 and time.monotonic() < deadline:
            assert process.poll() is None, run.log_tail()
            time.sleep(0.05)
        assert run.is_held()
    finally:
        process.kill()
        process.wait()
    status = run.status()
    assert status is not None and status.phase == "lost" and not run.is_held()
    load_checkpoint(out)
    done = len(run.history())
    subprocess.run(
        [*command, "--resume", "--epochs", str(done + 2), "--no-projection"],
        env=environment(home),
        check=True,
        capture_output=True,
        timeout=240,
    )
    assert [row["epoch"] for row in run.history()] == list(range(1, done + 3))
    assert not list(out.rglob("*.tmp")), "half-written files are left"


def test_a_stop_before_the_first_epoch_keeps_nothing(dataset: Dataset, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert not train(dataset, SHAPE, TRAINING, tmp_path / "run", on_step=interrupt)
    status = RunFolder(tmp_path / "run").status()
    assert status is not None and "nothing to keep" in status.message


def stop_at_once(progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def half_an_epoch(run: RunFolder) -> None:
    """As after a kill between the weights of the first epoch and all else of it."""
    (run.path / "model.safetensors").write_bytes(b"of another model")
    (run.path / "resume").mkdir()
    (run.path / "resume" / ".state.safetensors.x.tmp").write_bytes(b"half")


def hardly_begun(run: RunFolder) -> None:
    """As after a kill before the settings were written down."""
    for name in ("config.json", "items.parquet", "status.json"):
        (run.path / name).unlink()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("damage", [lambda run: None, half_an_epoch, hardly_begun])
def test_a_run_of_which_no_epoch_had_ended_begins_again(
    dataset: Dataset, tmp_path: Path, caplog: Any, damage: Any, resume: bool
) -> None:
    training = replace(TRAINING, epochs=2)
    assert train(dataset, SHAPE, training, tmp_path / "whole", projection=False)
    out = tmp_path / "again"
    assert not train(dataset, SHAPE, replace(training, seed=7), out, on_step=stop_at_once)
    assert "it begins again" not in caplog.text
    damage(RunFolder(out))
    stored = stored_settings(out)
    assert stored is None if damage is hardly_begun else stored[1].seed == 7
    left: list[bool] = []

    def look(progress: Progress) -> None:
        left.append((out / "model.safetensors").exists() and progress.epoch == 1)

    assert train(dataset, SHAPE, training, out, resume=resume, projection=False, on_step=look)
    assert not any(left), "weights of the other run stand there as if they were of this one"
    assert ("it begins again" in caplog.text) == (resume or damage is not hardly_begun)
    assert figures_of(out) == figures_of(tmp_path / "whole")
    for name, tensor in weights_of(tmp_path / "whole").items():
        assert torch.equal(tensor, weights_of(out)[name]), name
    load_checkpoint(out)
    for again in (False, True):  # what has ended stays
        with pytest.raises(FameError, match=r"nothing to resume|already holds a run; choose"):
            train(dataset, SHAPE, training, out, resume=again)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("phase", ["training", "evaluating"])
def test_a_stop_is_heard_before_and_after_training_too(
    dataset: Dataset, tmp_path: Path, phase: str
) -> None:
    """While all is made ready, and while the best epoch is ranked; then the run goes on."""

    def interrupt(now: str) -> None:
        if now == phase:
            os.kill(os.getpid(), signal.SIGINT)

    run = RunFolder(tmp_path)
    assert not train(dataset, SHAPE, TRAINING, tmp_path, on_phase=interrupt)
    status = run.status()
    assert status is not None and status.phase == "stopped"
    assert len(run.history()) == (0 if phase == "training" else 4)
    assert run.is_beginning() == (phase == "training")
    assert train(dataset, SHAPE, TRAINING, tmp_path, resume=True, projection=False)
    assert [row["epoch"] for row in run.history()] == [1, 2, 3, 4]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


THEIRS = ("README.md", "metrics.json", "items.parquet", "status.json", "resume/thesis.txt", "x")


@pytest.mark.parametrize("name", THEIRS)
def test_a_folder_of_others_is_left_as_it_is(dataset: Dataset, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "theirs"
    (theirs / name).parent.mkdir(parents=True)
    (theirs / name).write_text("{}")
    before = snapshot(theirs)
    for resume in (False, True):
        with pytest.raises(FameError, match="is no folder of a run or checkpoint of ours"):
            train(dataset, SHAPE, TRAINING, theirs, resume=resume)
        with pytest.raises(FameError, match="is no folder of a run or checkpoint of ours"):
            submit(theirs, Job("walks", {}, "cpu", resume=resume))
    assert snapshot(theirs) == before


def test_a_run_from_before_folders_were_marked_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(dataset, SHAPE, TRAINING, tmp_path, on_step=interrupt)
    (tmp_path / MARK).unlink()
    with pytest.raises(FameError, match="already holds a run; continue it with --resume"):
        train(dataset, SHAPE, TRAINING, tmp_path)
    assert train(dataset, SHAPE, TRAINING, tmp_path, resume=True, projection=False)
    (tmp_path / MARK).unlink()
    (tmp_path / "status.json").unlink()  # as a checkpoint is shipped
    with pytest.raises(FameError, match="already holds a run; choose"):
        train(dataset, SHAPE, TRAINING, tmp_path)


def test_patience_ends_a_run_and_the_best_epoch_is_kept(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    monkeypatch.setattr(loop, "validate", lambda *_: {"NDCG@10": next(scores)})
    training = replace(TRAINING, epochs=9, patience=2)
    state = new_state(SHAPE, training, dataset.interactions.num_items, CPU)
    kept: list[dict[str, torch.Tensor]] = []
    fit(state, dataset.interactions, training, on_epoch=lambda s: kept.append(s.weights()))
    assert (state.epoch, state.best_epoch, state.best_score) == (4, 2, 0.3)
    for name, tensor in kept[1].items():
        assert torch.equal(tensor, state.best_weights[name]), name


@pytest.mark.parametrize(
    ("change", "resume", "message"),
    [
        ({}, False, "already holds a run"),
        ({"learning_rate": 0.5}, True, "learning_rate"),
        ({"seed": 3}, True, "seed"),
    ],
)
def test_a_folder_in_use_is_not_overwritten(
    dataset: Dataset, tmp_path: Path, change: dict, resume: bool, message: str
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(dataset, SHAPE, TRAINING, tmp_path, on_step=interrupt)
    before = weights_of(tmp_path)
    with pytest.raises(FameError, match=message):
        train(dataset, SHAPE, replace(TRAINING, **change), tmp_path, resume=resume)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(tmp_path).items())


def another_value(config: ModelConfig | TrainConfig, field: str) -> Any:
    """A value that the field may have and does not."""
    value = getattr(config, field)
    if choices := get_args(get_type_hints(type(config))[field]):
        return next(choice for choice in choices if choice != value)
    if field == "head_loss_shares":
        return "0/1"
    if isinstance(value, str):
        return "region/" if field == "head_facets" else "region"  # a share for each of two heads
    return value + 2 if isinstance(value, int) else value / 2 or 0.5


def test_a_run_goes_on_under_its_own_settings_alone(dataset: Dataset, tmp_path: Path) -> None:
    """But for those that do not change what an epoch does."""
    training = replace(TRAINING, item_start="catalogue")  # so that start_facets may be given

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(dataset, SHAPE, training, tmp_path, on_step=interrupt)
    refused = set()
    for config in (SHAPE, training):
        for field in (field.name for field in fields(config)):
            if field in ("epochs", "patience", "device", "compile"):
                continue
            if field == "expert_view":  # only with head_facets and one block, which are told first
                continue
            changed = replace(config, **{field: another_value(config, field)})
            configs = (changed, training) if config is SHAPE else (SHAPE, changed)
            with pytest.raises(FameError, match=f"was started with {field}="):
                train(dataset, *configs, tmp_path, resume=True, projection=False)
            refused.add(field)
    assert {"heads", "batch_size", "seed", "start_facets"} < refused
    longer = replace(training, epochs=5, patience=3)
    assert train(dataset, SHAPE, longer, tmp_path, resume=True, projection=False)


def test_a_run_of_other_data_is_not_resumed(dataset: Dataset, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(dataset, SHAPE, TRAINING, tmp_path, on_step=interrupt)
    data = dataset.interactions
    other = replace(dataset, interactions=replace(data, items=data.items[::-1].copy()))
    with pytest.raises(FameError, match="other data"):
        train(other, SHAPE, TRAINING, tmp_path, resume=True)


def test_a_run_under_another_choice_about_repeats_is_not_resumed(
    dataset: Dataset, tmp_path: Path
) -> None:
    """The histories are the same, but its best epoch was chosen by another ranking."""

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(dataset, SHAPE, TRAINING, tmp_path, on_step=interrupt)
    again = replace(dataset.interactions, repeats="recommend")
    assert again.fingerprint == dataset.interactions.fingerprint
    with pytest.raises(FameError, match="repeats=exclude and walks has now repeats=recommend"):
        train(replace(dataset, interactions=again), SHAPE, TRAINING, tmp_path, resume=True)


def test_two_processes_cannot_train_in_one_folder(dataset: Dataset, tmp_path: Path) -> None:
    with RunFolder(tmp_path).held(), pytest.raises(FameError, match="Another process is training"):
        train(dataset, SHAPE, TRAINING, tmp_path)


def test_nothing_to_resume_is_said(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FameError, match="nothing to resume"):
        train(dataset, SHAPE, TRAINING, tmp_path / "new", resume=True)


def test_a_device_that_is_not_there_is_said(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FameError, match="cuda:99"):
        train(dataset, SHAPE, replace(TRAINING, device="cuda:99"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_fit_is_refused_before_it_takes_memory(
    dataset: Dataset, tmp_path: Path
) -> None:
    giant = replace(SHAPE, width=4096, layers=24)
    with pytest.raises(FameError, match=r"needs about \d+\.\d GiB .* are free; lower width"):
        train(dataset, replace(giant, heads=64, experts=64), TRAINING, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = replace(TRAINING, batch_size=4)  # 24 steps an epoch; the loss is read at 1, 21, 24
    train(dataset, SHAPE, training, tmp_path / "whole", projection=False)
    calls: list[int] = []

    def break_the_loss(query: torch.Tensor, *arguments: Any, **settings: Any) -> torch.Tensor:
        calls.append(1)
        loss = linear_cross_entropy(query, *arguments, **settings)
        return loss * math.nan if len(calls) == 2 * 24 + 7 else loss

    monkeypatch.setattr(objective, "linear_cross_entropy", break_the_loss)
    out = tmp_path / "run"
    with pytest.raises(FameError, match=r"in epoch 3, from step 7 on; .*\(what epoch 2 left is"):
        train(dataset, SHAPE, training, out, projection=False)
    assert 2 * 24 + 7 < len(calls) <= 2 * 24 + 7 + loop.READ_EVERY
    status = RunFolder(out).status()
    assert status is not None and status.phase == "failed" and "from step 7 on" in status.message
    load_checkpoint(out)
    assert train(dataset, SHAPE, training, out, resume=True, projection=False)
    assert figures_of(out) == figures_of(tmp_path / "whole")


def test_weights_that_the_last_step_of_an_epoch_breaks_stop_the_run(dataset: Dataset) -> None:
    state = new_state(SHAPE, TRAINING, dataset.interactions.num_items, CPU)

    def break_weights(progress: Progress) -> None:
        if progress.epoch == 2 and progress.step == progress.steps:
            state.model.position_embedding.weight.data.fill_(math.nan)

    with pytest.raises(FameError, match="in epoch 2, from its validation on"):
        fit(state, dataset.interactions, TRAINING, on_step=break_weights)
    assert state.epoch == len(state.history) == 1


def test_histories_too_short_to_train_on_are_said(tmp_path: Path) -> None:
    data = interactions_of([[1, 2, 3], [2, 3, 1]], 3)
    state = new_state(SHAPE, TRAINING, 3, CPU)
    with pytest.raises(FameError, match="at least four interactions"):
        fit(state, data, TRAINING)


def test_a_full_disk_leaves_the_last_good_state(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import fame.training.runs as runs

    saved: list[int] = []
    save_file = runs.save_file

    def full(*args: object, **kwargs: object) -> None:
        saved.append(1)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(*args, **kwargs)

    monkeypatch.setattr(runs, "save_file", full)
    with pytest.raises(FameError, match="disk is full"):
        train(dataset, SHAPE, TRAINING, tmp_path)
    monkeypatch.setattr(runs, "save_file", save_file)
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "failed" and "disk is full" in status.message
    load_checkpoint(tmp_path)
    assert train(dataset, SHAPE, TRAINING, tmp_path, resume=True, projection=False)
    assert [row["epoch"] for row in RunFolder(tmp_path).history()] == [1, 2, 3, 4]


def test_a_disk_that_is_full_for_the_weights_leaves_a_run_that_begins_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(FameError, match=r"disk is full: .*model\.safetensors could not"):
        train(dataset, SHAPE, TRAINING, tmp_path)
    monkeypatch.undo()
    assert train(dataset, SHAPE, replace(TRAINING, epochs=1), tmp_path, projection=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_without_room_stops_no_run_and_prints_no_traceback(
    dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of commands that ran in this process before, whose standard error is closed by now.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    (tmp_path / MARK).touch()
    (tmp_path / "train.log").symlink_to("/dev/full")
    assert train(dataset, SHAPE, replace(TRAINING, epochs=1), tmp_path, projection=False)
    told = capfd.readouterr().err
    assert "Traceback" not in told and "Logging error" not in told


def test_status_says_where_a_run_is(dataset: Dataset, tmp_path: Path) -> None:
    seen: list[dict] = []

    def look(progress: Progress) -> None:
        seen.append(json.loads((tmp_path / "status.json").read_text()))
        assert progress.eta_seconds >= 0
        assert progress.positions_per_second > 0

    train(dataset, SHAPE, replace(TRAINING, epochs=1), tmp_path, on_step=look, projection=False)
    assert seen[0]["phase"] == "training" and seen[0]["pid"] == os.getpid()
    status = RunFolder(tmp_path).status()
    assert status is not None
    assert (status.phase, status.best_epoch) == ("finished", 1)
    assert status.peak_memory_mb == pytest.approx(peak_memory(CPU) / 1e6, rel=0.01)


# --- names at the end ---------------------------------------------------------------------------

ONE_EPOCH = replace(TRAINING, epochs=1)


def test_a_run_ends_with_names_for_its_heads(dataset: Dataset, tmp_path: Path) -> None:
    phases: list[str] = []
    shape = replace(SHAPE, head_facets="region/")
    assert train(dataset, shape, ONE_EPOCH, tmp_path, projection=False, on_phase=phases.append)
    assert phases[-2:] == ["naming", "finished"]
    found = read_facets(load_checkpoint(tmp_path))
    assert found is not None and found.people == 96 and set(found.lists) == {"region"}
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "finished"
    first, second = (head.name for head in found.heads)
    assert second in ("Free", "Region")  # the one that was given no facet
    told = f"{first}, {second}" if first else f"{second}, no name for Head 1"
    said = f"Heads by evidence: {told}."
    assert status.message == said and said in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FameError("The disk is full."), "The heads were not named. The disk is full. It can be"),
        (ZeroDivisionError("oh"), "The heads were not named. ZeroDivisionError('oh') It can be"),
        (KeyboardInterrupt(), "The heads were not named. KeyboardInterrupt() It can be done"),
    ],
)
def test_a_finished_run_is_not_lost_where_naming_fails(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, told: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("fame.training.train.survey_facets", fail)
    assert train(dataset, SHAPE, ONE_EPOCH, tmp_path, projection=False)
    run = RunFolder(tmp_path)
    status = run.status()
    assert status is not None and status.phase == "finished" and run.has_ended()
    assert status.message.startswith(told) and f"fame facets {tmp_path}" in status.message
    assert load_checkpoint(tmp_path).metrics is not None
    assert read_facets(load_checkpoint(tmp_path)) is None


def test_a_stop_while_heads_are_named_ends_a_finished_run(dataset: Dataset, tmp_path: Path) -> None:
    def stop(phase: str) -> None:
        if phase == "naming":
            os.kill(os.getpid(), signal.SIGINT)

    assert train(dataset, SHAPE, ONE_EPOCH, tmp_path, projection=False, on_phase=stop)
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "finished"
    assert status.message.startswith("The heads were not named. It was stopped.")
    assert not (tmp_path / "facets.json").exists()


@pytest.mark.parametrize(("model", "facets"), [("sasrec", True), ("fame", False)])
def test_one_head_is_not_named_nor_are_any_unasked(
    dataset: Dataset, tmp_path: Path, model: Literal["sasrec", "fame"], facets: bool
) -> None:
    shape = replace(SHAPE, model=model)
    assert train(dataset, shape, ONE_EPOCH, tmp_path, projection=False, facets=facets)
    assert not (tmp_path / "facets.json").exists()


def test_a_run_ends_with_people_to_show_where_asked(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fame.training.train._SURVEYED", 2)
    phases: list[str] = []
    assert train(
        dataset, SHAPE, ONE_EPOCH, tmp_path,
        projection=False, facets=False, survey=True, on_phase=phases.append,
    )  # fmt: skip
    assert phases[-2:] == ["surveying", "finished"]
    people = read_people(load_checkpoint(tmp_path))
    assert people is not None and people.looked_at == 96
    run = RunFolder(tmp_path)
    status = run.status()
    assert status is not None and status.message == "96 people were looked at."
    ranks = run.ranks()
    assert ranks is not None
    metrics = load_checkpoint(tmp_path).metrics
    assert metrics is not None and metrics["test"]["HR@10"] == pytest.approx((ranks <= 10).mean())


def test_a_stop_while_people_are_looked_at_ends_a_finished_run(
    dataset: Dataset, tmp_path: Path
) -> None:
    def stop(phase: str) -> None:
        if phase == "surveying":
            os.kill(os.getpid(), signal.SIGINT)

    assert train(
        dataset, SHAPE, ONE_EPOCH, tmp_path,
        projection=False, facets=False, survey=True, on_phase=stop,
    )  # fmt: skip
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "finished"
    assert status.message.startswith("Nobody was looked at. It was stopped.")


def test_a_process_that_died_while_naming_had_finished(dataset: Dataset, tmp_path: Path) -> None:
    assert train(dataset, SHAPE, ONE_EPOCH, tmp_path, projection=False, facets=False)
    run = RunFolder(tmp_path)
    status = run.status()
    assert status is not None
    status.phase = "naming"
    run.write_status(status)
    found = run.status()
    assert found is not None and found.phase == "finished" and "ended without" in found.message


def test_default_training_config_validates() -> None:
    assert (
        TrainConfig().to_dict() == TrainConfig.from_mapping(TrainConfig().to_dict(), "x").to_dict()
    )
