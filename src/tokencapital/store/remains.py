"""What stays when words are erased: facts, counted, and the labels that other people's judgments hold."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

from tokencapital.store.database import chunks
from tokencapital.store.erasure import Scope
from tokencapital.store.payloads import decoded
from tokencapital.store.rows import stands
from tokencapital.store.schema import (
    account,
    contributor_event,
    contributor_name,
    draw,
    judgment,
    payload,
    step,
    trajectory,
    work_case,
)


def facts_about(connection: Connection, scope: Scope) -> dict[str, int]:
    """How many facts there are about what is in the scope, by what they are; they stay, without words."""
    counts = {
        "cases": _count(connection, scope.cases, lambda some: select(func.count()).where(work_case.c.id.in_(some))),
        "runs": _count(
            connection, scope.cases, lambda some: select(func.count()).where(trajectory.c.case_id.in_(some))
        ),
        "steps": _count(connection, scope.cases, lambda some: select(func.count()).where(step.c.case_id.in_(some))),
        "draws": _count(connection, scope.cases, lambda some: select(func.count()).where(draw.c.case_id.in_(some))),
        "judgments": len(scope.judgments),
    }
    if scope.contributor is not None:
        mine = scope.contributor
        for name, column in _PEOPLE.items():
            counts[name] = int(
                connection.execute(select(func.count()).select_from(column.table).where(column == mine)).scalar_one()
            )
    return counts


def has_case(connection: Connection, case_id: str) -> bool:
    """Whether a case with this id is stored."""
    return connection.execute(select(work_case.c.id).where(work_case.c.id == case_id)).first() is not None


def labels_left(connection: Connection, capability: str) -> set[str]:
    """Every label in a judgment of the capability that stands and still has its words."""
    query = (
        select(payload.c.body)
        .join_from(judgment, payload, judgment.c.payload == payload.c.digest)
        .where(judgment.c.capability == capability, payload.c.body.is_not(None), stands())
    )
    bodies = set(connection.execute(query).scalars())
    return {label for label in map(decoded, bodies) if isinstance(label, str)}


_PEOPLE = {
    "declarations": contributor_event.c.contributor,
    "names": contributor_name.c.contributor,
    "accounts": account.c.contributor,
}


def _count(connection: Connection, ids: tuple[str, ...], query: Any) -> int:
    found = 0
    for some in chunks(ids):
        asked: Select[Any] = query(some)
        found += int(connection.execute(asked).scalar_one())
    return found
