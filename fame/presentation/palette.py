"""Colours that mean something: one a head, the same in every chart, page and report.

All of them reach a contrast of 3 : 1 against a white and against a dark page, and neighbours in
the order stay apart under the common kinds of colour blindness.
"""

HEADS = (
    "#3A82C8",  # blue
    "#D9761A",  # orange
    "#15977A",  # green
    "#C2569B",  # magenta
    "#1E9BB8",  # cyan
    "#D14B4B",  # red
    "#7F70D8",  # violet
    "#8C8A1E",  # olive
)
NEUTRAL = "#7F8791"  # what belongs to no head: totals, the whole embedding, other values
HELD_OUT = "#BC8B00"  # the held-out item, wherever it appears

# What speaks for an item and what against it; no head has these.
FOR, AGAINST = "#2E8B57", "#C0504D"

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


def head_colour(head: int) -> str:
    """The colour of a head, counted from 0; from the ninth on they come again."""
    return HEADS[head % len(HEADS)]


def space_colour(space: str) -> str:
    return NEUTRAL if space == "all" else head_colour(int(space.removeprefix("head_")))
