"""Lens, walked through with AppTest on made-up data."""

import html
import json
import re
import shutil

import pytest

import pickers
from fame.checkpoint import load_checkpoint
from fame.opening import FORMAT, OPENING
from lens_parts import answer, stage
from lens_parts.stage import FIRST
from tests import made_up
from tests.app.walk import (
    ATLAS,
    assert_calm,
    charts_of,
    headings,
    html_of,
    labelled,
    press,
    query,
    warnings,
)
from text import for_html


def test_it_opens_on_a_real_person_without_a_click(open_app):
    app = open_app()
    assert_calm(app)
    assert app.title[0].value == "Why does this person get this list?"
    assert headings(app) == ["What would each head alone recommend?"]
    assert not charts_of(app)  # no chart is waited for before somebody asks for one
    page = html_of(app)
    assert page.count('<article class="head') == 3 and page.count('<li class="row') == 10
    assert "◎ Really chosen next" in page


def test_mere_text_stands_in_for_the_stage_until_it_is_drawn(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3")

    def stand_ins():
        return [one.value for one in app.markdown if FIRST in one.value]

    (text,) = stand_ins()
    assert "\n" not in text  # what comes after an empty line would be read as Markdown
    style = re.search("<style>(.*)</style>", text)[1]
    drawn = html_of(app)
    for kind in ('<li class="row', '<li class="click', '<article class="head'):
        assert text.count(kind) == drawn.count(kind) > 0
    titles = re.findall('class="title">([^<]*)<', text)
    assert len(titles) > 3 and all(f">{title}<" in drawn for title in titles)
    # Nothing in it can be pressed, and nothing takes it for the stage.
    assert "data-" not in text and " title=" not in text and 'aria-hidden="true"' in text
    assert not re.search("<(button|input) (?!disabled)", text)
    assert not re.search(r'class="stage[" ]', text) and not re.search(r"\.stage[ .{]", style)

    press(app, do="mute", head=0)
    assert_calm(app)
    assert not stand_ins()


def test_the_first_screen_goes_before_all_below_it(open_app, monkeypatch):
    """What the browser waits for first must not wait for the rest."""
    drawn = []
    for module, name in ((stage, "told_stage"), (pickers, "list_length"), (answer, "lists")):
        real = getattr(module, name)

        def noted(*given, real=real, name=name):
            drawn.append(name)
            return real(*given)

        monkeypatch.setattr(module, name, noted)
    assert_calm(open_app(checkpoint=made_up.NAME, user="u3"))
    assert drawn == ["told_stage", "list_length", "lists"]


def test_tables_are_filled_when_they_are_opened(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="ledger")
    assert not app.dataframe
    app.session_state["ledger-numbers"] = True
    app.run()
    assert_calm(app)
    (table,) = (frame.value for frame in app.dataframe)
    heads = [f"Head {head}" for head in (1, 2, 3)]
    assert abs(table[heads].sum(axis=1) - table["Score"]).max() < 1e-4


def test_the_address_chooses_and_is_written(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", k="5")
    assert_calm(app)
    assert not app.warning
    assert app.text_input[0].value == "u3"
    assert (query(app, "user"), query(app, "k")) == ("u3", "5")
    assert html_of(app).count('class="lens-list"') == 4  # the fused list and three heads'

    app.text_input[0].set_value("u4").run()
    assert query(app, "user") == "u4"
    app.slider(key="choice-k").set_value(7).run()
    assert (query(app, "user"), query(app, "k")) == ("u4", "7")
    assert_calm(app)


def test_random_gives_somebody(open_app):
    app = open_app(checkpoint=made_up.NAME)
    seen = set()
    for _ in range(4):
        labelled(app, "Somebody at random").click().run()
        seen.add(query(app, "user"))
    assert_calm(app)
    assert len(seen) > 1
    assert made_up.SINGLE not in seen  # one click is no history and a held-out item


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"checkpoint": "none"}, "no checkpoint 'none'"),
        ({"checkpoint": "../../etc"}, "no checkpoint '../../etc'"),
        ({"user": "nobody"}, "no user 'nobody'"),
        ({"user": made_up.SINGLE}, "1 interaction"),
        ({"example": "nothing"}, "no example 'nothing'"),
        ({"k": "1000"}, "k must be a whole number from 1 to 50"),
        ({"k": "NaN"}, "k must be a whole number from 1 to 50"),
        ({"items": "1,999"}, "no item '999'"),
        ({"items": ",".join(["1"] * 10_000)}, "at most 1,000 items"),
        ({"scores": "cooked"}, "scores must be one of centred, next, middle, raw"),
        ({"mix": "head_9"}, ""),
        ({"nonsense": "1"}, "'nonsense'"),
        ({"source": "own"}, "'source'"),
    ],
)
def test_an_address_edited_by_hand_is_told_and_left_aside(open_app, address, told):
    app = open_app(**address)
    assert_calm(app)
    assert told in warnings(app)
    assert headings(app)


def test_raw_scores_come_with_a_word_of_warning(open_app):
    app = open_app(checkpoint=made_up.NAME, part="ledger", scores="raw")
    assert_calm(app)
    assert "Raw bars mean nothing by themselves" in html_of(app)
    assert query(app, "scores") == "raw"


