"""One expert of one head: what it looks at, and what the list is with it alone and without it.

From an expert to a score lie a norm and a network, so its account is an intervention: run again
with it alone, or without it. It is no share of the score.

Shapes: ``t`` clicks read · ``k`` items in a list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fame.lens.trace import SequenceTrace, fused_table, trace_history
from fame.models.sequence_model import Intervention, SequenceModel


@dataclass(frozen=True)
class ExpertAccount:
    """What is known of an expert for one history.

    Attributes:
        share: Of the router within its head, as applied.
        attention: ``(t,)`` what it attends to among the clicks read; sums to 1.
        alone: The fused list ``rank, item, score, head_0 ..`` when it has all of its head.
        without: The same when it has nothing; ``None`` where its head has no other expert.
        shared_alone, shared_without: How many items of the present list are in these.
    """

    head: int
    expert: int
    share: float
    attention: np.ndarray
    alone: pd.DataFrame
    without: pd.DataFrame | None
    shared_alone: int
    shared_without: int | None


def expert_account(
    model: SequenceModel,
    trace: SequenceTrace,
    head: int,
    expert: int,
    k: int,
    *,
    intervention: Intervention | None = None,
) -> ExpertAccount:
    """The account of expert (head, expert) for a traced history.

    Args:
        intervention: What the trace was made with: the gate and the other heads stay so. In this
            head, "alone" replaces it, and "without" mutes the expert on top of it.

    Raises:
        FameError: where the model has no such expert.
    """
    base = intervention or Intervention()
    pair = (head, expert)
    alone = replace(
        base,
        muted=tuple(other for other in base.muted if other[0] != head),
        solo=(*(other for other in base.solo if other[0] != head), pair),
    )
    alone.expert_mask(trace.heads, trace.experts)  # refuses what is not there
    present = fused_table(trace, k)["item"]

    def changed(change: Intervention) -> tuple[pd.DataFrame, int]:
        again = trace_history(model, trace.history, repeats=trace.repeats, intervention=change)
        table = fused_table(again, k)
        return table, int(table["item"].isin(present).sum())

    alone_table, shared_alone = changed(alone)
    without_table, shared_without = None, None
    kept = base.expert_mask(trace.heads, trace.experts)
    if (trace.experts - 1 if kept is None else kept[head].sum() - kept[pair]) > 0:
        without_table, shared_without = changed(replace(base, muted=(*base.muted, pair)))
    return ExpertAccount(
        head=head,
        expert=expert,
        share=float(trace.router[head, expert]),
        attention=trace.attention[head, expert],
        alone=alone_table,
        without=without_table,
        shared_alone=shared_alone,
        shared_without=shared_without,
    )
