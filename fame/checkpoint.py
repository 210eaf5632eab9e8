"""The checkpoint folder: safetensors, Parquet and JSON, nothing that is unpickled.

``config.json``        configurations, data, package versions, format, hashes of three files below
``model.safetensors``  the weights
``items.parquet``      item id, title, facet columns, training count; row i is item index i + 1
``metrics.json``       figures with their protocol, for exactly these weights and configurations
``values.json``        where items are made of values: the names of each head's values
``choice.json``        where the data set had no recipe: what was chosen for it, and why
``start.json``         where training started from another checkpoint: from which, and its figures
``projection.parquet`` UMAP of every head's sub-embeddings and of the whole embedding
``people.json``        people worth showing: user ids and figures (:mod:`fame.survey`)
``faithfulness.json``  whether explanations hold, over many people (:mod:`fame.survey`)
``facets.json``        which heads are facets, and what they may be called (:mod:`fame.survey`)
``names.json``         what a person called the heads (:mod:`fame.head_names`)
``README.md``          the model card

What is opened is what was written, or nothing. ``config.json`` and ``metrics.json`` hold the
SHA-256 of their own content under ``sha256``; ``config.json`` those of weights, catalogue and names
of values under ``files``; ``metrics.json`` names the weights and the configurations that its
figures belong to. That finds damage and files of different checkpoints, and an edit by hand; it is
no signature.

A folder opens at every moment of a training, and after a crash at any moment: before a file is
replaced ``config.json`` names the hashes of the old and of the new one, and afterwards that of the
new one alone.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import fame
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import catalogue_hash, read_items
from fame.data.head_values import head_values
from fame.data.sequences import Interactions, Repeats
from fame.errors import CheckpointError, ConfigError
from fame.files import file_hash, json_text, read_json, replacing, write_json
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model, made_of_values
from fame.models.sequence_model import SequenceModel

FORMAT = 5
CONFIG, WEIGHTS, ITEMS = "config.json", "model.safetensors", "items.parquet"
METRICS, CARD, VALUES = "metrics.json", "README.md", "values.json"
CHOICE, START = "choice.json", "start.json"
_CHOICE_FIELDS = {"settings": dict, "given": dict, "why": str, "like": str, "columns": list}
# What was it called, whose weights and data, what was set otherwise, what went over, its figures.
_START_FIELDS = {
    **{"name": str, "weights": str, "data": str},
    **{"given": dict, "taken_over": dict, "valid": dict},
}
_SEAL = "sha256"  # under which a JSON file holds the hash of the rest of its content
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTEMPTS = 5  # to read a folder of which a training replaces a file meanwhile

AnyConfig = TypeVar("AnyConfig", ModelConfig, TrainConfig)


@dataclass(frozen=True)
class DataInfo:
    """What a checkpoint remembers of the data it was trained on; never the histories.

    ``fingerprint`` is the hash of the histories (:attr:`fame.data.sequences.Interactions`),
    ``catalogue`` that of the items (:func:`fame.data.catalogue.catalogue_hash`).
    """

    name: str
    fingerprint: str
    filters: str
    users: int
    items: int
    interactions: int
    repeats: Repeats
    catalogue: str

    @classmethod
    def of(cls, data: Interactions, items: pd.DataFrame) -> DataInfo:
        return cls(
            name=data.name,
            fingerprint=data.fingerprint,
            filters=data.filters,
            users=len(data),
            items=data.num_items,
            interactions=len(data.items),
            repeats=data.repeats,
            catalogue=catalogue_hash(items),
        )


@dataclass(frozen=True)
class Description:
    """What ``config.json`` says.

    Attributes:
        code: :data:`fame.CODE_VERSION` of the code that trains or trained.
        versions: Of the packages.
        files: The SHA-256 that weights and catalogue may have: none before the file is there, one,
            or two for the moment in which it is replaced.
        format: As stored; older ones are brought up when they are read.
        stated: SHA-256 of the configurations and the data as they stand in the file.
    """

    model_config: ModelConfig
    train_config: TrainConfig
    data: DataInfo
    code: int
    versions: dict[str, str]
    files: dict[str, list[str]]
    format: int
    stated: str


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint; the model is in eval mode and must not be changed (it may be shared).

    Attributes:
        items: The catalogue; row i is item index i + 1.
        value_names: ``[H]`` the names of each head's values, in the order of their numbers in the
            model's index; empty where items are not made of values.
        code: :data:`fame.CODE_VERSION` of the code that trained it.
        metrics: ``metrics.json``; ``None`` where there are no figures of these weights.
        hash: SHA-256 over weights and configuration.
        weights_hash: SHA-256 of the weights' file.
        known_as: What it is called; ``None`` where its folder's name says it.
    """

    path: Path
    model: SequenceModel
    model_config: ModelConfig
    train_config: TrainConfig
    data: DataInfo
    code: int
    items: pd.DataFrame
    value_names: tuple[tuple[str, ...], ...]
    metrics: dict[str, Any] | None
    hash: str
    weights_hash: str
    known_as: str | None = None

    @property
    def name(self) -> str:
        return self.known_as or self.path.name

    def item_index(self, item_id: str) -> int:
        """Index of an item id; ``CheckpointError`` where the catalogue has no such item."""
        matches = np.flatnonzero(self.items["item_id"].to_numpy() == str(item_id))
        if not len(matches):
            raise CheckpointError(
                f"Checkpoint {self.name!r} has no item {str(item_id)!r} among its "
                f"{len(self.items):,} items; ids look like {self.items['item_id'].iloc[0]!r}."
            )
        return int(matches[0]) + 1

    def check_catalogue(self, data: Interactions) -> None:
        """``CheckpointError`` unless ``data`` has exactly this checkpoint's items, in order."""
        if self.items["item_id"].tolist() != data.item_ids[1:].tolist():
            raise CheckpointError(
                f"Checkpoint {self.name!r} was trained on the {self.data.items:,} items of "
                f"{self.data.name!r}, and data set {data.name!r} has another catalogue "
                f"({data.num_items:,} items); choose the data set it was trained on."
            )


