"""What an import did: rows in against rows kept, columns, order, and what the catalogue knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from fame.data.catalogue import facet_columns, has_title, values_by_facet
from fame.data.columns import Roles

_FIRST = 5  # so many lines are named of every kind


@dataclass(frozen=True)
class ImportReport:
    """What is told of an import and kept with the set.

    Attributes:
        form: What the file was taken for.
        rows: Interactions read; ``rows == kept + sum of the dropped``.
        dropped: By reason, ``{"rows": how many, "unit": of the file, "first": numbers}``; the unit
            is ``line``, ``row`` or ``entry``.
        columns: The columns of user, item, time, rating and, where there is one, event; ``None``
            where there is none.
        ignored: The columns that are not used.
        order: How a person's clicks are ordered.
        times: What times were written as, the first and the last; ``None`` without times.
        tied: Share of the clicks whose person has another one at the same time; ``None`` likewise.
        duplicates: Kept clicks with the person, item and time of another one; ``None`` likewise.
        sparsity: Share of all pairs of a user and an item that do not occur.
        titles: ``{"items", "listed", "known", "titled"}``: items, rows of the catalogue, items
            in it, and items with a title.
        facets: By facet ``{"kind", "values", "items"}``: distinct values, items that have one.
        options: What was asked for, without what is usual.
        notes: Sentences on what else was done.
        appended: What each later file brought, as of :class:`fame.data.append.Appended`; order,
            ties, duplicates, sparsity, titles and facets are then those of the whole set, all
            else is that of the first file.
    """

    form: str
    rows: int
    kept: int
    dropped: Mapping[str, Mapping[str, Any]]
    columns: Mapping[str, str | None]
    ignored: Sequence[str]
    order: str
    times: Mapping[str, Any] | None
    tied: float | None
    duplicates: int | None
    sparsity: float
    titles: Mapping[str, int] | None
    facets: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]
    notes: Sequence[str]
    appended: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def dropped_rows(
    rows: Mapping[str, np.ndarray], unit: str, places: Callable[[Sequence[int]], list[int]]
) -> dict[str, dict[str, Any]]:
    """By reason, how many rows were dropped and where the first of them stand."""
    return {
        reason: {"rows": len(own), "unit": unit, "first": places(own[:_FIRST].tolist())}
        for reason, own in rows.items()
        if len(own)
    }


def facets_known(items: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By facet, its kind, how many values it has and how many items have one."""
    kinds = facet_columns(items)
    return {
        name: {
            "kind": kinds[name],
            "values": len({value for own in values for value in own}),
            "items": sum(bool(own) for own in values),
        }
        for name, values in values_by_facet(items).items()
    }


def titled(items: pd.DataFrame) -> int:
    """How many items have a title of their own."""
    return int(has_title(items).sum())


def chosen(roles: Roles, form: str | None) -> str:
    """Which column is which, in one line; ``form`` is what times were written as."""
    told = {role: name or "none" for role, name in roles.named.items()}
    if form:
        told["time"] += f" ({form})"
    return ", ".join(f"{role} = {name}" for role, name in told.items())


def summary_lines(summary: Mapping[str, Any]) -> dict[str, str]:
    """What ``Dataset.summary`` says as lines for a person, by label."""
    length, left_out = summary["sequence_length"], summary["users_excluded"]
    facets = [f"{name} ({kind})" for name, kind in summary["facets"].items()]
    lines = {
        "source": summary["source"],
        "users": f"{summary['users']:,}",
        "items": f"{summary['items']:,}",
        "interactions": f"{summary['interactions']:,}",
        "sequence length": f"{length['min']} to {length['max']:,}, median {length['median']:g}",
        "too short": f"{left_out['valid']:,} users for valid, {left_out['test']:,} for test",
        "facets": ", ".join(facets) or "none",
        "filters": summary["filters"],
        "repeats": summary["repeats_reason"],
        "fingerprint": summary["fingerprint"],
    }
    report = summary.get("import")
    return lines | (report_lines(report) if report else {})


