"""A set by its name: where it is looked for, what it must hold, and what is said when it is not."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.data import dataset as dataset_module
from fame.data import import_file, list_sets, load
from fame.data.catalogue import write_items
from fame.data.dataset import Dataset
from fame.data.fetch import Download
from fame.data.registry import SETS
from fame.data.synthetic import Shape, ml_20m
from fame.errors import DataError

REAL_DATA = os.environ.get("FAME_DATA", "")

# The made-up ratings of conftest.py as a 2-core: film 7 has one rating and goes.
EXPECTED = {
    "9": ["4", "1", "2", "3", "5", "6"],
    "10": ["5", "1", "2", "4", "3", "6"],
}


def histories(data: Dataset) -> dict[str, list[str]]:
    inner = data.interactions
    return {
        inner.user_ids[user]: inner.item_ids[inner.sequence(user)].tolist()
        for user in range(len(inner))
    }


def nowhere(place: str, prefix: str | None) -> Download:
    return Download("http://127.0.0.1:9/x", "0" * 64, place, prefix)


@pytest.fixture
def small(  # type: ignore[no-untyped-def]
    tmp_path: Path, write_zip, grouplens_100k, recbole_100k, monkeypatch: pytest.MonkeyPatch
) -> tuple[Download, Download]:
    """Makes ``ml-100k`` the made-up films; gives its two sources, published as two archives."""
    sources = []
    for name, prefix, files in (
        ("ml-100k", "ml-100k/", grouplens_100k),
        ("wheel", "recbole/dataset_example/ml-100k/", recbole_100k),
    ):
        path = write_zip(tmp_path / "published" / f"{name}.zip", prefix, files)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sources.append(Download(path.as_uri(), sha256, f"archives/{name}.zip", prefix))
    small = replace(SETS["ml-100k"], sources=tuple(sources), core=2, fingerprint=None)
    monkeypatch.setitem(SETS, "ml-100k", small)
    return sources[0], sources[1]


def test_the_first_source_is_fetched_once_and_then_at_hand(
    small: tuple[Download, Download], tmp_path: Path
) -> None:
    data = load("ml-100k")
    assert histories(data) == EXPECTED
    assert data.source == small[0].url
    assert data.items["item_id"].tolist() == data.interactions.item_ids[1:].tolist()
    assert data.items["title"].tolist()[:3] == ["Plain One", "The Long Way", "L'Été"]

    (tmp_path / "published" / "ml-100k.zip").unlink()
    again = load("ml-100k", offline=True)
    assert again.interactions.fingerprint == data.interactions.fingerprint


def test_the_second_source_gives_the_same(
    small: tuple[Download, Download], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first = load("ml-100k")
    unreachable = nowhere("archives/unreachable.zip", "ml-100k/")
    monkeypatch.setitem(SETS, "ml-100k", replace(SETS["ml-100k"], sources=(unreachable, small[1])))
    said: list[str] = []
    second = load("ml-100k", progress=lambda text, _: said.append(text))
    assert second.source == small[1].url
    assert any("127.0.0.1 cannot be reached" in text for text in said)
    assert second.interactions.fingerprint == first.interactions.fingerprint
    pd.testing.assert_frame_equal(second.items, first.items)
    assert sorted(path.name for path in (cache / "archives").iterdir()) == [
        "ml-100k.zip",
        "wheel.zip",
    ]


def test_nothing_can_be_reached_and_nothing_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = (nowhere("a.zip", ""), nowhere("b.zip", ""))
    monkeypatch.setitem(SETS, "ml-100k", replace(SETS["ml-100k"], sources=sources))
    monkeypatch.setenv("FAME_DATA", "/no/such/folder")
    with pytest.raises(DataError, match="'ml-100k' is not at hand and cannot be fetched") as caught:
        load("ml-100k")
    assert "FAME_DATA names /no/such/folder, which is no folder" in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_offline_never_fetches(small: tuple[Download, Download]) -> None:
    with pytest.raises(DataError, match="not at hand; get it with `python -m fame data fetch ml-1"):
        load("ml-100k", offline=True)


def test_an_unknown_name_is_told_the_names() -> None:
    with pytest.raises(DataError, match=r"no data set 'movies'; there are ml-100k, ml-1m, .*toys"):
        load("movies")


@pytest.mark.parametrize("name", ["", "..", "../ml-100k", "/etc", "ml-100k/"])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(DataError, match="There is no data set"):
        load(name)


def test_a_folder_of_fame_data_comes_first(  # type: ignore[no-untyped-def]
    small, tmp_path: Path, grouplens_100k: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here" / "ml-100k"
    folder.mkdir(parents=True)
    for name, content in grouplens_100k.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("FAME_DATA", os.pathsep.join(["", str(tmp_path / "no"), str(folder.parent)]))
    data = load("ml-100k")
    assert data.source == f"the folder {folder}"
    assert histories(data) == EXPECTED
    places = {info.name: info.place for info in list_sets()}
    assert (places["ml-100k"], places["ml-20m"]) == ("local", "remote")


def test_other_histories_in_a_folder_are_refused_and_published_ones_are_warned_of(  # type: ignore[no-untyped-def]
    small,
    tmp_path: Path,
    grouplens_100k: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(SETS, "ml-100k", replace(SETS["ml-100k"], fingerprint="f" * 64))
    with caplog.at_level(logging.WARNING):
        load("ml-100k")
    assert "other histories than the figures of 'ml-100k'" in caplog.text

    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_bytes(grouplens_100k["u.data"])
    monkeypatch.setenv("FAME_DATA", str(tmp_path))
    with pytest.raises(DataError, match="'ml-100k' in FAME_DATA holds other histories"):
        load("ml-100k")


def test_a_damaged_archive_is_one_sentence(small: tuple[Download, Download], cache: Path) -> None:
    load("ml-100k")
    path = cache / "archives" / "ml-100k.zip"
    content = bytearray(path.read_bytes())
    content[60:80] = b"x" * 20  # inside the compressed ratings
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged; delete it"):
        load("ml-100k")


def test_an_archive_without_the_file_is_one_sentence(  # type: ignore[no-untyped-def]
    small: tuple[Download, Download], cache: Path, write_zip
) -> None:
    write_zip(cache / "archives" / "ml-100k.zip", "other/", {"u.data": b""})
    with pytest.raises(DataError, match=r"lacks u.data"):
        load("ml-100k")


def test_titles_come_from_the_shipped_checkpoint_where_no_catalogue_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "amazon_beauty"
    folder.mkdir(parents=True)
    (folder / "sequences.txt").write_text("1 10 9 8\n2 9 8 10\n")
    monkeypatch.setenv("FAME_DATA", str(folder.parent))
    monkeypatch.setitem(SETS, "beauty", replace(SETS["beauty"], fingerprint=None))
    monkeypatch.setattr(dataset_module, "_CHECKPOINTS", tmp_path / "checkpoints")
    assert load("beauty").items["title"].tolist() == ["Item 8", "Item 9", "Item 10"]

    shipped = pd.DataFrame(
        {"item_id": ["9", "10"], "title": ["Comb", "Soap"], "brand": ["A", None]}, dtype="string"
    ).assign(train_count=[1, 2])
    (tmp_path / "checkpoints" / "beauty").mkdir(parents=True)
    write_items(shipped, tmp_path / "checkpoints" / "beauty" / "items.parquet")
    items = load("beauty").items
    assert list(items.columns) == ["item_id", "title", "brand"]
    assert items["title"].tolist() == ["Item 8", "Comb", "Soap"]


def test_ml_1m_from_ratings_and_from_sequences_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratings = [(u, i, 100 * u + (i % 3)) for u in range(1, 7) for i in range(1, 7)]
    rare = [(1, 99, 5)]
    written = "".join(f"{u}::{i}::3::{t}\n" for u, i, t in ratings + rare)
    # What SASRec does: drop the rare, sort every user's clicks by time with a stable sort.
    lines = []
    for user in range(1, 7):
        own = sorted((row for row in ratings if row[0] == user), key=lambda row: row[2])
        lines.append(" ".join(str(n) for n in [user, *(item for _, item, _ in own)]))
    monkeypatch.setitem(SETS, "ml-1m", replace(SETS["ml-1m"], fingerprint=None))
    fingerprints = []
    for name, content in (("ratings.dat", written), ("sequences.txt", "\n".join(lines))):
        folder = tmp_path / name.partition(".")[0] / "ml-1m"
        folder.mkdir(parents=True)
        (folder / name).write_text(content)
        monkeypatch.setenv("FAME_DATA", str(folder.parent))
        fingerprints.append(load("ml-1m").interactions.fingerprint)
    assert fingerprints[0] == fingerprints[1]


def test_ml_20m_of_a_folder_is_what_plain_python_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ml_20m(Shape(users=30, items=40, interactions=1_500), seed=1)
    people = np.repeat(made.user_ids, np.diff(made.offsets))
    clocks = np.random.default_rng(1).integers(20, size=len(people))  # many equal times
    rows = sorted(zip(people.astype(int), 3 * made.items, clocks, strict=True), key=lambda r: r[:2])
    folder = tmp_path / "ml-20m"
    folder.mkdir()
    ratings = "".join(f"{user},{item},3.5,{time}\n" for user, item, time in rows)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    films = "".join(f'{3 * n},"Film {n}, The (19{n:02})",Drama|War\n' for n in range(1, 99))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + films)
    monkeypatch.setenv("FAME_DATA", str(tmp_path))

    expected: dict[str, list[str]] = {}
    for user, item, _ in sorted(rows, key=lambda row: (row[0], row[2])):
        expected.setdefault(str(user), []).append(str(item))
    data = load("ml-20m")
    assert histories(data) == expected
    assert list(histories(data)) == [str(user) for user in range(1, 31)]
    assert data.items["title"].tolist() == [f"The Film {n}" for n in range(1, 41)]


def test_the_summary_counts(small: tuple[Download, Download]) -> None:
    summary = load("ml-100k").summary()
    assert summary | {"fingerprint": "", "source": ""} == {
        "name": "ml-100k",
        "source": "",
        "users": 2,
        "items": 6,
        "interactions": 12,
        "sequence_length": {"min": 6, "median": 6.0, "max": 6},
        "users_excluded": {"valid": 0, "test": 0},
        "facets": {"year": "number", "genres": "list"},
        "filters": SETS["ml-100k"].filters,
        "repeats": "exclude",
        "repeated_targets": 0.0,
        "repeats_reason": "none of the test targets was chosen before; what is in the history is "
        "in no list",
        "fingerprint": "",
    }


def test_every_set_has_what_it_takes() -> None:
    for name, named in SETS.items():
        assert name == named.name
        assert named.formats
        assert named.sources
        assert all(len(source.sha256) == 64 for source in named.sources)
        assert named.fingerprint is None or len(named.fingerprint) == 64


@pytest.mark.parametrize("name", list(SETS))
def test_the_real_sets_of_fame_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", REAL_DATA)
    if not any(info.name == name and info.place == "local" for info in list_sets()):
        pytest.skip(f"FAME_DATA names no folder that holds {SETS[name].folder}")
    data = load(name, offline=True)
    lengths = {"beauty": 198_502, "sports": 296_337, "toys": 167_597, "ml-1m": 999_611}
    assert len(data.interactions.items) == lengths.get(name, len(data.interactions.items))
    assert SETS[name].fingerprint in (None, data.interactions.fingerprint)
    assert data.items["item_id"].tolist() == data.interactions.item_ids[1:].tolist()
    assert not data.items["title"].str.startswith("Item ").all()


@pytest.mark.network
def test_the_real_ml_100k_can_be_fetched() -> None:
    try:
        data = load("ml-100k")
    except DataError as error:
        pytest.skip(f"no source can be reached: {error}")
    assert (len(data.interactions), data.interactions.num_items) == (943, 1349)
    assert data.interactions.fingerprint == SETS["ml-100k"].fingerprint
    by_id = data.items.set_index("item_id")
    assert by_id.loc["64", "title"] == "The Shawshank Redemption"
    assert by_id.loc["515"].tolist()[:2] == ["Das Boot", 1981]
    assert by_id["year"].notna().sum() >= len(by_id) - 1


# --- what a set lacks, said before it is chosen --------------------------------------------------


def lacks(name: str) -> tuple[str, ...]:
    return next(info.lacks for info in list_sets() if info.name == name)


def test_what_a_set_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", str(tmp_path))
    monkeypatch.setattr(dataset_module, "_CHECKPOINTS", tmp_path / "shipped")
    assert lacks("ml-1m") == ("not downloaded",)
    assert lacks("beauty") == ("not downloaded", "no titles", "no facets", "no times")
    for folder, file in (("ml-1m", "ratings.dat"), ("amazon_beauty", "sequences.txt")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    assert lacks("ml-1m") == ("no titles", "no facets")
    assert lacks("beauty") == ("no titles", "no facets", "no times")
    (tmp_path / "ml-1m" / "movies.dat").touch()
    assert lacks("ml-1m") == ()
    (tmp_path / "shipped" / "beauty").mkdir(parents=True)
    (tmp_path / "shipped" / "beauty" / "items.parquet").touch()
    assert lacks("beauty") == ("no times",)


def test_every_named_set_says_its_size() -> None:
    sizes = {info.name: info.size for info in list_sets()}
    assert sizes["ml-100k"] == "100,000 ratings"
    assert all(sizes[name].split()[1] in ("ratings", "reviews") for name in SETS)


@pytest.mark.parametrize(
    ("columns", "catalogue", "lacking"),
    [
        ("user,item", None, ("no titles", "no facets", "no times")),
        ("user,item,time", None, ("no titles", "no facets")),
        ("user,item,time", "item_id,title\na,A\nb,B\n", ("no facets",)),
        ("user,item,time", "item_id,title,kind\na,,x\nb,,y\n", ("no titles",)),
        ("user,item,time", "item_id,title,kind\na,A,x\nb,B,y\n", ()),
    ],
)
def test_what_an_own_set_lacks_is_said(
    tmp_path: Path, cache: Path, columns: str, catalogue: str | None, lacking: tuple[str, ...]
) -> None:
    wide = columns.count(",") + 1
    rows = [("u", "a", "1"), ("u", "b", "2")]
    (tmp_path / "a").write_text(f"{columns}\n" + "".join(f"{','.join(r[:wide])}\n" for r in rows))
    if catalogue is not None:
        (tmp_path / "b").write_text(catalogue)
    import_file(tmp_path / "a", "mine", items=None if catalogue is None else tmp_path / "b")
    info = list_sets()[-1]
    assert (info.name, info.size, info.lacks) == ("mine", "2 interactions", lacking)
    (cache / "imported" / "mine" / "about.json").write_text("{}")
    assert (list_sets()[-1].size, lacks("mine")) == ("", ())
