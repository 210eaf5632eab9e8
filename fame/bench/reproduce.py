"""Runs a data set's recipe over seeds and models, and says what came out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

from fame.baselines import baseline_ranks
from fame.bench.results import Results, RunKey, paired_comparison
from fame.config import ModelConfig, ModelName, TrainConfig
from fame.data import Interactions
from fame.errors import FameError
from fame.evaluate import PROTOCOL, head_report, model_ranks
from fame.metrics import FIGURES, summarise_ranks
from fame.training.loop import Progress, fit, new_state, resolve_device
from fame.training.workers import launched

MODELS: tuple[ModelName, ...] = get_args(ModelName)


def reproduce(
    data: Interactions,
    model_config: ModelConfig,
    train_config: TrainConfig,
    models: Sequence[ModelName],
    seeds: int,
    results: Results,
    *,
    on_run: Callable[[str], None] = lambda text: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Trains every model with every seed that has no row yet, then summarises all rows.

    Args:
        models: Of ``fame`` and ``sasrec``; all are trained with the settings given.
        seeds: Seeds 0 to ``seeds - 1``.

    Returns:
        Protocol, mean and standard deviation over seeds by model, the seed with the median
        validation NDCG@10, the two counting baselines, and FAME's gain over SASRec with its
        interval where both were run.

    Raises:
        FameError: under a launcher of several processes, each of which would write the same rows.
    """
    if launched() > 1:
        raise FameError("reproduce trains in one process; start it without `accelerate launch`.")
    keys = {
        model: [
            RunKey.of(
                data.name,
                data.fingerprint,
                dataclasses.replace(model_config, model=model),
                dataclasses.replace(train_config, seed=seed),
            )
            for seed in range(seeds)
        ]
        for model in models
    }
    counting = {}
    for name, ranks in baseline_ranks(data, "test").items():
        counting[name] = summarise_ranks(ranks)
        results.add(RunKey(data.name, data.fingerprint, name, "none", 0), counting[name], ranks)
    for seed in range(seeds):  # seed by seed, so that an interrupted table is a paired one
        for model in models:
            if results.has(keys[model][seed]):
                continue
            on_run(f"{model}, seed {seed}")
            shape = dataclasses.replace(model_config, model=model)
            training = dataclasses.replace(train_config, seed=seed)
            _run(data, shape, training, keys[model][seed], results, on_step)

    summary: dict[str, Any] = {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "protocol": PROTOCOL,
        "seeds": seeds,
        "models": {},
        "baselines": counting,
        "gain": None,
    }
    for model in models:
        rows = results.select(data.name, data.fingerprint, model, keys[model][0].settings).query(
            "seed < @seeds"
        )
        by_validation = rows.sort_values("valid_NDCG@10")
        summary["models"][model] = {
            "mean": {name: float(rows[name].mean()) for name in FIGURES},
            "std": {name: float(rows[name].std(ddof=1)) if seeds > 1 else 0.0 for name in FIGURES},
            "valid_NDCG@10": float(rows["valid_NDCG@10"].mean()),
            "median_seed": int(by_validation["seed"].iloc[(seeds - 1) // 2]),
            "parameters": int(rows["parameters"].iloc[0]),
            "seconds": float(rows["seconds"].mean()),
        }
    settings = keys[models[0]][0].settings
    comparison = paired_comparison(results, data.name, data.fingerprint, settings, seeds=seeds)
    if comparison is not None:
        summary["gain"] = {
            metric: dataclasses.asdict(gain) for metric, gain in comparison.gains.items()
        }
    return summary


def _run(
    data: Interactions,
    shape: ModelConfig,
    training: TrainConfig,
    key: RunKey,
    results: Results,
    on_step: Callable[[Progress], None],
) -> None:
    """Trains one model with one seed and keeps its row."""
    started = time.perf_counter()
    state = new_state(shape, training, data.num_items, resolve_device(training.device))
    fit(state, data, training, on_step=on_step)
    seconds = time.perf_counter() - started
    state.model.load_state_dict(state.best_weights)
    ranks = model_ranks(state.model, data, "test")
    best = state.history[state.best_epoch - 1]
    heads = head_report(state.model, data, "test")
    results.add(
        key,
        {
            "best_epoch": state.best_epoch,
            "epochs": state.epoch,
            "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            "seconds": round(seconds, 1),
            "valid_HR@10": best["valid_HR@10"],
            "valid_NDCG@10": best["valid_NDCG@10"],
            **summarise_ranks(ranks),
            **{
                f"heads_{name}": " ".join(f"{value:.4f}" for value in heads[name])
                for name in ("gate_mean", "HR@10", "router_entropy")
                if heads
            },
        },
        ranks,
    )
