"""Answers of providers in every wire as they are recorded: whole and streamed, and in every way in which they go wrong.

Each `Spoken` says once what a model said; `whole_body` and `event_stream` write it as OpenAI and Anthropic do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from tokencapital.core.call import Wire
from tokencapital.testing.upstream import Scripted, cut_up, stream

SIZES: tuple[Sequence[int] | None, ...] = (None, (1,), (7, 64, 3, 29))
"""Where pieces of an answer are cut: nowhere, after every byte, anywhere."""
_MODEL = {Wire.CHAT: "gpt-5-2026", Wire.RESPONSES: "gpt-5-2026", Wire.MESSAGES: "claude-5-2026"}


class Spoken(Struct, frozen=True, kw_only=True):
    """What a model said. `calls` are of tools: id, name, arguments. `choices`: how often it said it."""

    name: str
    text: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    refusal: str | None = None
    thought: str | None = None
    finish: str = "stop"
    choices: int = 1
    logprobs: bool = False
    prompt_tokens: int = 17
    cached_tokens: int = 0
    output_tokens: int = 9
    thought_tokens: int = 0


class Shape(Struct, frozen=True, kw_only=True):
    """A recorded answer, and whether it was asked for as a stream."""

    name: str
    wire: Wire
    streamed: bool
    scripted: Scripted


ROME, PARIS = ("call_1", "get_weather", '{"city": "Rome"}'), ("call_2", "get_weather", '{"city": "Paris"}')
SPOKEN = (
    Spoken(name="text", text="It is sunny in Rome."),
    Spoken(name="unicode", text="Napos idő: 21 °C 🌞, 晴れ.\n\u2028end"),
    Spoken(name="empty"),
    Spoken(name="long", text="word " * 60, finish="length", output_tokens=60),
    Spoken(name="tool", calls=(ROME,), finish="tool_calls"),
    Spoken(name="parallel", text="Both.", calls=(ROME, PARIS), finish="tool_calls"),
    Spoken(name="refusal", refusal="I cannot help with that."),
    Spoken(name="thinking", thought="Rome is south.", text="Sunny.", output_tokens=30, thought_tokens=21),
    Spoken(name="cached", text="Sunny.", prompt_tokens=1000, cached_tokens=900),
    Spoken(name="json", text='{"city":"Rome","degrees":21}'),
)
CHAT_ONLY = (
    Spoken(name="three", text="Perhaps.", choices=3),
    Spoken(name="logprobs", text="Yes.", logprobs=True),
)


def recorded_shapes() -> list[Shape]:
    """All of them, each with a name of its own."""
    found: list[Shape] = []
    for wire in (Wire.CHAT, Wire.RESPONSES, Wire.MESSAGES):
        for said in (*SPOKEN, *(CHAT_ONLY if wire is Wire.CHAT else ())):
            found += _well_formed(wire, said)
        found += _refused(wire)
        found += _broken(wire)
    return found


def whole_body(wire: Wire, said: Spoken) -> bytes:
    """What was said as one JSON body."""
    return _encoded(_WHOLE[wire](said))


def event_stream(wire: Wire, said: Spoken) -> bytes:
    """What was said as server-sent events."""
    if wire is Wire.CHAT:
        return b"".join(b"data: " + _encoded(one) + b"\n\n" for one in _chunks(said)) + b"data: [DONE]\n\n"
    events = _response_events(said) if wire is Wire.RESPONSES else _message_events(said)
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), _encoded(one)) for one in events)


def answered(
    body: bytes, sizes: Sequence[int] | None = None, status: int = 200, kind: str = "application/json"
) -> Scripted:
    """The bytes as a whole answer."""
    headers = (("content-type", kind), ("x-request-id", "req_1"))
    return Scripted(pieces=tuple(cut_up(body, sizes)), status=status, headers=headers, chunked=sizes is not None)


def error_body(wire: Wire, kind: str, message: str) -> bytes:
    """An error as the provider tells it."""
    if wire is Wire.MESSAGES:
        return _encoded({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
    return _encoded({"error": {"message": message, "type": kind, "param": None, "code": kind}})


def _well_formed(wire: Wire, said: Spoken) -> Iterator[Shape]:
    for number, sizes in enumerate(SIZES):
        name = f"{wire}-{said.name}-cut{number}"
        yield Shape(name=f"{name}-whole", wire=wire, streamed=False, scripted=answered(whole_body(wire, said), sizes))
        events = event_stream(wire, said)
        yield Shape(name=f"{name}-stream", wire=wire, streamed=True, scripted=stream(events, sizes))


def _refused(wire: Wire) -> Iterator[Shape]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
        500: "api_error",
        503: "overloaded_error",
    }
    for status, kind in kinds.items():
        for streamed in (False, True):
            body = error_body(wire, kind, f"No: {status}.")
            name = f"{wire}-{status}-{'stream' if streamed else 'whole'}"
            yield Shape(name=name, wire=wire, streamed=streamed, scripted=answered(body, status=status))


def _broken(wire: Wire) -> Iterator[Shape]:
    said = SPOKEN[0]
    body, events = whole_body(wire, said), event_stream(wire, said)
    middle = events.index(b"\n\n", len(events) // 2) + 2
    within = {
        "garbage": events[:middle] + b"data: {no json\n\n" + events[middle:],
        "error": events[:middle] + _error_event(wire) + events[middle:],
        "crlf": events.replace(b"\n", b"\r\n"),
        "comments": b": hello\n\n" + events[:middle] + b": keep-alive\n\n" + events[middle:],
        "no-end": events[: events.rstrip().rindex(b"\n\n") + 2],
        "half": events[: middle + 20],
        "nothing": b"",
        "latin": events.replace(b"sunny", b"s\xfcnny"),
    }
    for name, broken in within.items():
        for number, sizes in enumerate(SIZES):
            yield Shape(name=f"{wire}-{name}-cut{number}", wire=wire, streamed=True, scripted=stream(broken, sizes))
    wholes = {"half": body[: len(body) // 2], "nothing": b"", "html": b"<html>Bad gateway</html>", "list": b"[1]"}
    for name, broken in wholes.items():
        yield Shape(name=f"{wire}-{name}-whole", wire=wire, streamed=False, scripted=answered(broken))
    for sizes in (None, (7,)):
        cut = Scripted(
            pieces=tuple(cut_up(events[:middle], sizes)),
            headers=(("content-type", "text/event-stream"),),
            chunked=True,
            cut=True,
        )
        yield Shape(name=f"{wire}-cut-off-{sizes}", wire=wire, streamed=True, scripted=cut)
    lost = Scripted(pieces=(body[:50],), cut=True)
    yield Shape(name=f"{wire}-cut-off-whole", wire=wire, streamed=False, scripted=lost)
    page = answered(b"<html>Bad gateway</html>", status=502, kind="text/html")
    yield Shape(name=f"{wire}-502-html", wire=wire, streamed=False, scripted=page)


def _error_event(wire: Wire) -> bytes:
    if wire is Wire.CHAT:
        return b"data: " + error_body(wire, "server_error", "It broke.") + b"\n\n"
    if wire is Wire.MESSAGES:
        return b"event: error\ndata: " + error_body(wire, "overloaded_error", "Overloaded") + b"\n\n"
    told = {"type": "error", "code": "server_error", "message": "It broke.", "param": None, "sequence_number": 99}
    return b"event: error\ndata: " + _encoded(told) + b"\n\n"


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _pieces(text: str, size: int = 9) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


def _chat(said: Spoken) -> dict[str, Any]:
    calls = [
        {"id": identity, "type": "function", "function": {"name": name, "arguments": given}}
        for identity, name, given in said.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": said.refusal}
    message |= {"tool_calls": calls} if calls else {}
    message |= {"reasoning_content": said.thought} if said.thought else {}
    choices = [
        {"index": place, "message": message, "logprobs": _logprobs(said), "finish_reason": said.finish}
        for place in range(said.choices)
    ]
    return {**_chat_head("chat.completion"), "choices": choices, "usage": _chat_usage(said)}


def _chat_head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1790000000, "model": _MODEL[Wire.CHAT], "unknown": {"x": 1}}


def _logprobs(said: Spoken) -> Any:
    return (
        {"content": [{"token": said.text, "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
        if said.logprobs
        else None
    )


def _chat_usage(said: Spoken) -> dict[str, Any]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.prompt_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": said.thought_tokens},
    }


def _chunks(said: Spoken) -> Iterator[dict[str, Any]]:
    head = {**_chat_head("chat.completion.chunk"), "usage": None}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(said.thought or "")]
    deltas += [{"content": piece} for piece in _pieces(said.text)]
    deltas += [{"refusal": piece} for piece in _pieces(said.refusal or "")]
    for place, (identity, name, given) in enumerate(said.calls):
        begun = {"index": place, "id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [begun]})
        deltas += [{"tool_calls": [{"index": place, "function": {"arguments": one}}]} for one in _pieces(given)]
    for delta in deltas:
        for place in range(said.choices):
            told = _logprobs(said) if delta.get("content") else None
            yield {**head, "choices": [{"index": place, "delta": delta, "logprobs": told, "finish_reason": None}]}
    for place in range(said.choices):
        yield {**head, "choices": [{"index": place, "delta": {}, "logprobs": None, "finish_reason": said.finish}]}
    yield {**head, "choices": [], "usage": _chat_usage(said)}


def _items(said: Spoken) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if said.thought:
        found.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": said.thought}]})
    parts = [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}] if said.text else []
    parts += [{"type": "refusal", "refusal": said.refusal}] if said.refusal else []
    if parts:
        found.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts})
    return found + [
        {
            "type": "function_call",
            "id": f"fc_{one}",
            "call_id": one,
            "name": name,
            "arguments": given,
            "status": "completed",
        }
        for one, name, given in said.calls
    ]


def _response(said: Spoken, status: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": said.thought_tokens},
        "total_tokens": said.prompt_tokens + said.output_tokens,
    }
    cut = said.finish == "length" and status != "in_progress"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "status": "incomplete" if cut else status,
        "model": _MODEL[Wire.RESPONSES],
        "output": items,
        "usage": usage if status != "in_progress" else None,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "unknown": {"x": 1},
    }


def _response_events(said: Spoken) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"type": "response.created", "response": _response(said, "in_progress", [])}]
    for place, item in enumerate(_items(said)):
        begun = {**item, "status": "in_progress", **({"content": []} if "content" in item else {})}
        begun |= {"arguments": ""} if "arguments" in item else {}
        events.append({"type": "response.output_item.added", "output_index": place, "item": begun})
        at = {"output_index": place, "item_id": item["id"]}
        for index, part in enumerate(item.get("content", [])):
            events += _part_events({**at, "content_index": index}, part)
        if "arguments" in item:
            kind = "response.function_call_arguments"
            events += [{"type": f"{kind}.delta", **at, "delta": one} for one in _pieces(item["arguments"])]
            events.append({"type": f"{kind}.done", **at, "name": item["name"], "arguments": item["arguments"]})
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    done = _response(said, "completed", _items(said))
    events.append({"type": f"response.{done['status']}", "response": done})
    return [{**one, "sequence_number": number} for number, one in enumerate(events)]


def _part_events(at: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = part["type"]
    key = "text" if kind == "output_text" else "refusal"
    more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    yield {"type": "response.content_part.added", **at, "part": {**part, key: ""}}
    for one in _pieces(part[key]):
        yield {"type": f"response.{kind}.delta", **at, "delta": one, **more}
    yield {"type": f"response.{kind}.done", **at, key: part[key], **more}
    yield {"type": "response.content_part.done", **at, "part": part}


def _blocks(said: Spoken) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if said.thought:
        found.append({"type": "thinking", "thinking": said.thought, "signature": "c2lnbmVk"})
    text = said.text or said.refusal
    found += [{"type": "text", "text": text}] if text else []
    return found + [
        {"type": "tool_use", "id": one, "name": name, "input": json.loads(given)} for one, name, given in said.calls
    ]


def _message(said: Spoken) -> dict[str, Any]:
    stops = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": _MODEL[Wire.MESSAGES],
        "content": _blocks(said),
        "stop_reason": "refusal" if said.refusal else stops[said.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.prompt_tokens - said.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": said.cached_tokens,
            "output_tokens": said.output_tokens,
        },
        "unknown": {"x": 1},
    }


def _message_events(said: Spoken) -> Iterator[dict[str, Any]]:
    whole = _message(said)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for place, block in enumerate(whole["content"]):
        yield from _block_events(place, block)
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": said.output_tokens}}
    yield {"type": "message_stop"}


def _block_events(place: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    fields = {"text": ("text",), "tool_use": ("input",), "thinking": ("thinking", "signature")}[kind]
    empty: dict[str, Any] = {name: {} if name == "input" else "" for name in fields}
    yield {"type": "content_block_start", "index": place, "content_block": {**block, **empty}}
    if kind == "text":
        deltas = [{"type": "text_delta", "text": one} for one in _pieces(block["text"])]
    elif kind == "tool_use":
        deltas = [{"type": "input_json_delta", "partial_json": one} for one in _pieces(json.dumps(block["input"]))]
    else:
        deltas = [{"type": "thinking_delta", "thinking": one} for one in _pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    for delta in deltas:
        yield {"type": "content_block_delta", "index": place, "delta": delta}
    yield {"type": "content_block_stop", "index": place}


_WHOLE: dict[Wire, Callable[[Spoken], dict[str, Any]]] = {
    Wire.CHAT: _chat,
    Wire.RESPONSES: lambda said: _response(said, "completed", _items(said)),
    Wire.MESSAGES: _message,
}
