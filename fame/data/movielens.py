"""MovieLens in all the formats it is published in, and RecBole's copy of MovieLens 100K.

Whatever the format, the same films get the same titles, years and genres.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import pandas as pd
import pyarrow as pa

from fame.data.readers import WHOLE_IDS, Log, read_columns, read_rows, read_text
from fame.errors import DataError

_RATING = ("user", "item", "rating", "time")
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
_NO_GENRE = {"", "unknown", "(no genres listed)"}

# A year of release or the years of a series, joined by a hyphen or an en dash; "(V)" marks what
# went straight to video.
_YEAR = re.compile(r" ?\((\d{4})(?:[-\u2013]\d{0,4})?\)(?: \(V\))?$")
_ARTICLES = (
    "The|An|A|Les|Le|La|L'|Las|Los|Lo|El|Il|I|Gli|Der|Die|Das|Ein|Eine|Det|Den|De|Het|En|Un|Une|Una"
    "|Uno|O|Os|Da"
)
# "Haine, La" and "a.k.a. Gates of Hell, The": the article stands behind the last comma.
_ARTICLE_LAST = re.compile(rf"(a\.k\.a\.? )?(.+), ({_ARTICLES})")
_IN_PARENTHESES = re.compile(r"\(([^()]*)\)")


def split_title(raw: str) -> tuple[str, int | None]:
    """A MovieLens title as people write it, and its year.

    ``"Postino, Il (Postman, The) (1994)"`` gives ``("Il Postino (The Postman)", 1994)``.
    """
    title = " ".join(raw.split())
    year = _YEAR.search(title)
    if year:
        title = title[: year.start()]
    name, parenthesis, rest = title.partition(" (")
    others = _IN_PARENTHESES.sub(lambda other: f"({_article_first(other[1])})", parenthesis + rest)
    return _article_first(name) + others, int(year[1]) if year else None


def u_data(stream: IO[bytes], label: str) -> Log:
    """``u.data`` of 100K: user, item, rating and time between tabs, no header."""
    return _ratings(stream, label, _RATING, delimiter="\t", header=False)


def u_item(stream: IO[bytes], label: str) -> pd.DataFrame:
    """``u.item`` of 100K: ``id|title (year)|dates|link|19 genre flags`` in Latin-1."""
    films = []
    for fields in _fields(stream, label, "latin-1", "|", 5 + len(_GENRES_100K)):
        named = zip(_GENRES_100K, fields[5:], strict=True)
        films.append((fields[0], fields[1], [genre for genre, flag in named if flag == "1"]))
    return _catalogue(films)


def recbole_inter(stream: IO[bytes], label: str) -> Log:
    """RecBole's ``ml-100k.inter``: ``u.data`` below a header."""
    return _ratings(stream, label, _RATING, delimiter="\t", header=True)


def recbole_item(stream: IO[bytes], label: str) -> pd.DataFrame:
    """RecBole's ``ml-100k.item``: id, title, year and genres between tabs, below a header.

    RecBole cut the last parenthesis off every title and called it the year. Put together again they
    are the title in ``u.item``; the one film without a parenthesis has the year ``unkonwn``.
    """
    fields = _fields(stream, label, "utf-8", "\t", 4)
    next(fields, None)  # the header
    return _catalogue(
        (item, "unknown" if year == "unkonwn" else f"{title} ({year})", genres.split(" "))
        for item, title, year, genres in fields
    )


def ratings_dat(stream: IO[bytes], label: str) -> Log:
    """``ratings.dat`` of 1M: ``user::item::rating::time``."""
    # A reader of one-character delimiters sees '::' as two of them around an empty column.
    names = ("user", "_1", "item", "_2", "rating", "_3", "time")
    return _ratings(stream, label, names, delimiter=":", header=False)


def movies_dat(stream: IO[bytes], label: str) -> pd.DataFrame:
    """``movies.dat`` of 1M: ``id::title (year)::genre|genre`` in Latin-1."""
    fields = _fields(stream, label, "latin-1", "::", 3)
    return _catalogue((item, title, genres.split("|")) for item, title, genres in fields)


def ratings_csv(stream: IO[bytes], label: str) -> Log:
    """``ratings.csv`` of the later sets: a header, then user, item, rating and time."""
    return _ratings(stream, label, _RATING, delimiter=",", header=True)


def movies_csv(stream: IO[bytes], label: str) -> pd.DataFrame:
    """``movies.csv`` of the later sets: movieId, title and genres, in quotes where needed."""
    rows = read_rows(stream, label, ("movieId", "title", "genres"))
    return _catalogue((row["movieId"], row["title"], row["genres"].split("|")) for row in rows)


def _ratings(
    stream: IO[bytes], label: str, names: Sequence[str], *, delimiter: str, header: bool
) -> Log:
    wanted = {"user": WHOLE_IDS, "item": WHOLE_IDS, "time": pa.int64()}
    table = read_columns(stream, label, wanted, delimiter=delimiter, names=names, header=header)
    return Log(table["user"], table["item"], table["time"].to_numpy())


def _fields(
    stream: IO[bytes], label: str, encoding: str, delimiter: str, columns: int
) -> Iterator[list[str]]:
    """The fields of every line that is not blank; ``DataError`` where they are not ``columns``."""
    # Not splitlines(): it would also break at bytes that are letters or spaces in Latin-1.
    lines = read_text(stream, label, encoding).replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line:
            fields = line.split(delimiter)
            if len(fields) != columns:
                raise DataError(
                    f"{label}, line {number}: {columns} columns are expected, not {len(fields)}."
                )
            yield fields


def _catalogue(films: Iterable[tuple[str, str, list[str]]]) -> pd.DataFrame:
    """The catalogue of films given as ``(id, title as published, genres)``."""
    rows = [
        (item, *split_title(published), [genre for genre in genres if genre not in _NO_GENRE])
        for item, published, genres in films
    ]
    frame = pd.DataFrame(rows, columns=["item_id", "title", "year", "genres"])
    return frame.astype({"item_id": "string", "title": "string", "year": "Int64"})


def _article_first(name: str) -> str:
    found = _ARTICLE_LAST.fullmatch(name)
    if not found:
        return name
    also_known_as, rest, article = found.groups(default="")
    space = "" if article.endswith("'") else " "
    return f"{also_known_as}{article}{space}{rest}"
