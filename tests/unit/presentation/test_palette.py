"""Colours that can be told apart, on both themes."""

import numpy as np
import pytest

from fame.presentation import palette


def luminance(colour):
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", [*palette.HEADS, palette.NEUTRAL, palette.HELD_OUT])
@pytest.mark.parametrize("background", ["#FFFFFF", "#12161C"])
def test_colours_show_on_both_themes(colour, background):
    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_heads_have_colours_of_their_own_and_then_again():
    assert len({palette.head_colour(head) for head in range(8)}) == 8
    assert palette.head_colour(8) == palette.head_colour(0)
