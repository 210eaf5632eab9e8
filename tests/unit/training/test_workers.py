"""One process among none, and launches that cannot work; several are in tests/integration."""

import logging

import pytest
import torch

from fame.errors import FameError
from fame.training.loop import resolve_device
from fame.training.workers import Workers, join

CPU = torch.device("cpu")


def test_a_process_that_was_started_alone_is_the_first_of_one():
    workers = join(CPU)
    assert workers == Workers(CPU)
    assert (workers.rank, workers.count, workers.is_first, workers.agree_at_once) == (0, 1, 1, 1)
    module, tensor = torch.nn.Linear(2, 1), torch.ones(3)
    assert workers.synchronised(module) is module
    assert workers.sum(tensor) is tensor
    assert workers.any(True) and not workers.any(False)
    assert workers.on_first(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        workers.on_first(lambda: 1 / 0)
    workers.leave()


@pytest.mark.parametrize("name", ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_one_device_is_not_enough_for_several_processes(monkeypatch, name):
    monkeypatch.setenv(name, "2")
    with pytest.raises(FameError, match=r"'cuda:1' is one device, .* --device cuda"):
        join(torch.device("cuda:1"))


def test_cutting_the_model_in_pieces_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(FameError, match="set up for FSDP"):
        join(CPU)


def test_a_launcher_that_started_one_process_of_several_is_said(monkeypatch, caplog):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    with caplog.at_level(logging.WARNING):
        assert join(CPU).count == 1
        assert not caplog.records
        monkeypatch.setenv("MASTER_PORT", "29500")
        assert join(CPU).count == 1
    assert "--multi_gpu" in caplog.text


def test_more_processes_than_devices_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(FameError, match="2 processes were launched on a machine with 1 CUDA"):
        join(torch.device("cuda"))


def test_a_launcher_that_was_told_to_use_the_cpu_is_obeyed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert resolve_device("auto") == CPU
