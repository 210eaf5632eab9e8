"""A data set by its name: found, fetched where it must be, read, and checked."""

from __future__ import annotations

import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fame.data import imports
from fame.data.catalogue import align, facet_columns, read_items
from fame.data.fetch import Bundle, Folder, Progress
from fame.data.histories import build_histories
from fame.data.registry import SETS, Format, NamedSet
from fame.data.repeats import ChosenBy, repeated_share, repeats_sentence
from fame.data.sequences import Interactions, Repeats, Split, held_out
from fame.errors import DataError

Place = Literal["local", "cached", "imported", "remote"]

_log = logging.getLogger(__name__)
_CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"


@dataclass(frozen=True)
class Dataset:
    """Histories, and the catalogue that goes with them.

    Args:
        interactions: Who did what, oldest first.
        items: Row ``i`` describes item index ``i + 1``: ``item_id``, ``title``, facet columns.
        source: One phrase: where the data came from.
        repeats_by: Who says whether the history's items may be recommended again.
        report: What the import of a person's own set did, as it is kept.
    """

    interactions: Interactions
    items: pd.DataFrame
    source: str
    repeats_by: ChosenBy = "set"
    report: dict[str, Any] | None = None

    def summary(self) -> dict[str, Any]:
        """What there is to say about the set, ready for JSON."""
        data = self.interactions
        lengths = np.diff(data.offsets)
        splits: tuple[Split, ...] = ("valid", "test")
        share = repeated_share(data)
        return {
            "name": data.name,
            "source": self.source,
            "users": len(data),
            "items": data.num_items,
            "interactions": len(data.items),
            "sequence_length": {
                "min": int(lengths.min()),
                "median": float(np.median(lengths)),
                "max": int(lengths.max()),
            },
            "users_excluded": {split: len(data) - len(held_out(data, split)) for split in splits},
            "facets": facet_columns(self.items),
            "filters": data.filters,
            "repeats": data.repeats,
            "repeated_targets": share,
            "repeats_reason": repeats_sentence(data.repeats, share, self.repeats_by),
            "fingerprint": data.fingerprint,
        } | ({} if self.report is None else {"import": self.report})


@dataclass(frozen=True)
class SetInfo:
    """One line of the list of data sets.

    ``place`` is ``local`` (a folder of ``FAME_DATA``), ``cached`` (fetched before), ``imported``
    (a person's own) or ``remote`` (yet to be fetched). ``repeats`` says whether what is in the
    history may be recommended again, and why; it is empty where a set is damaged. ``lacks`` says
    what a model or a page would want and the set has not, like ``no titles``.
    """

    name: str
    title: str
    description: str
    place: Place
    repeats: str
    lacks: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """How large it is, such as ``1,234 ratings``; empty where a set is damaged."""
        found = re.match(r"[\d,]+ \w+", self.description)
        return found[0] if found else ""


# Ratings and reviews: nobody has two of the same item in any of them.
_NAMED_REPEATS = repeats_sentence("exclude", 0.0, "set")


def list_sets() -> list[SetInfo]:
    """All data sets there are: the named ones, then the imported ones."""
    named = [
        SetInfo(s.name, s.title, s.description, _place(s), _NAMED_REPEATS, _lacks(s))
        for s in SETS.values()
    ]
    own = [
        SetInfo(
            name,
            name,
            imports.describe(name),
            "imported",
            imports.describe_repeats(name),
            imports.lacks(name),
        )
        for name in imports.names()
    ]
    return named + own


def load(name: str, *, offline: bool = False, progress: Progress | None = None) -> Dataset:
    """A data set by its name.

    A copy in the folders of ``FAME_DATA`` comes first, then one that was fetched before, then the
    published sources in their order.

    Args:
        name: A name out of ``list_sets``.
        offline: Never fetch.
        progress: Told what is being done.

    Raises:
        DataError: where nobody knows the name, the set cannot be had, or it is not what it must be.
    """
    if name in imports.names():
        return _load_imported(name)
    named = SETS.get(name)
    if named is None:
        names = ", ".join(info.name for info in list_sets())
        raise DataError(f"There is no data set {name!r}; there are {names}.")
    folder = _local(named)
    if folder:
        bundle: Bundle = folder
        source = f"the folder {folder.path}"
    else:
        bundle, source = _published(named, offline, progress)
    if progress:
        progress(f"Reading {named.title}", None)
    try:
        dataset = _read(named, bundle, source)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{bundle.path} is damaged; delete it, and it is fetched anew.") from error
    _check(named, dataset.interactions, published=folder is None)
    return dataset


def read_log(
    path: Path | str,
    items: Path | str | None = None,
    *,
    name: str = "log",
    repeats: Repeats | None = None,
    wishes: imports.Wishes | None = None,
    told: Callable[[str], None] | None = None,
) -> Dataset:
    """A person's own log as a data set, read and not kept; see :func:`imports.read_file`.

    Args:
        path: The file, or a folder of MovieLens or of Parquet parts.
        items: A catalogue.
        name: What the set is called, in checkpoints too.
        repeats: Whether what a person has had may be recommended again; the file decides by itself.
        wishes: Which columns to use, and what to drop.
        told: Given what the file was taken for, with its first rows.

    Raises:
        DataError: where a file cannot be read.
    """
    catalogue = None if items is None else Path(items)
    found = imports.read_file(Path(path), name, catalogue, repeats, wishes, told)
    return _own(*found)


