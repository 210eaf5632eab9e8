"""Sentences made from figures; they never say more than the figures hold.

Those about one history are the library's own, so that a report says the same.
"""

from __future__ import annotations

import pandas as pd

from fame.lens.words import count, gate_sentence, head_name, held_out_sentence, percent

__all__ = [
    "count",
    "duration",
    "gate_sentence",
    "held_out_sentence",
    "overlap_sentence",
    "percent",
    "trust_sentence",
]


def overlap_sentence(lists: pd.DataFrame, k: int) -> str:
    """How much of the fused list every head would have shown by itself."""
    shared = lists.groupby("head")["fused_rank"].count()
    best = int(shared.idxmax())
    return (
        f"Of the {count(k, 'recommendation')}, {head_name(best)} alone would also have shown "
        f"{int(shared[best])}, the most of any head."
    )


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
