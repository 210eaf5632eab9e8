"""A row of the table is that of its run, and of no other that has the same name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fame.baselines import COUNTING
from fame.checkpoint import DataInfo, load_checkpoint
from fame.data import Dataset
from fame.errors import FameError
from fame.experiments import results as table
from fame.experiments.reproduce import Row, reproduce
from fame.experiments.results import Results
from fame.experiments.results_page import results_markdown
from fame.experiments.variants import variants
from fame.survey import own_facets
from fame.training import train as training_run
from fame.training.runs import RunFolder
from fame.training.train import train
from tests.integration.conftest import SHAPE, TRAINING

SETTINGS = {"epochs": 1, "width": 8, "layers": 1, "max_length": 8, "device": "cpu"}


def trained(dataset: Dataset, results: Results) -> list[str]:
    """What ``reproduce`` trained to have a row of FAME on a data set."""
    ran: list[str] = []
    summary = reproduce(dataset, variants(["fame"]), 1, results, settings=SETTINGS,
                        on_run=ran.append)  # fmt: skip
    assert summary is not None
    return ran


def shuffled(dataset: Dataset, column: str) -> Dataset:
    return replace(
        dataset, items=dataset.items.assign(**{column: dataset.items[column][::-1].values})
    )


CHANGES: dict[str, Callable[[Dataset], Dataset]] = {
    "titles": lambda dataset: shuffled(dataset, "title"),
    "a facet": lambda dataset: shuffled(dataset, "region"),
    "repeats": lambda dataset: replace(
        dataset, interactions=replace(dataset.interactions, repeats="recommend")
    ),
    "histories": lambda dataset: replace(
        dataset, interactions=replace(dataset.interactions, items=dataset.interactions.items[::-1])
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_is_trained_on_anew(dataset: Dataset, tmp_path: Path, change: str) -> None:
    results, changed = Results(tmp_path), CHANGES[change](dataset)
    assert trained(dataset, results) == ["FAME, trained as here, seed 0"]
    assert trained(dataset, results) == []
    assert trained(changed, results) == ["FAME, trained as here, seed 0"]
    assert trained(dataset, results) == trained(changed, results) == []
    rows = results.rows()
    assert rows["model"].value_counts().to_dict() == dict.fromkeys(["fame", *COUNTING], 2)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert len(list((tmp_path / "ranks").iterdir())) == len(rows)
    for data in (dataset, changed):
        row = Row.of(variants(["fame"])[0], data, 1, SETTINGS, results)
        held = load_checkpoint(results.run_folder(row.keys[0]))
        assert held.data == DataInfo.of(data.interactions, data.items)


def test_a_run_of_heads_made_of_facets_keeps_how_far_they_go_by_them(
    dataset: Dataset, tmp_path: Path
) -> None:
    results = Results(tmp_path)
    settings = {**SETTINGS, "head_facets": "region/"}
    for name, ran in (("fame", 1), ("bound-0.6", 0), ("bound-0", 1)):  # 0.6 is the default
        told: list[str] = []
        reproduce(dataset, variants([name]), 1, results, settings=settings, on_run=told.append)
        assert len(told) == ran, name
    rows = results.rows().set_index("model")
    for name in ("fame", "bound-0"):
        (stored,) = json.loads(rows.loc[name, "facets"])
        row = Row.of(variants([name])[0], dataset, 1, settings, results)
        held = load_checkpoint(results.run_folder(row.keys[0]))
        assert [stored] == [asdict(own) for own in own_facets(held, dataset.interactions)]
        assert (stored["facet"], stored["head"]) == ("region", 0)
        assert stored["nearest"] > 5 / 11  # what five of the eleven others would by chance
    reproduce(dataset, variants(["fame"]), 1, results, settings=SETTINGS)
    assert results.rows()["facets"].notna().sum() == 2


def test_a_row_of_another_version_of_the_code_is_no_row(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path)
    trained(dataset, results)
    of = table.RunKey.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(of, "__defaults__", (2,))
    assert trained(dataset, results) == ["FAME, trained as here, seed 0"]
    assert sorted(results.rows().query("model == 'fame'")["code"]) == [1, 2]


def test_the_page_keeps_data_of_the_same_name_apart(dataset: Dataset, tmp_path: Path) -> None:
    results = Results(tmp_path)
    defaults = {"epochs": 200, "patience": 10}  # the recipe of a set that has none
    for data in (dataset, shuffled(dataset, "title")):
        row = Row.of(variants(["fame"])[0], data, 1, defaults, results)
        figures = {"HR@10": 0.5, "NDCG@10": 0.25, "parameters": 7}
        results.add(row.keys[0], figures, table.np.array([1]))
    headings = [line for line in results_markdown(results).splitlines() if "walks" in line]
    headings = [line for line in headings if line.startswith("### ")]
    assert len(headings) == len(set(headings)) == 2
    assert all("catalogue" in line for line in headings)


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_is_not_resumed_on_changed_data(
    dataset: Dataset, tmp_path: Path, change: str
) -> None:
    training = replace(TRAINING, epochs=1)
    train(dataset, SHAPE, training, tmp_path, projection=False)
    run = RunFolder(tmp_path)
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.safetensors").touch()
    assert run.can_resume()
    said = "started with repeats=" if change == "repeats" else "started on other data"
    with pytest.raises(FameError, match=said):
        train(CHANGES[change](dataset), SHAPE, training, tmp_path, resume=True)


def test_a_run_is_not_resumed_by_another_version_of_the_code(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(dataset, SHAPE, replace(TRAINING, epochs=1), tmp_path, projection=False)
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.safetensors").touch()
    monkeypatch.setattr(training_run, "CODE_VERSION", 2)
    with pytest.raises(FameError, match="version 1 of the code and this is version 2"):
        train(dataset, SHAPE, TRAINING, tmp_path, resume=True)
