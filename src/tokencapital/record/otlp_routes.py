"""Spans over HTTP: OpenTelemetry's `/v1/traces`, answered when the batch is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tokencapital.core.access import CALLER, Caller
from tokencapital.core.case import Json
from tokencapital.core.clock import Clock
from tokencapital.core.errors import InputError, SpoolFull, StoreError, StoreUnavailable
from tokencapital.core.ids import IdSource
from tokencapital.record.otlp import (
    JSON,
    MOST_BYTES,
    PROTOBUF,
    Batch,
    TooLong,
    answer,
    checked,
    is_packed,
    read_json,
    read_protobuf,
    refusal,
    unpacked,
)
from tokencapital.record.spool_frames import SpanBatch

_PROTOBUFS = frozenset({PROTOBUF, "application/protobuf"})
_PACKINGS = frozenset({"", "identity", "gzip", "deflate"})
_INVALID, _UNAVAILABLE = 3, 14
_RETRY_S = "5"
_LARGE_BYTES = 64 * 1024
"""From so many bytes on a batch is read in a thread, so that answers of others do not wait for it."""

Keep = Callable[[SpanBatch], Awaitable[None]]
Clean = Callable[[bytes, Batch], bytes]
"""A batch, unpacked and parsed, as it may lie on disk: its own bytes where there is nothing to take out."""


class TraceBody(Struct, frozen=True, kw_only=True):
    """A batch of spans in OpenTelemetry's JSON, or as `ExportTraceServiceRequest` in protobuf; packed or not."""

    resourceSpans: list[dict[str, Json]] = []  # noqa: N815 (OpenTelemetry's own name)


class TraceRoutes:
    """Takes spans down."""

    def __init__(self, keep: Keep, clean: Clean, clock: Clock, ids: IdSource) -> None:
        self._keep = keep
        self._clean = clean
        self._clock = clock
        self._ids = ids

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/v1/traces", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """One batch of spans, durable when this answers; a part of it may be refused, which the answer says."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = JSON if kind == JSON else PROTOBUF
        if kind != JSON and kind not in _PROTOBUFS:
            return _refused(415, f"send {PROTOBUF} or {JSON}", form)
        if request.headers.get("content-encoding", "").strip().lower() not in _PACKINGS:
            return _refused(415, "a batch is packed with gzip, deflate, or not at all", form)
        try:
            body = await _body(request)
            large = len(body) > _LARGE_BYTES or kind == JSON
            kept, refused = await asyncio.to_thread(self._read, body, form) if large else self._read(body, form)
            if kept:
                await self._keep(self._frame(request, kept))
        except TooLong as error:
            return _refused(413, error.what, form)
        except InputError as error:
            return _refused(400, error.what, form)
        except (SpoolFull, StoreUnavailable) as error:
            return _away(error, form)
        return Response(answer(refused, form), media_type=form)

    def _read(self, body: bytes, form: str) -> tuple[bytes, int]:
        """The batch as it is kept (empty: there is nothing to keep), and how many of its spans are refused."""
        plain = unpacked(body)
        batch = read_json(plain) if form == JSON else read_protobuf(plain)
        seen = checked(batch)
        if seen.spans == seen.refused:
            return b"", seen.refused
        whole = bytes(batch.SerializeToString()) if form == JSON else plain
        cleaned = self._clean(whole, batch)
        return body if cleaned is plain and is_packed(body) else cleaned, seen.refused

    def _frame(self, request: Request, body: bytes) -> SpanBatch:
        caller = request.scope.get(CALLER)
        application = caller.application if isinstance(caller, Caller) else None
        return SpanBatch(id=self._ids.new("spb"), at=self._clock.now(), body=body, application=application)


async def _body(request: Request) -> bytes:
    """The body, read no further than what is allowed. Raises TooLong, InputError where the sender hung up."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > MOST_BYTES:
        raise TooLong(f"the batch is longer than {MOST_BYTES:,} bytes")
    pieces, length = [], 0
    try:
        async for piece in request.stream():
            pieces.append(piece)
            length += len(piece)
            if length > MOST_BYTES:
                raise TooLong(f"the batch is longer than {MOST_BYTES:,} bytes")
    except ClientDisconnect as error:
        raise InputError("the sender hung up") from error
    return b"".join(pieces)


def _refused(status: int, what: str, form: str) -> Response:
    return Response(refusal(_INVALID, what, form), status, media_type=form)


def _away(error: StoreError, form: str) -> Response:
    return Response(refusal(_UNAVAILABLE, error.what, form), 503, {"retry-after": _RETRY_S}, form)
