"""Colours that can be told apart, on both themes and with every common sight."""

from itertools import combinations

import pytest
from coloraide import Color

from fame.presentation import palette

PAGES = ("#FFFFFF", "#12161C")
MARKS = [
    *palette.HEADS,
    *palette.VALUES,
    *(palette.NEUTRAL, palette.HELD_OUT, palette.FOR, palette.AGAINST, palette.ACCENT),
]
SIGHTS = {
    "normal": lambda colour: Color(colour),
    "protanopia": lambda colour: Color(colour).filter("protan"),
    "deuteranopia": lambda colour: Color(colour).filter("deutan"),
}
LEAST = 11.5  # CIEDE2000; below 5 two marks in a legend are taken for each other


def apart(one, other, sight):
    return SIGHTS[sight](one).delta_e(SIGHTS[sight](other), method="2000")


@pytest.mark.parametrize("colour", MARKS)
@pytest.mark.parametrize("page", PAGES)
def test_colours_show_on_both_themes(colour, page):
    assert Color(colour).contrast(page) >= 3


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_of_eight_heads_are_told_apart(sight):
    pairs = {pair: apart(*pair, sight) for pair in combinations(palette.HEADS, 2)}
    closest = min(pairs, key=pairs.get)
    assert pairs[closest] >= LEAST, (closest, pairs[closest])


@pytest.mark.parametrize("sight", SIGHTS)
def test_no_head_is_taken_for_what_belongs_to_none(sight):
    assert min(apart(colour, palette.NEUTRAL, sight) for colour in palette.HEADS) >= 8.5


@pytest.mark.parametrize("colour", [*MARKS, "#FFFFFF", "#000000", "#757575", "#777777"])
def test_ink_reads_on_every_colour(colour):
    inks = {ink: Color(colour).contrast(ink) for ink in ("#FFFFFF", "#000000")}
    assert palette.ink_on(colour) == max(inks, key=inks.get)
    assert inks[palette.ink_on(colour)] >= 4.5


def test_heads_have_colours_of_their_own_and_then_again():
    assert len({palette.head_colour(head) for head in range(8)}) == 8
    assert palette.head_colour(8) == palette.head_colour(0)
