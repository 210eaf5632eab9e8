"""The bridge between a fast model and its slow twin in :mod:`tests.reference`."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

from fame.config import ModelConfig
from fame.models.item_values import ValueIndex
from fame.models.registry import spec_of
from fame.models.sequence_model import SequenceModel
from tests import reference


def leaves_of(model: SequenceModel) -> dict[str, Tensor]:
    """Copies of a model's parameters in float64, by name, that collect the twin's gradients."""
    return {
        name: parameter.detach().double().clone().requires_grad_()
        for name, parameter in model.named_parameters()
    }


def twin_parameters(
    leaves: dict[str, Tensor], config: ModelConfig, index: ValueIndex | None = None
) -> dict:
    """The twin's parameters as views of ``leaves``, cut apart by head and by expert.

    ``index`` says which item has which values, where items are made of them.

    ``torch.nn.Linear`` stores the transpose of the matrix in the equations.
    """
    D, H, E, K = config.width, config.heads, config.experts, config.head_width

    def linear(name: str, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        return leaves[f"{name}.weight"][rows].T, leaves[f"{name}.bias"][rows]

    def norm(name: str) -> tuple[Tensor, Tensor]:
        return leaves[f"{name}.weight"], leaves[f"{name}.bias"]

    relative = config.positions == "relative"

    def rest_of_block(name: str) -> dict:
        return {
            "attention_norm": norm(f"{name}.attention_norm"),
            "inner": linear(f"{name}.feed_forward.inner"),
            "outer": linear(f"{name}.feed_forward.outer"),
            "feed_forward_norm": norm(f"{name}.feed_forward_norm"),
        }

    def block(name: str) -> dict:
        packed = f"{name}.attention.query_key_value"
        own = {
            "query": linear(packed, slice(0, D)),
            "key": linear(packed, slice(D, 2 * D)),
            "value": linear(packed, slice(2 * D, 3 * D)),
            "output": linear(f"{name}.attention.output"),
            **rest_of_block(name),
        }
        if relative:
            own["relative"] = list(leaves[f"{name}.attention.relative.by_distance"])
        if config.model == "bsarec":
            own["filter"] = {
                "weight": config.filter_weight,
                "cutoff": config.frequency_cutoff,
                "length": config.max_length,
                "sqrt_beta": leaves[f"{name}.filter.sqrt_beta"],
                "norm": norm(f"{name}.filter_norm"),
            }
        return own

    def part(index: int) -> slice:
        return slice(index * K, (index + 1) * K)

    def of_head(head: int, name: str, index: int) -> tuple[Tensor, Tensor]:
        matrix, bias = linear(name, part(index))
        if config.expert_view == "own":  # nothing comes of the other slices
            matrix = F.pad(matrix, (0, 0, head * K, (H - 1 - head) * K))
        return matrix, bias

    def mixture(name: str) -> dict:
        own = {
            "query": [
                [of_head(head, f"{name}.query", head * E + expert) for expert in range(E)]
                for head in range(H)
            ],
            "key": [of_head(head, f"{name}.key", head) for head in range(H)],
            "value": [of_head(head, f"{name}.value", head) for head in range(H)],
            "router": [
                (leaves[f"{name}.router_weight"][head], leaves[f"{name}.router_bias"][head])
                for head in range(H)
            ],
        }
        if relative:
            by_distance = leaves[f"{name}.relative.by_distance"]
            own["relative"] = [list(by_distance[h * E : (h + 1) * E]) for h in range(H)]
        return own

    standard = config.layers - (config.model == "fame")
    parameters = {
        "item_embedding": leaves["item_embedding.weight"],
        "embedding_norm": norm("embedding_norm"),
        "blocks": [block(f"blocks.{index}") for index in range(standard)],
    }
    if relative:
        parameters["max_length"] = config.max_length
    else:
        parameters["position_embedding"] = leaves["position_embedding.weight"]
    if config.score != "dot":
        parameters["temperature"] = config.temperature
    if config.score == "fused-cosine" and spec_of(config).ranks_by_head(config):
        parameters["fused_length"] = 1 / config.temperature
    if not spec_of(config).heads_rank:
        return parameters
    if config.facets == "off":
        last = f"blocks.{standard}"
        merged = {"output": linear(f"{last}.attention.output"), **rest_of_block(last)}
        return parameters | mixture(f"{last}.attention.mixture") | {"merged": merged}
    maps = list(leaves["facet_maps"])
    if index is not None:
        parameters["values"] = values_by_head(leaves["values.vectors"], config, index)
        maps = [F.pad(own, (h * K, (H - 1 - h) * K)) for h, own in enumerate(maps)]
    if config.expert_view == "own":
        parameters["norm_by_slice"] = True
    gate = {"uniform_gate": True} if config.gate == "uniform" else {"gate": linear("gate")}
    return (
        parameters
        | mixture("attention")
        | gate
        | {
            "head_norm": norm("head_attention_norm"),
            "inner": linear("head_feed_forward.inner"),
            "outer": linear("head_feed_forward.outer"),
            "head_output_norm": norm("head_feed_forward_norm"),
            "sub_embedding": maps,
        }
    )


def values_by_head(
    vectors: Tensor, config: ModelConfig, index: ValueIndex
) -> list[dict[str, object] | None]:
    """Which values each item has in each head, and their vectors; numbered from 0 in each head."""
    by_head: list[dict[str, object] | None] = []
    items = (len(index.start) - 1) // sum(count > 0 for count in index.counts)
    known = group = 0
    for count in index.counts:
        if not count:
            by_head.append(None)
            continue
        starts = index.start[group * items : (group + 1) * items + 1].tolist()
        own = [index.value[a:b].tolist() for a, b in pairwise(starts)]
        by_head.append(
            {
                "vectors": vectors[known : known + count],
                "of": [[value - known for value in values] for values in own],
                "bound": config.own_bound,
            }
        )
        known, group = known + count, group + 1
    return by_head


def index_of(model: SequenceModel) -> ValueIndex | None:
    return None if model.values is None else model.values.index


def fame_twin(
    model: SequenceModel, history: list[int], **interventions: object
) -> list[reference.Position]:
    """The twin's account of one history, with the parameters of ``model``."""
    parameters = twin_parameters(leaves_of(model), model.config, index_of(model))
    return reference.fame(parameters, history, **interventions)


def twin_scores(model: SequenceModel, history: list[int]) -> Tensor:
    """The twin's fused scores ``(V,)`` after the last click of a history, for either model."""
    parameters = twin_parameters(leaves_of(model), model.config, index_of(model))
    if not spec_of(model.config).ranks_by_head(model.config):
        return reference.sasrec(parameters, history, model.config.heads)[-1].detach()
    return reference.fame(parameters, history)[-1].scores.detach()
