"""Atlas, walked through with AppTest on made-up data."""

import json

import pytest

import resources
from tests import made_up
from tests.app.walk import ATLAS, assert_calm, headings, html_of, query, warnings


def drawn(app):
    """What the maps are drawn from."""
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json or component.proto.mixed.json)


def maps(app):
    return drawn(app)["maps"]


def legend(app):
    return [entry["label"] for entry in drawn(app)["legend"]]


def marks(app, number=0):
    return {kind for _, kind in maps(app)[number]["marks"]}


def test_it_opens_on_two_heads_beside_one_another(open_app):
    app = open_app(ATLAS)
    assert_calm(app)
    assert app.title[0].value == "What does each head see in an item?"
    assert [one["name"] for one in maps(app)] == ["Head 1", "Head 2"]
    items = len(resources.checkpoint(made_up.NAME).items)
    assert all(len(one["x"]) == len(one["y"]) == items for one in maps(app))
    assert "(40 %; by chance 39 %)" in html_of(app)  # how far the pictures can be trusted


def test_one_map_can_stand_alone(open_app):
    app = open_app(ATLAS, space="all", beside="none")
    assert [one["name"] for one in maps(app)] == ["Whole embedding"]
    assert (query(app, "space"), query(app, "beside")) == ("all", "none")


def test_it_says_how_far_the_heads_neighbours_agree(open_app):
    (chart,) = open_app(ATLAS).get("plotly_chart")
    dots = {trace.get("name") for trace in json.loads(chart.proto.spec)["data"]}
    assert {"Chance", "Whole embedding", "Head 1", "Head 2", "Head 3"} <= dots
    app = open_app(ATLAS)
    assert "Do the heads see different attributes?" in headings(app)
    assert "A head that stands for an attribute" in html_of(app)


def test_the_person_is_drawn_over_it(open_app):
    app = open_app(ATLAS)
    assert {"Recommended", "Latest click", "Held out"} <= marks(app)
    assert {"Recommended", "Latest click", "Held out"} <= set(legend(app))


def test_two_heads_beside_one_another_and_the_neighbours_in_all(open_app):
    app = open_app(ATLAS, space="head_0", beside="head_2", item="5")
    assert_calm(app)
    assert not app.warning
    assert len(maps(app)) == 2
    assert {"Looked up", "Its nearest"} <= marks(app, 0) and "Looked up" in marks(app, 1)
    assert html_of(app).count('class="lens-list"') == 4  # the whole embedding and three heads
    assert (query(app, "space"), query(app, "beside"), query(app, "item")) == (
        "head_0",
        "head_2",
        "5",
    )


@pytest.mark.parametrize("colour", ["genres", "year", "popularity"])
def test_it_is_coloured_by_any_column(open_app, colour):
    app = open_app(ATLAS, colour=colour)
    assert_calm(app)
    assert not app.warning
    assert (drawn(app)["scale"] is None) == (colour == "genres")


def test_years_that_are_not_known_are_told_apart(open_app):
    app = open_app(ATLAS, colour="year", overlay="off")
    assert legend(app) == ["Not known"]
    assert drawn(app)["colour"].count(drawn(app)["ring"]) == 6  # every seventh of 40


def test_one_value_against_all_others(open_app):
    app = open_app(ATLAS, colour="genres", value="War", overlay="off")
    assert_calm(app)
    assert legend(app) == ["War", "Other"]
    assert query(app, "overlay") == "off"


def test_values_with_html_in_them_go_there_as_text(open_app):
    app = open_app(ATLAS, colour="genres", value="<i>Odd</i>", item="1", overlay="off")
    assert_calm(app)
    assert legend(app)[0] == "<i>Odd</i>"
    assert drawn(app)["hover"][0][0] == made_up.HTML_TITLE
    assert "<b>x</b>" not in html_of(app)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"space": "head_9"}, "no map 'head_9'"),
        ({"beside": "head_9"}, "no map 'head_9'"),
        ({"colour": "smell"}, "no column 'smell'"),
        ({"colour": "genres", "value": "Opera"}, "'Opera'"),
        ({"item": "999"}, "no item '999'"),
        ({"overlay": "maybe"}, "overlay must be one of on, off"),
    ],
)
def test_an_address_edited_by_hand_is_told_and_left_aside(open_app, address, told):
    app = open_app(ATLAS, **address)
    assert_calm(app)
    assert told in warnings(app)
    assert maps(app)


