"""A set that grows: what newer clicks change in it, what they leave, and what is refused."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame.data import Dataset, Wishes, append_file, import_file, imports, load
from fame.data.report import report_lines
from fame.errors import DataError

Row = tuple[str, str, Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    return tmp_path / "cache"


def log_of(folder: Path, name: str, rows: list[Row]) -> Path:
    path = folder / name
    path.write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    return path


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def kept(folder: Path, rows: list[Row], wishes: Wishes | None = None, items: str = "") -> Dataset:
    """Imports rows as the set ``mine``."""
    catalogue = written(folder, "items.csv", items) if items else None
    path = log_of(folder, "first.csv", rows)
    import_file(path, "mine", items=catalogue, replace=True, wishes=wishes)
    return load("mine", offline=True)


def grown(folder: Path, rows: list[Row], items: str = "", **reading: Any) -> Dataset:
    """Appends rows to it."""
    catalogue = written(folder, "newer-items.csv", items) if items else None
    append_file(log_of(folder, "newer.csv", rows), "mine", catalogue, reading)
    return load("mine", offline=True)


def histories(data: Dataset) -> dict[str, list[str]]:
    inner = data.interactions
    return {
        inner.user_ids[user]: inner.item_ids[inner.sequence(user)].tolist()
        for user in range(len(inner))
    }


def last_append(data: Dataset) -> dict[str, Any]:
    assert data.report is not None
    own: dict[str, Any] = data.report["appended"][-1]
    return own


FIRST: list[Row] = [("ann", "b", 10), ("ann", "c", 30), ("bob", "c", 5), ("bob", "d", 6)]


def test_newer_clicks_go_where_their_time_puts_them(tmp_path: Path) -> None:
    kept(tmp_path, FIRST)
    data = grown(tmp_path, [("cy", "a", 1), ("ann", "d", 20), ("ann", "a", 40), ("bob", "b", 6)])
    assert histories(data) == {
        "ann": ["b", "d", "c", "a"],
        "bob": ["c", "d", "b"],  # at an equal time what was known stands first
        "cy": ["a"],
    }
    own = last_append(data)
    assert (own["rows"], own["kept"], own["dropped"]) == (4, 4, {})
    assert (own["people"], own["items"], own["older"]) == (1, 1, {"rows": 1, "people": 1})
    assert data.source == "imported from first.csv and 1 later file"


def test_a_row_that_is_there_already_counts_once(tmp_path: Path) -> None:
    kept(tmp_path, [*FIRST, ("bob", "d", 6)])
    newer: list[Row] = [
        *(("ann", "b", 10), ("ann", "b", 11), ("bob", "d", 6), ("bob", "d", 6)),
        *(("bob", "d", 6), ("ann", "d", 10)),
    ]
    data = grown(tmp_path, newer)
    assert histories(data)["bob"] == ["c", "d", "d", "d"]
    assert Counter(histories(data)["ann"]) == Counter("bbcd")
    dropped = last_append(data)["dropped"]
    assert dropped == {"in the set already": {"rows": 3, "unit": "line", "first": [2, 4, 5]}}
    again = grown(tmp_path, newer)
    assert again.interactions.fingerprint == data.interactions.fingerprint
    assert (last_append(again)["rows"], last_append(again)["kept"]) == (6, 0)


USERS, ITEMS = st.sampled_from(["a", "b", "1", "02"]), st.sampled_from(["x", "9", "10", "y", "z"])
# Times of every row are its own, so that there is one order; those of later files may be earlier.
ROWS = st.lists(st.tuples(USERS, ITEMS), min_size=1, max_size=14)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parts=st.lists(ROWS, min_size=2, max_size=3),
    order=st.randoms(use_true_random=False),
    overlap=st.integers(0, 3),
    core=st.sampled_from([0, 2]),
    dedupe=st.booleans(),
    gap=st.sampled_from([None, "4s"]),
    in_order=st.booleans(),
)
def test_the_set_is_what_all_files_at_once_would_give(
    tmp_path: Path,
    parts: list[list[tuple[str, str]]],
    order: Any,
    overlap: int,
    core: int,
    dedupe: bool,
    gap: str | None,
    in_order: bool,
) -> None:
    times = list(range(1_600_000_000, 1_600_000_000 + 60))
    order.shuffle(times)
    logs = [[(user, item, times.pop()) for user, item in part] for part in parts]
    wishes = Wishes(
        core=core, dedupe=dedupe, session_gap=gap, in_order=in_order, time="time" * in_order or None
    )
    everything = log_of(tmp_path, "all.csv", [row for log in logs for row in log])
    try:
        import_file(everything, "all", replace=True, wishes=wishes)
        kept(tmp_path, logs[0], wishes)
    except DataError as error:
        assert "is left" in str(error)  # the core of the first file, or of all of them, is empty
        return
    before = len(load("mine", offline=True).interactions.items)
    for number, log in enumerate(logs[1:]):
        data = grown(tmp_path, [*logs[number][:overlap], *log])
        own = last_append(data)
        assert own["rows"] == own["kept"] + sum(g["rows"] for g in own["dropped"].values())
        before += own["kept"] + own["returned"]
        assert len(data.interactions.items) == before
    assert histories(data) == histories(load("all", offline=True))
    assert data.interactions.fingerprint == load("all", offline=True).interactions.fingerprint


def test_a_kept_order_of_equal_times_stays(tmp_path: Path) -> None:
    rows: list[Row] = [("ann", item, 7) for item in "bcdefgh"] + [("bob", "b", 1)]
    first = histories(kept(tmp_path, rows))["ann"]
    assert first != sorted(first), "else the order of the ids would pass, too"
    data = grown(tmp_path, [("ann", "0", 9), ("zoe", "a", 1)])
    assert histories(data)["ann"] == [*first, "0"]


def test_the_core_is_that_of_all_rows(tmp_path: Path) -> None:
    first: list[Row] = [(user, item, 1) for user in "ab" for item in "xy"] + [("c", "x", 1)]
    catalogue = "item_id,title\nx,X\ny,Y\nz,Zed\n"
    data = kept(tmp_path, [*first, ("c", "z", 2)], Wishes(core=2), catalogue)
    assert set(histories(data)) == {"a", "b"}
    data = grown(tmp_path, [("a", "z", 3), ("d", "x", 3)])
    assert set(histories(data)) == {"a", "b", "c"}
    own = last_append(data)
    assert (own["rows"], own["kept"], own["returned"]) == (2, 1, 2)
    assert own["dropped"]["not in the 2-core"] == {"rows": 1, "unit": "line", "first": [3]}
    # What the catalogue said of an item that the core had left out is not lost with it.
    assert data.items.set_index("item_id").title.to_dict() == {"x": "X", "y": "Y", "z": "Zed"}


def test_the_options_of_the_import_hold_again(tmp_path: Path) -> None:
    text = "who;what;when;stars\nann;x;2020-01-01 12:00;5\nann;y;2020-01-02 12:00;1\n"
    wishes = Wishes(
        user="who", item="what", rating="stars", min_rating=3, timezone="Asia/Tokyo", dedupe=True
    )
    import_file(written(tmp_path, "a.csv", text), "mine", wishes=wishes)
    newer = (
        "stars;when;what;who\n"
        "5;2020-01-01 03:00:00Z;x;ann\n"  # the same moment in another zone
        "2;2020-01-03 12:00;z;ann\n"
        "4;2020-01-01 11:00;z;ann\n"
        "4;2020-01-01 11:00;z;ann\n"
    )
    append_file(written(tmp_path, "b.csv", newer), "mine")
    data = load("mine", offline=True)
    assert histories(data) == {"ann": ["z", "x"]}
    dropped = last_append(data)["dropped"]
    assert {reason: own["first"] for reason, own in dropped.items()} == {
        "rating under 3": [3],
        "in the set already": [2],
        "exact duplicate": [5],
    }


@pytest.mark.parametrize(
    ("first", "newer"),
    [
        (["1600000000.5", "1600000001"], ["2020-09-13T12:26:40.5", "2020-09-13T12:26:41"]),
        (["1600000000", "1600000001"], ["1600000000000", "1600000001000"]),
        (["2020-09-13T12:26:40Z", "2020-09-13T12:26:41Z"], ["1600000000", "1600000001"]),
    ],
)
def test_one_moment_in_two_units_is_one_click(
    tmp_path: Path, first: list[str], newer: list[str]
) -> None:
    kept(tmp_path, [("ann", "x", first[0]), ("ann", "y", first[1])])
    data = grown(tmp_path, [("ann", "y", newer[1]), ("ann", "x", newer[0])])
    assert last_append(data)["dropped"]["in the set already"]["rows"] == 2
    assert histories(data) == {"ann": ["x", "y"]}


def test_numbers_that_become_words_are_the_same_ids(tmp_path: Path) -> None:
    kept(tmp_path, [("1", "2", 1), ("1", "10", 2), ("2", "10", 1)])
    data = grown(tmp_path, [("1", "A", 3), ("new", "2", 1), ("1", "2", 1)])
    assert histories(data) == {"1": ["2", "10", "A"], "2": ["10"], "new": ["2"]}
    assert data.interactions.item_ids.tolist() == ["", "10", "2", "A"], "numbered anew, by text"


CATALOGUE = "item_id,title,brand,tags\nb,Bee,Acme,x|y\nc,Cee,Bolt,y\nd,Dee,Acme,x\n"


def test_new_items_get_titles_and_changed_ones_are_said(tmp_path: Path) -> None:
    kept(tmp_path, FIRST, items=CATALOGUE)
    newer = "item_id,title,brand,tags\ne,Eee,Bolt,z\nc,Cee,Acme,\nf,Eff,Core,x\n"
    data = grown(tmp_path, [("ann", "e", 50), ("bob", "g", 9)], newer)
    frame = data.items.set_index("item_id")
    assert frame.title.to_dict() == {"b": "Bee", "c": "Cee", "d": "Dee", "e": "Eee", "g": "Item g"}
    assert frame.brand.drop("g").to_dict() == {"b": "Acme", "c": "Acme", "d": "Acme", "e": "Bolt"}
    # A small catalogue may look as if a column held one value an item; it is the list that it was.
    assert frame.tags.to_dict() == {"b": ["x", "y"], "c": ["y"], "d": ["x"], "e": ["z"], "g": []}
    own = last_append(data)
    assert own["changed"] == {
        "items": 1,
        "first": [{"item": "c", "column": "brand", "from": "Bolt", "to": "Acme"}],
    }
    assert (own["items"], own["untitled"]) == (2, 1)
    told = " ".join(report_lines(data.report or {}).values())
    assert "brand of 'c' was Bolt and is Acme" in told
    # The catalogue is kept whole: what is clicked later has its title without being told again.
    assert grown(tmp_path, [("bob", "f", 10)]).items.set_index("item_id").title["f"] == "Eff"


def test_a_facet_of_another_kind_is_refused(tmp_path: Path) -> None:
    kept(tmp_path, FIRST, items="item_id,title,year\nb,B,1990\nc,C,1991\nd,D,1990\n")
    with pytest.raises(DataError, match="'year' has 'late', and in the set it holds numbers"):
        grown(tmp_path, [("ann", "e", 50)], "item_id,title,year\ne,E,late\nb,B,late\nc,C,1990\n")
    data = grown(tmp_path, [("ann", "e", 50)], "item_id,title,year\ne,E,2001\n")
    assert data.items.set_index("item_id").year["e"] == 2001


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("person,item,time\nann,x,1\n", "no column 'user', and the set 'mine' was imported with"),
        ("user,item,when\nann,x,1\n", "no column 'time'.*say with --time which one it is here"),
        ("user,item,time\nann,x,soon\n", "'soon'"),
        ("user,item,time\nann,x,2020-01-01\n", "its times are dates.*are numbers of no known"),
        ("user,item,time\nann,x,20200101\n", "its times are days as year.*are numbers of no known"),
        ("1 2 3\n2 3\n", "no named columns|no column|cannot"),
        ("", "empty"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_set_stays(
    tmp_path: Path, cache: Path, text: str, words: str
) -> None:
    kept(tmp_path, FIRST, items=CATALOGUE)
    before = snapshot(cache)
    with pytest.raises(DataError, match=words) as refused:
        append_file(written(tmp_path, "b.csv", text), "mine")
    assert len(str(refused.value).split(". ")) == 1
    assert snapshot(cache) == before


def test_a_set_stays_where_writing_fails(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kept(tmp_path, FIRST)
    before = snapshot(cache)
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if self.name == "new":  # the last step, when the old folder is out of the way already
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(DataError, match="No space left"):
            grown(tmp_path, [("ann", "d", 50)])
    assert snapshot(cache) == before
    assert load("mine", offline=True).interactions.fingerprint == data.interactions.fingerprint


def test_a_set_that_a_killed_process_took_away_is_there_again(tmp_path: Path, cache: Path) -> None:
    """Killed between its two renames: the former set lies beside, under another name."""
    kept(tmp_path, FIRST)
    before, home = snapshot(cache), cache / "data" / "imported"
    away = home / ".mine.abc.tmp"
    away.mkdir()
    (home / "mine").rename(away / "old")
    with imports._held("mine"):  # somebody is at it, and may be in that very moment
        assert imports.names() == []
    assert imports.names() == ["mine"] and snapshot(cache) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [("beauty", "published data set and stays as it is"), ("yours", "no imported set 'yours'")],
)
def test_only_imported_sets_grow(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        append_file(log_of(tmp_path, "a.csv", FIRST), name)


def test_a_set_of_an_earlier_version_is_to_be_imported_again(tmp_path: Path, cache: Path) -> None:
    kept(tmp_path, FIRST)
    next(cache.rglob("rows.parquet")).unlink()
    with pytest.raises(DataError, match="imported by an earlier version"):
        grown(tmp_path, [("ann", "d", 50)])
    assert len(load("mine", offline=True).interactions.items) == 4


def test_without_times_newer_lines_stand_behind(tmp_path: Path) -> None:
    first = "user,item\nann,x\nann,y\nbob,y\n"
    import_file(written(tmp_path, "a.csv", first), "mine")
    append_file(written(tmp_path, "b.csv", "user,item\nann,x\ncy,w\n"), "mine")
    data = load("mine", offline=True)
    assert histories(data) == {"ann": ["x", "y", "x"], "bob": ["y"], "cy": ["w"]}
    assert "without times nobody can tell" in " ".join(last_append(data)["notes"])
    whole = "user,item\nann,x\nann,y\nann,x\nann,z\nbob,y\nbob,w\ncy,w\n"
    with pytest.raises(DataError, match="begins, for all 3 people"):
        append_file(written(tmp_path, "c.csv", whole), "mine")
    with pytest.raises(DataError, match="has times and the set 'mine' has none"):
        append_file(written(tmp_path, "d.csv", "user,item,time\nann,x,1600000000\n"), "mine")


def test_a_choice_about_repeats_stays_and_a_share_is_counted_anew(tmp_path: Path) -> None:
    rows: list[Row] = [(f"u{n}", item, t) for n in range(9) for t, item in enumerate("xyz")]
    newer: list[Row] = [(f"u{n}", "x", 9) for n in range(9)]
    assert kept(tmp_path, rows).interactions.repeats == "exclude"
    data = grown(tmp_path, newer)
    assert data.interactions.repeats == "recommend"
    assert "recommended again" in " ".join(last_append(data)["notes"])
    import_file(log_of(tmp_path, "a.csv", rows), "mine", replace=True, repeats="exclude")
    assert grown(tmp_path, newer).interactions.repeats == "exclude"


def test_what_an_append_did_is_kept_as_json(tmp_path: Path) -> None:
    first = kept(tmp_path, FIRST, items=CATALOGUE)
    data = grown(tmp_path, [("ann", "d", 50)], "item_id,title,tags\nd,Dee,q\n")
    own = last_append(data)
    assert own["was"] == first.interactions.fingerprint != data.interactions.fingerprint
    assert json.loads(json.dumps(data.summary()))["import"]["appended"] == [own]
    assert own["changed"]["first"][0]["to"] == ["q"]
    lines = report_lines(data.report or {})
    assert lines["append 1"] == "newer.csv: 1 read, 1 kept, 0 dropped"
    assert np.isclose(data.summary()["import"]["sparsity"], 1 - 5 / 6, atol=1e-12)
    again = grown(tmp_path, [("ann", "d", 60), ("ann", "d", 61), ("ann", "d", 62)])
    # Sparsity is of pairs: what somebody clicks three times more makes no set denser.
    assert np.isclose(again.summary()["import"]["sparsity"], 1 - 5 / 6, atol=1e-12)


def test_two_appends_at_once_lose_nothing(tmp_path: Path) -> None:
    """The second waits until the first has written: it reads what that left."""
    kept(tmp_path, FIRST)
    order: list[str] = []
    with imports._held("mine"):
        thread = threading.Thread(
            target=lambda: (grown(tmp_path, [("ann", "d", 50)]), order.append("second"))
        )
        thread.start()
        thread.join(0.5)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
