"""``checkpoints/results.csv`` as Markdown: all tables, and the one of the README.

Only rows with the settings of the shipped recipes, run by the present version of the code, are
shown, so that a table says what its commands would give again. Rows of the same name on other
histories or another catalogue have a section of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pandas as pd

from fame.baselines import COUNTING
from fame.config import ModelConfig
from fame.data.registry import SETS
from fame.errors import FameError
from fame.experiments.results import Comparison, DataKey, Results, RunKey, paired_comparison
from fame.experiments.variants import (
    ABLATIONS,
    CLICKS_ALONE,
    FORMER,
    MODELS,
    OF_VALUES,
    OTHERS,
    WIDE,
    Variant,
    bounds,
    grids,
    is_grid,
    variant,
)
from fame.files import write_text
from fame.models import registry

_FIGURES = ("HR@10", "NDCG@10")
# The four benchmarks of the paper in their order, with ML-1M before the one it stands in for.
_ORDER = ("beauty", "sports", "toys", "ml-1m", "ml-20m", "ml-100k")


@dataclass(frozen=True)
class _Line:
    """One row of a table: a model, its shape, and its runs."""

    variant: Variant
    shape: ModelConfig
    key: RunKey
    rows: pd.DataFrame


def _key(results: Results, data: DataKey, candidate: Variant) -> RunKey:
    """What the runs of a row are known by."""
    key = RunKey.of(data, candidate.name, *candidate.configs(data.data))
    return results.stored_as(key, candidate.formerly)


def _lines(
    results: Results, data: DataKey, wanted: Sequence[Variant], told: Sequence[_Line] = ()
) -> list[_Line]:
    """The rows of the table that were run by their recipes.

    Args:
        told: Rows that stand in the table already: where a recipe makes two rows the same, their
            runs are shown once.
    """
    lines: list[_Line] = []
    keys = {line.key for line in told}
    for candidate in wanted:
        key = _key(results, data, candidate)
        rows = results.select(key)
        if len(rows) and key not in keys:
            lines.append(_Line(candidate, candidate.configs(data.data)[0], key, rows))
            keys.add(key)
    return lines


def _spread(rows: pd.DataFrame, column: str) -> str:
    mean = f"{rows[column].mean():.4f}"
    return mean if len(rows) == 1 else f"{mean} ± {rows[column].std(ddof=1):.4f}"


def _by_head(rows: pd.DataFrame, column: str, write: str) -> str:
    """Of figures kept by head: their mean over seeds, largest first (heads have no fixed order)."""
    if column not in rows or rows[column].isna().any():
        return ""
    # A row without a space in it was read as a number.
    by_seed = [sorted(map(float, str(text).split()), reverse=True) for text in rows[column]]
    means = [sum(values) / len(values) for values in zip(*by_seed, strict=True)]
    return ", ".join(format(value, write) for value in means)


def _heads(line: _Line) -> str:
    columns = (
        ("heads_gate_mean", ".0%", True),
        ("heads_HR@10", ".4f", True),
        ("heads_overlap@20", ".0%", line.shape.heads > 1),  # else nobody to share with
        ("heads_router_entropy", ".2f", line.shape.experts > 1),  # else nothing is routed
    )
    cells = [_by_head(line.rows, column, write) if told else "" for column, write, told in columns]
    return " | ".join(cell.replace("%", " %") for cell in cells)


def _row(line: _Line, *beside: str) -> str:
    """A row of a table; ``beside`` are cells that stand after the figures."""
    figures = [_spread(line.rows, figure) for figure in _FIGURES]
    parameters = f"{int(line.rows['parameters'].iloc[0]):,}"
    cells = (line.variant.label, str(len(line.rows)), *figures, *beside, parameters, _heads(line))
    return f"| {' | '.join(cells)} |"


def _head(*beside: str) -> str:
    columns = (
        "model",
        "seeds",
        *_FIGURES,
        *beside,
        "parameters",
        "gate by head",
        "HR@10 of each head alone",
        "shared by two heads' first 20",
        "router entropy by head",
    )
    return f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|"


@dataclass(frozen=True)
class _Benchmark:
    """What one data set's tables are made of.

    Attributes:
        main: The models of the recipe.
        groups: Other models, and both with something changed for both, by the name of the group.
        shown: The rows of both, so all but those of the ablations and the sweep.
        pairs: Every shown row with the row that it is compared with, and the comparison.
    """

    data: DataKey
    title: str
    main: list[_Line]
    groups: dict[str, list[_Line]]
    shown: list[_Line]
    pairs: list[tuple[_Line, _Line, Comparison]]


def _benchmark(results: Results, data: DataKey) -> _Benchmark:
    main = _lines(results, data, MODELS)
    from_clicks = map(variant, grids(results.rows(), data.data, from_clicks=True))
    wanted = {
        "of values": OF_VALUES if _made_of_values(data.data) else (),
        "others": OTHERS,
        "clicks": [*CLICKS_ALONE, *from_clicks],
        "former": FORMER,  # behind those from clicks alone: some recipes had no other start
        "wide": WIDE,
    }
    groups: dict[str, list[_Line]] = {}
    shown = [*main]
    for name, rows in wanted.items():
        groups[name] = _lines(results, data, rows, told=shown)
        shown += groups[name]
    pairs = list(_pairs(results, shown))
    return _Benchmark(data, _title(data.data), main, groups, shown, pairs)


def _made_of_values(data_name: str) -> bool:
    """Whether the recipe makes FAME's items of values; else nothing is to be changed there."""
    return registry.made_of_values(variant("fame").configs(data_name)[0])


