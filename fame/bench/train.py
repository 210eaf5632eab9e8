"""``bench train``: what an epoch costs, beside the baselines, the bare loss and a peer."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from fame.bench.flops import epoch_flops, loss_flops
from fame.bench.machine import MatrixPeak, has_bf16_products, synchronise
from fame.bench.measure import Cell, Report, Say, chosen, figure_of, in_turns
from fame.bench.peers import NO_ANOMALY, PEERS, Peer
from fame.bench.processes import Process, start_all
from fame.bench.reference_loss import ReferenceEpoch
from fame.bench.work import Work, read_histories
from fame.config import ModelConfig, ModelName, TrainConfig
from fame.models.item_values import ValueIndex
from fame.models.registry import MODELS, made_of_values
from fame.training.loop import Progress, fit, new_state, resolve_device, resolve_precision

_BASELINES = tuple(name for name, spec in MODELS.items() if not spec.heads_rank)
CONTENDERS = (
    *("fame", "fame_heads_loss", "fame_values", *_BASELINES),
    *("fame_bf16", "reference_fp32", "reference_bf16"),
)
_RATIOS = (
    *(("fame", baseline) for baseline in _BASELINES),
    ("fame", "reference_fp32"),
    ("fame_bf16", "reference_fp32"),
    ("fame_heads_loss", "fame"),
    ("fame_values", "fame"),
    *(("fame", peer) for peer in (*PEERS, NO_ANOMALY)),
)
# Weight of the heads' loss where the settings have none; any weight costs the same.
_HEADS_LOSS = 0.5
# What items are made of where they are made of values: as many of them for every named head, and as
# many items to a value, as genres and years, or brands and categories, come to.
_VALUES_OF_AN_ITEM, _ITEMS_OF_A_VALUE = 3, 10
_PEAK = "peak_"
_LEAST_STEPS = 10  # timed, however small the budget is
# A CPU is warm after a few steps; a GPU may still compile kernels for new lengths. At most two
# repeats' time.
_WARM_UP_SECONDS = {"cpu": 3.0, "cuda": 30.0}


class _Enough(Exception):
    """Raised out of training when the steps to be timed are done."""


class TrainingEpoch:
    """Trains, by the loop that ``train`` runs, and says what an epoch takes; no validation.

    Every call trains on the batches of the first epoch, so all contenders and all repeats do the
    same work.

    Args:
        histories: A file of :func:`fame.bench.work.shared_work`.
        model, training: Settings of the two configurations.
    """

    def __init__(self, histories: str, model: dict[str, Any], training: dict[str, Any]) -> None:
        self._data = read_histories(histories)
        self._config = TrainConfig.from_mapping(training, "bench")
        self._device = resolve_device(self._config.device)
        shape = ModelConfig.from_mapping(model, "bench")
        values = _made_up_values(shape, self._data.num_items) if made_of_values(shape) else None
        self._state = new_state(
            shape, self._config, self._data.num_items, self._device, values=values
        )

    def __call__(self, share: float = 1.0, seconds: float | None = None) -> dict[str, Any]:
        """Does a share of an epoch's steps, or as many as the time allows, but at least two.

        Batches are shuffled, so the first ones have all lengths. What comes before the second step
        is taken as it is, the rest of the epoch from the mean of the steps after the first.

        Returns:
            ``seconds`` of the epoch, ``steps`` in it, ``steps_timed``, and on CUDA
            ``peak_gpu_memory_bytes``.
        """
        limit = math.inf if seconds is None else seconds
        first = last = 0.0
        steps = timed = 0

        def on_step(progress: Progress) -> None:
            nonlocal first, last, steps, timed
            steps, timed = progress.steps, progress.step
            if timed == 1:
                synchronise(self._device)
                first = time.perf_counter()
            enough = timed >= max(2, math.ceil(share * steps))
            late = timed >= 2 and time.perf_counter() - started > limit
            if enough or late or timed == steps:
                synchronise(self._device)
                last = time.perf_counter()
                raise _Enough

        synchronise(self._device)
        started = time.perf_counter()
        with suppress(_Enough):
            fit(self._state, self._data, self._config, on_step=on_step)
        a_step = (last - first) / max(timed - 1, 1)
        answer = {
            "seconds": first - started + a_step * (steps - 1),
            "steps": steps,
            "steps_timed": timed,
        }
        if self._device.type == "cuda":
            answer["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(self._device)
        return answer


def _made_up_values(shape: ModelConfig, num_items: int) -> ValueIndex:
    """Which item has which values, drawn; the histories of a bench have no catalogue."""
    rng, held = np.random.default_rng(0), _VALUES_OF_AN_ITEM
    known = held * -(-num_items // _ITEMS_OF_A_VALUE)
    counts = [known if share else 0 for share in shape.facet_shares]
    named = sum(map(bool, counts))
    # An item's values are of different thirds, so no two of them are the same.
    own = rng.integers(known // held, size=(named, num_items, held)) + np.arange(held) * (
        known // held
    )
    own += known * np.arange(named)[:, None, None]
    sets = np.tile([0, *[held] * num_items], named)
    return ValueIndex.of(counts, own.ravel(), np.cumsum([0, *sets]))


@dataclass(frozen=True)
class _Contender:
    """How a contender is started, in which precision it multiplies, and what an epoch needs."""

    start: Callable[[], Process]
    dtype: str
    flops: float


def _contenders(
    work: Work, device: torch.device, budget: float
) -> tuple[dict[str, _Contender], dict[str, str]]:
    """All contenders by name, and why those are missing that this device cannot run."""
    precision = resolve_precision(work.training.precision, device)
    lengths, items, width = work.window_lengths, work.data.num_items, work.model.width
    warm_up = {"seconds": min(_WARM_UP_SECONDS[device.type], 2 * budget)}
    positions, steps = int(lengths.sum()), math.ceil(len(lengths) / work.training.batch_size)

    def training(
        name: ModelName,
        head_loss: float,
        dtype: torch.dtype = precision,
        head_facets: str = "",
    ) -> _Contender:
        model = dataclasses.replace(work.model, model=name, head_facets=head_facets)
        config = dataclasses.replace(
            work.training,
            head_loss_weight=head_loss,
            head_loss_shares=work.training.head_loss_shares if head_loss else "",
            precision="bf16" if dtype == torch.bfloat16 else "fp32",
            device=str(device),
        )
        arguments = {
            "histories": str(work.path),
            "model": model.to_dict(),
            "training": config.to_dict(),
        }
        return _Contender(
            partial(Process, TrainingEpoch, arguments, warm_up=warm_up),
            str(dtype).removeprefix("torch."),
            epoch_flops(model, lengths, items, head_loss=head_loss > 0, steps=steps),
        )

    def reference(dtype: str) -> _Contender:
        shape = {"positions": positions, "items": items, "width": width}
        arguments = {**shape, "dtype": dtype, "device": str(device)}
        return _Contender(
            partial(Process, ReferenceEpoch, arguments, warm_up=warm_up),
            dtype,
            loss_flops(positions, items, width),
        )

    contenders: dict[str, _Contender] = {
        "fame": training("fame", 0.0),
        "fame_heads_loss": training("fame", work.training.head_loss_weight or _HEADS_LOSS),
        # All heads but the last are facets, as in the recipes; of what, nobody asks here.
        "fame_values": training(
            "fame",
            0.0,
            head_facets="/".join(["made up"] * (work.model.heads - 1) or ["made up"])
            + "/" * (work.model.heads > 1),
        ),
        **{baseline: training(baseline, 0.0) for baseline in _BASELINES},
        "reference_fp32": reference("float32"),
    }
    if not has_bf16_products(device):
        why = f"this {device.type} has no bfloat16 products"
        return contenders, {"fame_bf16": why, "reference_bf16": why}
    contenders["reference_bf16"] = reference("bfloat16")
    if precision == torch.bfloat16:
        return contenders, {"fame_bf16": "it is what fame is at this precision"}
    contenders["fame_bf16"] = training("fame", 0.0, torch.bfloat16)
    return contenders, {}


def bench_train(
    work: Work,
    *,
    repeats: int,
    budget: float,
    only: Sequence[str] = (),
    peer: Peer | None = None,
    say: Say = lambda text: None,
) -> Report:
    """Epoch seconds, rate, share of the machine's peak and peak memory of every contender.

    Args:
        budget: Seconds that one repeat of one contender may take; where an epoch takes longer,
            every contender does the same share of its steps, and the epoch is extrapolated.
        only: Names out of ``CONTENDERS``; default all.
        peer: Another library's SASRec, to be trained beside ours.
    """
    names = chosen(only, CONTENDERS)
    device = resolve_device(work.training.device)
    possible, missing = _contenders(work, device, budget)
    contenders = {name: possible[name] for name in names if name in possible}
    report = Report("Training: an epoch with every target once, validation not counted")
    report.missing = {name: why for name, why in missing.items() if name in names}
    with ExitStack() as stack:
        epochs = start_all(
            {name: contender.start for name, contender in contenders.items()},
            stack,
            report.missing,
            say,
        )
        share = _share_within(budget, [process.first for process in epochs.values()])
        tasks: dict[str, Callable[[], dict[str, Any]]] = {
            name: partial(process, share=share) for name, process in epochs.items()
        }
        turns = dict.fromkeys(tasks, repeats)
        if peer is not None:
            theirs = {
                peer.name: partial(peer.start, work),
                NO_ANOMALY: partial(peer.start, work, detect_anomaly=False),
            }
            for name, process in start_all(theirs, stack, report.missing, say).items():
                tasks[name], turns[name] = partial(process, what="train"), peer.repeats
        # The machine's best rate is looked for in every turn too: it changes with its neighbours.
        for dtype in sorted({contenders[name].dtype for name in epochs}):
            peak = MatrixPeak(work.data.num_items, work.model.width, dtype, str(device))
            tasks[_PEAK + dtype], turns[_PEAK + dtype] = peak, repeats
        answers = in_turns(tasks, turns, report.missing, say)

    positions = int(work.window_lengths.sum())
    peaks = {
        name.removeprefix(_PEAK): max(row["flops_per_second"] for row in answers.pop(name))
        for name in tuple(answers)
        if name.startswith(_PEAK)
    }
    report.about = {
        **work.about(),
        "positions": positions,
        "share_of_epoch_timed": share,
        "peak_flops_per_second": peaks,
    }
    report.notes = _notes(positions, share, peaks, peer)
    for name, rows in answers.items():
        report.rows[name] = _row(rows, positions, contenders.get(name), peaks)
    for pair in _RATIOS:
        report.compare(*pair)
    return report


def _share_within(budget: float, first: Sequence[dict[str, Any]]) -> float:
    """The share of an epoch that all do, so that the slowest of them stays within the budget."""
    slowest = max((answer["seconds"] for answer in first), default=0.0)
    if slowest <= budget:
        return 1.0
    steps = max(answer.get("steps", 0) for answer in first)
    return min(1.0, max(budget / slowest, _LEAST_STEPS / max(steps, 1)))


def _notes(
    positions: int, share: float, peaks: Mapping[str, float], peer: Peer | None
) -> list[str]:
    notes = [f"{positions:,} positions an epoch."]
    if share < 1:
        notes.append(
            f"{share:.1%} of the steps were timed, over all lengths; the epoch is extrapolated."
        )
    notes += [
        f"Peak: {rate / 1e9:,.0f} GFLOP/s, the best {dtype} product of the loss's shape here."
        for dtype, rate in peaks.items()
    ]
    if peer is not None:
        notes.append(
            f"{peer.name}: {peer.repeats} timed epoch{'s' * (peer.repeats != 1)}, once as it comes "
            "and once without the anomaly detection that it turns on when it is imported."
        )
    return notes


def _row(
    answers: list[dict[str, Any]],
    positions: int,
    contender: _Contender | None,
    peaks: Mapping[str, float],
) -> dict[str, Cell]:
    """The figures of one contender; a peer's arithmetic is not counted."""
    seconds = figure_of(answers, "seconds")
    row: dict[str, Cell] = {
        "seconds": seconds,
        "positions_per_second": seconds.rate(answers[0].get("examples", positions)),
    }
    if contender is not None:
        row["flops"] = contender.flops
        row["share_of_peak"] = seconds.rate(contender.flops / peaks[contender.dtype])
    row["cores_busy"] = figure_of(answers, "cores_busy")
    for name in ("peak_memory_bytes", "peak_gpu_memory_bytes", "steps", "steps_timed"):
        if name in answers[-1]:
            row[name] = max(answer[name] for answer in answers)
    return row
