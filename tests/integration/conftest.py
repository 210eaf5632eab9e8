"""A small world for whole runs: made-up people, a catalogue, and a command line of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from tests.tiny import cyclic_interactions

SHAPE = ModelConfig(width=16, heads=2, experts=2, layers=2, max_length=8, dropout=0.2)
TRAINING = TrainConfig(epochs=4, batch_size=16, learning_rate=1e-2, patience=0, device="cpu")

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


def made_up_dataset(name: str = "walks") -> Dataset:
    """96 people who walk round 12 items; every fourth click is followed by a certain next one."""
    interactions = replace(cyclic_interactions(people=96, num_items=12, length=11), name=name)
    items = pd.DataFrame(
        {
            "item_id": interactions.item_ids[1:],
            "title": [f"Place <b>{item}</b>" for item in range(1, 13)],
            "region": ["north", "south"] * 6,
        }
    )
    return Dataset(interactions, items, source="made up for a test")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return made_up_dataset()


def history_lines(dataset: Dataset) -> str:
    """The histories as a CSV that ``data import`` reads."""
    data = dataset.interactions
    rows = ["user,item,timestamp"]
    for user, user_id in enumerate(data.user_ids):
        for time, item in enumerate(data.sequence(user)):
            rows.append(f"{user_id},{data.item_ids[item]},{time}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """A home folder whose cache holds the made-up data set under its name."""
    home = tmp_path_factory.mktemp("home")
    (home / "walks.csv").write_text(history_lines(dataset))
    dataset.items.to_csv(home / "items.csv", index=False)
    arguments = ["data", "import", str(home / "walks.csv"), "--name", "walks"]
    done = command_line(home, *arguments, "--items", str(home / "items.csv"))
    assert done.returncode == 0, done.stderr
    return home


def environment(home: Path) -> dict[str, str]:
    """Caches below ``home`` on Linux and macOS, one thread, nothing of the machine's own data."""
    kept = {key: value for key, value in os.environ.items() if key != "FAME_DATA"}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def command_line(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m fame`` to its end, with the caches of ``home``."""
    return subprocess.run(
        [sys.executable, "-m", "fame", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="session")
def process(home: Path) -> CommandLine:
    """``process("trace", ...)`` runs that command in the made-up home, as a process."""
    return lambda *arguments: command_line(home, *arguments)


@pytest.fixture(scope="session")
def fame(home: Path) -> CommandLine:
    """The same inside this process, which saves the start."""
    from fame.cli import app

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        result = CliRunner().invoke(app, list(arguments), env=environment(home))
        fault = result.exception
        if fault is not None and not isinstance(fault, SystemExit):
            raise fault
        return subprocess.CompletedProcess(
            arguments, result.exit_code, result.stdout, result.stderr
        )

    return run
