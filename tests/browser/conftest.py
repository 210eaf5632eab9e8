"""A real Chromium on a real ``streamlit run app/main.py``, each started once and always stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import made_up
from tests.browser import serving

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


class Visit:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, page) -> None:
        from playwright.sync_api import expect  # it is there, since there is a page

        self.page = page
        self.expect = expect  # waits for what is not there yet, as a person would
        expect.set_options(timeout=60_000)
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)

    def _listen(self, message) -> None:
        # Streamlit first asks for these below the path of the page, and then finds them.
        probing = "/_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probing:
            self.complaints.append(message.text)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.settled()

    def settled(self) -> None:
        """Waits until the script has run to its end and the charts are drawn."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_timeout(200)  # a click takes a moment to reach the server
        self.page.wait_for_selector('[data-test-script-state="notRunning"]')
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')]"
            ".every(chart => chart.querySelector('.main-svg'))"
        )
        assert not self.page.locator('[data-testid="stException"]').count()
        assert not self.page.locator('[data-testid="stAlertContentError"]').count()

    def goto_page(self, title: str) -> None:
        self.page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()


@pytest.fixture
def visit(chromium) -> Iterator[Callable[..., Visit]]:
    """Opens a fresh window, light or dark; at the end there may be no complaint from any."""
    visits, contexts = [], []

    def start(theme: str = "light") -> Visit:
        context = chromium.new_context(viewport={"width": 1400, "height": 900}, color_scheme=theme)
        contexts.append(context)
        visits.append(Visit(context.new_page()))
        return visits[-1]

    yield start
    for context in contexts:
        context.close()
    assert not [complaint for each in visits for complaint in each.complaints]
