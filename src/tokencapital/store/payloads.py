"""What customers and colleagues wrote, apart from the facts and tied to them by keyed digest only.

A payload belongs to one case: the same words of two customers are two payloads, so that erasing one
customer's words leaves the other's.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from tokencapital.core.case import Json
from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store
from tokencapital.store.schema import payload

_encode = msgspec.json.Encoder().encode


class Payloads:
    """Payloads to be written together, each under the digest by which facts name it."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._bodies: dict[str, bytes] = {}

    def add(self, case_id: str, content: object) -> str:
        """The digest of `content` as a payload of the case; it is written with the others."""
        body = _encode(content)
        digest = keyed_digest(self._key, case_id.encode() + b"\x1f" + body)
        self._bodies[digest] = body
        return digest

    def write(self, store: Store, connection: Connection) -> None:
        """All payloads are stored, in the order of their digests so that two writers never wait in a ring."""
        rows = [{"digest": digest, "body": self._bodies[digest], "erased_at": None} for digest in sorted(self._bodies)]
        if rows:
            store.add_new(connection, payload, rows)


def decoded(body: bytes) -> Json:
    """The content of a payload."""
    return msgspec.json.decode(body)
