"""What is found out about a checkpoint by looking at everybody once, and stored with it.

``people.json``        people worth showing, and whom each expert serves: user ids and figures
``faithfulness.json``  whether the explanations hold, over a sample of people
``facets.json``        which heads are facets, what they may be called, and whom experts serve

All name the weights they were made from. None holds a history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from fame.checkpoint import Checkpoint, load_checkpoint, neighbours
from fame.data.attributes import known_titles
from fame.data.catalogue import facet_columns, values_by_facet
from fame.data.head_values import TITLE, decade, title_words
from fame.data.sequences import HeldOut, Interactions, held_out
from fame.errors import CheckpointError, DataError
from fame.facets.agreement import NEIGHBOURS, Agreement, facet_agreement
from fame.facets.causes import facet_causes
from fame.facets.codes import untrained_like
from fame.facets.disentanglement import Disentanglement
from fame.facets.estimates import items_among
from fame.facets.expert_lists import ExpertLists, expert_lists
from fame.facets.experts import (
    ExpertGoals,
    ExpertsReport,
    ExpertUse,
    expert_goals,
    experts_report,
)
from fame.facets.lists import SASREC, ListAgreement, list_agreement
from fame.facets.measures import Measures, measure
from fame.facets.measures import People as MeasuredPeople
from fame.facets.naming import NamedHead, name_heads
from fame.facets.probes import FacetProbes
from fame.facets.redundancy import Redundancy
from fame.facets.spaces import space_names
from fame.facets.tables import TableAgreement
from fame.facets.use import Use
from fame.files import read_json, write_json
from fame.lens.faithfulness import (
    DRAWS,
    MEASURES,
    VERDICTS,
    CurvePoint,
    Estimate,
    Measure,
    MeasuredFaithfulness,
    bootstrap_mean,
    faithfulness_of_people,
)
from fame.lens.people import (
    RULES,
    BaseRate,
    Rule,
    base_rates,
    everybodys_figures,
    most_routed,
    worth_showing,
)
from fame.models.registry import MODELS, spec_of
from fame.presentation.names import facet_name, head_name
from fame.typed_json import read_as

PEOPLE, FAITHFULNESS, FACETS = "people.json", "faithfulness.json", "facets.json"
FORMATS = {PEOPLE: 2, FAITHFULNESS: 2, FACETS: 2}
_COMMANDS = {PEOPLE: "survey", FAITHFULNESS: "survey", FACETS: "facets"}
SAMPLE = 500
# Of names. Where two people in five have nothing to say of a facet, as of Sports' brands, 500 leave
# a lead of 1.3 points an interval of 2.5; these leave it 1.4.
LIST_PEOPLE = 2_000
EXPERT_PEOPLE = 10_000  # whose routers are looked at: a share of them is then within 0.01
LIST_LENGTH = 10
_RANKED = 4_000_000_000  # scores of heads and controls that lists are made from
_FEWEST = 100  # people of whom they are, however many items and heads there are
_ESTIMATES = ("above_zero", "above_latest", "below_latest", "lead_on_latest", "area")


@dataclass(frozen=True)
class People:
    """Who is worth showing.

    Attributes:
        looked_at: How many people the lists were chosen from.
        lists: By name (:data:`fame.lens.people.RULES`) rows ``{"user", figures ..}``.
        base_rates: By name how usual that is among those who were looked at.
        experts: ``[[[{"user", "share"}] x E] x H]``: whom each expert serves most.
    """

    looked_at: int
    lists: dict[str, list[dict[str, Any]]]
    base_rates: dict[str, BaseRate]
    experts: list[list[list[dict[str, Any]]]]


@dataclass(frozen=True)
class Faithfulness:
    """Whether explanations hold, over a seeded sample of the people with a held-out item.

    Attributes:
        sample: People drawn; each measure says how many of them could be tested.
        seed: Of the sample, of the random removals and of the intervals.
        draws: Random orders of removal a person.
        list_length: k, items in the list that is explained.
        measures: The figures of every measure.
    """

    sample: int
    seed: int
    draws: int
    list_length: int
    measures: dict[Measure, MeasuredFaithfulness]


def survey(
    checkpoint: Checkpoint,
    data: Interactions,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    on_progress: Callable[[str, float], None] = lambda text, share: None,
) -> tuple[People, Faithfulness]:
    """Looks at everybody, tests the explanations of a sample, and writes both files.

    Args:
        data: The histories, with the checkpoint's catalogue.
        sample: People whose explanations are tested, at most.
        on_progress: Told what is being done and the share of it that is.
    """
    examples, histories = everybody_of(data)
    user_ids = [str(user) for user in data.user_ids[examples.users]]

    def progress(text: str) -> Callable[[int, int], None]:
        return lambda done, total: on_progress(text, done / total)

    text = f"Looking at {len(histories):,} people"
    figures = everybodys_figures(
        checkpoint.model,
        histories,
        examples.targets,
        repeats=checkpoint.data.repeats,
        on_person=progress(text),
    )
    people = People(
        looked_at=len(histories),
        lists=worth_showing(figures.people, user_ids),
        base_rates=base_rates(figures.people),
        experts=most_routed(figures.router, user_ids),
    )
    _write(checkpoint, data, PEOPLE, asdict(people))

    size = min(sample, len(histories))
    measures = faithfulness_of_people(
        checkpoint.model,
        [histories[person] for person in drawn_people(len(histories), size, seed)],
        k=LIST_LENGTH,
        draws=DRAWS,
        seed=seed,
        repeats=checkpoint.data.repeats,
        on_person=progress(f"Testing the explanations of {size:,} people"),
    )
    faithfulness = Faithfulness(size, seed, DRAWS, LIST_LENGTH, measures)
    _write(checkpoint, data, FAITHFULNESS, asdict(faithfulness))
    return people, faithfulness


def everybody_of(data: Interactions) -> tuple[HeldOut, list[np.ndarray]]:
    """Everybody with a history and an item after it, and the histories ``(length,)``."""
    examples = held_out(data, "test")
    if not len(examples):
        raise DataError(f"Nobody in data set {data.name!r} has a history and an item after it.")
    return examples, [
        data.items[start:end].astype(np.int64)
        for start, end in zip(examples.starts, examples.ends, strict=True)
    ]


def drawn_people(people: int, size: int, seed: int) -> np.ndarray:
    """``(size,)`` of so many people, in their order."""
    return np.sort(np.random.default_rng(seed).choice(people, size, replace=False))


@dataclass(frozen=True)
class Facets:
    """Which heads are facets, on tables and on the lists of a seeded sample of people.

    Attributes:
        neighbours: Nearest items asked in ``agreement``.
        agreement: By facet, how far nearest items agree.
        people: People drawn.
        seed: Of the sample, of permutations, rotation and exchanges, and of the intervals.
        lists: By facet ``{"people": those whose held-out item has a value, space: {"held_out",
            "history"}, .., "controls": {control: {space: share}}}``, every figure an estimate
            (:class:`fame.facets.lists.ListAgreement`).
        causes: By facet ``[H]`` how far each head's list moves (:mod:`fame.facets.causes`).
        heads: What each head may be called, and why (:mod:`fame.facets.naming`).
        expert_people: People whose routers ``experts`` and the shares are about.
        experts: ``[H E]`` whom each expert serves (:mod:`fame.facets.experts`).
        expert_share: ``[H]`` how far people and experts go together; ``None`` with one expert.
        expert_share_interval: ``[H]`` low and high.
        expert_lists: ``[H E]`` the lists of the people drawn with each expert alone in its head and
            without it (:mod:`fame.facets.expert_lists`).
        tables, probes, disentanglement, redundancy, use: As of
            :class:`fame.facets.measures.Measures`; ``None`` too where an older version measured.
        among: Items that neighbours and exchanges were looked for among: all, or of a large
            catalogue a sample by strata of popularity (:func:`fame.facets.estimates.items_among`).
    """

    neighbours: int
    agreement: dict[str, Agreement]
    people: int
    seed: int
    lists: dict[str, dict[str, Any]]
    causes: dict[str, list[float]]
    heads: list[NamedHead]
    expert_people: int
    experts: list[ExpertUse]
    expert_share: list[float | None]
    expert_share_interval: list[list[float] | None]
    expert_lists: list[ExpertLists]
    tables: dict[str, TableAgreement] | None = None
    probes: dict[str, FacetProbes] | None = None
    disentanglement: Disentanglement | None = None
    redundancy: Redundancy | None = None
    use: Use | None = None
    among: int | None = None


_EXPERTS = ("expert_people", "experts", "expert_share", "expert_share_interval", "expert_lists")
_MEASURES = tuple(field.name for field in fields(Measures))  # keys that an older file lacks


def survey_facets(
    checkpoint: Checkpoint,
    data: Interactions,
    *,
    sasrec: Checkpoint | None = None,
    sample: int = LIST_PEOPLE,
    seed: int = 0,
    stored: bool = True,
    on_progress: Callable[[str, float | None], None] = lambda text, share: None,
) -> Facets:
    """Measures which heads are facets and what experts do, and writes ``facets.json``.

    Args:
        data: The histories, with the checkpoint's catalogue.
        sasrec: A SASRec of the same data and catalogue, whose slices are one more control.
        sample: People whose lists are looked at, at most.
        stored: Whether the file is written.
        on_progress: Told what is being done.
    """
    examples, everybody = everybody_of(data)
    model, repeats = checkpoint.model, checkpoint.data.repeats
    rankings = 1 + 5 * (len(space_names(model)) - 1)  # of the heads and of their controls
    most = max(_FEWEST, _RANKED // (rankings * data.num_items))
    drawn = drawn_people(len(everybody), min(sample, most, len(everybody)), seed)
    histories = [everybody[person] for person in drawn]
    values = facet_values(checkpoint)
    among = items_among(checkpoint.items["train_count"].to_numpy(), seed=seed)
    on_progress("Looking at nearest items", None)
    agreement = facet_agreement(model, values, among=among)
    on_progress(f"Looking at the lists of {len(histories):,} people", None)
    untrained = untrained_like(model, seed=seed)
    train_count = checkpoint.items["train_count"].to_numpy()
    lists = list_agreement(
        model,
        histories,
        examples.targets[drawn],
        values,
        train_count,
        repeats=repeats,
        seed=seed,
        sasrec=None if sasrec is None else sasrec.model,
        untrained=untrained,
    )
    on_progress("Exchanging values in their histories", None)
    known = {facet: values[facet] for facet in lists}
    causes = facet_causes(model, histories, known, repeats=repeats, among=among, seed=seed)
    shares = checkpoint.model_config.facet_shares
    heads = name_heads(
        [head_name(head) for head in range(len(space_names(model)) - 1)],
        lists,
        causes,
        {facet: facet_name(facet) for facet in lists},
        free=[head for head, share in enumerate(shares) if not share],
        seed=seed,
    )
    summed = {facet: _summed(found, seed) for facet, found in lists.items()}
    on_progress("Looking at the experts", None)
    use = survey_experts(checkpoint, data, named=heads, seed=seed)
    on_progress(f"Changing the experts of {len(histories):,} people", None)
    changed = expert_lists(model, histories, examples.targets[drawn], repeats=repeats, seed=seed)
    measures = measure(
        model,
        MeasuredPeople(everybody, examples.targets, data.user_ids[examples.users].tolist()),
        drawn,
        values,
        train_count,
        repeats=repeats,
        untrained=untrained,
        sasrec=None if sasrec is None else sasrec.model,
        seed=seed,
        on_progress=lambda text: on_progress(text, None),
    )
    facets = Facets(
        neighbours=NEIGHBOURS,
        agreement=agreement,
        people=len(histories),
        seed=seed,
        lists=summed,
        causes=causes,
        heads=heads,
        expert_people=use.people,
        experts=use.experts,
        expert_share=use.expert_share,
        expert_share_interval=use.expert_share_interval,
        expert_lists=changed,
        among=len(among),
        **vars(measures),
    )
    if stored:
        _write(checkpoint, data, FACETS, asdict(facets))
    return facets


@dataclass(frozen=True)
class OwnFacet:
    """How far a head that is made of a facet goes by it, beside the whole model.

    Attributes:
        facet: A column of the head's share.
        head: Which head.
        nearest: Agreement of the ten nearest items in the head's slice, as in
            :attr:`Facets.agreement`, and ``nearest_whole`` that of the whole embedding.
        lists: Agreement of the first items of the head's list with what came next, as in
            :attr:`Facets.lists`, and ``lists_whole`` that of the fused list; both ``None`` where
            nothing that came next has a value.
    """

    facet: str
    head: int
    nearest: float
    nearest_whole: float
    lists: float | None
    lists_whole: float | None


def own_facets(
    checkpoint: Checkpoint, data: Interactions, *, sample: int = SAMPLE, seed: int = 0
) -> list[OwnFacet]:
    """The figures of :func:`survey_facets` for heads made of facets, without all its others.

    Args: as of :func:`survey_facets`, but of fewer people: rows of tables are means over seeds.
    """
    values = facet_values(checkpoint)
    model, shares = checkpoint.model, _own_facets(checkpoint, list(values), ())
    if not any(shares):
        return []
    examples, everybody = everybody_of(data)
    drawn = drawn_people(len(everybody), min(sample, len(everybody)), seed)
    nearest = facet_agreement(model, values)
    lists = list_agreement(
        model,
        [everybody[person] for person in drawn],
        examples.targets[drawn],
        values,
        checkpoint.items["train_count"].to_numpy(),
        repeats=checkpoint.data.repeats,
        seed=seed,
    )
    found = []
    for head, share in enumerate(shares):
        for facet in sorted(share & set(nearest)):
            space, of = f"head_{head}", lists.get(facet)
            own, whole = (
                None if of is None else float(of.held_out[name].mean()) for name in (space, "all")
            )
            spaces = nearest[facet].spaces
            found.append(OwnFacet(facet, head, spaces[space], spaces["all"], own, whole))
    return found


def survey_experts(
    checkpoint: Checkpoint,
    data: Interactions,
    *,
    named: Sequence[NamedHead] = (),
    seed: int = 0,
) -> ExpertsReport:
    """Whom each expert serves, over :data:`EXPERT_PEOPLE` people at most.

    A head's own facets, whose values come first, are the columns that it is made of and the one
    that it is called after.

    Args:
        data: The histories, with the checkpoint's catalogue.
        named: ``[H]`` what the heads are called, where that is known.
        seed: Of the sample, the permutations and the intervals.
    """
    examples, everybody = everybody_of(data)
    drawn = drawn_people(len(everybody), min(EXPERT_PEOPLE, len(everybody)), seed)
    values = facet_values(checkpoint, decades=True)
    return experts_report(
        checkpoint.model,
        [everybody[person] for person in drawn],
        examples.targets[drawn],
        values,
        own=_own_facets(checkpoint, list(values), named),
        seed=seed,
    )


def expert_goals_of(checkpoint: Checkpoint, facets: Facets) -> ExpertGoals:
    """How near the experts are to preferences; a head that is made of a facet, or named, is one."""
    shares = checkpoint.model_config.facet_shares
    named = [
        head.head
        for head in facets.heads
        if head.facet is not None or (shares and shares[head.head])
    ]
    return expert_goals(facets.experts, facets.expert_share, named)


def facet_values(checkpoint: Checkpoint, *, decades: bool = False) -> dict[str, list[list[str]]]:
    """By facet the values of every item: of the columns, and the words of titles where a head is
    made of those.

    Args:
        decades: Whether a year has its decade too.
    """
    items = checkpoint.items
    values = values_with_decades(items) if decades else values_by_facet(items)
    if TITLE in known_facets(checkpoint):
        values[TITLE] = title_words(known_titles(items))
    return values


def known_facets(checkpoint: Checkpoint) -> set[str]:
    """What :func:`facet_values` has values of."""
    made_of = {name for share in checkpoint.model_config.facet_shares for name in share}
    return {*facet_columns(checkpoint.items), *(made_of & {TITLE})}


def values_with_decades(items: pd.DataFrame) -> dict[str, list[list[str]]]:
    """By facet the values of every item; a year has its decade too."""
    values = values_by_facet(items)
    if facet_columns(items).get("year") == "number":
        values["year"] = [
            [value for year in own for value in (year, decade(int(float(year))))]
            for own in values["year"]
        ]
    return values


def _own_facets(
    checkpoint: Checkpoint, facets: Sequence[str], named: Sequence[NamedHead]
) -> list[set[str]]:
    """``[H]``; a head that is made of ``category`` has all of its levels."""
    shares = checkpoint.model_config.facet_shares or ((),) * checkpoint.model.heads
    own = [
        {facet for facet in facets for name in share if facet in _columns(name, facets)}
        for share in shares
    ]
    for head in named:
        if head.facet is not None:
            own[head.head].add(head.facet)
    return own


def _columns(name: str, facets: Sequence[str]) -> set[str]:
    """The columns that a share's name stands for: itself, or all levels of it."""
    if name in facets:
        return {name}
    levels = {facet.rpartition("_") for facet in facets}
    return {f"{name}_{level}" for stem, _, level in levels if stem == name and level.isdigit()}


