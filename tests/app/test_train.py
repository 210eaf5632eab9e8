"""Train, walked through with AppTest; processes are not started here but recorded."""

import json
import re
import time

import pytest

import resources
from fame.checkpoint import write_description
from fame.config import TrainConfig
from fame.data import load
from fame.errors import FameError
from fame.experiments.choice import choose_settings
from fame.models.registry import MODELS, settings_of_others
from fame.training.runs import LOG, RunFolder, Status
from tests import made_up
from tests.app.walk import (
    TRAIN,
    assert_calm,
    charts_of,
    field,
    headings,
    html_of,
    labelled,
    query,
    start,
    warnings,
)
from text import for_html


def test_a_run_is_started_with_the_settings_of_the_form(open_app, home, launched):
    app = open_app(TRAIN)
    assert_calm(app)
    assert app.title[0].value == "How well does a model learn this data?"
    app.selectbox[0].set_value(made_up.NAME).run()
    app.number_input(key=f"setting-{made_up.NAME}-fame-heads").set_value(4)
    samples = app.segmented_control(key=f"setting-{made_up.NAME}-fame-samples")
    assert samples.value == "prefixes"
    samples.set_value("windows")
    items = app.segmented_control(key=f"setting-{made_up.NAME}-fame-item_start")
    assert items.value == "catalogue"
    app.text_input(key=f"setting-{made_up.NAME}-fame-start_facets").set_value("title/genres")
    app.text_input(key=f"setting-{made_up.NAME}-fame-head_facets").set_value(" genres/// ")
    app = start(app)
    assert not app.exception
    ((out, data, settings, device, resume),) = launched
    assert out == home / "checkpoints" / "made-up-fame-1"
    assert (data, device, resume) == (made_up.NAME, "cpu", False)
    assert settings["heads"] == 4
    assert settings["samples"] == "windows"
    assert (settings["item_start"], settings["start_facets"]) == ("catalogue", "title/genres")
    assert settings["head_facets"] == "genres///"
    assert settings["model"] == "fame"
    assert query(app, "run") == "made-up-fame-1"
    assert "In the queue" in html_of(app)


@pytest.mark.parametrize("model", MODELS)
def test_the_form_asks_for_what_the_model_uses(open_app, launched, model):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    next(one for one in app.segmented_control if one.label == "Model").set_value(model).run()
    app = start(app)
    assert not app.exception
    ((_, _, settings, _, _),) = launched
    assert settings["model"] == model
    own = MODELS[model].settings - {"gate", "facets"}  # those are for ablations
    assert own <= set(settings) and not settings_of_others(model) & set(settings)
    assert ("start_facets" in settings) == MODELS[model].heads_rank


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../outside", "cannot be the name"),
        ("", "cannot be the name"),
        ("Capital", "cannot be the name"),
        ("a" * 65, "cannot be the name"),
        (made_up.NAME, "already"),
    ],
)
def test_a_bad_name_is_told_and_nothing_starts(open_app, launched, name, told):
    app = start(open_app(TRAIN), name)
    assert not app.exception
    assert told in app.error[0].value.replace("\\", "")
    assert not launched


@pytest.mark.parametrize("name", ["results.csv", "ranks", "broken"])
def test_a_name_that_anything_has_is_refused_beside_the_field(open_app, home, launched, name):
    """Be it a file, a folder that holds no checkpoint, or a link to nowhere."""
    root = home / "checkpoints"
    (root / "results.csv").write_text("data,model\n")
    (root / "ranks").mkdir()
    (root / "broken").symlink_to(root / "nowhere")
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    next(field for field in app.text_input if field.label.startswith("Name")).set_value(name).run()
    assert not app.exception
    assert f"There is '{name}' in the folder" in app.error[0].value.replace("\\", "")
    assert labelled(app, "Start training").disabled
    assert (root / "results.csv").read_text() == "data,model\n"
    assert not list((root / "ranks").iterdir()) and not launched


def test_after_a_start_the_form_names_the_next_run(open_app, launched):
    app = start(open_app(TRAIN))
    assert [str(out.name) for out, *_ in launched] == ["made-up-fame-1"]
    field = next(field for field in app.text_input if field.label.startswith("Name"))
    assert field.value == "made-up-fame-2"
    assert not [one.value for one in app.error if "already" in one.value]


def on_cpu(folder):
    """Says in a run's folder that it trains on the CPU."""
    made = load("made-up", offline=True)
    training = TrainConfig(device="cpu")
    write_description(folder.path, made_up.FAME, training, made.interactions, made.items)


def test_a_stop_is_acknowledged_at_once_and_cannot_be_pressed_again(open_app, run, monkeypatch):
    signals = []
    monkeypatch.setattr("os.kill", lambda *given: signals.append(given))
    monkeypatch.setattr("os.killpg", lambda *given: signals.append(given))
    folder = run("training", epoch=1, epochs=10)
    with folder.held():
        app = open_app(TRAIN)
        button = labelled(app, "Stop after this step")
        assert not button.disabled
        app = button.click().run()
        assert_calm(app)
        assert labelled(app, "Stopping after this step …").disabled
        resources.stop_run(folder)  # of another tab, which was drawn before
        assert len(signals) == 1
        run("evaluating")
        assert not [one for one in app.run().button if one.label.startswith("Stop")]


