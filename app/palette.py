"""Colours of the app; those of the heads are the library's, so that a report shows the same."""

from fame.lens.words import head_name
from fame.report.palette import AGAINST, FOR, HEADS, HELD_OUT, NEUTRAL, head_colour

__all__ = [
    "ACCENT",
    "AGAINST",
    "FOR",
    "HEADS",
    "HELD_OUT",
    "NEUTRAL",
    "SEQUENCE",
    "VALUES",
    "head_colour",
    "head_name",
    "space_colour",
    "space_name",
]

ACCENT = "#5C7FA6"  # what goes on: a running job, a curve

# For values of a facet; kept apart from the heads' colours.
VALUES = (
    "#4F6BD0",
    "#A3922B",
    "#2E9B58",
    "#B5495B",
    "#5AA9D6",
    "#8E5BA6",
    "#D08A52",
    "#3AA59B",
    "#9A6E50",
)

# From small to large, for numbers: years, popularity. Ends that vanish in neither theme.
SEQUENCE = ("#3B6FB6", "#2A9D8F", "#C8A02B", "#D1603D")


def space_name(space: str) -> str:
    """``all`` or ``head_<h>`` as a person reads it."""
    return "Whole embedding" if space == "all" else head_name(int(space.removeprefix("head_")))


def space_colour(space: str) -> str:
    return NEUTRAL if space == "all" else head_colour(int(space.removeprefix("head_")))
