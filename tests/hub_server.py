"""A Hugging Face Hub of one's own: what its library asks to push, to look up and to fetch models.

Files are taken as ordinary blobs inside a commit, and every commit is kept under its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class Hub:
    """What the server holds.

    Attributes:
        commits: By repository its commits, oldest first: their hashes, messages and files.
        private: By repository whether only its owner sees it.
        asked: Method and path of every request.
        xet: What it answers to who asks where large files go, a status and a body; ``None`` where
            it takes all files in the commit itself.
    """

    def __init__(self) -> None:
        self.commits: dict[str, list[tuple[str, str, Files]]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.endpoint = ""
        self.xet: tuple[int, dict[str, Any]] | None = None

    def commit(self, repo: str, message: str, files: Files) -> str:
        commits = self.commits[repo]
        sha = hashlib.sha1(f"{repo} {len(commits)}".encode()).hexdigest()
        commits.append((sha, message, files))
        return sha

    def at(self, repo: str, revision: str) -> tuple[str, Files] | None:
        for sha, _, files in reversed(self.commits[repo]):
            if revision in ("main", sha):
                return sha, files
        return None


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, body: Any = b"", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def do_POST(self) -> None:
        hub, path = self.server.hub, self._path()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            if repo in hub.commits:
                said = {"error": "You already created this model repo"}
                return self._send(409, {**said, "url": f"{hub.endpoint}/{repo}"})
            hub.commits[repo] = []
            hub.private[repo] = asked.get("visibility") == "private" or asked.get("private", False)
            hub.commit(repo, "initial commit", {".gitattributes": b""})
            return self._send(200, {"url": f"{hub.endpoint}/{repo}"})
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        repo, what = self._repo(path.removeprefix("/api/models/"))
        if what.startswith("preupload/"):
            mode = "regular" if hub.xet is None else "lfs"
            files = [
                {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._send(200, {"files": files})
        if what != "commit/main":
            return self._send(404)
        _, files = hub.at(repo, "main") or ("", {})
        files, message = dict(files), ""
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
            else:
                return self._send(400, {"error": f"no key {entry['key']}"})
        sha = hub.commit(repo, message, files)
        url = f"{hub.endpoint}/{repo}/commit/{sha}"
        self._send(200, {"success": True, "commitOid": sha, "commitUrl": url})

    def do_GET(self) -> None:
        hub, path = self.server.hub, self._path()
        repo, what = self._repo(path.removeprefix("/api/models/").lstrip("/"))
        if repo not in hub.commits:
            return self._send(404, X_Error_Code="RepoNotFound")
        kind, _, rest = what.partition("/")
        revision, _, name = rest.partition("/")
        found = hub.at(repo, revision or "main")
        if found is None:
            return self._send(404, X_Error_Code="RevisionNotFound")
        sha, files = found
        if kind == "xet-write-token" and hub.xet is not None:
            return self._send(*hub.xet)
        if path.startswith("/api/models/") and kind in ("", "revision"):
            info = {"id": repo, "sha": sha, "private": hub.private[repo], "siblings": []}
            return self._send(200, info)
        if path.startswith("/api/models/") and kind == "tree":
            entries = [
                {
                    "type": "file",
                    "path": own,
                    "size": len(raw),
                    "oid": hashlib.sha1(raw).hexdigest(),
                }
                for own, raw in files.items()
            ]
            return self._send(200, entries)
        if kind != "resolve" or name not in files:
            return self._send(404, X_Error_Code="EntryNotFound")
        raw = files[name]
        self._send(200, raw, ETag=f'"{hashlib.sha1(raw).hexdigest()}"', X_Repo_Commit=sha)

    do_HEAD = do_GET

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.server.hub.asked.append(f"{self.command} {path}")
        return path

    def _repo(self, path: str) -> tuple[str, str]:
        owner, name, *rest = path.split("/", 2)
        return f"{owner}/{name}", rest[0] if rest else ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A Hub at ``hub.endpoint`` while the block runs."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        server.hub = Hub()
        server.hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.hub
        finally:
            server.shutdown()
