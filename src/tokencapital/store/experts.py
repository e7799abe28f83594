"""Who has said what of which cases, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import exists, select

from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.split import Split
from tokencapital.store.database import Store, chunks
from tokencapital.store.manifest import splits_of
from tokencapital.store.rows import stands
from tokencapital.store.schema import draw, judgment, work_case

_ANSWERS = tuple(one.value for one in Verdict if one.answers)


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


def once_answered(
    store: Store, capability: str, expert: str, since: datetime, until: datetime
) -> list[tuple[str, str]]:
    """The expert's standing answers in `train` groups from `since` to `until`, as (judgment, case), oldest first.

    Cases that were put before somebody once more are left out.
    """
    again = exists().where(draw.c.case_id == judgment.c.case_id, draw.c.kind == DrawKind.REPEAT.value)
    query = (
        select(judgment.c.id, judgment.c.case_id, work_case.c.entity_group)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .where(judgment.c.capability == capability, judgment.c.expert == expert)
        .where(judgment.c.at >= since, judgment.c.at < until, judgment.c.verdict.in_(_ANSWERS))
        .where(stands(), ~again.correlate(judgment), judgment.c.drawn != DrawKind.IN_WORK.value)
        .order_by(judgment.c.at, judgment.c.sequence)
    )
    with store.read() as connection:
        rows = list(connection.execute(query))
        splits = splits_of(connection, {row.entity_group for row in rows})
    return [(row.id, row.case_id) for row in rows if splits[row.entity_group] is Split.TRAIN]


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
