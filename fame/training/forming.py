"""The record of facets forming: what a validation reads of a fixed sample of people, and of items.

The validation reads everybody's history anyhow, so of the sample it is only kept; with several
processes each reads a share of it.

Shapes: ``n`` examples of a batch · ``U`` people of the sample · ``D`` width · ``H`` heads · ``K``
head width · ``E`` experts in each head · ``V`` real items · ``W`` values of a facet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from fame.data.attributes import FacetValues, ItemAttributes
from fame.data.head_values import TITLE, title_words
from fame.data.sequences import Interactions, held_out
from fame.facets.forming import PEOPLE, Forming
from fame.facets.values import value_indicator
from fame.models.sequence_model import LastPosition, SequenceModel
from fame.training.workers import Workers


class FormingRecord:
    """Makes the record of one epoch after another.

    Args:
        attributes: What the catalogue says of the items.
        made_of: What heads are made of; words of titles count as a facet where they are among it.
        seed: Of people, items and permutations: the same for all runs, so that they compare.
    """

    def __init__(
        self,
        data: Interactions,
        attributes: ItemAttributes | None = None,
        *,
        made_of: Iterable[str] = (),
        seed: int = 0,
    ) -> None:
        examples = held_out(data, "valid")
        drawn = np.sort(np.random.default_rng(seed).permutation(len(examples))[:PEOPLE])
        # The lists of the first ones are made, and the file's order may mean something.
        drawn = np.random.default_rng([seed, 1]).permutation(drawn)
        self._place = np.full(len(examples), -1)
        self._place[drawn] = np.arange(len(drawn))
        self._kept: list[tuple[np.ndarray, LastPosition]] = []
        facets = {}
        if attributes is not None:
            known = attributes.facets.items()
            facets = {facet: _indicator(own, data.num_items) for facet, own in known}
            if TITLE in made_of:
                facets[TITLE] = value_indicator(title_words(attributes.titles))
        self._forming = Forming(
            facets,
            [data.items[examples.starts[i] : examples.ends[i]].astype(np.int64) for i in drawn],
            examples.targets[drawn].astype(np.int64),
            data.train_counts[1:],
            repeats=data.repeats,
            seed=seed,
        )

    def keep(self, index: np.ndarray, end: LastPosition) -> None:
        """Told by the validation what it read: examples ``(n,)``, their histories' ends."""
        place = self._place[index]
        chosen = np.flatnonzero(place >= 0)
        if len(chosen):
            rows = torch.from_numpy(chosen).to(end.query.device)
            self._kept.append((place[chosen], end[rows]))

    def take(self, model: SequenceModel, workers: Workers) -> dict[str, Any] | None:
        """The epoch's record, in the first process; the others only hand over what they read.

        Args:
            model: The one that was validated, still in eval mode.
        """
        kept, self._kept = self._kept, []
        config, H, E = model.config, model.heads, model.experts
        shapes = ((config.width,), (H, config.width // H), (H,), (H, E))
        parts = [(rows, list(vars(end).values())) for rows, end in kept]
        like, U = next(model.parameters()), len(self._forming.histories)
        readings = LastPosition(
            *(
                _gathered([(rows, own[at]) for rows, own in parts], (U, *shape), like, workers)
                for at, shape in enumerate(shapes)
            )
        )
        return workers.on_first(lambda: asdict(self._forming.measure(model, readings)))


def _gathered(
    parts: list[tuple[np.ndarray, Tensor]],
    shape: tuple[int, ...],
    like: Tensor,
    workers: Workers,
) -> Tensor:
    """One tensor of what all processes kept: each has other rows, and 0 in the rest."""
    whole = torch.zeros(shape, dtype=like.dtype, device=like.device)
    for rows, part in parts:
        whole[torch.from_numpy(rows).to(like.device)] = part
    return workers.sum(whole) if whole.numel() else whole


def _indicator(own: FacetValues, items: int) -> csr_matrix:
    """``(V, W)``: above 0 where an item has a value."""
    ones = np.ones(len(own.item), dtype=np.float32)
    return csr_matrix((ones, (own.item, own.value)), shape=(items, len(own.values)))
