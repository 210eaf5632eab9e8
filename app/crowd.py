"""Many people with Lens open at once on the real server; ``python -m fame bench serve`` starts it.

The server is ``streamlit run`` in a process of its own, each person one websocket to it. What a
person sees after every click is held against what the library says of that person's own history
and mix: another one's answer, or one of before, is a mix-up.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, unquote

import numpy as np
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

APP = Path(__file__).resolve().parent
# As ``streamlit run`` does from the folder above; started by its file, neither is there.
sys.path[:0] = [path for path in (str(APP), str(APP.parent)) if path not in sys.path]

import stopwatch  # noqa: E402
from fame.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from fame.lens.trace import fused_table, trace_history  # noqa: E402
from fame.models.sequence_model import Intervention  # noqa: E402

_UP = 180.0  # seconds for the server to come up
_SAMPLE = 2.0  # seconds between two looks at the server's memory
_WARM = 0.25  # the share of the time that is warm-up for it
_SHOWN = 6  # clicks on the first screen


class _Link:
    """One person's line to the server, in the place of a server in this process."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._known: dict[str, ForwardMsg] = {}  # the server sends a large message once
        self._tasks: set[asyncio.Task[None]] = set()

    def connect_session(self, client: stopwatch.Visitor, user_info: dict[str, str]) -> str:
        self._do(self._listen(client))
        return ""

    def handle_backmsg(self, session: str, message: BackMsg) -> None:
        self._do(self._line.send(message.SerializeToString()))

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, client: stopwatch.Visitor) -> None:
        async for data in self._line:
            message = ForwardMsg()
            message.ParseFromString(data)
            if message.WhichOneof("type") == "ref_hash":
                known = ForwardMsg()
                known.CopyFrom(self._known[message.ref_hash])
                known.metadata.CopyFrom(message.metadata)
                message = known
            elif message.hash:
                self._known[message.hash] = message
            client.write_forward_msg(message)


class Person(stopwatch.Visitor):
    """A visitor who knows what has to be seen."""

    def __init__(self, link: _Link, address: dict[str, str], seed: int) -> None:
        super().__init__(link, address, seed)
        self._own = sorted(address["items"].split(","))

    def strange(self, expected: Any) -> str:
        """What is not as it has to be, in words; empty where all is.

        Args:
            expected: Gives the list, by item ids, after a history and a gate.
        """
        said = {name: values[0] for name, values in parse_qs(self._query).items()}
        items = said.get("items", "").split(",")
        if sorted(items) != self._own:
            return f"the address has the items {said.get('items')}"
        gate = tuple(map(float, said["gate"].split(","))) if "gate" in said else None
        ids = [unquote(item) for item in items]
        clicks, listed = self.shown("click-"), self.shown("item-")
        if clicks != ids[: -_SHOWN - 1 : -1]:
            return f"the clicks shown are {clicks} after {ids}"
        if listed != (right := expected(ids, gate)):
            return f"the list shown is {listed}, and {right} is right"
        return ""


class Crowd:
    """People of one server; a piece of work for ``fame.bench.serve``.

    Args:
        checkpoints: The folder of checkpoints.
        checkpoint: The name of the one that is looked at.
        people: Everybody's history, as the address holds it; no two are alike.
    """

    def __init__(self, checkpoints: str, checkpoint: str, people: Sequence[str]) -> None:
        self._opened: Checkpoint = load_checkpoint(Path(checkpoints) / checkpoint)
        self._index = {str(own): row + 1 for row, own in enumerate(self._opened.items["item_id"])}
        self._addresses = [{"checkpoint": checkpoint, "items": items} for items in people]
        self._checkpoints = checkpoints

    def __call__(self, seconds: float, least: float, most: float) -> dict[str, Any]:
        """Everybody clicks for some time.

        Args:
            least: Seconds that somebody looks at an answer, at least; ``most`` at most.

        Returns:
            ``seconds`` of every redraw after a click; ``errors`` and ``mixed_up``, each in words;
            the server's ``cpu_seconds`` for these redraws, and its ``memory_bytes``: when the first
            quarter was over, and the most of the last quarter.
        """
        with TemporaryDirectory(prefix="fame-crowd-") as home, socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.close()
            kept = {name: own for name, own in os.environ.items() if "STREAMLIT" not in name}
            path = os.pathsep.join([str(APP.parent), *filter(None, [kept.get("PYTHONPATH")])])
            command = [sys.executable, "-m", "streamlit", "run", str(APP / "main.py")]
            with subprocess.Popen(
                [*command, "--server.port", str(port), "--server.headless", "true"],
                cwd=APP.parent,
                env={
                    **kept,
                    "HOME": home,
                    "PYTHONPATH": path,
                    "FAME_CHECKPOINTS": self._checkpoints,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as server:
                try:
                    return asyncio.run(self._all(server.pid, port, seconds, (least, most)))
                finally:
                    server.kill()

    async def _all(
        self, pid: int, port: int, seconds: float, pause: tuple[float, float]
    ) -> dict[str, Any]:
        server = psutil.Process(pid)
        lines = [await _line(port) for _ in self._addresses]
        everybody = [
            Person(_Link(line), address, seed)
            for seed, (line, address) in enumerate(zip(lines, self._addresses, strict=True))
        ]
        errors: list[str] = []
        mixed: list[str] = []
        for person in everybody:
            with suppress(RuntimeError):  # said again below, at the first click
                await person.open()
        busy, begun = sum(server.cpu_times()[:2]), time.monotonic()
        sizes: list[tuple[float, int]] = []

        async def watch() -> None:
            while True:
                sizes.append((time.monotonic() - begun, server.memory_info().rss))
                await asyncio.sleep(_SAMPLE)

        async def go(number: int, person: Person) -> list[float]:
            found: list[float] = []
            click = 0
            while time.monotonic() - begun < seconds:
                await person.look(*pause)
                click += 1
                try:
                    found.append(await (person.edit() if click % 2 else person.move_a_fader()))
                except (RuntimeError, TimeoutError, OSError) as error:
                    errors.append(f"person {number}: {error!r}")
                    continue
                if strange := person.strange(self._expected):
                    mixed.append(f"person {number}: {strange}")
            return found

        watching = asyncio.ensure_future(watch())
        answers = await asyncio.gather(*map(go, range(len(everybody)), everybody))
        spent = sum(server.cpu_times()[:2]) - busy
        watching.cancel()
        for line in lines:
            await line.close()
        over = sizes[-1][0]
        warm = next(size for at, size in sizes if at >= _WARM * over)
        return {
            "seconds": [own for answer in answers for own in answer],
            "errors": errors,
            "mixed_up": mixed,
            "cpu_seconds": spent,
            "memory_bytes": [warm, max(size for at, size in sizes if at >= (1 - _WARM) * over)],
        }

    def _expected(self, ids: list[str], gate: tuple[float, ...] | None) -> list[str]:
        trace = trace_history(
            self._opened.model,
            np.array([self._index[own] for own in ids]),
            repeats=self._opened.data.repeats,
            intervention=Intervention(gate=gate),
        )
        rows = fused_table(trace, stopwatch.LISTED)["item"].to_numpy() - 1
        return [str(own) for own in self._opened.items["item_id"].to_numpy()[rows]]


async def _line(port: int) -> ClientConnection:
    """A line to the server, which may still be coming up."""
    deadline = time.monotonic() + _UP
    while True:
        try:
            return await connect(
                f"ws://localhost:{port}/_stcore/stream",
                subprotocols=["streamlit"],
                max_size=None,
                ping_interval=None,
            )
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.3)
