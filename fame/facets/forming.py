"""Facets forming: what each epoch of a training says of heads and experts, for next to no time.

It is the agreement of :mod:`fame.facets.tables` and :mod:`fame.facets.lists` and the share of
:mod:`fame.facets.experts`, over a sample that stays the same from epoch to epoch and from run to
run. What does not change with the weights is worked out once. Nothing is drawn while a model
trains, so it trains as it would without.

Shapes: ``V`` real items · ``N`` items asked · ``U`` people · ``L`` of them whose lists are made ·
``W`` values of a facet · ``H`` heads · ``E`` experts in each head · ``k`` items listed or nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix

from fame.facets.agreement import NEIGHBOURS
from fame.facets.estimates import drawn_by_popularity
from fame.facets.experts import DEAD_BELOW, expert_share
from fame.facets.lists import head_lists, permuted_values
from fame.facets.spaces import space_names
from fame.models.sequence_model import LastPosition, SequenceModel
from fame.ranking import Repeats
from fame.typed_json import read_as

ITEMS = 500  # asked for their nearest: a share is then within 0.03 of what all items would say
PEOPLE = 500  # whose gate and router are read
RECORD = "facets"  # the key in an epoch's row of ``metrics.jsonl``
FORMING = "forming"  # the key in ``metrics.json`` of all epochs' rows: their number and the record
LISTED = 200  # of them whose lists are made, which costs most
_RANKED = 10_000_000  # scores that those are made from: enough for 200 people on Amazon Beauty
_FEWEST = 50  # people whose lists are made, however large the catalogue is
_SCORES = 8_000_000  # at once, of items asked and all items: 32 MB
_DIGITS = 4  # of a share in the record


@dataclass(frozen=True)
class Formed:
    """How far facets have formed at the end of an epoch; shares have four digits.

    Attributes:
        items: Items asked for their ten nearest.
        people: People whose gate and router were read, before their validation item.
        listed: People whose lists were made.
        tables: By facet and space (``all``, ``head_0``, ..) the share of the nearest items that
            have a value in common with the item asked; ``chance`` is the mean over the heads (the
            whole, where there are none) with values permuted among items of like popularity.
        lists: By facet the same of the 20 listed items and the validation item.
        gate: ``[H]`` each head's mean share; empty without heads that rank.
        expert_share: ``[H]`` how far people and experts go together, 0 to 1
            (:func:`fame.facets.experts.expert_share`); ``None`` with one expert.
        dead: ``[H]`` experts with less than a tenth of an even share.
    """

    items: int
    people: int
    listed: int
    tables: dict[str, dict[str, float]]
    lists: dict[str, dict[str, float]]
    gate: list[float]
    expert_share: list[float | None]
    dead: list[int]


def read_forming(rows: Iterable[Mapping[str, Any]]) -> dict[int, Formed]:
    """By epoch what its row has; rows of a version that kept no record are left out.

    Raises:
        ValueError: where a record is not whole.
    """
    kept = [row for row in rows if isinstance(row, Mapping) and RECORD in row]
    return {read_as(int, row.get("epoch")): read_as(Formed, row[RECORD]) for row in kept}


class Forming:
    """Measures one model after another over the same items and people.

    Args:
        facets: By facet the values of all items ``(V, W)``; none where nothing is known.
        histories: Of U people, ``(length,)`` item indices each, oldest first.
        targets: ``(U,)`` what came next.
        train_count: ``(V,)`` clicks in training.
        repeats: Whether the history's items may be recommended again.
        seed: Of the items asked and of the permutation.
    """

    def __init__(
        self,
        facets: Mapping[str, csr_matrix],
        histories: Sequence[np.ndarray],
        targets: np.ndarray,
        train_count: np.ndarray,
        *,
        repeats: Repeats,
        seed: int = 0,
    ) -> None:
        self.histories, self.repeats = histories, repeats
        self.asked_N = drawn_by_popularity(train_count, ITEMS, seed=seed)
        rng = np.random.default_rng([seed, 2])  # another stream than that of the items
        self._near: dict[str, tuple[_Agreeing, _Agreeing]] = {}
        self._next: dict[str, tuple[_Agreeing, _Agreeing]] = {}
        for facet, values_VW in facets.items():
            permuted_VW = permuted_values(values_VW, train_count, rng)
            for kept, rows in ((self._near, self.asked_N), (self._next, targets - 1)):
                known = np.flatnonzero(np.diff(values_VW.indptr)[rows])
                if len(known):
                    kept[facet] = (
                        _Agreeing(values_VW, rows, known),
                        _Agreeing(permuted_VW, rows, known),
                    )

    def measure(self, model: SequenceModel, readings: LastPosition) -> Formed:
        """What a model says, from what it read of the people.

        Args:
            model: In eval mode.
            readings: Of the U histories, in their order.
        """
        spaces = space_names(model)
        listed = int(np.clip(_RANKED // (len(spaces) * model.num_items), _FEWEST, LISTED))
        listed = min(listed, len(self.histories))
        tables: dict[str, dict[str, float]] = {}
        if self._near:
            nearest = dict(zip(spaces, self._nearest(model), strict=True))
            tables = _shares(self._near, nearest)
        lists: dict[str, dict[str, float]] = {}
        if self._next and listed:
            first = head_lists(model, readings[:listed], self.histories[:listed], self.repeats)
            lists = _shares(self._next, {space: own - 1 for space, own in first.items()})
        gate_UH = readings.gate.double().cpu().numpy()
        router_UHE = readings.router.double().cpu().numpy()
        H, E = (model.heads, model.experts) if model.experts and len(gate_UH) else (0, 0)
        several = E > 1
        return Formed(
            items=len(self.asked_N),
            people=len(self.histories),
            listed=listed,
            tables=tables,
            lists=lists,
            gate=[_rounded(share) for share in gate_UH.mean(0)] if H else [],
            expert_share=(
                [_rounded(share) for share in expert_share(router_UHE)] if several else [None] * H
            ),
            dead=(router_UHE.mean(0) < DEAD_BELOW / E).sum(1).tolist() if H else [],
        )

    @torch.no_grad()
    def _nearest(self, model: SequenceModel) -> list[np.ndarray]:
        """By space ``(N, k)`` the rows most alike to those asked, by cosine, on the model's own
        device: a table of a million items stays where it is."""
        table_VD = model.item_table.float()
        found = []
        for space in [table_VD, *(model.sub_embeddings().float() if model.experts else ())]:
            unit_VK = F.normalize(space, dim=1)
            k, size = min(NEIGHBOURS, len(unit_VK) - 1), max(1, _SCORES // len(unit_VK))
            parts = [np.zeros((0, k), dtype=np.int64)]
            for rows in torch.from_numpy(self.asked_N).to(unit_VK.device).split(size):
                cosine = unit_VK[rows] @ unit_VK.T
                cosine[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
                parts.append(cosine.topk(k, dim=1, sorted=False).indices.cpu().numpy())
            found.append(np.concatenate(parts))
        return found


class _Agreeing:
    """Which items have a value in common with each of some: a bit a pair, made once.

    Args:
        values_VW: The values of all items.
        rows: ``(n,)`` which items are asked.
        known: Places in ``rows`` that count.
    """

    def __init__(self, values_VW: csr_matrix, rows: np.ndarray, known: np.ndarray) -> None:
        self.known = known
        size = max(1, _SCORES // values_VW.shape[0])
        self._bits = np.concatenate(
            [
                np.packbits((values_VW[rows[part]] @ values_VW.T).toarray() > 0, axis=1)
                for part in np.split(known, range(size, len(known), size))
            ]
        )

    def share(self, found_nk: np.ndarray) -> float | None:
        """The share of what was found for those asked that agrees, mean over those known.

        Args:
            found_nk: Rows found for the first n asked, below 0 for none. ``None`` where nobody
                among them is known.
        """
        within = self.known < len(found_nk)
        found = found_nk[self.known[within]]
        if not found.size:
            return None
        real = found >= 0
        byte = np.take_along_axis(self._bits[within], np.maximum(found, 0) >> 3, axis=1)
        agree = (byte >> (7 - (found & 7)).astype(np.uint8)) & 1 & real
        return float((agree.sum(1) / np.maximum(real.sum(1), 1)).mean())


def _shares(
    agreeing: Mapping[str, tuple[_Agreeing, _Agreeing]], found: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """By facet chance and the share by space; a facet that nobody known is asked of is left out."""
    shares: dict[str, dict[str, float]] = {}
    heads = [space for space in found if space != "all"] or ["all"]
    for facet, (own, permuted) in agreeing.items():
        by_space = {space: own.share(rows) for space, rows in found.items()}
        chance = [permuted.share(found[space]) for space in heads]
        real = {space: share for space, share in by_space.items() if share is not None}
        if real:
            mean = float(np.mean([share for share in chance if share is not None]))
            whole = {"chance": mean, **real}
            shares[facet] = {name: _rounded(share) for name, share in whole.items()}
    return shares


def _rounded(share: float) -> float:
    return round(float(share), _DIGITS) + 0.0  # never a negative nought
