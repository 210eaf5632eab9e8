"""Train: where a run starts from, the queue, what becomes of runs, and runs beside one another."""

import json
import shlex
import shutil
import time

import numpy as np
import pytest
import streamlit as st

import resources
from fame.checkpoint import load_checkpoint
from fame.config import parse_setting
from fame.errors import FameError
from fame.experiments.recipes import build_configs, load_recipe
from fame.experiments.variants import variant
from fame.files import claim_folder
from fame.training import jobs
from fame.training.runs import RunFolder, Status, discarded
from tests import made_up
from tests.app.walk import (
    TRAIN,
    assert_calm,
    field,
    headings,
    html_of,
    labelled,
    name_key,
    query,
    start,
    warnings,
)
from train_parts.fields import LABELS, in_words


def plain(text):
    return text.replace("\\", "").replace("\u2060", "")


def preset(app, name):
    return app.radio(key="train-preset").set_value(name).run()


def command_of(app):
    """The settings that the page's command line gives."""
    (line,) = [code.value for code in app.code if code.value.startswith("python")]
    words = shlex.split(line)
    return dict(parse_setting(words[i + 1]) for i, word in enumerate(words) if word == "--set")


def trained(home, name, **known):
    """A run at rest, of which the folder is ours."""
    folder = RunFolder(home / "checkpoints" / name)
    claim_folder(folder.path)
    now = time.time()
    phase = known.pop("phase", "finished")
    folder.write_status(Status(phase, made_up.NAME, "fame", "CPU", 1, now, now, on="cpu", **known))
    return folder


# --- the form -----------------------------------------------------------------------------------


def test_on_a_first_visit_what_came_trained_is_shown(open_app):
    app = open_app(TRAIN)
    assert_calm(app)
    assert "Came trained" in html_of(app) and "test NDCG@10 0.1000" in html_of(app)
    assert "Nothing has been trained" not in html_of(app)
    assert "How do the runs compare?" in headings(app)
    table = app.dataframe[0].value
    assert set(table["Run"]) == {made_up.NAME, "sasrec"}
    assert table.set_index("Run").loc[made_up.NAME, ["Heads", "Width", "Seed"]].tolist() == [
        3,
        24,
        0,
    ]
    assert labelled(app, "Open in Lens") and labelled(app, "Open in Facets")


