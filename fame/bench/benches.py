"""All benches by name, and the one document that ``python -m fame bench`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.bench import machine
from fame.bench.data import bench_data
from fame.bench.faults import bench_faults
from fame.bench.lens import bench_lens
from fame.bench.loss import bench_loss
from fame.bench.measure import Report, Say
from fame.bench.peers import Peer
from fame.bench.rank import bench_rank
from fame.bench.sessions import SECONDS, SESSIONS, bench_serve
from fame.bench.train import bench_train
from fame.bench.work import ML_20M_SHAPE, load_histories, shared_work
from fame.errors import FameError
from fame.experiments.variants import variant
from fame.training.loop import resolve_device

# The first three take the work that --data and --set describe.
_ON_WORK = ("train", "rank", "loss")
_USUAL = (*_ON_WORK, "lens", "data")
# "faults" is no matter of speed, and "serve" takes the whole machine: where they are named.
BENCHES = (*_USUAL, "faults", "serve")


@dataclass(frozen=True)
class Options:
    """What the command line can ask for.

    Args:
        names: Out of ``BENCHES``; empty for all but ``faults`` and ``serve``.
        data: A named set, or ``synthetic:ml-20m``.
        scale: Size of a made-up set, or number of faulty inputs, as a share of the full one.
        settings: Of model and training, over the set's recipe.
        repeats: Of every figure.
        budget: Seconds for one repeat of an epoch, see :func:`fame.bench.train.bench_train`.
        only: Contenders; empty for all.
        peer: Another library to measure beside ours.
        checkpoints: For ``lens`` and ``serve``; empty for the shipped ones.
        sessions: People at once, for ``serve``.
        seconds: How long they click.
    """

    names: Sequence[str]
    data: str
    scale: float
    settings: dict[str, Any]
    repeats: int
    budget: float
    only: Sequence[str]
    peer: Peer | None
    checkpoints: Sequence[Path]
    sessions: int
    seconds: float


def run(options: Options, say: Say) -> tuple[dict[str, Any], dict[str, Report]]:
    """What the figures were measured on, and the reports by name.

    Raises:
        FameError: for a bench, a contender, a setting or a data set that is not there, and for an
            option that none of the benches asked for has.
    """
    wanted = options.names or _USUAL
    _check(options, wanted)
    # The paper's loss over the whole catalogue: what every peer's epoch has to do as well.
    model, training = variant("paper").configs(options.data, **options.settings)
    if training.samples != "windows" and {"train", "loss"} & set(wanted):
        raise FameError(
            "bench counts the targets of windows, not of prefixes; leave samples=windows as it is."
        )
    about = machine.describe(resolve_device(training.device))
    common: dict[str, Any] = {"repeats": options.repeats, "only": options.only, "say": say}
    reports: dict[str, Report] = {}
    if set(wanted) & set(_ON_WORK):
        histories = load_histories(options.data, options.scale, say)
        with shared_work(histories, model, training) as work:
            if "train" in wanted:
                reports["train"] = bench_train(
                    work, budget=options.budget, peer=options.peer, **common
                )
            if "rank" in wanted:
                reports["rank"] = bench_rank(work, peer=options.peer, **common)
            if "loss" in wanted:
                reports |= bench_loss(work, **common)
    if "lens" in wanted:
        reports["lens"] = bench_lens(options.checkpoints, **common)
    if "data" in wanted:
        reports["data"] = bench_data(
            scale=options.scale,
            max_length=model.max_length,
            batch_size=training.batch_size,
            **common,
        )
    if "faults" in wanted:
        reports["faults"] = bench_faults(scale=options.scale, only=options.only, say=say)
    if "serve" in wanted:
        reports["serve"] = bench_serve(
            options.checkpoints,
            sessions=options.sessions,
            seconds=options.seconds,
            only=options.only,
            say=say,
        )
    return about, reports


def _check(options: Options, wanted: Sequence[str]) -> None:
    """Refuses a name that is no bench, and options that would do nothing."""
    for name in wanted:
        if name not in BENCHES:
            raise FameError(f"bench knows {', '.join(BENCHES)}, not {name!r}.")
    if not 0 < options.scale <= 10:
        raise FameError(f"--scale must be above 0 and at most 10, not {options.scale:g}.")
    made_up = options.data == ML_20M_SHAPE or {"data", "faults"} & set(wanted)
    if options.scale != 1 and not made_up:
        raise FameError(
            f"--scale goes with --data {ML_20M_SHAPE}, `bench data` and `bench faults`; "
            f"{options.data!r} has the size that it has."
        )
    if options.peer and not {"train", "rank"} & set(wanted):
        raise FameError("--peer goes with `bench train` and `bench rank`; name one of them.")
    if options.checkpoints and not {"lens", "serve"} & set(wanted):
        raise FameError(
            "--checkpoint goes with `bench lens` and `bench serve`; name one, or leave it away."
        )
    if (options.sessions, options.seconds) != (SESSIONS, SECONDS) and "serve" not in wanted:
        raise FameError("--sessions and --seconds go with `bench serve`; name it.")
