"""A real Chromium on a real ``streamlit run app/main.py``, each started once and always stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import made_up
from tests.browser import serving
from tests.browser.visits import Visit, visits

SHIPPED = serving.ROOT / "checkpoints"
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


def _missing(reason: str) -> None:
    """Skips with the reason, except in CI, where no browser test may be skipped."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """Playwright's handle on the Chromium of this machine."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed, so no browser can be driven")
    if serving.chromium_path() is None:
        _missing("no Chromium or Chrome is installed")
    with sync_playwright() as playwright:
        browser = serving.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve(
    chromium: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Starts the app in a home of its own; gives its address."""
    with ExitStack() as running:

        def start(home: Path, **environment: str) -> str:
            log = tmp_path_factory.mktemp("server") / "log"
            return running.enter_context(
                serving.served(log, **(made_up.environment(home) | environment))
            )

        yield start


@pytest.fixture(scope="session")
def made_up_app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app on made-up histories."""
    home = tmp_path_factory.mktemp("made-up") / "home"
    made_up.make(home)
    return serve(home)


@pytest.fixture(scope="session")
def shipped_app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app on the shipped checkpoints, on a machine that has no data set."""
    home = tmp_path_factory.mktemp("bare") / "home"
    home.mkdir()
    # Nor an index to fetch it from: what a page shows must not hang on the network of the day.
    return serve(home, FAME_CHECKPOINTS=str(SHIPPED), PIP_NO_INDEX="1", PIP_FIND_LINKS="")


@pytest.fixture
def visit(chromium) -> Iterator[Callable[..., Visit]]:
    """Opens fresh windows for one test."""
    with visits(chromium) as start:
        yield start
