"""Figures as people write them, and every term explained."""

import pytest

from fame.presentation import glossary
from fame.presentation.text import duration


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (-1, "0 s")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_every_term_asked_for_is_explained():
    assert "**Gate.**" in glossary.explain("Gate", "Router")