def _title(name: str) -> str:
    return SETS[name].title if name in SETS else name


def _pairs(results: Results, table: Sequence[_Line]) -> Iterator[tuple[_Line, _Line, Comparison]]:
    by_key = {line.key: line for line in table}
    for line in table:
        base = by_key.get(_key(results, line.key.data, variant(line.variant.base)))
        if base is None or base is line:
            continue
        comparison = paired_comparison(results, line.key, base.key)
        if comparison is not None:
            yield line, base, comparison


def _counting(results: Results, data: DataKey) -> dict[str, dict[str, str]]:
    """The figures of the models that only count, as far as they were run."""
    found = {}
    for name in COUNTING:
        rows = results.select(RunKey(data, name, "none", 0))
        if len(rows):
            found[name] = {figure: f"{rows[figure].iloc[0]:.4f}" for figure in _FIGURES}
    return found


def _section(results: Results, benchmark: _Benchmark) -> list[str]:
    data, main = benchmark.data, benchmark.main
    lines = [f"### {benchmark.title}", "", _head(), *map(_row, benchmark.shown)]
    for name, figures in _counting(results, data).items():
        lines.append(f"| {COUNTING[name]} | | {' | '.join(figures.values())} | | | | | |")
    for table in (main, *benchmark.groups.values()):
        lines += _commands(data.data, table)
    lines += _gains(benchmark)
    return lines + _changed(results, benchmark) + _bounds(results, data)


def _changed(results: Results, benchmark: _Benchmark) -> list[str]:
    """FAME with one thing changed, each row beside FAME's runs of the same seeds; folded away.

    It is the FAME of :data:`FORMER`, by whatever name the table above has that.
    """
    data = benchmark.data
    wanted = [*ABLATIONS, *map(variant, grids(results.rows(), data.data))]
    changed = _lines(results, data, wanted, told=benchmark.shown)
    start = _key(results, data, FORMER[0])
    fame = next((line for line in benchmark.shown if line.key == start), None)
    if not changed or fame is None:
        return []
    title = f"{fame.variant.label}, with one thing changed: without its parts, and heads x experts"
    # A blank line after the summary makes Markdown of what is folded.
    lines = ["", "<details>", f"<summary>{title}</summary>", ""]
    lines += [_head("over FAME of the same seeds, HR@10"), _row(fame, "")]
    for line in changed:
        found = paired_comparison(results, line.key, fame.key)
        lines.append(_row(line, found.gains["HR@10"].in_words() if found else ""))
    return [*lines, *_commands(data.data, changed), "", "</details>"]


