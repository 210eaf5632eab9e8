"""A log of one's own on the Train page: seen before it is kept, told about after."""

import gzip
import io
import tempfile
import time

import pandas as pd
import pytest
from streamlit import config

import resources
from fame.data import load
from fame.data.fetch import cache_folder
from fame.errors import FameError
from tests import made_up
from tests.app.walk import TRAIN, assert_calm, html_of

MARKUP = "<script>alert(1)</script> **b** :red[x]"
ROWS = [
    (f"u{user}", f"p{item}", f"Sat Jun {16 + place} 10:00:00 +0000 2012", str(place + 1), MARKUP)
    for user in range(8)
    for place, item in enumerate((user % 3, user % 5 + 3, user % 4 + 8, user % 2 + 12))
]
COLUMNS = ["visitorId", "POI_id", "UTC_time", "stars", MARKUP]
FRAME = pd.DataFrame(ROWS, columns=COLUMNS)
NOBODY = f"NA,p1,Sat Jun 16 10:00:00 +0000 2012,3,{MARKUP}\n"
LOG = FRAME.to_csv(index=False) + NOBODY
PLACES = "POI_id,title,kind,note\n" + "".join(
    f"p{item},Place {item},kind {item % 3},{MARKUP} {item}\n" for item in range(14)
)
NO_COLUMN = "no column"
NAME_FIELD = "Name of the data set"
GUESS = (
    "user = visitorId, item = POI_id, time = UTC_time (like Sat Jun 16 10:00:00 +0000 2012), "
    "rating = stars"
)


@pytest.fixture(autouse=True)
def uploads(monkeypatch, tmp_path):
    """What the server takes is a setting of the process; copies go where they can be counted."""
    option = "server.maxUploadSize"
    before, where = config.get_option(option), config.get_where_defined(option)
    config.set_option(option, 0, "somewhere/config.toml")
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    yield
    config.set_option(option, before, where)


def imported():
    """What lies where imported sets are kept, half-written ones too."""
    return sorted(path.name for path in (cache_folder() / "imported").iterdir())


def choose(app, content=LOG, name="Check ins.csv", items=None):
    data = content.encode() if isinstance(content, str) else content
    app.file_uploader[0].upload(name, data)
    if items is not None:
        app.file_uploader[1].upload("places.csv", items.encode())
    return app.run()


def labelled(app, label):
    fields = (*app.selectbox, *app.text_input, *app.number_input, *app.checkbox)
    return next(one for one in fields if one.label == label)


def bring_in(app):
    """Presses Import and waits until it has ended."""
    name = labelled(app, NAME_FIELD).value
    app.button(key="import").click().run()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = resources.job(resources.import_job(name))
        if job is None or job.done:
            return app.run()
        time.sleep(0.05)
    raise AssertionError("the import did not end")


def errors(app):
    return " ".join(error.value for error in app.error).replace("\\", "").replace("\u2060", "")


def test_what_a_file_is_taken_for_is_shown_before_anything_is_kept(open_app, home):
    app = choose(open_app(TRAIN), items=PLACES)
    assert_calm(app)
    assert imported() == [made_up.NAME]
    shown = [one.value for one in app.dataframe]
    clicks = next(table for table in shown if "visitorId" in table)
    assert clicks.values.tolist() == [list(row) for row in ROWS[:5]]
    assert GUESS in html_of(app)
    assert [labelled(app, label).value for label in ("User", "Item", "Time", "Rating")] == [
        *("visitorId", "POI_id", "UTC_time", "stars")
    ]
    assert labelled(app, "Kind of event").value == NO_COLUMN
    catalogue = next(table for table in shown if "title" in table)
    assert catalogue["title"].tolist() == [f"Place {item}" for item in range(5)]
    assert "facets = kind (category)" in html_of(app)
    assert MARKUP.split()[0] not in html_of(app)  # nor a script that somebody's column brings


def test_a_log_comes_in_is_told_about_and_is_trained_on(open_app, home, tmp_path):
    app = bring_in(choose(open_app(TRAIN), items=PLACES))
    assert_calm(app)
    assert imported() == ["check-ins", made_up.NAME]
    assert not list((tmp_path / "copies").iterdir())
    data = load("check-ins", offline=True)
    assert len(data.interactions.items) == len(ROWS)
    assert data.items["title"].tolist()[0] == "Place 0"
    assert "no user id</dt><dd>1 (line 34)" in html_of(app)
    assert "for 14 of 14 items" in html_of(app)
    assert str(tmp_path) not in str(data.report) and str(tmp_path) not in html_of(app)
    assert app.file_uploader[0].value is None  # ready for the next one
    app.button(key="train-on").click().run()
    assert_calm(app)
    assert labelled(app, "Data set").value == "check-ins"
    assert "no user id</dt><dd>1 (line 34)" in html_of(app)  # kept with the set


