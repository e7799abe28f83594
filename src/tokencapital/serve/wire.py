"""OpenAI's chat format, as far as a capability speaks it: requests in, answers out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Trajectory
from tokencapital.core.case import Json, Message, Value
from tokencapital.core.errors import InputError
from tokencapital.core.knowledge import Citation


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


def read_chat(body: bytes) -> ChatRequest:
    """The request in the body. Raises InputError where it is not one."""
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except msgspec.MsgspecError as error:
        raise InputError(f"the body is no chat completion request: {error}") from error
    if not request.messages:
        raise InputError("`messages` is empty", remedy="Send at least one message.")
    return request


def read_messages(sent: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages as text. Raises InputError for parts that are not text, which a capability cannot read."""
    return tuple(Message(role=one.role, content=_text(one.content), name=one.name) for one in sent)


def chat_body(request: ChatRequest, done: Trajectory, citations: Sequence[Citation] = ()) -> dict[str, Any]:
    """The answer as a whole chat completion; what it cites stands beside it, where it cites something."""
    message = {"role": "assistant", "content": write_value(done.answer.value)}
    return {
        "id": done.id,
        "object": "chat.completion",
        "created": int(done.at.timestamp()),
        "model": request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(done),
        **_cited(citations),
    }


def chat_stream(request: ChatRequest, done: Trajectory, citations: Sequence[Citation] = ()) -> Iterator[bytes]:
    """The answer as server-sent events, ending with `[DONE]`; the event that finishes it has what it cites."""
    yield _event(request, done, {"role": "assistant", "content": ""}, None)
    yield _event(request, done, {"content": write_value(done.answer.value)}, None)
    finish = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield _sse({**_chunk(request, done), "choices": [finish], **_cited(citations)})
    if request.stream_options is not None and request.stream_options.include_usage:
        yield _sse({**_chunk(request, done), "choices": [], "usage": _usage(done)})
    yield b"data: [DONE]\n\n"


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


def write_value(value: Value) -> str:
    """An answer as the content of a message: a label or text as it is, an object as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def error_body(message: str, kind: str) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _text(content: Json) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
        raise InputError("a message has parts that are not text", remedy="A capability reads text only.")
    return "\n".join(str(text) for text in texts)


def _cited(citations: Sequence[Citation]) -> dict[str, Any]:
    return {"citations": [msgspec.to_builtins(one) for one in citations]} if citations else {}


def _usage(done: Trajectory) -> dict[str, Any] | None:
    """Tokens as OpenAI counts them; None where a provider did not say."""
    if done.usage.input is None or done.usage.output is None:
        return None
    read = done.usage.input + done.usage.cache_read + done.usage.cache_write
    written = done.usage.output
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _chunk(request: ChatRequest, done: Trajectory) -> dict[str, Any]:
    return {
        "id": done.id,
        "object": "chat.completion.chunk",
        "created": int(done.at.timestamp()),
        "model": request.model,
    }


def _event(request: ChatRequest, done: Trajectory, delta: dict[str, Any], finish: str | None) -> bytes:
    return _sse({**_chunk(request, done), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _sse(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
