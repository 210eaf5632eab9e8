"""How long things take as a person feels them, in Chromium: ``python -m tests.browser.felt``.

It starts the app on the shipped checkpoints, warms it, and prints the median of several visits and
their spread, in seconds, beside the goal. Every visit is a browser with nothing in its cache. First
stands an app that says one letter: what Streamlit itself takes before anything of ours is shown. On
a busy machine only how many times as long ours take says something; no test reads the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
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
EMPTY = "an empty app"
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
SAID = {EMPTY: '[data-testid="stMain"] [data-testid="stMarkdown"]'}
SHOWN = {
    "first readable list": ":is(.stage, .stage-first) .row",
    "first picture": ".stage svg.flow path",
    "settled": f"{SETTLED} .stage",
}
_PATIENCE = 120_000  # milliseconds
# The page itself notes when each thing was painted, in seconds from where its navigation began:
# what asks it from outside waits for a turn of its own.
_WATCH = """
(wanted) => {
  window.painted = {};
  new MutationObserver(() => {
    for (const [name, selector] of Object.entries(wanted)) {
      if (name in window.painted || !document.querySelector(selector)) continue;
      window.painted[name] = null;
      requestAnimationFrame(() => setTimeout(() => {
        window.painted[name] = performance.now() / 1000;
      }));
    }
  }).observe(document, {childList: true, subtree: true, attributes: true});
}
"""


def opened(browser: Browser, url: str, wanted: Mapping[str, str]) -> tuple[Page, dict[str, float]]:
    """A page of a browser with nothing in its cache, and the seconds until each thing was painted.

    Args:
        wanted: Selectors by the name of what they find.
    """
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.add_init_script(f"({_WATCH})({json.dumps(wanted)})")
    page.goto(url, wait_until="commit")
    every = f"Object.values(window.painted).filter(Boolean).length === {len(wanted)}"
    page.wait_for_function(every, timeout=_PATIENCE)
    return page, page.evaluate("window.painted")


def empty_visit(browser: Browser, url: str) -> float:
    """Seconds until an app that says one letter has said it."""
    page, took = opened(browser, url, SAID)
    page.context.close()
    return took[EMPTY]


def visit(browser: Browser, url: str) -> dict[str, float]:
    """One visit: seconds until each thing was there."""
    page, took = opened(browser, url, SHOWN)
    took["a head muted"] = _after(
        page,
        lambda: page.click('.stage [data-key="mute-0"]'),
        f"{SETTLED} .stage .head.silent",
    )
    page.goto(f"{url}/atlas", wait_until="commit")
    page.wait_for_selector(f"{SETTLED} canvas", timeout=_PATIENCE)
    page.wait_for_timeout(2000)
    took["another head in the Atlas"] = _after(page, lambda: _another_head(page), SETTLED)
    page.context.close()
    return took


def _after(page: Page, act: Callable[[], object], selector: str) -> float:
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
        letter = Path(home) / "empty.py"
        letter.write_text('import streamlit as st\n\nst.write("x")\n', encoding="utf-8")
        browser = serving.launch(playwright)
        seen, empty = [], []
        with (
            serving.served(Path(home) / "log", **here) as url,
            serving.served(Path(home) / "log of the empty", letter, **here) as bare,
        ):
            visit(browser, url)  # warms the servers
            empty_visit(browser, bare)
            for _ in range(visits):  # by turns, so that both meet the same machine
                empty.append(empty_visit(browser, bare))
                seen.append(visit(browser, url))
        browser.close()
    print(f"{EMPTY:<28} {_told(empty)}")
    for name, goal in GOALS.items():
        print(f"{name:<28} {_told([one[name] for one in seen])}; goal {goal} s")


def _told(took: list[float]) -> str:
    return f"{statistics.median(took):5.2f} s  ({min(took):.2f} to {max(took):.2f})"


if __name__ == "__main__":
    main()
