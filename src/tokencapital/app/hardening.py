"""What every request meets first: bounds on its body, a count, a line in the log where one is wanted, and an answer
where nobody foresaw an error.

`hardening_protocol` holds the bounds on heads, times and connections.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tokencapital.app.logs import REQUESTS
from tokencapital.serve.counts import RequestCounts
from tokencapital.serve.faults import fault_message
from tokencapital.serve.wire import error_body

_MIB = 1 << 20
_OF_CALLERS, _OURS = 400, 500
_LITTLE = 1 << 18
"""Bodies up to this size are not counted: their number is bounded by that of connections."""
_LOG = logging.getLogger(REQUESTS)
_NOWHERE = object()


class RequestSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a request may be, and how long it may take to arrive.

    A body has at most `body_mib`, and all that are in work together at most `bodies_mib`. A head has at most `head_kib`
    and arrives within `head_s`; a body within `body_s`, and never pauses for `pause_s`. Who does not read an answer for
    `unread_s` is hung up on. Beyond `connections` at a time those that ask nothing are closed first.
    """

    body_mib: int = 64
    bodies_mib: int = 512
    head_kib: int = 64
    head_s: float = 10.0
    body_s: float = 120.0
    pause_s: float = 20.0
    unread_s: float = 60.0
    connections: int = 4000

    def __post_init__(self) -> None:
        if min(self.body_mib, self.head_kib, self.connections) < 1 or self.bodies_mib < self.body_mib:
            raise ValueError("bounds of requests are at least 1, and `bodies_mib` at least `body_mib`")
        if min(self.head_s, self.body_s, self.pause_s, self.unread_s) <= 0:
            raise ValueError("times of requests are above zero")


class TooMuch(HTTPException):
    """A body is over its bound: 413 where it is too large itself, 429 where others take the room."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(status, what, {"connection": "close"})

    def __str__(self) -> str:
        return self.detail


class Bounds:
    """The outermost part of the served house."""

    def __init__(
        self, app: ASGIApp, settings: RequestSettings, counts: RequestCounts, routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._app = app
        self._counts = counts
        self._plain = {one.path for one in routes if isinstance(one, Route) and "{" not in one.path}
        self._names: dict[object, str] = {one.endpoint: one.path for one in routes if isinstance(one, Route)}
        self._most = settings.body_mib * _MIB
        self._together = settings.bodies_mib * _MIB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered by the app within, or refused."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(scope, receive, send, self._counts)
        self._counts.in_flight += 1
        try:
            one.bound(self._most, self._together)
            await self._app(scope, one.receive, one.send)
        except TooMuch as refused:
            await one.refuse(refused)
        except ClientDisconnect:
            self._counts.turned_away["disconnected"] += 1
        except Exception as error:  # noqa: BLE001
            await one.fail(error)
        finally:
            self._counts.in_flight -= 1
            self._counts.body_bytes -= one.taken
            one.note(self._route(scope))

    def _route(self, scope: Scope) -> str:
        """The path of the route that took the request, its parameters unfilled, so that it names nobody."""
        found = self._names.get(scope.get("endpoint", _NOWHERE))
        return found or (scope["path"] if scope["path"] in self._plain else "none")


class _Request:
    """One request on its way."""

    __slots__ = ("_counts", "_first_s", "_send", "_started", "_within", "receive", "scope", "status", "taken")

    def __init__(self, scope: Scope, receive: Receive, send: Send, counts: RequestCounts) -> None:
        self.scope = scope
        self.receive = receive
        self.status = 0
        self.taken = 0
        self._send = send
        self._counts = counts
        self._started = perf_counter()
        self._first_s: float | None = None

    def bound(self, most: int, together: int) -> None:
        """What arrives is counted, except where the head declares little. Raises TooMuch where it declares a lot."""
        declared = _declared(self.scope["headers"])
        if declared is not None and declared <= _LITTLE:
            return
        if declared is not None and declared > most:
            raise _too_large(most)
        receive = self.receive

        async def counted() -> Message:
            message = await receive()
            size = len(message.get("body", b""))
            if self.taken + size > most:
                raise _too_large(most)
            if self._counts.body_bytes + size > together:
                raise TooMuch(429, "the bodies of other requests take all the room; send it again in a moment")
            self.taken += size
            self._counts.body_bytes += size
            return message

        self.receive = counted

    async def send(self, message: Message) -> None:
        """Passes a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._first_s = perf_counter() - self._started
        await self._send(message)

    async def refuse(self, refused: TooMuch) -> None:
        """The caller is told, where no answer has begun."""
        await self._answer(refused.status_code, refused.detail, "invalid_request_error", dict(refused.headers or {}))

    async def fail(self, error: Exception) -> None:
        """The error is in the log, and the caller is told under which id, where no answer has begun.

        An error that was answered as the caller's own comes through here too, and is none of ours.
        """
        if _OF_CALLERS <= self.status < _OURS:
            return
        self._counts.faults += 1
        message = fault_message(error)
        await self._answer(500, message, "internal_error", {})

    async def _answer(self, status: int, message: str, kind: str, headers: dict[str, str]) -> None:
        if self.status == 0:
            await JSONResponse(error_body(message, kind), status, headers)(self.scope, self.receive, self.send)

    def note(self, route: str) -> None:
        """The request is counted, and has its line where requests are logged."""
        self._counts.answered[self.scope["method"], route, self.status] += 1
        if self._first_s is not None:
            self._counts.times[route].add(self._first_s)
        if not _LOG.disabled:
            took_ms = round(1000 * (perf_counter() - self._started), 2)
            facts = {"method": self.scope["method"], "route": route, "status": self.status, "took_ms": took_ms}
            _LOG.info("request", extra={"facts": facts})


def _too_large(most: int) -> TooMuch:
    return TooMuch(413, f"the body is larger than {most // _MIB} MiB")


def _declared(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """The size of the body that the head declares; None: it comes in chunks, or has no end that is known."""
    size = 0
    for name, value in headers:
        if name == b"content-length":
            size = int(value) if value.isdigit() else 0
        elif name == b"transfer-encoding":
            return None
    return size
