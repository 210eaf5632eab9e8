"""Who holds a run's folder, and what is found there of those who held it before."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fame.config import TrainConfig
from fame.errors import FameError
from fame.files import MARK, claim_folder
from fame.training import jobs
from fame.training.jobs import Job
from fame.training.loop import TrainState, copy_of_weights, fit, new_state
from fame.training.runs import (
    RunFolder,
    Status,
    discard,
    discarded,
    empty_trash,
    end_at_once,
    job_that_goes_on,
    may_be_ended,
    rename,
    request_stop,
    withdraw,
)
from tests.tiny import TINY

TRAIN = TrainConfig(
    epochs=2, batch_size=8, learning_rate=0.01, weight_average=0.7, patience=0, device="cpu"
)


def assert_same(tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, expected[name]), name


def assert_same_state(state: TrainState, expected: TrainState) -> None:
    for row, other in zip(state.history, expected.history, strict=True):
        assert (row["epoch"], row["loss"], row["valid_MRR"]) == (
            other["epoch"], other["loss"], other["valid_MRR"],
        )  # fmt: skip
    for name in ("epoch", "best_epoch", "best_score"):
        assert getattr(state, name) == getattr(expected, name), name
    assert_same(state.best_weights, expected.best_weights)
    assert_same(state.weights(), expected.weights())
    assert_same(copy_of_weights(state.average), copy_of_weights(expected.average))
    moments, others = (s.optimizer.state_dict()["state"] for s in (state, expected))
    assert moments.keys() == others.keys()
    for parameter, entries in others.items():
        assert_same(moments[parameter], entries)


def test_a_state_comes_back_as_it_was_and_goes_on_as_it_would_have(cyclic, tmp_path: Path):
    """All of it: weights, their average, moments, and a best epoch that is not the last one."""
    state, fresh = (
        new_state(TINY, replace(TRAIN, seed=seed), cyclic.num_items, torch.device("cpu"))
        for seed in (0, 1)
    )
    fit(state, cyclic, TRAIN)
    state.best_score, state.best_epoch = 2.0, 1  # which nothing can better
    state.best_weights = {name: tensor + 1 for name, tensor in state.best_weights.items()}
    run = RunFolder(tmp_path)
    run.save_state(state)
    run.load_state(fresh)
    assert_same_state(fresh, state)
    for one in (state, fresh):
        fit(one, cyclic, replace(TRAIN, epochs=3))
    assert_same_state(fresh, state)
    assert (fresh.epoch, fresh.best_epoch) == (3, 1)


def _lacking_a_moment(tensors, about):
    del tensors[next(name for name in tensors if name.startswith("optimizer."))]


def _with_a_moment_changed(tensors, about):
    tensors[next(name for name in tensors if name.endswith("exp_avg"))][0] += 1e-3


def _best_in_another_epoch(tensors, about):
    about["state"] = about["state"].replace('"best_epoch": 2', '"best_epoch": 1')


def _of_no_state(tensors, about):
    about.clear()


@pytest.mark.parametrize(
    "damage",
    [_lacking_a_moment, _with_a_moment_changed, _best_in_another_epoch, _of_no_state],
)
def test_nothing_goes_on_from_what_was_not_written(damage, cyclic, tmp_path: Path) -> None:
    """It would go on to another result, and nobody would know."""
    state = new_state(TINY, TRAIN, cyclic.num_items, torch.device("cpu"))
    fit(state, cyclic, TRAIN)
    state.best_epoch = 2
    run = RunFolder(tmp_path)
    run.save_state(state)
    file = next((tmp_path / "resume").iterdir())
    with safe_open(file, framework="pt") as archive:
        about = archive.metadata()
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    save_file(tensors, file, metadata=about)
    run.load_state(new_state(TINY, TRAIN, cyclic.num_items, torch.device("cpu")))  # the same again
    damage(tensors, about)
    save_file(tensors, file, metadata=about)
    with pytest.raises(FameError, match="cannot be resumed from"):
        run.load_state(new_state(TINY, TRAIN, cyclic.num_items, torch.device("cpu")))


def test_what_a_killed_process_was_writing_goes_when_the_folder_is_held_again(tmp_path: Path):
    run = RunFolder(tmp_path)
    half = [tmp_path / ".status.json.x1y2.tmp", tmp_path / "resume" / ".state.safetensors.z3.tmp"]
    whole = tmp_path / "status.json"
    (tmp_path / "resume").mkdir()
    for file in (*half, whole):
        file.write_text("{")
    assert not run.is_held()
    assert all(file.exists() for file in half)  # to read disturbs nobody
    others = tmp_path / ".people.json.q4.tmp"  # a survey may be writing it
    others.write_text("{")
    with run.held():
        assert not any(file.exists() for file in half)
        assert whole.exists() and others.exists() and run.is_held()
        half[0].write_text("{")  # is being written now
        with pytest.raises(FameError, match="Another process"), RunFolder(tmp_path).held():
            pass
        assert half[0].exists()


TRAINER = """
import signal, subprocess, sys, time
from pathlib import Path
from fame.training.runs import RunFolder, Status, request_stop

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
with RunFolder(Path(sys.argv[1])).held():
    child = subprocess.Popen(["sleep", "60"])
    print("ready", flush=True)
    sys.stdin.readline()
    gone = child.poll() is not None
    child.kill()
    print(len(heard), gone, flush=True)
