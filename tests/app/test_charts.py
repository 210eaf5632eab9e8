"""Charts, read as data."""

import numpy as np
import pandas as pd
import pytest

import charts
from fame.presentation.names import UNNAMED, HeadNames, expert_name
from fame.presentation.palette import AGAINST, FOR, NEUTRAL, head_colour
from tests.made_up import HTML_TITLE


def ledger(heads=3, items=4):
    shares = np.random.default_rng(0).normal(size=(items, heads))
    table = pd.DataFrame(
        {
            "rank": range(1, items + 1),
            "title": [HTML_TITLE, *["Same title"] * (items - 1)],
            "score": shares.sum(1),
            "held_out": [False, True, *[False] * (items - 2)],
        }
    )
    for head in range(heads):
        table[f"head_{head}"] = shares[:, head]
    return table


def test_the_bars_of_an_item_sum_to_its_score():
    table = ledger()
    figure = charts.ledger_bars(table, UNNAMED)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert figure.layout.barmode == "relative"  # negative parts go to the left
    np.testing.assert_allclose(sum(np.array(bar.x) for bar in bars), table["score"])
    assert [bar.marker.color for bar in bars] == [head_colour(head) for head in range(3)]
    (total,) = [trace for trace in figure.data if trace.type == "scatter"]
    np.testing.assert_allclose(total.x, table["score"])


def test_equal_titles_stay_bars_of_their_own_and_the_held_out_item_is_marked():
    figure = charts.ledger_bars(ledger(), UNNAMED)
    assert list(figure.layout.yaxis.tickvals) == [1, 2, 3, 4]
    assert ["◎" in label for label in figure.layout.yaxis.ticktext] == [False, True, False, False]


def test_titles_are_escaped_in_labels_and_hover():
    figure = charts.ledger_bars(ledger(), UNNAMED)
    for text in (figure.layout.yaxis.ticktext[0], figure.data[0].customdata[0][0]):
        assert "<b>x</b>" not in text
        assert "$" not in text
        assert "&lt;b&gt;x&lt;/b&gt; &#36;5" in text


def test_one_head_needs_no_legend_and_no_sum():
    figure = charts.ledger_bars(ledger(heads=1), UNNAMED)
    assert len(figure.data) == 1
    assert not figure.layout.showlegend


def test_the_filled_area_of_a_square_is_the_share():
    router = pd.DataFrame(
        {
            "head": [0, 0, 1, 1],
            "expert": [0, 1, 0, 1],
            "share": [0.25, 0.75, 1.0, 0.0],
            "name": ["a", "b", f"Head 2, expert 1 ({HTML_TITLE})", "d"],
            "serves": ["", "War 2.3×", "", HTML_TITLE],
        }
    )
    figure = charts.router_squares(router, UNNAMED)
    hovers = [[row[3] for row in trace.customdata] for trace in figure.data[1::2]]
    assert hovers[0] == ["", "<br>War 2.3×"]
    assert "<b>" not in figure.data[3].text[0] and "<b>" not in hovers[1][1].removeprefix("<br>")
    assert [row[:2] for row in figure.data[3].customdata] == [[1, 0], [1, 1]]
    frames, filled = figure.data[::2], figure.data[1::2]
    for head, (frame, squares) in enumerate(zip(frames, filled, strict=True)):
        area = (np.array(squares.marker.size) / frame.marker.size) ** 2
        np.testing.assert_allclose(area, router.loc[router["head"] == head, "share"])
        assert squares.marker.color == head_colour(head)


def test_shares_along_the_history_stack_to_one():
    path = pd.DataFrame(
        {
            "click": [1, 1, 2, 2],
            "title": ["a", "a", "b", "b"],
            "part": [0, 1, 0, 1],
            "share": [0.5, 0.5, 0.9, 0.1],
            "listed": [["c", HTML_TITLE]] * 4,
        }
    )
    figure = charts.share_path(path, ["Head 1", "Head 2"], ["#111111", "#222222"])
    assert figure.layout.barmode == "stack"
    np.testing.assert_allclose(sum(np.array(trace.y) for trace in figure.data), 1)


