"""The Markdown tables out of the table of runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fame.errors import FameError
from fame.experiments import variants
from fame.experiments.recipes import load_recipe
from fame.experiments.results import DataKey, Results, RunKey
from fame.experiments.results_page import (
    glance_markdown,
    marks,
    results_markdown,
    write_into,
)
from fame.experiments.variants import variant
from fame.metrics import summarise_ranks

DATA = DataKey("beauty", "f" * 64, "c" * 64, "exclude")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Beauty with two seeds of FAME and SASRec, one of an ablation, and a run of other settings."""
    results = Results(tmp_path)
    popularity = RunKey(DATA, "popularity", "none", 0)
    results.add(popularity, summarise_ranks(np.array([30])), np.array([30]))

    def add(name: str, seed: int, ranks: list[int], **settings: object) -> None:
        configs = variant(name).configs("beauty", seed=seed, **settings)
        figures = {**summarise_ranks(np.array(ranks)), "parameters": 1234, "valid_NDCG@10": 0.5}
        if name != "sasrec":
            figures |= {
                "heads_gate_mean": f"0.{seed + 3}000 0.{7 - seed}000",
                "heads_HR@10": "0.1000 0.2000",
                "heads_router_entropy": "0.5000 0.7500",
                "heads_overlap@20": 0.25,
            }
        results.add(RunKey.of(DATA, name, *configs), figures, np.array(ranks))

    for seed in (0, 1):
        add("fame", seed, [1, 2, 30, 40])
        add("fame-start", seed, [1, 2, 30, 40])
        add("sasrec", seed, [1, 20, 30, 40])
    add("fame-clicks", 0, [1, 20, 30, 40])
    add("sasrec-clicks", 0, [1, 2, 30, 40])
    add("2x1-clicks", 0, [1, 2, 3, 40])
    add("fame-256", 0, [1, 2, 3, 4])
    add("sasrec-256", 0, [1, 2, 30, 40])
    add("no-experts", 0, [1, 2, 3, 40])
    for seed in (0, 1):
        add("1x4", seed, [1, 2, 30, 40])
    add("fame", 0, [1, 1, 1, 1], dropout=0.77)
    return results


def test_a_table_says_mean_and_spread_heads_and_commands(results: Results) -> None:
    markdown = results_markdown(results)
    overview, beauty, sports = markdown.split("### ")[1:4]
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in beauty.splitlines()
        if line.startswith("| ") and not line.startswith("| model")
    }
    # Out of the second table, where it is compared with.
    fame = rows["FAME, facets at the start only"]
    assert fame[:2] == ["2", "0.5000 ± 0.0000"] and fame[3:5] == ["", "1,234"]
    # Shares .3 .7 and .4 .6: heads have no order of their own, so the larger ones meet.
    assert fame[5:] == ["65 %, 35 %", "0.2000, 0.1000", "25 %", "0.75, 0.50"]
    assert rows["SASRec"][4:] == ["", "", "", ""]
    assert rows["popularity"][1] == "0.0000"
    # What has one thing changed is compared with FAME's runs of the same seeds: 3 hits to 2 of 4.
    assert rows["without experts (E = 1)"][:2] == ["1", "0.7500"]
    assert rows["without experts (E = 1)"][3].startswith("+50.0 % (")
    assert rows["without experts (E = 1)"][5:] == ["70 %, 30 %", "0.2000, 0.1000", "25 %", ""]
    assert rows["1 head x 4 experts"][3].startswith("+0.0 % (")
    assert rows["1 head x 4 experts"][7:] == ["", "0.75, 0.50"]
    widths = {line.count("|") for line in beauty.splitlines() if line.startswith("|")}
    assert widths == {10, 11}
    assert "`python -m fame reproduce beauty --models fame,sasrec --seeds 2`" in beauty
    # A command fills rows and asks for no more: rows of other numbers of seeds have their own.
    assert "`python -m fame reproduce beauty --models 1x4 --seeds 2`" in beauty
    assert "`python -m fame reproduce beauty --models no-experts --seeds 1`" in beauty
    assert "FAME, trained as here over SASRec, 2 paired seeds: HR@10 +100.0 %" in beauty
    # Each model from clicks alone is compared with SASRec from clicks alone.
    assert rows["FAME, from clicks alone"][:2] == ["1", "0.2500"]
    assert "clicks alone over SASRec, from clicks alone, 1 paired seed: HR@10 -50.0 %" in beauty
    assert rows["2 heads x 1 expert, from clicks alone"][:2] == ["1", "0.7500"]
    assert (
        "2 heads x 1 expert, from clicks alone over SASRec, from clicks alone, 1 paired seed: "
        "HR@10 +50.0 %" in beauty
    )
    command = "`python -m fame reproduce beauty --models fame-clicks,sasrec-clicks,2x1-clicks"
    assert f"{command} --seeds 1`" in beauty
    assert (
        "256, facets at the start only over SASRec of width 256, 1 paired seed: HR@10 +100.0 %"
        in beauty
    )
    assert "`python -m fame reproduce beauty --models fame-256,sasrec-256 --seeds 1`" in beauty
    assert "Not run yet." in sports
    # At a glance stands every FAME beside its own SASRec, over the seeds of both.
    glance = [
        [cell.strip() for cell in line.split("|")[2:-1]]
        for line in overview.splitlines()
        if line.startswith("| Amazon Beauty")
    ]
    assert [cells[0] for cells in glance] == [
        "FAME, trained as here",
        "FAME, from clicks alone",
        "FAME, facets at the start only",
        "FAME of width 256, facets at the start only",
    ]
    assert glance[0][1:3] == ["2", "0.5000 ± 0.0000"] and glance[0][4] == "0.2500 ± 0.0000"
    assert glance[0][6].startswith("+100.0 % (")
    assert [cells[4] for cells in glance[1:]] == ["0.5000", "0.2500 ± 0.0000", "0.5000"]
    assert "With several paired seeds: in brackets a 95 % interval that draws seeds" in overview
    assert "With one seed: in brackets a 95 % interval that draws people" in overview


