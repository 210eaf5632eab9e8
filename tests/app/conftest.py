"""A home of its own for every test of the app, with made-up data and checkpoints."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import resources
from fame.training import jobs
from fame.training.runs import RunFolder, Status
from tests import made_up
from tests.app.walk import LENS, MAIN


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made-up") / "home"
    made_up.make(home)
    return home


@pytest.fixture
def home(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage; the environment points to it."""
    copy = tmp_path / "home"
    shutil.copytree(pristine, copy)
    for name, value in made_up.environment(copy).items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    return copy


@pytest.fixture
def open_app(home: Path) -> Callable[..., AppTest]:
    """Opens a page with an address, as ``open_app("views/lens.py", user="u1")``.

    ``unfolded`` names what is open that is closed at first.
    """

    def start(page: str = LENS, unfolded: Sequence[str] = (), **address: str) -> AppTest:
        app = AppTest.from_file(str(MAIN), default_timeout=60)
        if page != LENS:
            app.switch_page(page)
        for name, value in address.items():
            app.query_params[name] = value
        for key in unfolded:
            app.session_state[key] = True
        return app.run()

    return start


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page offers to download, by the label of its button."""
    found: dict[str, Any] = {}
    real = st.download_button

    def record(label: str, data: Any, **arguments: Any) -> bool:
        found[label] = data
        return real(label, data, **arguments)

    monkeypatch.setattr(st, "download_button", record)
    return found


@pytest.fixture
def launched(monkeypatch):
    """The runs that were handed in: they are put into the queue, and nobody starts them."""
    calls = []

    def submit(out, job):
        with jobs.queue_held(out.parent):
            jobs.enqueue(out, job)
        calls.append((out, job.data, job.settings, job.device, job.resume))

    monkeypatch.setattr(resources, "submit", submit)
    monkeypatch.setattr(resources, "start_runner", lambda root: None)
    return calls


@pytest.fixture
def run(home):
    """A run in a folder, and a way to say what it is doing."""
    folder = RunFolder(home / "checkpoints" / "try")
    folder.path.mkdir(parents=True)
    now = time.time()
    status = Status("training", made_up.NAME, "fame", "CPU, 2 threads", 1, now, now)

    def say(phase, **known):
        status.phase = phase
        for name, value in known.items():
            setattr(status, name, value)
        folder.write_status(status)
        return folder

    return say
