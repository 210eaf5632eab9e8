"""The checkpoint folder: opened as it was written, or refused in one sentence."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from fame import checkpoint as folder_format
from fame import files
from fame.checkpoint import (
    Checkpoint,
    load_checkpoint,
    read_choice,
    read_description,
    write_choice,
    write_description,
    write_metrics,
    write_weights,
)
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import catalogue_hash
from fame.data.head_values import head_values
from fame.data.registry import SETS
from fame.errors import CheckpointError
from fame.files import file_hash
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from tests.tiny import TINY, cyclic_interactions, random_model, sealed

DATA = cyclic_interactions(people=12, num_items=9, length=7)
ITEMS = pd.DataFrame(
    {
        "item_id": DATA.item_ids[1:],
        "title": [f"Item number {item}" for item in range(1, 10)],
        "year": pd.array([1990, None, *range(1992, 1999)], dtype="Int64"),
        "genres": [["Drama"], [], *[["War", "Comedy"]] * 7],
    }
)
# Nothing at its default, so that a value taken from there would be another one.
SHAPE = replace(TINY, positions="relative", score="cosine", temperature=0.11, gate="uniform")
TRAINING = TrainConfig(epochs=3, samples="prefixes", learning_rate=0.02, negatives=4, seed=5)
FIGURES = {"test": {"HR@10": 0.25, "NDCG@10": 0.123456789012345}, "epochs": 3}
WRITTEN = ("config.json", "model.safetensors", "items.parquet", "metrics.json")


def weights_of(seed: int) -> dict[str, torch.Tensor]:
    return random_model(SHAPE, DATA.num_items, seed=seed, dtype=torch.float32).state_dict()


def describe(path: Path, training: TrainConfig = TRAINING) -> None:
    write_description(path, SHAPE, training, DATA, ITEMS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "original"
    describe(path)
    write_weights(path, weights_of(0))
    write_metrics(path, FIGURES)
    return path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def holds(loaded: Checkpoint, weights: dict[str, torch.Tensor]) -> bool:
    state = loaded.model.state_dict()
    return set(state) == set(weights) and all(torch.equal(state[k], weights[k]) for k in weights)


def same(loaded: Checkpoint, other: Checkpoint) -> bool:
    names = ("model_config", "train_config", "data", "code", "metrics", "weights_hash")
    return (
        all(getattr(loaded, name) == getattr(other, name) for name in names)
        and holds(loaded, other.model.state_dict())
        and loaded.items.equals(other.items)
    )


def config_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "config.json").read_text())


def places(document: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The place of every key in a document of tables."""
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