def test_a_long_history_is_drawn_as_areas():
    clicks = np.arange(100)
    path = pd.DataFrame({"click": clicks, "title": "a", "part": 0, "share": 1.0})
    path["listed"] = [["b"]] * 100
    (trace,) = charts.share_path(path, ["Head 1"], ["#111111"]).data
    assert (trace.type, trace.stackgroup) == ("scatter", "shares")
    assert len(trace.x) == 100


def test_shades_are_one_colour_getting_weaker():
    assert charts.shades("#0A141E", 2) == ["rgba(10,20,30,1.00)", "rgba(10,20,30,0.25)"]


def test_the_best_epoch_is_marked():
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "loss": [3, 2, 1], "valid_NDCG@10": [0.1, 0.3, 0.2]}
    )
    figure = charts.validation_curve(history)
    assert list(figure.data[0].y) == [0.1, 0.3, 0.2]
    assert list(figure.data[1].x) == [2]
    assert list(charts.loss_curve(history).data[0].y) == [3, 2, 1]
    # Of one epoch Plotly would draw an axis from a unit below the point to one above it.
    assert figure.layout.yaxis.rangemode == "nonnegative"


@pytest.mark.parametrize("heads", [1, 2, 9])
def test_backgrounds_are_left_to_the_theme(heads):
    figure = charts.ledger_bars(ledger(heads), UNNAMED)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def squares(values, parts=(-1, 0)):
    rows = len(values)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(rows), len(parts)),
            "item": np.repeat(np.arange(rows) + 7, len(parts)),
            "title": np.repeat([HTML_TITLE, *["b"] * (rows - 1)], len(parts)),
            "part": np.tile(parts, rows),
            "value": np.ravel(values),
        }
    )


def test_the_area_of_a_square_is_the_influence_and_its_colour_the_direction():
    table = squares([[0.5, -0.25], [1.0, 0.0]])
    frame, filled = charts.influence_squares(table, UNNAMED, 1, 1.0, "score", signed=True).data
    area = (np.array(filled.marker.size) / frame.marker.size) ** 2
    np.testing.assert_allclose(area, [0.5, 0.25, 1.0, 0.0])
    assert list(filled.marker.color) == [FOR, AGAINST, FOR, FOR]
    assert list(filled.customdata) == [7, 7, 8, 8]  # what a click gives back
    assert "<b>x</b>" not in "".join(filled.text)
    counts = charts.influence_squares(
        table.assign(value=1.0), UNNAMED, 1, 1.0, "items", signed=False
    ).data[1]
    assert list(counts.marker.color) == [NEUTRAL, head_colour(0)] * 2


def moves(before, after):
    ranks = {"rank_before": before, "rank_after": after}
    table = pd.DataFrame(ranks).astype("Int64")
    return table.assign(title=[HTML_TITLE, *"bcdef"][: len(before)], held_out=False)


def test_lines_of_the_slope_join_ranks_and_what_is_not_listed_stands_below():
    figure = charts.slope(moves([1, 2, 9], [2, None, 1]), k=2)
    first, gone, new = figure.data
    assert list(first.y) == [0, 1]
    assert (first.line.color, new.line.color, gone.line.color) == (AGAINST, FOR, NEUTRAL)
    assert gone.y[1] > 1 and new.y[0] > 1  # below the two that are listed
    assert new.y[1] == 0
    assert "in the history" in gone.text[1]
    assert "<b>x</b>" not in first.text[0] + first.hovertemplate
    assert new.text[0].startswith("<b>") is False and new.text[1].startswith("<b>")


def test_the_deletion_curves_stand_over_the_band_of_random_draws():
    curve = pd.DataFrame(
        {"removed": [0, 1], "influential": [0, 1.0], "latest": [0, 0.5], "random": [0, 0.2]}
    )
    plain = charts.deletion_curves(curve, "Share", share=True)
    assert [trace.name for trace in plain.data] == [
        "Named clicks",
        "Latest clicks",
        "Random clicks",
    ]
    banded = charts.deletion_curves(curve.assign(low=0.1, high=0.3), "Share", share=True)
    low, high = banded.data[:2]
    assert (list(low.y), list(high.y), high.fill) == ([0.1, 0.1], [0.3, 0.3], "tonexty")


