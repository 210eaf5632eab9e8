"""Traces, neighbours and runs as the tables that a page shows: titles are joined here.

A catalogue is the frame of a checkpoint: row i is item index i + 1, with ``item_id``, ``title``,
``train_count`` and facet columns.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from fame.checkpoint import Description
from fame.data import facet_columns
from fame.data.catalogue import values_of
from fame.facets.above_base import BaseRates
from fame.facets.agreement import Agreement
from fame.facets.neighbours import nearest_items
from fame.lens.account import ItemAccount
from fame.lens.answer import every_name
from fame.lens.compare import Comparison
from fame.lens.faithfulness import DeletionCurve, MeasuredFaithfulness
from fame.lens.steps import Steps
from fame.lens.trace import SequenceTrace, fused_table, head_table, item_ranks, value_ledger
from fame.presentation.facts import facet_text, item_facts_of_all
from fame.presentation.item_names import item_names
from fame.presentation.names import HeadNames, facet_label
from fame.presentation.text import one_line
from fame.presentation.values import OWN, ValueName
from fame.survey import values_with_decades
from fame.training.runs import Status


def item_title(items: pd.DataFrame, item: int, *, beside_facts: bool = False) -> str:
    """What an item is called, as no other one of its catalogue is.

    Args:
        beside_facts: Whether what is known of the item stands beside it anyway.
    """
    names = item_names(items)
    return names.beside_facts(item) if beside_facts else names[item]


def item_titles(items: pd.DataFrame, indices: Sequence[int] | pd.Series) -> list[str]:
    """:func:`item_title` of many, at the price of one."""
    names = item_names(items)
    return [names[int(item)] for item in indices]


@lru_cache(maxsize=64)
def _row_type(columns: tuple[str, ...]) -> Any:
    return namedtuple("Row", columns)


def rows_of(table: pd.DataFrame) -> Iterator[Any]:
    """The rows by their columns' names, as of ``itertuples``, which takes several times as long."""
    row = _row_type(tuple(table.columns))
    return map(row._make, zip(*(table[name].tolist() for name in table.columns), strict=True))


def item_facts(items: pd.DataFrame, item: int) -> str:
    """What is known of an item in one line: year or brand, then genres or the last category."""
    return item_facts_of_all(items.iloc[item - 1 : item])[0]


