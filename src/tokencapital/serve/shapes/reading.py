"""What a call says, whatever its wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.serve.shapes import chat, embeddings, messages, responses
from tokencapital.serve.shapes.bodies import Stream, is_stream, read_json, read_object, read_stream, unpacked
from tokencapital.serve.shapes.pieces import Came, Said, error_code

_LOST = {
    Ending.UNREACHABLE: "no provider could be reached",
    Ending.BROKEN: "the answer broke off",
    Ending.DISCONNECTED: "the caller hung up",
}


class _Shape(Struct, frozen=True):
    """How one wire is read: its requests, its whole answers, its streams. `stream` None: it never streams."""

    request: Callable[[Mapping[str, Any]], Said]
    answer: Callable[[Mapping[str, Any]], Came]
    stream: Callable[[Stream], Came] | None = None


_SHAPES = {
    Wire.CHAT: _Shape(chat.read_request, chat.read_answer, chat.read_chunks),
    Wire.RESPONSES: _Shape(responses.read_request, responses.read_answer, responses.read_events),
    Wire.MESSAGES: _Shape(messages.read_request, messages.read_answer, messages.read_events),
    Wire.EMBEDDINGS: _Shape(embeddings.read_request, embeddings.read_answer),
    Wire.COUNT_TOKENS: _Shape(messages.read_request, messages.read_count),
}


def read_call(call: Call) -> Reading:
    """What the call says, as far as its bodies can be read; never raises. Kept already: the reading that is kept."""
    if call.reading is not None:
        return call.reading
    said, came = read_said(call.wire, call.request or b""), read_came(call.wire, call.response or b"", call.status)
    failure = came.failure or _LOST.get(call.ending)
    return Reading(
        messages=said.messages,
        answer=came.choices[0] if came.choices else (),
        others=came.choices[1:],
        usage=came.usage,
        model=came.model or said.model,
        response=came.response,
        previous=said.previous,
        finish=came.finish,
        tools=said.tools,
        parameters=said.parameters,
        failure=failure,
    )


def read_said(wire: Wire, body: bytes) -> Said:
    """What a request says; nothing where it cannot be read."""
    found = read_object(unpacked(body))
    return Said() if found is None else _SHAPES[wire].request(found)


def read_came(wire: Wire, body: bytes, status: int) -> Came:
    """What an answer says, whole or streamed; its failure says why nothing usable came."""
    plain = unpacked(body)
    if status == 0 and not plain:
        return Came()
    came = _came(_SHAPES[wire], plain)
    if status < 400:
        return came
    return msgspec.structs.replace(came, choices=(), failure=f"HTTP {status}: {_refused(plain)}")


def _came(shape: _Shape, body: bytes) -> Came:
    if not is_stream(body):
        found = read_object(body)
        return Came(failure="the answer is no whole JSON object") if found is None else shape.answer(found)
    if shape.stream is None:
        return Came(failure="a stream where none was asked for")
    stream = read_stream(body)
    came = shape.stream(stream)
    if came.failure is None and stream.garbled:
        return msgspec.structs.replace(came, failure=f"{stream.garbled} events of the stream are no JSON")
    return came


def _refused(body: bytes) -> str:
    """An error by its code, without anybody's words. Gemini sends a list of one."""
    found = read_json(body)
    if isinstance(found, list) and found:
        found = found[0]
    return (error_code(found) if isinstance(found, dict) else None) or "an error"