"""


@pytest.mark.parametrize("launched", [True, False])
def test_a_run_is_asked_to_stop_once_and_with_its_children_where_it_was_launched(
    tmp_path: Path, launched: bool
) -> None:
    run = RunFolder(tmp_path)
    assert not request_stop(run) and not run.is_stopping()
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=launched,
    ) as trainer:  # fmt: skip
        assert trainer.stdin and trainer.stdout
        assert trainer.stdout.readline() == "ready\n"
        holder = run.holder()
        assert holder is not None and holder.pid == trainer.pid
        assert not run.is_stopping()
        for _ in range(3):
            assert request_stop(run) and run.is_stopping()
            time.sleep(0.2)  # within which a signal is heard, and does not become one with the next
        trainer.stdin.write("\n")
        trainer.stdin.flush()
        assert trainer.stdout.readline() == f"1 {launched}\n"
    assert not run.is_stopping() and not request_stop(run)
    assert not (tmp_path / "stop").exists()


@pytest.mark.parametrize("lie", ["not the holder", "started earlier", -1, 0, 1, "text", None])
def test_no_process_is_stopped_that_does_not_prove_to_train_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: object
) -> None:
    """Whatever the files of the folder say."""
    run, now = RunFolder(tmp_path), time.time()
    signals: list[object] = []
    for send in ("kill", "killpg"):
        monkeypatch.setattr(os, send, lambda *given: signals.append(given))
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as innocent:
        try:
            with run.held():
                run.write_status(Status("training", "walks", "fame", "CPU", innocent.pid, now, now))
                said = json.loads((tmp_path / "run.lock").read_text())
                assert run.holder() == psutil.Process()
                if lie == "not the holder":
                    started = psutil.Process(innocent.pid).create_time()
                    said = {"pid": innocent.pid, "started": started}
                elif lie == "started earlier":  # as where the number was another process's
                    said["started"] -= 60
                else:
                    said["pid"] = lie
                (tmp_path / "run.lock").write_text(json.dumps(said))
                assert not request_stop(run) and not run.is_stopping()
                (tmp_path / "run.lock").write_text("")
                assert not request_stop(run) and not run.is_stopping()
            assert innocent.poll() is None and not signals
        finally:
            monkeypatch.undo()
            innocent.kill()


# --- what is true of a run ----------------------------------------------------------------------


def told(run: RunFolder, phase: str, **known: object) -> Status:
    now = time.time()
    status = Status(phase, "walks", "fame", "CPU", 2**22 + 1, now, now, **known)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_status(status)
    return status


def phase_of(run: RunFolder) -> str:
    status = run.status()
    assert status is not None
    return status.phase


def handed_in(run: RunFolder, *, taken: bool) -> None:
    with jobs.queue_held(run.path.parent):
        jobs.enqueue(run.path, Job("walks", {"model": "sasrec"}, "cuda:1"))
    if taken:
        (run.path / jobs.QUEUED).rename(run.path / jobs.TAKEN)


def test_a_run_waits_starts_and_trains(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    assert run.status() is None
    handed_in(run, taken=False)
    status = run.status()
    assert status is not None and not status.is_active
    assert (status.phase, status.data, status.model, status.on) == (
        "queued", "walks", "sasrec", "cuda:1",
    )  # fmt: skip
    (run.path / jobs.QUEUED).rename(run.path / jobs.TAKEN)
    with jobs.locked_file(run.path / jobs.JOB_LOCK):
        status = run.status()
        assert status is not None and status.phase == "starting" and status.is_active
        with run.held():
            assert phase_of(run) == "starting"
            told(run, "training")
            assert phase_of(run) == "training"
        told(run, "finished")  # and its process is on its way out
        assert phase_of(run) == "finished"
    assert phase_of(run) == "finished"


def test_a_run_that_goes_on_is_starting_and_not_what_it_was(tmp_path: Path) -> None:
    """Be it started through the queue or by a command line."""
    run = RunFolder(tmp_path / "a")
    told(run, "stopped", epoch=7, best_epoch=5)
    handed_in(run, taken=False)
    assert phase_of(run) == "queued"
    (run.path / jobs.QUEUED).rename(run.path / jobs.TAKEN)
    os.utime(run.path / jobs.TAKEN, (time.time() + 1,) * 2)
    with jobs.locked_file(run.path / jobs.JOB_LOCK):
        status = run.status()
        assert status is not None
        assert (status.phase, status.epoch, status.best_epoch) == ("starting", 7, 5)
    other = RunFolder(tmp_path / "b")
    told(other, "stopped")
    with other.held():
        assert phase_of(other) == "starting"


def test_what_resumes_a_run_says_what_its_folder_does_not(tmp_path: Path) -> None:
    """A process that ended before it wrote ``config.json`` has its settings from its job alone."""
    run = RunFolder(tmp_path / "a")
    with jobs.queue_held(tmp_path):
        jobs.enqueue(run.path, Job("walks", {"heads": 4}, "cpu", tensorboard=True))
    (run.path / jobs.QUEUED).rename(run.path / jobs.TAKEN)
    job = job_that_goes_on(run, "walks", "cuda:0")
    assert (job.data, job.settings, job.device) == ("walks", {"heads": 4}, "cuda:0")
    assert job.resume and job.tensorboard
    (run.path / "config.json").touch()
    job = job_that_goes_on(run, "walks", "cuda:0")
    assert job.settings == {} and job.tensorboard


def test_what_resumes_a_run_of_a_command_line_keeps_its_event_files(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    told(run, "stopped")
    assert not job_that_goes_on(run, "walks", "cpu").tensorboard
    (run.path / "tensorboard").mkdir()
    assert job_that_goes_on(run, "walks", "cpu").tensorboard


def test_a_process_that_ended_before_it_spoke_leaves_its_last_words(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    told(run, "finished")
    handed_in(run, taken=True)
    os.utime(run.path / jobs.TAKEN, (time.time() + 1,) * 2)
    (run.path / jobs.LAUNCH_LOG).write_text("Loading ...\nThere is no data set 'walks'.\n\n")
    status = run.status()
    assert status is not None
    assert (status.phase, status.message) == ("failed", "There is no data set 'walks'.")
    (run.path / jobs.STOP).touch()
    assert phase_of(run) == "stopped"


def test_a_run_whose_process_is_gone_is_lost_and_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    told(run, "training", machine_started=psutil.boot_time())
    status = run.status()
    assert status is not None and status.phase == "lost"
    assert "killed from outside" in status.message and "can only begin again" in status.message
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.safetensors").touch()
    run.write_history([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}])
    status = run.status()
    assert status is not None and "resumed after epoch 2" in status.message
    monkeypatch.setattr("psutil.boot_time", lambda: status.machine_started + 3600)
    status = run.status()
    assert status is not None and status.message.startswith("The machine went down")
    told(run, "surveying")
    assert phase_of(run) == "finished", "the checkpoint was whole before that"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("[]", "no table"),
        ('{"phase": "singing"}', "'singing' is none"),
        ('{"phase": "lost"}', "'lost' is none"),
        ('{"phase": "training"}', "no data"),
    ],
)
def test_a_status_edited_by_hand_is_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "status.json").write_text(text)
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "damaged"
    assert why in status.message and "remove that file" in status.message


@pytest.mark.parametrize(("key", "value"), [("epoch", "two"), ("started", None), ("loss", [1])])
def test_a_status_of_other_types_is_told(tmp_path: Path, key: str, value: object) -> None:
    told(RunFolder(tmp_path), "finished")
    file = tmp_path / "status.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    status = RunFolder(tmp_path).status()
    assert status is not None and status.phase == "damaged" and f"({key}: " in status.message


def test_a_status_of_another_version_is_read(tmp_path: Path) -> None:
    told(RunFolder(tmp_path), "finished", epoch=3)
    file = tmp_path / "status.json"
    values = json.loads(file.read_text()) | {"of_tomorrow": 1}
    del values["resumed"], values["on"]
    file.write_text(json.dumps(values))
    status = RunFolder(tmp_path).status()
    assert status is not None and (status.phase, status.epoch) == ("finished", 3)


def test_lines_that_are_no_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"epoch": 1, "loss": 2.0}\nnonsense\n{"epoch": 2}\n{"epoch": 3, "loss": "x"}\n[4]\n'
    )
    assert RunFolder(tmp_path).read_history() == ([{"epoch": 1, "loss": 2.0}], 4)


def test_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    lines = [f"line {number} " + "x" * 90 for number in range(2000)]
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n")
    assert RunFolder(tmp_path).log_tail(3).splitlines() == lines[-3:]


# --- to the end, firmly -------------------------------------------------------------------------

STUBBORN = """
import signal, subprocess, sys, time
from pathlib import Path
from fame.training.runs import RunFolder

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with RunFolder(Path(sys.argv[1])).held():
    child = subprocess.Popen([sys.executable, "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_a_run_that_does_not_stop_is_ended_with_its_group_and_only_after_it_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    assert not end_at_once(run)
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as trainer:  # fmt: skip
        assert trainer.stdout
        child = psutil.Process(int(trainer.stdout.readline()))
        told(run, "training")
        with pytest.raises(FameError, match="asked to stop first"):
            end_at_once(run)
        assert request_stop(run) and not may_be_ended(run)
        with pytest.raises(FameError, match="10 seconds"):
            end_at_once(run)
        assert trainer.poll() is None
        monkeypatch.setattr("fame.training.runs.GRACE", 0.0)
        assert may_be_ended(run) and end_at_once(run)
        assert trainer.wait(10) == -9
        deadline = time.monotonic() + 10
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "its child lives on"
            time.sleep(0.05)
    status = run.status()
    assert status is not None and status.phase == "stopped"
    assert status.message.startswith("It was ended at once.")


def test_a_stop_heard_while_the_folder_is_taken_is_not_forgotten(tmp_path: Path) -> None:
    """Else the page would offer to stop once more, and a second signal kills."""
    stop = tmp_path / "stop"
    stop.touch()
    os.utime(stop, (time.time() + 5,) * 2)  # after this process began
    with RunFolder(tmp_path).held():
        assert RunFolder(tmp_path).is_stopping()
    stop.touch()
    os.utime(stop, (1.0, 1.0))
    with RunFolder(tmp_path).held():
        assert not RunFolder(tmp_path).is_stopping()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000])
