"""One training run from a data set to a finished checkpoint folder."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from fame.baselines import baseline_ranks
from fame.checkpoint import (
    CARD,
    load_checkpoint,
    read_config,
    write_description,
    write_metrics,
    write_weights,
)
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.errors import FameError
from fame.evaluate import PROTOCOL, evaluate, head_report
from fame.files import write_text
from fame.metrics import summarise_ranks
from fame.model_card import render_card
from fame.projection import project, write_projection
from fame.training.loop import (
    SELECTION,
    Progress,
    TrainState,
    fit,
    new_state,
    resolve_device,
)
from fame.training.runs import LOG, RunFolder, Status

logger = logging.getLogger(__name__)

# Settings that may differ between a run and its resumption: they do not change what an epoch does.
_MAY_CHANGE = {"epochs", "patience", "device"}
_STATUS_EVERY = 0.5  # seconds between two writings of status.json


def stored_settings(out: Path) -> tuple[ModelConfig, TrainConfig]:
    """The configurations of the run in ``out``, to resume it with."""
    if not RunFolder(out).can_resume():
        raise FameError(
            f"There is nothing to resume in {out}: no run was interrupted there; leave --resume "
            "away to start one."
        )
    model_config, train_config, _ = read_config(out)
    return model_config, train_config


def train(
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    projection: bool = True,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> bool:
    """Trains a model and leaves a checkpoint folder.

    After every epoch the run can be resumed, and whenever the validation figure improves the
    folder holds a checkpoint that opens. SIGINT and SIGTERM end the run after the step it is in,
    with the best epoch so far as its checkpoint.

    Args:
        dataset: Histories and catalogue.
        out: The run's folder; it must be new, or an interrupted run of these settings
            with ``resume``.
        projection: Whether to make the UMAP projection at the end.

    Returns:
        Whether the run came to its end; ``False`` where it was interrupted.
    """
    run = RunFolder(out)
    device = resolve_device(train_config.device)
    if run.has_run() and not resume:
        raise FameError(
            f"{out} already holds a run; continue it with --resume, or choose another --out."
        )
    if resume:
        _check_resumable(out, dataset, model_config, train_config)
    with run.held(), _log_file(out / LOG):
        now = time.time()
        status = Status(
            phase="preparing",
            data=dataset.interactions.name,
            model=model_config.model,
            device=device_name(device),
            pid=os.getpid(),
            started=now,
            updated=now,
            epochs=train_config.epochs,
        )
        run.write_status(status)
        try:
            finished = _train(
                run,
                status,
                dataset,
                model_config,
                train_config,
                device,
                resume,
                projection,
                on_step,
                on_phase,
            )
        except BaseException as error:
            status.phase = "failed"
            status.message = str(error) if isinstance(error, FameError) else repr(error)
            logger.error("Failed: %s", status.message)
            run.write_status(status)
            raise
        return finished


def device_name(device: torch.device) -> str:
    """What a person calls the device: the GPU's model, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads != 1)}"


def _train(
    run: RunFolder,
    status: Status,
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    device: torch.device,
    resume: bool,
    projection: bool,
    on_step: Callable[[Progress], None],
    on_phase: Callable[[str], None],
) -> bool:
    data = dataset.interactions

    def enter(phase: Any) -> None:
        status.phase = phase
        run.write_status(status)
        on_phase(phase)

    def step(progress: Progress) -> None:
        status.epoch, status.step, status.steps = progress.epoch, progress.step, progress.steps
        status.loss = progress.loss
        status.positions_per_second = progress.positions_per_second
        status.eta_seconds = progress.eta_seconds
        if time.time() - status.updated >= _STATUS_EVERY:
            run.write_status(status)
        on_step(progress)

    def epoch(state: TrainState) -> None:
        row = state.history[-1]
        if state.best_epoch == state.epoch:
            write_weights(run.path, state.best_weights)
        run.save_state(state)
        run.write_history(state.history)
        status.best_epoch, status.best_score = state.best_epoch, state.best_score
        logger.info(
            "epoch %d: loss %.4f, validation NDCG@10 %.4f, HR@10 %.4f%s, %.1f s",
            row["epoch"],
            row["loss"],
            row["valid_NDCG@10"],
            row["valid_HR@10"],
            " (best)" if state.best_epoch == state.epoch else "",
            row["seconds"],
        )

    state = new_state(model_config, train_config, data.num_items, device)
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    logger.info(
        "%s on %s: %s parameters, %s, %s",
        model_config.model,
        data.name,
        f"{parameters:,}",
        device_name(device),
        train_config.precision,
    )
    if resume:
        run.load_state(state)
        logger.info("resumed after epoch %d", state.epoch)
    write_description(run.path, model_config, train_config, data, dataset.items)
    enter("training")
    with _stop_signals() as stop:
        finished = fit(
            state, data, train_config, on_step=step, on_epoch=epoch, should_stop=stop.is_set
        )
    if not state.best_weights:
        # Stopped within the first epoch: there is no model yet, and nothing to resume.
        status.message = "Stopped before the first epoch ended: there is nothing to keep."
        enter("stopped")
        return False

    enter("evaluating")
    state.model.load_state_dict(state.best_weights)
    write_weights(run.path, state.best_weights)
    metrics = _final_metrics(state, dataset, parameters, device)
    write_metrics(run.path, metrics)
    write_text(run.path / CARD, render_card(load_checkpoint(run.path)))
    test = metrics["test"]
    logger.info("test: HR@10 %.4f, NDCG@10 %.4f", test["HR@10"], test["NDCG@10"])
    if not finished:
        enter("stopped")
        return False
    if projection:
        enter("projecting")
        checkpoint = load_checkpoint(run.path)
        drawn = project(checkpoint.model, checkpoint.items["item_id"].tolist())
        write_projection(run.path, drawn, checkpoint.weights_hash)
    run.drop_state()
    enter("finished")
    return True


def _final_metrics(
    state: TrainState, dataset: Dataset, parameters: int, device: torch.device
) -> dict[str, Any]:
    data = dataset.interactions
    return {
        "protocol": PROTOCOL,
        "selection": f"best validation {SELECTION}",
        "best_epoch": state.best_epoch,
        "epochs": state.epoch,
        "parameters": parameters,
        "train_seconds": sum(row["train_seconds"] for row in state.history),
        "device": device_name(device),
        "valid": evaluate(state.model, data, "valid"),
        "test": evaluate(state.model, data, "test"),
        "baselines": {
            name: summarise_ranks(ranks) for name, ranks in baseline_ranks(data, "test").items()
        },
        "heads": head_report(state.model, data, "test"),
    }


def _check_resumable(
    out: Path, dataset: Dataset, model_config: ModelConfig, train_config: TrainConfig
) -> None:
    stored_model, stored_train = stored_settings(out)
    stored = {**stored_model.to_dict(), **stored_train.to_dict()}
    wanted = {**model_config.to_dict(), **train_config.to_dict()}
    for key, value in wanted.items():
        if key not in _MAY_CHANGE and value != stored[key]:
            raise FameError(
                f"The run in {out} was started with {key}={stored[key]} and cannot be resumed with "
                f"{key}={value}; leave the setting away, or start a new run."
            )
    _, _, info = read_config(out)
    if info.fingerprint != dataset.interactions.fingerprint:
        raise FameError(
            f"The run in {out} was started on other data ({info.name}, fingerprint "
            f"{info.fingerprint[:12]}, now {dataset.interactions.fingerprint[:12]}); start a new "
            "run."
        )


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Sends what this package logs to the run's log as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    package = logging.getLogger("fame")
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        handler.close()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second signal acts as it always did."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
