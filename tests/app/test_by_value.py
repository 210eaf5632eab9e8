"""Lens on a checkpoint whose items are made of values: scores by value, and something new."""

import dataclasses
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import state
from fame.checkpoint import Checkpoint, load_checkpoint, write_description, write_weights
from fame.config import TrainConfig
from fame.data import load
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values, numbers_of
from fame.head_names import read_head_names
from fame.lens.account import item_account
from fame.lens.trace import around, fused_table, new_item, trace_history, value_ledger
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.models.sequence_model import Intervention
from fame.presentation.values import head_lines
from tests import made_up
from tests.app.walk import assert_calm, headings, html_of, query, warnings
from text import for_markdown

VALUED = "valued"
CONFIG = dataclasses.replace(made_up.FAME, head_facets="genres/year/")
NASTY = "*x* [a](b) $5$, year=1950 :red[hot] <img src=x onerror=alert(1)>"
PICKED = (f"genres={NASTY}", "year=1960s")


@pytest.fixture
def valued(home: Path) -> Checkpoint:
    """A checkpoint beside the others, with a value that would be markup and more values."""
    path, dataset = home / "checkpoints" / VALUED, load(made_up.NAME, offline=True)
    genres = dataset.items["genres"].map(
        lambda own: [NASTY if value == "War" else value for value in own]
    )
    years = dataset.items["year"] // 2 * 2  # so that some have one in common
    items, data = dataset.items.assign(genres=genres, year=years), dataset.interactions
    made = head_values(ItemAttributes.of(items), CONFIG.facet_shares, data.num_items)
    torch.manual_seed(5)
    model = build_model(CONFIG, data.num_items, ValueIndex.of(made.counts, made.value, made.start))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    write_description(path, CONFIG, TrainConfig(), data, items)
    write_weights(path, model.state_dict())
    return load_checkpoint(path)


def traced(checkpoint: Checkpoint, user: str = "u3", change: Intervention | None = None):
    data = load(made_up.NAME, offline=True).interactions
    history, _ = data.split_user(data.user_index(user))
    return trace_history(checkpoint.model, history, intervention=change)


