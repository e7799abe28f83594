"""Who has said what of which cases, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import select

from tokencapital.store.database import Store, chunks
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment


class Timed(Struct, frozen=True):
    """When a judgment was given, and the minutes that it took (None: nobody measured)."""

    at: datetime
    minutes: float | None


def judged_since(store: Store, capability: str, expert: str, since: datetime) -> list[Timed]:
    """The expert's standing judgments from `since` on, newest first."""
    query = (
        select(judgment.c.at, judgment.c.minutes)
        .where(judgment.c.capability == capability, judgment.c.expert == expert, judgment.c.at >= since, stands())
        .order_by(judgment.c.at.desc(), judgment.c.sequence.desc())
    )
    with store.read() as connection:
        return [Timed(row.at, row.minutes) for row in connection.execute(query)]


def judges_of(store: Store, case_ids: Iterable[str]) -> dict[str, set[str]]:
    """Who has judged each of the cases, withdrawn judgments left out; cases that nobody judged are not in it."""
    found: dict[str, set[str]] = {}
    with store.read() as connection:
        for some in chunks(case_ids):
            query = select(judgment.c.case_id, judgment.c.expert).where(judgment.c.case_id.in_(some), stands())
            for case_id, expert in connection.execute(query):
                found.setdefault(case_id, set()).add(expert)
    return found


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
