"""The far end of a measuring process: builds one piece of work, then repeats it on request.

``python serve.py PLACE`` reads one JSON object a line from standard input and answers each with
one line. The first object holds the arguments of the maker at PLACE, ``module:name`` or
``file.py:name``; it returns a callable, which every later object is handed to as arguments.
Whatever else prints goes to standard error.

The standard library is all that this file needs, and Python 3.8: a peer's environment runs it too.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 (Python 3.8)


def peak_memory() -> int:
    """Most bytes of memory that this process has held.

    Linux hands ``ru_maxrss`` on from the process that started this one, so a small process would
    report its parent's size; the high-water mark in ``/proc`` is its own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def find(place: str) -> Callable[..., Any]:
    """What stands at ``module:name`` or ``file.py:name``."""
    where, _, name = place.rpartition(":")
    if not where.endswith(".py"):
        return getattr(importlib.import_module(where), name)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def serve(place: str) -> None:
    """Answers until standard input ends; an error is answered too, and ends it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        work = None
        for line in sys.stdin:
            arguments = json.loads(line)
            if work is None:
                work = find(place)(**arguments)
                answer({"peak_memory_bytes": peak_memory()})
            else:
                wall, busy = time.perf_counter(), time.process_time()
                figures = work(**arguments)
                cores = (time.process_time() - busy) / (time.perf_counter() - wall)
                answer({**figures, "cores_busy": cores, "peak_memory_bytes": peak_memory()})
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        answer({"error": str(error), "kinds": kinds, "traceback": traceback.format_exc()})


if __name__ == "__main__":
    if __package__ is None:  # run as a file: its folder's modules must not hide others
        sys.path.pop(0)
    serve(sys.argv.pop())  # some libraries read what is left
