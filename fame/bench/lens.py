"""``bench lens``: one person's account, as a page or ``trace`` asks for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fame import data
from fame.bench.measure import Report, Say, chosen, figure_of, in_turns
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.data.sequences import held_out
from fame.errors import DataError
from fame.lens.answer import trace_answer
from fame.lens.trace import trace_history

TOP_K = 20
PEOPLE = 200  # a round; every round has the same
_SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"
SHIPPED = tuple(_SHIPPED / name for name in ("beauty", "ml-100k"))


class Accounts:
    """Traces many people with one checkpoint, one after the other."""

    def __init__(self, path: Path) -> None:
        self._checkpoint = load_checkpoint(path)
        self.histories = "real"
        try:
            self._people = _real_people(self._checkpoint)
        except DataError:
            self._people = _made_up_people(self._checkpoint)
            self.histories = "made up, the data is not at hand"

    @property
    def items(self) -> int:
        """Items of the catalogue."""
        return len(self._checkpoint.items)

    def __call__(self) -> dict[str, float]:
        """Median and 95th percentile of the seconds of one account, and of its forward pass."""
        whole, forward = [], []
        for history, target in self._people:
            started = time.perf_counter()
            trace = trace_history(self._checkpoint.model, history)
            traced = time.perf_counter()
            trace_answer(trace, self._checkpoint.items, top_k=TOP_K, held_out=target)
            whole.append(time.perf_counter() - started)
            forward.append(traced - started)
        return {
            "p50_seconds": float(np.quantile(whole, 0.5)),
            "p95_seconds": float(np.quantile(whole, 0.95)),
            "p50_forward_seconds": float(np.quantile(forward, 0.5)),
        }


def _real_people(checkpoint: Checkpoint) -> list[tuple[np.ndarray, int]]:
    histories = data.load(checkpoint.data.name, offline=True).interactions
    checkpoint.check_catalogue(histories)
    users = held_out(histories, "test").users
    drawn = np.random.default_rng(0).choice(users, size=PEOPLE)
    return [histories.split_user(int(user)) for user in drawn]


def _made_up_people(checkpoint: Checkpoint) -> list[tuple[np.ndarray, int]]:
    """Random clicks, as many as the model reads at most: the longest that it can take."""
    rng = np.random.default_rng(0)
    length = checkpoint.model_config.max_length
    drawn = rng.integers(1, len(checkpoint.items) + 1, size=(PEOPLE, length + 1))
    return [(row[:-1], int(row[-1])) for row in drawn]


def bench_lens(
    checkpoints: Sequence[Path],
    *,
    repeats: int,
    only: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Report:
    """Median and 95th percentile of one account over people, round by round.

    Args:
        checkpoints: Folders; empty for the shipped ones that are there.
        only: Names of their folders; default all.
    """
    paths = {path.name: path for path in checkpoints or SHIPPED}
    report = Report(
        f"One account: trace, top {TOP_K} of all heads, fused list with its ledger, held-out ranks",
        {"people": PEOPLE, "top_k": TOP_K, "device": "cpu"},
        [f"On the CPU; every round has the same {PEOPLE} people."],
    )
    accounts: dict[str, Accounts] = {}
    for name in chosen(only, tuple(paths)):
        if not checkpoints and not paths[name].is_dir():
            report.missing[name] = "the shipped checkpoint is not there"
            continue
        say(f"Preparing {name}")
        accounts[name] = Accounts(paths[name])
        accounts[name]()  # warm-up
    turns = dict.fromkeys(accounts, repeats)
    for name, rounds in in_turns(accounts, turns, report.missing, say).items():
        report.rows[name] = {
            **{key: figure_of(rounds, key) for key in rounds[0]},
            "items": accounts[name].items,
            "histories": accounts[name].histories,
        }
    return report