def test_rows_of_the_recipe_of_before_stay_under_a_name_of_their_own(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAME gets heads that are facets: its old rows, and those made of it, are still told."""

    def load(data: str, kind: str) -> dict[str, object]:
        facets = {"heads": 3, "width": 192, "start_facets": "", "head_facets": "brand/category/"}
        return {**load_recipe(data, kind), **(facets if kind in ("fame", "fame-columns") else {})}

    films = replace(DATA, data="ml-20m")
    for name in ("fame", "sasrec"):
        key = RunKey.of(films, name, *variant(name).configs("ml-20m"))
        figures = {**summarise_ranks(np.array([5, 50])), "parameters": 1, "valid_NDCG@10": 0.5}
        results.add(key, figures, np.array([5, 50]))
    monkeypatch.setattr(variants, "load_recipe", load)
    new = RunKey.of(DATA, "fame", *variant("fame").configs("beauty"))
    figures = {**summarise_ranks(np.array([1, 2, 3, 40])), "parameters": 4321}
    results.add(new, figures, np.array([1, 2, 3, 40]))
    _, beauty, _, _, _, of_films = results_markdown(results).split("### ")[1:7]
    shown = [line for line in beauty.splitlines() if line.startswith("| FAME")]
    assert [line.split("|")[1:4] for line in shown] == [
        [" FAME, trained as here ", " 1 ", " 0.7500 "],
        [" FAME, from clicks alone ", " 1 ", " 0.2500 "],
        [" FAME, facets at the start only ", " 2 ", " 0.5000 ± 0.0000 "],
        [" FAME of width 256, facets at the start only ", " 1 ", " 1.0000 "],
        [" FAME, facets at the start only ", " 2 ", " 0.5000 ± 0.0000 "],  # of one thing changed
    ]
    assert "| without experts (E = 1) | 1 | 0.7500" in beauty
    assert "FAME, facets at the start only over SASRec, 2 paired seeds: HR@10 +100.0 %" in beauty
    assert "`python -m fame reproduce beauty --models fame-start --seeds 2`" in beauty
    # What started from noise was FAME from clicks alone; beside it stands the same SASRec.
    assert "| FAME, from clicks alone | 1 | 0.5000" in of_films and "start only" not in of_films
    assert "FAME, from clicks alone over SASRec, 1 paired seed: HR@10 +0.0 %" in of_films
    assert "| MovieLens 20M, from clicks alone | 1 | 0.5000" in glance_markdown(results)


def test_bounds_stand_by_themselves_beside_the_runs_of_the_recipe(tmp_path: Path) -> None:
    results = Results(tmp_path)

    def add(name: str, seed: int, ranks: list[int], *facets: tuple[str, float, float]) -> None:
        configs = variant(name).configs("ml-100k", seed=seed)
        figures = {**summarise_ranks(np.array(ranks)), "parameters": 1, "valid_NDCG@10": 0.5}
        figures |= {"heads_overlap@20": 0.1 * (seed + 1)}
        if facets:
            told = [
                {
                    **{"facet": facet, "head": head, "nearest": own, "nearest_whole": whole},
                    **{"lists": own / 2, "lists_whole": whole},
                }
                for head, (facet, own, whole) in enumerate(facets)
            ]
            figures["facets"] = json.dumps(told)
        results.add(
            RunKey.of(replace(DATA, data="ml-100k"), name, *configs), figures, np.array(ranks)
        )

    def table() -> dict[str, list[str]]:
        _, _, folded = results_markdown(results).partition("bounded otherwise")
        return {
            cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
            for line in folded.partition("</details>")[0].splitlines()
            if len(cells := line.split("|")) > 2
        }

    add("fame", 0, [1, 2, 30, 40], ("genres", 0.9, 0.8), ("year", 0.6, 0.4))
    assert not table(), "one row is no curve"
    add("bound-0", 0, [1, 20, 30, 40], ("genres", 1.0, 0.8), ("year", 1.0, 0.5))
    add("bound-0", 1, [1, 20, 30, 40], ("genres", 0.8, 0.8), ("year", 0.5, 0.5))
    add("bound-0", 2, [1, 2, 3, 40])  # a run of before agreement was kept
    add("bound-0.2", 0, [1, 20, 30, 40])
    found = table()
    assert found["an item's own part"][3:] == [
        *("same genres, nearest items", "same genres, lists"),
        *("same year, nearest items", "same year, lists", "shared by two heads' first 20"),
    ]
    assert list(found)[2:] == [
        "values alone",
        "own part at most 0.2 of the values' part",
        "own part at most 0.4 of the values' part (the recipe)",
    ]
    assert found["values alone"][:2] == ["3", "0.4167 ± 0.2887"]
    assert found["values alone"][3:] == [
        *("0.90 / 0.80 = 1.12", "0.45 / 0.80 = 0.56", "0.75 / 0.50 = 1.50"),
        *("0.38 / 0.50 = 0.75", "20 %"),
    ]
    assert found["own part at most 0.2 of the values' part"][3:] == ["", "", "", "", "10 %"]
    recipe = found["own part at most 0.4 of the values' part (the recipe)"]
    assert recipe[:2] == ["1", "0.5000"] and recipe[3] == "0.90 / 0.80 = 1.12"
    page = results_markdown(results)
    assert "`python -m fame reproduce ml-100k --models bound-0 --seeds 3`" in page
    assert "`python -m fame reproduce ml-100k --models bound-0.2,bound-0.4 --seeds 1`" in page
    assert page.count("bound-") == 3  # in the commands alone: no row of the tables above


def test_nothing_stands_at_a_glance_where_nothing_was_run(tmp_path: Path) -> None:
    markdown = results_markdown(Results(tmp_path))
    assert markdown.startswith("### Amazon Beauty\n\nNot run yet.")
    assert markdown.count("Not run yet.") == markdown.count("### ")


def test_the_tables_go_between_the_marks_and_nothing_else_moves(
    tmp_path: Path, results: Results
) -> None:
    page = tmp_path / "page.md"
    begin, end = marks("results")
    first, last = marks("glance")
    page.write_text(f"before\n{begin}\nold\n{end}\nbetween\n{first}{last}\nafter\n")
    for _ in range(2):  # a page written before is written over
        write_into(page, results)
        assert page.read_text() == (
            f"before\n{begin}\n\n{results_markdown(results)}\n{end}\n"
            f"between\n{first}\n\n{glance_markdown(results)}\n{last}\nafter\n"
        )


@pytest.mark.parametrize(
    "marked", ["{1} {0}", "{0}", "{1}", "nothing"], ids=["swapped", "open", "closed", "bare"]
)
def test_a_page_without_marks_is_left_alone(tmp_path: Path, results: Results, marked: str) -> None:
    page = tmp_path / "page.md"
    text = marked.format(*marks("results"))
    page.write_text(text)
    with pytest.raises(FameError, match=r"it needs both|needs the lines"):
        write_into(page, results)
    assert page.read_text() == text
    with pytest.raises(FameError, match="cannot be read"):
        write_into(tmp_path / "none.md", results)


def test_a_glance_has_a_row_a_comparison(results: Results) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in glance_markdown(results).splitlines()
    ]
    assert rows[0][:5] == ["HR@10", "paired seeds", "FAME", "SASRec", "FAME over SASRec"]
    assert [row[:4] for row in rows[2:]] == [
        ["Amazon Beauty", "2", "0.5000 ± 0.0000", "0.2500 ± 0.0000"],
        ["Amazon Beauty, from clicks alone", "1", "0.2500", "0.5000"],
    ]
    popularity = rows[0].index("popularity")
    assert {row[popularity] for row in rows[2:]} == {"0.0000"}


@pytest.mark.parametrize(
    ("page", "name", "table"),
    [
        ("README.md", "glance", glance_markdown),
        ("checkpoints/README.md", "results", results_markdown),
    ],
)
def test_the_pages_show_the_tables_that_the_shipped_rows_give(
    page: str, name: str, table: Callable[[Results], str]
) -> None:
    root = Path(__file__).resolve().parents[3]
    begin, end = marks(name)
    shown = (root / page).read_text().partition(begin)[2].partition(end)[0].strip()
    assert shown == table(Results(root / "checkpoints")).strip()