def test_files_of_a_run_beyond_all_measure_are_told_or_left_out(tmp_path: Path, text: str) -> None:
    run = at_rest(tmp_path / "a")
    (run.path / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n' + text + "\n")
    assert run.read_history() == ([{"epoch": 1, "loss": 1.0}], 1)
    (run.path / jobs.STATUS).write_text(text)
    assert phase_of(run) == "damaged"


# --- names, and the trash -----------------------------------------------------------------------


def at_rest(path: Path) -> RunFolder:
    claim_folder(path)
    told(RunFolder(path), "finished")
    return RunFolder(path)


def test_a_run_is_renamed_discarded_and_gone_with_the_trash(tmp_path: Path) -> None:
    run = rename(at_rest(tmp_path / "a"), "b")
    assert run.path == tmp_path / "b" and phase_of(run) == "finished"
    assert not (tmp_path / "a").exists()
    discard(run)
    (thrown,) = discarded(tmp_path)
    assert not run.path.exists() and phase_of(RunFolder(thrown)) == "finished"
    discard(at_rest(tmp_path / "b"))
    assert len(discarded(tmp_path)) == 2, "one of the same name is kept beside it"
    empty_trash(tmp_path)
    assert not discarded(tmp_path)


@pytest.mark.parametrize("name", ["results.csv", "ranks", "broken", "b", "", "../a", ".trash", "A"])
def test_a_run_gets_no_name_that_is_none_or_that_anything_has(tmp_path: Path, name: str) -> None:
    run, _ = at_rest(tmp_path / "a"), at_rest(tmp_path / "b")
    (tmp_path / "results.csv").write_text("data\n")
    (tmp_path / "ranks").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FameError, match=r"already|cannot be the name"):
        rename(run, name)
    assert phase_of(run) == "finished" and not any((tmp_path / "ranks").iterdir())


