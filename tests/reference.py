"""The slow, obvious twin: FAME and SASRec by their equations, one person at a time.

Written from the mathematics alone, so that the fast model can be held against it. Head by head,
expert by expert, position by position, with plain loops and small matrix products in float64;
nothing is batched, fused, padded or masked. Autograd runs through it, so gradients compare too.
Dropout is left out: the twin speaks of evaluation, or of training with rate 0.

Shapes: T positions, D width, K = D / H head width, H heads, E experts, V items incl. padding 0.
A position, a head, an expert or an item is an index of a list or of a tensor's first dimension.

Parameters are a plain dict. A linear map is a pair (matrix, bias) used as ``x @ matrix + bias``
with x a row, as in the equations; a layer norm is a pair (gain, bias).

    item_embedding (V, D)    position_embedding (T, D)    embedding_norm
    blocks: a list of dicts  query, key, value, output (D, D); attention_norm;
                             inner (D, 4D), outer (4D, D); feed_forward_norm
    query[h][e], key[h], value[h] (D, K)      router[h] (E K, E)
    head_norm, inner (K, 4K), outer (4K, K), head_output_norm
    sub_embedding[h] (K, D)                   gate (D, H)

SASRec has the first four entries only, and so has BSARec, with one more in every block:

    filter               a dict with weight (alpha), cutoff (c), length (N), sqrt_beta (D,), norm

Choices beside the paper's, each an entry that is absent where it was not chosen:

    relative[h][e] (T,), and relative[h] in every block: added to the logit of a click so many
                         clicks back; there is no position_embedding then, but max_length
    temperature          scores are cosines divided by it
    fused_length         all scores are multiplied by what gives q this length; to the loss of a
                         head alone that is a constant
    uniform_gate         in place of gate
    values[h]            in place of an item's own slice in head h: a dict with vectors (A, K), of
                         (for every item the numbers of its values) and bound; None: a free head
    norm_by_slice        True where the embedding's norm is over each head's slice by itself
    merged               FAME without facets: a standard last block whose attention holds the
                         experts; a dict with output, attention_norm, inner, ...
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LAYER_NORM_EPSILON = 1e-5


@dataclass
class Position:
    """Everything FAME computes at one position, indexed by head, then expert."""

    router: list[Tensor]  # [H] of (E,)
    attention: list[list[list[Tensor]]]  # [H][E][positions up to this one], scalars
    head_state: list[Tensor]  # [H] of (K,): F_h
    head_scores: list[Tensor]  # [H] of (V,): P_h(v)
    gate: Tensor  # (H,)
    query: Tensor  # (D,): q of identity 1
    ledger: list[Tensor]  # [H] of (V,): c_h(v) = g_h P_h(v)
    scores: Tensor  # (V,): P(v), summed over heads


def linear(x: Tensor, parameters: tuple[Tensor, Tensor]) -> Tensor:
    matrix, bias = parameters
    return x @ matrix + bias


def layer_norm(x: Tensor, parameters: tuple[Tensor, Tensor]) -> Tensor:
    gain, bias = parameters
    deviation = x - x.mean()
    return gain * deviation / torch.sqrt((deviation**2).mean() + LAYER_NORM_EPSILON) + bias


def gelu(x: Tensor) -> Tensor:
    """x times the standard normal distribution function at x."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def softmax(scores: list[Tensor]) -> list[Tensor]:
    largest = max(float(score.detach()) for score in scores)
    powers = [torch.exp(score - largest) for score in scores]
    total = sum(powers[1:], start=powers[0])
    return [power / total for power in powers]


