"""What the figures were measured on, and the best it can do."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import fame

# Rows of a product at which its best rate is looked for. On a CPU more rows are bound by memory.
_CPU_ROWS = (64, 128, 256, 512)
_GPU_ROWS = (4096, 16384)
_SECONDS_A_PRODUCT = 0.05


def describe(device: torch.device) -> dict[str, Any]:
    """Machine, threads and versions, for the answer of every bench."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16_products": has_bf16_products(torch.device("cpu")),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "device": str(device),
        "load_average": os.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "fame": fame.__version__,
    }


def _cpu_entry(*names: str) -> str:
    """The first value of any of these names in ``/proc/cpuinfo``; empty where it is not there."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in found if name.strip() in names), "")


def _cpu_name() -> str:
    return _cpu_entry("model name") or platform.processor() or platform.machine()


def has_bf16_products(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; without, bf16 is slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_cpu_entry("flags", "Features").split()))


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds of ``work``, until the device is done with it."""
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started


class MatrixPeak:
    """Best rate of the loss's three matrix products, over several numbers of rows.

    Args:
        items: V.
        width: D.
        dtype: ``float32`` or ``bfloat16``.
    """

    def __init__(self, items: int, width: int, dtype: str, device: str) -> None:
        self._device = torch.device(device)
        self._rows = _CPU_ROWS if self._device.type == "cpu" else _GPU_ROWS
        kind: torch.dtype = getattr(torch, dtype)

        def drawn(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, device=self._device).to(kind)

        self._table, self._table_gradient = drawn(items, width), drawn(items, width)
        self._query, self._query_gradient = (drawn(max(self._rows), width) for _ in range(2))
        self._logits = drawn(max(self._rows), items)
        self()  # warm-up

    def __call__(self) -> dict[str, float]:
        """``flops_per_second`` at the best number of ``rows``."""
        best = (0.0, 0)
        for rows in self._rows:
            query, logits = self._query[:rows], self._logits[:rows]
            products = (
                partial(torch.mm, query, self._table.T, out=logits),
                partial(torch.mm, logits, self._table, out=self._query_gradient[:rows]),
                partial(torch.mm, logits.T, query, out=self._table_gradient),
            )
            flops = 2 * rows * self._table.numel()
            best = max(best, *((flops * self._per_second(product), rows) for product in products))
        return {"flops_per_second": best[0], "rows": best[1]}

    def _per_second(self, product: Callable[[], Any]) -> float:
        calls = max(1, round(_SECONDS_A_PRODUCT / max(timed(product, self._device), 1e-6)))
        return calls / timed(lambda: [product() for _ in range(calls)], self._device)