def report_lines(report: Mapping[str, Any]) -> dict[str, str]:
    """A stored report as lines for a person, by label."""
    lines = {"read as": report["form"], "rows": _rows(report)}
    lines |= {f"  {reason}": _dropped(own) for reason, own in report["dropped"].items()}
    columns = [f"{role} = {name or 'none'}" for role, name in report["columns"].items()]
    if columns:
        lines["columns"] = ", ".join(columns)
    if report["ignored"]:
        lines["ignored"] = ", ".join(report["ignored"])
    lines["order"] = report["order"]
    if times := report["times"]:
        span = f"{times['first']} to {times['last']}, " if times["first"] else ""
        lines["times"] = f"{span}{times['form']}"
        lines["equal times"] = f"{100 * report['tied']:.3g} % of the clicks"
        lines["duplicates"] = f"{report['duplicates']:,} clicks say what another one says; kept"
        if not report["duplicates"]:
            lines["duplicates"] = "none"
    lines["sparsity"] = f"{100 * report['sparsity']:.4g} %"
    if titles := report["titles"]:
        lines["titles"] = f"for {titles['titled']:,} of {titles['items']:,} items"
    for name, own in report["facets"].items():
        kind = "" if own["kind"] == "number" else f"{own['values']:,} values, "
        lines[f"  {name}"] = f"{kind}known of {own['items']:,} items"
    if report["options"]:
        several = (list, tuple)
        asked = [
            f"{name.replace('_', '-')} {','.join(own) if isinstance(own, several) else own}"
            for name, own in report["options"].items()
        ]
        lines["asked for"] = ", ".join(asked)
    for number, note in enumerate(report["notes"], start=1):
        lines["note" if number == 1 else f"note {number}"] = note
    for number, own in enumerate(report.get("appended", ()), start=1):
        lines |= _append_lines(own, f"append {number}")
    return lines


def _append_lines(own: Mapping[str, Any], label: str) -> dict[str, str]:
    """What a later file brought, by labels that begin with its own."""
    told = [_rows(own)]
    for many, what in ((own["people"], "history"), (own["items"], "item")):
        if many:
            several = {"history": "histories", "item": "items"}[what]
            told.append(f"{many:,} new {what if many == 1 else several}")
    lines = {label: f"{own['file']}: {'; '.join(told)}"}
    lines |= {f"  {reason}, {label}": _dropped(gone) for reason, gone in own["dropped"].items()}
    if (older := own["older"]) and older["rows"]:
        people = "one person" if older["people"] == 1 else f"{older['people']:,} people"
        lines[f"  older, {label}"] = (
            f"{older['rows']:,}, of {people}: from before their last click that was known, and put "
            "in their place by time"
        )
    if own["returned"]:
        lines[f"  came back, {label}"] = (
            f"{own['returned']:,} interactions of earlier files that the core had left out"
        )
    if own["untitled"]:
        lines[f"  no title, {label}"] = (
            f"{own['untitled']:,} of the new items; --items FILE brings titles and values"
        )
    if many := own["changed"]["items"]:
        first = "; ".join(
            f"{one['column']} of {one['item']!r} was {_said(one['from'])} and is {_said(one['to'])}"
            for one in own["changed"]["first"]
        )
        more = "; ..." if many > len(own["changed"]["first"]) else ""
        lines[f"  changed, {label}"] = f"{many:,} known item{'s' * (many != 1)}: {first}{more}"
    for number, note in enumerate(own["notes"], start=1):
        lines[f"  note {number}, {label}"] = note
    return lines


def _said(value: Any) -> str:
    if value is None:
        return "unknown"
    return "|".join(value) if isinstance(value, list) else str(value)[:40]


def _rows(report: Mapping[str, Any]) -> str:
    gone = sum(own["rows"] for own in report["dropped"].values())
    return f"{report['rows']:,} read, {report['kept']:,} kept, {gone:,} dropped"


def _dropped(own: Mapping[str, Any]) -> str:
    """How many rows were dropped, and where the first of them stand."""
    first = ", ".join(f"{number:,}" for number in own["first"])
    more = ", ..." if own["rows"] > len(own["first"]) else ""
    unit = own["unit"]
    if own["rows"] > 1:
        unit = "entries" if unit == "entry" else f"{unit}s"
    return f"{own['rows']:,} ({unit} {first}{more})"
