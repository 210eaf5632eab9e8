"""Cold items: how items that nobody has clicked are ranked for the people who then clicked them.

A share of the items, drawn anew for every seed, is taken out of all histories, and a model is
trained without them: they are in no window, no batch and not among the items that are drawn against
the targets, because the catalogue that it is trained on has no row for them. Afterwards they are
placed beside the others by what the catalogue says, and each person who clicked one is asked about
the latest one: the history is the clicks on other items before it, and all that came after it is
left out of training too, so that nothing is learned from a person's later clicks.

Shapes: ``V`` items to train on with the padding id 0 · ``C`` cold items · ``n`` people who are
asked · ``D`` width.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.checkpoint import Checkpoint
from fame.data import Dataset
from fame.data.sequences import HeldOut, held_out_batches
from fame.errors import FameError
from fame.evaluate import default_batch
from fame.experiments.reproduce import data_key, trained
from fame.experiments.results import Results, RunKey
from fame.experiments.variants import Variant
from fame.grown import values_of_new
from fame.metrics import gains, hits, target_ranks
from fame.models.registry import build_model, made_of_values
from fame.models.sequence_model import SequenceModel
from fame.ranking import only_candidates
from fame.training.item_start import catalogue_vectors, start_items
from fame.training.loop import Progress, Ranked, ignore

LEAST_CLICKS = 5  # of an item, to be drawn: what hardly anybody clicked says little
_LATEST = 10  # clicks that a content neighbour is near to
_CONTENT_WIDTH = 256
_DRAWS = 2000
# Of the control: in one of them a much clicked item may get the values that many ask for.
PERMUTATIONS = 10

# How a cold item gets its place, by what the catalogue says, and what a person reads of it.
PLACES = {
    "values": "its values alone",
    "own": "its values, and an own part as it starts (nothing trained)",
    "permuted": "control: the values of another cold item",  # mean over PERMUTATIONS
    "start": "what it starts from (nothing trained)",
    "regression": "ridge regression from what items start from to what they became",
    "words": f"nearest by the catalogue's words to the latest {_LATEST} clicks",
    "chance": "every candidate as likely as the others",
}


@dataclass(frozen=True)
class ColdSplit:
    """A data set without some of its items, and who is asked about those.

    Attributes:
        warm: Histories without cold items, each up to the click that its person is asked about, and
            the catalogue without them.
        cold: ``C`` rows of the catalogue.
        asked: Histories in ``warm``, to their ends; ``targets`` are rows of ``cold``.
        had: ``(m, 2)`` what else is no candidate: place in ``asked``, and a row of ``cold`` that
            this person had clicked before.
    """

    warm: Dataset
    cold: pd.DataFrame
    asked: HeldOut
    had: np.ndarray

    def histories(self, index: np.ndarray) -> list[np.ndarray]:
        """What some of the people who are asked had clicked, cold items left out."""
        ends = zip(self.asked.starts[index], self.asked.ends[index], strict=True)
        return [self.warm.interactions.items[start:end] for start, end in ends]


def cold_split(dataset: Dataset, share: float = 0.05, *, seed: int = 0) -> ColdSplit:
    """Takes a share of the items out, drawn among those with :data:`LEAST_CLICKS` in training.

    Raises:
        FameError: where the share leaves no item to take out or none to train on, or nobody has a
            history before a cold item.
    """
    data = dataset.interactions
    if not 0 < share <= 0.5:
        raise FameError(f"The share of cold items must be above 0 and at most 0.5, not {share:g}.")
    known = np.flatnonzero(data.train_counts >= LEAST_CLICKS)
    many = round(share * data.num_items)
    if not 0 < many < len(known):
        raise FameError(
            f"A share of {share:g} of {data.num_items:,} items is {many:,}, and {len(known):,} "
            f"have the {LEAST_CLICKS} clicks that a cold item needs; there must be at least one "
            "and some left to train on: choose another --share, or larger data."
        )
    rng = np.random.default_rng(seed)
    is_cold_V = np.zeros(len(data.item_ids), dtype=bool)
    is_cold_V[rng.choice(known, many, replace=False)] = True
    new_V = np.where(is_cold_V, np.cumsum(is_cold_V) - 1, np.cumsum(~is_cold_V) - 1)

    lengths = np.diff(data.offsets)
    owner, place = np.repeat(np.arange(len(data)), lengths), np.arange(len(data.items))
    is_cold = is_cold_V[data.items]
    before = np.concatenate([[0], np.cumsum(~is_cold)])
    may_be_asked = np.flatnonzero(is_cold & (before[:-1] > before[data.offsets[:-1]][owner]))
    end = data.offsets[1:].copy()
    end[owner[may_be_asked]] = may_be_asked  # the latest, which stands last
    has_target = np.isin(np.arange(len(data)), owner[may_be_asked])

    kept = ~is_cold & (place < end[owner])
    counts = np.bincount(owner[kept], minlength=len(data))
    people = np.flatnonzero(counts)
    offsets = np.concatenate([[0], np.cumsum(counts[people])])
    warm = dataclasses.replace(
        data,
        name=f"{data.name}-without-cold-items",
        user_ids=data.user_ids[people],
        item_ids=data.item_ids[~is_cold_V],
        items=new_V[data.items[kept]].astype(np.int32),
        offsets=offsets,
    )
    users = np.flatnonzero(has_target[people])
    if not len(users):
        raise FameError("Nobody has a history before a cold item; choose a larger --share.")
    targets = new_V[data.items[end[people[users]]]].astype(np.int64)
    asked = HeldOut(users, offsets[users], offsets[users + 1], targets)

    row_of = np.full(len(data), -1)
    row_of[people[users]] = np.arange(len(users))
    earlier = np.flatnonzero(is_cold & (place < end[owner]) & has_target[owner])
    if data.repeats == "recommend":
        earlier = earlier[:0]
    had = np.stack([row_of[owner[earlier]], new_V[data.items[earlier]]], axis=1)
    return ColdSplit(
        dataclasses.replace(
            dataset,
            interactions=warm,
            items=dataset.items[~is_cold_V[1:]].reset_index(drop=True),
        ),
        dataset.items[is_cold_V[1:]].reset_index(drop=True),
        asked,
        had,
    )


def placed_items(checkpoint: Checkpoint, split: ColdSplit, *, seed: int = 0) -> dict[str, Tensor]:
    """Vectors of the cold items as a model ranks them, ``(C, D)``, by :data:`PLACES`.

    Args:
        checkpoint: Trained on ``split.warm``.
        seed: Of what is random where an item starts.
    """
    model, config = checkpoint.model, checkpoint.model_config
    training = checkpoint.train_config
    by_words = [
        catalogue_vectors(
            split.warm.items, config.width, config.heads, training.start_facets, placed=placed
        )
        for placed in (None, split.cold)
        if training.item_start == "catalogue"
    ]
    values = values_of_new(checkpoint, split.cold) if made_of_values(config) else None
    torch.manual_seed(seed)
    new = build_model(config, len(split.cold), values).eval()
    with torch.no_grad():
        if by_words:
            start_items(new, by_words[1])
        if values is None:
            return {"start": new.item_table, "regression": _regressed(model, split, *by_words)}
        assert new.values is not None and model.values is not None
        new.values.vectors.copy_(model.values.vectors)
        with_own = new.item_table
        new.item_embedding.weight.zero_()
        alone = new.item_table
    return {"values": alone, "own": with_own}


def _regressed(model: SequenceModel, split: ColdSplit, warm_VD: Tensor, cold_CD: Tensor) -> Tensor:
    """Where items of such words are in a trained model, by those that somebody clicked.

    "Attribute-to-feature mapping" (Gantner et al., ICDM 2010), with the penalty that leaving out
    one item at a time finds best.
    """
    from sklearn.linear_model import RidgeCV

    clicked = split.warm.interactions.train_counts[1:] > 0
    learned = model.item_table.double()[torch.from_numpy(clicked)].numpy()
    found = RidgeCV(np.logspace(-3, 3, 13)).fit(warm_VD.numpy()[clicked], learned)
    return model.as_ranked(torch.from_numpy(found.predict(cold_CD.numpy())).float())


@torch.inference_mode()
def queries(model: SequenceModel, split: ColdSplit) -> Tensor:
    """The fused query of everybody who is asked, ``(n, D)``; leaves the model in eval mode."""
    model.eval()
    query_nD = torch.empty(len(split.asked), model.config.width)
    vectors_VD = model.item_vectors()
    length = model.config.max_length
    data = split.warm.interactions
    for index, inputs in held_out_batches(data, split.asked, length, default_batch("cpu")):
        read = model.read(torch.from_numpy(inputs), vectors_VD=vectors_VD)
        query_nD[torch.from_numpy(index)] = read.query
    return query_nD


@torch.inference_mode()
def cold_ranks(
    query_nD: Tensor, warm_VD: Tensor, cold_CD: Tensor, split: ColdSplit
) -> dict[str, np.ndarray]:
    """Rank of every target among the cold items and over the whole catalogue, ``(n,)`` each.

    What a person has had is no candidate. Ties never favour the target.

    Args:
        warm_VD: The items that were trained on as they are ranked; row 0 is the padding's.
        cold_CD: The cold ones.
    """
    n, V = len(split.asked), len(warm_VD)
    ranks = {"cold": np.zeros(n, dtype=np.int64), "all": np.zeros(n, dtype=np.int64)}
    step = default_batch("cpu")
    for index in np.split(np.arange(n), np.arange(step, n, step)):
        query = query_nD[torch.from_numpy(index)]
        among_cold = query @ cold_CD.T
        had = split.had[(split.had[:, 0] >= index[0]) & (split.had[:, 0] <= index[-1])]
        among_cold[had[:, 0] - index[0], had[:, 1]] = -math.inf
        among_warm = only_candidates(
            query @ warm_VD.T, split.histories(index), split.warm.interactions.repeats
        )
        target = torch.from_numpy(split.asked.targets[index])
        both = torch.cat([among_warm, among_cold], dim=1)
        ranks["all"][index] = target_ranks(both, V + target).numpy()
        ranks["cold"][index] = target_ranks(among_cold, target).numpy()
    return ranks


def permuted_ranks(
    query_nD: Tensor, warm_VD: Tensor, cold_CD: Tensor, split: ColdSplit, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """The control: as :func:`cold_ranks`, with every cold item another one's vector.

    Returns:
        ``(PERMUTATIONS, n)`` each. In the mean over all permutations HR@k is that of chance.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        cold_ranks(query_nD, warm_VD, cold_CD[rng.permutation(len(cold_CD))], split)
        for _ in range(PERMUTATIONS)
    ]
    return {among: np.stack([ranks[among] for ranks in drawn]) for among in ("cold", "all")}