def attend(
    query: Tensor, keys: list[Tensor], values: list[Tensor], by_distance: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """One query over the positions up to its own: the mixed value and the shares."""
    logits = [query @ key / math.sqrt(len(query)) for key in keys]
    if by_distance is not None:
        logits = [logit + by_distance[len(keys) - 1 - t] for t, logit in enumerate(logits)]
    shares = softmax(logits)
    mixed = torch.zeros_like(values[0])
    for share, value in zip(shares, values, strict=True):
        mixed = mixed + share * value
    return mixed, shares


def embed(parameters: dict, history: list[int]) -> list[Tensor]:
    """The last T clicks, each as item plus position, normalised; the oldest is position 0."""
    items = item_vectors(parameters)
    if "max_length" in parameters:
        rows = [items[item] for item in history[-parameters["max_length"] :]]
    else:
        positions = parameters["position_embedding"]
        read = history[-len(positions) :]
        rows = [items[item] + positions[t] for t, item in enumerate(read)]
    gain, bias = parameters["embedding_norm"]
    if not parameters.get("norm_by_slice"):
        return [layer_norm(row, (gain, bias)) for row in rows]
    slices = len(parameters["sub_embedding"])
    norms = list(zip(gain.chunk(slices), bias.chunk(slices), strict=True))
    return [torch.cat(list(map(layer_norm, row.chunk(slices), norms))) for row in rows]


def standard_block(block: dict, states: list[Tensor], heads: int) -> list[Tensor]:
    """A causal Transformer block, post-norm: LN(x + attention), then LN(. + feed-forward)."""
    width = len(states[0])
    head_width = width // heads
    outputs = []
    for t in range(len(states)):
        mixed_by_head = []
        for h in range(heads):
            part = slice(h * head_width, (h + 1) * head_width)
            query = linear(states[t], block["query"])[part]
            keys = [linear(state, block["key"])[part] for state in states[: t + 1]]
            values = [linear(state, block["value"])[part] for state in states[: t + 1]]
            by_distance = block["relative"][h] if "relative" in block else None
            mixed, _ = attend(query, keys, values, by_distance)
            mixed_by_head.append(mixed)
        attended = linear(torch.cat(mixed_by_head), block["output"])
        filtered = frequency_filter(block["filter"], states[: t + 1]) if "filter" in block else None
        outputs.append(rest_of_block(block, states[t], attended, filtered))
    return outputs


def frequency_filter(parameters: dict, states: list[Tensor]) -> Tensor:
    """BSARec's filter at the last of some states: before the first of them there is silence.

    A discrete Fourier transform by its definition over N places, of which all frequencies but the
    c lowest are dropped, transformed back at the last place; the norm's residual is included.
    """
    length, kept = parameters["length"], min(parameters["cutoff"] // 2, parameters["length"] // 2)
    frequencies = {k % length for k in range(-kept, kept + 1)}
    low = torch.zeros_like(states[-1])
    for k in frequencies:
        angle = [2 * math.pi * k * place / length for place in range(length)]
        first = length - len(states)
        real = sum(state * math.cos(angle[first + s]) for s, state in enumerate(states))
        imaginary = -sum(state * math.sin(angle[first + s]) for s, state in enumerate(states))
        low = low + (real * math.cos(angle[-1]) - imaginary * math.sin(angle[-1])) / length
    high = states[-1] - low
    return layer_norm(states[-1] + low + parameters["sqrt_beta"] ** 2 * high, parameters["norm"])


def rest_of_block(
    block: dict, state: Tensor, attended: Tensor, filtered: Tensor | None = None
) -> Tensor:
    between = layer_norm(state + attended, block["attention_norm"])
    if filtered is not None:
        share = block["filter"]["weight"]
        between = share * filtered + (1 - share) * between
    inner = gelu(linear(between, block["inner"]))
    return layer_norm(between + linear(inner, block["outer"]), block["feed_forward_norm"])


def backbone(parameters: dict, history: list[int], heads: int) -> list[Tensor]:
    """S: one row of width D for each click that is read."""
    states = embed(parameters, history)
    for block in parameters["blocks"]:
        states = standard_block(block, states, heads)
    return states


def head_network(parameters: dict, state_slice: Tensor, mixed: Tensor) -> Tensor:
    """Equation 7 in our reading: one network of width K that all heads share."""
    between = layer_norm(state_slice + mixed, parameters["head_norm"])
    inner = gelu(linear(between, parameters["inner"]))
    return layer_norm(between + linear(inner, parameters["outer"]), parameters["head_output_norm"])


def mixed_experts(
    parameters: dict, states: list[Tensor], t: int, h: int
) -> tuple[list[Tensor], list[list[Tensor]], list[Tensor]]:
    """Of each expert of head h at position t what it found, its attention and its share."""
    keys = [linear(state, parameters["key"][h]) for state in states[: t + 1]]
    values = [linear(state, parameters["value"][h]) for state in states[: t + 1]]
    outputs, attention = [], []
    experts = len(parameters["query"][h])
    for e in range(experts):
        query = linear(states[t], parameters["query"][h][e])
        by_distance = parameters["relative"][h][e] if "relative" in parameters else None
        output, share = attend(query, keys, values, by_distance)
        outputs.append(output)
        attention.append(share)
    logits = linear(torch.cat(outputs), parameters["router"][h])
    return outputs, attention, softmax([logits[e] for e in range(experts)])


def item_vectors(parameters: dict) -> list[Tensor]:
    """x_v of every item: a vector of its own, or made of its values and of that."""
    items = list(parameters["item_embedding"])
    if "values" not in parameters:
        return items
    made = []
    for item, own in enumerate(items):
        slices = []
        width = len(own) // len(parameters["values"])
        for h, values in enumerate(parameters["values"]):
            part = own[h * width : (h + 1) * width]
            if values is not None and values["of"][item]:
                given = torch.zeros(width, dtype=own.dtype)
                for value in values["of"][item]:
                    given = given + values["vectors"][value]
                given = given / math.sqrt(len(values["of"][item]))
                longest = values["bound"] * torch.sqrt((given**2).sum())
                length = torch.sqrt((part**2).sum())
                if float(length.detach()) > float(longest.detach()):
                    part = part * longest / length
                part = given + part
            slices.append(part)
        made.append(torch.cat(slices))
    return made


def ranked_items(parameters: dict) -> list[Tensor]:
    """x_v of every item as it is ranked: of length 1 where scores are cosines."""
    items = item_vectors(parameters)
    if "temperature" not in parameters:
        return items
    # The padding has no direction; nobody asks for its score.
    return [items[0], *(item / torch.sqrt((item**2).sum()) for item in items[1:])]


def fame(
    parameters: dict,
    history: list[int],
    *,
    gate: list[float] | None = None,
    muted: frozenset[tuple[int, int]] = frozenset(),
    solo: dict[int, int] | None = None,
) -> list[Position]:
    """FAME at every position of one history [equations 7 to 11 and 14 to 17].

    gate: weights that replace the model's own and are brought to sum 1. muted: (head, expert)
    whose share becomes 0 while the head's other shares are brought to sum 1. solo: for a head,
    the one expert that keeps all of the share.
    """
    sub_embedding = parameters["sub_embedding"]
    heads = len(sub_embedding)
    experts = len(parameters["query"][0])
    head_width = len(sub_embedding[0])
    items = ranked_items(parameters)
    states = backbone(parameters, history, heads)
    record = []
    for t in range(len(states)):
        routers, attentions, head_states, head_scores = [], [], [], []
        for h in range(heads):
            outputs, shares, router = mixed_experts(parameters, states, t, h)
            router = [weight * 0 if (h, e) in muted else weight for e, weight in enumerate(router)]
            total = sum(router[1:], start=router[0])
            router = [weight / total for weight in router]
            if solo is not None and h in solo:
                router = [torch.full_like(total, float(e == solo[h])) for e in range(experts)]
            mixed = torch.zeros_like(outputs[0])
            for weight, output in zip(router, outputs, strict=True):
                mixed = mixed + weight * output
            state_slice = states[t][h * head_width : (h + 1) * head_width]
            head_states.append(head_network(parameters, state_slice, mixed))
            routers.append(torch.stack(router))
            attentions.append(shares)
        if "uniform_gate" in parameters:
            weights = [torch.full_like(head_states[0][0], 1 / heads) for _ in range(heads)]
        else:
            gate_logits = linear(torch.cat(head_states), parameters["gate"])
            weights = softmax([gate_logits[h] for h in range(heads)])
        for h in range(heads):
            if "temperature" in parameters:
                own_query = sub_embedding[h].T @ head_states[h]
                length = torch.sqrt((own_query**2).sum())
                head_states[h] = head_states[h] / (parameters["temperature"] * length)
            scores = [(sub_embedding[h] @ item) @ head_states[h] for item in items]
            head_scores.append(torch.stack(scores))
        if gate is not None:
            weights = [torch.full_like(weights[0], weight / sum(gate)) for weight in gate]
        query = torch.zeros_like(states[t])
        for h in range(heads):
            query = query + weights[h] * (sub_embedding[h].T @ head_states[h])
        factor = torch.ones(())
        if "fused_length" in parameters:
            factor = parameters["fused_length"] / torch.sqrt((query**2).sum())
        total_scores = torch.zeros_like(head_scores[0])
        ledger = []
        for h in range(heads):
            ledger.append(weights[h] * factor * head_scores[h])
            total_scores = total_scores + ledger[h]
        record.append(
            Position(
                router=routers,
                attention=attentions,
                head_state=[factor.detach() * state for state in head_states],
                head_scores=[factor.detach() * scores for scores in head_scores],
                gate=torch.stack(weights),
                query=factor * query,
                ledger=ledger,
                scores=total_scores,
            )
        )
    return record


def sasrec(parameters: dict, history: list[int], heads: int) -> list[Tensor]:
    """SASRec's scores P(v) = <x_v, S> at every position, each (V,); FAME's without facets too."""
    states = backbone(parameters, history, heads)
    if "merged" in parameters:
        states = merged_block(parameters, states, heads)
    if "temperature" in parameters:
        states = [
            state / (parameters["temperature"] * torch.sqrt((state**2).sum())) for state in states
        ]
    return [torch.stack([item @ state for item in ranked_items(parameters)]) for state in states]


def merged_block(parameters: dict, states: list[Tensor], heads: int) -> list[Tensor]:
    """A standard block whose attention heads hold experts."""
    block = parameters["merged"]
    outputs = []
    for t in range(len(states)):
        by_head = []
        for h in range(heads):
            found, _, router = mixed_experts(parameters, states, t, h)
            by_head.append(sum((w * f for w, f in zip(router, found, strict=True)), found[0] * 0))
        attended = linear(torch.cat(by_head), block["output"])
        outputs.append(rest_of_block(block, states[t], attended))
    return outputs


def centred(ledger: list[Tensor]) -> list[Tensor]:
    """Each head's account less its mean over the real items (padding is none); identity 3."""
    return [account - account[1:].mean() for account in ledger]


def cross_entropy(scores: Tensor, target: int, label_smoothing: float = 0.0) -> Tensor:
    """-log softmax at the target over the real items, item 0 left out.

    With label smoothing s the target distribution is (1 - s) at the target plus s spread evenly
    over the real items.
    """
    real = list(range(1, len(scores)))
    shares = softmax([scores[item] for item in real])
    loss = torch.zeros_like(scores[0])
    for item, share in zip(real, shares, strict=True):
        weight = (1 - label_smoothing) * (item == target) + label_smoothing / len(real)
        loss = loss - weight * torch.log(share)
    return loss


def candidates(items: int, history: set[int], repeats: str) -> list[int]:
    """The items that may be recommended: all, or all but the history's."""
    return [item for item in range(1, items + 1) if repeats == "recommend" or item not in history]


def rank(
    scores: list[float], target: int, history: set[int], repeats: str = "exclude"
) -> int | None:
    """Place of the target, best is 1: behind every other candidate that scores at least as much.

    ``None`` where the target itself is no candidate: it is in no list, however long.
    """
    allowed = candidates(len(scores) - 1, history, repeats)
    if target not in allowed:
        return None
    ahead = 0
    for item in allowed:
        if item != target and scores[item] >= scores[target]:
            ahead += 1
    return ahead + 1


def figure(ranks: list[int | None], name: str) -> float:
    """HR@k, NDCG@k or MRR, by name: the mean over targets; a target without a rank adds 0."""
    measure, _, k = name.partition("@")
    total = 0.0
    for own in ranks:
        if own is not None and (not k or own <= int(k)):
            total += {"HR": 1.0, "NDCG": 1 / math.log2(own + 1), "MRR": 1 / own}[measure]
    return total / len(ranks)


def unsaid_by_routers(routers: list[list[Tensor]]) -> Tensor:
    """1 less what routers' weights tell of whose history they read, as a share of the most that
    they could: the mean over heads.

    routers: of every target and head the weights of the experts, (E,).
    """
    heads, experts = len(routers[0]), len(routers[0][0])
    unsaid = []
    for h in range(heads):
        own = [weights[h] for weights in routers]
        mean = sum(own[1:], start=own[0]) / len(own)
        one_by_one = [entropy(weights) for weights in own]
        told = entropy(mean) - sum(one_by_one[1:], start=one_by_one[0]) / len(own)
        unsaid.append(1 - told / math.log(experts))
    return sum(unsaid[1:], start=unsaid[0]) / heads


def entropy(shares: Tensor) -> Tensor:
    """In nats."""
    terms = [-share * torch.log(share) for share in shares]
    return sum(terms[1:], start=terms[0])
