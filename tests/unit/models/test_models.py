"""The model against its slow twin, the identities, and what must never change a ranking."""

import dataclasses
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame.config import ModelConfig, Score, TrainConfig
from fame.errors import FameError
from fame.lens.trace import trace_history
from fame.losses import linear_cross_entropy
from fame.models.fame import Fame
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model, settings_of_others
from fame.models.sequence_model import Intervention, SequenceModel, last_positions
from fame.training.objective import Objective
from tests import reference
from tests.tiny import (
    TINY,
    TINY_MODELS,
    TINY_SASREC,
    TINY_VALUES,
    every_model,
    padded,
    random_model,
    values_for,
)
from tests.twin import fame_twin, index_of, leaves_of, twin_parameters

NUM_ITEMS = 9
EXACT = {"rtol": 1e-9, "atol": 1e-11}
HISTORIES = [[3, 1, 4, 1, 5], [9, 2], [6]]
TINY_BSAREC = TINY_MODELS["bsarec"]
COSINE = dataclasses.replace(TINY, score="cosine", temperature=0.3)
RELATIVE_COSINE = dataclasses.replace(
    TINY, positions="relative", score="cosine", gate="uniform", heads=4
)
OWN_SLICE = dataclasses.replace(TINY_VALUES, layers=1, expert_view="own")
SHAPES = [
    TINY,
    dataclasses.replace(TINY, heads=4, experts=2, layers=1),
    dataclasses.replace(TINY, width=6, heads=3, experts=4, layers=1),
    dataclasses.replace(TINY, heads=1, experts=3),
    dataclasses.replace(TINY, heads=2, experts=1),
    dataclasses.replace(TINY, heads=1, experts=1, layers=3),
    dataclasses.replace(TINY, positions="relative"),
    COSINE,
    dataclasses.replace(COSINE, score="fused-cosine"),
    dataclasses.replace(TINY, gate="uniform"),
    RELATIVE_COSINE,
    TINY_VALUES,
    dataclasses.replace(TINY_VALUES, width=12, heads=3, head_facets="/kind/a,b", own_bound=0.2),
    dataclasses.replace(TINY_VALUES, score="fused-cosine", temperature=0.3, own_bound=1e9),
    dataclasses.replace(TINY_VALUES, score="cosine", head_facets="kind/a", own_bound=0.0),
    dataclasses.replace(TINY_VALUES, heads=1, head_facets="kind"),
    OWN_SLICE,
    dataclasses.replace(
        OWN_SLICE, width=12, heads=3, head_facets="kind//a", positions="relative", score="cosine"
    ),
]
# What stands for one head that ranks: the baseline, and FAME without facets.
UNDIVIDED = [
    *(dataclasses.replace(TINY_SASREC, layers=layers) for layers in (1, 2)),
    dataclasses.replace(TINY_SASREC, positions="relative", score="cosine", temperature=0.3),
    dataclasses.replace(TINY, facets="off"),
    dataclasses.replace(TINY, facets="off", experts=1, layers=1),
    dataclasses.replace(TINY, facets="off", positions="relative", score="cosine"),
    dataclasses.replace(TINY_SASREC, score="fused-cosine", temperature=0.3),
    *(dataclasses.replace(TINY_BSAREC, layers=layers) for layers in (1, 3)),
    dataclasses.replace(TINY_BSAREC, filter_weight=0.2, frequency_cutoff=1, max_length=6),
    dataclasses.replace(TINY_BSAREC, positions="relative", score="cosine", frequency_cutoff=3),
]

histories = st.lists(st.integers(1, NUM_ITEMS), min_size=1, max_size=5)


def shape_name(config: ModelConfig) -> str:
    told = f"{config.model}-H{config.heads}-E{config.experts}-L{config.layers}-D{config.width}"
    choices = (config.positions, config.score, config.gate, f"facets {config.facets}")
    choices = (*choices, f"{config.head_facets} {config.own_bound:g}", config.expert_view)
    usual = ("absolute", "dot", "learned", "facets on", " 0.6", "all")
    return "-".join([told, *(c for c, u in zip(choices, usual, strict=True) if c != u)])


def training_example() -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
    """Inputs ``(B, T)``, places of their real positions, target rows, and targets by position."""
    targets = [[1, 4, 1, 5, 9], [2, 6], [9]]
    real_N = padded(HISTORIES).flatten().nonzero().flatten()
    target_N = torch.tensor([item - 1 for row in targets for item in row])
    return padded(HISTORIES), real_N, target_N, targets


