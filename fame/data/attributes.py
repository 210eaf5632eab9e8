"""What a catalogue says of its items, as index arrays that training can count and gather with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd

from fame.data.catalogue import has_title, values_by_facet


@dataclass(frozen=True)
class FacetValues:
    """One facet column: which items have which values.

    Attributes:
        values: The distinct values, sorted.
        item: ``(n,)`` rows of the item table (item index - 1), ascending: one entry for every value
            of every item, none for an item without any.
        value: ``(n,)`` the place of that value in ``values``.
    """

    values: tuple[str, ...]
    item: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class ItemAttributes:
    """What is known of all items; nothing where the data set has no catalogue.

    Attributes:
        facets: By column.
        titles: Of every item in the order of the item table; ``None`` for one without.
    """

    facets: Mapping[str, FacetValues] = field(default_factory=lambda: MappingProxyType({}))
    titles: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, items: pd.DataFrame) -> ItemAttributes:
        """Reads a catalogue whose row i describes item i + 1; its arrays cannot be written to."""
        facets = {name: _indexed(own) for name, own in values_by_facet(items).items()}
        return cls(MappingProxyType(facets), known_titles(items))


def known_titles(items: pd.DataFrame) -> tuple[str | None, ...]:
    """The title of every item of a catalogue; ``None`` where there is a stand-in for one."""
    known = zip(items["title"], has_title(items), strict=True)
    return tuple(str(title) if has else None for title, has in known)


def _indexed(by_item: list[list[str]]) -> FacetValues:
    item = np.repeat(np.arange(len(by_item)), [len(own) for own in by_item])
    names = np.array([value for own in by_item for value in own], dtype=object)
    values, value = np.unique(names, return_inverse=True)
    for array in (item, value):
        array.setflags(write=False)
    return FacetValues(tuple(values.tolist()), item, value)
