"""Looking for erased words as bytes: in a store's files, in a bundle, in what was printed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import select

from tokencapital.core.case import Json
from tokencapital.store.copies import strings_of
from tokencapital.store.database import Store
from tokencapital.store.payloads import decoded
from tokencapital.store.schema import artifact, payload

WINDOW = 12
"""Characters that are looked for at once: long enough to be nobody else's by chance."""


def payload_bodies(store: Store) -> dict[str, bytes]:
    """Every payload that has content, by digest."""
    with store.read() as connection:
        rows = connection.execute(select(payload.c.digest, payload.c.body).where(payload.c.body.is_not(None)))
        return {digest: bytes(body) for digest, body in rows}


def lost_words(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> set[str]:
    """Pieces of what was erased between the two that nobody else's payload holds."""
    kept = "\n".join(string for body in after.values() for string in _strings(decoded(body)))
    gone = (string for digest, body in before.items() if digest not in after for string in _strings(decoded(body)))
    return {piece for piece in pieces_of(gone) if piece not in kept}


def pieces_of(strings: Iterable[str]) -> Iterator[str]:
    """The strings in pieces of WINDOW characters; shorter ones are left out."""
    for string in strings:
        for start in range(0, len(string) - WINDOW + 1, WINDOW):
            yield string[start : start + WINDOW]


def traces(pieces: Iterable[str], *places: bytes) -> list[str]:
    """The pieces that are in one of the places, as UTF-8, as escaped JSON, or as UTF-16."""
    found = []
    for piece in pieces:
        forms = {piece.encode(), json.dumps(piece)[1:-1].encode(), piece.encode("utf-16-le")}
        if any(form in place for form in forms for place in places):
            found.append(piece)
    return found


def file_bytes(path: str | Path) -> bytes:
    """The bytes of a SQLite store: its file and what lies beside it under its name."""
    here = Path(path)
    return b"\0".join(one.read_bytes() for one in sorted(here.parent.glob(f"{here.name}*")) if one.is_file())


def artifact_bytes(store: Store) -> bytes:
    """The content of all artifacts, unpacked: a database may cut it into pages."""
    with store.read() as connection:
        bodies = [bytes(body) for body in connection.execute(select(artifact.c.body)).scalars()]
    return b"\0".join(part for body in bodies for part in unpacked(body))


def unpacked(body: bytes) -> Iterator[bytes]:
    """The bytes, and where they are an archive those of every part, parts that are archives included."""
    yield body
    if zipfile.is_zipfile(io.BytesIO(body)):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield from unpacked(archive.read(name))


def _strings(value: Json) -> Iterator[str]:
    """Every string of a payload, names of fields included."""
    yield from strings_of(value)
    if isinstance(value, dict):
        yield from value