def assert_gradients_equal(model: SequenceModel, leaves: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        expected = leaves[name].grad
        assert parameter.grad is not None, name
        if expected is None:
            expected = torch.zeros_like(leaves[name])
        torch.testing.assert_close(
            parameter.grad, expected, **EXACT, msg=lambda text, name=name: f"{name}: {text}"
        )


def as_ordinary_attention(weights: dict[str, Tensor], mixture: str, attention: str) -> None:
    """Gives a mixture of one expert a head the names that a standard attention has."""
    for kind in ("weight", "bias"):
        parts = [weights.pop(f"{mixture}.{name}.{kind}") for name in ("query", "key", "value")]
        weights[f"{attention}.query_key_value.{kind}"] = torch.cat(parts)
        del weights[f"{mixture}.router_{kind}"]  # one expert has the whole router anyway
    by_distance = weights.pop(f"{mixture}.relative.by_distance")
    weights[f"{attention}.relative.by_distance"] = by_distance


# --- against the twin -------------------------------------------------------------------------


@pytest.mark.parametrize("config", SHAPES, ids=shape_name)
def test_forward_equals_the_twin_at_every_position(config):
    model = random_model(config, NUM_ITEMS)
    with torch.no_grad():
        encoding = model(padded(HISTORIES))
        sub_embeddings = model.sub_embeddings()
    for row, history in enumerate(HISTORIES):
        for t, expected in enumerate(fame_twin(model, history)):
            torch.testing.assert_close(encoding.query[row, t], expected.query.detach(), **EXACT)
            torch.testing.assert_close(encoding.gate[row, t], expected.gate.detach(), **EXACT)
            for head in range(config.heads):
                state = encoding.head_states[row, t, head]
                torch.testing.assert_close(state, expected.head_state[head].detach(), **EXACT)
                torch.testing.assert_close(
                    encoding.router[row, t, head], expected.router[head].detach(), **EXACT
                )
                torch.testing.assert_close(
                    sub_embeddings[head] @ state, expected.head_scores[head][1:].detach(), **EXACT
                )


@pytest.mark.parametrize(
    "config",
    [
        *SHAPES[-2:],  # which have one block, and no other number
        *(
            dataclasses.replace(config, layers=layers)
            for config in [TINY, TINY_SASREC, *SHAPES[-12:-2], *UNDIVIDED]
            for layers in (1, 2, 3)
        ),
    ],
    ids=shape_name,
)
def test_reading_the_last_position_alone_changes_nothing(config):
    """Values and gradients; the other positions of the last block are never computed."""
    row, last = torch.arange(len(HISTORIES)), torch.tensor([len(h) - 1 for h in HISTORIES])
    outcomes = []
    for last_only in (False, True):
        model = random_model(config, NUM_ITEMS)
        encoding = model(padded(HISTORIES), last_only=last_only)
        parts = [
            part[:, 0] if last_only else part[row, last]
            for part in (encoding.query, encoding.head_states, encoding.gate, encoding.router)
        ]
        sum((part**3).sum() for part in parts).backward()
        outcomes.append([*parts, *(parameter.grad for parameter in model.parameters())])
    for everywhere, alone in zip(*outcomes, strict=True):
        torch.testing.assert_close(alone, everywhere, **EXACT)


@pytest.mark.parametrize("config", SHAPES, ids=shape_name)
@torch.no_grad()
def test_attention_from_the_last_position_is_the_twins(config):
    attention = random_model(config, NUM_ITEMS).trace(padded(HISTORIES)).attention
    model = random_model(config, NUM_ITEMS)
    for row, history in enumerate(HISTORIES):
        expected = fame_twin(model, history)[-1].attention
        for head in range(config.heads):
            for expert in range(config.experts):
                shares = torch.stack(expected[head][expert])
                torch.testing.assert_close(
                    attention[row, head, expert, : len(history)], shares, **EXACT
                )
                assert not attention[row, head, expert, len(history) :].any()


@pytest.mark.parametrize("dealt", [False, True], ids=["alike", "by shares"])
@pytest.mark.parametrize("config", SHAPES, ids=shape_name)
def test_loss_and_every_gradient_equal_the_twins(config, dealt):
    """Identity 1 in training: the loss of the one query is the loss of the summed ledger."""
    model = random_model(config, NUM_ITEMS)
    items_BT, real_N, target_N, targets = training_example()
    shares = [0.5 * head for head in range(config.heads)] if dealt else [1.0] * config.heads
    settings_ = TrainConfig(
        label_smoothing=0.1,
        head_loss_weight=0.7,
        head_loss_shares="/".join(map(str, shares)) if dealt and any(shares) else "",
        expert_loss_weight=0.3,
    )
    loss = Objective(model, settings_)(items_BT, real_N, target_N)
    loss.backward()

    leaves = leaves_of(model)
    parameters = twin_parameters(leaves, config, index_of(model))
    losses, routers = [], []
    for history, row in zip(HISTORIES, targets, strict=True):
        for position, target in zip(reference.fame(parameters, history), row, strict=True):
            routers.append(position.router)
            losses.append(reference.cross_entropy(position.scores, target, 0.1))
            if config.heads > 1:
                for scores, share in zip(position.head_scores, shares, strict=True):
                    alone = reference.cross_entropy(scores, target, 0.1)
                    losses[-1] = losses[-1] + 0.7 * share * alone / sum(shares)
    expected = torch.stack(losses).mean()
    if config.experts > 1:
        expected = expected + 0.3 * reference.unsaid_by_routers(routers)
    expected.backward()

    torch.testing.assert_close(loss, expected, **EXACT)
    assert_gradients_equal(model, leaves)


@pytest.mark.parametrize("view", ["own", "all"])
@torch.no_grad()
def test_what_a_head_that_reads_its_own_slice_says_hangs_on_no_other_facet(view):
    """Other values of the second facet, and other vectors of the items' own in its slice: nothing
    that the first head says changes, neither its state, nor its routing, nor its list."""
    config = dataclasses.replace(
        OWN_SLICE, width=12, heads=3, head_facets="kind/a/", expert_view=view, own_bound=0.5
    )
    model, other = random_model(config, NUM_ITEMS), random_model(config, NUM_ITEMS)
    K = config.head_width
    other.values.vectors[other.values.counts[0] :] += 1
    other.item_embedding.weight[1:, K:] += 1
    before, after = (one(padded(HISTORIES)) for one in (model, other))
    for part in ("head_states", "router"):
        same = torch.allclose(getattr(before, part)[:, :, 0], getattr(after, part)[:, :, 0])
        assert same == (view == "own"), part
    assert not torch.allclose(before.head_states[:, :, 1], after.head_states[:, :, 1])
    assert not torch.allclose(before.gate, after.gate)  # which weighs all heads


@pytest.mark.parametrize("score", get_args(Score))
@torch.no_grad()
def test_without_experts_and_facets_fame_is_sasrec(score):
    """With the same weights they are one function, so the ablation is SASRec drawn once more."""
    baseline = dataclasses.replace(TINY_SASREC, positions="relative", score=score)
    bare = dataclasses.replace(TINY, facets="off", experts=1, positions="relative", score=score)
    fame, sasrec = (random_model(config, NUM_ITEMS) for config in (bare, baseline))
    weights = fame.state_dict()
    as_ordinary_attention(weights, "blocks.1.attention.mixture", "blocks.1.attention")
    sasrec.load_state_dict(weights)
    items_BT = padded(HISTORIES)
    torch.testing.assert_close(fame(items_BT).query, sasrec(items_BT).query, **EXACT)


@torch.no_grad()
def test_one_head_of_one_expert_is_sasrec_with_a_map_behind_it():
    """What the sweep's 1 x 1 adds to SASRec is ``W^f`` between its last state and the items."""
    shape = {"heads": 1, "layers": 1, "positions": "relative"}
    fame = random_model(dataclasses.replace(TINY, experts=1, **shape), NUM_ITEMS)
    sasrec = random_model(dataclasses.replace(TINY_SASREC, **shape), NUM_ITEMS)
    weights = fame.state_dict()
    facet_map = weights.pop("facet_maps")[0]
    del weights["gate.weight"], weights["gate.bias"]  # one head has the whole gate
    as_ordinary_attention(weights, "attention", "blocks.0.attention")
    # With one head the values' matrix can hold the output's.
    weights["blocks.0.attention.output.weight"] = torch.eye(TINY.width)
    weights["blocks.0.attention.output.bias"] = torch.zeros(TINY.width)
    for name in [name for name in weights if name.startswith("head_")]:
        weights[f"blocks.0.{name.removeprefix('head_')}"] = weights.pop(name)
    sasrec.load_state_dict(weights)
    items_BT = padded(HISTORIES)
    torch.testing.assert_close(fame(items_BT).query, sasrec(items_BT).query @ facet_map, **EXACT)


@pytest.mark.parametrize("config", UNDIVIDED, ids=shape_name)
def test_without_facets_scores_and_every_gradient_equal_the_twins(config):
    model = random_model(config, NUM_ITEMS)
    items_BT, real_N, target_N, targets = training_example()
    loss = Objective(model, TrainConfig())(items_BT, real_N, target_N)
    loss.backward()

    leaves = leaves_of(model)
    parameters = twin_parameters(leaves, config, index_of(model))
    losses = []
    for row, history in enumerate(HISTORIES):
        query = model(padded(HISTORIES)).query[row]
        for t, scores in enumerate(reference.sasrec(parameters, history, config.heads)):
            torch.testing.assert_close(model.item_table @ query[t], scores[1:], **EXACT)
            losses.append(reference.cross_entropy(scores, targets[row][t]))
    expected = torch.stack(losses).mean()
    expected.backward()

    torch.testing.assert_close(loss, expected, **EXACT)
    assert_gradients_equal(model, leaves)


# --- the four identities ----------------------------------------------------------------------


@given(history=histories, seed=st.integers(0, 1000))
@settings(max_examples=20)
@pytest.mark.parametrize("config", [TINY, TINY_VALUES], ids=shape_name)
def test_one_query_holds_the_whole_ledger(config, history, seed):
    """Identity 1: <x_v, q> = sum over heads of g_h <W_h x_v, F_h>."""
    model = random_model(config, NUM_ITEMS, seed=seed)
    with torch.no_grad():
        encoding = model(padded([history]))
        fused = encoding.query @ model.item_table.T
        by_head = torch.einsum("bthk,hvk->bthv", encoding.head_states, model.sub_embeddings())
    torch.testing.assert_close(fused, (encoding.gate[..., None] * by_head).sum(2), **EXACT)


def test_the_last_position_is_the_last_real_one_and_the_first_where_there_is_none():
    items = torch.tensor([[3, 4, 0], [5, 0, 0], [1, 2, 3], [0, 0, 0]])
    assert last_positions(items).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("score", get_args(Score))
def test_some_rows_of_the_item_table_are_those_of_the_whole(score):
    model = random_model(dataclasses.replace(SHAPES[0], score=score), NUM_ITEMS)
    rows = torch.tensor([NUM_ITEMS - 1, 0, 3, 3])
    with torch.no_grad():
        torch.testing.assert_close(model.rows_of_item_table(rows), model.item_table[rows], **EXACT)


@pytest.mark.parametrize("config", [COSINE, RELATIVE_COSINE], ids=shape_name)
def test_under_cosine_scores_every_head_scores_by_its_angle_alone(config):
    """P_h(v) is the cosine of x_v and the head's own query over the temperature, also fused."""
    model = random_model(config, NUM_ITEMS)
    with torch.no_grad():
        encoding = model(padded(HISTORIES))
        own_query = torch.einsum("bthk,hkd->bthd", encoding.head_states, model.facet_maps)
        length = torch.linalg.vector_norm(own_query, dim=-1)
        torch.testing.assert_close(length, torch.full_like(length, 1 / config.temperature), **EXACT)
        fused = (encoding.gate[..., None] * own_query).sum(2)
        torch.testing.assert_close(encoding.query, fused, **EXACT)
        before = model.trace(padded(HISTORIES))
        louder = torch.linspace(0.5, 3, NUM_ITEMS, dtype=torch.float64)
        table = model.item_table * louder[:, None]
        torch.testing.assert_close(
            torch.nn.functional.normalize(table, dim=-1), model.item_table, **EXACT
        )
        model.facet_maps[0] *= 5  # a head cannot become louder
        torch.testing.assert_close(
            model.trace(padded(HISTORIES)).head_scores, before.head_scores, **EXACT
        )


def test_under_cosine_scores_a_head_alone_gives_the_scores_it_gave_before():
    model = random_model(COSINE, NUM_ITEMS)
    whole = model.trace(padded(HISTORIES))
    alone = model.trace(padded(HISTORIES), intervention=Intervention(gate=(0.0, 3.0)))
    torch.testing.assert_close(alone.head_scores, whole.head_scores, **EXACT)
    torch.testing.assert_close(alone.scores, whole.head_scores[:, 1], **EXACT)


@pytest.mark.parametrize("gate", [None, (3.0, 1.0), (1.0, 0.0)])
def test_under_fused_cosine_scores_only_their_common_size_is_another(gate):
    """Against cosine scores by head, all scores of a person are larger by one factor."""
    by_head, fused = (
        random_model(dataclasses.replace(COSINE, score=score), NUM_ITEMS)
        for score in ("cosine", "fused-cosine")
    )
    items, changed = padded(HISTORIES), Intervention(gate=gate)
    with torch.no_grad():
        before, now = (model(items, intervention=changed) for model in (by_head, fused))
        length = torch.linalg.vector_norm(now.query, dim=-1, keepdim=True)
        torch.testing.assert_close(length, torch.full_like(length, 1 / 0.3), **EXACT)
        factor = length / torch.linalg.vector_norm(before.query, dim=-1, keepdim=True)
        assert factor.min() >= 1 - 1e-12  # a mean of unit vectors is no longer than they are
        torch.testing.assert_close(now.query, factor * before.query, **EXACT)
        torch.testing.assert_close(now.head_states, factor[..., None] * before.head_states, **EXACT)
        torch.testing.assert_close(now.gate, before.gate, **EXACT)


def test_one_vector_added_to_every_item_moves_raw_scores_only():
    """Identity 3. The items are read as well as ranked, so the positions take the vector back."""
    model, moved = (random_model(TINY, NUM_ITEMS) for _ in range(2))
    vector = torch.linspace(-2, 3, TINY.width, dtype=torch.float64)
    with torch.no_grad():
        moved.item_embedding.weight += vector
        moved.position_embedding.weight -= vector
    before, after = (trace_history(m, [3, 1, 4]) for m in (model, moved))

    def accounts(trace) -> Tensor:
        return torch.from_numpy(trace.gate[:, None] * trace.head_scores)[:, 1:]

    raw_before, raw_after = accounts(before), accounts(after)
    assert (raw_before - raw_after).abs().min() > 1e-3
    centred_before = raw_before - raw_before.mean(1, keepdim=True)
    centred_after = raw_after - raw_after.mean(1, keepdim=True)
    torch.testing.assert_close(centred_before, centred_after, **EXACT)

    items_BT, real_N, target_N, _ = training_example()
    losses = [
        linear_cross_entropy(m(items_BT).query.flatten(0, 1)[real_N], m.item_table, target_N)
        for m in (model, moved)
    ]
    torch.testing.assert_close(*losses, **EXACT)


@given(history=histories)
@settings(max_examples=10)
def test_one_head_has_the_whole_gate_and_one_expert_the_whole_router(history):
    config = dataclasses.replace(TINY, heads=1, experts=1)
    encoding = random_model(config, NUM_ITEMS)(padded([history]))
    assert (encoding.gate == 1).all()
    assert (encoding.router == 1).all()


def permuted_values(model: Fame, state: dict[str, Tensor], order: list[int]) -> ValueIndex:
    """The index with head ``order[i]`` as head ``i``; what the state says of values moves too."""
    index, items = model.values.index, range(model.num_items + 1)
    counts = [index.counts[head] for head in order]
    first = [sum(index.counts[:head]) for head in order]
    now = [sum(counts[:place]) for place in range(len(order))]
    value, start = [], [0]
    for place, head in enumerate(order):
        for item in items if index.counts[head] else ():
            value += [one - first[place] + now[place] for one in index.values_of(item)[head]]
            start.append(len(value))
    moved = ValueIndex.of(counts, value, start)
    rows = [torch.arange(f, f + count) for f, count in zip(first, counts, strict=True)]
    state["values.vectors"] = state["values.vectors"][torch.cat(rows)]
    state["values.value"], state["values.start"] = moved.value, moved.start
    return moved


def permuted_heads(model: Fame, order: list[int]) -> Fame:
    """The same model with head ``order[i]`` as head ``i``, its slice of S included.

    Where a vector of width D is cut into heads, its slices move: that is the basis of the whole
    backbone, so every matrix that reads or writes S moves too. The heads of the standard blocks
    are not FAME's and stay.
    """
    config, state = model.config, {name: t.clone() for name, t in model.state_dict().items()}
    K, E = config.head_width, config.experts
    slices = torch.cat([torch.arange(head * K, (head + 1) * K) for head in order])
    experts = torch.cat([torch.arange(head * E * K, (head + 1) * E * K) for head in order])
    for name, tensor in state.items():
        if name.startswith("blocks."):
            if name.endswith(("query_key_value.weight", "inner.weight")):
                state[name] = tensor[:, slices]
            elif name.endswith(("query_key_value.bias", "inner.bias")):
                pass
            elif name.endswith(("attention.output.weight", "outer.weight")):
                state[name] = tensor[slices]
            else:  # biases of what writes S, and norms over it
                state[name] = tensor[slices]
        elif name in ("item_embedding.weight", "position_embedding.weight"):
            state[name] = tensor[:, slices]
        elif name.startswith("embedding_norm."):
            state[name] = tensor[slices]
        elif name in ("attention.key.weight", "attention.value.weight"):
            state[name] = tensor[slices][:, slices]
        elif name in ("attention.key.bias", "attention.value.bias"):
            state[name] = tensor[slices]
        elif name == "attention.query.weight":
            state[name] = tensor[experts][:, slices]
        elif name == "attention.query.bias":
            state[name] = tensor[experts]
        elif name in ("attention.router_weight", "attention.router_bias", "gate.bias"):
            state[name] = tensor[order]
        elif name == "facet_maps":
            state[name] = tensor[order] if model.values else tensor[order][:, :, slices]
        elif name == "gate.weight":
            state[name] = tensor[order][:, slices]
    if model.values is None:
        permuted = Fame(config, model.num_items).double()
    else:
        shares = [config.head_facets.split("/")[head] for head in order]
        config = dataclasses.replace(config, head_facets="/".join(shares))
        permuted = Fame(config, model.num_items, permuted_values(model, state, order)).double()
    permuted.load_state_dict(state)
    return permuted.eval()


@pytest.mark.parametrize("head_facets", ["", "kind//a,b"])
@pytest.mark.parametrize("order", [[2, 0, 1], [1, 0, 2]])
def test_permuting_heads_with_their_parameters_and_slices_changes_nothing(order, head_facets):
    """Identity 4."""
    config = dataclasses.replace(TINY, width=12, heads=3, head_facets=head_facets)
    model = random_model(config, NUM_ITEMS)
    permuted = permuted_heads(model, order)
    before, after = model.trace(padded(HISTORIES)), permuted.trace(padded(HISTORIES))
    torch.testing.assert_close(after.scores, before.scores, **EXACT)
    for field in ("gate", "router", "attention", "head_queries", "head_scores"):
        expected = getattr(before, field)[:, order]
        torch.testing.assert_close(getattr(after, field), expected, **EXACT)
    assert not torch.allclose(before.gate[:, order], before.gate, atol=1e-3)


# --- properties -------------------------------------------------------------------------------


@given(history=histories, seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_shares_sum_to_one_and_are_no_less_than_zero(history, seed):
    trace = random_model(TINY, NUM_ITEMS, seed=seed).trace(padded([history]))
    for shares in (trace.gate_path, trace.router_path, trace.attention):
        assert (shares >= 0).all()
        torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares.sum(-1)), **EXACT)