def describe(items: pd.DataFrame, indices: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Id, title and facets of some items, as columns for people."""
    rows = items.iloc[np.asarray(indices, dtype=np.int64) - 1]
    shown = {"Item": rows["item_id"].to_numpy(), "Title": rows["title"].map(one_line).to_numpy()}
    for name, kind in facet_columns(items).items():
        values = rows[name] if kind == "number" else rows[name].map(facet_text)
        shown[facet_label(name)] = values.array
    return pd.DataFrame(shown).reset_index(drop=True)


def history_table(items: pd.DataFrame, trace: SequenceTrace) -> pd.DataFrame:
    """The whole history, latest click first, and whether the model reads it."""
    table = describe(items, trace.history)
    table.insert(0, "Click", np.arange(1, len(table) + 1))
    table["Read by the model"] = np.arange(len(table)) >= trace.seen_from
    return table.iloc[::-1].reset_index(drop=True)


def fused_list(
    items: pd.DataFrame, trace: SequenceTrace, k: int, held_out: int | None, *, raw: bool
) -> pd.DataFrame:
    """The fused list with its ledger: ``rank, item, title, score, head_0 .., held_out``."""
    table = fused_table(trace, k, raw=raw)
    table.insert(2, "title", item_titles(items, table["item"]))
    table["held_out"] = table["item"] == (held_out or 0)
    return table


def against_next(fused: pd.DataFrame) -> pd.DataFrame:
    """A fused list's ledger less that of the item below; the last row, with none below, falls out.

    Of a whole catalogue's list that is one row less than the list has.
    """
    return _against(fused.iloc[:-1], fused.iloc[1:])


def against_middle(fused: pd.DataFrame) -> pd.DataFrame:
    """A fused list's ledger less that of the item in its middle, the upper one of two."""
    middle = (len(fused) - 1) // 2
    return _against(fused, fused.iloc[[middle] * len(fused)])


def _against(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Scores and heads' parts less those of other rows, place by place."""
    columns = ["score", *head_columns(rows)]
    less = rows[columns].to_numpy() - others[columns].to_numpy()
    return rows.assign(**dict(zip(columns, less.T, strict=True)))


def head_lists(
    items: pd.DataFrame, trace: SequenceTrace, k: int, held_out: int | None
) -> pd.DataFrame:
    """Each head's own list: ``head, rank, item, title, score, fused_rank, held_out``.

    ``fused_rank`` is the rank among the first k of the fused list, ``<NA>`` where it is not there.
    """
    table = head_table(trace, k)
    fused = fused_table(trace, k).set_index("item")["rank"]
    table["title"] = item_titles(items, table["item"])
    table["fused_rank"] = table["item"].map(fused).astype("Int64")
    table["held_out"] = table["item"] == (held_out or 0)
    return table


def first_items(trace: SequenceTrace, head: int, k: int) -> list[int]:
    """The first k items of a head's own list, or of the fused one for head -1."""
    if head < 0:
        return fused_table(trace, k)["item"].tolist()
    table = head_table(trace, k)
    return table.loc[table["head"] == head, "item"].tolist()


def ledger_for_download(
    items: pd.DataFrame, fused: pd.DataFrame, called: HeadNames
) -> pd.DataFrame:
    """The ledger as a person reads it: what the item is, its score, what every head put in."""
    table = describe(items, fused["item"].to_numpy())
    table.insert(0, "Rank", fused["rank"].to_numpy())
    table["Score"] = fused["score"].to_numpy()
    columns = head_columns(fused)
    for column, name in zip(columns, called.columns(len(columns), table.columns), strict=True):
        table[name] = fused[column].to_numpy()
    table["Held out"] = fused["held_out"].to_numpy()
    return table


def value_table(
    items: pd.DataFrame,
    trace: SequenceTrace,
    ranked: Iterable[tuple[int | None, int]],
    value_names: Sequence[Sequence[str]],
    heads: Sequence[str],
    *,
    raw: bool = False,
) -> pd.DataFrame:
    """The ledger down to values as a person reads it: a row an item, head and value.

    Args:
        ranked: Ranks and items; no rank for what is no candidate.
        value_names: ``[H]`` the names of the values, as of the checkpoint.
        heads: ``[H]`` what the heads are called.
    """
    every = every_name(value_names)
    rows = []
    for rank, item in ranked:
        about = (rank, items["item_id"].iat[item - 1], item_title(items, item))
        for head, parts in zip(heads, value_ledger(trace, item, raw=raw), strict=True):
            for value, given in parts:
                facet = "" if value is None else facet_label(every[value].partition("=")[0])
                name = OWN if value is None else str(ValueName.of(every[value]))
                rows.append((*about, head, facet, name, given))
    columns = ["Rank", "Item", "Title", "Head", "Facet", "Value", "Points"]
    return pd.DataFrame(rows, columns=columns).astype({"Rank": "Int64"})


def head_columns(fused: pd.DataFrame) -> list[str]:
    return [name for name in fused.columns if name.startswith("head_")]


def path_table(
    items: pd.DataFrame, history: np.ndarray, steps: Steps, head: int | None, top: int = 3
) -> pd.DataFrame:
    """Shares after every click: ``click, title, part, share, listed``.

    The parts are the heads, or the experts of one head where ``head`` is given. ``listed`` holds
    the ``top`` first titles of the list as it was then.
    """
    shares = steps.gate if head is None else steps.router[:, head]
    clicks, parts = shares.shape
    first = steps.lists[steps.lists["rank"] <= top]
    titles = first["item"].map(lambda item: item_title(items, item))
    listed = titles.groupby(first["click"]).agg(list).reindex(steps.clicks)
    listed = [found if isinstance(found, list) else [] for found in listed]
    return pd.DataFrame(
        {
            "click": np.repeat(steps.clicks + 1, parts),
            "title": np.repeat(item_titles(items, history[steps.clicks]), parts),
            "part": np.tile(np.arange(parts), clicks),
            "share": shares.ravel(),
            "listed": [found for found in listed for _ in range(parts)],
        }
    )


def moves_table(items: pd.DataFrame, comparison: Comparison, held_out: int | None) -> pd.DataFrame:
    """What moved between two lists: ``item, title, rank_before, rank_after, listed, held_out``."""
    table = comparison.moves[["item", "rank_before", "rank_after", "change", "listed"]].copy()
    table.insert(1, "title", item_titles(items, table["item"]))
    table["held_out"] = table["item"] == (held_out or 0)
    return table


def influence_squares(items: pd.DataFrame, table: pd.DataFrame, rows: int) -> pd.DataFrame:
    """A matrix of past items by lists, as squares: ``row, item, title, part, value``.

    Args:
        table: ``left_out, clicks``, then a column for the fused list and one a head.
        rows: Only the past items with the largest values; the rest is left out.

    The latest click comes first, as row 0. ``part`` is -1 for the fused list.
    """
    values = table.drop(columns=["left_out", "clicks"])
    largest = values.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:rows]
    shown = table.loc[sorted(largest, reverse=True)]
    parts = len(values.columns)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(shown)), parts),
            "item": np.repeat(shown["left_out"].to_numpy(), parts),
            "title": np.repeat(item_titles(items, shown["left_out"]), parts),
            "part": np.tile(np.arange(-1, parts - 1), len(shown)),
            "value": shown[values.columns].to_numpy(dtype=float).ravel(),
        }
    )


