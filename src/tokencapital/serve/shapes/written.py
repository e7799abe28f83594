"""A capability's own answer, as it is written in any wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Exchange
from tokencapital.core.case import Json, Value
from tokencapital.core.knowledge import Citation
from tokencapital.core.quantity import Usage


class Written(Struct, frozen=True, kw_only=True):
    """What is written: `content` is the answer's text, `model` the name by which the caller asked for it.

    `tells_usage`: a streamed answer ends with the tokens, where the wire leaves that to the caller.
    """

    id: str
    at: datetime
    model: str
    content: str
    usage: Usage
    citations: Sequence[Citation] = ()
    tells_usage: bool = False

    @property
    def created(self) -> int:
        """When, in seconds."""
        return int(self.at.timestamp())


def written(exchange: Exchange, model: str, *, tells_usage: bool = False) -> Written:
    """What an engine made of a case, as it goes out."""
    done = exchange.trajectory
    return Written(
        id=done.id,
        at=done.at,
        model=model,
        content=write_value(done.answer.value),
        usage=done.usage,
        citations=exchange.citations,
        tells_usage=tells_usage,
    )


def write_value(value: Value) -> str:
    """An answer as the content of a message: a label or text as it is, an object as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def cited(answer: Written) -> dict[str, Any]:
    """What the answer cites, beside it, where it cites something."""
    return {"citations": [msgspec.to_builtins(one) for one in answer.citations]} if answer.citations else {}


def event(body: dict[str, Json], *, named: bool = True) -> bytes:
    """A server-sent event, `named` by the type of its body."""
    name = f"event: {body['type']}\n".encode() if named else b""
    return name + b"data: " + msgspec.json.encode(body) + b"\n\n"


Pieces = Iterator[bytes]
"""The events of a streamed answer."""
