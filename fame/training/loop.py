"""The training loop: tensors in, tensors out; it knows no files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fame.config import ModelConfig, TrainConfig, check_device
from fame.data.attributes import ItemAttributes
from fame.data.sequences import (
    Interactions,
    Windows,
    bucketed_batches,
    held_out,
    training_prefixes,
    training_windows,
)
from fame.errors import FameError
from fame.evaluate import Reader, counting, model_ranks
from fame.facets.forming import RECORD
from fame.metrics import summarise_ranks
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.models.sequence_model import SequenceModel
from fame.training.batches import batches_on, share_of_batch
from fame.training.forming import FormingRecord
from fame.training.item_start import start_items
from fame.training.objective import Objective
from fame.training.workers import Workers, sent_to_cpu

SELECTION = "NDCG@10"  # the validation figure that early stopping and the best epoch go by
READ_EVERY = 20  # steps between two looks at the loss


@dataclass(frozen=True)
class Progress:
    """Where a run is, after a step.

    ``positions_per_second`` counts real targets, since the epoch began; ``eta_seconds`` is until
    the last epoch, validation included, if training does not stop early. ``learning_rate`` is the
    step's own.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    positions_per_second: float
    eta_seconds: float
    learning_rate: float = 0.0


@dataclass(frozen=True)
class Ranked:
    """How far a ranking is: ``done`` of so many ``people``.

    While an epoch is validated ``eta_seconds`` is as that of :class:`Progress`. After training
    ``epoch`` and ``eta_seconds`` are ``None`` and ``epochs`` those that were made: the best epoch's
    model ranks both splits, and its heads the test split; people are counted each time.
    """

    epoch: int | None
    epochs: int
    done: int
    people: int
    eta_seconds: float | None


@dataclass
class TrainState:
    """All that a run needs to go on from the end of an epoch, besides data and configurations.

    Batches and dropout of an epoch are drawn from the seed and the number of the epoch, so no
    generator's state has to be kept. ``average`` is a running average of the model's weights, where
    the configuration wants one.
    """

    model: SequenceModel
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None = None
    epoch: int = 0
    best_score: float = -math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ranking_model(self) -> SequenceModel:
        """What is validated and kept: the average of the weights where there is one."""
        return self.model if self.average is None else cast(SequenceModel, self.average.module)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights as they are now, on the CPU."""
        return copy_of_weights(self.model)


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a module as they are now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


class Interrupted(Exception):
    """Raised inside an epoch when the run was asked to stop; the state is the last epoch's."""


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; ``FameError`` for a device not there."""
    check_device(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() and not sent_to_cpu() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise FameError(
                f"Device {name!r} is not there ({count} CUDA device{'s' * (count != 1)} found); "
                "choose --device cpu or auto."
            )
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The arithmetic of the matrix products; weights and optimizer are always float32."""
    if name == "auto":
        name = "bf16" if device.type == "cuda" else "fp32"
    return torch.bfloat16 if name == "bf16" else torch.float32


