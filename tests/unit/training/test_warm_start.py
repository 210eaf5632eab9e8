"""Training that starts from a trained model: what goes over, by which name, and what is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import fame
from fame.checkpoint import Checkpoint, load_checkpoint, read_start
from fame.cli import app
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.head_values import HeadValues, head_values
from fame.data.sequences import Interactions
from fame.errors import FameError
from fame.evaluate import evaluate
from fame.models.item_values import ValueIndex
from fame.models.registry import made_of_values
from fame.models.sequence_model import SequenceModel
from fame.training import train as training
from fame.training.loop import Interrupted, new_state
from fame.training.train import train
from fame.training.warm_start import Start, TakenOver, check_start, take_over

ITEMS, PEOPLE = 12, 30
PLAIN = ModelConfig(width=12, heads=3, experts=2, layers=2, max_length=6, dropout=0.1)
VALUED = dataclasses.replace(PLAIN, head_facets="kind,maker/kind/")
EVERY = pytest.mark.parametrize("config", [PLAIN, VALUED], ids=["plain", "made of values"])
TRAIN = TrainConfig(
    epochs=2, batch_size=8, learning_rate=0.02, patience=0, device="cpu", negatives=0
)
QUICK = {"projection": False, "facets": False}


def dataset_of(names: list[str], *, new: list[str] | None = None, name: str = "shop") -> Dataset:
    """Everybody clicks round the items; ``names`` gives their ids in the order of their numbers.

    Ids that stand for one item, such as ``item-3``, mean it wherever they stand.
    """
    new = new or []
    number = {item: place for place, item in enumerate(names, 1)}
    own = [f"item-{item}" for item in range(ITEMS)]
    rows = [
        [number[own[(user + 5 * step) % ITEMS]] for step in range(5 + user % 4)]
        for user in range(PEOPLE)
    ]
    for user, item in enumerate(new):
        rows[user].append(number[item])
    lengths = [len(row) for row in rows]
    data = Interactions(
        name=name,
        user_ids=np.array([f"u{user}" for user in range(PEOPLE)], dtype=object),
        item_ids=np.array(["", *names], dtype=object),
        items=np.concatenate(rows).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
    )
    place = [int(item.rsplit("-", 1)[1]) for item in names]
    catalogue = pd.DataFrame(
        {
            "item_id": pd.array(names, dtype="string"),
            "title": pd.array([f"Title {item}" for item in names], dtype="string"),
            "kind": pd.array([f"kind {one % 3}" for one in place], dtype="string"),
            "maker": pd.array([f"maker {one % 4}" for one in place], dtype="string"),
        }
    )
    return Dataset(data, catalogue, "made up")


OWN = [f"item-{item}" for item in range(ITEMS)]
PERMUTED = [OWN[place] for place in np.random.default_rng(4).permutation(ITEMS)]
GROWN = ["item-100", *OWN[:5], "item-13", *OWN[5:]]  # new ones first and between


def started(config: ModelConfig, folder: Path) -> Checkpoint:
    train(dataset_of(OWN), config, TRAIN, folder, **QUICK)
    return load_checkpoint(folder)


def values_of(dataset: Dataset, config: ModelConfig) -> HeadValues | None:
    if not made_of_values(config):
        return None
    items = dataset.interactions.num_items
    return head_values(ItemAttributes.of(dataset.items), config.facet_shares, items)


def warm(checkpoint: Checkpoint, dataset: Dataset) -> tuple[SequenceModel, TakenOver]:
    """A model for a data set as training has it before its first step."""
    config = checkpoint.model_config
    made = values_of(dataset, config)
    index = None if made is None else ValueIndex.of(made.counts, made.value, made.start)
    names = () if made is None else made.names
    ids = dataset.interactions.item_ids[1:].tolist()
    told: list[TakenOver] = []
    state = new_state(
        config,
        dataclasses.replace(TRAIN, seed=7),
        len(ids),
        torch.device("cpu"),
        values=index,
        take_over=lambda model: told.append(take_over(model, checkpoint, ids, names)),
    )
    return state.model.eval(), told[0]


@EVERY
@pytest.mark.parametrize("names", [OWN, PERMUTED], ids=["the same", "permuted"])
def test_a_start_ranks_as_what_it_started_from(
    tmp_path: Path, config: ModelConfig, names: list[str]
) -> None:
    checkpoint = started(config, tmp_path / "first")
    dataset = dataset_of(names)
    model, taken = warm(checkpoint, dataset)
    assert (taken.items, taken.new_items, taken.left_items) == (ITEMS, 0, 0)
    assert (taken.values, taken.new_values, taken.left_values) == (
        sum(map(len, checkpoint.value_names)),
        0,
        0,
    )
    assert checkpoint.metrics is not None
    own = evaluate(model, dataset.interactions, "valid")
    # Sums of values come in another order, and equal scores are ties against the target.
    for figure in ("NDCG@10", "HR@5", "MRR"):
        assert abs(own[figure] - checkpoint.metrics["valid"][figure]) < 1e-6
    cold = new_state(
        checkpoint.model_config,
        TRAIN,
        ITEMS,
        torch.device("cpu"),
        values=None if (made := values_of(dataset, config)) is None else index_of(made),
    )
    assert abs(evaluate(cold.model, dataset.interactions, "valid")["MRR"] - own["MRR"]) > 0.01


def index_of(made: HeadValues) -> ValueIndex:
    return ValueIndex.of(made.counts, made.value, made.start)


@EVERY
def test_new_items_move_nothing_of_known_ones(tmp_path: Path, config: ModelConfig) -> None:
    checkpoint = started(config, tmp_path / "first")
    dataset = dataset_of(GROWN, new=["item-100", "item-13"])
    model, taken = warm(checkpoint, dataset)
    assert (taken.items, taken.new_items, taken.left_items) == (ITEMS, 2, 0)
    rows = [GROWN.index(item) + 1 for item in OWN]
    theirs, own = checkpoint.model.state_dict(), model.state_dict()
    embedding = "item_embedding.weight"
    assert torch.equal(own[embedding][rows], theirs[embedding][1:])
    assert torch.equal(model.item_vectors()[rows], checkpoint.model.item_vectors()[1:])
    assert torch.equal(own[embedding][0], torch.zeros(config.width))
    for name in theirs.keys() - {embedding, "values.value", "values.start"}:
        assert torch.equal(own[name], theirs[name]), name
    new = own[embedding][[1, 7]]
    assert bool((new != 0).all()), "new items start as in any training"
    if config is VALUED:  # .. from their values, in named heads
        # item-100 is of kind 1 and of maker 0, as item-4 is; their values' parts are the same.
        assert model.values is not None
        vectors = torch.zeros_like(own[embedding])
        alone = model.values.compose(vectors)
        assert torch.equal(alone[1], alone[GROWN.index("item-4") + 1])


def test_values_go_over_by_head_and_name(tmp_path: Path) -> None:
    checkpoint = started(VALUED, tmp_path / "first")
    dataset = dataset_of(OWN)
    kinds = dataset.items["kind"].replace({"kind 0": "new kind"})
    dataset = dataclasses.replace(dataset, items=dataset.items.assign(kind=kinds))
    model, taken = warm(checkpoint, dataset)
    assert (taken.values, taken.new_values, taken.left_values) == (2 * 2 + 4, 2, 2)
    made = values_of(dataset, VALUED)
    assert made is not None
    names = [(head, name) for head, own in enumerate(made.names) for name in own]
    theirs = [(head, name) for head, own in enumerate(checkpoint.value_names) for name in own]
    vectors = model.state_dict()["values.vectors"]
    before = checkpoint.model.state_dict()["values.vectors"]
    assert names.index((0, "kind=kind 1")) != theirs.index((0, "kind=kind 1"))
    for row, named in enumerate(names):
        same = named in theirs and torch.equal(vectors[row], before[theirs.index(named)])
        assert same == ("new" not in named[1]), named


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 24}, r"width=24 and cannot start from 'first', which has width=12"),
        ({"heads": 2}, r"heads=2 and cannot start from 'first', which has heads=3"),
        ({"max_length": 7}, "max_length=7"),
        ({"model": "sasrec"}, "model='sasrec'.*model='fame'"),
        ({"score": "cosine"}, "score='cosine'"),
    ],
)
def test_a_model_of_another_configuration_is_refused(
    tmp_path: Path, change: dict, words: str
) -> None:
    checkpoint = started(PLAIN, tmp_path / "first")
    other = dataclasses.replace(PLAIN, **change)
    out = tmp_path / "second"
    with pytest.raises(FameError, match=words):
        train(dataset_of(OWN), other, TRAIN, out, start=Start(checkpoint), **QUICK)
    assert not out.exists()
    check_start(checkpoint, dataclasses.replace(PLAIN, dropout=0.3), out)


def test_a_set_of_other_items_is_refused(tmp_path: Path) -> None:
    checkpoint = started(PLAIN, tmp_path / "first")
    with pytest.raises(FameError, match="knows none of the 12 items"):
        take_over(checkpoint.model, checkpoint, [f"other-{item}" for item in range(ITEMS)])


@EVERY
def test_it_is_written_into_the_checkpoint(tmp_path: Path, config: ModelConfig) -> None:
    from fame.experiments.model_card import render_card

    checkpoint = started(config, tmp_path / "first")
    dataset = dataset_of(GROWN, new=["item-100", "item-13"])
    given = {"epochs": 1, "learning_rate": 0.001}
    settings = dataclasses.replace(TRAIN, **given)
    start = Start(checkpoint, given)
    out = tmp_path / "second"
    train(dataset, config, settings, out, start=start, card=render_card, **QUICK)
    kept = read_start(out)
    assert kept is not None
    assert (kept["name"], kept["weights"]) == ("first", checkpoint.weights_hash)
    assert kept["data"] == checkpoint.data.fingerprint != load_checkpoint(out).data.fingerprint
    _, taken = warm(checkpoint, dataset)
    assert kept["taken_over"] == dataclasses.asdict(taken)
    card = (out / "README.md").read_text()
    assert "Training started from first" in card
    assert "12 items" in card
    assert "2 items were new" in card
    assert "--from checkpoints/first --epochs 1 --set learning_rate=0.001" in card
    log = (out / "train.log").read_text()
    assert f"Started from first: 12 items and {taken.values} values taken over, 2 and 0 new" in log
    assert read_start(tmp_path / "first") is None


def test_what_training_makes_worse_is_not_kept(tmp_path: Path) -> None:
    """The start is validated first, and stays the best where no epoch is better."""
    from fame.experiments.model_card import render_card

    checkpoint = started(PLAIN, tmp_path / "first")
    wild = dataclasses.replace(TRAIN, learning_rate=0.9, epochs=1)
    out = tmp_path / "second"
    train(dataset_of(OWN), PLAIN, wild, out, start=Start(checkpoint), card=render_card, **QUICK)
    kept = load_checkpoint(out)
    assert kept.metrics is not None
    assert kept.metrics["best_epoch"] == 0
    assert kept.weights_hash == checkpoint.weights_hash
    assert checkpoint.metrics is not None
    start = read_start(out)
    assert start is not None
    assert start["valid"]["NDCG@10"] == checkpoint.metrics["valid"]["NDCG@10"]
    assert "No epoch was better, so these are its weights." in (out / "README.md").read_text()


def test_a_run_that_goes_on_has_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = started(PLAIN, tmp_path / "first")
    dataset, out = dataset_of(OWN), tmp_path / "second"
    start = Start(checkpoint)

    def interrupted(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr("fame.training.loop._train_epoch", interrupted)
        assert not train(dataset, PLAIN, TRAIN, out, start=start, **QUICK)
    # No epoch had ended: to begin again without what it began from would be another training.
    with pytest.raises(FameError, match="say with --from which one"):
        train(dataset, PLAIN, TRAIN, out, resume=True, **QUICK)
    original = training.fit

    def one_epoch(state, data, config, **rest):  # type: ignore[no-untyped-def]
        rest["should_stop"] = lambda: state.epoch > 0
        return original(state, data, config, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(training, "fit", one_epoch)
        assert not train(dataset, PLAIN, TRAIN, out, resume=True, start=start, **QUICK)
    with pytest.raises(FameError, match="leave --from away"):
        train(dataset, PLAIN, TRAIN, out, resume=True, start=start, **QUICK)
    assert train(dataset, PLAIN, TRAIN, out, resume=True, **QUICK)
    whole = tmp_path / "whole"
    train(dataset, PLAIN, TRAIN, whole, start=start, **QUICK)
    assert load_checkpoint(out).weights_hash == load_checkpoint(whole).weights_hash


def test_the_commands_take_the_settings_of_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(PLAIN, tmp_path / "first")
    dataset = dataset_of(GROWN, new=["item-100", "item-13"])
    monkeypatch.setattr("fame.data.load", lambda *_, **__: dataset)
    arguments = ["train", "--data", "shop", "--from", str(tmp_path / "first")]
    quick = ["--no-projection", "--no-facets", "--epochs", "1"]
    runner = CliRunner()
    out = tmp_path / "second"
    done = runner.invoke(app, [*arguments, "--out", str(out), *quick])
    assert done.exit_code == 0, done.stderr
    described = json.loads((out / "config.json").read_text())
    assert ModelConfig.from_mapping(described["model"], "config.json") == PLAIN
    assert described["training"]["learning_rate"] == TRAIN.learning_rate
    refused = runner.invoke(
        app, [*arguments, "--out", str(tmp_path / "third"), "--set", "width=24", *quick]
    )
    assert refused.exit_code == 2
    assert "has width=24 and cannot start from 'first', which has width=12" in refused.stderr
    model = fame.train(dataset, tmp_path / "fourth", start=tmp_path / "first", epochs=1)
    assert model.checkpoint.model_config == PLAIN
    assert (read_start(tmp_path / "fourth") or {})["given"] == {"epochs": 1}
