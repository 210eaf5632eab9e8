"""Everything that a report tells of one history, gathered once.

Shapes: ``k`` items in a list · ``n`` items left out in turn · ``H`` heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

import fame
from fame.baselines import CountingBaselines, baselines_beside
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.errors import CheckpointError, FameError
from fame.evaluate import protocol
from fame.grown import known_clicks
from fame.head_names import read_head_names
from fame.lens.account import ItemAccount, item_account
from fame.lens.answer import every_name, named_parts, trace_answer
from fame.lens.compare import NOTHING_LEFT, Comparison, compare, new_without_head
from fame.lens.experts import ExpertAccount, expert_account
from fame.lens.faithfulness import DeletionCurve, Measure, deletion_curves
from fame.lens.influence import Influence, because, history_influence, item_effects
from fame.lens.steps import Steps, history_steps
from fame.lens.trace import (
    SequenceTrace,
    fused_table,
    head_table,
    leave_out,
    trace_history,
    value_ledger,
)
from fame.lens.values import ByValue
from fame.models.sequence_model import Intervention
from fame.presentation.facts import item_facts_of_all
from fame.presentation.item_names import item_names
from fame.presentation.names import HeadNames
from fame.survey import Faithfulness, People, read_faithfulness, read_people

FORMAT = "fame-lens report 1"
_NAMES_LEFT_ASIDE = (
    "Stored names of heads are out of date or damaged and left aside; `python -m fame facets` "
    "says what is wrong and names them again."
)
MOST_EXPERTS = 64  # whose accounts are made: each costs two forward passes


@dataclass(frozen=True)
class Subject:
    """Whose list is explained, and what was changed before it was made.

    Attributes:
        history: ``(length,)`` item indices as they really were, oldest first.
        person: The user id, where it is one of the data set's people.
        held_out: What came next, where that is known.
        without: Items that are left out of the history.
        intervention: What the desk does to gate and router.
        link: Where the same can be seen in the app.
    """

    history: np.ndarray
    person: str | None = None
    held_out: int | None = None
    without: tuple[int, ...] = ()
    intervention: Intervention = field(default_factory=Intervention)
    link: str | None = None

    def __post_init__(self) -> None:
        if self.link is not None and not self.link.startswith(("http://", "https://")):
            raise FameError(f"A link must begin with http:// or https://, not be {self.link!r}.")

    @property
    def touched(self) -> bool:
        """Whether anything was changed."""
        return bool(self.without) or self.intervention != Intervention()


class Names:
    """What the items of a checkpoint are called."""

    def __init__(self, items: pd.DataFrame) -> None:
        self._items = items
        self._ids, self._names = items["item_id"].to_numpy(), item_names(items)
        self._counts = items["train_count"].to_numpy()
        self._facts: dict[int, str] = {}  # a frame takes its time, and items come again

    def id(self, item: int) -> str:
        return str(self._ids[item - 1])

    def title(self, item: int) -> str:
        """What the item is called, as no other one of the catalogue is."""
        return self._names[item]

    def beside_facts(self, item: int) -> str:
        """The same where :meth:`facts` stand beside it."""
        return self._names.beside_facts(item)

    def facts(self, item: int) -> str:
        if item not in self._facts:
            self._facts[item] = item_facts_of_all(self._items.iloc[item - 1 : item])[0]
        return self._facts[item]

    def unseen(self, item: int) -> bool:
        """Whether the item never stood in the training part, so that nothing was learnt of it."""
        return not self._counts[item - 1]


@dataclass(frozen=True)
class Content:
    """What the report tells.

    Attributes:
        called: What the heads are called.
        trace: After all changes; ``fused`` and ``lists`` are its lists.
        without_head: By head how many of the k items change without it.
        by_value: Of the listed items, the held-out one and its rival the ledger down to values, by
            item; empty where items are not made of values.
        comparison: With the list before the changes; ``None`` where nothing was changed.
        experts: Accounts of the experts with the largest shares, by head and expert.
        effects: ``(n, k, H)`` what leaving a click out takes from each listed item's ledger.
        causes: ``item, place, cause, effect``: the clicks that each listed item hangs on.
        curves: The deletion test; empty where the history is too short for it.
        others: Lists of other recommenders by name.
        account: The held-out item's account.
        people, faithfulness: The survey's, where there is one of these weights.
        notices: What is missing and how to get it.
    """

    checkpoint: Checkpoint
    names: Names
    called: HeadNames
    subject: Subject
    k: int
    trace: SequenceTrace
    fused: pd.DataFrame
    lists: pd.DataFrame
    without_head: list[int | None]
    by_value: dict[int, ByValue]
    comparison: Comparison | None
    steps: Steps
    experts: list[ExpertAccount]
    influence: Influence
    effects: np.ndarray
    causes: pd.DataFrame
    curves: dict[Measure, DeletionCurve]
    others: dict[str, np.ndarray]
    account: ItemAccount | None
    people: People | None
    faithfulness: Faithfulness | None
    notices: list[str]


def gather(
    checkpoint: Checkpoint,
    subject: Subject,
    *,
    k: int = 10,
    baselines: CountingBaselines | None = None,
) -> Content:
    """Runs everything that the report tells.

    Args:
        baselines: Of the checkpoint's data, where it is at hand.

    Raises:
        FameError: where the changes cannot be made, or nothing is left to recommend.
    """
    model, change = checkpoint.model, subject.intervention
    repeats = checkpoint.data.repeats
    history = subject.history
    for item in subject.without:
        history = leave_out(history, item)
    trace = trace_history(model, history, repeats=repeats, intervention=change)
    fused = fused_table(trace, k)
    if fused.empty:
        raise FameError(NOTHING_LEFT)
    comparison = None
    if subject.touched:
        before = trace_history(model, subject.history, repeats=repeats)
        comparison = compare(before, trace, k, held_out=subject.held_out)
    influence = history_influence(model, history, k, repeats=repeats, intervention=change)
    people, faithfulness, notices = _survey(checkpoint)
    called = read_head_names(checkpoint)
    if called.problems:  # the sentences name paths, which stay here
        notices.append(_NAMES_LEFT_ASIDE)
    others = {} if baselines is None else baselines.lists(history, k, repeats=repeats)
    for name, path in baselines_beside(checkpoint).items():
        beside = load_checkpoint(path)
        if not len(known := known_clicks(history, beside)):
            continue
        traced = trace_history(beside.model, known, repeats=repeats)
        others[name] = fused_table(traced, k)["item"].to_numpy()
    items = fused["item"].to_numpy()
    held_out = subject.held_out
    account = None if held_out is None else item_account(trace, held_out, k)
    told = items.tolist() if checkpoint.value_names else []
    if told and account is not None:
        told += [account.item, *([account.rival] if account.rival else [])]
    return Content(
        checkpoint=checkpoint,
        names=Names(checkpoint.items),
        called=called,
        subject=subject,
        k=k,
        trace=trace,
        fused=fused,
        lists=head_table(trace, k),
        without_head=new_without_head(trace, k),
        by_value={item: value_ledger(trace, item) for item in told},
        comparison=comparison,
        steps=history_steps(model, history, k, repeats=repeats, intervention=change),
        experts=[
            expert_account(model, trace, head, expert, k, intervention=change)
            for head, expert in _largest_experts(trace)
        ],
        influence=influence,
        effects=item_effects(model, influence, items),
        causes=because(model, influence, items),
        curves=deletion_curves(model, influence, intervention=change),
        others=others,
        account=account,
        people=people,
        faithfulness=faithfulness,
        notices=notices,
    )


def _largest_experts(trace: SequenceTrace) -> list[tuple[int, int]]:
    pairs = sorted(
        product(range(trace.heads), range(trace.experts)), key=lambda pair: -trace.router[pair]
    )
    return sorted(pairs[:MOST_EXPERTS])


def _survey(checkpoint: Checkpoint) -> tuple[People | None, Faithfulness | None, list[str]]:
    try:
        people, faithfulness = read_people(checkpoint), read_faithfulness(checkpoint)
    except CheckpointError:  # a report goes to others: the paths in the error stay here
        notice = "is out of date or damaged"
    else:
        if people is not None and faithfulness is not None:
            return people, faithfulness, []
        notice = "has not been made yet"
    said = f"The survey of this checkpoint {notice}; `python -m fame survey` makes it."
    return None, None, [said]


def _rows(table: pd.DataFrame, *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[column].tolist() for column in columns), strict=True)


def document(content: Content) -> dict[str, Any]:
    """The same as JSON: ids and figures, and the titles of every item in it."""
    names, trace, subject = content.names, content.trace, content.subject
    checkpoint = content.checkpoint
    mentioned: set[int] = set()

    def ids(items: Iterable[int]) -> list[str]:
        mentioned.update(int(item) for item in items)
        return [names.id(int(item)) for item in items]

    held_out = subject.held_out
    answer = trace_answer(
        trace,
        checkpoint.items,
        top_k=content.k,
        held_out=held_out,
        value_names=checkpoint.value_names,
        names=content.called.names,
    )
    ids([*trace.history, *content.lists["item"], *content.fused["item"]])
    steps = content.steps.lists.groupby("click")["item"]
    change = subject.intervention
    told: dict[str, Any] = {
        "format": FORMAT,
        "version": fame.__version__,
        "checkpoint": {
            "name": checkpoint.name,
            "hash": checkpoint.hash,
            "weights": checkpoint.weights_hash,
            "model": checkpoint.model_config.to_dict(),
        },
        "data": vars(checkpoint.data),
        "protocol": protocol(checkpoint.data.repeats),
        "person": subject.person,
        "link": subject.link,
        "desk": {
            "gate": None if change.gate is None else list(change.gate),
            "mute": [list(pair) for pair in change.muted],
            "solo": [list(pair) for pair in change.solo],
            "without": ids(subject.without),
        },
        "trace": answer,
        "steps": [
            {
                "click": int(click),
                "gate": content.steps.gate[row].tolist(),
                "list": ids(steps.get_group(click)) if click in steps.groups else [],
            }
            for row, click in enumerate(content.steps.clicks)
        ],
        "influence": {
            "left_out": ids(content.influence.items),
            "places": [list(places) for places in content.influence.places],
            "replaced": content.influence.replaced.tolist(),
            "replaced_by_head": content.influence.replaced_by_head.tolist(),
            "effects": np.round(content.effects, 6).tolist(),
        },
        "because": [
            {"item": names.id(item), "cause": names.id(cause), "effect": effect}
            for item, cause, effect in _rows(content.causes, "item", "cause", "effect")
        ],
        "deletion": {
            measure: {
                "removed": ids(curve.removed),
                "influential": np.round(curve.influential, 6).tolist(),
                "latest": np.round(curve.latest, 6).tolist(),
                "random": np.round(curve.random, 6).tolist(),
                "area": curve.area,
                "interval": list(curve.interval),
                "verdict": curve.verdict,
            }
            for measure, curve in content.curves.items()
        },
        "experts": [
            {
                "head": account.head,
                "expert": account.expert,
                "share": account.share,
                "attention": account.attention.tolist(),
                "alone": ids(account.alone["item"]),
                "without": None if account.without is None else ids(account.without["item"]),
            }
            for account in content.experts
        ],
        "others": {name: ids(items) for name, items in content.others.items()},
        "comparison": None,
        "account": None,
        "faithfulness": content.faithfulness and asdict(content.faithfulness),
    }
    if content.comparison is not None:
        moves = content.comparison.moves
        told["comparison"] = {
            "before": ids(moves["item"][moves["listed"] != "after"]),
            "shared": content.comparison.shared,
            "rbo": content.comparison.rbo,
            "held_out": content.comparison.held_out,
        }
    if content.account is not None:
        told["account"] = _account(content, content.account)
        ids([content.account.item, *([content.account.rival] if content.account.rival else [])])
    told["titles"] = {names.id(item): names.title(item) for item in sorted(mentioned)}
    return told


def _account(content: Content, account: ItemAccount) -> dict[str, Any]:
    """The held-out item against its rival; ``by_value`` is ``None`` without values."""
    every = every_name(content.checkpoint.value_names)

    def side(item: int | None, rank: int | None, column: str) -> dict[str, Any] | None:
        if item is None:
            return None
        parts = content.by_value.get(item)
        return {
            "item": content.names.id(item),
            "rank": rank,
            "by_head": account.by_head[column].tolist(),
            "by_value": None if parts is None else named_parts(parts, every),
        }

    return {
        "held_out": side(account.item, account.rank, "contribution"),
        "rival": side(account.rival, account.rival_rank, "rival_contribution"),
    }