def is_checkpoint(path: Path) -> bool:
    """Whether a folder holds all that :func:`load_checkpoint` needs."""
    return all((path / name).is_file() for name in (CONFIG, WEIGHTS, ITEMS))


def is_own_folder(path: Path) -> bool:
    """Whether a folder without our mark holds a run or a checkpoint of ours: by its description."""
    try:
        read_description(path)
    except CheckpointError:
        return False
    return True


def list_checkpoints(root: Path) -> list[Path]:
    """The checkpoint folders directly under ``root``, by name."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if is_checkpoint(path))


def write_description(
    path: Path,
    model_config: ModelConfig,
    train_config: TrainConfig,
    data: Interactions,
    items: pd.DataFrame,
) -> None:
    """Writes ``config.json``, ``items.parquet`` and ``values.json``: all but the weights.

    What lies there already of the same data, where a run is resumed, stays; figures of other
    configurations go.
    """
    info = DataInfo.of(data, items)
    held = read_description(path) if (path / CONFIG).is_file() else None
    resumed = held is not None and (held.data.fingerprint, held.data.catalogue) == (
        info.fingerprint,
        info.catalogue,
    )
    names = vouched_files(model_config)
    sections = _sections(model_config, train_config, info)
    description = Description(
        model_config=model_config,
        train_config=train_config,
        data=info,
        code=fame.CODE_VERSION,
        versions=_versions(),
        files={name: held.files.get(name, []) if held and resumed else [] for name in names},
        format=FORMAT,
        stated=_content_hash(sections),
    )
    if held is None or held.stated != description.stated:
        (path / METRICS).unlink(missing_ok=True)
    _write_config(path, description)
    if not resumed:
        with _vouched(path, ITEMS) as temporary:
            items.assign(train_count=data.train_counts[1:]).to_parquet(temporary, index=False)
    if VALUES in names:
        made = head_values(ItemAttributes.of(items), model_config.facet_shares, data.num_items)
        with _vouched(path, VALUES) as temporary:
            temporary.write_text(json_text({"heads": made.names}), encoding="utf-8")


def vouched_files(model_config: ModelConfig) -> tuple[str, ...]:
    """The files whose hashes stand in ``config.json``."""
    return (ITEMS, WEIGHTS, *([VALUES] if made_of_values(model_config) else []))


def _versions() -> dict[str, str]:
    return {
        "fame": fame.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def write_weights(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes ``model.safetensors`` whole or not at all; figures of former weights go.

    Raises:
        CheckpointError: where :func:`write_description` was not there before.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    (path / METRICS).unlink(missing_ok=True)
    with _vouched(path, WEIGHTS) as temporary:
        save_file(tensors, temporary)


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Writes ``metrics.json``, tied to the weights and configurations that lie there now."""
    ties = {"weights": file_hash(path / WEIGHTS), "configuration": read_description(path).stated}
    _write_sealed(path / METRICS, {**ties, **metrics})


