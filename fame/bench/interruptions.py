"""Work that is killed at a random moment, or has nowhere to write, and is then done once more.

A training, an import and an append, each in a process of its own. Whatever stopped it, three things
are held: what can be read meanwhile is what lay there before or what was to come, doing it once
more ends in the same bits as if nothing had happened, and nothing half written is left.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fame.bench.ends import Silent, hold
from fame.bench.measure import NotMeasured
from fame.checkpoint import WEIGHTS, load_checkpoint
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset, load
from fame.data.imports import append_file, import_file, names
from fame.data.sequences import Interactions
from fame.errors import CheckpointError, FameError
from fame.files import file_hash
from fame.training.runs import RunFolder
from fame.training.train import train

_ROOM = 64 * 2**20  # bytes of a disk for one input, where it is not to be full
_PAGE = 4_096  # of which such a disk is made
_CACHE = "XDG_CACHE_HOME"  # the setting that says where sets lie
_PATIENCE = 120.0  # seconds after which a process hangs


@dataclass(frozen=True)
class Work:
    """One thing that is done in a folder.

    Args:
        before: Makes what lies there before.
        do: Does it, or goes on with it; runs in another process.
        seen: What can be read there at any time, named by its content: a stopped ``do`` may leave
            what was there before it or what is there after it, and nothing else.
        result: What an undisturbed ``do`` leaves and every other one has to, by name.
    """

    before: Callable[[Path], None]
    do: Callable[[Path], None]
    seen: Callable[[Path], str]
    result: Callable[[Path], dict[str, Any]]


# --- a training -----------------------------------------------------------------------------------

_MODEL = ModelConfig(width=8, heads=2, experts=2, layers=1, max_length=6, head_facets="kind/")
_TRAINING = TrainConfig(epochs=4, patience=0, batch_size=16, negatives=4, device="cpu")


def _walks() -> Dataset:
    """48 people who walk round ten items of two kinds."""
    people, steps, ids = 48, 8, np.array(["", *(f"i{k}" for k in range(10))], dtype=object)
    first, step = np.arange(people)[:, None], np.arange(steps)
    data = Interactions(
        name="walks",
        user_ids=np.array([f"u{k}" for k in range(people)], dtype=object),
        item_ids=ids,
        items=(1 + (first + step) % 10).astype(np.int32).ravel(),
        offsets=np.arange(0, people * steps + 1, steps),
    )
    kinds = pd.array([f"kind {k % 2}" for k in range(10)], dtype="string")
    items = pd.DataFrame({"item_id": ids[1:], "title": ids[1:], "kind": kinds})
    return Dataset(data, items, "made up")


def _train(folder: Path) -> None:
    """Without its looks at the end: where these are missing, commands of their own make them."""
    run = RunFolder(folder / "run")
    if not run.has_ended():
        resume = run.can_resume() or run.is_beginning()
        train(_walks(), _MODEL, _TRAINING, run.path, resume=resume, projection=False, facets=False)


def _last_epoch(folder: Path) -> str:
    """A run is as good as its epochs are: what its page and its checkpoint say must open."""
    run = RunFolder(folder / "run")
    run.status()
    rows, broken = run.read_history()
    if broken or [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        raise Silent(f"of the epochs {[row['epoch'] for row in rows]} are kept, {broken} broken")
    if (run.path / WEIGHTS).exists():
        try:
            load_checkpoint(run.path)
        except CheckpointError:
            if run.can_resume() or run.has_ended():
                raise
    return ""


def _of_run(folder: Path) -> dict[str, Any]:
    run = RunFolder(folder / "run")
    status, ranks = run.status(), run.ranks()
    clocks = ("seconds", "per_second")
    return {
        "weights": file_hash(run.path / WEIGHTS),
        "ranks": None if ranks is None else ranks.tolist(),
        "epochs": [
            {key: value for key, value in row.items() if not key.endswith(clocks)}
            for row in run.history()
        ],
        "phase": status and status.phase,
        "files": _files(run.path),
    }


# --- a set of one's own ---------------------------------------------------------------------------


def _clicks(first: int, after: int) -> str:
    rows = (f"u{k % 40},i{k * 7 % 30},{1_600_000_000 + k}\n" for k in range(first, after))
    return "user_id,item_id,timestamp\n" + "".join(rows)


def _files_of_clicks(folder: Path) -> None:
    (folder / "older.csv").write_text(_clicks(0, 400))
    (folder / "newer.csv").write_text(_clicks(400, 600))
    kinds = (f"i{k},Thing {k},kind {k % 3}\n" for k in range(30))
    (folder / "items.csv").write_text("item_id,title,kind\n" + "".join(kinds))


def _older_imported(folder: Path) -> None:
    _files_of_clicks(folder)
    import_file(folder / "older.csv", "mine", folder / "items.csv")


def _import(folder: Path) -> None:
    import_file(folder / "newer.csv", "mine", folder / "items.csv", replace=True)


def _append(folder: Path) -> None:
    append_file(folder / "newer.csv", "mine")


def _set(folder: Path) -> str:
    if "mine" not in names():
        return "nothing"
    dataset = load("mine")
    told = pd.util.hash_pandas_object(dataset.items).sum()
    return f"{dataset.interactions.fingerprint} {told}"


def _of_set(folder: Path) -> dict[str, Any]:
    return {"set": _set(folder), "files": _files(folder)}


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


WORKS: dict[str, Work] = {
    "training": Work(lambda folder: None, _train, _last_epoch, _of_run),
    "import": Work(_files_of_clicks, _import, _set, _of_set),
    "import in place of another": Work(_older_imported, _import, _set, _of_set),
    "append": Work(_older_imported, _append, _set, _of_set),
}


# --- the three kinds ------------------------------------------------------------------------------


def kills(folder: Path) -> Callable[[random.Random], None]:
    """Work that is killed once or twice."""
    undisturbed = _Undisturbed(folder)

    def try_one(rng: random.Random) -> None:
        with _begun(rng, folder, undisturbed) as (name, here):
            for _ in range(rng.choice([1, 1, 2])):
                _killed(name, here, rng.uniform(0, 1.2 * undisturbed.seconds(name)))
                _hold_seen(name, here, undisturbed)

    return try_one


def full_disks(folder: Path) -> Callable[[random.Random], None]:
    """Work on a disk that takes a part of what it writes, and then has room again."""
    _check_mounting(folder)
    undisturbed = _Undisturbed(folder)

    def try_one(rng: random.Random) -> None:
        with _disk(folder / "disk") as disk, _begun(rng, disk, undisturbed) as (name, here):
            taken, need = _bytes_on(disk), undisturbed.bytes(name)
            room = _PAGE * rng.randrange(1, max(2, need // _PAGE))  # 0 bytes would be no limit
            _remount(disk, f"size={taken + room}")
            refused = _done(name, here)
            _hold_seen(name, here, undisturbed)
            _remount(disk, f"size={_ROOM}")
        if refused is not None:
            raise refused

    return try_one


def read_only(folder: Path) -> Callable[[random.Random], None]:
    """Work where nothing can be written, from its start or from a moment in it."""
    _check_mounting(folder)
    undisturbed = _Undisturbed(folder)

    def try_one(rng: random.Random) -> None:
        with _disk(folder / "disk") as disk, _begun(rng, disk, undisturbed) as (name, here):
            if rng.random() < 0.5:
                _killed(name, here, rng.uniform(0, undisturbed.seconds(name)))
            before = _contents(here)
            _remount(disk, "ro")
            refused = _done(name, here)
            hold(_contents(here), before, "files of a folder that cannot be written, and before")
            _remount(disk, "rw")
        if refused is not None:
            raise refused

    return try_one


class _Undisturbed:
    """What every work leaves, and takes, where nothing stops it; done when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "undisturbed"
        self._kept: dict[str, tuple[set[str], dict[str, Any], float, int]] = {}

    def seen(self, name: str) -> set[str]:
        """What can be read before it and after it."""
        return self._of(name)[0]

    def result(self, name: str) -> dict[str, Any]:
        return self._of(name)[1]

    def seconds(self, name: str) -> float:
        return self._of(name)[2]

    def bytes(self, name: str) -> int:
        return self._of(name)[3]

    def _of(self, name: str) -> tuple[set[str], dict[str, Any], float, int]:
        if name not in self._kept:
            with _place(self._folder) as here:
                WORKS[name].before(here)
                first, before = WORKS[name].seen(here), _bytes_in(here)
                started = time.perf_counter()
                if (refused := _done(name, here)) is not None:
                    raise refused
                seconds = time.perf_counter() - started
                self._kept[name] = (
                    {first, WORKS[name].seen(here)},
                    WORKS[name].result(here),
                    seconds,
                    _bytes_in(here) - before,
                )
        return self._kept[name]