def make_optimizer(model: SequenceModel, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, fused; weight decay on matrices only.

    The item table is a matrix like the others: under a softmax over the whole catalogue every row
    of it has a gradient at every step, so sparse gradients or lazy moments would spare nothing.
    Against drawn items they would, but Adam then no longer is what it is without them: a row moves
    on by its moments also where it has no gradient.
    """
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        # The router's biases are a matrix in shape only: a row of them for each head.
        is_matrix = parameter.ndim >= 2 and not name.endswith("bias")
        (matrices if is_matrix else others).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


def new_state(
    model_config: ModelConfig,
    train_config: TrainConfig,
    num_items: int,
    device: torch.device,
    *,
    item_vectors: Tensor | None = None,
    values: ValueIndex | None = None,
    take_over: Callable[[SequenceModel], object] | None = None,
) -> TrainState:
    """A new model and its optimizer, the same for the same seed on every device.

    Args:
        item_vectors: ``(V - 1, D)``, what the items start from; by default from noise.
        values: Which item has which values, where the model makes items of them.
        take_over: Gives the untrained model what another one has learned.
    """
    torch.manual_seed(train_config.seed)
    model = build_model(model_config, num_items, values)
    if item_vectors is not None:
        start_items(model, item_vectors)
    if take_over is not None:
        take_over(model)
    model.to(device)
    average = None
    if train_config.weight_average:
        renewed = get_ema_multi_avg_fn(train_config.weight_average)
        average = AveragedModel(model, multi_avg_fn=renewed)
    return TrainState(model, make_optimizer(model, train_config), average)


def training_samples(
    data: Interactions,
    model_config: ModelConfig,
    train_config: TrainConfig,
    rng: np.random.Generator | None = None,
) -> Windows:
    """The samples of an epoch; ``rng`` draws where long histories are cut into windows."""
    if train_config.samples == "prefixes":
        return training_prefixes(data, model_config.max_length)
    return training_windows(data, model_config.max_length, rng)


def ignore(event: object) -> None:
    """What is done about an event where nobody asked to hear of it."""


@contextmanager
def no_kernel_by_width() -> Iterator[None]:
    """Leaves cuDNN's attention out of the kernels to choose from, for the block.

    It is planned anew for every width of a batch: on an H200 the first batches of MovieLens 20M's
    shape took ten times as long as later ones. PyTorch's own kernels take any width, and 1.3 ms
    where cuDNN's take 1.1 (256 windows of 200, 16 experts).
    """
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@no_kernel_by_width()
def fit(
    state: TrainState,
    data: Interactions,
    config: TrainConfig,
    *,
    attributes: ItemAttributes | None = None,
    workers: Workers | None = None,
    on_step: Callable[[Progress], None] = ignore,
    on_ranked: Callable[[Ranked], None] | None = None,
    on_epoch: Callable[[TrainState], None] = ignore,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Trains ``state`` until its epochs are done or patience runs out.

    Args:
        state: Changed in place; at the end ``state.best_weights`` is the best epoch's model.
        attributes: What the catalogue says of the items, for terms of the loss that ask; by default
            nothing.
        workers: The processes that train together, each with a ``state`` of its own; by default
            this one alone.
        on_ranked: Called while an epoch is validated, after every batch of people.
        on_epoch: Called after every epoch's validation, when ``state`` is complete; in the first
            process only.
        should_stop: Asked before every step. With several processes all stop at the same step
            where one is asked to; on GPUs they agree on it only now and then.

    Returns:
        Whether training came to its end; ``False`` where it was asked to stop. The state is then
        the last complete epoch's, except for the model and optimizer, which are mid-epoch.
    """
    workers = workers or Workers(next(state.model.parameters()).device)
    objective = workers.synchronised(Objective(state.model, config, attributes))
    made_of = chain.from_iterable(state.model.config.facet_shares)
    forming = FormingRecord(data, attributes, made_of=made_of)
    while state.epoch < config.epochs and not out_of_patience(state, config):
        started = time.perf_counter()
        try:
            loss, positions = _train_epoch(
                state, objective, data, config, workers, on_step, should_stop
            )
        except Interrupted:
            return False
        train_seconds = time.perf_counter() - started
        reader: Reader = forming.keep
        if on_ranked is not None:
            reader = _telling(reader, on_ranked, state, data, config, workers, train_seconds)
        try:
            figures = validate(state.ranking_model, data, workers, reader)
        except FloatingPointError:
            raise _diverged("its validation", state, config) from None
        formed = forming.take(state.ranking_model, workers)
        state.epoch += 1
        if figures[SELECTION] > state.best_score:
            state.best_score, state.best_epoch = figures[SELECTION], state.epoch
            state.best_weights = copy_of_weights(state.ranking_model)
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": loss,
                **{f"valid_{name}": value for name, value in figures.items()},
                "seconds": time.perf_counter() - started,
                "train_seconds": train_seconds,
                "positions_per_second": positions / train_seconds,
                "learning_rate": state.optimizer.param_groups[0]["lr"],
                RECORD: formed,
            }
        )
        workers.on_first(partial(on_epoch, state))
    return True


def out_of_patience(state: TrainState, config: TrainConfig) -> bool:
    """Whether ``patience`` epochs in a row brought no better validation figure."""
    return bool(config.patience) and state.epoch - state.best_epoch >= config.patience


def validate(
    model: SequenceModel, data: Interactions, workers: Workers, on_read: Reader | None = None
) -> dict[str, float]:
    """Figures of the validation split; every process ranks its share, and all get the whole.

    Args:
        on_read: Told what the model read, in each process of its share.

    Raises:
        FloatingPointError: in all processes, where the weights of one are broken.
    """
    ranks, broken = np.zeros(0, dtype=np.int64), False
    try:
        share = (workers.rank, workers.count)
        ranks = model_ranks(model, data, "valid", share=share, on_read=on_read)
    except FloatingPointError:
        broken = True
    if workers.any(broken):
        raise FloatingPointError("a score is not a number: the weights are broken")
    return summarise_ranks(workers.sum(torch.from_numpy(ranks)).numpy())


