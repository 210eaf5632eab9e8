"""The account of one history as one JSON document: what ``python -m fame trace --json`` prints.

Here indices become ids and titles; the keys are a contract that other programs rely on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from fame.lens.trace import (
    SequenceTrace,
    fused_table,
    head_table,
    item_ranks,
    new_item,
    value_ledger,
)
from fame.lens.values import ByValue


def trace_answer(
    trace: SequenceTrace,
    items: pd.DataFrame,
    *,
    top_k: int,
    held_out: int | None = None,
    raw: bool = False,
    value_names: Sequence[Sequence[str]] = (),
    new: Sequence[Sequence[int]] | None = None,
    names: Sequence[str | None] = (),
) -> dict[str, Any]:
    """Lists by head, the fused list with its ledger, gate and router, and the held-out item.

    Args:
        items: The catalogue; row i is item index i + 1.
        held_out: Index of the item that came next, where it is known.
        raw: Raw scores instead of ones centred over items.
        value_names: ``[H]`` the names of the values that items are made of, as of the checkpoint.
        new: ``[H]`` the values of an item to be ranked that is not in the catalogue.
        names: ``[H]`` what the heads are called; without it they have no names.

    Returns:
        ``history`` (ids, whole), ``seen_from``, ``gate`` ``[H]`` and ``router`` ``[[E] x H]`` as
        applied, ``names`` ``[H]`` (``None`` for a head without one), ``heads``
        ``[[{item, title, score, rank} x K] x H]``, ``fused``
        ``[{item, title, score, by_head, by_value} x K]``, ``held_out`` ``{item, title, rank,
        rank_by_head}`` or ``None``, ``ledger`` ``"centred"`` or ``"raw"``, ``repeats``
        ``"exclude"`` or ``"recommend"``. The ``by_head`` of an item sum to its ``score``, and
        ``by_value`` has for each of them the parts that it is the sum of (to the precision of the
        model): ``{value, points}``, with the value ``None`` for what is the item's own. ``new``,
        where it is asked for: ``{values, score, rank, rank_by_head, by_value}``. The
        ranks of a held-out item that is in the history are ``None`` where that is excluded.
    """
    ids, titles = items["item_id"].to_numpy(), items["title"].to_numpy()

    def named(item: int) -> dict[str, Any]:
        return {"item": str(ids[item - 1]), "title": str(titles[item - 1])}

    every = every_name(value_names)

    lists = head_table(trace, top_k, raw=raw)
    columns = (lists[name].tolist() for name in ("head", "item", "score", "rank"))
    by_head: list[list[dict[str, Any]]] = [[] for _ in range(trace.heads)]
    for head, item, score, rank in zip(*columns, strict=True):
        by_head[head].append({**named(item), "score": score, "rank": rank})
    fused = fused_table(trace, top_k, raw=raw)
    shares: Sequence[list[float]] = fused[[f"head_{h}" for h in range(trace.heads)]].values.tolist()
    answer: dict[str, Any] = {
        "history": [str(ids[item - 1]) for item in trace.history],
        "seen_from": trace.seen_from,
        "gate": trace.gate.tolist(),
        "names": list(names) or [None] * trace.heads,
        "router": trace.router.tolist() if trace.experts else [],
        "heads": by_head,
        "fused": [
            {
                **named(item),
                "score": score,
                "by_head": own,
                "by_value": named_parts(value_ledger(trace, item, raw=raw), every),
            }
            for item, score, own in zip(
                fused["item"].tolist(), fused["score"].tolist(), shares, strict=True
            )
        ],
        "held_out": None,
        "ledger": "raw" if raw else "centred",
        "repeats": trace.repeats,
    }
    if held_out is not None:
        rank, rank_by_head = item_ranks(trace, held_out)
        answer["held_out"] = {**named(held_out), "rank": rank, "rank_by_head": rank_by_head}
    if new is not None:
        placed = new_item(trace, new, raw=raw)
        answer["new"] = {
            "values": [every[value] for own in new for value in own],
            "score": placed.score,
            "rank": placed.rank,
            "rank_by_head": placed.rank_by_head,
            "by_value": named_parts(placed.by_value, every),
        }
    return answer


def every_name(value_names: Sequence[Sequence[str]]) -> list[str]:
    """``[A]`` the names of all heads' values, in the order of their numbers."""
    return [name for own in value_names for name in own]


def named_parts(parts: ByValue, every: Sequence[str]) -> list[list[dict[str, Any]]]:
    """``[H]`` of ``{value, points}``: a value by its name, the item's own part as ``None``."""
    return [
        [
            {"value": None if value is None else every[value], "points": points}
            for value, points in own
        ]
        for own in parts
    ]
