"""Files are whole or not there."""

import errno
import fcntl
import os
import resource
import threading
from pathlib import Path

import pytest
from safetensors import SafetensorError

from fame.errors import FameError
from fame.files import (
    check_file,
    check_folder,
    claim_folder,
    disk_is_full,
    file_hash,
    folders_to_mend,
    hold_lock,
    is_locked,
    locked,
    mend_folder,
    read_json,
    replacing,
    replacing_folder,
    write_json,
    write_text,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "note.txt", "one")
    write_text(tmp_path / "a" / "note.txt", "två")
    assert (tmp_path / "a" / "note.txt").read_text(encoding="utf-8") == "två"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["note.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    before = file_hash(tmp_path / "x.json")
    with pytest.raises(RuntimeError), replacing(tmp_path / "x.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file_hash(tmp_path / "x.json") == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


FULL = "No space left on device"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, FULL), "The disk is full: .*x could not be written"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk is full"),
        (OSError(f"[Errno 28] Error writing bytes to file. Detail: {FULL}"), "The disk is full"),
        (SafetensorError(f"I/O error: {FULL} (os error 28)"), "The disk is full"),
        (SafetensorError("I/O error: Permission denied"), r"x could not be written \(I/O error"),
        (PermissionError(errno.EACCES, "Permission denied"), r"written \(Permission denied\)"),
        (OSError(errno.EROFS, "Read-only file system"), r"written \(Read-only file system\)"),
    ],
    ids=repr,
)
def test_what_the_disk_refuses_is_one_sentence(
    tmp_path: Path, error: Exception, message: str
) -> None:
    (tmp_path / "x").write_text("before")
    with pytest.raises(FameError, match=message) as told, replacing(tmp_path / "x"):
        raise error
    assert "\n" not in str(told.value)
    assert (tmp_path / "x").read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_fault_of_ours_is_not_told_as_the_disks(tmp_path: Path) -> None:
    with pytest.raises(KeyError), replacing(tmp_path / "x"):
        raise KeyError("x")
    assert not disk_is_full(ValueError(FULL)) and not disk_is_full(OSError(errno.EACCES, FULL))


def impossible_places(folder: Path) -> dict[str, Path]:
    """Where nobody can write a file, not even root."""
    (folder / "file").write_text("a file")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    return {
        "a folder": folder / "folder",
        "no regular file": folder / "fifo",
        "File exists|Not a directory": folder / "file" / "x",
        "too long": folder / ("x" * 300),
        "No such file|Permission": Path("/proc/fame/x"),
    }


@pytest.mark.parametrize("place", range(5))
def test_a_place_where_no_file_can_be_is_told_and_left_as_it_is(tmp_path: Path, place: int) -> None:
    message, path = list(impossible_places(tmp_path).items())[place]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FameError, match=message), replacing(path):
        pytest.fail("a file that cannot be there is not begun")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "fifo").is_fifo() and (tmp_path / "file").read_text() == "a file"


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    check_file(tmp_path / "new", overwrite=False)
    (tmp_path / "old").write_text("")
    check_file(tmp_path / "old", overwrite=True)
    with pytest.raises(FameError, match=r"is there already; .* --overwrite"):
        check_file(tmp_path / "old", overwrite=False)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("fifo", "link"):
        with pytest.raises(FameError, match="no regular file"):
            check_file(tmp_path / name, overwrite=True)


