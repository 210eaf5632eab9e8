"""What of a model depends on no history, made once for all who read with the same weights.

Pages and surveys read the same weights again and again, and to compose the items of a catalogue
costs more than to read a history. It is kept here and not on the model, which many sessions may
share; whoever gets it changes nothing in it.

Shapes: ``V`` items with the padding id 0 · ``D`` width · ``H`` heads · ``K`` head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fame.models.sequence_model import SequenceModel

T = TypeVar("T")


@dataclass(frozen=True)
class _Kept:
    """What was made, by name.

    Attributes:
        made_of: The weights that it is made of, how often each had been changed then, and where
            its numbers lay.
    """

    made_of: tuple[tuple[Tensor, int, int], ...]
    found: dict[str, Any] = field(default_factory=dict)

    def holds(self, weights: list[Tensor]) -> bool:
        """Whether no weight was changed or replaced since."""
        return len(weights) == len(self.made_of) and all(
            now is before and now._version == changes and now.data_ptr() == place
            for now, (before, changes, place) in zip(weights, self.made_of, strict=True)
        )


_kept: WeakKeyDictionary[SequenceModel, _Kept] = WeakKeyDictionary()


def once(model: SequenceModel, name: str, make: Callable[[], T]) -> T:
    """What ``make`` gives for the weights that items are made of, as they are now.

    Two threads may both make it, to the same result.
    """
    weights = [model.item_embedding.weight, *model.parameters(recurse=False)]
    if model.values is not None:
        weights += [*model.values.parameters(), *model.values.buffers()]
    kept = _kept.get(model)
    if kept is None or not kept.holds(weights):
        made_of = tuple((weight, weight._version, weight.data_ptr()) for weight in weights)
        kept = _kept[model] = _Kept(made_of)
    if name not in kept.found:
        kept.found[name] = make()
    return cast(T, kept.found[name])


def _of_frozen(model: SequenceModel, name: str, make: Callable[[], Tensor]) -> Tensor:
    """A table of the items, kept where the weights are at rest, as those of a checkpoint are.

    While a model trains it would be in the way; what is made in inference mode can be used for
    nothing else.
    """
    if model.item_embedding.weight.requires_grad or torch.is_inference_mode_enabled():
        return make()
    return once(model, name, make)


def item_vectors(model: SequenceModel) -> Tensor:
    """:meth:`~fame.models.sequence_model.SequenceModel.item_vectors` of all items, ``(V, D)``."""
    return _of_frozen(model, "vectors", model.item_vectors)


def item_table(model: SequenceModel) -> Tensor:
    """x_v of the real items as they are ranked, ``(V - 1, D)``."""
    return _of_frozen(model, "table", lambda: model.as_ranked(item_vectors(model)[1:]))


def sub_embeddings(model: SequenceModel) -> Tensor:
    """The real items as each head sees them, ``(H, V - 1, K)``."""
    return _of_frozen(model, "seen", lambda: model.seen_by_heads(item_table(model)))


def mean_sub_embeddings(model: SequenceModel) -> Tensor:
    """The mean of :func:`sub_embeddings` over the items, ``(H, 1, K)`` in float64."""
    return _of_frozen(
        model,
        "mean",
        lambda: sub_embeddings(model).mean(1, keepdim=True, dtype=torch.float64),
    )
