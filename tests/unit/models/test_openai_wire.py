"""Reading and writing OpenAI's chat API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Message
from tokencapital.core.errors import ModelGarbage, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.base import ModelRequest
from tokencapital.models.openai_wire import (
    answer_text,
    chat_body,
    delta_of,
    read_events,
    refused_parameters,
    usage_of,
)

LABELS = ModelRequest(messages=(Message("user", "hi"),), max_tokens=8, labels=("red", "dark blue"))
SCHEMA = ModelRequest(messages=(Message("user", "hi"),), max_tokens=8, schema={"type": "object"})


def events(*chunks: bytes) -> list[str]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[str]:
        return [event async for event in read_events(source())]

    return asyncio.run(collect())


@given(
    data=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_events_survive_any_cut_of_the_bytes(data: list[str], end: str, cuts: list[int]) -> None:
    stream = "".join(f": note{end}event: x{end}data: {text}{end}{end}" for text in data).encode()
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:stop] for start, stop in pairwise(places)]
    assert events(*chunks) == data


def test_an_event_without_its_blank_line_is_still_given() -> None:
    assert events(b"data: a\ndata: b\n\nda", b"ta:c") == ["a\nb", "c"]


def test_cached_and_reasoning_tokens_are_counted_apart() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert usage_of(told) == Usage(input=36, output=30, cache_read=64, reasoning=20)


def test_tokens_that_nobody_told_are_unknown() -> None:
    assert usage_of(None) == Usage(input=None, output=None)
    assert usage_of({"prompt_tokens": 3, "prompt_tokens_details": None}) == Usage(input=3, output=None)


@pytest.mark.parametrize(
    "said", ['{"label": "dark blue"}', ' "dark blue".', "dark blue", '```json\n{"label": "dark blue"}\n```']
)
def test_a_label_is_found_in_what_models_write(said: str) -> None:
    assert answer_text(said, LABELS, "here") == "dark blue"


@pytest.mark.parametrize("said", ["blue", "", '{"label": "green"}', "It is dark blue, I think", '{"label": 3}'])
def test_anything_but_a_label_is_garbage(said: str) -> None:
    with pytest.raises(ModelGarbage, match="none of the labels"):
        answer_text(said, LABELS, "here")


def test_an_object_is_taken_out_of_its_fence_and_nothing_else_is() -> None:
    assert answer_text('Sure:\n```json\n{"a": "ü"}\n```', SCHEMA, "here") == '{"a": "ü"}'
    for said in ("{broken}", "[1]", "none"):
        with pytest.raises(ModelGarbage, match="not a JSON object"):
            answer_text(said, SCHEMA, "here")


def test_refused_parameters_are_those_named_else_every_extra() -> None:
    body = chat_body(LABELS, "m", stream=False, without=frozenset())
    assert refused_parameters(body, "Unsupported parameter: 'max_tokens'") == {"max_tokens"}
    assert refused_parameters(body, "bad request") == {"response_format", "logprobs", "seed"}
    bare = chat_body(LABELS, "m", stream=False, without=frozenset({"response_format", "logprobs", "seed"}))
    assert refused_parameters(bare, "bad request") == frozenset()


def test_what_is_left_out_is_said_in_words_or_by_its_other_name() -> None:
    body = chat_body(LABELS, "m", stream=False, without=frozenset({"response_format", "max_tokens"}))
    assert "response_format" not in body
    assert body["messages"][0] == {
        "role": "system",
        "content": "Answer with one of these, exactly as written, and nothing else: red, dark blue",
    }
    assert body["max_completion_tokens"] == 8


def test_an_error_within_a_stream_is_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="overloaded"):
        delta_of({"error": {"message": "overloaded"}}, "here")
