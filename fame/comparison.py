"""Two checkpoints of one catalogue held against each other: what their lists have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fame.checkpoint import Checkpoint, Description
from fame.data.sequences import Interactions
from fame.errors import CheckpointError
from fame.facets.lists import head_lists
from fame.facets.matching import Matching, match_heads
from fame.facets.spaces import space_names
from fame.lens.reading import read_histories
from fame.survey import SAMPLE, drawn_people, everybody_of

_RANKED = 100_000_000  # scores of both models: a second or two
_FEWEST = 50  # people, however large the catalogue is


@dataclass(frozen=True)
class Compared:
    """How alike two checkpoints are.

    Attributes:
        matching: Which head of the second does what a head of the first does.
        user_ids: Of the people it was found over, those first on whom the two differ most.
    """

    matching: Matching
    user_ids: list[str]


def why_not(first: Checkpoint, second: Description) -> str:
    """Why a checkpoint cannot be compared with another; nothing where it can be."""
    mine, other = first.data, second.data
    if mine.catalogue == other.catalogue:
        return ""
    if mine.items == other.items and mine.name == other.name:
        return f"another version of the catalogue of {other.name}"
    return f"another catalogue ({other.items:,} items of {other.name})"


def compare_checkpoints(
    first: Checkpoint,
    second: Checkpoint,
    data: Interactions,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
) -> Compared:
    """Matches the heads of two checkpoints by their lists for the same people.

    Args:
        data: The histories, with their catalogue. Each model makes its lists by its own choice
            about repeats.
        sample: People at most; fewer where catalogue and heads are many. As many as
            ``facets.json`` is about are the same ones.
        seed: Of the people, of chance and of the intervals.

    Raises:
        CheckpointError: where either was trained on another catalogue.
    """
    for checkpoint in (first, second):
        checkpoint.check_catalogue(data)
    if first.data.catalogue != second.data.catalogue:
        raise CheckpointError(
            f"Checkpoints {first.name!r} and {second.name!r} were trained on different catalogues "
            f"and cannot be compared; choose two of {first.data.name!r}."
        )
    examples, everybody = everybody_of(data)
    spaces = sum(len(space_names(one.model)) for one in (first, second))
    most = max(_FEWEST, _RANKED // (spaces * data.num_items))
    drawn = drawn_people(len(everybody), min(sample, most, len(everybody)), seed)
    histories = [everybody[person] for person in drawn]
    lists = [
        head_lists(one.model, read_histories(one.model, histories), histories, one.data.repeats)
        for one in (first, second)
    ]
    matching = match_heads(*lists, seed=seed)
    user_ids = data.user_ids[examples.users][drawn]
    return Compared(matching, [str(user) for user in user_ids[np.array(matching.differing)]])
