"""The server itself: where it listens, and whom it answers."""

import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address

import psutil
import pytest

from tests.app.walk import MAIN

ROOT = MAIN.parents[1]


def test_the_settings_are_the_same_wherever_the_app_is_started():
    folders = (ROOT, MAIN.parent)
    first, second = ((folder / ".streamlit" / "config.toml").read_bytes() for folder in folders)
    assert first == second
    # With a watcher every new visitor makes the server look up the files of all modules, deaf
    # meanwhile to what the browser asks for: up to half of the wait for the first list.
    assert tomllib.loads(first.decode())["server"]["fileWatcherType"] == "none"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[psutil.Process, int]]:
    """``streamlit run path/app/main.py`` as a first-time user starts it, in another folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if "STREAMLIT" not in name}
    command = [sys.executable, "-m", "streamlit", "run", str(MAIN), "--server.port", str(port)]
    with subprocess.Popen(
        [*command, "--server.headless", "true"],
        cwd=elsewhere,
        env={**kept, "HOME": str(elsewhere), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_until_up(process, port)
            yield psutil.Process(process.pid), port
        finally:
            process.kill()


def _wait_until_up(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the app did not come up")


def test_it_listens_on_this_machine_alone(server):
    process, port = server
    listening = [
        connection.laddr
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} == {port}
    assert all(ip_address(address.ip).is_loopback for address in listening)


def _handshake(port: int, host: str) -> int:
    """The status with which the server answers a page that asks for a session."""
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("localhost", port), timeout=10) as link:
        link.sendall(request.encode())
        return int(link.recv(64).split()[1])


def test_it_answers_under_its_own_names_alone(server):
    """A page whose name was made to lead here has that name in its request."""
    _, port = server
    assert _handshake(port, f"localhost:{port}") == 101
    assert _handshake(port, f"127.0.0.1:{port}") == 101
    assert _handshake(port, f"rebound.example:{port}") == 403
