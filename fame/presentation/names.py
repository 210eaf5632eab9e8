"""What things are called in front of people, who count heads and experts from 1."""

from __future__ import annotations

from collections.abc import Sequence

from fame.models.registry import MODELS

# Lists of other models: what they are called, and a remark; in the order in which they are shown.
OTHER_LISTS: dict[str, tuple[str, str]] = {
    **{name: (spec.title, spec.remark) for name, spec in MODELS.items()},
    "item_knn": ("Item-kNN", "near the latest clicks"),
    "markov": ("Markov chain", "after the latest click"),
    "popularity": ("Popularity", "clicked most"),
}


def head_name(head: int) -> str:
    """What a head is called as long as no evidence names it; people count from 1."""
    return f"Head {head + 1}"


def space_name(space: str) -> str:
    """``all`` or ``head_<h>`` as a person reads it."""
    return "Whole embedding" if space == "all" else head_name(int(space.removeprefix("head_")))


def facet_label(column: str) -> str:
    """``category_2`` as ``Category 2``."""
    return column.replace("_", " ").capitalize()


_FACETS = {"genres": "Genre", "year": "Era", "brand": "Brand"}


def facet_name(column: str) -> str:
    """What a head is called that is this facet: all levels of a category are its ``Kind``."""
    if column.startswith("category_"):
        return "Kind"
    return _FACETS.get(column) or facet_label(column)


def value_name(value: str) -> str:
    """``genres=Film-Noir`` as a person reads it: ``Film-Noir``."""
    return value.partition("=")[2]


def expert_name(expert: int, named_after: Sequence[str] = ()) -> str:
    """``Expert 2``, with the values behind it that it serves: ``Expert 2 (Horror, Thriller)``.

    Args:
        named_after: As ``facet=value``; none where nothing names it.
    """
    values = ", ".join(dict.fromkeys(map(value_name, named_after)))
    return f"Expert {expert + 1}{f' ({values})' if values else ''}"
