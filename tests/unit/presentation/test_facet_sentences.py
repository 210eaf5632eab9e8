"""What the Facets page says is what its figures hold."""

import pytest

from fame.facets.disentanglement import Disentanglement, Scores
from fame.facets.lists import PERMUTED, TURNED, UNTRAINED
from fame.facets.naming import NamedHead
from fame.facets.redundancy import Pair, Redundancy
from fame.facets.use import Accuracy, Cohort, GateShare, Use
from fame.lens.faithfulness import Estimate
from fame.presentation import facet_sentences as said

NAMES = ["Genre", "Head 2"]


def estimate(mean: float, spread: float = 0.01) -> Estimate:
    return Estimate(mean, mean - spread, mean + spread)


def test_only_heads_that_are_facets_count_as_named():
    free = NamedHead(1, "Free", None, "")
    found = [NamedHead(0, "Genre", "genres", ""), free]
    assert said.names_sentence(found, NAMES).startswith("1 of 2 heads is a facet")
    assert "Genre (head 1)" in said.names_sentence(found, NAMES)
    assert said.names_sentence([free], NAMES).startswith("No head has a name: of 1 head,")
    assert "no head that could be" in said.names_sentence([], [])


def evidence(own: float, turned: float, permuted: tuple[float, float] = (0.1, 0.9)):
    spaces = {"all": estimate(0.99), "head_0": estimate(own), "head_1": estimate(0.2)}
    controls = {
        PERMUTED: {f"head_{head}": estimate(share) for head, share in enumerate(permuted)},
        TURNED: {"head_0": estimate(0.05), "head_1": estimate(turned)},
    }
    return {"genres": (spaces, controls)}


def test_a_head_is_held_against_its_own_permuted_labels_and_the_best_slice():
    ahead = said.lead_sentence(evidence(0.6, 0.5), NAMES, "by its list")
    assert "Genres: Genre, 60 % against 50 % of turned slices" in ahead
    assert "overlap" not in ahead and "as good as" not in ahead
    near = said.lead_sentence(evidence(0.6, 0.59), NAMES, "by its list")
    assert "60 % against 59 %" in near and "intervals overlap" in near
    behind = said.lead_sentence(evidence(0.6, 0.7), NAMES, "by its list")
    assert behind.startswith("No head is ahead of every control by its list. A control is as good")
    built = evidence(0.6, 0.5)
    built["genres"][1][UNTRAINED] = {"head_0": estimate(0.99)}
    told = said.lead_sentence(built, NAMES, "by its list")
    assert "60 % against 50 % of turned slices." in told
    assert told.endswith("By how it is built alone, untrained, the model has 99 % in Genres.")
    chance = said.lead_sentence(evidence(0.6, 0.5, (0.65, 0.1)), NAMES, "by its list")
    assert "65 % of labels permuted" in chance and chance.startswith("No head is ahead")


def test_a_head_listens_to_one_facet_where_it_moves_twice_as_far_as_by_the_next():
    hot = said.causes_sentence({"genres": [0.2, 0.1], "year": [0.09, 0.06]}, NAMES)
    assert hot.startswith("1 of 2 heads listens to one facet at least twice as much")
    assert hot.endswith("than every other head: Genre to Genres (0.20).")
    none = said.causes_sentence({"genres": [0.2, 0.1], "year": [0.11, 0.06]}, NAMES)
    assert none.startswith("No head listens to one facet")
    still = said.causes_sentence({"genres": [-0.1, 0.0], "year": [-0.2, -0.3]}, NAMES)
    assert still.startswith("No head listens"), "a list that does not move listens to nothing"


def test_a_head_that_another_moves_more_than_does_not_listen_alone():
    faint = said.causes_sentence({"genres": [0.2, 0.03], "year": [0.0, 0.004]}, NAMES)
    assert "1 of 2 heads" in faint and "Head 2" not in faint


def test_levels_of_a_category_are_one_facet():
    levels = {"category_1": [0.18, 0.08], "category_2": [0.19, 0.06], "brand": [0.06, 0.34]}
    both = said.causes_sentence(levels, ["Kind", "Brand"])
    assert both.startswith("2 of 2 heads listen to one facet")
    assert "Kind to Category 2 (0.19); Brand to Brand (0.34)" in both