def write_choice(path: Path, choice: Mapping[str, Any]) -> None:
    """Writes ``choice.json``: settings chosen for a data set without a recipe, and why."""
    _write_sealed(path / CHOICE, choice)


def read_choice(path: Path) -> dict[str, Any] | None:
    """What :func:`write_choice` wrote, as of :class:`fame.experiments.choice.Choice`.

    ``None`` where nothing was chosen: the settings came from a recipe or from a person.
    """
    return _read_sealed(path / CHOICE, _CHOICE_FIELDS)


def write_start(path: Path, start: Mapping[str, Any]) -> None:
    """Writes ``start.json``: the checkpoint that a training started from."""
    _write_sealed(path / START, start)


def read_start(path: Path) -> dict[str, Any] | None:
    """What :func:`write_start` wrote; ``None`` where training started from nothing."""
    return _read_sealed(path / START, _START_FIELDS)


def _read_sealed(file: Path, kinds: Mapping[str, Any]) -> dict[str, Any] | None:
    """A file beside the checkpoint that has exactly these fields; ``None`` where there is none."""
    if not file.is_file():
        return None
    document = _read_json(file)
    _check_keys(document, {*kinds, _SEAL}, str(file))
    _check_seal(file, document, "restore it from its source, or remove it")
    del document[_SEAL]
    for name, kind in kinds.items():
        if not isinstance(document[name], kind):
            wanted = {dict: "a table", str: "text", list: "a list"}[kind]
            raise _wrong(f"{file}, field {name!r}", wanted, document[name])
    return document


@contextmanager
def _vouched(path: Path, name: str) -> Iterator[Path]:
    """Gives a temporary path for a file that ``config.json`` vouches for, to be written as it is.

    Both are on disk whenever the process may die: the hash of the new file before it is there, and
    that of the old one until it is gone.
    """
    description = read_description(path)
    with replacing(path / name) as temporary:
        yield temporary
        new = file_hash(temporary)
        former = [digest for digest in description.files[name] if digest != new]
        _write_config(path, replace(description, files={**description.files, name: [new, *former]}))
    _write_config(path, replace(description, files={**description.files, name: [new]}))


def _sections(
    model_config: ModelConfig, train_config: TrainConfig, data: DataInfo
) -> dict[str, dict[str, Any]]:
    """The parts of ``config.json`` that figures depend on."""
    return {
        "model": model_config.to_dict(),
        "training": train_config.to_dict(),
        "data": asdict(data),
    }


def _write_config(path: Path, description: Description) -> None:
    sections = _sections(description.model_config, description.train_config, description.data)
    document = {
        "format": FORMAT,
        "code": description.code,
        **sections,
        "versions": description.versions,
        "files": description.files,
    }
    _write_sealed(path / CONFIG, document)


