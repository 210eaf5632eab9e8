"""``bench lens``: what a page asks of the library, and the page itself as its server draws it."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from fame import data
from fame.bench.measure import Cell, NotMeasured, Report, Say, chosen, figure_of, in_turns
from fame.bench.processes import Process, start_all
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.data.sequences import held_out
from fame.errors import DataError
from fame.lens.answer import trace_answer
from fame.lens.influence import history_influence
from fame.lens.trace import trace_history
from fame.models.registry import spec_of

TOP_K = 20
PEOPLE = 200  # a round; every round has the same
LONG = 50  # clicks of a history whose influence is asked for
LONG_PEOPLE = 20  # a round
DESK_CLICKS = 30  # a round
CROWD = 10  # people at once
CROWD_CLICKS = 6  # of each of them, a round
PAUSE = 5.0  # mean seconds in which one of them looks at an answer
_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = tuple(_ROOT / "checkpoints" / name for name in ("beauty", "ml-100k"))
STOPWATCH = _ROOT / "app" / "stopwatch.py"

Work = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class People:
    """Those whose histories are looked at.

    Attributes:
        drawn: History and target of ``PEOPLE`` of them.
        drawn_are: Whether they are real, and why not.
        long: ``LONG_PEOPLE`` histories of ``LONG`` clicks, the latest of people who have more.
        long_are: Whether those are real, and why not.
        patient: The user id of the first of ``long``; ``None`` where it is made up.
    """

    drawn: list[tuple[np.ndarray, int]]
    drawn_are: str
    long: list[np.ndarray]
    long_are: str
    patient: str | None


def people_of(checkpoint: Checkpoint) -> People:
    """Real people as far as the data is at hand and has them; else made-up ones."""
    long = _made_up(checkpoint, LONG_PEOPLE, LONG)
    try:
        histories = data.load(checkpoint.data.name, offline=True).interactions
    except DataError:
        why = "made up, the data is not at hand"
        rows = _made_up(checkpoint, PEOPLE, checkpoint.model_config.max_length + 1)
        return People([(row[:-1], int(row[-1])) for row in rows], why, long, why, None)
    checkpoint.check_catalogue(histories)
    rng = np.random.default_rng(0)
    users = held_out(histories, "test").users
    drawn = [histories.split_user(int(user)) for user in rng.choice(users, size=PEOPLE)]
    patient = users[np.diff(histories.offsets)[users] > LONG]  # one click more: the held-out one
    if not len(patient):
        return People(drawn, "real", long, f"made up, nobody has {LONG} clicks", None)
    patient = rng.choice(patient, size=LONG_PEOPLE, replace=len(patient) < LONG_PEOPLE)
    long = [histories.split_user(int(user))[0][-LONG:] for user in patient]
    return People(drawn, "real", long, "real", str(histories.user_ids[patient[0]]))


def _made_up(checkpoint: Checkpoint, people: int, clicks: int) -> list[np.ndarray]:
    """Random histories ``(clicks,)``; none has an item twice, unless there are too few items."""
    rng, items = np.random.default_rng(0), len(checkpoint.items)
    return [rng.choice(items, clicks, replace=items < clicks) + 1 for _ in range(people)]


def account_seconds(checkpoint: Checkpoint, people: People) -> dict[str, float]:
    """Median and 95th percentile of one account, and the median of its forward pass."""
    whole, forward = [], []
    for history, target in people.drawn:
        started = time.perf_counter()
        trace = trace_history(checkpoint.model, history, repeats=checkpoint.data.repeats)
        traced = time.perf_counter()
        names = checkpoint.value_names
        trace_answer(trace, checkpoint.items, top_k=TOP_K, held_out=target, value_names=names)
        whole.append(time.perf_counter() - started)
        forward.append(traced - started)
    return {**_quantiles(whole), "p50_forward_seconds": float(np.quantile(forward, 0.5))}


def influence_seconds(checkpoint: Checkpoint, people: People) -> dict[str, float]:
    """Median and 95th percentile of leaving out every click of a long history in turn."""
    seconds = []
    for history in people.long:
        started = time.perf_counter()
        history_influence(checkpoint.model, history, repeats=checkpoint.data.repeats)
        seconds.append(time.perf_counter() - started)
    return _quantiles(seconds)


def needs_the_app(checkpoint: Checkpoint) -> None:
    """``NotMeasured`` where there is no app to start, or the model has no desk."""
    if not STOPWATCH.is_file():
        raise NotMeasured("the app is not beside the library")
    if importlib.util.find_spec("streamlit") is None:
        raise NotMeasured("Streamlit is not installed")
    spec = spec_of(checkpoint.model_config)
    if not spec.ranks_by_head(checkpoint.model_config):
        raise NotMeasured(f"{spec.title_of(checkpoint.model_config)} has no mixing desk")


def start_page(checkpoint: Checkpoint, people: People) -> Process:
    """The app's server in a process of its own, the page open before everybody who will click.

    Raises:
        NotMeasured: as of :func:`needs_the_app`.
    """
    needs_the_app(checkpoint)
    path = checkpoint.path.resolve()
    composed = [{"items": address_of(checkpoint, history)} for history in people.long]
    one = composed[0] if people.patient is None else {"user": people.patient}
    crowd = [composed[visitor % len(composed)] for visitor in range(CROWD)]
    arguments = {
        "checkpoints": str(path.parent),
        "one": {"checkpoint": path.name, **one},
        "crowd": [{"checkpoint": path.name, **visitor} for visitor in crowd],
    }
    # Started like another Python's: a failure in Streamlit's own parts is told and left aside.
    warm_up = {"together": False, "clicks": 2}
    return Process((sys.executable, str(STOPWATCH), "Redraws"), arguments, warm_up=warm_up)


def address_of(checkpoint: Checkpoint, history: np.ndarray) -> str:
    """A history as the app's address holds it."""
    ids = checkpoint.items["item_id"].to_numpy()[history - 1]
    return ",".join(quote(str(item), safe="") for item in ids)


