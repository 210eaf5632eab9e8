"""Items made of values: what an item is in a head that is a facet.

In a named head h (:attr:`fame.config.ModelConfig.facet_shares`) with ``n_vh`` values of item v

    x_v[slice h] = (1 / sqrt(n_vh)) sum_{a in values of v} e_a  +  s_vh r_v[slice h]
    s_vh = min(1, bound * |values' part| / |r_v[slice h]|)

where ``e_a``, of head width, is learned for every value and ``r_v`` is the item's own vector. So
items of one value lie near each other however training goes, and differ by less than that. A head
without a share is free: its slice is ``r_v`` alone, and so is that of an item of which the
catalogue knows no value of a facet (no part is there to be shorter than, so nothing is cut; such
an item is ranked by the named head as one of a free head is).

Shapes: ``V`` items with the padding id 0 · ``H`` heads, ``G`` of them named · ``K`` head width ·
``D = H K`` · ``A`` values, counted in each head that knows them · ``N`` items that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Four times an embedding's usual standard deviation, as of items that start from the catalogue.
VALUE_STD = 0.08
_TINY = 1e-12  # a length to divide by, where there is none


@dataclass(frozen=True)
class ValueIndex:
    """Which item has which values.

    Attributes:
        counts: ``[H]`` how many values each head knows: 0 where it is free, A in all. Values are
            numbered from 0, those of the first head first.
        value: Int32: values of the first named head's items in the order of the items, then of the
            next head's; one entry for every value that an item has.
        start: ``(G V + 1,)`` int32: where in ``value`` those of each item begin, and its end.
    """

    counts: tuple[int, ...]
    value: Tensor
    start: Tensor

    @classmethod
    def of(cls, counts: Sequence[int], value: object, start: object) -> ValueIndex:
        """From anything that torch takes for numbers."""
        value, start = (torch.as_tensor(part, dtype=torch.int32) for part in (value, start))
        return cls(tuple(counts), value, start)

    @property
    def named(self) -> tuple[int, ...]:
        """``[G]`` the heads that know values."""
        return tuple(head for head, count in enumerate(self.counts) if count)

    def check(self, num_items: int) -> None:
        """``ValueError`` says why it is no index of a catalogue of so many items."""
        bags = len(self.named) * (num_items + 1)
        for name, part in (("value", self.value), ("start", self.start)):
            if part.dtype != torch.int32:
                raise ValueError(f"its {name} is of {part.dtype} and not of int32")
        value, start = self.value.long(), self.start.long()
        if start.shape != (bags + 1,) or value.ndim != 1:
            raise ValueError(
                f"it has places for {len(start) - 1:,} sets of values, and {len(self.named)} heads "
                f"over {num_items:,} items have {bags:,}"
            )
        if int(start[0]) != 0 or int(start[-1]) != len(value) or bool((start.diff() < 0).any()):
            raise ValueError(f"its places do not cut its {len(value):,} values into sets")
        sets = start.diff()
        of_set = torch.arange(bags).repeat_interleave(sets)
        ends = torch.tensor([0, *accumulate(self.counts[head] for head in self.named)])
        head = of_set // (num_items + 1)
        wrong = (value < ends[head]) | (value >= ends[head + 1])
        if bool(wrong.any()):
            raise ValueError(f"it has the value {int(value[wrong][0])}, which its head does not")
        if bool((sets[:: num_items + 1] > 0).any()):
            raise ValueError("it gives values to the padding")
        repeated = (of_set.diff() == 0) & (value.diff() <= 0)
        if bool(repeated.any()):
            item = int(of_set[1:][repeated][0]) % (num_items + 1)
            raise ValueError(f"it gives item {item} a value twice, or values out of order")

    def values_of(self, item: int) -> list[list[int]]:
        """``[H]`` the values of one item by head; none in a free head."""
        V = (len(self.start) - 1) // len(self.named)
        own: list[list[int]] = [[] for _ in self.counts]
        for group, head in enumerate(self.named):
            begin, end = self.start[group * V + item : group * V + item + 2].tolist()
            own[head] = self.value[begin:end].tolist()
        return own


class ItemValues(nn.Module):
    """The vectors of values, and the items that are composed of them.

    Args:
        index: Kept with the weights.
        head_width: K.
        bound: How long an item's own part may be, as a share of its values' part.
    """

    value: Tensor
    start: Tensor

    def __init__(self, index: ValueIndex, head_width: int, bound: float) -> None:
        super().__init__()
        self.counts, self.bound = index.counts, bound
        self.vectors = nn.Parameter(torch.empty(sum(index.counts), head_width))
        nn.init.normal_(self.vectors, std=VALUE_STD)
        self.register_buffer("value", index.value)
        self.register_buffer("start", index.start)

    @property
    def index(self) -> ValueIndex:
        return ValueIndex(self.counts, self.value, self.start)

    def compose(self, own_ND: Tensor, item_N: Tensor | None = None) -> Tensor:
        """x_v of items from their own vectors, ``(N, D)``.

        Args:
            item_N: Which items; by default all of them, 0 for the padding first.
        """
        slices = own_ND.chunk(len(self.counts), dim=-1)
        named = dict(zip(self.index.named, self._given(item_N), strict=True))
        return torch.cat(
            [
                own_NK if head not in named else self._sum_of_parts(*named[head], own_NK)
                for head, own_NK in enumerate(slices)
            ],
            dim=-1,
        )

    def own_parts(self, own_VD: Tensor) -> Tensor:
        """What of the composed items is their own, ``(V, H, K)``: ``s_vh r_v``."""
        own_VHK = own_VD.unflatten(-1, (len(self.counts), -1)).clone()
        for head, given in zip(self.index.named, self._given(), strict=True):
            own_VHK[:, head] *= self._scale(*given, own_VHK[:, head])
        return own_VHK

    def _given(self, item_N: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Of each named head the values' part ``(N, K)`` and of how many values it is ``(N,)``."""
        value, start = self.value, self.start
        G = len(self.index.named)
        if item_N is not None:
            V = (len(start) - 1) // G
            set_GN = torch.arange(0, G * V, V, device=start.device)[:, None] + item_N
            begin, count = start[set_GN].flatten(), (start[set_GN + 1] - start[set_GN]).flatten()
            start = F.pad(count.cumsum(0, dtype=start.dtype), (1, 0))
            places = torch.arange(int(start[-1]), device=start.device)
            value = value[places + torch.repeat_interleave(begin - start[:-1], count)]
        sum_GNK = F.embedding_bag(
            value, self.vectors, start, mode="sum", include_last_offset=True
        ).view(G, -1, self.vectors.shape[1])
        count_GN = start.diff().view(G, -1)
        part_GNK = sum_GNK * count_GN.clamp_min(1).to(sum_GNK.dtype).rsqrt()[..., None]
        return list(zip(part_GNK, count_GN, strict=True))

    def _sum_of_parts(self, part_NK: Tensor, count_N: Tensor, own_NK: Tensor) -> Tensor:
        return part_NK + self._scale(part_NK, count_N, own_NK) * own_NK

    def _scale(self, part_NK: Tensor, count_N: Tensor, own_NK: Tensor) -> Tensor:
        """s_vh, ``(N, 1)``."""
        length_N1, own_N1 = (
            torch.linalg.vector_norm(x_NK, dim=-1, keepdim=True) for x_NK in (part_NK, own_NK)
        )
        scale_N1 = (self.bound * length_N1 / own_N1.clamp_min(_TINY)).clamp_max(1)
        return scale_N1.masked_fill(count_N[:, None] == 0, 1)