@every_model
@given(history=histories, future=histories)
@settings(max_examples=15)
def test_the_future_never_changes_the_past(config, history, future):
    model = random_model(config, NUM_ITEMS)
    whole = (history + future)[: config.max_length]
    now, later = model(padded([history])), model(padded([whole]))
    for field in ("query", "head_states", "gate", "router"):
        torch.testing.assert_close(
            getattr(later, field)[:, : len(history)], getattr(now, field), **EXACT
        )


@every_model
@given(rows=st.lists(histories, min_size=1, max_size=4), random=st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_padding_and_the_order_of_a_batch_change_nothing(config, rows, random):
    model = random_model(config, NUM_ITEMS)
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    together = model.trace(padded([rows[i] for i in shuffled]))
    for place, index in enumerate(shuffled):
        alone = model.trace(padded([rows[index]]))
        length = len(rows[index])
        for field in ("gate", "router", "head_queries", "head_scores", "scores"):
            torch.testing.assert_close(
                getattr(together, field)[place], getattr(alone, field)[0], **EXACT
            )
        torch.testing.assert_close(
            together.attention[place, ..., :length], alone.attention[0], **EXACT
        )
        assert not together.attention[place, ..., length:].any()
        for path in ("gate_path", "router_path"):
            torch.testing.assert_close(
                getattr(together, path)[place, :length], getattr(alone, path)[0], **EXACT
            )
            assert not getattr(together, path)[place, length:].any()


@every_model
def test_padding_is_never_recommended(config):
    model = random_model(config, NUM_ITEMS)
    with torch.no_grad():
        model.item_embedding.weight[0] = 1000.0  # whatever lies there
    trace = model.trace(padded(HISTORIES))
    assert (trace.scores[:, 0] == -torch.inf).all()
    assert (trace.head_scores[:, :, 0] == -torch.inf).all()
    assert trace.scores[:, 1:].isfinite().all()


# --- trace ------------------------------------------------------------------------------------


@every_model
def test_trace_equals_forward_with_the_fused_kernel(config):
    model = random_model(config, NUM_ITEMS)
    trace = model.trace(padded(HISTORIES))
    with torch.no_grad():
        encoding = model(padded(HISTORIES))
    for row, history in enumerate(HISTORIES):
        last = len(history) - 1
        torch.testing.assert_close(trace.gate[row], encoding.gate[row, last], **EXACT)
        torch.testing.assert_close(trace.router[row], encoding.router[row, last], **EXACT)
        torch.testing.assert_close(
            trace.head_queries[row], encoding.head_states[row, last], **EXACT
        )
        scores = model.item_table @ encoding.query[row, last]
        torch.testing.assert_close(trace.scores[row, 1:], scores, **EXACT)


def test_the_traces_ledger_adds_up():
    trace = random_model(TINY, NUM_ITEMS).trace(padded(HISTORIES))
    ledger = trace.gate[..., None] * trace.head_scores[:, :, 1:]
    torch.testing.assert_close(ledger.sum(1), trace.scores[:, 1:], **EXACT)


def test_sasrec_answers_as_one_head_without_experts():
    model = random_model(TINY_SASREC, NUM_ITEMS)
    trace = model.trace(padded(HISTORIES))
    assert (trace.gate == 1).all() and trace.gate.shape == (3, 1)
    assert trace.router.shape == (3, 1, 0)
    assert trace.attention.shape == (3, 1, 0, 5)
    torch.testing.assert_close(trace.head_scores[:, 0], trace.scores, **EXACT)


def test_trace_leaves_no_gradient_and_changes_no_parameter():
    model = random_model(TINY, NUM_ITEMS)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace = model.trace(
        padded(HISTORIES), intervention=Intervention(gate=(0, 1), muted=((0, 1),), solo=((1, 2),))
    )
    assert not any(getattr(trace, f.name).requires_grad for f in dataclasses.fields(trace))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_sequence_without_items_is_refused():
    with pytest.raises(ValueError, match="at least one item"):
        random_model(TINY).trace(torch.tensor([[1, 2], [0, 0]]))


@every_model
def test_more_positions_than_the_model_has_are_refused(config):
    with pytest.raises(ValueError, match="6 positions are more than max_length 5"):
        random_model(config)(torch.ones(1, 6, dtype=torch.int64))


@pytest.mark.parametrize(
    ("precision", "low", "high"), [(torch.float32, 1e-9, 1e-5), (torch.bfloat16, 1e-4, 0.1)]
)
def test_error_of_lower_precision_is_of_its_size_and_no_more(precision, low, high):
    """Below the lower bound the arithmetic asked for was not used."""
    truth = random_model(TINY, NUM_ITEMS)(padded(HISTORIES))
    model = random_model(TINY, NUM_ITEMS, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        encoding = model(padded(HISTORIES))
    for field in ("query", "head_states", "gate", "router"):
        exact, value = getattr(truth, field), getattr(encoding, field)
        assert low < ((value.double() - exact).norm() / exact.norm()).item() < high, field


def test_the_ledger_adds_up_in_single_precision_too():
    config = ModelConfig(max_length=10, dropout=0.0)
    model = random_model(config, 500, dtype=torch.float32)
    trace = trace_history(model, [5, 400, 17, 3])
    by_head = trace.gate[:, None] * trace.head_scores[:, 1:]
    largest = abs(trace.scores[1:]).max()
    assert abs(by_head.sum(0) - trace.scores[1:]).max() < 1e-5 * largest


@every_model
def test_what_cannot_be_traced_is_refused(config):
    model = random_model(config)
    with pytest.raises(ValueError, match="needs at least one item"):
        model.trace(torch.tensor([[3, 1], [0, 0]]))
    with pytest.raises(RuntimeError, match="eval mode"):
        model.train().trace(torch.tensor([[3, 1]]))


# --- interventions ----------------------------------------------------------------------------


@given(
    weights=st.lists(st.floats(0, 1e300), min_size=2, max_size=2).filter(any),
    history=histories,
)
@settings(max_examples=20)
def test_given_gate_weights_replace_the_gate_and_are_normalised(weights, history):
    model = random_model(TINY, NUM_ITEMS)
    trace = model.trace(padded([history]), intervention=Intervention(gate=tuple(weights)))
    plain = model.trace(padded([history]))
    share = weights[0] / max(weights) / (weights[0] / max(weights) + weights[1] / max(weights))
    expected = torch.tensor([share, 1 - share], dtype=torch.float64)
    torch.testing.assert_close(trace.gate[0], expected, **EXACT)
    scores = (expected[:, None] * plain.head_scores[0]).sum(0)[1:]
    torch.testing.assert_close(trace.scores[0, 1:], scores, **EXACT)


def test_an_intervened_forward_equals_the_twins():
    model = random_model(TINY, NUM_ITEMS)
    intervention = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 2),))
    encoding = model(padded(HISTORIES), intervention=intervention)
    for row, history in enumerate(HISTORIES):
        positions = fame_twin(
            model, history, gate=[1.0, 3.0], muted=frozenset({(0, 1)}), solo={1: 2}
        )
        for t, expected in enumerate(positions):
            torch.testing.assert_close(encoding.query[row, t], expected.query, **EXACT)
            torch.testing.assert_close(
                encoding.router[row, t], torch.stack(expected.router), **EXACT
            )
            torch.testing.assert_close(encoding.gate[row, t], expected.gate, **EXACT)


