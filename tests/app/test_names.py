"""Named heads are called by their names everywhere in the app; names are text, and can be set."""

import html
import json
import os
import re
import shutil

import pytest

import components
import resources
from fame.errors import FameError
from fame.head_names import NAMES, read_chosen_names
from fame.survey import FACETS
from lens_parts.stage import FIRST
from tests import made_up
from tests.app.walk import ATLAS, LENS, assert_calm, html_of, labelled, query, warnings

NAMED = "named"
HOSTILE = ("<b>x</b>%{x}", ":red[*x*] $x$", "[a](b)`c`")
PARTS = ("clicks", "item", "experts", "mix", "truth", "others")
EVERYWHERE = [
    *((LENS, {"part": part}) for part in PARTS),
    *((LENS, {"part": "mix", "mix": f"head_{head}"}) for head in range(3)),
    (LENS, {"part": "clicks", "of": "5"}),
    (LENS, {"part": "experts", "expert": "1:0"}),
    (LENS, {"part": "experts", "expert": "1:0", "gate": "1,0,1"}),
    (LENS, {"part": "item", "item": "7", "gate": "0.5,0.2,0.3", "mute": "0:1", "solo": "1:1"}),
    (LENS, {"present": "on"}),
    *((LENS, {"tour": str(step)}) for step in range(1, 6)),
    (ATLAS, {"space": "head_0", "beside": "head_2", "item": "5"}),
    (ATLAS, {"space": "head_1"}),
]
MARKUP = [  # where names stand in HTML, Markdown, widgets, charts and templates
    (LENS, {"part": "clicks"}),
    (LENS, {"part": "mix", "mix": "head_0"}),
    (LENS, {"part": "experts", "expert": "0:0"}),
    (LENS, {"part": "experts", "expert": "1:0", "gate": "1,0,1"}),
    (LENS, {"tour": "4"}),
    (ATLAS, {"space": "head_0", "beside": "head_2", "item": "5"}),
]


@pytest.fixture(scope="module")
def named(pristine, tmp_path_factory):
    """A checkpoint whose heads are Genre, Era and Free, made once."""
    home = tmp_path_factory.mktemp("named") / "home"
    shutil.copytree(pristine, home)
    with made_up.at_home(home):
        made_up.write_named_checkpoint(home / NAMED, ("Genre", "Era", "Free"))
    return home / NAMED


@pytest.fixture
def open_named(open_app, home, named):
    """Opens a page on it with everything unfolded; ``open_named.path`` is the copy opened."""
    path = home / "checkpoints" / NAMED
    shutil.copytree(named, path)

    def start(page=LENS, **address):
        unfolded = ("head-names", "people", "ledger-numbers")
        return open_app(page, unfolded=unfolded, checkpoint=NAMED, user="u3", **address)

    start.path = path
    return start


def everything(app) -> str:
    """All that stands on a page, in widgets, tables, charts, helps and hovers."""
    found = []

    def walk(block):
        for child in block.children.values():
            proto = getattr(child, "proto", None)
            if proto is not None:
                found.append(str(proto))
            if hasattr(child, "children"):
                walk(child)

    walk(app.main)
    walk(app.sidebar)
    return "\n".join(found)


def rename(path, names) -> None:
    document = json.loads((path / FACETS).read_text())
    for head, name in zip(document["heads"], names, strict=True):
        head["name"] = name
    (path / FACETS).write_text(json.dumps(document))


@pytest.mark.parametrize(("page", "address"), EVERYWHERE)
def test_no_named_head_has_a_number_anywhere(open_named, page, address):
    app = open_named(page, **address)
    assert_calm(app)
    page_text = everything(app)
    assert len(page_text) > 5000
    assert not re.search(r"\bHead \d", page_text)
    assert "Genre" in page_text and "Era" in page_text


def test_a_head_without_a_name_has_its_number(open_named):
    rename(open_named.path, ("Genre", None, "Free"))
    for page in (LENS, ATLAS):
        page_text = html_of(open_named(page, item="5"))
        assert "Genre" in page_text and "Head 2" in page_text and "Head 1" not in page_text
        assert "No evidence names it." in page_text


