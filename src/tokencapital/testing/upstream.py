"""A scripted provider over real HTTP on loopback: answers any wire, byte for byte as scripted, and keeps what it got.

It can misbehave: break off in the middle of an answer, wait, hang up before it has said anything.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from msgspec import Struct

_START_LIMIT_S = 10.0
_MOST_HEAD_BYTES = 1 << 20
_MISSING_BYTES = 100


class Received(Struct, frozen=True):
    """A request as it came over the wire. Names and values of headers stand as they were written, in order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first header of this name in any case; None: it was not sent."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


class Scripted(Struct, frozen=True, kw_only=True):
    """An answer. Each of the pieces goes out by itself, after `pause_s`.

    `chunked` False: with a content length. `cut`: the connection is closed after the last piece, before the answer's
    end. `silent`: it is closed at once.
    """

    pieces: tuple[bytes, ...] = (b"{}",)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    chunked: bool = False
    first_s: float = 0.0
    pause_s: float = 0.0
    cut: bool = False
    silent: bool = False

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


Script = Callable[[Received], Scripted]
"""What is answered to a request."""

EVENT_STREAM = (("content-type", "text/event-stream; charset=utf-8"),)


def stream(body: bytes, sizes: Iterable[int] | int | None = None) -> Scripted:
    """The bytes as a streamed answer, cut into pieces of these sizes, repeated; None: in one piece."""
    return Scripted(pieces=tuple(cut_up(body, sizes)), headers=EVENT_STREAM, chunked=True)


def cut_up(body: bytes, sizes: Iterable[int] | int | None) -> list[bytes]:
    """The body in pieces of these sizes, repeated until it ends; None: in one piece."""
    if sizes is None:
        return [body] if body else []
    steps = [sizes] if isinstance(sizes, int) else list(sizes)
    pieces, place = list[bytes](), 0
    while place < len(body):
        size = steps[len(pieces) % len(steps)]
        pieces.append(body[place : place + size])
        place += size
    return pieces


class ScriptedUpstream:
    """A provider on a port of its own, in a thread. `received` are the requests that came, where it `keeps` them,
    `hung_up` counts callers that left before their answer was whole, `connections` those that were made."""

    def __init__(self, script: Script | Scripted, *, keeps: bool = True) -> None:
        self._keeps = keeps
        self.script: Script = (lambda _: script) if isinstance(script, Scripted) else script
        self.received: list[Received] = []
        self.hung_up = 0
        self.connections = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(_START_LIMIT_S):
            raise RuntimeError("the scripted upstream did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_LIMIT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._greet, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES)
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._open:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._open, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        self.connections += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request after the other on a connection."""
        try:
            while True:
                request = await _read(reader, writer)
                if self._keeps:
                    self.received.append(request)
                scripted = self.script(request)
                if not await self._answer(scripted, reader, writer):
                    return
        except ConnectionError:
            self.hung_up += 1
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    async def _answer(self, scripted: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """The answer is out, as far as it is scripted; returns whether the connection goes on."""
        if scripted.silent:
            return False
        if scripted.first_s and await self._left(reader, scripted.first_s):
            return False
        writer.write(_head(scripted))
        for piece in scripted.pieces:
            if scripted.pause_s and await self._left(reader, scripted.pause_s):
                return False
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if scripted.chunked else piece)
            await writer.drain()
            await asyncio.sleep(0)
        if scripted.cut:
            return False
        if scripted.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _left(self, reader: asyncio.StreamReader, wait_s: float) -> bool:
        """Whether the caller hung up while it waited for so long."""
        until = self._loop.time() + wait_s
        while (rest := until - self._loop.time()) > 0:
            if reader.at_eof():
                self.hung_up += 1
                return True
            await asyncio.sleep(min(rest, 0.005))
        return False


def _head(scripted: Scripted) -> bytes:
    length = len(scripted.body) + (_MISSING_BYTES if scripted.cut else 0)
    framing = ("transfer-encoding", "chunked") if scripted.chunked else ("content-length", str(length))
    lines = [f"HTTP/1.1 {scripted.status} Scripted"]
    lines += [f"{name}: {value}" for name, value in (*scripted.headers, framing)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received:
    """The next request. Raises IncompleteReadError where the caller hung up."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    request = Received(method, target, headers, b"")
    if (request.header("expect") or "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(request.header("content-length") or 0))
    return Received(method, target, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass
    return bytes(body)
