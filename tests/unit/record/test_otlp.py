"""Batches of spans over HTTP: protobuf and JSON, packed or not, and what the sender is told."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import InputError, SpoolFull
from tokencapital.core.ids import IdSource
from tokencapital.record.otlp import PROTOBUF, TooLong, checked, read_json, read_protobuf, refusal, unpacked
from tokencapital.record.otlp_routes import TraceRoutes
from tokencapital.record.redaction import Redaction
from tokencapital.record.spans_cleaning import REDACTED, SpanCleaner
from tokencapital.record.spool_frames import SpanBatch
from tokencapital.testing.spans import START, ScriptedSpan, batch_of

ATTRIBUTES = {"text": "a", "number": 1 << 40, "share": 0.5, "yes": True, "many": ["a", 2], "inner": {"b": "c"}}
SPAN = ScriptedSpan(attributes=ATTRIBUTES, events=(("exception", {"exception.type": "ValueError"}),))
CLOCK = RecordedClock(START)
SECRET = "sk-" + "a1" * 12


class Kept:
    """A place that keeps batches, until it is full."""

    def __init__(self) -> None:
        self.batches: list[SpanBatch] = []
        self.full = False

    async def keep(self, batch: SpanBatch) -> None:
        if self.full:
            raise SpoolFull("full")
        self.batches.append(batch)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def client(kept: Kept) -> TestClient:
    return _client(kept, lambda body, _: body)


def _client(kept: Kept, clean: Callable[[bytes, Any], bytes]) -> TestClient:
    routes = TraceRoutes(kept.keep, clean, CLOCK, IdSource(CLOCK, lambda _: 0))
    return TestClient(Starlette(routes=routes.routes()))


def as_json(body: bytes) -> dict[str, Any]:
    """A batch in OTLP's JSON, made independently: the protobuf mapping, with ids in hexadecimal digits."""
    told = MessageToDict(ExportTraceServiceRequest.FromString(body))
    for resource in told["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[name] = base64.b64decode(span[name]).hex()
    return told


def test_json_says_the_same_as_protobuf() -> None:
    body = batch_of([SPAN, ScriptedSpan(span=2, parent=1)])
    told = as_json(body)
    assert told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] == f"{1:032x}"
    assert read_json(json.dumps(told).encode()) == read_protobuf(body)
    told["resourceSpans"][0]["fromTheFuture"] = {"x": 1}
    assert read_json(json.dumps(told).encode()) == read_protobuf(body)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda body: body])
def test_what_is_packed_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    body = batch_of([SPAN])
    assert unpacked(pack(body)) == body
    assert unpacked(gzip.compress(body[:9]) + gzip.compress(body[9:])) == body


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(5_000_000))
    with pytest.raises(TooLong):
        unpacked(bomb, most_bytes=1_000_000)
    with pytest.raises(TooLong):
        unpacked(b"a" * 11, most_bytes=10)


@pytest.mark.parametrize("body", [b"garbage", b"\xff" * 40, batch_of([SPAN])[:-5], b"\x12\x03abc"])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        read_protobuf(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"resourceSpans": 3}', b'{"a":' * 5000, b'{"other": []}'])
def test_what_is_no_batch_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        read_json(body)


@pytest.mark.parametrize("body", [gzip.compress(batch_of([SPAN]))[:-9], b"\x1f\x8bnothing"])
def test_what_is_packed_badly_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        unpacked(body)


def test_spans_without_valid_ids_are_counted() -> None:
    batch = read_protobuf(batch_of([SPAN, ScriptedSpan(trace=0), ScriptedSpan(span=0)]))
    assert (checked(batch).spans, checked(batch).refused) == (3, 2)


def test_a_batch_is_kept_as_it_came_and_answered_as_the_protocol_says(client: TestClient, kept: Kept) -> None:
    body = gzip.compress(batch_of([SPAN]))
    answered = client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF, "content-encoding": "gzip"})
    assert (answered.status_code, answered.content, answered.headers["content-type"]) == (200, b"", PROTOBUF)
    assert kept.batches[0].body == body
    in_json = client.post("/v1/traces", json=as_json(batch_of([SPAN])))
    assert (in_json.status_code, in_json.json()) == (200, {})
    assert read_protobuf(kept.batches[1].body) == read_protobuf(batch_of([SPAN]))


