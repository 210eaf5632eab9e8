"""The named data sets: where they are published, how they are written, what they must hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import pandas as pd

from fame.data import amazon, movielens
from fame.data.fetch import Download, Source, Wheel
from fame.data.readers import LogReader, read_sequences

_IN_TIME = "in order of time, equal times in the order of the source file"
_FIVE_CORE = f"5-core on users and items; {_IN_TIME}"
_AS_PUBLISHED = "as published by S3-Rec (5-core), in the order of the source file"


@dataclass(frozen=True)
class Format:
    """One way to write a set down: a file of interactions, and one about the items."""

    log: str
    read_log: LogReader
    items: str
    read_items: Callable[[IO[bytes], str], pd.DataFrame]

    @property
    def with_times(self) -> bool:
        """Whether it says when; lines of sequences say only what came after what."""
        return self.read_log is not read_sequences


@dataclass(frozen=True)
class NamedSet:
    """A data set that everybody can get by its name.

    Args:
        name: What it is called on the command line.
        title: What it is called in the app.
        description: One line about it, its size first.
        folder: Its folder below those that ``FAME_DATA`` lists.
        formats: The formats it is looked for in, the best one first.
        sources: Where it is published, in the order in which they are tried.
        core: Least number of interactions of a user and of an item; 0 keeps everything.
        filters: The filter and the rule for equal times, in words.
        fingerprint: What ``Interactions.fingerprint`` has to be; None where nobody has seen it yet.
        thing: What people call one of its items.
    """

    name: str
    title: str
    description: str
    folder: str
    formats: tuple[Format, ...]
    sources: tuple[Source, ...]
    core: int
    filters: str
    fingerprint: str | None = None
    thing: str = "item"


_DAT = Format("ratings.dat", movielens.ratings_dat, "movies.dat", movielens.movies_dat)
_CSV = Format("ratings.csv", movielens.ratings_csv, "movies.csv", movielens.movies_csv)


def _grouplens(name: str, sha256: str) -> Download:
    url = f"https://files.grouplens.org/datasets/movielens/{name}.zip"
    return Download(url, sha256, place=f"archives/{name}.zip", prefix=f"{name}/")


def _s3rec(
    name: str, file: str, *, title: str, description: str, sha256: str, fingerprint: str
) -> NamedSet:
    url = f"https://raw.githubusercontent.com/RUCAIBox/CIKM2020-S3Rec/master/data/{file}.txt"
    return NamedSet(
        name=name,
        title=title,
        description=description,
        folder=f"amazon_{name}",
        formats=(Format("sequences.txt", read_sequences, "items.csv", amazon.items_csv),),
        sources=(Download(url, sha256, place=f"{name}/sequences.txt"),),
        core=0,
        filters=_AS_PUBLISHED,
        fingerprint=fingerprint,
    )


_SETS = (
    NamedSet(
        name="ml-100k",
        title="MovieLens 100K",
        description="100,000 ratings of films by 943 people, 1997 and 1998",
        folder="ml-100k",
        formats=(
            Format("u.data", movielens.u_data, "u.item", movielens.u_item),
            Format(
                "ml-100k.inter", movielens.recbole_inter, "ml-100k.item", movielens.recbole_item
            ),
        ),
        sources=(
            _grouplens(
                "ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
            ),
            Wheel(
                requirement="recbole==1.2.1",
                file="recbole-1.2.1-py3-none-any.whl",
                sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
                prefix="recbole/dataset_example/ml-100k/",
            ),
        ),
        core=5,
        filters=_FIVE_CORE,
        fingerprint="65f0605686f8cf3bd27865eac37bdde14f6b5c2e90c2d0a1085e5fe5d20eac4f",
        thing="film",
    ),
    NamedSet(
        name="ml-1m",
        title="MovieLens 1M",
        description="1,000,209 ratings of films by 6,040 people, 2000 to 2003",
        folder="ml-1m",
        # SASRec's sequences are the same 5-core, sorted by time alone with a stable sort: where
        # they are what lies in FAME_DATA, they stand for ratings.dat.
        formats=(_DAT, Format("sequences.txt", read_sequences, "movies.dat", movielens.movies_dat)),
        sources=(
            _grouplens("ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
        ),
        core=5,
        filters=_FIVE_CORE,
        fingerprint="a979c03970e828a27092531105c6a8389cbf21b20fe59c6ab790607a8970d72d",
        thing="film",
    ),
    NamedSet(
        name="ml-20m",
        title="MovieLens 20M",
        description="20,000,263 ratings of films by 138,493 people, 1995 to 2015",
        folder="ml-20m",
        formats=(_CSV,),
        sources=(
            _grouplens(
                "ml-20m", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"
            ),
        ),
        core=0,
        filters=f"none; {_IN_TIME}",
        thing="film",
    ),
    NamedSet(
        name="ml-latest-small",
        title="MovieLens latest small",
        description="100,836 ratings of films by 610 people, 1996 to 2018",
        folder="ml-latest-small",
        formats=(_CSV,),
        sources=(
            _grouplens(
                "ml-latest-small",
                "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
            ),
        ),
        core=5,
        filters=_FIVE_CORE,
        fingerprint="5956341148ccdd382d395c9ee7b6aed3296061e44cdba2b599f0484f847b7366",
        thing="film",
    ),
    _s3rec(
        "beauty",
        "Beauty",
        title="Amazon Beauty",
        description="198,502 reviews of 12,101 products by 22,363 people",
        sha256="226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
        fingerprint="6d028cc6f45be646c03672b1ade0e5640dbc14608b640406650773dd0b5f4b98",
    ),
    _s3rec(
        "sports",
        "Sports_and_Outdoors",
        title="Amazon Sports and Outdoors",
        description="296,337 reviews of 18,357 products by 35,598 people",
        sha256="2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
        fingerprint="c631a135a5e7b24de3bbc1cbbfa2fbb26f2112516e4ecd44c2690e33f8c5b832",
    ),
    _s3rec(
        "toys",
        "Toys_and_Games",
        title="Amazon Toys and Games",
        description="167,597 reviews of 11,924 products by 19,412 people",
        sha256="176c680c688d497598c4a89a03b402c0fe78d795e5db335c2e78dd5f2d778a3f",
        fingerprint="7bb57ca6b29dc0cb6b1de1f94a7a6ba58cedff52748711884b26c218ad7ab080",
    ),
)

SETS: dict[str, NamedSet] = {named.name: named for named in _SETS}


def thing_of(name: str) -> str:
    """What people call one item of a data set: ``film``, else ``item``."""
    return SETS[name].thing if name in SETS else "item"
