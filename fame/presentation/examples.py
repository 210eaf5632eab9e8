"""Example histories that we wrote ourselves, so that the app works with no data set at hand.

They name items by title and are looked up in whatever catalogue is open: titles it does not have
are left out, and an example is offered only where enough of it is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.presentation.text import one_line

_FEWEST = 3


@dataclass(frozen=True)
class Example:
    """A history that somebody might have had, written by us; ``titles`` are oldest first."""

    name: str
    title: str
    titles: tuple[str, ...]


EXAMPLES = (
    Example(
        "science-fiction",
        "Science-fiction nights",
        (
            "2001: A Space Odyssey",
            "Star Wars",
            "Alien",
            "Blade Runner",
            "The Terminator",
            "Aliens",
            "The Abyss",
            "Twelve Monkeys",
        ),
    ),
    Example(
        "family-animation",
        "Family animation",
        (
            "Snow White and the Seven Dwarfs",
            "Dumbo",
            "Beauty and the Beast",
            "Aladdin",
            "The Lion King",
            "Toy Story",
            "James and the Giant Peach",
        ),
    ),
    Example(
        "noir-and-classics",
        "Film noir and classics",
        (
            "The Maltese Falcon",
            "Casablanca",
            "Laura",
            "The Big Sleep",
            "Notorious",
            "Sunset Blvd.",
            "Rear Window",
            "Chinatown",
        ),
    ),
    Example(
        "romantic-comedies",
        "Romantic comedies",
        (
            "When Harry Met Sally...",
            "Pretty Woman",
            "Groundhog Day",
            "Sleepless in Seattle",
            "Four Weddings and a Funeral",
            "While You Were Sleeping",
            "Sense and Sensibility",
        ),
    ),
    Example(
        "crime-then-children",
        "Crime films, then films for children",
        (
            "Pulp Fiction",
            "The Godfather",
            "GoodFellas",
            "The Usual Suspects",
            "Toy Story",
            "The Lion King",
            "Babe",
        ),
    ),
    Example(
        "nail-art",
        "Nail art at home",
        (
            "OPI Nail Polish, Top Coat, 0.5-Ounce",
            "Opi Nail Lacquer, Not So Bora Pink, 0.5 Fluid Ounce",
            "Essie Nail Polish Marshmallow, .5 Ounce",
            "Konad Nail Art Stamping Polish - White",
            "Konad Nail Art Stamping Polish - Black",
        ),
    ),
    Example(
        "perfume-shelf",
        "A perfume shelf",
        (
            "Pink Sugar by Aquolina for Women - 3.4 Ounce EDT Spray",
            "Juicy Couture By Juicy Couture For Women. Eau De Parfum Spray 3.4 Oz.",
            "Fairy Dust by Paris Hilton for Women - 3.4 Ounce EDP Spray",
            "Viva La Juicy By Juicy Couture For Women Eau De Parfum Spray 1.7 Oz",
            "Glow By Jennifer Lopez For Women. Eau De Toilette Spray 1 Ounces",
        ),
    ),
    Example(
        "eye-make-up",
        "Eye make-up",
        (
            "NYX Jumbo Eye Pencil 601 Black Bean",
            "e.l.f. Essential Eyelid Primer-7501 Sheer",
            "NYX Cosmetics Eye Shadow Palette 10 Color, Jazz Night, 0.49-Ounce",
            "NYX Doll Eye Mascara, Extreme Black, Volume, DE02, 0.28 oz",
            "Maybelline 24 Hour Eyeshadow, Too Cool, 0.14 Ounce",
            "NYX Eyebrow Cake Powder, Black/Gray",
        ),
    ),
    Example(
        "summer-sun",
        "Packing for the sun",
        (
            "Hawaiian Tropic Silk Hydration SPF 30 Sunscreen Lotion, 6 Fluid Ounce",
            "Banana Boat Sport Cool Zone Sunscreen Continuous Spray SPF 50, 6 Fluid Ounce",
            "Banana Boat Protect and Hydrate Sunscreen Lotion Spf 30, 6 Ounce",
            "Eltamd UV Clear SPF 46, 48-Gram 1.7 oz.",
            "Sunburnt Therapeutic After Sun Relief, 6-Ounce Tube",
        ),
    ),
    Example(
        "from-hair-to-skin",
        "From a new hair colour to skin care",
        (
            "John Frieda Precision Foam Hair Color, Glosser Warm Red, 6 Fluid Ounce",
            "TRESemme Keratin Smooth, Infusing Smoothing Serum, 3.3 Ounce",
            "Tresemme Platinum Strength Heat Protect Spray, 8 Ounce",
            "L'Oreal Paris RevitaLift Triple Power Concentrated Serum Treatment, 1.0 Fluid Ounce",
            "L'Oreal Paris Youth Code Serum Intense, 1.0 Fluid Ounce",
            "Olay Regenerist Advanced Anti-Aging Eye Anti-Aging Roller 0.2 Fl Oz",
        ),
    ),
    Example(
        "board-games",
        "Board game nights",
        (
            "Carcassonne",
            "Mayfair The Settlers of Catan Board Game",
            "Pandemic",
            "Dominion",
            "Carcassonne: Inns and Cathedrals",
        ),
    ),
    Example(
        "wooden-toys",
        "Wooden toys for a small child",
        (
            "Melissa & Doug Wooden Shape Sorting Clock",
            "Melissa & Doug 100-Piece Wood Blocks Set",
            "Melissa & Doug Farm Wooden Chunky Puzzle",
            "Melissa & Doug Cutting Food",
        ),
    ),
    # The catalogue of Sports has keywords in place of titles.
    Example(
        "backpacking",
        "Packing for the woods",
        (
            "potable aqua water treatment tablets outdoor gear",
            "swedish firesteel army",
            "ultralight backpacking canister camp stove with pie",
            "titanium spork light my fire outdoor",
            "teton sports scout",
        ),
    ),
    Example(
        "home-gym",
        "A gym at home",
        (
            "iron gym iron gym total upper body workout",
            "black high density foam rollers extra firm 6quot",
            "bowflex selecttech 552 adjustable dumbbells",
            "valeo medicine ball valeo medicine",
        ),
    ),
)


@dataclass(frozen=True)
class Offer:
    """An example as one catalogue has it: ``history`` holds item indices, oldest first."""

    name: str
    title: str
    history: np.ndarray


def offers(items: pd.DataFrame) -> dict[str, Offer]:
    """The examples that a catalogue (row i is item index i + 1) has the items for, by name.

    The last one is made of the items with most clicks in training, so that no catalogue is without.
    """
    index = {one_line(title).casefold(): row + 1 for row, title in enumerate(items["title"])}
    found: dict[str, Offer] = {}
    for example in EXAMPLES:
        known = [index.get(one_line(title).casefold()) for title in example.titles]
        history = np.array([item for item in known if item is not None], dtype=np.int64)
        if len(history) >= _FEWEST:
            found[example.name] = Offer(example.name, example.title, history)
    popular = items["train_count"].to_numpy().argsort(kind="stable")[::-1][:5] + 1
    found["best-known"] = Offer("best-known", "The five best-known items", popular[::-1].copy())
    return found
