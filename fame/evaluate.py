"""Full-catalogue, leave-one-out evaluation.

Which items are candidates, the data set says (:mod:`fame.ranking`): all of the catalogue, or all
but those in the person's history. A target that is no candidate is a miss: it has no rank
(:data:`fame.metrics.UNRANKED`) and adds 0 to every figure. No negative sampling.

Shapes: ``n`` examples · ``B`` batch · ``H`` heads · ``V`` items.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.data.sequences import (
    HeldOut,
    Interactions,
    Repeats,
    Split,
    held_out,
    held_out_batches,
    repeated_targets,
)
from fame.errors import DataError
from fame.metrics import FIGURES, summarise_ranks, target_ranks
from fame.models.sequence_model import LastPosition, SequenceModel
from fame.ranking import OVERLAP_AT, only_candidates, shared, top_lists

_RANKED: dict[Repeats, str] = {
    "exclude": "everything in the history excluded (a target in it is a miss)",
    "recommend": "items in the history ranked like all others",
}

# Examples ranked at a time, by default: their scores should stay in the cache of a CPU, while a GPU
# wants large products (scores of 1,024 people and 26,744 items take 110 MB).
CPU_BATCH = 128
GPU_BATCH = 1024


# A scorer gives raw scores (B, V) for examples by their index and inputs (B, T), which the ranking
# and its own next call write over. What it says of the padding's column does not matter.
Scorer = Callable[[np.ndarray, Tensor], Tensor]


def protocol(repeats: Repeats) -> str:
    """How figures are made, in words, under a data set's choice about repeats."""
    return (
        f"leave-one-out, full ranking of the catalogue, {_RANKED[repeats]}, ties against the target"
    )


def _candidates_of(
    scores_BV: Tensor, data: Interactions, examples: HeldOut, index: np.ndarray
) -> Tensor:
    """Sets what is no candidate for the examples in ``index`` to ``-inf``; in place.

    What is excluded is the *whole* history, also what the model is too short to read.
    """
    histories = [data.items[examples.starts[i] : examples.ends[i]] for i in index]
    return only_candidates(scores_BV, histories, data.repeats)


