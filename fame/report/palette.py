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


def head_colour(head: int) -> str:
    """The colour of a head, counted from 0; from the ninth on they come again."""
    return HEADS[head % len(HEADS)]