def table_of(document: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for key in place[:-1]:
        document = document[key]
    return document


def test_what_was_written_is_opened(original: Path) -> None:
    loaded = load_checkpoint(original)
    assert (loaded.model_config, loaded.train_config) == (SHAPE, TRAINING)
    assert holds(loaded, weights_of(0))
    assert loaded.metrics is not None and loaded.metrics["test"] == FIGURES["test"]
    assert loaded.items["train_count"].tolist() == DATA.train_counts[1:].tolist()
    assert loaded.data.catalogue == catalogue_hash(loaded.items) == catalogue_hash(ITEMS)


def test_every_key_is_required(original: Path, folder: Path) -> None:
    """Whether or not who took it away made the hash of the content anew."""
    whole = config_of(original)
    taken = list(places(whole))
    assert ("model", "score") in taken and ("training", "samples") in taken
    assert len(taken) > len(SHAPE.to_dict()) + len(TRAINING.to_dict()) + 10
    for place in taken:
        for write in (
            sealed,
            lambda file, document: file.write_text(json.dumps(document)),
        ):
            config = copy.deepcopy(whole)
            del table_of(config, place)[place[-1]]
            write(folder / "config.json", config)
            with pytest.raises(CheckpointError, match=r"config\.json"):
                load_checkpoint(folder)


WRONG = [None, True, -1, 2, 1.5, 10**400, 1e308, "", "x", "0" * 64, [], ["x"], {}, {"x": 1}]


def test_no_value_of_another_kind_is_taken(original: Path, folder: Path) -> None:
    """Every value in turn: it is refused, or it is what the checkpoint then says."""
    whole = config_of(original)
    opened = 0
    for place in places(whole):
        if place == ("sha256",):
            continue
        for value in WRONG:
            config = copy.deepcopy(whole)
            table_of(config, place)[place[-1]] = value
            sealed(folder / "config.json", config)
            (folder / "metrics.json").unlink(missing_ok=True)
            try:
                loaded = load_checkpoint(folder)
            except CheckpointError:
                continue
            opened += 1
            said = {
                **{("model", k): v for k, v in loaded.model_config.to_dict().items()},
                **{("training", k): v for k, v in loaded.train_config.to_dict().items()},
                **{("data", k): v for k, v in loaded.data.__dict__.items()},
                **{("versions", k): v for k, v in read_description(folder).versions.items()},
                ("code",): loaded.code,
                ("format",): folder_format.FORMAT,
            }
            assert said[place] == value and type(value) is not bool, (place, value)
    assert 0 < opened < 100  # a dropout of 1.5 is refused, a weight decay of 1.5 is not


@pytest.mark.parametrize("name", WRITTEN)
def test_no_flipped_bit_opens_as_something_else(original: Path, folder: Path, name: str) -> None:
    whole, expected = (original / name).read_bytes(), load_checkpoint(original)
    rng = np.random.default_rng(WRITTEN.index(name))
    opened = 0
    flips = 60
    for position in rng.integers(len(whole), size=flips):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(damaged)
        try:
            loaded = load_checkpoint(folder)
        except CheckpointError as error:
            assert name in str(error) and "\n" not in str(error).strip()
        else:
            opened += 1
            assert same(loaded, expected), position
    # White space between the fields of JSON means nothing; in the other files every bit counts.
    assert opened < flips / 5 if name.endswith(".json") else not opened


def vouched_for(folder: Path) -> None:
    """Makes the hashes fit what lies there, so that what is behind them can be seen."""
    config = config_of(folder)
    config["files"] = {name: [file_hash(folder / name)] for name in config["files"]}
    sealed(folder / "config.json", config)
    (folder / "metrics.json").unlink()


def test_weights_of_another_precision_are_not_cast_in_silence(folder: Path) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        state = {name: tensor.to(dtype) for name, tensor in weights_of(0).items()}
        write_weights(folder, state)
        with pytest.raises(CheckpointError, match=f"holds {dtype}, but .* torch.float32"):
            load_checkpoint(folder)


def _other_shape(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    name = next(iter(state))
    save_file({**state, name: state[name].new_zeros(3)}, folder / "model.safetensors")


def _not_finite(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    next(iter(state.values())).fill_(torch.nan)
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "items.parquet").write_bytes(b"PAR1"), "not readable as Parquet"),
        (lambda f: ITEMS.to_parquet(f / "items.parquet"), "no column 'train_count'"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 40), "is damaged"),
        (_other_shape, r"has shape \(3,\)"),
        (_not_finite, "not finite"),
    ],
)
def test_files_are_looked_into_even_where_their_hashes_fit(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    vouched_for(folder)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


def test_figures_belong_to_weights_and_configuration(
    original: Path, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    describe(other, replace(TRAINING, epochs=4))
    write_weights(other, weights_of(0))
    write_metrics(other, FIGURES)
    shutil.copy2(other / "metrics.json", folder / "metrics.json")
    with pytest.raises(CheckpointError, match=r"metrics\.json holds .* other configuration"):
        load_checkpoint(folder)
    write_weights(folder, weights_of(1))
    shutil.copy2(original / "metrics.json", folder / "metrics.json")
    with pytest.raises(CheckpointError, match=r"metrics\.json holds .* other weights"):
        load_checkpoint(folder)
    (folder / "metrics.json").unlink()
    assert load_checkpoint(folder).metrics is None


def test_figures_go_with_the_weights_they_are_of(folder: Path) -> None:
    describe(folder)  # resumed as it was
    assert load_checkpoint(folder).metrics is not None
    write_weights(folder, weights_of(1))
    loaded = load_checkpoint(folder)
    assert loaded.metrics is None and holds(loaded, weights_of(1))


def test_a_run_that_is_resumed_with_other_settings_keeps_its_weights(folder: Path) -> None:
    before = (folder / "items.parquet").stat().st_ino
    describe(folder, replace(TRAINING, epochs=9))
    loaded = load_checkpoint(folder)
    assert loaded.train_config.epochs == 9 and holds(loaded, weights_of(0))
    assert loaded.metrics is None
    assert (folder / "items.parquet").stat().st_ino == before


def test_weights_of_another_data_set_are_not_vouched_for(folder: Path) -> None:
    write_description(
        folder, SHAPE, TRAINING, DATA, ITEMS.assign(title=ITEMS["title"][::-1].values)
    )
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged, was changed"):
        load_checkpoint(folder)


class Killed(BaseException):
    """What stops a process between two writes."""


@pytest.mark.parametrize("survives", range(8))
def test_a_crash_between_any_two_writes_leaves_a_folder_that_opens(
    folder: Path, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    left = survives
    rename = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return rename(self, target)

    def go_on() -> None:
        describe(folder, replace(TRAINING, epochs=9))
        write_weights(folder, weights_of(1))
        write_metrics(folder, FIGURES)
        write_weights(folder, weights_of(2))

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with pytest.raises(Killed):
        go_on()
    monkeypatch.undo()
    loaded = load_checkpoint(folder)
    # One write of describe, three of each weights, one of the figures.
    expected = 0 if survives < 3 else 1 if survives < 7 else 2
    if survives != 6:  # the weights of 2 are announced, and those of 1 still lie there
        assert holds(loaded, weights_of(expected)), survives
    go_on()
    assert holds(load_checkpoint(folder), weights_of(2))
    assert config_of(folder)["files"]["model.safetensors"] == [
        file_hash(folder / "model.safetensors")
    ]


def test_weights_that_are_replaced_while_a_folder_is_read_are_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 2
    read = folder_format.read_items

    def replaced_meanwhile(file: Path) -> pd.DataFrame:
        nonlocal times
        if times:
            times -= 1
            write_weights(folder, weights_of(3 + times))
        return read(file)

    monkeypatch.setattr(folder_format, "read_items", replaced_meanwhile)
    loaded = load_checkpoint(folder)
    assert not times and holds(loaded, weights_of(3)) and loaded.metrics is None


def as_format_2(folder: Path) -> dict[str, Any]:
    """What a checkpoint of format 2 was: ``start_facets`` went by another name."""
    config = config_of(folder)
    config["format"] = 2
    config["training"]["head_facets"] = config["training"].pop("start_facets")
    for key in [key for since, new in ADDED_SETTINGS.items() if since > 2 for key in new]:
        del config["model" if key in config["model"] else "training"][key]
    sections = {name: config[name] for name in ("model", "training", "data")}
    plain = json.dumps(sections, sort_keys=True, separators=(",", ":"))
    stated = hashlib.sha256(plain.encode()).hexdigest()
    metrics = json.loads((folder / "metrics.json").read_text())
    sealed(folder / "metrics.json", {**metrics, "configuration": stated})
    sealed(folder / "config.json", config)
    return config


def as_format_1(folder: Path) -> dict[str, Any]:
    """What a checkpoint of format 1 was: no hashes, no version of the code, no repeats."""
    config = as_format_2(folder)
    for key in ("code", "files", "sha256"):
        del config[key]
    for key in ("repeats", "catalogue"):
        del config["data"][key]
    config["format"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    metrics = json.loads((folder / "metrics.json").read_text())
    for key in ("configuration", "sha256"):
        del metrics[key]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return config


def test_format_1_opens_with_what_it_lacked_and_nothing_else(original: Path, folder: Path) -> None:
    config = as_format_1(folder)
    loaded, expected = load_checkpoint(folder), load_checkpoint(original)
    assert loaded.metrics is not None and loaded.metrics["test"] == FIGURES["test"]
    assert same(replace(loaded, metrics=None), replace(expected, metrics=None))
    # It left figures lying when a run went on to other weights.
    metrics = {**FIGURES, "weights": "0" * 64}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert load_checkpoint(folder).metrics is None
    for section, key in (("model", "score"), ("training", "samples"), ("data", "filters")):
        less = copy.deepcopy(config)
        del less[section][key]
        (folder / "config.json").write_text(json.dumps(less))
        with pytest.raises(CheckpointError, match=f"no key '{key}'"):
            load_checkpoint(folder)


def test_format_2_opens_with_the_name_of_today_and_the_same_values(folder: Path) -> None:
    describe(folder, replace(TRAINING, item_start="catalogue", start_facets="title/year"))
    write_metrics(folder, FIGURES)
    expected = load_checkpoint(folder)
    config = as_format_2(folder)
    loaded = load_checkpoint(folder)
    assert loaded.train_config.start_facets == "title/year"
    assert loaded.metrics is not None and loaded.metrics["test"] == FIGURES["test"]
    assert same(replace(loaded, metrics=None), replace(expected, metrics=None))
    for names in (["start_facets"], [], ["head_facets", "start_facets"]):
        other = copy.deepcopy(config)
        value = other["training"].pop("head_facets")
        other["training"] |= dict.fromkeys(names, value)
        sealed(folder / "config.json", other)
        with pytest.raises(CheckpointError, match=r"(no|unknown) key '(head|start)_facets'"):
            load_checkpoint(folder)


def test_a_run_of_format_1_that_goes_on_has_the_present_one(folder: Path) -> None:
    as_format_1(folder)
    describe(folder)
    assert config_of(folder)["format"] == folder_format.FORMAT
    loaded = load_checkpoint(folder)
    assert holds(loaded, weights_of(0)) and loaded.metrics is None


def test_a_setting_added_later_has_its_stated_value_and_no_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(folder)
    del config["model"]["temperature"]
    sealed(folder / "config.json", config)
    (folder / "metrics.json").unlink()
    later = config["format"] + 1
    monkeypatch.setattr(folder_format, "FORMAT", later)
    monkeypatch.setattr(folder_format, "ADDED_SETTINGS", {later: {"temperature": 0.5}})
    assert ModelConfig().temperature != 0.5
    assert load_checkpoint(folder).model_config.temperature == 0.5
    write_weights(folder, weights_of(1))  # which writes the present format
    assert config_of(folder)["model"]["temperature"] == 0.5
    config["format"] = later  # of which it is one of the keys
    sealed(folder / "config.json", config)
    with pytest.raises(CheckpointError, match="no key 'temperature'"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "text",
    ['{"format": 2, "format": 2}', '{"format": NaN}', "9" * 5000, "[" * 100_000, '{"a": 1e999}'],
)
def test_json_that_is_none_is_one_sentence(folder: Path, text: str) -> None:
    for name in ("config.json", "metrics.json"):
        kept = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(folder)
        (folder / name).write_text(kept)


def test_nothing_is_left_over_beside_what_was_written(original: Path) -> None:
    assert {file.name for file in original.iterdir()} == set(WRITTEN)
    assert files.read_json(original / "config.json") == config_of(original)


def test_what_is_half_written_has_the_name_by_which_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is written by way of two temporary ones: nobody would look for the second."""
    half: set[Path] = set()
    replace_file = Path.replace

    def seen(self: Path, target: Path) -> Path:
        half.update(path for path in tmp_path.rglob("*.tmp") if path != self)
        half.add(self)
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", seen)
    write_description(tmp_path, VALUED, TRAINING, DATA, VALUED_ITEMS)
    monkeypatch.undo()
    assert len(half) >= 3
    for path in half:
        path.touch()
    for name in ("config.json", "items.parquet", "values.json"):
        files.drop_unfinished(tmp_path / name)
    assert not list(tmp_path.rglob("*.tmp"))


# --- items made of values ---------------------------------------------------------------------

VALUED = replace(TINY, width=9, heads=3, head_facets="genres/year/", own_bound=0.4)
VALUED_ITEMS = ITEMS.assign(year=pd.array([1990, None, *[1990] * 3, *[2001] * 4], dtype="Int64"))
INDEX_TENSORS = ("values.value", "values.start")


@pytest.fixture
def valued(tmp_path: Path) -> Path:
    path = tmp_path / "valued"
    write_description(path, VALUED, TRAINING, DATA, VALUED_ITEMS)
    made = head_values(ItemAttributes.of(VALUED_ITEMS), VALUED.facet_shares, DATA.num_items)
    index = ValueIndex.of(made.counts, made.value, made.start)
    write_weights(path, build_model(VALUED, DATA.num_items, index).state_dict())
    write_metrics(path, FIGURES)
    return path


def renamed(path: Path, heads: Any, key: str = "heads") -> None:
    """Other names, and a ``config.json`` that vouches for them."""
    (path / "values.json").write_text(json.dumps({key: heads}))
    config = config_of(path)
    config["files"]["values.json"] = [file_hash(path / "values.json")]
    sealed(path / "config.json", config)


def test_names_and_index_of_values_are_opened_as_they_were_written(valued: Path) -> None:
    loaded = load_checkpoint(valued)
    assert {file.name for file in valued.iterdir()} == {*WRITTEN, "values.json"}
    genres, years, free = loaded.value_names
    assert genres == ("genres=Comedy", "genres=Drama", "genres=War") and not free
    assert loaded.model.values is not None
    own = loaded.model.values.index.values_of(1)
    names = [*genres, *years]
    assert [[names[value] for value in values] for values in own] == [
        ["genres=Drama"],
        ["year=1990", "year=1990s"],
        [],
    ]
    assert not any(loaded.model.values.index.values_of(2))
    assert all(loaded.model.state_dict()[name].dtype == torch.int32 for name in INDEX_TENSORS)
    plain = config_of(valued)
    assert set(plain["files"]) == {"model.safetensors", "items.parquet", "values.json"}
    assert plain["model"]["head_facets"] == "genres/year/" and plain["model"]["own_bound"] == 0.4


def test_an_index_that_does_not_fit_is_refused_in_one_sentence(valued: Path) -> None:
    state = load_file(valued / "model.safetensors")
    value, start = (state[name] for name in INDEX_TENSORS)
    wrong = {
        "which its head does not": {"value": value.clone().index_fill(0, torch.tensor([0]), 99)},
        "of torch.int64": {"value": value.long()},
        "do not cut": {"value": value[:-1].clone()},
        "sets of values": {"start": start[:-1].clone()},
        "a value twice": {"value": value.index_fill(0, torch.tensor([1, 2]), int(value[1]))},
    }
    for message, tensors in wrong.items():
        write_weights(valued, state | {f"values.{name}": other for name, other in tensors.items()})
        with pytest.raises(CheckpointError, match=rf"index of values does not fit.*{message}"):
            load_checkpoint(valued)
    del state["values.start"]
    write_weights(valued, state)
    with pytest.raises(CheckpointError, match=r"has no tensor 'values\.start'"):
        load_checkpoint(valued)


def test_names_that_do_not_fit_are_refused_in_one_sentence(valued: Path) -> None:
    heads = json.loads((valued / "values.json").read_text())["heads"]
    (valued / "values.json").write_text(json.dumps({"heads": heads[::-1]}))
    with pytest.raises(CheckpointError, match=r"values\.json is damaged, was changed"):
        load_checkpoint(valued)
    for other in (
        heads[:2],
        "genres",
        [heads[0], heads[1], ["x"]],
        [[], heads[1], []],
        [[*heads[0], heads[0][0]], heads[1], []],
        [[1, 2, 3], heads[1], []],
    ):
        renamed(valued, other)
        with pytest.raises(CheckpointError, match=r"values\.json, field 'heads' must be"):
            load_checkpoint(valued)
    renamed(valued, heads, key="names")
    with pytest.raises(CheckpointError, match=r"values\.json has (no|the unknown) key"):
        load_checkpoint(valued)
    renamed(valued, [[*heads[0], "genres=Western"], heads[1], []])
    with pytest.raises(CheckpointError, match="does not fit"):  # other numbers than the index has
        load_checkpoint(valued)
    (valued / "values.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no values\.json"):
        load_checkpoint(valued)


def test_a_checkpoint_without_values_vouches_for_none(folder: Path) -> None:
    config = config_of(folder)
    config["files"]["values.json"] = ["0" * 64]
    sealed(folder / "config.json", config)
    with pytest.raises(CheckpointError, match="field 'files'"):
        load_checkpoint(folder)


def test_what_was_chosen_is_read_as_it_was_written_or_not_at_all(folder: Path) -> None:
    assert read_choice(folder) is None
    choice = {"settings": {"width": 8}, "given": {}, "why": "So.", "like": "beauty", "columns": []}
    write_choice(folder, choice)
    assert read_choice(folder) == choice
    written = (folder / "choice.json").read_text()
    (folder / "choice.json").write_text(written.replace("So.", "No."))
    with pytest.raises(CheckpointError, match=r"choice\.json was changed or damaged"):
        read_choice(folder)
    for other, message in (
        ({**choice, "more": 1}, "the unknown key 'more'"),
        ({key: choice[key] for key in choice if key != "why"}, "no key 'why'"),
        ({**choice, "settings": []}, "field 'settings' must be a table, not"),
    ):
        write_choice(folder, other)
        with pytest.raises(CheckpointError, match=message):
            read_choice(folder)


SHIPPED = [
    path
    for name in (*SETS, "ml-100k-paper")
    if (path := Path(__file__).resolve().parents[2] / "checkpoints" / name).is_dir()
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_checkpoints_are_of_the_present_format_and_whole(path: Path) -> None:
    assert config_of(path)["format"] == folder_format.FORMAT
    loaded = load_checkpoint(path)
    assert loaded.metrics is not None
    assert loaded.data.catalogue == catalogue_hash(loaded.items)
