"""A house served by real processes, which can be killed at any moment, and what callers were told that it had kept."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from msgspec import Struct
from sqlalchemy import Column, select

from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import judgment, outcome, span, step, trajectory
from tokencapital.testing.servers import Program, answers, begin, children, end, free_port
from tokencapital.testing.upstream import EVENT_STREAM, Received, Scripted

CAPABILITY, MODEL = "triage", "gpt-4o-mini"
_START_S, _STOP_S, _POLL_S = 60.0, 40.0, 0.02
_SETTINGS = """
store = "{store}"

[spool]
folder = "{spool}"

[providers.scripted]
kind = "openai"
url = "{upstream}/v1"
key_env = "SCRIPTED_KEY"

[capabilities.{capability}]
contract = "label"
labels = ["a", "b"]
mode = "answer"
mode_by = "maria"
"""


class ServedHouse:
    """`tcap serve` on a folder of its own, on a port that stays the same when it begins anew.

    `keys` are variables of its environment besides those of this process.
    """

    def __init__(self, folder: Path, settings: str, keys: Mapping[str, str], workers: int = 1) -> None:
        self.config = folder / "tokencapital.toml"
        self.config.write_text(settings, "utf-8")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-m", "tokencapital.cli", "serve", "--port", str(self.port)]
        self._program = Program(
            command=[*command, "--config", str(self.config), "--workers", str(workers)],
            ready=partial(answers, f"{self.url}/healthz"),
            environment={**os.environ, **keys, "OMP_NUM_THREADS": "1"},
            log=folder / "served.log",
        )

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def begin(self) -> None:
        """The house answers when this returns. Raises RuntimeError where it does not."""
        self._process = begin(self._program)

    def pid(self, which: str) -> int:
        """The process that is `parent`, `worker` or `drain`."""
        parent = self._served().pid
        if which == "parent" or (which == "worker" and self._workers == 1):
            return parent
        sign, until = {"worker": "--listener", "drain": "drain"}[which], time.monotonic() + _START_S
        while time.monotonic() < until:
            for pid in children(parent):
                with suppress(OSError):
                    if sign in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                        return pid
            time.sleep(_POLL_S)
        raise RuntimeError(f"there is no {which}")

    def kill(self, which: str) -> None:
        """The process is gone at once, as when the machine's memory runs out."""
        process, pid = self._served(), self.pid(which)
        os.kill(pid, signal.SIGKILL)
        if pid == process.pid:
            process.wait()
            self._process = None

    def stop(self) -> int:
        """The house is told to stop; returns its exit code. Raises TimeoutExpired where it has to be killed."""
        process, self._process = self._served(), None
        process.terminate()
        try:
            return process.wait(_STOP_S)
        finally:
            end(process, 0.0)

    def log(self) -> bytes:
        """All that the house has written so far."""
        assert self._program.log is not None
        return self._program.log.read_bytes()

    def _served(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the house is not served")
        return self._process


def answering_house(folder: Path, store: str, upstream: str, workers: int = 1) -> ServedHouse:
    """A house that passes calls on to a provider, and has a capability that answers by itself."""
    settings = _SETTINGS.format(store=store, spool=folder / "spool", upstream=upstream, capability=CAPABILITY)
    return ServedHouse(folder, settings, {"SCRIPTED_KEY": "sk-scripted"}, workers)


class Acknowledged(Struct):
    """What callers were told is kept, by id, and how requests went that were not answered as they should be.

    `slowest_s` is the longest that an answer took, `aside` how many answers came while the store was away.
    """

    trajectories: list[str] = []
    outcomes: list[str] = []
    judgments: list[str] = []
    spans: list[str] = []
    failed: dict[str, int] = {}
    slowest_s: float = 0.0
    aside: int = 0

    @property
    def count(self) -> int:
        """Of everything."""
        return len(self.trajectories) + len(self.outcomes) + len(self.judgments) + len(self.spans)


class Load:
    """Callers that send so many requests a second, whatever becomes of them, and write down what they are told.

    Of 20 requests 12 are passed on (4 of them streamed), 4 are the capability's own, 2 tell outcomes, 1 judges, 1
    tells a span.
    """

    def __init__(self, url: str, rate: float, *, judges: bool = True) -> None:
        self.url = url
        self.told = Acknowledged()
        self._rate = rate
        self._judges = judges
        self._number = 0
        self._mark = f"{time.time_ns():x}"

    async def during(self, play: Callable[[], None]) -> None:
        """Callers send while `play` blocks a thread of its own, and what is on its way is waited for."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.run(stop))
        try:
            await asyncio.to_thread(play)
        finally:
            stop.set()
            await running

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until it is told to stop, and then waits for what is on its way."""
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            began, running = time.monotonic(), set[asyncio.Task[None]]()
            while not stop.is_set():
                due = int((time.monotonic() - began) * self._rate)
                while self._number < due:
                    task = asyncio.create_task(self._send(session, self._number))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    self._number += 1
                await asyncio.sleep(0.002)
            await asyncio.gather(*running)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        kind, began = number % 20, time.monotonic()
        what = "answers" if kind < 16 else ("outcomes" if kind < 18 else "judgments" if kind < 19 else "spans")
        asks = {"answers": self._ask, "outcomes": self._outcome, "judgments": self._judge, "spans": self._span}
        try:
            await asks[what](session, number)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, msgspec.DecodeError) as error:
            self._failed(what, type(error).__name__)
        if kind < 16:
            self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - began)

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        model = CAPABILITY if number % 20 >= 12 else MODEL
        words = f"mail {self._mark} {number}"
        body = {"model": model, "messages": [{"role": "user", "content": words}], "stream": number % 3 == 0}
        async with session.post(f"{self.url}/v1/chat/completions", json=body) as answer:
            said = await answer.read()
            if answer.status in {200, 202} and said:
                self.told.trajectories.append(answer.headers["x-tcap-trajectory"])
                self.told.aside += "x-tcap-store-age" in answer.headers
            else:
                self._failed("answers", str(answer.status))

    async def _outcome(self, session: aiohttp.ClientSession, number: int) -> None:
        name = f"out-{self._mark}-{number}"
        body = {"id": name, "capability": CAPABILITY, "key": f"T-{number}", "name": "solved", "value": True}
        async with session.post(f"{self.url}/v1/outcomes", json=body) as answer:
            await answer.read()
            if answer.status in {201, 202}:
                self.told.outcomes.append(name)
            else:
                self._failed("outcomes", str(answer.status))

    async def _judge(self, session: aiohttp.ClientSession, number: int) -> None:
        if not self._judges or not self.told.trajectories:
            return
        body = {"trajectory": self.told.trajectories[-1], "expert": "ines", "verdict": "corrected", "answer": "a"}
        async with session.post(f"{self.url}/v1/judgments", json=body) as answer:
            said = await answer.read()
            if answer.status == 201:
                self.told.judgments.append(msgspec.json.decode(said)["judgment"])
            else:
                self._failed("judgments", str(answer.status))

    async def _span(self, session: aiohttp.ClientSession, number: int) -> None:
        trace = f"{number:08x}{self._mark:>024}"[:32].replace(" ", "0")
        at = time.time_ns()
        told = {
            "traceId": trace, "spanId": f"{number:016x}", "name": "chat", "kind": 3,
            "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1_000),
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
        }  # fmt: skip
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [told]}]}]}
        async with session.post(f"{self.url}/v1/traces", json=body) as answer:
            await answer.read()
            if answer.status == 200:
                self.told.spans.append(trace)
            else:
                self._failed("spans", str(answer.status))

    def _failed(self, what: str, how: str) -> None:
        name = f"{what}: {how}"
        self.told.failed[name] = self.told.failed.get(name, 0) + 1


