"""Trains the rows of a data set's table over seeds, and says what came out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fame.baselines import baseline_ranks
from fame.checkpoint import (
    CARD,
    CONFIG,
    ITEMS,
    METRICS,
    VALUES,
    WEIGHTS,
    Checkpoint,
    DataInfo,
    is_checkpoint,
    is_own_folder,
    load_checkpoint,
    vouched_files,
)
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.errors import FameError
from fame.evaluate import model_ranks, protocol
from fame.experiments.model_card import render_card
from fame.experiments.origin import code_commit, origin
from fame.experiments.results import DataKey, Results, RunKey, paired_comparison, run_settings
from fame.experiments.variants import Variant
from fame.files import check_folder, file_hash, replacing_folder, telling_of, write_text
from fame.metrics import FIGURES, summarise_ranks
from fame.opening import OPENING
from fame.projection import PROJECTION, project, write_projection
from fame.survey import FACETS, FAITHFULNESS, PEOPLE, own_facets
from fame.training.loop import Progress, Ranked, ignore
from fame.training.runs import HISTORY, RunFolder
from fame.training.train import train
from fame.training.workers import launched

# What is kept of a run as a shipped checkpoint.
_SHIPPED = (CONFIG, WEIGHTS, ITEMS, VALUES, METRICS)  # each where a model has it

Configs = tuple[ModelConfig, TrainConfig]


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the table on one data set, and the key of each of its runs."""

    variant: Variant
    configs: Configs
    keys: tuple[RunKey, ...]

    @classmethod
    def of(
        cls,
        variant: Variant,
        dataset: Dataset,
        seeds: int,
        settings: dict[str, Any],
        results: Results,
    ) -> Row:
        data = data_key(dataset)
        configs = variant.configs(data.data, **settings)
        key = results.stored_as(RunKey.of(data, variant.name, *configs), variant.formerly)
        keys = [dataclasses.replace(key, seed=seed) for seed in range(seeds)]
        return cls(variant, configs, tuple(keys))


def data_key(dataset: Dataset) -> DataKey:
    """What identifies the histories and the catalogue together."""
    return DataKey.of(DataInfo.of(dataset.interactions, dataset.items))


def reproduce(
    dataset: Dataset,
    variants: Sequence[Variant],
    seeds: int,
    results: Results,
    *,
    settings: dict[str, Any] | None = None,
    on_run: Callable[[str], None] = ignore,
    on_step: Callable[[Progress], None] = ignore,
    on_ranked: Callable[[Ranked], None] = ignore,
) -> dict[str, Any] | None:
    """Trains every model with every seed that has no row yet, then summarises all rows.

    Each run is trained in a folder of its own below ``results.run_folder``, so that what was
    interrupted goes on after its last epoch.

    Args:
        variants: The rows of the table.
        seeds: Seeds 0 to ``seeds - 1``.
        settings: What wins over every recipe, such as the device.

    Returns:
        Protocol, mean and standard deviation over seeds by model, the seed with the median
        validation NDCG@10, the counting baselines, and each model's gain over its SASRec, where
        that is among them, with an interval, whose ends are ``None`` where there is none to be had;
        ``None`` where a run was interrupted.

    Raises:
        FameError: under a launcher of several processes, each of which would write the same rows.
    """
    if launched() > 1:
        raise FameError("reproduce trains in one process; start it without `accelerate launch`.")
    code_commit()  # asked for now, because the repository may go on while this trains
    data = dataset.interactions
    table = [Row.of(variant, dataset, seeds, settings or {}, results) for variant in variants]
    counting, identity = {}, data_key(dataset)
    for name, ranks in baseline_ranks(data, "test").items():
        counting[name] = summarise_ranks(ranks)
        key = RunKey(identity, name, "none", 0)
        if not results.has(key):
            results.add(key, {**counting[name], **origin()}, ranks)
    for seed in range(seeds):  # seed by seed, so that an interrupted table is a paired one
        for row in table:
            if results.has(row.keys[seed]):
                continue
            on_run(f"{row.variant.label}, seed {seed}")
            if not _run(dataset, row, seed, results, on_step, on_ranked):
                return None
    return {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "catalogue": identity.catalogue,
        "protocol": protocol(data.repeats),
        "seeds": seeds,
        "models": {row.variant.name: summarise(results, row) for row in table},
        "baselines": counting,
        "gains_over_sasrec": _gains(results, table),
    }


