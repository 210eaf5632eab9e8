import time

import pytest
import torch

from fame.bench import gpu
from fame.bench.gpu import GOALS, _goals, _run, bench_gpu
from fame.errors import FameError

_STARTS_ANOTHER = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
)


def epoch(seconds: float, memory: float, over: float) -> dict:
    row = {"seconds": {"median": seconds}, "peak_gpu_memory_bytes": memory}
    report = {"rows": {"fame": row}, "ratios": {"fame / sasrec": {"median": over}}}
    return {"epoch": {"done": True, "answer": {"benches": {"train": report}}}}


def test_goals_stand_beside_what_was_measured():
    reached = _goals(epoch(60.0, 15e9, 1.1))
    assert all(goal["reached"] for goal in reached.values())
    missed = _goals(epoch(60.1, 16.1e9, 1.11))
    assert [goal["reached"] for goal in missed.values()] == [False] * 3
    assert [goal["goal"] for goal in missed.values()] == list(GOALS.values())
    lacking = _goals({"epoch": {"done": False, "why": "no time"}})
    assert [goal["reached"] for goal in lacking.values()] == [None] * 3


def test_a_step_that_fails_or_takes_too_long_says_so_and_ends_with_all_that_it_started():
    assert _run(["-c", "print('told')"], 60) == "told\n"
    with pytest.raises(FameError, match="failed: ValueError: no"):
        _run(["-c", "raise ValueError('no')"], 60)
    began = time.monotonic()
    with pytest.raises(FameError, match="took more than 1 s"):
        _run(["-c", _STARTS_ANOTHER], 1)
    assert time.monotonic() - began < 30
    with pytest.raises(FameError, match="no time was left"):
        _run(["-c", ""], 0)


def test_a_step_that_fails_leaves_the_others_their_answers(monkeypatch):
    def fails(*arguments):
        raise FameError("it is not there")

    monkeypatch.setattr(gpu, "_tests", fails)
    monkeypatch.setattr(gpu, "_epoch", lambda *arguments: epoch(1.0, 1.0, 1.0)["epoch"]["answer"])
    monkeypatch.setattr(gpu, "_loss", fails)
    monkeypatch.setattr(gpu, "_training", lambda *arguments: {"resumed_after": 1})
    said = []
    answer = bench_gpu("cpu", say=said.append)
    assert {name: step["done"] for name, step in answer["steps"].items()} == {
        "tests": False, "epoch": True, "compiled": False, "loss": False, "training": True,
    }  # fmt: skip
    assert answer["steps"]["tests"]["why"] == "it is not there"
    assert len(said) == 5 and answer["machine"]["torch"] == torch.__version__
    late = bench_gpu("cpu", seconds=0.5, say=said.append)
    assert all("no time" in step["why"] for step in late["steps"].values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_is_refused():
    with pytest.raises(FameError, match="cuda"):
        bench_gpu(say=print)