def attention_table(items: pd.DataFrame, trace: SequenceTrace, weights: np.ndarray) -> pd.DataFrame:
    """What an expert attends to among the clicks read: ``click, title, share``."""
    return pd.DataFrame(
        {
            "click": np.arange(trace.seen_from + 1, len(trace.history) + 1),
            "title": item_titles(items, trace.read),
            "share": weights,
        }
    )


def unseen(items: pd.DataFrame, item: int) -> bool:
    """Whether the item never stood in the training part, so that nothing was learnt of it."""
    return not items["train_count"].iat[item - 1]


def account_table(account: ItemAccount, called: HeadNames) -> pd.DataFrame:
    """An item against its rival, head by head, as columns for people."""
    table = account.by_head
    return pd.DataFrame(
        {
            "Head": [called.head(head) for head in table["head"]],
            "Gate share": table["gate"],
            "Rank in the head": table["rank"],
            "Score in the head": table["score"],
            "Put into its score": table["contribution"],
            "Put into the rival's": table["rival_contribution"],
            "Lead": table["lead"],
        }
    )


def account_pair(items: pd.DataFrame, account: ItemAccount) -> pd.DataFrame:
    """An item and its rival as two rows of a ledger, the higher one first."""
    sides = [(account.item, "–" if account.rank is None else account.rank, "contribution")]
    if account.rival is not None:
        sides.append((account.rival, account.rival_rank or 0, "rival_contribution"))
    rows = []
    for item, rank, column in sides:
        parts = account.by_head[column].to_numpy()
        heads = {f"head_{head}": part for head, part in enumerate(parts)}
        title = item_title(items, item)
        rows.append({"rank": rank, "item": item, "title": title, "score": parts.sum()} | heads)
    table = pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True)
    return table.assign(held_out=False)


def deletion_table(curve: DeletionCurve) -> pd.DataFrame:
    """One history's curves: ``removed, influential, latest, random, low, high``."""
    low, high = np.quantile(curve.random, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "removed": np.arange(len(curve.influential)),
            "influential": curve.influential,
            "latest": curve.latest,
            "random": curve.random.mean(0),
            "low": low,
            "high": high,
        }
    )