def plain(page: str) -> str:
    """HTML as somebody reads it."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def text_of(app) -> str:
    return plain(html_of(app))


def sentences(checkpoint: Checkpoint, parts, *, new: bool = False) -> list[str]:
    lines = head_lines(parts, checkpoint.value_names, new=new)
    called = read_head_names(checkpoint)
    return [line.sentence(called.head(line.head)) for line in lines]


def test_every_recommendation_says_its_values(open_app, valued):
    app = open_app(checkpoint=VALUED, user="u3", k="5", part="ledger")
    assert_calm(app)
    trace, page = traced(valued), text_of(app)
    for item in fused_table(trace, 5)["item"]:
        for sentence in sentences(valued, value_ledger(trace, item)):
            assert sentence in page
    assert NASTY in page and "<img" not in html_of(app)

    app.session_state["ledger-numbers"] = True
    app.run()
    ledger, parts = (frame.value for frame in app.dataframe)
    sums = parts.groupby(["Rank", "Head"])["Points"].sum().unstack()
    heads = ledger.set_index("Rank")[list(sums.columns)]
    np.testing.assert_allclose(sums.loc[heads.index], heads, rtol=1e-4, atol=1e-5)
    assert set(parts["Facet"]) == {"Genres", "Year", ""}


def test_raw_parts_are_told_where_raw_is_asked_for(open_app, valued):
    app = open_app(checkpoint=VALUED, user="u3", k="1", part="ledger", scores="raw")
    trace = traced(valued)
    (item,) = fused_table(trace, 1)["item"]
    raw, centred = (sentences(valued, value_ledger(trace, item, raw=r)) for r in (True, False))
    assert raw != centred
    assert all(sentence in text_of(app) for sentence in raw)


def test_any_item_is_accounted_for_by_value(open_app, valued):
    app = open_app(checkpoint=VALUED, user="u3", k="3", part="item", item="1")
    assert_calm(app)
    trace, page = traced(valued), text_of(app)
    for item in (1, item_account(trace, 1, 3).rival):
        for sentence in sentences(valued, value_ledger(trace, item)):
            assert sentence in page
    labels = [button.proto.label for button in app.get("download_button")]
    assert "Account by value as CSV" in labels


def test_without_values_nothing_is_told_of_them(open_app):
    app = open_app(checkpoint=made_up.NAME, user="u3", part="new", new="genres=War")
    assert_calm(app)
    assert "lens-values" not in html_of(app)
    assert "Something new" not in app.segmented_control(key="choice-part").options
    assert "knows items one by one" in warnings(app)
    assert (query(app, "new"), query(app, "part")) == (None, None)


GATE = (1.0, 2.0, 0.0)


@pytest.mark.parametrize("desk", [{}, {"gate": "1,2,0", "mute": "0:1"}])
def test_something_new_is_placed_in_the_list_as_the_desk_makes_it(open_app, valued, desk):
    address = state.CHOICES["new"].write(PICKED)
    app = open_app(checkpoint=VALUED, user="u3", part="new", new=address, **desk)
    assert_calm(app)
    assert not app.warning
    assert query(app, "new") == address
    assert headings(app)[-1] == "Where would a new item stand in this list?"
    change = Intervention(gate=GATE, muted=((0, 1),)) if desk else None
    trace = traced(valued, change=change)
    found = new_item(trace, numbers_of(PICKED, valued.value_names))
    page, among = text_of(app), int(trace.candidates.sum()) + 1
    assert f"would stand at rank {found.rank} of {among}" in page
    for rank in found.rank_by_head:
        assert f"{rank} of {among}" in page
    for sentence in sentences(valued, found.by_value, new=True):
        assert sentence in page
    part = plain(html_of(app).rsplit('class="lens-values"', 1)[1])
    above, below = around(trace, found.rank, 3)
    for rank, item in enumerate([*above, *below], found.rank - len(above)):
        title = valued.items["title"].iat[item - 1]
        shown = rank + (rank >= found.rank)
        assert f"{shown}{title}" in part or f"{shown}◎ {title}" in part
    assert "rests on its values alone" in page


def test_values_are_picked_searched_for_and_taken_back(open_app, valued):
    app = open_app(checkpoint=VALUED, user="u3", part="new")
    assert_calm(app)
    assert "Pick at least one value" in text_of(app)
    assert [field.label for field in app.multiselect] == [
        for_markdown("Genre · Head 1"),
        for_markdown("Era · Head 2"),
    ]
    assert "1960s" in app.multiselect[1].options
    often = valued.items["genres"].explode().value_counts()  # the frequent ones are seen first
    offered = [often[name] for name in app.multiselect[0].options]
    assert len(offered) == len(often) and offered == sorted(offered, reverse=True)
    app.multiselect[1].set_value(["year=1960s"]).run()
    app.multiselect[0].set_value([PICKED[0]]).run()
    assert_calm(app)
    assert state.CHOICES["new"].read(query(app, "new")) == PICKED[::-1]
    other = open_app(checkpoint=VALUED, user="u3", part="new", new=query(app, "new"))
    assert [field.value for field in other.multiselect] == [[PICKED[0]], ["year=1960s"]]

    app.multiselect[1].set_value([]).run()
    app.multiselect[0].set_value([]).run()
    assert query(app, "new") is None
    assert "Pick at least one value" in text_of(app)


@pytest.mark.parametrize(
    ("new", "told", "kept"),
    [
        ("year=1960S", "No item has the value 'year=1960S'; near it are year=19", ()),
        ("year=1960s,<b>x</b>", "No item has the value '<b>x</b>'", ("year=1960s",)),
        (",".join(f"x={n}" for n in range(51)), "new may hold at most 50 values, not 51", ()),
        (" , ", "", ()),
    ],
)
def test_wrong_values_in_an_address_are_told_and_left_aside(open_app, valued, new, told, kept):
    app = open_app(checkpoint=VALUED, user="u3", part="new", new=new)
    assert_calm(app)
    assert len(app.warning) == bool(told)
    assert told in warnings(app)
    assert (query(app, "new") or "") == state.CHOICES["new"].write(kept)


def test_values_survive_the_address_whatever_they_are_called():
    values = (*PICKED, "brand=Ben, Jerry & Sons", "a= b ", "x=%2C+é", "category=A > B")
    choice = state.CHOICES["new"]
    assert choice.read(choice.write(values)) == values
    assert choice.read("genres=Horror, year=1998") == ("genres=Horror", "year=1998")


def test_the_trace_that_is_taken_along_has_what_is_new(open_app, valued, offered):
    open_app(checkpoint=VALUED, user="u3", new="year=1960s")
    told = json.loads(offered["Trace as JSON"]())
    found = new_item(traced(valued), numbers_of(["year=1960s"], valued.value_names))
    assert told["new"]["rank"] == found.rank
    assert told["new"]["values"] == ["year=1960s"]
