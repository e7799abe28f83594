"""A capability's own answer as a message of Anthropic's messages API."""

from __future__ import annotations

from typing import Any

from tokencapital.serve.shapes.written import Pieces, Written, cited, event


def whole(answer: Written) -> dict[str, Any]:
    """The message."""
    content = [{"type": "text", "text": answer.content, "citations": None}]
    return {**_begun(answer), "content": content, "stop_reason": "end_turn", **cited(answer)}


def streamed(answer: Written) -> Pieces:
    """The message as server-sent events."""
    begun = _begun(answer)
    block = {"type": "text", "text": "", "citations": None}
    yield event({"type": "message_start", "message": {**begun, "usage": {**begun["usage"], "output_tokens": 0}}})
    yield event({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "text_delta", "text": answer.content}
    yield event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield event({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event({"type": "message_delta", "delta": stop, "usage": begun["usage"], **cited(answer)})
    yield event({"type": "message_stop"})


def _begun(answer: Written) -> dict[str, Any]:
    """All that a message says, without content. Tokens are None where a provider did not say."""
    usage = answer.usage
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": usage.output,
        },
    }
