"""Spans of the SDK: cheap to make where an application runs, and written as OpenTelemetry's batches elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any

import msgspec

Plain = str | bool | int | float
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_LONGEST = 1 << 20
_FAILED = 2
_SCOPE = "tokencapital.serve.sdk"
TRUNCATED = "tcap.truncated"
"""The attribute that says of how many values only the begin was kept."""


class SdkSpan:
    """Something that an application does, from its begin to its end."""

    __slots__ = ("attributes", "began", "ended", "events", "failed", "id", "name", "parent", "trace")

    def __init__(self, name: str, parent: SdkSpan | None) -> None:
        self.name = name
        self.id = os.urandom(_SPAN_BYTES)
        self.trace: bytes = parent.trace if parent is not None else new_trace()
        self.parent = parent.id if parent is not None else b""
        self.attributes: dict[str, Plain] = {}
        self.events: list[tuple[str, int, Mapping[str, Plain | None]]] = []
        self.failed = False
        self.began = time_ns()
        self.ended = 0

    def put(self, name: str, value: object) -> None:
        """The value as JSON is an attribute; of one that is very long the begin."""
        written = as_json(value)
        if len(written) > _LONGEST:
            written = as_json(written[:_LONGEST])
            self.attributes[TRUNCATED] = int(self.attributes.get(TRUNCATED, 0)) + 1
        self.attributes[name] = written

    def event(self, name: str, attributes: Mapping[str, Plain | None]) -> None:
        """Something happened now."""
        self.events.append((name, time_ns(), attributes))

    def fail(self, error: BaseException) -> None:
        """It ended with this error."""
        self.failed = True
        kind = type(error)
        named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        self.events.append(("exception", time_ns(), {"exception.type": named, "exception.message": str(error)}))


def new_trace() -> bytes:
    """The id of a trace; it never begins as those do that stand for trajectories of other origins."""
    fresh = os.urandom(_TRACE_BYTES)
    return fresh if fresh[0] != ord("t") else b"T" + fresh[1:]


def as_json(value: object) -> str:
    """The value as JSON; what JSON has no word for as it prints itself."""
    try:
        return _encode(value).decode()
    except Exception:  # noqa: BLE001 (somebody's own type may fail in any way, and the application goes on)
        return _encode(f"<{type(value).__qualname__}>").decode()


def batch_of(spans: Sequence[SdkSpan], resource: Mapping[str, str]) -> bytes:
    """The spans as one batch in protobuf."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    batch = ExportTraceServiceRequest()
    told = batch.resource_spans.add()
    _put(told.resource.attributes, resource)
    scope = told.scope_spans.add()
    scope.scope.name = _SCOPE
    for one in spans:
        _add(scope.spans.add(), one)
    return bytes(batch.SerializeToString())


def _add(span: Any, one: SdkSpan) -> None:
    span.trace_id, span.span_id, span.parent_span_id, span.name = one.trace, one.id, one.parent, _text(one.name)
    span.start_time_unix_nano, span.end_time_unix_nano = one.began, one.ended
    if one.failed:
        span.status.code = _FAILED
    _put(span.attributes, one.attributes)
    for name, at, attributes in one.events:
        event = span.events.add()
        event.name, event.time_unix_nano = name, at
        _put(event.attributes, attributes)


def _put(into: Any, attributes: Mapping[str, Plain | None]) -> None:
    for name, value in attributes.items():
        if value is None:
            continue
        one = into.add()
        one.key = name
        if isinstance(value, bool):
            one.value.bool_value = value
        elif isinstance(value, int):
            one.value.int_value = value
        elif isinstance(value, float):
            one.value.double_value = value
        else:
            one.value.string_value = _text(value)


def _text(value: object) -> str:
    """Text that protobuf can hold."""
    return str(value).encode("utf-8", "replace").decode()


_encode = msgspec.json.Encoder(enc_hook=repr).encode
