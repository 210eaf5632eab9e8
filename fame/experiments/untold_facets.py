"""Can heads find facets that nobody tells them of? People whose clicks two attributes decide.

``python -m fame.experiments.untold_facets`` trains small models on made-up histories
(:func:`fame.data.synthetic.planted_facets`): one of two attributes decides each click, the
catalogue says nothing to the model, and it has one head for each. Every way of training
(:data:`WAYS`) is asked the same: how many of an item's ten nearest items in a head's slice have its
value, beside the whole embedding. The ways are tried here, and none is an option of the models
that people train.

Shapes: ``B`` batch · ``T`` positions · ``H`` heads, 2 · ``K`` head width · ``D = H K`` · ``V``
items with the padding id 0 · ``M`` codes of a slice · ``N`` targets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.data.sequences import (
    Interactions,
    bucketed_batches,
    gather_padded,
    held_out,
    held_out_batches,
    training_windows,
)
from fame.data.synthetic import PlantedFacets, Shape, planted_facets
from fame.facets.agreement import nearest_rows
from fame.facets.neighbours import unit_rows
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model

# At scale 1 two items for every pair of values, so an item has 31 and 15 others of its values.
FACETS = {"A": 8, "B": 16}
SHAPE = Shape(users=1_500, items=256, interactions=36_000)
_HEADS, _HEAD_WIDTH, _CODES = 2, 16, 16
_EPOCHS, _BATCH, _RATE, _LENGTH = 20, 32, 0.005, 50
_SHARPER = 4.0  # the power of responsibilities where the winner takes more
_WARM, _COLD = 1.0, 0.1  # temperatures of the codes, at the start and at the end


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        label: For people.
        blocks: Whether a head sees its own slice of the items alone.
        mixture: ``sum``: one softmax of the weighted sum of scores, as in FAME. ``mixture``:
            ``log sum_h g_h softmax_h``. ``winner``: its EM step with the responsibilities
            ``r_h ~ (g_h p_h)^4``, so that who explains a click better learns most from it.
        codes: Whether a slice of an item is one of M learned vectors (softly, ever less so), beside
            a number of the item's own in every head's score.
        told: Whether items are made of the attributes' values: the oracle.
    """

    label: str
    blocks: bool = True
    mixture: str = "sum"
    codes: bool = False
    told: bool = False


WAYS: Mapping[str, Way] = {
    "plain": Way("FAME: one softmax of the sum", blocks=False),
    "blocks": Way("block-diagonal maps"),
    "mixture": Way("block-diagonal maps, mixture of softmaxes", mixture="mixture"),
    "winner": Way("the same, winner takes more", mixture="winner"),
    "codes": Way("codes in each slice, mixture of softmaxes", mixture="mixture", codes=True),
    "codes-winner": Way("the same, winner takes more", mixture="winner", codes=True),
    "told": Way("oracle: told both attributes", told=True),
}


