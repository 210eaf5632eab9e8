"""Charts draw what the figures say: read back from their marks."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.lens.faithfulness import DeletionCurve
from fame.presentation.names import UNNAMED, HeadNames
from fame.presentation.palette import AGAINST, FOR, NEUTRAL, head_colour
from fame.report.charts import (
    LedgerRow,
    Move,
    columns,
    deletion_chart,
    head_chip,
    ledger_bars,
    share_bar,
    slope_chart,
    square,
    ticks,
)


@given(below=st.floats(0, 1e3), above=st.floats(1e-3, 1e4), most=st.integers(4, 9))
@settings(max_examples=50)
def test_ticks_are_round_few_and_inside(below, above, most):
    found, span = ticks(-below, above, most), below + above
    assert 2 <= len(found) <= most and 0 in found
    assert all(-below - 1e-6 * span <= tick <= above + 1e-6 * span for tick in found)
    step = found[1] - found[0]
    power = 10.0 ** math.floor(math.log10(step) + 1e-9)
    assert round(step / power, 6) in (1, 2, 5)


def test_ticks_of_nothing():
    assert ticks(3.0, 3.0) == [3.0]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]


def plain(html: str) -> str:
    """Every space a plain one."""
    return html.replace("\u00a0", " ")


def marks(html: str, kind: str) -> list[dict[str, float]]:
    """Left and width in per cent of every mark of a class."""
    styles = re.findall(rf'<i class="{kind}" style="([^"]*)"', html)
    return [
        {name: float(size) for name, size in re.findall(r"(left|width):(-?[\d.]+)%", style)}
        for style in styles
    ]


def test_ledger_bars_end_at_the_sums_of_either_side():
    rows = [
        LedgerRow(1, "a", "A", np.array([3.0, 1.0])),
        LedgerRow(2, "b", "B", np.array([2.0, -1.0]), held_out=True),
    ]
    html = ledger_bars(rows, UNNAMED)
    parts, sums, zero = marks(html, "part"), marks(html, "sum"), marks(html, "zero")[0]["left"]
    unit = (sums[0]["left"] - zero) / 4  # of a point; A's score is 4
    assert [part["width"] / unit for part in parts] == pytest.approx([3, 1, 2, 1], abs=0.01)
    starts = [(part["left"] - zero) / unit for part in parts]
    assert starts == pytest.approx([0, 3, 0, -1], abs=0.01)
    assert (sums[1]["left"] - zero) / unit == pytest.approx(1, abs=0.01)
    assert "◎ B" in html and "Head 2 put in −1.00" in html
    assert html.count(head_colour(1)) == 2


def test_a_ledger_of_one_head_has_no_sum_beside_its_bar():
    assert not marks(ledger_bars([LedgerRow(1, "a", "A", np.array([-2.0]))], UNNAMED), "sum")


def test_a_squares_area_is_the_share():
    side = float(re.findall(r"width:([\d.]+)%", square(0.25, "#000000"))[0])
    assert side == 50


def test_shares_and_columns_are_as_large_as_their_figures():
    shares = re.findall(r"flex:([\d.]+)", share_bar([0.9, 0.1], UNNAMED))
    assert [float(share) for share in shares] == [0.9, 0.1]
    assert "Head 1" not in plain(share_bar([0.0, 1.0], UNNAMED))
    bar = plain(share_bar([0.9, 0.1], UNNAMED))
    assert "90 %" in bar and ">10 %<" not in bar
    heights = re.findall(r"height:([\d.]+)%", columns(np.array([0.2, 0.4]), ["", ""], "red"))
    assert [float(height) for height in heights] == [50, 100]
    assert "height:0.0%" in columns(np.array([0.0]), [""], "red")


def deletion(measure="list", influential=(0, 0.5, 0.8)):
    return DeletionCurve(
        measure,
        np.arange(2),
        np.array(influential, dtype=float),
        np.array([0, 0.4, 0.4]),
        np.array([[0, 0.1, 0.2], [0, 0.3, 0.4]]),
    )


def heights(html: str, kind: str) -> list[float]:
    path = re.findall(rf'<polyline points="([^"]*)"[^>]*class="{kind}"', html)[0]
    return [float(point.split(",")[1]) for point in path.split()]


def test_deletion_curves_are_drawn_to_scale():
    html = plain(deletion_chart(deletion()))
    named, latest, drawn = (heights(html, kind) for kind in ("named", "latest", "random"))
    floor = named[0]
    assert latest[0] == drawn[0] == floor
    unit = (floor - named[2]) / 0.8
    assert (floor - latest[1]) / unit == pytest.approx(0.4, abs=0.002)
    assert (floor - drawn[2]) / unit == pytest.approx(0.3, abs=0.002)
    assert "those it names: 80 %" in html and "at random: 30 % (20 % to 40 %)" in html
    assert "100 %" in html
    item = deletion_chart(deletion("item", (0, -0.5, 2)))
    assert "at random: +0.30" in item and ">−0.5<" in item
    assert min(heights(item, "named")) >= 0


def test_deletion_curves_of_nothing_can_be_drawn():
    flat = DeletionCurve("item", np.arange(2), np.zeros(3), np.zeros(3), np.zeros((2, 3)))
    assert "nan" not in deletion_chart(flat)


def test_slopes_join_the_places_of_an_item():
    moves = [
        Move("a", "A", 1, 3),
        Move("b", "B", 2, 1),
        Move("c", "C", 9, 2),
        Move("d", "<D>", None, None, held_out=True),
    ]
    html = slope_chart(moves, 2)
    groups = re.findall(r"<g data-item=\"(\w)\" data-tip=\"([^\"]*)\">(.*?)</g>", html, re.S)
    assert [key for key, _, _ in groups] == ["a", "b", "c", "d"]
    assert [tip.split("\n")[1] for _, tip, _ in groups] == [
        "#1 → #3, down 2", "#2 → #1, up 1", "#9 → #2, up 7", "– → –, in one history only"
    ]  # fmt: skip
    for (_, _, group), colour in zip(groups, (AGAINST, FOR, FOR, NEUTRAL), strict=True):
        assert f'stroke="{colour}"' in group
    first, second = re.findall(r"points=\"[\d.]+,([\d.]+) [\d.]+,([\d.]+)\"", groups[1][2])[0]
    assert float(second) < float(first)  # up
    assert "◎ &lt;D&gt;" in html
    assert 'class="label faded">A<' in groups[0][2].split("#3")[1]


def test_heads_are_called_by_their_names_and_on_what_they_rest_is_told():
    called = HeadNames(("<i>Genre", None), ("Named by evidence.", "Nothing names Head 2."))
    html = ledger_bars([LedgerRow(1, "a", "A", np.array([-2.0, 1.0]))], called)
    assert "&lt;i&gt;Genre put in −2.00" in html and "Head 2 put in +1.00" in html
    assert "<i>Genre" not in html + share_bar([0.5, 0.5], called) + head_chip(0, called)
    assert 'data-tip="Named by evidence."' in head_chip(0, called)
    assert "Head 1" not in share_bar([1.0, 0.0], called)
