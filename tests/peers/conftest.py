"""Real servers from PyPI, each in a virtual environment of its own that `make peers` makes.

They come last, because in CI they are installed while the other tests run.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PEERS = Path(os.environ.get("TCAP_PEERS", Path(__file__).parents[2] / "out" / "peers"))
_PATIENCE_S = 300
_BEGIN_S = 120

Serve = Callable[[list[str], str, dict[str, str]], Iterator[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder stand behind all others."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Finds the programs of a peer; waits while it is being installed, and skips the test where it never was."""

    def find(name: str) -> Path:
        ready, installing = PEERS / name / ".ready", PEERS / ".installing"
        give_up = time.monotonic() + _PATIENCE_S
        while not ready.exists() and _alive(installing) and time.monotonic() < give_up:
            time.sleep(0.5)
        if not ready.exists():
            pytest.skip(f"{name} is not installed in {PEERS}: run `make peers`")
        return PEERS / name / "bin"

    return find


@contextmanager
def served(command: list[str], health: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """The server while it answers under `health`; it is ended by its own process group."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**own, **environment}, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, health, folder)
            yield
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], health: str, folder: Path) -> None:
    give_up = time.monotonic() + _BEGIN_S
    while not _answers(health):
        if process.poll() is not None or time.monotonic() > give_up:
            pytest.fail((folder / "server.log").read_text("utf-8", "replace")[-2_000:])
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
            return


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _alive(marker: Path) -> bool:
    try:
        os.kill(int(marker.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True