@pytest.mark.parametrize("move", [discard, lambda run: rename(run, "b")])
def test_nobody_begins_in_a_folder_that_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: Callable[[RunFolder], object]
) -> None:
    run, tried = at_rest(tmp_path / "a"), []
    really = Path.rename

    def on_its_way(path: Path, target: Path) -> Path:
        with pytest.raises(FameError, match="Another process is training"), run.held():
            pass
        tried.append(path)
        return really(path, target)

    monkeypatch.setattr(Path, "rename", on_its_way)
    move(run)
    assert tried == [run.path] and not run.path.exists()
    with pytest.raises(FameError, match="could not be written"), run.held():
        pass
    assert not run.path.exists(), "who comes too late makes no folder of that name"


def test_what_the_trash_holds_of_others_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "deep").mkdir(parents=True)
    (theirs / "deep" / "kept").write_text("theirs")
    claim_folder(tmp_path / "a run elsewhere")
    run = at_rest(tmp_path / "a")
    (run.path / "link").symlink_to(theirs)
    (run.path / "resume").mkdir()
    (run.path / "resume" / "link").symlink_to(theirs)
    discard(run)
    trash = tmp_path / ".trash"
    (trash / "file").write_text("theirs")
    (trash / "folder").mkdir()
    (trash / "folder" / "kept").write_text("theirs")
    (trash / "link").symlink_to(theirs)
    (trash / "link to a run").symlink_to(tmp_path / "a run elsewhere")
    assert [path.name[0] for path in discarded(tmp_path)] == ["a"]
    empty_trash(tmp_path)
    assert not discarded(tmp_path)
    left = {path.name for path in trash.iterdir()}
    assert left == {"file", "folder", "link", "link to a run"}
    assert (trash / "folder" / "kept").exists() and (theirs / "deep" / "kept").exists()
    assert (tmp_path / "a run elsewhere" / MARK).exists()


