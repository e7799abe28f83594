"""Generalists and embedders behind any endpoint that speaks OpenAI's HTTP API."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import ModelError, ModelGarbage, ModelTimeout, ModelUnavailable
from tokencapital.models.arrays import FloatArray, unit_rows
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.models.openai_wire import (
    chat_body,
    completion_of,
    delta_of,
    label_schema,
    read_events,
    without_format,
)

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_ERROR_BODY_CHARACTERS = 300
_REFUSED_FORMAT = (400, 404, 415, 422, 501)


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a model is served. `url` ends before `/chat/completions`, as in `http://127.0.0.1:8080/v1`.

    `api_key` None: no authorization is sent. `timeout_s` bounds one call from the first byte sent
    to the last one received; for a stream it bounds the wait for each piece.
    """

    url: str
    model: str
    api_key: str | None = None
    timeout_s: float = 60.0

    def path(self, name: str) -> str:
        """The full address of one of the endpoint's services."""
        return f"{self.url.rstrip('/')}/{name}"

    def headers(self) -> dict[str, str]:
        """The headers that every call carries."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class OpenAIClient:
    """A `ModelClient` over HTTP. It opens its connections on first use and keeps them until `close`.

    A server that refuses `response_format` or `logprobs` is asked in plain words from then on, and
    its answers are checked as strictly as before.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: ClientSession | None = None
        self._takes_format = True

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._endpoint.model

    async def complete(self, request: ModelRequest) -> Completion:
        """The whole answer; with `labels` it is one of them, with `schema` it is JSON text.

        Raises ModelTimeout, ModelUnavailable (refused, 4xx, 5xx) or ModelGarbage.
        """
        started = time.perf_counter()
        async with _Attributed(self._endpoint):
            response = await self._post(request, stream=False)
            async with response:
                async with asyncio.timeout(self._endpoint.timeout_s):
                    payload = _json(await response.read(), str(response.url))
        elapsed_s = time.perf_counter() - started
        return completion_of(payload, request, self._endpoint.model, elapsed_s, str(response.url))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The answer in pieces; raises as `complete` does, also in the middle of the answer."""
        async with _Attributed(self._endpoint):
            response = await self._post(request, stream=True)
            async with response:
                last = Delta()
                async for event in read_events(response.content.iter_any()):
                    delta = delta_of(_json(event, str(response.url)), str(response.url))
                    last = Delta(finish=delta.finish or last.finish, usage=delta.usage or last.usage)
                    if delta.text:
                        yield Delta(delta.text)
        if last.finish is None:
            raise ModelGarbage("the stream ended before the answer did", where=str(response.url), remedy="Try again.")
        yield last

    async def close(self) -> None:
        """All connections are closed; the next call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, request: ModelRequest, *, stream: bool) -> ClientResponse:
        if self._takes_format:
            response = await self._send(chat_body(request, self._endpoint.model, stream=stream))
            if response.status not in _REFUSED_FORMAT:
                return await _accepted(response)
            refusal = await _refusal(response)
        plain = without_format(chat_body(request, self._endpoint.model, stream=stream), request)
        response = await _accepted(await self._send(plain))
        if self._takes_format:
            # Only now is it known that the refusal was about the extras, and not about the request.
            self._takes_format = False
            del refusal
        return response
