"""The visitors whose redraws ``fame bench lens`` times, on a server in this process."""

import sys
import time
from urllib.parse import parse_qs

import pytest
from streamlit.runtime import Runtime

import resources
from stopwatch import Redraws
from tests import made_up

CROWD = ("3,4,5,6,7", "8,9,10,11,12")


@pytest.fixture
def page(home, monkeypatch):
    """Lens, open before one visitor and a crowd of two; the server ends with the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(Runtime, "_instance", None)
    checkpoint = {"checkpoint": made_up.NAME}
    crowd = [{**checkpoint, "items": items} for items in CROWD]
    page = Redraws(str(home / "checkpoints"), {**checkpoint, "user": "u3"}, crowd)
    yield page
    server = Runtime.instance()
    server.stop()
    page._loop.run_until_complete(server.stopped)
    page._loop.close()


def test_every_click_asks_for_what_is_in_no_cache(page, monkeypatch):
    asked = []

    def traced(model, history, *, intervention, trace=resources.trace_history, **options):
        asked.append((tuple(history.tolist()), intervention))
        return trace(model, history, intervention=intervention, **options)

    monkeypatch.setattr(resources, "trace_history", traced)
    for together, visitors in ((False, 1), (True, 2)):
        asked.clear()
        seconds = page(together=together, clicks=3)["seconds"]
        assert len(seconds) == 3 * visitors and min(seconds) > 0
        mixed = [(history, change) for history, change in asked if change.gate is not None]
        assert len(mixed) == len(set(mixed)) == 3 * visitors
        assert len({history for history, _ in mixed}) == (2 * visitors if together else 1)
    for visitor, items in zip(page._crowd, CROWD, strict=True):  # each has edited its own
        now = parse_qs(visitor._query)["items"][0]
        assert now != items and sorted(now.split(",")) == sorted(items.split(","))


def test_looking_at_an_answer_is_not_timed(page):
    started = time.perf_counter()
    seconds = page(together=False, clicks=2, pause=0.3)["seconds"]
    # Two looks of up to 0.6 s each, drawn with a fixed seed: 0.9 s.
    assert time.perf_counter() - started > sum(seconds) + 0.5


def test_a_fault_that_the_page_tells_is_no_figure(page, home):
    (home / "checkpoints" / made_up.NAME / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(RuntimeError, match=r"the page said: .*is damaged"):
        page(together=False, clicks=1)