def packed(content):
    return gzip.compress(content.encode())


def parquet(_):
    file = io.BytesIO()
    FRAME.to_parquet(file)
    return file.getvalue()


def json_lines(_):
    return FRAME.to_json(orient="records", lines=True).encode()


@pytest.mark.parametrize("written", [packed, parquet, json_lines])
def test_the_content_decides_what_a_file_is(open_app, home, written):
    app = choose(open_app(TRAIN), written(LOG), name="log.txt")
    assert_calm(app)
    assert GUESS in html_of(app)
    bring_in(app)
    assert len(load("log", offline=True).interactions.items) == len(ROWS)


def test_lines_of_sequences_have_no_columns_to_choose(open_app, home):
    app = choose(open_app(TRAIN), "1 11 12 13\n2 12 13 11\n3 13 11 12\n", name="s.txt")
    assert_calm(app)
    assert "every user, oldest first" in html_of(app)
    assert not [one for one in app.selectbox if one.label == "User"]
    bring_in(app)
    assert len(load("s", offline=True).interactions) == 3


def test_columns_are_corrected(open_app, home):
    content = "a,b,c,score\n" + "".join(
        f"x{k % 4},y{k},{1_500_000_000 + 60 * k},{k % 5}\n" for k in range(20)
    )
    app = choose(open_app(TRAIN), content, name="odd.csv")
    assert "“User” which one it is" in errors(app) and app.button(key="import").disabled
    assert labelled(app, "Time").value == "c"  # by what it holds
    labelled(app, "User").set_value("a")
    labelled(app, "Item").set_value("b")
    app.run()
    assert_calm(app)
    assert "user = a, item = b, time = c (like 1500000000), rating = score" in html_of(app)
    labelled(app, "Time").set_value(NO_COLUMN)
    labelled(app, "Rating").set_value(NO_COLUMN)
    app.run()
    assert "user = a, item = b, time = none, rating = none" in html_of(app)
    bring_in(app)
    report = load("odd", offline=True).report
    assert report["columns"] == {"user": "a", "item": "b", "time": None, "rating": None}
    assert report["order"] == "lines in the order of the source file"


# By label what a field says, and what the importer is then asked for.
OPTIONS = {
    "Least clicks of a user and an item": (1, {"core": 1}),
    "Least rating": (2.0, {"min_rating": 2.0}),
    "Equal clicks once": (True, {"dedupe": True}),
    "Time zone": ("Europe/Paris", {"timezone": "Europe/Paris"}),
    "A session ends after": ("30d", {"session_gap": "30d"}),
    "Rows that may be dropped": (3, {"skip_bad": 3}),
    "Lines stand in order": (True, {"in_order": True, "time": "UTC_time"}),
    "Between columns": ("comma", {"sep": ","}),
    "Quotes are letters": (True, {"quotes": False}),
    "Facets all the same": ("note", {"facets": ["note"]}),
}


def test_every_option_reaches_the_importer(open_app, home):
    app = choose(open_app(TRAIN), items=PLACES)
    for label, (said, _) in OPTIONS.items():
        labelled(app, label).set_value(said)
    app = bring_in(app.run())
    assert not errors(app)
    asked = {name: own for _, option in OPTIONS.values() for name, own in option.items()}
    assert load("check-ins", offline=True).report["options"] == asked


def test_kinds_of_events_and_repeats_reach_the_importer(open_app, home):
    app = choose(open_app(TRAIN), LOG.replace("stars", "event").replace(",1,", ",view,"))
    labelled(app, "Kind of event").set_value("event")
    labelled(app, "Kinds of events to keep").set_value("view, 2")
    labelled(app, "What somebody had before").set_value("recommended again")
    bring_in(app.run())
    data = load("check-ins", offline=True)
    assert data.report["options"]["events"] == ["view", "2"]
    assert data.interactions.repeats == "recommend"
    assert len(data.interactions.items) == 16


WRONG = [
    ("A session ends after", "soon", "“A session ends after” is a number above 0"),
    ("Facets all the same", "colour", "there is no column 'colour', as “Facets all the same”"),
    (NAME_FIELD, "Mine", "'Mine' cannot name a data set"),
    (NAME_FIELD, "../out", "'../out' cannot name a data set"),
    (NAME_FIELD, "beauty", "the name of a published data set"),
    (NAME_FIELD, made_up.NAME, "There is an imported set 'made-up'"),
]


