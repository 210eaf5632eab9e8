"""The mixing desk: solo, mute or weigh heads, mute experts, and what that does to the list.

Its faders and buttons stand on the stage (:mod:`lens_parts.stage`); what they do is here.
"""

from __future__ import annotations

import math

import streamlit as st

import cards
import charts
import components
import state
import tables
from fame.errors import FameError
from fame.lens.compare import Comparison
from fame.models.sequence_model import Intervention
from fame.presentation import sentences
from fame.presentation.names import HeadNames
from lens_parts.scene import Scene

_DIGITS = 4  # of a weight: enough for any list, few enough for an address


def changed(scene: Scene) -> None:
    """Before and after side by side."""
    components.section("What changed?", "Rank-biased overlap", "Intervention")
    comparison = scene.comparison()
    components.words(sentences.comparison_sentence(comparison))
    moves = tables.moves_table(scene.opened.items, comparison, scene.person.held_out)
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        components.chart(charts.slope(moves, scene.k), "slope")
    with right:
        _figures(comparison, scene.called)


def _figures(comparison: Comparison, called: HeadNames) -> None:
    pairs = [
        ("Items in both lists", f"{comparison.shared} of {comparison.length}"),
        ("Rank-biased overlap", f"{comparison.rbo:.2f}"),
    ]
    if comparison.held_out is not None:
        pairs.append(("◎ Held-out item, fused", _arrow(comparison.held_out)))
        if len(comparison.held_out_by_head) > 1:
            pairs += [
                (f"◎ in {called.head(head)}", _arrow(ranks))
                for head, ranks in enumerate(comparison.held_out_by_head)
            ]
    cards.figures(pairs)


def _arrow(ranks: tuple[int | None, int | None]) -> str:
    before, after = ("in the history" if rank is None else f"{rank:,}" for rank in ranks)
    return f"{before} → {after}" if before != after else before


# --- weights and what changes them --------------------------------------------------------------


def weights(scene: Scene) -> tuple[float, ...]:
    """Where the faders stand: as they were set, else at the shares that the model gives."""
    gate = scene.desk.gate
    if gate is None:
        return tuple(round(float(share), _DIGITS) for share in scene.trace.gate)
    largest = max(gate)
    return tuple(weight / largest for weight in gate) if largest > 1 else gate


def weigh(scene: Scene, head: int, weight: float) -> None:
    """Sets the weight of a head, from 0 to 1."""
    if math.isfinite(weight):
        _set(_with(weights(scene), head, min(max(weight, 0.0), 1.0)))


def solo(scene: Scene, head: int) -> None:
    """Lets one head speak alone; pressed again, all as the model has them."""
    heads = scene.trace.heads
    alone = not any(weight for other, weight in enumerate(weights(scene)) if other != head)
    state.put("gate", None if alone else tuple(float(other == head) for other in range(heads)))


def without_head(scene: Scene, head: int) -> tuple[float, ...]:
    """The gate as it is, with one head silent."""
    return _with(weights(scene), head, 0.0)


def mute(scene: Scene, head: int) -> None:
    """Silences a head; one that is silent gets back the share that the model gives it."""
    now = weights(scene)
    if now[head]:
        _set(without_head(scene, head))
        return
    own = tuple(round(float(share), _DIGITS) for share in scene.real.gate)
    back = _with(now, head, own[head])
    state.put("gate", None if back == own else back)


def mute_expert(scene: Scene, head: int, expert: int) -> None:
    """Silences an expert, or lets it speak again."""
    _switch(scene, "mute", head, expert)


def solo_expert(scene: Scene, head: int, expert: int) -> None:
    """Lets one expert of a head speak alone, or all of them again."""
    _switch(scene, "solo", head, expert)


def _switch(scene: Scene, choice: str, head: int, expert: int) -> None:
    """Turns an expert on or off in one choice, unless its head would be left without any."""
    new = tuple(sorted({*state.get(choice)} ^ {(head, expert)}))
    pairs = {"mute": state.get("mute"), "solo": state.get("solo")} | {choice: new}
    try:
        Intervention(muted=pairs["mute"], solo=pairs["solo"]).expert_mask(
            scene.trace.heads, scene.trace.experts
        )
    except FameError:
        name = scene.called.head(head)
        state.notice(f"{name} needs one expert that speaks, so nothing was changed.")
        return
    state.put(choice, new)


def _with(weights: tuple[float, ...], head: int, weight: float) -> tuple[float, ...]:
    return tuple(weight if other == head else old for other, old in enumerate(weights))


def _set(weights: tuple[float, ...]) -> None:
    if not any(weights):
        state.notice("At least one head has to speak, so the last one stays as it was.")
        return
    state.put("gate", tuple(round(weight, _DIGITS) for weight in weights))
