"""Bodies that hold one thing or a list of them: each is taken or refused by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tokencapital.core.case import Json
from tokencapital.core.errors import InputError, TokenCapitalError
from tokencapital.serve.gateway import refuse

MOST_ITEMS = 1_000
CREATED, MULTI_STATUS = 201, 207

_Body = TypeVar("_Body")


class Items(Struct, Generic[_Body], frozen=True):
    """What a body holds, in its order; one that cannot be read is the error that says why. `single`: it is no list."""

    single: bool
    read: tuple[_Body | InputError, ...]


class Taken(Struct, frozen=True):
    """One thing that was taken, with what is answered of it."""

    told: dict[str, Json]


def split_body(body: bytes, kind: type[_Body], noun: str) -> Items[_Body]:
    """The things in a body. Raises InputError where it is no JSON, holds too many, or is a single one that is wrong."""
    try:
        raw = msgspec.json.decode(body, type=msgspec.Raw)
        parts = msgspec.json.decode(raw, type=list[msgspec.Raw]) if bytes(raw).lstrip()[:1] == b"[" else None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"the body is no {noun}: {_without_words(error)}") from error
    if parts is None:
        read = _read(raw, kind, noun)
        if isinstance(read, InputError):
            raise read
        return Items(True, (read,))
    if not parts:
        raise InputError(f"there is no {noun} in the body")
    if len(parts) > MOST_ITEMS:
        raise InputError(f"there are {len(parts)} in one body", remedy=f"Send at most {MOST_ITEMS}.")
    return Items(False, tuple(_read(part, kind, noun) for part in parts))


async def answer_items(request: Request, results: Sequence[Taken | Exception], plain: dict[str, Json]) -> Response:
    """What became of each item of a list, in order: 201 where all were taken, 207 where some were refused."""
    told = [await _told(request, one) for one in results]
    status = CREATED if all(one["status"] == CREATED for one in told) else MULTI_STATUS
    return JSONResponse({**plain, "results": told}, status)


async def _told(request: Request, one: Taken | Exception) -> dict[str, Json]:
    if isinstance(one, Taken):
        return {"status": CREATED, **one.told}
    refused = await refuse(request, one)
    body: dict[str, Any] = msgspec.json.decode(bytes(refused.body))
    return {"status": refused.status_code, **body}


def _read(part: msgspec.Raw, kind: type[_Body], noun: str) -> _Body | InputError:
    try:
        return msgspec.json.decode(part, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        return InputError(f"the body is no {noun}: {_without_words(error)}")
    except TokenCapitalError as error:
        return InputError(error.what, where=error.where, remedy=error.remedy)


def _without_words(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
