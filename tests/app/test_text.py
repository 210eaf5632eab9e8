"""Text made safe; ids and examples that survive the way to the page."""

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

import state
import text
from fame.data.catalogue import read_items
from fame.presentation.examples import EXAMPLES, offers
from lens_parts.stage import _button
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


def test_figures_stay_in_one_piece():
    for safe in (text.for_html, text.for_markdown):
        assert safe("37 % of\n 9 of 10").replace("\\", "") == "37\u00a0% of 9\u00a0of\u00a010"


def test_a_button_says_the_id_letter_by_letter():
    """In an id, which is anybody's, every space counts and no figure does."""
    act = {"do": "leave", "item": 'a  "37 %"<b>\n'}
    attribute = re.search(r'data-act="([^"]*)"', _button("×", act)).group(1)
    assert json.loads(html.unescape(attribute)) == act


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


def test_every_example_is_whole_in_a_shipped_catalogue():
    shipped = Path(__file__).resolve().parents[2] / "checkpoints"
    catalogues = [offers(read_items(file)) for file in shipped.glob("*/items.parquet")]
    for example in EXAMPLES:
        found = [len(known[example.name].history) for known in catalogues if example.name in known]
        assert len(example.titles) in found, example.name