def _telling(
    reader: Reader,
    on_ranked: Callable[[Ranked], None],
    state: TrainState,
    data: Interactions,
    config: TrainConfig,
    workers: Workers,
    train_seconds: float,
) -> Reader:
    """A reader that also tells how far the ranking is; each process speaks for all."""
    people = len(held_out(data, "valid"))

    def tell(own: int, elapsed: float) -> None:
        done = min(workers.count * own, people)
        whole = elapsed * people / done
        epochs_left = config.epochs - state.epoch - 1
        left = whole - elapsed + epochs_left * (train_seconds + whole)
        on_ranked(Ranked(state.epoch + 1, config.epochs, done, people, left))

    return counting(tell, reader)


def _train_epoch(
    state: TrainState,
    objective: nn.Module,
    data: Interactions,
    config: TrainConfig,
    workers: Workers,
    on_step: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> tuple[float, int]:
    """One pass over every target; mean loss and number of targets."""
    model, device = state.model, workers.device
    precision = resolve_precision(config.precision, device)
    rng = np.random.default_rng([config.seed, state.epoch])
    # Everybody draws the same batches; dropout is drawn anew in every process.
    torch.manual_seed((int(rng.integers(2**63)) + workers.rank) % 2**63)
    windows = training_samples(data, model.config, config, rng)
    if not len(windows):
        raise FameError(
            f"Data set {data.name!r} has nothing to train on: a history needs at least four "
            "interactions (two to train, one to validate, one to test)."
        )
    plan = bucketed_batches(windows, config.batch_size, rng)
    make = partial(share_of_batch, data, windows, rank=workers.rank, count=workers.count)
    model.train()
    started, done, total, shown = time.perf_counter(), 0, 0.0, math.nan
    # Sums of the losses of the latest steps. To read them is to wait for the device, so they are
    # read now and then, all at once.
    unread, recent = 0, torch.zeros(READ_EVERY, dtype=torch.float64, device=device)
    with closing(batches_on(device, make, plan)) as batches:
        for step, batch in enumerate(batches):
            reading = step % READ_EVERY == 0 or step + 1 == len(plan)
            if (reading or workers.agree_at_once) and workers.any(should_stop()):
                raise Interrupted
            warm = (state.epoch * len(plan) + step + 1) / max(config.warmup_steps, 1)
            for group in state.optimizer.param_groups:
                group["lr"] = config.learning_rate * min(1.0, warm)
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                loss = objective(batch.items, batch.target_positions, batch.target)
            state.optimizer.zero_grad()
            # Gradients are averaged over processes, but a target counts the same in each of them.
            own = len(batch.target)
            (loss * (own * workers.count / batch.targets)).backward()
            state.optimizer.step()
            if state.average is not None:
                state.average.update_parameters(model)
            recent[unread] = loss.detach().double() * own
            unread += 1
            done += batch.targets
            if reading:
                for place, value in enumerate(workers.sum(recent[:unread]).tolist()):
                    if not math.isfinite(value):
                        raise _diverged(f"step {step + 2 - unread + place}", state, config)
                    total += value
                shown, unread = total / done, 0
            elapsed = time.perf_counter() - started
            on_step(
                Progress(
                    epoch=state.epoch + 1,
                    epochs=config.epochs,
                    step=step + 1,
                    steps=len(plan),
                    loss=shown,
                    positions_per_second=done / elapsed,
                    eta_seconds=_eta(state, config, elapsed, done / windows.targets),
                    learning_rate=state.optimizer.param_groups[0]["lr"],
                )
            )
    return total / done, done


def _diverged(where: str, state: TrainState, config: TrainConfig) -> FameError:
    kept = f"what epoch {state.epoch} left is kept" if state.epoch else "no epoch is kept"
    return FameError(
        f"The loss is no longer a number in epoch {state.epoch + 1}, from {where} on; try a "
        f"smaller learning_rate than {config.learning_rate:g} in a new run ({kept})."
    )


def _eta(state: TrainState, config: TrainConfig, elapsed: float, share: float) -> float:
    """Seconds until the last epoch; an epoch's validation is known once one was timed."""
    epoch_seconds = elapsed / share
    if state.history:
        last = state.history[-1]
        epoch_seconds += last["seconds"] - last["train_seconds"]
    return epoch_seconds * (config.epochs - state.epoch) - elapsed