def _content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON document, however its keys are ordered and its lines are broken."""
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def _write_sealed(file: Path, document: Mapping[str, Any]) -> None:
    write_json(file, {**document, _SEAL: _content_hash(document)})


def _check_seal(file: Path, document: Mapping[str, Any], remedy: str) -> None:
    content = {key: value for key, value in document.items() if key != _SEAL}
    if document.get(_SEAL) != _content_hash(content):
        raise CheckpointError(
            f"{file} was changed or damaged after it was written: its content does not have the "
            f"SHA-256 that stands in its field {_SEAL!r}; {remedy}."
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not readable as JSON ({error}); restore the file from its source."
        ) from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object; restore it from its source.")
    return value


def read_description(path: Path) -> Description:
    """Reads ``config.json`` of a folder strictly, and brings older formats up."""
    file = path / CONFIG
    document = _read_json(file)
    stored = document.get("format")
    if type(stored) is not int or not 1 <= stored <= FORMAT:
        raise CheckpointError(
            f"{file} has format {stored!r} and this version reads formats 1 to {FORMAT}; "
            "use the version that wrote it, or train again."
        )
    names = {"format", "model", "training", "data", "versions"}
    if stored > 1:
        names |= {"code", "files", _SEAL}
    _check_keys(document, names, str(file))
    for section in ("model", "training", "data"):
        if not isinstance(document[section], dict):
            raise CheckpointError(
                f"{file}: field {section!r} must be a table, not {document[section]!r}; restore it "
                "from its source."
            )
    stated = _content_hash({name: document[name] for name in ("model", "training", "data")})
    if stored > 1:
        _check_seal(file, document, "restore it from its source, or train again")
    else:
        document = _from_format_1(path, document)
    if stored < 3:
        document = _from_format_2(file, document)
    settings = {
        key: value
        for since, added in ADDED_SETTINGS.items()
        if since > stored
        for key, value in added.items()
    }
    model_config = _read_settings(ModelConfig, document["model"], settings, file, "model")
    return Description(
        model_config=model_config,
        train_config=_read_settings(TrainConfig, document["training"], settings, file, "training"),
        data=_read_data(document["data"], file),
        code=_read_code(document["code"], file),
        versions=_read_versions(document["versions"], file),
        files=_read_files(document["files"], file, vouched_files(model_config)),
        format=stored,
        stated=stated,
    )


def _from_format_1(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Adds to a ``config.json`` of format 1 what it lacked, and nothing else.

    No data set had repeats as candidates then, and the version of the code was not counted. It had
    no hashes: weights and catalogue are taken as they lie there.
    """
    missing = [name for name in (ITEMS, WEIGHTS) if not (path / name).is_file()]
    if missing:
        raise _not_whole(path, missing[0])
    data = {
        "repeats": "exclude",
        **document["data"],
        "catalogue": catalogue_hash(_read_items(path / ITEMS)),
    }
    files = {name: [file_hash(path / name)] for name in (ITEMS, WEIGHTS)}
    return {**document, "data": data, "code": 1, "files": files}


