"""The pages on a set that has grown since training: what they say, and whose titles they show."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from fame.checkpoint import load_checkpoint
from fame.data import append_file, load
from tests import made_up
from tests.app.walk import ATLAS, LENS, assert_calm, html_of

FACETS = "views/facets.py"
# Of u3 a click that stands before all others, by a person unknown till now another.
NEWER = "user,item\nu3,0\nu3,7\nnewbie,0\n"
CATALOGUE = "item_id,title,genres,year\n0,A new film,Drama,1960\n"
GROWN = (
    "The data set has grown since this model was trained: 3 newer clicks, 1 new person and 1 new"
)


def text_of(app) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", html_of(app)))


@pytest.fixture
def valued(home: Path) -> str:
    made_up.write_checkpoint(home / "checkpoints" / "valued", made_up.NAMED, seed=3)
    return "valued"


def grow(home: Path) -> None:
    for name, text in (("b.csv", NEWER), ("b-items.csv", CATALOGUE)):
        (home / name).write_text(text)
    append_file(home / "b.csv", made_up.NAME, home / "b-items.csv")


def test_the_pages_say_that_a_set_has_grown(home: Path, open_app, valued: str) -> None:
    calm = open_app(LENS, checkpoint=made_up.NAME, user="u3")
    assert "has grown" not in text_of(calm)
    before = load(made_up.NAME, offline=True).interactions
    grow(home)  # the page that is open sees it at its next redraw
    told = text_of(calm.run())
    assert GROWN in told
    assert (
        "The model does not know 1 new item, which no list has, and whose 2 clicks no history has: "
        "A new film." in told
    )
    assert_calm(calm)
    # The clicks keep their titles although every item has another number now.
    items = load_checkpoint(home / "checkpoints" / made_up.NAME).items.set_index("item_id")
    for item in before.item_ids[before.sequence(before.user_index("u3"))][-3:]:
        assert items["title"][item] in told

    for page, checkpoint in ((ATLAS, valued), (FACETS, valued), (ATLAS, made_up.NAME)):
        app = open_app(page, checkpoint=checkpoint)
        assert f"{GROWN} item; stored figures" in text_of(app), page
        assert "New items are not on this page." in text_of(app), page
        assert_calm(app)


def test_lens_ranks_a_new_item_from_its_values(home: Path, open_app, valued: str) -> None:
    grow(home)
    for part in ("lists", "ledger", "others", "clicks"):
        app = open_app(LENS, checkpoint=valued, user="u3", k="41", part=part)
        told = text_of(app)
        assert GROWN in told
        assert "One new item is ranked from what the catalogue says of it" in told
        assert "does not know" not in told
        assert_calm(app)
        assert "A new film" in told, "the click before the last one is on it"
    tour = {}
    for step in map(str, range(1, 7)):
        tour[step] = open_app(LENS, checkpoint=valued, user="u3", tour=step)
        assert_calm(tour[step])
        assert "another catalogue" not in text_of(tour[step])
    # What is new is in the history and on no map.
    documents = [json.loads(one.proto.json) for one in tour["4"].get("bidi_component")]
    (drawn,) = [document for document in documents if "maps" in document]
    known = len(load_checkpoint(home / "checkpoints" / valued).items)
    assert len(drawn["items"]) == known
    for one in drawn["maps"]:
        assert max(place for place, _ in one["marks"]) < known
    other = open_app(LENS, checkpoint=valued, user="u5", k="41", part="lists")
    assert "A new film" in text_of(other), "it is in the list of whoever has not had it"
    assert_calm(other)
