"""What would others recommend? Trained baselines, item-kNN, the Markov chain and popularity."""

from __future__ import annotations

import numpy as np
import streamlit as st

import cards
import components
import pickers
import resources
import tables
from cards import Line
from fame.errors import FameError
from fame.grown import known_clicks
from fame.lens.trace import fused_table
from fame.presentation.names import OTHER_LISTS
from fame.presentation.palette import NEUTRAL
from lens_parts.answer import FUSED
from lens_parts.scene import Scene


def others(scene: Scene) -> None:
    components.section(
        "What would others recommend?",
        *("SASRec", "Item-kNN", "Markov chain", "Popularity", "Fused list"),
    )
    found, missing = _lists(scene)
    components.quiet("A tag such as #3 gives the item's rank in the fused list.")
    own = fused_table(scene.trace, scene.k)["item"].to_numpy()
    shown = {FUSED: ("what the person gets", own)}
    shown |= {
        OTHER_LISTS[name][0]: (OTHER_LISTS[name][1], found[name])
        for name in OTHER_LISTS
        if name in found
    }
    for (label, (remark, items)), column in zip(
        shown.items(), st.columns(max(4, len(shown))), strict=False
    ):
        with column:
            ranks = {} if label == FUSED else {item: place + 1 for place, item in enumerate(own)}
            cards.ranked_list(label, NEUTRAL, remark, _lines(scene, items, ranks))
    for sentence in missing:
        components.quiet(sentence)


def _lists(scene: Scene) -> tuple[dict[str, np.ndarray], list[str]]:
    """Lists by name, and what cannot be shown and why."""
    found: dict[str, np.ndarray] = {}
    missing = []
    data = pickers.people_of(scene.opened)
    if data is None:
        missing.append(
            "Item-kNN, the Markov chain and popularity are counted over the data set, which is not "
            "on this machine."
        )
    else:
        baselines, repeats = resources.baselines(data), scene.opened.data.repeats
        found |= baselines.lists(scene.history, scene.k, repeats=repeats)
    try:
        trained = resources.baselines_trained(scene.opened)
        if "sasrec" not in trained:
            missing.append(
                "No SASRec that was trained on the same histories lies beside this checkpoint; "
                "the Train page makes one."
            )
        for name, baseline in trained.items():
            known = known_clicks(scene.history, baseline)
            if not len(known):  # all of them new since it was trained
                continue
            traced = resources.trace(baseline, known)
            found[name] = fused_table(traced, scene.k)["item"].to_numpy()
    except FameError as error:
        missing.append(str(error))
    return found, missing


def _lines(scene: Scene, items: np.ndarray, ranks: dict[int, int]) -> list[Line]:
    return [
        Line(
            rank=place,
            title=tables.item_title(scene.opened.items, item),
            score="",
            tag=f"#{ranks[item]}" if item in ranks else "",
            hint=f"Rank {ranks[item]} of the fused list" if item in ranks else "",
            held_out=item == scene.person.held_out,
        )
        for place, item in enumerate(items.tolist(), 1)
    ]
