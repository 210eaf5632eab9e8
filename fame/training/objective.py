"""What a step of training makes smaller: a sum of terms, each with a weight.

A term is a row of :data:`TERMS`: a weight that the configurations give it, and a function of a
:class:`Step`, which holds all that a term may look at. Terms of weight 0 are not computed.

Shapes: ``B`` batch · ``T`` positions · ``N`` targets · ``M`` drawn items · ``D`` width ·
``H`` heads · ``K`` head width.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from fame.config import ModelConfig, TrainConfig
from fame.data.attributes import ItemAttributes
from fame.losses import (
    head_cross_entropy,
    linear_cross_entropy,
    mean_over_heads,
    sampled_cross_entropy,
)
from fame.models.registry import ranking_heads, spec_of
from fame.models.sequence_model import Encoding, SequenceModel

logger = logging.getLogger(__name__)

_TINY = 1e-12  # a share whose logarithm, and its gradient, are finite


@dataclass(frozen=True)
class StepItems:
    """What a step knows of the items, composed once for reading and for ranking.

    Attributes:
        vectors: :meth:`~fame.models.sequence_model.SequenceModel.item_vectors` of all items or,
            where they are made of values and the step has to do with few, of those alone; row 0 is
            the padding's.
        row_V: The row of every item in ``vectors``; ``None``: its own number.
    """

    vectors: Tensor
    row_V: Tensor | None = None

    @classmethod
    def of(cls, model: SequenceModel, *asked: Tensor) -> StepItems:
        """Of all items; of those ``asked`` for, where any are named and it spares something."""
        if not asked or model.values is None:
            return cls(model.item_vectors())
        known_V = torch.zeros(model.num_items + 1, dtype=torch.bool, device=asked[0].device)
        known_V[0] = True
        for item in asked:
            known_V[item] = True
        return cls(model.item_vectors(known_V.nonzero()[:, 0]), known_V.cumsum(0) - 1)

    def place(self, item: Tensor) -> Tensor:
        """Rows of ``vectors`` in place of numbers of items; 0 stays 0."""
        return item if self.row_V is None else self.row_V[item]


@dataclass(frozen=True)
class Negatives:
    """The items drawn for a step, the same for all its targets and all terms.

    Attributes:
        row_M: Rows of the item table (item index - 1).
        positive_ND: The targets' embeddings as they are ranked.
        negative_MD: Those of the drawn items.
        importance_weight: How many items of the catalogue each drawn one stands for.
    """

    row_M: Tensor
    positive_ND: Tensor
    negative_MD: Tensor
    importance_weight: float

    @classmethod
    def of(
        cls, model: SequenceModel, target_N: Tensor, row_M: Tensor, items: StepItems
    ) -> Negatives:
        """Looks up targets and drawn items."""
        V, M = model.num_items, len(row_M)
        # Together, because the gradient of every look at the table is as large as the table.
        item = items.place(torch.cat([target_N, row_M]) + 1)
        rows = model.as_ranked(items.vectors.index_select(0, item))
        positive_ND, negative_MD = rows.split([len(target_N), M])
        return cls(row_M, positive_ND, negative_MD, V / M)


@dataclass(frozen=True)
class Step:
    """What a term may look at.

    Attributes:
        model: In training mode, as it reads this step.
        items: The items as the model has them in this step.
        encoding: What it read, at all positions of the batch.
        target_positions_N: Places of the positions that have a target, in the flattened
            ``(B * T)``.
        target_N: Rows of the item table (item index - 1) that came next at those positions.
        negatives: The items that targets have to win against; ``None``: the whole catalogue.
        label_smoothing: As configured; 0 where items are drawn.
        attributes: What the catalogue says of the items; no facets where there is none.
    """

    model: SequenceModel
    items: StepItems
    encoding: Encoding
    target_positions_N: Tensor
    target_N: Tensor
    negatives: Negatives | None
    label_smoothing: float
    head_loss_shares: tuple[float, ...]
    attributes: ItemAttributes

    # index_select, because the gradient of an index in brackets is five times slower.

    @cached_property
    def query_ND(self) -> Tensor:
        """The fused query at every position that has a target."""
        return self.encoding.query.flatten(0, 1).index_select(0, self.target_positions_N)

    @cached_property
    def state_NHK(self) -> Tensor:
        """The heads' states at every position that has a target."""
        return self.encoding.head_states.flatten(0, 1).index_select(0, self.target_positions_N)

    @cached_property
    def router_NHE(self) -> Tensor:
        """The routers' weights at every position that has a target."""
        return self.encoding.router.flatten(0, 1).index_select(0, self.target_positions_N)