def sasrec_beside(checkpoint: Checkpoint) -> Checkpoint | None:
    """A SASRec of the same data and catalogue in the folder that a checkpoint lies in, if any.

    One that cannot be read is passed over: it is another's, and nothing hangs on it. So is one that
    is too narrow to be cut into as many slices as there are heads.
    """
    heads = len(space_names(checkpoint.model)) - 1
    for path, described in neighbours(checkpoint):
        config = described.model_config
        fits = spec_of(config) is MODELS["sasrec"] and config.width >= heads
        if fits and described.data == checkpoint.data:
            with suppress(CheckpointError):
                return load_checkpoint(path)
    return None


def sasrec_at(path: Path, checkpoint: Checkpoint) -> Checkpoint:
    """The SASRec that somebody names as a control of a checkpoint.

    Raises:
        CheckpointError: where it cannot be read, is another model or too narrow, or was trained on
            other data; where the checkpoint has no heads that it could be a control of.
    """
    found = load_checkpoint(path)
    heads = len(space_names(checkpoint.model)) - 1
    if not heads:
        raise CheckpointError(
            f"{checkpoint.path} has no heads of its own, so there is nothing to hold {path} "
            "against; leave --sasrec away."
        )
    if spec_of(found.model_config) is not MODELS["sasrec"]:
        raise CheckpointError(f"{path} is a {found.model_config.model}, and a sasrec is asked for.")
    if found.model_config.width < heads:
        raise CheckpointError(
            f"{path} has width {found.model_config.width} and cannot be cut into {heads} slices; "
            "name a wider one."
        )
    mine, other = asdict(checkpoint.data), asdict(found.data)
    if differ := [name for name in mine if mine[name] != other[name]]:
        raise CheckpointError(
            f"{path} was trained on other data than {checkpoint.path} (they differ in "
            f"{', '.join(differ)}); `python -m fame train --data {checkpoint.data.name} --model "
            "sasrec --out DIR` trains one of the same."
        )
    return found


