"""Logs of OpenAI's chat API: training files, and what was asked with what came back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tokencapital.core.case import Json
from tokencapital.core.errors import MalformedLine
from tokencapital.record.imports.conversation import Conversation, read_answer, read_messages, worked
from tokencapital.record.imports.lines import Line, json_lines, text
from tokencapital.record.imports.logged import logged_in
from tokencapital.record.imports.told import Skip, Source, Told, Worked, bunches, digest
from tokencapital.serve.shapes.tokens import usage_in

KIND = "chat"
_BUNCH = 200


def read_chat(path: Path, now: datetime) -> Source:
    """The conversations of a file, each a line: `messages`, or `request` and `response`, or both in one object.

    A line that does not say when it was is taken as of `now`; one that is there twice is the same conversation.
    """
    return bunches(((_read(one, now),) for one in json_lines(path, "data", "logs")), _BUNCH)


def _read(line: Line | MalformedLine, now: datetime) -> Told:
    if isinstance(line, MalformedLine):
        return Skip(line.where or "", line.what)
    try:
        return conversation_in(line.told, line.where, now)
    except ValueError as error:
        return Skip(line.where, str(error))


def conversation_in(told: Mapping[str, Json], where: str, now: datetime) -> Worked:
    """The conversation in a line of a log. Raises ValueError where there is none."""
    logged = logged_in(told)
    request, reply = logged.request, logged.reply
    messages = (*read_messages(request), *read_answer(logged.response))
    name = text(told.get("id")) or text(reply.get("id")) or text(told.get("custom_id"))
    own = digest(KIND, name or msgspec.json.encode(messages).decode())
    tags = request.get("metadata")
    metadata: Mapping[str, Any] = tags if isinstance(tags, Mapping) else {}
    conversation = Conversation(
        id=f"trj_{own}",
        kind=KIND,
        at=logged.at or now,
        messages=messages,
        group=text(told.get("group")) or text(request.get("user")) or text(metadata.get("session_id")) or own,
        key=text(told.get("key")) or name or f"trj_{own}",
        model=logged.model,
        usage=usage_in(reply.get("usage")),
    )
    return worked(conversation, where, text(told.get("capability")) or text(metadata.get("capability")), metadata)
