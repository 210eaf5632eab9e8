"""``bench loss``: the ways to compute a linear cross-entropy, against one another and the truth.

This is the table that decides which of them a device and a size get.

Shapes: ``N`` positions · ``D`` width · ``V`` items · ``M`` drawn items · ``H`` heads ·
``K = D / H``.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fame.bench.machine import timed
from fame.bench.measure import Report, Say, chosen, figure_of, in_turns
from fame.bench.processes import Process, start_all
from fame.bench.reference_loss import reference_loss
from fame.bench.work import Work
from fame.losses import head_cross_entropy, linear_cross_entropy, sampled_cross_entropy
from fame.training.loop import resolve_device, resolve_precision

Form = Literal["fused", "heads", "drawn"]
CHUNKS = {"cpu": (64, 128, 256, 512), "cuda": (2048, 8192, 32768)}
_FORMS: dict[Form, tuple[str, str]] = {
    "fused": ("loss", "The fused loss of one step, forward and backward"),
    "heads": ("loss_of_heads", "The loss of every head's own ranking, forward and backward"),
    "drawn": ("loss_of_drawn", "The fused loss against drawn items, forward and backward"),
}
_DRAWN = 1024  # where the settings draw none
_SECONDS_A_REPEAT = 0.3  # of one implementation


def plain(query_ND: Tensor, table_VD: Tensor, target_N: Tensor) -> Tensor:
    """All logits at once."""
    return F.cross_entropy((query_ND @ table_VD.T).float(), target_N)


def plain_of_drawn(
    query_ND: Tensor, table_VD: Tensor, target_N: Tensor, *, negative_M: Tensor
) -> Tensor:
    """All logits against drawn items at once."""
    positive_logit_N1 = (query_ND * table_VD.index_select(0, target_N).to(query_ND)).sum(
        1, keepdim=True
    )
    others_NM = query_ND @ table_VD.index_select(0, negative_M).to(query_ND).T
    others_NM = others_NM.to(torch.promote_types(others_NM.dtype, torch.float32))
    others_NM = others_NM + math.log(len(table_VD) / len(negative_M))
    others_NM = others_NM.masked_fill(target_N[:, None] == negative_M, -math.inf)
    logits = torch.cat([positive_logit_N1.to(others_NM), others_NM], dim=1)
    return F.cross_entropy(logits, torch.zeros_like(target_N))


def ours_of_drawn(
    query_ND: Tensor,
    table_VD: Tensor,
    target_N: Tensor,
    *,
    negative_M: Tensor,
    chunk: int | None = None,
) -> Tensor:
    """Ours, with the look at the table that a step takes."""
    positive_ND, negative_MD = (table_VD.index_select(0, row) for row in (target_N, negative_M))
    importance_weight = len(table_VD) / len(negative_M)
    return sampled_cross_entropy(
        query_ND,
        positive_ND,
        negative_MD,
        target_N,
        negative_M,
        importance_weight=importance_weight,
        chunk=chunk,
    )


def torch_chunked(
    query_ND: Tensor, table_VD: Tensor, target_N: Tensor, *, rows: int | None = None
) -> Tensor:
    """PyTorch's own, which chunks only where it is given options."""
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=rows)
    return F.linear_cross_entropy(query_ND, table_VD.to(query_ND), target_N, options=options)


