"""Maps of items, one or two beside one another: what they are drawn from, and the component.

The drawing itself is ``assets/item_maps.js``. Text from the catalogue goes there as text and is
never read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from fame.presentation.palette import AGAINST, HELD_OUT, NEUTRAL, SEQUENCE, VALUES, space_colour
from fame.presentation.text import shortened
from tables import OTHER, UNKNOWN

_ASSETS = Path(__file__).parent / "assets"
_LONGEST_LABEL = 28  # characters on a map
_STEPS = 33  # colours of a scale

_DARK = "#20262E"  # outlines of white marks, so that they show on both themes
MARKS: dict[str, dict[str, Any]] = {  # what is drawn over a map
    "History": {"shape": "circle", "size": 5, "fill": "#FFFFFF", "line": _DARK},
    "Latest click": {"shape": "triangle", "size": 8, "fill": "#FFFFFF", "line": _DARK},
    "Recommended": {"shape": "diamond", "size": 6, "fill": AGAINST, "line": "#FFFFFF"},
    "Held out": {"shape": "square", "size": 6, "fill": HELD_OUT, "line": "#FFFFFF"},
    "Its nearest": {"shape": "circle", "size": 8, "fill": "", "line": AGAINST},
    "Looked up": {"shape": "star", "size": 11, "fill": "#FFFFFF", "line": _DARK},
}


@dataclass(frozen=True)
class Colouring:
    """What the points of all maps are coloured by.

    Attributes:
        title: What the colours mean.
        colours: Of which ``places`` are places; those further behind lie below.
        places: ``(V,)``.
        legend: Label and place of what the legend names, in its order.
        unknown: The place of the items of which nothing is known, drawn hollow; -1 for none.
        ends: Of a scale its lowest and highest value; without it the legend has entries.
    """

    title: str
    colours: Sequence[str]
    places: np.ndarray
    legend: Sequence[tuple[str, int]]
    unknown: int = -1
    ends: tuple[str, str] | None = None


def by_label(title: str, labels: pd.Series) -> Colouring:
    """A colour a label, the most frequent one first; other and unknown values are grey."""
    values = [name for name in labels.value_counts().index if name not in (OTHER, UNKNOWN)]
    names = [*values, *(name for name in (OTHER, UNKNOWN) if (labels == name).any())]
    colours = [*VALUES[: len(values)], *[NEUTRAL] * (len(names) - len(values))]
    place = {name: number for number, name in enumerate(names)}
    return Colouring(
        title, colours, labels.map(place).to_numpy(), list(place.items()), place.get(UNKNOWN, -1)
    )


def by_number(title: str, values: np.ndarray, *, logarithmic: bool = False) -> Colouring:
    """Colours from small to large.

    Args:
        values: ``(V,)``, NaN where unknown.
        logarithmic: Whether they are counts, to be told apart by their order of size.
    """
    known = np.isfinite(values)
    scaled = np.log1p(values) if logarithmic else values
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    bottom, top = (np.log1p(low), np.log1p(high)) if logarithmic else (low, high)
    share = (np.where(known, scaled, bottom) - bottom) / max(top - bottom, 1e-9)
    places = np.where(known, np.rint(share * (_STEPS - 1)), _STEPS).astype(int)
    unknown = _STEPS if (~known).any() else -1
    ends = (f"{low:,.0f}", f"{high:,.0f}") if logarithmic else (f"{low:g}", f"{high:g}")
    legend = [(UNKNOWN, unknown)] if unknown >= 0 else []
    return Colouring(title, [*_scale(_STEPS), NEUTRAL], places, legend, unknown, ends)


def _scale(steps: int) -> list[str]:
    """Colours at equal distances along :data:`SEQUENCE`."""
    corners = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in SEQUENCE])
    at = np.linspace(0, len(corners) - 1, steps)
    channels = [np.interp(at, np.arange(len(corners)), corners[:, k]) for k in range(3)]
    return ["#{:02X}{:02X}{:02X}".format(*map(round, rgb)) for rgb in zip(*channels, strict=True)]


@dataclass(frozen=True)
class ItemMap:
    """One map.

    Attributes:
        key: Changes with what makes an earlier zoom meaningless.
        space: Whose map it is.
        name: What the space is called, and ``why``.
        points: ``(V, 2)``.
        labels: ``x, y, text`` of what stands on it, the weightiest first.
        marks: As what an item is drawn over the map, by item index.
    """

    key: str
    space: str
    name: str
    why: str
    points: np.ndarray
    labels: Sequence[tuple[float, float, str]]
    marks: Mapping[int, str]


def document(
    hover: Sequence[tuple[str, str]],
    colouring: Colouring,
    maps: Sequence[ItemMap],
    chosen: Sequence[int] = (),
) -> dict[str, Any]:
    """All that is drawn, as the component reads it.

    Args:
        hover: ``[V]`` title and facts of every item in catalogue order.
        chosen: The items that are chosen before anybody draws around some.
    """
    used = {kind for one in maps for kind in one.marks.values()}
    marks = {name: mark for name, mark in MARKS.items() if name in used}
    legend = [
        {"label": label, "colour": colouring.colours[place], "ring": place == colouring.unknown}
        for label, place in colouring.legend
    ]
    scale = None
    if colouring.ends is not None:
        low, high = colouring.ends
        scale = {"title": colouring.title, "low": low, "high": high, "colours": list(SEQUENCE)}
    return {
        "items": list(range(1, len(hover) + 1)),
        "hover": [list(told) for told in hover],
        "colour": colouring.places.tolist(),
        "colours": list(colouring.colours),
        "ring": colouring.unknown,
        "legend": [*legend, *({"label": name, "mark": mark} for name, mark in marks.items())],
        "scale": scale,
        "marks": marks,
        "maps": [_map(one, colouring, list(marks)) for one in maps],
        "chosen": list(chosen),
    }


def _map(one: ItemMap, colouring: Colouring, kinds: Sequence[str]) -> dict[str, Any]:
    x, y = np.round(one.points.astype(float), 3).T
    places = [(item - 1, kind) for item, kind in one.marks.items()]
    places.sort(key=lambda mark: kinds.index(mark[1]))  # what is named last lies above
    labels = [
        {"x": round(float(x), 3), "y": round(float(y), 3), "text": shortened(text, _LONGEST_LABEL)}
        for x, y, text in one.labels
    ]
    named = ", ".join(dict.fromkeys(text for _, _, text in one.labels))
    return {
        "key": one.key,
        "name": one.name,
        "colour": space_colour(one.space),
        "why": one.why,
        "alt": f"Map of {len(x):,} items as “{one.name}” has them, coloured by {colouring.title}."
        + (f" Groups on it: {named}." if named else "")
        + " The search field finds an item, and the lists below say what is near it.",
        "x": x.tolist(),
        "y": y.tolist(),
        "labels": labels,
        "marks": places,
    }


def draw(
    drawn: dict[str, Any],
    key: str,
    on_look: Callable[[], None],
    on_choose: Callable[[], None] = lambda: None,
) -> list[int]:
    """Draws the maps; gives the items that were drawn around.

    Args:
        key: Under another one the maps begin anew: what is chosen, and how far they are zoomed.
        on_look: Called after a click on a point; :func:`looked_up` says which item it was.
    """
    mount = st.components.v2.component(
        "item_maps",
        css=(_ASSETS / "item_maps.css").read_text(encoding="utf-8"),
        js=(_ASSETS / "item_maps.js").read_text(encoding="utf-8"),
    )
    found = mount(
        key=key,
        data=drawn,
        default={"chosen": drawn["chosen"]},
        on_looked_change=on_look,
        on_chosen_change=on_choose,
    )
    return [int(item) for item in found.chosen or []]


def looked_up(key: str) -> int | None:
    """The item whose point was just clicked, in the callback."""
    item = st.session_state[key].looked
    return None if item is None else int(item)
