"""Spans in OpenTelemetry's `gen_ai.*` names, the current and the earlier ones.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ Messages stood in indexed attributes
(`gen_ai.prompt.0.content`) first, then in events (`gen_ai.user.message`), now in `gen_ai.input.messages`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import Usage
from tokencapital.record.spans_told import (
    Attributes,
    Deed,
    Event,
    Span,
    messages_of,
    read_json,
    text_at,
    text_of,
    tool_deed,
    usage_of,
)

_CALLS = frozenset(
    {"chat", "text_completion", "completion", "generate_content", "embeddings", "embedding", "responses"}
)
_AGENTS = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "plan"})
_INDEXED = re.compile(r"(gen_ai\.(?:prompt|completion))\.(\d+)\.(.+)")
_INDEXED_CALL = re.compile(r"tool_calls\.(\d+)\.(.+)")
_ROLES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}


def read_genai(span: Span) -> Deed | None:
    """What was done in the span; None where it is not told in these names."""
    told = span.attributes
    kind = _kind(told)
    if kind is None:
        return None
    if kind is StepKind.TOOL:
        return _tool(span)
    asked, said = _messages(span)
    common: dict[str, Any] = {"span": span, "kind": kind, "asked": asked, "said": said, "failure": span.failure}
    if kind is StepKind.RETRIEVAL:
        name = text_at(told, "gen_ai.data_source.id") or span.name
        return Deed(name=name, **(common | _retrieved(told)), usage=Usage())
    if kind is StepKind.AGENT:
        name = text_at(told, "gen_ai.agent.name", "gen_ai.workflow.name") or span.name
        return Deed(name=name, **common, usage=Usage())
    return Deed(
        name=_operation(told) or "chat",
        provider=text_at(told, "gen_ai.provider.name", "gen_ai.system"),
        model=text_at(told, "gen_ai.response.model", "gen_ai.request.model"),
        response=text_at(told, "gen_ai.response.id"),
        usage=_usage(told),
        first_s=_seconds(told.get("gen_ai.response.time_to_first_chunk")),
        finish=_finish(told.get("gen_ai.response.finish_reasons")),
        **common,
    )


def _kind(told: Attributes) -> StepKind | None:
    operation = _operation(told)
    if operation == "execute_tool" or "gen_ai.tool.name" in told:
        return StepKind.TOOL
    if operation in {"retrieval", "retrieve"}:
        return StepKind.RETRIEVAL
    if operation in _AGENTS:
        return StepKind.AGENT
    if operation is None or operation in _CALLS:
        asks = "gen_ai.request.model" in told or "gen_ai.response.model" in told
        return StepKind.CALL if asks or operation else None
    return StepKind.OTHER


def _operation(told: Attributes) -> str | None:
    """The operation; LiteLLM puts an `a` before those that it awaits."""
    name = (text_at(told, "gen_ai.operation.name", "traceloop.span.kind") or "").lower()
    return (name[1:] if name[1:] in _CALLS else name) or None


def _usage(told: Attributes) -> Usage:
    def first(*names: str) -> Json:
        return next((told[f"gen_ai.usage.{name}"] for name in names if f"gen_ai.usage.{name}" in told), None)

    return usage_of(
        first("input_tokens", "prompt_tokens"),
        first("output_tokens", "completion_tokens"),
        read=first("cache_read.input_tokens", "cache_read_input_tokens"),
        write=first("cache_creation.input_tokens", "cache_write.input_tokens", "cache_creation_input_tokens"),
        reasoning=first("reasoning.output_tokens", "reasoning_tokens"),
    )


def _messages(span: Span) -> tuple[tuple[Message, ...] | None, tuple[Message, ...] | None]:
    """What was asked and what was said, from wherever it stands."""
    told = span.attributes
    asked = messages_of(told.get("gen_ai.input.messages"))
    said = messages_of(told.get("gen_ai.output.messages"))
    system = _system(told.get("gen_ai.system_instructions"))
    if asked is None and said is None:
        asked, said = _of_indexed(told, "gen_ai.prompt"), _of_indexed(told, "gen_ai.completion")
    if asked is None and said is None:
        asked, said = _of_events(span.events)
    if system and not any(one.role == "system" for one in asked or ()):
        asked = (*system, *(asked or ()))
    return asked, said


def _system(told: Json) -> tuple[Message, ...]:
    """Instructions: a text, parts, or messages."""
    told = read_json(told)
    if not told:
        return ()
    if isinstance(told, list) and all(isinstance(one, Mapping) and "role" not in one for one in told):
        return messages_of([{"role": "system", "parts": told}]) or ()
    found = messages_of(told) if isinstance(told, list) else (Message("system", text_of(told) or ""),)
    return tuple(Message("system", one.content, parts=one.parts) for one in found or ())


def _of_indexed(told: Attributes, wanted: str) -> tuple[Message, ...] | None:
    """Messages from attributes such as `gen_ai.prompt.0.content`; the bare name may hold them all."""
    if wanted in told:
        role = "user" if wanted.endswith("prompt") else "assistant"
        whole = messages_of(told[wanted])
        return whole or (Message(role, text_of(told[wanted]) or ""),)
    found: dict[int, dict[str, Json]] = {}
    for name, value in told.items():
        match = _INDEXED.fullmatch(name)
        if match and match[1] == wanted:
            found.setdefault(int(match[2]), {})[match[3]] = value
    messages = [_of_fields(found[number], wanted) for number in sorted(found)]
    return tuple(messages) or None


def _of_fields(fields: Mapping[str, Json], wanted: str) -> Message:
    calls: dict[int, dict[str, Json]] = {}
    for name, value in fields.items():
        match = _INDEXED_CALL.fullmatch(name)
        if match:
            calls.setdefault(int(match[1]), {})[match[2].removeprefix("function.")] = value
    own = fields.get("function_call.name")
    if own is not None and not calls:
        calls[0] = {"name": own, "arguments": fields.get("function_call.arguments")}
    told = {
        "role": fields.get("role") or ("user" if wanted.endswith("prompt") else "assistant"),
        "content": read_json(fields.get("content")),
        "tool_call_id": fields.get("tool_call_id"),
        "tool_calls": [calls[number] for number in sorted(calls)],
    }
    return (messages_of([told]) or (Message("user"),))[0]


def _of_events(events: tuple[Event, ...]) -> tuple[tuple[Message, ...] | None, tuple[Message, ...] | None]:
    asked: list[Message] = []
    said: list[Message] = []
    for event in events:
        body = dict(event.attributes)
        whole = event.name == "gen_ai.client.inference.operation.details"
        if whole:
            asked += messages_of(body.get("gen_ai.input.messages")) or ()
            said += messages_of(body.get("gen_ai.output.messages")) or ()
        elif event.name == "gen_ai.content.prompt":
            asked += _of_indexed(body, "gen_ai.prompt") or ()
        elif event.name == "gen_ai.content.completion":
            said += _of_indexed(body, "gen_ai.completion") or ()
        elif event.name in _ROLES:
            asked += _of_event(body, _ROLES[event.name])
        elif event.name == "gen_ai.choice":
            said += _of_event(body, "assistant")
    return tuple(asked) or None, tuple(said) or None


def _of_event(body: dict[str, Json], role: str) -> list[Message]:
    inner = read_json(body.get("message", body.get("gen_ai.event.content")))
    told = inner if isinstance(inner, Mapping) else body
    calls = read_json(told.get("tool_calls"))
    named = {"role": told.get("role") or role, "tool_call_id": told.get("id") if role == "tool" else None}
    content = inner if isinstance(inner, str) else read_json(told.get("content"))
    return list(messages_of([{**named, "content": content, "tool_calls": calls}]) or ())


def _tool(span: Span) -> Deed:
    told = span.attributes
    name, call = text_at(told, "gen_ai.tool.name") or span.name, text_of(told.get("gen_ai.tool.call.id"))
    given, result = told.get("gen_ai.tool.call.arguments"), told.get("gen_ai.tool.call.result")
    return tool_deed(span, name, call, given, result)


def _retrieved(told: Attributes) -> dict[str, Any]:
    query, found = told.get("gen_ai.retrieval.query.text"), told.get("gen_ai.retrieval.documents")
    return {
        "asked": None if query is None else (Message("user", text_of(query) or ""),),
        "said": None if found is None else (Message("tool", text_of(found) or ""),),
    }


def _finish(told: Json) -> str | None:
    told = read_json(told)
    first = told[0] if isinstance(told, list) and told else told
    return first if isinstance(first, str) and first else None


def _seconds(told: Json) -> float | None:
    return float(told) if isinstance(told, int | float) else None