def word_ranks(split: ColdSplit) -> dict[str, np.ndarray]:
    """Ranks by a plain content neighbour: mean cosine to the latest clicks, by words alone."""
    warm_VD, cold_CD = (
        catalogue_vectors(split.warm.items, _CONTENT_WIDTH, placed=placed).float()
        for placed in (None, split.cold)
    )
    warm_VD = F.pad(warm_VD, (0, 0, 1, 0))
    latest = (history[-_LATEST:] for history in split.histories(np.arange(len(split.asked))))
    query_nD = torch.stack([warm_VD[torch.from_numpy(own).long()].mean(0) for own in latest])
    return cold_ranks(query_nD, warm_VD, cold_CD, split)


def chance(split: ColdSplit, k: int = 10) -> dict[str, float]:
    """HR@k where every candidate is as likely as the others."""
    cold = len(split.cold) - np.bincount(split.had[:, 0], minlength=len(split.asked))
    seen = np.zeros_like(cold)
    if split.warm.interactions.repeats == "exclude":
        everybody = np.arange(len(split.asked))
        seen = np.array([len(np.unique(own)) for own in split.histories(everybody)])
    every = cold + split.warm.interactions.num_items - seen
    return {"cold": float(np.minimum(k / cold, 1).mean()), "all": float((k / every).mean())}


