"""What spans say, in OpenTelemetry's current and earlier names, in OpenInference's, and as LiteLLM writes them."""

from __future__ import annotations

import json
import random
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.core.quantity import Usage
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import PriceBook
from tokencapital.record.spans_deeds import Trace, read_trace, steps_in
from tokencapital.record.spans_told import Deed
from tokencapital.testing.spans import ScriptedSpan, batch_of, trace_name

ASKED = (Message("system", "Be brief."), Message("user", "What is it?"))
SAID = (Message("assistant", "A cat."),)
CALLED = (Message("assistant", tool_calls=(ToolCall("c1", "find", '{"id":7}'),)),)


def read(*spans: ScriptedSpan, resource: dict[str, Json] | None = None) -> Trace:
    return read_trace(trace_name(1), [(None, batch_of(spans, resource))])


def deed(attributes: dict[str, Json], **more: Any) -> Deed:
    (found,) = read(ScriptedSpan(attributes=attributes, **more)).deeds
    return found


def parts(message: Message) -> dict[str, Json]:
    return {"role": message.role, "parts": [{"type": "text", "content": message.content}]}


CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026",
    "gen_ai.response.id": "r1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 30,
    "gen_ai.usage.cache_creation.input_tokens": 10,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.response.time_to_first_chunk": 0.25,
}


def test_the_current_names_tell_all_of_a_call() -> None:
    said = deed(
        {
            **CURRENT,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.input.messages": json.dumps([parts(ASKED[1])]),
            "gen_ai.output.messages": json.dumps([parts(SAID[0])]),
        }
    )
    assert (said.kind, said.provider, said.model, said.response) == (StepKind.CALL, "openai", "gpt-x-2026", "r1")
    assert (said.finish, said.first_s, said.failure) == ("stop", 0.25, None)
    assert said.usage == Usage(input=60, output=20, cache_read=30, cache_write=10, reasoning=5)
    assert (said.asked, said.said) == (ASKED, SAID)


def test_messages_may_be_values_instead_of_json() -> None:
    told = {**CURRENT, "gen_ai.input.messages": [parts(ASKED[1])], "gen_ai.output.messages": [parts(SAID[0])]}
    assert (deed(told).asked, deed(told).said) == (ASKED[1:], SAID)


def test_calls_of_tools_and_their_answers_are_parts() -> None:
    asked = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"id": 7}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "found"}]},
        {"role": "user", "parts": [{"type": "uri", "uri": "https://example.org/a.png"}]},
    ]
    said = deed({**CURRENT, "gen_ai.input.messages": json.dumps(asked)})
    picture = Message("user", parts=({"type": "uri", "uri": "https://example.org/a.png"},))
    assert said.asked == (*CALLED, Message("tool", "found", tool_call_id="c1"), picture)


EARLIER = {
    "gen_ai.system": "openai",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.usage.prompt_tokens": 40,
    "gen_ai.usage.completion_tokens": 2,
}


def test_the_earlier_names_stood_in_indexed_attributes() -> None:
    said = deed(
        {
            **EARLIER,
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "What is it?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "find",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"id":7}',
        }
    )
    assert (said.asked, said.said) == (ASKED, CALLED)
    assert (said.provider, said.model, said.usage) == ("openai", "gpt-x", Usage(40, 2))


def test_more_than_ten_indexed_messages_stand_in_their_order() -> None:
    told = {f"gen_ai.prompt.{n}.content": str(n) for n in (11, 2, 10, 0, 1)}
    assert [one.content for one in deed({**EARLIER, **told}).asked or ()] == ["0", "1", "2", "10", "11"]


def test_the_earlier_names_stood_in_events_too() -> None:
    events: tuple[tuple[str, dict[str, Json]], ...] = (
        ("gen_ai.system.message", {"content": "Be brief."}),
        ("gen_ai.user.message", {"content": "What is it?"}),
        ("gen_ai.choice", {"index": 0, "message": json.dumps({"role": "assistant", "content": "A cat."})}),
    )
    said = deed(EARLIER, events=events)
    assert (said.asked, said.said) == (ASKED, SAID)


def test_without_messages_a_call_is_still_a_call() -> None:
    said = deed(EARLIER)
    assert (said.asked, said.said, said.usage) == (None, None, Usage(40, 2))


def test_tokens_that_nobody_told_are_unknown() -> None:
    assert deed({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}).usage == Usage(None, None)


