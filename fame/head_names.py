"""What the heads of a checkpoint are called: what a person chose, else what evidence says.

``names.json`` has the names that a person gave; ``facets.json`` (:mod:`fame.survey`) those by
evidence, which is measured anew without touching the former. Both name the weights they belong to.
A head that was given no facet (:attr:`fame.config.ModelConfig.facet_shares`) is called "Free" where
neither names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError, FameError
from fame.facets.naming import NamedHead
from fame.files import read_json, telling_of, write_json
from fame.presentation.names import FREE, LONGEST_NAME, HeadNames
from fame.presentation.text import one_line
from fame.survey import read_facets

NAMES = "names.json"
FORMAT = 1


def read_head_names(checkpoint: Checkpoint) -> HeadNames:
    """The names of a checkpoint's heads; a stored file that is of no use is a problem in it."""
    problems, heads = [], checkpoint.model.heads
    chosen: list[str | None] = [None] * heads
    found = None
    try:
        chosen = read_chosen_names(checkpoint)
    except CheckpointError as error:
        problems.append(str(error))
    try:
        found = read_facets(checkpoint)
    except CheckpointError as error:
        problems.append(str(error))
    shares = checkpoint.model_config.facet_shares
    given, grounds = [], []
    for head in range(heads):
        measured = found.heads[head] if found is not None and head < len(found.heads) else None
        name, why = _by_evidence(measured, free=bool(shares) and not shares[head])
        if heads == 1:
            name, why = None, "It is the model's only head, so nothing is told apart."
        if chosen[head] is not None:
            else_called = "it has none" if name is None else f"it would be “{name}”"
            why = f"A person chose this name; by evidence {else_called}. {why}"
        given.append(chosen[head] or name)
        grounds.append(why)
    return HeadNames(tuple(given), tuple(grounds), tuple(problems))


def _by_evidence(measured: NamedHead | None, *, free: bool) -> tuple[str | None, str]:
    """What a head is called where no person chose a name, and why."""
    if measured is None:
        if free:
            return FREE, "It was given no facet."
        return None, "Nobody has looked for evidence of a name yet; `python -m fame facets` does."
    if measured.name is None and not free:
        return None, f"No evidence names it. {measured.why}"
    if measured.facet is None:
        return measured.name or FREE, measured.why
    return measured.name, f"Named by evidence: {measured.why}"


def read_chosen_names(checkpoint: Checkpoint) -> list[str | None]:
    """``[H]`` the names that a person gave the heads, ``None`` for a head that has none.

    Raises:
        CheckpointError: where the file is damaged, or belongs to other weights.
    """
    file, heads = checkpoint.path / NAMES, checkpoint.model.heads
    if not file.is_file():
        return [None] * heads
    try:
        document = read_json(file)
    except (OSError, ValueError) as error:
        raise _of_no_use(file, f"is not readable as JSON ({error})") from None
    if not isinstance(document, dict) or set(document) != {"format", "weights", "names"}:
        raise _of_no_use(file, "must hold format, names, weights")
    if document["format"] != FORMAT:
        raise _of_no_use(file, f"has format {document['format']!r}, not {FORMAT}")
    if document["weights"] != checkpoint.weights_hash:
        raise _of_no_use(file, "belongs to other weights than the checkpoint has now")
    names: Any = document["names"]
    if not isinstance(names, list) or len(names) != heads:
        raise _of_no_use(file, f"must have a name or null for each of the {heads} heads")
    for name in names:
        if name is not None and (not isinstance(name, str) or _refused(name) or not name):
            raise _of_no_use(file, f"has the name {str(name)[:40]!r}, which no head can have")
    return names


def choose_names(checkpoint: Checkpoint, names: Mapping[int, str]) -> None:
    """Gives heads the names that a person chose, and keeps them with the checkpoint.

    Args:
        names: By head, from 0; an empty name takes a chosen one away.

    Raises:
        FameError: where there is no such head, a name cannot be one, or the folder takes no file.
        CheckpointError: where the stored names are of no use.
    """
    heads, chosen = checkpoint.model.heads, read_chosen_names(checkpoint)
    for head, name in names.items():
        if not 0 <= head < heads:
            one = "one head" if heads == 1 else f"heads 1 to {heads}"
            raise FameError(f"{checkpoint.name} has {one} and no head {head + 1} to be named.")
        if problem := _refused(name.strip()):
            raise FameError(f"Head {head + 1} cannot be called {name[:40]!r}: {problem}.")
        chosen[head] = one_line(name) or None
    file = checkpoint.path / NAMES
    if any(chosen):
        document = {"format": FORMAT, "weights": checkpoint.weights_hash, "names": chosen}
        write_json(file, document)
    else:
        with telling_of(file):
            file.unlink(missing_ok=True)


def _refused(name: str) -> str:
    """Why something can be no name of a head; nothing where it can."""
    if not name.isprintable():
        return "a name is one line of printable characters"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, and this has {len(name)}"
    return ""


def _of_no_use(file: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{file} {problem}; remove it, and name the heads again with `python -m fame facets "
        f"{file.parent} --name 1=NAME`."
    )