@contextmanager
def _begun(
    rng: random.Random, folder: Path, undisturbed: _Undisturbed
) -> Iterator[tuple[str, Path]]:
    """Some work and its place, to be stopped in the block; afterwards it is done to its end."""
    name = rng.choice(list(WORKS))
    with _place(folder / "here") as here:
        WORKS[name].before(here)
        yield name, here
        _hold_whole(name, here, undisturbed)


def _hold_seen(name: str, here: Path, undisturbed: _Undisturbed) -> None:
    seen = WORKS[name].seen(here)
    if seen not in undisturbed.seen(name):
        raise Silent(f"{name}: {seen} is there, neither what was before nor what was to come")


def _hold_whole(name: str, here: Path, undisturbed: _Undisturbed) -> None:
    if (refused := _done(name, here)) is not None:
        raise RuntimeError(f"{name}: once more it was refused: {refused}")
    result = WORKS[name].result(here)
    for key, value in undisturbed.result(name).items():
        hold(result[key], value, f"{name}, {key} after it was done once more, and undisturbed")


# --- processes and disks --------------------------------------------------------------------------


def _process(name: str, here: Path) -> tuple[Any, Any]:
    """A process that does a work, forked from one that has all modules and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(WORKS[name].do, here, theirs))
    process.start()
    theirs.close()
    return process, ours


def _child(do: Callable[[Path], None], here: Path, answers: Any) -> None:
    torch.set_num_threads(1)
    os.environ[_CACHE] = str(here / "cache")
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        do(here)
        answers.send(None)
    except FameError as error:
        answers.send(("sentence", str(error)))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        answers.send((f"{type(error).__name__} at {place.filename}:{place.lineno}", str(error)))


def _killed(name: str, here: Path, after: float) -> None:
    process, answers = _process(name, here)
    process.join(after)
    process.kill()
    process.join()
    answers.close()


def _done(name: str, here: Path) -> FameError | None:
    """``None`` where the work came to its end, else the sentence by which it was refused."""
    process, answers = _process(name, here)
    try:
        if not answers.poll(_PATIENCE):
            raise RuntimeError(f"{name} took longer than {_PATIENCE:g} s")
        answer = answers.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{name} ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        answers.close()
    if answer is None:
        return None
    kind, text = answer
    if kind != "sentence":
        raise RuntimeError(f"{name}: {kind}: {text}")
    return FameError(text)


@contextmanager
def _place(path: Path) -> Iterator[Path]:
    """A folder of its own, which is also where the sets of a person lie."""
    path.mkdir()
    before = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(path / "cache")
    try:
        yield path
    finally:
        os.environ.pop(_CACHE)
        if before is not None:
            os.environ[_CACHE] = before
        shutil.rmtree(path, ignore_errors=True)  # it may be the disk that takes nothing


@contextmanager
def _disk(path: Path) -> Iterator[Path]:
    """A small disk in memory."""
    path.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(path))
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _check_mounting(folder: Path) -> None:
    try:
        with _disk(folder / "disk"):
            pass
    except (OSError, RuntimeError) as error:
        raise NotMeasured(f"only who may mount a disk can try this ({error})") from None


def _remount(disk: Path, option: str) -> None:
    _mount("-o", f"remount,{option}", str(disk))


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


def _bytes_on(disk: Path) -> int:
    room = os.statvfs(disk)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def _bytes_in(folder: Path) -> int:
    """As many as a disk needs for them: whole pages."""
    sizes = (path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // _PAGE) * _PAGE for size in sizes)


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_hash(path) if path.is_file() else "folder"
        for path in folder.rglob("*")
    }
