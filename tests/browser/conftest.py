"""A real Chromium on a real ``streamlit run app/main.py``, each started once and always stopped."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import made_up
from tests.browser.visits import Visit, visits

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "checkpoints"
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
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _missing("no Chromium or Chrome is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        yield browser
        browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_up(process: subprocess.Popen, url: str, log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not come up:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def serve(
    chromium: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Starts the app in a home of its own; gives its address."""
    processes = []

    def start(home: Path, **environment: str) -> str:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        log = tmp_path_factory.mktemp("server") / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", "app/main.py"),
                    *("--server.port", str(port), "--server.address", "127.0.0.1"),
                    *("--server.headless", "true", "--server.fileWatcherType", "none"),
                ],
                cwd=ROOT,
                env={**os.environ, **made_up.environment(home), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        processes.append(process)
        _wait_until_up(process, url, log)
        return url

    yield start
    for process in processes:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
