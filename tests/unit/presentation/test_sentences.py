"""Sentences say what the figures say, and no more: also at their edges."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fame.facets.above_base import Above
from fame.facets.agreement import Agreement
from fame.facets.expert_lists import ChangedLists, ExpertLists
from fame.facets.experts import ExpertGoals, ExpertUse, ValueLift
from fame.lens.account import item_account
from fame.lens.compare import compare
from fame.lens.faithfulness import (
    CurvePoint,
    DeletionCurve,
    Estimate,
    MeasuredFaithfulness,
)
from fame.lens.people import RULES, BaseRate, worth_showing
from fame.lens.trace import trace_history
from fame.models.sequence_model import Intervention
from fame.presentation import sentences
from fame.presentation.names import UNNAMED, HeadNames
from fame.presentation.sentences import (
    above_sentence,
    account_sentence,
    agreement_sentence,
    base_rate_phrase,
    because_line,
    because_sentence,
    checkpoint_sentence,
    comparison_sentence,
    desk_sentence,
    faithfulness_sentence,
    figures_text,
    gate_sentence,
    held_out_sentence,
    history_sentence,
    most_routed_phrase,
    rule_label,
    trust_sentence,
    without_head_sentence,
)
from fame.presentation.text import changes, points, quoted, shortened
from tests.tiny import TINY, TINY_SASREC, random_model

MODEL = random_model(TINY, 20)
HISTORY = np.array([7, 3, 12])


def test_shortening_cuts_at_words_and_flattens_lines():
    assert shortened("a\nb", 10) == "a b"
    assert shortened("three four five", 12) == "three four…"
    assert shortened("one incomprehensible", 12) == "one incompr…"
    assert len(shortened("x" * 50, 10)) == 10
    assert quoted("<b>\n1") == "“<b> 1”"  # a sentence is text: whoever shows it escapes it


@pytest.mark.parametrize(
    ("changed", "k", "said"),
    [
        (7, 10, "7 of the 10 items change"),
        (1, 10, "1 of the 10 items changes"),
        (0, 10, "none of the 10 items changes"),
        (10, 10, "all 10 items change"),
        (0, 1, "the one item stays"),
        (1, 1, "the one item changes"),
    ],
)
def test_changes(changed, k, said):
    assert changes(changed, k) == said


@pytest.mark.parametrize(
    ("length", "read", "said"),
    [
        (1, 1, "The model has one click to go by."),
        (7, 7, "The model reads 7 clicks."),
        (1737, 100, "The model reads the latest 100 of 1,737 clicks."),
    ],
)
def test_history_sentences(length, read, said):
    assert history_sentence(length, read) == said


def test_gate_sentences():
    assert gate_sentence([0.3, 0.7], UNNAMED) == "The gate gives Head 2 the largest share, 70 %."
    assert gate_sentence([0.48, 0.52], UNNAMED) == (
        "The gate weighs both heads about evenly (48 % to 52 %)."
    )
    assert "all 3 heads about evenly (33 % to 33 %)" in gate_sentence([1 / 3] * 3, UNNAMED)
    assert gate_sentence([1.0], UNNAMED) == "This model has one head, so nothing is mixed."


@pytest.mark.parametrize(
    ("gate", "changed", "said"),
    [
        ([0.39, 0.61], [4, 7], "Gate share of Head 2: 61 %; without it 7 of the 10 items change."),
        (
            [0.9, 0.1],
            [0, 0],
            "Gate share of Head 1: 90 %; without it none of the 10 items changes.",
        ),
        (
            [0.48, 0.52],
            [3, 2],
            "The gate weighs both heads about evenly (48 % to 52 %); without Head 1, 3 of the 10 "
            "items change; without Head 2, 2 of the 10 items change.",
        ),
        (
            [0.5, 0.5],
            [0, 0],
            "The gate weighs both heads about evenly (50 % to 50 %); without Head 1, none of the "
            "10 items changes; without Head 2, none of the 10 items changes.",
        ),
        (
            [0.33, 0.33, 0.34],
            [1, 5, 2],
            "The gate weighs all 3 heads about evenly (33 % to 34 %); without Head 2, 5 of the 10 "
            "items change, the most for any head.",
        ),
        ([0.0, 1.0], [0, None], "Head 2 has all of the gate, so the list is its own."),
        ([1.0], [None], "This model has one head, so nothing is mixed."),
    ],
)
def test_what_the_largest_head_does(gate, changed, said):
    assert without_head_sentence(gate, changed, 10, UNNAMED) == said


def test_held_out_sentences():
    assert "“x”, stands at rank 9 of 100; Head 2 alone would have put it at 3." in (
        held_out_sentence("x", 9, [12, 3], 100, UNNAMED)
    )
    assert "higher than any head alone" in held_out_sentence("x", 2, [12, 3], 100, UNNAMED)
    assert "where Head 2 alone puts it too" in held_out_sentence("x", 3, [12, 3], 100, UNNAMED)
    assert held_out_sentence("x", 3, [3], 1200, UNNAMED).endswith("at rank 3 of 1,200.")


def test_because_sentences():
    assert because_sentence("A", [("B", 0.534), ("C", 0.21)]) == (
        "“A” hangs most on “B”: without it, it scores 0.53 less; without “C”, 0.21 less."
    )
    assert because_sentence("A", [("B", 0.5)]).endswith("it scores 0.50 less.")
    assert because_sentence("A", []) == (
        "No single click speaks for “A”: without any one it scores no lower."
    )


def test_account_sentences():
    trace = trace_history(MODEL, HISTORY)
    found = item_account(trace, 5, 4)
    said = account_sentence(found, "A", "B", UNNAMED)
    assert said.startswith(f"“A” stands at rank {found.rank} of 17, {abs(found.lead):.2f} ")
    assert f"Head 1 {found.by_head['lead'][0]:+.2f}, Head 2 {found.by_head['lead'][1]:+.2f}" in said
    assert ("ahead of “B”" in said) == (found.lead > 0)
    assert f"at rank {found.rival_rank}" in said
    assert "clicked before, so it is not recommended" in account_sentence(
        item_account(trace, 3, 4), "A", "B", UNNAMED
    )
    alone = trace_history(MODEL, np.arange(1, 20))
    assert (
        account_sentence(item_account(alone, 20, 4), "A", "", UNNAMED)
        == "“A” stands at rank 1 of 1."
    )
    sasrec = trace_history(random_model(TINY_SASREC, 20), HISTORY)
    assert "Head" not in account_sentence(item_account(sasrec, 5, 4), "A", "B", UNNAMED)


def test_comparison_sentences():
    before = trace_history(MODEL, HISTORY)
    same = compare(before, before, 4, held_out=9)
    assert comparison_sentence(same) == (
        f"The same 4 items in the same order; what they really chose next stays at rank "
        f"{same.held_out[0]}."
    )
    after = trace_history(MODEL, HISTORY, intervention=Intervention(gate=(1.0, 0.0)))
    new = compare(before, after, 1)
    assert new.shared == 0
    assert comparison_sentence(new) == "1 of the 1 item is new."
    moved = same.moves.assign(change=pd.array([0, 1, -1, 0], dtype="Int64"))
    order = same.__class__(**{**vars(same), "moves": moved, "held_out": (1200, 3)})
    assert comparison_sentence(order) == (
        "The same 4 items in another order; what they really chose next moves from rank 1,200 to 3."
    )


def curve(measure, influential, random, latest=None):
    given = (influential, influential if latest is None else latest, random)
    return DeletionCurve(
        measure, np.arange(2), *(np.array(values, dtype=float) for values in given)
    )


def test_an_explanation_that_does_not_hold_says_so():
    random = [[0, 0.5, 0.1, 0.3]] * 39
    holds = curve("list", [0, 0.5, 0.6, 0.8], random, [0, 0.5, 0.3, 0.3])
    assert faithfulness_sentence(holds) == (
        "Beyond its first click the explanation holds: removing its first click and those it names "
        "next replaces 70 % of the list, the same first click and as many others at random 20 % "
        "(the difference is 50 % to 50 % over 95 % of random orders); the same first click and "
        "just the latest ones do less, 30 %."
    )
    unclear = curve("item", [0, 1, 0.5], [[0, 1, 0.2], [0, 1, 0.9]])
    assert "click the explanation cannot be told from chance" in faithfulness_sentence(unclear)
    assert "takes 0.50 off the first item's score" in faithfulness_sentence(unclear)
    fails = curve("list", [0, 1, 0.1], [[0, 1, 0.4]] * 39)
    assert "does not hold, random clicks matter more" in faithfulness_sentence(fails)
    assert faithfulness_sentence(None).startswith("Too short to test")


@pytest.mark.parametrize(("removed", "told"), [(4, True), (5, False)])
def test_a_history_that_is_too_short_for_a_verdict_says_so(removed, told):
    flat = [0.0] * (removed + 1)
    found = DeletionCurve("list", np.arange(removed), *map(np.array, (flat, flat, [flat])))
    assert ("with so few clicks it hardly could be" in faithfulness_sentence(found)) == told


@pytest.mark.parametrize(
    ("latest", "told"),
    [
        (0.9, "; but the same first click and just the latest ones do more, 90 %."),
        (0.701, "; the same first click and just the latest ones do as much, 70 %."),
        (0.1, "; the same first click and just the latest ones do less, 10 %."),
    ],
)
def test_what_the_latest_clicks_do_is_always_said(latest, told):
    """More or less only where the difference shows in the figures."""
    found = curve("list", [0, 0.9, 0.7], [[0, 0.9, 0.1]], latest=[0, 0.9, latest])
    assert faithfulness_sentence(found).endswith(told)


@pytest.mark.parametrize(
    ("low", "said", "latest"),
    [
        (0.2, "hold on average", "Removing just the latest clicks instead does less: "),
        (-0.2, "cannot be told from", "latest clicks instead does as much on average: "),
        (-0.9, "do not hold", "But removing just the latest clicks instead does more: "),
    ],
)
def test_the_checkpoints_sentence_follows_its_intervals(low, said, latest):
    measured = MeasuredFaithfulness(
        people=500,
        verdicts={
            "holds": Estimate(0.09, 0.06, 0.12),
            "unclear": Estimate(0.89, 0.86, 0.92),
            "fails": Estimate(0.02, 0.01, 0.03),
        },
        above_zero=Estimate(0.97, 0.95, 0.99),
        above_latest=Estimate(0.45, 0.4, 0.5),
        below_latest=Estimate(0.2, 0.1, 0.3),
        lead_on_latest=Estimate(low + 0.1, low, low + 0.4),
        area=Estimate(low + 0.1, low, low + 0.4),
        curve=[CurvePoint(4, 450, 0.5, 0.5, 0.5), CurvePoint(5, 350, 0.5, 0.5, 0.5)],
    )
    sentence = checkpoint_sentence("list", measured)
    assert sentence.startswith("Beyond the first click") and said in sentence
    assert "over 500 people" in sentence and latest in sentence
    low_said, mean_said, high_said = (
        f"{100 * end:.1f}".replace("-", "−") for end in (low, low + 0.1, low + 0.4)
    )
    assert f"replaces {mean_said} percentage points more of the list than" in sentence
    assert sentence.count(f"({low_said} to {high_said})") == 2
    person_by_person = "hold for 9 %, fail for 2 %, and cannot be told from chance for 89 %"
    assert f"{person_by_person} (30 % of people have too few clicks for any verdict)." in sentence
    long = replace(measured, curve=[CurvePoint(5, 500, 0.5, 0.5, 0.5)])
    assert f"{person_by_person}. " in checkpoint_sentence("list", long)
    assert "does more for 45 % of people and less for 20 %" in sentence
    item = checkpoint_sentence("item", measured)
    assert f"takes {low + 0.1:.2f} more off the first item's score".replace("-", "−") in item


def test_how_usual_it_is_what_a_list_shows():
    assert base_rate_phrase("fusion_hits", BaseRate(134, None), 22363) == (
        "for 0.6 % of 22,363 people"
    )
    assert base_rate_phrase("one_head_better", BaseRate(2, None), 22363) == (
        "for under 0.1 % of 22,363 people"
    )
    assert base_rate_phrase("fusion_hits", BaseRate(0, None), 50) == "for 0.0 % of 50 people"
    assert base_rate_phrase("gate_flips", BaseRate(940, 0.084), 943) == (
        "the extremes of 940 people, whose median is 8 %"
    )
    assert base_rate_phrase("longest", BaseRate(943, 1064.0), 943) == (
        "the extremes of 943 people, whose median is 1,064 clicks"
    )
    assert "among 22,363 people" in most_routed_phrase(22363)


def test_trust_is_worded_by_the_figure():
    told = trust_sentence(0.4, 15, 1501, "Head 1")
    assert "6.0 on average" in told and "(40 %; by chance 1 %)" in told
    assert "by chance 0.1 %" in trust_sentence(0.4, 15, 15_001, "Head 1")
    assert "by chance under 0.1 %" in trust_sentence(0.4, 15, 150_001, "Head 1")
    verdicts = {trust_sentence(s, 15, 1501, "x").split("; ")[2] for s in (0.1, 0.3, 0.6)}
    assert len(verdicts) == 3


def test_what_was_changed_is_said():
    assert desk_sentence(Intervention(), 0, UNNAMED) == ""
    changed = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 0),))
    assert desk_sentence(changed, 1, UNNAMED) == (
        "1 item left out of the history; the gate set to Head 1 25 %, Head 2 75 %; expert 2 of "
        "Head 1 muted; expert 1 of Head 2 alone in its head"
    )


def test_causes_below_an_item():
    assert because_line(["A", "B"]) == "because of A and B"
    assert "no single click" in because_line([])


def test_every_list_of_people_tells_its_figures():
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "length": [3, 4000],
            "gate": [0.9, 0.5],
            "gate_head": [1, 0],
            "gate_move": [0.25, 0.1],
            "shared": rng.random(2),
            "rank": [3, 30],
            "best_head": [0, 1],
            "best_head_rank": [20, 4],
        }
    )
    lists = worth_showing(people, ["a", "b"])
    assert set(lists) == set(RULES)
    told = {name: figures_text(name, rows[0], UNNAMED) for name, rows in lists.items()}
    assert told["one_head_rules"] == "Head 2 has 90 %"
    assert told["longest"] == "4,000 clicks"
    assert told["fusion_hits"] == "rank 3, best head 20"
    assert told["one_head_better"] == "Head 2 rank 4, fused 30"
    assert all(rule_label(name)[0].isupper() for name in RULES)


def test_the_mix_and_its_heads_are_counted_both_ways():
    assert sentences.mix_wins_sentence(31, 12, 1000) == (
        "Over 1,000 people the mix has the next item among its first ten, and no head alone has, "
        "for 3.1 %; some head has it and the mix has not for 1.2 %."
    )


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("centred", "the average item"),
        ("next", "the item below it"),
        ("middle", "the item in the middle of the list"),
        ("raw", "zero"),
    ],
)
def test_the_first_place_is_told_by_its_parts(against, said):
    rows = pd.DataFrame({"score": [1.5, 0.0], "head_0": [2.0, 0.1], "head_1": [-0.5, -0.1]})
    called = HeadNames(("Genre", None))
    assert sentences.ledger_sentence(rows, against, called) == (
        f"The first item is +1.50 from {said}: Genre +2.00, Head 2 −0.50."
    )
    alone = rows[["score"]]
    assert (
        sentences.ledger_sentence(alone, against, called) == f"The first item is +1.50 from {said}."
    )
    assert "no item below" in sentences.ledger_sentence(rows.iloc[:0], against, called)


def agreements(**by_facet: tuple[float, ...]) -> dict[str, Agreement]:
    return {
        name: Agreement(10, 0.1, {"all": 0.5, **{f"head_{h}": s for h, s in enumerate(shares)}})
        for name, shares in by_facet.items()
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (agreements(brand=(0.3, 0.15), category_1=(0.4, 0.6)), "Head 1 is ahead in brand (30 % to"),
        (agreements(brand=(0.3, 0.15), category_1=(0.4, 0.6)), "Head 2 is ahead in category 1 (60"),
        (agreements(brand=(0.3, 0.29), genre=(0.4, 0.45)), "views of the same thing, not facets"),
        (agreements(brand=(0.3, 0.2), genre=(0.4, 0.1)), "a better view of the same thing"),
        (agreements(brand=()), "nothing to tell apart"),
    ],
)
def test_agreement_says_which_head_is_ahead_in_what(found, said):
    assert said in agreement_sentence(found, UNNAMED)


def test_a_head_ahead_in_one_of_two_facets_is_not_called_better():
    found = agreements(brand=(0.3, 0.15), genre=(0.4, 0.4))
    assert "better view" not in agreement_sentence(found, UNNAMED)


def test_the_goal_of_experts_is_said_with_its_numbers():
    def said(goals: ExpertGoals) -> str:
        return sentences.goals_sentence(goals, HeadNames(("Genre", None)))

    reached = said(ExpertGoals([0, 1], [], [], 5, 9))
    assert "goal reached" in reached and "no expert is dead" in reached
    assert "5 of 9 experts" in reached and "and 5 should" in reached
    missed = said(ExpertGoals([0, 1], [0, 1], [(1, 2)], 1, 8))
    assert "goal not reached. Genre and Head 2 have a share below 0.3" in missed
    assert "dead: Head 2, expert 3." in missed and "1 of 8" in missed and "and 4 should" in missed
    assert "Head 2 has a share below" in said(ExpertGoals([0, 1], [1], [], 8, 8))
    assert "No head is a facet yet" in said(ExpertGoals([], [], [], 8, 8))
    assert said(ExpertGoals([], [], [], 0, 0)) == "This model has no experts."


def test_what_an_expert_serves_and_changes_is_said_with_its_numbers():
    def changed(share: float) -> ChangedLists:
        return ChangedLists(*[Estimate(share, share, share)] * 3)

    values = [ValueLift("genres=War", 2.34, 2.0, 2.7, 1.2, None)]
    use = ExpertUse(0, 1, 0.3, 0.5, False, values, 1.1)
    assert sentences.served_phrase(use) == "War 2.3× (2.0 to 2.7)"
    assert sentences.served_phrase(replace(use, values=[])).startswith("no value")
    lists = ExpertLists(0, 1, changed(0.8), changed(0.96))
    phrase = "alone 80 % of the first 10 items stay"
    assert sentences.changed_phrase(lists) == f"{phrase}, without it 96 %"
    assert sentences.changed_phrase(replace(lists, without=None)) == phrase
    assert sentences.changed_phrase(replace(lists, without=changed(1.0))).endswith("nothing")
    assert sentences.dossier_sentence(use, lists, 1200, 500) == (
        "Over 1,200 people it has 30 % of its head. Their histories have above the base rate: "
        "War 2.3× (2.0 to 2.7). Over 500 people, " + phrase + ", without it 96 %."
    )
    weak = replace(use, values=[replace(values[0], lift=1.49)], dead=True)
    said = sentences.dossier_sentence(weak, lists, 1, 1)
    assert "Over 1 person it has" in said and "so little that it is dead" in said
    assert "none of them by enough for a name" in said
    said = sentences.dossier_sentence(replace(use, values=[]), lists, 9, 9)
    assert "No value is surely above" in said


# --- heads with names ---------------------------------------------------------------------------

GENRE_ERA = HeadNames(("Genre", "Era"))


def test_sentences_call_heads_by_their_names():
    found = item_account(trace_history(MODEL, HISTORY), 5, 4)
    leads = [
        f"{name} {points(lead)}"
        for name, lead in zip(("Genre", "Era"), found.by_head["lead"], strict=True)
    ]
    changed = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 0),))
    row = {"gate_head": 1, "gate": 0.9, "best_head": 0, "best_head_rank": 4, "rank": 30}
    said = {
        gate_sentence([0.3, 0.7], GENRE_ERA): "The gate gives Era the largest share, 70 %.",
        without_head_sentence([0.39, 0.61], [4, 7], 10, GENRE_ERA): (
            "Gate share of Era: 61 %; without it 7 of the 10 items change."
        ),
        without_head_sentence([0.48, 0.52], [3, 2], 10, GENRE_ERA): (
            "The gate weighs both heads about evenly (48 % to 52 %); without Genre, 3 of the 10 "
            "items change; without Era, 2 of the 10 items change."
        ),
        without_head_sentence([1.0, 0.0], [None, 0], 10, GENRE_ERA): (
            "Genre has all of the gate, so the list is its own."
        ),
        held_out_sentence("x", 9, [12, 3], 100, GENRE_ERA): (
            "What they really chose next, “x”, stands at rank 9 of 100; Era alone would have put "
            "it at 3."
        ),
        held_out_sentence("x", 3, [12, 3], 100, GENRE_ERA): (
            "What they really chose next, “x”, stands at rank 3 of 100, where Era alone puts it "
            "too."
        ),
        desk_sentence(changed, 0, GENRE_ERA): (
            "the gate set to Genre 25 %, Era 75 %; expert 2 of Genre muted; expert 1 of Era alone "
            "in its head"
        ),
        figures_text("one_head_rules", row, GENRE_ERA): "Era has 90 %",
        figures_text("one_head_better", row, GENRE_ERA): "Genre rank 4, fused 30",
    }
    assert {told: told for told in said} == said
    assert f"({leads[0]}, {leads[1]})." in account_sentence(found, "A", "B", GENRE_ERA)
    ahead = agreement_sentence(agreements(brand=(0.3, 0.15)), GENRE_ERA)
    assert "Genre is ahead in brand (30 % to 15 %)." in ahead


def test_a_picture_that_keeps_no_more_than_chance_is_not_trusted():
    assert "hardly any neighbourhood" in trust_sentence(0.4, 15, 40, "x")  # chance: 38 %


def test_what_chosen_items_have_is_said_with_the_base_rate():
    found = [Above("category_3", "Conditioners", 0.42, 0.05, 42, 100)]
    told = above_sentence(found, 100)
    assert told == "100 items: 42 % Conditioners (Category 3), 5 % overall."
    assert "too few" in above_sentence(found, 9)
    assert "no value" in above_sentence([], 10)
