"""Whether the history's items may be recommended again: every part of the Lens obeys, or says so.

By slow traces: a list is what stands first among the candidates, and they are counted here by hand.
"""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.lens.account import item_account
from fame.lens.answer import trace_answer
from fame.lens.compare import NOTHING_LEFT, compare
from fame.lens.experts import expert_account
from fame.lens.faithfulness import deletion_curves, faithfulness_of_people
from fame.lens.influence import history_influence
from fame.lens.steps import history_steps
from fame.lens.trace import fused_table, head_table, item_ranks, trace_history
from fame.presentation.names import UNNAMED
from fame.presentation.sentences import account_sentence, comparison_sentence, held_out_sentence
from fame.ranking import candidates
from tests import reference
from tests.tiny import TINY, random_model
from tests.twin import fame_twin

NUM_ITEMS = 12
MODEL = random_model(TINY, NUM_ITEMS, seed=4)
HISTORY = np.array([7, 7, 3, 12, 1, 5, 9])
SEEN = {7, 3, 12, 1, 5, 9}
K = 5
CHOICES = pytest.mark.parametrize("repeats", ["exclude", "recommend"])


def first(scores: np.ndarray, allowed: list[int], k: int = K) -> list[int]:
    """The k best of some items by the twin's scores."""
    return sorted(allowed, key=lambda item: -scores[item])[:k]


@CHOICES
def test_every_list_is_what_stands_first_among_the_candidates(repeats):
    trace = trace_history(MODEL, HISTORY, repeats=repeats)
    last = fame_twin(MODEL, HISTORY.tolist())[-1]
    allowed = reference.candidates(NUM_ITEMS, SEEN, repeats)
    fused = fused_table(trace, K)["item"].tolist()
    assert fused == first(last.scores.detach().numpy(), allowed)
    heads = head_table(trace, K).groupby("head")["item"].apply(list).tolist()
    assert heads == [first(own.detach().numpy(), allowed) for own in last.head_scores]
    in_lists = SEEN & {item for shown in (fused, *heads) for item in shown}
    assert bool(in_lists) == (repeats == "recommend"), "the example must tell the two apart"


@CHOICES
def test_ranks_are_places_in_the_whole_lists(repeats):
    trace = trace_history(MODEL, HISTORY, repeats=repeats)
    whole = fused_table(trace, NUM_ITEMS)["item"].tolist()
    by_head = head_table(trace, NUM_ITEMS).groupby("head")["item"].apply(list).tolist()
    for item in range(1, NUM_ITEMS + 1):
        rank, ranks = item_ranks(trace, item)
        assert rank == (whole.index(item) + 1 if item in whole else None)
        assert ranks == [own.index(item) + 1 if item in own else None for own in by_head]


@CHOICES
def test_a_click_left_out_changes_no_candidates(repeats):
    influence = history_influence(MODEL, HISTORY, K, repeats=repeats)
    allowed = candidates(HISTORY, NUM_ITEMS + 1, repeats)
    listed = fused_table(trace_history(MODEL, HISTORY, repeats=repeats), K)["item"].tolist()
    assert influence.fused.tolist() == listed
    for row, item in enumerate(influence.items):
        without = trace_history(MODEL, HISTORY[item != HISTORY], repeats=repeats)
        now = first(without.scores, np.flatnonzero(allowed).tolist())
        assert influence.replaced[row] == len(set(listed) - set(now))
        for head, scores in enumerate(without.head_scores):
            before = first(
                trace_history(MODEL, HISTORY).head_scores[head], np.flatnonzero(allowed).tolist()
            )
            now = first(scores, np.flatnonzero(allowed).tolist())
            assert influence.replaced_by_head[row, head] == len(set(before) - set(now))


@CHOICES
def test_a_deletion_curve_counts_among_the_same_candidates(repeats):
    influence = history_influence(MODEL, HISTORY, K, repeats=repeats)
    allowed = np.flatnonzero(candidates(HISTORY, NUM_ITEMS + 1, repeats)).tolist()
    curve = deletion_curves(MODEL, influence, draws=2)["list"]
    for count in range(1, len(curve.influential)):
        rest = HISTORY[~np.isin(HISTORY, curve.removed[:count])]
        now = first(trace_history(MODEL, rest).scores, allowed)
        gone = len(set(influence.fused.tolist()) - set(now)) / len(influence.fused)
        assert curve.influential[count] == pytest.approx(gone, abs=1e-12)


def test_many_peoples_curves_obey_too():
    people = [HISTORY, np.array([2, 4, 6, 2, 8])]
    found = {
        repeats: faithfulness_of_people(MODEL, people, k=K, draws=2, repeats=repeats)
        for repeats in ("exclude", "recommend")
    }
    for repeats, measured in found.items():
        own = [
            deletion_curves(
                MODEL, history_influence(MODEL, person, K, repeats=repeats), draws=2, seed=seed
            )["list"].influential
            for seed, person in enumerate(people)
        ]
        for point in measured["list"].curve:
            there = [curve[point.removed] for curve in own if len(curve) > point.removed]
            assert point.influential == pytest.approx(np.mean(there), abs=1e-12)
    assert found["exclude"] != found["recommend"], "the example must tell the two apart"


