"""OpenAI's chat completions: what their requests, answers and streams say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.serve.shapes.bodies import Stream, mapping, objects, text, word
from tokencapital.serve.shapes.parts import kept, reasoning, refusal, split_content
from tokencapital.serve.shapes.pieces import Came, Said, arguments, error_code, parameters
from tokencapital.serve.shapes.tokens import chat_usage, usage_in

_SPOKEN = frozenset({"model", "messages", "tools", "functions", "stream"})
_BROKE_OFF = "the stream broke off"


def read_request(body: Mapping[str, Json]) -> Said:
    """What is asked."""
    return Said(
        messages=tuple(_message(one) for one in objects(body.get("messages"))),
        tools=tuple(kept(one) for one in objects(body.get("tools")) or objects(body.get("functions"))),
        parameters=parameters(body, _SPOKEN),
        model=word(body.get("model")),
    )


def read_answer(body: Mapping[str, Json]) -> Came:
    """What a whole completion says."""
    listed = objects(body.get("choices"))
    choices = sorted(listed, key=_index)
    failure = error_code(body) or (None if choices else "the answer has no choices")
    return Came(
        choices=tuple((_message(mapping(one.get("message"))),) for one in choices),
        usage=usage_in(chat_usage(body)),
        model=word(body.get("model")),
        response=word(body.get("id")),
        finish=word(choices[0].get("finish_reason")) if choices else None,
        failure=failure,
    )


def read_chunks(stream: Stream) -> Came:
    """What a streamed completion says, as far as it came."""
    spoken: dict[int, _Spoken] = {}
    usage: Json = None
    model = response = failure = None
    for event in stream.events:
        body = event.data
        failure = failure or error_code(body)
        usage = chat_usage(body) or usage
        model, response = model or word(body.get("model")), response or word(body.get("id"))
        for choice in objects(body.get("choices")):
            spoken.setdefault(_index(choice), _Spoken()).hear(choice)
    choices = [spoken[index] for index in sorted(spoken)]
    ended = bool(choices) and (stream.done or all(one.finish for one in choices))
    return Came(
        choices=tuple((one.message(),) for one in choices),
        usage=usage_in(usage),
        model=model,
        response=response,
        finish=choices[0].finish if choices else None,
        failure=failure or (None if ended else _BROKE_OFF),
    )


class _Spoken:
    """One choice of a stream, put together delta by delta."""

    def __init__(self) -> None:
        self.role = "assistant"
        self.finish: str | None = None
        self._said: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning": []}
        self._parts: list[Json] = []
        self._calls: dict[int, dict[str, str]] = {}

    def hear(self, choice: Mapping[str, Json]) -> None:
        """The choice holds what this chunk adds to it."""
        delta = mapping(choice.get("delta"))
        self.finish = word(choice.get("finish_reason")) or self.finish
        self.role = word(delta.get("role")) or self.role
        content, parts = split_content(delta.get("content"))
        self._said["content"].append(content)
        self._said["refusal"].append(text(delta.get("refusal")))
        self._said["reasoning"].append(_thought(delta))
        self._parts += parts
        if isinstance(delta.get("audio"), dict):
            self._parts.append({"type": "audio", "audio": kept(delta["audio"])})
        for call in objects(delta.get("tool_calls")):
            self._call(call)
        if isinstance(delta.get("function_call"), dict):
            self._call({"function": delta["function_call"]})

    def message(self) -> Message:
        """What was said in all."""
        said = {key: "".join(pieces) for key, pieces in self._said.items()}
        calls = [self._calls[index] for index in sorted(self._calls)]
        return Message(
            role=self.role,
            content=said["content"],
            tool_calls=tuple(ToolCall(one["id"], one["name"], one["arguments"]) for one in calls),
            parts=(*reasoning(said["reasoning"]), *refusal(said["refusal"]), *self._parts),
        )

    def _call(self, delta: Mapping[str, Json]) -> None:
        """A call begins, or its arguments go on: by index, or where none is given, by id, else the last one's."""
        index, identity = delta.get("index"), text(delta.get("id"))
        if not isinstance(index, int):
            known = [place for place, call in self._calls.items() if identity and call["id"] == identity]
            last = max(self._calls, default=-1)
            index = known[0] if known else last + 1 if identity or last < 0 else last
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        said = mapping(delta.get("function") or delta.get("custom"))
        call["id"] = call["id"] or identity
        call["name"] += text(said.get("name"))
        more = said.get("arguments", said.get("input"))
        call["arguments"] += arguments(more) if more is not None else ""


def _message(body: Mapping[str, Json]) -> Message:
    content, parts = split_content(body.get("content"))
    audio = body.get("audio")
    return Message(
        role=word(body.get("role")) or "assistant",
        content=content,
        name=word(body.get("name")),
        tool_calls=_tool_calls(body),
        tool_call_id=word(body.get("tool_call_id")),
        parts=(
            *reasoning(_thought(body)),
            *refusal(body.get("refusal")),
            *parts,
            *(({"type": "audio", "audio": kept(audio)},) if isinstance(audio, dict) else ()),
        ),
    )


def _tool_calls(body: Mapping[str, Json]) -> tuple[ToolCall, ...]:
    calls: Sequence[dict[str, Any]] = objects(body.get("tool_calls"))
    if not calls and isinstance(body.get("function_call"), dict):
        calls = [{"function": body["function_call"]}]
    return tuple(_tool_call(one) for one in calls)


def _tool_call(call: Mapping[str, Json]) -> ToolCall:
    said = mapping(call.get("function") or call.get("custom"))
    given = said.get("arguments", said.get("input"))
    return ToolCall(text(call.get("id")), text(said.get("name")), arguments(given))


def _thought(said: Mapping[str, Json]) -> str:
    """What the model thought: DeepSeek, vLLM and SGLang say `reasoning_content`, OpenRouter and Groq `reasoning`."""
    return text(said.get("reasoning_content")) or text(said.get("reasoning"))


def _index(choice: Mapping[str, Json]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0
