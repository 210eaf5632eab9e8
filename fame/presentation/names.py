"""What things are called in front of people, who count heads and experts from 1."""

from __future__ import annotations


def head_name(head: int) -> str:
    """What a head is called as long as no evidence names it; people count from 1."""
    return f"Head {head + 1}"


def space_name(space: str) -> str:
    """``all`` or ``head_<h>`` as a person reads it."""
    return "Whole embedding" if space == "all" else head_name(int(space.removeprefix("head_")))


def facet_label(column: str) -> str:
    """``category_2`` as ``Category 2``."""
    return column.replace("_", " ").capitalize()
