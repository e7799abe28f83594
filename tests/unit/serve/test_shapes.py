"""What calls say is read in every wire, whole or streamed, wherever it is cut and however it is broken."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.core.case import Message, ToolCall
from tokencapital.core.quantity import Usage
from tokencapital.serve.shapes import read_call, usage_of
from tokencapital.serve.shapes.tokens import usage_in
from tokencapital.testing.shapes import CHAT_ONLY, SPOKEN, Shape, Spoken, event_stream, recorded_shapes, whole_body

WIRES = (Wire.CHAT, Wire.RESPONSES, Wire.MESSAGES)
SHAPES = recorded_shapes()


def read(wire: Wire, response: bytes, request: Any = None, status: int = 200, ending: Ending = Ending.DONE) -> Reading:
    asked = request if isinstance(request, bytes) else json.dumps(request or {"model": "m"}).encode()
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return read_call(
        Call(
            id="trj_1", at=at, wire=wire, asked="m", provider="up", status=status, ending=ending,
            request=asked, response=response,
        )
    )  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("said", [*SPOKEN, *CHAT_ONLY], ids=lambda said: said.name)
def test_a_stream_says_what_the_whole_answer_says(wire: Wire, said: Spoken) -> None:
    whole, streamed = read(wire, whole_body(wire, said)), read(wire, event_stream(wire, said))
    assert streamed.failure is None
    assert streamed.usage == whole.usage
    assert (streamed.finish, streamed.model, streamed.response) == (whole.finish, whole.model, whole.response)
    assert len(streamed.others) == (said.choices - 1 if wire is Wire.CHAT else 0)
    if said.name == "empty" and wire is not Wire.CHAT:
        return
    assert (streamed.answer, streamed.others) == (whole.answer, whole.others)
    (answer,) = whole.answer
    assert answer.content == (said.text or ((said.refusal or "") if wire is Wire.MESSAGES else ""))
    assert [json.loads(one.arguments) for one in answer.tool_calls] == [json.loads(one[2]) for one in said.calls]
    assert [(one.id, one.name) for one in answer.tool_calls] == [one[:2] for one in said.calls]
    thoughts = [part["text"] for part in answer.parts if part["type"] == "reasoning"]
    assert thoughts == ([said.thought] if said.thought else [])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("said", [*SPOKEN, *CHAT_ONLY], ids=lambda said: said.name)
def test_usage_is_mapped_exactly_and_told_without_reading_the_rest(wire: Wire, said: Spoken) -> None:
    thought = 0 if wire is Wire.MESSAGES else said.thought_tokens
    known = Usage(said.prompt_tokens - said.cached_tokens, said.output_tokens, said.cached_tokens, 0, thought)
    for body in (whole_body(wire, said), event_stream(wire, said)):
        assert read(wire, body).usage == known
        assert usage_of(wire, body) == known
        assert usage_of(wire, gzip.compress(body)) == known
    if wire is not Wire.MESSAGES:
        assert usage_of(wire, event_stream(wire, said)[-2500:]) == known


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_recorded_shape_is_read_and_what_went_wrong_is_said(shape: Shape) -> None:
    ending = Ending.BROKEN if shape.scripted.cut else Ending.DONE
    found = read(shape.wire, shape.scripted.body, status=shape.scripted.status, ending=ending)
    wrong = ("garbage", "-error", "-half", "nothing", "html", "list", "cut-off", "no-end", "-4", "-5")
    whole = not any(word in shape.name for word in wrong)
    if whole:
        assert found.failure is None
    elif not (shape.wire is Wire.CHAT and "no-end" in shape.name):
        assert found.failure
        assert "sunny" not in found.failure
    usage_of(shape.wire, shape.scripted.body)


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_breaks_off_says_what_had_come(wire: Wire) -> None:
    events = event_stream(wire, SPOKEN[0])
    found = read(wire, events[: events.index(b"ny in Rom")])
    assert found.failure == "the stream broke off"
    assert [one.content for one in found.answer] == ["It is sun"]


def test_requests_are_read_alike_in_all_wires() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    chat = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        ],
        "tools": [tool],
        "temperature": 0,
    }
    responses = {
        "model": "m",
        "instructions": "Be kind.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "sun"},
        ],
        "previous_response_id": "resp_0",
    }
    messages = {
        "model": "m",
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sun"}]},
        ],
    }
    wanted = (
        Message("system", "Be kind."),
        Message("user", "Weather?"),
        Message("assistant", tool_calls=(ToolCall("c1", "f", '{"a":1}'),)),
        Message("tool", "sun", tool_call_id="c1"),
    )
    for wire, body in zip(WIRES, (chat, responses, messages), strict=True):
        assert read(wire, b"", body).messages == wanted
    assert read(Wire.CHAT, b"", chat).tools == (tool,)
    assert read(Wire.CHAT, b"", chat).parameters == {"temperature": 0}
    assert read(Wire.RESPONSES, b"", responses).previous == "resp_0"


def test_small_parts_are_kept_and_large_ones_become_their_digest() -> None:
    def picture(size: int) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * size}}

    body = {"model": "m", "messages": [{"role": "user", "content": [picture(40), picture(40_000)]}]}
    (message,) = read(Wire.CHAT, b"", body).messages
    assert message.parts[0] == picture(40)
    url = message.parts[1]["image_url"]["url"]
    assert url.startswith("data:image/png;sha256:") and url.endswith(";bytes=30000")


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 20}, Usage(10, 10)),
        (
            {
                "prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 44,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(10, 34, reasoning=30),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}, Usage(4, 4, 6)),
        ({"inputTokens": 5, "outputTokens": 3, "cacheReadInputTokens": 2}, Usage(5, 3, 2)),
        (
            {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 7},
            Usage(5, 3, 2, 7),
        ),
        ({"prompt_tokens": True, "completion_tokens": -1}, Usage(None, None)),
        ({}, Usage(None, None)),
        (None, Usage(None, None)),
    ],
)  # fmt: skip
def test_each_provider_counts_in_its_own_way(told: Any, known: Usage) -> None:
    assert usage_in(told) == known


def test_embeddings_and_counts_are_read() -> None:
    vectors = {
        "object": "list",
        "model": "e",
        "data": [{"embedding": [0.1]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    found = read(Wire.EMBEDDINGS, json.dumps(vectors).encode(), {"model": "e", "input": ["a", "b"]})
    assert found.messages == (Message("user", "a"), Message("user", "b"))
    assert (found.answer, found.usage, found.failure) == ((), Usage(3, 0), None)
    assert usage_of(Wire.EMBEDDINGS, json.dumps(vectors).encode()) == Usage(3, 0)
    counted = read(Wire.COUNT_TOKENS, b'{"input_tokens": 14}', {"model": "c", "messages": []})
    assert (counted.usage, counted.failure) == (Usage(0, 0), None)


@given(
    body=st.binary(max_size=300), place=st.integers(0, 2000), wire=st.sampled_from(list(Wire)), streamed=st.booleans()
)
@settings(max_examples=200)
def test_nothing_that_comes_over_the_wire_raises(body: bytes, place: int, wire: Wire, streamed: bool) -> None:
    known = wire if wire in WIRES else Wire.CHAT
    right = event_stream(known, SPOKEN[5]) if streamed else whole_body(known, SPOKEN[5])
    broken = right[:place] + body + right[place + 5 :]
    for one in (body, broken, gzip.compress(broken)[:-9]):
        read(wire, one, one)
        read(wire, one, one, status=500)
        usage_of(wire, one)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"messages":[{"content":"\\ud800"}]}', b"\xff\xfe"]
)
def test_deep_and_broken_json_is_no_more_than_unread(body: bytes) -> None:
    for wire in Wire:
        read(wire, body, body)
        read(wire, b"data: " + body + b"\n\n")
