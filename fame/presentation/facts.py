"""What is known of an item in a line, for people.

A catalogue is the frame of a checkpoint: row i is item index i + 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fame.data.catalogue import facet_columns
from fame.presentation.text import one_line


def facet_text(value: Any) -> str:
    """A facet's value in words; empty where it is missing."""
    if isinstance(value, list | np.ndarray):
        return ", ".join(str(part) for part in value)
    return "" if pd.isna(value) else str(value)


def item_facts_of_all(items: pd.DataFrame) -> list[str]:
    """Of every item its year or brand, then genres or the last category, in catalogue order."""
    kinds = facet_columns(items)
    levels = [name for name in reversed(kinds) if name.startswith("category")]
    columns = {name: items[name].map(facet_text).map(one_line).tolist() for name in kinds}
    lines = []
    for row in range(len(items)):
        facts = [columns[name][row] for name in kinds if name not in levels]
        facts += [columns[name][row] for name in levels if columns[name][row]][:1]
        lines.append(" · ".join(fact for fact in facts if fact))
    return lines