def test_the_gate_of_one_head_gives_exactly_that_heads_own_list():
    model = random_model(TINY, NUM_ITEMS)
    plain = model.trace(padded(HISTORIES))
    for head in range(TINY.heads):
        gate = tuple(float(h == head) for h in range(TINY.heads))
        solo = model.trace(padded(HISTORIES), intervention=Intervention(gate=gate))
        assert torch.equal(solo.scores.argsort(1), plain.head_scores[:, head].argsort(1))
        torch.testing.assert_close(solo.scores, plain.head_scores[:, head], **EXACT)


NO_GATES = [(float("nan"), 1), (float("inf"), 1), (-0.1, 1), (0, 0), (1,), (1, 1, 1), ()]


@pytest.mark.parametrize("gate", NO_GATES)
def test_a_gate_that_is_none_is_refused(gate):
    with pytest.raises(FameError, match=r"[Gg]ate"):
        random_model(TINY)(padded([[1]]), intervention=Intervention(gate=gate))


def test_sasrec_takes_a_gate_of_one_weight_only():
    model = random_model(TINY_SASREC)
    plain = model.trace(padded(HISTORIES))
    same = model.trace(padded(HISTORIES), intervention=Intervention(gate=(0.3,)))
    assert torch.equal(same.scores, plain.scores)
    with pytest.raises(FameError, match="1 weight, one a head, not 2"):
        model(padded([[1]]), intervention=Intervention(gate=(1, 1)))