def rank_targets(
    scorer: Scorer,
    data: Interactions,
    split: Split,
    *,
    max_length: int,
    device: torch.device | str = "cpu",
    batch_size: int | None = None,
    share: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """Rank of every target of a split, int64 ``(n,)``, in the order of :func:`held_out`.

    A target that ``data.repeats`` excludes is :data:`fame.metrics.UNRANKED`.

    Args:
        share: ``(part, parts)``: of all batches only each ``parts``-th is ranked, from the one
            numbered ``part``; the other examples have rank 0. Summed over the parts, the ranks are
            those of one call.

    Raises:
        DataError: where nobody has enough clicks for the split.
        FloatingPointError: where a score is not a number, which would otherwise rank first.
    """
    examples = examples_of(data, split)
    batch_size = batch_size or default_batch(device)
    ranks = np.zeros(len(examples), dtype=np.int64)
    with torch.inference_mode():
        batches = held_out_batches(data, examples, max_length, batch_size)
        for index, inputs in islice(batches, share[0], None, share[1]):
            scores = scorer(index, torch.from_numpy(inputs).to(device))
            ranks[index] = _ranks(scores, data, examples, index)
    return ranks


def default_batch(device: torch.device | str) -> int:
    """Examples to rank at a time on a device."""
    return CPU_BATCH if torch.device(device).type == "cpu" else GPU_BATCH


def examples_of(data: Interactions, split: Split) -> HeldOut:
    """The examples of a split; ``DataError`` where there are none."""
    examples = held_out(data, split)
    if not len(examples):
        raise DataError(
            f"Nobody in data set {data.name!r} has enough clicks for the {split} split; a person "
            "needs at least three to be validated on."
        )
    return examples


def _ranks(
    scores_BV: Tensor, data: Interactions, examples: HeldOut, index: np.ndarray
) -> np.ndarray:
    """Ranks of the targets of the examples in ``index``; changes the scores."""
    if scores_BV.amax().isnan():  # the maximum is not a number where any score is not
        raise FloatingPointError("a score is not a number: the weights are broken")
    scores = _candidates_of(scores_BV, data, examples, index)
    target = torch.from_numpy(examples.targets[index]).to(scores.device)
    return target_ranks(scores, target).cpu().numpy()


# Told the examples of a batch by their index and what the model read of them.
Reader = Callable[[np.ndarray, LastPosition], None]


def counting(tell: Callable[[int, float], None], reader: Reader | None = None) -> Reader:
    """A reader that also counts: it tells how many examples were read, and the seconds since now.

    Args:
        reader: Reads them before they are counted.
    """
    started, done = time.perf_counter(), 0

    def read(index: np.ndarray, end: LastPosition) -> None:
        nonlocal done
        if reader is not None:
            reader(index, end)
        done += len(index)
        tell(done, time.perf_counter() - started)

    return read


def fused_scorer(model: SequenceModel, on_read: Reader | None = None) -> Scorer:
    """``P(v) = <x_v, q>`` at the last position; a call writes over the scores of the last one."""
    vectors_VD = model.item_vectors().detach()
    table_VD = model.padded_table(vectors_VD).detach()
    block = table_VD.new_empty(0, len(table_VD))

    def score(index: np.ndarray, inputs: Tensor) -> Tensor:
        nonlocal block
        end = model.read(inputs, vectors_VD=vectors_VD)
        if on_read is not None:
            on_read(index, end)
        query_BD = end.query
        if len(block) < len(query_BD):
            block = query_BD.new_empty(len(query_BD), len(table_VD))
        return torch.mm(query_BD, table_VD.T, out=block[: len(query_BD)])

    return score


def model_ranks(
    model: SequenceModel,
    data: Interactions,
    split: Split,
    *,
    batch_size: int | None = None,
    share: tuple[int, int] = (0, 1),
    on_read: Reader | None = None,
) -> np.ndarray:
    """Rank of every target by the fused score, see :func:`rank_targets`; sets eval mode.

    Args:
        on_read: Told what the model read of every batch.
    """
    model.eval()
    return rank_targets(
        fused_scorer(model, on_read),
        data,
        split,
        max_length=model.config.max_length,
        device=next(model.parameters()).device,
        batch_size=batch_size,
        share=share,
    )


def evaluate(
    model: SequenceModel,
    data: Interactions,
    split: Split,
    *,
    batch_size: int | None = None,
    on_read: Reader | None = None,
) -> dict[str, Any]:
    """Figures of a model on a split as :func:`summarise_targets` gives them, and ``users``.

    Leaves the model in eval mode.
    """
    ranks = model_ranks(model, data, split, batch_size=batch_size, on_read=on_read)
    return {"users": len(ranks), **summarise_targets(ranks, data, split)}


def summarise_targets(ranks: np.ndarray, data: Interactions, split: Split) -> dict[str, Any]:
    """HR@k, NDCG@k and MRR over all targets of a split; where targets repeat, also apart.

    Args:
        ranks: ``(n,)`` in the order of :func:`held_out`.

    Returns:
        The figures of :func:`fame.metrics.summarise_ranks`. Where a target stands in its history,
        also ``novel`` and ``repeated``: ``users`` and the same figures over the targets that are
        not in their history, and over those that are; ``None`` for each figure of nobody.
    """
    figures: dict[str, Any] = summarise_ranks(ranks)
    repeated = repeated_targets(data, held_out(data, split))
    if repeated.any():
        for name, own in (("novel", ranks[~repeated]), ("repeated", ranks[repeated])):
            of_own = summarise_ranks(own) if len(own) else dict.fromkeys(FIGURES)
            figures[name] = {"users": len(own), **of_own}
    return figures


@dataclass(frozen=True)
class HeadReading:
    """What each head says of every example of a split, in the order of :func:`held_out`.

    Attributes:
        ranks: ``(H, n)`` int64, rank of the target by the head on its own,
            ``P_h(v) = <x_v^h, F_h>``.
        gate: ``(n, H)`` shares of the heads.
        router: ``(n, H, E)`` shares of the experts in each head.
        overlap: ``(n,)`` share of their first :data:`OVERLAP_AT` items that two heads have in
            common, mean over the pairs of heads; 0 where there is no pair.
    """

    ranks: np.ndarray
    gate: np.ndarray
    router: np.ndarray
    overlap: np.ndarray


def read_heads(
    model: SequenceModel,
    data: Interactions,
    split: Split,
    *,
    batch_size: int | None = None,
    on_read: Reader | None = None,
) -> HeadReading:
    """Every head's ranking and share, from one forward pass; leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    examples = examples_of(data, split)
    n, H, E = len(examples), model.heads, model.experts
    reading = HeadReading(
        np.zeros((H, n), np.int64), np.zeros((n, H)), np.zeros((n, H, E)), np.zeros(n)
    )
    batch_size = batch_size or default_batch(device)
    with torch.inference_mode():
        vectors_VD = model.item_vectors()
        table_VD = model.as_ranked(vectors_VD[1:])
        sub_embeddings_HVK = F.pad(model.seen_by_heads(table_VD), (0, 0, 1, 0))
        for index, inputs in held_out_batches(data, examples, model.config.max_length, batch_size):
            end = model.read(torch.from_numpy(inputs).to(device), vectors_VD=vectors_VD)
            reading.gate[index] = end.gate.cpu()
            reading.router[index] = end.router.cpu()
            lists = []
            for head, sub_embedding in enumerate(sub_embeddings_HVK):
                scores = end.head_states[:, head] @ sub_embedding.T
                lists.append(top_lists(_candidates_of(scores, data, examples, index), OVERLAP_AT))
                reading.ranks[head, index] = _ranks(scores, data, examples, index)
            if H > 1:
                reading.overlap[index] = shared(lists)
            if on_read is not None:
                on_read(index, end)
    return reading


def head_report(
    model: SequenceModel,
    data: Interactions,
    split: Split,
    *,
    batch_size: int | None = None,
    on_read: Reader | None = None,
) -> dict[str, Any]:
    """Whether the heads are heads, over all people of a split.

    Returns:
        By head: mean and standard deviation of the gate's share (``gate_mean``, ``gate_std``),
        each expert's mean share (``router_mean``), the router's mean entropy as a share of
        ``log E`` (``router_entropy``; 1 = all experts alike, as is a single one) and the head's own
        ``HR@10`` and ``NDCG@10``; over all heads ``overlap@20``, the mean share of their first 20
        items that two heads have in common. Empty for a model without heads of its own.
    """
    if not model.experts:
        return {}
    heads = read_heads(model, data, split, batch_size=batch_size, on_read=on_read)
    entropy = torch.special.entr(torch.from_numpy(heads.router)).sum(-1).numpy()
    entropy = entropy / math.log(model.experts) if model.experts > 1 else np.ones_like(entropy)
    alone = [summarise_ranks(ranks) for ranks in heads.ranks]
    return {
        "gate_mean": heads.gate.mean(0).tolist(),
        "gate_std": heads.gate.std(0).tolist(),
        "router_mean": heads.router.mean(0).tolist(),
        "router_entropy": entropy.mean(0).tolist(),
        "HR@10": [figures["HR@10"] for figures in alone],
        "NDCG@10": [figures["NDCG@10"] for figures in alone],
        f"overlap@{OVERLAP_AT}": float(heads.overlap.mean()),
    }
