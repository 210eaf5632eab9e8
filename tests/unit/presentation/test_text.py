"""Figures as people write them, and every term explained."""

import pytest

from fame.presentation import glossary
from fame.presentation.text import duration, told_apart


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (-1, "0 s")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_every_term_asked_for_is_explained():
    assert "**Gate.**" in glossary.explain("Gate", "Router")


def test_titles_that_begin_alike_show_how_they_end():
    titles = ["Konad Nail Art Stamping Polish - White", "Konad Nail Art Stamping Polish - Black"]
    told = told_apart([*titles, "Carcassonne", "A long title that nothing else begins like"], 30)
    assert told[0].endswith("- White") and told[1].endswith("- Black")
    assert all(len(title) <= 30 for title in told)
    assert told[2] == "Carcassonne" and told[3].endswith("…")
    assert told_apart([titles[0]] * 2, 30) == [told[0]] * 2  # one title twice is one title
