"""The training loop: tensors in, tensors out; it knows no files.

Shapes: ``B`` batch · ``T`` positions · ``N`` real positions in a batch · ``D`` width · ``H`` heads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Interactions, bucketed_batches, gather_padded, training_windows
from fame.errors import FameError
from fame.evaluate import evaluate
from fame.losses import head_cross_entropy, linear_cross_entropy
from fame.model import SequenceModel, build_model

SELECTION = "NDCG@10"  # the validation figure that early stopping and the best epoch go by


@dataclass(frozen=True)
class Progress:
    """Where a run is, after a step.

    ``positions_per_second`` counts real targets, since the epoch began; ``eta_seconds`` is until
    the last epoch, validation included, if training does not stop early.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    positions_per_second: float
    eta_seconds: float


@dataclass
class TrainState:
    """All that a run needs to go on from the end of an epoch, besides data and configurations.

    Batches and dropout of an epoch are drawn from the seed and the number of the epoch, so no
    generator's state has to be kept.
    """

    model: SequenceModel
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best_score: float = -math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights as they are now, on the CPU."""
        return {
            name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()
        }


class Interrupted(Exception):
    """Raised inside an epoch when the run was asked to stop; the state is the last epoch's."""


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; ``FameError`` for a device not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
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
    """AdamW, fused; weight decay on matrices only."""
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
    model_config: ModelConfig, train_config: TrainConfig, num_items: int, device: torch.device
) -> TrainState:
    """An untrained model and its optimizer, the same for the same seed on every device."""
    torch.manual_seed(train_config.seed)
    model = build_model(model_config, num_items).to(device)
    return TrainState(model, make_optimizer(model, train_config))


def training_loss(
    model: SequenceModel, items_BT: Tensor, real_N: Tensor, target_N: Tensor, config: TrainConfig
) -> Tensor:
    """Mean cross-entropy over the real positions, all items as candidates.

    ``fused + head_loss_weight * mean over heads of the head's own``; the second term only where
    there are heads.

    Args:
        real_N: Places of the real positions in the flattened ``(B * T)``.
        target_N: Rows of the item table (item index - 1) that came next at those positions.
    """
    encoding = model(items_BT)
    query_ND = encoding.query.flatten(0, 1)[real_N]
    smoothing = config.label_smoothing
    loss = linear_cross_entropy(query_ND, model.item_table, target_N, smoothing=smoothing)
    if config.head_loss_weight and model.heads > 1:
        state_NHK = encoding.head_states.flatten(0, 1)[real_N]
        by_head = head_cross_entropy(
            state_NHK, model.sub_embeddings(), target_N, smoothing=smoothing
        )
        loss = loss + config.head_loss_weight * by_head
    return loss


def fit(
    state: TrainState,
    data: Interactions,
    config: TrainConfig,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[TrainState], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Trains ``state`` until its epochs are done or patience runs out.

    Args:
        state: Changed in place; at the end ``state.best_weights`` is the best epoch's model.
        on_epoch: Called after every epoch's validation, when ``state`` is complete.
        should_stop: Asked before every step.

    Returns:
        Whether training came to its end; ``False`` where it was asked to stop. The state is then
        the last complete epoch's, except for the model and optimizer, which are mid-epoch.
    """
    while state.epoch < config.epochs and not out_of_patience(state, config):
        started = time.perf_counter()
        try:
            loss, positions = _train_epoch(state, data, config, on_step, should_stop)
        except Interrupted:
            return False
        train_seconds = time.perf_counter() - started
        figures = evaluate(state.model, data, "valid")
        state.epoch += 1
        if figures[SELECTION] > state.best_score:
            state.best_score, state.best_epoch = figures[SELECTION], state.epoch
            state.best_weights = state.weights()
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": loss,
                **{f"valid_{name}": value for name, value in figures.items() if name != "users"},
                "seconds": time.perf_counter() - started,
                "train_seconds": train_seconds,
                "positions_per_second": positions / train_seconds,
            }
        )
        on_epoch(state)
    return True


def out_of_patience(state: TrainState, config: TrainConfig) -> bool:
    """Whether ``patience`` epochs in a row brought no better validation figure."""
    return bool(config.patience) and state.epoch - state.best_epoch >= config.patience


def _train_epoch(
    state: TrainState,
    data: Interactions,
    config: TrainConfig,
    on_step: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> tuple[float, int]:
    """One pass over every target; mean loss and number of targets."""
    model, device = state.model, next(state.model.parameters()).device
    precision = resolve_precision(config.precision, device)
    rng = np.random.default_rng([config.seed, state.epoch])
    torch.manual_seed(int(rng.integers(2**63)))
    windows = training_windows(data, model.config.max_length, rng)
    if not len(windows):
        raise FameError(
            f"Data set {data.name!r} has nothing to train on: a history needs at least four "
            "interactions (two to train, one to validate, one to test)."
        )
    batches = bucketed_batches(windows, config.batch_size, rng)
    model.train()
    started, done = time.perf_counter(), 0
    total = torch.zeros((), dtype=torch.float64, device=device)
    shown = math.nan
    for step, index in enumerate(batches):
        if should_stop():
            raise Interrupted
        starts, lengths = windows.starts[index], windows.lengths[index]
        target_BT = gather_padded(data.items, starts + 1, lengths)
        real_N = np.flatnonzero(target_BT)
        inputs_BT = gather_padded(data.items, starts, lengths)
        items, real, target = (
            _to_device(part, device) for part in (inputs_BT, real_N, target_BT.flat[real_N] - 1)
        )
        warm = (state.epoch * len(batches) + step + 1) / max(config.warmup_steps, 1)
        for group in state.optimizer.param_groups:
            group["lr"] = config.learning_rate * min(1.0, warm)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss = training_loss(model, items, real, target, config)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        targets = int(lengths.sum())
        total += loss.detach().double() * targets
        done += targets
        # Reading the loss waits for the device, so it is read now and then.
        if step % 20 == 0 or step + 1 == len(batches):
            shown = float(total) / done
            if not math.isfinite(shown):
                raise FameError(
                    f"The loss is no longer a number in epoch {state.epoch + 1}, by step "
                    f"{step + 1}; try a smaller learning_rate than {config.learning_rate:g}."
                )
        elapsed = time.perf_counter() - started
        on_step(
            Progress(
                epoch=state.epoch + 1,
                epochs=config.epochs,
                step=step + 1,
                steps=len(batches),
                loss=shown,
                positions_per_second=done / elapsed,
                eta_seconds=_eta(state, config, elapsed, done / windows.targets),
            )
        )
    return float(total) / done, done


def _to_device(array: np.ndarray, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


def _eta(state: TrainState, config: TrainConfig, elapsed: float, share: float) -> float:
    """Seconds until the last epoch; an epoch's validation is known once one was timed."""
    epoch_seconds = elapsed / share
    if state.history:
        last = state.history[-1]
        epoch_seconds += last["seconds"] - last["train_seconds"]
    return epoch_seconds * (config.epochs - state.epoch) - elapsed
