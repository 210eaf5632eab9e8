"""The mixing desk: solo, mute or weigh heads and experts, and what that does to the list."""

from __future__ import annotations

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
from fame.presentation.palette import head_colour
from fame.presentation.text import percent
from lens_parts import scene as change
from lens_parts.scene import UNTOUCHED, Scene
from text import for_markdown

_A_ROW = 4  # heads beside one another
_DIGITS = 4  # of a weight: enough for any list, few enough for an address


def desk(scene: Scene) -> None:
    """The faders and buttons, and the list before and after."""
    terms = ("Gate", "Head (facet)", "Expert", "Intervention", "Rank-biased overlap")
    right = components.section("What if the heads were mixed otherwise?", *terms)
    right.button(
        "Reset the desk",
        icon=":material/restart_alt:",
        key="desk-reset",
        on_click=change.reset_desk,
        disabled=scene.desk == UNTOUCHED,
    )
    if not state.presenting():
        components.quiet(
            "A fader sets how much a head counts; what counts is its share of the sum. Solo lets "
            "one head or expert speak alone, mute silences it. Everything on this page follows."
        )
    faders(scene, experts=not state.presenting())
    if scene.touched:
        changed(scene)


def faders(scene: Scene, *, experts: bool) -> None:
    """A fader a head, with or without the buttons of its experts."""
    weights = _weights(scene)
    heads = scene.trace.heads
    for first in range(0, heads, _A_ROW):
        row = range(first, min(first + _A_ROW, heads))
        for head, column in zip(row, st.columns(min(heads, _A_ROW)), strict=False):
            with column, st.container(border=True):
                _head(scene, head, weights)
                if experts:
                    with st.container(horizontal=True, gap="large"):
                        for choice, label in (("solo", "Solo experts"), ("mute", "Mute experts")):
                            _experts(scene, head, choice, label)


def _head(scene: Scene, head: int, weights: tuple[float, ...]) -> None:
    share = float(scene.trace.gate[head])  # not the faders', which are rounded
    remark = f"{percent(share)} of the mix"
    name, why = scene.called.head(head), scene.called.why(head)
    cards.head_line(name, head_colour(head), remark, why)
    st.session_state[_fader(head)] = weights[head]
    st.slider(
        f"Weight of {for_markdown(name)}",
        0.0,
        1.0,
        step=0.01,
        key=_fader(head),
        on_change=_moved,
        args=(len(weights),),
        label_visibility="collapsed",
    )
    others = [weight for other, weight in enumerate(weights) if other != head]
    alone, silent = not any(others), weights[head] == 0
    with st.container(horizontal=True):
        st.button(
            "Solo",
            key=f"solo-{head}",
            icon=":material/headphones:",
            type="primary" if alone else "secondary",
            on_click=_solo,
            args=(head, len(weights), alone),
        )
        st.button(
            "Mute",
            key=f"mute-{head}",
            icon=":material/volume_off:",
            type="primary" if silent else "secondary",
            disabled=alone,
            help="The last head that speaks cannot be muted." if alone else None,
            on_click=_mute,
            args=(head, weights, scene),
        )


def _experts(scene: Scene, head: int, choice: str, label: str) -> None:
    key = f"{choice}-experts-{head}"
    st.session_state[key] = [expert for other, expert in state.get(choice) if other == head]
    st.pills(
        label,
        range(scene.trace.experts),
        selection_mode="multi",
        format_func=lambda expert: str(expert + 1),
        key=key,
        on_change=_switched,
        args=(choice, head, (scene.trace.heads, scene.trace.experts), scene.called.head(head)),
    )


def changed(scene: Scene) -> None:
    """Before and after side by side."""
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


# --- weights and callbacks ----------------------------------------------------------------------


def _fader(head: int) -> str:
    return f"fader-{head}"


def _weights(scene: Scene) -> tuple[float, ...]:
    """Where the faders stand: as they were set, else at the shares that the model gives."""
    gate = scene.desk.gate
    if gate is None:
        return tuple(round(float(share), _DIGITS) for share in scene.trace.gate)
    largest = max(gate)
    return tuple(weight / largest for weight in gate) if largest > 1 else gate


def _moved(heads: int) -> None:
    _set(tuple(float(st.session_state[_fader(head)]) for head in range(heads)))


def _set(weights: tuple[float, ...]) -> None:
    if not any(weights):
        state.notice("At least one head has to speak, so the last one stays as it was.")
        return
    state.put("gate", tuple(round(weight, _DIGITS) for weight in weights))


def _solo(head: int, heads: int, alone: bool) -> None:
    state.put("gate", None if alone else tuple(float(other == head) for other in range(heads)))


def without_head(scene: Scene, head: int) -> tuple[float, ...]:
    """The gate as it is, with one head silent."""
    weights = list(_weights(scene))
    weights[head] = 0.0
    return tuple(weights)


def _mute(head: int, weights: tuple[float, ...], scene: Scene) -> None:
    """Silences a head; one that is silent gets back the share that the model gives it."""
    if weights[head]:
        _set(without_head(scene, head))
        return
    own = tuple(round(float(share), _DIGITS) for share in scene.real.gate)
    back = tuple(own[head] if other == head else weight for other, weight in enumerate(weights))
    state.put("gate", None if back == own else back)


def _switched(choice: str, head: int, shape: tuple[int, int], name: str) -> None:
    """Takes over the experts chosen, unless a head would be left without any."""
    chosen = st.session_state[f"{choice}-experts-{head}"]
    kept = [pair for pair in state.get(choice) if pair[0] != head]
    new = tuple(sorted([*kept, *((head, expert) for expert in chosen)]))
    pairs = {"mute": state.get("mute"), "solo": state.get("solo")} | {choice: new}
    try:
        Intervention(muted=pairs["mute"], solo=pairs["solo"]).expert_mask(*shape)
    except FameError:
        state.notice(f"{name} needs one expert that speaks, so nothing was changed.")
        return
    state.put(choice, new)
