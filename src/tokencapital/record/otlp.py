"""OpenTelemetry's batches of spans as they come over HTTP: unpacked, read, and answered as the protocol says.

Pure functions of bytes. https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.errors import InputError

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_BYTES = 64 * 1024 * 1024
"""So long is the longest batch that is read, unpacked."""
TRACE_BYTES, SPAN_BYTES = 16, 8
_PACKED = (b"\x1f\x8b", b"\x78")
_AUTOMATIC = zlib.MAX_WBITS | 32
_PIECE = 1 << 20
_LENGTHS = {"traceId": TRACE_BYTES, "spanId": SPAN_BYTES, "parentSpanId": SPAN_BYTES}


class TooLong(InputError):
    """The batch is longer than what is read."""


Batch = Any
"""A parsed batch: `ExportTraceServiceRequest` of OpenTelemetry's protocol."""


class Checked(Struct, frozen=True):
    """A batch with how many `spans` it holds, `refused` of them because they have no valid ids."""

    batch: Batch
    spans: int
    refused: int


def is_packed(body: bytes) -> bool:
    """Whether the body is packed by gzip or zlib; a batch in protobuf never begins like one."""
    return body.startswith(_PACKED)


def unpacked(body: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """The body without gzip or zlib around it, if there is one. Raises TooLong, InputError where it is broken."""
    if not is_packed(body):
        if len(body) > most_bytes:
            raise TooLong(f"the batch is longer than {most_bytes:,} bytes")
        return body
    pieces, length, rest = [], 0, body
    while rest:
        stream = zlib.decompressobj(_AUTOMATIC)
        for piece in _inflated(stream, rest):
            length += len(piece)
            if length > most_bytes:
                raise TooLong(f"unpacked, the batch is longer than {most_bytes:,} bytes")
            pieces.append(piece)
        if not stream.eof:
            raise InputError("the packed batch breaks off")
        rest = stream.unused_data
    return b"".join(pieces)


def read_protobuf(body: bytes) -> Batch:
    """The batch in the body. Raises InputError where that is none."""
    from google.protobuf.message import DecodeError

    batch = _empty()
    try:
        batch.ParseFromString(body)
    except DecodeError as error:
        raise InputError("the body is no batch of spans in protobuf") from error
    if body and not batch.resource_spans:
        raise InputError("the body holds no spans")
    return batch


def read_json(body: bytes) -> Batch:
    """The batch in a body in OTLP's JSON, in which ids are hexadecimal. Raises InputError where that is none."""
    from google.protobuf.json_format import ParseDict, ParseError

    batch = _empty()
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
        for span in _spans_of_json(told):
            for name in _LENGTHS.keys() & span.keys():
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        ParseDict(told, batch, ignore_unknown_fields=True)
    except (msgspec.MsgspecError, ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("the body is no batch of spans in OTLP's JSON") from error
    if told and not batch.resource_spans:
        raise InputError("the body holds no spans")
    return batch


def checked(batch: Batch) -> Checked:
    """The batch with its spans counted; those without valid ids stay in it and are passed over by `spans_of`."""
    spans = sum(len(scope.spans) for resource in batch.resource_spans for scope in resource.scope_spans)
    return Checked(batch, spans, spans - sum(1 for _ in spans_of(batch)))


def spans_of(batch: Batch) -> Iterator[tuple[Any, Any, Any]]:
    """Each span with valid ids, after its resource and its scope."""
    for resource in batch.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                trace, name = span.trace_id, span.span_id
                if len(trace) == TRACE_BYTES and len(name) == SPAN_BYTES and any(trace) and any(name):
                    yield resource, scope, span


def answer(refused: int, form: str) -> bytes:
    """What the sender is told of a batch that was kept: nothing, or how many spans of it were refused and why."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if not refused:
        return b"{}" if form == JSON else b""
    why = "without a trace id of 16 bytes and a span id of 8, none of them zero, a span is no one's"
    if form == JSON:
        return msgspec.json.encode({"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": why}})
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = refused
    response.partial_success.error_message = why
    return bytes(response.SerializeToString())


def refusal(code: int, what: str, form: str) -> bytes:
    """What the sender is told of a batch that was not kept: a `google.rpc.Status`, which has two fields."""
    if form == JSON:
        return msgspec.json.encode({"code": code, "message": what})
    said = what.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(said)) + said


def _empty() -> Any:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return ExportTraceServiceRequest()


def _inflated(stream: Any, packed: bytes) -> Iterator[bytes]:
    try:
        while packed and not stream.eof:
            yield stream.decompress(packed, _PIECE)
            packed = stream.unconsumed_tail
    except zlib.error as error:
        raise InputError("the packed batch is broken") from error


def _spans_of_json(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in told.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield span
                yield from span.get("links") or ()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))
