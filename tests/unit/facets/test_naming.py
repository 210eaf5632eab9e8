"""Heads built to be facets are named so; on permuted labels, or untrained, none is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fame.config import ModelConfig
from fame.facets.causes import facet_causes
from fame.facets.lists import PERMUTED, SASREC, TURNED, ListAgreement, list_agreement
from fame.facets.naming import NamedHead, name_heads
from fame.models.registry import build_model
from fame.models.sequence_model import SequenceModel
from tests import planted

NAMES = {"genres": "Genre", "year": "Era"}


def named(model: SequenceModel, values=planted.VALUES, free=()) -> list[NamedHead]:
    histories, targets = planted.people()
    count = planted.TRAIN_COUNT
    lists = list_agreement(model, histories, targets, values, count, repeats="exclude")
    causes = facet_causes(model, histories, values, repeats="exclude")
    called = [f"Head {head + 1}" for head in range(model.heads)]
    return name_heads(called, lists, causes, NAMES, free=free)


@pytest.mark.parametrize("head_facets", ["genres/year", "year/genres", "genres/year/"])
def test_heads_built_to_be_facets_are_named_after_them(head_facets):
    shares = head_facets.split("/")
    free = [head for head, share in enumerate(shares) if not share]
    found = named(planted.built_model(head_facets), free=free)
    assert [head.facet for head in found] == [share or None for share in shares]
    assert [head.name for head in found] == [NAMES.get(share, "Free") for share in shares]
    assert [head.head for head in found] == list(range(len(shares)))
    assert all("leads in points over Head" in head.why for head in found if head.facet)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_named_on_permuted_labels(seed):
    rng = np.random.default_rng(seed)
    values = {
        facet: [own[item] for item in rng.permutation(planted.ITEMS)]
        for facet, own in planted.VALUES.items()
    }
    found = named(planted.built_model(), values)
    assert [head.name for head in found] == [None, None]
    assert all(head.why.startswith("Nearest is ") for head in found)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_named_in_an_untrained_model(seed):
    torch.manual_seed(seed)
    config = ModelConfig(width=16, heads=2, experts=2, layers=1, max_length=6)
    found = named(build_model(config, planted.ITEMS).eval())
    assert [head.name for head in found] == [None, None]


def agreement(
    own: float, other: float, *, permuted: float = 0.1, turned: float = 0.2, sasrec: float = 0.2
) -> ListAgreement:
    """Two heads over 40 people, all of whose lists agree alike but for a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.01, (6, 40))

    def two(first: float, second: float, rows: int) -> dict[str, np.ndarray]:
        return {"head_0": first + noise[rows], "head_1": second + noise[rows + 1]}

    return ListAgreement(
        held_out={"all": noise[0] + 0.9, **two(own, other, 0)},
        history={},
        controls={
            PERMUTED: {"all": noise[2] + 0.9, **two(permuted, 0.8, 2)},
            TURNED: two(0.0, turned, 4),
            SASREC: two(sasrec, 0.0, 2),
        },
    )


def name_of(lists: ListAgreement, moved: list[float]) -> NamedHead:
    return name_heads(["Head 1", "Head 2"], {"year": lists}, {"year": moved}, NAMES)[0]


def test_a_name_needs_all_three_and_what_lacks_is_said_with_its_numbers():
    good = agreement(0.5, 0.3)
    assert name_of(good, [0.4, 0.1]).name == "Era"
    assert name_of(agreement(0.5, 0.6), [0.4, 0.1]).why.startswith(
        "Nearest is year, but it is behind Head 2 (-10."
    )
    for lacking, words in (
        ({"permuted": 0.6}, "labels permuted"),
        ({"turned": 0.6}, "the best slice of the turned embedding"),
        ({"sasrec": 0.6}, "the best slice of a SASRec"),
    ):
        found = name_of(agreement(0.5, 0.3, **lacking), [0.4, 0.1])
        assert found.name is None and found.facet is None
        assert found.why.startswith(f"Nearest is year, but it is behind {words} (-")
    found = name_of(good, [0.1, 0.4])
    assert found.name is None and found.why == (
        "Nearest is year, but its list moves by 0.100 when year changes in the histories, that of "
        "Head 2 by 0.400."
    )
    assert name_of(good, [0.0, -0.1]).why.endswith("does not move when year changes (0.000).")


def test_the_best_of_several_other_heads_is_the_rival():
    lists = agreement(0.5, 0.3)
    for rival in (0.4, 0.6):
        third = replace(
            lists, held_out={**lists.held_out, "head_2": np.full(40, rival)}, controls={}
        )
        called = ["Head 1", "Head 2", "Head 3"]
        found = name_heads(called, {"year": third}, {"year": [0.4, 0.1, 0.1]}, NAMES)[0]
        assert found.name == ("Era" if rival == 0.4 else None)
        assert ("over Head 3 +9.9" if rival == 0.4 else "behind Head 3 (-10") in found.why


def test_a_lead_whose_interval_reaches_zero_is_none():
    noise = np.random.default_rng(1).normal(0, 1, 40)
    lists = agreement(0.5, 0.3)
    rival = 0.45 + noise - noise.mean()
    unsure = replace(lists, held_out={**lists.held_out, "head_1": rival})
    found = name_of(unsure, [0.4, 0.1])
    assert found.name is None and "no sure lead over Head 2 (+4." in found.why


def test_the_clearest_facet_names_a_head_and_equal_names_say_their_columns():
    lists = {"category_1": agreement(0.5, 0.3), "category_2": agreement(0.7, 0.3)}
    moved = {"category_1": [0.4, 0.1], "category_2": [0.4, 0.1]}
    names = dict.fromkeys(lists, "Kind")
    found = name_heads(["Head 1", "Head 2"], lists, moved, names)
    assert [head.name for head in found] == ["Kind", None] and found[0].facet == "category_2"
    swapped = ListAgreement(
        held_out={"head_0": lists["category_1"].held_out["head_1"],
                  "head_1": lists["category_1"].held_out["head_0"]},
        history={},
        controls={},
    )  # fmt: skip
    lists["category_1"], moved["category_1"] = swapped, [0.1, 0.4]
    found = name_heads(["Head 1", "Head 2"], lists, moved, names)
    assert [head.name for head in found] == ["Kind (category_2)", "Kind (category_1)"]


def test_one_head_or_no_facets_is_said():
    lists = {"year": agreement(0.5, 0.3)}
    assert name_heads(["Head 1"], lists, {"year": [0.1]}, NAMES)[0].why == "There is no other head."
    found = name_heads(["Head 1", "Head 2"], {}, {}, NAMES)
    assert [head.why for head in found] == ["No facet is known of the items."] * 2
    assert name_heads([], lists, {"year": []}, NAMES) == []