def test_a_stop_that_would_hit_nobody_is_told(open_app, run):
    folder = run("training", epoch=1, epochs=10)
    with folder.held():
        (folder.path / "run.lock").write_text("")
        app = labelled(open_app(TRAIN), "Stop after this step").click().run()
        assert not app.exception
        assert "does not say which process trains it" in warnings(app)
        assert labelled(app, "Stop after this step")


def test_a_demonstration_neither_starts_nor_stops_nor_resumes(
    open_app, home, run, launched, monkeypatch
):
    monkeypatch.setenv("FAME_DEMO", "1")
    folder = run("training", epoch=2, epochs=10)
    with folder.held():
        app = open_app(TRAIN)
        assert_calm(app)
        assert [one.value for one in app.info] == [resources.DEMO]
        assert not [one for one in app.button if one.label.startswith(("Stop", "Start"))]
        with pytest.raises(FameError, match="demonstration"):
            resources.stop_run(folder)
        assert not folder.is_stopping()
    run("stopped")
    (folder.path / "resume").mkdir()
    (folder.path / "resume" / "state.safetensors").touch()
    assert not [one for one in app.run().button if one.label == "Resume"]
    with pytest.raises(FameError, match="demonstration"):
        resources.resume_run(folder, made_up.NAME)
    assert not launched
    monkeypatch.setenv("FAME_DEMO", "0")
    assert labelled(app.run(), "Resume")


def test_a_run_of_which_no_epoch_ended_may_be_resumed(open_app, run, launched):
    folder = run("failed", message="It was killed.")
    app = open_app(TRAIN)
    labelled(app, "Resume").click().run()
    assert [(out, resume) for out, *_, resume in launched] == [(folder.path, True)]


def test_settings_that_do_not_fit_are_told(open_app, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    field(app, "head_facets").set_value("").run()
    field(app, "width").set_value(64)
    field(app, "heads").set_value(5).run()
    told = app.error[0].value.replace("\\", "")
    assert "“Width” (64) must be a multiple of “Heads” (5)" in told
    assert "The nearest that fit: 60 and 65." in told
    assert app.button(key="start").disabled and not launched
    field(app, "width").set_value(65).run()
    assert_calm(app)
    assert not app.button(key="start").disabled


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("colour", "no such column; it has year, genres"),
        ("year", "every item has a value of its own"),
        ("genres,genres", "names no column, or one twice"),
    ],
)
def test_heads_that_cannot_be_facets_are_told_in_the_form(open_app, launched, share, message):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    app.text_input(key=f"setting-{made_up.NAME}-fame-head_facets").set_value(f"{share}/")
    app = start(app)
    assert not app.exception and not launched
    assert message in app.error[0].value.replace("\\", "")


