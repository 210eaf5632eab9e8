"""People worth showing: who makes a point about the model, with the figure that makes it.

Found once a checkpoint over everybody with a held-out item, and stored with it (see
:mod:`fame.survey`): user ids and figures, never a history. They are picked with hindsight, so every
list comes with its base rate: how many people meet its rule, or what is usual where it shows the
extremes.

Shapes: ``U`` people · ``H`` heads · ``E`` experts in each head · ``k`` items in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from fame.lens.reading import fused_scores, head_scores, read_histories
from fame.metrics import target_ranks
from fame.models.sequence_model import SequenceModel
from fame.ranking import OVERLAP_AT, Repeats, only_candidates, shared, top_lists

HIT = 10  # a list holds the held-out item where its rank is at most this
LISTED = 12  # people in every list
_BATCH = 256


@dataclass(frozen=True)
class EverybodysFigures:
    """What the lists are chosen by.

    Attributes:
        people: One row a person, in the order given: ``length`` (clicks), ``gate`` (largest share),
            ``gate_head`` (whose it is), ``gate_move`` (total variation distance of the gate from
            the one before the latest click; NaN after one click), ``shared`` (share of the top 20
            that two heads have in common, mean over pairs; NaN with one head), ``rank`` of the
            held-out item in the fused list, ``best_head`` and ``best_head_rank``: the head that
            ranks it highest. An item that is in no list is :data:`fame.metrics.UNRANKED`.
        router: ``(U, H, E)`` shares of the experts.
    """

    people: pd.DataFrame
    router: np.ndarray


def everybodys_figures(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    repeats: Repeats = "exclude",
    on_person: Callable[[int, int], None] = lambda done, total: None,
) -> EverybodysFigures:
    """Reads everybody, and everybody without their latest click.

    Args:
        histories: One a person, ``(length,)`` item indices each.
        targets: ``(U,)`` what came next; ranked as in evaluation.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        on_person: Called with how many are done, and of how many.
    """
    lengths = np.array([len(history) for history in histories])
    order = np.argsort(lengths, kind="stable")
    tables, routers = [], []
    for begin in range(0, len(order), _BATCH):
        index = order[begin : begin + _BATCH]
        read = [histories[i] for i in index]
        table, router = _figures(model, read, targets[index], repeats)
        tables.append(table)
        routers.append(router)
        on_person(min(begin + _BATCH, len(order)), len(order))
    back = np.argsort(order, kind="stable")
    people = pd.concat(tables, ignore_index=True).iloc[back].reset_index(drop=True)
    return EverybodysFigures(people, np.concatenate(routers)[back])


@torch.no_grad()
def _figures(
    model: SequenceModel, histories: list[np.ndarray], targets: np.ndarray, repeats: Repeats
) -> tuple[pd.DataFrame, np.ndarray]:
    now = read_histories(model, histories)
    gate = now.gate.double().cpu().numpy()
    earlier = [row for row, history in enumerate(histories) if len(history) > 1]
    move = np.full(len(histories), np.nan)
    if earlier:
        before = read_histories(model, [histories[row][:-1] for row in earlier])
        move[earlier] = np.abs(gate[earlier] - before.gate.double().cpu().numpy()).sum(1) / 2

    target = torch.from_numpy(targets.astype(np.int64)).to(now.gate.device)

    def ranks(scores: torch.Tensor) -> np.ndarray:
        return target_ranks(scores, target).cpu().numpy()  # writes over the scores

    fused_rank = ranks(only_candidates(fused_scores(model, now), histories, repeats))
    by_head = list(only_candidates(head_scores(model, now), histories, repeats))
    lists = [top_lists(scores, OVERLAP_AT) for scores in by_head]
    head_ranks = np.stack([ranks(scores) for scores in by_head])
    best = head_ranks.argmin(0)
    people = pd.DataFrame(
        {
            "length": [len(history) for history in histories],
            "gate": gate.max(1),
            "gate_head": gate.argmax(1),
            "gate_move": move,
            "shared": shared(lists),
            "rank": fused_rank,
            "best_head": best,
            "best_head_rank": head_ranks[best, np.arange(len(best))],
        }
    )
    return people, now.router.double().cpu().numpy()


@dataclass(frozen=True)
class Rule:
    """What puts people on a list.

    Attributes:
        shows: In words.
        figures: What is kept of each of them.
        extremes: Whether everybody is ranked, by the first of the figures, and the list is one end
            of that; else it holds people who meet a condition.
    """

    shows: str
    figures: tuple[str, ...]
    extremes: bool = True


_RANKS = ("rank", "best_head", "best_head_rank")
RULES = {
    "one_head_rules": Rule("the largest gate share", ("gate", "gate_head")),
    "heads_disagree": Rule(f"the heads' top {OVERLAP_AT} share least", ("shared",)),
    "gate_flips": Rule("the gate moved most at the latest click", ("gate_move",)),
    "fusion_hits": Rule(
        f"the held-out item is in the fused top {HIT} and in no head's own", _RANKS, extremes=False
    ),
    "one_head_better": Rule(
        f"the held-out item is in one head's top {HIT} and not in the fused one",
        _RANKS,
        extremes=False,
    ),
    "longest": Rule("the longest histories", ("length",)),
}


@dataclass(frozen=True)
class BaseRate:
    """How usual what a list shows is among everybody who was looked at.

    Attributes:
        meeting: How many people meet the rule; of a list of extremes how many were ranked.
        median: Of a list of extremes the median of what they were ranked by; ``None`` of others,
            and where nobody was ranked.
    """

    meeting: int
    median: float | None


def base_rates(figures: pd.DataFrame) -> dict[str, BaseRate]:
    """Of every list of :data:`RULES`.

    Args:
        figures: :attr:`EverybodysFigures.people`.
    """
    rates = {}
    for name, table in _on_lists(figures).items():
        ranked = RULES[name].extremes and len(table)
        median = float(table[RULES[name].figures[0]].median()) if ranked else None
        rates[name] = BaseRate(len(table), median)
    return rates


def worth_showing(
    figures: pd.DataFrame, user_ids: Sequence[str], count: int = LISTED
) -> dict[str, list[dict[str, Any]]]:
    """The people of every list of :data:`RULES`, the clearest case first; equal ones as they come.

    Args:
        figures: :attr:`EverybodysFigures.people`.
        user_ids: ``(U,)`` ids in the same order.

    Returns:
        By list at most ``count`` rows ``{"user", figures ..}``. A list may be empty: a model with
        one head has no heads that disagree.
    """
    ordered = _on_lists(figures.assign(user=list(user_ids)))
    return {
        name: [
            {str(figure): value for figure, value in row.items()}
            for row in ordered[name][["user", *rule.figures]].head(count).to_dict("records")
        ]
        for name, rule in RULES.items()
    }


def _on_lists(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By list the rows of everybody who meets its rule, the clearest case first."""
    mixed = table[table["shared"].notna()]  # nobody in a model with one head
    won = mixed["best_head_rank"] - mixed["rank"]
    in_fused, in_a_head = mixed["rank"] <= HIT, mixed["best_head_rank"] <= HIT
    return {
        "one_head_rules": mixed.sort_values("gate", ascending=False, kind="stable"),
        "heads_disagree": mixed.sort_values("shared", kind="stable"),
        "gate_flips": mixed.dropna(subset="gate_move").sort_values(
            "gate_move", ascending=False, kind="stable"
        ),
        "fusion_hits": mixed.loc[
            won[in_fused & ~in_a_head].sort_values(ascending=False, kind="stable").index
        ],
        "one_head_better": mixed.loc[won[in_a_head & ~in_fused].sort_values(kind="stable").index],
        "longest": table.sort_values("length", ascending=False, kind="stable"),
    }


def most_routed(
    router: np.ndarray, user_ids: Sequence[str], count: int = LISTED
) -> list[list[list[dict[str, Any]]]]:
    """Whom each expert serves most: ``[[[{"user", "share"}] x E] x H]``, largest share first.

    Everybody is routed to every expert to some extent, so these are extremes and have no base rate.
    """
    return [
        [
            [
                {"user": str(user_ids[row]), "share": float(shares[row])}
                for row in np.argsort(-shares, kind="stable")[:count]
            ]
            for shares in experts.T
        ]
        for experts in router.transpose(1, 0, 2)
    ]
