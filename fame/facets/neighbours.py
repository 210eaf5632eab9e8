"""Nearest items in a head's own space.

Shapes: ``V`` real items · ``K`` head width.
"""

from __future__ import annotations

import numpy as np


def unit_rows(vectors_VK: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors_VK, axis=1, keepdims=True)
    return vectors_VK / np.where(norms > 0, norms, 1)


def nearest_items(vectors_VK: np.ndarray, row: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows most alike to ``row`` by cosine, best first, and their cosines; never itself."""
    unit = unit_rows(vectors_VK)
    cosine = unit @ unit[row]
    cosine[row] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(k, len(cosine) - 1)]
    return order, cosine[order]
