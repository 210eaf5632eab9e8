"""``bench gpu``: in a few minutes, whether a GPU does all that is built for it, and how fast.

Every step is a command of this project in a process of its own, so that one that fails leaves the
others their answers, and no step has more than what is left of the time. No network and no data
file is needed. What is measured is what ``bench train`` and ``bench loss`` measure.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import torch

from fame.bench import machine
from fame.bench.measure import Say
from fame.errors import FameError
from fame.training.loop import resolve_device

SECONDS = 360.0  # of all steps together
GOALS = {  # of the shape of MovieLens 20M, on a card of the class of an H200
    "epoch_seconds": 60.0,
    "epoch_memory_bytes": 16e9,
    "fame_over_sasrec": 1.1,
}
_TESTS = ("tests/integration/test_gpu.py", "tests/integration/test_bench_command.py")
_SHAPE = {  # of MovieLens 20M; on a CPU of something that it can do in the time
    "cuda": ("max_length=200", "width=128", "heads=4"),
    "cpu": ("max_length=20", "width=16", "heads=4"),
}
_SHARE = {  # of the time, at most; what one leaves goes to the steps that follow
    "tests": 0.28,
    "epoch": 0.35,
    "training": 0.25,
    "loss": 0.3,
    "compiled": 0.35,
}
_EPOCHS = ("fame", "fame_heads_loss", "fame_values", "sasrec")
# Not every size of chunk: each is measured in a process of its own, and starts take time.
_LOSSES = ("ours", "plain", "torch", "liger")


def bench_gpu(
    device: str = "cuda", *, scale: float = 1.0, seconds: float = SECONDS, say: Say
) -> dict[str, Any]:
    """All steps, in order of what they tell.

    Args:
        device: ``cuda`` or ``cuda:N``; ``cpu`` does the same steps to try the command itself.
        scale: Size of the made-up work, as a share of the full one.
        seconds: For all steps together.

    Returns:
        ``machine``; ``steps`` by name, each with ``seconds``, ``done`` and ``answer``, or ``why``
        it is lacking; ``goals``, each with its ``goal``, its ``figure`` and whether it is
        ``reached`` (``None`` where the figure is lacking).

    Raises:
        FameError: where the device is not there.
    """
    found = resolve_device(device)
    started = time.monotonic()
    steps: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory(prefix="fame-bench-gpu-") as folder:
        work: dict[str, Callable[[float], dict[str, Any]]] = {
            "tests": lambda limit: _tests(found, limit),
            "epoch": lambda limit: _epoch(found, scale, limit, _EPOCHS),
            "training": lambda limit: _training(device, Path(folder), scale, limit),
            "loss": lambda limit: _loss(found, scale, limit),
            "compiled": lambda limit: _compiled(found, scale, limit),
        }
        for name, step in work.items():
            left = seconds - (time.monotonic() - started)
            limit = min(left, _SHARE[name] * seconds)
            say(f"{name}, at most {max(limit, 0):.0f} s")
            began = time.monotonic()
            try:
                if limit < 1:
                    raise FameError("no time was left for it")
                steps[name] = {"done": True, "answer": step(limit)}
            except FameError as error:
                steps[name] = {"done": False, "why": str(error)}
            steps[name]["seconds"] = round(time.monotonic() - began, 1)
    return {"machine": machine.describe(found), "steps": steps, "goals": _goals(steps)}


def _goals(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals beside what was measured."""
    report = steps["epoch"].get("answer", {}).get("benches", {}).get("train", {})
    fame = report.get("rows", {}).get("fame", {})
    figures = {
        "epoch_seconds": fame.get("seconds", {}).get("median"),
        "epoch_memory_bytes": fame.get("peak_gpu_memory_bytes"),
        "fame_over_sasrec": report.get("ratios", {}).get("fame / sasrec", {}).get("median"),
    }
    return {
        name: {
            "goal": GOALS[name],
            "figure": figure,
            "reached": None if figure is None else figure <= GOALS[name],
        }
        for name, figure in figures.items()
    }


# --- steps --------------------------------------------------------------------------------------


def _tests(device: torch.device, limit: float) -> dict[str, Any]:
    """The tests that need a GPU, where the sources lie beside the library."""
    root = Path(__file__).resolve().parents[2]
    files = [name for name in _TESTS if (root / name).is_file()]
    if device.type != "cuda" or not files:
        raise FameError(
            "the tests need a CUDA device" if files else "the tests are not installed with it"
        )
    told = _run(["-m", "pytest", "-q", "-m", "gpu", *files], limit, cwd=root, may_fail=True)
    return {"said": told.strip().splitlines()[-12:]}


def _made_up(device: torch.device, scale: float) -> list[str]:
    settings = [part for setting in _SHAPE[device.type] for part in ("--set", setting)]
    return [
        *("--data", "synthetic:ml-20m", "--scale", f"{scale:g}", *settings),
        *("--device", str(device), "--repeats", "2", "--json"),
    ]


