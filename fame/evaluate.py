"""Full-catalogue, leave-one-out evaluation.

Every item of the catalogue is a candidate except the ones in the person's history; the target is
always one. No negative sampling. Shapes: ``n`` examples · ``B`` batch · ``H`` heads · ``V`` items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.data.sequences import (
    HeldOut,
    Interactions,
    Split,
    held_out,
    held_out_batches,
    places,
)
from fame.errors import DataError
from fame.metrics import summarise_ranks, target_ranks
from fame.model import SequenceModel

PROTOCOL = (
    "leave-one-out, full ranking of the catalogue, everything in the history excluded, "
    "ties against the target"
)

# A scorer gives raw scores (B, V) for examples by their index and inputs (B, T); what it says of
# the padding's column does not matter.
Scorer = Callable[[np.ndarray, Tensor], Tensor]


def history_cells(
    data: Interactions, examples: HeldOut, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row and item of every click in the *whole* histories of the examples in ``index``."""
    starts, lengths = examples.starts[index], (examples.ends - examples.starts)[index]
    rows = np.repeat(np.arange(len(index)), lengths)
    return rows, data.items[np.repeat(starts, lengths) + places(lengths)].astype(np.int64)


def exclude_histories(
    scores_BV: Tensor, data: Interactions, examples: HeldOut, index: np.ndarray
) -> Tensor:
    """Sets padding and everything in the histories to ``-inf``, the targets excepted; in place."""
    target = torch.from_numpy(examples.targets[index]).to(scores_BV.device)[:, None]
    kept = scores_BV.gather(1, target)
    rows, items = history_cells(data, examples, index)
    scores_BV[
        torch.from_numpy(rows).to(scores_BV.device), torch.from_numpy(items).to(scores_BV.device)
    ] = -math.inf
    scores_BV[:, 0] = -math.inf
    return scores_BV.scatter_(1, target, kept)


def rank_targets(
    scorer: Scorer,
    data: Interactions,
    split: Split,
    *,
    max_length: int,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
) -> np.ndarray:
    """Rank of every target of a split, int64 ``(n,)``, in the order of :func:`held_out`.

    Raises:
        DataError: where nobody has enough clicks for the split.
        FloatingPointError: where a score is not a number, which would otherwise rank first.
    """
    examples = held_out(data, split)
    if not len(examples):
        raise DataError(
            f"Nobody in data set {data.name!r} has enough clicks for the {split} split; a person "
            "needs at least three to be validated on."
        )
    ranks = np.zeros(len(examples), dtype=np.int64)
    with torch.inference_mode():
        for index, inputs in held_out_batches(data, examples, max_length, batch_size):
            scores = scorer(index, torch.from_numpy(inputs).to(device))
            if scores.amax().isnan():  # the maximum is not a number where any score is not
                raise FloatingPointError("a score is not a number: the weights are broken")
            scores = exclude_histories(scores, data, examples, index)
            target = torch.from_numpy(examples.targets[index]).to(device)
            ranks[index] = target_ranks(scores, target).cpu().numpy()
    return ranks


def last_positions(inputs_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Row and last real position of every right-padded sequence."""
    return torch.arange(len(inputs_BT), device=inputs_BT.device), (inputs_BT != 0).sum(1) - 1


def fused_scorer(model: SequenceModel) -> Scorer:
    """``P(v) = <x_v, q>`` at the last position."""

    def score(_: np.ndarray, inputs: Tensor) -> Tensor:
        query = model(inputs).query[last_positions(inputs)]
        return query @ model.item_embedding.weight.T

    return score


def head_scorer(model: SequenceModel, head: int) -> Scorer:
    """``P_h(v) = <x_v^h, F_h>`` at the last position: the head on its own."""
    with torch.no_grad():
        sub_embedding = torch.nn.functional.pad(model.sub_embeddings()[head], (0, 0, 1, 0))

    def score(_: np.ndarray, inputs: Tensor) -> Tensor:
        state = model(inputs).head_states[last_positions(inputs)][:, head]
        return state @ sub_embedding.T

    return score


def model_ranks(
    model: SequenceModel,
    data: Interactions,
    split: Split,
    *,
    head: int | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Rank of every target by the fused score, or by one head on its own; see `rank_targets`."""
    model.eval()
    return rank_targets(
        fused_scorer(model) if head is None else head_scorer(model, head),
        data,
        split,
        max_length=model.config.max_length,
        device=next(model.parameters()).device,
        batch_size=batch_size,
    )


def evaluate(
    model: SequenceModel, data: Interactions, split: Split, *, batch_size: int = 256
) -> dict[str, float]:
    """Figures of a model on a split: ``users``, HR@k, NDCG@k, MRR; leaves it in eval mode."""
    ranks = model_ranks(model, data, split, batch_size=batch_size)
    return {"users": len(ranks), **summarise_ranks(ranks)}


def head_report(
    model: SequenceModel, data: Interactions, split: Split, *, batch_size: int = 256
) -> dict[str, list[Any]]:
    """Whether the heads are heads, over all people of a split.

    Returns:
        By head: mean and standard deviation of the gate's share (``gate_mean``, ``gate_std``),
        each expert's mean share (``router_mean``), the router's mean entropy as a share of
        ``log E`` (``router_entropy``; 1 = all experts alike) and the head's own ``HR@10`` and
        ``NDCG@10``. Empty for a model without heads of its own.
    """
    if not model.experts:
        return {}
    gates, routers = (
        torch.cat(parts) for parts in zip(*_shares(model, data, split, batch_size), strict=True)
    )
    entropy = torch.special.entr(routers).sum(-1) / max(math.log(model.experts), 1e-12)
    alone = [
        summarise_ranks(model_ranks(model, data, split, head=head, batch_size=batch_size))
        for head in range(model.heads)
    ]
    return {
        "gate_mean": gates.mean(0).tolist(),
        "gate_std": gates.std(0, correction=0).tolist(),
        "router_mean": routers.mean(0).tolist(),
        "router_entropy": entropy.mean(0).tolist(),
        "HR@10": [figures["HR@10"] for figures in alone],
        "NDCG@10": [figures["NDCG@10"] for figures in alone],
    }


def _shares(
    model: SequenceModel, data: Interactions, split: Split, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Gate ``(B, H)`` and router ``(B, H, E)`` at the last position, batch after batch."""
    model.eval()
    device = next(model.parameters()).device
    examples = held_out(data, split)
    with torch.inference_mode():
        for _, inputs in held_out_batches(data, examples, model.config.max_length, batch_size):
            tensor = torch.from_numpy(inputs).to(device)
            encoding, last = model(tensor), last_positions(tensor)
            yield encoding.gate[last].float().cpu(), encoding.router[last].float().cpu()
