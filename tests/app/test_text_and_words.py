"""Text made safe, sentences made from figures, colours that can be told apart."""

import re

import numpy as np
import pandas as pd
import pytest

import glossary
import palette
import state
import text
import words
from examples import EXAMPLES, offers
from tests.made_up import HTML_TITLE, SHORTCODE_TITLE


@pytest.mark.parametrize("title", [HTML_TITLE, SHORTCODE_TITLE])
def test_nothing_is_left_to_interpret(title):
    assert "<" not in text.for_html(title)
    assert "<" not in text.for_plotly(title)
    assert "$" not in text.for_plotly(title)
    escaped = text.for_markdown(title)
    assert not re.search(r"(?<!\\)[*_`\[\]()<>$]", escaped)
    assert not re.search(r":\w", escaped)
    assert escaped.replace("\\", "").replace("\u2060", "") == title


def test_overlap_sentence_counts_the_shared_items():
    lists = pd.DataFrame({"head": [0, 0, 1, 1], "fused_rank": pd.array([1, None, 1, 2])})
    assert "Head 2 alone would also have shown 2" in words.overlap_sentence(lists, 2)


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (-1, "0 s")]
)
def test_durations(seconds, said):
    assert words.duration(seconds) == said


def test_trust_is_worded_by_the_figure():
    assert "6.0 on average" in words.trust_sentence(0.4, 15, "Head 1")
    verdicts = {words.trust_sentence(share, 15, "x").split(";")[1] for share in (0.1, 0.3, 0.6)}
    assert len(verdicts) == 3


def test_every_term_asked_for_is_explained():
    assert "**Gate.**" in glossary.explain("Gate", "Router")


def luminance(colour):
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", [*palette.HEADS, palette.NEUTRAL, palette.HELD_OUT])
@pytest.mark.parametrize("background", ["#FFFFFF", "#12161C"])
def test_colours_show_on_both_themes(colour, background):
    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_heads_have_colours_of_their_own_and_then_again():
    assert len({palette.head_colour(head) for head in range(8)}) == 8
    assert palette.head_colour(8) == palette.head_colour(0)


def test_items_survive_the_address_whatever_their_ids():
    ids = ("1", "a,b", "ü/%?&", "x y")
    choice = state.CHOICES["items"]
    assert choice.read(choice.write(ids)) == ids


def test_examples_are_offered_where_the_catalogue_has_them():
    titles = EXAMPLES[0].titles[:3]
    items = pd.DataFrame({"title": [*titles, "Else", "More"], "train_count": [1, 2, 3, 9, 5]})
    found = offers(items)
    assert found[EXAMPLES[0].name].history.tolist() == [1, 2, 3]
    assert found["best-known"].history.tolist()[-1] == 4  # the best known one is the latest click
    assert set(found) == {EXAMPLES[0].name, "best-known"}