def test_each_figure_of_disentanglement_stands_beside_its_best_control():
    own = Scores([[1.0, 0.0]], 0.8, None, 0.9, None, 0.3)
    low, high = (Scores([[0.0, 0.0]], value, None, 0.1, None, 0.1) for value in (0.1, 0.9))
    found = Disentanglement(50, ["genres"], own, {PERMUTED: low, UNTRAINED: high})
    sentence = said.disentanglement_sentence(found)
    assert "DCI disentanglement 0.80 (best control 0.90, untrained model)" in sentence
    assert "SAP 0.30 (best control 0.10" in sentence
    assert "MIG" not in sentence and "completeness" not in sentence
    assert "In DCI disentanglement the model scores higher untrained" in sentence
    alike = Scores([[0.0, 0.0]], 0.804, None, 0.1, None, 0.1)
    level = Disentanglement(50, ["genres"], own, {PERMUTED: low, UNTRAINED: alike})
    assert "untrained:" not in said.disentanglement_sentence(level), "0.80 is not above 0.80"
    learned = Disentanglement(50, ["genres"], own, {PERMUTED: low, UNTRAINED: low})
    assert "untrained:" not in said.disentanglement_sentence(learned)


def test_the_published_figures_are_named_and_not_compared():
    for part in (".157", ".186", ".121", "another protocol", "not to be compared", "entangled"):
        assert part in said.CAUTION


def pair(first: int, second: int, overlap: float, cka: float) -> Pair:
    return Pair([first, second], estimate(overlap), estimate(overlap / 2), cka, cka / 2, ["u"])


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("overlap", "Most alike are B and C: they have 40 % of their 20 listed items in common"),
        ("rbo", "B and C: they have a rank-biased overlap of 0.20"),
        ("embeddings", "A and B: they have a linear CKA of 0.90 over items"),
        ("states", "A and B: they have a linear CKA of 0.45 over people"),
    ],
)
def test_the_pair_most_alike_is_told_by_what_is_compared(by, expected):
    pairs = [pair(0, 1, 0.3, 0.9), pair(0, 2, 0.1, 0.2), pair(1, 2, 0.4, 0.5)]
    found = Redundancy(9, 9, pairs, {TURNED: estimate(0.25)})
    sentence = said.redundancy_sentence(found, ["A", "B", "C"], by)
    assert expected in sentence
    assert ("turned slices 25 %" in sentence) == (by == "overlap")
    assert "one head" in said.redundancy_sentence(Redundancy(9, 9, [], {}), ["A"], by)


def used(first: float, last: float) -> Use:
    share = GateShare(
        estimate(0.7), [0.5, 0.6, 0.7, 0.8, 0.9], 0.95, [estimate(first), estimate(last)]
    )
    other = GateShare(estimate(0.3), [0.1, 0.2, 0.3, 0.4, 0.5], 0.05, [estimate(0.3)] * 2)
    return Use(1234, [share, other], [])


def test_the_gate_moves_with_the_history_only_where_that_is_sure():
    moving = said.gate_use_sentence(used(0.6, 0.8), NAMES)
    assert moving.startswith("Genre has 70 % of the gate on average, 50 % to 90 %")
    assert "of 1,234 people, and the largest share for 95 %" in moving
    assert "moves from 60 % after the shortest histories to 80 %" in moving
    assert "does not surely move" in said.gate_use_sentence(used(0.7, 0.71), NAMES)
    assert "one head" in said.gate_use_sentence(used(0.7, 0.7), ["A"])


@pytest.mark.parametrize(
    ("lost", "expected"),
    [(0.03, "surely a loss"), (0.005, "no sure loss"), (-0.05, "surely a gain")],
)
def test_what_is_lost_is_told_with_its_sign(lost, expected):
    figures = Accuracy(
        estimate(0.5), [estimate(0.3), estimate(0.4)], [estimate(-0.9), estimate(lost)]
    )
    sentence = said.accuracy_sentence(Cohort("all", 0, 0, 20, {"HR@10": figures}), NAMES, "HR@10")
    assert "fused list has HR@10 0.500; the best head alone, Head 2, 0.400" in sentence
    sign = "−" if lost > 0 else "+"
    assert f"without it HR@10 changes by {sign}{abs(lost):.3f}" in sentence and expected in sentence
