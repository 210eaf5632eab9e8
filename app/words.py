"""Sentences made from figures; they never say more than the figures hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from palette import head_name
from text import shortened

_EVEN = 1.15  # a largest share below this many times the even one is called even


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def gate_sentence(gate: Sequence[float]) -> str:
    """Which head has the largest share of the gate, and whether that is much."""
    if len(gate) == 1:
        return "This model has one head, so nothing is mixed."
    largest = int(np.argmax(gate))
    share = percent(gate[largest])
    if gate[largest] < _EVEN / len(gate):
        low = percent(min(gate))
        every = "both heads" if len(gate) == 2 else f"all {len(gate)} heads"
        return f"The gate weighs {every} about evenly ({low} to {share})."
    return f"The gate gives {head_name(largest)} the largest share, {share}."


def overlap_sentence(lists: pd.DataFrame, k: int) -> str:
    """How much of the fused list every head would have shown by itself."""
    shared = lists.groupby("head")["fused_rank"].count()
    best = int(shared.idxmax())
    return (
        f"Of the {count(k, 'recommendation')}, {head_name(best)} alone would also have shown "
        f"{int(shared[best])}, the most of any head."
    )


def held_out_sentence(title: str, rank: int, by_head: Sequence[int], candidates: int) -> str:
    """Where the item stands that the person really chose."""
    start = (
        f"What they really chose next, “{shortened(title, 70)}”, stands at rank {rank:,} of "
        f"{candidates:,}"
    )
    if len(by_head) == 1:
        return f"{start}."
    best = int(np.argmin(by_head))
    if by_head[best] < rank:
        return f"{start}; {head_name(best)} alone would have put it at {by_head[best]:,}."
    if rank < by_head[best]:
        return f"{start}, higher than any head alone would have put it."
    return f"{start}, where {head_name(best)} alone puts it too."


def trust_sentence(preservation: float, neighbours: int, space: str) -> str:
    """How far a picture can be trusted, in plain words."""
    kept = preservation * neighbours
    verdict = (
        "groups are real, but look up neighbours in the lists"
        if preservation >= 0.5
        else "take groups as hints, and neighbours from the lists only"
        if preservation >= 0.25
        else "hardly any neighbourhood survives, so trust the lists only"
    )
    return (
        f"{space}: of an item's {neighbours} nearest items, {kept:.1f} on average are also "
        f"among its {neighbours} nearest in the picture ({percent(preservation)}); {verdict}."
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