def _bounds(results: Results, data: DataKey) -> list[str]:
    """What the bound on items' own parts changes: ranking against purity; folded away."""
    table = _lines(results, data, [variant(name) for name in bounds(results.rows(), data.data)])
    if len(table) < 2:
        return []
    by_line = [_own_facets(line.rows) for line in table]
    facets = list(dict.fromkeys(facet for found in by_line for facet in found))
    columns = (
        "an item's own part",
        "seeds",
        *_FIGURES,
        *(f"same {facet}, {of}" for facet in facets for of in ("nearest items", "lists")),
        "shared by two heads' first 20",
    )
    title = "FAME, with items' own parts bounded otherwise: ranking against purity"
    lines = ["", "<details>", f"<summary>{title}</summary>", ""]
    lines += [
        "Agreement of the head that is made of the facet, that of the whole model, and the one "
        "over the other: of the ten nearest items, and of a list's first 20 with what came next.",
        "",
        f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|",
    ]
    for line, found in zip(table, by_line, strict=True):
        figures = [_spread(line.rows, figure) for figure in _FIGURES]
        agreement = [cell for facet in facets for cell in found.get(facet, ("", ""))]
        overlap = _by_head(line.rows, "heads_overlap@20", ".0%").replace("%", " %")
        label = f"{line.variant.label}{' (the recipe)' * _is_recipe(line)}"
        cells = (label, str(len(line.rows)), *figures, *agreement, overlap)
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, *_commands(data.data, table), "", "</details>"]


def _is_recipe(line: _Line) -> bool:
    return line.variant.configs(line.key.data.data) == variant("fame").configs(line.key.data.data)