def missing(store: Store, told: Acknowledged) -> dict[str, int]:
    """How much of what was acknowledged is not in the store, of each kind."""
    return {
        "answers": len(set(told.trajectories) - _there(store, trajectory.c.id, told.trajectories)
                       - _there(store, step.c.id, told.trajectories)),
        "outcomes": len(set(told.outcomes) - _there(store, outcome.c.id, told.outcomes)),
        "judgments": len(set(told.judgments) - _there(store, judgment.c.id, told.judgments)),
        "spans": len(set(told.spans) - _there(store, span.c.trace, told.spans)),
    }  # fmt: skip


def provider(asked: Received) -> Scripted:
    """What the scripted provider answers: whole, or in pieces where a stream was asked for."""
    if msgspec.json.decode(asked.body, type=_Asked).stream:
        pieces = [_chunk({"role": "assistant", "content": "a"}, None), _chunk({}, "stop"), b"data: [DONE]\n\n"]
        return Scripted(pieces=tuple(pieces), headers=EVENT_STREAM, chunked=True)
    return _WHOLE


class _Asked(Struct):
    stream: bool = False


_SAID: Mapping[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
_WHOLE = Scripted(
    pieces=(
        msgspec.json.encode(
            {
                **_SAID,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
            }
        ),
    )
)


def _chunk(delta: Mapping[str, str], finish: str | None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {**_SAID, "object": "chat.completion.chunk", "choices": choices}
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _there(store: Store, column: Column[str], names: list[str]) -> set[str]:
    found: set[str] = set()
    with store.read() as connection:
        for some in chunks(names):
            found.update(connection.execute(select(column).where(column.in_(some))).scalars())
    return found