def redraw_seconds(page: Process, **what: Any) -> dict[str, float]:
    """Median and 95th percentile of the redraws of all who click; ``app/stopwatch.py`` has what."""
    return _quantiles(page(**what)["seconds"])


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.quantile(seconds, (0.5, 0.95))
    return {"p50_seconds": float(p50), "p95_seconds": float(p95)}


def bench_lens(
    checkpoints: Sequence[Path],
    *,
    repeats: int,
    only: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Report:
    """Median and 95th percentile of accounts, influence and redraws, round by round.

    Args:
        checkpoints: Folders; empty for the shipped ones that are there.
        only: Names of their folders; default all.
    """
    paths = {path.name: path for path in checkpoints or SHIPPED}
    report = _empty_report()
    about: dict[str, dict[str, Cell]] = {}
    work: dict[str, Work] = {}
    with ExitStack() as stack:
        for name in chosen(only, tuple(paths)):
            if not checkpoints and not paths[name].is_dir():
                report.missing[name] = "the shipped checkpoint is not there"
                continue
            say(f"Preparing {name}")
            opened = load_checkpoint(paths[name])
            people = people_of(opened)
            parts: dict[str, Work] = {
                "account": partial(account_seconds, opened, people),
                "influence": partial(influence_seconds, opened, people),
            }
            for warm_up in parts.values():
                warm_up()
            start = {f"{name}: page": partial(start_page, opened, people)}
            for page in start_all(start, stack, report.missing, say).values():
                redraw = partial(redraw_seconds, page)
                parts["redraw"] = partial(redraw, together=False, clicks=DESK_CLICKS)
                parts["crowd"] = partial(redraw, together=True, clicks=CROWD_CLICKS, pause=PAUSE)
                parts["rush"] = partial(redraw, together=True, clicks=CROWD_CLICKS)
            for part, call in parts.items():
                label = f"{name}: {part}"
                work[label] = call
                histories = people.drawn_are if part == "account" else people.long_are
                about[label] = {
                    "items": len(opened.items),
                    "values": sum(map(len, opened.value_names)),
                    "histories": histories,
                }
        turns = dict.fromkeys(work, repeats)
        for label, rounds in in_turns(work, turns, report.missing, say).items():
            figures = {key: figure_of(rounds, key) for key in rounds[0]}
            report.rows[label] = {**figures, **about[label]}
    return report


def _empty_report() -> Report:
    """What is measured, in words."""
    return Report(
        "Lens: accounts and influence by the library, redraws of the page by its server",
        {
            "people": PEOPLE,
            "top_k": TOP_K,
            "long_people": LONG_PEOPLE,
            "long_clicks": LONG,
            "desk_clicks": DESK_CLICKS,
            "crowd": CROWD,
            "crowd_clicks": CROWD_CLICKS,
            "pause_seconds": PAUSE,
            "device": "cpu",
        },
        [
            "On the CPU; every round has the same people.",
            f"account: trace, top {TOP_K} of all heads, fused list with its ledger, down to values "
            f"where items are made of them, held-out ranks; {PEOPLE} people.",
            f"influence: the list without each of {LONG} clicks; {LONG_PEOPLE} people.",
            f"redraw: one person moves faders of the desk, {DESK_CLICKS} times, to mixes that are "
            "in no cache. It is the server's time up to the last message: the script's run with "
            "trace, influence and the charts' JSON, but neither network nor browser.",
            f"crowd: redraws of {CROWD} people at once, who edit a history of {LONG} clicks and "
            f"move faders by turns, {CROWD_CLICKS} times each, after looking for {PAUSE:g} s in "
            "the mean.",
            "rush: the same without any pause, so that all wait for one another.",
        ],
    )
