"""A relay between callers and a scripted provider, over real sockets, with a keeper in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
from starlette.types import Receive, Scope, Send

from tokencapital.core.call import Call
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import SpoolFull
from tokencapital.core.ids import IdSource
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.serve.providers import open_providers
from tokencapital.serve.relay import Relay, RelayParts
from tokencapital.testing.servers import served
from tokencapital.testing.upstream import Script, Scripted, ScriptedUpstream
from tokencapital.testing.waiting import wait_until

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ASKED = {"model": "gpt-5", "messages": [{"role": "user", "content": "é"}], "unknown": [1.50, {"b": None}]}


class RelayShelf:
    """A keeper in memory; `full` refuses, `slow_s` takes its time, `at` is when each call was kept."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.at: list[float] = []
        self.full = False
        self.slow_s = 0.0

    async def keep(self, call: Call) -> None:
        """The call is kept."""
        if self.full:
            raise SpoolFull("no room")
        await asyncio.sleep(self.slow_s)
        self.calls.append(call)
        self.at.append(time.monotonic())

    def wait(self, count: int = 1) -> list[Call]:
        """The calls, once there are so many or five seconds are over."""
        wait_until(lambda: len(self.calls) >= count, 5.0)
        return self.calls


class _Named:
    def known(self) -> frozenset[str]:
        return frozenset({"triage"})

    look = known


class _Behind:
    """The app behind the relay: tells what reached it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        said = json.dumps({"path": scope["path"], "body": body.decode("utf-8", "replace")}).encode()
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": said})


class RelayHouse:
    """A relay before a scripted provider, on a socket."""

    def __init__(self, client: httpx.Client, shelf: RelayShelf, upstream: ScriptedUpstream, relay: Relay) -> None:
        self.client = client
        self.shelf = shelf
        self.upstream = upstream
        self.relay = relay

    def post(self, body: Any = ASKED, path: str = CHAT, **more: Any) -> httpx.Response:
        """The answer to a request with this body."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.client.post(path, content=content, **more)


@contextmanager
def relaying(script: Script | Scripted, said: Mapping[str, Any] | None = None, **parts: Any) -> Iterator[RelayHouse]:
    """The house while the block runs.

    `said` are settings of its provider `up`, `others` those of further providers by name, `keeper` is the shelf and the
    rest are parts of the relay.
    """
    shelf = parts.pop("keeper", None) or RelayShelf()
    others = parts.pop("others", {})
    with ScriptedUpstream(script) as upstream:
        declared = {"up": ProviderSettings(url=f"{upstream.url}/v1", **(said or {}))}
        declared |= {name: ProviderSettings(**one) for name, one in others.items()}
        relay = Relay(
            RelayParts(
                providers=open_providers(declared),
                keeper=shelf,
                clock=SystemClock(),
                ids=IdSource(SystemClock()),
                capabilities=_Named(),
                draw=lambda: 0.0,
                **parts,
            ),
            _Behind(),
        )
        with served(relay) as address, httpx.Client(base_url=address, timeout=10) as client:
            yield RelayHouse(client, shelf, upstream, relay)


PLAIN = Scripted(
    pieces=(b'{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":2}}',),
    headers=(("content-type", "application/json"), ("x-request-id", "req_1"), ("x-ratelimit-remaining-requests", "9"),
             ("set-cookie", "a=b"), ("connection", "keep-alive")),
)  # fmt: skip
