"""Tokens as the providers count them, mapped to how this project counts: cached ones apart, reasoning within output.

| counted by | cached | reasoning |
|---|---|---|
| OpenAI's APIs and most that copy them | within the prompt | within the output |
| xAI, Perplexity, Gemini's copy of the chat API | within the prompt | apart: the total tells |
| Anthropic, Bedrock | apart | within the output |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.call import Wire
from tokencapital.core.case import Json
from tokencapital.core.quantity import Usage
from tokencapital.serve.shapes.bodies import mapping, unpacked

UNKNOWN = Usage(None, None)
FREE = Usage(0, 0)
_KEY = b'"usage"'
_MOST_EVENTS = 8
"""So many of the last events that name usage are looked at for one that tells it."""
_MOST_TOKENS = 1 << 53


class _Within(Struct):
    """Something within an event that may tell of usage."""

    usage: dict[str, Json] | None = None


class _Telling(Struct):
    """An answer or an event, as far as it tells of usage."""

    usage: dict[str, Json] | None = None
    x_groq: _Within | None = None
    message: _Within | None = None
    response: _Within | None = None


_TELLING = msgspec.json.Decoder(_Telling)


def usage_of(wire: Wire, body: bytes) -> Usage | None:
    """The tokens that an answer tells of, whole or streamed, without reading the rest of it; None: it tells none.

    The end of a stream is enough; of Anthropic's, the events of the start tell the tokens of the request.
    """
    if wire is Wire.COUNT_TOKENS:
        return FREE
    plain = unpacked(body)
    told = _told(plain) if plain[:64].lstrip().startswith(b"{") else None
    if told is None:
        told = _last_told(plain)
        if wire is Wire.MESSAGES:
            told = merged(_first_told(plain), told) or None
    if not told:
        return None
    usage = usage_in(told)
    return written_none(usage) if wire is Wire.EMBEDDINGS else usage


def written_none(usage: Usage) -> Usage:
    """The usage of a call that writes no token, where the provider told what it read."""
    return usage if usage.input is None else Usage(usage.input, usage.output or 0, usage.cache_read)


def usage_in(told: Json) -> Usage:
    """The tokens in a `usage` object of any provider; None in it: it is not told."""
    usage = mapping(told)
    if "inputTokens" in usage:
        return _bedrock(usage)
    if _is_anthropic(usage):
        return _anthropic(usage)
    return _openai(usage)


def chat_usage(body: Mapping[str, Json]) -> Json:
    """The usage object in a chat completion or one of its chunks; None: there is none."""
    return body.get("usage") or mapping(body.get("x_groq")).get("usage")


def merged(first: Json, last: Json) -> dict[str, Json]:
    """Anthropic's usage at the start of a stream, with what its end says instead."""
    return {**mapping(first), **{key: value for key, value in mapping(last).items() if value is not None}}


def _told(body: bytes) -> Json:
    try:
        found = _TELLING.decode(body)
    except (ValueError, RecursionError):
        return None
    places = (found, found.x_groq, found.response, found.message)
    return next((one.usage for one in places if one is not None and one.usage), None)


def _last_told(body: bytes) -> Json:
    end = len(body)
    for _ in range(_MOST_EVENTS):
        end = body.rfind(_KEY, 0, end)
        if end < 0:
            return None
        start, told = _event_around(body, end)
        if told:
            return told
        end = start
    return None


def _first_told(body: bytes) -> Json:
    place = body.find(_KEY)
    return None if place < 0 else _event_around(body, place)[1]


def _event_around(body: bytes, place: int) -> tuple[int, Json]:
    """Where the line around this place begins, and the usage that the event in it tells."""
    start = max(body.rfind(b"\n", 0, place), body.rfind(b"\r", 0, place)) + 1
    end = min((at for at in (body.find(b"\n", place), body.find(b"\r", place)) if at >= 0), default=len(body))
    return start, _told(body[start:end].partition(b":")[2])


def _openai(usage: Mapping[str, Json]) -> Usage:
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    inward = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    outward = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    read = _first(inward, "cached_tokens", "cache_read_input_tokens")
    if read is None:
        read = _first(usage, "cached_tokens", "prompt_cache_hit_tokens", "cached_prompt_text_tokens")
    written = _first(inward, "cache_write_tokens", "cache_creation_tokens")
    reasoning = _first(outward, "reasoning_tokens", "thinking_tokens")
    if reasoning is None:
        reasoning = _first(usage, "reasoning_tokens")
    return Usage(
        input=None if prompt is None else max(0, prompt - (read or 0) - (written or 0)),
        output=_all_output(usage, prompt, output, reasoning or 0),
        cache_read=read or 0,
        cache_write=written or 0,
        reasoning=reasoning or 0,
    )


def _all_output(usage: Mapping[str, Json], prompt: int | None, output: int | None, reasoning: int) -> int | None:
    """The output with what was thought, cited or called in it, where the total shows that it stands apart."""
    total = _count(usage.get("total_tokens"))
    if prompt is None or output is None:
        return output
    if total is not None and total > prompt + output:
        return total - prompt
    return output + reasoning if reasoning > output else output


def _anthropic(usage: Mapping[str, Json]) -> Usage:
    return Usage(
        input=_count(usage.get("input_tokens")),
        output=_count(usage.get("output_tokens")),
        cache_read=_count(usage.get("cache_read_input_tokens")) or 0,
        cache_write=_count(usage.get("cache_creation_input_tokens")) or 0,
        reasoning=_count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")) or 0,
    )


def _bedrock(usage: Mapping[str, Json]) -> Usage:
    return Usage(
        input=_count(usage.get("inputTokens")),
        output=_count(usage.get("outputTokens")),
        cache_read=_first(usage, "cacheReadInputTokens", "cacheReadInputTokenCount") or 0,
        cache_write=_first(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount") or 0,
    )


def _is_anthropic(usage: Mapping[str, Json]) -> bool:
    """Whether cached tokens stand apart; OpenAI's responses say `input_tokens` too, but tell a total."""
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        return "prompt_tokens" not in usage
    return "total_tokens" not in usage and "input_tokens_details" not in usage and "prompt_tokens" not in usage


def _details(usage: Mapping[str, Json], *names: str) -> dict[str, Any]:
    return next((mapping(usage[name]) for name in names if usage.get(name)), {})


def _first(usage: Mapping[str, Json], *names: str) -> int | None:
    counts = (_count(usage.get(name)) for name in names)
    return next((one for one in counts if one is not None), None)


def _count(value: Json) -> int | None:
    """A count of tokens; None for what is none, such as True, -1 or 1.5."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != value // 1:
        return None
    return int(value) if value < _MOST_TOKENS else None
