"""What a span says of a call, a tool or an agent, whatever names it says it in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.call import Ending, StepKind
from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.core.quantity import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)
_NANO = 1_000_000_000
_FAILED = {1: False, 2: True}
"""By the code of a span's status; 0: it was not set."""
_TYPE_NAME = re.compile(r"(?:<class ')?([A-Za-z_][\w.]{0,119})(?:'>)?")

Attributes = Mapping[str, Json]
"""The attributes of a span by name, as plain values."""


class Event(Struct, frozen=True):
    """Something that a span says happened during it."""

    name: str
    attributes: Attributes


class Span(Struct, frozen=True, kw_only=True):
    """A span as it was told, with the attributes of its resource. `parent` None: it is the root of its trace.

    `failed`: whether it ended with an error, as it says itself; None: it does not say.
    """

    trace: str
    id: str
    parent: str | None
    name: str
    at: datetime
    elapsed_s: float
    attributes: Attributes
    resource: Attributes
    scope: str
    events: tuple[Event, ...] = ()
    failed: bool | None = None
    application: str | None = None

    @property
    def failure(self) -> str | None:
        """The kind of error with which the span ended; None: it ended well.

        What the error says may be somebody's words and stays in the span.
        """
        if self.failed is False:
            return None
        for event in reversed(self.events):
            if event.name == "exception":
                return _kind(event.attributes.get("exception.type"))
        told = self.attributes.get("error.type") or self.attributes.get("exception.type")
        return _kind(told) if told or self.failed else None


class Deed(Struct, frozen=True, kw_only=True):
    """What was done in a span: what will be a step.

    `asked` is all that the model, tool or agent was given, `said` what came back; None: the span does not say.
    `failure` names the kind of error, in nobody's words.
    """

    span: Span
    kind: StepKind
    name: str
    provider: str | None = None
    model: str | None = None
    response: str | None = None
    asked: tuple[Message, ...] | None = None
    said: tuple[Message, ...] | None = None
    usage: Usage = Usage(None, None)
    first_s: float | None = None
    finish: str | None = None
    failure: str | None = None
    details: Mapping[str, Json] = {}

    @property
    def ending(self) -> Ending:
        """How it ended."""
        return Ending.REFUSED if self.failure else Ending.DONE


def tool_deed(span: Span, name: str, call: str | None, given: Json, result: Json) -> Deed:
    """A tool that was called under the id `call` (None: the span's own) with what it was given, and what it gave; None:
    the span does not say."""
    call = call or span.id
    asked = (Message("assistant", tool_calls=(ToolCall(call, name, text_of(given) or "{}"),)),)
    said = (Message("tool", text_of(result) or "", name=name, tool_call_id=call),)
    return Deed(
        span=span,
        kind=StepKind.TOOL,
        name=name,
        asked=None if given is None else asked,
        said=None if result is None else said,
        usage=Usage(),
        failure=span.failure,
    )


def span_of(resource: Attributes, scope: str, told: Any, application: str | None) -> Span:
    """The span in a message of OpenTelemetry's protocol."""
    return Span(
        trace=told.trace_id.hex(),
        id=told.span_id.hex(),
        parent=told.parent_span_id.hex() if any(told.parent_span_id) else None,
        name=_storable(told.name),
        at=moment(told.start_time_unix_nano),
        elapsed_s=max(0, told.end_time_unix_nano - told.start_time_unix_nano) / _NANO,
        attributes=attributes_of(told.attributes),
        resource=resource,
        scope=scope,
        events=tuple(Event(one.name, attributes_of(one.attributes)) for one in told.events),
        failed=_FAILED.get(told.status.code),
        application=application,
    )


def moment(nanoseconds: int) -> datetime:
    """The moment so many nanoseconds after 1970 began, to the microsecond; far beyond any calendar, its last year."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return _LAST


def nanoseconds(at: datetime) -> int:
    """How many nanoseconds after 1970 began the moment is."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def attributes_of(told: Iterable[Any]) -> dict[str, Json]:
    """Attributes by name; of a name that is there twice the last counts."""
    return {_storable(one.key): value_of(one.value) for one in told}