@dataclass(frozen=True)
class Term:
    """One summand of the loss.

    Attributes:
        name: What it is called.
        weight: What it is multiplied by; 0 where the configurations do not want it.
        loss: Its value in a step, a mean over targets.
    """

    name: str
    weight: Callable[[ModelConfig, TrainConfig], float]
    loss: Callable[[Step], Tensor]


def fused_loss(step: Step) -> Tensor:
    """Mean cross-entropy of the fused ranking, over the catalogue or against drawn items."""
    negatives = step.negatives
    if negatives is None:
        table_VD = step.model.as_ranked(step.items.vectors[1:])
        return linear_cross_entropy(
            step.query_ND, table_VD, step.target_N, smoothing=step.label_smoothing
        )
    return _against(
        negatives, step.query_ND, negatives.positive_ND, negatives.negative_MD, step.target_N
    )


def heads_loss(step: Step) -> Tensor:
    """Mean over heads of the cross-entropy of each head's own ranking, against the same items."""
    negatives = step.negatives
    if negatives is None:
        table_VD = step.model.as_ranked(step.items.vectors[1:])
        sub_embeddings_HVK = step.model.seen_by_heads(table_VD)
        return head_cross_entropy(
            step.state_NHK,
            sub_embeddings_HVK,
            step.target_N,
            smoothing=step.label_smoothing,
            shares=step.head_loss_shares,
        )
    # Only the items that are asked for are seen with the heads' eyes.
    positive_HNK, negative_HMK = map(
        step.model.seen_by_heads, (negatives.positive_ND, negatives.negative_MD)
    )

    def loss(head: int) -> Tensor:
        seen = positive_HNK[head], negative_HMK[head]
        return _against(negatives, step.state_NHK[:, head], *seen, step.target_N)

    return mean_over_heads(loss, len(positive_HNK), step.head_loss_shares)


def experts_loss(step: Step) -> Tensor:
    """Mean over heads of what a router leaves unsaid about whose history it reads.

        1 - (H(mean_n beta_nh) - mean_n H(beta_nh)) / log E,

    which is 0 where every history has one expert and every expert as many histories, and 1 where
    all histories are routed alike. The difference is the mutual information of history and expert,
    with which clusters are found without labels ("phantom targets": Bridle, Heading and MacKay,
    NeurIPS 1991).
    """
    # Never in half precision, where 1 - 1e-4 is 1.
    router_NHE = step.router_NHE.to(torch.promote_types(step.router_NHE.dtype, torch.float32))
    if not len(router_NHE):
        return router_NHE.sum()
    told_H = _entropy(router_NHE.mean(0)) - _entropy(router_NHE).mean(0)
    return (1 - told_H / math.log(router_NHE.shape[-1])).mean()


def _entropy(shares: Tensor) -> Tensor:
    """In nats, over the last axis."""
    return torch.special.entr(shares.clamp_min(_TINY)).sum(-1)


def _against(
    negatives: Negatives,
    query_NX: Tensor,
    positive_NX: Tensor,
    negative_MX: Tensor,
    target_N: Tensor,
) -> Tensor:
    return sampled_cross_entropy(
        query_NX,
        positive_NX,
        negative_MX,
        target_N=target_N,
        negative_M=negatives.row_M,
        importance_weight=negatives.importance_weight,
    )