def test_tables_to_download_are_headed_by_names(open_named, monkeypatch):
    tables = {}

    def keep(table, label, name):
        tables[name] = table

    monkeypatch.setattr(components, "download", keep)
    open_named(part="clicks")
    app = open_named(part="ledger")
    app.session_state["ledger-numbers"] = True
    app.run()
    open_named(part="item", item="7")
    assert list(tables["ledger"].columns[-5:]) == ["Score", "Genre", "Era", "Free", "Held out"]
    assert list(tables["influence"].columns) == [
        *("Item", "Title", "Clicks", "Fused", "Genre", "Era", "Free"),
    ]
    assert tables["account"]["Head"].tolist() == ["Genre", "Era", "Free"]


def test_what_a_name_rests_on_is_told_to_the_mouse_and_in_the_sidebar(open_named):
    for page in (LENS, ATLAS):
        page_text = html.unescape(html_of(open_named(page)))
        assert 'title="Named by evidence: ' in page_text
        assert page_text.count("It was given no facet") >= 2


@pytest.mark.parametrize(("page", "address"), MARKUP)
def test_hostile_names_are_text(open_named, page, address):
    rename(open_named.path, HOSTILE)
    app = open_named(page, **address)
    assert_calm(app)
    assert "<b>x</b>%" not in html_of(app)
    for chart in app.get("plotly_chart"):
        spec = json.loads(chart.proto.spec)
        assert "<b>x</b>%" not in json.dumps(spec) and "$x$" not in json.dumps(spec)
        templates = [trace.get("hovertemplate", "") for trace in spec["data"]]
        assert not any("&gt;%{x}" in template for template in templates)
    # What stands in for the stage is HTML of one line, in which nothing is read as Markdown.
    still = [element.value for element in app.markdown if FIRST in element.value]
    assert not any("<b>x</b>%" in one or "\n" in one for one in still)
    markdown = [element.value for element in app.markdown if element.value not in still]
    markdown += [slider.label for slider in app.slider] + [
        heading.value for heading in (*app.header, *app.subheader)
    ]
    for group in app.get("button_group"):
        markdown += [option.content for option in group.proto.options]
    for text in markdown:
        assert not re.search(r"(?<!\\)\*x|:red\[|(?<!\\)\[a|(?<!\\)\$x|<b>", text), text


def test_a_person_sets_names_in_the_sidebar(open_named):
    app = open_named()
    app.text_input(key=f"name-{NAMED}-0").set_value("Mood")
    app.text_input(key=f"name-{NAMED}-1").set_value("two\nlines")
    labelled(app, "Keep these names").click().run()
    assert_calm(app)
    assert "Head 2 cannot be called" in warnings(app)
    assert not (open_named.path / NAMES).exists()  # all of them or none
    app.text_input(key=f"name-{NAMED}-1").set_value("")
    labelled(app, "Keep these names").click().run()
    assert_calm(app)
    opened = resources.checkpoint(NAMED)
    assert read_chosen_names(opened) == ["Mood", None, None]
    page_text = html_of(app)
    assert "Mood" in page_text and "Era" in page_text
    assert "A person chose this name; by evidence it would be “Genre”" in page_text
    app.text_input(key=f"name-{NAMED}-0").set_value("")
    labelled(app, "Keep these names").click().run()
    assert "Genre" in html_of(app) and "Mood" not in html_of(app)


def test_a_demonstration_keeps_its_names(open_named, monkeypatch):
    monkeypatch.setenv("FAME_DEMO", "1")
    app = open_named()
    assert not [one for one in app.button if one.label == "Keep these names"]
    assert "--name 1=NAME" in html_of(app)
    with pytest.raises(FameError, match="demonstration"):
        resources.keep_names(resources.checkpoint(NAMED), {0: "Mood"})
    assert not (open_named.path / NAMES).exists()


def test_where_the_folder_takes_nothing_no_form_is_shown(open_named, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    app = open_named()
    assert not [one for one in app.button if one.label == "Keep these names"]


@pytest.mark.parametrize("page", [LENS, ATLAS])
@pytest.mark.parametrize("file", [FACETS, NAMES])
def test_a_damaged_file_of_names_is_told_and_the_page_stands(open_named, page, file):
    (open_named.path / file).write_text("{")
    app = open_named(page)
    assert_calm(app)
    assert f"{file} is not readable as JSON" in warnings(app)
    assert ("Genre" in html_of(app)) == (file == NAMES)


def test_new_names_are_seen_without_a_restart(open_named):
    app = open_named()
    rename(open_named.path, ("Kind", "Era", "Free"))
    app.run()
    assert "Kind" in html_of(app) and query(app, "checkpoint") == NAMED
