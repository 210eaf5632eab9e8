"""Every test of the data has an empty cache, no FAME_DATA, and made-up films to read."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, as ``fame.data.fetch.cache_folder`` gives it."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.delenv("FAME_DATA", raising=False)
    return tmp_path / "cache" / "data"


@dataclass(frozen=True)
class Film:
    """A film as ``u.item`` and as RecBole's file give it, and as both have to come out."""

    id: int
    published: str
    cut_title: str
    cut_year: str
    genres: tuple[str, ...]
    title: str
    year: int | None


# Every way in which the two sources of MovieLens 100K differ occurs once.
FILMS = (
    Film(1, "Plain One (1995)", "Plain One", "1995", ("Action", "Sci-Fi"), "Plain One", 1995),
    Film(2, "Long Way, The (1994)", "Long Way, The", "1994", ("Drama",), "The Long Way", 1994),
    Film(3, "Été, L' (1950) ", "Été, L'", "1950", ("Comedy", "War"), "L'Été", 1950),
    Film(
        4,
        "Rue, La (Street, The) (1981)",
        "Rue, La (Street, The)",
        "1981",
        ("Children's", "Film-Noir"),
        "La Rue (The Street)",
        1981,
    ),
    Film(5, "To Video (1995) (V)", "To Video (1995)", "V", ("Animation",), "To Video", 1995),
    Film(6, "unknown", "unkonwn", "unkonwn", ("unknown",), "unknown", None),
    Film(7, "No Genre (1971)", "No Genre", "1971", ("unknown",), "No Genre", 1971),
)

# user, item, time; not in order of time, with equal times, and one film that one person knows.
RATINGS = (
    (10, 3, 500), (9, 1, 100), (10, 1, 400), (9, 2, 100), (9, 4, 50), (10, 2, 400), (9, 3, 100),
    (10, 5, 100), (9, 5, 900), (9, 6, 901), (10, 6, 902), (9, 7, 77), (10, 4, 400),
)  # fmt: skip

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip


@pytest.fixture
def films() -> tuple[Film, ...]:
    return FILMS


@pytest.fixture
def grouplens_100k() -> dict[str, bytes]:
    """The made-up films and ratings as GroupLens publishes them: ``u.data`` and ``u.item``."""
    lines = []
    for film in FILMS:
        flags = "|".join("1" if genre in film.genres else "0" for genre in _GENRES)
        lines.append(f"{film.id}|{film.published}|01-Jan-1997||http://example.org/|{flags}\n")
    data = "".join(f"{user}\t{item}\t3\t{time}\n" for user, item, time in RATINGS)
    return {"u.data": data.encode(), "u.item": "".join(lines).encode("latin-1")}


@pytest.fixture
def recbole_100k() -> dict[str, bytes]:
    """The same films and ratings as RecBole's wheel carries them."""
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    inter += "".join(f"{user}\t{item}\t3\t{time}\n" for user, item, time in RATINGS)
    item = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    for film in FILMS:
        item += f"{film.id}\t{film.cut_title}\t{film.cut_year}\t{' '.join(film.genres)}\n"
    return {"ml-100k.inter": inter.encode(), "ml-100k.item": item.encode()}


WriteZip = Callable[[Path, str, dict[str, bytes]], Path]


@pytest.fixture
def write_zip() -> WriteZip:
    """Writes an archive: its path, the folder inside it, and the files there."""

    def write(path: Path, prefix: str, files: dict[str, bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(prefix + name, content)
        return path

    return write