def test_an_agent_a_tool_and_a_retrieval() -> None:
    agent = deed({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"})
    assert (agent.kind, agent.name) == (StepKind.AGENT, "desk")
    tool = deed(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.call.id": "c1",
            "gen_ai.tool.call.arguments": {"id": 7},
            "gen_ai.tool.call.result": "found",
        }
    )
    assert (tool.kind, tool.name, tool.asked) == (StepKind.TOOL, "find", CALLED)
    assert tool.said == (Message("tool", "found", name="find", tool_call_id="c1"),)
    retrieval = deed({"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "cats"})
    assert (retrieval.kind, retrieval.asked) == (StepKind.RETRIEVAL, (Message("user", "cats"),))


OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-x",
    "llm.provider": "openai",
    "llm.token_count.prompt": 50,
    "llm.token_count.completion": 7,
    "llm.token_count.prompt_details.cache_read": 20,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "What is it?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "find",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"id":7}',
    "output.value": json.dumps({"id": "r1", "object": "chat.completion", "choices": []}),
}


def test_openinference_tells_all_of_a_call() -> None:
    said = deed(OPENINFERENCE)
    assert (said.kind, said.provider, said.model, said.response) == (StepKind.CALL, "openai", "gpt-x", "r1")
    assert (said.asked, said.said) == (ASKED, CALLED)
    assert said.usage == Usage(30, 7, cache_read=20)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("CHAIN", StepKind.AGENT),
        ("AGENT", StepKind.AGENT),
        ("RETRIEVER", StepKind.RETRIEVAL),
        ("RERANKER", StepKind.RETRIEVAL),
        ("EMBEDDING", StepKind.CALL),
        ("GUARDRAIL", StepKind.OTHER),
    ],
)
def test_openinference_kinds(kind: str, expected: StepKind) -> None:
    said = deed({"openinference.span.kind": kind, "input.value": "in", "output.value": "out"})
    assert (said.kind, said.asked) == (expected, (Message("user", "in"),))


def test_openinference_documents_and_tools() -> None:
    found = deed({"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "a cat"})
    assert found.said == (Message("tool", '[{"document":{"content":"a cat"}}]'),)
    tool = deed(
        {"openinference.span.kind": "TOOL", "tool.name": "find", "input.value": '{"id":7}', "output.value": "x"}
    )
    assert tool.asked is not None
    assert tool.asked[0].tool_calls[0].arguments == '{"id":7}'


def test_litellm_tells_one_call_in_three_spans() -> None:
    call = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.id": "chatcmpl-1",
        "llm.request.type": "acompletion",
        "llm.is_streaming": "False",
        "gen_ai.usage.total_tokens": 42,
        "gen_ai.usage.input_tokens": 40,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.operation.name": "chat",
        "gen_ai.cost.total_cost": 0.001,
        "gen_ai.input.messages": json.dumps([parts(one) for one in ASKED]),
        "gen_ai.output.messages": json.dumps([{**parts(SAID[0]), "finish_reason": "stop"}]),
        "gen_ai.response.finish_reasons": '["stop"]',
        "metadata.user_api_key_alias": "app",
    }
    trace = read(
        ScriptedSpan(span=1, name="Received Proxy Server Request", attributes={"http.route": "/chat/completions"}),
        ScriptedSpan(span=2, parent=1, name="litellm_request", attributes=call),
        ScriptedSpan(span=3, parent=2, name="raw_gen_ai_request", attributes={"llm.openai.messages": "[...]"}),
        ScriptedSpan(span=4, parent=1, name="auth", attributes={"call_type": "auth"}),
    )
    (said,) = trace.deeds
    assert (said.span.id, said.kind, said.finish) == (f"{2:016x}", StepKind.CALL, "stop")
    assert (said.asked, said.said, said.usage) == (ASKED, SAID, Usage(40, 2))


def test_what_is_no_work_of_ai_is_no_deed() -> None:
    assert not read(ScriptedSpan(attributes={"http.request.method": "GET", "input": "x"})).deeds


EXCEPTION = (("exception", {"exception.type": "openai.RateLimitError", "exception.message": "Ann owes 3"}),)


def test_an_error_is_told_by_its_kind_and_in_nobodys_words() -> None:
    assert deed(EARLIER, events=EXCEPTION, failed=True).failure == "openai.RateLimitError"
    assert deed({**EARLIER, "error.type": "timeout"}).failure == "timeout"
    assert deed({**EARLIER, "error.type": "<class 'openai.APIError'>"}).failure == "openai.APIError"
    assert deed(EARLIER, failed=True).failure == "error"
    assert deed({**EARLIER, "error.type": "Ann owes 3"}).failure == "error"
    assert deed(EARLIER, events=EXCEPTION, failed=False).failure is None
    assert deed(EARLIER).failure is None


def test_strange_values_break_nothing() -> None:
    strange: dict[str, Json] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": 7,
        "gen_ai.usage.input_tokens": "many",
        "gen_ai.usage.output_tokens": -4,
        "gen_ai.input.messages": '[{"role": 3, "content": {"a": [1]}}, 5, "bare", {"parts": "no"}]',
        "gen_ai.output.messages": "{" * 3000,
        "gen_ai.response.finish_reasons": [],
        "gen_ai.prompt.x.content": "no number",
        "nul": "a\0b",
    }
    said = deed(strange)
    assert (said.model, said.usage) == (None, Usage(None, None))
    assert [one.content for one in said.asked or ()] == ['{"a":[1]}', "bare", "no"]
    assert said.span.attributes["nul"] == "a\ufffdb"
    broken = {**OPENINFERENCE, "llm.input_messages": "no list", "llm.output_messages.0": "x"}
    assert deed(broken).kind is StepKind.CALL


