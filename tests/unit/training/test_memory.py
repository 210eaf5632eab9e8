"""The estimate of memory against what can be counted, and what it refuses."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Windows
from fame.errors import FameError
from fame.evaluate import CPU_BATCH
from fame.models.registry import build_model
from fame.training import memory
from fame.training.loop import new_state
from fame.training.memory import (
    GIB,
    MemoryNeed,
    available_memory,
    check_memory,
    count_parameters,
    kept_values,
    memory_need,
)
from fame.training.objective import Objective
from tests.tiny import random_model, values_for

CPU = torch.device("cpu")
PLAIN = TrainConfig()
SHAPES = [
    ModelConfig(width=32),
    ModelConfig(width=32, heads=4, experts=8, layers=1),
    ModelConfig(width=32, heads=1, experts=1, layers=3),
    ModelConfig(model="sasrec", width=32, layers=3),
    ModelConfig(width=32, positions="relative", score="cosine"),
    ModelConfig(width=32, positions="relative", score="fused-cosine"),
    ModelConfig(width=32, positions="relative", heads=4, experts=8, layers=1),
    ModelConfig(width=32, facets="off", positions="relative", score="cosine"),
    ModelConfig(model="sasrec", width=32, layers=3, positions="relative", score="cosine"),
    ModelConfig(model="bsarec", width=32, layers=3),
    ModelConfig(model="bsarec", width=32, layers=1, positions="relative", score="cosine"),
]


def need_of(
    shape: ModelConfig,
    training: TrainConfig = PLAIN,
    *,
    num_items: int = 1000,
    people: int = 512,
    longest: int = 50,
    last_only: bool = False,
    **changes,
) -> MemoryNeed:
    lengths = np.linspace(1, longest, people).astype(int)
    windows = Windows(np.zeros(people, dtype=np.int64), lengths, last_only)
    settings = {"device": CPU, "precision": torch.float32, **changes}
    return memory_need(shape, training, num_items, windows, **settings)


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_gradients_and_moments_are_counted_exactly(shape):
    state = new_state(shape, TrainConfig(), 50, CPU)
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    assert count_parameters(shape, 50) == parameters
    items = torch.randint(1, 50, (2, 5))
    loss = Objective(state.model, TrainConfig())(items, torch.arange(10), torch.arange(10))
    loss.backward()
    state.optimizer.step()
    state.best_weights = state.weights()
    held = [*state.model.parameters(), *state.best_weights.values()]
    held += [parameter.grad for parameter in state.model.parameters()]
    held += [
        tensor
        for entries in state.optimizer.state_dict()["state"].values()
        for name, tensor in entries.items()
        if name != "step"
    ]
    assert need_of(shape, num_items=50).weights == sum(tensor.nbytes for tensor in held)


def test_an_average_of_the_weights_is_one_more_copy():
    plain, averaged = (
        new_state(SHAPES[0], training, 50, CPU)
        for training in (TrainConfig(), TrainConfig(weight_average=0.9))
    )
    assert plain.average is None and averaged.average is not None
    copy = sum(parameter.nbytes for parameter in averaged.average.parameters())
    windows = Windows(np.zeros(9, dtype=np.int64), np.ones(9, dtype=np.int64))
    needs = [
        memory_need(SHAPES[0], training, 50, windows, device=CPU, precision=torch.float32).weights
        for training in (TrainConfig(), TrainConfig(weight_average=0.9))
    ]
    assert needs[1] - needs[0] == copy


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_kept_for_the_backward_pass_is_as_much_as_autograd_keeps(shape, last_only):
    model = build_model(shape, 50).train()
    parameters = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoding = model(torch.randint(1, 50, (8, 50)), last_only=last_only)
    for tensor in (encoding.query, encoding.head_states):  # these the loss keeps
        keep(tensor)
    values = sum(storage.nbytes() for storage in kept.values()) / 4 / (8 * 50 * shape.width)
    # Statistics of the norms and of the softmax are left out of the formula.
    assert kept_values(shape, 50, last_only=last_only) == pytest.approx(values, rel=0.1)


def test_composing_items_of_values_is_counted_as_autograd_keeps_it():
    """In tables of the items' size, where all heads are named; with free heads it is less."""
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    for head_facets, least in (("a/b", 0.8), ("a/", 0.4)):
        shape = ModelConfig(width=64, head_facets=head_facets)
        model = random_model(shape, 2000, dtype=torch.float32)
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made = keep(model.item_vectors())
        table = 4 * 2000 * 64
        own = model.item_embedding.weight.untyped_storage()
        sizes = [storage.nbytes() for pointer, storage in kept.items() if pointer != own.data_ptr()]
        # What is kept, and on the way back the gradients of the table and of a part.
        assert least * memory.COMPOSED <= sum(sizes) / table + 2 <= memory.COMPOSED
        assert made.shape == (2001, 64)
        free = dataclasses.replace(shape, head_facets="")
        values = values_for(shape, 2000)
        more = need_of(shape, num_items=2000, values=values).loss
        more -= need_of(free, num_items=2000).loss
        assert more == memory.COMPOSED * table
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters(shape, 2000, values) == parameters