def _place(named: NamedSet) -> Place:
    if _local(named):
        return "local"
    return "cached" if any(source.cached() for source in named.sources) else "remote"


def _lacks(named: NamedSet) -> tuple[str, ...]:
    """What a named set has not, as it lies here or as it is published."""
    bundle: Bundle | None = _local(named)
    for source in named.sources:
        bundle = bundle or source.cached()
    form = named.formats[0] if bundle is None else _format(named, bundle)
    found = [] if bundle else ["not downloaded"]
    # Published archives of films hold their catalogue; reviews come without, and it is shipped.
    described = bundle.has(form.items) if bundle and form else form is not None and form.with_times
    if not described and not _shipped_items(named).is_file():
        found += ["no titles", "no facets"]
    if form is not None and not form.with_times:
        found.append("no times")
    return tuple(found)


def _shipped_items(named: NamedSet) -> Path:
    return _CHECKPOINTS / named.name / "items.parquet"


def _local(named: NamedSet) -> Folder | None:
    """The set's folder below the first entry of ``FAME_DATA`` that has it."""
    for root in _data_folders():
        folder = Folder(root / named.folder)
        if _format(named, folder):
            return folder
    return None


def _data_folders() -> Iterator[Path]:
    for entry in os.environ.get("FAME_DATA", "").split(os.pathsep):
        if entry:
            yield Path(entry).expanduser()


def _format(named: NamedSet, bundle: Bundle) -> Format | None:
    return next((form for form in named.formats if bundle.has(form.log)), None)


def _published(named: NamedSet, offline: bool, progress: Progress | None) -> tuple[Bundle, str]:
    for source in named.sources:
        if bundle := source.cached():
            return bundle, source.label
    command = f"python -m fame data fetch {named.name}"
    if offline:
        raise DataError(f"Data set {named.name!r} is not at hand; get it with `{command}`.")
    reasons = []
    for source in named.sources:
        try:
            source.fetch(progress)
        except DataError as error:
            if progress:
                progress(str(error), None)
            reasons.append(str(error).rstrip("."))
        else:
            bundle = source.cached()
            assert bundle is not None, "fetch() puts the file where cached() looks"
            return bundle, source.label
    reasons += [
        f"FAME_DATA names {path}, which is no folder"
        for path in _data_folders()
        if not path.is_dir()
    ]
    raise DataError(
        f"Data set {named.name!r} is not at hand and cannot be fetched: {'; '.join(reasons)}; try "
        f"again with a network, or let FAME_DATA name a folder that holds {named.folder}/"
        f"{named.formats[0].log}."
    )


def _read(named: NamedSet, bundle: Bundle, source: str) -> Dataset:
    form = _format(named, bundle)
    if form is None:
        raise DataError(f"{bundle.path} lacks {named.formats[0].log}; delete it to fetch it anew.")
    where = bundle.path if isinstance(bundle, Folder) else f"{bundle.path}:{bundle.prefix}"
    with bundle.open(form.log) as stream:
        log = form.read_log(stream, f"{where}/{form.log}")
    interactions = build_histories(
        named.name, log, core=named.core, filters=named.filters, ties="file"
    )
    known = None
    shipped = _shipped_items(named)
    if bundle.has(form.items):
        with bundle.open(form.items) as stream:
            known = form.read_items(stream, f"{where}/{form.items}")
    elif shipped.is_file():
        known = read_items(shipped)
    return Dataset(interactions, align(known, interactions.item_ids[1:].tolist()), source)


def _check(named: NamedSet, data: Interactions, published: bool) -> None:
    """Content that is not the expected one must not change figures without a word.

    A folder can hold anything under a set's name, so there it is an error. What was fetched has the
    hash of the published file; should its histories differ nonetheless, it is still that set.
    """
    expected = named.fingerprint
    if expected is None or expected == data.fingerprint:
        return
    found = f"other histories than the figures of {named.name!r} were made from"
    numbers = f"fingerprint {data.fingerprint[:12]}, {expected[:12]} is expected"
    if published:
        _log.warning("The published files hold %s (%s).", found, numbers)
        return
    raise DataError(
        f"The folder {named.folder!r} in FAME_DATA holds {found} ({numbers}); put the published "
        "files there, or bring yours in with `python -m fame data import` under a name of its own."
    )


def _load_imported(name: str) -> Dataset:
    return _own(*imports.read(name))


def _own(data: Interactions, items: pd.DataFrame, about: imports.About) -> Dataset:
    assert about.repeats_by is not None, "who reads it makes up for it"
    source = f"imported from {about.file}"
    if later := len((about.report or {}).get("appended", ())):
        source += f" and {later:,} later file{'s' * (later != 1)}"
    return Dataset(data, items, source, about.repeats_by, about.report)