def cold_table(
    dataset: Dataset,
    variants: Sequence[Variant],
    seeds: int,
    results: Results,
    *,
    share: float = 0.05,
    settings: Mapping[str, Any] | None = None,
    on_run: Callable[[str], None] = ignore,
    on_step: Callable[[Progress], None] = ignore,
    on_ranked: Callable[[Ranked], None] = ignore,
) -> dict[str, Any] | None:
    """Trains every model without the cold items of each seed, and ranks those.

    A model whose items are not made of values starts them from the catalogue, whatever its recipe
    says, since it would know nothing of a cold one else. Each run is trained in a folder of its own
    below ``results.run_folder``; one that has ended is not trained again.

    Args:
        variants: Rows of the usual tables.
        seeds: Seeds 0 to ``seeds - 1``, of the items that are drawn and of training.
        settings: What wins over every recipe, such as the device.

    Returns:
        What was held out; by row ``HR@10`` and ``NDCG@10`` among cold items and over the whole
        catalogue, by seed; and each row less each other one, in HR@10 among cold items, with a
        95 % interval. ``None`` where a run was interrupted.
    """
    ranked: dict[tuple[str, str], list[dict[str, np.ndarray]]] = {}
    by_chance, held = [], []
    for seed in range(seeds):
        split = cold_split(dataset, share, seed=seed)
        held.append(split)
        by_chance.append(chance(split))
        for variant in variants:
            configs = variant.configs(dataset.interactions.name, **(settings or {}))
            if not made_of_values(configs[0]):
                configs = configs[0], dataclasses.replace(configs[1], item_start="catalogue")
            configs = configs[0], dataclasses.replace(configs[1], seed=seed)
            key = RunKey.of(data_key(split.warm), variant.name, *configs)
            on_run(f"{variant.label}, seed {seed}")
            checkpoint = trained(split.warm, configs, results.run_folder(key), on_step, on_ranked)
            if checkpoint is None:
                return None
            model = checkpoint.model
            query_nD, warm_VD = queries(model, split), model.padded_table().detach()
            for place, cold_CD in placed_items(checkpoint, split, seed=seed).items():
                found = cold_ranks(query_nD, warm_VD, cold_CD, split)
                ranked.setdefault((variant.name, place), []).append(found)
                if place == "values":
                    control = permuted_ranks(query_nD, warm_VD, cold_CD, split, seed=seed)
                    ranked.setdefault((variant.name, "permuted"), []).append(control)
        ranked.setdefault(("", "words"), []).append(word_ranks(split))
    titles = {variant.name: variant.label for variant in variants}
    rows = [
        {
            "model": name,
            "label": titles.get(name, ""),
            "place": place,
            "cold": _figures([own["cold"] for own in by_seed]),
            "all": _figures([own["all"] for own in by_seed]),
        }
        for (name, place), by_seed in ranked.items()
    ]
    rows.append(
        {
            "model": "",
            "label": "",
            "place": "chance",
            **{among: {"HR@10": [own[among] for own in by_chance]} for among in ("cold", "all")},
        }
    )
    return {
        "data": dataset.interactions.name,
        "share": share,
        "seeds": seeds,
        "cold_items": len(held[0].cold),
        "people": [len(split.asked) for split in held],
        "rows": rows,
        "differences": _differences(ranked, held),
    }


