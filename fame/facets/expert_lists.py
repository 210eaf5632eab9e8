"""What the lists are with one expert alone in its head and without it, over many people.

For one person that is :mod:`fame.lens.experts`. It is an intervention and no share of the score:
from an expert to a score lie a norm and a network, so everybody is read again.

Shapes: ``U`` people · ``V`` items with the padding id 0 · ``k`` items in a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from fame.lens.faithfulness import Estimate, bootstrap_mean
from fame.lens.reading import fused_scores, read_histories
from fame.metrics import hits, target_ranks
from fame.models.sequence_model import Intervention, SequenceModel
from fame.ranking import Repeats, leaving, only_candidates, top_lists

LIST_LENGTH = 10  # k; the held-out item is hit where it is among them
_RANKED = 1_000_000_000  # scores over all people and experts: all 2,000 people on Amazon Beauty
_FEWEST = 100  # people, however many items and experts there are
_SCORES = 8_000_000  # at once, of people and items: 32 MB


@dataclass(frozen=True)
class ChangedLists:
    """What an intervention does to the lists, means over people.

    Attributes:
        stay: The share of the first k items that are still among the first k.
        hit_rate: HR@k of the held-out item.
        gain: How much that is above the model's own, person by person.
    """

    stay: Estimate
    hit_rate: Estimate
    gain: Estimate


@dataclass(frozen=True)
class ExpertLists:
    """The lists with an expert alone in its head, and without it.

    Attributes:
        without: ``None`` where its head has no other expert.
        people: Whose lists were looked at; ``None`` in what an older version measured, which took
            all that it was given.
    """

    head: int
    expert: int
    alone: ChangedLists
    without: ChangedLists | None
    people: int | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether nobody's list loses an item without it, of those who were looked at."""
        return self.without is not None and self.without.stay.mean == 1


def expert_lists(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    repeats: Repeats,
    seed: int = 0,
) -> list[ExpertLists]:
    """``[H E]`` for every expert of every head; nothing for a model without experts.

    Args:
        histories: Of U people, ``(length,)`` item indices each, oldest first. Where items and
            experts are so many that it would take minutes, a sample of them.
        targets: ``(U,)`` what came next.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        seed: Of the intervals, and of the sample.
    """
    if not model.experts:
        return []
    most = max(_FEWEST, _RANKED // (2 * model.heads * model.experts * model.num_items))
    if most < len(histories):
        drawn = np.sort(np.random.default_rng(seed).permutation(len(histories))[:most])
        histories, targets = [histories[person] for person in drawn], targets[drawn]
    own_Uk, own_hit_U = _lists(model, histories, targets, repeats, None)
    length_U = np.maximum((own_Uk > 0).sum(1), 1)

    def changed(intervention: Intervention) -> ChangedLists:
        other_Uk, hit_U = _lists(model, histories, targets, repeats, intervention)
        return ChangedLists(
            stay=bootstrap_mean(1 - leaving(own_Uk, other_Uk) / length_U, seed=seed),
            hit_rate=bootstrap_mean(hit_U, seed=seed),
            gain=bootstrap_mean(hit_U - own_hit_U, seed=seed),
        )

    return [
        ExpertLists(
            head=pair[0],
            expert=pair[1],
            alone=changed(Intervention(solo=(pair,))),
            without=changed(Intervention(muted=(pair,))) if model.experts > 1 else None,
            people=len(histories),
        )
        for pair in product(range(model.heads), range(model.experts))
    ]


@torch.no_grad()
def _lists(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    repeats: Repeats,
    intervention: Intervention | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The first items ``(U, k)``, 0 for none, and whether the target is among them ``(U,)``."""
    readings = read_histories(model, histories, intervention=intervention)
    at_a_time = max(1, _SCORES // (model.num_items + 1))
    lists, hit = [], []
    for begin in range(0, len(readings), at_a_time):
        part = slice(begin, begin + at_a_time)
        scores = only_candidates(fused_scores(model, readings[part]), histories[part], repeats)
        lists.append(top_lists(scores, LIST_LENGTH))
        target = torch.from_numpy(targets[part].astype(np.int64)).to(scores.device)
        ranks = target_ranks(scores, target).cpu().numpy()  # writes over the scores
        hit.append(hits(ranks, LIST_LENGTH).astype(np.float64))
    return np.concatenate(lists), np.concatenate(hit)
