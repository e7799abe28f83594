"""Bodies as they came: unpacked, as JSON, as server-sent events. What cannot be read is None, nothing raises."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json

DONE = b"[DONE]"
"""What ends a stream of OpenAI's chat API."""

_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MOST_BYTES = 64 << 20
"""More than this no packed body is unpacked to: a small one may hold any number of zeros."""


class Event(Struct, frozen=True):
    """One server-sent event. `name` is empty where it has none, `data` None where it is no JSON."""

    name: str
    data: Json


class Stream(Struct, frozen=True):
    """The events of a streamed answer. `done`: it ended with `[DONE]`; `garbled` counts events that are no JSON."""

    events: tuple[Event, ...]
    done: bool = False
    garbled: int = 0


def unpacked(body: bytes) -> bytes:
    """The body without gzip or deflate around it, as far as it can be read; any other body as it is."""
    if body.startswith(_GZIP):
        return _inflated(body, zlib.MAX_WBITS | 16)
    if body[:2] in _ZLIB:
        return _inflated(body, zlib.MAX_WBITS)
    return body


def is_stream(body: bytes) -> bool:
    """Whether the body is made of server-sent events, not of one JSON value."""
    start = body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"data:", b"event:", b":", b"id:", b"retry:"))


def read_json(body: bytes) -> Json:
    """The JSON value in the body; None: there is none. Broken UTF-8 and lone surrogates are replaced."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        loose = json.loads(body.decode("utf-8-sig", "replace"), parse_constant=lambda _: None)
        return msgspec.json.decode(json.dumps(loose, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in the body; None: there is none."""
    value = read_json(body)
    return value if isinstance(value, dict) else None


def read_stream(body: bytes) -> Stream:
    """The events in the body, the last one too where its blank line is missing."""
    found, done, garbled = list[Event](), False, 0
    for name, data in _events(body):
        if data.strip() == DONE:
            done = True
            continue
        value = read_json(data)
        if isinstance(value, dict):
            found.append(Event(name, value))
        else:
            garbled += 1
    return Stream(tuple(found), done, garbled)


def text(value: Json) -> str:
    """The value where it is text, else nothing."""
    return value if isinstance(value, str) else ""


def word(value: Json) -> str | None:
    """The value where it is text and not empty."""
    return value if isinstance(value, str) and value else None


def objects(value: Json) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def mapping(value: Json) -> dict[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _inflated(body: bytes, kind: int) -> bytes:
    packed = zlib.decompressobj(kind)
    try:
        return packed.decompress(body, _MOST_BYTES)
    except zlib.error:
        return body if kind == zlib.MAX_WBITS else _inflated_so_far(body, kind)


def _inflated_so_far(body: bytes, kind: int) -> bytes:
    """What can be read before the place where the packed body is broken."""
    packed, found = zlib.decompressobj(kind), bytearray()
    try:
        for start in range(0, len(body), 256):
            found += packed.decompress(body[start : start + 256], max(1, _MOST_BYTES - len(found)))
    except zlib.error:
        pass
    return bytes(found)


def _events(body: bytes) -> Iterator[tuple[str, bytes]]:
    name, data = "", list[bytes]()
    for line in body.removeprefix(b"\xef\xbb\xbf").splitlines():
        field, _, value = line.partition(b":")
        if not line:
            if data:
                yield name, b"\n".join(data)
            name, data = "", []
        elif field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip().decode("utf-8", "replace")
    if data:
        yield name, b"\n".join(data)
