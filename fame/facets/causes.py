"""Which heads listen to a facet: what happens to their lists when the histories change in it alone.

Every click of a history is exchanged for another item, once for one that is alike in the facet and
once for one that is not; in both it is as alike as the catalogue allows in all other facets. Any
exchange moves lists, since it is another item, so what counts is how much *further* a list moves
when the facet changes too. The exchange is one of real items, so it means the same for a model made
of values and for one whose items are free vectors.

Shapes: ``U`` people · ``V`` items with the padding id 0 · ``A`` items to exchange for ·
``H`` heads · ``F`` facets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fame.facets.lists import head_lists
from fame.facets.redundancy import rank_biased_overlaps
from fame.facets.values import likeness, value_indicator
from fame.lens.reading import read_histories
from fame.models.sequence_model import SequenceModel
from fame.ranking import Repeats

_PAIRS = 4_000_000  # of items held against one another at once: 16 MB a facet


def facet_causes(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    facets: Mapping[str, Sequence[Sequence[str]]],
    *,
    repeats: Repeats,
    among: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, list[float]]:
    """By facet ``[H]`` how much further each head's list moves when the facet changes, over people.

    With L, L+ and L- the head's lists after the history itself, after one exchanged for items alike
    in the facet, and after one exchanged for items that are not (:func:`exchanges`), it is the mean
    of ``(1 - RBO(L, L-)) - (1 - RBO(L, L+))``: at most 1; 0 for a head that does not listen to the
    facet, and it may be below. What is a candidate stays as the history itself has it.

    Args:
        histories: Of U people, ``(length,)`` item indices each, oldest first.
        facets: By facet, the values of every real item. One in which no click can be exchanged
            moves no list.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        among: Rows of the items that clicks are exchanged for; by default all.
        seed: Of the draws among items equally alike.
    """
    read = [history[-model.config.max_length :] for history in histories]
    clicked = np.unique(np.concatenate(read))

    def lists(exchange: np.ndarray | None) -> list[np.ndarray]:
        changed = read if exchange is None else [exchange[history] for history in read]
        readings = read_histories(model, changed)
        found = head_lists(model, readings, histories, repeats)
        return [found[space] for space in found if space != "all"]

    before = lists(None)
    moved = {}
    for name, (alike, unlike) in exchanges(facets, clicked, among=among, seed=seed).items():
        heads = zip(before, lists(alike), lists(unlike), strict=True)
        moved[name] = [
            float(np.mean(_moved(first, after) - _moved(first, control)))
            for first, control, after in heads
        ]
    return moved


def _moved(before_Uk: np.ndarray, after_Uk: np.ndarray) -> np.ndarray:
    """``(U,)`` 1 less the rank-biased overlap; 0 where there is nothing to recommend."""
    return 1 - rank_biased_overlaps(before_Uk, after_Uk)


def exchanges(
    facets: Mapping[str, Sequence[Sequence[str]]],
    clicked: np.ndarray,
    *,
    among: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By facet two tables ``(V,)`` from an item to the one that it is exchanged for.

    The first gives another item that is most alike in the facet (by the Jaccard index of the sets
    of values) and, of those, in the other facets together. The second gives one that has no value
    of the facet in common and, of those, is most alike in the others. Items equally alike are drawn
    from. An item stays itself in both tables where the catalogue has no other item with a value of
    the facet in common, or none with other values of it; the padding stays itself.

    Args:
        clicked: Items (indices from 1) that are to be exchanged; all others stay themselves.
        among: Rows (from 0, ascending) of the items that they may be exchanged for: A of a
            catalogue too large to hold every click against; by default all.
    """
    rng = np.random.default_rng(seed)
    indicators = {name: value_indicator(values) for name, values in facets.items()}
    V = 1 + max((len(values) for values in facets.values()), default=0)
    tables = {name: (np.arange(V), np.arange(V)) for name in facets}
    among = np.arange(V - 1) if among is None else among
    valued = {name: np.diff(values.indptr)[among] > 0 for name, values in indicators.items()}
    at_a_time = max(1, _PAIRS // max(1, len(among)))
    for begin in range(0, len(clicked), at_a_time):
        item = clicked[begin : begin + at_a_time]
        own = (item - 1)[:, None] == among
        alike = {name: likeness(values, item - 1, among) for name, values in indicators.items()}
        # Among items as alike as one another in one facet, the sum ranks by the other facets, and
        # the draw, which is less than steps of likeness are, orders those equally alike.
        draw = 1e-3 * rng.random((len(item), len(among)), dtype=np.float32)
        total = sum(alike.values()) + draw
        for name, here in alike.items():
            unlike = np.where((here > 0) | ~valued[name], -np.inf, total)
            here[own] = 0
            most = here.max(1)
            same = np.where(here == most[:, None], total, -np.inf)
            movable = (most > 0) & (unlike > -np.inf).any(1)
            for table, score in zip(tables[name], (same, unlike), strict=True):
                table[item[movable]] = among[score[movable].argmax(1)] + 1
    return tables
