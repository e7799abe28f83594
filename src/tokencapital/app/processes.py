"""The processes of a served house: a server or several, and the drain beside them; none outlives the first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from tokencapital.core.errors import SettingsError

GRACEFUL_S = 10
"""So long requests that are on their way may take to end when the house closes."""
KEPT_ALIVE_S = 75
"""So long a connection waits for its next request: longer than callers keep one, lest one is closed as they write."""
BACKLOG = 2048
"""So many connections may wait to be taken."""
_STEADY_S, _SLOWEST_S = 10.0, 5.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


class Child:
    """A process of this house, begun anew whenever it ends, until it is stopped.

    It hears of the end of this process, however that comes, because its standard input ends with it.
    """

    def __init__(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self._command = list(command)
        self._pass_fds = tuple(pass_fds)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process = self._begin()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> int | None:
        """The process is asked to end, and made to after so long; returns its exit code."""
        with self._lock:
            self._stopping.set()
            process = self._process
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (a command of this house)
            self._command, stdin=subprocess.PIPE, pass_fds=self._pass_fds, start_new_session=True
        )

    def _watch(self) -> None:
        wait_s = 0.1
        while True:
            began = monotonic()
            self._process.wait()
            if monotonic() - began > _STEADY_S:
                wait_s = 0.1
            if self._stopping.wait(wait_s):
                return
            wait_s = min(_SLOWEST_S, wait_s * 2)
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = self._begin()


def house_command(name: str, config: Path | None, store: str | None) -> list[str]:
    """A command of `tcap` on the same house, as a process of its own."""
    command = [sys.executable, "-m", "tokencapital.cli", name]
    if config is not None:
        command += ["--config", str(config)]
    return [*command, "--store", store] if store is not None else command


def when_parent_ends(then: Callable[[], None]) -> None:
    """Calls `then`, in a thread of its own, once standard input ends: whoever began this process is gone or says so."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(sys.stdin.fileno(), 1):
                pass
        then()

    threading.Thread(target=watch, daemon=True).start()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises SettingsError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen here: {error.strerror}", where=f"{host}:{port}", remedy="Name another --port."
        ) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that is set when the process is told to stop, which it then does by itself and in order."""
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in _STOPS}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
