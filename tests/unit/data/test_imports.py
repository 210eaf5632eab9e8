"""A person's own files: what is detected, what is kept, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame.data import Preview, Wishes, import_file, list_sets, load, preview
from fame.data.dataset import Dataset
from fame.data.imports import Labels
from fame.data.report import report_lines
from fame.errors import DataError


def histories(data: Dataset) -> dict[str, list[str]]:
    inner = data.interactions
    return {
        inner.user_ids[user]: inner.item_ids[inner.sequence(user)].tolist()
        for user in range(len(inner))
    }


def bring_in(
    folder: Path,
    file: str,
    content: str | bytes,
    name: str = "mine",
    wishes: Wishes | None = None,
) -> Dataset:
    path = folder / file
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    import_file(path, name, replace=True, wishes=wishes)
    return load(name, offline=True)


EXPECTED = {"ann": ["x", "y"], "bob": ["z"]}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", "user,item,timestamp\nann,y,20\nann,x,10\nbob,z,5\n"),
        (
            "a.csv",
            "\ufeffUser_ID,stars,itemId,Time\r\nann,1,y,20.5\r\nann,2,x,1e1\r\nbob,3,z,5\r\n",
        ),
        (
            "a.csv",
            'user,item,time\nann,"y",2020-01-02T10:00:00\nann,x,2020-01-02\nbob,z,1999-01-01\n',
        ),
        (  # with zones, ann's first click is the later one by the clock on the wall
            "a.csv",
            "user,item,time\nann,y,2020-01-01T09:00Z\nann,x,2020-01-01T10:00+02:00\n"
            "bob,z,2020-01-01T00:00Z\n",
        ),
        ("a.csv", "user,item,time\nann,y,20\nann,x,1.5\nbob,z,5\n"),  # 20 alone is whole
        ("a.csv", "user,item,time\nann,y,2020-01-02T01Z\nann,x,2020-01-02\nbob,z,2020-01-01\n"),
        ("a.csv", "user,item\nann,x\nbob,z\nann,y\n"),
        ("a.tsv", "item_id\tuser_id\nx\tann\nz\tbob\ny\tann\n"),
        (
            "a.inter",
            "user_id:token\titem_id:token\ttimestamp:float\nann\ty\t2\nann\tx\t1\nbob\tz\t3\n",
        ),
    ],
)
def test_tables_are_understood(tmp_path: Path, file: str, content: str) -> None:
    data = bring_in(tmp_path, file, content)
    assert histories(data) == EXPECTED
    assert data.items["title"].tolist() == ["Item x", "Item y", "Item z"]
    assert data.source == f"imported from {file}"


def test_equal_times_keep_the_order_of_the_file_where_it_is_asked_for(tmp_path: Path) -> None:
    content = "user,item,time\nu,c,1\nu,a,1\nu,b,0\n"
    data = bring_in(tmp_path, "a.csv", content, wishes=Wishes(in_order=True, time="time"))
    assert histories(data) == {"u": ["b", "c", "a"]}
    assert "equal times in the order of the source file" in data.interactions.filters


def test_large_times_are_told_apart(tmp_path: Path) -> None:
    nanoseconds = 1_700_000_000_000_000_000
    content = f"user,item,time\nu,b,{nanoseconds + 1}\nu,a,{nanoseconds}\n"
    assert histories(bring_in(tmp_path, "a.csv", content)) == {"u": ["a", "b"]}


@pytest.mark.parametrize(
    "time",
    [
        [3, 1, 2],
        pd.to_datetime(["2020-03", "2020-01", "2020-02"]),
        pd.to_datetime(["2020-03", "2020-01", "2020-02"]).date,
        pd.to_datetime([3, 1, 2], unit="ns", utc=True),
        pd.array([2**64 - 1, 2**64 - 3, 2**64 - 2], dtype="uint64"),
        ["2020-03-01", "2020-01-01", "2020-02-01"],
    ],
)
def test_parquet_is_understood(tmp_path: Path, time: object) -> None:
    frame = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "item_id": [7, 8, 7], "time": time})
    frame.to_parquet(tmp_path / "a.parquet")
    import_file(tmp_path / "a.parquet", "mine")
    assert histories(load("mine")) == {"ann": ["8", "7"], "bob": ["7"]}


def test_parquet_categories_are_understood(tmp_path: Path) -> None:
    users = pd.Categorical(["2", "10", "2"], categories=["nobody", "10", "2"])
    frame = pd.DataFrame({"user": users, "item": pd.Categorical([8, 8, 7])})
    frame.to_parquet(tmp_path / "a.parquet")
    import_file(tmp_path / "a.parquet", "mine")
    data = load("mine")
    assert histories(data) == {"2": ["8", "7"], "10": ["8"]}
    assert data.interactions.user_ids.tolist() == ["2", "10"]


def test_sequences_are_understood(tmp_path: Path) -> None:
    data = bring_in(tmp_path, "a.txt", "2 30 4\n1 4\n")
    assert histories(data) == {"1": ["4"], "2": ["30", "4"]}
    assert "lines in the order of the source file" in data.interactions.filters


def test_a_catalogue_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\nu,b\nu,a\nu,c\n")
    (tmp_path / "items.csv").write_text("item_id,title,year,tags\na,Ant,1999,x|y\nb,Bee,,\n")
    import_file(tmp_path / "a.csv", "mine", items=tmp_path / "items.csv")
    data = load("mine")
    assert data.items["title"].tolist() == ["Ant", "Bee", "Item c"]
    assert data.items["tags"].tolist() == [["x", "y"], [], []]
    assert data.summary()["facets"] == {"year": "number", "tags": "list"}


def test_an_imported_set_is_in_the_list_and_survives_damage(tmp_path: Path, cache: Path) -> None:
    bring_in(tmp_path, "a.csv", "user,item\nann,x\nbob,x\n", name="my-clicks")
    info = list_sets()[-1]
    assert (info.name, info.place) == ("my-clicks", "imported")
    assert info.description == "2 interactions with 1 items by 2 people"

    folder = cache / "imported" / "my-clicks"
    (folder / "about.json").write_text("{")
    assert "damaged" in list_sets()[-1].description
    with pytest.raises(DataError, match="import 'my-clicks' once more"):
        load("my-clicks")
    bring_in(tmp_path, "a.csv", "user,item\nann,x\nbob,x\n", name="my-clicks")
    pd.DataFrame({"item_id": [], "title": []}, dtype="string").to_parquet(folder / "items.parquet")
    with pytest.raises(DataError, match="damaged or of an earlier version; import 'my-clicks'"):
        load("my-clicks")
    bring_in(tmp_path, "a.csv", "user,item\nann,x\nbob,x\n", name="my-clicks")
    (folder / "interactions.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="import 'my-clicks' once more"):
        load("my-clicks")


def test_a_set_as_an_earlier_version_kept_it_is_to_be_imported_again(
    tmp_path: Path, cache: Path
) -> None:
    bring_in(tmp_path, "a.csv", "user,item\nann,x\n")
    kept = cache / "imported" / "mine" / "interactions.parquet"
    pd.DataFrame({"user": ["ann"], "item": ["x"]}).to_parquet(kept)
    with pytest.raises(DataError, match="of an earlier version; import 'mine' once more"):
        load("mine")


def log_of(repeating: int, people: int = 100) -> str:
    """People with three clicks; the last one of so many of them repeats the first."""
    rows = [
        f"{user},{item}"
        for user in range(people)
        for item in ("a", f"b{user}", "a" if user < repeating else "c")
    ]
    return "\n".join(["user,item", *rows]) + "\n"


@pytest.mark.parametrize(
    ("repeating", "choice"), [(0, "exclude"), (4, "exclude"), (5, "recommend"), (38, "recommend")]
)
def test_the_share_of_repeated_targets_decides_where_nobody_does(
    tmp_path: Path, repeating: int, choice: str
) -> None:
    data = bring_in(tmp_path, "a.csv", log_of(repeating))
    summary = data.summary()
    assert data.interactions.repeats == summary["repeats"] == choice
    assert summary["repeated_targets"] == repeating / 100
    said = summary["repeats_reason"]
    found = f"{repeating} %" if repeating else "none"
    assert said.startswith(f"{found} of the test targets w")
    side = "5 % or more" if choice == "recommend" else "less than 5 %"
    other = "exclude" if choice == "recommend" else "recommend"
    assert f"({side}), so" in said and f"--repeats {other} to change that" in said
    assert list_sets()[-1].repeats == said


@pytest.mark.parametrize("choice", ["exclude", "recommend"])
def test_a_choice_is_kept_with_the_set(tmp_path: Path, choice: str) -> None:
    (tmp_path / "a.csv").write_text(log_of(38))
    by_share = bring_in(tmp_path, "b.csv", log_of(38), name="by-share")
    import_file(tmp_path / "a.csv", "mine", repeats=choice)
    data = load("mine")
    assert data.interactions.repeats == choice
    said = data.summary()["repeats_reason"]
    assert f"38 % of the test targets were chosen before; as asked for with --repeats {choice}" in (
        said
    )
    assert ("such a target is a miss" in said) == (choice == "exclude")
    assert data.interactions.fingerprint == by_share.interactions.fingerprint  # of histories alone


def test_a_set_kept_before_repeats_were_asked_about_goes_by_its_share(
    tmp_path: Path, cache: Path
) -> None:
    bring_in(tmp_path, "a.csv", log_of(38))
    kept = cache / "imported" / "mine" / "about.json"
    about = json.loads(kept.read_text())
    for name in ("repeats", "repeats_by", "repeated_targets"):
        del about[name]
    kept.write_text(json.dumps(about))
    data = load("mine")
    assert data.interactions.repeats == "recommend"
    assert list_sets()[-1].repeats == data.summary()["repeats_reason"]
    assert "38 % of the test targets were chosen before (5 % or more)" in list_sets()[-1].repeats


@pytest.mark.parametrize(
    "damage", [{"repeats": "sometimes"}, {"repeats": None}, {"repeats_by": "me"},
               {"repeated_targets": "many"}]
)  # fmt: skip
def test_a_damaged_choice_is_refused(tmp_path: Path, cache: Path, damage: dict) -> None:
    bring_in(tmp_path, "a.csv", log_of(38))
    kept = cache / "imported" / "mine" / "about.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | damage))
    with pytest.raises(DataError, match="import 'mine' once more"):
        load("mine")
    assert list_sets()[-1].repeats == ""


def test_a_set_is_replaced_only_on_demand(tmp_path: Path, cache: Path) -> None:
    bring_in(tmp_path, "a.csv", "user,item\nu,x\n")
    with pytest.raises(DataError, match=r"There is an imported set 'mine'.*--replace"):
        import_file(tmp_path / "a.csv", "mine")
    assert histories(bring_in(tmp_path, "b.csv", "user,item\nu,y\n")) == {"u": ["y"]}
    assert [path.name for path in (cache / "imported").iterdir()] == ["mine"]


def test_a_faulty_file_leaves_the_old_set(tmp_path: Path) -> None:
    bring_in(tmp_path, "a.csv", "user,item\nu,x\n")
    with pytest.raises(DataError):
        bring_in(tmp_path, "b.csv", "user,item\n")
    assert histories(load("mine")) == {"u": ["x"]}


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "/etc/x", "-a", "Ä", "Big", "a b", "a.b", "x" * 65, "a\n"]
)
def test_a_name_is_never_a_path(tmp_path: Path, cache: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("user,item\nu,x\n")
    with pytest.raises(DataError, match="cannot name a data set"):
        import_file(tmp_path / "a.csv", name)
    assert not (cache / "imported").exists()


def test_a_published_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'beauty' is the name of a published data set"):
        import_file(tmp_path / "a.csv", "beauty", replace=True)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"user,item\n", "a.csv is empty"),
        ("a.csv", b"who,item\n1,2\n", "a.csv, line 1: the header has no column user or user_id"),
        ("a.csv", b"user,what\n1,2\n", "a.csv, line 1: the header has no column item or item_id"),
        ("a.csv", b"user,item\n1,2\n3\n", "a.csv, line 3: 2 columns are expected, not 1"),
        ("a.csv", b"user,item\n,2\nNA,3\n", "a.csv: no interaction is left .2 no user id."),
        ("a.csv", b"user,item,time\n1,2,9\n1,2,oops\n", "a.csv, line 3: .*'oops'"),
        ("a.csv", b"user,item,time\n1,2,2020-01-01\n1,2,9 pm\n", "a.csv, line 3: .*'9 pm'"),
        ("a.csv", b"user,item,time\n1,2,9\n1,2,nan\n", "a.csv, line 3: .*'nan'"),
        ("a.csv", b"\xff\xfe", "a.csv is empty"),
        ("a.csv", b"user,item\n1,\0\n", "a.csv, line 2 holds the byte 0x00, which no text has"),
        ("a.txt", b"", "a.txt is empty"),
        ("a.txt", b"1 two\n", "a.txt, line 1: 'two' is no whole number"),
        ("a.parquet", b"PAR1", "a.parquet is no readable parquet file"),
        ("a.xlsx", b"x", "a.xlsx is of no known kind"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, file: str, content: bytes, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        bring_in(tmp_path, file, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"user": [], "item": []}), "a.parquet is empty"),
        (pd.DataFrame({"user": [None, None], "item": [1, 2]}), "no interaction is left"),
        (pd.DataFrame({"user": [["a"]], "item": [1]}), "ids are text or whole numbers"),
        (pd.DataFrame({"user": [1.5], "item": [1]}), "ids are text or whole numbers"),
        (pd.DataFrame({"user": [1], "item": [1], "time": ["x"]}), "row 1: column 'time' has 'x'"),
        (
            pd.DataFrame({"user": [1], "item": [1], "time": [[1]]}),
            "column 'time' holds list<.*lists",
        ),
        (
            pd.DataFrame({"user": [1, 1], "item": [1, 1], "time": [1.5, float("inf")]}),
            "row 2: column 'time' has 'inf'",
        ),
    ],
)
def test_a_parquet_that_does_not_fit_is_named(
    tmp_path: Path, frame: pd.DataFrame, words: str
) -> None:
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=words):
        import_file(tmp_path / "a.parquet", "mine")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.csv cannot be read"):
        import_file(tmp_path / "nothing.csv", "mine")
    (tmp_path / "a.csv").write_text("user,item\nu,x\n")
    with pytest.raises(DataError, match=r"nothing.csv cannot be read"):
        import_file(tmp_path / "a.csv", "mine", items=tmp_path / "nothing.csv")


# --- what becomes of every row --------------------------------------------------------------------


def report_of(data: Dataset) -> dict[str, Any]:
    assert data.report is not None
    return data.report


IDS = st.sampled_from(["a", "b", "Ünit 5", 'say "x"', "1", "01", "", "NA", "null", " ", "nan"])


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(IDS, IDS, st.integers(0, 5), st.sampled_from(["1", "3.5", "5", ""])), min_size=1
    ),
    kind=st.sampled_from(["csv", "tsv", "json", "parquet", "utf-16", "gzip"]),
    bad=st.integers(0, 3),
    core=st.sampled_from([0, 2]),
    min_rating=st.sampled_from([None, 3.0]),
    dedupe=st.booleans(),
)
def test_rows_read_are_rows_kept_and_rows_dropped_for_a_reason(
    tmp_path: Path,
    rows: list[tuple[str, str, int, str]],
    kind: str,
    bad: int,
    core: int,
    min_rating: float | None,
    dedupe: bool,
) -> None:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "rating"])
    path = tmp_path / "log"
    text = frame.to_csv(index=False, sep="\t" if kind == "tsv" else ",")
    if kind in ("json", "parquet"):
        bad = 0
    text += "too few\n" * bad
    if kind == "json":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        content = text.encode("utf-16" if kind == "utf-16" else "utf-8")
        path.write_bytes(gzip.compress(content) if kind == "gzip" else content)
    wishes = Wishes(core=core, min_rating=min_rating, dedupe=dedupe, skip_bad=bad)
    none = {"", "NA", "null", " ", "nan"}
    kept = [
        row
        for row in rows
        if not {row[0], row[1]} & none
        and (min_rating is None or (row[3] and float(row[3]) >= min_rating))
    ]
    if dedupe:
        kept = list(dict.fromkeys(row[:3] for row in kept))
    for _ in rows if core else ():
        counts = [Counter(row[place] for row in kept) for place in (0, 1)]
        kept = [row for row in kept if min(counts[0][row[0]], counts[1][row[1]]) >= core]
    try:
        import_file(path, "mine", replace=True, wishes=wishes)
    except DataError as error:
        assert not kept, error
        return
    data = load("mine")
    report = report_of(data)
    assert report["rows"] == len(rows) + bad
    assert report["kept"] == len(kept) == len(data.interactions.items)
    assert report["rows"] - report["kept"] == sum(own["rows"] for own in report["dropped"].values())
    found = Counter((user, item) for user, own in histories(data).items() for item in own)
    assert found == Counter(row[:2] for row in kept)


def test_ids_that_are_none_are_dropped_and_said_with_their_lines(tmp_path: Path) -> None:
    content = "user,item,time\nann,x,1\n\nNA,x,2\nann,,3\n null ,x,4\nann,None,5\nbob,y,6\n"
    data = bring_in(tmp_path, "a.csv", content)
    assert histories(data) == {"ann": ["x"], "bob": ["y"]}
    assert report_of(data)["dropped"] == {
        "no user id": {"rows": 2, "unit": "line", "first": [4, 6]},
        "no item id": {"rows": 2, "unit": "line", "first": [5, 7]},
    }


def test_bad_rows_are_dropped_up_to_the_number_that_is_given(tmp_path: Path) -> None:
    content = "user,item,time\nann,x,2\nann\nann,y,soon\nann,z,1\nann,w,\n"
    data = bring_in(tmp_path, "a.csv", content, wishes=Wishes(skip_bad=3))
    assert histories(data) == {"ann": ["z", "x"]}
    assert report_of(data)["dropped"] == {
        "another number of columns": {"rows": 1, "unit": "line", "first": [3]},
        "a time that cannot be read": {"rows": 2, "unit": "line", "first": [4, 6]},
    }
    for few in (0, 1, 2):
        with pytest.raises(DataError, match=r"a.csv, line [346]"):
            bring_in(tmp_path, "a.csv", content, wishes=Wishes(skip_bad=few))


def test_what_was_asked_for_is_kept_with_the_set(tmp_path: Path) -> None:
    content = "user,item,time,rating\n" + "".join(
        f"u{k % 3},i{k % 2},{k // 2},{1 + k % 5}\n" for k in range(30)
    )
    wishes = Wishes(core=2, min_rating=3, dedupe=True, skip_bad=1)
    data = bring_in(tmp_path, "a.csv", content, wishes=wishes)
    assert data.interactions.filters == (
        "ratings from 3, exact duplicates once, 2-core on users and items; in order of time, equal "
        "times in a random order fixed by the set"
    )
    assert report_of(data)["options"] == {
        "core": 2, "min_rating": 3, "dedupe": True, "skip_bad": 1
    }  # fmt: skip


def test_rows_keep_their_lines_through_all_that_drops_them(tmp_path: Path) -> None:
    content = "user,item,time\nNA,x,1\nann,x,1\nann,x,1\nann,x,2\nbob,y,1\nann,x,3\n"
    data = bring_in(tmp_path, "a.csv", content, wishes=Wishes(core=2, dedupe=True))
    dropped = report_of(data)["dropped"]
    assert {reason: own["first"] for reason, own in dropped.items()} == {
        "no user id": [2], "exact duplicate": [4], "not in the 2-core": [6]
    }  # fmt: skip


# --- the order -----------------------------------------------------------------------------------


def test_a_time_of_another_name_orders_the_clicks(tmp_path: Path) -> None:
    content = "user_id,item_id,date\na,x3,2020-01-03\na,x2,2020-01-02\na,x1,2020-01-01\n"
    data = bring_in(tmp_path, "a.csv", content)
    assert histories(data) == {"a": ["x1", "x2", "x3"]}
    assert report_of(data)["times"]["last"] == "2020-01-03"
    in_order = bring_in(tmp_path, "a.csv", content, wishes=Wishes(in_order=True))
    assert histories(in_order) == {"a": ["x3", "x2", "x1"]}
    assert "not used, though times are in it: date" in report_of(in_order)["notes"]
    frame = pd.read_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    import_file(tmp_path / "a.parquet", "mine", replace=True)
    assert histories(load("mine")) == {"a": ["x1", "x2", "x3"]}


def test_a_set_without_times_says_so(tmp_path: Path) -> None:
    data = bring_in(tmp_path, "a.csv", "user,item\nu,x\n")
    assert report_of(data)["notes"] == [
        "no column holds times, so clicks stand in the order of the lines"
    ]


def test_equal_times_come_in_an_order_that_no_sorting_of_the_file_changes(tmp_path: Path) -> None:
    rows = [f"u{user},i{item},{item // 10}" for user in range(40) for item in range(20)]
    head = "user,item,time"
    data = bring_in(tmp_path, "a.csv", "\n".join([head, *rows]))
    again = bring_in(tmp_path, "a.csv", "\n".join([head, *reversed(rows)]))
    assert again.interactions.fingerprint == data.interactions.fingerprint
    assert report_of(data)["tied"] == 1
    first = Counter(own[0] for own in histories(data).values())
    assert set(first) <= {f"i{item}" for item in range(10)}
    # 40 people, ten items that may come first: nobody is first for all. Of 40 throws at ten sides
    # one has more than 14 with a probability below 1e-4.
    assert max(first.values()) <= 14
    follows = Counter(pair for own in histories(data).values() for pair in pairwise(own))
    assert max(follows.values()) <= 14  # nor does one always follow another


def test_duplicates_are_counted_and_dropped_where_that_is_asked_for(tmp_path: Path) -> None:
    content = "user,item,time\nu,a,1\nu,b,1\nu,a,1\nu,a,2\nv,a,1\nu,a,1\n"
    data = bring_in(tmp_path, "a.csv", content)
    assert report_of(data)["duplicates"] == 2
    assert report_of(data)["tied"] == 4 / 6
    assert sorted(histories(data)["u"]) == ["a", "a", "a", "a", "b"]
    once = bring_in(tmp_path, "a.csv", content, wishes=Wishes(dedupe=True))
    assert report_of(once)["dropped"] == {
        "exact duplicate": {"rows": 2, "unit": "line", "first": [4, 7]}
    }
    assert sorted(histories(once)["u"][:2]) == ["a", "b"] and histories(once)["u"][2:] == ["a"]
    with pytest.raises(DataError, match="--dedupe needs times"):
        bring_in(tmp_path, "a.csv", "user,item\nu,a\n", wishes=Wishes(dedupe=True))


# --- the catalogue -------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["{}.0", "0{}", " {}", "'{}'"])
def test_a_catalogue_that_knows_no_item_is_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "a.csv").write_text("user,item\nu,1\nu,2\n")
    ids = [other.format(item) for item in (1, 2)]
    (tmp_path / "items.csv").write_text(f"item_id,title\n{ids[0]},One\n{ids[1]},Two\n")
    with pytest.raises(DataError, match=r"knows 0 of the 2 items .* there may be '1' here"):
        import_file(tmp_path / "a.csv", "mine", items=tmp_path / "items.csv")


@pytest.mark.parametrize(("known", "said"), [(8, True), (9, False), (10, False)])
def test_a_catalogue_that_knows_few_items_is_told(tmp_path: Path, known: int, said: bool) -> None:
    (tmp_path / "a.csv").write_text("user,item\n" + "".join(f"u,{k}\n" for k in range(10)))
    titles = "".join(f"{k},T{k},x\n" for k in range(known)) + "99,Other,y\n"
    (tmp_path / "items.csv").write_text("item_id,title,genre\n" + titles)
    import_file(tmp_path / "a.csv", "mine", items=tmp_path / "items.csv")
    report = report_of(load("mine"))
    assert report["titles"] == {
        "items": 10, "known": known, "listed": known + 1, "titled": known
    }  # fmt: skip
    assert report["facets"] == {"genre": {"kind": "category", "values": 1, "items": known}}
    assert any(f"knows {known} of the 10 items" in note for note in report["notes"]) == said


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.dat", "ann::y::5::978300760\nann::x::4::978300275\nbob::z::3::978300275\n"),
        ("a", "ann;y;2020-01-02\nann;x;2020-01-01\nbob;z;2020-01-01\n"),
        ("a.csv", "user item timestamp\nann y 20\nann x 10\nbob z 5\n"),
        ("a.tsv", '"user_id"\t"item_id"\t"time"\n"ann"\t"y"\t2\n"ann"\t"x"\t1\n"bob"\t"z"\t1\n'),
        (
            "a.txt",
            "ann\ty\tArts & Crafts\t40.7\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
            "ann\tx\tBridge\t40.6\t-240\tTue Apr 03 17:00:09 +0000 2012\n"
            "bob\tz\tBridge\t40.6\t-240\tTue Apr 03 17:00:09 +0000 2012\n",
        ),
        ("a.txt", "\n\nuser|item|ts\nann|y|20\nann|x|10\nbob|z|5\n"),
        ("a.csv", "user_id,item_id,item_id2,timestamp\nann,y,q,2\nann,x,r,1\nbob,z,s,1\n"),
        (
            "a.json",
            '{"reviewerID": "ann", "asin": "y", "unixReviewTime": 1400000000, "style": {"a": 1}}\n'
            '{"reviewerID": "ann", "asin": "x", "unixReviewTime": 1300000000}\n\n'
            '{"reviewerID": "bob", "asin": "z", "overall": 5.0, "unixReviewTime": 1300000000}\n',
        ),
        (
            "a.jsonl",
            '{"session": "ann", "events": [{"aid": "y", "ts": 1661200000001, "type": "clicks"}, '
            '{"aid": "x", "ts": 1661200000000, "type": "carts"}]}\n'
            '{"session": "bob", "events": [{"aid": "z", "ts": 1661200000000, "type": "orders"}]}\n',
        ),
    ],
)  # fmt: skip
def test_content_decides_what_a_file_is(tmp_path: Path, file: str, content: str) -> None:
    assert histories(bring_in(tmp_path, file, content)) == EXPECTED


def test_ratings_in_a_txt_are_no_sequences(tmp_path: Path) -> None:
    content = "1\t1193\t5\t978300760\n1\t661\t3\t978302109\n1\t9\t3\t978302108\n"
    data = bring_in(tmp_path, "u.txt", content)
    assert histories(data) == {"1": ["1193", "9", "661"]}
    assert list(report_of(data)["columns"].values()) == [
        "column 1", "column 2", "column 4", "column 3"
    ]  # fmt: skip


def test_parts_and_lists_in_parquet(tmp_path: Path) -> None:
    parts = tmp_path / "parts" / "day=1"
    parts.mkdir(parents=True)
    (parts.parent / "_SUCCESS").write_bytes(b"")
    for number, (user, items, times) in enumerate(
        [("ann", ["y", "x"], [2, 1]), ("bob", ["z"], [1])]
    ):
        pd.DataFrame({"user_id": [user], "items": [items], "timestamp": [times]}).to_parquet(
            parts / f"part-{number}.parquet"
        )
    import_file(tmp_path / "parts", "mine")
    assert histories(load("mine")) == EXPECTED
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty is a folder without Parquet parts"):
        import_file(tmp_path / "empty", "other")


def test_events_in_lists_are_told_by_the_line_they_stand_in(tmp_path: Path) -> None:
    lines = [
        {"session": number, "events": [{"aid": aid, "ts": 1_661_200_000_000 + aid} for aid in aids]}
        for number, aids in enumerate([[1, 2, 3], [], [4]])
    ]
    lines[2]["events"].append({"aid": None, "ts": 1_661_200_000_000})  # type: ignore[attr-defined]
    data = bring_in(tmp_path, "a", "\n".join(map(json.dumps, lines)))
    assert histories(data) == {"0": ["1", "2", "3"], "2": ["4"]}
    report = report_of(data)
    assert (report["rows"], report["kept"]) == (5, 4)
    assert report["dropped"] == {"no item id": {"rows": 1, "unit": "line", "first": [3]}}


def test_whole_numbers_that_a_missing_one_made_decimal_are_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a", "b", "c"], "item": [7.0, None, 8.0]})
    frame.to_parquet(tmp_path / "a.parquet")
    import_file(tmp_path / "a.parquet", "mine")
    data = load("mine")
    assert histories(data) == {"a": ["7"], "c": ["8"]}
    assert report_of(data)["dropped"] == {"no item id": {"rows": 1, "unit": "row", "first": [2]}}


def test_a_folder_of_movielens_brings_its_films(
    tmp_path: Path, grouplens_100k: dict[str, bytes]
) -> None:
    for file, content in grouplens_100k.items():
        (tmp_path / file).write_bytes(content)
    import_file(tmp_path, "mine")
    data = load("mine")
    assert data.items["title"].tolist()[:2] == ["Plain One", "The Long Way"]
    assert report_of(data)["rows"] == report_of(data)["kept"] == 13
    assert report_of(data)["titles"]["known"] == 7


def test_what_was_found_is_told_before_anything_is_kept(tmp_path: Path, cache: Path) -> None:
    told: list[str] = []

    def listen(text: str) -> None:
        assert not (cache / "imported").exists()
        told.append(text)

    path = tmp_path / "a.csv"
    rows = "".join(f"u{k},i{k},Sat Jun 1{k} 10:00:00 +0000 2012,x\n" for k in range(7))
    path.write_text("visitorId,POI_id,UTC_time,note\n" + rows)
    import_file(path, "mine", told=listen)
    (text,) = told
    assert text.splitlines()[0] == f"{path}: text with ',' between columns, UTF-8"
    assert [f"u{k}" in text for k in range(7)] == [True] * 5 + [False] * 2
    assert (
        "user = visitorId, item = POI_id, time = UTC_time (like Sat Jun 10 10:00:00 +0000 2012), "
        "rating = none\nignored: note" in text
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"user;what\n1;2\n", "line 1: .*--item .*read as text with ';' between .*user, what"),
        (b'{"user": 1, "item": 2}\n{"user": 1, "item"\n', "line 2 is no JSON object"),
        (b'{"user": 1, "item": ' + b"9" * 5_000 + b"}\n", "line 1 is no JSON object"),
        (b'{"user": ' + b"[" * 100_000 + b"\n", "line 1 is no JSON object"),
        (b'{"user": 1, "item": 2}\n{"user": 1, "item": "x"}\n', "values of one kind"),
        (b'user,item\n1,2\n3,"4\n', "line 3: a quote is opened and never closed"),
        (
            b"user,item,time\n1,2," + b"9" * 5_000 + b"\n1,2,x\n",
            "line 2: column 'time' has '9{40}'",
        ),
        (b"x" * 200_000 + b"\n1,2\n", "line 1: there is one column"),
    ],
)
def test_what_cannot_be_read_names_its_line_and_the_mend(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        bring_in(tmp_path, "a", content)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


# --- kinds of events, and sessions ----------------------------------------------------------------

EVENTS = (
    "timestamp,visitorid,event,itemid,transactionid\n"
    "1433221332117,u,view,a,\n1433224214164,u,addtocart,b,\n1433221999827,v,view,c,\n"
    "1433221955914,u,transaction,b,17\n1433221955999,v,,d,\n"
)


def test_events_of_all_kinds_are_told_and_some_may_be_kept_alone(tmp_path: Path) -> None:
    data = bring_in(tmp_path, "a.csv", EVENTS)
    assert histories(data) == {"u": ["a", "b", "b"], "v": ["d", "c"]}
    report = report_of(data)
    assert report["columns"]["event"] == "event"
    (note,) = report["notes"]
    assert note.startswith(
        "all kinds of event are kept (view 2, addtocart 1, transaction 1, none 1)"
    )
    wishes = Wishes(events=("addtocart", "transaction"))
    bought = bring_in(tmp_path, "a.csv", EVENTS, wishes=wishes)
    assert histories(bought) == {"u": ["b", "b"]}
    report = report_of(bought)
    assert report["dropped"] == {
        "another kind of event": {"rows": 3, "unit": "line", "first": [2, 4, 6]}
    }
    assert report["notes"] == []
    assert bought.interactions.filters.startswith("events addtocart and transaction; in order")
    assert report["options"] == {"events": ["addtocart", "transaction"]}
    assert report_lines(report)["asked for"] == "events addtocart,transaction"


@pytest.mark.parametrize(
    ("content", "wishes", "words"),
    [
        (EVENTS, Wishes(events=("buy",)), "no row has event = 'buy'; it has view 2, addtocart 1"),
        ("user,item\nu,a\n", Wishes(events=("buy",)), "no column holds kinds of events"),
        ("user,item\nu,a\n", Wishes(event="kind"), "no column 'kind', as --event says"),
        ("1 2 3\n2 3\n", Wishes(events=("buy",)), "no columns that --events could name"),
        (EVENTS, Wishes(event="itemid", item="itemid"), "have to name different columns"),
    ],
)
def test_kinds_of_events_that_nobody_has_are_refused(
    tmp_path: Path, content: str, wishes: Wishes, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        bring_in(tmp_path, "a", content, wishes=wishes)


@pytest.mark.parametrize("kind", [list(map(str, range(9))), [f"k{n}" for n in range(31)]])
def test_what_is_no_kind_of_event_is_not_counted_as_one(tmp_path: Path, kind: list[str]) -> None:
    rows = "".join(f"u,i{n},{own}\n" for n, own in enumerate(kind))
    report = report_of(bring_in(tmp_path, "a.csv", f"user,item,type\n{rows}"))
    assert "event" not in report["columns"] and report["ignored"] == ["type"]


def test_kinds_of_events_in_lists_and_without_a_header(tmp_path: Path) -> None:
    line = {"session": "s", "events": [
        {"aid": aid, "ts": 1_661_200_000_000 + aid, "type": kind}
        for aid, kind in enumerate(["clicks", "orders", "clicks"])
    ]}  # fmt: skip
    data = bring_in(tmp_path, "a.jsonl", json.dumps(line), wishes=Wishes(events=("clicks",)))
    assert histories(data) == {"s": ["0", "2"]}
    content = "1,22,99,pv,1511544070\n1,23,99,buy,1511544071\n2,22,99,pv,1511544072\n"
    wishes = Wishes(event="column 4", events=("pv",))
    data = bring_in(tmp_path, "UserBehavior.csv", content, wishes=wishes)
    assert histories(data) == {"1": ["22"], "2": ["22"]}


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
def test_sessions_end_where_more_time_passes_than_the_gap(tmp_path: Path, scale: int) -> None:
    minutes = [("u", "a", 0), ("u", "d", 31 + 30), ("u", "b", 30), ("v", "x", 0), ("u", "e", 500),
               ("v", "y", 1), ("u", "c", 31)]  # fmt: skip
    rows = "".join(
        f"{user},{item},{(1_600_000_000 + 60 * at) * scale}\n" for user, item, at in minutes
    )
    data = bring_in(tmp_path, "a.csv", f"user,item,time\n{rows}", wishes=Wishes(session_gap="30m"))
    assert histories(data) == {"u/1": ["a", "b", "c", "d"], "u/2": ["e"], "v/1": ["x", "y"]}
    assert report_of(data)["kept"] == 7
    wishes = Wishes(session_gap="1799.9 s", core=2)
    data = bring_in(tmp_path, "a.csv", f"user,item,time\n{rows}a,a,{1_600_000_000 * scale}\n",
                    wishes=Wishes(session_gap="1799.9 s"))  # fmt: skip
    assert histories(data)["u/1"] == ["a"] and histories(data)["u/2"] == ["b", "c"]
    with pytest.raises(DataError, match="nobody has 2 interactions"):  # of sessions, not people
        bring_in(tmp_path, "a.csv", f"user,item,time\n{rows}", wishes=wishes)


def test_sessions_are_cut_in_dates_and_kept_with_the_set(tmp_path: Path) -> None:
    content = "user,item,date\nu,b,2020-01-02\nu,a,2020-01-01\nu,c,2020-01-04\n"
    data = bring_in(tmp_path, "a.csv", content, wishes=Wishes(session_gap="1d"))
    assert histories(data) == {"u/1": ["a", "b"], "u/2": ["c"]}
    said = "a history for each session, with more than 1d between; in order of time"
    assert data.interactions.filters.startswith(said)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("user,item\nu,a\n", "--session-gap needs times, and .*a.csv has none"),
        ("user,item,time\nu,a,7\n", "needs times of a known unit, and .* numbers of no known"),
        ("user,item,day\nu,a,20200101\n", "needs times of a known unit, and .* days as year"),
    ],
)
def test_sessions_need_times_of_a_known_unit(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        bring_in(tmp_path, "a.csv", content, wishes=Wishes(session_gap="30m"))


@pytest.mark.parametrize("gap", ["", "30", "m", "-1m", "0m", "0.0h", "1e9d", "30 minutes", "nan m"])
def test_a_gap_is_a_number_and_a_unit(gap: str) -> None:
    with pytest.raises(DataError, match="--session-gap is a number above 0"):
        Wishes(session_gap=gap)


def test_a_list_of_objects_is_read_and_told_by_its_entries(tmp_path: Path) -> None:
    told = [("ann", "y", 2), (None, "q", 3), ("ann", "x", 1), ("bob", "z", 1)]
    rows = [dict(zip(("user", "item", "time"), own, strict=True)) for own in told]
    for content in (json.dumps(rows), json.dumps({"reviews": rows}, indent=1)):
        data = bring_in(tmp_path, "a.json", content)
        assert histories(data) == EXPECTED
        assert report_of(data)["dropped"]["no user id"] == {
            "rows": 1, "unit": "entry", "first": [2]
        }  # fmt: skip
        assert report_lines(report_of(data))["  no user id"] == "1 (entry 2)"
        several = {"no user id": {"rows": 9, "unit": "entry", "first": [2, 3]}}
        lines = report_lines(report_of(data) | {"dropped": several})
        assert lines["  no user id"] == "9 (entries 2, 3, ...)"
    literals = "".join(f"{row!r}\n" for row in rows)
    data = bring_in(tmp_path, "a.json", literals)
    assert histories(data) == EXPECTED
    assert report_of(data)["dropped"]["no user id"]["unit"] == "line"
    with pytest.raises(DataError, match=r"a.json is empty"):
        bring_in(tmp_path, "a.json", "[]")


# --- what a file is taken for, before anything is kept -------------------------------------------


def looked_at(folder: Path, content: str, wishes: Wishes | None = None) -> Preview:
    path = folder / "p"
    path.write_text(content)
    return preview(path, wishes, "as it is called")


def test_a_preview_says_what_would_be_used_and_keeps_nothing(tmp_path: Path, cache: Path) -> None:
    rows = "".join(f"u{k},i{k},Sat Jun 1{k} 10:00:00 +0000 2012,{'x' * 300}\n" for k in range(7))
    look = looked_at(tmp_path, "visitorId,POI_id,UTC_time,note\n" + rows)
    assert (look.label, look.form) == ("as it is called", "text with ',' between columns, UTF-8")
    assert look.columns == ("visitorId", "POI_id", "UTC_time", "note")
    assert [row[0] for row in look.rows] == ["u0", "u1", "u2", "u3", "u4"]
    assert {len(row[3]) for row in look.rows} == {200}
    assert look.roles == {"user": "visitorId", "item": "POI_id", "time": "UTC_time", "rating": None}
    assert look.guess.startswith("user = visitorId, item = POI_id, time = UTC_time (like Sat Jun")
    assert (look.ignored, look.fault) == (("note",), "")
    assert not (cache / "imported").exists()


def test_a_preview_of_unknown_columns_says_what_is_wrong_and_what_is_likely(tmp_path: Path) -> None:
    content = "a,b,when\n" + "".join(f"x{k},y{k},{1_500_000_000 + k}\n" for k in range(3))
    look = looked_at(tmp_path, content)
    assert look.guess == "" and "as it is called, line 1: " in look.fault
    assert look.roles == {"user": None, "item": None, "time": "when", "rating": None, "event": None}
    given = looked_at(tmp_path, content, Wishes(user="a", item="b"))
    assert given.fault == "" and given.roles["time"] == "when"
    half = looked_at(tmp_path, content, Wishes(user="a", item="nowhere"))
    assert "no column 'nowhere'" in half.fault
    assert (half.roles["user"], half.roles["item"]) == ("a", None)


def test_the_rows_of_a_preview_are_events_where_rows_hold_lists(tmp_path: Path) -> None:
    sessions = [
        {"session": 7, "events": [{"aid": 1, "ts": 10}, {"aid": 2, "ts": 11}]},
        {"session": 8, "events": [{"aid": 3, "ts": 12}]},
    ]
    look = looked_at(tmp_path, "".join(json.dumps(own) + "\n" for own in sessions))
    at = [look.columns.index(name) for name in ("session", "aid", "ts")]
    assert [tuple(row[place] for place in at) for row in look.rows] == [
        *(("7", "1", "10"), ("7", "2", "11"), ("8", "3", "12"))
    ]


def test_an_empty_name_says_that_no_column_is_the_rating(tmp_path: Path) -> None:
    content = "user,item,rating,event\nu,a,3,view\nu,b,4,buy\n"
    assert looked_at(tmp_path, content).roles["rating"] == "rating"
    look = looked_at(tmp_path, content, Wishes(rating="", event=""))
    assert look.roles == {"user": "user", "item": "item", "time": None, "rating": None}
    assert look.ignored == ("rating", "event")
    assert "no column ''" in looked_at(tmp_path, content, Wishes(user="")).fault


def test_files_are_called_as_somebody_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("user,item\nu,a\nu,b\n")
    (tmp_path / "b").write_text("item_id,title\na,A\nc,C\nd,D\n")
    labels = Labels("clicks.csv", "items.csv")
    import_file(tmp_path / "a", "mine", items=tmp_path / "b", labels=labels)
    report = load("mine", offline=True).report
    assert report is not None and report["notes"][-1].startswith("items.csv knows 1 of the 2 items")
    (tmp_path / "b").write_text("item_id,title\n,A\n")
    with pytest.raises(DataError, match=r"^items\.csv, line 2 has no item_id"):
        import_file(tmp_path / "a", "other", items=tmp_path / "b", labels=labels)
    (tmp_path / "a").write_text("user,item,time\nu,a,1\nu,b,\n")
    with pytest.raises(DataError, match=r"^clicks\.csv, line 3: column 'time'"):
        import_file(tmp_path / "a", "other", labels=labels)
