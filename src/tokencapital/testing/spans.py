"""Spans as an exporter sends them, written short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.record.spans_told import nanoseconds

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


class ScriptedSpan(Struct, frozen=True, kw_only=True):
    """A span: `trace` and `span` are small numbers, `begins_s` seconds after START. `parent` 0: it is a root.

    `events` are names with attributes. `failed` None: it does not say how it ended.
    """

    trace: int = 1
    span: int = 1
    parent: int = 0
    name: str = "span"
    begins_s: float = 0.0
    lasts_s: float = 1.0
    attributes: Mapping[str, Json] = {}
    events: tuple[tuple[str, Mapping[str, Json]], ...] = ()
    failed: bool | None = None


def trace_name(number: int) -> str:
    """The id of a trace in hexadecimal digits."""
    return f"{number:032x}"


def batch_of(spans: Iterable[ScriptedSpan], resource: Mapping[str, Json] | None = None) -> bytes:
    """The spans as one batch in protobuf, under one resource."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    batch = ExportTraceServiceRequest()
    told = batch.resource_spans.add()
    put(told.resource.attributes, {"service.name": "desk"} if resource is None else resource)
    scope = told.scope_spans.add()
    scope.scope.name = "tests"
    for one in spans:
        _add(scope.spans.add(), one)
    return bytes(batch.SerializeToString())


def _add(span: Any, one: ScriptedSpan) -> None:
    begins = START + timedelta(seconds=one.begins_s)
    span.trace_id, span.span_id = one.trace.to_bytes(16), one.span.to_bytes(8)
    span.parent_span_id = one.parent.to_bytes(8) if one.parent else b""
    span.name = one.name
    span.start_time_unix_nano = nanoseconds(begins)
    span.end_time_unix_nano = nanoseconds(begins + timedelta(seconds=one.lasts_s))
    span.status.code = {None: 0, False: 1, True: 2}[one.failed]
    put(span.attributes, one.attributes)
    for name, attributes in one.events:
        event = span.events.add()
        event.name = name
        put(event.attributes, attributes)


def put(into: Any, attributes: Mapping[str, Json]) -> None:
    """The attributes stand among those of a span, an event or a resource."""
    for name, value in attributes.items():
        one = into.add()
        one.key = name
        _set(one.value, value)


def _set(into: Any, value: Json) -> None:
    match value:
        case bool():
            into.bool_value = value
        case int():
            into.int_value = value
        case float():
            into.double_value = value
        case str():
            into.string_value = value
        case list() | tuple():
            for one in value:
                _set(into.array_value.values.add(), one)
        case dict():
            put(into.kvlist_value.values, value)