def test_a_span_far_beyond_any_calendar_has_a_time() -> None:
    (span,) = read(ScriptedSpan(lasts_s=-5.0, attributes=EARLIER)).spans
    assert span.elapsed_s == 0.0


NAMES = (
    "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt",
    "gen_ai.system_instructions", "gen_ai.prompt.0.role", "gen_ai.prompt.0.tool_calls.0.name", "gen_ai.tool.name",
    "gen_ai.usage.input_tokens", "gen_ai.response.finish_reasons", "openinference.span.kind", "llm.input_messages",
    "llm.input_messages.0.message.contents.0.message_content.text", "llm.input_messages.0", "llm.prompts",
    "llm.input_messages.0.message.tool_calls", "input.value", "output.value", "retrieval.documents", "tcap.kind",
    "tcap.input", "tcap.step", "tcap.messages", "error.type",
)  # fmt: skip
FIELDS = ("role", "content", "parts", "type", "text", "id", "name", "arguments", "message", "messages", "tool_calls")
KINDS = ("chat", "execute_tool", "invoke_agent", "LLM", "TOOL", "RETRIEVER", "tool", "tool_call", "text", "user")


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_no_attribute_breaks_the_reading_of_a_trace(random_: random.Random) -> None:
    def value(depth: int = 0) -> Json:
        """Anything, most often something that looks as if it were meant."""
        chosen = random_.choice([*KINDS, 0, -1, 2**62, 0.5, True, "", "[", "null", list, dict, json])
        if chosen is json:
            return json.dumps(value(depth + 1)) if depth < 2 else "{}"
        if chosen is list:
            return [value(depth + 1) for _ in range(random_.randint(0, 3))] if depth < 3 else []
        if chosen is dict:
            return {random_.choice(FIELDS): value(depth + 1) for _ in range(random_.randint(0, 4))} if depth < 3 else {}
        return chosen

    spans = [
        ScriptedSpan(span=number, attributes={random_.choice(NAMES): value() for _ in range(random_.randint(0, 9))})
        for number in range(1, 6)
    ]
    assert len(read(*spans).spans) == 5


@pytest.mark.parametrize("kind", ["chat", ""])
def test_a_trace_of_any_depth_is_read_in_the_time_of_a_flat_one(kind: str) -> None:
    count, told = 6_000, {"gen_ai.operation.name": kind} if kind else {}
    deep = [ScriptedSpan(span=one, parent=one - 1, attributes=told) for one in range(1, count)]
    leaves = [
        ScriptedSpan(span=count + one, parent=count - 1, attributes={"gen_ai.operation.name": "chat"})
        for one in range(count)
    ]
    trace = read(*deep, *leaves)
    began = process_time()
    steps = steps_in(trace, Meter(PriceBook(), LocalEstimate(watts=10.0, pue=1.0)), {})
    assert process_time() - began < 3.0
    assert steps[-1].parent == (f"stp_{trace.id}{count - 1:016x}" if kind else None)
