"""Generalists behind any endpoint that speaks OpenAI's chat API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import ModelGarbage, ModelTimeout, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.models.openai_wire import (
    DONE,
    chat_body,
    completion_of,
    delta_of,
    read_events,
    refused_parameters,
)

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_BAD_REQUEST = frozenset({400, 404, 415, 422, 501})
_REMEDIES = {
    401: "Check the API key.",
    403: "Check the API key and what it may use.",
    404: "Check the address and the model's name.",
    413: "Send fewer exemplars or a shorter case.",
    429: "Slow down, or have the limit raised.",
}


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a model is served. `url` ends before `/chat/completions`, as in `http://127.0.0.1:8080/v1`.

    `api_key` None: no authorization is sent. `timeout_s` bounds a plain call as a whole; of a stream
    it bounds the wait for the connection and for each next piece.
    """

    url: str
    model: str
    api_key: str | None = None
    timeout_s: float = 60.0

    def path(self, service: str) -> str:
        """The full address of one of the endpoint's services."""
        return f"{self.url.rstrip('/')}/{service}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every call carries."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class OpenAIClient:
    """A `ModelClient` over HTTP; each call opens a connection of its own.

    What a server refuses (a response format, log-probabilities) is left out from then on; labels and
    schemas are then asked for in words, and the answers are checked just as strictly. It may be
    used from one event loop after another, but not from two at a time.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._where = endpoint.path("chat/completions")
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._without: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._endpoint.model

    async def complete(self, request: ModelRequest) -> Completion:
        """The whole answer; with `labels` it is one of them, with `schema` it is JSON text of an object.

        Raises ModelTimeout, ModelUnavailable (not reached, or refused) or ModelGarbage.
        """
        started = time.perf_counter()
        with _attributed(self._where, self._endpoint.timeout_s):
            async with await self._post(request, stream=False) as response:
                payload = _json(await response.read(), self._where)
        return completion_of(payload, request, self.name, time.perf_counter() - started, self._where)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The answer in pieces; a label comes in one. Raises as `complete` does, also half-way."""
        if request.labels is not None:
            completion = await self.complete(request)
            yield Delta(completion.text)
            yield Delta(finish="stop", usage=completion.usage)
            return
        finish, usage = None, Usage(input=None, output=None)
        with _attributed(self._where, self._endpoint.timeout_s):
            async with await self._post(request, stream=True) as response:
                async for event in read_events(response.content.iter_any()):
                    if event == DONE:
                        finish = finish or "stop"
                        break
                    delta = delta_of(_json(event, self._where), self._where)
                    finish, usage = delta.finish or finish, delta.usage or usage
                    if delta.text:
                        yield Delta(delta.text)
        if finish is None:
            raise ModelGarbage("the stream ended before the answer did", where=self._where, remedy="Try again.")
        yield Delta(finish=finish, usage=usage)

    async def close(self) -> None:
        """All connections are closed; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, request: ModelRequest, *, stream: bool) -> ClientResponse:
        """A response with status 200. Each parameter is refused at most once, so this ends."""
        without = self._without
        while True:
            body = chat_body(request, self.name, stream=stream, without=without)
            response = await self._send(body, stream=stream)
            if response.status == 200:
                self._without = without
                return response
            async with response:
                complaint = (await response.read()).decode("utf-8", "replace")
            refused = refused_parameters(body, complaint) if response.status in _BAD_REQUEST else frozenset()
            if not refused:
                raise _refusal(response.status, complaint, self._where)
            without |= refused

    async def _send(self, body: dict[str, Json], *, stream: bool) -> ClientResponse:
        import aiohttp

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            await self.close()
            # A connection cannot be closed once its loop is gone, so none is kept between calls.
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(headers=self._endpoint.headers, connector=connector)
            self._loop = loop
        limit_s = self._endpoint.timeout_s
        patience = aiohttp.ClientTimeout(total=limit_s)
        if stream:
            patience = aiohttp.ClientTimeout(total=None, sock_connect=limit_s, sock_read=limit_s)
        return await self._session.post(self._where, json=body, timeout=patience)


@contextmanager
def _attributed(where: str, timeout_s: float) -> Iterator[None]:
    """Whatever the transport raises within becomes an error of the model."""
    import aiohttp

    try:
        yield
    except TimeoutError as error:
        what = f"no answer within {timeout_s:g} s"
        raise ModelTimeout(what, where=where, remedy="Allow more time, or use a faster model.") from error
    except (aiohttp.ClientError, OSError) as error:
        what = f"the endpoint could not be reached ({error})"
        raise ModelUnavailable(what, where=where, remedy="Check that it runs and that the address is right.") from error


def _refusal(status: int, complaint: str, where: str) -> ModelUnavailable:
    remedy = _REMEDIES.get(status, "Try again later." if status >= 500 else "Check the request against the server.")
    return ModelUnavailable(f"the endpoint answered {status}", where=where, remedy=remedy, said=complaint[:200])


def _json(body: bytes | str, where: str) -> Json:
    try:
        return json.loads(body)
    except ValueError as error:
        what = "the response is not JSON"
        raise ModelGarbage(what, where=where, remedy="Check what is served at this address.") from error
