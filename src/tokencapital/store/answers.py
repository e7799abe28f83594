"""What the machine had answered when people judged it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from tokencapital.core.case import Value
from tokencapital.store.database import Store, chunks
from tokencapital.store.payloads import decoded
from tokencapital.store.schema import payload, trajectory


def answers_before(store: Store, judged_at: Mapping[str, datetime]) -> dict[str, Value]:
    """The newest answer to each case up to the time it was judged; cases that were never answered are left out."""
    found: dict[str, Value] = {}
    with store.read() as connection:
        for some in chunks(judged_at):
            query = (
                select(trajectory.c.case_id, trajectory.c.at, payload.c.body)
                .join_from(trajectory, payload, trajectory.c.payload == payload.c.digest)
                .where(trajectory.c.case_id.in_(some))
                .order_by(trajectory.c.position)
            )
            for case_id, at, body in connection.execute(query):
                if at <= judged_at[case_id]:
                    found[case_id] = None if body is None else decoded(body)
    return found
