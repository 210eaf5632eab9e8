"""Nearest items by facet, held against loops, and on codes whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from fame.facets.codes import OWN, item_codes, untrained_like
from fame.facets.lists import PERMUTED, PROJECTED, SASREC, TURNED, UNTRAINED
from fame.facets.tables import table_agreement
from tests.tiny import TINY, TINY_SASREC, TINY_VALUES, random_model
from tests.unit.facets import known_truth as truth

ALL = np.arange(truth.ITEMS)


def found(codes, facets=truth.FACETS, asked=ALL):
    return table_agreement(truth.whole(codes), codes, asked, facets, truth.TRAIN_COUNT)


def test_agreement_is_that_of_a_loop_over_all_pairs():
    codes, asked = truth.codes(20), np.arange(0, truth.ITEMS, 17)
    codes["other"] = [code[:, ::-1][:, :5] for code in codes[OWN]]
    agreement = found(codes, asked=asked)
    spaces = {("spaces", "all"): truth.whole(codes)}
    spaces |= {("spaces", f"head_{head}"): codes[OWN][head] for head in (0, 1)}
    spaces |= {("other", f"head_{head}"): codes["other"][head] for head in (0, 1)}
    for facet, column in truth.COLUMN.items():
        assert agreement[facet].asked == len(asked)
        assert agreement[facet].among == truth.ITEMS
        for (kind, space), code in spaces.items():
            unit = code / np.linalg.norm(code, axis=1, keepdims=True)
            shares = []
            for item in asked:
                order = np.argsort(-(unit @ unit[item]))
                nearest = [other for other in order if other != item][:10]
                shares.append(np.mean(column[nearest] == column[item]))
            own = agreement[facet]
            estimate = own.spaces[space] if kind == "spaces" else own.controls[kind][space]
            assert estimate.mean == pytest.approx(np.mean(shares), abs=1e-12)
            assert estimate.low < estimate.mean < estimate.high


def test_planted_heads_are_found_half_mixed_ones_less_and_permuted_labels_not_at_all():
    def lead(agreement):  # of each facet's own head over the other
        leads = []
        for head, facet in enumerate(agreement):
            spaces = agreement[facet].spaces
            leads.append(spaces[f"head_{head}"].low - spaces[f"head_{1 - head}"].high)
        return min(leads)

    planted, mixed = found(truth.codes(0)), found(truth.codes(30))
    permuted = found(truth.codes(0), truth.PERMUTED)
    assert lead(planted) > lead(mixed) > 0.05
    assert lead(permuted) < 0
    for facet in planted:
        chance = planted[facet].controls[PERMUTED]
        for space in ("all", "head_0", "head_1"):
            # one value in eight, and two standard errors of 800 items
            assert chance[space].mean == pytest.approx(1 / 8, abs=0.02)
            assert permuted[facet].spaces[space].mean == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("config", [TINY, TINY_VALUES])
def test_codes_are_those_of_the_heads_and_of_slices_that_know_no_heads(config):
    model, sasrec = random_model(config, 30), random_model(TINY_SASREC, 30)
    untrained, rows = untrained_like(model, seed=3), np.array([0, 4, 29])
    codes = item_codes(model, rows, untrained=untrained, sasrec=sasrec, seed=3)
    assert list(codes) == [OWN, TURNED, PROJECTED, SASREC, UNTRAINED]
    table = model.item_table.detach().numpy()[rows]
    for name, of in ((OWN, model), (UNTRAINED, untrained)):
        expected = of.sub_embeddings().detach().numpy()[:, rows]
        np.testing.assert_allclose(np.stack(codes[name]), expected, atol=1e-6)
    turned = np.concatenate(codes[TURNED], axis=1)
    np.testing.assert_allclose(turned @ turned.T, table @ table.T, atol=1e-5)  # a rotation
    assert np.abs(turned - table).max() > 0.1
    cut = sasrec.item_table.detach().numpy()[rows]
    np.testing.assert_allclose(np.concatenate(codes[SASREC], axis=1), cut, atol=1e-6)
    assert [code.shape for code in codes[PROJECTED]] == [(3, 4), (3, 4)]
    assert not item_codes(sasrec, rows)
    three = random_model(replace(TINY, heads=3, width=9), 30)
    widths = [code.shape[1] for code in item_codes(three, rows, sasrec=sasrec)[SASREC]]
    assert widths == [3, 3, 2]
    narrow = random_model(replace(TINY_SASREC, width=2), 30)
    assert SASREC not in item_codes(three, rows, sasrec=narrow)


def test_projections_keep_inner_products_in_the_mean():
    from fame.facets.lists import projections

    maps = projections(8, 2, seed=0).numpy()
    assert maps.shape == (2, 4, 8) and np.abs(maps[0] - maps[1]).max() > 0.1
    many = np.concatenate([projections(8, 2, seed=seed).numpy() for seed in range(400)])
    # 800 of them, of four rows each: the standard error of an entry is about 0.02.
    np.testing.assert_allclose((many.mT @ many).mean(0), np.eye(8), atol=0.1)


def test_an_untrained_model_has_the_shape_and_the_values_and_leaves_no_trace():
    import torch

    model = random_model(TINY_VALUES, 30, dtype=torch.float32)
    state = torch.random.get_rng_state()
    one, same, other = (untrained_like(model, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state) and not one.training
    table = one.item_table
    assert torch.equal(table, same.item_table) and not torch.equal(table, other.item_table)
    assert torch.equal(one.values.value, model.values.value)
    assert not torch.equal(table, model.item_table)
