"""How far facets come apart on a data set by themselves: lists and groups that are only counted.

A head is held against the other heads, an expert against a lift. On some data neither can get far:
where the things of a brand are mostly of one kind, a pure head of brands lists the right kinds too,
and of those who saw two hundred films everybody saw nearly every genre. ``python -m
fame.experiments.counted_facets sports`` says how far counting gets, with no model:

- Lists. Of one facet: the items that have most values in common with the clicks of the history,
  drawn by chance where equal. So would a head list that knew this facet and nothing else. They are
  held against the item that came next as the lists of heads are (:mod:`fame.facets.lists`).
- Groups. People are put into as many groups as a head has experts, by k-means on how their clicks
  spread over the values of a facet. So would experts part people that went by this facet and
  nothing else. Lifts are counted as those of experts are (:mod:`fame.facets.experts`).

Neither is the most that can be had: a model may learn that nail polish follows nail files, and
there are other ways to part people. They are what to hold a model against.

Shapes: ``U`` people · ``V`` items with the padding id 0 · ``W`` values · ``k`` items in a list ·
``E`` groups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from scipy.sparse import csr_matrix, hstack

from fame.data import Dataset, load
from fame.data.attributes import ItemAttributes
from fame.data.catalogue import values_by_facet
from fame.data.head_values import facet_names
from fame.errors import DataError, FameError
from fame.experiments.recipes import load_recipe
from fame.facets.estimates import bootstrap_means
from fame.facets.experts import GOAL_LIFT, ExpertUse, experts_of_router, value_counts
from fame.facets.lists import LIST_LENGTH, share_with_target
from fame.facets.values import value_indicator
from fame.lens.faithfulness import Estimate, bootstrap_mean
from fame.ranking import Repeats, only_candidates, top_lists
from fame.survey import EXPERT_PEOPLE, drawn_people, everybody_of, values_with_decades

_COMPONENTS = 32  # of a history's values, before people are put into groups
_PEOPLE = 5_000  # of whom lists are counted: an agreement's interval is then within 0.01 to 0.02


@dataclass(frozen=True)
class CountedLists:
    """Agreement in one column of the lists that each facet makes.

    Attributes:
        column: A column, or a level of the category.
        facet: The facet that it belongs to: ``category`` for a level.
        people: Those whose held-out item has a value of it.
        by: By facet, agreement of its lists with the held-out item's value.
        lead: The own facet's agreement less that of the best other facet, over people; ``None``
            where there is no other.
    """

    column: str
    facet: str
    people: int
    by: Mapping[str, Estimate]
    lead: Estimate | None

    @property
    def over_best_other(self) -> float | None:
        """The own facet's agreement over the best other facet's, less 1."""
        others = (one.mean for facet, one in self.by.items() if facet != self.facet)
        best = max(others, default=0.0)
        return self.by[self.facet].mean / best - 1 if best else None


@dataclass(frozen=True)
class CountedGroups:
    """Groups of people by one facet; ``groups`` are as experts of one head."""

    facet: str
    people: int
    groups: Sequence[ExpertUse]

    @property
    def specialised(self) -> int:
        """Groups with a value at :data:`fame.facets.experts.GOAL_LIFT` its base rate or more."""
        return sum(any(value.lift >= GOAL_LIFT for value in one.values) for one in self.groups)


@dataclass(frozen=True)
class Counted:
    """What counting says of a data set."""

    data: str
    lists: Sequence[CountedLists]
    groups: Sequence[CountedGroups]


def counted(dataset: Dataset, *, groups: int = 4, max_length: int = 200, seed: int = 0) -> Counted:
    """Counts lists and groups of every facet of the catalogue.

    Args:
        groups: E, at least 2.
        max_length: The latest clicks of a history that count, as many as a model reads.
        seed: Of who is drawn, of ties, of k-means and of the intervals.

    Raises:
        DataError: where the catalogue has no facet, or nobody has a history.
        FameError: where there are fewer people than groups.
    """
    facets = facet_names(ItemAttributes.of(dataset.items))
    if not facets:
        raise DataError(
            f"The catalogue of {dataset.interactions.name!r} has no facet, so that there is "
            "nothing to count by; import it with a file of items."
        )
    examples, everybody = everybody_of(dataset.interactions)
    if len(everybody) < groups:
        raise FameError(
            f"{len(everybody)} people cannot be put into {groups} groups; ask for fewer."
        )
    values = values_with_decades(dataset.items)
    made_of = {
        facet: hstack([value_indicator(values[column]) for column in columns]).tocsr()
        for facet, columns in facets.items()
    }

    def people(most: int) -> tuple[list[np.ndarray], np.ndarray]:
        drawn = drawn_people(len(everybody), min(most, len(everybody)), seed)
        return [everybody[person] for person in drawn], examples.targets[drawn]

    histories, targets = people(_PEOPLE)
    repeats = dataset.interactions.repeats
    lists = {
        facet: counted_lists(histories, values_VW, repeats, max_length=max_length, seed=seed)
        for facet, values_VW in made_of.items()
    }
    # A decade is nothing that an item is named after: agreement is in the columns as they are.
    named = values_by_facet(dataset.items)
    agreements = [
        _agreement(column, facet, lists, targets, value_indicator(named[column]), seed)
        for facet, columns in facets.items()
        for column in columns
    ]

    histories, targets = people(EXPERT_PEOPLE)
    read = [history[-max_length:] for history in histories]
    parted = []
    for facet, columns in facets.items():
        router_UHE = counted_groups(value_counts(read, made_of[facet]), groups, seed=seed)[:, None]
        own = {column: values[column] for column in columns}
        report = experts_of_router(router_UHE, read, targets, own, seed=seed)
        parted.append(CountedGroups(facet, report.people, report.experts))
    return Counted(dataset.interactions.name, [one for one in agreements if one], parted)


def counted_lists(
    histories: Sequence[np.ndarray],
    values_VW: csr_matrix,
    repeats: Repeats,
    *,
    max_length: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """``(U, k)`` the items with most values in common with the clicks of a history, counted twice
    where two clicks have it; drawn by chance where equal. 0 for none.

    Args:
        histories: ``(length,)`` item indices each; who is a candidate hangs on all of them.
        values_VW: Of the real items.
        max_length: The latest clicks that count.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros((len(histories), LIST_LENGTH), dtype=np.int64)
    for person, history in enumerate(histories):
        wanted_W = np.asarray(values_VW[history[-max_length:] - 1].sum(0)).ravel()
        score_V = np.concatenate([[0], values_VW @ wanted_W])
        score_V += rng.uniform(0, 0.5, len(score_V))  # counts are whole, so that it parts ties only
        ranked = only_candidates(torch.from_numpy(score_V)[None], [history], repeats)
        listed = top_lists(ranked, LIST_LENGTH)[0]
        found[person, : len(listed)] = listed
    return found