def measured_table(measured: MeasuredFaithfulness) -> pd.DataFrame:
    """The mean curves over people: ``removed, people, influential, latest, random``."""
    return pd.DataFrame([vars(point) for point in measured.curve])


def router_table(trace: SequenceTrace) -> pd.DataFrame:
    """``head, expert, share``, one row an expert."""
    heads, experts = trace.router.shape
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(heads), experts),
            "expert": np.tile(np.arange(experts), heads),
            "share": trace.router.ravel(),
        }
    )


def held_out_ranks(trace: SequenceTrace, item: int) -> tuple[int | None, list[int | None], int]:
    """Rank of the held-out item in the fused list and in each head's, and how many are ranked.

    A rank is ``None`` where the item is no candidate.
    """
    return *item_ranks(trace, item), int(trace.candidates.sum())


# --- the atlas ---------------------------------------------------------------------------------

POPULARITY = "popularity"
OTHER, UNKNOWN = "Other", "Not known"
_MOST_VALUES = 9
_MOST_OF_A_REGION = 0.5


def colourings(items: pd.DataFrame) -> dict[str, str]:
    """What a map can be coloured by: the column's name, and what it is called; best one first."""
    kinds = facet_columns(items)
    order = sorted(kinds, key=lambda name: (kinds[name] != "list", name != "category_1"))
    return {name: facet_label(name) for name in order} | {POPULARITY: "Popularity"}


def is_number(items: pd.DataFrame, column: str) -> bool:
    return column == POPULARITY or facet_columns(items)[column] == "number"


def number_values(items: pd.DataFrame, column: str) -> np.ndarray:
    """``(V - 1,)`` a number an item, NaN where it is missing; popularity counts training clicks."""
    name = "train_count" if column == POPULARITY else column
    return items[name].astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def facet_values(items: pd.DataFrame, column: str) -> list[str]:
    """All values of a category or list, the most frequent one first."""
    return pd.Series(values_of(items[column])).explode().dropna().value_counts().index.tolist()


def values_shown(number: int) -> str:
    """How many of a column's values :func:`value_labels` tells apart when none is chosen."""
    return "All values" if number <= _MOST_VALUES else f"The top {_MOST_VALUES} of {number:,}"


def value_labels(items: pd.DataFrame, column: str, value: str | None) -> pd.Series:
    """A label an item, for a legend of few entries; ``Not known`` where it has no value at all.

    Args:
        value: Marks the items that have this value against all others; without it an item gets
            its first value where that is among the most frequent ones, else ``Other``.
    """
    values = pd.Series(values_of(items[column]))
    first = values.map(lambda found: _apart(found[0]) if len(found) else UNKNOWN)
    if value:
        has = values.map(lambda found: value in found)
        return first.where(first == UNKNOWN, OTHER).mask(has, _apart(value))
    frequent = set(first[first != UNKNOWN].value_counts().index[:_MOST_VALUES])
    return first.where(first.isin(frequent | {UNKNOWN}), OTHER)


def shared_values(items: pd.DataFrame) -> dict[str, list[list[str]]]:
    """By facet the values that items can have in common: no numbers, but years and decades."""
    kinds = facet_columns(items)
    told = {name for name, kind in kinds.items() if kind != "number"} | {"year"}
    return {name: own for name, own in values_with_decades(items).items() if name in told}


def map_labels(
    points: np.ndarray, regions: np.ndarray, rates: BaseRates
) -> list[tuple[float, float, str]]:
    """What stands on a map: ``x, y, value`` where most items of a region have a value.

    Of the values that at least half of a region's items have, and clearly more often than the
    catalogue, the rarest names it; a value that would name several names the largest.

    Args:
        points: ``(V, 2)``.
        regions: ``(V,)``.
    """
    named: dict[str, tuple[int, float, float]] = {}
    for region in range(regions.max() + 1):
        rows = np.flatnonzero(regions == region)
        found = rates.above(rows, least=_MOST_OF_A_REGION)
        if not found:
            continue
        best = min(found, key=lambda one: one.base)
        middle = np.median(points[rows], 0)
        x, y = points[rows[((points[rows] - middle) ** 2).sum(1).argmin()]]  # on a point of its own
        if best.number > named.get(best.value, (0, 0, 0))[0]:
            named[best.value] = (best.number, float(x), float(y))
    largest = sorted(named.items(), key=lambda entry: -entry[1][0])
    return [(x, y, value) for value, (_, x, y) in largest]


