"""Real servers from PyPI, each in a virtual environment of its own that `make peers` makes.

They come last, because in CI they are installed while the other tests run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tokencapital.testing.peers import peers_folder
from tokencapital.testing.servers import Program, answers, running

PEERS = peers_folder()
_PATIENCE_S = 300
_BEGIN_S = 120.0


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
    program = Program(
        command=command, ready=partial(answers, health), environment={**own, **environment}, folder=folder,
        log=folder / "server.log", start_s=_BEGIN_S, stop_s=3.0,
    )  # fmt: skip
    with running(program):
        yield


def _alive(marker: Path) -> bool:
    try:
        os.kill(int(marker.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True
