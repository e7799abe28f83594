"""What one expert has said, for that expert's own eyes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from tokencapital.store.database import Store
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment


def count_judged(store: Store, capability: str, expert: str, since: datetime) -> int:
    """How many standing judgments the expert gave from `since` on."""
    query = select(func.count()).where(
        judgment.c.capability == capability, judgment.c.expert == expert, judgment.c.at >= since, stands()
    )
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def newest_judgment(store: Store, capability: str, expert: str, since: datetime) -> str | None:
    """The id of the expert's newest standing judgment from `since` on; None: there is none."""
    query = (
        select(judgment.c.id)
        .where(judgment.c.capability == capability, judgment.c.expert == expert, judgment.c.at >= since, stands())
        .order_by(judgment.c.sequence.desc())
        .limit(1)
    )
    with store.read() as connection:
        return connection.execute(query).scalar()
