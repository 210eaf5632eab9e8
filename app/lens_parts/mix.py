"""How did the mix move as they clicked?"""

from __future__ import annotations

import charts
import components
import resources
import state
import tables
from fame.presentation.palette import head_colour
from lens_parts.scene import Scene
from text import for_markdown


def mix(scene: Scene) -> None:
    right = components.section("How did the mix move as they clicked?", "Gate", "Router")
    heads = range(scene.trace.heads)
    labels = {"gate": "Gate"} | {
        f"head_{h}": f"Experts of {for_markdown(scene.called.head(h))}" for h in heads
    }
    if state.get("mix") not in labels:
        state.settle("mix", "gate")
    chosen = right.segmented_control(
        "Mix of",
        list(labels),
        format_func=labels.__getitem__,
        required=True,
        key=state.key("mix"),
        label_visibility="collapsed",
    )
    state.keep("mix", chosen)
    components.quiet(
        "Each step is the answer that the model would have given right after that click. The mouse "
        "shows what the list began with then."
    )
    head = None if chosen == "gate" else int(chosen.removeprefix("head_"))
    steps = resources.steps(scene.opened, scene.history, scene.k, scene.desk)
    path = tables.path_table(scene.opened.items, scene.history, steps, head)
    if head is None:
        names, colours = [scene.called.head(h) for h in heads], [head_colour(h) for h in heads]
    else:
        names = [f"Expert {expert + 1}" for expert in range(scene.trace.experts)]
        colours = charts.shades(head_colour(head), scene.trace.experts)
    components.chart(charts.share_path(path, names, colours), "path")
