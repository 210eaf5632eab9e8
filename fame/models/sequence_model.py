"""What every model shares: one interface, the item table, the backbone, scoring and tracing.

Shapes: ``B`` batch · ``T`` positions · ``D`` width · ``H`` heads · ``K`` head width (``D / H``) ·
``E`` experts in each head · ``V`` items with the padding id 0. A model whose heads do not rank by
themselves has ``H = 1``, ``K = D`` and ``E = 0``.

A model answers one question, "what comes next?", in three steps that everything else is built on:

1. :meth:`SequenceModel.forward` reads sequences and gives an :class:`Encoding`: at every position,
   or at the last one alone, the query ``q`` of the fused score, and the head states, gate and
   router behind it.
2. ``P(v) = <x_v, q>`` ranks the catalogue at the price of one matrix product, because
   ``q = sum_h g_h W^f_h^T F_h`` already holds the whole fusion.
3. :meth:`SequenceModel.trace` reads the last position of the same forward pass as a
   :class:`FameTrace`: who said what, with which weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.errors import FameError
from fame.models.item_values import ItemValues, ValueIndex
from fame.models.layers import (
    CausalSelfAttention,
    Dropout,
    RelativePositions,
    TransformerBlock,
)


@dataclass(frozen=True)
class Intervention:
    """A change to gate or router, for "what if" questions; it never changes the model.

    Args:
        gate: H weights that *replace* the gate and are normalised to sum 1; all finite and >= 0,
            not all 0. Weight 1 for one head and 0 elsewhere gives exactly that head's own list.
        muted: Pairs ``(head, expert)``: the expert's share becomes 0, the rest of its head's
            shares are renormalised.
        solo: Pairs ``(head, expert)``: this expert has all of its head's share; several solo
            experts of one head share it as the router weighs them.
    """

    gate: tuple[float, ...] | None = None
    muted: tuple[tuple[int, int], ...] = ()
    solo: tuple[tuple[int, int], ...] = ()

    def gate_weights(self, heads: int) -> Tensor | None:
        """The replacing gate ``(H,)``, normalised; ``FameError`` says what is wrong with it."""
        if self.gate is None:
            return None
        if len(self.gate) != heads:
            raise FameError(
                f"The gate needs {heads} weight{'s' * (heads != 1)}, one a head, not "
                f"{len(self.gate)}."
            )
        for weight in self.gate:
            if not math.isfinite(weight) or weight < 0:
                raise FameError(f"Gate weights must be finite and at least 0, not {weight}.")
        largest = max(self.gate)
        if largest == 0:
            raise FameError("At least one gate weight must be above 0.")
        weights = torch.tensor(self.gate, dtype=torch.float64) / largest  # sums cannot overflow
        return weights / weights.sum()

    def expert_mask(self, heads: int, experts: int) -> Tensor | None:
        """``(H, E)``, 1 for the experts that stay; ``FameError`` where a head would lose all."""
        if not self.muted and not self.solo:
            return None
        if not experts:
            raise FameError("This model has no experts to mute or to hear alone.")
        for head, expert in (*self.muted, *self.solo):
            if not (0 <= head < heads and 0 <= expert < experts):
                raise FameError(
                    f"There is no expert {head}:{expert}; heads count from 0 to {heads - 1} and "
                    f"experts from 0 to {experts - 1}."
                )
        mask = torch.ones(heads, experts)
        for head in {head for head, _ in self.solo}:
            mask[head] = 0
        for head, expert in self.solo:
            mask[head, expert] = 1
        for head, expert in self.muted:
            mask[head, expert] = 0
        for head, kept in enumerate(mask.sum(1).tolist()):
            if not kept:
                raise FameError(f"Head {head} would have no expert left; leave it at least one.")
        return mask


@dataclass(frozen=True)
class Encoding:
    """What one forward pass knows at every position, or at the last one (``T`` is then 1).

    Attributes:
        query: ``(B, T, D)`` the fused query; ``P(v) = <x_v, q>``.
        head_states: ``(B, T, H, K)`` F_h; head h alone scores ``P_h(v) = <W^f_h x_v, F_h>``. Under
            cosine scores F_h is scaled so that ``W^f_h^T F_h`` has length 1 / temperature; where
            the fused query has that length, all heads' are longer by the same factor.
        gate: ``(B, T, H)`` shares of the heads, each row sums to 1.
        router: ``(B, T, H, E)`` shares of the experts in each head, or ``(B, T, 1, 0)``.
    """

    query: Tensor
    head_states: Tensor
    gate: Tensor
    router: Tensor

    def at(self, *place: int | slice | Tensor) -> LastPosition:
        """One position of every sequence, or several of one: ``n`` of them in all."""
        parts = (self.query, self.head_states, self.gate, self.router)
        return LastPosition(*(part[place] for part in parts))


@dataclass(frozen=True)
class LastPosition:
    """What a model says at the end of each of ``n`` histories, see :class:`Encoding`.

    Attributes:
        query: ``(n, D)``.
        head_states: ``(n, H, K)``.
        gate: ``(n, H)``.
        router: ``(n, H, E)``, or ``(n, 1, 0)``.
    """

    query: Tensor
    head_states: Tensor
    gate: Tensor
    router: Tensor

    def __len__(self) -> int:
        return len(self.query)

    def __getitem__(self, rows: slice | Tensor) -> LastPosition:
        return LastPosition(*(tensor[rows] for tensor in vars(self).values()))

    @classmethod
    def joined(cls, parts: Sequence[LastPosition]) -> LastPosition:
        """Several, one after the other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))


