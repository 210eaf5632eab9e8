"""How one input of ``bench faults`` can end, besides well or in a sentence."""

from __future__ import annotations


class Silent(Exception):
    """What was taken does not add up."""


def hold(ours: object, theirs: object, what: str) -> None:
    """Raises :class:`Silent` where two figures or contents of one thing differ."""
    if ours != theirs:
        raise Silent(f"{what}: {str(ours)[:200]} and {str(theirs)[:200]}")
