"""The processes that train one model together, one a device, through Hugging Face Accelerate.

``accelerate launch`` starts them. Every one holds the whole model, reads its share of a batch and
averages its gradients with the others', so that all of them take the same step.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from fame.errors import FameError

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# How long a process waits for one that no longer answers. The longest honest wait is for a
# neighbour's batch, or for the first process to write an epoch's weights.
TIMEOUT = timedelta(minutes=10)

# Where launchers say how many processes they started: torch's and Accelerate's, then those of MPI.
_COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
# Ways of Accelerate that cut the model itself in pieces.
_SHARDING = ("DEEPSPEED", "FSDP", "MEGATRON_LM", "PARALLELISM_CONFIG")


@dataclass(frozen=True)
class Workers:
    """This process among those that train together; by default it is alone.

    Every method that exchanges something has to be called by all processes, in the same order.

    Args:
        device: Where this process computes.
        rank: Its number, counted from 0; the first one writes and speaks for all.
        count: How many there are.
        sharing: How many of them compute on one CPU and share its memory.
        accelerator: What they exchange through; ``None`` where there is one process.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    sharing: int = 1
    accelerator: Accelerator | None = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def agree_at_once(self) -> bool:
        """Whether an answer of all costs next to nothing; on GPUs it has to be waited for."""
        return self.accelerator is None or self.device.type == "cpu"

    def synchronised(self, objective: nn.Module) -> nn.Module:
        """The objective whose backward pass averages gradients over processes.

        The parameters stay the same objects; the first process's values are given to all.
        """
        return objective if self.accelerator is None else self.accelerator.prepare(objective)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every process's tensor, on all of them."""
        if self.accelerator is None:
            return values
        return self.accelerator.reduce(values.to(self.device), reduction="sum").to(values.device)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(int(flag)))) if self.accelerator else flag

    def on_first(self, call: Callable[[], Result]) -> Result | None:
        """Lets the first process do something; where that fails, it fails in all of them.

        Raises:
            FameError: in the others, with what the first one said; that one raises its own error.
        """
        if self.accelerator is None:
            return call()
        from accelerate.utils import broadcast_object_list

        result, error = None, None
        if self.is_first:
            try:
                result = call()
            except BaseException as raised:
                error = raised
        said = broadcast_object_list([None if error is None else str(error) or repr(error)])
        if said[0] is not None and not self.is_first:
            raise FameError(said[0])
        if error is not None:
            raise error
        return result

    def leave(self) -> None:
        """Ends the exchange: from here on every process is on its own."""
        if self.accelerator is not None:
            # What holds the exchange in cycles goes now: left to the end of Python, its threads
            # brought down about one finished process in seven with SIGABRT.
            gc.collect()
            self.accelerator.end_training()


def sent_to_cpu() -> bool:
    """Whether Accelerate's launcher was told to use the CPU."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "yes", "1")


def launched() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return max(int(os.environ.get(name) or 1) for name in _COUNTS)


def join(device: torch.device) -> Workers:
    """Meets the other processes of this launch; one that was started alone stays alone.

    Args:
        device: The kind of device that was asked for; of several processes each has its own.

    Raises:
        FameError: for devices that do not go round, and for ways of Accelerate that this training
            does not know.
    """
    if launched() == 1:
        # Accelerate's launcher for CPUs leaves the starting to MPI, and without it starts just one.
        if sent_to_cpu() and "MASTER_PORT" in os.environ:
            logger.warning(
                "Only one process was started; for several on CPUs launch with --multi_gpu in "
                "place of --cpu, and train with --device cpu."
            )
        return Workers(device)
    for name in _SHARDING:
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true":
            raise FameError(
                f"Accelerate is set up for {name}, but FAME trains whole copies of its model side "
                "by side; launch with --multi_gpu, or choose plain multi-GPU in accelerate config."
            )
    if device.index is not None:
        raise FameError(
            f"Device {str(device)!r} is one device, but several processes were launched; choose "
            f"--device {device.type}, and each has its own."
        )
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    if device.type == "cuda" and here > torch.cuda.device_count():
        raise FameError(
            f"{here} processes were launched on a machine with {torch.cuda.device_count()} CUDA "
            "devices; launch as many processes as there are devices."
        )
    # Imported here because it takes a third of a second, and most runs have one process.
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    on_cpu = device.type == "cpu"
    # Precision and compilation are settings of this project, whatever the launcher was told.
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="no",
        dynamo_backend="no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
    )
    return Workers(
        device=device if on_cpu else accelerator.device,
        rank=accelerator.process_index,
        count=accelerator.num_processes,
        sharing=here if on_cpu else 1,
        accelerator=accelerator,
    )