@dataclass(frozen=True)
class FameTrace:
    """The last position of a forward pass, in full.

    Attributes:
        gate: ``(B, H)`` shares of the heads, as applied.
        router: ``(B, H, E)`` shares of the experts, as applied, or ``(B, 1, 0)``.
        attention: ``(B, H, E, T)`` what each expert attends to; 0 at padding.
        head_queries: ``(B, H, K)`` F_h.
        head_scores: ``(B, H, V)`` P_h(v) for every item; the padding's column is ``-inf``.
        scores: ``(B, V)`` P(v), the fused score from the one query; padding ``-inf``.
        gate_path: ``(B, T, H)`` the gate after every click, 0 at padding.
        router_path: ``(B, T, H, E)`` the router after every click, 0 at padding.
    """

    gate: Tensor
    router: Tensor
    attention: Tensor
    head_queries: Tensor
    head_scores: Tensor
    scores: Tensor
    gate_path: Tensor
    router_path: Tensor


class SequenceModel(nn.Module):
    """What every model shares: the item table, the backbone, scoring and tracing.

    A model adds its last block and what it ranks with: :meth:`encode`, :meth:`seen_by_heads` and
    :meth:`attention_at`.
    """

    heads: int
    experts: int

    def __init__(
        self,
        config: ModelConfig,
        num_items: int,
        standard_blocks: int,
        values: ValueIndex | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_items = num_items
        self.item_embedding = nn.Embedding(num_items + 1, config.width, padding_idx=0)
        self.values: ItemValues | None = None
        if values is not None:
            self.values = ItemValues(values, config.head_width, config.own_bound)
        if config.positions == "absolute":
            self.position_embedding = nn.Embedding(config.max_length, config.width)
        self.embedding_norm = nn.LayerNorm(config.width)
        self.embedding_dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(self.new_block() for _ in range(standard_blocks))

    def new_block(self) -> TransformerBlock:
        """One block of the backbone, untrained."""
        config = self.config
        relative = relative_positions(config, config.heads)
        attention = CausalSelfAttention(config.width, config.heads, relative)
        return TransformerBlock(config.width, attention, config.dropout)

    def item_vectors(self, item_N: Tensor | None = None) -> Tensor:
        """x_v before it is scaled for ranking, ``(V, D)``: row i is item i, 0 the padding.

        What is learned for each item or, where items are made of values, composed of that and of
        theirs. That costs as much as the table is large, so who reads and ranks by the same weights
        composes once and hands the result to both, as ``vectors_VD``.

        Args:
            item_N: Only these items, ``(N, D)``; by default all.
        """
        own_VD = self.item_embedding.weight
        if item_N is not None:
            # Because the gradient of an index in brackets is several times slower.
            own_VD = own_VD.index_select(0, item_N)
        return own_VD if self.values is None else self.values.compose(own_VD, item_N)

    def backbone(self, items_BT: Tensor, vectors_VD: Tensor | None = None) -> Tensor:
        """S ``(B, T, D)``, what the last block reads: embeddings and the first L - 1 blocks.

        ``items_BT`` is padded with 0 on the right and holds at most ``max_length`` positions.
        """
        T = items_BT.shape[1]
        if self.config.max_length < T:
            raise ValueError(f"{T} positions are more than max_length {self.config.max_length}")
        if vectors_VD is None:
            vectors_VD = self.item_vectors()
        x_BTD = F.embedding(items_BT, vectors_VD, padding_idx=0)
        if self.config.positions == "absolute":
            x_BTD = x_BTD + self.position_embedding.weight[:T]
        x_BTD = self.embedding_dropout(self.embedding_norm(x_BTD))
        for block in self.blocks[: self.config.layers - 1]:
            x_BTD = block(x_BTD)
        return x_BTD

    @property
    def parameter_count(self) -> int:
        """How many numbers training sets."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def item_table(self) -> Tensor:
        """x_v of the real items as they are ranked, ``(V - 1, D)``: row i is item i + 1.

        Of length 1 under cosine scores.
        """
        return self.as_ranked(self.item_vectors()[1:])

    def rows_of_item_table(self, row_N: Tensor) -> Tensor:
        """Some rows of :attr:`item_table`, ``(N, D)``, without a look at the others."""
        return self.as_ranked(self.item_vectors(row_N + 1))

    def as_ranked(self, x_ND: Tensor) -> Tensor:
        """Rows of :meth:`item_vectors` as they are ranked: of length 1 under cosine scores."""
        return x_ND if self.config.score == "dot" else F.normalize(x_ND, dim=-1)

    def padded_table(self, vectors_VD: Tensor | None = None) -> Tensor:
        """The item table with the padding as row 0, ``(V, D)``: row i is item i."""
        if vectors_VD is None:
            vectors_VD = self.item_vectors()
        return F.pad(self.as_ranked(vectors_VD[1:]), (0, 0, 1, 0))

    def sub_embeddings(self) -> Tensor:
        """``(H, V - 1, K)``: the items as each head sees them, ``x_v^h = W^f_h x_v`` [9]."""
        return self.seen_by_heads(self.item_table)

    def seen_by_heads(self, x_ND: Tensor) -> Tensor:
        """Rows of the item table as each head sees them, ``(H, N, K)``."""
        raise NotImplementedError

    def forward(
        self,
        items_BT: Tensor,
        *,
        last_only: bool = False,
        intervention: Intervention | None = None,
        vectors_VD: Tensor | None = None,
    ) -> Encoding:
        """Reads sequences ``(B, T)``, right-padded with 0.

        Args:
            last_only: Read the last real position of each sequence alone, which is all that a
                ranking, or training on prefixes, needs and spares the last block the others.
            intervention: A change to gate or router.
            vectors_VD: :meth:`item_vectors`, where the caller has them already.
        """
        only_B = last_positions(items_BT) if last_only else None
        s_BTD = self.backbone(items_BT, vectors_VD)
        return self.encode(s_BTD, only_B=only_B, intervention=intervention)

    def read(
        self,
        items_BT: Tensor,
        *,
        intervention: Intervention | None = None,
        vectors_VD: Tensor | None = None,
    ) -> LastPosition:
        """The end of every sequence alone: all that a ranking needs."""
        encoding = self(items_BT, last_only=True, intervention=intervention, vectors_VD=vectors_VD)
        return encoding.at(slice(None), 0)

    def encode(
        self,
        s_BTD: Tensor,
        *,
        only_B: Tensor | None = None,
        intervention: Intervention | None = None,
    ) -> Encoding:
        """The last block and the heads on the backbone's output, at all positions or at one."""
        raise NotImplementedError

    def attention_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        """``(B, H, E, T)``: what every expert attends to from one position."""
        raise NotImplementedError

    @torch.no_grad()
    def trace(
        self,
        items_BT: Tensor,
        *,
        intervention: Intervention | None = None,
        vectors_VD: Tensor | None = None,
        table_VD: Tensor | None = None,
        seen_HVK: Tensor | None = None,
    ) -> FameTrace:
        """Everything about the last real position of every sequence, from one forward pass.

        Args:
            intervention: A change to gate or router.
            vectors_VD: :meth:`item_vectors`, where the caller has them already.
            table_VD: :attr:`item_table`, likewise.
            seen_HVK: :meth:`sub_embeddings`, likewise.

        Raises:
            RuntimeError: in training mode, where dropout would make it random.
            ValueError: where a sequence holds no item.
        """
        if self.training:
            raise RuntimeError("a trace needs the model in eval mode")
        real_BT = items_BT != 0
        if not bool(real_BT.any(dim=1).all()):
            raise ValueError("a sequence to trace needs at least one item")
        if vectors_VD is None:
            vectors_VD = self.item_vectors()
        if table_VD is None:
            table_VD = self.as_ranked(vectors_VD[1:])
        if seen_HVK is None:
            seen_HVK = self.seen_by_heads(table_VD)
        s_BTD = self.backbone(items_BT, vectors_VD)
        encoding = self.encode(s_BTD, intervention=intervention)
        row, last = torch.arange(len(items_BT), device=items_BT.device), last_positions(items_BT)
        end = encoding.at(row, last)
        head_scores = torch.einsum("bhk,hvk->bhv", end.head_states, seen_HVK)
        scores = end.query @ table_VD.T
        return FameTrace(
            gate=end.gate,
            router=end.router,
            attention=self.attention_at(s_BTD, last),
            head_queries=end.head_states,
            head_scores=F.pad(head_scores, (1, 0), value=-math.inf),
            scores=F.pad(scores, (1, 0), value=-math.inf),
            gate_path=encoding.gate * real_BT[..., None],
            router_path=encoding.router * real_BT[..., None, None],
        )


def relative_positions(config: ModelConfig, query_heads: int) -> RelativePositions | None:
    """What a block with so many query heads needs to know distances, where ``config`` wants it."""
    if config.positions == "absolute":
        return None
    return RelativePositions(query_heads, config.max_length)


def last_positions(items_BT: Tensor) -> Tensor:
    """The last real position of every right-padded sequence, ``(B,)``; 0 where there is none."""
    return ((items_BT != 0).sum(1) - 1).clamp(min=0)
