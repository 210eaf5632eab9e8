"""The record of facets forming against plain loops, and on known truth."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from fame.facets import forming as module
from fame.facets.experts import expert_share
from fame.facets.forming import RECORD, Formed, Forming, read_forming
from fame.facets.lists import head_lists
from fame.facets.spaces import space_names, space_vectors
from fame.facets.values import value_indicator
from fame.lens.reading import read_histories
from tests import planted
from tests.tiny import TINY, TINY_SASREC, random_model

HISTORIES, TARGETS = planted.people()
INDICATORS = {facet: value_indicator(own) for facet, own in planted.VALUES.items()}


def record(model, facets=None, repeats="exclude") -> Formed:
    facets = INDICATORS if facets is None else facets
    made = Forming(facets, HISTORIES, TARGETS, planted.TRAIN_COUNT, repeats=repeats)
    return made.measure(model, read_histories(model, HISTORIES))


def agrees(first: int, second: int, facet: str) -> bool:
    """Of rows of the catalogue."""
    return bool(set(planted.VALUES[facet][first]) & set(planted.VALUES[facet][second]))


@pytest.mark.parametrize("at_once", [1, 8_000_000])
@pytest.mark.parametrize("config", [replace(TINY, heads=4, width=32), TINY_SASREC])
def test_it_is_what_loops_find(config, at_once, monkeypatch):
    monkeypatch.setattr(module, "_SCORES", at_once)
    monkeypatch.setattr(module, "ITEMS", 60)
    model = random_model(config, planted.ITEMS, dtype=torch.float32)
    made = Forming(INDICATORS, HISTORIES, TARGETS, planted.TRAIN_COUNT, repeats="exclude")
    readings = read_histories(model, HISTORIES)
    found = made.measure(model, readings)
    assert (found.items, found.people, found.listed) == (60, 150, 150)
    lists = head_lists(model, readings, HISTORIES, "exclude")
    for space in space_names(model):
        vectors = space_vectors(model, space)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for facet in planted.VALUES:
            near, listed = [], []
            for row in made.asked_N.tolist():
                cosine = unit @ unit[row]
                cosine[row] = -2
                best = np.argsort(-cosine, kind="stable")[:10]
                near.append(np.mean([agrees(row, other, facet) for other in best]))
            for items, target in zip(lists[space], TARGETS, strict=True):
                listed.append(np.mean([agrees(item - 1, target - 1, facet) for item in items]))
            assert found.tables[facet][space] == pytest.approx(np.mean(near), abs=6e-5)
            assert found.lists[facet][space] == pytest.approx(np.mean(listed), abs=6e-5)
    if not model.experts:
        assert found.gate == found.expert_share == found.dead == []
        return
    np.testing.assert_allclose(found.gate, readings.gate.mean(0), atol=6e-5)
    router = readings.router.numpy().astype(np.float64)
    np.testing.assert_allclose(found.expert_share, expert_share(router), atol=6e-5)
    dead = [int((load < 0.1 / model.experts).sum()) for load in router.mean(0)]
    assert found.dead == dead


def mixed_model(share: float):
    """Each head asks for both facets, for its second one by a share of the first.

    A little noise, so that no two items are exactly as near as each other.
    """
    model = planted.built_model("genres,year/genres,year")
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        first, second = model.values.vectors.chunk(2)  # genres before years, and their decade
        noise = torch.randn(first.shape, generator=generator)
        for head in (first, second):
            head += 0.05 * noise
        first[planted.KINDS :] *= share
        second[: planted.KINDS] *= share
    return model.eval()


def test_planted_facets_are_found_half_mixed_ones_between_and_permuted_ones_not():
    """Lists of 20 hold at most 23 of 24 items of a genre; year and genre are independent."""
    planted_one, half, mixed = (record(mixed_model(share)) for share in (0.0, 0.8, 1.0))
    rng = np.random.default_rng(4)
    dealt = rng.permutation(planted.ITEMS)
    nothing = record(mixed_model(0.0), {name: own[dealt] for name, own in INDICATORS.items()})
    for kind in ("tables", "lists"):

        def apart(found, kind=kind):
            """How much more each head agrees in its own facet than the other head does."""
            genres, year = (getattr(found, kind)[facet] for facet in ("genres", "year"))
            return (genres["head_0"] - genres["head_1"] + year["head_1"] - year["head_0"]) / 2

        assert apart(planted_one) > 0.3, kind
        assert apart(planted_one) - 0.05 > apart(half) > apart(mixed) + 0.05, kind
        assert abs(apart(mixed)) < 0.02 and abs(apart(nothing)) < 0.04, kind
        for facet in ("genres", "year"):
            chance = getattr(planted_one, kind)[facet]["chance"]
            assert chance == pytest.approx(1 / planted.KINDS, abs=0.06)
            for head in (0, 1):
                share = getattr(nothing, kind)[facet][f"head_{head}"]
                assert share == pytest.approx(chance, abs=0.08)
    assert planted_one.tables["genres"]["head_0"] > 0.99


def test_gate_and_experts_are_those_of_the_people():
    model = random_model(TINY, planted.ITEMS)
    with torch.no_grad():
        model.gate.weight.zero_()
        model.gate.bias.copy_(torch.log(torch.tensor([0.25, 0.75])))
    readings = read_histories(model, HISTORIES)
    router = torch.zeros_like(readings.router)
    router[:, 0, 0] = 1.0  # everybody has the first expert: two are dead, and nothing is shared out
    router[torch.arange(150), 1, torch.arange(150) % 3] = 1.0  # each person has one of three
    made = Forming({}, HISTORIES, TARGETS, planted.TRAIN_COUNT, repeats="exclude")
    found = made.measure(model, replace(readings, router=router))
    assert found.gate == [0.25, 0.75]
    assert found.expert_share == [0.0, 1.0] and found.dead == [2, 0]
    assert found.tables == found.lists == {}


def test_one_expert_has_no_share_and_a_catalogue_without_values_no_agreement():
    found = record(random_model(replace(TINY, experts=1), planted.ITEMS), {})
    assert (found.expert_share, found.dead, len(found.gate)) == ([None, None], [0, 0], 2)
    assert found.tables == found.lists == {}


def test_values_that_nobody_has_are_left_out_and_items_without_any_are_not_asked():
    some = [own if row % 2 else [] for row, own in enumerate(planted.VALUES["genres"])]
    facets = {
        "nothing": value_indicator([[] for _ in some]),
        "half": value_indicator(some),
        "genres": INDICATORS["genres"],
    }
    model = planted.built_model()
    found = record(model, facets)
    assert set(found.tables) == set(found.lists) == {"half", "genres"}
    # Of a genre's items half have a value now: those asked find about half of what they did.
    assert found.tables["half"]["head_0"] == pytest.approx(0.5, abs=0.1)
    assert found.tables["genres"]["head_0"] > 0.99


def test_of_a_large_catalogue_fewer_lists_are_made(monkeypatch):
    monkeypatch.setattr(module, "_RANKED", 1)
    monkeypatch.setattr(module, "_FEWEST", 40)
    found = record(planted.built_model())
    assert (found.listed, found.people) == (40, 150)
    assert found.lists["genres"]["head_0"] > 0.5


def test_measuring_draws_nothing_and_leaves_the_model_as_it_is():
    model = planted.built_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = Forming(INDICATORS, HISTORIES, TARGETS, planted.TRAIN_COUNT, repeats="exclude")
    readings = read_histories(model, HISTORIES)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    made.measure(model, readings)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_record_is_read_back_from_its_row():
    found = record(planted.built_model())
    rows = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, RECORD: asdict(found)}]
    assert read_forming(json.loads(json.dumps(rows))) == {2: found}
    with pytest.raises(ValueError, match="must hold"):
        read_forming([{"epoch": 1, RECORD: {"gate": []}}])
    with pytest.raises(ValueError):
        read_forming([{RECORD: asdict(found)}])