def test_a_need_grows_with_what_makes_it_grow():
    small = need_of(ModelConfig(width=32))
    assert need_of(ModelConfig(width=32), precision=torch.bfloat16).activations < small.activations
    assert need_of(ModelConfig(width=32), processes=2).activations == small.activations / 2
    assert need_of(ModelConfig(width=32), longest=25).activations == small.activations / 2
    assert need_of(ModelConfig(width=32), people=64).activations == small.activations / 4
    prefixes = need_of(ModelConfig(width=32), last_only=True)
    assert prefixes.activations < 0.8 * small.activations
    drawn = TrainConfig(negatives=1024)
    table = 4 * 1000 * 32
    targets = 256 * 50
    assert need_of(ModelConfig(width=32), drawn).loss - table == 4 * (512 * 1024 + 6 * targets * 32)
    few = need_of(ModelConfig(width=32), drawn, last_only=True).loss - table
    assert few == 4 * (256 * 1024 + 6 * 256 * 32)
    assert need_of(ModelConfig(width=32), people=1024).samples == 2 * small.samples > 0
    more_items = need_of(ModelConfig(width=32), num_items=2000)
    assert more_items.ranking - small.ranking == CPU_BATCH * 1000 * (8 + 4)
    assert more_items.loss > 1.9 * small.loss


@pytest.mark.parametrize(
    ("need", "way_out"),
    [
        (
            MemoryNeed(weights=8 * GIB, activations=3 * GIB, loss=GIB, ranking=0),
            "lower width or layers.",
        ),
        (MemoryNeed(2 * GIB, 9 * GIB, GIB, GIB), "lower batch_size or max_length."),
        (MemoryNeed(2 * GIB, 0, 0, 10 * GIB), "keep fewer items in the data"),
    ],
)
def test_what_cannot_fit_is_refused_with_numbers_and_a_way_out(monkeypatch, need, way_out):
    assert need.total == 12 * GIB
    monkeypatch.setattr(memory, "available_memory", lambda device: 12 * GIB)
    check_memory(need, CPU)
    monkeypatch.setattr(memory, "available_memory", lambda device: 12 * GIB - 1)
    with pytest.raises(FameError, match=r"about 12\.0 GiB .* 12\.0 GiB are free") as refusal:
        check_memory(need, CPU)
    assert way_out in str(refusal.value)
    monkeypatch.setattr(memory, "available_memory", lambda device: 23 * GIB)
    with pytest.raises(FameError, match=r"about 24\.0 GiB"):
        check_memory(need, CPU, sharing=2)


V2 = {
    "memory.max": "3000",
    "memory.current": "2500",
    "memory.stat": "anon 1\ninactive_file 400\n",
}
V1 = {
    "memory.limit_in_bytes": "3000",
    "memory.usage_in_bytes": "2500",
    "memory.stat": "cache 1\ntotal_inactive_file 400\n",
}


@pytest.mark.parametrize(
    ("group", "folder", "files", "left"),
    [
        ("0::/job/task", "job", V2, [900]),  # the group above has the limit
        ("0::/", ".", V2, [900]),  # inside a container
        ("0::/job", "job", {**V2, "memory.max": "max"}, []),
        ("4:memory:/box", "memory/box", V1, [900]),
        ("4:memory:/not/seen/from/inside", "memory", V1, [900]),
        ("2:cpu:/box", "box", V2, []),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path: Path, group, folder, files, left):
    for name, text in files.items():
        file = tmp_path / "groups" / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "membership").write_text(group + "\n")
    assert memory._left_in_container(tmp_path / "membership", tmp_path / "groups") == left
    assert memory._left_in_container(tmp_path / "nothing", tmp_path / "groups") == []


def test_peak_memory_sees_what_was_freed_again():
    """In a process of its own: this one may have held more before, and given it back."""
    program = """
import torch
from fame.training.memory import peak_memory
before = peak_memory(torch.device("cpu"))
torch.ones(250_000_000)  # a gigabyte, at once freed
print(before, peak_memory(torch.device("cpu")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    before, after = (int(part) for part in done.stdout.split())
    assert 10e6 < before < 10e9
    assert 0.9e9 < after - before < 1.1e9


def test_there_is_some_memory_left():
    assert 0 < available_memory(CPU) < 2**50
