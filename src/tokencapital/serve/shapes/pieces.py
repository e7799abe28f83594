"""What is read of the two halves of a call before they are put together."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import Usage
from tokencapital.serve.shapes.bodies import mapping
from tokencapital.serve.shapes.parts import kept

_CODE = re.compile(r"[\w.\-]{1,64}")


class Said(Struct, frozen=True, kw_only=True):
    """What a request says."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Json, ...] = ()
    parameters: Mapping[str, Json] = {}
    model: str | None = None
    previous: str | None = None


class Came(Struct, frozen=True, kw_only=True):
    """What an answer says; `choices` holds the messages of each choice, in the order of their indices."""

    choices: tuple[tuple[Message, ...], ...] = ()
    usage: Usage = Usage(None, None)
    model: str | None = None
    response: str | None = None
    finish: str | None = None
    failure: str | None = None


def parameters(body: Mapping[str, Json], spoken: frozenset[str]) -> dict[str, Json]:
    """What the caller set besides what is spoken."""
    return {key: kept(value) for key, value in body.items() if key not in spoken}


def arguments(value: Json) -> str:
    """The arguments of a tool call as JSON text; text stays as the model wrote it."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(kept(value)).decode() if value is not None else "{}"


def error_code(body: Mapping[str, Json]) -> str | None:
    """An error by its type and code, without anybody's words; None: the body holds no error."""
    error = body.get("error")
    if not error:
        return None
    said = mapping(error)
    names = (said.get("type"), said.get("code"), said.get("status"), body.get("type"))
    known = [str(one) for one in names if isinstance(one, str | int) and _CODE.fullmatch(str(one))]
    return " ".join(dict.fromkeys(one for one in known if one != "error")) or "an error"