def _epoch(
    device: torch.device, scale: float, limit: float, only: Sequence[str], *settings: str
) -> dict[str, Any]:
    """A share of an epoch of MovieLens 20M's shape by each contender, in turns."""
    # A start, a warm-up as long as two repeats, and two repeats each.
    budget = max(1.0, limit / (7 * len(only)))
    told = _run(
        [
            *("-m", "fame", "bench", "train", *_made_up(device, scale)),
            *(part for setting in settings for part in ("--set", setting)),
            *(part for name in only for part in ("--only", name)),
            *("--budget", f"{budget:.0f}"),
        ],
        limit,
    )
    return _document(told)


def _compiled(device: torch.device, scale: float, limit: float) -> dict[str, Any]:
    """The epochs of the models to be compared once more, compiled."""
    if device.type != "cuda":
        raise FameError("compiled training is tried on a CUDA device alone")
    return _epoch(device, scale, limit, ("fame", "sasrec"), "compile=on")


def _loss(device: torch.device, scale: float, limit: float) -> dict[str, Any]:
    """The loss against PyTorch's chunked one, and Liger's where it is installed."""
    only = [part for name in _LOSSES for part in ("--only", name)]
    told = _run(["-m", "fame", "bench", "loss", *_made_up(device, scale), *only], limit)
    return _document(told)


def _training(device: str, folder: Path, scale: float, limit: float) -> dict[str, Any]:
    """A real run with validation on made-up clicks, ended in the middle and resumed."""
    home = {"XDG_CACHE_HOME": str(folder / "cache"), "FAME_DATA": ""}
    deadline = time.monotonic() + limit
    clicks, out = folder / "clicks.parquet", folder / "run"
    users, items = max(200, round(4000 * scale)), max(100, round(2000 * scale))

    def fame(*arguments: str) -> str:
        return _run(["-m", "fame", *arguments], deadline - time.monotonic(), environment=home)

    made = ("--users", str(users), "--items", str(items))
    fame("data", "generate", "facets", *made, "--out", str(clicks))
    catalogue = next(path for path in folder.glob("clicks*") if path != clicks)
    fame("data", "import", str(clicks), "--items", str(catalogue), "--name", "made-up")
    which = ("--data", "made-up", "--out", str(out), "--device", device)
    common = (*which, "--no-facets", "--no-projection")
    epochs = 3
    _stop_after_an_epoch(
        ["-m", "fame", "train", *common, "--epochs", str(epochs)],
        out,
        deadline - time.monotonic(),
        home,
    )
    before = len(_history(out))
    fame("train", *common, "--epochs", str(epochs), "--resume")
    rows = _history(out)
    if not before < len(rows):
        raise FameError(f"resumed after epoch {before}, the run ended with {len(rows)} rows")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {
        "resumed_after": before,
        "epochs": rows,
        "test": {name: metrics["test"][name] for name in ("HR@10", "NDCG@10")},
        "popularity": metrics["baselines"]["popularity"]["HR@10"],
    }


def _history(out: Path) -> list[dict[str, Any]]:
    file = out / "metrics.jsonl"
    if not file.is_file():
        return []
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    kept = ("epoch", "loss", "valid_NDCG@10", "seconds", "positions_per_second")
    return [{name: row[name] for name in kept} for row in rows]


def _stop_after_an_epoch(
    arguments: Sequence[str], out: Path, limit: float, environment: Mapping[str, str]
) -> None:
    """Starts a training, and asks it to stop when its first epoch is written down."""
    log = out.with_suffix(".log")
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdout=written,
            stderr=written,
        )
        try:
            deadline = time.monotonic() + limit
            while process.poll() is None and not _history(out):
                if time.monotonic() > deadline:
                    raise FameError(f"no epoch ended within {limit:.0f} s")
                time.sleep(0.05)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise FameError(f"it did not stop within {limit:.0f} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if not _history(out):
        told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise FameError(f"the training ended before its first epoch: {told[-1] if told else ''}")


def _run(
    arguments: Sequence[str],
    limit: float,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    may_fail: bool = False,
) -> str:
    """What a command prints; ``FameError`` with its last words where it fails or takes too long."""
    if limit <= 0:
        raise FameError("no time was left for it")
    with TemporaryFile("w+") as out, TemporaryFile("w+") as errors:
        # Files and no pipes: a process that outlives what started it would hold a pipe open.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise FameError(f"it took more than {limit:.0f} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        errors.seek(0)
        told, words = out.read(), errors.read()
    if process.returncode and not may_fail:
        lines = (words or told).strip().splitlines()
        raise FameError(f"{' '.join(arguments[1:4])} failed: {lines[-1] if lines else 'no word'}")
    return told


def _document(told: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(told)
    return document
