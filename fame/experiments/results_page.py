"""``checkpoints/results.csv`` as the Markdown tables of the README.

Only rows with the settings of the shipped recipes are shown, so that a table says what its commands
would give again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from fame.baselines import COUNTING
from fame.config import ModelConfig
from fame.data.registry import SETS
from fame.errors import FameError
from fame.experiments.results import Comparison, Results, RunKey, paired_comparison
from fame.experiments.variants import ABLATIONS, CLICKS_ALONE, MODELS, WIDE, Variant, grids, variant
from fame.files import write_text

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
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


def _lines(results: Results, data: str, fingerprint: str, wanted: Sequence[Variant]) -> list[_Line]:
    """The rows of the table that were run by their recipes."""
    lines = []
    for candidate in wanted:
        shape, training = candidate.configs(data)
        key = RunKey.of(data, fingerprint, candidate.name, shape, training)
        rows = results.select(key)
        if len(rows):
            lines.append(_Line(candidate, shape, key, rows))
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
        groups: Both models with something changed for both, by the name of the group.
        shown: The rows of both, so all but those of the ablations and the sweep.
        pairs: Every shown row with the row that it is compared with, and the comparison.
    """

    data: str
    fingerprint: str
    title: str
    main: list[_Line]
    groups: dict[str, list[_Line]]
    shown: list[_Line]
    pairs: list[tuple[_Line, _Line, Comparison]]


def _benchmark(results: Results, data: str, fingerprint: str) -> _Benchmark:
    title = SETS[data].title if data in SETS else data
    main = _lines(results, data, fingerprint, MODELS)
    from_clicks = map(variant, grids(results.rows(), data, from_clicks=True))
    groups = {
        "clicks": _lines(results, data, fingerprint, [*CLICKS_ALONE, *from_clicks]),
        "wide": _lines(results, data, fingerprint, WIDE),
    }
    shown = [*main, *chain.from_iterable(groups.values())]
    return _Benchmark(data, fingerprint, title, main, groups, shown, list(_pairs(results, shown)))


def _pairs(results: Results, table: Sequence[_Line]) -> Iterator[tuple[_Line, _Line, Comparison]]:
    by_name = {line.variant.name: line for line in table}
    for line in table:
        base = by_name.get(line.variant.base)
        if base is None or base is line:
            continue
        comparison = paired_comparison(results, line.key, base.key)
        if comparison is not None:
            yield line, base, comparison


def _section(results: Results, benchmark: _Benchmark) -> list[str]:
    data, fingerprint, main = benchmark.data, benchmark.fingerprint, benchmark.main
    lines = [f"### {benchmark.title}", "", _head(), *map(_row, benchmark.shown)]
    for name, label in COUNTING.items():
        rows = results.select(RunKey(data, fingerprint, name, "none", 0))
        if len(rows):
            figures = " | ".join(f"{rows[figure].iloc[0]:.4f}" for figure in _FIGURES)
            lines.append(f"| {label} | | {figures} | | | | | |")
    for table in (main, *benchmark.groups.values()):
        lines += _commands(data, table)
    lines += _gains(benchmark)
    return lines + _changed(results, benchmark)


def _changed(results: Results, benchmark: _Benchmark) -> list[str]:
    """FAME with one thing changed, each row beside FAME's runs of the same seeds; folded away."""
    data = benchmark.data
    wanted = [*ABLATIONS, *map(variant, grids(results.rows(), data))]
    changed = _lines(results, data, benchmark.fingerprint, wanted)
    fame = next((line for line in benchmark.main if line.variant.name == "fame"), None)
    if not changed or fame is None:
        return []
    title = "FAME with one thing changed: without its parts, and heads x experts"
    # A blank line after the summary makes Markdown of what is folded.
    lines = ["", "<details>", f"<summary>{title}</summary>", ""]
    lines += [_head("over FAME of the same seeds, HR@10"), _row(fame, "")]
    for line in changed:
        found = paired_comparison(results, line.key, fame.key)
        lines.append(_row(line, found.gains["HR@10"].in_words() if found else ""))
    return [*lines, *_commands(data, changed), "", "</details>"]


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
            if not line.variant.name.startswith(("fame", "paper")):
                continue  # SASRec, and FAME with other numbers of heads and experts
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


def results_markdown(results: Results) -> str:
    """All tables: one of FAME beside SASRec, then one section a data set.

    A benchmark without a row is named as not run.
    """
    rows = results.rows()
    found: dict[str, str] = dict(
        rows[["data", "fingerprint"]].drop_duplicates().itertuples(index=False)
    )
    benchmarks: list[_Benchmark] = []
    sections: list[str] = []
    for data in (*_ORDER, *sorted(set(found) - set(_ORDER))):
        benchmark = _benchmark(results, data, found[data]) if data in found else None
        if benchmark is not None and benchmark.main:
            benchmarks.append(benchmark)
            sections += [*_section(results, benchmark), ""]
        elif data in _ORDER:
            sections += [f"### {SETS[data].title}", "", "Not run yet.", ""]
    return "\n".join([*_overview(benchmarks), *sections]).rstrip() + "\n"


def write_into(path: Path, markdown: str) -> None:
    """Puts the tables between the two marks of a Markdown file.

    Raises:
        FameError: where the file cannot be read or does not have each mark once, in this order.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FameError(f"{path} cannot be read ({error}).") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise FameError(f"{path} needs the lines {BEGIN} and {END}; the tables go between them.")
    write_text(path, f"{before}{BEGIN}\n\n{markdown}\n{END}{after}")
