"""A capability's own answer as a response of OpenAI's responses API."""

from __future__ import annotations

from itertools import count
from typing import Any

from tokencapital.serve.shapes.written import Pieces, Written, cited, event


def whole(answer: Written) -> dict[str, Any]:
    """The response."""
    return {**_response(answer, "completed"), "output": [_item(answer)], "usage": _usage(answer), **cited(answer)}


def streamed(answer: Written) -> Pieces:
    """The response as server-sent events, numbered in their order."""
    part, place = _part(""), {"output_index": 0, "content_index": 0, "item_id": _item_id(answer)}
    begun = {**_item(answer), "status": "in_progress", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response(answer, "in_progress")},
        {"type": "response.in_progress", "response": _response(answer, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": answer.content, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": answer.content, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": _part(answer.content)},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(answer)},
        {"type": "response.completed", "response": whole(answer)},
    ]
    for number, body in zip(count(), events, strict=False):
        yield event({**body, "sequence_number": number})


def _response(answer: Written, status: str) -> dict[str, Any]:
    """All that a response says, without output."""
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
    }


def _item(answer: Written) -> dict[str, Any]:
    return {
        "type": "message",
        "id": _item_id(answer),
        "status": "completed",
        "role": "assistant",
        "content": [_part(answer.content)],
    }


def _item_id(answer: Written) -> str:
    return f"msg_{answer.id}"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(answer: Written) -> dict[str, Any] | None:
    """Tokens as OpenAI counts them; None where a provider did not say."""
    usage = answer.usage
    if usage.input is None or usage.output is None:
        return None
    read = usage.input + usage.cache_read + usage.cache_write
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": read + usage.output,
    }