def counted_groups(count_UW: csr_matrix, groups: int, *, seed: int = 0) -> np.ndarray:
    """``(U, E)``, 1 where a person is in a group: k-means on the directions of tf-idf and SVD.

    Args:
        count_UW: How many clicks of each person have each value.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    parts = make_pipeline(
        TfidfTransformer(sublinear_tf=True),
        TruncatedSVD(min(_COMPONENTS, count_UW.shape[1]), random_state=seed),
        Normalizer(),
        KMeans(groups, n_init=10, random_state=seed),
    )
    belongs: np.ndarray = np.eye(groups)[parts.fit_predict(count_UW)]
    return belongs


def _agreement(
    column: str,
    facet: str,
    lists: Mapping[str, np.ndarray],
    targets: np.ndarray,
    values_VW: csr_matrix,
    seed: int,
) -> CountedLists | None:
    """``None`` where nobody's held-out item has a value."""
    asked = np.flatnonzero(np.diff(values_VW.indptr)[targets - 1])
    if not len(asked):
        return None
    share = {
        by: share_with_target(list_Uk[asked], targets[asked], values_VW)
        for by, list_Uk in lists.items()
    }
    others = [own for by, own in share.items() if by != facet]
    best_U = max(others, key=np.mean) if others else None
    return CountedLists(
        column,
        facet,
        len(asked),
        bootstrap_means(share, seed=seed),
        None if best_U is None else bootstrap_mean(share[facet] - best_U, seed=seed),
    )


def markdown(found: Counted) -> str:
    """Both tables."""
    facets = list(found.lists[0].by) if found.lists else []
    heads = [f"{found.data}, value of", *(f"list by {facet} alone" for facet in facets)]
    heads += ["own over the best other", "points"]
    rows = [heads, ["---"] * len(heads)]
    for own in found.lists:
        over, lead = own.over_best_other, own.lead
        rows.append(
            [
                own.column,
                *(f"{own.by[facet].mean:.3f}" for facet in facets),
                "" if over is None else f"{over:+z.0%}",
                "" if lead is None else _points(lead),
            ]
        )
    rows += [[], ["people by", f"group, best value (goal {GOAL_LIFT:g})", "groups at the goal"]]
    rows.append(["---"] * 3)
    for groups in found.groups:
        many = f"{groups.specialised} of {len(groups.groups)}"
        rows.append([groups.facet, "; ".join(map(_group, groups.groups)), many])
    return "\n".join(f"| {' | '.join(row)} |" if row else "" for row in rows) + "\n"


def _points(lead: Estimate) -> str:
    return f"{100 * lead.mean:+z.1f} ({100 * lead.low:+z.1f} to {100 * lead.high:+z.1f})"


def _group(one: ExpertUse) -> str:
    best = max(one.values, key=lambda value: value.lift, default=None)
    return f"{one.load:.0%}" + (f" {best.value} {best.lift:.1f}" if best else "")


def main(
    data: Annotated[str, typer.Argument(help="A data set.")],
    groups: Annotated[int, typer.Option(min=2, help="As many as a head has experts.")] = 4,
    max_length: Annotated[
        int | None,
        typer.Option(min=1, help="The latest clicks that count; default: as many as FAME reads."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Prints how far counting gets on a data set."""
    try:
        reads = max_length or load_recipe(data).get("max_length", 200)
        found = counted(load(data), groups=groups, max_length=reads, seed=seed)
    except FameError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else markdown(found))


if __name__ == "__main__":
    typer.run(main)
