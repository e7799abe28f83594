"""The SDK: what an application does is told as spans, and nothing of it is ever in the application's way."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import tokencapital
from tokencapital.serve import sdk_steps
from tokencapital.serve.sdk import ModelCall, SendingSettings, Usage, connect, connection, flush, record_call, trace
from tokencapital.serve.sdk_sending import RefusedBatch, Sender
from tokencapital.serve.sdk_steps import disconnect
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream

QUICK = SendingSettings(every_s=0.01, timeout_s=2.0)


class Kept:
    """A house in this process that keeps what it is told, and can be away."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.away = 0
        self.refuses = False
        self.closed = False

    def take(self, batch: bytes) -> None:
        if self.refuses:
            raise RefusedBatch("no")
        if self.away:
            self.away -= 1
            raise ConnectionError("away")
        self.batches.append(batch)

    def close(self) -> None:
        self.closed = True

    @property
    def spans(self) -> list[Any]:
        """All spans in the order in which they began."""
        assert flush()
        found = [
            span
            for batch in self.batches
            for resource in ExportTraceServiceRequest.FromString(batch).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda one: one.start_time_unix_nano)


@pytest.fixture
def kept() -> Iterator[Kept]:
    house = Kept()
    connect(house, settings=QUICK)
    yield house
    disconnect()


