"""Titles, years and genres come out the same from every format."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from fame.data.movielens import (
    movies_csv,
    movies_dat,
    recbole_inter,
    recbole_item,
    split_title,
    u_data,
    u_item,
)
from fame.errors import DataError


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Plain (1995)", "Plain", 1995),
        ("Long Way, The (1994)", "The Long Way", 1994),
        ("Été, L' (1950)", "L'Été", 1950),
        ("Rue, La (Street, The) (1991)", "La Rue (The Street)", 1991),
        (
            "Night (a.k.a. Gates, The) (Nacht, Die) (1980)",
            "Night (a.k.a. The Gates) (Die Nacht)",
            1980,
        ),
        ("Red, White, The (1990)", "The Red, White", 1990),
        ("Paris, Texas (1984)", "Paris, Texas", 1984),
        ("Bye Bye, Love (1995)", "Bye Bye, Love", 1995),
        ("To Video (1995) (V)", "To Video", 1995),
        ("  Stray  Spaces   (1996) ", "Stray Spaces", 1996),
        ("Series (2006\u20132007)", "Series", 2006),
        ("Series (2009- )", "Series (2009- )", None),
        ("Series (2009-)", "Series", 2009),
        ("1984", "1984", None),
        ("2001 (1968)", "2001", 1968),
        ("(500) Days (2009)", "(500) Days", 2009),
        ("Three (Not) Alone (2007)", "Three (Not) Alone", 2007),
        ("unknown", "unknown", None),
    ],
)
def test_titles_are_written_as_people_do(raw: str, title: str, year: int | None) -> None:
    assert split_title(raw) == (title, year)


def test_both_sources_of_100k_are_the_same(  # type: ignore[no-untyped-def]
    films, grouplens_100k: dict[str, bytes], recbole_100k: dict[str, bytes]
) -> None:
    one = u_item(io.BytesIO(grouplens_100k["u.item"]), "u.item")
    other = recbole_item(io.BytesIO(recbole_100k["ml-100k.item"]), "ml-100k.item")
    pd.testing.assert_frame_equal(one, other)

    assert one["item_id"].tolist() == [str(film.id) for film in films]
    assert one["title"].tolist() == [film.title for film in films]
    assert one["year"].astype(object).where(one["year"].notna(), None).tolist() == [
        film.year for film in films
    ]
    assert one["genres"].tolist() == [
        [genre for genre in film.genres if genre != "unknown"] for film in films
    ]

    log = u_data(io.BytesIO(grouplens_100k["u.data"]), "u.data")
    same = recbole_inter(io.BytesIO(recbole_100k["ml-100k.inter"]), "ml-100k.inter")
    assert log.users.equals(same.users)
    assert log.items.equals(same.items)
    assert log.times is not None
    assert log.times.tolist() == same.times.tolist()  # type: ignore[union-attr]


def test_later_formats_say_the_same_of_the_same_film() -> None:
    dat = movies_dat(io.BytesIO("5::Été, L' (1950)::Comedy|War\n".encode("latin-1")), "movies.dat")
    csv = movies_csv(
        io.BytesIO('movieId,title,genres\n5,"Été, L\' (1950)",Comedy|War\n'.encode()), "movies.csv"
    )
    pd.testing.assert_frame_equal(dat, csv)
    assert dat.loc[0].tolist() == ["5", "L'Été", 1950, ["Comedy", "War"]]


def test_no_genres_listed_is_no_genre() -> None:
    content = b"movieId,title,genres\n1,X,(no genres listed)\n"
    assert movies_csv(io.BytesIO(content), "movies.csv").loc[0, "genres"] == []


@pytest.mark.parametrize(
    ("reader", "content", "words"),
    [
        (u_item, b"1|X (1990)|||\n", "f, line 1: 24 columns are expected, not 5"),
        (recbole_item, b"a\tb\tc\td\n1\tX\n", "f, line 2: 4 columns are expected, not 2"),
        (movies_dat, b"1::X (1990)::Drama\n\n2::Y\n", "f, line 3: 3 columns are expected, not 2"),
        (movies_csv, b"id,title,genres\n", "f, line 1: the header has no column 'movieId'"),
    ],
)
def test_a_faulty_line_is_named(reader, content: bytes, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=words):
        reader(io.BytesIO(content), "f")