def summarise(results: Results, row: Row) -> dict[str, Any]:
    """One model over its seeds."""
    rows = results.select(row.keys[0]).query(f"seed < {len(row.keys)}")
    by_validation = rows.sort_values("valid_NDCG@10")
    many = len(rows) > 1
    return {
        "label": row.variant.label,
        "mean": {name: float(rows[name].mean()) for name in FIGURES},
        "std": {name: float(rows[name].std(ddof=1)) if many else 0.0 for name in FIGURES},
        "valid_NDCG@10": float(rows["valid_NDCG@10"].mean()),
        "median_seed": int(by_validation["seed"].iloc[(len(rows) - 1) // 2]),
        "parameters": int(rows["parameters"].iloc[0]),
        "seconds": float(rows["seconds"].mean()),
    }


def _gains(results: Results, table: Sequence[Row]) -> dict[str, Any]:
    """Every row over the SASRec that it is compared with, where that is in the table."""
    by_name = {row.variant.name: row for row in table}
    compared = {
        name: paired_comparison(results, row.keys[0], base.keys[0], seeds=len(row.keys))
        for name, row in by_name.items()
        if (base := by_name.get(row.variant.base)) is not None and base is not row
    }
    return {
        name: {metric: dataclasses.asdict(gain) for metric, gain in found.gains.items()}
        for name, found in compared.items()
        if found is not None
    }


def trained(
    dataset: Dataset,
    configs: Configs,
    folder: Path,
    on_step: Callable[[Progress], None] = ignore,
    on_ranked: Callable[[Ranked], None] = ignore,
) -> Checkpoint | None:
    """What a run in a folder of its own leaves, trained unless it has ended there.

    ``None`` where it was interrupted.
    """
    run = RunFolder(folder)
    if not run.has_ended():
        finished = train(
            dataset,
            *configs,
            run.path,
            resume=run.can_resume(),
            projection=False,
            facets=False,
            card=render_card,
            on_step=on_step,
            on_ranked=on_ranked,
        )
        if not finished:
            return None
    return load_checkpoint(run.path)


def _run(
    dataset: Dataset,
    row: Row,
    seed: int,
    results: Results,
    on_step: Callable[[Progress], None],
    on_ranked: Callable[[Ranked], None],
) -> bool:
    """Trains one model with one seed and keeps its row; ``False`` where it was interrupted."""
    model_config, train_config = row.configs
    configs = model_config, dataclasses.replace(train_config, seed=seed)
    checkpoint = trained(dataset, configs, results.run_folder(row.keys[seed]), on_step, on_ranked)
    if checkpoint is None:
        return False
    ranks = model_ranks(checkpoint.model, dataset.interactions, "test")
    figures = {**_figures(checkpoint), **_facets(checkpoint, dataset), **origin()}
    results.add(row.keys[seed], figures, ranks)
    return True


def _figures(checkpoint: Checkpoint) -> dict[str, Any]:
    """What ``results.csv`` keeps of a run, beside its key."""
    metrics = checkpoint.metrics
    if metrics is None:
        raise FameError(
            f"{checkpoint.path} lacks metrics.json; remove the folder and run it again."
        )
    heads = metrics["heads"]
    settings = run_settings(checkpoint.model_config, checkpoint.train_config)
    return {
        **{name: metrics["test"][name] for name in FIGURES},
        "best_epoch": metrics["best_epoch"],
        "epochs": metrics["epochs"],
        "parameters": metrics["parameters"],
        "seconds": round(metrics["train_seconds"], 1),
        "device": metrics["device"],
        "valid_HR@10": metrics["valid"]["HR@10"],
        "valid_NDCG@10": metrics["valid"]["NDCG@10"],
        **{
            f"heads_{name}": " ".join(f"{value:.4f}" for value in heads[name])
            for name in ("gate_mean", "HR@10", "router_entropy")
            if heads
        },
        "heads_overlap@20": heads["overlap@20"] if heads else None,
        "configuration": json.dumps(settings, sort_keys=True),
    }


def _facets(checkpoint: Checkpoint, dataset: Dataset) -> dict[str, str]:
    """How far heads that are made of facets go by them, as JSON; nothing for all others."""
    found = own_facets(checkpoint, dataset.interactions)
    return {"facets": json.dumps([dataclasses.asdict(own) for own in found])} if found else {}


def ship(dataset: Dataset, row: Row, results: Results, out: Path) -> int:
    """Makes a checkpoint to show of the run with the median validation figure, not the luckiest.

    It replaces a shipped checkpoint in ``out`` once it is whole, and nothing else. Where ``out``
    was made of that very run, only the card is written anew, which has the figures of all seeds;
    what was added since, such as a survey of people, stays.

    Returns:
        The seed of that run.

    Raises:
        FameError: where that run's folder is no longer there, nor a checkpoint made of it; where
            ``out`` holds anything but a shipped checkpoint.
    """
    seed = summarise(results, row)["median_seed"]
    run = results.run_folder(row.keys[seed])
    names = (CONFIG, METRICS, *vouched_files(row.configs[0]))
    gone = not all((run / name).is_file() for name in names)
    held = _made_of(row.keys[seed], out) if gone else _copy_of(run, out, names)
    if held is not None:
        write_text(out / CARD, render_card(held))
        return seed
    if gone:
        raise FameError(
            f"{run} is not there: only its row was kept. With an empty folder as --out the same "
            "command trains it again."
        )
    _check_shipped_alone(out)
    with telling_of(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(out) as new:
            for name in names:
                shutil.copy2(run / name, new / name)
            if (run / HISTORY).is_file():  # its curves; no figure of the checkpoint depends on them
                shutil.copy2(run / HISTORY, new / HISTORY)
            checkpoint = load_checkpoint(new)
            drawn = project(checkpoint.model, checkpoint.items["item_id"].tolist())
            write_projection(new, drawn, checkpoint.weights_hash)
            card = render_card(dataclasses.replace(load_checkpoint(new), path=out))
            write_text(new / CARD, card)
            _check_shipped_alone(out)  # it may have got something meanwhile
    return seed


def check_ship(out: Path) -> None:
    """``FameError`` where no checkpoint can be shipped to, before the time for it is spent."""
    check_folder(out, is_ours=is_own_folder)


def _check_shipped_alone(out: Path) -> None:
    """``FameError`` where a folder holds what replacing the checkpoint in it would lose."""
    check_ship(out)
    held = sorted(file.name for file in out.iterdir()) if out.is_dir() else []
    parts = (*_SHIPPED, HISTORY, CARD, PROJECTION, PEOPLE, FAITHFULNESS, FACETS, OPENING)
    if others := [name for name in held if name not in parts]:
        raise FameError(
            f"{out} holds {others[0]!r}, which is no part of a shipped checkpoint and would be "
            "lost; choose another folder for --ship, or move what is there away."
        )


def _made_of(key: RunKey, folder: Path) -> Checkpoint | None:
    """The checkpoint in a folder, where it is that of a run of the table."""
    if not is_checkpoint(folder):
        return None
    held = load_checkpoint(folder)
    configs = held.model_config, held.train_config
    own = RunKey.of(DataKey.of(held.data), key.model, *configs, held.code)
    return held if own == key else None


def _copy_of(run: Path, folder: Path, names: Sequence[str]) -> Checkpoint | None:
    """The checkpoint in a folder, where it is whole and its files are those that the run gave."""
    if not all((folder / name).is_file() for name in (*names, PROJECTION)):
        return None
    same = all(file_hash(run / name) == file_hash(folder / name) for name in names)
    return load_checkpoint(folder) if same else None
