"""Where the app opens: the example on which a checkpoint's heads differ most by evidence.

``opening.json`` has it for one checkpoint, with its figure, so that the app can open on the best of
all checkpoints without reading any model. It needs no data set: examples are histories of our own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fame.checkpoint import WEIGHTS, Checkpoint, read_description
from fame.errors import FameError
from fame.files import read_json, write_json
from fame.lens.trace import SequenceTrace, fused_table, head_table, trace_history
from fame.presentation.evidence import ItemFacts
from fame.presentation.examples import offers
from fame.survey import read_facets
from fame.typed_json import read_as

OPENING = "opening.json"
FORMAT = 1
LISTED = 10  # items of each head's list
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opening:
    """The example to open a checkpoint on.

    Attributes:
        example: Its name; empty where no head has a name by evidence that an example shows.
        named: The share of the heads, those left out that were given no facet, that have a name by
            evidence.
        lead: How far its heads differ, from 0 to 1 (:func:`heads_apart`).
    """

    example: str
    named: float
    lead: float


def heads_apart(
    trace: SequenceTrace, known: ItemFacts, columns: dict[int, list[str]], k: int = LISTED
) -> float:
    """How far the named heads' lists differ in what they are named after, from 0 to 1.

    For each of them: the share of its list that has the value which most of it has, less the
    largest share of any other head's list that has it. The mean of them, times the share of the
    fused list that agrees with the history in something that is shown of it: a list that has
    nothing to do with its history shows nothing, however far the heads are apart.

    Args:
        columns: By head that is named after a facet, the facet's columns.
    """
    table, leads = head_table(trace, k), []
    lists = [table.loc[table["head"] == head, "item"].tolist() for head in range(trace.heads)]
    for head, own in columns.items():
        seen = known.shared(lists[head], own)
        if seen is None:
            leads.append(0.0)
            continue
        others = [
            sum((seen.column, seen.value) in known.values(item, own) for item in listed)
            / len(listed)
            for other, listed in enumerate(lists)
            if other != head
        ]
        leads.append(max(0.0, seen.count / seen.among - max(others, default=0.0)))
    held, fused = known.held_by(trace.read), fused_table(trace, k)["item"]
    agrees = np.mean([any(fact.agrees for fact in known.facts(item, held)) for item in fused])
    return float(agrees * np.mean(leads)) if leads else 0.0


def find_opening(checkpoint: Checkpoint) -> Opening:
    """The example on which a checkpoint's heads are furthest apart; the first of equals."""
    known = ItemFacts(checkpoint.items)
    shares = checkpoint.model_config.facet_shares
    columns = _named_after(checkpoint, known)
    free = sum(not share for share in shares)
    named = len(columns) / max(1, checkpoint.model.heads - free)
    best = Opening("", named, 0.0)
    if not columns:
        return best
    for name, offer in offers(checkpoint.items).items():
        trace = trace_history(checkpoint.model, offer.history, repeats=checkpoint.data.repeats)
        lead = heads_apart(trace, known, columns)
        if lead > best.lead:
            best = Opening(name, named, lead)
    return best


def _named_after(checkpoint: Checkpoint, known: ItemFacts) -> dict[int, list[str]]:
    """By head that is named after a facet by evidence, the facet's columns."""
    found = read_facets(checkpoint)
    shares = checkpoint.model_config.facet_shares
    named = {}
    for head in found.heads if found else []:
        if head.name is not None and head.facet is not None:
            share = shares[head.head] if shares and shares[head.head] else (head.facet,)
            named[head.head] = known.columns_of(share)
    return named


def write_opening(checkpoint: Checkpoint) -> Opening:
    """Finds where to open a checkpoint and stores it there."""
    opening = find_opening(checkpoint)
    document = {"format": FORMAT, "weights": checkpoint.weights_hash, **asdict(opening)}
    write_json(checkpoint.path / OPENING, document)
    return opening


def read_opening(path: Path) -> Opening | None:
    """What is stored in a checkpoint's folder; ``None`` where nothing of these weights is.

    What is damaged counts as not there, because it only says where to begin.
    """
    try:
        document: Any = read_json(path / OPENING)
        if document.pop("format") != FORMAT:
            raise ValueError("of another format")
        if document.pop("weights") not in read_description(path).files[WEIGHTS]:
            raise ValueError("of other weights")
        return read_as(Opening, document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, FameError) as error:
        logger.info("%s is left aside: %s", path / OPENING, error)
        return None


def best_opening(folders: Iterable[Path]) -> tuple[Path, Opening] | None:
    """Where most heads have names, and of those where they are furthest apart.

    ``None`` where no folder knows an example.
    """
    known = [(path, read_opening(path)) for path in folders]
    shows = [(path, opening) for path, opening in known if opening and opening.example]
    return max(shows, key=lambda pair: (pair[1].named, pair[1].lead), default=None)
