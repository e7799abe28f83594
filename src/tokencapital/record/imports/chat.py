"""Logs of OpenAI's chat API: training files, and what was asked with what came back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tokencapital.core.call import UNSORTED
from tokencapital.core.case import Json
from tokencapital.core.errors import MalformedLine
from tokencapital.core.quantity import Usage
from tokencapital.record.imports.conversation import (
    Conversation,
    case_of,
    head_of,
    last_said,
    read_answer,
    read_messages,
    steps_of,
)
from tokencapital.record.imports.lines import Line, json_lines, moment, text
from tokencapital.record.imports.told import Bunch, Skip, Source, Told, Worked, digest
from tokencapital.record.spans_told import usage_of

KIND = "chat"
_BUNCH = 200
_MOMENTS = ("at", "timestamp", "created", "created_at", "time", "start_time", "startTime")


def read_chat(path: Path, now: datetime) -> Source:
    """The conversations of a file, each a line: `messages`, or `request` and `response`, or both in one object.

    A line that does not say when it was is taken as of `now`; one that is there twice is the same conversation.
    """
    told: list[Told] = []
    for one in json_lines(path, "data", "logs"):
        told.append(_read(one, now))
        if len(told) == _BUNCH:
            yield Bunch(tuple(told))
            told = []
    yield Bunch(tuple(told))


def _read(line: Line | MalformedLine, now: datetime) -> Told:
    if isinstance(line, MalformedLine):
        return Skip(line.where or "", line.what)
    try:
        return conversation_in(line.told, line.where, now)
    except ValueError as error:
        return Skip(line.where, str(error))


def conversation_in(told: Mapping[str, Json], where: str, now: datetime) -> Worked:
    """The conversation in a line of a log. Raises ValueError where there is none."""
    request = told["request"] if isinstance(told.get("request"), Mapping) else told.get("body", told)
    request = request if isinstance(request, Mapping) else told
    response = next((told[name] for name in ("response", "completion", "output") if told.get(name) is not None), None)
    if isinstance(response, Mapping) and isinstance(response.get("body"), Mapping):
        response = response["body"]
    if response is None and "choices" in told:
        response = told
    messages = (*read_messages(request), *read_answer(response))
    if not last_said(messages):
        raise ValueError("nobody answered")
    reply: Mapping[str, Any] = response if isinstance(response, Mapping) else {}
    name = text(told.get("id")) or text(reply.get("id")) or text(told.get("custom_id"))
    own = digest(KIND, name or msgspec.json.encode(messages).decode())
    tags = request.get("metadata")
    metadata: Mapping[str, Any] = tags if isinstance(tags, Mapping) else {}
    group = text(told.get("group")) or text(request.get("user")) or text(metadata.get("session_id")) or own
    conversation = Conversation(
        id=f"trj_{own}",
        kind=KIND,
        at=_moment(told, reply) or now,
        messages=messages,
        group=group,
        key=text(told.get("key")) or name or f"trj_{own}",
        model=text(reply.get("model")) or text(request.get("model")),
        usage=_usage(reply.get("usage")),
    )
    capability = text(told.get("capability")) or text(metadata.get("capability"))
    case = case_of(conversation, capability or UNSORTED)
    return Worked(
        where=where,
        capability=capability,
        case=case,
        head=head_of(conversation, case),
        steps=steps_of(conversation),
        said=last_said(messages),
        tags=metadata,
    )


def _moment(told: Mapping[str, Json], reply: Mapping[str, Json]) -> datetime | None:
    for name in _MOMENTS:
        for one in (told, reply):
            if (found := moment(one.get(name))) is not None:
                return found
    return None


def _usage(told: Json) -> Usage:
    if not isinstance(told, Mapping):
        return Usage(None, None)
    into = told.get("prompt_tokens_details")
    out = told.get("completion_tokens_details")
    return usage_of(
        told.get("prompt_tokens", told.get("input_tokens")),
        told.get("completion_tokens", told.get("output_tokens")),
        read=into.get("cached_tokens") if isinstance(into, Mapping) else None,
        reasoning=out.get("reasoning_tokens") if isinstance(out, Mapping) else None,
    )
