"""The parts of Lens, walked through with AppTest on made-up data."""

import base64
import json
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import resources
import state
from fame.checkpoint import load_checkpoint
from fame.cli import app as command_line
from fame.config import ModelConfig
from fame.data import load
from fame.lens.trace import fused_table, item_ranks, leave_out, trace_history
from fame.models.sequence_model import Intervention
from fame.presentation.text import one_line, percent
from fame.survey import FACETS, survey_facets
from tests import made_up
from tests.app.walk import (
    assert_calm,
    charts_of,
    headings,
    html_of,
    labelled,
    press,
    query,
    send,
    surveyed,
    warnings,
)
from text import for_html, for_markdown

ROWS = re.compile(r'<li class="row[^"]*" data-row="(\d+)" data-slide="item-([^"]*)"')


def ledger(app):
    """The fused list as numbers: item ids and scores."""
    app.segmented_control(key="choice-part").set_value("ledger")
    app.session_state["ledger-numbers"] = True
    app.run()
    assert_calm(app)
    table = app.dataframe[0].value
    on_stage = [item for _, item in ROWS.findall(html_of(app))]
    assert on_stage == table["Item"].tolist()
    return table["Item"].tolist(), table["Score"].to_numpy()


# --- the mixing desk ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desk", "arguments"),
    [
        ({"gate": "0.2,0,0.8"}, ["--gate", "0.2,0,0.8"]),
        ({"gate": "5,3,1", "mute": "0:1"}, ["--gate", "5,3,1", "--mute", "0:1"]),
        ({"solo": "1:0", "mute": "0:1"}, ["--solo", "1:0", "--mute", "0:1"]),
    ],
)
def test_the_desk_gives_what_the_command_line_gives(open_app, home, desk, arguments):
    people = load(made_up.NAME, offline=True).interactions
    history, _ = people.split_user(people.user_index("u3"))
    gone = str(people.item_ids[history[0]])
    app = open_app(checkpoint=made_up.NAME, user="u3", without=gone, **desk)
    assert not app.warning
    items, scores = ledger(app)
    checkpoint = str(home / "checkpoints" / made_up.NAME)
    told = CliRunner().invoke(
        command_line,
        ["trace", checkpoint, "--user", "u3", "--without", gone, "--json", *arguments],
        env=made_up.environment(home),
    )
    fused = json.loads(told.stdout)["fused"]
    assert items == [row["item"] for row in fused]
    np.testing.assert_allclose(scores, [row["score"] for row in fused], rtol=1e-12)
    plain, _ = ledger(open_app(checkpoint=made_up.NAME, user="u3"))
    assert items != plain  # or nothing was tested
    app.segmented_control(key="choice-part").set_value("changed").run()
    assert "slope" in charts_of(app)
    assert {name: query(app, name) for name in desk} == desk