def _own_facets(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """By facet the cells of nearest items and of lists: means over the seeds that have them."""
    stored = rows["facets"].dropna() if "facets" in rows else ()
    told = pd.DataFrame([own for text in stored for own in json.loads(text)])
    if told.empty:
        return {}

    def cell(own: float, whole: float) -> str:
        return f"{own:.2f} / {whole:.2f} = {own / whole:.2f}" if whole > 0 else ""

    return {
        str(facet): (
            cell(means["nearest"], means["nearest_whole"]),
            cell(means["lists"], means["lists_whole"]),
        )
        for facet, means in told.groupby("facet", sort=False).mean().iterrows()
    }


def _commands(data: str, table: Sequence[_Line]) -> list[str]:
    """The commands that fill some rows and no others: one for every number of seeds."""
    lines: list[str] = []
    for seeds in sorted({len(line.rows) for line in table}, reverse=True):
        names = ",".join(line.variant.name for line in table if len(line.rows) == seeds)
        lines += ["", f"`python -m fame reproduce {data} --models {names} --seeds {seeds}`"]
    return lines


def _gains(benchmark: _Benchmark) -> list[str]:
    lines = []
    for line, base, found in benchmark.pairs:
        gains = "; ".join(f"{name} {gain.in_words()}" for name, gain in found.gains.items())
        seeds = f"{found.seeds} paired seed{'s' * (found.seeds != 1)}"
        lines.append(f"- {line.variant.label} over {base.variant.label}, {seeds}: {gains}")
    return ["", *lines] if lines else []


_GLANCE_HEAD = (
    "| data | model | paired seeds | HR@10 | NDCG@10 | HR@10 of SASRec | NDCG@10 of SASRec "
    "| over SASRec, HR@10 |\n" + "|---" * 8 + "|"
)


def _overview(benchmarks: Sequence[_Benchmark]) -> list[str]:
    """Every FAME beside its SASRec, over the seeds that both have; nothing where there is none."""
    rows = []
    for benchmark in benchmarks:
        for line, _, found in benchmark.pairs:
            if not registry.MODELS[line.variant.model].heads_rank or is_grid(line.variant.name):
                continue  # baselines, and FAME with other numbers of heads and experts
            both = (found.ours, found.theirs)
            figures = (_spread(runs, figure) for runs in both for figure in _FIGURES)
            cells = (benchmark.title, line.variant.label, str(found.seeds), *figures)
            rows.append(f"| {' | '.join(cells)} | {found.gains['HR@10'].in_words()} |")
    if not rows:
        return []
    said = {
        f"With {'several paired seeds' if found.seeds > 1 else 'one seed'}: {found.brackets}"
        for benchmark in benchmarks
        for _, _, found in benchmark.pairs
    }
    return ["### At a glance", "", _GLANCE_HEAD, *rows, "", *sorted(said, reverse=True), ""]


def _data_sets(results: Results) -> Iterator[tuple[str, list[DataKey]]]:
    """The benchmarks by name in their order, and on which data each was run: none, one or more."""
    named = results.rows()[list(DataKey.__dataclass_fields__)].drop_duplicates()
    found = [DataKey(*row) for row in named.itertuples(index=False)]
    for name in (*_ORDER, *sorted({data.data for data in found} - set(_ORDER))):
        yield name, [data for data in found if data.data == name]


def results_markdown(results: Results) -> str:
    """All tables: one of FAME beside SASRec, then one section a data set.

    A benchmark without a row is named as not run.
    """
    benchmarks: list[_Benchmark] = []
    sections: list[str] = []
    for name, found in _data_sets(results):
        run = [one for one in (_benchmark(results, data) for data in found) if one.main]
        if len(run) > 1:
            run = [replace(one, title=f"{one.title}, {_told_apart(one.data)}") for one in run]
        for benchmark in run:
            sections += [*_section(results, benchmark), ""]
        if not run and name in _ORDER:
            sections += [f"### {_title(name)}", "", "Not run yet.", ""]
        benchmarks += run
    return "\n".join([*_overview(benchmarks), *sections]).rstrip() + "\n"


def _told_apart(data: DataKey) -> str:
    """What tells data of the same name apart."""
    hashes = f"histories {data.fingerprint[:8]}, catalogue {data.catalogue[:8]}"
    return f"{hashes}, repeats: {data.repeats}"


def glance_markdown(results: Results) -> str:
    """One row a data set: HR@10 of FAME, of SASRec and of what only counts."""
    columns = ("HR@10", "paired seeds", "FAME", "SASRec", "FAME over SASRec", *COUNTING.values())
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    compared = {"": ("fame", "sasrec"), ", from clicks alone": ("fame-clicks", "sasrec-clicks")}
    for data in chain.from_iterable(found for _, found in _data_sets(results)):
        counting = _counting(results, data)
        told: set[RunKey] = set()
        for suffix, names in compared.items():
            table = _lines(results, data, [variant(name) for name in names])
            for line, _, found in _pairs(results, table):
                if line.key in told:
                    continue
                told.add(line.key)
                cells = (
                    f"{_title(data.data)}{suffix}",
                    str(found.seeds),
                    _spread(found.ours, "HR@10"),
                    _spread(found.theirs, "HR@10"),
                    found.gains["HR@10"].in_words(),
                    *(counting[name]["HR@10"] if name in counting else "" for name in COUNTING),
                )
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


# What stands between a page's marks ``<!-- name: begin -->`` and ``<!-- name: end -->``.
TABLES: dict[str, Callable[[Results], str]] = {
    "results": results_markdown,
    "glance": glance_markdown,
}


def marks(name: str) -> tuple[str, str]:
    """The lines around one of :data:`TABLES`."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def write_into(path: Path, results: Results) -> None:
    """Puts each of :data:`TABLES` between its marks in a Markdown file that has them.

    Raises:
        FameError: where the file cannot be read, or has no pair of marks, or half of one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FameError(f"{path} cannot be read ({error}).") from None
    written = text
    for name, table in TABLES.items():
        begin, end = marks(name)
        before, found, rest = written.partition(begin)
        _, closed, after = rest.partition(end)
        if found and closed:
            written = f"{before}{begin}\n\n{table(results)}\n{end}{after}"
        elif begin in written or end in written:
            raise FameError(
                f"{path} has one of the lines {begin} and {end}; it needs both in turn."
            )
    if not any(marks(name)[0] in written for name in TABLES):
        known = " or ".join(" and ".join(marks(name)) for name in TABLES)
        raise FameError(f"{path} needs the lines {known}; the tables go between them.")
    write_text(path, written)