def test_a_part_that_is_refused_is_told(client: TestClient, kept: Kept) -> None:
    body = batch_of([SPAN, ScriptedSpan(trace=0)])
    answered = client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF})
    told = ExportTraceServiceResponse.FromString(answered.content)
    assert told.partial_success.rejected_spans == 1
    assert "16 bytes" in told.partial_success.error_message
    assert client.post("/v1/traces", json=as_json(body)).json()["partialSuccess"]["rejectedSpans"] == "1"
    client.post("/v1/traces", content=batch_of([ScriptedSpan(trace=0)]), headers={"content-type": PROTOBUF})
    assert len(kept.batches) == 2


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": PROTOBUF}, b"garbage", 400),
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "text/plain"}, b"", 415),
        ({}, b"", 415),
        ({"content-type": PROTOBUF, "content-encoding": "br"}, b"", 415),
        ({"content-type": PROTOBUF, "content-length": "99999999999"}, b"", 413),
        ({"content-type": PROTOBUF}, gzip.compress(bytes(70_000_000)), 413),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_status(
    client: TestClient, kept: Kept, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert client.post("/v1/traces", content=body, headers=headers).status_code == status
    assert not kept.batches


def test_a_full_spool_asks_for_patience(client: TestClient, kept: Kept) -> None:
    kept.full = True
    answered = client.post("/v1/traces", content=batch_of([SPAN]), headers={"content-type": PROTOBUF})
    assert (answered.status_code, answered.headers["retry-after"]) == (503, "5")


def test_a_refusal_is_a_status_in_protobuf() -> None:
    from google.rpc.status_pb2 import Status

    told = Status.FromString(refusal(3, "no " + "x" * 300, PROTOBUF))
    assert (told.code, told.message) == (3, "no " + "x" * 300)


def test_secrets_are_taken_out_before_a_batch_is_kept(kept: Kept) -> None:
    client = _client(kept, SpanCleaner(Redaction()))
    message = json.dumps([{"role": "user", "content": f"my key is {SECRET}, keep it"}])
    spans = [
        ScriptedSpan(name=f"call {SECRET}", attributes={"gen_ai.input.messages": message, "many": [SECRET, "b"]}),
        ScriptedSpan(span=2, events=(("exception", {"exception.message": SECRET}),)),
        ScriptedSpan(span=3, attributes={"kept": "as it is"}),
    ]
    client.post("/v1/traces", content=batch_of(spans), headers={"content-type": PROTOBUF})
    assert SECRET.encode() not in kept.batches[0].body
    cleaned = read_protobuf(kept.batches[0].body).resource_spans[0].scope_spans[0].spans
    assert json.loads(cleaned[0].attributes[0].value.string_value)[0]["content"].startswith("my key is [redacted:")
    marks = [one.value.int_value for span in cleaned for one in span.attributes if one.key == REDACTED]
    assert marks == [3, 1]
    assert kept.batches[0].body.count(b"as it is") == 1


def test_where_words_may_not_be_kept_spans_keep_their_facts(kept: Kept) -> None:
    client = _client(kept, SpanCleaner(Redaction(), lambda capability: capability != "silent"))
    told = {"gen_ai.input.messages": "Ann owes 3", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}
    events = (("exception", {"exception.type": "ValueError", "exception.message": "Ann owes 4"}),)
    spans = [
        ScriptedSpan(trace=1, attributes={"tcap.capability": "silent"}),
        ScriptedSpan(trace=1, span=2, parent=1, attributes=told, events=events),
        ScriptedSpan(trace=2, attributes=told),
    ]
    client.post("/v1/traces", content=batch_of(spans), headers={"content-type": PROTOBUF})
    (_, silent, other) = read_protobuf(kept.batches[0].body).resource_spans[0].scope_spans[0].spans
    assert {one.key for one in silent.attributes} == {"gen_ai.request.model", "gen_ai.usage.input_tokens"}
    assert {one.key for one in silent.events[0].attributes} == {"exception.type"}
    assert len(other.attributes) == 3
    assert b"owes 4" not in kept.batches[0].body
