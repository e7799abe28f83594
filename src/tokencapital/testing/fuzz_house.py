"""A house in processes of its own for requests that nobody should send, with secrets planted that must stay secret."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from tokencapital.testing.fuzz_requests import PLANTED_KEY

PROVIDER_KEY = "pk-PLANTEDproviderkeyPLANTED-0123456789"
SECRETS = (PLANTED_KEY, PROVIDER_KEY)
_START_S, _STOP_S = 60.0, 40.0
_SETTINGS = """
store = "{folder}/store.sqlite"

[logs]
format = "json"
level = "debug"
requests = true

[requests]
head_s = 5
body_s = 30
pause_s = 5
connections = 300

[spool]
max_mib = 4096

[providers.scripted]
kind = "compatible"
url = "http://127.0.0.1:{upstream}/v1"
key_env = "FUZZ_PROVIDER_KEY"
models = ["known-model"]
wires = ["chat", "responses", "messages", "embeddings", "count_tokens"]
retries = 0

[capabilities.triage]
contract = "label"
labels = ["a", "b"]
"""
_ANSWER = json.dumps({
    "id": "x", "object": "chat.completion", "created": 0, "model": "known-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}).encode()  # fmt: skip


class FuzzHouse:
    """`tcap serve` on a folder of its own, before a provider that always answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._upstream = _Upstream()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self._folder / "tokencapital.toml"
        config.write_text(_SETTINGS.format(folder=self._folder, upstream=self._upstream.port), "utf-8")
        command = [sys.executable, "-m", "tokencapital.cli", "serve", "--port", str(self.port), "--config", str(config)]
        with self._log.open("ab") as log:
            environment = {**os.environ, "FUZZ_PROVIDER_KEY": PROVIDER_KEY}
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        until = time.monotonic() + _START_S
        while not self.well():
            if time.monotonic() > until or self._process.poll() is not None:
                raise TimeoutError(f"the house does not begin: {self.log()[-2000:]!r}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
            self._process.kill()
            self._process.wait()
        self._upstream.close()

    def well(self) -> bool:
        """Whether the house answers."""
        return self.ask("/healthz") is not None

    def ask(self, path: str) -> str | None:
        """What the house says at a path; None: nothing within a few seconds."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except (URLError, OSError):
            return None

    def rss_mb(self) -> float:
        """Resident memory of the process that serves."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def metric(self, name: str) -> float:
        """A number of the house's metrics, all of its labels together; 0: there is none."""
        lines = (self.ask("/metrics") or "").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def log(self) -> bytes:
        """All that the house has written so far."""
        return self._log.read_bytes() if self._log.exists() else b""

    def faults(self) -> list[Any]:
        """The lines of the log on errors that nobody foresaw."""
        lines = (line for line in self.log().splitlines() if line.startswith(b"{"))
        return [one for one in map(json.loads, lines) if one["level"] in {"error", "critical"}]

    @property
    def _log(self) -> Path:
        return self._folder / "house.log"


class _Upstream:
    """A provider on loopback that gives everybody the same answer, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        begun = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = begun.result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Nobody is answered any more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError)
        with closing(writer), suppress(*broken):
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(sizes[0].partition(b":")[2]) if sizes else 0)
                length = b"content-length: %d\r\n\r\n" % len(_ANSWER)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + length + _ANSWER)
                await writer.drain()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