TERMS: tuple[Term, ...] = (
    Term("fused", lambda model, training: 1.0, fused_loss),
    Term(
        "heads",
        lambda model, training: training.head_loss_weight * (ranking_heads(model) > 1),
        heads_loss,
    ),
    Term(
        "experts",
        lambda model, training: (
            training.expert_loss_weight
            * (spec_of(model).ranks_by_head(model) and model.experts > 1)
        ),
        experts_loss,
    ),
)


class Objective(nn.Module):
    """Model and loss as one forward pass, which is what data-parallel training wraps.

    Compiling the model is a setting, and off unless it is asked for. On a CPU it does not pay: the
    first batches of FAME on Beauty cost 45 s of one core, and then a step (windows, the whole
    catalogue) takes as long as before (0.19 s against 0.20 s), since most of it is the loss. One
    graph serves batches of all widths but 1, because the width is left open (``dynamic=True``);
    closed, it would cost as much again for every width. On a GPU its loss is the plain one's (seen
    on an H200); how fast it is there has not been measured.

    Args:
        attributes: What the catalogue says of the items, for terms that ask; by default nothing.
    """

    def __init__(
        self,
        model: SequenceModel,
        config: TrainConfig,
        attributes: ItemAttributes | None = None,
    ) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.attributes = attributes or ItemAttributes()
        weighed = [(term.weight(model.config, config), term) for term in TERMS]
        self.terms = tuple((weight, term) for weight, term in weighed if weight)
        # Of a prefix only the last position has a target, so the last block reads no other.
        self._read = partial(model.__call__, last_only=config.samples == "prefixes")
        self._encode: Callable[..., Encoding] = (
            self._compile_and_encode if config.compile == "on" else self._read
        )

    def _compile_and_encode(self, items_BT: Tensor, *, vectors_VD: Tensor) -> Encoding:
        """The first pass, which compiles; where nothing compiles, training goes on without."""
        self._encode = torch.compile(self._read, dynamic=True)
        try:
            return self._encode(items_BT, vectors_VD=vectors_VD)
        except Exception as error:  # whatever a missing or an old compiler leads to
            reason = str(error).strip().partition("\n")[0]
            logger.warning("torch.compile does not work here, so it is left out: %s", reason)
            self._encode = self._read
            return self._encode(items_BT, vectors_VD=vectors_VD)

    def forward(self, items_BT: Tensor, target_positions_N: Tensor, target_N: Tensor) -> Tensor:
        """The weighted sum of the terms, each a mean over the targets.

        Today ``fused + head_loss_weight * mean over heads of the head's own``, that mean weighed by
        ``head_loss_shares`` where there are any, with all items as candidates or, with
        ``negatives``, those drawn for this step; the second term only where there are heads.
        Without a real position the loss is 0, and so is every gradient.

        Args:
            items_BT: Sequences, padded with 0 on the right.
            target_positions_N: Places of the positions that have a target, in the flattened
                ``(B * T)``; in ``(B,)`` where samples are prefixes.
            target_N: Rows of the item table (item index - 1) that came next at those positions.
        """
        config = self.config
        row_M = None
        if self.model.values is not None and config.negatives:
            # Before the reading, so that no other items are composed. All other models draw after
            # it: by the seed, every run before there were values did.
            row_M = self._drawn(target_N)
            items = StepItems.of(self.model, items_BT, target_N + 1, row_M + 1)
        else:
            items = StepItems.of(self.model)
        encoding = self._encode(items.place(items_BT), vectors_VD=items.vectors)
        if row_M is None and config.negatives:
            row_M = self._drawn(target_N)
        step = Step(
            model=self.model,
            items=items,
            encoding=encoding,
            target_positions_N=target_positions_N,
            target_N=target_N,
            negatives=None if row_M is None else Negatives.of(self.model, target_N, row_M, items),
            label_smoothing=config.label_smoothing,
            head_loss_shares=config.shares_of_heads,
            attributes=self.attributes,
        )
        losses = [weight * term.loss(step) for weight, term in self.terms]
        return torch.stack(losses).sum()

    def _drawn(self, target_N: Tensor) -> Tensor:
        """Rows of the items that targets have to win against, any as likely as the others."""
        return torch.randint(self.model.num_items, (self.config.negatives,), device=target_N.device)
