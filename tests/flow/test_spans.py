"""Real instruments against a real server: the OpenTelemetry SDK around the openai client, and our own SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenTelemetry
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.app.tracing import LocalHouse, settle_spans
from tokencapital.core.answer import Trajectory
from tokencapital.core.call import UNSORTED, Step, StepKind
from tokencapital.core.case import ContractKind
from tokencapital.core.quantity import Usage
from tokencapital.meter.prices import Price
from tokencapital.serve.sdk import ModelCall, SendingSettings, connect, disconnect, flush, record_call, trace
from tokencapital.store.cases import read_case, recent_trajectories
from tokencapital.store.outcomes import outcomes_for
from tokencapital.store.steps import steps_of
from tokencapital.testing.servers import served
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream, stream

MODEL = "gpt-x-2026"
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 5,
    "total_tokens": 45,
    "prompt_tokens_details": {"cached_tokens": 10},
}
USAGES = {OpenTelemetry: Usage(40, 5), OpenInference: Usage(30, 5, cache_read=10)}
"""OpenTelemetry's instrument does not tell of cached tokens."""


def answer(received: Received) -> Scripted:
    """A call of a tool first; words once the tool has answered; an error for the model `broken`."""
    asked = json.loads(received.body)
    if asked["model"] == "broken":
        return Scripted(status=400, pieces=(b'{"error": {"message": "Ann is not allowed", "type": "x"}}',))
    said: dict[str, Any] = {"role": "assistant", "content": "In stock."}
    if asked["messages"][-1]["role"] == "user" and "tools" in asked:
        call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
    named = {"id": f"chatcmpl-{len(asked['messages'])}", "created": 1, "model": MODEL}
    if asked.get("stream"):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "In "}, {"content": "stock."}]
        chunks = [{"index": 0, "delta": one, "finish_reason": None} for one in deltas]
        chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        lines = [{**named, "object": "chat.completion.chunk", "choices": [one]} for one in chunks]
        lines.append({**named, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
        return stream(b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in lines) + b"data: [DONE]\n\n", 40)
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    whole = {**named, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return Scripted(pieces=(json.dumps(whole).encode(),))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    prices = {MODEL: Price(input=Decimal(1), output=Decimal(2))}
    declared = {"triage": CapabilitySettings(contract=ContractKind.TEXT)}
    with Platform.open(Settings(store=str(tmp_path / "store.db"), prices=prices, capabilities=declared)) as platform:
        yield platform


@pytest.fixture
def provider(house: Platform) -> Iterator[TracerProvider]:
    """The OpenTelemetry SDK as an application sets it up, with a house to tell."""
    made = TracerProvider(resource=Resource.create({"service.name": "desk", "tcap.capability": "triage"}))
    with served(build_app(house)) as address:
        exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=Compression.Gzip)
        made.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=10))
        yield made
        made.shutdown()


