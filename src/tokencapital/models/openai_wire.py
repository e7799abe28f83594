"""OpenAI's chat API as data: bodies out, completions, deltas, usage and server-sent events in. No sockets."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tokencapital.core.case import Json
from tokencapital.core.errors import ModelGarbage, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest

DONE = "[DONE]"
"""The event that ends a stream."""

_EXTRAS = ("response_format", "logprobs", "seed", "stream_options")
"""What a plain server may refuse without harm to the answer; it is then asked again without."""
_NAMED = (*_EXTRAS, "temperature", "max_tokens")
_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)


def chat_body(request: ModelRequest, model: str, *, stream: bool, without: frozenset[str]) -> dict[str, Json]:
    """The body of a chat call. Parameters in `without` are left out and, where they matter, said in words."""
    body: dict[str, Json] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    schema = _answer_schema(request)
    if schema is not None:
        if "response_format" in without:
            messages = _told_in_words(messages, request)
        named = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    else:
        body["logprobs"] = True
    if "max_tokens" in without:
        body["max_completion_tokens"] = request.max_tokens
    return {"messages": messages} | {key: value for key, value in body.items() if key not in without}


def refused_parameters(body: Mapping[str, Json], complaint: str) -> frozenset[str]:
    """The parameters of a refused body to leave out: those that the complaint names, else every extra."""
    named = frozenset(key for key in _NAMED if key in body and re.search(rf"\b{key}\b", complaint))
    return named or frozenset(key for key in _EXTRAS if key in body)


def completion_of(payload: Json, request: ModelRequest, model: str, elapsed_s: float, where: str) -> Completion:
    """The completion in a chat response. Raises ModelGarbage where there is none, or it is not what was asked for."""
    choice = _first_choice(payload, where)
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise ModelGarbage("the response has no text", where=where, remedy="Check what is served at this address.")
    return Completion(
        text=answer_text(content, request, where),
        usage=usage_of(payload.get("usage")),
        model=model,
        elapsed_s=elapsed_s,
        logprob=_sum_of_logprobs(choice.get("logprobs")),
    )


def delta_of(payload: Json, where: str) -> Delta:
    """The piece in one event of a stream. Raises ModelUnavailable for an error sent within the stream."""
    if isinstance(payload, dict) and payload.get("error"):
        raise ModelUnavailable(f"the stream broke off: {payload['error']}", where=where, remedy="Try again.")
    usage = usage_of(payload["usage"]) if isinstance(payload, dict) and payload.get("usage") else None
    if usage is not None and not payload.get("choices"):
        return Delta(usage=usage)
    choice = _first_choice(payload, where)
    piece = choice.get("delta")
    text = piece.get("content") if isinstance(piece, dict) else None
    return Delta(text if isinstance(text, str) else "", choice.get("finish_reason"), usage)


def usage_of(usage: Json) -> Usage:
    """Tokens as this project counts them: cached ones are not part of `input`. Not told: None."""
    if not isinstance(usage, dict):
        return Usage(input=None, output=None)
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    inward = usage.get("prompt_tokens_details") or {}
    cache_read, cache_write = _count(inward, "cached_tokens"), _count(inward, "cache_write_tokens")
    return Usage(
        input=max(0, prompt - cache_read - cache_write) if isinstance(prompt, int) else None,
        output=output if isinstance(output, int) else None,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=_count(usage.get("completion_tokens_details") or {}, "reasoning_tokens"),
    )


def answer_text(content: str, request: ModelRequest, where: str) -> str:
    """The answer in what a model wrote: one of the labels, JSON text of an object, or the text as it is.

    Quotes, a full stop and a code fence around the answer are forgiven. Raises ModelGarbage otherwise.
    """
    if request.labels is not None:
        labelled = (_object_in(content) or {}).get("label")
        for said in (labelled, content.strip(), content.strip(" \t\r\n\"'`.")):
            if isinstance(said, str) and said in request.labels:
                return said
        raise ModelGarbage("the answer is none of the labels asked for", where=where, said=repr(content[:80]))
    if request.schema is not None:
        found = _object_in(content)
        if found is None:
            raise ModelGarbage("the answer is not a JSON object", where=where, said=repr(content[:80]))
        return json.dumps(found, ensure_ascii=False)
    return content


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each server-sent event, wherever the bytes were cut. Comments and other fields are dropped.

    An event that the end of the stream cuts off before its blank line is still given.
    """
    buffer, data = b"", list[str]()
    async for chunk in chunks:
        *lines, buffer = _LINE_END.split(buffer + chunk)
        for line in lines:
            if line:
                data += _data_of(line)
            elif data:
                yield "\n".join(data)
                data = []
    data += _data_of(buffer.rstrip(b"\r"))
    if data:
        yield "\n".join(data)


def _data_of(line: bytes) -> list[str]:
    field, _, value = line.partition(b":")
    return [value.removeprefix(b" ").decode("utf-8", "replace")] if field == b"data" else []


def _answer_schema(request: ModelRequest) -> dict[str, Json] | None:
    if request.labels is None:
        return request.schema
    label = {"type": "string", "enum": list(request.labels)}
    return {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}


def _told_in_words(messages: list[dict[str, str]], request: ModelRequest) -> list[dict[str, str]]:
    if request.labels is not None:
        rule = "Answer with one of these, exactly as written, and nothing else: " + ", ".join(request.labels)
    else:
        rule = "Answer with nothing but a JSON object of this JSON schema: " + json.dumps(request.schema)
    first = messages[0] if messages and messages[0]["role"] == "system" else None
    if first is None:
        return [{"role": "system", "content": rule}, *messages]
    return [{"role": "system", "content": f"{first['content']}\n\n{rule}"}, *messages[1:]]


def _first_choice(payload: Json, where: str) -> dict[str, Any]:
    choices = payload.get("choices") if isinstance(payload, dict) else None
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    raise ModelGarbage("the response has no choices", where=where, remedy="Check what is served at this address.")


def _sum_of_logprobs(logprobs: Json) -> float | None:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    values = [token.get("logprob") for token in tokens if isinstance(token, dict)]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return sum(known) if len(known) == len(tokens) else None


def _object_in(content: str) -> dict[str, Json] | None:
    start, stop = content.find("{"), content.rfind("}")
    try:
        found = json.loads(content[start : stop + 1]) if start >= 0 else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _count(details: Json, key: str) -> int:
    value = details.get(key) if isinstance(details, dict) else None
    return value if isinstance(value, int) else 0
