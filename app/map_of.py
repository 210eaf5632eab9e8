"""What is drawn on the map of a space: its items, names on it, a person's clicks and list."""

from __future__ import annotations

import item_maps
import resources
import tables
from fame.checkpoint import Checkpoint
from fame.lens.trace import fused_table
from fame.presentation.names import HeadNames
from fame.projection import Projection
from item_maps import Colouring, ItemMap
from pickers import Person


def marks(opened: Checkpoint, person: Person, k: int) -> dict[int, str]:
    """What to draw over a map of a person's history and list, by item."""
    if not len(person.history):
        return {}
    listed = fused_table(resources.trace(opened, person.history), k)["item"]
    drawn = dict.fromkeys(person.history.tolist(), "History")
    drawn[int(person.history[-1])] = "Latest click"
    drawn |= dict.fromkeys(listed.tolist(), "Recommended")
    if person.held_out is not None:
        drawn[person.held_out] = "Held out"
    return drawn


def space(opened: Checkpoint, projection: Projection, name: str, drawn: dict[int, str]) -> ItemMap:
    """The map of a space with what is drawn over it."""
    called = resources.called(opened)
    return ItemMap(
        f"{opened.hash} {name}",
        name,
        called.space(name),
        why(called, name),
        resources.map_points(projection, name),
        resources.labels_of_map(opened, projection, name),
        drawn,
    )


def colouring(opened: Checkpoint, colour: str, value: str = "") -> Colouring:
    """What the points of a map are coloured by: a column, or one value of it against all others."""
    title = tables.colourings(opened.items)[colour]
    if tables.is_number(opened.items, colour):
        popular = colour == tables.POPULARITY
        values = tables.number_values(opened.items, colour)
        return item_maps.by_number(
            "Clicks in training" if popular else title, values, logarithmic=popular
        )
    return item_maps.by_label(title, tables.value_labels(opened.items, colour, value))


def why(called: HeadNames, name: str) -> str:
    """On what the name of a space rests; the whole embedding needs no reason."""
    return "" if name == "all" else called.why(int(name.removeprefix("head_")))