def test_muting_takes_an_expert_out_and_renormalises_the_rest():
    model = random_model(TINY, NUM_ITEMS)
    plain = model(padded(HISTORIES)).router
    muted = model(padded(HISTORIES), intervention=Intervention(muted=((0, 1),))).router
    kept = plain[:, :, 0, [0, 2]]
    assert not muted[:, :, 0, 1].any()
    torch.testing.assert_close(muted[:, :, 0, [0, 2]], kept / kept.sum(-1, keepdim=True), **EXACT)
    torch.testing.assert_close(muted[:, :, 1], plain[:, :, 1], **EXACT)


def test_solo_gives_an_expert_the_whole_of_its_head():
    model = random_model(TINY, NUM_ITEMS)
    plain = model(padded(HISTORIES)).router
    solo = model(padded(HISTORIES), intervention=Intervention(solo=((1, 2),))).router
    expected = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(solo[:, :, 1])
    torch.testing.assert_close(solo[:, :, 1], expected, **EXACT)
    torch.testing.assert_close(solo[:, :, 0], plain[:, :, 0], **EXACT)


@pytest.mark.parametrize(
    ("intervention", "message"),
    [
        (Intervention(muted=((0, 0), (0, 1), (0, 2))), "Head 0 would have no expert left"),
        (Intervention(muted=((1, 2),), solo=((1, 2),)), "Head 1 would have no expert left"),
        (Intervention(muted=((2, 0),)), "There is no expert 2:0"),
        (Intervention(solo=((0, 3),)), "There is no expert 0:3"),
        (Intervention(solo=((0, -1),)), "There is no expert 0:-1"),
    ],
)
def test_experts_that_cannot_be_taken_out_are_refused(intervention, message):
    with pytest.raises(FameError, match=message):
        random_model(TINY)(padded([[1]]), intervention=intervention)