def test_what_cannot_be_is_said_beside_its_field(open_app, home):
    app = choose(open_app(TRAIN), items=PLACES)
    for label, said, told in WRONG:
        before = labelled(app, label).value
        labelled(app, label).set_value(said).run()
        assert not app.exception
        assert told in errors(app)
        assert app.button(key="import").disabled
        assert "user = visitorId" in html_of(app)  # the rest stays as it was
        labelled(app, label).set_value(before).run()
        assert_calm(app)
    assert imported() == [made_up.NAME]


def test_a_set_is_replaced_only_where_somebody_says_so(open_app, home):
    before = load(made_up.NAME, offline=True).interactions.fingerprint
    app = choose(open_app(TRAIN))
    labelled(app, "Data set").set_value(made_up.NAME)
    labelled(app, NAME_FIELD).set_value(made_up.NAME).run()
    labelled(app, "Replace the set of that name").check().run()
    assert_calm(app)
    app = bring_in(app)
    after = load(made_up.NAME, offline=True).interactions.fingerprint
    assert before != after
    # What the app has read of the set before is not what it shows of it now.
    assert resources.summary(made_up.NAME)["fingerprint"] == after
    assert resources.dataset(made_up.NAME).interactions.fingerprint == after


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "odd.csv is empty"),
        (b"\x1f\x8b\x08\x00broken", "odd.csv is a damaged gzip file"),
        (b"PAR1" + b"x" * 40, "odd.csv is no readable parquet file"),
        (b"a,b\n1,\x00\n", "odd.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_beside_it(open_app, home, tmp_path, content, told):
    app = choose(open_app(TRAIN), content, name="odd.csv")
    assert not app.exception
    assert told in errors(app) and str(tmp_path) not in errors(app)
    assert app.button(key="import").disabled
    assert not list((tmp_path / "copies").iterdir())


def test_what_goes_wrong_on_the_way_leaves_nothing_and_keeps_what_was_said(
    open_app, home, tmp_path
):
    content = LOG.replace(NOBODY, "u1,p1,,3,x\n")
    app = choose(open_app(TRAIN), content)
    labelled(app, NAME_FIELD).set_value("mine").run()
    app = bring_in(app)
    assert errors(app).startswith("Check ins.csv, line 34: column 'UTC_time' has no value; “Rows")
    assert imported() == [made_up.NAME]
    assert not list((tmp_path / "copies").iterdir())
    assert labelled(app, NAME_FIELD).value == "mine"
    labelled(app, "Rows that may be dropped").set_value(1).run()
    app = bring_in(app)
    assert "mine" in imported() and not app.error


class EndsMeanwhile(resources.Job):
    """An import that is under way at the first look, and has ended at the next."""

    looks = 0

    @property
    def done(self):
        self.looks += 1
        return self.looks > 1

    @done.setter
    def done(self, _):
        pass


def test_an_import_that_ends_while_the_page_is_drawn_is_seen(open_app, monkeypatch):
    app = choose(open_app(TRAIN))
    app.button(key="import").click().run()
    while not resources.job(resources.import_job("check-ins")).done:
        time.sleep(0.05)
    app = open_app(TRAIN)
    app.session_state["import-started"] = "check-ins"
    ending = EndsMeanwhile("Step 2 of 2")
    monkeypatch.setattr(resources, "job", lambda _: ending)
    choose(app, name="check-ins.csv")
    assert_calm(app)
    assert ending.looks > 1 and "check-ins is in." in html_of(app)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\logs\\x.csv", "x.csv"),
        ("..", "upload"),
        ("", "upload"),
        ("a\x00b<i>.csv", "a_b_i_.csv"),
        ("x" * 300 + ".csv", "x" * 96 + ".csv"),
    ],
)
def test_the_name_of_an_upload_leads_nowhere(given, kept):
    assert resources.file_name(given) == kept


def test_a_demonstration_takes_no_files(open_app, home, monkeypatch):
    monkeypatch.setenv("FAME_DEMO", "1")
    config.set_option("server.maxUploadSize", 500, "command-line argument")
    app = open_app(TRAIN)
    assert not app.exception and not app.file_uploader
    assert config.get_option("server.maxUploadSize") == 0  # the server itself refuses
    with pytest.raises(FameError, match="demonstration"):
        resources.start_import("mine", io.BytesIO(), None, None, None, False)


@pytest.mark.parametrize(
    ("where", "set_to", "limit"),
    [("x/config.toml", 0, 200), ("command-line argument", 20, 20), ("command-line argument", 0, 0)],
)
def test_who_serves_the_app_may_set_another_limit(open_app, where, set_to, limit):
    config.set_option("server.maxUploadSize", set_to, where)
    app = open_app(TRAIN)
    assert_calm(app)
    assert config.get_option("server.maxUploadSize") == limit
    assert [one.proto.max_upload_size_mb for one in app.file_uploader] == [limit] * 2 * bool(limit)
    assert "python -m fame data import" in html_of(app)  # for what is too large