def _apart(value: str) -> str:
    """A value as a label: one that reads as our own labels do is told apart from them."""
    return f"{value} (in the catalogue)" if value in (OTHER, UNKNOWN) else value


def neighbour_table(
    items: pd.DataFrame, spaces: Mapping[str, np.ndarray], item: int, k: int
) -> pd.DataFrame:
    """An item's nearest items in every space: ``space, rank, item, title, cosine, found_in``.

    Args:
        spaces: Vectors ``(V - 1, K)`` by the name of the space.

    ``found_in`` counts the heads (not the whole embedding) that have it among their k.
    """
    tables = []
    for space, vectors in spaces.items():
        rows, cosines = nearest_items(vectors, item - 1, k)
        ranks = np.arange(1, len(rows) + 1)
        tables.append(
            pd.DataFrame({"space": space, "rank": ranks, "item": rows + 1, "cosine": cosines})
        )
    table = pd.concat(tables, ignore_index=True)
    heads = table[table["space"] != "all"]
    table["found_in"] = table["item"].map(heads["item"].value_counts()).fillna(0).astype(int)
    table["title"] = item_titles(items, table["item"])
    return table


def agreement_table(found: Mapping[str, Agreement]) -> pd.DataFrame:
    """How far nearest items agree, a row a facet and space: ``facet, space, share, chance``."""
    return pd.DataFrame(
        [
            {"facet": facet_label(column), "space": space, "share": share, "chance": facet.chance}
            for column, facet in found.items()
            for space, share in facet.spaces.items()
        ],
        columns=["facet", "space", "share", "chance"],
    )


# --- training ----------------------------------------------------------------------------------


def runs_table(
    rows: Sequence[tuple[str, Status | None, dict[str, Any], Description | None]],
) -> pd.DataFrame:
    """Runs side by side, the newest first: ``(name, status, metrics, description)`` each.

    Checkpoints that came trained have no status. What is not known is missing, in every column.
    """
    found = []
    for name, status, metrics, about in rows:
        test = metrics.get("test", {})
        model, training = (about.model_config, about.train_config) if about else (None, None)
        found.append(
            {
                "Run": name,
                "Data": about.data.name if about else status.data if status else None,
                "Model": model.model if model else status.model if status else None,
                "State": status.phase if status else "came trained",
                "Heads": model.heads if model else None,
                "Width": model.width if model else None,
                "Learning rate": training.learning_rate if training else None,
                "Seed": training.seed if training else None,
                "Epochs": status.epoch if status else metrics.get("epochs"),
                "Validation NDCG@10": _best_of(status, metrics),
                "Test NDCG@10": test.get("NDCG@10"),
                "Test HR@10": test.get("HR@10"),
                "Device": status.device if status else metrics.get("device"),
                "Started": pd.Timestamp(status.started, unit="s") if status else pd.NaT,
                "Minutes": (status.seconds if status else metrics.get("train_seconds", 0)) / 60,
            }
        )
    table = pd.DataFrame(found)
    for name in ("Heads", "Width", "Seed", "Epochs"):
        table[name] = table[name].astype("Int64")
    for name in ("Learning rate", "Validation NDCG@10", "Test NDCG@10", "Test HR@10"):
        table[name] = table[name].astype("Float64")
    for name in ("Data", "Model", "Device"):
        table[name] = table[name].fillna("")
    return table.sort_values("Started", ascending=False, ignore_index=True)


def _best_of(status: Status | None, metrics: Mapping[str, Any]) -> float | None:
    if status is not None and status.best_score is not None:
        return status.best_score
    return metrics.get("valid", {}).get("NDCG@10")