def test_sasrec_has_no_experts_to_mute():
    with pytest.raises(FameError, match="no experts"):
        random_model(TINY_SASREC)(padded([[1]]), intervention=Intervention(muted=((0, 0),)))


# --- size and start ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters"), [("fame", 866_538), ("sasrec", 877_824)])
def test_number_of_parameters_at_the_shape_of_beauty(name, parameters):
    model = build_model(ModelConfig(model=name), 12_101)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_an_untrained_models_query_is_the_concatenation_of_its_heads():
    model = build_model(TINY, NUM_ITEMS).eval()
    encoding = model(padded(HISTORIES))
    assert (encoding.gate == 1 / TINY.heads).all()
    torch.testing.assert_close(encoding.query, encoding.head_states.flatten(2))


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(heads=4, layers=3),
        ModelConfig(head_facets="kind/a"),
        ModelConfig(positions="relative"),
        ModelConfig(facets="off", positions="relative"),
        ModelConfig(model="sasrec"),
        ModelConfig(model="bsarec"),
    ],
    ids=shape_name,
)
def test_training_starts_from_small_noise_in_every_matrix_and_from_nothing_elsewhere(config):
    torch.manual_seed(0)
    model = build_model(config, 500, values_for(config, 500))
    for name, tensor in model.named_parameters():
        if name.endswith("norm.weight"):
            assert (tensor == 1).all(), name
        elif name == "facet_maps":
            K = config.head_width
            start = torch.eye(K).expand_as(tensor) if model.values else torch.eye(config.width)
            assert torch.equal(tensor.view_as(start), config.heads * start)
        elif name.endswith(("bias", "by_distance")) or name == "gate.weight":
            assert not tensor.any(), name
        else:
            drawn = tensor[1:] if name == "item_embedding.weight" else tensor
            # A standard deviation of n numbers is known to 1 / sqrt(2 n) of itself.
            spread, known = float(drawn.detach().std()), (2 * drawn.numel()) ** -0.5
            # BSARec's authors draw beta so; values start larger than what they are to outweigh.
            size = {"sqrt_beta": 1.0, "vectors": 0.08}.get(name.rpartition(".")[2], 0.02)
            assert spread == pytest.approx(size, rel=4 * known), name


