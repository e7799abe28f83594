"""OpenAI's responses: what their requests, answers and events say.

What the model says and calls in a row is one message, whether it comes as an answer or is sent back as input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.serve.shapes.bodies import Stream, mapping, objects, text, word
from tokencapital.serve.shapes.parts import kept, reasoning, refusal, split_content
from tokencapital.serve.shapes.pieces import Came, Said, arguments, error_code, parameters
from tokencapital.serve.shapes.tokens import usage_in

_SPOKEN = frozenset({"model", "input", "instructions", "tools", "stream", "previous_response_id"})
_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_CALLS = frozenset({"function_call", "custom_tool_call"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def read_request(body: Mapping[str, Json]) -> Said:
    """What is asked; earlier turns that `previous_response_id` stands for are not in it."""
    given = body.get("input")
    asked = (Message("user", given),) if isinstance(given, str) else read_items(objects(given))
    instructions, parts = split_content(body.get("instructions"), _TEXTS)
    told = (Message("system", instructions, parts=parts),) if instructions or parts else ()
    return Said(
        messages=(*told, *asked),
        tools=tuple(kept(one) for one in objects(body.get("tools"))),
        parameters=parameters(body, _SPOKEN),
        model=word(body.get("model")),
        previous=word(body.get("previous_response_id")),
    )


def read_answer(body: Mapping[str, Json]) -> Came:
    """What a whole response says."""
    status = word(body.get("status"))
    output = body.get("output")
    failure = error_code(body)
    if failure is None and status == "failed":
        failure = "the response failed"
    if failure is None and not isinstance(output, list):
        failure = "the answer has no output"
    said = read_items(objects(output))
    return Came(
        choices=(said,) if said else (),
        usage=usage_in(body.get("usage")),
        model=word(body.get("model")),
        response=word(body.get("id")),
        finish=word(mapping(body.get("incomplete_details")).get("reason")) or status,
        failure=failure,
    )


def read_events(stream: Stream) -> Came:
    """What a streamed response says: its last event, or where that did not come, what had come until then."""
    heard = _Heard()
    for event in stream.events:
        body = event.data
        kind = word(body.get("type")) or event.name
        if kind in _ENDS:
            return heard.completed(read_answer(mapping(body.get("response"))))
        if kind == "error":
            return heard.so_far(error_code({"error": body.get("error") or body}) or "an error")
        heard.hear(kind, body)
    return heard.so_far("the stream broke off")


def read_items(items: Iterable[Mapping[str, Json]]) -> tuple[Message, ...]:
    """Items as messages: those of the model that follow each other are one."""
    found: list[Message] = []
    for item in items:
        message = _message(item)
        if found and message.role == "assistant" and found[-1].role == "assistant":
            found[-1] = _joined(found[-1], message)
        else:
            found.append(message)
    return tuple(found)


class _Heard:
    """A response, put together event by event."""

    def __init__(self) -> None:
        self._begun: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}

    def hear(self, kind: str, body: Mapping[str, Json]) -> None:
        """The response holds what this event adds to it."""
        index = body.get("output_index")
        place = index if isinstance(index, int) else 0
        if kind in ("response.created", "response.in_progress", "response.queued"):
            self._begun = mapping(body.get("response"))
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[place] = mapping(body.get("item"))
        elif kind == "response.output_text.delta":
            self._say(place, body, "output_text", "text")
        elif kind == "response.refusal.delta":
            self._say(place, body, "refusal", "refusal")
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            self._call(place, kind, text(body.get("delta")))
        elif kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
            item = self._items.setdefault(place, {"type": "reasoning"})
            item["told"] = text(item.get("told")) + text(body.get("delta"))

    def completed(self, came: Came) -> Came:
        """The answer as its last event has it; where that leaves the output out, with what had come."""
        return came if came.choices else msgspec.structs.replace(came, choices=self.so_far(None).choices)

    def so_far(self, failure: str | None) -> Came:
        """What had come when the stream ended."""
        items = [self._items[index] for index in sorted(self._items)]
        came = read_answer({**self._begun, "output": items})
        return msgspec.structs.replace(came, failure=failure)

    def _say(self, place: int, body: Mapping[str, Json], kind: str, key: str) -> None:
        item = self._items.setdefault(place, {"type": "message", "role": "assistant"})
        given = body.get("content_index")
        index = given if isinstance(given, int) else 0
        said = item.setdefault("said", {})
        part = said.setdefault(index, {"type": kind, key: ""})
        part[key] = text(part.get(key)) + text(body.get("delta"))

    def _call(self, place: int, kind: str, delta: str) -> None:
        custom = kind.startswith("response.custom")
        item = self._items.setdefault(place, {"type": "custom_tool_call" if custom else "function_call"})
        key = "input" if custom else "arguments"
        item[key] = text(item.get(key)) + delta


def _message(item: Mapping[str, Json]) -> Message:
    kind = item.get("type") or ("message" if "role" in item else "")
    if kind == "message":
        return _spoken(item)
    if kind in _CALLS:
        given = arguments(item.get("arguments", item.get("input")))
        return Message("assistant", tool_calls=(ToolCall(_call_id(item), text(item.get("name")), given),))
    if kind in _RESULTS:
        content, parts = split_content(item.get("output"), _TEXTS)
        return Message("tool", content, tool_call_id=word(item.get("call_id")), parts=parts)
    if kind == "reasoning":
        return Message("assistant", parts=reasoning(_thought(item)))
    if str(kind).endswith("_output"):
        return Message("tool", tool_call_id=word(item.get("call_id")), parts=(kept(item),))
    return Message("assistant", parts=(kept(item),))


def _spoken(item: Mapping[str, Json]) -> Message:
    content = item.get("content")
    if not content and isinstance(item.get("said"), dict):
        content = [part for _, part in sorted(item["said"].items())]
    said, parts = split_content(content, _TEXTS)
    refused = [part for part in parts if isinstance(part, dict) and part.get("type") == "refusal"]
    others = tuple(part for part in parts if part not in refused)
    return Message(
        role=word(item.get("role")) or "assistant",
        content=said,
        parts=(*others, *(part for one in refused for part in refusal(one.get("refusal")))),
    )


def _joined(first: Message, second: Message) -> Message:
    return msgspec.structs.replace(
        first,
        content="\n".join(filter(None, (first.content, second.content))),
        tool_calls=first.tool_calls + second.tool_calls,
        parts=first.parts + second.parts,
    )


def _call_id(item: Mapping[str, Json]) -> str:
    return text(item.get("call_id")) or text(item.get("id"))


def _thought(item: Mapping[str, Json]) -> str:
    told = [split_content(item.get(key), _TEXTS)[0] for key in ("content", "summary")]
    return "\n".join(filter(None, told)) or text(item.get("told"))