def rests_on_sasrec(checkpoint: Checkpoint) -> bool:
    """Whether the stored facets of these weights were held against a SASRec too."""
    try:
        found = read_facets(checkpoint)
    except CheckpointError:  # of other weights, or damaged: to be made anew
        return False
    return found is not None and any(SASREC in own["controls"] for own in found.lists.values())


def _summed(found: ListAgreement, seed: int) -> dict[str, Any]:
    """One facet's lists as means over people with their intervals."""

    def estimates(shares: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
        return {space: bootstrap_mean(share, seed=seed) for space, share in shares.items()}

    came_next, history = estimates(found.held_out), estimates(found.history)
    return {
        "people": len(found.held_out["all"]),
        **{space: {"held_out": came_next[space], "history": history[space]} for space in history},
        "controls": {name: estimates(shares) for name, shares in found.controls.items()},
    }


def read_facets(checkpoint: Checkpoint) -> Facets | None:
    """The stored facets; ``None`` where nobody measured them yet.

    Raises:
        CheckpointError: where the file is damaged, or was made from other weights.
    """
    names = [field.name for field in fields(Facets)]
    found = _read(checkpoint, FACETS, names, optional=(*_MEASURES, "among"))
    if found is None:
        return None
    file, document = found
    spaces, facets = space_names(checkpoint.model), known_facets(checkpoint)
    try:
        types = get_type_hints(Facets)
        measures = {name: read_as(types[name], document[name]) for name in _MEASURES}
        read_as(types["among"], document["among"])
        agreement = {name: Agreement(**stored) for name, stored in document["agreement"].items()}
        heads = [NamedHead(**stored) for stored in document["heads"]]
        lists = {name: _read_lists(stored, spaces) for name, stored in document["lists"].items()}
        causes = document["causes"]
        experts = _read_experts(document, checkpoint)
        whole = (
            [head.head for head in heads] == list(range(len(spaces) - 1))
            and all(head.facet is None or head.facet in lists for head in heads)
            and all(isinstance(head.why, str) for head in heads)
            and all(head.name is None or isinstance(head.name, str) for head in heads)
            and all(list(facet.spaces) == spaces for facet in agreement.values())
            and set(causes) == set(lists) <= facets
            and all(
                len(moved) == len(heads) and all(isinstance(one, float) for one in moved)
                for moved in causes.values()
            )
            and _fits(Measures(**measures), spaces, facets)
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise _damaged(checkpoint, file, "lacks some of its heads or of their figures")
    read = {"agreement": agreement, "lists": lists, "heads": heads}
    return Facets(**document | read | experts | measures)


def _fits(measures: Measures, spaces: list[str], facets: set[str]) -> bool:
    """Whether measures are of a model with these spaces and of items with these facets."""
    heads = len(spaces) - 1
    by_facet: list[tuple[str, TableAgreement | FacetProbes]] = [
        *(measures.tables or {}).items(),
        *(measures.probes or {}).items(),
    ]
    apart, shared, used = measures.disentanglement, measures.redundancy, measures.use
    pairs = [[first, second] for first in range(heads) for second in range(first + 1, heads)]
    return (
        {facet for facet, _ in by_facet} <= facets
        and all(list(own.spaces) == spaces for _, own in by_facet)
        and (
            apart is None
            or all(
                [len(own.importance)] == [heads]
                and {len(r) for r in own.importance} == {len(apart.facets)}
                for own in (apart.own, *apart.controls.values())
            )
        )
        and (shared is None or [pair.heads for pair in shared.pairs] == pairs)
        and (
            used is None
            or (
                len(used.gate) == heads
                and all(
                    len(figure.alone) == heads and len(figure.lost) == heads * (heads > 1)
                    for cohort in used.cohorts
                    for figure in cohort.accuracy.values()
                )
            )
        )
    )


def _read_experts(document: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """The experts as they were stored; ``ValueError`` where one is missing or is no expert."""
    types = get_type_hints(Facets)
    read = {name: read_as(types[name], document[name]) for name in _EXPERTS}
    use, lists = read["experts"], read["expert_lists"]
    shares, intervals = read["expert_share"], read["expert_share_interval"]
    model = checkpoint.model
    heads, several = model.heads if model.experts else 0, model.experts > 1
    facets = known_facets(checkpoint)
    whole = (
        [(one.head, one.expert) for one in use]
        == [(one.head, one.expert) for one in lists]
        == [(head, expert) for head in range(heads) for expert in range(model.experts)]
        and len(shares) == len(intervals) == heads
        and all((share is not None) == several for share in shares)
        and all(
            (None if one is None else len(one)) == (2 if several else None) for one in intervals
        )
        and all((one.sharpness is not None) == several for one in use)
        and all((one.without is not None) == several for one in lists)
        and all(value.value.partition("=")[0] in facets for one in use for value in one.values)
    )
    if not whole:
        raise ValueError("not the experts of this model")
    return read


def _read_lists(stored: dict[str, Any], spaces: list[str]) -> dict[str, Any]:
    """One facet's lists as they were summed; raises where one is missing or more are there."""
    if set(stored) != {"people", "controls", *spaces}:
        raise ValueError("not the spaces of this model")
    return {
        "people": stored["people"],
        **{
            space: {kind: Estimate(**stored[space][kind]) for kind in ("held_out", "history")}
            for space in spaces
        },
        "controls": {
            name: {space: Estimate(**figures) for space, figures in by_space.items()}
            for name, by_space in stored["controls"].items()
        },
    }


def read_people(checkpoint: Checkpoint) -> People | None:
    """The stored people; ``None`` where nobody looked for them yet.

    Raises:
        CheckpointError: where the file is damaged, or was made from other weights.
    """
    found = _read(checkpoint, PEOPLE, [field.name for field in fields(People)])
    if found is None:
        return None
    file, document = found
    lists, experts, looked_at = document["lists"], document["experts"], document["looked_at"]
    model = checkpoint.model
    try:
        rates = {name: BaseRate(**rate) for name, rate in document["base_rates"].items()}
        rows = [(row, RULES[name].figures) for name in lists for row in lists[name]]
        rows += [(row, ("share",)) for head in experts for expert in head for row in expert]
        whole = (
            set(lists) == set(rates) == set(RULES)
            and all(_possible(rates[name], RULES[name], lists[name], looked_at) for name in rates)
            and [len(head) for head in experts] == [model.experts] * model.heads
            and all(set(row) == {"user", *figures} for row, figures in rows)
        )
    except (TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise _damaged(checkpoint, file, "lacks some of its lists or of their figures")
    return People(looked_at, lists, rates, experts)


def _possible(rate: BaseRate, rule: Rule, rows: list[Any], looked_at: int) -> bool:
    """Whether a base rate fits its list and the number of people who were looked at."""
    kind = float if rule.extremes and rate.meeting else type(None)
    return len(rows) <= rate.meeting <= looked_at and isinstance(rate.median, kind)


def read_faithfulness(checkpoint: Checkpoint) -> Faithfulness | None:
    """The stored test of the explanations; ``None`` where none was made yet.

    Raises:
        CheckpointError: where the file is damaged, or was made from other weights.
    """
    found = _read(checkpoint, FAITHFULNESS, [field.name for field in fields(Faithfulness)])
    if found is None:
        return None
    file, document = found
    try:
        measures = {
            measure: MeasuredFaithfulness(
                people=stored["people"],
                verdicts={kind: Estimate(**stored["verdicts"][kind]) for kind in VERDICTS},
                **{name: Estimate(**stored[name]) for name in _ESTIMATES},
                curve=[CurvePoint(**point) for point in stored["curve"]],
            )
            for measure, stored in document.pop("measures").items()
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise _damaged(
            checkpoint, file, f"has a field 'measures' that is not whole ({error})"
        ) from None
    if unknown := set(measures) - set(MEASURES):
        raise _damaged(checkpoint, file, f"has the unknown measure {unknown.pop()!r}")
    return Faithfulness(**document, measures=measures)


def _write(checkpoint: Checkpoint, data: Interactions, name: str, document: dict) -> None:
    made_of = {
        "format": FORMATS[name],
        "weights": checkpoint.weights_hash,
        "data": data.fingerprint,
    }
    write_json(checkpoint.path / name, made_of | document)


def _damaged(checkpoint: Checkpoint, file: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{file} {problem}; make it again with `python -m fame "
        f"{_COMMANDS[file.name]} {checkpoint.path}`."
    )


def _read(
    checkpoint: Checkpoint, name: str, names: list[str], *, optional: Sequence[str] = ()
) -> tuple[Path, dict[str, Any]] | None:
    """The named fields of a stored document that was made from these weights.

    Args:
        optional: Those that a file of an older version may lack; they are then ``None``.
    """
    file = checkpoint.path / name
    if not file.is_file():
        return None
    try:
        document = read_json(file)
    except (OSError, ValueError) as error:
        raise _damaged(checkpoint, file, f"is not readable as JSON ({error})") from None
    expected = {"format", "weights", "data", *names}
    if not isinstance(document, dict) or "format" not in document:
        raise _damaged(checkpoint, file, f"must hold {', '.join(sorted(expected))}")
    if document["format"] != FORMATS[name]:
        raise _damaged(checkpoint, file, f"has format {document['format']!r}, not {FORMATS[name]}")
    document = dict.fromkeys(optional) | document
    if set(document) != expected:
        raise _damaged(checkpoint, file, f"must hold {', '.join(sorted(expected))}")
    if document["weights"] != checkpoint.weights_hash:
        raise _damaged(checkpoint, file, "was made from other weights than the checkpoint has now")
    return file, {name: document[name] for name in names}
