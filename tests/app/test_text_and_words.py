"""Text made safe, sentences made from figures, colours that can be told apart."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import glossary
import palette
import state
import text
import words
from examples import EXAMPLES, offers
from fame.data.catalogue import read_items
from fame.facets.agreement import Agreement
from fame.lens.people import RULES, worth_showing
from fame.models.sequence_model import Intervention
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


def test_every_example_is_whole_in_a_shipped_catalogue():
    shipped = Path(__file__).resolve().parents[2] / "checkpoints"
    catalogues = [offers(read_items(file)) for file in shipped.glob("*/items.parquet")]
    for example in EXAMPLES:
        found = [len(known[example.name].history) for known in catalogues if example.name in known]
        assert len(example.titles) in found, example.name


def test_what_was_changed_is_said():
    assert words.desk_sentence(Intervention(), 0) == ""
    changed = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 0),))
    assert words.desk_sentence(changed, 1) == (
        "1 item left out of the history; the gate set to Head 1 25 %, Head 2 75 %; expert 2 of "
        "Head 1 muted; expert 1 of Head 2 alone in its head"
    )


def test_causes_below_an_item():
    assert words.because_line(["A", "B"]) == "because of A and B"
    assert "no single click" in words.because_line([])


def test_every_list_of_people_tells_its_figures():
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "length": [3, 4000],
            "gate": [0.9, 0.5],
            "gate_head": [1, 0],
            "gate_move": [0.25, 0.1],
            "shared": rng.random(2),
            "rank": [3, 30],
            "best_head": [0, 1],
            "best_head_rank": [20, 4],
        }
    )
    lists = worth_showing(people, ["a", "b"])
    assert set(lists) == set(RULES)
    told = {name: words.figures_text(name, rows[0]) for name, rows in lists.items()}
    assert told["one_head_rules"] == "Head 2 has 90 %"
    assert told["longest"] == "4,000 clicks"
    assert told["fusion_hits"] == "rank 3, best head 20"
    assert told["one_head_better"] == "Head 2 rank 4, fused 30"
    assert all(words.rule_label(name)[0].isupper() for name in RULES)


def test_how_far_the_clicks_can_be_believed():
    said = {words.tested_sentence(verdict, 500) for verdict in ("holds", "unclear", "fails")}
    assert len(said) == 3
    assert all(sentence.startswith("Tested on 500 people, ") for sentence in said)


def agreements(**by_facet: tuple[float, ...]) -> dict[str, Agreement]:
    return {
        name: Agreement(10, 0.1, {"all": 0.5, **{f"head_{h}": s for h, s in enumerate(shares)}})
        for name, shares in by_facet.items()
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (agreements(brand=(0.3, 0.15), category_1=(0.4, 0.6)), "Head 1 is ahead in brand (30 % to"),
        (agreements(brand=(0.3, 0.15), category_1=(0.4, 0.6)), "Head 2 is ahead in category 1 (60"),
        (agreements(brand=(0.3, 0.29), genre=(0.4, 0.45)), "views of the same thing, not facets"),
        (agreements(brand=(0.3, 0.2), genre=(0.4, 0.1)), "a better view of the same thing"),
        (agreements(brand=()), "nothing to tell apart"),
    ],
)
def test_agreement_says_which_head_is_ahead_in_what(found, said):
    assert said in words.agreement_sentence(found)


def test_a_head_ahead_in_one_of_two_facets_is_not_called_better():
    found = agreements(brand=(0.3, 0.15), genre=(0.4, 0.4))
    assert "better view" not in words.agreement_sentence(found)
