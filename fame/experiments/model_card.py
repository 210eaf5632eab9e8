"""The model card of a checkpoint, written from its own files."""

from __future__ import annotations

from typing import Any

from fame.baselines import COUNTING
from fame.checkpoint import Checkpoint, read_choice, read_start
from fame.config import ModelConfig, ModelName, TrainConfig
from fame.data.head_values import TITLE
from fame.data.registry import SETS
from fame.data.repeats import repeats_sentence
from fame.experiments.recipes import has_recipe, load_recipe
from fame.experiments.results import (
    Comparison,
    DataKey,
    Results,
    RunKey,
    paired_comparison,
)
from fame.experiments.variants import variant
from fame.metrics import FIGURES
from fame.models.registry import MODELS, made_of_values, spec_of

BASELINE: ModelName = "sasrec"  # what every other model is laid beside


def train_command(checkpoint: Checkpoint) -> str:
    """The command that trains this checkpoint again.

    What differs from the recipe, or from what was chosen for a set without one, is spelt out;
    everything, where neither was asked.
    """
    recipe = {
        **ModelConfig().to_dict(),
        **TrainConfig().to_dict(),
        **load_recipe(checkpoint.data.name, checkpoint.model_config.model),
    }
    settings = {**checkpoint.model_config.to_dict(), **checkpoint.train_config.to_dict()}
    start = read_start(checkpoint.path)
    if start is not None:  # what was not given is as it was there
        recipe = {**settings, **dict.fromkeys(start["given"])}
    elif not has_recipe(checkpoint.data.name):  # what is left out is chosen
        choice = read_choice(checkpoint.path) or {"settings": {}, "given": recipe}
        recipe |= {**choice["settings"], **dict.fromkeys(choice["given"])}
    command = (
        f"python -m fame train --data {checkpoint.data.name} --out checkpoints/{checkpoint.name}"
    )
    if start is not None:
        command += f" --from checkpoints/{start['name']}"
    for key, value in settings.items():
        if value != recipe[key] and key != "device":
            flag = f"--{key}" if key in ("model", "seed", "epochs") else f"--set {key}="
            command += f" {flag}{'' if flag.endswith('=') else ' '}{value}"
    return command


def _row(name: str, figures: dict[str, float]) -> str:
    return f"| {name} | " + " | ".join(f"{figures[column]:.4f}" for column in FIGURES) + " |"