def _from_format_2(file: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Gives one setting of training its name of today, and changes no value.

    Up to format 2 ``start_facets`` was called ``head_facets``, which means something else now.
    """
    training = document["training"]
    _check_keys(
        training.keys() & {"head_facets", "start_facets"},
        {"head_facets"},
        f"{file}, field 'training'",
    )
    names = {"head_facets": "start_facets"}
    return {**document, "training": {names.get(key, key): training[key] for key in training}}


def _check_keys(values: Collection[str], names: set[str], where: str) -> None:
    """``CheckpointError`` unless a table has exactly these keys."""
    if wrong := sorted(set(values) ^ names):
        problem = "the unknown key" if wrong[0] in values else "no key"
        raise CheckpointError(
            f"{where} has {problem} {wrong[0]!r}; restore it from its source, or train again."
        )


def _read_settings(
    kind: type[AnyConfig], values: dict[str, Any], added: dict[str, Any], file: Path, section: str
) -> AnyConfig:
    """A configuration of which every setting stands in the file; none is taken from a default."""
    where = f"{file}, field {section!r}"
    names = {field.name for field in fields(kind)}
    values = values | {key: value for key, value in added.items() if key in names}
    _check_keys(values, names, where)
    try:
        return kind.from_mapping(values, where)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _read_data(values: dict[str, Any], file: Path) -> DataInfo:
    where = f"{file}, field 'data'"
    _check_keys(values, {field.name for field in fields(DataInfo)}, where)
    for name, kind in get_type_hints(DataInfo).items():
        value = values[name]
        if kind is int:
            right, wanted = type(value) is int and value >= 0, "a whole number"
        elif choices := get_args(kind):
            right, wanted = value in choices, " or ".join(choices)
        elif name in ("fingerprint", "catalogue"):
            right, wanted = _is_hash(value), "a SHA-256"
        else:
            right, wanted = isinstance(value, str), "text"
        if not right:
            raise _wrong(f"{where}: {name}", wanted, value)
    return DataInfo(**values)


def _read_code(value: Any, file: Path) -> int:
    if type(value) is not int or value < 1:
        raise _wrong(f"{file}, field 'code'", "a whole number from 1", value)
    return value


def _read_versions(value: Any, file: Path) -> dict[str, str]:
    where = f"{file}, field 'versions'"
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise _wrong(where, "a table of texts", value)
    _check_keys(value, set(_versions()), where)
    return value


def _read_files(value: Any, file: Path, names: Sequence[str]) -> dict[str, list[str]]:
    right = (
        isinstance(value, dict)
        and set(value) == set(names)
        and all(
            isinstance(hashes, list) and all(map(_is_hash, hashes)) for hashes in value.values()
        )
    )
    if not right:
        raise _wrong(
            f"{file}, field 'files'", f"a list of SHA-256 for {' and '.join(names)}", value
        )
    return value


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and bool(_SHA256.fullmatch(value))


def _wrong(where: str, wanted: str, value: Any) -> CheckpointError:
    return CheckpointError(
        f"{where} must be {wanted}, not {value!r}; restore the file from its source."
    )


def _not_whole(path: Path, name: str) -> CheckpointError:
    return CheckpointError(f"Checkpoint {path} has no {name}; restore the file, or train again.")


def _check_file(path: Path, name: str, description: Description) -> str:
    """The hash of a file, which has to be one that ``config.json`` vouches for."""
    found = file_hash(path / name)
    if found not in description.files[name]:
        raise CheckpointError(
            f"{path / name} is damaged, was changed, or is that of another checkpoint: its SHA-256 "
            f"{found[:12]} does not stand in {CONFIG}; restore both from the same source, or train "
            "again."
        )
    return found


def _read_weights(path: Path, model: SequenceModel) -> dict[str, torch.Tensor]:
    file = path / WEIGHTS
    expected = model.state_dict()
    state: dict[str, torch.Tensor] = {}
    try:
        with safe_open(file, framework="pt") as archive:
            names = set(archive.keys())
            if wrong := sorted(names ^ set(expected)):
                problem = "the unknown tensor" if wrong[0] in names else "no tensor"
                raise CheckpointError(
                    f"{file} has {problem} {wrong[0]!r}; {CONFIG} and {WEIGHTS} do not belong "
                    "together: restore both from the same source."
                )
            for name, tensor in expected.items():
                # The shape is read before the tensor, so that a wrong file costs no memory.
                shape = tuple(archive.get_slice(name).get_shape())
                if shape != tuple(tensor.shape):
                    raise CheckpointError(
                        f"{file}: tensor {name!r} has shape {shape}, but {CONFIG} asks for "
                        f"{tuple(tensor.shape)}; restore both from the same source."
                    )
                state[name] = archive.get_tensor(name)
                if state[name].dtype != tensor.dtype:
                    raise CheckpointError(
                        f"{file}: tensor {name!r} holds {state[name].dtype}, but weights are "
                        f"stored as {tensor.dtype}; restore the file from its source."
                    )
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged ({error}); restore it from its source.") from None
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{file}: tensor {name!r} holds values that are not finite; train again."
            )
    return state


def _read_values(
    path: Path, description: Description
) -> tuple[tuple[tuple[str, ...], ...], ValueIndex | None]:
    """Names and index of the values that items are made of; nothing where they are not."""
    if VALUES not in description.files:
        return (), None
    file = path / VALUES
    if not file.is_file():
        raise _not_whole(path, VALUES)
    _check_file(path, VALUES, description)
    document = _read_json(file)
    _check_keys(document, {"heads"}, str(file))
    heads, shares = document["heads"], description.model_config.facet_shares
    if not isinstance(heads, list) or len(heads) != len(shares):
        raise _wrong(f"{file}, field 'heads'", f"a list of {len(shares)} lists", heads)
    for names, share in zip(heads, shares, strict=True):
        right = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not right or len(set(names)) < len(names) or bool(names) != bool(share):
            wanted = "different texts" if share else "nothing, since that head is free"
            raise _wrong(f"{file}, field 'heads'", wanted, names)
    weights, tensors = path / WEIGHTS, {}
    try:
        with safe_open(weights, framework="pt") as archive:
            for name in ("values.value", "values.start"):
                if name not in archive.keys():  # noqa: SIM118 (an archive is no dict)
                    raise CheckpointError(
                        f"{weights} has no tensor {name!r}; {CONFIG} and {WEIGHTS} do not belong "
                        "together: restore both from the same source."
                    )
                tensors[name] = archive.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{weights} is damaged ({error}); restore it from its source."
        ) from None
    index = ValueIndex(tuple(map(len, heads)), *tensors.values())
    try:
        index.check(description.data.items)
    except ValueError as error:
        raise CheckpointError(
            f"{weights}: the index of values does not fit items and {VALUES}: {error}; restore all "
            "of them from the same source."
        ) from None
    return tuple(map(tuple, heads)), index


def _read_metrics(path: Path, description: Description, weights: str) -> dict[str, Any] | None:
    """The figures of these weights; ``None`` where nobody made any."""
    file = path / METRICS
    if not file.is_file():
        return None
    metrics = _read_json(file)
    if description.format == 1:  # which left figures lying when a run went on to other weights
        return metrics if metrics.get("weights") == weights else None
    remedy = "restore it from its source, or remove it and do without figures"
    _check_seal(file, metrics, remedy)
    for name, found in {"weights": weights, "configuration": description.stated}.items():
        if metrics.get(name) != found:
            raise CheckpointError(
                f"{file} holds the figures of other {name} than the checkpoint has; {remedy}."
            )
    return metrics


def neighbours(checkpoint: Checkpoint) -> Iterator[tuple[Path, Description]]:
    """The other checkpoints of the folder that one lies in, by name, with what they are.

    One that cannot be read is passed over: its damage is told where it is opened.
    """
    own = checkpoint.path.resolve()
    for path in list_checkpoints(own.parent):
        if path.resolve() != own:
            with suppress(CheckpointError):
                yield path, read_description(path)


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Loads a checkpoint strictly; every fault is one ``CheckpointError`` sentence.

    A training that replaces its files meanwhile is no fault: the folder is then read again.

    Args:
        path: The checkpoint folder.
        device: Where the model goes.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {path}; train one with `fame train`.")
    for _ in range(_ATTEMPTS):
        before = _state_of_files(path)
        try:
            loaded = _load_as_it_lies(path, device)
        except CheckpointError:
            if _state_of_files(path) == before:
                raise
        else:
            if _state_of_files(path) == before:
                return loaded
    raise CheckpointError(f"The files of {path} change all the time; open it again in a moment.")


def _state_of_files(path: Path) -> list[tuple[int, int, int] | None]:
    """Changes whenever a file that :func:`load_checkpoint` reads is replaced."""
    found: list[tuple[int, int, int] | None] = []
    for name in (CONFIG, WEIGHTS, ITEMS, VALUES, METRICS):
        try:
            stat = (path / name).stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return found


def _load_as_it_lies(path: Path, device: torch.device | str) -> Checkpoint:
    for name in (CONFIG, WEIGHTS, ITEMS):
        if not (path / name).is_file():
            raise _not_whole(path, name)
    description = read_description(path)
    _check_file(path, ITEMS, description)
    items = _read_catalogue(path, description.data)
    weights_hash = _check_file(path, WEIGHTS, description)
    names, values = _read_values(path, description)
    with torch.device("meta"):
        model = build_model(description.model_config, len(items), values)
    model.load_state_dict(_read_weights(path, model), assign=True)
    model.to(device).eval().requires_grad_(False)
    digest = hashlib.sha256((path / CONFIG).read_bytes())
    digest.update(weights_hash.encode())
    return Checkpoint(
        path=path,
        model=model,
        model_config=description.model_config,
        train_config=description.train_config,
        data=description.data,
        code=description.code,
        items=items,
        value_names=names,
        metrics=_read_metrics(path, description, weights_hash),
        hash=digest.hexdigest(),
        weights_hash=weights_hash,
    )


def _read_items(file: Path) -> pd.DataFrame:
    try:
        return read_items(file)
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise CheckpointError(
            f"{file} is not readable as Parquet ({error}); restore it from its source."
        ) from None


def _read_catalogue(path: Path, data: DataInfo) -> pd.DataFrame:
    file = path / ITEMS
    items = _read_items(file)
    for column in ("item_id", "title", "train_count"):
        if column not in items:
            raise CheckpointError(f"{file} has no column {column!r}; restore it from its source.")
    if len(items) != data.items:
        raise CheckpointError(
            f"{file} has {len(items):,} items, but {CONFIG} says {data.items!r}; restore both "
            "from the same source."
        )
    return items
