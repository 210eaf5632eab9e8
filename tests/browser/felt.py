"""How long things take as a person feels them, in Chromium: ``python -m tests.browser.felt``.

It starts the app on the shipped checkpoints, warms it, and prints the median of several visits and
their spread, in seconds, beside the goal. Every visit is a browser with nothing in its cache. On a
busy machine the figures say little; no test reads them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
GOALS = {  # seconds
    "first readable list": 1.5,
    "first picture": 2.5,
    "settled": 4.0,
    "a head muted": 0.8,
    "another head in the Atlas": 1.5,
}
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_PATIENCE = 120_000  # milliseconds


@contextmanager
def served() -> Iterator[str]:
    """The app on the shipped checkpoints; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "app/main.py"),
                *("--server.port", str(port), "--server.address", "127.0.0.1"),
                *("--server.headless", "true", "--server.fileWatcherType", "none"),
            ],
            cwd=ROOT,
            env={**os.environ, "HOME": home, "FAME_CHECKPOINTS": str(ROOT / "checkpoints")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
                    break
                except (urllib.error.URLError, OSError):
                    if process.poll() is not None:
                        raise SystemExit("The app did not start.") from None
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def visit(browser: Browser, url: str) -> dict[str, float]:
    """One visit: seconds until each thing was there."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    took: dict[str, float] = {}
    start = time.perf_counter()

    def until(name: str, selector: str) -> None:
        page.wait_for_selector(selector, timeout=_PATIENCE, state="attached")
        took[name] = time.perf_counter() - start

    page.goto(url, wait_until="commit")
    until("first readable list", ".stage .row")
    until("first picture", ".stage svg.flow path")
    until("settled", SETTLED)
    took["a head muted"] = _after(
        page,
        lambda: page.click('.stage [data-key="mute-0"]'),
        f"{SETTLED} .stage .head.silent",
    )
    page.goto(f"{url}/atlas", wait_until="commit")
    page.wait_for_selector(f"{SETTLED} canvas", timeout=_PATIENCE)
    page.wait_for_timeout(2000)
    took["another head in the Atlas"] = _after(page, lambda: _another_head(page), SETTLED)
    context.close()
    return took


def _after(page: Page, act: Callable[[], None], selector: str) -> float:
    start = time.perf_counter()
    act()
    page.wait_for_selector(selector, timeout=_PATIENCE, state="attached")
    return time.perf_counter() - start


def _another_head(page: Page) -> None:
    """Chooses the free head in place of the first, and waits until its map has its name."""
    page.get_by_label("Map of", exact=True).click()
    page.get_by_role("option", name="Free").click()
    page.wait_for_function(
        "() => document.body.innerText.includes('Free: of an item')", timeout=_PATIENCE
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=5)
    visits = parser.parse_args().visits
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        visit(browser, url)  # warms the server
        seen = [visit(browser, url) for _ in range(visits)]
        browser.close()
    for name, goal in GOALS.items():
        took = [one[name] for one in seen]
        print(
            f"{name:<28} {statistics.median(took):5.2f} s  ({min(took):.2f} to {max(took):.2f}); "
            f"goal {goal} s"
        )


if __name__ == "__main__":
    main()