def test_a_trash_that_is_a_link_or_a_file_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    run = at_rest(tmp_path / "a")
    theirs = at_rest(tmp_path / "elsewhere" / "b").path
    trash = tmp_path / ".trash"
    trash.symlink_to(theirs.parent)
    assert not discarded(tmp_path)
    empty_trash(tmp_path)
    with pytest.raises(FameError, match="is a link"):
        discard(run)
    trash.unlink()
    trash.write_text("theirs")
    assert not discarded(tmp_path)
    empty_trash(tmp_path)
    with pytest.raises(FameError, match=r"\.trash could not be written"):
        discard(run)
    assert phase_of(run) == "finished" and theirs.exists() and trash.read_text() == "theirs"


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder of somebody whom permissions hold back, as they do not hold back root."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    folder = Path(tempfile.mkdtemp(prefix="fame-test-", dir="/tmp"))
    try:
        yield folder
    finally:
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)
        os.seteuid(me)


def test_a_run_whose_folder_cannot_be_written_is_told_and_stays() -> None:
    with without_privileges() as root:
        run, other = at_rest(root / "a"), at_rest(root / "b")
        handed_in(other, taken=False)
        kept = {path: path.read_bytes() for path in (root / "a").iterdir()}
        for folder in (run, other):
            folder.path.chmod(0o500)
        moves: list[Callable[[], object]] = [
            lambda: rename(run, "c"),
            lambda: discard(run),
            lambda: handed_in(run, taken=False),
            lambda: withdraw(other),
            lambda: run.write_status(Status("training", "walks", "fame", "CPU", 1, 0, 0)),
        ]
        for move in moves:
            with pytest.raises(FameError, match=r"could not be written \(Permission denied\)"):
                move()
        assert kept == {path: path.read_bytes() for path in run.path.iterdir()}
        assert phase_of(run) == "finished" and phase_of(other) == "queued"

        jobs.run_queue(root)
        status = other.status()
        assert status is not None and (status.phase, status.on) == ("failed", "cuda:1")
        assert "could not be started" in status.message and "Permission denied" in status.message
        job = job_that_goes_on(other, "walks", "cuda:1")
        assert job.settings == {"model": "sasrec"}, "what was asked for is not lost"

        other.path.chmod(0o700)
        discard(other)
        (thrown,) = discarded(root)
        (thrown / "resume").mkdir()
        (thrown / "resume" / "kept").touch()
        (thrown / "resume").chmod(0o500)
        with pytest.raises(FameError, match=r"Not all .* b .*Permission denied"):
            empty_trash(root)
        assert discarded(root) == [thrown], "it can be tried again"
        (thrown / "resume").chmod(0o700)
        empty_trash(root)
        assert not discarded(root)


def test_what_trains_or_waits_or_is_not_ours_is_not_moved(tmp_path: Path) -> None:
    run = at_rest(tmp_path / "a")
    with run.held():
        for move in (discard, lambda one: rename(one, "c")):
            with pytest.raises(FameError, match="stop it first"):
                move(run)
    with jobs.queue_held(tmp_path):
        jobs.enqueue(run.path, Job("walks", {}, "cpu"))
    with pytest.raises(FameError, match="stop it first"):
        discard(run)
    theirs = RunFolder(tmp_path / "theirs")
    theirs.path.mkdir()
    with pytest.raises(FameError, match="no run of yours"):
        discard(theirs)
    assert theirs.path.exists() and not discarded(tmp_path)


def test_what_is_taken_out_of_the_queue_leaves_what_was_trained(tmp_path: Path) -> None:
    new, old = RunFolder(tmp_path / "new"), at_rest(tmp_path / "old")
    for run in (new, old):
        with jobs.queue_held(tmp_path):
            jobs.enqueue(run.path, Job("walks", {}, "cpu"))
        assert withdraw(run) and not withdraw(run)
    assert not new.path.exists() and phase_of(old) == "finished"
