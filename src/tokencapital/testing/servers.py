"""Servers on loopback while a block runs: apps in a thread of this process, and programs in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from msgspec import Struct
from starlette.types import ASGIApp

_START_LIMIT_S = 10.0
_POLL_S = 0.02
_MOST_TOLD_BYTES = 4_000


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The app behind a real server on loopback while the block runs; gives its address."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        give_up = time.monotonic() + _START_LIMIT_S
        while not server.started and time.monotonic() < give_up:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_LIMIT_S)


class Program(Struct, frozen=True, kw_only=True):
    """A program that serves: how it is begun, and `ready`, whether it is.

    `environment` None: that of this process. `log` None: what it says is lost. It may take `start_s` to be ready, and
    `stop_s` to end before it is killed.
    """

    command: Sequence[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    log: Path | None = None
    start_s: float = 60.0
    stop_s: float = 20.0


@contextmanager
def running(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    """The program is ready while the block runs. Raises RuntimeError where it does not become so."""
    process = begin(program)
    try:
        yield process
    finally:
        end(process, program.stop_s)


def begin(program: Program) -> subprocess.Popen[bytes]:
    """The program, once it is ready, in a process group of its own.

    Raises RuntimeError where it is not there, ends or takes too long, with the end of what it said; it is gone then.
    """
    if shutil.which(program.command[0]) is None:
        raise RuntimeError(f"{program.command[0]} is not there")
    with (program.log or Path(os.devnull)).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 (commands of tests and benches)
            program.command,
            env=program.environment,
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(program, process)
    except BaseException:
        end(process, program.stop_s)
        raise
    return process


def end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """The program and all that it has started are gone: told to stop, and killed where they do not."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(url: str) -> bool:
    """Whether somebody says 200 there."""
    with suppress(OSError, HTTPException), urlopen(url, timeout=5) as answer:  # noqa: S310 (on loopback)
        return bool(answer.status == 200)
    return False


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of loopback."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def children(parent: int) -> list[int]:
    """The processes that this one has started, as far as they still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.parent.name))
    return found


def family(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def _wait(program: Program, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + program.start_s
    while not program.ready():
        if process.poll() is not None or time.monotonic() > give_up:
            said = program.log.read_bytes()[-_MOST_TOLD_BYTES:] if program.log else b""
            raise RuntimeError(f"{program.command[0]} did not begin to serve\n{said.decode('utf-8', 'replace')}")
        time.sleep(_POLL_S)