def test_every_parameter_of_fame_is_drawn_or_set():
    """No parameter is left as memory happened to be, and the padding's row is 0."""
    torch.manual_seed(0)
    first = build_model(TINY, NUM_ITEMS)
    torch.manual_seed(0)
    second = build_model(TINY, NUM_ITEMS)
    for name, tensor in first.state_dict().items():
        assert tensor.isfinite().all(), name
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert not first.item_embedding.weight[0].any()


def test_the_padding_row_never_learns():
    model = random_model(TINY, NUM_ITEMS)
    items_BT, real_N, target_N, _ = training_example()
    Objective(model, TrainConfig(label_smoothing=0.1))(items_BT, real_N, target_N).backward()
    assert not model.item_embedding.weight.grad[0].any()


def seen_in_training(model: SequenceModel) -> bool:
    """Whether two passes in training mode differ, which only dropout makes them do."""
    model.train()
    torch.manual_seed(0)
    first, second = (model(padded(HISTORIES)).query for _ in range(2))
    return not torch.equal(first, second)


def first_query(model: SequenceModel) -> list[float]:
    return model(padded(HISTORIES)).query[0, -1].tolist()


# What each field of the configuration must change; a new field fails the test until it has a row.
OBSERVED: dict[str, tuple[object, Callable[[SequenceModel], object]]] = {
    "model": ("sasrec", type),
    "width": (16, lambda model: model(padded(HISTORIES)).query.shape),
    "heads": (4, lambda model: (model.heads, first_query(model))),
    "experts": (2, lambda model: model(padded(HISTORIES)).router.shape),
    "layers": (3, lambda model: len(model.blocks)),
    "max_length": (2, lambda model: trace_history(model, [1, 2, 3]).seen_from),
    "dropout": (0.5, seen_in_training),
    "positions": ("relative", lambda model: hasattr(model, "position_embedding")),
    "score": ("cosine", lambda model: bool((model.item_table.norm(dim=-1) > 1.01).any())),
    "gate": ("uniform", lambda model: bool((model(padded(HISTORIES)).gate == 0.5).all())),
    "facets": ("off", lambda model: model.heads),
    "head_facets": ("kind/", first_query),
    "filter_weight": (0.2, first_query),
    "frequency_cutoff": (3, first_query),
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ModelConfig)])
def test_no_field_of_the_configuration_is_dead(field):
    if field == "own_bound":  # only items that are made of values have an own part
        bounds = (dataclasses.replace(TINY_VALUES, own_bound=bound) for bound in (0.6, 0.5))
        queries = [first_query(random_model(config)) for config in bounds]
        assert queries[0] != queries[1]
        return
    if field == "expert_view":  # only a head that is a facet has a slice of its own to read
        views = (dataclasses.replace(OWN_SLICE, expert_view=view) for view in ("all", "own"))
        widths = [random_model(config).attention.key.in_features for config in views]
        assert widths == [OWN_SLICE.width, OWN_SLICE.head_width]
        return
    if field == "temperature":  # the dot product has no use for it
        base, changed = (dataclasses.replace(TINY, score="cosine", temperature=t) for t in (0.1, 1))
        scores = [
            random_model(config).trace(padded(HISTORIES)).scores for config in (base, changed)
        ]
        torch.testing.assert_close(scores[0][:, 1:], 10 * scores[1][:, 1:], **EXACT)
        return
    value, observe = OBSERVED[field]
    for name, config in TINY_MODELS.items():
        changed = dataclasses.replace(config, **{field: value})
        if changed == config:
            continue  # the field is the model, and this is the one
        differs = observe(random_model(config)) != observe(random_model(changed))
        assert differs == (field not in settings_of_others(name)), name


