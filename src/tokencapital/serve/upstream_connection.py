"""One connection to a provider: HTTP/1.1 on asyncio's protocol, one exchange at a time, bytes passed on as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools
from msgspec import Struct

from tokencapital.core.errors import ModelError, ModelGarbage, ModelTimeout, ModelUnavailable

_READ_AHEAD = 1 << 20
"""So many bytes of an answer wait unread before the provider is held back."""

Header = tuple[bytes, bytes]


class NotConnected(ModelUnavailable):
    """No connection could be made: nothing of the request was sent."""


class BrokenOff(ModelGarbage):
    """The connection ended, or what came is no HTTP, before the answer was whole."""


class TookTooLong(ModelTimeout):
    """Nothing came for too long, or the answer as a whole took too long."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long is waited for a connection, for the next byte, and for all of an answer; in seconds."""

    connect_s: float = 5.0
    idle_s: float = 120.0
    total_s: float = 900.0


class Answer:
    """What a provider answers: the head first, then the body in the pieces in which it comes.

    `size` counts the body's bytes until now, `heard` whether any byte came. `whole`: nothing more will come.
    """

    __slots__ = (
        "_connection",
        "_error",
        "_idle_s",
        "_paused",
        "_pieces",
        "_stirred",
        "_total_s",
        "_unread",
        "_waiter",
        "framed",
        "headed",
        "headers",
        "heard",
        "on_slow",
        "patience",
        "size",
        "status",
        "whole",
    )

    def __init__(self, connection: Connection, patience: Patience, on_slow: Callable[[Answer], None] | None) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.headed = self.heard = self.whole = self.framed = False
        self.size = 0
        self.patience = patience
        self.on_slow = on_slow
        self._connection = connection
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._error: ModelError | None = None
        self._unread = 0
        self._idle_s = self._total_s = 0.0
        self._stirred = self._paused = False

    async def more(self, unread: int = 0) -> None:
        """More than `unread` bytes were not taken yet, or the end is there. Raises ModelError."""
        if self._error is not None:
            raise self._error
        if self._unread > unread or self.whole:
            return
        if self._paused:
            self._paused = False
            self._connection.go_on()
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def head(self) -> None:
        """The head is there. Raises ModelError."""
        while not self.headed:
            if self._error is not None:
                raise self._error
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def take(self) -> bytes:
        """The part of the body that came since this was last asked for; empty: nothing did."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        self._unread = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fail(self, error: ModelError) -> None:
        """Whoever waits for the answer gets the error, and the connection is closed."""
        if not self.whole and self._error is None:
            self._error = error
            self._connection.abort()
            self._wake()

    def close(self) -> None:
        """Nothing more is wanted: a connection on which more would come is closed."""
        if not self.whole:
            self.fail(BrokenOff("the answer is no longer wanted"))

    def tick(self, seconds: float) -> None:
        """So much time went by. Fails the answer where it went past the patience."""
        self._total_s += seconds
        self._idle_s = 0.0 if self._stirred or self._paused else self._idle_s + seconds
        self._stirred = False
        slow, self.on_slow = self.on_slow, None
        if slow is not None:
            slow(self)
        if self._idle_s > self.patience.idle_s:
            self.fail(TookTooLong(f"nothing came for {self.patience.idle_s:g} s", where=self._connection.where))
        elif self._total_s > self.patience.total_s:
            self.fail(TookTooLong(f"not answered within {self.patience.total_s:g} s", where=self._connection.where))

    def stir(self) -> None:
        """Bytes came."""
        self._stirred = self.heard = True

    def begin_body(self, status: int) -> None:
        """The head is complete."""
        self.status = status
        self.headed = True
        self._wake()

    def add(self, piece: bytes) -> None:
        """A piece of the body came."""
        self._pieces.append(piece)
        self.size += len(piece)
        self._unread += len(piece)
        if self._unread > _READ_AHEAD and not self._paused:
            self._paused = True
            self._connection.hold_back()
        self._wake()

    def end(self) -> None:
        """The body is complete; whoever asks on the same connection next finds it read from."""
        self.whole = True
        if self._paused:
            self._paused = False
            self._connection.go_on()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._error is not None:
                waiter.set_exception(self._error)
            else:
                waiter.set_result(None)


class Home(Protocol):
    """Where a connection belongs: its event loop, the answers that are waited for there, and bounds."""

    loop: asyncio.AbstractEventLoop
    active: set[Answer]
    where: str
    most_head_bytes: int

    def give_back(self, connection: Connection) -> None:
        """The connection is idle."""
        ...

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """One connection. It goes back to its pool when an answer is whole and the provider keeps it open."""

    __slots__ = (
        "_answer",
        "_fed_bytes",
        "_head_bytes",
        "_parser",
        "_pool",
        "_transport",
        "closed",
        "idle_s",
        "loop",
        "used",
        "where",
    )

    def __init__(self, pool: Home) -> None:
        self.loop = pool.loop
        self.where = pool.where
        self.closed = self.used = False
        self.idle_s = 0.0
        self._pool = pool
        self._answer: Answer | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._transport: asyncio.Transport | None = None
        self._head_bytes = self._fed_bytes = 0

    def ask(self, request: bytes, answer: Answer) -> None:
        """The request is on its way, and `answer` will be filled."""
        self._answer = answer
        self._head_bytes = self._fed_bytes = 0
        self._pool.active.add(answer)
        assert self._transport is not None
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came; those that nobody asked for end the connection."""
        answer = self._answer
        if answer is None or self._parser is None:
            self.abort()
            return
        answer.stir()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            answer.fail(BrokenOff("what came is not HTTP, or was not asked for", where=self.where))
            self.abort()
            return
        if not answer.headed:
            self._fed_bytes += len(data)
            if self._fed_bytes > self._pool.most_head_bytes:
                most = self._pool.most_head_bytes
                answer.fail(BrokenOff(f"the head of the answer is longer than {most} bytes", where=self.where))

    def on_message_begin(self) -> None:
        """An answer begins. Raises ValueError where none is waited for."""
        if self._answer is None:
            raise ValueError("nobody asked for this")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came."""
        answer = self._answer
        if answer is None or answer.headed:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._pool.most_head_bytes:
            raise ValueError("a head without end")
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            answer.framed = True
        answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete; that of an interim answer is passed over."""
        answer, parser = self._answer, self._parser
        if answer is None or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            answer.headers.clear()
            answer.framed = False
            return
        answer.begin_body(status)

    def on_body(self, piece: bytes) -> None:
        """A piece of the body came."""
        if self._answer is not None:
            self._answer.add(piece)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        answer, parser, transport = self._answer, self._parser, self._transport
        if answer is None or parser is None or transport is None or not answer.headed:
            return
        sent = not transport.get_write_buffer_size()
        self._finish(answer, reusable=sent and parser.should_keep_alive())

    def eof_received(self) -> bool:
        """The provider has said all: an answer without a length ends here."""
        answer = self._answer
        if answer is not None and answer.headed and not answer.framed:
            self._finish(answer, reusable=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.closed = True
        self._parser = self._transport = None
        answer, self._answer = self._answer, None
        if answer is not None:
            self._pool.active.discard(answer)
            answer.fail(BrokenOff("the connection ended before the answer did", where=self.where))
        self._pool.lost(self)

    def hold_back(self) -> None:
        """The provider is not read from for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """The provider is read from again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """The connection is closed at once."""
        self.closed = True
        answer, self._answer = self._answer, None
        if answer is not None:
            self._pool.active.discard(answer)
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, answer: Answer, *, reusable: bool) -> None:
        self._answer = None
        self._pool.active.discard(answer)
        answer.end()
        if reusable:
            self.used = True
            self._pool.give_back(self)
        else:
            self.abort()
