"""Spans in OpenInference's names, which Phoenix and its instrumentations use.

https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
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
    Span,
    calls_of,
    messages_of,
    read_json,
    text_at,
    text_of,
    tool_deed,
    usage_of,
)

_KINDS = {
    "LLM": StepKind.CALL,
    "EMBEDDING": StepKind.CALL,
    "TOOL": StepKind.TOOL,
    "RETRIEVER": StepKind.RETRIEVAL,
    "RERANKER": StepKind.RETRIEVAL,
    "AGENT": StepKind.AGENT,
    "CHAIN": StepKind.AGENT,
}
_KIND = "openinference.span.kind"
_INDEX = re.compile(r"\d+")


def read_openinference(span: Span) -> Deed | None:
    """What was done in the span; None where it is not told in these names."""
    told = span.attributes
    if _KIND not in told:
        return None
    named = str(told[_KIND]).upper()
    kind = _KINDS.get(named, StepKind.OTHER)
    if kind is StepKind.TOOL:
        return _tool(span)
    common: dict[str, Any] = {"span": span, "kind": kind, "failure": span.failure}
    if kind is not StepKind.CALL:
        name = text_at(told, "agent.name") or span.name
        documents = _tree(told, "retrieval.documents") or _tree(told, "reranker.output_documents")
        said = (Message("tool", text_of(documents) or ""),) if documents else _plain(told, "output.value", "assistant")
        return Deed(name=name, asked=_plain(told, "input.value", "user"), said=said, usage=Usage(), **common)
    asked, said = _messages(told)
    return Deed(
        name="embeddings" if named == "EMBEDDING" else "chat",
        provider=text_at(told, "llm.provider", "llm.system"),
        model=text_at(
            told, "llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name"
        ),
        response=_response(told),
        asked=asked,
        said=said,
        usage=_usage(told),
        finish=text_at(told, "llm.finish_reason"),
        **common,
    )


def _messages(told: Attributes) -> tuple[tuple[Message, ...] | None, tuple[Message, ...] | None]:
    asked = _listed(_tree(told, "llm.input_messages"))
    said = _listed(_tree(told, "llm.output_messages"))
    if asked is None:
        prompts = _tree(told, "llm.prompts")
        asked = _prompts(prompts) or messages_of_input(told) or _plain(told, "input.value", "user")
    return asked, said or _plain(told, "output.value", "assistant")


def messages_of_input(told: Attributes) -> tuple[Message, ...] | None:
    """The messages of a request that stands whole in `input.value`; None where that is none."""
    given = read_json(told.get("input.value"))
    return messages_of(given["messages"]) if isinstance(given, Mapping) and "messages" in given else None


def _listed(tree: Json) -> tuple[Message, ...] | None:
    """Messages out of a tree such as `0.message.content`."""
    told = [one.get("message", one) for one in _items(tree) if isinstance(one, Mapping)]
    return tuple(_message(one) for one in told if isinstance(one, Mapping)) or None


def _message(told: Mapping[str, Json]) -> Message:
    texts, others = [], []
    for one in _items(told.get("contents")):
        part = one.get("message_content", one) if isinstance(one, Mapping) else {"text": text_of(one)}
        if isinstance(part, Mapping) and part.get("text") is not None:
            texts.append(text_of(part["text"]) or "")
        else:
            others.append(part)
    content = text_of(told.get("content"))
    calls = [one.get("tool_call", one) for one in _items(told.get("tool_calls")) if isinstance(one, Mapping)]
    if not calls and told.get("function_call_name"):
        calls = [{"name": told["function_call_name"], "arguments": told.get("function_call_arguments_json")}]
    return Message(
        role=text_of(told.get("role")) or "user",
        content=content if content is not None else "\n".join(texts),
        name=text_at(told, "name"),
        tool_calls=calls_of(calls),
        tool_call_id=text_at(told, "tool_call_id"),
        parts=tuple(others),
    )


def _prompts(tree: Json) -> tuple[Message, ...] | None:
    found = [one.get("prompt", one) if isinstance(one, Mapping) else one for one in _items(tree)]
    texts = [text_of(one.get("text")) if isinstance(one, Mapping) else text_of(one) for one in found]
    return tuple(Message("user", text) for text in texts if text) or None


def _usage(told: Attributes) -> Usage:
    name = "llm.token_count."
    return usage_of(
        told.get(f"{name}prompt"),
        told.get(f"{name}completion"),
        read=told.get(f"{name}prompt_details.cache_read", told.get(f"{name}prompt_details.cache_input")),
        write=told.get(f"{name}prompt_details.cache_write"),
        reasoning=told.get(f"{name}completion_details.reasoning"),
    )


def _tool(span: Span) -> Deed:
    told = span.attributes
    name, call = text_at(told, "tool.name") or span.name, text_of(told.get("tool.id") or told.get("tool_call.id"))
    given, result = told.get("input.value", told.get("tool.parameters")), told.get("output.value")
    return tool_deed(span, name, call, given, result)


def _plain(told: Attributes, name: str, role: str) -> tuple[Message, ...] | None:
    value = told.get(name)
    return None if value is None else (Message(role, text_of(value) or ""),)


def _response(told: Attributes) -> str | None:
    """The id of the provider's answer, which stands in the answer itself alone."""
    given = read_json(told.get("output.value"))
    if not isinstance(given, Mapping):
        return None
    answers = "choices" in given or given.get("object") in ("response", "chat.completion")
    return text_at(given, "id") if answers else None


def _items(value: Json) -> list[Json]:
    """What is in a list; of anything else nothing."""
    return value if isinstance(value, list) else []


def _tree(told: Attributes, name: str) -> Json:
    """What attributes such as `NAME.0.message.role` say, as lists and objects; None: there are none."""
    if name in told:
        return read_json(told[name])
    root: dict[str, Any] = {}
    for path, value in told.items():
        if path.startswith(f"{name}."):
            place = root
            *steps, last = path[len(name) + 1 :].split(".")
            for step in steps:
                inner = place.setdefault(step, {})
                if not isinstance(inner, dict):
                    break
                place = inner
            else:
                place[last] = value
    return _lists(root) if root else None


def _lists(tree: Json) -> Json:
    """Objects whose names are all numbers are lists."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(_INDEX.fullmatch(name) for name in tree):
        return [_lists(tree[name]) for name in sorted(tree, key=int)]
    return {name: _lists(value) for name, value in tree.items()}
