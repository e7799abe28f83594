"""What a capability is asked in any wire, and how its answer goes out in the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Trajectory
from tokencapital.core.call import Wire
from tokencapital.core.case import Json, Message
from tokencapital.core.errors import InputError
from tokencapital.serve.shapes import written_chat, written_messages, written_responses
from tokencapital.serve.shapes.reading import read_said
from tokencapital.serve.shapes.written import Pieces, Written

_NOT_WORDS = frozenset({"reasoning", "refusal", "tool_error", "citations"})
"""Parts that an answer of a model or a tool may have and that take nothing from what can be read."""


class StreamOptions(Struct, frozen=True):
    """What a streamed answer carries besides its text."""

    include_usage: bool = False


class ChatMessage(Struct, frozen=True):
    """One message of a request; `content` is text, parts of text, or nothing."""

    role: str
    content: Json = None
    name: str | None = None


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A chat completion asked of a capability: `model` is its name.

    `context` holds structured inputs (send it as an extra field of the body); what it does not name is
    passed over.
    """

    model: str
    messages: list[ChatMessage]
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    context: dict[str, Json] = {}


class ResponsesRequest(Struct, frozen=True, kw_only=True):
    """A response asked of a capability: `model` is its name, `input` text or items; `context` as in chat."""

    model: str
    input: str | list[dict[str, Json]]
    instructions: Json = None
    stream: bool = False
    user: str | None = None
    context: dict[str, Json] = {}


class Metadata(Struct, frozen=True):
    """Of whom a message is."""

    user_id: str | None = None


class MessagesRequest(Struct, frozen=True, kw_only=True):
    """A message asked of a capability: `model` is its name; `context` as in chat."""

    model: str
    messages: list[ChatMessage]
    system: Json = None
    stream: bool = False
    metadata: Metadata | None = None
    context: dict[str, Json] = {}


class CapabilityRequest(Struct, frozen=True, kw_only=True):
    """What a capability is asked, whatever the wire. `user` is of whom the request is, where it says so."""

    wire: Wire
    model: str
    messages: tuple[Message, ...]
    streamed: bool = False
    tells_usage: bool = False
    user: str | None = None
    context: Mapping[str, Json] = {}


class _Writing(Struct, frozen=True):
    whole: Callable[[Written], dict[str, Any]]
    streamed: Callable[[Written], Pieces]


_WRITING = {
    Wire.CHAT: _Writing(written_chat.whole, written_chat.streamed),
    Wire.RESPONSES: _Writing(written_responses.whole, written_responses.streamed),
    Wire.MESSAGES: _Writing(written_messages.whole, written_messages.streamed),
}
ANSWERING = frozenset(_WRITING)
"""The wires in which a capability answers."""

_REQUESTS: Mapping[Wire, tuple[type[ChatRequest | ResponsesRequest | MessagesRequest], str]] = {
    Wire.CHAT: (ChatRequest, "chat completion"),
    Wire.RESPONSES: (ResponsesRequest, "response"),
    Wire.MESSAGES: (MessagesRequest, "message"),
}


def read_request(wire: Wire, body: bytes) -> CapabilityRequest:
    """The request in the body. Raises InputError where it is not one, or has parts that a capability cannot read."""
    kind, name = _REQUESTS[wire]
    try:
        asked = msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no {name} request: {error}") from error
    if not (asked.input if isinstance(asked, ResponsesRequest) else asked.messages):
        raise InputError("`messages` is empty", remedy="Send at least one message.")
    messages = read_said(wire, body).messages
    if not is_textual(messages):
        raise InputError("a message has parts that are not text", remedy="A capability reads text only.")
    return CapabilityRequest(
        wire=wire,
        model=asked.model,
        messages=messages,
        streamed=asked.stream,
        tells_usage=_tells_usage(asked),
        user=_user(asked),
        context=asked.context,
    )


def is_textual(messages: Sequence[Message]) -> bool:
    """Whether everything that the messages hold can be read as text."""
    return all(
        isinstance(part, dict) and part.get("type") in _NOT_WORDS for message in messages for part in message.parts
    )


def write_whole(wire: Wire, answer: Written) -> bytes:
    """The answer in one piece."""
    return msgspec.json.encode(_WRITING[wire].whole(answer))


def write_stream(wire: Wire, answer: Written) -> Pieces:
    """The answer as server-sent events."""
    return _WRITING[wire].streamed(answer)


def answer_headers(done: Trajectory) -> dict[str, str]:
    """What every answer says of itself."""
    known = done.answer.confidence
    return {
        "x-tcap-trajectory": done.id,
        "x-tcap-release": done.release or "none",
        "x-tcap-stage": done.answer.stage.value,
        "x-tcap-confidence": "unknown" if known is None else f"{known:.4f}",
        "x-tcap-memory": str(done.memory),
    }


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _tells_usage(asked: ChatRequest | ResponsesRequest | MessagesRequest) -> bool:
    if not isinstance(asked, ChatRequest):
        return True
    return asked.stream_options is not None and asked.stream_options.include_usage


def _user(asked: ChatRequest | ResponsesRequest | MessagesRequest) -> str | None:
    if isinstance(asked, MessagesRequest):
        return asked.metadata.user_id if asked.metadata else None
    return asked.user