def test_titles_are_shown_as_they_are(open_app):
    app = open_app(checkpoint=made_up.NAME, items="1,2")
    assert_calm(app)
    page = html_of(app)
    assert "<b>x</b>" not in page
    for title in (made_up.HTML_TITLE, made_up.SHORTCODE_TITLE):
        assert for_html(title) in page
        assert title in html.unescape(page)
    app = open_app(checkpoint=made_up.NAME, items="5,6", k="50", part="ledger")
    figure = next(c.proto.spec for c in app.get("plotly_chart") if c.proto.id.endswith("ledger"))
    assert "<b>x</b>" not in figure
    labels = json.loads(figure)["layout"]["yaxis"]["ticktext"]
    assert any("*NSYNC &lt;b&gt;x" in label for label in labels)


def test_a_history_longer_than_the_model_reads(open_app):
    app = open_app(checkpoint=made_up.NAME, user=made_up.LONG)
    assert_calm(app)
    assert "the model reads the last 8<" in html_of(app)


def test_a_history_is_composed_edited_and_left(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u2")
    labelled(app, "Change this history").click().run()
    assert_calm(app)
    before = query(app, "items").split(",")
    assert query(app, "user") == "u2"  # whose history it was: the way back is in the address

    app.button(key=f"Remove-{len(before) - 1}").click().run()
    assert query(app, "items").split(",") == before[:-1]
    app.button(key=f"Earlier-{len(before) - 2}").click().run()
    assert query(app, "items").split(",") == [*before[:-3], before[-2], before[-3]]
    app.selectbox(key="add-item").set_value("1").run()
    assert query(app, "items").split(",")[-1] == "1"
    assert_calm(app)

    assert "Really chosen next" in html_of(app)  # the real next click stays theirs
    labelled(app, "Back to the real history").click().run()
    assert (query(app, "user"), query(app, "items")) == ("u2", None)
    assert_calm(app)


def test_an_empty_history_asks_for_an_item(open_app):
    app = open_app(checkpoint=made_up.NAME)
    app.segmented_control(key="choice-source").set_value("own").run()
    assert_calm(app)
    assert "Add an item" in html_of(app)


def test_sasrec_says_what_it_lacks(open_app):
    app = open_app(checkpoint="sasrec")
    assert_calm(app)
    assert "What is missing here?" in headings(app)
    assert '<article class="head' not in html_of(app)
    assert app.segmented_control(key="choice-part").options == [
        "Each head’s list",
        "The account",
        "Which clicks?",
        "Any item",
        "Is it true?",
        "Other models",
    ]


def test_without_the_data_it_opens_on_an_example(open_app, home):
    shutil.rmtree(home / "cache")
    app = open_app(checkpoint=made_up.NAME)
    assert_calm(app)
    assert query(app, "example") == "best-known"
    assert "not on this machine" in html_of(app)
    assert any(button.label == "Get the data set" for button in app.button)

    asked = open_app(checkpoint=made_up.NAME, user="u1")
    assert_calm(asked)
    assert "People need the data set" in warnings(asked)


def test_it_opens_on_what_the_survey_found(open_app, home):
    for name, lead in ((made_up.NAME, 0.4), ("sasrec", 0.9)):
        folder = home / "checkpoints" / name
        opening = {
            "format": FORMAT,
            "weights": load_checkpoint(folder).weights_hash,
            "example": "best-known",
            "named": 0.5 if name == "sasrec" else 1.0,
            "lead": lead,
        }
        (folder / OPENING).write_text(json.dumps(opening))
    app = open_app()  # most heads with names first, then how far they are apart
    assert_calm(app)
    assert (query(app, "checkpoint"), query(app, "example")) == (made_up.NAME, "best-known")
    (home / "checkpoints" / made_up.NAME / OPENING).write_text("{")
    app = open_app()
    assert_calm(app)
    assert query(app, "checkpoint") == "sasrec"


def test_another_checkpoint_of_other_data_forgets_the_person(open_app, home):
    app = open_app(checkpoint=made_up.NAME, user="u3")
    app.selectbox(key="choice-checkpoint").set_value("sasrec").run()
    assert query(app, "user") == "u3"  # the same data set: the same person
    assert_calm(app)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("model.safetensors", b"damaged", "is damaged"),
        ("items.parquet", b"damaged", "items.parquet"),
        ("config.json", b"{}", "format"),
        ("config.json", b"\xff", "not readable as JSON"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(open_app, home, file, content, told):
    (home / "checkpoints" / made_up.NAME / file).write_bytes(content)
    app = open_app(checkpoint=made_up.NAME)
    assert not app.exception
    (error,) = app.error
    assert told in error.value.replace("\\", "")
    app.selectbox(key="choice-checkpoint").set_value("sasrec").run()
    assert_calm(app)


def test_without_any_checkpoint_it_says_where_to_get_one(open_app, home):
    shutil.rmtree(home / "checkpoints")
    app = open_app()
    assert_calm(app)
    assert "train one on the Train page" in app.info[0].value


def test_a_fault_of_ours_is_told_without_a_traceback(open_app, monkeypatch):
    import resources

    def broken(*_):
        raise RuntimeError("secret details")

    monkeypatch.setattr(resources, "trace", broken)
    app = open_app()
    assert not app.exception
    (error,) = app.error
    assert "a fault of the app" in error.value
    assert "secret" not in error.value


def test_choices_last_when_another_page_is_opened(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u5", k="6")
    app.switch_page(ATLAS).run()
    assert_calm(app)
    assert (query(app, "user"), query(app, "k")) == ("u5", "6")
    app.switch_page("views/lens.py").run()
    assert (query(app, "user"), query(app, "k")) == ("u5", "6")
    assert_calm(app)
