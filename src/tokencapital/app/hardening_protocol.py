"""Bounds on what reaches the app: heads that are too large or too slow, bodies that dry up, answers that nobody reads,
connections that do nothing.

uvicorn's protocol on httptools has none of them: a head may grow without end, and who sends a byte a minute is waited
for. One timer a second looks after all connections, so that a request costs two readings of a clock.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from time import monotonic
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tokencapital.app.gathering import GatheredTransport
from tokencapital.app.hardening import RequestSettings
from tokencapital.serve.counts import RequestCounts

_EVERY_S = 1.0
_KIB = 1 << 10
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
}


class Stage(Enum):
    """How far a connection's request has come."""

    HEAD = auto()
    BODY = auto()
    WHOLE = auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `settings` and `counts` are those of the class that `bounded_protocol` makes."""

    settings: RequestSettings
    counts: RequestCounts
    watching: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stage = Stage.HEAD
        self._begun = self.heard = monotonic()
        self._unread: float | None = None
        self._head_bytes = 0
        self._large = False
        self._over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection in the place of one that asks nothing, where there are too many."""
        super().connection_made(cast("asyncio.Transport", GatheredTransport(transport, self.loop)))
        kind = type(self)
        if len(self.connections) > kind.settings.connections:
            self._make_room()
        if not kind.watching:
            kind.watching = True
            self.loop.call_later(_EVERY_S, kind.watch, self.loop, self.connections)

    def data_received(self, data: bytes) -> None:
        """The data goes to the parser, unless the connection is over."""
        if self._over:
            return
        self.heard = monotonic()
        if self._stage is Stage.WHOLE and self.idle:
            self._stage, self._begun = Stage.HEAD, self.heard
        most = type(self).settings.head_kib * _KIB
        if self._stage is not Stage.BODY:
            self._head_bytes += len(data)
            self._large = self._head_bytes > most
        super().data_received(data)
        if self._stage is Stage.HEAD and self._head_bytes > most:
            self.end(431)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._stage, self._begun = Stage.HEAD, monotonic()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head. What stands behind the body is dropped: nobody has read it who decided on the request."""
        if self._stage is Stage.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is for the app, unless its head is too large."""
        if self._large and self._head_size() > type(self).settings.head_kib * _KIB:
            self.end(431)
        if self._over:
            return
        super().on_headers_complete()
        self._stage, self._begun, self._head_bytes = Stage.BODY, monotonic(), 0

    def on_body(self, body: bytes) -> None:
        """More of a body, unless the connection is over."""
        if not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole, unless the connection is over."""
        if not self._over:
            self._stage = Stage.WHOLE
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused, where no answer is on its way already."""
        self.end(400)

    def pause_writing(self) -> None:
        """The caller reads more slowly than the answer comes."""
        self._unread = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The caller has read on."""
        self._unread = None
        super().resume_writing()

    def end(self, status: int) -> None:
        """The connection is over; the caller is told why where no answer has begun."""
        if self._over:
            return
        self._over = True
        type(self).counts.turned_away[str(status)] += 1
        if self.transport is None or self.transport.is_closing():
            return
        asked = self.cycle is not None and not (self._stage is Stage.HEAD and self.cycle.response_complete)
        answered = asked and self.cycle.response_started
        if asked:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not answered:
            said = _REASONS[status].encode()
            head = b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(head % (status, said, len(said)) + said)
        self.transport.close()

    def look(self, now: float) -> None:
        """The connection is ended where it has used up its time."""
        settings = type(self).settings
        if self._unread is not None and now - self._unread > settings.unread_s:
            self._over = True
            type(self).counts.turned_away["unread"] += 1
            self.transport.abort()
        elif self._stage is Stage.HEAD and self.idle and now - self._begun > settings.head_s:
            self.end(408)
        elif self._stage is Stage.BODY:
            if self.flow.read_paused:
                self.heard = now
            if now - self._begun > settings.body_s or now - self.heard > settings.pause_s:
                self.end(408)

    @classmethod
    def watch(cls, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """All connections are looked at, now and every second while there are any."""
        now = monotonic()
        for one in list(connections):
            one.look(now)
        if connections:
            loop.call_later(_EVERY_S, cls.watch, loop, connections)
        else:
            cls.watching = False

    def _make_room(self) -> None:
        """The connection that has waited longest for a request is closed; this one, where all others are busy."""
        peers = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        idle = [one for one in peers if one.idle]
        (min(idle, key=lambda one: one.heard) if idle else self).end(429)

    @property
    def idle(self) -> bool:
        """Whether no request is on its way through this connection, or only the beginning of one."""
        return not self._over and (self.cycle is None or self.cycle.response_complete)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)


def server_options(settings: RequestSettings, counts: RequestCounts) -> dict[str, Any]:
    """What a `uvicorn.Config` is given so that its connections keep to the bounds, and its lines go to our log."""
    return {
        "http": bounded_protocol(settings, counts),
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
    }


def bounded_protocol(settings: RequestSettings, counts: RequestCounts) -> type[BoundedProtocol]:
    """The protocol of a server's connections, for `uvicorn.Config(http=…)`."""
    return type("Connection", (BoundedProtocol,), {"settings": settings, "counts": counts, "watching": False})
