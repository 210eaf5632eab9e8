"""Whether a run fits into memory, said before its first step.

Shapes: ``P`` parameters · ``T`` positions · ``D`` width.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Windows
from fame.errors import FameError
from fame.evaluate import default_batch
from fame.losses import chunk_rows
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model, costs_of, made_of_values, ranking_heads

GIB = 2**30
# Tables as large as the item table that composing it of values leaves for its backward pass: sums,
# values' parts, the table itself, and the gradients of table and parts on their way back.
COMPOSED = 5


@dataclass(frozen=True)
class MemoryNeed:
    """What a run takes on its device beside what is there already, in bytes.

    Attributes:
        weights: Parameters, gradients and Adam's two moments; their running average where there is
            one; on a CPU the best epoch's weights, and with several processes the gradients on
            their way.
        activations: What the largest possible batch leaves for its backward pass.
        loss: A chunk of logits and the gradient of the item table, and what composing that of
            values leaves. Against drawn items also the
            targets' embeddings; over the whole catalogue the table as it is ranked, where that is
            another, and, with the heads' own loss, as they see it; and the gradients of these.
        ranking: A batch of people without a backward pass, and their scores over the catalogue; on
            a CPU the baselines' too, which are in double precision.
        samples: On a CPU where each sample begins and ends, and in which order they come.
    """

    weights: int
    activations: int
    loss: int
    ranking: int
    samples: int = 0

    @property
    def total(self) -> int:
        """The most at one time: ranking happens when no step is under way."""
        return self.weights + self.samples + max(self.activations + self.loss, self.ranking)


def count_parameters(config: ModelConfig, num_items: int, values: ValueIndex | None = None) -> int:
    """P, exactly, without making one; ``values`` as of :func:`fame.models.registry.build_model`."""
    with torch.device("meta"):
        return build_model(config, num_items, values).parameter_count


def kept_values(config: ModelConfig, length: int, *, last_only: bool = False) -> float:
    """What the backward pass needs of every position, in units of D.

    3 values around the embeddings, and what the model's :class:`~fame.models.costs.ModelCosts` say
    of its blocks and of the length of a cosine. With relative positions no fused kernel runs: then
    also the weights of every query head over ``length`` positions, and copies of queries, keys and
    values.

    Args:
        last_only: Of the last block only one of many positions is asked for, so that its keys and
            values, and what they were made of, are nearly all that is left of it: 3 values.
    """
    costs = costs_of(config)
    whole = costs.blocks[: config.layers - last_only]
    values = 3 + sum(block.kept for block in whole) + 3 * last_only
    if config.score != "dot" and not last_only:
        values += costs.cosine
    if config.positions == "absolute":
        return values
    copies = sum(block.relative_copies for block in whole)
    weights = sum(block.query_heads for block in whole) * length
    if last_only:
        weights += costs.blocks[-1].query_heads
    return values + copies + weights / config.width


def memory_need(
    model_config: ModelConfig,
    train_config: TrainConfig,
    num_items: int,
    windows: Windows,
    *,
    device: torch.device,
    precision: torch.dtype,
    processes: int = 1,
    values: ValueIndex | None = None,
) -> MemoryNeed:
    """Estimates what one process of a run takes on its device.

    Args:
        windows: What is trained on; no batch is larger than all of them, or wider than the longest.
        processes: How many share a batch.
        values: Which item has which values, where the model makes items of them.
    """
    P, D = count_parameters(model_config, num_items, values), model_config.width
    T = int(windows.lengths.max(initial=1))
    samples = -(-min(train_config.batch_size, len(windows)) // processes)
    positions, targets = samples * T, samples * (1 if windows.last_only else T)
    passing = max(block.passing for block in costs_of(model_config).blocks)
    # Autocast keeps two thirds of them in its own precision.
    value = 4 if precision == torch.float32 else 8 / 3
    heads_too = ranking_heads(model_config) > 1 and train_config.head_loss_weight > 0
    on_cpu = device.type == "cpu"
    # In the precision of products, and where that is lower in float32 too.
    logit = 4 if precision == torch.float32 else 8
    if train_config.negatives:
        logits = (
            logit * min(chunk_rows(device.type, negatives=True), targets) * train_config.negatives
        )
        # Embeddings of the targets, as they are and as they are ranked, and gradients of these and
        # of the queries; the last two by the heads' eyes as well.
        logits += (4 + 2 * heads_too) * 4 * targets * D
        tables = 1
    else:
        # A GPU holds logits and shares instead, both in the precision of products.
        held = logit if on_cpu else 2 * precision.itemsize
        logits = held * min(chunk_rows(device.type), targets) * num_items
        # As it is learnt and as it is ranked; each as it is, as the heads see it, and its gradient.
        tables = (1 if model_config.score == "dot" else 2) * (3 if heads_too else 1)
    if made_of_values(model_config):
        tables += COMPOSED
    kept = kept_values(model_config, T, last_only=windows.last_only)
    return MemoryNeed(
        weights=4 * P * (4 + on_cpu + (processes > 1) + (train_config.weight_average > 0)),
        activations=int((value * kept + 4 * passing) * positions * D),
        loss=logits + tables * 4 * num_items * D,
        ranking=default_batch(device) * (num_items * (12 if on_cpu else 8) + 4 * passing * T * D),
        samples=48 * len(windows) if on_cpu else 0,  # two arrays, their order, and what is passing
    )


def available_memory(device: torch.device) -> int:
    """Bytes that a process can still have on a device, in its container where it runs in one."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *_left_in_container()])


def check_memory(need: MemoryNeed, device: torch.device, *, sharing: int = 1) -> None:
    """``FameError`` where a run cannot fit.

    Args:
        sharing: Processes that take as much of the same memory.
    """
    free = available_memory(device)
    if need.total * sharing <= free:
        return
    fewer_items = "keep fewer items in the data, or choose a device with more memory"
    pieces = (
        (need.weights, "weights and optimizer", "lower width or layers"),
        (need.activations, "a batch", "lower batch_size or max_length"),
        (need.loss, "the loss over all items", fewer_items),
        (need.ranking, "ranking all items", fewer_items),
        (need.samples, "the list of samples", "set samples=windows"),
    )
    listed = ", ".join(f"{size * sharing / GIB:.1f} for {name}" for size, name, _ in pieces if size)
    raise FameError(
        f"This run needs about {need.total * sharing / GIB:.1f} GiB of memory on the {device.type} "
        f"({listed}), and {free / GIB:.1f} GiB are free; {max(pieces)[2]}."
    )


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process had: on CUDA of the device, else of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        # Not the resource module's figure where there is this one: that can be the parent's.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _left_in_container(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> list[int]:
    """What the control groups of this process leave of their limits, version 2 and version 1.

    A container sees its own group as the root; elsewhere any group above may have the limit.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, used, cache = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit = root / "memory", "memory.limit_in_bytes"
            used, cache = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(base):
                break
            try:
                bound, taken = (int((folder / name).read_text()) for name in (limit, used))
                # Pages of files that nobody uses now are given back when they are needed.
                statistics = dict(
                    row.split() for row in (folder / "memory.stat").read_text().splitlines()
                )
            except (OSError, ValueError):  # no limit there ("max"), or no such group
                continue
            left.append(bound - taken + int(statistics.get(cache, 0)))
    return left
