"""``bench serve``: many people at once on the real server, and whether it holds.

The server and the people are processes of their own, so the people's work takes cores from the
server as browsers on the same machine would.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fame.bench.lens import SHIPPED, STOPWATCH, address_of, needs_the_app
from fame.bench.measure import Cell, NotMeasured, Report, Say, chosen
from fame.bench.processes import Process
from fame.checkpoint import Checkpoint, load_checkpoint

SESSIONS, SECONDS = 30, 120.0
CLICKS = 12  # of everybody's own history
PAUSE = (1.0, 3.0)  # seconds in which somebody looks at an answer
_CROWD = STOPWATCH.with_name("crowd.py")
_TOLD = 5  # faults that are told one by one


def bench_serve(
    checkpoints: Sequence[Path],
    *,
    sessions: int = SESSIONS,
    seconds: float = SECONDS,
    only: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Report:
    """Redraws of everybody who edits a history and moves faders by turns, on each checkpoint.

    Args:
        checkpoints: Folders; empty for the first shipped one.
        only: Names of their folders; default all.
    """
    report = Report(
        "Many people at once on the real server",
        {"sessions": sessions, "seconds": seconds, "pause_seconds": list(PAUSE)},
        [
            "A redraw is from the click to the last message of its answer. What everybody then "
            "sees is held against the library's answer for their own history and mix.",
            "Memory is the server's: after a quarter of the time, and the most of the last one.",
        ],
    )
    paths = {path.name: path for path in checkpoints or SHIPPED[:1]}
    for name in chosen(only, tuple(paths)):
        try:
            report.rows[name] = _measured(load_checkpoint(paths[name]), sessions, seconds, say)
        except NotMeasured as reason:
            report.missing[name] = str(reason)
    return report


def _measured(checkpoint: Checkpoint, sessions: int, seconds: float, say: Say) -> dict[str, Cell]:
    needs_the_app(checkpoint)
    rng, path = np.random.default_rng(0), checkpoint.path.resolve()
    items = len(checkpoint.items)
    clicks = min(CLICKS, items - 1)
    drawn = [rng.choice(items, clicks, replace=False) + 1 for _ in range(sessions)]
    arguments = {
        "checkpoints": str(path.parent),
        "checkpoint": path.name,
        "people": [address_of(checkpoint, history) for history in drawn],
    }
    say(f"{sessions} people on {path.name} for {seconds:g} s")
    crowd = Process((sys.executable, str(_CROWD), "Crowd"), arguments).ready()
    try:
        found = crowd(seconds=seconds, least=PAUSE[0], most=PAUSE[1])
    finally:
        crowd.close()
    for kind in ("errors", "mixed_up"):
        for told in found[kind][:_TOLD]:
            say(f"{kind}: {told}")
    waited = found["seconds"]
    if not waited:
        raise NotMeasured(f"nobody got an answer ({(found['errors'] or ['no time'])[0]})")
    warm, end = found["memory_bytes"]
    return {
        "redraws": len(waited),
        "p50_seconds": float(np.quantile(waited, 0.5)),
        "p95_seconds": float(np.quantile(waited, 0.95)),
        "server_cpu_seconds_a_redraw": found["cpu_seconds"] / len(waited),
        "errors": len(found["errors"]),
        "mixed_up": len(found["mixed_up"]),
        "warm_memory_bytes": warm,
        "end_memory_bytes": end,
    }
