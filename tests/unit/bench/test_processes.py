"""Measuring in another process: its answers, its errors, its memory."""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from fame.bench.measure import NotMeasured
from fame.bench.processes import Process, start_all
from fame.errors import FameError

# A process of this kind imports the standard library only, so it starts at once.
WORK = """
import mmap
import sys

class FameError(ValueError):
    pass

def work(megabytes, start="well"):
    print("chatter that is no answer")
    if start != "well":
        raise FameError(start)
    held = []
    reserved = mmap.mmap(-1, 2**30)  # address space that is never touched is no memory

    def repeat(what="hold"):
        if what == "fail":
            raise KeyError("a fault of ours")
        if what == "leave":
            sys.exit(3)
        if what == "want":
            raise MemoryError("too much\\nof it")
        assert len(reserved)
        held.append(bytearray(megabytes * 2**20))
        return {"held": len(held)}

    return repeat
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "work.py"
    path.write_text(WORK)
    return str(path)


def foreign(file: str, **arguments) -> Process:
    return Process((sys.executable, file, "work"), arguments).ready()


def test_it_answers_call_by_call_with_its_own_memory(file: str) -> None:
    parent = bytearray(300 * 2**20)  # must not be counted as the child's
    process = foreign(file, megabytes=100)
    try:
        assert process.ready_bytes < 150 * 2**20 < len(parent)
        assert [process()["held"], process(what="hold")["held"]] == [1, 2]
        answer = process()
        added = answer["peak_memory_bytes"] - process.ready_bytes
        assert 290 * 2**20 < added < 330 * 2**20
        assert 0 <= answer["cores_busy"] < 1.5
    finally:
        process.close()


def test_a_warm_up_is_a_call_that_does_not_count(file: str) -> None:
    process = Process((sys.executable, file, "work"), {"megabytes": 1}, warm_up={}).ready()
    assert process.first["held"] == 1 and process()["held"] == 2
    process.close()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("want", r"ran out of memory \(too much\)"),
        ("leave", "ended with status 3"),
        ("fail", r"failed in its Python \(KeyError: 'a fault of ours'\)"),
    ],
)
def test_why_a_figure_cannot_be_had(file: str, what: str, reason: str) -> None:
    process = foreign(file, megabytes=1)
    with pytest.raises(NotMeasured, match=reason):
        process(what=what)
    process.close()


def test_bad_input_stays_one_sentence(file: str) -> None:
    with pytest.raises(FameError, match=r"^choose another$"):
        foreign(file, megabytes=1, start="choose another")


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(
        RuntimeError, match=r"Traceback[\s\S]*unexpected keyword argument 'nothing'"
    ):
        Process(start_all, {"nothing": 1}).ready()


def test_those_that_start_run_and_the_others_have_their_reason(file: str) -> None:
    missing: dict[str, str] = {}

    def never() -> Process:
        raise NotMeasured("it has no desk")

    def of(path: str) -> partial[Process]:
        return partial(Process, (sys.executable, path, "work"), {"megabytes": 1})

    starts = {"good": of(file), "bad": of("nowhere.py"), "never": never}
    said: list[str] = []
    with ExitStack() as stack:
        running = start_all(starts, stack, missing, said.append)
        assert list(running) == ["good"] and "nowhere.py" in missing["bad"]
        assert missing["never"] == "it has no desk"
        assert said == ["Preparing good", "Preparing bad"]
    with pytest.raises((NotMeasured, ValueError)):
        running["good"]()  # the stack has ended it
