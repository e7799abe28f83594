"""What customers and colleagues wrote, apart from the facts and tied to them by keyed digest only.

A payload belongs to one case: the same words of two customers are two payloads, so that erasing one
customer's words leaves the other's.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, select, union

from tokencapital.core.case import Json
from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store
from tokencapital.store.schema import judgment, memory_event, payload, trajectory, work_case

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


def erase_case(store: Store, case_id: str, *, by: str, at: datetime) -> int:
    """Nothing that was written about the case can be read again; returns how many payloads that erased.

    Its facts, its counts and the digests stay. Its judgments are withdrawn from memory.
    """
    from tokencapital.store.judgments import withdraw

    with store.begin() as connection:
        for judgment_id in _standing_judgments(connection, case_id):
            withdraw(store, judgment_id, by=by, at=at, reason="erased")
        return _erase(connection, case_id, at)


def _erase(connection: Connection, case_id: str, at: datetime) -> int:
    mine = union(
        select(work_case.c.payload).where(work_case.c.id == case_id),
        select(trajectory.c.payload).where(trajectory.c.case_id == case_id),
        select(judgment.c.payload).where(judgment.c.case_id == case_id),
        select(judgment.c.reason_payload).where(judgment.c.case_id == case_id),
    )
    digests = [digest for (digest,) in connection.execute(mine) if digest is not None]
    statement = payload.update().where(payload.c.digest == bindparam("of"), payload.c.body.is_not(None))
    changed = [connection.execute(statement.values(body=None, erased_at=at), {"of": digest}) for digest in digests]
    return sum(result.rowcount for result in changed)


def _standing_judgments(connection: Connection, case_id: str) -> list[str]:
    gone = select(memory_event.c.judgment_id).where(memory_event.c.kind == "withdrawn")
    standing = select(judgment.c.id).where(judgment.c.case_id == case_id, judgment.c.id.not_in(gone))
    return list(connection.execute(standing.order_by(judgment.c.sequence)).scalars())


def decoded(body: bytes) -> Json:
    """The content of a payload."""
    return msgspec.json.decode(body)