def told(span: Any) -> dict[str, Any]:
    """The attributes of a span."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def said(span: Any) -> Any:
    """What the span answered."""
    return json.loads(told(span)["tcap.answer"])


def test_a_function_is_recorded_with_what_it_is_given_and_what_it_returns(kept: Kept) -> None:
    @trace(capability="triage", group="cust-1", key="T-1", case="C-1")
    def triage(mail: str, urgent: bool = False) -> dict[str, str]:
        """Sorts mail."""
        return {"label": f"{mail} {urgent}"}

    assert triage("a", urgent=True) == {"label": "a True"}
    assert triage("b") == {"label": "b False"}
    assert (triage.__name__, triage.__doc__) == ("triage", "Sorts mail.")
    first, second = kept.spans
    assert json.loads(told(first)["tcap.input"]) == {"mail": "a", "urgent": True}
    assert json.loads(told(second)["tcap.input"]) == "b"
    assert said(first) == {"label": "a True"}
    named = {name: told(first)[f"tcap.{name}"] for name in ("capability", "group", "key", "case", "kind")}
    assert named == {"capability": "triage", "group": "cust-1", "key": "T-1", "case": "C-1", "kind": "agent"}
    assert first.trace_id != second.trace_id
    assert first.end_time_unix_nano >= first.start_time_unix_nano


def test_what_is_called_within_belongs_to_what_called_it(kept: Kept) -> None:
    @trace
    def inner() -> int:
        return 1

    @trace
    def outer() -> int:
        with trace("look up", kind="tool") as step:
            step.given({"id": 7})
            step.answer("found")
            assert step.trajectory is not None
            step.outcome("solved", True)
        return inner()

    outer()
    root, tool, leaf = kept.spans
    assert (root.parent_span_id, tool.parent_span_id, leaf.parent_span_id) == (b"", root.span_id, root.span_id)
    assert {one.trace_id for one in (root, tool, leaf)} == {root.trace_id}
    assert (told(tool)["tcap.kind"], said(tool), tool.name) == ("tool", "found", "look up")
    (event,) = tool.events
    assert event.name == "tcap.outcome"
    assert sdk_steps._current.get() is None


def test_an_exception_is_recorded_and_goes_on(kept: Kept) -> None:
    @trace
    def fails() -> None:
        raise LookupError("Ann is not there")

    with pytest.raises(LookupError, match="Ann"):
        fails()
    with pytest.raises(ZeroDivisionError), trace("step"):
        _ = 1 // 0
    first, second = kept.spans
    assert (first.status.code, second.status.code) == (2, 2)
    assert told(first.events[0]) == {"exception.type": "LookupError", "exception.message": "Ann is not there"}


async def test_async_functions_run_at_once_and_stay_apart(kept: Kept) -> None:
    @trace
    async def leaf(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @trace
    async def root(name: str) -> str:
        async with trace("wait") as step:
            await asyncio.sleep(0.001)
            step.answer(name)
        return await leaf(name)

    assert await asyncio.gather(*(root(f"n{number}") for number in range(20))) == [f"n{number}" for number in range(20)]
    by_trace: dict[bytes, list[Any]] = {}
    for span in kept.spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    assert len(by_trace) == 20
    for spans in by_trace.values():
        assert len(spans) == 3
        assert len({said(one) for one in spans}) == 1
        (top,) = [one for one in spans if not one.parent_span_id]
        assert all(one.parent_span_id == top.span_id for one in spans if one is not top)


def test_generators_hold_what_happens_between_their_items_and_nothing_else(kept: Kept) -> None:
    @trace
    def step(name: str) -> str:
        return name

    @trace
    def words() -> Iterator[str]:
        step("within")
        yield "a"
        got = yield "b"
        yield got

    made = words()
    assert next(made) == "a"
    step("between")
    assert next(made) == "b"
    assert made.send("c") == "c"  # type: ignore[attr-defined]
    assert list(made) == []
    whole, within, between = kept.spans
    assert said(whole) == "abc"
    assert (within.parent_span_id, between.parent_span_id) == (whole.span_id, b"")


def test_a_generator_that_is_left_or_fails_ends_its_span(kept: Kept) -> None:
    closed: list[str] = []

    @trace
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        except KeyError:
            yield 3
            raise
        finally:
            closed.append("closed")

    left = numbers()
    next(left)
    left.close()  # type: ignore[attr-defined]
    thrown = numbers()
    next(thrown)
    assert thrown.throw(KeyError("x")) == 3  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        next(thrown)
    assert closed == ["closed", "closed"]
    first, second = kept.spans
    assert (said(first), first.status.code) == ([1], 0)
    assert (said(second), second.status.code) == ([1, 3], 2)


async def test_async_generators_are_recorded(kept: Kept) -> None:
    @trace
    async def words() -> AsyncIterator[str]:
        with trace("within"):
            await asyncio.sleep(0)
        yield "a"
        yield "b"

    assert [word async for word in words()] == ["a", "b"]
    whole, within = kept.spans
    assert said(whole) == "ab"
    assert within.parent_span_id == whole.span_id


async def test_of_generators_without_end_the_begin_is_kept(kept: Kept) -> None:
    @trace
    def plain() -> Iterator[int]:
        yield from range(10_001)

    @trace
    async def later() -> AsyncIterator[int]:
        for number in range(10_001):
            yield number

    assert sum(1 for _ in plain()) == 10_001
    assert len([one async for one in later()]) == 10_001
    for span in kept.spans:
        assert said(span) == list(range(10_000))
        assert told(span)["tcap.truncated"] == 1


def test_methods_are_recorded_without_their_object(kept: Kept) -> None:
    class Desk:
        @trace
        def sort(self, mail: str) -> str:
            return mail

    assert Desk().sort("a") == "a"
    (span,) = kept.spans
    assert json.loads(told(span)["tcap.input"]) == "a"


def test_a_call_of_a_model_is_told_in_the_names_of_opentelemetry(kept: Kept) -> None:
    with trace("agent"):
        call = ModelCall(
            model="gpt-x", messages=[{"role": "user", "content": "a?"}], answer="b", provider="openai", response="r1",
            usage=Usage(input=10, output=2), began_ns=5,
        )  # fmt: skip
        record_call(call)
    record_call(ModelCall(model="gpt-x", error=TimeoutError("late")))
    first, agent, alone = kept.spans
    assert first.start_time_unix_nano == 5
    assert first.parent_span_id == agent.span_id
    assert told(first)["gen_ai.usage.input_tokens"] == 10
    assert json.loads(told(first)["gen_ai.output.messages"]) == [{"role": "assistant", "content": "b"}]
    assert (alone.parent_span_id, alone.status.code) == (b"", 2)


class Awkward:
    """A type that nobody can print."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class AwkwardError(Exception):
    """An error that nobody can print."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_written_down_is_in_nobodys_way(kept: Kept) -> None:
    @trace
    def strange(one: object) -> object:
        return one

    for value in (Awkward(), "\ud800", float("nan"), {1: {2, 3}}, b"\xff", lambda: 1):
        strange(value)
    with pytest.raises(AwkwardError), trace("fails"):
        raise AwkwardError
    assert len(kept.spans) == 7
    long = "x" * (2 << 20)
    strange(long)
    assert told(kept.spans[-1])["tcap.truncated"] == 2


def test_a_house_that_is_away_is_tried_again(kept: Kept) -> None:
    kept.away = 2
    with trace("step"):
        pass
    assert len(kept.spans) == 1
    assert connection() is not None


def test_what_is_refused_or_does_not_fit_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    house = Kept()
    house.away = 1_000_000
    sender = connect(house, settings=SendingSettings(most=10, at_once=5, every_s=0.01, timeout_s=0.2))
    with caplog.at_level(logging.WARNING, "tokencapital.sdk"):
        for _ in range(50):
            with trace("step"):
                pass
        disconnect()
    assert (sender.counts.sent, sender.counts.dropped, sender.counts.waiting) == (0, 50, 0)
    assert "could not be sent" in caplog.text
    assert house.closed
    refusing = Kept()
    refusing.refuses = True
    sender = connect(refusing, settings=QUICK)
    with trace("step"):
        pass
    flush()
    assert sender.counts.dropped == 1
    disconnect()


def test_without_a_connection_functions_work_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    disconnect()
    sdk_steps._Connection.warned = False

    @trace
    def one() -> int:
        return 1

    @trace
    def many() -> Iterator[int]:
        yield 1

    with caplog.at_level(logging.WARNING, "tokencapital.sdk"), trace("step") as step:
        assert (one(), list(many()), step.trajectory) == (1, [1], None)
        step.answer(1)
        step.outcome("solved", None)
        record_call(ModelCall(model="m"))
    assert caplog.text.count("nothing is recorded") == 1


def test_many_threads_lose_nothing(kept: Kept) -> None:
    @trace
    def work(number: int) -> int:
        return number

    threads = [threading.Thread(target=lambda: [work(number) for number in range(200)]) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(kept.spans) == 1600


def test_a_forked_process_begins_anew(kept: Kept) -> None:
    with trace("parent"):
        pass
    assert flush()
    sender = connection()
    assert isinstance(sender, Sender)
    sender.begin_anew()
    with trace("child"):
        pass
    assert [one.name for one in kept.spans] == ["parent", "child"]


def test_spans_go_to_a_house_over_http_with_the_key() -> None:
    def script(received: Received) -> Scripted:
        return Scripted(status=503 if received.header("authorization") is None else 200, pieces=(b"",))

    with ScriptedUpstream(script) as house:
        connect(f"{house.url}/v1", key="tcap_x", service="shop", settings=QUICK)
        with trace("step"):
            pass
        assert flush()
        disconnect()
        (got,) = house.received
        assert (got.method, got.path) == ("POST", "/v1/traces")
        assert (got.header("content-type"), got.header("content-encoding")) == ("application/x-protobuf", "gzip")
        assert got.header("authorization") == "Bearer tcap_x"
    with pytest.raises(ValueError, match="no address"):
        connect("file:///etc/passwd")


def test_the_package_gives_what_applications_use() -> None:
    assert tokencapital.trace is trace
    assert tokencapital.connect is connect
    with pytest.raises(AttributeError):
        _ = tokencapital.nothing


def test_the_environment_says_where_the_house_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedUpstream(Scripted(pieces=(b"",))) as house:
        monkeypatch.setenv("TCAP_URL", house.url)
        monkeypatch.setenv("TCAP_KEY", "tcap_y")
        connect(settings=QUICK)
        with trace("step"):
            pass
        assert flush()
        disconnect()
        (got,) = house.received
        assert (got.path, got.header("authorization")) == ("/v1/traces", "Bearer tcap_y")
