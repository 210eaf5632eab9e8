"""How the mix and the list moved as the person clicked.

Shapes: ``m`` steps · ``H`` heads · ``E`` experts in each head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.lens.reading import fused_scores, read_steps
from fame.models.sequence_model import Intervention, SequenceModel
from fame.ranking import Repeats, only_candidates, top_lists

MOST_STEPS = 200  # by default: in a long history every step reads a window of its own


@dataclass(frozen=True)
class Steps:
    """What the model would have said after each of the latest clicks, had the history ended there.

    Attributes:
        clicks: ``(m,)`` places of the clicks in the whole history, from 0.
        gate: ``(m, H)`` shares of the heads.
        router: ``(m, H, E)`` shares of the experts in each head.
        lists: ``click, rank, item, score``: the fused list after each click, centred scores.
            Where the history is excluded, nothing clicked up to then is in it; what was clicked
            only later may be.
    """

    clicks: np.ndarray
    gate: np.ndarray
    router: np.ndarray
    lists: pd.DataFrame


def history_steps(
    model: SequenceModel,
    history: np.ndarray,
    k: int,
    *,
    count: int | None = None,
    repeats: Repeats = "exclude",
    intervention: Intervention | None = None,
) -> Steps:
    """The list after each of the latest ``count`` clicks.

    By default after those that the model reads, of the latest :data:`MOST_STEPS` at most. Whether
    the items clicked up to then may be recommended again is the checkpoint's choice, ``repeats``.

    In a history longer than the model's length every step reads the window it would then have
    read. So its steps differ from :attr:`SequenceTrace.gate_path`, which is one pass over the
    latest window and knows nothing of the clicks before that.
    """
    count = min(model.config.max_length, MOST_STEPS) if count is None else count
    first = max(0, len(history) - count)
    readings = read_steps(model, history, first, intervention=intervention)
    scores = fused_scores(model, readings)
    mean = scores[:, 1:].double().mean(1, keepdim=True)
    prefixes = [history[: click + 1] for click in range(first, len(history))]
    lists = top_lists(only_candidates(scores, prefixes, repeats), k)
    step, place = np.nonzero(lists)
    items = lists[step, place]
    centred = (scores.double() - mean).cpu().numpy()
    return Steps(
        clicks=np.arange(first, len(history)),
        gate=readings.gate.double().cpu().numpy(),
        router=readings.router.double().cpu().numpy(),
        lists=pd.DataFrame(
            {"click": first + step, "rank": place + 1, "item": items, "score": centred[step, items]}
        ),
    )
