"""The checkpoint folder: safetensors, Parquet and JSON, nothing that is unpickled.

``config.json``        configurations, data fingerprint, package versions, format
``model.safetensors``  the weights
``items.parquet``      item id, title, facet columns, training count; row i is item index i + 1
``metrics.json``       figures with their protocol, for exactly these weights
``projection.parquet`` UMAP of every head's sub-embeddings and of the whole embedding
``people.json``        people worth showing: user ids and figures (:mod:`fame.survey`)
``faithfulness.json``  whether explanations hold, over many people (:mod:`fame.survey`)
``README.md``          the model card
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import fame
from fame.config import ModelConfig, TrainConfig
from fame.data.catalogue import read_items, write_items
from fame.data.sequences import Interactions, Repeats
from fame.errors import CheckpointError, ConfigError
from fame.files import file_hash, replacing, write_json
from fame.models.registry import build_model
from fame.models.sequence_model import SequenceModel

FORMAT = 1
CONFIG, WEIGHTS, ITEMS = "config.json", "model.safetensors", "items.parquet"
METRICS, CARD = "metrics.json", "README.md"


@dataclass(frozen=True)
class DataInfo:
    """What a checkpoint remembers of the data it was trained on; never the histories."""

    name: str
    fingerprint: str
    filters: str
    users: int
    items: int
    interactions: int
    repeats: Repeats

    @classmethod
    def of(cls, data: Interactions) -> DataInfo:
        return cls(
            name=data.name,
            fingerprint=data.fingerprint,
            filters=data.filters,
            users=len(data),
            items=data.num_items,
            interactions=len(data.items),
            repeats=data.repeats,
        )


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint; the model is in eval mode and must not be changed (it may be shared).

    Attributes:
        items: The catalogue; row i is item index i + 1.
        metrics: ``metrics.json`` where it belongs to these weights, else ``None``.
        hash: SHA-256 over weights and configuration.
        weights_hash: SHA-256 of the weights' file.
    """

    path: Path
    model: SequenceModel
    model_config: ModelConfig
    train_config: TrainConfig
    data: DataInfo
    items: pd.DataFrame
    metrics: dict[str, Any] | None
    hash: str
    weights_hash: str

    @property
    def name(self) -> str:
        return self.path.name

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
    """Writes ``config.json`` and ``items.parquet``: everything but the weights."""
    path.mkdir(parents=True, exist_ok=True)
    catalogue = items.assign(train_count=data.train_counts[1:])
    write_items(catalogue, path / ITEMS)
    write_json(
        path / CONFIG,
        {
            "format": FORMAT,
            "model": model_config.to_dict(),
            "training": train_config.to_dict(),
            "data": DataInfo.of(data).__dict__,
            "versions": {
                "fame": fame.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        },
    )


def write_weights(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Writes ``model.safetensors`` whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with replacing(path / WEIGHTS) as temporary:
        save_file(tensors, temporary)


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Writes ``metrics.json``, tied to the weights that lie there now."""
    write_json(path / METRICS, {"weights": file_hash(path / WEIGHTS), **metrics})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is not readable as JSON ({error}); restore the file from its source."
        ) from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object; restore it from its source.")
    return value


def read_config(path: Path) -> tuple[ModelConfig, TrainConfig, DataInfo]:
    """Reads ``config.json`` of a folder strictly."""
    file = path / CONFIG
    config = _read_json(file)
    expected = {"format", "model", "training", "data", "versions"}
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{file} has format {config.get('format')!r} and this version reads format {FORMAT}; "
            "use the version that wrote it, or train again."
        )
    if set(config) != expected:
        wrong = sorted(set(config) ^ expected)[0]
        problem = "the unknown key" if wrong in config else "no key"
        raise CheckpointError(f"{file} has {problem} {wrong!r}; restore it from its source.")
    fields = list(DataInfo.__dataclass_fields__)
    if not isinstance(config["data"], dict) or sorted(config["data"]) != sorted(fields):
        raise CheckpointError(
            f"{file}: field 'data' must hold {', '.join(fields)}; restore it from its source."
        )
    try:
        model_config = ModelConfig.from_mapping(config["model"], f"{file}, field 'model'")
        train_config = TrainConfig.from_mapping(config["training"], f"{file}, field 'training'")
    except (ConfigError, TypeError) as error:
        raise CheckpointError(str(error)) from None
    return model_config, train_config, DataInfo(**config["data"])


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
                state[name] = archive.get_tensor(name).float()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged ({error}); restore it from its source.") from None
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{file}: tensor {name!r} holds values that are not finite; train again."
            )
    return state


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Loads a checkpoint strictly; every fault is one ``CheckpointError`` sentence.

    Args:
        path: The checkpoint folder.
        device: Where the model goes.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {path}; train one with `fame train`.")
    for name in (CONFIG, WEIGHTS, ITEMS):
        if not (path / name).is_file():
            raise CheckpointError(
                f"Checkpoint {path} has no {name}; restore the file, or train again."
            )
    model_config, train_config, data = read_config(path)
    items = _read_catalogue(path, data)
    with torch.device("meta"):
        model = build_model(model_config, len(items))
    model.load_state_dict(_read_weights(path, model), assign=True)
    model.to(device).eval().requires_grad_(False)
    digest = hashlib.sha256((path / CONFIG).read_bytes())
    weights_hash = file_hash(path / WEIGHTS)
    digest.update(weights_hash.encode())
    metrics = _read_json(path / METRICS) if (path / METRICS).is_file() else None
    if metrics is not None and metrics.get("weights") != weights_hash:
        metrics = None  # left over from other weights of the same run
    return Checkpoint(
        path=path,
        model=model,
        model_config=model_config,
        train_config=train_config,
        data=data,
        items=items,
        metrics=metrics,
        hash=digest.hexdigest(),
        weights_hash=weights_hash,
    )


def _read_catalogue(path: Path, data: DataInfo) -> pd.DataFrame:
    file = path / ITEMS
    try:
        items = read_items(file)
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise CheckpointError(
            f"{file} is not readable as Parquet ({error}); restore it from its source."
        ) from None
    for column in ("item_id", "title", "train_count"):
        if column not in items:
            raise CheckpointError(f"{file} has no column {column!r}; restore it from its source.")
    if len(items) != data.items:
        raise CheckpointError(
            f"{file} has {len(items):,} items, but {CONFIG} says {data.items!r}; restore both "
            "from the same source."
        )
    return items
