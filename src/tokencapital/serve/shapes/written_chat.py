"""A capability's own answer as a chat completion."""

from __future__ import annotations

from typing import Any

from tokencapital.serve.shapes.written import Pieces, Written, cited, event


def whole(answer: Written) -> dict[str, Any]:
    """The completion."""
    message = {"role": "assistant", "content": answer.content, "refusal": None}
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(answer),
        **cited(answer),
    }


def streamed(answer: Written) -> Pieces:
    """The completion as server-sent events, ending with `[DONE]`; the event that finishes it has what it cites."""
    yield _chunk(answer, {"role": "assistant", "content": ""})
    yield _chunk(answer, {"content": answer.content})
    finish = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield event({**_head(answer), "choices": [finish], **cited(answer)}, named=False)
    if answer.tells_usage:
        yield event({**_head(answer), "choices": [], "usage": _usage(answer)}, named=False)
    yield b"data: [DONE]\n\n"


def _usage(answer: Written) -> dict[str, Any] | None:
    """Tokens as OpenAI counts them; None where a provider did not say."""
    usage = answer.usage
    if usage.input is None or usage.output is None:
        return None
    read, output = usage.input + usage.cache_read + usage.cache_write, usage.output
    details: dict[str, Any] = {}
    if usage.cache_read:
        details["prompt_tokens_details"] = {"cached_tokens": usage.cache_read}
    if usage.reasoning:
        details["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return {"prompt_tokens": read, "completion_tokens": output, "total_tokens": read + output, **details}


def _head(answer: Written) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
    }


def _chunk(answer: Written, delta: dict[str, str]) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return event({**_head(answer), "choices": [choice]}, named=False)