class Model(nn.Module):
    """FAME of two heads, with what a way adds to it."""

    def __init__(self, way: Way, planted: PlantedFacets) -> None:
        super().__init__()
        data, self.way = planted.dataset.interactions, way
        facets = [name for name in planted.dataset.items.columns if name in planted.preferred]
        config = ModelConfig(
            width=_HEADS * _HEAD_WIDTH,
            heads=_HEADS,
            experts=1,
            layers=1,
            max_length=_LENGTH,
            dropout=0.1,
            positions="relative",
            head_facets="/".join(facets) if way.told else "",
        )
        index = None
        if way.told:
            attributes = ItemAttributes.of(planted.dataset.items)
            made = head_values(attributes, config.facet_shares, data.num_items)
            index = ValueIndex.of(made.counts, made.value, made.start)
        self.fame: Any = build_model(config, data.num_items, index)
        self.temperature = _WARM
        if way.codes:
            self.code_VHM = nn.Parameter(0.1 * torch.randn(data.num_items + 1, _HEADS, _CODES))
            self.book_HMK = nn.Parameter(0.3 * torch.randn(_HEADS, _CODES, _HEAD_WIDTH))
            self.popularity_V = nn.Parameter(torch.zeros(data.num_items))

    def items(self) -> Tensor:
        """x_v, ``(V, D)``."""
        if not self.way.codes:
            vectors: Tensor = self.fame.item_vectors()
            return vectors
        share_VHM = (self.code_VHM / self.temperature).softmax(-1)
        x_VD = torch.einsum("vhm,hmk->vhk", share_VHM, self.book_HMK).flatten(1)
        return torch.cat([torch.zeros_like(x_VD[:1]), x_VD[1:]])

    def seen(self, x_VD: Tensor) -> Tensor:
        """What each head sees of the items, ``(H, V - 1, K)``."""
        sub: Tensor = self.fame.seen_by_heads(x_VD[1:])
        return sub

    def log_shares(self, items_BT: Tensor, *, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """``log p(v)`` of what comes next, ``(N, V - 1)``, and ``log g_h p_h``, ``(N, H, V - 1)``.

        ``N`` are all positions, or the last of each sequence. For one softmax of the sum the
        second is empty.
        """
        x_VD = self.items()
        encoding = self.fame(items_BT, last_only=last_only, vectors_VD=x_VD)
        state_NHK, gate_NH = (part.flatten(0, 1) for part in (encoding.head_states, encoding.gate))
        score_NHV = torch.einsum("nhk,hvk->nhv", state_NHK, self.seen(x_VD))
        bias: Tensor | float = self.popularity_V if self.way.codes else 0.0
        if self.way.mixture == "sum":
            score_NV = torch.einsum("nh,nhv->nv", gate_NH, score_NHV) + bias
            return score_NV.log_softmax(-1), score_NHV[:0]
        both = (score_NHV + bias).log_softmax(-1) + gate_NH.log()[..., None]
        return both.logsumexp(1), both

    def loss(self, items_BT: Tensor, target_BT: Tensor) -> Tensor:
        """Mean over the real targets of what a way makes smaller."""
        log_p_NV, both_NHV = self.log_shares(items_BT)
        real = (target_BT > 0).flatten()
        target_N = target_BT.flatten()[real] - 1
        if self.way.mixture != "winner":
            return F.nll_loss(log_p_NV[real], target_N)
        place = target_N[:, None, None].expand(-1, _HEADS, 1)
        both_NH = both_NHV[real].gather(2, place)[..., 0]
        taken_NH = (_SHARPER * both_NH.detach()).softmax(1)
        return -(taken_NH * both_NH).sum(1).mean()

    def keep_blocks(self) -> None:
        """Takes back what a step gave a head's map outside its own slice."""
        maps = self.fame.facet_maps
        if self.way.blocks and maps.shape[-1] > _HEAD_WIDTH:
            with torch.no_grad():
                for head in range(_HEADS):
                    own = slice(head * _HEAD_WIDTH, (head + 1) * _HEAD_WIDTH)
                    kept = maps[head, :, own].clone()
                    maps[head].zero_()
                    maps[head, :, own] = kept


def trained(way: Way, planted: PlantedFacets, *, seed: int, epochs: int = _EPOCHS) -> Model:
    """A model after training, in eval mode."""
    torch.manual_seed(seed)
    model, data = Model(way, planted), planted.dataset.interactions
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    rng = np.random.default_rng(seed)
    model.train()
    for epoch in range(epochs):
        model.temperature = _WARM * (_COLD / _WARM) ** (epoch / max(epochs - 1, 1))
        for items_BT, target_BT in _batches(data, rng):
            optimizer.zero_grad()
            model.loss(items_BT, target_BT).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.keep_blocks()
    return model.eval()


def _batches(data: Interactions, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    windows = training_windows(data, _LENGTH, rng)
    for index in bucketed_batches(windows, _BATCH, rng):
        start, length = windows.starts[index], windows.lengths[index]
        yield (
            torch.from_numpy(gather_padded(data.items, start, length)),
            torch.from_numpy(gather_padded(data.items, start + 1, length)),
        )


@torch.no_grad()
def hit_rate(model: Model, data: Interactions, k: int = 10) -> float:
    """HR@k of everybody's last click over the whole catalogue but the history."""
    examples, hit = held_out(data, "test"), 0
    for index, inputs in held_out_batches(data, examples, _LENGTH, 256):
        score_nV = model.log_shares(torch.from_numpy(inputs), last_only=True)[0]
        for row, person in enumerate(index):
            seen = data.items[examples.starts[person] : examples.ends[person]].astype(np.int64)
            score_nV[row, torch.from_numpy(seen) - 1] = -torch.inf
        target = torch.from_numpy(examples.targets[index])[:, None] - 1
        hit += int(((score_nV >= score_nV.gather(1, target)).sum(1) <= k).sum())
    return hit / len(examples)


def agreement(vectors_VK: np.ndarray, values: np.ndarray) -> float:
    """The share of the ten nearest items, by cosine, that have an item's value."""
    nearest = nearest_rows(unit_rows(vectors_VK), np.arange(len(vectors_VK)))
    return float((values[nearest] == values[:, None]).mean())


@torch.no_grad()
def purity(model: Model, facets: Sequence[np.ndarray]) -> dict[str, float]:
    """Agreement of each facet in its head, in the other one and in the whole embedding.

    Which head is whose is the better of both matchings, by the mean over facets of the own head's
    agreement over the whole's.

    Returns:
        Means over the facets: ``own``, ``other``, ``whole``, and ``over``, own to whole.
    """
    x_VD = model.items()
    heads = [head.numpy() for head in model.seen(x_VD)]
    whole = [agreement(x_VD[1:].numpy(), values) for values in facets]
    by_head = [[agreement(head, values) for values in facets] for head in heads]
    found = []
    for owners in permutations(range(len(heads))):
        own = [by_head[head][facet] for facet, head in enumerate(owners)]
        other = [by_head[1 - head][facet] for facet, head in enumerate(owners)]
        over = np.mean([a / b for a, b in zip(own, whole, strict=True)])
        figures = (np.mean(own), np.mean(other), np.mean(whole), over)
        found.append(dict(zip(("own", "other", "whole", "over"), map(float, figures), strict=True)))
    return max(found, key=lambda one: one["over"])


def experiment(
    ways: Sequence[str] = tuple(WAYS),
    seeds: Sequence[int] = range(5),
    *,
    shape: Shape = SHAPE,
    epochs: int = _EPOCHS,
) -> Iterator[dict[str, Any]]:
    """One row a way and a seed, of the data too: its figures and those of permuted attributes."""
    for seed in seeds:
        planted = planted_facets(shape, seed=seed, facets=FACETS)
        items = planted.dataset.items
        facets = [items[name].to_numpy().astype(str) for name in planted.preferred]
        rng = np.random.default_rng(seed)
        permuted = [rng.permutation(values) for values in facets]
        for name in ways:
            model = trained(WAYS[name], planted, seed=seed, epochs=epochs)
            control = purity(model, permuted)
            yield {
                "way": name,
                "seed": seed,
                **purity(model, facets),
                "permuted": control["own"],
                "permuted_over": control["over"],
                "HR@10": hit_rate(model, planted.dataset.interactions),
            }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds, and the standard deviation of the ratio, as Markdown."""
    columns = {
        "own": "own head",
        "other": "other head",
        "whole": "whole",
        "over": "own over whole",
        "permuted": "own head, attributes permuted",
        "permuted_over": "own over whole, permuted",
        "HR@10": "HR@10",
    }
    lines = [f"| way | seeds | {' | '.join(columns.values())} |", "|---" * (len(columns) + 2) + "|"]
    for name, way in WAYS.items():
        own = [row for row in rows if row["way"] == name]
        if not own:
            continue
        cells = []
        for column in columns:
            values = [row[column] for row in own]
            spread = f" ± {np.std(values, ddof=1):.2f}" if len(own) > 1 and column == "over" else ""
            cells.append(f"{np.mean(values):.2f}{spread}")
        lines.append(f"| {way.label} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(
    ways: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(WAYS),
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    scale: Annotated[float, typer.Option(help="People, items and clicks, times this.")] = 1.0,
    epochs: Annotated[int, typer.Option(min=1)] = _EPOCHS,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Trains every way with every seed and prints the table."""
    rows = []
    for row in experiment(ways.split(","), range(seeds), shape=SHAPE.scaled(scale), epochs=epochs):
        typer.echo(json.dumps(row), err=True)
        rows.append(row)
    typer.echo(json.dumps(rows, indent=2) if as_json else table(rows))


if __name__ == "__main__":
    typer.run(main)
