"""Figures as people write them, and every term explained."""

import pytest

from fame.presentation import glossary
from fame.presentation.text import duration, told_apart, unbroken


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


@pytest.mark.parametrize(
    "figure",
    [
        *("37 %", "9 of 10", "+4.2 points", "−1 point", "3 percentage points", "Head 2"),
        *("expert 3", "rank 41", "HR@10 0.111", "SASRec 0.111", "item-kNN 0.074"),
        "popularity 0.011",
    ],
)
def test_no_line_ends_within_a_figure(figure):
    """A browser breaks lines at spaces, and at none of these."""
    first = figure.replace(" ", "\u00a0").replace("percentage\u00a0", "percentage ")
    assert unbroken(f"So {figure}, and {figure}.") == f"So {first}, and {first}."


def test_other_words_part_where_they_did():
    text = "5 clicks of 3 people, 4 of the list; heads 2 and 3; a point; % of 5"
    assert unbroken(text) == text
