"""Commands with odd values by the dozen: each ends well, or is refused in words."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fame.cli import app
from tests.integration.conftest import CommandLine

ODD = (
    "", "-1", "0", "1e999", "nan", "x", "x" * 5000, "../x", "/dev/null", "é\n", "1,2", "0.5", "[",
    "9" * 20, "*", "i1", "u0", "walks", "2", "a=b", "year=1998", "\x7f", "tpu", "=", ":", "0:0",
)  # fmt: skip
# What takes long, stands alone, or goes to the outside.
LEFT_OUT = {("bench",), ("reproduce",), ("cold",), ("push",), ("data", "fetch")}
SMALL = ["--data", "walks", "--epochs", "1", "--set", "width=8", "--no-projection"]
ALWAYS = {("train",): SMALL}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its name, those of groups too."""
    if hasattr(command, "commands"):
        for name, own in command.commands.items():
            yield from commands(own, (*path, name))
    elif path not in LEFT_OUT:
        yield path, command


EVERY = list(commands(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def checkpoint(fame: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checkpoints") / "small"
    assert fame("train", *SMALL, "--out", str(out)).returncode == 0
    return out


def odd_command(rng: random.Random, checkpoint: str) -> list[str]:
    path, command = rng.choice(EVERY)
    given = [*path, *ALWAYS.get(path, [])]
    options = []
    for parameter in command.params:
        if parameter.param_type_name == "option":
            options.append(parameter)
        elif parameter.name == "checkpoint":
            given.append(checkpoint if rng.random() < 0.9 else rng.choice(ODD))
        elif rng.random() < 0.8:
            given.append(rng.choice(ODD))
    for option in rng.sample(options, min(len(options), rng.choice([1, 1, 2]))):
        given += [option.opts[0], *([] if option.is_flag else [rng.choice(ODD)])]
    return given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_odd_commands_end_well_or_are_refused_in_words(
    fame: CommandLine,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    shutil.copytree(checkpoint, tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    rng, ends = random.Random(seed), set()
    for _ in range(25):
        given = odd_command(rng, "own")
        done = fame(*given)  # raises what is no refusal
        ends.add(done.returncode)
        assert done.returncode in (0, 2), given
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            assert lines[0].startswith("Usage:") or (
                lines[-1].startswith("Error: ") and "Traceback" not in done.stderr
            ), given
    assert ends == {0, 2}, "both ends occur, or nothing was tried"
