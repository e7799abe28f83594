"""What rests on passages: judgments whose experts cited them, lessons that name them, and marks when they go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from tokencapital.core.errors import InputError
from tokencapital.core.lesson import LessonState
from tokencapital.store.database import Store, chunks
from tokencapital.store.lessons import lessons, passages_there
from tokencapital.store.marks import Mark, Subject, raise_marks
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment, judgment_basis, lesson_event

_LOOKED_AFTER = frozenset({LessonState.PROPOSED, LessonState.APPROVED})


def record_basis(store: Store, connection: Connection, judgment_id: str, passages: Iterable[str]) -> None:
    """The judgment rests on these passages. Raises InputError where one of them is not stored."""
    named = sorted(set(passages))
    unknown = sorted(set(named) - passages_there(connection, named))
    if unknown:
        what = f"no passage {unknown[0]} is stored, or its words were erased"
        raise InputError(what, where=f"judgment {judgment_id}")
    store.add_new(connection, judgment_basis, [{"judgment_id": judgment_id, "passage": one} for one in named])


def basis_of(store: Store, judgment_id: str) -> list[str]:
    """The passages that a judgment rests on."""
    query = select(judgment_basis.c.passage).where(judgment_basis.c.judgment_id == judgment_id)
    with store.read() as connection:
        return list(connection.execute(query.order_by(judgment_basis.c.passage)).scalars())


def mark_resting_on(
    store: Store, connection: Connection, passages: Iterable[str], *, by: str, at: datetime
) -> Sequence[Mark]:
    """The lessons and standing judgments that rest on these passages are marked, to be looked at again."""
    gone = set(passages)
    marks = [*_judgments(connection, gone, by, at), *_lessons(store, connection, gone, by, at)] if gone else []
    raise_marks(store, connection, marks)
    return marks


def _judgments(connection: Connection, gone: set[str], by: str, at: datetime) -> list[Mark]:
    found = []
    for some in chunks(gone):
        query = (
            select(judgment.c.id, judgment.c.capability, judgment_basis.c.passage)
            .join_from(judgment, judgment_basis, judgment.c.id == judgment_basis.c.judgment_id)
            .where(judgment_basis.c.passage.in_(some), stands())
            .order_by(judgment.c.sequence, judgment_basis.c.passage)
        )
        found += [
            Mark(subject=row.id, kind=Subject.JUDGMENT, capability=row.capability, because=row.passage, at=at, by=by)
            for row in connection.execute(query)
        ]
    return found


def _lessons(store: Store, connection: Connection, gone: set[str], by: str, at: datetime) -> list[Mark]:
    capabilities = list(connection.execute(select(lesson_event.c.capability).distinct()).scalars())
    return [
        Mark(subject=one.id, kind=Subject.LESSON, capability=one.capability, because=passage, at=at, by=by)
        for capability in sorted(capabilities)
        for one in lessons(store, capability)
        if one.state_at(at) in _LOOKED_AFTER
        for passage in one.passages
        if passage in gone
    ]
