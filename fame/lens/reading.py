"""What the model says after each of many histories: a light twin of the trace, without attention.

Questions such as "what if this click had not been?" need hundreds of forward passes, but of each
only what ranks items at its end. Everything here is one batch of the fused, fast path, equal to
:func:`fame.lens.trace.trace_history` up to rounding.

Shapes: ``n`` histories · ``D`` width · ``H`` heads · ``K`` head width · ``E`` experts in each
head · ``m`` items · ``V`` items with the padding id 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.lens.kept import item_table, item_vectors, mean_sub_embeddings, sub_embeddings
from fame.models.sequence_model import Intervention, LastPosition, SequenceModel

_POSITIONS = 32_768  # in one batch; bounds the memory, and is past where larger batches get faster


def _needs_eval_mode(model: SequenceModel) -> None:
    if model.training:
        raise RuntimeError("a history is read with the model in eval mode")


@torch.no_grad()
def read_histories(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    *,
    intervention: Intervention | None = None,
) -> LastPosition:
    """Reads the latest ``max_length`` clicks of every history, in the order given.

    Args:
        histories: Each ``(length,)`` item indices, oldest first, at least one.

    Raises:
        RuntimeError: in training mode, where dropout would make it random.
    """
    _needs_eval_mode(model)
    device = next(model.parameters()).device
    T = model.config.max_length
    lengths = np.array([min(len(history), T) for history in histories], dtype=np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise ValueError("every history to read needs at least one item")
    order = np.argsort(lengths, kind="stable")  # alike lengths meet, so little is padding
    parts, vectors_VD = [], item_vectors(model)
    size = max(1, _POSITIONS // int(lengths.max()))
    for begin in range(0, len(order), size):
        chosen = order[begin : begin + size]
        inputs = np.zeros((len(chosen), lengths[chosen[-1]]), dtype=np.int64)
        for row, index in enumerate(chosen):
            inputs[row, : lengths[index]] = histories[index][-T:]
        items = torch.from_numpy(inputs).to(device)
        parts.append(model.read(items, intervention=intervention, vectors_VD=vectors_VD))
    return LastPosition.joined(parts)[torch.from_numpy(np.argsort(order, kind="stable")).to(device)]


@torch.no_grad()
def read_steps(
    model: SequenceModel,
    history: np.ndarray,
    first: int,
    *,
    intervention: Intervention | None = None,
) -> LastPosition:
    """Reads a history as it stood after each of its clicks from index ``first`` on.

    The model is causal, so one pass over the first ``max_length`` clicks holds every step up to
    there. A later step reads a window of its own: its positions are others.

    Raises:
        RuntimeError: in training mode, where dropout would make it random.
    """
    _needs_eval_mode(model)
    T = model.config.max_length
    parts = []
    if first < T:
        items = torch.from_numpy(history[:T].astype(np.int64))[None]
        encoding = model(items.to(next(model.parameters()).device), intervention=intervention)
        parts.append(encoding.at(0)[first:])
    late = [history[: end + 1] for end in range(max(first, T), len(history))]
    if late:
        parts.append(read_histories(model, late, intervention=intervention))
    return LastPosition.joined(parts)


@torch.no_grad()
def fused_scores(model: SequenceModel, readings: LastPosition) -> Tensor:
    """Raw fused scores ``P(v) = <x_v, q>`` as ``(n, V)``; padding ``-inf``."""
    return F.pad(readings.query @ item_table(model).T, (1, 0), value=-math.inf)


@torch.no_grad()
def head_scores(model: SequenceModel, readings: LastPosition) -> Tensor:
    """Raw scores of every head alone, ``P_h(v)`` as ``(H, n, V)``; padding ``-inf``."""
    scores = readings.head_states.transpose(0, 1) @ sub_embeddings(model).mT
    return F.pad(scores, (1, 0), value=-math.inf)


@torch.no_grad()
def contributions(model: SequenceModel, readings: LastPosition, items: np.ndarray) -> np.ndarray:
    """The centred ledger of some items after every history: ``(n, m, H)`` in float64.

    ``c_h(v) - mean c_h = g_h <x_v^h - mean x^h, F_h>``; sums over heads to the centred score.
    """
    vectors = sub_embeddings(model)  # (H, V - 1, K)
    index = torch.from_numpy(np.asarray(items, dtype=np.int64) - 1).to(vectors.device)
    centred = vectors[:, index].double() - mean_sub_embeddings(model)
    scores = torch.einsum("nhk,hmk->nmh", readings.head_states.double(), centred)
    return (readings.gate.double()[:, None] * scores).cpu().numpy()
