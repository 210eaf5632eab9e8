"""The answers of the benches as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fame.bench.measure import Cell, Figure, Report


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e6:.3g} us"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: float) -> str:
    return f"{value / 1e9:.2f} GB" if value >= 1e8 else f"{value / 1e6:.1f} MB"


# What a figure is called above its column, and how it is written; others are for JSON only.
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "seconds": ("time", _seconds),
    "read_seconds": ("read", _seconds),
    "open_seconds": ("open again", _seconds),
    "batch_seconds": ("split and batch", _seconds),
    "p50_seconds": ("p50", _seconds),
    "p95_seconds": ("p95", _seconds),
    "p50_forward_seconds": ("p50 of the forward pass", _seconds),
    "positions_per_second": ("positions/s", _count),
    "people_per_second": ("people/s", _count),
    "share_of_peak": ("of peak", lambda value: f"{value:.0%}"),
    "flops": ("TFLOP", lambda value: f"{value / 1e12:.3g}"),
    "cores_busy": ("cores busy", lambda value: f"{value:.2f}"),
    "extra_memory_bytes": ("memory", _bytes),
    "peak_memory_bytes": ("peak memory", _bytes),
    "peak_gpu_memory_bytes": ("GPU memory", _bytes),
    "loss_error": ("error of the loss", lambda value: f"{value:.0e}"),
    "gradient_error": ("of the gradient", lambda value: f"{value:.0e}"),
    "inputs": ("inputs", _count),
    "right": ("right", _count),
    "sentence": ("sentence", _count),
    "traceback": ("traceback", _count),
    "hang": ("hang", _count),
    "silent": ("silent", _count),
    "items": ("items", _count),
    "histories": ("histories", str),
    "file_bytes": ("file", _bytes),
}


def _spread(figure: Figure, write: Callable[[float], str]) -> str:
    text = write(figure.median)
    if len(figure.values) > 1:
        text += f" ({write(figure.low)} .. {write(figure.high)})"
    return text


def _cell(name: str, value: Cell | None) -> str:
    if value is None:
        return "-"
    write = _COLUMNS[name][1]
    return _spread(value, write) if isinstance(value, Figure) else write(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def table(report: Report) -> str:
    """One bench as text: a line a contender, then the ratios, then what was not measured."""
    there = {name for row in report.rows.values() for name in row}
    columns = [name for name in _COLUMNS if name in there]
    lines = [report.title, *(f"  {note}" for note in report.notes)]
    if columns:
        heading = ["", *(_COLUMNS[name][0] for name in columns)]
        rows = [
            [label, *(_cell(name, row.get(name)) for name in columns)]
            for label, row in report.rows.items()
        ]
        lines += _aligned([heading, *rows])
    lines += _aligned(
        [[label, _spread(ratio, "{:.3g}".format)] for label, ratio in report.ratios.items()]
    )
    lines += [f"  {name}: not measured ({why})" for name, why in report.missing.items()]
    return "\n".join(lines)


def machine_line(machine: dict[str, Any]) -> str:
    """What the figures were measured on."""
    where = machine["gpu"] or machine["cpu"]
    return (
        f"{where}; {machine['cores']} cores, {machine['threads']} threads, "
        f"PyTorch {machine['torch']}, Python {machine['python']}; "
        f"load before: {machine['load_average']:.1f}"
    )