def test_a_folder_is_ours_where_it_is_empty_or_marked(tmp_path: Path) -> None:
    def check(name: str, ours: bool = False) -> None:
        check_folder(tmp_path / name, is_ours=lambda folder: ours)

    check("new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "theirs").mkdir()
    check("theirs")  # empty
    (tmp_path / "theirs" / "README.md").write_text("theirs")
    with pytest.raises(FameError, match=r"holds 'README.md' and is no folder of a run"):
        check("theirs")
    check("theirs", ours=True)
    claim_folder(tmp_path / "ours" / "run")
    (tmp_path / "ours" / "run" / "README.md").write_text("ours")
    check("ours/run")
    (tmp_path / "file").write_text("")
    for place, message in (("file", "is no folder"), ("file/x", "could not|is no folder")):
        with pytest.raises(FameError, match=message):
            check(place)
            claim_folder(tmp_path / place)


def test_a_lock_says_who_holds_it_and_another_try_does_not_change_that(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("of somebody before, who wrote more")
    with locked(lock, wait=False, holder="me"):
        with pytest.raises(BlockingIOError), locked(lock, wait=False, holder="you"):
            pass
        assert lock.read_text() == "me"
    (tmp_path / "folder.lock").mkdir()
    with (
        pytest.raises(FameError, match=r"folder\.lock could not be written"),
        locked(tmp_path / "folder.lock", wait=True),
    ):
        pass


@pytest.mark.parametrize("another_in_its_place", [False, True])
def test_a_lock_whose_folder_is_moved_before_it_is_held_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_in_its_place: bool
) -> None:
    """Or two would hold what each takes for the same folder."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def moved(descriptor: int, *, wait: bool) -> None:
        folder.rename(tmp_path / "elsewhere")
        if another_in_its_place:
            folder.mkdir()
            (folder / "lock").touch()
        hold_lock(descriptor, wait=wait)

    monkeypatch.setattr("fame.files.hold_lock", moved)
    with pytest.raises(FameError, match="could not be written"), locked(folder / "lock", wait=True):
        pass
    assert folder.exists() == another_in_its_place and not is_locked(folder / "lock")


def test_other_people_can_read_what_was_written(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "key 'b' stands there twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "Infinity is no number"),
        ("[1e999]", "1e999 is beyond all numbers"),
        ("9" * 5000, "digits"),
        ("[" * 100_000, "nests too deeply"),
        ("{", "Expecting"),
        ("\udcff", "decode"),
    ],
)
def test_json_beyond_its_standard_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "x.json")


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    value = {"b": [0.1, 1e-300, 1, True, None, "två"], "a": {"c": {}}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


def test_hash_of_known_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "abc")
    assert file_hash(tmp_path / "x") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_to_ask_for_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    """Pages ask again and again, and each time hold it for a moment."""
    path = tmp_path / "lock"
    path.touch()
    asked = path.open()
    fcntl.flock(asked, fcntl.LOCK_SH)  # as who asks
    let_go = threading.Timer(0.03, asked.close)
    let_go.start()
    with locked(path, wait=False):
        assert is_locked(path)
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
    let_go.join()
    assert not is_locked(path) and not is_locked(tmp_path / "nothing")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for content in ("first", "second"):
        with replacing_folder(own) as new:
            (new / "file").write_text(content)
        assert (own / "file").read_text() == content
    with pytest.raises(ZeroDivisionError), replacing_folder(own) as new:
        (new / "file").write_text("third")
        raise ZeroDivisionError
    assert (own / "file").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_what_a_kill_left_of_a_folder_goes_and_what_it_took_away_comes_back(
    tmp_path: Path,
) -> None:
    own, other = tmp_path / "own[1]", tmp_path / "own[1].x"
    for folder in (own, other):
        (tmp_path / f".{folder.name}.abc.tmp" / "new").mkdir(parents=True)
    old = tmp_path / ".own[1].abc.tmp" / "old"
    old.mkdir()
    (old / "file").write_text("kept")
    assert folders_to_mend(tmp_path) == [own]
    mend_folder(own)
    assert (own / "file").read_text() == "kept" and folders_to_mend(tmp_path) == []
    old.mkdir(parents=True)  # now it was killed after the second renaming
    mend_folder(own)
    assert (own / "file").read_text() == "kept"


def test_a_lock_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A file may be opened on a full disk, and it fails once more when it is closed."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(FameError, match="lock could not be written"):
            locked(tmp_path / "lock", wait=False, holder="me").__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with locked(tmp_path / "lock", wait=False, holder="me"):
        assert (tmp_path / "lock").read_text() == "me"