@pytest.mark.parametrize("config", [TINY, TINY_SASREC], ids=["fame", "sasrec"])
@pytest.mark.parametrize("layers", [1, 3])
def test_dropout_falls_on_the_embeddings_and_on_whole_residual_branches(config, layers):
    """With every branch taken away, what is left of the blocks are their norms."""
    config = dataclasses.replace(config, dropout=0.3, layers=layers)
    model = random_model(config, NUM_ITEMS).train()
    rates = []

    def take_away(module, inputs, output):
        rates.append(module.p)
        return inputs[0] if module is model.embedding_dropout else torch.zeros_like(output)

    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.register_forward_hook(take_away)
    encoding = model(padded(HISTORIES))
    branches = 3 if config.model == "bsarec" else 2  # a filter beside attention and network
    assert rates == [0.3] * (1 + branches * layers)

    items = model.item_embedding(padded(HISTORIES))
    x_BTD = model.embedding_norm(items + model.position_embedding.weight)
    for block in model.blocks:
        mixed_BTD = block.attention_norm(x_BTD)
        if config.model == "bsarec":
            mixed_BTD = torch.lerp(mixed_BTD, block.filter_norm(x_BTD), config.filter_weight)
        x_BTD = block.feed_forward_norm(mixed_BTD)
    if config.model != "fame":
        torch.testing.assert_close(encoding.query, x_BTD, **EXACT)
    else:
        by_head = model.head_attention_norm(x_BTD.unflatten(-1, (config.heads, -1)))
        states = model.head_feed_forward_norm(by_head)
        torch.testing.assert_close(encoding.head_states, states, **EXACT)


@every_model
def test_dropout_is_off_in_evaluation(config):
    model = random_model(dataclasses.replace(config, dropout=0.5))
    first, second = (model(padded(HISTORIES)).query for _ in range(2))
    assert torch.equal(first, second)
