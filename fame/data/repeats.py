"""Do people choose the same item again? The share of targets that do, and what follows from it.

Films and products are chosen once, places and songs again and again. So whether what stands in the
history may be recommended is a choice of the data set, :data:`fame.data.sequences.Repeats`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from fame.data.sequences import Interactions, Repeats, held_out, repeated_targets

# From this share of repeated test targets on, an imported set recommends repeats unless told
# otherwise. Below it a log is as good as always one of things chosen once, with a few double clicks
# in it, and to leave the history out costs at most these few hits. Above it, a list without the
# history gives up more than one hit in twenty before it begins.
REPEATED_FROM = 0.05

ChosenBy = Literal["set", "share", "given"]


def repeated_share(data: Interactions) -> float:
    """Share of the test targets that stand in their own history; 0 where there are no targets."""
    repeated = repeated_targets(data, held_out(data, "test"))
    return float(repeated.mean()) if len(repeated) else 0.0


def sparsity(data: Interactions) -> float:
    """Share of all pairs of a person and an item that do not occur."""
    shape = len(data), data.num_items + 1
    once = np.ones(len(data.items), np.int8)
    pairs = csr_matrix((once, data.items, data.offsets), shape, copy=True)
    pairs.sum_duplicates()
    return 1 - pairs.nnz / (len(data) * data.num_items)


def repeats_by_share(share: float) -> Repeats:
    """What an imported set does about repeats where nobody says."""
    return "recommend" if share >= REPEATED_FROM else "exclude"


def repeats_sentence(repeats: Repeats, share: float, chosen_by: ChosenBy) -> str:
    """How many test targets repeat, what is done about it, and why.

    Args:
        chosen_by: ``set``: it belongs to a named set. ``share``: by :data:`REPEATED_FROM`.
            ``given``: somebody asked for it at import.
    """
    none = not share
    found = "none" if none else f"{100 * share:.3g} %"
    told = f"{found} of the test targets {'was' if none else 'were'} chosen before"
    done = {
        "recommend": "what is in the history is recommended again",
        "exclude": "what is in the history is in no list"
        + ("" if none else ", and such a target is a miss"),
    }[repeats]
    if chosen_by == "set":
        return f"{told}; {done}"
    if chosen_by == "given":
        return f"{told}; as asked for with --repeats {repeats}, {done}"
    least = f"{100 * REPEATED_FROM:g} %"
    side = f"{least} or more" if share >= REPEATED_FROM else f"less than {least}"
    other = {"recommend": "exclude", "exclude": "recommend"}[repeats]
    return f"{told} ({side}), so {done} (import with --repeats {other} to change that)"
