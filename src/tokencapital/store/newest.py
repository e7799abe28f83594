"""What the machine said last of each of many cases."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select

from tokencapital.core.case import Value
from tokencapital.store.database import Store, chunks
from tokencapital.store.payloads import decoded
from tokencapital.store.schema import payload, trajectory, work_case


def newest_answers(store: Store, case_ids: Iterable[str]) -> dict[str, Value]:
    """The newest answer to each case that was answered; None: there was a run without an answer, or it was erased."""
    found: dict[str, Value] = {}
    with store.read() as connection:
        for some in chunks(case_ids):
            newest = select(func.max(trajectory.c.position)).where(trajectory.c.case_id.in_(some))
            query = (
                select(trajectory.c.case_id, payload.c.body)
                .join_from(trajectory, payload, trajectory.c.payload == payload.c.digest)
                .where(trajectory.c.position.in_(newest.group_by(trajectory.c.case_id)))
            )
            for case_id, body in connection.execute(query):
                found[case_id] = None if body is None else decoded(body)
    return found


def newest_case(store: Store, capability: str) -> int:
    """The position of the newest case of a capability; 0: there is none."""
    query = select(func.max(work_case.c.position)).where(work_case.c.capability == capability)
    with store.read() as connection:
        return connection.execute(query).scalar() or 0