@pytest.fixture(params=[OpenTelemetry, OpenInference])
def instrument(
    request: pytest.FixtureRequest, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type]:
    """What tells of the openai client's calls, while the test runs."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    made = request.param()
    made.instrument(tracer_provider=provider, skip_dep_check=True)
    yield request.param
    made.uninstrument()


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    with ScriptedUpstream(answer) as upstream:
        yield openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="k", max_retries=0)


def told(house: Platform, provider: TracerProvider, capability: str = "triage") -> tuple[Trajectory, list[Step]]:
    """The newest trajectory, once all that was told is in the store."""
    assert provider.force_flush()
    assert recording_of(house).flush()
    settle_spans(house)
    (done,) = recent_trajectories(house.store, capability, 1)
    return done, steps_of(house.store, [done.id])[done.id]


def test_an_agent_with_a_tool_is_one_trajectory(
    house: Platform, provider: TracerProvider, client: openai.OpenAI, instrument: type
) -> None:
    tracer = provider.get_tracer("app")
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Cats?"}]
    with tracer.start_as_current_span("desk", attributes={"gen_ai.operation.name": "invoke_agent"}):
        first = client.chat.completions.create(model="gpt-x", messages=messages, tools=[TOOL])  # type: ignore[list-item]
        messages.append(first.choices[0].message.model_dump(exclude_none=True))
        with tracer.start_as_current_span("find", attributes={"openinference.span.kind": "TOOL", "output.value": "3"}):
            messages.append({"role": "tool", "tool_call_id": "c1", "content": "3"})
        client.chat.completions.create(model="gpt-x", messages=messages, tools=[TOOL])  # type: ignore[list-item]
    done, (agent, call, tool, last) = told(house, provider)
    assert [one.kind for one in (agent, call, tool, last)] == [
        StepKind.AGENT, StepKind.CALL, StepKind.TOOL, StepKind.CALL,
    ]  # fmt: skip
    assert {call.parent, tool.parent, last.parent} == {agent.id}
    assert (call.model, call.usage) == (MODEL, USAGES[instrument])
    assert call.cost is not None
    assert call.messages is not None
    (asked,) = call.messages[-1].tool_calls
    assert (asked.id, asked.name, json.loads(asked.arguments)) == ("c1", "find", {"id": 7})
    assert [one.content for one in call.messages[:2]] == ["Be brief.", "Cats?"]
    assert last.messages is not None
    assert [one.role for one in last.messages] == ["tool", "assistant"], "only what the call adds"
    assert done.answer.value == "In stock."
    case = read_case(house.store, done.case)
    assert case is not None
    assert [one.content for one in case.messages] == ["Cats?"]


def test_a_stream_is_told_whole(
    house: Platform, provider: TracerProvider, client: openai.OpenAI, instrument: type
) -> None:
    asked: Any = {"model": "gpt-x", "messages": [{"role": "user", "content": "Cats?"}]}
    pieces = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "In stock."
    done, (call,) = told(house, provider)
    assert (done.answer.value, call.usage) == ("In stock.", USAGES[instrument])


@pytest.mark.usefixtures("instrument")
def test_an_error_of_the_provider_is_told(house: Platform, provider: TracerProvider, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="broken", messages=[{"role": "user", "content": "Cats?"}])
    done, (call,) = told(house, provider)
    assert call.failure == "openai.BadRequestError"
    assert done.answer.value is None


def test_the_gateway_and_an_instrument_tell_of_one_call_once(
    house: Platform, provider: TracerProvider, client: openai.OpenAI
) -> None:
    for kind in (OpenTelemetry, OpenInference):
        made: Any = kind()
        made.instrument(tracer_provider=provider, skip_dep_check=True)
    client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "Cats?"}])
    for kind in (OpenTelemetry, OpenInference):
        made = kind()
        made.uninstrument()
    _, steps = told(house, provider)
    assert [one.kind for one in steps].count(StepKind.CALL) == 1, "the inner of two is the call"


def test_our_own_sdk_tells_a_house_over_http(house: Platform) -> None:
    with served(build_app(house)) as address:
        connect(address, service="desk", settings=SendingSettings(every_s=0.01))
        _work()
        disconnect()
    assert recording_of(house).flush()
    settle_spans(house)
    _check(house)


def test_our_own_sdk_tells_a_house_in_the_same_process(house: Platform) -> None:
    connect(LocalHouse(house), settings=SendingSettings(every_s=0.01))
    _work()
    assert flush()
    disconnect()
    _check(house)


def _work() -> None:
    @trace(capability="triage", key="T-1", group="cust-1")
    def triage(mail: str) -> str:
        with trace("look up", kind="tool") as step:
            step.answer({"stock": 3})
        asked = [{"role": "user", "content": mail}]
        record_call(ModelCall(model=MODEL, messages=asked, answer="three"))
        with trace("done") as step:
            step.outcome("solved", True)
        return "We have three."

    triage("Cats?")


def _check(house: Platform) -> None:
    (done,) = recent_trajectories(house.store, "triage", 5)
    assert done.answer.value == "We have three."
    case = read_case(house.store, done.case)
    assert case is not None
    assert (case.group, case.key, case.messages[0].content) == ("cust-1", "T-1", "Cats?")
    agent, tool, call, last = steps_of(house.store, [done.id])[done.id]
    assert (agent.kind, tool.kind, call.kind, last.kind) == (
        StepKind.AGENT, StepKind.TOOL, StepKind.CALL, StepKind.AGENT,
    )  # fmt: skip
    assert {tool.parent, call.parent, last.parent} == {agent.id}
    assert outcomes_for(house.store, "triage", ["T-1"])["T-1", "solved"].value is True
    assert not recent_trajectories(house.store, UNSORTED, 1)
