"""What is found out about a checkpoint by looking at everybody once, and stored with it.

``people.json``        people worth showing, and whom each expert serves: user ids and figures
``faithfulness.json``  whether the explanations hold, over a sample of people

Both name the weights they were made from. Neither holds a history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from fame.checkpoint import Checkpoint
from fame.data.sequences import Interactions, held_out
from fame.errors import CheckpointError, DataError
from fame.files import read_json, write_json
from fame.lens.faithfulness import (
    DRAWS,
    MEASURES,
    VERDICTS,
    CurvePoint,
    Estimate,
    Measure,
    MeasuredFaithfulness,
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

PEOPLE, FAITHFULNESS = "people.json", "faithfulness.json"
FORMAT = 2
SAMPLE = 500
LIST_LENGTH = 10
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
    examples = held_out(data, "test")
    if not len(examples):
        raise DataError(f"Nobody in data set {data.name!r} has a history and an item after it.")
    histories = [
        data.items[start:end].astype(np.int64)
        for start, end in zip(examples.starts, examples.ends, strict=True)
    ]
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
    chosen = np.random.default_rng(seed).choice(len(histories), size, replace=False)
    measures = faithfulness_of_people(
        checkpoint.model,
        [histories[person] for person in np.sort(chosen)],
        k=LIST_LENGTH,
        draws=DRAWS,
        seed=seed,
        repeats=checkpoint.data.repeats,
        on_person=progress(f"Testing the explanations of {size:,} people"),
    )
    faithfulness = Faithfulness(size, seed, DRAWS, LIST_LENGTH, measures)
    _write(checkpoint, data, FAITHFULNESS, asdict(faithfulness))
    return people, faithfulness


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
    made_of = {"format": FORMAT, "weights": checkpoint.weights_hash, "data": data.fingerprint}
    write_json(checkpoint.path / name, made_of | document)


def _damaged(checkpoint: Checkpoint, file: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{file} {problem}; make it again with `python -m fame survey {checkpoint.path}`."
    )


def _read(
    checkpoint: Checkpoint, name: str, names: list[str]
) -> tuple[Path, dict[str, Any]] | None:
    """The named fields of a stored document that was made from these weights."""
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
    if document["format"] != FORMAT:
        raise _damaged(checkpoint, file, f"has format {document['format']!r}, not {FORMAT}")
    if set(document) != expected:
        raise _damaged(checkpoint, file, f"must hold {', '.join(sorted(expected))}")
    if document["weights"] != checkpoint.weights_hash:
        raise _damaged(checkpoint, file, "was made from other weights than the checkpoint has now")
    return file, {name: document[name] for name in names}
