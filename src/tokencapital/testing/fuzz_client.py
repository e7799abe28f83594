"""Sends requests that nobody should send, and says of each how it ended."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import monotonic

from msgspec import Struct, field

from tokencapital.testing.fuzz_requests import Fuzzed

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_MOST_HEARD = 4 << 20
_KEPT = 20
_DRIP_S = 0.02


class Verdict(Struct):
    """What became of the requests: statuses by kind, and what must never be: errors of ours, hangs, secrets.

    `errors` are the first of them; `statuses` counts all.
    """

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    closed: int = 0
    slowest_s: float = 0.0
    errors: list[str] = []
    hangs: list[str] = []
    leaks: list[str] = []
    split: list[str] = []

    @property
    def failures(self) -> int:
        """How much must never be."""
        return len(self.errors) + len(self.hangs) + len(self.leaks) + len(self.split)


class FuzzClient:
    """Sends to one address, so many at a time; whoever is not answered or closed within `patience_s` hangs."""

    def __init__(self, port: int, secrets: Iterable[str], at_once: int = 16, patience_s: float = 45.0) -> None:
        self.verdict = Verdict()
        self._port = port
        self._secrets = [one.encode() for one in secrets]
        self._room = asyncio.Semaphore(at_once)
        self._patience_s = patience_s

    async def send_all(self, requests: Iterable[Fuzzed]) -> None:
        """All requests are sent and judged."""
        tasks: set[asyncio.Task[None]] = set()
        for one in requests:
            await self._room.acquire()
            task = asyncio.create_task(self._send(one))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._room.release())
        if tasks:
            await asyncio.gather(*tasks)

    async def send_beside_slow(self, requests: Iterable[Fuzzed], slow: int) -> int:
        """All are sent while so many slow clients hold on; returns how many of these were hung up on."""
        until = asyncio.Event()
        holding = asyncio.create_task(hold_slowly(self._port, slow, until))
        await self.send_all(requests)
        until.set()
        return await holding

    async def _send(self, one: Fuzzed) -> None:
        began = monotonic()
        try:
            heard = await asyncio.wait_for(self._exchange(one), self._patience_s)
        except TimeoutError:
            self.verdict.sent += 1
            self.verdict.hangs.append(_shown(one))
            return
        self._judge(one, heard, monotonic() - began)

    async def _exchange(self, one: Fuzzed) -> bytes:
        """All that came back until the connection was closed."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return b""
        heard = b""
        try:
            sending = asyncio.create_task(_write(writer, one))
            with suppress(ConnectionError):
                while len(heard) < _MOST_HEARD and (part := await reader.read(65536)):
                    heard += part
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return heard

    def _judge(self, one: Fuzzed, heard: bytes, took_s: float) -> None:
        verdict = self.verdict
        verdict.sent += 1
        verdict.kinds[one.kind] += 1
        verdict.slowest_s = max(verdict.slowest_s, took_s)
        statuses = _STATUS.findall(heard)
        if not statuses:
            verdict.closed += 1
        for status in statuses:
            verdict.statuses[status.decode()] += 1
            if status.startswith(b"5") and len(verdict.errors) < _KEPT:
                verdict.errors.append(f"{_shown(one)} -> {heard[-400:]!r}")
        if any(secret in heard for secret in self._secrets):
            verdict.leaks.append(_shown(one))
        if b"\r\nset-cookie: x=1" in heard.lower():
            verdict.split.append(_shown(one))


async def _write(writer: asyncio.StreamWriter, one: Fuzzed) -> None:
    with suppress(ConnectionError):
        for piece in one.pieces:
            writer.write(piece)
            await writer.drain()
            if len(one.pieces) > 1:
                await asyncio.sleep(_DRIP_S)
        if not one.whole:
            writer.write_eof()


async def hold_slowly(port: int, count: int, until: asyncio.Event) -> int:
    """So many clients that send a byte now and then are kept up until the event; returns how many were hung up on."""
    closed = 0

    async def hold() -> None:
        nonlocal closed
        while not until.is_set():
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with suppress(ConnectionError):
                    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n")
                    while not until.is_set() and not reader.at_eof():
                        writer.write(b"x")
                        await writer.drain()
                        with suppress(TimeoutError):
                            await asyncio.wait_for(reader.read(1000), 1.0)
                closed += not until.is_set()
                writer.close()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(hold() for _ in range(count)))
    return closed


def leaks_in(text: bytes, secrets: Iterable[str]) -> list[str]:
    """Which of the secrets stand in a text."""
    return [one for one in secrets if one.encode() in text]


def as_figures(verdict: Verdict) -> Mapping[str, object]:
    """The verdict as numbers, with examples of what must never be."""
    errors = sum(many for status, many in verdict.statuses.items() if status.startswith("5"))
    return {
        "requests": verdict.sent, "statuses": dict(sorted(verdict.statuses.items())), "kinds": dict(verdict.kinds),
        "closed_without_an_answer": verdict.closed, "slowest_s": round(verdict.slowest_s, 2),
        "server_errors": errors, "hangs": len(verdict.hangs), "leaks": len(verdict.leaks),
        "split_answers": len(verdict.split),
        "examples": [*verdict.errors[:5], *verdict.hangs[:5], *verdict.leaks[:5], *verdict.split[:5]],
    }  # fmt: skip


def _shown(one: Fuzzed) -> str:
    return f"{one.kind}: {b''.join(one.pieces)[:300]!r}"