def _counting(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of the counting baselines by label; older metrics.json lack some."""
    baselines = metrics["baselines"]
    return {label: baselines[name] for name, label in COUNTING.items() if name in baselines}


def _repeats(checkpoint: Checkpoint, metrics: dict[str, Any]) -> str:
    """How many test targets repeat and what is done about it; no share is kept where none does."""
    said = repeats_sentence(
        checkpoint.data.repeats, metrics.get("repeated_targets", 0.0), chosen_by="set"
    )
    return f"{said[0].upper()}{said[1:]}."


def _apart(name: str, metrics: dict[str, Any]) -> list[str]:
    """The figures over novel and over repeated targets, where targets repeat."""
    if "repeated" not in metrics["test"]:
        return []
    lines = [
        "",
        "Novel targets are not in their history, repeated ones are:",
        "",
        "| model | targets | people | " + " | ".join(FIGURES) + " |",
        "|---" * (len(FIGURES) + 3) + "|",
    ]
    rows = {name: metrics["test"], **_counting(metrics)}
    for label, figures in rows.items():
        for kind in ("novel", "repeated"):
            own = figures[kind]
            cells = ["–" if own[column] is None else f"{own[column]:.4f}" for column in FIGURES]
            lines.append(f"| {label} | {kind} | {own['users']:,} | {' | '.join(cells)} |")
    return lines


def _start(model: ModelConfig, training: TrainConfig) -> list[str]:
    if training.item_start == "random":
        return []
    where = "In free heads items" if made_of_values(model) else "Items"
    return [
        "",
        f"{where} started near each other where the catalogue's titles and facets share",
        "words, not from noise; to rank, the model reads clicks alone.",
    ]


def _column(name: str) -> str:
    return "the words of titles" if name == TITLE else name


def _made_of(model: ModelConfig) -> list[str]:
    """What items are made of, and how far a named head may tell items of the same values apart."""
    if not made_of_values(model):
        return []
    heads = [
        f"head {head} by {' and '.join(map(_column, share))}"
        if share
        else f"head {head} by itself, freely"
        for head, share in enumerate(model.facet_shares, start=1)
    ]
    own = "their own slice of the items" if model.expert_view == "own" else "whole items"
    return [
        "",
        f"Items are made of values: {', '.join(heads)}. What an item has for itself in a named "
        f"head is at most {model.own_bound:g} times as long as what its values give it. Experts "
        f"read {own}.",
    ]


def _from(checkpoint: Checkpoint) -> list[str]:
    """The checkpoint that training started from."""
    start = read_start(checkpoint.path)
    if start is None:
        return []
    taken, valid = start["taken_over"], start["valid"]["NDCG@10"]
    values = f" and {taken['values']:,} values" if taken["values"] else ""
    kept = ""
    if checkpoint.metrics is not None and not checkpoint.metrics["best_epoch"]:
        kept = " No epoch was better, so these are its weights."
    return [
        "",
        f"Training started from {start['name']} (data fingerprint `{start['data'][:12]}`): "
        f"{taken['items']:,} items{values} were taken over, {taken['new_items']:,} items were new. "
        f"Before the first epoch its validation NDCG@10 here was {valid:.4f}.{kept}",
    ]


def _choice(checkpoint: Checkpoint) -> list[str]:
    """What was chosen for a data set without a recipe."""
    choice = read_choice(checkpoint.path)
    return [] if choice is None else ["", "## Why these settings", "", choice["why"]]


def _whose(name: str) -> str:
    """Whether others can get the data: a published set, or somebody's own, which stays theirs."""
    return "one public data set" if name in SETS else "somebody's own data, not published"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _heads_section(heads: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "## Are the heads heads?",
        "",
        "Over all people of the test split. Router entropy is a share of the largest possible:",
        "1 means that all experts of the head are used alike for everybody.",
        "",
        "| head | mean gate share | standard deviation | HR@10 alone | NDCG@10 alone "
        "| router entropy | mean share of its experts |",
        "|---|---|---|---|---|---|---|",
    ]
    for head, mean in enumerate(heads["gate_mean"]):
        experts = ", ".join(_share(share) for share in heads["router_mean"][head])
        lines.append(
            f"| {head + 1} | {_share(mean)} | {_share(heads['gate_std'][head])} "
            f"| {heads['HR@10'][head]:.4f} | {heads['NDCG@10'][head]:.4f} "
            f"| {heads['router_entropy'][head]:.2f} | {experts} |"
        )
    if len(heads["gate_mean"]) > 1:
        overlap = heads["overlap@20"]
        lines += ["", f"Two heads' first 20 items have {_share(overlap)} in common."]
    return lines


def _baseline_row(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    rows = comparison.theirs
    seeds = f"mean of {len(rows)} seeds" if len(rows) > 1 else "one seed"
    return [
        _row(
            f"{MODELS[BASELINE].title}, {seeds}",
            {name: float(rows[name].mean()) for name in FIGURES},
        )
    ]


def _comparison(checkpoint: Checkpoint) -> Comparison | None:
    """A model by its recipe beside SASRec by its own, over the seeds in ``results.csv``; ``None``
    for SASRec, a checkpoint with other settings than the recipe's, one that started from another,
    or without such rows."""
    data, model = DataKey.of(checkpoint.data), checkpoint.model_config.model
    code = checkpoint.code

    def key(name: str) -> RunKey:
        return RunKey.of(data, name, *variant(name).configs(data.data), code)

    own = RunKey.of(data, model, checkpoint.model_config, checkpoint.train_config, code)
    if (
        model == BASELINE
        or read_start(checkpoint.path) is not None
        or own.settings != key(model).settings
    ):
        return None
    return paired_comparison(Results(checkpoint.path.parent), own, key(BASELINE))


def _comparison_section(data: str, model: ModelName, comparison: Comparison | None) -> list[str]:
    """A model beside SASRec over seeds."""
    if comparison is None:
        return []
    seeds, title, baseline = comparison.seeds, MODELS[model].title, MODELS[BASELINE].title
    lines = [
        "",
        f"## Beside {baseline}",
        "",
        f"Each trained by its recipe, {seeds} paired seed{'s' * (seeds != 1)}; test split.",
        "",
        "```",
        f"python -m fame reproduce {data} --models {model},{BASELINE} --seeds {seeds}",
        "```",
        "",
        "| | HR@10 | NDCG@10 |",
        "|---|---|---|",
    ]
    for label, rows in ((title, comparison.ours), (baseline, comparison.theirs)):
        cells = [f"{rows[column].mean():.4f}" for column in ("HR@10", "NDCG@10")]
        if seeds > 1:
            deviations = [rows[column].std(ddof=1) for column in ("HR@10", "NDCG@10")]
            cells = [f"{c} ± {d:.4f}" for c, d in zip(cells, deviations, strict=True)]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    gains = [gain.in_words() for gain in comparison.gains.values()]
    lines += [
        f"| {title} over {baseline} | {' | '.join(gains)} |",
        "",
        f"± is the standard deviation over seeds; {comparison.brackets}",
    ]
    return lines


def render_card(checkpoint: Checkpoint) -> str:
    """The card in Markdown.

    Raises:
        ValueError: where the checkpoint has no figures of its weights.
    """
    metrics, data, shape = checkpoint.metrics, checkpoint.data, checkpoint.model_config
    if metrics is None:
        raise ValueError("a card needs metrics.json of these weights")
    spec = spec_of(shape)
    name = spec.title
    comparison = _comparison(checkpoint)
    experts = f" x {shape.experts} experts" if "experts" in spec.settings else ""
    lines = [
        f"# {name} on {data.name}",
        "",
        f"{metrics['parameters']:,} parameters: width {shape.width}, {shape.layers} "
        f"layer{'s' * (shape.layers != 1)}, {shape.heads} heads{experts}, the latest "
        f"{shape.max_length} clicks.",
        "",
        "```",
        train_command(checkpoint),
        "```",
        "",
        f"Best of {metrics['epochs']} epochs by validation NDCG@10: epoch "
        f"{metrics['best_epoch']}. {metrics['train_seconds']:.0f} s of training on "
        f"{metrics['device']}.",
        *_made_of(shape),
        *_start(shape, checkpoint.train_config),
        *_from(checkpoint),
        *_choice(checkpoint),
        "",
        "## Data",
        "",
        f"{data.users:,} people, {data.items:,} items, {data.interactions:,} interactions. "
        f"Filters: {data.filters}. Fingerprint `{data.fingerprint}`. The checkpoint holds the "
        "catalogue, never the histories.",
        _repeats(checkpoint, metrics),
        "",
        "## Figures",
        "",
        f"Test split of {metrics['test']['users']:,} people: {metrics['protocol']}.",
        f"`python -m fame evaluate` on this folder gives the {name} row.",
        "",
        "| model | " + " | ".join(FIGURES) + " |",
        "|---" * (len(FIGURES) + 1) + "|",
        _row(name, metrics["test"]),
        *_baseline_row(comparison),
        *(_row(label, figures) for label, figures in _counting(metrics).items()),
        _row(f"{name}, validation split", metrics["valid"]),
        *_apart(name, metrics),
    ]
    if metrics["heads"]:
        lines += _heads_section(metrics["heads"])
    lines += _comparison_section(data.name, shape.model, comparison)
    lines += [
        "",
        "## Limits",
        "",
        f"Trained on {_whose(data.name)}, with its biases of who rated and what. Which heads stand "
        "for a kind of attribute, and what they are called for it: `python -m fame facets` on this "
        "folder, with `--sasrec` and a SASRec of the same data, whose slices a name has to beat.",
    ]
    return "\n".join(lines) + "\n"
