"""Erasing what was written about a case, while every fact and every count stays."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, union

from tokencapital.store.database import Store
from tokencapital.store.judgments import withdraw
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment, payload, trajectory, work_case


def erase_case(store: Store, case_id: str, *, by: str, at: datetime) -> int:
    """Nothing that was written about the case can be read again; returns how many payloads that erased.

    Its facts, its counts and the digests stay. Its judgments are withdrawn from memory.
    """
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
    erased = payload.update().where(payload.c.digest.in_(digests), payload.c.body.is_not(None))
    return connection.execute(erased.values(body=None, erased_at=at)).rowcount


def _standing_judgments(connection: Connection, case_id: str) -> list[str]:
    standing = select(judgment.c.id).where(judgment.c.case_id == case_id, stands()).order_by(judgment.c.sequence)
    return list(connection.execute(standing).scalars())
