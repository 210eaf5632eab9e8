"""All measures of one checkpoint but lists, causes and names: what the Facets page shows of them.

Each has a file of its own in this room; here samples are drawn and the parts are put together.
Samples are drawn by strata of popularity (:func:`fame.facets.estimates.drawn_by_popularity`) and
every part says how many items or people it saw, so that a catalogue of 300,000 items costs no more
than one of 30,000.

Shapes: ``V`` real items · ``U`` people · ``H`` heads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fame.facets.codes import OWN, item_codes
from fame.facets.disentanglement import Disentanglement, disentanglement
from fame.facets.estimates import drawn_by_popularity, items_among
from fame.facets.lists import control_lists, head_lists
from fame.facets.probes import FacetProbes, facet_probes
from fame.facets.redundancy import Redundancy, redundancy
from fame.facets.tables import TableAgreement, table_agreement
from fame.facets.use import Use, use
from fame.facets.values import value_indicator
from fame.lens.reading import read_histories
from fame.models.sequence_model import SequenceModel
from fame.ranking import Repeats

ITEMS = 3000  # asked for their neighbours, and probed
PEOPLE = 4000  # whose hits are counted
_FEWEST = 300  # items, or people, however many heads there are
_SPACES = 125_000  # items asked times spaces: with 8 heads and all controls 3,000 items
_RANKED = 1_000_000_000  # scores that are ranked over all people and lists


@dataclass(frozen=True)
class Measures:
    """What is measured of one checkpoint; ``None`` where it cannot be.

    Attributes:
        tables: By facet what lies near an item (:mod:`fame.facets.tables`).
        probes: By facet what a linear probe reads (:mod:`fame.facets.probes`); facets without two
            values that enough items have are left out.
        disentanglement: DCI, MIG and SAP (:mod:`fame.facets.disentanglement`); ``None`` without
            heads, or without a facet to probe.
        redundancy: What two heads share (:mod:`fame.facets.redundancy`); ``None`` without heads.
        use: The gate, and what each head adds (:mod:`fame.facets.use`); ``None`` without heads.
    """

    tables: dict[str, TableAgreement]
    probes: dict[str, FacetProbes]
    disentanglement: Disentanglement | None
    redundancy: Redundancy | None
    use: Use | None


@dataclass(frozen=True)
class People:
    """Histories and what came next.

    Attributes:
        histories: Of U people, ``(length,)`` item indices each, oldest first.
        targets: ``(U,)`` what came next.
        user_ids: ``[U]``.
    """

    histories: Sequence[np.ndarray]
    targets: np.ndarray
    user_ids: Sequence[str]

    def some(self, rows: np.ndarray) -> People:
        """Those of them."""
        return People(
            [self.histories[row] for row in rows],
            self.targets[rows],
            [self.user_ids[row] for row in rows],
        )


def measure(
    model: SequenceModel,
    everybody: People,
    compared: np.ndarray,
    facets: Mapping[str, Sequence[Sequence[str]]],
    train_count: np.ndarray,
    *,
    repeats: Repeats,
    untrained: SequenceModel | None = None,
    sasrec: SequenceModel | None = None,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Measures:
    """Measures everything.

    Args:
        everybody: All people with something that came next.
        compared: Which of them have their lists compared between heads.
        facets: By facet, the values of every real item.
        train_count: ``(V,)`` clicks in training.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        untrained: :func:`fame.facets.codes.untrained_like`, a control.
        sasrec: A SASRec of the same data and catalogue, a control.
        seed: Of every draw.
        on_progress: Told what is being done.
    """
    H = model.heads if model.experts else 0
    spaces = 1 + 5 * H
    asked = int(np.clip(_SPACES // spaces, _FEWEST, ITEMS))
    among = items_among(train_count, seed=seed)
    rows = drawn_by_popularity(train_count[among], asked, seed=seed)
    values = {facet: value_indicator(own)[among] for facet, own in facets.items()}
    on_progress("Looking at nearest items beside controls")
    codes = item_codes(model, among, untrained=untrained, sasrec=sasrec, seed=seed)
    with torch.no_grad():
        whole = model.rows_of_item_table(torch.from_numpy(among)).float().numpy()
    tables = table_agreement(whole, codes, rows, values, train_count[among], seed=seed)
    on_progress("Probing for facets")
    some = {name: [code[rows] for code in heads] for name, heads in codes.items()}
    probed = {facet: own[rows] for facet, own in values.items()}
    counts = train_count[among][rows]
    probes = facet_probes(whole[rows], some, probed, counts, seed=seed)
    on_progress("Working out DCI, MIG and SAP")
    apart = disentanglement(some, probed, counts, seed=seed)
    if not H:
        return Measures(tables, probes, apart, None, None)
    on_progress("Comparing the heads' lists")
    people = everybody.some(compared)
    readings = read_histories(model, people.histories)
    heads = head_lists(model, readings, people.histories, repeats)
    cut = control_lists(
        model, readings, people.histories, repeats, seed=seed, sasrec=sasrec, untrained=untrained
    )
    found = redundancy(
        [own for space, own in heads.items() if space != "all"],
        readings.head_states.cpu().numpy(),
        some[OWN],
        {control: list(by_slice.values()) for control, by_slice in cut.items()},
        people.user_ids,
        seed=seed,
    )
    most = int(np.clip(_RANKED // ((1 + 2 * H) * len(train_count)), _FEWEST, PEOPLE))
    drawn = np.random.default_rng(seed).permutation(len(everybody.targets))[:most]
    on_progress(f"Counting hits of {len(drawn):,} people with and without each head")
    ranked = everybody.some(np.sort(drawn))
    used = use(
        model,
        ranked.histories,
        ranked.targets,
        train_count,
        repeats=repeats,
        facets=facets,
        seed=seed,
    )
    return Measures(tables, probes, apart, found, used)
