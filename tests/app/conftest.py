"""A home of its own for every test of the app, with made-up data and checkpoints."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

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
