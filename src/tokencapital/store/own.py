"""What one contributor has said, for that contributor's own eyes. Words are not among it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import exists, func, select

from tokencapital.core.judgment import Verdict
from tokencapital.store.database import Store
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment, memory_event, trajectory


class Own(Struct, frozen=True, kw_only=True):
    """A standing judgment of one's own. `run` is the newest of its case; None: there is none."""

    id: str
    capability: str
    at: datetime
    verdict: Verdict
    run: str | None


class Tally(Struct, frozen=True):
    """How many standing judgments somebody gave of a capability."""

    capability: str
    judgments: int


def own_judgments(store: Store, expert: str, most: int) -> list[Own]:
    """The newest standing judgments of a contributor, newest first."""
    newest = (
        select(func.max(trajectory.c.position))
        .where(trajectory.c.case_id == judgment.c.case_id)
        .correlate(judgment)
        .scalar_subquery()
    )
    query = (
        select(judgment, trajectory.c.id.label("run"))
        .join_from(judgment, trajectory, trajectory.c.position == newest, isouter=True)
        .where(judgment.c.expert == expert, stands())
        .order_by(judgment.c.at.desc(), judgment.c.sequence.desc())
        .limit(most)
    )
    with store.read() as connection:
        return [
            Own(id=row.id, capability=row.capability, at=row.at, verdict=Verdict(row.verdict), run=row.run)
            for row in connection.execute(query)
        ]


def own_tallies(store: Store, expert: str) -> list[Tally]:
    """How much a contributor judged, by capability."""
    query = (
        select(judgment.c.capability, func.count().label("judgments"))
        .where(judgment.c.expert == expert, stands())
        .group_by(judgment.c.capability)
        .order_by(judgment.c.capability)
    )
    with store.read() as connection:
        return [Tally(row.capability, row.judgments) for row in connection.execute(query)]


def is_own(store: Store, judgment_id: str, expert: str) -> bool:
    """Whether the judgment is the contributor's, and stands."""
    query = select(exists().where(judgment.c.id == judgment_id, judgment.c.expert == expert))
    gone = select(exists().where(memory_event.c.judgment_id == judgment_id, memory_event.c.kind == "withdrawn"))
    with store.read() as connection:
        return bool(connection.execute(query).scalar()) and not connection.execute(gone).scalar()
