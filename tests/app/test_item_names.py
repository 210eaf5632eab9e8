"""Items of one title, and items without any, wherever the app shows them."""

import html
import re

import pytest
import streamlit as st
from typer.testing import CliRunner

import resources
import tables
from fame.cli import app as command_line
from fame.data import load
from tests import made_up
from tests.app.walk import assert_calm, html_of


@pytest.fixture
def twins(home, tmp_path, monkeypatch):
    """A catalogue in which all items have one title, but the first five, which have none."""
    twins = tmp_path / "twins"
    titles = [None] * 5 + ["Twin"] * (made_up.ITEMS - 5)
    monkeypatch.setattr(made_up, "titles", lambda: titles)
    made_up.make(twins)
    for name, value in made_up.environment(twins).items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    return twins


def test_no_two_items_read_the_same(twins, open_app):
    app = open_app()
    assert_calm(app)
    page = html_of(app)
    rows = re.findall(r'<li class="row.*?</li>', page, re.S)
    names = [re.search(r"<span>(.*?)</span></button>", row)[1] for row in rows]
    own = [re.findall(r'class="what" title="([^"]*)"', part) for part in page.split("<article")]
    for listed in (names, *own):
        assert len(set(listed)) == len(listed)
    assert len(names) == 10
    opened = resources.checkpoint(made_up.NAME)
    size = len(opened.items)
    assert len(set(resources.title_by_id(opened).values())) == size  # where items are searched
    assert len({title for title, _ in resources.map_hover(opened)}) == size
    ids = opened.items["item_id"].tolist()
    assert html.escape(tables.item_title(opened.items, ids.index("40") + 1)) == "Twin ∙ item 40"
    first = tables.item_title(opened.items, ids.index("1") + 1)
    assert first.startswith("Item 1 (") and first.endswith(")")


def test_the_command_line_tells_items_apart(twins):
    person = load(made_up.NAME, offline=True).interactions.user_ids[0]
    path = str(twins / "checkpoints" / made_up.NAME)
    told = CliRunner().invoke(command_line, ["trace", path, "--user", person])
    assert told.exit_code == 0
    fused = told.output.split("Fused")[1].splitlines()
    names = [line.rpartition("  ")[2] for line in fused if " = " in line]
    assert len(names) == len(set(names)) == 10
