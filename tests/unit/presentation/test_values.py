"""The ledger by value as it is shown: figures that add up, values as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.data.registry import SETS, thing_of
from fame.presentation.sentences import new_item_sentence
from fame.presentation.values import ValueName, adding_up, column_widths, head_lines

NAMES = (("genres=Crime", "genres=Drama", "genres=War"), ("category=A", "category=A > B"), ())


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=8))
def test_shown_parts_add_up_to_the_shown_total(parts: list[float]) -> None:
    total = sum(parts)
    shown = adding_up(parts, total)
    assert sum(round(100 * part) for part in shown) == round(100 * round(total, 2))
    for part, exact in zip(shown, parts, strict=True):
        assert round(part, 2) == part
        assert abs(part - exact) < 0.01 + 1e-9


def test_parts_that_need_no_rounding_stay() -> None:
    assert adding_up([0.25, -1.5, 3.0], 1.75) == [0.25, -1.5, 3.0]
    assert adding_up([0.004, 0.004, 0.004], 0.012) == [0.01, 0.0, 0.0]


def test_a_head_says_its_values_from_the_largest_and_its_own_last() -> None:
    by_value = [
        [(1, 0.404), (0, -1.6), (None, 3.298)],
        [(3, 0.5), (4, 0.25), (None, -0.25)],
        [(None, 1.0)],
    ]
    assert [line.sentence(f"H{line.head}") for line in head_lines(by_value, NAMES)] == [
        "H0 +2.10: Crime −1.60, Drama +0.40, its own +3.30",
        "H1 +0.50: A +0.50, A > B +0.25, its own −0.25",
        "H2 +1.00",
    ]


def test_a_silent_head_and_an_item_without_values() -> None:
    by_value = [[(0, 0.0), (None, 0.0)], [(None, -0.5)], [(None, 0.25)]]
    told = [line.sentence("H") for line in head_lines(by_value, NAMES)]
    assert told == ["H 0.00", "H −0.50: its own, no value known −0.50", "H +0.25"]
    told = [line.sentence("H") for line in head_lines(by_value, NAMES, new=True)]
    assert told[1:] == [
        "H −0.50: nothing of its own, no value known −0.50",
        "H +0.25: nothing of its own +0.25",
    ]


@pytest.mark.parametrize(("values", "apart"), [(5, 5), (6, 4), (9, 4)])
def test_many_small_values_are_told_together(values: int, apart: int) -> None:
    names = (tuple(f"x={n}" for n in range(values)),)
    parts = [(n, 1.0 / (n + 1)) for n in range(values)]
    (line,) = head_lines([[*parts, (None, 0.5)]], names)
    singles = [part for part in line.parts if isinstance(part.name, ValueName)]
    assert [part.name.label for part in singles] == [str(n) for n in range(apart)]
    rest = [part.name for part in line.parts[apart:]]
    assert rest == [*([f"{values - apart} more"] if values > apart else []), "its own"]
    assert sum(part.points for part in line.parts) == pytest.approx(line.points, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "whole", "near", "label"),
    [
        ("genres=Drama", "Drama", "", "Drama"),
        ("year=1990s", "1990s", "", "1990s"),
        ("category=Makeup > Nails", "Makeup > Nails", "Makeup > ", "Nails"),
        ("category=A > B > C > D", "A > B > C > D", "… > C > ", "D"),
        ("brand=a=b\n c", "a=b c", "", "a=b c"),
    ],
)
def test_what_a_value_is_called(name: str, whole: str, near: str, label: str) -> None:
    found = ValueName.of(name)
    assert (str(found), found.near, found.label) == (whole, near, label)


def test_columns_are_the_same_for_every_item() -> None:
    told = [head_lines([[(0, 1.0), (None, x)], [(None, x)], [(None, x)]], NAMES) for x in (0, 1)]
    assert column_widths(told[0]) == column_widths(told[1])
    assert column_widths(told[0]).endswith("minmax(0, 3fr) minmax(0, 3fr) minmax(0, 1fr)")


def test_films_are_called_films_and_the_rest_items() -> None:
    found = {name: thing_of(name) for name in (*SETS, "my own")}
    films = {name for name in found if name.startswith("ml-")}
    assert films and {name for name, thing in found.items() if thing == "film"} == films
    assert set(found.values()) == {"film", "item"}


def test_where_something_new_would_stand() -> None:
    told = new_item_sentence("film", ["Horror", "1998"], 420, 1177, 0.474, 10)
    assert told == (
        "A new film with “Horror, 1998” would stand at rank 420 of 1,177, below the list of 10, "
        "with a score of +0.47 (0 is the average film)."
    )
    assert "in the list of 10" in new_item_sentence("item", ["x"], 10, 11, 1.0, 10)