def test_the_command_line_does_what_the_button_does(open_app, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    field(app, "dropout").set_value(0.25).run()
    said = command_of(app)
    app.button(key="start").click().run()
    ((_, _, settings, _, _),) = launched
    assert said == settings and said["dropout"] == 0.25


@pytest.mark.parametrize("kind", ["fame", "paper"])
def test_a_recipe_is_not_spelt_out_and_comes_to_the_same(open_app, launched, kind):
    app = open_app(TRAIN)
    app.selectbox[0].set_value("beauty").run()
    if kind == "fame":
        assert command_of(app) == {"model": "fame"}
    else:
        preset(app, "paper")
    assert not app.exception
    said = command_of(app)
    configs = build_configs({**load_recipe("beauty", "fame"), **said}, "The command")
    assert configs == variant(kind).configs("beauty")


def test_sasrec_beside_it_and_two_minutes(open_app):
    app = open_app(TRAIN)
    app.selectbox[0].set_value("beauty").run()
    preset(app, "beside")
    assert not app.exception
    assert command_of(app) == {"model": "sasrec"} and app.selectbox[0].value == "beauty"
    preset(app, "quick")
    assert not app.exception
    assert app.selectbox[0].value == "ml-100k"
    said = command_of(app)
    assert said["model"] == "fame" and said["epochs"] == 12
    (model, _) = build_configs({**load_recipe("ml-100k"), **said}, "The command")
    assert model.head_facets == "genres/year/" and model.heads == 3, "heads that are facets"


def test_shares_of_the_heads_loss_are_of_use_where_there_is_one(open_app, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value("beauty").run()
    shares = field(app, "head_loss_shares", data="beauty")
    assert shares.value == "0/1/0.5" and not shares.disabled
    shares.set_value("0/1").run()
    assert not app.exception
    assert any("has 2 shares and there are 3 heads" in error.value for error in app.error)
    field(app, "head_loss_weight", data="beauty").set_value(0.0).run()
    assert not app.exception and field(app, "head_loss_shares", data="beauty").disabled
    said = command_of(app)
    assert (said["head_loss_weight"], said["head_loss_shares"]) == (0.0, "")
    preset(app, "beside")
    assert not any(one.label == LABELS["head_loss_shares"] for one in app.text_input)


def test_shares_of_facets_say_how_many_heads_there_are(open_app, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    field(app, "head_facets").set_value("genres///").run()
    heads = next(one for one in app.number_input if one.label == LABELS["heads"])
    assert heads.disabled and heads.value == 4
    app.button(key="start").click().run()
    ((_, _, settings, _, _),) = launched
    assert (settings["heads"], settings["head_facets"]) == (4, "genres///")


def test_experts_that_cannot_read_their_own_slice_are_told_beside_the_field(open_app, launched):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    field(app, "head_facets").set_value("").run()
    field(app, "expert_view").set_value("own").run()
    (error,) = app.error
    assert "“What experts read”=own" in plain(error.value)
    assert app.button(key="start").disabled and "It cannot start yet" in html_of(app)


@pytest.mark.parametrize(
    ("message", "about", "told"),
    [
        (
            "The form: learning_rate must be at least 1e-08 and at most 1, not 2.0.",
            "learning_rate",
            "“Learning rate” must be at least 1e-08 and at most 1, not 2.0.",
        ),
        ("width (9) must be a multiple of heads (2), because", "width", "“Width” (9) must be a"),
        ("head_facets=a/ has 2 shares and there are 3 heads; separate", "head_facets", "3 heads;"),
        ("The disk is full.", "", "The disk is full."),
    ],
)
def test_errors_speak_in_the_words_of_the_form(message, about, told):
    found, sentence = in_words(message, list(LABELS))
    assert found == about and told in sentence


def test_what_a_run_takes_is_told_before_it_starts(open_app):
    app = open_app(TRAIN)
    app.selectbox[0].set_value(made_up.NAME).run()
    while "Looking at the data set, to say" in html_of(app):
        time.sleep(0.1)
        app.run()
    assert_calm(app)
    assert "32 people" in html_of(app) and "parameters, about 0.1 GiB of memory" in html_of(app)
    assert "How long it takes can be told once a run has been here" in html_of(app)
    opened = load_checkpoint(resources.checkpoint_root() / made_up.NAME)
    rows = [{"epoch": 1, "loss": 1.0, "seconds": 3.0}]
    RunFolder(opened.path).write_history(rows)
    app = app.run()
    assert "(by the pace of made-up, elsewhere" in html_of(app)


def test_the_settings_of_a_run_are_the_start_of_another(open_app, home, launched):
    app = open_app(TRAIN, run=made_up.NAME)
    labelled(app, "Start from its settings").click().run()
    assert not app.exception
    assert app.selectbox[0].value == made_up.NAME
    assert app.number_input(key=f"setting-{made_up.NAME}-{made_up.NAME}-fame-width").value == 24
    app.button(key="start").click().run()
    ((out, _, settings, _, _),) = launched
    described = load_checkpoint(home / "checkpoints" / made_up.NAME)
    wanted = {**described.model_config.to_dict(), **described.train_config.to_dict()}
    assert all(wanted[key] == value for key, value in settings.items())
    assert settings["heads"] == 3 and out.name == "made-up-fame-1"


# --- the queue ----------------------------------------------------------------------------------


def test_two_tabs_that_press_at_once_start_one_run(open_app, launched):
    one, other = open_app(TRAIN), open_app(TRAIN)
    for app in (one, other):
        app.selectbox[0].set_value(made_up.NAME).run()
        app.text_input(key=name_key(app)).set_value("mine").run()
    for app in (one, other):
        app.button(key="start").click().run()
        assert not app.exception
    assert [out.name for out, *_ in launched] == ["mine"]
    assert "There is 'mine' in the folder of checkpoints already" in plain(other.error[0].value)


def test_what_waits_is_seen_in_order_and_can_be_taken_out(open_app, home, launched, monkeypatch):
    app = open_app(TRAIN)
    for name in ("zebra", "ant"):
        app = start(app, name)
    assert_calm(app)
    assert app.button(key="start").label == "Start when the device is free"
    assert [m.value for m in app.markdown if "in the queue" in m.value] == [
        "1. in the queue: **zebra**",
        "2. in the queue: **ant**",
    ]
    monkeypatch.setenv("FAME_DEMO", "1")
    assert not [b for b in app.run().button if b.label == "Take out of the queue"]
    monkeypatch.setenv("FAME_DEMO", "0")
    app.run().button(key="take-out-zebra").click().run()
    assert not (home / "checkpoints" / "zebra").exists()
    assert [folder.name for folder in jobs.waiting(home / "checkpoints")] == ["ant"]


def test_the_queue_goes_on_when_somebody_looks(open_app, home, monkeypatch):
    """As after the machine went down: nobody is there to start what waits."""
    started = []
    monkeypatch.setattr(resources, "start_runner", started.append)
    root = home / "checkpoints"
    open_app(TRAIN)
    assert not started
    with jobs.queue_held(root):
        jobs.enqueue(root / "a", jobs.Job(made_up.NAME, {}, "cpu"))
    monkeypatch.setenv("FAME_DEMO", "1")
    open_app(TRAIN)
    assert not started
    monkeypatch.setenv("FAME_DEMO", "0")
    app = open_app(TRAIN)
    app.run()
    assert started == [root], "one is started, however often the page is drawn meanwhile"


def test_a_queue_that_cannot_be_written_is_told(open_app, home):
    (home / "checkpoints" / jobs.QUEUE).write_text("no folder")
    app = start(open_app(TRAIN))
    assert not app.exception
    assert "could not be written" in plain(app.error[0].value)
    assert not (home / "checkpoints" / "made-up-fame-1").exists()


# --- one run ------------------------------------------------------------------------------------


def test_a_lost_run_says_so_with_its_last_words_and_goes_on(open_app, home, launched):
    folder = trained(home, "gone", phase="training", epoch=2, epochs=9)
    (folder.path / "train.log").write_text("first\nepoch 2: fine\n")
    (folder.path / "resume").mkdir()
    (folder.path / "resume" / "state.safetensors").touch()
    app = open_app(TRAIN, run="gone")
    assert not app.exception
    assert "killed from outside" in plain(app.error[0].value)
    assert any("epoch 2: fine" in code.value for code in app.code)
    labelled(app, "Resume").click().run()
    assert [(out, device, resume) for out, *_, device, resume in launched] == [
        (folder.path, "cpu", True)
    ]


def test_a_run_that_does_not_stop_may_be_ended_after_a_while(open_app, run, monkeypatch):
    killed = []
    monkeypatch.setattr("fame.training.jobs.send", lambda *given: killed.append(given) or True)
    folder = run("training", epoch=1, epochs=9)
    with folder.held():
        app = labelled(open_app(TRAIN, run="try"), "Stop after this step").click().run()
        assert "Stopping after this step …" in html_of(app)
        assert len(killed) == 1 and not [b for b in app.button if b.label == "End it now"]
        monkeypatch.setattr("fame.training.runs.GRACE", 0.0)
        labelled(app.run(), "End it now").click().run()
        assert [number.name for _, number in killed] == ["SIGTERM", "SIGKILL"]


@pytest.mark.parametrize("phase", ["training", "naming", "surveying"])
def test_to_look_at_a_run_asks_nothing_of_it(open_app, run, monkeypatch, phase):
    sent = []
    monkeypatch.setattr("fame.training.jobs.send", lambda *given: sent.append(given) or True)
    folder = run(phase, epoch=1, epochs=9)
    with folder.held():
        for _ in range(2):
            app = open_app(TRAIN, run="try")
            assert_calm(app.run().run())
        (button,) = [one for one in app.button if one.key == "stop"]
        assert not button.disabled and not sent and not folder.is_stopping()


def test_a_run_is_renamed_thrown_away_and_gone(open_app, home):
    trained(home, "old")
    root = home / "checkpoints"
    app = open_app(TRAIN, run="old")
    app.text_input(key="rename-old").set_value("results.csv").run()
    (root / "results.csv").write_text("data\n")
    labelled(app, "Rename it").click().run()
    assert "There is 'results.csv'" in warnings(app) and (root / "old").exists()
    app.text_input(key="rename-old").set_value("new").run()
    labelled(app, "Rename it").click().run()
    assert_calm(app)
    assert query(app, "run") == "new" and not (root / "old").exists()
    labelled(app, "Move it into the trash").click().run()
    assert_calm(app)
    assert not (root / "new").exists() and len(discarded(root)) == 1
    assert query(app, "run") == made_up.NAME
    labelled(app, "Remove it for good").click().run()
    assert not discarded(root)


def test_who_waits_is_told_who_has_the_device_and_what_it_does(open_app, home, monkeypatch):
    """A run whose model is whole has its device until its map is made."""
    monkeypatch.setattr(resources, "start_runner", lambda root: None)
    folder = trained(home, "old", phase="surveying")
    with jobs.queue_held(home / "checkpoints"):
        jobs.enqueue(home / "checkpoints" / "new", jobs.Job(made_up.NAME, {}, "cpu"))
    with folder.held():
        app = open_app(TRAIN, run="new")
        assert_calm(app)
        assert "device, which old (making its map: looking at everybody) has now" in html_of(app)
        app = open_app(TRAIN, run="old")
        assert "Making its map: looking at everybody" in html_of(app)
    app = open_app(TRAIN, run="new")
    assert "It waits for its device, and then starts by itself." in html_of(app)


def test_a_queue_that_nothing_can_be_written_to_is_told_and_the_page_stands(open_app, home):
    root = home / "checkpoints"
    with jobs.queue_held(root):
        jobs.enqueue(root / "new", jobs.Job(made_up.NAME, {}, "cpu"))
    shutil.rmtree(root / jobs.QUEUE)
    (root / jobs.QUEUE).write_text("a file where the queue has its folder")
    app = open_app(TRAIN, run="new")
    assert not app.exception and "How do the runs compare?" in headings(app)
    assert "could not be written" in " ".join(error.value for error in app.error)
    assert "It waits for its device" in html_of(app)


def test_a_run_that_could_not_be_started_says_why_and_keeps_its_settings(
    open_app, home, monkeypatch
):
    monkeypatch.setattr(resources, "start_runner", lambda root: None)
    root = home / "checkpoints"
    with jobs.queue_held(root):
        jobs.enqueue(root / "new", jobs.Job(made_up.NAME, {"heads": 2}, "cpu"))
    (root / "new" / jobs.LAUNCH_LOG).mkdir()
    jobs.run_queue(root)
    app = open_app(TRAIN, run="new")
    assert not app.exception
    told = plain(" ".join(error.value for error in app.error))
    assert "It could not be started." in told and "launch.log could not be written" in told
    assert "in the queue" not in " ".join(text.value for text in app.markdown)
    labelled(app, "Move it into the trash").click().run()
    assert_calm(app)
    assert len(discarded(root)) == 1


def test_what_came_with_the_app_is_neither_renamed_nor_thrown_away(open_app, home):
    app = open_app(TRAIN, run=made_up.NAME)
    assert not [b for b in app.button if b.label in ("Rename it", "Move it into the trash")]
    with pytest.raises(FameError, match="no run of yours"):
        resources.discard_run(RunFolder(home / "checkpoints" / made_up.NAME))


def test_a_demonstration_changes_nothing(open_app, home, monkeypatch):
    folder = trained(home, "old")
    monkeypatch.setenv("FAME_DEMO", "1")
    app = open_app(TRAIN, run="old")
    assert_calm(app)
    labels = {button.label for button in app.button}
    assert not labels & {"Rename it", "Move it into the trash", "Start from its settings"}
    for change in (
        lambda: resources.rename_run(folder, "new"),
        lambda: resources.discard_run(folder),
        lambda: resources.end_run(folder),
        resources.empty_the_trash,
    ):
        with pytest.raises(FameError, match="demonstration"):
            change()
    assert folder.path.exists()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("status.json", "{", "status.json cannot be read"),
        ("metrics.jsonl", 'x\n{"epoch": 1, "loss": 2.0, "valid_NDCG@10": 0.1}\n', "1 of the lines"),
        ("metrics.json", '{"test": [], "valid": {"NDCG@10": "much"}, "epochs": "x"}', ""),
        ("config.json", "[]", ""),
    ],
)
def test_a_folder_edited_by_hand_breaks_no_page(open_app, home, file, text, told):
    folder = trained(home, "mine")
    (folder.path / file).write_text(text)
    app = open_app(TRAIN, run="mine")
    assert not app.exception
    said = html_of(app) + "".join(plain(error.value) for error in app.error)
    assert told in said and "through a fault of the app" not in said


def test_fifty_runs_are_one_table(open_app, home):
    for number in range(50):
        trained(home, f"run-{number:02}", best_score=number / 100, epoch=number)
    app = open_app(TRAIN)
    assert_calm(app)
    assert len(app.dataframe[0].value) == 52
    began = time.process_time()
    app.run()
    assert time.process_time() - began < 3, "seconds of work, of which it takes a tenth"


# --- beside one another -------------------------------------------------------------------------


def test_runs_beside_one_another(open_app, home):
    for name, seed in ((made_up.NAME, 0), ("sasrec", 1)):
        folder = RunFolder(home / "checkpoints" / name)
        folder.write_ranks(np.random.default_rng(seed).integers(1, 20, size=30))
        folder.write_history(
            [{"epoch": epoch, "loss": 1.0 / epoch, "valid_NDCG@10": 0.1} for epoch in (1, 2)]
        )
    app = open_app(TRAIN, run=made_up.NAME, runs=f"sasrec,{made_up.NAME}")
    assert_calm(app)
    assert query(app, "runs") == f"sasrec,{made_up.NAME}"
    _, differences, gains = (table.value for table in app.dataframe)
    told = differences.set_index("Setting")
    assert told.loc["model"].to_dict() == {"sasrec": "sasrec", made_up.NAME: "fame"}
    assert told.loc["Heads"].to_dict() == {"sasrec": "2", made_up.NAME: "3"}
    assert "Width" not in told.index, "in which they do not differ"
    assert gains["Run"].tolist() == ["sasrec", made_up.NAME]
    assert " to " in gains["Ahead in NDCG@10"].iloc[1], "an interval"
    assert "against SASRec (sasrec): NDCG@10" in html_of(app)
    assert len(app.get("plotly_chart")) == 4


def test_runs_on_other_people_are_not_compared(open_app, home):
    root = home / "checkpoints"
    for name, people in ((made_up.NAME, 30), ("sasrec", 29)):
        RunFolder(root / name).write_ranks(np.ones(people, dtype=np.int64))
    app = open_app(TRAIN, run=made_up.NAME, runs=f"sasrec,{made_up.NAME}")
    assert_calm(app)
    assert app.dataframe[2].value["Ahead in HR@10"].iloc[1] == "no ranks kept"
    assert "against SASRec" not in html_of(app)


def test_the_memory_of_a_gpu_is_asked_of_its_driver(monkeypatch):
    class About:
        uuid = "ab-1"

    class Done:
        stdout = "GPU-cd-2, 10\nGPU-ab-1, 2048\n"

    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: About)
    monkeypatch.setattr(resources.subprocess, "run", lambda *_, **__: Done)
    assert resources.free_memory("cuda:0") == 2048 * 2**20
    Done.stdout = "No devices were found\n"
    assert resources.free_memory("cuda:0") is None
    assert resources.free_memory("cpu") > 0


def test_files_are_read_once_for_all_who_look(home):
    st.cache_resource.clear()
    run = RunFolder(home / "checkpoints" / made_up.NAME)
    run.write_history([{"epoch": 1, "loss": 1.0}])
    first, _ = resources.history(run)
    assert resources.history(run)[0] is first
    run.write_history([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}])
    assert len(resources.history(run)[0]) == 2
    assert json.loads((run.path / "metrics.jsonl").read_text().splitlines()[1])["epoch"] == 2
