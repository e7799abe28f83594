"""The relay: calls of models that are passed on to providers, each kept before its last byte goes out.

It stands before the house's other routes as plain ASGI, because every call of a company's AI goes through it. What is
not a call of a provider's model goes to the app behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from random import random
from time import perf_counter
from typing import Protocol

from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tokencapital.core import access
from tokencapital.core.call import Wire
from tokencapital.core.case import Mode
from tokencapital.core.clock import Clock
from tokencapital.core.errors import AccessRefused, InputError, SpoolFull, TokenCapitalError, UnknownCapability
from tokencapital.core.ids import IdSource
from tokencapital.serve.counts import RelayCounts
from tokencapital.serve.provider_settings import RelaySettings
from tokencapital.serve.providers import Providers
from tokencapital.serve.relay_call import Begun, Keeping, Passage, Took
from tokencapital.serve.relay_plain import pass_plain
from tokencapital.serve.relay_ports import (
    Answerer,
    AnyProvider,
    Asked,
    Cleaner,
    Doorman,
    Egress,
    Keeper,
    KeepsAll,
    NoAnswers,
    NoLimits,
    NoRules,
    OpenDoor,
    Purse,
    Reply,
    Sorter,
)
from tokencapital.serve.relay_tries import Caller, Request, Tries, Way
from tokencapital.serve.relay_wire import (
    OF_RESPONSES,
    TRAJECTORY,
    WIRES,
    TooLarge,
    TooSlow,
    read_head,
    refusal,
    safe_query,
    unpacked,
)
from tokencapital.serve.upstream import Client
from tokencapital.serve.upstream_connection import Header
from tokencapital.serve.wire import ANSWERING


class Names(Protocol):
    """Knows what the declared capabilities are called."""

    def known(self) -> AbstractSet[str]:
        """The names, maybe a moment old; it is asked with every call."""
        ...

    def look(self) -> AbstractSet[str]:
        """The names as they are now."""
        ...


class RelayParts(Struct, frozen=True, kw_only=True):
    """What the relay is made of.

    Calls of `capabilities` by their names are answered by the app behind. `took` says what a call took. `full` says
    that nothing can be kept now; then calls are refused, or go `unrecorded`. `owner` is the application that a
    provider's answer was given to, by its id; None: nobody knows.
    """

    providers: Providers
    keeper: Keeper
    clock: Clock
    ids: IdSource
    capabilities: Names
    took: Callable[..., Took] = lambda _call: (None, None)
    full: Callable[[], bool] = lambda: False
    owner: Callable[[str], str | None] = lambda _response: None
    doorman: Doorman = OpenDoor()
    sorter: Sorter = NoRules()
    egress: Egress = AnyProvider()
    purse: Purse = NoLimits()
    answerer: Answerer = NoAnswers()
    cleaner: Cleaner = KeepsAll()
    settings: RelaySettings = RelaySettings()
    unrecorded: bool = False
    draw: Callable[[], float] = random


class Relay:
    """An ASGI app before another one. Works in whichever event loop it is called, also without ASGI's lifespan."""

    def __init__(self, parts: RelayParts, app: ASGIApp) -> None:
        self.counts = RelayCounts()
        self.providers = parts.providers
        self._parts = parts
        self._app = app
        self._client: Client | None = None
        self._way = Way(egress=parts.egress, purse=parts.purse, counts=self.counts, clock=parts.clock, draw=parts.draw)
        self._keeping = Keeping(
            keeper=parts.keeper,
            cleaner=parts.cleaner,
            took=parts.took,
            goes_unrecorded=parts.unrecorded,
            settings=parts.settings,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered, here or by the app behind."""
        if scope["type"] == "http" and self._parts.providers:
            wire = WIRES.get(scope["path"])
            if wire is not None and scope["method"] == "POST":
                await self._guarded(wire, scope, receive, send)
                return
            kept = OF_RESPONSES.match(scope["path"])
            if kept is not None and await self._pass_kept(kept[1], scope, receive, send):
                return
        await self._app(scope, receive, send)
        if scope["type"] == "lifespan":
            await self.close()

    async def close(self) -> None:
        """Connections to providers are closed."""
        client, self._client = self._client, None
        if client is not None and client.loop is asyncio.get_running_loop():
            await client.close()

    async def _guarded(self, wire: Wire, scope: Scope, receive: Receive, send: Send) -> None:
        """The call is made; an error of ours is told in the wire's shape."""
        counts = self.counts
        counts.in_flight += 1
        try:
            await self._call(wire, scope, receive, send)
        except _HungUpError:
            counts.disconnected += 1
        except Exception as error:  # noqa: BLE001 the caller has to be told in its wire
            counts.refuse(error)
            await _refuse(wire, error, send)
        finally:
            counts.in_flight -= 1

    async def _call(self, wire: Wire, scope: Scope, receive: Receive, send: Send) -> None:
        parts, started, raw = self._parts, perf_counter(), scope["headers"]
        headers = _by_name(raw)
        try:
            caller = parts.doorman.admit(headers, access.Scope.INFER)
        except AccessRefused:
            if wire is Wire.CHAT and "cookie" in headers:  # a person with a login may ask capabilities
                await self._app(scope, receive, send)
                return
            raise
        body = await self._body(receive, headers)
        most = parts.settings.max_body_bytes
        plain = unpacked(body, headers.get("content-encoding"), most)
        model, streamed = read_head(plain)
        asked = Asked(
            wire=wire, path=scope["path"], model=model, streamed=streamed, headers=headers, body=plain, caller=caller
        )
        sorted_ = parts.sorter.sort(asked)
        if sorted_.capability is None and model in parts.capabilities.known():
            await self._ask_capability(asked, scope, _again(plain, receive), send)
            return
        begun = Begun(
            id=parts.ids.new("trj"),
            at=parts.clock.now(),
            started=started,
            asked=asked,
            sorted_=sorted_,
            recorded=not parts.full(),
        )
        if sorted_.mode is not Mode.OBSERVE and await self._answered(begun, send):
            return
        targets = parts.providers.find(wire, model)
        if not targets:
            await self._ask_capability(asked, scope, _again(plain, receive), send)
            return
        if not begun.recorded and not parts.unrecorded:
            raise SpoolFull("nothing more can be kept until the store has taken what waits", remedy="Try again later.")
        request = Request(
            asked=asked,
            capability=sorted_.capability,
            headers=raw,
            body=body,
            packed=plain is not body,
            query=safe_query(scope["query_string"]),
        )
        waiting = Caller(receive)
        tries = Tries(self._way, self._here(), request, waiting)
        await Passage(self._way, self._keeping, begun, tries, send).run(targets, waiting)

    def _here(self) -> Client:
        """The client of the running event loop."""
        client = self._client
        if client is None or client.closed or client.loop is not asyncio.get_running_loop():
            client = self._client = Client()
        return client

    async def _ask_capability(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """The app behind answers for a capability, in the wire that it speaks. Raises UnknownCapability, InputError."""
        names = self._parts.capabilities.look()
        if asked.model not in names:
            raise UnknownCapability(
                f"no provider that understands {asked.path} and no capability is known for `{asked.model[:200]}`",
                remedy=f"Capabilities: {', '.join(sorted(names)) or 'none'}. Models: {self._parts.providers.known}.",
            )
        if asked.wire not in ANSWERING:
            raise InputError(f"the capability `{asked.model}` is asked at /v1/chat/completions", where=asked.path)
        plain = [one for one in scope["headers"] if one[0] not in (b"content-encoding", b"content-length")]
        length = (b"content-length", b"%d" % len(asked.body))
        await self._app({**scope, "headers": [*plain, length]}, receive, send)

    async def _answered(self, begun: Begun, send: Send) -> bool:
        """Whether the capability answered; in `shadow` mode it does so beside, and the provider's answer goes out."""
        answerer = self._parts.answerer
        if begun.sorted_.mode is Mode.SHADOW:
            answerer.beside(begun.asked, begun.sorted_, begun.id)
            return False
        reply = await answerer.answer(begun.asked, begun.sorted_, begun.id)
        if reply is not None:
            await _send_reply(reply, begun.id, send)
        return reply is not None

    async def _body(self, receive: Receive, headers: dict[str, str]) -> bytes:
        """All of a request's body. Raises TooLarge, TooSlow."""
        most = self._parts.settings.max_body_bytes
        if int(headers.get("content-length") or 0) > most:
            raise TooLarge(f"the body is longer than {most} bytes")
        message = await receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body"):
            return body
        pieces, size = [body], len(body)
        while message["type"] != "http.disconnect" and message.get("more_body"):
            message = await self._next(receive)
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                raise TooLarge(f"the body is longer than {most} bytes")
        if message["type"] == "http.disconnect":
            raise _HungUpError
        return b"".join(pieces)

    async def _next(self, receive: Receive) -> Message:
        seconds = self._parts.settings.body_idle_s
        try:
            async with asyncio.timeout(seconds):
                return await receive()
        except TimeoutError:
            raise TooSlow(f"nothing more of the body came for {seconds:g} s") from None

    async def _pass_kept(self, path: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """What OpenAI keeps of an answer is read or deleted there. False: nobody here speaks that wire."""
        headers = _by_name(scope["headers"])
        provider = self._parts.providers.speaking(Wire.RESPONSES, headers.get("x-tcap-provider") or None)
        if provider is None or scope["method"] not in ("GET", "POST", "DELETE"):
            return False
        try:
            caller = self._parts.doorman.admit(headers, access.Scope.INFER)
            await self._refuse_others(caller, path.split("/")[1])
            self._parts.egress.check(None, provider.name)
            body = await self._body(receive, headers)
            await pass_plain(self._here(), provider, f"/responses{path}", scope, (body, receive, send))
        except _HungUpError:
            pass
        except TokenCapitalError as error:
            self.counts.refuse(error)
            await _refuse(Wire.RESPONSES, error, send)
        return True

    async def _refuse_others(self, caller: access.Caller, response: str) -> None:
        """Returns where the answer was given to the caller's application, as far as is known. Raises AccessRefused."""
        if caller.application is None or caller.may(access.Scope.ADMIN):
            return
        owner = await asyncio.to_thread(self._parts.owner, response)
        if owner not in (None, caller.application):
            raise AccessRefused("this response was given to another application")


class _HungUpError(Exception):
    """The caller hung up before the request was there."""


def _by_name(headers: Iterable[Header]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


async def _refuse(wire: Wire, error: Exception, send: Send) -> None:
    status, body, headers = refusal(wire, error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_reply(reply: Reply, call: str, send: Send) -> None:
    """A capability's own answer goes out."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if all(name != TRAJECTORY for name, _ in headers):
        headers.append((TRAJECTORY, call.encode()))
    if reply.pieces is None:
        headers = [one for one in headers if one[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.pieces is not None:
        async for piece in reply.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": reply.body})


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, once more; then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
