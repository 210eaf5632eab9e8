"""What is fetched is whole and is the right thing, or it is not there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.data import fetch
from fame.data.fetch import Archive, Download, Folder, Wheel, cache_folder, download
from fame.errors import DataError

CONTENT = b"some published bytes" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def published(tmp_path: Path) -> str:
    """The address of a published file."""
    (tmp_path / "published").write_bytes(CONTENT)
    return (tmp_path / "published").as_uri()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_reports_and_leaves_the_file(published: str, cache: Path) -> None:
    seen: list[tuple[str, float | None]] = []
    download(published, cache / "a" / "file", SHA256, lambda *step: seen.append(step))
    assert (cache / "a" / "file").read_bytes() == CONTENT
    assert files(cache) == ["file"]
    assert seen[0][1] is None
    assert seen[-1] == (f"Fetching {published}", 1.0)


def test_other_content_is_not_kept(published: str, cache: Path) -> None:
    (cache / "a").mkdir(parents=True)
    (cache / "a" / "file").write_bytes(b"what was there")
    with pytest.raises(DataError, match="does not hold the published content"):
        download(published, cache / "a" / "file", "0" * 64)
    assert (cache / "a" / "file").read_bytes() == b"what was there"
    assert files(cache) == ["file"]


def test_a_download_that_does_not_end_is_given_up(
    published: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "LARGEST_DOWNLOAD", 100)
    with pytest.raises(DataError, match="more than"):
        download(published, cache / "file", SHA256)
    assert files(cache) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/file", "127.0.0.1 cannot be reached"),
        ("https://nowhere.invalid/file", "nowhere.invalid cannot be reached"),
    ],
)
def test_a_host_that_does_not_answer_is_one_sentence(url: str, words: str, cache: Path) -> None:
    with pytest.raises(DataError, match=words) as caught:
        download(url, cache / "file", SHA256)
    assert "\n" not in str(caught.value)
    assert files(cache) == []


def test_a_cache_that_cannot_be_written_is_one_sentence(published: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        Download(published, SHA256, "x/file").fetch()


def test_an_archive_is_read_by_exact_names(tmp_path: Path, write_zip) -> None:  # type: ignore[no-untyped-def]
    path = write_zip(tmp_path / "a.zip", "set/", {"u.data": b"1", "../u.item": b"2"})
    archive = Archive(path, "set/")
    assert archive.has("u.data")
    assert not archive.has("u.item")
    with archive.open("u.data") as stream:
        assert stream.read() == b"1"
        assert stream.seek(0) == 0  # a reader goes back to name a faulty line


def test_a_broken_archive_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="no readable zip archive; delete it"):
        Archive(tmp_path / "a.zip", "").has("x")


def test_a_folder_without_the_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Folder(tmp_path).open("nothing")


def test_sources_know_what_was_fetched(published: str) -> None:
    plain = Download(published, SHA256, "set/sequences.txt")
    archive = Download(published, SHA256, "archives/set.zip", prefix="set/")
    assert plain.cached() is None
    plain.fetch()
    archive.fetch()
    assert plain.cached() == Folder(cache_folder() / "set")
    assert archive.cached() == Archive(cache_folder() / "archives" / "set.zip", "set/")


def made_up_wheel(folder: Path, write_zip) -> tuple[Path, Wheel]:  # type: ignore[no-untyped-def]
    name = "fame_made_up-1.0-py3-none-any.whl"
    info = "fame_made_up-1.0.dist-info/"
    members = {
        "fame_made_up/data/u.data": b"1\t2\t3\t4\n",
        info + "METADATA": b"Metadata-Version: 2.1\nName: fame-made-up\nVersion: 1.0\n",
        info + "WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "RECORD": b"",
    }
    path = write_zip(folder / name, "", members)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, Wheel("fame-made-up==1.0", name, sha256, "fame_made_up/data/")


def test_a_wheel_is_fetched_by_pip_and_not_installed(  # type: ignore[no-untyped-def]
    tmp_path: Path, write_zip, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path, wheel = made_up_wheel(tmp_path / "index", write_zip)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    assert wheel.cached() is None
    wheel.fetch()
    assert capfd.readouterr() == ("", "")
    bundle = wheel.cached()
    assert bundle is not None
    with bundle.open("u.data") as stream:
        assert stream.read() == b"1\t2\t3\t4\n"
    assert files(cache_folder()) == [wheel.file]
    installed = [sys.executable, "-c", "import fame_made_up"]
    assert subprocess.run(installed, capture_output=True, check=False).returncode != 0


def test_another_wheel_is_not_kept(  # type: ignore[no-untyped-def]
    tmp_path: Path, write_zip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wheel = made_up_wheel(tmp_path / "index", write_zip)
    monkeypatch.setattr(
        fetch,
        "_pip_download",
        lambda _, folder: (Path(folder) / wheel.file).write_bytes(path.read_bytes() + b"more"),
    )
    with pytest.raises(DataError, match="does not hold the published content"):
        wheel.fetch()
    assert files(cache_folder()) == []


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            SimpleNamespace(returncode=1, stderr="WARNING: slow\nERROR: nothing found\n"),
            r"pip cannot fetch a==1 \(nothing found\)",
        ),
        (SimpleNamespace(returncode=1, stderr=""), r"\(no reason given\)"),
        (SimpleNamespace(returncode=0, stderr=""), "pip fetched another file than a.whl"),
    ],
)
def test_pip_that_fails_is_one_sentence(
    outcome: SimpleNamespace, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: outcome)
    with pytest.raises(DataError, match=words):
        Wheel("a==1", "a.whl", SHA256, "").fetch()


def test_pip_that_hangs_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("pip", 300)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(DataError, match="pip did not fetch a==1 within"):
        Wheel("a==1", "a.whl", SHA256, "").fetch()
