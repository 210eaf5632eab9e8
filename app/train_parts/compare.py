"""How do the runs compare? All of them in a table, and a few beside one another."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

import charts
import components
import resources
import state
import tables
from fame.checkpoint import Description
from fame.experiments.compare_runs import BASELINE, differing
from fame.experiments.results import run_settings
from fame.models.registry import MODELS
from fame.training.runs import RunFolder
from train_parts.fields import LABELS

_PROTOCOL = (
    "Leave-one-out: a person's last click is the test, the one before it the validation; the "
    "whole catalogue is ranked. Figures of different data sets do not compare."
)
_MOST = 8  # runs beside one another: as many as there are colours


def past_runs() -> None:
    """Draws the table of all runs, and those beside one another that were picked."""
    found = resources.trained()
    rows = [
        (name, run.status(), resources.metrics(run.path), resources.description(run.path))
        for name, run in found.items()
    ]
    if not rows:
        return
    components.section("How do the runs compare?", "NDCG@10", "HR@10", "Held-out item")
    table = tables.runs_table(rows)
    figure = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        key="runs",
        column_config={name: figure for name in table.columns if "@" in name}
        | {"Minutes": st.column_config.NumberColumn(format="%.1f")},
    )
    components.quiet(_PROTOCOL)
    components.download(table, "Runs as CSV", "runs")
    _beside(found)


def _beside(found: dict[str, RunFolder]) -> None:
    described = {
        name: about for name, run in found.items() if (about := resources.description(run.path))
    }
    _glance(found, described)
    picked = st.multiselect(
        "Runs beside one another",
        list(described),
        default=[name for name in state.get("runs") if name in described][:_MOST],
        max_selections=_MOST,
        key="pick-runs",
        placeholder="Pick two or more",
    )
    state.settle("runs", tuple(picked))
    if len(picked) < 2:
        return
    curves = {name: resources.history(found[name])[0] for name in picked}
    curves = {name: rows for name, rows in curves.items() if "valid_NDCG@10" in rows}
    if curves:
        left, right = st.columns(2)
        with left:
            components.chart(charts.curves(curves, "valid_NDCG@10"), "validation-beside")
        with right:
            components.chart(charts.curves(curves, "loss"), "loss-beside")
    if lacking := [name for name in picked if name not in curves]:
        components.quiet(f"No curves were kept of {', '.join(lacking)}.")
    _differences({name: described[name] for name in picked})
    _gains({name: found[name] for name in picked}, described)


def _differences(described: dict[str, Description]) -> None:
    settings: dict[str, dict[str, Any]] = {
        name: {"data": about.data.name}
        | run_settings(about.model_config, about.train_config)
        | {"seed": about.train_config.seed}
        for name, about in described.items()
    }
    table = differing(settings)
    components.part("What they differ in")
    if not len(table):
        components.quiet("All their settings are the same.")
        return
    table.index = [LABELS.get(str(name), str(name)) for name in table.index]
    st.dataframe(table.rename_axis("Setting").reset_index(), hide_index=True, key="differences")


def _gains(found: dict[str, RunFolder], described: dict[str, Description]) -> None:
    """Final figures, and how far each is ahead of the first, over the same people."""
    first, *others = found
    rows = []
    for name in found:
        test = resources.metrics(found[name].path).get("test", {})
        row = {"Run": name, "Test NDCG@10": test.get("NDCG@10"), "Test HR@10": test.get("HR@10")}
        rows.append(row | _ahead(name, first, found, described) if name in others else row)
    components.part("What came out")
    figure = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        key="gains",
        column_config={"Test NDCG@10": figure, "Test HR@10": figure},
    )
    components.quiet(
        f"Ahead of {first} on the same people, in brackets a 95 % interval that draws people anew; "
        "it does not say what other seeds would give."
    )


def _ahead(
    name: str, first: str, found: dict[str, RunFolder], described: dict[str, Description]
) -> dict[str, str]:
    one, other = described[name], described[first]
    if _data_of(one) != _data_of(other):
        return {"Ahead in NDCG@10": "other data", "Ahead in HR@10": "other data"}
    gains = resources.gains(found[name], found[first])
    if gains is None:
        return {"Ahead in NDCG@10": "no ranks kept", "Ahead in HR@10": "no ranks kept"}
    return {f"Ahead in {figure}": gain.in_words() for figure, gain in gains.items()}


def _data_of(about: Description) -> tuple[str, ...]:
    return about.data.fingerprint, about.data.catalogue, about.data.repeats


def _glance(found: dict[str, RunFolder], described: dict[str, Description]) -> None:
    """The chosen run against SASRec: one that was trained here, else that of the tables."""
    name = state.get("run")
    about = described.get(name)
    if about is None or not MODELS[about.model_config.model].heads_rank:
        return
    for other, told in described.items():
        if told.model_config.model == BASELINE and _data_of(told) == _data_of(about):
            gains = resources.gains(found[name], found[other])
            if gains is not None:
                break
    else:
        other, gains = "the one of the tables", resources.gains(found[name], None)
    if gains is None:
        return
    components.words(
        f"{name} against SASRec ({other}): NDCG@10 {gains['NDCG@10'].in_words()} on the same "
        "people; in brackets a 95 % interval that draws people anew."
    )
