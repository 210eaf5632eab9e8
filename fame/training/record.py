"""What a run writes down while it trains: status, history, log and states."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from fame.checkpoint import write_choice, write_description, write_start, write_weights
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.errors import FameError
from fame.files import telling_of
from fame.models.item_values import ValueIndex
from fame.training.event_files import EventFiles, event_files
from fame.training.loop import Progress, Ranked, TrainState
from fame.training.memory import count_parameters, peak_memory
from fame.training.runs import LOG, Phase, RunFolder, Status
from fame.training.workers import Workers

logger = logging.getLogger(__name__)

_STATUS_EVERY = 0.5  # seconds between two writings of status.json


@dataclass(frozen=True)
class Record:
    """Writes in a run's folder, and tells the caller, how far training is."""

    run: RunFolder
    status: Status
    device: torch.device
    on_step: Callable[[Progress], None]
    on_ranked: Callable[[Ranked], None]
    on_phase: Callable[[str], None]
    events: EventFiles | None = None

    def write_status(self) -> None:
        self.status.peak_memory_mb = peak_memory(self.device) / 1e6
        self.status.host_memory_mb = psutil.Process().memory_info().rss / 1e6
        self.run.write_status(self.status)

    def enter(self, phase: Phase) -> None:
        self.status.phase = phase
        self.status.ranked = self.status.to_rank = 0
        self.status.eta_seconds = None
        self.write_status()
        self.on_phase(phase)

    def step(self, progress: Progress) -> None:
        status = self.status
        status.epoch, status.step, status.steps = progress.epoch, progress.step, progress.steps
        status.loss = progress.loss
        status.positions_per_second = progress.positions_per_second
        status.eta_seconds = progress.eta_seconds
        status.learning_rate = progress.learning_rate
        self._write_now_and_then()
        self.on_step(progress)

    def ranked(self, ranking: Ranked) -> None:
        status = self.status
        status.ranked, status.to_rank = ranking.done, ranking.people
        status.eta_seconds = ranking.eta_seconds
        self._write_now_and_then()
        self.on_ranked(ranking)

    def _write_now_and_then(self) -> None:
        if time.time() - self.status.updated >= _STATUS_EVERY:
            self.write_status()

    def started(self, state: TrainState, start: Mapping[str, Any]) -> None:
        """Keeps what training starts from as the best so far, of epoch 0."""
        write_weights(self.run.path, state.best_weights)
        write_start(self.run.path, start)
        self.status.best_score = state.best_score
        taken = start["taken_over"]
        logger.info(
            "Started from %s: %s items and %s values taken over, %s and %s new; validation "
            "NDCG@10 %.4f, HR@10 %.4f",
            start["name"],
            *(f"{taken[name]:,}" for name in ("items", "values", "new_items", "new_values")),
            start["valid"]["NDCG@10"],
            start["valid"]["HR@10"],
        )

    def epoch(self, state: TrainState) -> None:
        row = state.history[-1]
        if state.best_epoch == state.epoch:
            write_weights(self.run.path, state.best_weights)
        self.run.save_state(state)
        self.run.write_history(state.history)
        self.status.best_epoch, self.status.best_score = state.best_epoch, state.best_score
        self.status.ranked = self.status.to_rank = 0
        if self.events is not None:
            self.events.write(row)
        logger.info(
            "epoch %d: loss %.4f, validation NDCG@10 %.4f, HR@10 %.4f%s, %.1f s",
            row["epoch"],
            row["loss"],
            row["valid_NDCG@10"],
            row["valid_HR@10"],
            " (best)" if state.best_epoch == state.epoch else "",
            row["seconds"],
        )

    def fail(self, error: BaseException) -> None:
        self.status.phase = "failed"
        self.status.message = str(error) if isinstance(error, FameError) else repr(error)
        logger.error("Failed: %s", self.status.message)
        with suppress(FameError):  # the disk may be full; what failed first is what counts
            self.write_status()


@contextmanager
def recorded(
    run: RunFolder,
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    workers: Workers,
    on_step: Callable[[Progress], None],
    on_ranked: Callable[[Ranked], None],
    on_phase: Callable[[str], None],
    values: ValueIndex | None = None,
    choice: Mapping[str, Any] | None = None,
    *,
    tensorboard: bool = False,
) -> Iterator[Record]:
    """Keeps the record of a training in its folder; an error in the block goes into it.

    Args:
        tensorboard: Whether event files are written beside it.
    """
    with ExitStack() as stack:
        stack.enter_context(_log_file(run.path / LOG))
        now = time.time()
        status = Status(
            phase="preparing",
            data=dataset.interactions.name,
            model=model_config.model,
            device=device_name(workers.device, workers.count),
            pid=os.getpid(),
            started=now,
            updated=now,
            epochs=train_config.epochs,
            on=device_key(workers.device),
            machine_started=psutil.boot_time(),
        )
        if run.can_resume():
            _go_on(status, run)
        events = stack.enter_context(event_files(run.path)) if tensorboard else None
        record = Record(run, status, workers.device, on_step, on_ranked, on_phase, events)
        record.write_status()
        try:
            logger.info(
                "%s on %s: %s parameters, %s, %s",
                status.model,
                status.data,
                f"{count_parameters(model_config, dataset.interactions.num_items, values):,}",
                status.device,
                train_config.precision,
            )
            write_description(
                run.path, model_config, train_config, dataset.interactions, dataset.items
            )
            if choice is not None:
                logger.info("%s", choice["why"])
                write_choice(run.path, choice)
            yield record
        except BaseException as error:
            record.fail(error)
            raise


def _go_on(status: Status, run: RunFolder) -> None:
    """Takes over what a run had come to before it was interrupted."""
    with suppress(ValueError):
        if former := run.last_word():
            status.resumed, status.started = status.started, former.started
            status.earlier_seconds = former.seconds
            status.epoch, status.loss = former.epoch, former.loss
            status.best_epoch, status.best_score = former.best_epoch, former.best_score


def device_key(device: torch.device) -> str:
    """``cpu`` or ``cuda:N``: what a run and the queue (:mod:`fame.training.jobs`) call a device."""
    if device.type != "cuda":
        return device.type
    return f"cuda:{torch.cuda.current_device() if device.index is None else device.index}"


def device_name(device: torch.device, count: int = 1) -> str:
    """What a person calls the devices: the GPU's model, or the CPU with its threads."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        name = f"CPU, {threads} thread{'s' * (threads != 1)}"
    return name if count == 1 else f"{count} x {name}"


class _RunLog(logging.FileHandler):
    """A log that the disk has no room for stops no run, and no traceback of it is printed."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Sends what this package logs to the run's log as well."""
    with telling_of(path):
        handler = _RunLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    package = logging.getLogger("fame")
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        handler.close()
