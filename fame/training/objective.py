"""What a step of training makes smaller.

Shapes: ``B`` batch · ``T`` positions · ``N`` targets · ``D`` width · ``H`` heads ·
``K`` head width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from fame.config import TrainConfig
from fame.losses import head_cross_entropy, linear_cross_entropy, sampled_cross_entropy
from fame.model import Encoding, SequenceModel

logger = logging.getLogger(__name__)


class Objective(nn.Module):
    """Model and loss as one forward pass, which is what data-parallel training wraps.

    Compiling the model is a setting, and off unless it is asked for. On a CPU it does not pay: the
    first batches of FAME on Beauty cost 45 s of one core, and then a step (windows, the whole
    catalogue) takes as long as before (0.19 s against 0.20 s), since most of it is the loss. One
    graph serves batches of all widths but 1, because the width is left open (``dynamic=True``);
    closed, it would cost as much again for every width. On a GPU it has not been measured.
    """

    def __init__(self, model: SequenceModel, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        # Of a prefix only the last position has a target, so the last block reads no other.
        self._read = partial(model.__call__, last_only=config.samples == "prefixes")
        self._encode: Callable[[Tensor], Encoding] = (
            self._compile_and_encode if config.compile == "on" else self._read
        )

    def _compile_and_encode(self, items_BT: Tensor) -> Encoding:
        """The first pass, which compiles; where nothing compiles, training goes on without."""
        self._encode = torch.compile(self._read, dynamic=True)
        try:
            return self._encode(items_BT)
        except Exception as error:  # whatever a missing or an old compiler leads to
            reason = str(error).strip().partition("\n")[0]
            logger.warning("torch.compile does not work here, so it is left out: %s", reason)
            self._encode = self._read
            return self._encode(items_BT)

    def forward(self, items_BT: Tensor, asked_N: Tensor, target_N: Tensor) -> Tensor:
        """Mean cross-entropy over the targets, all items as candidates or, with
        ``negatives``, those drawn for this step.

        ``fused + head_loss_weight * mean over heads of the head's own``; the second term only where
        there are heads. Without a real position the loss is 0, and so is every gradient.

        Args:
            items_BT: Sequences, padded with 0 on the right.
            asked_N: Places of the positions that have a target, in the flattened ``(B * T)``; in
                ``(B,)`` where samples are prefixes.
            target_N: Rows of the item table (item index - 1) that came next at those positions.
        """
        encoding = self._encode(items_BT)
        # index_select, because the gradient of an index in brackets is five times slower.
        query_ND = encoding.query.flatten(0, 1).index_select(0, asked_N)
        state_NHK = None
        if self.config.head_loss_weight and self.model.heads > 1:
            state_NHK = encoding.head_states.flatten(0, 1).index_select(0, asked_N)
        if self.config.negatives:
            return self._against_drawn(query_ND, state_NHK, target_N)
        smoothing = self.config.label_smoothing
        table_VD = self.model.item_table
        loss = linear_cross_entropy(query_ND, table_VD, target_N, smoothing=smoothing)
        if state_NHK is not None:
            by_head = head_cross_entropy(
                state_NHK, self.model.sub_embeddings(), target_N, smoothing=smoothing
            )
            loss = loss + self.config.head_loss_weight * by_head
        return loss

    def _against_drawn(
        self, query_ND: Tensor, state_NHK: Tensor | None, target_N: Tensor
    ) -> Tensor:
        """The loss against ``negatives`` items drawn for this step, the same for the heads."""
        V, M = self.model.num_items, self.config.negatives
        drawn_M = torch.randint(V, (M,), device=query_ND.device)
        against = partial(
            sampled_cross_entropy, target_N=target_N, drawn_M=drawn_M, stands_for=V / M
        )
        # Together, because the gradient of every look at the table is as large as the table.
        rows = self.model.rows_of_item_table(torch.cat([target_N, drawn_M]))
        wanted_ND, drawn_MD = rows.split([len(target_N), M])
        loss = against(query_ND, wanted_ND, drawn_MD)
        if state_NHK is not None:
            # Only the items that are asked for are seen with the heads' eyes.
            wanted_HNK, drawn_HMK = map(self.model.seen_by_heads, (wanted_ND, drawn_MD))
            by_head = [
                against(state_NHK[:, h], wanted_HNK[h], drawn_HMK[h])
                for h in range(len(wanted_HNK))
            ]
            loss = loss + self.config.head_loss_weight * torch.stack(by_head).mean()
        return loss
