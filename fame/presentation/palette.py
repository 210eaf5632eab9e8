"""Colours that mean something: one a head, the same in every chart, page and report.

All of them reach a contrast of 3 : 1 against a white and against a dark page. The heads' were found
by search: the first three were given, and any two of the eight stay 11.5 apart (CIEDE2000) for
normal sight, protanopia and deuteranopia alike.
"""

HEADS = (
    "#3A82C8",  # blue
    "#D9761A",  # orange
    "#15977A",  # green
    "#9C548C",  # plum
    "#F65274",  # pink
    "#9A5505",  # brown
    "#2A5CDA",  # cobalt
    "#CA2352",  # crimson
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
    "#3F93C4",
    "#8E5BA6",
    "#C47A40",
    "#319A90",
    "#9A6E50",
)

# From small to large, for numbers: years, popularity. Ends that vanish in neither theme.
SEQUENCE = ("#3B6FB6", "#2A9D8F", "#C8A02B", "#D1603D")


def head_colour(head: int) -> str:
    """The colour of a head, counted from 0; from the ninth on they come again."""
    return HEADS[head % len(HEADS)]


def space_colour(space: str) -> str:
    return NEUTRAL if space == "all" else head_colour(int(space.removeprefix("head_")))


def ink_on(colour: str) -> str:
    """White or black, whichever reads better on a colour ``#RRGGBB``.

    One of the two always has a contrast of at least 4.5 : 1 (WCAG 2.2, success criterion 1.4.3).
    """
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    red, green, blue = linear
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#FFFFFF" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"
