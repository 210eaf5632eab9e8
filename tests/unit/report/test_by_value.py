"""A report of a checkpoint whose items are made of values: the ledger goes down to them."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fame.checkpoint import Checkpoint, load_checkpoint, write_description, write_weights
from fame.config import TrainConfig
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.lens.trace import ledger, value_ledger
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.presentation.values import head_lines
from fame.report.content import Content, Subject, document, gather
from fame.report.page import render_report
from tests.tiny import TINY
from tests.unit.report.conftest import DATA, NASTY
from tests.unit.report.test_report import Page

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CONFIG = dataclasses.replace(TINY, width=12, heads=3, head_facets="genres/category/")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path, size = tmp_path_factory.mktemp("valued"), DATA.num_items
    items = pd.DataFrame(
        {
            "item_id": DATA.item_ids[1:],
            "title": [f"Place {item}" for item in range(1, size + 1)],
            "genres": [[NASTY, "War"] if item % 3 else [] for item in range(size)],
            "category_1": ["Makeup" if item % 2 else "Hair" for item in range(size)],
            "category_2": ["Nails" if item % 4 else None for item in range(size)],
        }
    )
    made = head_values(ItemAttributes.of(items), CONFIG.facet_shares, size)
    model = build_model(CONFIG, size, ValueIndex.of(made.counts, made.value, made.start))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=noise))
        model.item_embedding.weight[0] = 0
    write_description(path, CONFIG, TrainConfig(), DATA, items)
    write_weights(path, model.state_dict())
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def content(checkpoint: Checkpoint) -> Content:
    return gather(checkpoint, Subject(np.array([7, 9, 3, 12]), held_out=30), k=5)


@pytest.fixture(scope="module")
def page(content: Content) -> Page:
    return Page(render_report(content, NOW))


def sentences(content: Content, item: int) -> list[str]:
    parts = value_ledger(content.trace, item)
    lines = head_lines(parts, content.checkpoint.value_names)
    return [line.sentence(content.called.head(line.head)) for line in lines]


def test_every_recommendation_and_the_held_out_item_say_their_values(content, page) -> None:
    for item in content.fused["item"].tolist():
        for sentence in sentences(content, item):
            assert sentence in page.text["ledger"]
    for item in (content.account.item, content.account.rival):
        for sentence in sentences(content, item):
            assert sentence in page.text["held-out"]
    told = page.text["ledger"]
    assert NASTY in told and "Makeup > Nails" in told and "its own" in told


def test_names_of_values_are_text(page) -> None:
    assert {"img", "i>"}.isdisjoint(tag for tag, _ in page.elements)
    assert len(page.scripts) == 2  # the data and our own


def test_the_data_keeps_the_ledger_by_value(content: Content, page: Page) -> None:
    told = page.document()
    assert told == json.loads(json.dumps(document(content)))
    names = {name for own in content.checkpoint.value_names for name in own}
    rows = [(row["by_head"], row["by_value"]) for row in told["trace"]["fused"]]
    rows += [(side["by_head"], side["by_value"]) for side in told["account"].values()]
    for by_head, by_value in rows:
        sums = [sum(part["points"] for part in own) for own in by_value]
        assert sums == pytest.approx(by_head, rel=1e-4, abs=1e-4)
        assert {part["value"] for own in by_value for part in own} <= {*names, None}
    held_out = told["account"]["held_out"]
    assert (held_out["item"], held_out["rank"]) == ("i30", content.account.rank)
    assert held_out["by_head"] == pytest.approx(ledger(content.trace, np.array([30]))[0])
    assert told["account"]["rival"]["item"] == content.names.id(content.account.rival)


def test_without_values_a_report_is_as_before(told) -> None:
    content = told([7, 9, 3, 12], held_out=30)
    page = Page(render_report(content, NOW))
    assert "values" not in {attributes.get("class") for _, attributes in page.elements}
    assert "its own" not in page.text["ledger"]
    assert document(content)["account"]["held_out"]["by_value"] is None
    assert document(told([7]))["account"] is None


def test_the_style_has_a_place_for_it() -> None:
    import fame.report

    style = (Path(fame.report.__file__).parent / "report.css").read_text()
    assert ".ledger-row .values" in style
