"""Identity 2: experts inside a head are grouped-query attention, with heads first."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fame.models.moe_attention import MoEAttention, grouped_causal_attention, masked_router
from tests import reference

B, T, D, H, E = 2, 5, 6, 2, 3
K = D // H
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def random_attention(heads: int = H, experts: int = E) -> MoEAttention:
    torch.manual_seed(3)
    attention = MoEAttention(D, heads, experts).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    return attention


def random_states() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def plain_parts(attention: MoEAttention, s_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries ``(B, T, H, E, K)`` head-major, keys and values ``(B, T, H, K)``."""
    query = attention.query(s_BTD).view(B, T, H, E, K)
    return query, attention.key(s_BTD).view(B, T, H, K), attention.value(s_BTD).view(B, T, H, K)


def expert_outputs(attention: MoEAttention, s_BTD: Tensor) -> Tensor:
    """What every expert finds, ``(B, T, H, E, K)``, one query at a time."""
    query, key, value = plain_parts(attention, s_BTD)
    found = torch.empty(B, T, H, E, K, dtype=s_BTD.dtype)
    for b in range(B):
        for t in range(T):
            for h in range(H):
                past = slice(0, t + 1)
                for e in range(E):
                    found[b, t, h, e], _ = reference.attend(
                        query[b, t, h, e], list(key[b, past, h]), list(value[b, past, h])
                    )
    return found


def mixed_by_router(attention: MoEAttention, found: Tensor) -> tuple[Tensor, Tensor]:
    """Router shares ``(B, T, H, E)`` and mixture ``(B, T, H, K)`` of given expert outputs."""
    logits = torch.einsum("bthi,hie->bthe", found.flatten(3), attention.router_weight)
    router = (logits + attention.router_bias).softmax(-1)
    return router, (router[..., None] * found).sum(3)


@torch.no_grad()
def test_one_call_equals_the_experts_one_by_one():
    attention, s_BTD = random_attention(), random_states()
    mixed, router = attention(s_BTD)
    expected_router, expected = mixed_by_router(attention, expert_outputs(attention, s_BTD))
    torch.testing.assert_close(router, expected_router, **EXACT)
    torch.testing.assert_close(mixed, expected, **EXACT)


@torch.no_grad()
def test_one_position_alone_equals_the_experts_one_by_one():
    attention, s_BTD = random_attention(), random_states()
    position = torch.tensor([1, T - 1])
    mixed, router = attention(s_BTD, only_B=position)
    expected_router, expected = mixed_by_router(attention, expert_outputs(attention, s_BTD))
    for b, t in enumerate(position):
        torch.testing.assert_close(router[b, 0], expected_router[b, t], **EXACT)
        torch.testing.assert_close(mixed[b, 0], expected[b, t], **EXACT)


def test_copies_of_keys_and_values_give_what_the_grouped_kernel_gives():
    """What runs on CUDA in float32, where no fused kernel knows groups; gradients too."""
    outcomes = []
    for grouped in (True, False):
        generator = torch.Generator().manual_seed(5)
        parts = [
            torch.randn(B, heads, T, K, generator=generator, dtype=torch.float64).requires_grad_()
            for heads in (H * E, H, H)
        ]
        found = grouped_causal_attention(*parts, grouped=grouped)
        outcomes.append([found, *torch.autograd.grad((found**2).sum(), parts)])
    for grouped, copied in zip(*outcomes, strict=True):
        torch.testing.assert_close(copied, grouped, **EXACT)


@torch.no_grad()
def test_query_heads_in_expert_major_order_would_be_wrong():
    """The trap: the order ``e * H + h`` runs, and gives experts the keys of other heads."""
    attention, s_BTD = random_attention(), random_states()
    query, key, value = plain_parts(attention, s_BTD)
    expert_major = F.scaled_dot_product_attention(
        query.transpose(2, 3).reshape(B, T, E * H, K).transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        is_causal=True,
        enable_gqa=True,
    )
    found = expert_major.view(B, E, H, T, K).permute(0, 3, 2, 1, 4)
    _, wrong = mixed_by_router(attention, found)
    mixed, _ = attention(s_BTD)
    assert (mixed - wrong).abs().max() > 0.1


def test_gradients_of_the_fused_kernel_equal_those_of_the_experts_one_by_one():
    gradients = []
    for fused in (True, False):
        attention, s_BTD = random_attention(), random_states().requires_grad_()
        if fused:
            mixed, router = attention(s_BTD)
        else:
            router, mixed = mixed_by_router(attention, expert_outputs(attention, s_BTD))
        ((mixed**2).sum() + (router**3).sum()).backward()
        gradients.append([s_BTD.grad, *(parameter.grad for parameter in attention.parameters())])
    for one_call, one_by_one in zip(*gradients, strict=True):
        torch.testing.assert_close(one_call, one_by_one, **EXACT)


@torch.no_grad()
def test_attention_sees_nothing_later_and_each_row_sums_to_one():
    position = torch.tensor([1, T - 1])
    attention_BHET = random_attention().attention_at(random_states(), position)
    assert attention_BHET.shape == (B, H, E, T)
    for b, t in enumerate(position):
        assert (attention_BHET[b, ..., : t + 1] > 0).all()
        assert not attention_BHET[b, ..., t + 1 :].any()
    rows = attention_BHET.sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows), **EXACT)


@torch.no_grad()
def test_one_expert_is_plain_multi_head_attention_without_an_output_matrix():
    """Identity 4, against PyTorch's own layer with the identity as output matrix."""
    attention, s_BTD = random_attention(experts=1), random_states()
    plain = nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    parts = (attention.query, attention.key, attention.value)
    plain.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    plain.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    plain.out_proj.weight.copy_(torch.eye(D))
    plain.out_proj.bias.zero_()
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    expected, _ = plain(s_BTD, s_BTD, s_BTD, attn_mask=future, need_weights=False)
    mixed, router = attention(s_BTD)
    assert (router == 1).all()
    torch.testing.assert_close(mixed.flatten(2), expected, **EXACT)


shares = st.lists(st.floats(0.01, 1), min_size=H * E, max_size=H * E)
masks = st.lists(st.booleans(), min_size=H * E, max_size=H * E).filter(
    lambda kept: all(any(kept[head * E : (head + 1) * E]) for head in range(H))
)


@given(weights=shares, kept=masks)
def test_a_masked_router_renormalises_what_it_keeps(weights, kept):
    router = torch.tensor(weights, dtype=torch.float64).view(H, E).softmax(-1)
    mask = torch.tensor(kept, dtype=torch.float64).view(H, E)
    masked = masked_router(router, mask)
    assert not masked[mask == 0].any()
    torch.testing.assert_close(masked.sum(-1), torch.ones(H, dtype=torch.float64), **EXACT)
    ratios = (masked / router)[:, None] * mask[:, None]  # the kept ones keep their proportions
    for head in range(H):
        kept_ratios = ratios[head, 0][mask[head] == 1]
        torch.testing.assert_close(kept_ratios, kept_ratios[:1].expand_as(kept_ratios), **EXACT)


def test_experts_that_had_no_share_at_all_share_equally_when_the_others_go():
    router, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 1.0]])
    assert masked_router(router, mask).tolist() == [[0.0, 0.5, 0.5]]


def test_a_mask_that_empties_a_head_is_refused():
    with pytest.raises(ValueError, match="at least one expert"):
        masked_router(torch.ones(2, 2) / 2, torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
