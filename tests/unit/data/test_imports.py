"""A person's own files: what is detected, what is kept, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from fame.data import Wishes, import_file, list_sets, load
from fame.data.dataset import Dataset
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
