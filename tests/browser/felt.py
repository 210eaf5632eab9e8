"""How long things take as a person feels them, in Chromium: ``python -m tests.browser.felt``.

It starts the app on the shipped checkpoints, warms it, and prints the median of several visits and
their spread, in seconds, beside the goal. Every visit is a browser with nothing in its cache. On a
busy machine the figures say little; no test reads them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import serving

GOALS = {  # seconds
    "first readable list": 1.5,
    "first picture": 2.5,
    "settled": 4.0,
    "a head muted": 0.8,
    "another head in the Atlas": 1.5,
}
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_PATIENCE = 120_000  # milliseconds


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
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        here = {"HOME": home, "FAME_CHECKPOINTS": str(serving.ROOT / "checkpoints")}
        browser = serving.launch(playwright)
        with serving.served(Path(home) / "log", **here) as url:
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
