"""``bench rank``: ranking the whole catalogue for every person of the test split."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from fame.bench.machine import synchronise
from fame.bench.measure import Report, Say, chosen, figure_of, in_turns
from fame.bench.peers import PEERS, Peer
from fame.bench.processes import Process, start_all
from fame.bench.work import Work, read_histories
from fame.config import ModelConfig
from fame.data.sequences import held_out
from fame.evaluate import evaluate
from fame.models.registry import MODELS, build_model
from fame.training.loop import resolve_device

CONTENDERS = tuple(MODELS)


class Ranking:
    """Evaluates an untrained model, which takes what a trained one takes.

    Args:
        histories: A file of :func:`fame.bench.work.shared_work`.
        model: Settings of the model.
    """

    def __init__(self, histories: str, model: dict[str, Any], device: str) -> None:
        self._data = read_histories(histories)
        self._device = torch.device(device)
        torch.manual_seed(0)
        shape = ModelConfig.from_mapping(model, "bench")
        self._model = build_model(shape, self._data.num_items).to(self._device)

    def __call__(self) -> dict[str, Any]:
        """``seconds`` from histories to figures, and on CUDA ``peak_gpu_memory_bytes``."""
        synchronise(self._device)
        started = time.perf_counter()
        evaluate(self._model, self._data, "test")  # its figures are on the CPU: it has waited
        answer: dict[str, Any] = {"seconds": time.perf_counter() - started}
        if self._device.type == "cuda":
            answer["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(self._device)
        return answer


def bench_rank(
    work: Work,
    *,
    repeats: int,
    only: Sequence[str] = (),
    peer: Peer | None = None,
    say: Say = lambda text: None,
) -> Report:
    """Seconds, people a second and peak memory of a full ranking.

    Args:
        only: Names out of ``CONTENDERS``; default all.
        peer: Another library's SASRec, to rank beside ours.
    """
    device = resolve_device(work.training.device)
    people = len(held_out(work.data, "test"))
    report = Report("Full ranking of the test split", {**work.about(), "people": people})
    report.notes = [f"{people:,} people, {work.data.num_items:,} items."]
    starts: dict[str, Callable[[], Process]] = {
        name: partial(
            Process,
            Ranking,
            {
                "histories": str(work.path),
                "model": {**work.model.to_dict(), "model": name},
                "device": str(device),
            },
            warm_up={},
        )
        for name in chosen(only, CONTENDERS)
    }
    if peer is not None:
        starts[peer.name] = partial(peer.start, work, warm_up={"what": "rank"})
    with ExitStack() as stack:
        tasks: dict[str, Callable[[], dict[str, Any]]] = {
            name: partial(process, what="rank") if name in PEERS else process
            for name, process in start_all(starts, stack, report.missing, say).items()
        }
        answers = in_turns(tasks, dict.fromkeys(tasks, repeats), report.missing, say)
    for name, rows in answers.items():
        seconds = figure_of(rows, "seconds")
        report.rows[name] = {
            "seconds": seconds,
            "people_per_second": seconds.rate(rows[0].get("examples", people)),
            "cores_busy": figure_of(rows, "cores_busy"),
            **{
                key: max(row[key] for row in rows)
                for key in ("peak_memory_bytes", "peak_gpu_memory_bytes")
                if key in rows[-1]
            },
        }
    for other in (*CONTENDERS[1:], *PEERS):
        report.compare(CONTENDERS[0], other)
    return report
