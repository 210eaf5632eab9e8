"""Codes of items whose truth is known: each head is one facet, or half of another, or neither."""

import numpy as np

from fame.facets.codes import OWN
from fame.facets.values import value_indicator

ITEMS, VALUES, WIDTH = 800, 8, 16
RNG = np.random.default_rng(2)
COLUMN = {"genre": RNG.integers(VALUES, size=ITEMS), "era": RNG.integers(VALUES, size=ITEMS)}
FACETS = {
    name: value_indicator([[f"{name} {value}"] for value in column])
    for name, column in COLUMN.items()
}
PERMUTED = {name: own[RNG.permutation(ITEMS)] for name, own in FACETS.items()}
TRAIN_COUNT = RNG.integers(1, 40, ITEMS)


def codes(degrees: float, *, noise: float = 0.35) -> dict[str, list[np.ndarray]]:
    """Two heads, ``(N, 16)`` each: one facet each at 0 degrees, both alike at 45.

    A facet's code is one of eight axes for each value; the two have eight axes of their own, and
    the heads are turned against one another, so that at every angle both together know as much.
    """
    pure = [np.zeros((ITEMS, WIDTH)), np.zeros((ITEMS, WIDTH))]
    for head, column in enumerate(COLUMN.values()):
        pure[head][np.arange(ITEMS), VALUES * head + column] = 1
    angle = np.radians(degrees)
    first = np.cos(angle) * pure[0] + np.sin(angle) * pure[1]
    second = -np.sin(angle) * pure[0] + np.cos(angle) * pure[1]
    rng = np.random.default_rng(7)
    return {OWN: [head + noise * rng.normal(size=head.shape) for head in (first, second)]}


def whole(heads: dict[str, list[np.ndarray]]) -> np.ndarray:
    return np.concatenate(heads[OWN], axis=1)