def value_of(value: Any) -> Json:
    """A value of OpenTelemetry's protocol as a plain one."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value_of(one) for one in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case "string_value":
            return _storable(value.string_value)
        case kind:
            return getattr(value, kind)


def text_of(value: Json) -> str | None:
    """A text, or what is not one as JSON; None for None."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def text_at(told: Attributes, *names: str) -> str | None:
    """The first text under one of the names; None where there is none, or an empty one."""
    values = (told.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def read_json(value: Json) -> Json:
    """What a text says if it is JSON; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return value
    return value


def whole(value: Json) -> int | None:
    """A count; None where it is none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < 1 << 62 else None


def usage_of(total: Json, output: Json, **parts: Json) -> Usage:
    """Tokens as told: `total` counts all input, cached or not, as the conventions say; None: not told."""
    read, write = whole(parts.get("read")) or 0, whole(parts.get("write")) or 0
    given = whole(total)
    uncached = None if given is None else max(0, given - read - write)
    return Usage(uncached, whole(output), read, write, whole(parts.get("reasoning")) or 0)


def messages_of(told: Json) -> tuple[Message, ...] | None:
    """Messages in any of the shapes in use: OpenAI's, or with OpenTelemetry's `parts`; None: there are none."""
    told = read_json(told)
    if isinstance(told, Mapping):
        told = told.get("messages") or [told]
    if not isinstance(told, Sequence) or isinstance(told, str):
        return None
    found: list[Message] = []
    for one in told:
        if isinstance(one, Mapping):
            found += _messages_of(one)
        elif isinstance(one, str):
            found.append(Message("user", one))
    return tuple(found) or None


def calls_of(told: Json) -> tuple[ToolCall, ...]:
    """The calls of tools in OpenAI's shape."""
    found = []
    for one in told if isinstance(told, Sequence) and not isinstance(told, str) else ():
        if isinstance(one, Mapping):
            function = one.get("function")
            inner = function if isinstance(function, Mapping) else one
            found.append(_call(one.get("id"), inner.get("name"), inner.get("arguments")))
    return tuple(found)


def _messages_of(told: Mapping[str, Json]) -> list[Message]:
    role = str(told.get("role") or "user")
    parts = told.get("parts")
    content = told.get("content") if parts is None else parts
    text, calls, others, answers = _content(content)
    message = Message(
        role=role,
        content=text,
        name=text_at(told, "name"),
        tool_calls=calls_of(told.get("tool_calls")) + calls,
        tool_call_id=text_at(told, "tool_call_id"),
        parts=others,
    )
    said = message.content or message.tool_calls or message.parts or not answers
    return [*([message] if said else []), *answers]


def _content(content: Json) -> tuple[str, tuple[ToolCall, ...], tuple[Json, ...], list[Message]]:
    """The text in a message's content, the calls, whatever else is in it, and the answers of tools."""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return text_of(content) or "", (), (), []
    texts: list[str] = []
    calls: list[ToolCall] = []
    others: list[Json] = []
    answers: list[Message] = []
    for part in content:
        kind = text_at(part, "type") if isinstance(part, Mapping) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind in {"text", "input_text", "output_text"}:
            texts.append(text_of(part.get("content", part.get("text"))) or "")
        elif kind in {"tool_call", "tool_use", "function_call"}:
            given = part.get("arguments", part.get("input"))
            calls.append(_call(part.get("id") or part.get("call_id"), part.get("name"), given))
        elif kind in {"tool_call_response", "tool_result"}:
            said = part.get("response", part.get("result", part.get("content")))
            name = text_at(part, "id", "tool_use_id")
            answers.append(Message("tool", text_of(said) or "", tool_call_id=name))
        else:
            others.append(part)
    return "\n".join(texts), tuple(calls), tuple(others), answers


def _call(name: Json, function: Json, arguments: Json) -> ToolCall:
    return ToolCall(text_of(name) or "", text_of(function) or "", text_of(arguments) or "{}")


def _storable(text: str) -> str:
    """The text without the one character that PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _kind(told: Json) -> str:
    """The name of a kind of error; what does not look like one may be words, and is not repeated."""
    found = _TYPE_NAME.fullmatch(told) if isinstance(told, str) else None
    return found[1] if found else "error"