def liger(query_ND: Tensor, table_VD: Tensor, target_N: Tensor) -> Tensor:
    """Liger's Triton kernel."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    return liger_fused_linear_cross_entropy(query_ND, table_VD.to(query_ND), target_N)


def _with_gradients(
    loss_of: Callable[..., Tensor], query_ND: Tensor, table_VD: Tensor, target_N: Tensor
) -> tuple[Tensor, ...]:
    """A loss and its gradients in query and table, by autograd."""
    query_ND, table_VD = query_ND.clone().requires_grad_(), table_VD.clone().requires_grad_()
    loss = loss_of(query_ND, table_VD, target_N)
    return loss.detach(), *torch.autograd.grad(loss, (query_ND, table_VD))


class _Reference(torch.autograd.Function):
    """The yardstick as a function that autograd can go through."""

    @staticmethod
    def forward(ctx: Any, query_ND: Tensor, table_VD: Tensor, target_N: Tensor) -> Tensor:
        loss, *gradients = reference_loss(query_ND, table_VD.to(query_ND), target_N)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_query, grad_table = ctx.saved_tensors
        return grad_query * grad_loss, grad_table * grad_loss, None


def implementations(
    device: str, form: Form = "fused"
) -> tuple[dict[str, Callable[..., Tensor]], dict[str, str]]:
    """All there are on a kind of device, and why the others are not there."""
    if form == "drawn":
        chunked = {f"ours_{rows}": partial(ours_of_drawn, chunk=rows) for rows in CHUNKS[device]}
        return {"ours": ours_of_drawn, "plain": plain_of_drawn, **chunked}, {}
    found: dict[str, Callable[..., Tensor]] = {"ours": linear_cross_entropy, "plain": plain}
    found["reference"] = _Reference.apply
    missing = {}
    for rows in CHUNKS[device]:
        found[f"ours_{rows}"] = partial(linear_cross_entropy, chunk=rows)
    if hasattr(torch.nn, "LinearCrossEntropyOptions"):
        found["torch"] = torch_chunked
        for rows in CHUNKS[device]:
            found[f"torch_{rows}"] = partial(torch_chunked, rows=rows)
    else:
        missing["torch"] = f"PyTorch {torch.__version__} has no chunked linear_cross_entropy"
    if device != "cuda":
        missing["liger"] = "its kernel is for CUDA"
    elif importlib.util.find_spec("liger_kernel") is None:
        missing["liger"] = "the package liger-kernel is not installed"
    else:
        found["liger"] = liger
    return found, missing


class LossStep:
    """Forward and backward of one implementation on made-up positions.

    Args:
        name: One of :func:`implementations`.
        form: ``fused``: one product of width D; ``heads``: the mean over H products of width K;
            ``drawn``: one of width D against drawn items.
        drawn: M, for ``drawn``.
        dtype: ``float32`` or ``bfloat16``, of the products.
    """

    def __init__(
        self,
        name: str,
        form: Form,
        positions: int,
        items: int,
        width: int,
        heads: int,
        dtype: str,
        device: str,
        drawn: int = _DRAWN,
    ) -> None:
        self._device, self._name, self._form = torch.device(device), name, form
        self._loss = implementations(self._device.type, form)[0][name]
        H = heads if form == "heads" else 1
        rng = torch.Generator().manual_seed(0)
        # Queries as a layer norm leaves them, items as after some training.
        query = torch.randn(positions, H, width // H, generator=rng)
        table = 0.1 * torch.randn(H, items, width // H, generator=rng)
        kind: torch.dtype = getattr(torch, dtype)
        self._query = query.to(self._device, kind).requires_grad_()
        self._table = table.to(self._device).requires_grad_()
        self._target = torch.randint(items, (positions,), generator=rng).to(self._device)
        self._truth: Callable[..., tuple[Tensor, ...]] = reference_loss
        if form == "drawn":
            negative_M = torch.randint(items, (drawn,), generator=rng).to(self._device)
            self._loss = partial(self._loss, negative_M=negative_M)
            self._truth = partial(_with_gradients, partial(plain_of_drawn, negative_M=negative_M))

    def __call__(self, seconds: float = 0.0, check: bool = False) -> dict[str, Any]:
        """Mean ``seconds`` of a forward and backward pass, over as many as the time allows.

        Args:
            check: Also ``loss_error`` and ``gradient_error``, see :meth:`_errors`.
        """
        calls = max(1, round(seconds / timed(self._pass, self._device)))
        taken = timed(lambda: [self._pass() for _ in range(calls)], self._device)
        answer: dict[str, Any] = {"seconds": taken / calls}
        if self._device.type == "cuda":
            answer["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(self._device)
        return {**answer, **self._errors()} if check else answer

    def _pass(self) -> Tensor:
        """The loss; leaves its gradients at query and table."""
        self._query.grad = self._table.grad = None
        dtype = self._query.dtype
        with torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32):
            if self._form == "heads" and self._name == "ours":
                loss = head_cross_entropy(self._query, self._table, self._target)
            else:
                loss = torch.stack(
                    [
                        self._loss(self._query[:, head], table, self._target)
                        for head, table in enumerate(self._table)
                    ]
                ).mean()
        loss.backward()
        return loss.detach()

    def _errors(self) -> dict[str, float]:
        """Distances from float64, of the loss and (by the norm) of both gradients together."""
        loss = self._pass()
        assert self._query.grad is not None and self._table.grad is not None
        heads = len(self._table)
        true_loss = distance = norm = 0.0
        for head, table in enumerate(self._table.detach().double()):
            query = self._query.detach()[:, head].double()
            head_loss, *gradients = self._truth(query, table, self._target)
            true_loss += float(head_loss) / heads
            ours = (self._query.grad[:, head], self._table.grad[head])
            for true, found in zip(gradients, ours, strict=True):
                distance += float((found.double() - true / heads).square().sum())
                norm += float((true / heads).square().sum())
        return {
            "loss_error": abs(float(loss) / true_loss - 1),
            "gradient_error": math.sqrt(distance / norm),
        }


def bench_loss(
    work: Work, *, repeats: int, only: Sequence[str] = (), say: Say = lambda text: None
) -> dict[str, Report]:
    """Times every implementation at the mean size of a training step: fused, by head, drawn.

    Args:
        only: Names of implementations; default all.
    """
    device = resolve_device(work.training.device)
    dtype = resolve_precision(work.training.precision, device)
    known = [name for part in implementations(device.type) for name in part]
    wanted = chosen(only, known)
    lengths = work.window_lengths
    shape = {
        "positions": max(1, round(lengths.mean() * min(work.training.batch_size, len(lengths)))),
        "items": work.data.num_items,
        "width": work.model.width,
        "heads": work.model.heads,
        "dtype": str(dtype).removeprefix("torch."),
        "device": str(device),
        "drawn": work.training.negatives or _DRAWN,
    }
    reports = {}
    for form, (name, title) in _FORMS.items():
        found, missing = implementations(device.type, form)
        report = Report(title, {**shape, "data": work.data.name})
        report.notes = [
            f"{shape['positions']:,} positions, {shape['items']:,} items, width {shape['width']}, "
            f"{shape['drawn']:,} drawn, {shape['dtype']}; memory is what a pass adds, errors are "
            "distances from float64."
        ]
        report.missing = {name: why for name, why in missing.items() if name in wanted}
        _measure(report, form, shape, [name for name in wanted if name in found], repeats, say)
        reports[name] = report
    return reports


def _measure(
    report: Report, form: Form, shape: dict[str, Any], names: list[str], repeats: int, say: Say
) -> None:
    starts = {
        name: partial(Process, LossStep, {"name": name, "form": form, **shape}, warm_up={})
        for name in names
    }
    with ExitStack() as stack:
        running = start_all(starts, stack, report.missing, say)
        tasks = {
            name: partial(process, seconds=_SECONDS_A_REPEAT) for name, process in running.items()
        }
        answers = in_turns(tasks, dict.fromkeys(tasks, repeats), report.missing, say)
        checked = {name: running[name](check=True) for name in answers}
    for name, rows in answers.items():
        report.rows[name] = {
            "seconds": figure_of(rows, "seconds"),
            "extra_memory_bytes": rows[-1]["peak_memory_bytes"] - running[name].ready_bytes,
            **{
                key: checked[name][key]
                for key in ("peak_gpu_memory_bytes", "loss_error", "gradient_error")
                if key in checked[name]
            },
        }
        if name != "ours":
            report.compare("ours", name)
