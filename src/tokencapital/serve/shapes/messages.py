"""Anthropic's messages: what their requests, answers and events say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.serve.shapes.bodies import Stream, mapping, objects, read_json, text, word
from tokencapital.serve.shapes.parts import kept, reasoning, split_content
from tokencapital.serve.shapes.pieces import Came, Said, arguments, error_code, parameters
from tokencapital.serve.shapes.tokens import FREE, merged, usage_in

_SPOKEN = frozenset({"model", "messages", "system", "tools", "stream"})
_DELTAS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


def read_request(body: Mapping[str, Json]) -> Said:
    """What is asked."""
    prompt, parts = split_content(body.get("system"))
    told = (Message("system", prompt, parts=parts),) if prompt or parts else ()
    asked = [one for turn in objects(body.get("messages")) for one in _messages(turn)]
    return Said(
        messages=(*told, *asked),
        tools=tuple(kept(one) for one in objects(body.get("tools"))),
        parameters=parameters(body, _SPOKEN),
        model=word(body.get("model")),
    )


def read_answer(body: Mapping[str, Json]) -> Came:
    """What a whole message says."""
    failure = error_code(body)
    if failure is None and not isinstance(body.get("content"), list):
        failure = "the answer has no content"
    spoken = _messages({"role": body.get("role") or "assistant", "content": body.get("content")})
    return Came(
        choices=() if failure else (spoken,),
        usage=usage_in(body.get("usage")),
        model=word(body.get("model")),
        response=word(body.get("id")),
        finish=word(body.get("stop_reason")),
        failure=failure,
    )


def read_events(stream: Stream) -> Came:
    """What a streamed message says, as far as it came."""
    begun: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    stop, failure, ended = None, None, False
    for event in stream.events:
        body, kind = event.data, word(event.data.get("type")) or event.name
        if kind == "message_start":
            begun = mapping(body.get("message"))
            usage = mapping(begun.get("usage"))
        elif kind == "message_delta":
            stop = word(mapping(body.get("delta")).get("stop_reason")) or stop
            usage = merged(usage, body.get("usage"))
        elif kind == "error":
            failure = failure or error_code({"error": body.get("error") or body})
        elif kind == "message_stop":
            ended = True
        else:
            _hear(blocks, kind, body)
    content = [_whole(blocks[index]) for index in sorted(blocks)]
    came = read_answer({**begun, "content": content, "usage": usage, "stop_reason": stop})
    return Came(
        choices=came.choices if content else (),
        usage=came.usage,
        model=came.model,
        response=came.response,
        finish=stop,
        failure=failure or (None if ended else "the stream broke off"),
    )


def read_count(body: Mapping[str, Json]) -> Came:
    """The answer to a request to count: counting takes no token."""
    failure = error_code(body) or (None if "input_tokens" in body else "the answer has no count")
    return Came(usage=FREE, failure=failure)


def _hear(blocks: dict[int, dict[str, Any]], kind: str, body: Mapping[str, Json]) -> None:
    """The blocks hold what this event adds to them."""
    index = body.get("index")
    place = index if isinstance(index, int) else 0
    if kind == "content_block_start":
        blocks[place] = dict(mapping(body.get("content_block")))
    elif kind == "content_block_delta":
        delta = mapping(body.get("delta"))
        key = _DELTAS.get(str(delta.get("type")))
        block = blocks.setdefault(place, {"type": "text"})
        if key is not None:
            block[key] = text(block.get(key)) + text(delta.get(key))
        elif isinstance(delta.get("citation"), dict):
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block with its input as the object that its pieces spell, or as text where they spell none."""
    spelt = block.pop("partial_json", "")
    if spelt:
        found = read_json(spelt.encode("utf-8", "replace"))
        block["input"] = spelt if found is None else found
    return block


def _messages(turn: Mapping[str, Json]) -> tuple[Message, ...]:
    """A turn as messages: each result of a tool is one of its own, before or after what else the turn says."""
    role, content = word(turn.get("role")) or "user", turn.get("content")
    if isinstance(content, str):
        return (Message(role, content),)
    found: list[Message] = []
    waiting: list[dict[str, Any]] = []
    for block in objects(content):
        if block.get("type") != "tool_result":
            waiting.append(block)
            continue
        if waiting:
            found.append(_spoken(role, waiting))
            waiting = []
        found.append(_result(block))
    if waiting or not found:
        found.append(_spoken(role, waiting))
    return tuple(found)


def _spoken(role: str, blocks: list[dict[str, Any]]) -> Message:
    texts, calls, parts = list[str](), list[ToolCall](), list[Json]()
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(text(block.get("text")))
            parts += [kept({"type": "citations", "citations": block["citations"]})] if block.get("citations") else []
        elif kind == "tool_use":
            calls.append(ToolCall(text(block.get("id")), text(block.get("name")), arguments(block.get("input"))))
        elif kind == "thinking":
            parts += reasoning(block.get("thinking"))
        else:
            parts.append(kept(block))
    return Message(role, "\n".join(texts), tool_calls=tuple(calls), parts=tuple(parts))


def _result(block: Mapping[str, Json]) -> Message:
    content, parts = split_content(block.get("content"))
    failed = ({"type": "tool_error"},) if block.get("is_error") is True else ()
    return Message("tool", content, tool_call_id=word(block.get("tool_use_id")), parts=(*failed, *parts))
