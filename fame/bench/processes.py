"""Measuring in a process of its own, so that its peak memory is its own.

The processes wait while others run: their work can be repeated in turns.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from fame.bench import serve
from fame.bench.measure import NotMeasured, Say
from fame.errors import FameError


class Process:
    """One piece of work in another process, see :mod:`fame.bench.serve`.

    Calling it does the work once and returns its figures, with ``cores_busy``, the mean number of
    cores that the process had meanwhile, and ``peak_memory_bytes``, the most it has held so far.
    Before that it has to be made :meth:`ready`.

    Args:
        make: A function of this package that builds the work, or ``(python, file, name)`` for one
            that another Python is to run.
        arguments: What it is built with; JSON values.
        warm_up: Arguments of a first call that does not count; ``None`` for none.

    Attributes:
        ready_bytes: The most that the process had held before the first call.
        first: What the first call answered.

    Raises:
        NotMeasured: by a call, where the process dies or runs out of memory, or another Python's
            work fails.
        FameError: by a call, where it says that the input is bad.
    """

    def __init__(
        self,
        make: Callable[..., Any] | tuple[str, str, str],
        arguments: dict[str, Any],
        *,
        warm_up: dict[str, Any] | None = None,
    ) -> None:
        self._foreign = isinstance(make, tuple)
        if isinstance(make, tuple):
            python, file, name = make
            command: Sequence[str] = (python, serve.__file__, f"{file}:{name}")
        else:
            place = f"{make.__module__}:{make.__qualname__}"
            command = (sys.executable, "-m", serve.__name__, place)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the one who asked; that one closes this
            env=_foreign_environment() if self._foreign else None,
        )
        self._arguments, self._warm_up = arguments, warm_up
        self.ready_bytes = 0
        self.first: dict[str, Any] = {}

    def ready(self) -> Process:
        """Has the work built, and done once where it wants to warm up; ends where that fails."""
        try:
            self.ready_bytes = self._ask(self._arguments)["peak_memory_bytes"]
            if self._warm_up is not None:
                self.first = self._ask(self._warm_up)
        except BaseException:
            self.close()
            raise
        return self

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        return self._ask(arguments)

    def _ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # it died; what it left to read says more
            print(json.dumps(arguments), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise NotMeasured(_how_it_ended(self._process.wait()))
        answer = json.loads(line)
        if "error" not in answer:
            return answer
        kinds, message = answer["kinds"], answer["error"]
        first = (message.splitlines() or [""])[0]
        if FameError.__name__ in kinds:
            raise FameError(message)
        if {"MemoryError", "OutOfMemoryError"} & set(kinds):
            raise NotMeasured(f"it ran out of memory ({first})")
        if self._foreign:
            raise NotMeasured(f"it failed in its Python ({kinds[0]}: {first})")
        raise RuntimeError(f"a measuring process failed:\n{answer['traceback']}")

    def close(self) -> None:
        """Ends the process and waits for its end."""
        self._process.kill()
        self._process.communicate()


def start_all(
    starts: Mapping[str, Callable[[], Process]],
    stack: ExitStack,
    missing: dict[str, str],
    say: Say,
) -> dict[str, Process]:
    """Starts the processes together, and makes them ready one after the other; the stack ends them.

    To import what it needs takes a process longer than much of what it measures.

    Args:
        missing: Gets the reason of every one that could not be started.
    """
    running: dict[str, Process] = {}

    def begin(name: str) -> None:
        running[name] = starts[name]()
        stack.callback(running[name].close)

    def make_ready(name: str) -> None:
        say(f"Preparing {name}")
        running[name].ready()

    for work in (begin, make_ready):
        for name in starts:
            try:
                if name not in missing:
                    work(name)
            except NotMeasured as reason:
                missing[name] = str(reason)
                running.pop(name, None)
    return running


def _foreign_environment() -> dict[str, str]:
    """This one, without our modules in the way of the other Python's, or its warnings in ours."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, "PYTHONWARNINGS": "ignore"}


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, most likely for want of memory"
    return f"its process ended with status {code}"