def test_the_form_starts_at_what_is_chosen_for_a_set_of_ones_own(open_app, home, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    choice = choose_settings(load(made_up.NAME), {"model": "fame"})
    assert for_html(choice.why).replace("\u00a0", " ") in html_of(app)
    app = start(app)
    ((_, _, settings, _, _),) = launched
    assert settings["layers"] == 1 and settings["batch_size"] == 16
    assert all(choice.settings.get(key, value) == value for key, value in settings.items())
    app.selectbox[0].set_value("beauty").run()
    assert "has no recipe" not in html_of(app.run())


def test_a_set_that_is_fetched_first_is_looked_at_by_the_run(open_app, launched):
    """So the form passes on what somebody set, and nothing of its own."""
    app = open_app(TRAIN)
    app.selectbox[0].set_value("ml-latest-small").run()
    app.number_input(key="setting-ml-latest-small-fame-heads").set_value(4).run()
    app.button(key="start").click().run()
    ((_, data, settings, _, _),) = launched
    assert (data, settings) == ("ml-latest-small", {"model": "fame", "heads": 4})


def test_a_run_under_way_is_found_again(open_app, run):
    folder = run(
        "training",
        epoch=2,
        epochs=10,
        step=5,
        steps=20,
        positions_per_second=1234.0,
        eta_seconds=75.0,
        best_score=0.05,
        best_epoch=1,
    )
    folder.write_history([{"epoch": 1, "loss": 3.0, "valid_NDCG@10": 0.05, "seconds": 1.0}])
    (folder.path / LOG).write_text("epoch 1: fine\n")
    with folder.held():
        app = open_app(TRAIN)
        assert_calm(app)
        assert query(app, "run") == "try"
        assert "Training" in html_of(app)
        assert len(app.get("plotly_chart")) == 2
        app.toggle(key="log-open").set_value(True).run()
        assert any("epoch 1: fine" in code.value for code in app.code)
        assert any(button.label.startswith("Stop") for button in app.button)


def test_a_stopped_run_can_be_resumed(open_app, run, launched):
    folder = run("stopped", epoch=2, epochs=10)
    (folder.path / "resume").mkdir()
    (folder.path / "resume" / "state.safetensors").touch()
    app = open_app(TRAIN)
    assert_calm(app)
    next(button for button in app.button if button.label == "Resume").click().run()
    assert launched == [(folder.path, made_up.NAME, {}, "cpu", True)]


def test_a_failed_run_tells_its_sentence(open_app, run):
    run("failed", message="The loss is *no* longer a number.")
    app = open_app(TRAIN)
    assert not app.exception
    assert app.error[0].value.replace("\\", "") == "The loss is *no* longer a number."


def test_a_run_that_never_spoke_shows_the_end_of_its_log(open_app, home):
    folder = home / "checkpoints" / "mute"
    folder.mkdir()
    (folder / "launch.log").write_text("There is no data set 'x'.\n")
    app = open_app(TRAIN, run="mute")
    assert not app.exception
    assert app.error[0].value.replace("\\", "") == "There is no data set 'x'."


def test_a_finished_run_opens_in_lens(open_app, home):
    folder = RunFolder(home / "checkpoints" / made_up.NAME)
    now = time.time()
    folder.write_status(
        Status("finished", made_up.NAME, "fame", "CPU", 1, now, now, epoch=3, epochs=3)
    )
    app = open_app(TRAIN)
    assert_calm(app)
    next(button for button in app.button if button.label == "Open in Lens").click().run()
    assert_calm(app)
    assert app.title[0].value == "Why does this person get this list?"
    assert query(app, "checkpoint") == made_up.NAME


def test_how_far_a_run_is_whether_it_learns_or_ranks(open_app, run):
    at = {"epoch": 2, "epochs": 4, "step": 5, "steps": 5, "positions_per_second": 100.0}
    ranking = {"ranked": 1_280, "to_rank": 30_000}
    for phase, told, wanted in (
        ("training", at, "Epoch 2 of 4 · step 5 of 5"),
        ("training", at | ranking, "Epoch 2 of 4 · 1,280 of 30,000 people ranked"),
        ("evaluating", at | ranking, "1,280 of 30,000 people ranked"),
    ):
        with run(phase, **told).held():
            app = open_app(TRAIN)
            assert_calm(app)
            assert wanted in [bar.proto.text for bar in app.get("progress")]
            assert ("Clicks a second" in html_of(app)) == (phase == "training")


def test_past_runs_stand_side_by_side_with_their_figures(open_app, run):
    folder = run("finished", epoch=3, epochs=3, best_score=0.25)
    (folder.path / "metrics.json").write_text(json.dumps({"test": {"NDCG@10": 0.2, "HR@10": 0.4}}))
    app = open_app(TRAIN)
    assert_calm(app)
    row, *others = app.dataframe[0].value.to_dict("records")
    assert (row["Run"], row["Test NDCG@10"], row["Validation NDCG@10"]) == ("try", 0.2, 0.25)
    assert {other["Run"] for other in others} == {made_up.NAME, "sasrec"}


def test_an_unknown_run_in_the_address_is_told(open_app, run):
    run("finished")
    app = open_app(TRAIN, run="nothing")
    assert_calm(app)
    assert "no run 'nothing'" in warnings(app)
    assert query(app, "run") == "try"


def test_facets_forming_are_drawn_while_a_run_trains(open_app, run):
    """From each epoch's record; rows of a version that kept none are drawn as they were."""
    shares = {"chance": 0.25, "all": 0.3, "head_0": 0.5, "head_1": 0.2}
    record = {"items": 40, "people": 31, "listed": 31, "tables": {}, "lists": {"genres": shares}}
    record |= {"gate": [0.6, 0.4], "expert_share": [None, None], "dead": [0, 0]}
    row = {"loss": 3.0, "valid_NDCG@10": 0.1}
    for known, charts in (({"facets": record}, ["facets-forming"]), ({}, []), ({"facets": 1}, [])):
        folder = run("stopped", epoch=2, epochs=2)
        folder.write_history([{"epoch": epoch, **row, **known} for epoch in (1, 2)])
        app = open_app(TRAIN, run="try")
        assert_calm(app)
        assert charts_of(app) == ["validation", "loss", *charts]
        assert ("How do facets form?" in headings(app)) == bool(charts)


def test_data_sets_are_offered_with_their_size_and_what_they_lack(open_app):
    app = open_app(TRAIN)
    offered = app.selectbox[0].options
    assert "Amazon Beauty · 198,502 reviews · not downloaded, no times" in offered
    (own,) = [one for one in offered if one.startswith(made_up.NAME)]
    assert re.fullmatch(rf"{made_up.NAME} · \d+ interactions · no times", own)