def _figures(by_seed: Sequence[np.ndarray]) -> dict[str, list[float]]:
    return {
        "HR@10": [float(hits(ranks, 10).mean()) for ranks in by_seed],
        "NDCG@10": [float(gains(ranks, 10).mean()) for ranks in by_seed],
    }


def _differences(
    ranked: Mapping[tuple[str, str], Sequence[Mapping[str, np.ndarray]]],
    held: Sequence[ColdSplit],
) -> list[dict[str, Any]]:
    """Rows of cold items placed by values alone less all other rows, HR@10 among cold items.

    In brackets a bootstrap over the cold items: which of them are drawn differs most.
    """
    ids = np.concatenate([split.cold["item_id"].to_numpy()[split.asked.targets] for split in held])
    _, item = np.unique(ids.astype(str), return_inverse=True)
    asked = np.bincount(item).astype(np.float64)
    rng = np.random.default_rng(0)
    times = rng.multinomial(len(asked), np.full(len(asked), 1 / len(asked)), size=_DRAWS)
    hit = {
        row: np.concatenate([np.atleast_2d(hits(own["cold"], 10)).mean(0) for own in by_seed])
        for row, by_seed in ranked.items()
    }
    found = []
    for ours in ranked:
        for theirs in ranked if ours[1] == "values" else ():
            if ours == theirs:
                continue
            difference = hit[ours] - hit[theirs]
            drawn = (times @ np.bincount(item, difference)) / (times @ asked)
            low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
            mean = float(difference.mean())
            found.append({"row": ours, "over": theirs, "mean": mean, "low": low, "high": high})
    return found


def cold_markdown(table: Mapping[str, Any]) -> str:
    """The table of :func:`cold_table` as Markdown."""
    people = " to ".join(
        f"{many:,}" for many in sorted({min(table["people"]), max(table["people"])})
    )
    drawn = f", drawn anew for each of {table['seeds']} seeds" if table["seeds"] > 1 else ""
    lines = [
        f"{table['data']}: {table['cold_items']:,} items ({100 * table['share']:g} %) in no "
        f"training history{drawn}; {people} people are asked about the latest one that they "
        "clicked. In brackets a 95 % interval that draws the cold items anew.",
        "",
        "| model | a cold item's place | HR@10 among cold items | NDCG@10 | "
        "HR@10 over the whole catalogue |",
        "|---" * 5 + "|",
    ]
    for row in table["rows"]:
        cells = (row["cold"]["HR@10"], row["cold"].get("NDCG@10"), row["all"]["HR@10"])
        figures = " | ".join(_spread(own) if own else "" for own in cells)
        lines.append(f"| {row['label']} | {PLACES[row['place']]} | {figures} |")
    lines.append("")
    names = {(row["model"], row["place"]): row for row in table["rows"]}
    for one in table["differences"]:
        ours, theirs = (names[tuple(one[side])] for side in ("row", "over"))
        points = " to ".join(f"{100 * one[end]:+z.1f}" for end in ("low", "high"))
        over = f"{theirs['label']}, {PLACES[theirs['place']]}".lstrip(", ")
        lines.append(
            f"- {ours['label']}, {PLACES[ours['place']]}, less {over}: {100 * one['mean']:+z.1f} "
            f"points of HR@10 among cold items ({points})"
        )
    return "\n".join(lines) + "\n"


def _spread(by_seed: Sequence[float]) -> str:
    mean = f"{np.mean(by_seed):.3f}"
    return mean if len(by_seed) == 1 else f"{mean} ± {np.std(by_seed, ddof=1):.3f}"
