"""``bench faults``: damaged, odd and hostile input by the thousand, and what becomes of it.

Small valid inputs of every kind are changed at random, by a seed; and work is stopped while it
writes (:mod:`fame.bench.interruptions`). Each ends in one of five ways:

``right``      it is taken, and what was read adds up: rows in are rows kept and rows dropped for a
               stated reason, a checkpoint is the one that was written, a file holds what it should,
               stopped work that is done once more leaves the same bits
``sentence``   it is refused in one line
``traceback``  anything else is raised
``hang``       it takes longer than :data:`_SECONDS` of work, or ten times that on a busy machine
``silent``     it is taken, and does not add up

Only the first two may be. Nothing is kept: files lie in a folder that goes afterwards.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import random
import re
import shutil
import signal
import string
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fame.bench.ends import Silent, hold
from fame.bench.interruptions import full_disks, kills, read_only
from fame.bench.measure import NotMeasured, Report, Say, chosen
from fame.checkpoint import load_checkpoint, write_description, write_metrics, write_weights
from fame.config import ModelConfig, TrainConfig, parse_setting
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.data.imports import Wishes, read_file
from fame.data.own_items import own_items
from fame.data.sequences import Interactions
from fame.errors import FameError
from fame.experiments.recipes import build_configs
from fame.files import check_file, write_json, write_text
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.training import jobs
from fame.training.runs import HISTORY, RunFolder, Status

ENDS = ("right", "sentence", "traceback", "hang", "silent")
INPUTS = 3_000
# Of the kinds that take a second and more each; the others share all inputs.
FEWER = {"kill": 45, "full disk": 45, "read-only folder": 15}
_SECONDS = 20.0
_LONGEST = 1_000  # letters of a sentence
_NAMED = 20  # faults that are told one by one


class _Hang(BaseException):
    """Out of time; no ``Exception``, so that nobody takes it for one of theirs."""


@dataclass(frozen=True)
class Fault:
    """One input that ended as none may; its kind, the seed and its number make it again."""

    kind: str
    number: int
    end: str
    what: str


def bench_faults(
    *,
    scale: float = 1.0,
    seed: int = 0,
    only: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Report:
    """Counts how inputs of every kind end.

    Args:
        scale: How many inputs, as a share of :data:`INPUTS` and :data:`FEWER`.
        only: Names out of :data:`KINDS`; default all.
    """
    kinds = chosen(only, tuple(KINDS))
    shared = sum(kind not in FEWER for kind in kinds)
    many = {kind: max(1, round(FEWER.get(kind, INPUTS / max(1, shared)) * scale)) for kind in kinds}
    faults: list[Fault] = []
    report = Report(
        "What becomes of damaged and odd input, and of work that is stopped",
        {"inputs": sum(many.values()), "seed": seed, "seconds_for_one": _SECONDS},
    )
    with tempfile.TemporaryDirectory(prefix="fame-faults-") as folder:
        for kind, each in many.items():
            say(f"{kind}, {each:,} inputs")
            place = Path(folder) / kind.replace(" ", "-")
            place.mkdir()
            try:
                try_one = KINDS[kind](place)
            except NotMeasured as reason:
                report.missing[kind] = str(reason)
                report.about["inputs"] -= each
                continue
            ends: Counter[str] = Counter()
            for number in range(each):
                end, what = _end_of(try_one, random.Random(f"{seed} {kind} {number}"))
                ends[end] += 1
                if end not in ("right", "sentence"):
                    faults.append(Fault(kind, number, end, what))
            report.rows[kind] = {"inputs": each, **{end: ends[end] for end in ENDS}}
    report.about["faults"] = [vars(fault) for fault in faults]
    report.notes += [f"{own.kind} {own.number}: {own.end}, {own.what}" for own in faults[:_NAMED]]
    return report


def _end_of(try_one: Callable[[random.Random], None], rng: random.Random) -> tuple[str, str]:
    try:
        with _in_time(_SECONDS):
            try_one(rng)
    except FameError as error:
        text = str(error)
        if "\n" in text or not 0 < len(text) <= _LONGEST:
            return "traceback", f"no sentence: {text[:80]!r}"
        return "sentence", text
    except Silent as error:
        return "silent", str(error)
    except _Hang:
        return "hang", f"longer than {_SECONDS:g} s"
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {str(error)[:120]!r}"
    return "right", ""


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise _Hang

    timers = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
    before = {number: signal.signal(number, late) for number in timers.values()}
    for timer, limit in ((signal.ITIMER_PROF, seconds), (signal.ITIMER_REAL, 10 * seconds)):
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, number in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


# --- how bytes are changed ------------------------------------------------------------------------

_PIECES = (
    b'"', b"'", b"\n", b"\r", b"\r\n", b"\t", b",", b";", b"::", b":", b"|", b"\\", b"\0", b"\x1f",
    b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", "\u2028".encode(), "é".encode("latin-1"), b"[", b"{",
    b"]}", b"nan", b"NaN", b"null", b"-1", b"1e999", b"0x1", b"9" * 5_000, b"[" * 3_000,
    b"x" * 140_000, b"2020-02-30", b"1600000000", b"1600000000000", b"PAR1", b"sep=;\n", b"#", b" ",
)  # fmt: skip


def _changed(content: bytes, rng: random.Random) -> bytes:
    """Bytes with one to three changes: cut, put in, flipped, doubled, moved."""
    own = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(own) + 1)
        length = rng.choice([1, 2, 20, 500, 10_000])
        match rng.randrange(7):
            case 0 | 1:
                own[at:at] = rng.choice(_PIECES)
            case 2:
                del own[at : at + length]
            case 3 if at < len(own):
                own[at] ^= 1 << rng.randrange(8)
            case 4:
                own[at:at] = own[at : at + length]
            case 5:
                del own[at:]
            case _:
                lines = own.split(b"\n")
                rng.shuffle(lines)
                own = bytearray(b"\n".join(lines))
    return bytes(own)


# --- interactions and catalogues ------------------------------------------------------------------


def _written(frame: pd.DataFrame) -> dict[str, bytes]:
    """One table in every form that is read."""
    rows = json.loads(frame.to_json(orient="records"))
    plain = frame.to_csv(index=False)
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(plain.encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", plain)
    forms = {
        "comma": plain.encode(),
        "tab": frame.to_csv(index=False, sep="\t").encode(),
        "semicolon": frame.to_csv(index=False, sep=";").encode(),
        "quoted": frame.to_csv(index=False, quoting=1).encode(),
        "returns": plain.replace("\n", "\r\n").encode(),
        "utf-16": plain.encode("utf-16"),
        "latin-1": plain.encode("latin-1"),
        "JSON lines": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "JSON array": json.dumps(rows, indent=1).encode(),
        "JSON under a key": json.dumps({"rows": rows}).encode(),
        "JSON columns": frame.to_json().encode(),
        "Python": "".join(f"{row!r}\n" for row in rows).encode(),
        "gzip": gzip.compress(plain.encode()),
        "bzip2": bz2.compress(plain.encode()),
        "zstd": out.getvalue().to_pybytes(),
        "zip": packed.getvalue(),
    }
    for compression in ("snappy", "gzip", "none"):
        own = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame), own, compression=compression)
        forms[f"Parquet, {compression}"] = own.getvalue()
    return forms


def _logs(folder: Path) -> Callable[[random.Random], None]:
    frame = pd.DataFrame(
        [
            (f"u{k % 7}", f"i{k % 11}", 1_600_000_000 + k // 2, 1 + k % 5, 'say "a",\nb', "viéw")
            for k in range(60)
        ],
        columns=["user_id", "item_id", "timestamp", "rating", "note", "event"],
    )
    forms = _written(frame)
    plain = frame[["user_id", "item_id", "rating", "timestamp"]]
    forms["without a header"] = plain.to_csv(index=False, header=False).encode()
    forms["double colons"] = (
        plain.astype(str).agg("::".join, axis=1).str.cat(sep="\n").encode() + b"\n"
    )
    forms["RecBole"] = (
        plain.rename(columns={"user_id": "user_id:token", "timestamp": "timestamp:float"})
        .to_csv(index=False, sep="\t")
        .encode()
    )
    forms["sequences"] = b"".join(b"%d %d %d %d\n" % (k, k % 5, k % 7, k + 3) for k in range(9))
    forms["without quotes"] = frame.drop(columns="note").to_csv(index=False).encode()
    wishes = [
        Wishes(), Wishes(), Wishes(), Wishes(skip_bad=3), Wishes(min_rating=2), Wishes(core=2),
        Wishes(dedupe=True), Wishes(session_gap="5s"), Wishes(in_order=True), Wishes(quotes=False),
        Wishes(events=("viéw",)), Wishes(time="timestamp", skip_bad=1),
    ]  # fmt: skip

    def try_one(rng: random.Random) -> None:
        content = _changed(forms[rng.choice(list(forms))], rng)
        path = folder / rng.choice(["log", "log.csv", "log.txt", "log.json", "log.parquet"])
        path.write_bytes(content)
        try:
            data, _, about = read_file(path, "log", wishes=rng.choice(wishes))
        finally:
            path.unlink()
        report = about.report
        assert report is not None, "every import has one"
        gone = sum(own["rows"] for own in report["dropped"].values())
        hold(report["rows"], report["kept"] + gone, "rows read, and rows kept and dropped")
        hold(report["kept"], len(data.items), "rows kept, and clicks in the histories")
        if (rows := _rows_in(content, report["form"], report["notes"])) is not None:
            hold(rows, report["rows"], "rows in the file, and rows read")

    return try_one


def _rows_in(content: bytes, form: str, notes: Sequence[str]) -> int | None:
    """How many rows a text has by its lines; ``None`` where lines are no rows."""
    is_text = form.startswith("text with") and "no header" not in form
    if not (is_text or form.startswith("JSON lines")) or not form.endswith(("UTF-8", "Latin-1")):
        return None
    if re.search(rb"\r(?!\n)", content) or any("inside quotes" in note for note in notes):
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    lines = [line for line in content.split(b"\n") if line.strip(b"\r" if is_text else None)]
    told = is_text and re.fullmatch(rb"sep=.\r?", next((own for own in lines if own.strip()), b""))
    blank_first = 0
    if is_text:  # lines of blanks before the header are passed over
        blank_first = next((n for n, own in enumerate(lines) if own.strip()), 0)
    return len(lines) - blank_first - bool(told) - is_text


def _catalogues(folder: Path) -> Callable[[random.Random], None]:
    frame = pd.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(30)],
            "title": [f"Film, the {k}" if k % 3 else f'"{k}"' for k in range(30)],
            "year": [1990 + k % 7 if k % 5 else None for k in range(30)],
            "genres": ["Drama|War" if k % 2 else "Comedy" for k in range(30)],
            "tags": ["['a', 'b']" if k % 2 else "[]" for k in range(30)],
            "maker": [f"Acmé {k % 4}" for k in range(30)],
        }
    ).astype({"year": "Int64"})
    forms = _written(frame)

    def try_one(rng: random.Random) -> None:
        content = _changed(forms[rng.choice(list(forms))], rng)
        path = folder / "items"
        path.write_bytes(content)
        found = own_items(path)
        hold(found.frame["item_id"].nunique(), len(found.frame), "ids, and items")
        hold(int(found.frame["item_id"].isna().sum()), 0, "items without an id, and none")
        said = re.compile(r"([\d,]+) rows say what")
        again = [int(own[1].replace(",", "")) for note in found.notes if (own := said.match(note))]
        # Where quotes close in their own line, a line is a row.
        even = all(line.count(b'"') % 2 == 0 for line in content.split(b"\n"))
        if even and content.startswith((b"item_id", b'"item_id"')):
            rows = _rows_in(content, "text with, UTF-8", ())
            if rows is not None:
                hold(rows, len(found.frame) + sum(again), "rows in the file, and items")

    return try_one


# --- checkpoints, settings, names of files --------------------------------------------------------


def _checkpoints(folder: Path) -> Callable[[random.Random], None]:
    whole, copy = folder / "whole", folder / "copy"
    _make_checkpoint(whole)
    before = load_checkpoint(whole)
    names = sorted(path.name for path in whole.iterdir())

    def try_one(rng: random.Random) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        file = copy / rng.choice(names)
        if file.suffix == ".json" and rng.random() < 0.5:
            document = json.loads(file.read_text("utf-8"))
            _change_value(document, rng)
            file.write_text(json.dumps(document), encoding="utf-8")
        elif rng.random() < 0.1:
            file.unlink()
        else:
            file.write_bytes(_changed(file.read_bytes(), rng))
        found = load_checkpoint(copy)
        hold(found.model_config, before.model_config, "settings, and those that were written")
        hold(found.data, before.data, "data, and those that were written")
        hold(found.value_names, before.value_names, "values, and those that were written")
        if not found.items.equals(before.items):
            raise Silent("the catalogue is another one than was written")
        if found.metrics not in (None, before.metrics):
            raise Silent("figures are others than were written")
        ours, theirs = found.model.state_dict(), before.model.state_dict()
        if list(ours) != list(theirs) or not all(torch.equal(ours[k], theirs[k]) for k in ours):
            raise Silent("weights are others than were written")

    return try_one


def _make_checkpoint(path: Path) -> None:
    """A small untrained model whose first head is made of values."""
    items = pd.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(1, 10)],
            "title": [f"Film {k}" for k in range(1, 10)],
            "genre": pd.array([f"genre {k % 3}" for k in range(1, 10)], dtype="string"),
        }
    )
    data = Interactions(
        name="faults",
        user_ids=np.array(["u"], dtype=object),
        item_ids=np.array(["", *items["item_id"]], dtype=object),
        items=np.arange(1, 10, dtype=np.int32),
        offsets=np.array([0, 9]),
    )
    config = ModelConfig(width=8, heads=2, experts=2, layers=1, max_length=4, head_facets="genre/")
    made = head_values(ItemAttributes.of(items), config.facet_shares, 9)
    torch.manual_seed(0)
    model = build_model(config, 9, ValueIndex.of(made.counts, made.value, made.start))
    path.mkdir()
    write_description(path, config, TrainConfig(), data, items)
    write_weights(path, model.state_dict())
    write_metrics(path, {"test": {"HR@10": 0.5, "NDCG@10": 0.25}})


_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 10**6, 10**400, 0.5, -0.0, 1e308, "", "x", "é" * 300, "1",
    "nan", "../x", [], [[]], {}, ["a"], {"a": 1},
)  # fmt: skip


def _change_value(document: Any, rng: random.Random) -> None:
    """Puts something else in one place of a JSON document, takes it away, or adds a key."""
    while True:
        key = rng.choice(list(document) if isinstance(document, dict) else range(len(document)))
        inner = document[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
            document = inner
            continue
        match rng.randrange(4):
            case 0:
                del document[key]
            case 1 if isinstance(document, dict):
                document[rng.choice(["x", "", "sha256", "model"])] = rng.choice(_ODD_VALUES)
            case _:
                document[key] = rng.choice(_ODD_VALUES)
        return


def _runs(folder: Path) -> Callable[[random.Random], None]:
    """A run that could not be started, which was trained before: what a page reads of it."""
    run = RunFolder(folder / "run")

    def make() -> None:
        shutil.rmtree(run.path, ignore_errors=True)
        with jobs.queue_held(folder):
            jobs.enqueue(run.path, jobs.Job("faults", {"heads": 2}, "cpu"))
        shutil.copy(run.path / jobs.QUEUED, run.path / jobs.TAKEN)
        number = repr(jobs.read_job(run.path / jobs.QUEUED).submitted)
        write_json(folder / jobs.QUEUE / jobs.REFUSED, {number: "It could not be written."})
        run.write_status(Status("training", "faults", "fame", "CPU", 2**22 + 1, 1.0, 1.0))
        run.write_history([{"epoch": 1, "loss": 1.0}])

    make()
    names = [path.name for path in run.path.iterdir()]

    def try_one(rng: random.Random) -> None:
        make()
        files = [*(run.path / name for name in names), folder / jobs.QUEUE / jobs.REFUSED]
        file = rng.choice(files)
        if file.suffix == ".json" and rng.random() < 0.5:
            document = json.loads(file.read_text("utf-8"))
            _change_value(document, rng)
            file.write_text(json.dumps(document), encoding="utf-8")
        else:
            file.write_bytes(rng.choice([_changed(file.read_bytes(), rng), b"[" * 100_000]))
        status, (rows, broken) = run.status(), run.read_history()
        if status is None or status.phase not in ("queued", "failed", "damaged", "lost"):
            raise Silent(f"the run is {status and status.phase}, and nobody trains it")
        if file.name != HISTORY:
            hold((len(rows), broken), (1, 0), "epochs kept, and lines that are none")
        for waits in jobs.waiting(folder):
            jobs.read_job(waits / jobs.QUEUED)

    return try_one


def _settings(folder: Path) -> Callable[[random.Random], None]:
    keys = [own.name for config in (ModelConfig, TrainConfig) for own in fields(config)]
    values = (
        "", "0", "1", "-1", "2", "64", "0.1", "1.0", "1e-3", "1e999", "-1e999", "nan", "inf",
        "true", "None", "null", "[]", "{}", "'x'", '"', "9" * 400, "9" * 5_000, "0." + "0" * 400,
        "genres/", "a/b/c", "/", "é", "x" * 5_000, "auto", "cpu", "tpu", "bf16", "sasrec", "../x",
        "=", "\n",
    )  # fmt: skip

    def try_one(rng: random.Random) -> None:
        given = {}
        for _ in range(rng.choice([1, 1, 2])):
            key = rng.choice(keys)
            if rng.random() < 0.1:
                key = rng.choice(["", "x", key.upper(), f"{key} ", key[:-1], "é" * 300])
            text = f"{key}={rng.choice(values)}"
            name, value = parse_setting(text if rng.random() < 0.95 else text.replace("=", ""))
            given[name] = value
        configs = build_configs(given, "bench faults")
        again = build_configs({k: v for own in configs for k, v in own.to_dict().items()}, "again")
        hold(again, configs, "settings, and the same out of their JSON")
        for own in configs:
            json.dumps(own.to_dict(), allow_nan=False)

    return try_one


def _file_names(folder: Path) -> Callable[[random.Random], None]:
    (folder / "file").write_text("theirs")
    (folder / "full").mkdir()
    (folder / "full" / "x").write_text("theirs")
    (folder / "nowhere").symlink_to(folder / "not" / "there")
    own = ["new", "file", "file/x", "full", "full/x", "nowhere", "nowhere/x", "", ".", "a/b/c/d"]
    # Only as they are: nothing may ever be written there.
    others = ["/dev/null", "/dev/null/x", "/proc/x", "/proc/self/mem", "/proc/self/x"]
    letters = [*string.ascii_letters, " ", "é", "\n", "\0", "\udc80", "*", "'", "-", ".", "😀"]

    def try_one(rng: random.Random) -> None:
        name = rng.choice([*own, *others])
        if name in own and rng.random() < 0.5:
            name += "".join(rng.choices(letters, k=rng.choice([1, 5, 40, 300, 5_000])))
        path = folder / name
        check_file(path, overwrite=False)
        write_text(path, "ours")
        if name in others:
            raise Silent(f"{name} was written")
        hold(path.read_text(), "ours", "what was written, and what is there")
        path.unlink()
        for before in (folder / "file", folder / "full" / "x"):
            hold(before.read_text(), "theirs", "what lay there, and what lies there")

    return try_one


# By name what makes the inputs of a kind, in a folder of its own, and tries one of them.
KINDS: dict[str, Callable[[Path], Callable[[random.Random], None]]] = {
    "log": _logs,
    "catalogue": _catalogues,
    "checkpoint": _checkpoints,
    "run": _runs,
    "setting": _settings,
    "file name": _file_names,
    "kill": kills,
    "full disk": full_disks,
    "read-only folder": read_only,
}