def test_solo_mute_faders_and_the_way_back(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    plain = html_of(app)
    assert "Reset the desk" not in plain and "Changed: " not in plain

    press(app, do="solo", head=1)
    assert query(app, "gate") == "0,1,0"
    assert '<b>Head 2</b><span class="share">100 %' in html_of(app)
    assert re.search(r'data-key="mute-1"[^>]* disabled', html_of(app))  # the last that speaks
    press(app, do="solo", head=1)
    assert query(app, "gate") is None

    press(app, do="mute", head=0)
    first, *others = query(app, "gate").split(",")
    assert float(first) == 0 and all(float(weight) > 0 for weight in others)
    assert "Reset the desk" in html_of(app) and "What changed?" in parts_offered(app)
    press(app, do="mute", head=0)
    assert query(app, "gate") is None

    press(app, do="weigh", head=2, to=0)
    assert query(app, "gate").endswith(",0")
    assert "Changed: the gate set to " in html_of(app)
    assert "rank-biased" not in html_of(app).lower()  # it stands where its help does
    press(app, do="reset")
    assert_calm(app)
    assert query(app, "gate") is None
    assert html_of(app) == plain


def parts_offered(app):
    return app.segmented_control(key="choice-part").options


def test_rows_say_where_they_came_from(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    before = [item for _, item in ROWS.findall(html_of(app))]
    assert "<small>" not in html_of(app).split("column fused")[1].split("</ol>")[0].split("<ol>")[1]
    press(app, do="solo", head=2)
    rows = html_of(app).split("column fused")[1].split("</ol>")[0]
    told = re.findall(
        r'data-slide="item-([^"]*)".*?<span class="rank">\d+(?:<small>(.*?)</small>)?', rows
    )
    assert len(told) == 10 and any(mark for _, mark in told)
    for place, (item, mark) in enumerate(told):
        if item in before:
            by = before.index(item) - place
            assert mark == ("" if not by else f"{'▲' if by > 0 else '▼'}{abs(by)}")
        else:
            assert mark == "new"


def test_the_last_fader_stays_up(open_app):
    app = open_app(checkpoint=made_up.NAME, gate="0,0,1")
    press(app, do="weigh", head=2, to=0)
    assert "At least one head has to speak" in warnings(app)
    assert query(app, "gate") == "0,0,1"


def test_experts_are_muted_on_the_stage_and_heard_alone_below(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    press(app, do="expert", head=0, expert=0)
    assert query(app, "mute") == "0:0"
    assert re.search(r'data-key="expert-0-0"[^>]* aria-pressed="true"', html_of(app))
    press(app, do="expert", head=0, expert=1)
    assert "Head 1 needs one expert that speaks" in warnings(app)
    assert query(app, "mute") == "0:0"
    press(app, do="expert", head=0, expert=0)
    assert query(app, "mute") is None
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:1")
    app.button(key="solo-expert").click().run()
    assert query(app, "solo") == "1:1"
    app.button(key="solo-expert").click().run()
    assert query(app, "solo") is None
    assert_calm(app)


@pytest.mark.parametrize(
    "act",
    [
        None,
        "reset",
        {"do": "mute", "head": 9},
        {"do": "mute", "head": True},
        {"do": "weigh", "head": 0, "to": "1"},
        {"do": "weigh", "head": 0, "to": 1e400},
        {"do": "expert", "head": 0, "expert": -1},
        {"do": "leave", "item": 5},
        {"do": "nothing"},
    ],
)
def test_what_no_button_says_is_left_aside(open_app, act):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    before = html_of(app)
    send(app, act)
    assert_calm(app)
    assert html_of(app) == before


def test_an_item_of_the_list_is_asked_about(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    first = ROWS.search(html_of(app))[2]
    press(app, do="why", item=first)
    assert (query(app, "part"), query(app, "item")) == ("item", first)
    assert headings(app) == ["Why is an item in the list, or not?"]


def test_the_desk_is_of_one_person(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", gate="0,1,0", mute="0:1")
    app.text_input[0].set_value("u4").run()
    assert_calm(app)
    assert (query(app, "gate"), query(app, "mute")) == (None, None)


def test_the_desk_is_of_one_checkpoint(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", gate="0,1,0", mute="0:1")
    app.selectbox(key="choice-checkpoint").set_value("sasrec").run()
    assert_calm(app)
    assert not app.warning
    assert (query(app, "gate"), query(app, "mute")) == (None, None)


# --- clicks that are left out -------------------------------------------------------------------


def test_a_click_is_left_out_and_put_back(open_app):
    people = load(made_up.NAME, offline=True).interactions
    history, _ = people.split_user(people.user_index("u3"))
    first, second = (str(people.item_ids[item]) for item in history[:2])
    app = open_app(checkpoint=made_up.NAME, user="u3", without=f"{first},{second}")
    assert_calm(app)
    assert f"{len(history) - 2} clicks, latest first" in html_of(app)
    assert "Changed: 2 items left out of the history" in html_of(app)
    assert "Really chosen next" in html_of(app)
    if len(history) <= 6:  # those that are shown
        press(app, do="back", item=first)
        assert query(app, "without") == second
    press(app, do="real")
    assert query(app, "without") is None
    assert f"make of {len(history)} clicks" in html_of(app)
    latest = str(people.item_ids[history[-1]])
    press(app, do="leave", item=latest)
    assert query(app, "without") == latest
    press(app, do="back", item=latest)
    assert query(app, "without") is None

    app = open_app(checkpoint=made_up.NAME, user="u3", without=first)
    app.text_input[0].set_value("u4").run()
    assert query(app, "without") is None  # it was of somebody else
    assert not app.warning


def test_somebodys_own_history_begins_with_what_is_left(open_app):
    people = load(made_up.NAME, offline=True).interactions
    history, _ = people.split_user(people.user_index("u3"))
    ids = [str(people.item_ids[item]) for item in history]
    app = open_app(checkpoint=made_up.NAME, user="u3", without=ids[0])
    labelled(app, "Change this history").click().run()
    assert query(app, "items") == ",".join(ids[1:])
    assert "What changed?" in app.segmented_control(key="choice-part").options
    again = open_app(checkpoint=made_up.NAME, user="u3", items=query(app, "items"))
    assert html_of(again) == html_of(app)  # the address holds whose it was
    press(app, do="real")
    assert (query(app, "items"), query(app, "user")) == (None, "u3")


def test_every_recommendation_says_what_it_hangs_on(open_app):
    page = html_of(open_app(checkpoint=made_up.NAME, user="u3", k="5"))
    assert page.count("because of") + page.count("no single click speaks for it") == 2 * 5
    # twice each: as the line and as its title for the mouse


def test_a_history_of_one_click(open_app):
    app = open_app(checkpoint=made_up.NAME, items="5", part="clicks")
    assert_calm(app)
    assert "What the heads make of 1 click" in html_of(app)
    assert "the history holds one item only" in html_of(app).lower()


def test_a_long_history_fits_into_an_address():
    write, read = state.CHOICES["items"].write, state.CHOICES["items"].read
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
    ids = tuple("B00" + "".join(rng.choice(letters, 7)) for _ in range(500))
    address = write(ids)
    assert len(address) < 6000  # of the 8,000 that the strictest servers let through
    assert read(address) == ids
    strange = ("a,b", "!x", "ä%", *ids)
    assert read(write(strange)) == strange
    assert read(write(strange[:3])) == strange[:3]


def test_five_hundred_clicks_are_restored(open_app, home):
    known = resources.checkpoint(made_up.NAME).items["item_id"].tolist()[:-12]
    items = tuple(str(known[place % len(known)]) for place in range(500))
    written = state.CHOICES["items"].write(items)
    app = open_app(checkpoint=made_up.NAME, items=written)
    assert_calm(app)
    assert query(app, "items") == written
    assert "500 clicks, latest first" in html_of(app)


def test_a_history_of_the_whole_catalogue(open_app, home):
    items = ",".join(map(str, resources.checkpoint(made_up.NAME).items["item_id"]))
    app = open_app(checkpoint=made_up.NAME, items=items, gate="0,1,0")
    assert_calm(app)
    assert "nothing is left to recommend" in html_of(app)


# --- what is looked at closer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "heading", "drawn"),
    [
        ("lists", "What would each head alone recommend?", None),
        ("ledger", "What did each head put into the recommendations?", "ledger"),
        ("clicks", "Because of which clicks?", "influence"),
        ("item", "Why is an item in the list, or not?", "account"),
        ("experts", "Which experts read the history?", "router"),
        ("mix", "How did the mix move as they clicked?", "path"),
        ("truth", "Is the explanation true?", "deletion"),
        ("others", "What would others recommend?", None),
    ],
)
def test_one_part_is_open_at_a_time(open_app, part, heading, drawn):
    app = open_app(checkpoint=made_up.NAME, user="u3", part=part)
    assert_calm(app)
    assert headings(app)[-1] == heading
    assert [name.split("-")[0] for name in charts_of(app)] == [*filter(None, [drawn])]


def test_any_item_is_looked_up(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="item", item="1")
    assert_calm(app)
    assert "stands at rank" in html_of(app)
    table = app.dataframe[0].value
    ours, theirs = table["Put into its score"], table["Put into the rival's"]
    np.testing.assert_allclose(ours - theirs, table["Lead"])
    assert "<b>x</b>" not in html_of(app)


def test_what_a_chosen_item_hangs_on(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", of="7", part="clicks")
    assert_calm(app)
    assert "speaks for" in html_of(app) or "hangs most on" in html_of(app)
    assert query(app, "of") == "7"


def test_an_expert_is_chosen(open_app, home):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert_calm(app)
    assert "attention" in charts_of(app)
    assert "Head 2, expert 1 has" in html_of(app)
    assert html_of(app).count('class="lens-list"') == 2
    assert "survey" in app.code[0].value  # whom it serves is not known before the survey
    surveyed(home)
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert_calm(app)
    assert "Here are the largest shares among 31 people, so the extremes" in html_of(app)


def faceted(home):
    """Measures the facets and experts of the made-up checkpoint."""
    checkpoint = load_checkpoint(home / "checkpoints" / made_up.NAME)
    return survey_facets(checkpoint, load(made_up.NAME, offline=True).interactions, sample=10)


def test_an_expert_has_a_name_and_a_dossier(open_app, home):
    found = faceted(home)
    document = json.loads((home / "checkpoints" / made_up.NAME / FACETS).read_text())
    value = {"low": 2.1, "high": 2.9, "control": 1.3, "next": None}
    document["experts"][2]["values"] = [
        {"value": "genres=<i>Odd</i>", "lift": 2.5, **value},
        {"value": "genres=War", "lift": 2.2, **value},
        {"value": "genres=Drama", "lift": 2.0, **value},
    ]
    (home / "checkpoints" / made_up.NAME / FACETS).write_text(json.dumps(document))
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert_calm(app)
    assert "Head 2, expert 1 (&lt;i&gt;Odd&lt;/i&gt;, War) has" in html_of(app)
    chooser = app.selectbox(key=state.key("expert"))
    assert "Head 2, expert 1 (<i>Odd</i>, War)" in chooser.options
    assert "Head 1, expert 1" in chooser.options
    load = percent(found.experts[2].load)
    assert f"Over {found.expert_people} people it has {load} of its head" in html_of(app)
    assert "War 2.2× (2.1 to 2.9), Drama 2.0×" in html_of(app)
    assert "Over 10 people, alone" in html_of(app)
    (squares,) = [chart for chart in app.get("plotly_chart") if "router-" in chart.proto.id]
    filled = json.loads(squares.proto.spec)["data"][1::2]
    hovers = [row[3] for trace in filled for row in trace["customdata"]]
    assert hovers[2].startswith("<br>&lt;i&gt;Odd&lt;/i&gt; 2.5× (2.1 to 2.9), War")


def test_experts_without_a_measurement_keep_their_numbers_and_say_how_to_measure(open_app, home):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert f"python -m fame facets {home / 'checkpoints' / made_up.NAME}" in html_of(app)
    (home / "checkpoints" / made_up.NAME / FACETS).write_text("{")
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert not app.exception
    assert "Head 2, expert 1 has" in html_of(app) and "not readable as JSON" in html_of(app)


def test_an_expert_that_changes_nothing_says_so(open_app, monkeypatch):
    """Its list is the one above with it and without it."""
    account = resources.expert

    def same(opened, history, pair, k, desk):
        return replace(account(opened, history, pair, k, desk), shared_without=k)

    monkeypatch.setattr(resources, "expert", same)
    app = open_app(checkpoint=made_up.NAME, user="u3", part="experts", expert="1:0")
    assert "without it all of them do, so it changes nothing here" in html_of(app)


def test_other_models_stand_beside(open_app):
    page = html_of(open_app(checkpoint=made_up.NAME, user="u3", part="others"))
    for name in ("SASRec", "Item-kNN", "Markov chain", "Popularity"):
        assert name in page
    page = html_of(open_app(checkpoint="sasrec", user="u3", part="others"))
    assert "No SASRec" in page


def test_a_further_model_of_the_registry_has_its_list_and_its_page(open_app, home):
    """It stands beside FAME, and its own page shows one list and says what it lacks."""
    shape = ModelConfig(model="bsarec", width=24, heads=2, layers=2, max_length=8)
    made_up.write_checkpoint(home / "checkpoints" / "other", shape, seed=3)
    page = html_of(open_app(checkpoint=made_up.NAME, user="u3", part="others"))
    for name in ("SASRec", "BSARec", "Popularity", "Markov chain"):
        assert name in page
    for part in ("clicks", "item", "truth", "others"):
        app = open_app(checkpoint="other", user="u3", part=part)
        assert_calm(app)
        page = html_of(app)
        assert "BSARec ranks with one query, so there are no heads to compare" in page
    assert "BSARec, one query, a frequency filter beside attention" in page


def test_whether_the_explanation_is_true(open_app, home):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="truth")
    assert "explanation" in html_of(app)
    assert "fame survey" in app.code[0].value
    surveyed(home)
    app = open_app(checkpoint=made_up.NAME, user="u3", part="truth")
    assert_calm(app)
    assert "deletion-all" in charts_of(app)
    assert "xplanations of this checkpoint" in html_of(app)
    assert "begin with the same click as the explanation" in html_of(app)


# --- people, tour, stage ------------------------------------------------------------------------


def test_people_worth_showing(open_app, home):
    app = open_app(checkpoint=made_up.NAME)
    app.session_state["people"] = True
    app.run()
    assert f"fame survey {home / 'checkpoints' / made_up.NAME}" in app.code[0].value
    rows = surveyed(home).lists["longest"]
    app.run()
    app.selectbox(key="people-rule").set_value("longest").run()
    assert rows[0]["user"] == made_up.LONG
    button = app.button(key=f"people-{made_up.LONG}")
    assert f"{rows[0]['length']} clicks" in button.label
    assert "The extremes of 31 people, whose median is " in html_of(app)
    button.click().run()
    assert query(app, "user") == made_up.LONG
    assert_calm(app)


def test_a_damaged_survey_is_one_sentence(open_app, home):
    (home / "checkpoints" / made_up.NAME / "people.json").write_text("{}")
    (home / "checkpoints" / made_up.NAME / "faithfulness.json").write_text("damaged")
    app = open_app(checkpoint=made_up.NAME, part="truth")
    app.session_state["people"] = True
    app.run()
    assert_calm(app)
    assert "people.json" in html_of(app) and "faithfulness.json" in html_of(app)


def test_the_tour_is_walked_and_left(open_app, home):
    surveyed(home)
    app = open_app(checkpoint=made_up.NAME, user="u3")
    labelled(app, "Guided tour").click().run()
    assert re.search(r"picked with hindsight because .+ \((for|the extremes of) ", html_of(app))
    seen = []
    for number in range(1, state.TOUR_STEPS + 1):
        assert_calm(app)
        assert query(app, "tour") == str(number)
        seen.append(headings(app)[0])
        if number < state.TOUR_STEPS:
            app.button(key="tour-Next").click().run()
    assert seen == [
        "1 of 6 · Guess the next click",
        "2 of 6 · The list",
        "3 of 6 · The heads",
        "4 of 6 · Two maps",
        "5 of 6 · Mute one",
        "6 of 6 · What they chose",
    ]
    assert re.search(r"Over 31 people the mix has the next item .* for [\d.]+ %", html_of(app))
    assert query(app, "gate") is None
    app.button(key="tour-Back").click().run()
    assert "0" in query(app, "gate").split(",")  # the head is silent on its own step alone
    again = open_app(**{name: query(app, name) for name in app.query_params})
    assert html_of(again) == html_of(app)
    app.button(key="tour-leave").click().run()
    assert (query(app, "tour"), query(app, "gate")) == (None, None)
    assert headings(app) == ["What would each head alone recommend?"]


def test_the_guess_is_among_four_and_told_at_the_end(open_app):
    people = load(made_up.NAME, offline=True).interactions
    _, target = people.split_user(people.user_index("u3"))
    app = open_app(checkpoint=made_up.NAME, user="u3", tour="1")
    page = html_of(app)
    assert '<article class="head' not in page and '<li class="row' not in page
    assert "Really chosen next" not in page  # what is to be guessed is nowhere before
    guess = app.button_group(key="tour-guess")
    assert len(guess.options) == 4
    title = one_line(resources.checkpoint(made_up.NAME).items["title"].iat[target - 1])
    assert sum(for_markdown(title) == option for option in guess.options) == 1
    guess.set_value(target).run()
    for number in range(2, state.TOUR_STEPS + 1):
        app.button(key="tour-Next").click().run()
        # The list comes without its heads' colours before there has been talk of heads.
        assert ("each head’s part" in html_of(app)) == (number in (3, 6))
        assert ('title="The score"' in html_of(app)) == (number == 2)
        assert ("Really chosen next" in html_of(app)) == (number == state.TOUR_STEPS)
    assert_calm(app)
    assert f"Guessed right: {for_html(title)}" in html_of(app)


def test_the_tour_says_before_the_reveal_where_the_mix_is_wrong(open_app):
    people = load(made_up.NAME, offline=True).interactions
    said = {}
    for user in ("u1", "u2", "u3", "u4", "u5", "u6"):
        history, target = people.split_user(people.user_index(user))
        trace = trace_history(resources.checkpoint(made_up.NAME).model, history)
        rank, _ = item_ranks(trace, target)
        app = open_app(checkpoint=made_up.NAME, user=user, tour="2")
        found = rank is not None and rank <= 10
        assert ("the list misses what they chose next" in html_of(app)) is not found
        said[found] = user
    assert len(said) == 2  # or nothing was tested


def test_the_tour_says_that_a_head_is_muted_only_where_it_is(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", tour="5")
    assert "Mute it" in html_of(app) and "has been muted" not in html_of(app)
    app = open_app(checkpoint=made_up.NAME, user="u3", tour="4")
    app.button(key="tour-Next").click().run()
    assert "It has been muted" in html_of(app) and "Mute it" not in html_of(app)


def test_on_stage_there_are_fewer_controls(open_app):
    plain = open_app(checkpoint=made_up.NAME, user="u3")
    app = open_app(checkpoint=made_up.NAME, user="u3", present="on")
    assert_calm(app)
    own, fewer = (re.findall('<ol class="own">.*?</ol>', html_of(page)) for page in (plain, app))
    assert [rows.count("<li") for rows in own] == [4] * 3
    assert [rows.count("<li") for rows in fewer] == [3] * 3  # type is larger
    assert len(app.button) < len(plain.button)
    assert not app.get("download_button") and plain.get("download_button")
    app.button(key="presenter-off").click().run()
    assert query(app, "present") is None
    app.button(key="presenter").click().run()
    assert query(app, "present") == "on"


# --- take it along ------------------------------------------------------------------------------


def test_the_report_and_the_trace_are_those_of_the_page(open_app, offered):
    app = open_app(checkpoint=made_up.NAME, user="u3", gate="0,1,0")
    items, _ = ledger(app)
    trace = json.loads(offered["Trace as JSON"]())
    assert [row["item"] for row in trace["fused"]] == items
    report = offered["Download report"]()
    assert report.startswith("<!DOCTYPE html>")
    assert "<b>x</b>" not in report
    document = json.loads(report.split('id="report-data"', 1)[1].split(">", 1)[1].split("</", 1)[0])
    assert document["desk"]["gate"] == [0, 1, 0]
    assert document["person"] == "u3"
    assert [row["item"] for row in document["trace"]["fused"]] == items


# --- addresses edited by hand -------------------------------------------------------------------

BOMB = "!" + base64.urlsafe_b64encode(zlib.compress(b"1," * 5_000_000, 9)).decode().rstrip("=")


@pytest.mark.parametrize(
    "told",  # what is said, by what the address holds
    [
        {
            ("gate", "NaN,1,1"): "gate must be finite numbers",
            ("solo", "0-1"): "solo must be written HEAD:EXPERT",
            ("mute", "0:99999999999"): "mute must be written HEAD:EXPERT",
            ("items", "!garbage"): "items must be a list of items as this page writes it",
            ("part", "nonsense"): "part must be one of",
            ("tour", "9"): "tour must be a whole number from 0 to 6",
            ("present", "maybe"): "present must be one of on, off",
        },
        {
            ("gate", "1,2"): "needs 3 weights",
            ("mute", "9:0"): "There is no expert 9:0",
            ("without", "999"): "no item '999' to leave out",
            ("of", "999"): "no item '999'",
        },
        {
            ("gate", "0,0,0"): "At least one gate weight",
            ("mute", "0:0,0:1"): "would have no expert left",
            ("expert", "4:9"): "no expert 4:9",
            ("part", "experts"): "",
        },
        {
            ("gate", "-1,1,inf"): "gate must be finite numbers",
            ("items", "5,5"): "",
            ("without", "5"): "needs one click at least",
            ("user", "nobody"): "no real history to compare with",
        },
        {
            ("gate", "a lot"): "gate must be numbers between commas",
            ("items", BOMB): "items must be a list of items as this page writes it",
        },
        {("item", "999"): "no item '999'", ("part", "item"): ""},
    ],
)
def test_an_address_edited_by_hand_is_told_and_left_aside(open_app, told):
    app = open_app(checkpoint=made_up.NAME, **dict(tuple(told)))
    assert_calm(app)
    for sentence in told.values():
        assert sentence in warnings(app)
    assert headings(app)


def test_sasrec_has_no_desk_and_no_experts(open_app):
    desk = {"gate": "1", "mute": "0:0", "expert": "0:0", "part": "experts"}
    app = open_app(checkpoint="sasrec", user="u3", **desk)
    assert_calm(app)
    for sentence in ("has one head", "no experts to mute", "no expert 0:0"):
        assert sentence in warnings(app)
    assert_calm(open_app(checkpoint="sasrec", user="u3", tour="2"))


# --- many people at once ------------------------------------------------------------------------


def test_sessions_on_one_model_do_not_mix(open_app):
    """Each has a desk of its own; whatever the others do, its page stays the one it asked for."""
    desks = [{"gate": "1,0,0"}, {"gate": "0,1,0"}, {"mute": "0:0"}, {"solo": "2:1"}, {}]
    apps = [open_app(checkpoint=made_up.NAME, user="u3", **desk) for desk in desks]
    alone = [html_of(app) for app in apps]
    assert len(set(alone)) == len(alone)
    for app in apps:
        app.slider(key="choice-k").set_value(7).run()
    for app in reversed(apps):
        app.slider(key="choice-k").set_value(10).run()
    assert [html_of(app) for app in apps] == alone


def test_threads_on_one_model_do_not_mix(home):
    opened = resources.checkpoint(made_up.NAME)
    people = load(made_up.NAME, offline=True).interactions
    cases = []
    for user in ("u1", "u2", "u3", "u4"):
        history, _ = people.split_user(people.user_index(user))
        for gate in (None, (1.0, 0.0, 0.0), (0.2, 0.3, 0.5)):
            for solo in ((), ((0, 1),)):
                cases.append((leave_out(history, history[0]), Intervention(gate, (), solo)))

    def ask(case):
        return fused_table(resources.trace(opened, *case), 10)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, cases * 4))
    for (history, desk), table in zip(cases * 4, found, strict=True):
        fresh = trace_history(opened.model, history, intervention=desk)
        assert table.equals(fused_table(fresh, 10))