def test_the_stored_agreement_is_taken(open_app, home, monkeypatch):
    """Measuring it takes seconds, in which nothing else on the page would answer."""
    made_up.write_named_checkpoint(home / "checkpoints" / "named", ["Genre", "Genre 2", "Free"])

    def refuse(*_):
        raise AssertionError("measured anew")

    monkeypatch.setattr(resources, "facet_agreement", refuse)
    opened = resources.checkpoint("named")
    assert resources.agreement(opened) == resources.facets(opened).agreement


def test_sasrec_has_one_map(open_app):
    app = open_app(ATLAS, checkpoint="sasrec")
    assert_calm(app)
    assert app.selectbox(key="choice-space").options == ["Whole embedding"]


def test_without_a_projection_it_offers_to_make_one(open_app, home, monkeypatch):
    started = []
    monkeypatch.setattr(resources, "start_projection", started.append)
    (home / "checkpoints" / made_up.NAME / "projection.parquet").unlink()
    app = open_app(ATLAS)
    assert_calm(app)
    assert "no picture of these items yet" in app.info[0].value
    next(button for button in app.button if button.label == "Lay out the items").click().run()
    assert started == [home / "checkpoints" / made_up.NAME]


def test_a_damaged_projection_is_one_sentence_and_can_be_made_again(open_app, home):
    (home / "checkpoints" / made_up.NAME / "projection.parquet").write_bytes(b"damaged")
    app = open_app(ATLAS)
    assert not app.exception
    assert "projection.parquet is not readable" in app.error[0].value.replace("\\", "")
    assert any(button.label == "Lay out the items" for button in app.button)


def test_a_job_that_failed_tells_its_sentence(open_app, home, monkeypatch):
    path = home / "checkpoints" / made_up.NAME
    (path / "projection.parquet").unlink()
    failed = resources.Job("Laying out", done=True, error="The disk is full.")
    jobs = {resources.project_job(path): failed}
    monkeypatch.setattr(resources, "job", jobs.get)
    app = open_app(ATLAS)
    assert app.error[0].value.replace("\\", "") == "The disk is full."


def test_headings_ask_questions(open_app):
    assert all(heading.endswith("?") for heading in headings(open_app(ATLAS)))


def choose(app, items):
    """Draws around items, by index, as a browser would tell."""
    (one,) = app.get("bidi_component")
    widgets = app._tree.get_widget_states()
    told = widgets.widgets.add()
    told.id = one.proto.id
    told.json_value = json.dumps({"chosen": items})
    return app._run(widgets)


def test_a_few_chosen_points_are_in_the_address(open_app):
    app = choose(open_app(ATLAS), [6, 5, 6])
    assert_calm(app)
    assert "2 items: " in html_of(app)
    index = resources.item_index(resources.checkpoint(made_up.NAME))
    ids = [item for item, place in index.items() if place in (5, 6)]
    assert query(app, "chosen") == ",".join(ids)
    before = drawn(app)["chosen"]
    assert before == []  # the maps are not sent anew with every choice

    other = open_app(ATLAS, chosen=",".join(ids))  # somebody else, with the address alone
    assert_calm(other)
    assert drawn(other)["chosen"] == [5, 6] and "2 items: " in html_of(other)
    assert query(other, "chosen") == ",".join(ids)
    assert "items: " not in html_of(choose(other, [])) and query(other, "chosen") is None

    many = choose(open_app(ATLAS), list(range(1, 12)))  # more would make the address long
    assert "11 items: " in html_of(many) and query(many, "chosen") is None


def test_chosen_points_that_are_not_there_are_told_and_left_out(open_app):
    app = open_app(ATLAS, chosen="nowhere,5")
    assert "has no item 'nowhere'" in warnings(app)
    assert len(drawn(app)["chosen"]) == 1 and query(app, "chosen") == "5"


def test_another_address_is_another_choice(open_app):
    app = choose(open_app(ATLAS, chosen="5"), [7])
    app.query_params["chosen"] = "6"  # as somebody who goes back does
    app.run()
    index = resources.item_index(resources.checkpoint(made_up.NAME))
    assert drawn(app)["chosen"] == [index["6"]] and query(app, "chosen") == "6"