@CHOICES
def test_every_step_is_a_trace_of_its_own(repeats):
    steps = history_steps(MODEL, HISTORY, K, repeats=repeats)
    for click in steps.clicks:
        trace = trace_history(MODEL, HISTORY[: click + 1], repeats=repeats)
        found = steps.lists[steps.lists["click"] == click]["item"].tolist()
        assert found == fused_table(trace, K)["item"].tolist()


@CHOICES
def test_an_experts_lists_have_the_candidates_of_the_list(repeats):
    trace = trace_history(MODEL, HISTORY, repeats=repeats)
    account = expert_account(MODEL, trace, 0, 1, NUM_ITEMS)
    allowed = set(reference.candidates(NUM_ITEMS, SEEN, repeats))
    assert set(account.alone["item"]) == set(account.without["item"]) == allowed


def test_an_account_of_what_is_in_the_history():
    """Excluded it has a score but no rank; recommended it stands where any other item would."""
    out, within = (
        item_account(trace_history(MODEL, HISTORY, repeats=repeats), 7, K)
        for repeats in ("exclude", "recommend")
    )
    assert out.rank is None and out.by_head["rank"].isna().all()
    assert (out.candidates, within.candidates) == (6, 12)
    assert out.score == pytest.approx(within.score)
    said = account_sentence(out, "A", "B", UNNAMED)
    assert said.startswith("“A” was clicked before, so it is not recommended here, whatever its")
    assert "stands at rank" not in said
    trace = trace_history(MODEL, HISTORY, repeats="recommend")
    whole = fused_table(trace, NUM_ITEMS)["item"].tolist()
    assert within.rank == whole.index(7) + 1
    assert account_sentence(within, "A", "B", UNNAMED).startswith(
        f"“A” stands at rank {within.rank} of 12"
    )


def catalogue() -> pd.DataFrame:
    names = [f"i{item}" for item in range(1, NUM_ITEMS + 1)]
    return pd.DataFrame({"item_id": names, "title": names})


@CHOICES
def test_the_answer_says_what_it_obeyed_and_gives_no_rank_to_what_is_in_no_list(repeats):
    trace = trace_history(MODEL, HISTORY, repeats=repeats)
    answer = trace_answer(trace, catalogue(), top_k=NUM_ITEMS, held_out=7)
    assert answer["repeats"] == repeats
    held_out, listed = answer["held_out"], [row["item"] for row in answer["fused"]]
    if repeats == "exclude":
        assert "i7" not in listed
        assert (held_out["rank"], held_out["rank_by_head"]) == (None, [None, None])
        return
    assert listed[held_out["rank"] - 1] == "i7"
    for own, rank in zip(answer["heads"], held_out["rank_by_head"], strict=True):
        assert own[rank - 1]["item"] == "i7"


def test_the_sentences_claim_no_rank_where_there_is_none():
    said = held_out_sentence("x", None, [None, None], 6, UNNAMED)
    assert "is in their history" in said and "no list here" in said and "rank 1" not in said
    whole = trace_history(MODEL, HISTORY)
    shorter = trace_history(MODEL, HISTORY[HISTORY != 7])
    rank = item_ranks(shorter, 7)[0]
    for before, after, words in (
        (whole, whole, "what they really chose next is in the history, so in neither list."),
        (whole, shorter, f"was in the history and can now be recommended, at rank {rank}."),
        (shorter, whole, f"was at rank {rank} and is now in the history, so in no list."),
    ):
        assert comparison_sentence(compare(before, after, 4, held_out=7)).endswith(words)


def test_a_history_of_the_whole_catalogue_leaves_something_where_repeats_are_recommended():
    whole = np.arange(1, NUM_ITEMS + 1)
    trace = trace_history(MODEL, whole, repeats="recommend")
    assert len(fused_table(trace, NUM_ITEMS)) == NUM_ITEMS
    assert compare(trace, trace, 3).shared == 3
    assert NOTHING_LEFT.startswith("The history holds the whole catalogue")


def test_nobody_forgets_to_say_which():
    """In the library and the app every call that makes lists says whose choice they follow."""
    root = Path(__file__).resolve().parents[3]
    asked = {
        *("trace_history", "history_influence", "history_steps"),
        *("everybodys_figures", "faithfulness_of_people", "lists"),
    }
    calls = []
    for folder in ("fame", "app"):
        for file in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                whose = ast.unparse(node.func).partition(".")[0]
                if name in asked and not (name == "lists" and "baselines" not in whose):
                    calls.append((file.name, node.lineno, {word.arg for word in node.keywords}))
    assert len(calls) >= 12, "the reader found too few calls"
    assert not [call for call in calls if "repeats" not in call[2]]