def test_attention_is_a_bar_a_click():
    table = pd.DataFrame({"click": [3, 4], "title": [HTML_TITLE, "b"], "share": [0.25, 0.75]})
    (bars,) = charts.attention_bars(table, "#111111").data
    assert (list(bars.x), list(bars.y)) == ([3, 4], [0.25, 0.75])
    assert "<b>x</b>" not in bars.customdata[0]


def test_the_rank_of_a_row_does_not_stretch_the_ledger():
    figure = charts.ledger_bars(ledger(items=2).assign(rank=[3, 4000]), UNNAMED)
    assert list(figure.data[0].y) == [1, 2]
    assert "<b>4000</b>" in figure.layout.yaxis.ticktext[1]


def test_agreement_has_a_dot_a_space_and_a_stroke_for_chance():
    table = pd.DataFrame(
        {
            "facet": ["<b>Brand", "<b>Brand", "<b>Brand", "Genre", "Genre", "Genre"],
            "space": ["all", "head_0", "head_1"] * 2,
            "share": [0.3, 0.4, 0.1, 0.5, 0.2, 0.6],
            "chance": [0.01] * 3 + [0.2] * 3,
        }
    )
    figure = charts.agreement_dots(table, UNNAMED)
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    dots = {trace.name: (trace.x, tuple(np.round(trace.y, 9))) for trace in markers}
    assert dots == {
        "Chance": ((0.01, 0.2), (0, 1)),
        "Whole embedding": ((0.3, 0.5), (-0.14, 0.86)),
        "Head 1": ((0.4, 0.2), (0, 1)),
        "Head 2": ((0.1, 0.6), (0.14, 1.14)),
    }
    spans = next(trace for trace in figure.data if trace.mode == "lines")
    assert list(spans.x) == [0.1, 0.4, None, 0.2, 0.6, None]
    assert "<b>" not in figure.layout.yaxis.ticktext[0]


HOSTILE = HeadNames(("<b>x</b>%{x} $5$", "Era", None))


def test_charts_call_heads_by_their_names_which_are_text():
    router = pd.DataFrame({"head": [0, 1, 2], "expert": 0, "share": 1.0, "serves": "<b>x $5$"})
    router["name"] = [expert_name(0, ["x=<b>x"], head=HOSTILE.head(head)) for head in range(3)]
    squares = pd.DataFrame({"row": 0, "item": 7, "title": "T", "part": [-1, 0, 1], "value": 1.0})
    dots = pd.DataFrame({"facet": "F", "space": ["head_0", "head_1"], "share": 0.5, "chance": 0.1})
    path = pd.DataFrame(
        {"click": 1, "title": "T", "part": [0, 1], "share": 0.5, "listed": [[], []]}
    )
    names = [HOSTILE.head(0), HOSTILE.head(1)]
    drawn = [
        charts.ledger_bars(ledger(), HOSTILE),
        charts.router_squares(router, HOSTILE),
        charts.influence_squares(squares, HOSTILE, 2, 1.0, "items", signed=False),
        charts.agreement_dots(dots, HOSTILE),
        charts.share_path(path, names, ["#111111", "#222222"]),
    ]
    for figure in drawn:
        spec = figure.to_json()
        assert "<b>x" not in spec and "$5$" not in spec
        assert "Era" in spec and "Head 1" not in spec and "Head 2" not in spec
        for trace in figure.data:  # what is filled in is ours alone
            assert "%{x} " not in (trace.hovertemplate or "")
    assert "Head 3" in drawn[0].to_json() and "Head 3" in drawn[1].to_json()


def test_a_long_name_leaves_room_and_is_whole_under_the_mouse():
    called = HeadNames(("Everything about the year", None))
    router = pd.DataFrame({"head": [0, 1], "expert": 0, "share": 1.0, "serves": ""})
    router["name"] = [expert_name(0, head=called.head(head)) for head in range(2)]
    figure = charts.router_squares(router, called)
    label = figure.layout.yaxis.ticktext[0]
    assert len(label) <= 14 and figure.layout.margin.l >= 8 * len(label)
    assert figure.data[1].text[0].startswith(called.head(0))
