"""Facets, walked through with AppTest on made-up data."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import facet_charts
import facet_tables
import state
from cards import PRESENTING_SIZE
from fame.checkpoint import load_checkpoint, write_metrics
from fame.data import import_file, load
from fame.facets import probes
from fame.facets.forming import FORMING, RECORD
from fame.facets.lists import PERMUTED
from fame.lens.faithfulness import Estimate
from fame.presentation.facet_sentences import CONTROLS
from fame.presentation.names import facet_name
from fame.presentation.palette import NEUTRAL, head_colour
from fame.survey import FACETS, read_facets, survey_facets
from tests import made_up
from tests.app.walk import (
    MAIN,
    assert_calm,
    charts_of,
    headings,
    html_of,
    query,
    surveyed,
    warnings,
)

PAGE = "views/facets.py"


@pytest.fixture(scope="session")
def stored(pristine) -> dict[str, str]:
    """By checkpoint what ``fame facets`` stores of it."""
    found = {}
    with made_up.at_home(pristine), pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "FEWEST_ITEMS", 10)  # of 40
        data = load(made_up.NAME, offline=True).interactions
        for name in (made_up.NAME, "sasrec"):
            checkpoint = load_checkpoint(pristine / "checkpoints" / name)
            survey_facets(checkpoint, data, sample=20)
            file = checkpoint.path / FACETS
            found[name] = file.read_text()
            file.unlink()  # other tests start without
    return found


@pytest.fixture
def measured(open_app, home, stored):
    """Opens the page on a checkpoint whose facets are stored; ``change`` edits the document."""

    def start(change=lambda document: document, name=made_up.NAME, **address: str) -> AppTest:
        document = change(json.loads(stored[name]))
        (home / "checkpoints" / name / FACETS).write_text(json.dumps(document))
        return open_app(PAGE, checkpoint=name, **address)

    return start


TWIN = "twin"  # another seed of the same model and data


@pytest.fixture
def twins(measured, home, stored, open_app):
    """Opens the page on a checkpoint that has a twin, both with stored facets."""

    def start(told=True, **address: str) -> AppTest:
        path = home / "checkpoints" / TWIN
        made_up.write_checkpoint(path, made_up.FAME, seed=5)
        if told:
            document = json.loads(stored[made_up.NAME])
            document |= {"weights": load_checkpoint(path).weights_hash}
            (path / FACETS).write_text(json.dumps(document))
        return measured(question="compare", **address)

    return start


def formed(epoch, genre, *, facet="genres"):
    """A row of an epoch: heads that come apart in one facet, and a gate that moves."""
    shares = {"chance": 0.25, "all": 0.3, "head_0": genre, "head_1": 0.25, "head_2": 0.2}
    record = {"items": 40, "people": 31, "listed": 31, "tables": {}, "lists": {facet: shares}}
    record |= {"gate": [0.5, 0.3, 0.2], "expert_share": [genre, 0.1, 0.0], "dead": [0, 1, 0]}
    return {"epoch": epoch, RECORD: record}


@pytest.fixture
def recorded(home, measured):
    """Opens the page on a checkpoint whose epochs kept these rows."""

    def start(rows, **address: str) -> AppTest:
        path = home / "checkpoints" / made_up.NAME
        write_metrics(path, {"test": {"NDCG@10": 0.1}, "best_epoch": 2, FORMING: rows})
        return measured(question="forming", **address)

    return start


def without(*keys):
    return lambda document: {key: own for key, own in document.items() if key not in keys}


def specs(app: AppTest) -> dict[str, dict]:
    found = zip(charts_of(app), app.get("plotly_chart"), strict=True)
    return {name: json.loads(chart.proto.spec) for name, chart in found}


ALL_CHARTS = [
    *("lists", "tables", "probes", "causes", "apart", "shared-0-1"),
    *("gate", "alone", "experts", "compare"),
]


def test_every_question_has_a_sentence_a_chart_and_figures_to_take_along(measured):
    app = measured()
    assert_calm(app)
    assert not app.warning and not app.info
    assert app.title[0].value == "Did the heads become facets, and the experts preferences?"
    assert len(headings(app)) == 12 and all(one.endswith("?") for one in headings(app))
    assert [name.removeprefix("facets-") for name in charts_of(app)] == ALL_CHARTS
    assert html_of(app).count('class="lens-words"') == 11
    downloads = {button.proto.id.split("-", 2)[2] for button in app.get("download_button")}
    named = {name.removesuffix("-0-1") for name in charts_of(app)}  # but for what is chosen of it
    assert {f"download-{name}" for name in named} == downloads
    assert query(app, "checkpoint") == made_up.NAME and query(app, "question") is None


def test_it_stands_between_lens_and_atlas():
    source = (MAIN.parent / "main.py").read_text()
    assert re.findall(r'"views/(\w+).py"', source) == ["lens", "facets", "atlas", "train"]


def test_heads_and_controls_are_in_the_same_chart(measured):
    app = measured()
    for chart in ("facets-lists", "facets-tables"):
        dots = {trace["name"] for trace in specs(app)[chart]["data"]}
        assert {"Whole embedding", "Head 1", "Head 2", "Head 3"} <= dots
        expected = {name for control, name in CONTROLS.items() if control != "sasrec_slices"}
        assert expected <= dots


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m", "beauty", "sports", "toys"])
def test_the_figures_that_decided_stand_side_by_side(name):
    """Of a head with a name all three rules can be read off its row."""
    opened = load_checkpoint(f"checkpoints/{name}")
    found = read_facets(opened)
    table = facet_tables.verdicts(found, [head.name or "" for head in found.heads])
    named = [head for head in found.heads if head.facet]
    assert len(table.columns) == 1 + len(named) > 1, "other heads are held to nothing"
    for column in table.columns[1:]:
        facet, own, next_one, control, moves, others = table[column]
        assert column == f"{facet_name(facet.lower().replace(' ', '_'))} (head {column[-2]})"
        lists = [float(told.partition(" %")[0]) for told in (own, next_one, control)]
        assert lists[0] > max(lists[1:]) and ", " in control
        assert float(moves) > max(float(others.replace("−", "-")), 0)


def test_one_question_alone_for_a_slide_lives_in_the_address(measured):
    app = measured(question="causes")
    assert_calm(app)
    assert headings(app) == ["Which head listens to which facet?"]
    assert charts_of(app) == ["facets-causes"]
    assert query(app, "question") == "causes"


def test_on_a_stage_there_is_the_question_the_sentence_and_the_chart(measured):
    app = measured(question="lists", present="on")
    assert_calm(app)
    assert not app.warning and not app.get("download_button")
    assert charts_of(app) == ["facets-lists"] and "question of evidence" not in html_of(app)
    assert query(app, "present") == "on"
    sizes = {
        shown: specs(measured(question="shared", present=shown))["facets-shared-0-1"]["layout"]
        for shown in ("on", "off")
    }
    large, usual = (sizes[shown]["font"]["size"] for shown in ("on", "off"))
    assert large == pytest.approx(usual * PRESENTING_SIZE), "charts to click on too"


def test_choices_live_in_the_address(measured):
    app = measured(shared="embeddings", cohort="length", figure="HR@10", pair="0:2")
    assert_calm(app)
    assert not app.warning
    assert {name: query(app, name) for name in ("shared", "cohort", "figure", "pair")} == {
        "shared": "embeddings", "cohort": "length", "figure": "HR@10", "pair": "0:2"
    }  # fmt: skip
    titles = {name: spec["layout"] for name, spec in specs(app).items()}
    assert "CKA" in titles["facets-shared-0-2"]["xaxis"]["title"]["text"]
    assert "known fault" in html_of(app)
    assert titles["facets-alone"]["yaxis"]["title"]["text"].startswith("HR@10")
    assert "clicks" in titles["facets-alone"]["xaxis"]["ticktext"][-1]
    app.segmented_control(key="choice-figure").set_value("NDCG@10").run()
    assert_calm(app)
    assert query(app, "figure") is None


def test_each_question_has_one_chart_at_a_time_and_which_is_in_the_address(measured):
    app = measured(question="accuracy", measure="lost")
    assert_calm(app)
    assert charts_of(app) == ["facets-lost"] and query(app, "measure") == "lost"
    assert {trace["name"] for trace in specs(app)["facets-lost"]["data"]} == {
        "Head 1", "Head 2", "Head 3"
    }  # fmt: skip
    app = measured(question="gate", spread="length")
    assert_calm(app)
    assert charts_of(app) == ["facets-gate-by-length"] and query(app, "spread") == "length"


def test_people_are_parted_by_their_favourite_values(measured):
    def change(document):
        everybody, *others = document["use"]["cohorts"]
        favourites = [
            everybody | {"by": "value", "value": value, "people": people}
            for value, people in (("genres=War", 9), ("genres=<i>Odd</i>", 7), ("year=1999", 5))
        ]
        used = document["use"] | {"cohorts": [everybody, *others, *favourites]}
        return document | {"use": used}

    app = measured(change, question="accuracy", cohort="value", favourite="genres", measure="lost")
    assert_calm(app)
    assert not app.warning
    assert (query(app, "cohort"), query(app, "favourite")) == ("value", "genres")
    axis = specs(app)["facets-lost"]["layout"]["xaxis"]
    assert axis["title"]["text"].startswith("Genres")
    assert axis["ticktext"] == ["War", "&lt;i&gt;Odd&lt;/i&gt;"]
    said = html_of(app)
    assert "Who misses each head most" in said and "who are: War: 9; &lt;i&gt;Odd" in said
    assert "<i>Odd" not in said

    def older(document):
        cohorts = [one for one in document["use"]["cohorts"] if one["by"] != "value"]
        for one in cohorts:
            del one["value"]  # which that version did not know
        return document | {"use": document["use"] | {"cohorts": cohorts}}

    app = measured(older, question="accuracy", cohort="value")
    assert_calm(app)
    assert "No favourite values are stored" in warnings(app)
    assert "By favourite" not in app.segmented_control(key="choice-cohort").options
    assert "facets-alone" in charts_of(app)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"question": "why"}, "question must be one of all, names"),
        ({"shared": "mood"}, "shared must be one of overlap"),
        ({"pair": "0:9"}, "no pair of heads 0:9"),
        ({"pair": "x"}, "pair must be written HEAD:EXPERT"),
        ({"cohort": "age"}, "cohort must be one of all"),
        ({"figure": "AUC"}, "figure must be one of"),
        ({"space": "all"}, "'space', which this page does not know"),
        ({"forming": "mood"}, "forming must be one of lists"),
        ({"compared": "mood"}, "compared must be one of matches"),
        ({"against": "nothing"}, "'nothing' cannot be compared with 'made-up': it is not there"),
    ],
)
def test_an_address_edited_by_hand_is_told_and_left_aside(measured, address, told):
    app = measured(**address)
    assert_calm(app)
    assert told in warnings(app)
    assert "facets-lists" in charts_of(app)


def test_a_person_on_whom_heads_disagree_opens_in_lens(measured):
    app = measured(question="shared")
    button = next(one for one in app.button if one.key and one.key.startswith("disagree-"))
    user = button.key.removeprefix("disagree-")
    button.click().run()
    assert_calm(app)
    assert app.title[0].value == "Why does this person get this list?"
    assert query(app, "user") == user


def test_without_the_file_one_sentence_has_the_command(open_app, home):
    app = open_app(PAGE, checkpoint=made_up.NAME)
    assert_calm(app)
    (told,) = app.info
    said = told.value.replace("\\", "")
    assert f"python -m fame facets {home / 'checkpoints' / made_up.NAME}" in said
    assert not charts_of(app) and not headings(app)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d | {"weights": "0" * 64}, "made from other weights"),
        (lambda d: d | {"heads": d["heads"][:1]}, "lacks some of its heads"),
        (lambda d: d | {"use": {}}, "lacks some of its heads or of their figures"),
        (lambda d: d | {"redundancy": d["redundancy"] | {"pairs": []}}, "lacks some of its heads"),
        (lambda d: [], "must hold"),
    ],
)
def test_a_file_of_another_checkpoint_or_a_damaged_one_is_one_sentence(measured, change, told):
    app = measured(change)
    assert not app.exception and not charts_of(app)
    (error,) = app.error
    said = error.value.replace("\\", "")
    assert told in said and "python -m fame facets" in said


def test_a_file_of_an_older_version_is_read_and_what_it_lacks_is_said(measured):
    app = measured(without("tables", "probes", "disentanglement", "redundancy", "use"))
    assert_calm(app)
    assert charts_of(app) == [
        *("facets-lists", "facets-causes", "facets-experts", "facets-compare")
    ]
    told = [info.value.replace("\\", "") for info in app.info]
    assert len(told) == 6 and all("python -m fame facets" in one for one in told)


def test_a_model_without_heads_says_so_where_heads_are_asked_for(measured):
    app = measured(name="sasrec")
    assert_calm(app)
    charts = ["facets-lists", "facets-tables", "facets-probes", "facets-compare"]
    assert charts_of(app) == charts
    assert "no head that could be a facet" in html_of(app)
    assert "--sasrec" not in html_of(app), "there are no heads to hold one against"
    marks = "Grey marks are controls, which know nothing of facets: values permuted among items of "
    assert f"{marks}like popularity. Of several" in html_of(app)
    assert "no gate and none to lose" in html_of(app)


def test_items_without_attributes_leave_redundancy_and_use(measured):
    nothing = {"agreement": {}, "lists": {}, "causes": {}, "tables": {}, "probes": {}}

    def change(document):
        heads = [head | {"name": None, "facet": None, "why": "None."} for head in document["heads"]]
        return document | nothing | {"disentanglement": None, "heads": heads}

    app = measured(change)
    assert_calm(app)
    assert charts_of(app)[0] == "facets-shared-0-1" and "facets-gate" in charts_of(app)
    assert "no facets to name a head after" in html_of(app)


def test_names_of_heads_are_shown_with_what_decided_and_escaped(measured):
    def change(document):
        first, *rest = document["heads"]
        named = {"name": "<b>x</b>", "facet": "genres", "why": "It leads by <i>3</i>."}
        return document | {"heads": [first | named, *rest]}

    app = measured(change)
    assert_calm(app)
    page = html_of(app) + json.dumps(specs(app))
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page and "<i>3" not in page
    assert "No name: nothing beats every control." in page
    assert page.count("has no name by evidence: ") == 2, "what lacks is told at once"
    assert "No facet: nothing" not in page


def test_two_heads_of_one_name_are_told_apart(measured):
    def change(document):
        heads = [head | {"name": "Free", "facet": None} for head in document["heads"]]
        return document | {"heads": heads}

    app = measured(change, question="lists")
    assert_calm(app)
    dots = {trace["name"] for trace in specs(app)["facets-lists"]["data"]}
    assert {f"Free (head {head})" for head in (1, 2, 3)} <= dots
    app = measured(change, question="names")
    assert html_of(app).count("No facet: nothing beats every control.") == 3


def test_experts_are_shown_with_what_they_serve_and_change(measured):
    served = {"value": "genres=<i>Odd</i>", "lift": 2.4, "low": 2.1, "high": 2.9}
    served |= {"control": 1.3, "next": None}

    def change(document):
        first, *others = document["experts"]
        experts = [first | {"values": [served], "dead": True}]
        experts += [other | {"values": [], "dead": False} for other in others]
        return document | {"experts": experts, "expert_share": [0.25, 0.125, 0.5]}

    app = measured(change, question="experts")
    assert_calm(app)
    assert charts_of(app) == ["facets-experts"]
    page = html_of(app)
    assert "Head 1 0.25, Head 2 0.12, Head 3 0.50" in page
    assert "1 of 6 experts serves" in page and "1 is dead" in page
    assert "goal not reached" in page and "dead: Head 1, expert 1" in page
    bars = specs(app)["facets-experts"]["data"][0]
    odd = r"Load [\d.]+ %<br>&lt;i&gt;Odd&lt;/i&gt; 2\.4× \(2\.1 to 2\.9\)<br>alone "
    assert re.match(odd, bars["hovertext"][0])
    assert re.match(r"Load [\d.]+ %<br>nothing above chance<br>alone ", bars["hovertext"][1])
    assert bars["customdata"][:3] == [[0, 0], [0, 1], [1, 0]]  # what a click gives back
    assert bars["marker"]["opacity"] == [1.0] * 6


def test_an_expert_has_a_dossier_and_its_people_open_in_lens(measured, home, open_app):
    served = [
        {"value": f"genres={name}", "lift": lift, "low": 2.1, "high": 2.9, "control": 1.3}
        | {"next": next_one}
        for name, lift, next_one in (("War", 2.4, 1.9), ("<i>Odd</i>", 2.2, None))
    ]

    def change(document):
        experts = document["experts"]
        experts = [one | {"values": served if one["head"] == 1 else []} for one in experts]
        return document | {"experts": experts}

    app = measured(change, question="experts", expert="1:0")
    assert_calm(app)
    assert charts_of(app) == ["facets-experts-1-0", "facets-expert"]
    drawn = specs(app)
    shown = drawn["facets-experts-1-0"]["data"][0]["marker"]["opacity"]
    assert shown == [0.4, 0.4, 1.0, 0.4, 0.4, 0.4]
    histories, came_next, chance = drawn["facets-expert"]["data"]
    assert histories["x"] == [2.4, 2.2] and chance["x"] == [1.3, 1.3]
    assert came_next["x"] == [1.9] and came_next["y"] == [0], "too few clicked the other one next"
    assert drawn["facets-expert"]["layout"]["yaxis"]["ticktext"][1] == (
        "Genres: &lt;i&gt;Odd&lt;/i&gt;"
    )
    assert query(app, "expert") == "1:0"
    (table,) = app.table
    found = read_facets(load_checkpoint(home / "checkpoints" / made_up.NAME))
    lists = found.expert_lists[2]
    assert table.value.iloc[0, 1].startswith(f"{100 * lists.alone.stay.mean:.1f} % (")
    assert "fame survey" in app.code[0].value, "nobody has looked whom it reads most"

    people = surveyed(home).experts[1][0][:10]
    app = measured(change, question="experts", expert="1:0")
    buttons = [one for one in app.button if one.key and one.key.startswith("served-")]
    assert [one.key for one in buttons] == [f"served-{row['user']}" for row in people]
    label = f"User {people[0]['user']} · {100 * people[0]['share']:.0f}\u00a0%"
    assert buttons[0].label == label
    # Somebody else was looked at in Lens before: the expert stays all the same.
    app = open_app(checkpoint=made_up.NAME, user=people[1]["user"], mute="0:1")
    app.switch_page(PAGE).run()
    app.segmented_control(key=state.key("question")).set_value("experts").run()
    app.selectbox(key=state.key("expert")).set_value((1, 0)).run()
    app.button(key=f"served-{people[0]['user']}").click().run()
    assert_calm(app)
    assert app.title[0].value == "Why does this person get this list?"
    assert {name: query(app, name) for name in ("user", "part", "expert", "mute")} == {
        "user": people[0]["user"], "part": "experts", "expert": "1:0", "mute": None
    }  # fmt: skip


def test_an_expert_that_is_not_there_is_told_and_no_bar_goes_pale(measured):
    app = measured(question="experts", expert="0:9")
    assert_calm(app)
    assert "no expert 0:9 here" in warnings(app) and query(app, "expert") is None
    assert charts_of(app) == ["facets-experts"]
    assert specs(app)["facets-experts"]["data"][0]["marker"]["opacity"] == [1.0] * 6


def test_an_expert_without_values_has_no_chart_and_on_a_stage_none_is_asked_for(measured):
    def change(document):
        experts = [one | {"values": []} for one in document["experts"]]
        return document | {"experts": experts}

    app = measured(change, question="experts", expert="0:1")
    assert_calm(app)
    assert charts_of(app) == ["facets-experts-0-1"]
    assert "No value is surely above its base rate" in html_of(app)
    app = measured(question="experts", present="on")
    assert not [box for box in app.main.selectbox if box.label == "Look at one expert"]
    app = measured(question="experts", present="on", expert="0:1")
    assert "facets-experts-0-1" in charts_of(app)


def test_a_name_is_held_against_a_sasrec_only_where_one_was_cut(measured):
    page = html_of(measured(question="names"))
    assert "beats labels permuted and the turned embedding, and moves most" in page
    assert "No SASRec of the same data was there" in page and "--sasrec CHECKPOINT" in page

    def change(document):
        for found in document["lists"].values():
            found["controls"]["sasrec_slices"] = found["controls"]["slices_turned"]
        return document

    page = html_of(measured(change, question="names"))
    assert "beats labels permuted, the turned embedding and a SASRec" in page
    assert "No SASRec of the same data" not in page
    told = "a SASRec of the same data cut likewise"
    assert told in html_of(measured(change, question="lists"))
    assert told not in html_of(measured(question="lists"))


def test_a_model_without_experts_is_not_asked_for_them(measured):
    app = measured(name="sasrec", question="experts")
    assert_calm(app)
    assert "Nothing is stored of the experts" in warnings(app)


# --- forming -------------------------------------------------------------------------------------


def test_how_facets_form_is_drawn_over_epochs_with_chance_and_the_epoch_kept(recorded):
    app = recorded([formed(1, 0.3), formed(2, 0.6), formed(3, 0.55)])
    assert_calm(app)
    assert charts_of(app) == ["facets-forming"]
    said = html_of(app)
    assert "From epoch 1 to 3" in said and "Genres: Head 1 30 % to 55 % (chance 25 %)" in said
    chart = specs(app)["facets-forming"]
    lines = {trace["name"]: trace for trace in chart["data"]}
    assert set(lines) == {"Head 1", "Head 2", "Head 3", "Whole", "Chance"}
    assert lines["Head 1"]["x"] == [1, 2, 3] and lines["Head 1"]["y"] == [0.3, 0.6, 0.55]
    assert lines["Head 1"]["line"]["color"] == head_colour(0)
    assert lines["Chance"]["line"]["dash"] == "dot"
    assert [shape["x0"] for shape in chart["layout"]["shapes"]] == [2]


def test_gate_and_experts_form_too_and_the_choice_is_in_the_address(recorded):
    rows = [formed(1, 0.0), formed(2, 0.9)]
    app = recorded(rows, forming="experts")
    assert_calm(app)
    assert "Head 1 0.00 to 0.90" in html_of(app) and "1 expert is dead" in html_of(app)
    assert query(app, "forming") == "experts"
    app.segmented_control(key="choice-forming").set_value("gate").run()
    assert_calm(app)
    assert "Head 1 50 %; Head 2 30 %; Head 3 20 %" in html_of(app)
    offered = app.segmented_control(key="choice-forming").options
    assert offered == ["Lists", "Gate", "Experts"]  # nothing was measured of nearest items


def test_a_checkpoint_of_a_version_without_a_record_says_so_in_one_quiet_sentence(measured):
    app = measured(question="forming")
    assert_calm(app)
    assert not charts_of(app) and not app.warning and not app.info
    assert "kept no record of its epochs" in html_of(app)


def test_a_record_that_is_not_whole_is_one_sentence(recorded):
    app = recorded([{"epoch": 1, RECORD: {"gate": [1.0]}}])
    assert not app.exception and not charts_of(app)
    (error,) = app.error
    assert "metrics.json" in error.value.replace("\\", "")


def test_of_many_facets_those_are_drawn_in_which_a_head_leads_most():
    rows = [
        (f"F{facet}", head, "x", epoch, value)
        for facet in range(6)
        for epoch in (1, 2)
        for head, value in ((-2, 0.5), (-1, 0.9), (0, 0.5 + facet * epoch / 100), (1, 0.1))
    ]
    table = pd.DataFrame(rows, columns=["facet", "head", "of", "epoch", "value"])
    drawn = facet_tables.forming_drawn(table, 4)
    assert sorted(set(drawn["facet"])) == ["F2", "F3", "F4", "F5"]
    assert set(drawn["head"]) == {-2, -1, 0, 1}
    many = table[table["head"] < 0]
    heads = [table.assign(head=head, value=head / 10)[table["head"] == 0] for head in range(9)]
    kept = facet_tables.forming_drawn(pd.concat([many, *heads]), 4)
    assert sorted(set(kept["head"])) == [-2, -1, *range(1, 9)]  # eight of nine


# --- two checkpoints -----------------------------------------------------------------------------


def test_two_checkpoints_of_one_catalogue_stand_beside_each_other(twins):
    app = twins()
    assert_calm(app)
    assert not app.warning
    assert app.selectbox(key="choice-against").options == ["sasrec", TWIN]
    app.selectbox(key="choice-against").set_value(TWIN).run()
    assert_calm(app)
    assert query(app, "against") == TWIN
    assert charts_of(app) == ["facets-compare"]
    chart = specs(app)["facets-compare"]
    assert [trace["name"] for trace in chart["data"]] == [f"{made_up.NAME} and {TWIN}", "By chance"]
    assert len(chart["layout"]["yaxis"]["ticktext"]) == 4  # the fused list and three heads
    said = html_of(app)
    assert "this checkpoint and twin have" in said and said.count(" goes with ") == 3
    assert said.count('<ol class="lens-list">') == 8  # the fused lists and three pairs


def test_the_figures_of_both_are_side_by_side(twins):
    for by, rows in (
        ("ranking", 4), ("lists", 6), ("tables", 6), ("causes", 6), ("gate", 3), ("overlap", 3),
    ):  # fmt: skip
        app = twins(against=TWIN, compared=by)
        assert_calm(app)
        chart = specs(app)["facets-compare"]
        assert [trace["name"] for trace in chart["data"]] == [made_up.NAME, TWIN], by
        assert len(chart["layout"]["yaxis"]["ticktext"]) == rows, by
        assert html_of(app).count('class="lens-words"') == 1
        # The twin's file is a copy: heads matched with themselves have the same figures.
        assert query(app, "compared") == by


def test_one_person_goes_through_both_and_into_lens(twins):
    app = twins(against=TWIN, user="u3")
    assert_calm(app)
    assert query(app, "user") == "u3" and app.selectbox(key="choice-user").value == "u3"
    next(one for one in app.button if one.key == f"lens-{TWIN}").click().run()
    assert_calm(app)
    assert app.title[0].value == "Why does this person get this list?"
    assert (query(app, "checkpoint"), query(app, "user")) == (TWIN, "u3")
    stranger = twins(against=TWIN, user="nobody")
    assert_calm(stranger)
    assert "nobody" in warnings(stranger) and query(stranger, "user") != "nobody"


def test_a_checkpoint_of_another_catalogue_is_not_offered_and_why_is_said(twins, home):
    items = pd.read_csv(home / "items.csv").assign(title="Another")
    items.to_csv(home / "others.csv", index=False)
    import_file(home / "clicks.csv", "others", items=home / "others.csv")
    made_up.write_checkpoint(home / "checkpoints" / "foreign", made_up.FAME, seed=6, name="others")
    app = twins(against="foreign")
    assert_calm(app)
    assert "foreign" not in app.selectbox(key="choice-against").options
    assert "foreign: another catalogue (39 items of others)" in html_of(app)
    assert "'foreign' cannot be compared with 'made-up': another catalogue" in warnings(app)


def test_a_checkpoint_that_cannot_be_read_is_not_offered_and_that_is_said(twins, home):
    damaged = home / "checkpoints" / "damaged"
    made_up.write_checkpoint(damaged, made_up.FAME, seed=6)
    (damaged / "config.json").write_text("{")
    app = twins()
    assert_calm(app)
    assert "damaged" not in app.selectbox(key="choice-against").options
    assert "damaged: its config.json cannot be read" in html_of(app)


def test_without_the_other_ones_facets_lists_are_compared_and_a_command_told(twins):
    app = twins(told=False, against=TWIN, compared="lists")
    assert_calm(app)
    (told,) = app.info
    assert "python -m fame facets" in told.value.replace("\\", "")
    assert html_of(app).count('<ol class="lens-list">') == 8


def test_a_model_without_heads_is_compared_by_its_fused_lists(twins):
    app = twins(against="sasrec")
    assert_calm(app)
    assert "no heads are matched" in html_of(app)
    assert html_of(app).count('<ol class="lens-list">') == 2


# --- charts and their tables, read as data -------------------------------------------------------


def shares(*means: float) -> dict[str, Estimate]:
    return {
        f"head_{head}": Estimate(mean, mean - 0.05, mean + 0.08) for head, mean in enumerate(means)
    }


def test_of_a_control_the_best_slice_is_drawn_and_permuted_labels_of_the_best_head():
    controls = {PERMUTED: shares(0.3, 0.1), "slices_turned": shares(0.2, 0.4)}
    evidence = {"genres": ({"all": Estimate(0.5, 0.4, 0.6)} | shares(0.6, 0.7), controls)}
    table = facet_tables.evidence_table(evidence, ["A", "B"])
    assert len(table) == 7  # all of it can be taken along
    drawn = facet_tables.drawn(table, 6).set_index("control")["mean"]
    assert drawn["Labels permuted"] == 0.1  # of the second head, which is the best
    assert drawn["Turned slices"] == 0.4
    assert sorted(drawn[""]) == [0.5, 0.6, 0.7]
    few = facet_tables.drawn(table, 1)
    assert few.loc[few["control"] == "", "head"].tolist() == [-1, 1]


def test_dots_lie_where_the_figures_are_with_their_intervals():
    evidence = {
        facet: ({"all": Estimate(0.5, 0.4, 0.6)} | shares(0.6, 0.7), {PERMUTED: shares(0.3, 0.1)})
        for facet in ("genres", "year")
    }
    table = facet_tables.drawn(facet_tables.evidence_table(evidence, ["A", "50 % $x"]), 6)
    figure = facet_charts.evidence_dots(table, "Share")
    by_name = {trace.name: trace for trace in figure.data}
    assert set(by_name) == {"Whole embedding", "A", "50 % &#36;x", "Labels permuted"}
    first = by_name["A"]
    assert list(first.x) == [0.6, 0.6] and first.marker.color == head_colour(0)
    assert list(first.error_x.array) == pytest.approx([0.08] * 2)
    assert list(first.error_x.arrayminus) == pytest.approx([0.05] * 2)
    assert by_name["Labels permuted"].marker.color == NEUTRAL
    heights = [y for trace in figure.data for y in trace.y]
    assert len(set(heights)) == len(heights)  # nothing lies over anything else
    ticks = figure.layout.yaxis.tickvals
    assert all(min(abs(at - tick) for tick in ticks) <= 2 for at in heights)


def test_the_area_of_a_square_of_causes_is_how_far_the_list_moves():
    table = facet_tables.causes_table({"genres": [0.4, 0.1], "year": [-0.2, 0.0]}, ["A", "B"])
    squares = facet_charts.causes_squares(table).data[1]
    sizes = dict(zip(zip(squares.x, squares.y, strict=True), squares.marker.size, strict=True))
    assert sizes[0, 0] ** 2 == pytest.approx(4 * sizes[0, 1] ** 2)
    assert sizes[1, 0] == sizes[1, 1] == 0
    some = facet_tables.causes_table({"genres": [0.4, 0.1, 0.3]}, ["A", "B", "C"])
    chart = facet_charts.causes_squares(some[some["head"] != 1])  # rows without a gap
    assert list(chart.data[1].y) == [0, 1] and list(chart.layout.yaxis.tickvals) == [0, 1]
    assert list(chart.layout.yaxis.ticktext) == ["A", "C"]


def test_of_many_heads_those_with_the_largest_figures_are_drawn():
    heads = [-1, *range(20), *range(20)]
    table = pd.DataFrame({"head": heads, "mean": [0.0, *range(20), *([5.5] * 20)]})
    drawn = facet_tables.of_first_heads(table, "mean", 12)
    assert sorted(set(drawn["head"])) == [-1, *range(8, 20)]
    assert len(drawn) == 25


def test_many_heads_fit_on_the_page(open_app, home):
    path = home / "checkpoints" / "many"
    made_up.write_checkpoint(path, replace(made_up.FAME, heads=16, width=32, experts=1), seed=4)
    data = load(made_up.NAME, offline=True).interactions
    survey_facets(load_checkpoint(path), data, sample=5)
    app = open_app(PAGE, checkpoint="many", against=made_up.NAME)
    assert_calm(app)
    rows = {name: spec["layout"]["height"] for name, spec in specs(app).items()}
    assert set(rows) >= {"facets-lists", "facets-causes", "facets-gate", "facets-compare"}
    assert max(rows.values()) < 1500
    assert html_of(app).count("Of 16 heads those 12 are drawn") >= 3


def test_cohorts_are_called_by_their_span():
    def label(by, low, high):
        cohort = SimpleNamespace(by=by, low=low, high=high)
        return facet_tables.cohort_label(cohort)

    assert label("length", 5, 1234) == "5 to 1,234 clicks"
    assert (label("length", 1, 1), label("popularity", 4, 4)) == ("1 click", "4 clicks")
    assert label("all", 0, 0) == "Everybody"


def test_boxes_hold_the_quantiles():
    gate = pd.DataFrame(
        [(0, "A", 0.4, 0.1, 0.2, 0.3, 0.5, 0.9, 0.7)],
        columns=["head", "of", "mean", "q05", "q25", "q50", "q75", "q95", "largest"],
    )
    (box,) = facet_charts.gate_boxes(gate).data
    found = (box.lowerfence, box.q1, box.median, box.q3, box.upperfence, box.mean)
    assert [one[0] for one in found] == [0.1, 0.2, 0.3, 0.5, 0.9, 0.4]
