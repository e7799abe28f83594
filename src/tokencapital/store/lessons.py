"""Lessons as events, and their words as payloads: each is proposed, decided on and measured, and never rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, exists, select

from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.lesson import Lesson, LessonState, Measured, Wording
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.payloads import Payloads, decoded
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment, lesson_event, memory_event, passage, payload, work_case

COUNTER = "knowledge"
_MEASURED = "measured"
_PLAYBOOK = "playbook"
"""What an event is about that tells of several lessons at once."""

_STATES = {one.value: one for one in LessonState}
_DONE = {
    LessonState.APPROVED: Done.LESSON_APPROVED,
    LessonState.REJECTED: Done.LESSON_REJECTED,
    LessonState.RETIRED: Done.LESSON_RETIRED,
}
_MAY_BECOME = {
    LessonState.APPROVED: (LessonState.PROPOSED, LessonState.APPROVED),
    LessonState.REJECTED: (LessonState.PROPOSED,),
    LessonState.RETIRED: (LessonState.APPROVED,),
}


class _Sources(Struct, frozen=True, kw_only=True):
    """What a `proposed` event says beside its words."""

    judgments: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    wording: Wording = Wording.PERSON
    people: int = 0
    entities: int = 0
    out_of: int = 0
    replaces: str | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """What somebody decided on a lesson. `valid_until` belongs to an approval."""

    state: LessonState
    by: str
    at: datetime
    valid_until: datetime | None = None
    reason: str | None = None


def propose_lesson(store: Store, lesson: Lesson) -> None:
    """The lesson is proposed. Raises InputError where one of its judgments or passages may not teach."""
    with store.begin() as connection:
        _refuse_sources(connection, lesson)
        payloads = Payloads(store.key)
        sources = _Sources(
            judgments=lesson.judgments,
            passages=lesson.passages,
            wording=lesson.wording,
            people=lesson.people,
            entities=lesson.entities,
            out_of=lesson.out_of,
            replaces=lesson.replaces,
        )
        row = _row(lesson, LessonState.PROPOSED.value, lesson.at, lesson.by)
        row |= {"text_payload": payloads.add(lesson.id, lesson.text), "body": msgspec.json.encode(sources).decode()}
        payloads.write(store, connection)
        _append(store, connection, [row])


def decide_lesson(store: Store, lesson_id: str, decision: Decision) -> Lesson:
    """The lesson as it was decided. Raises InputError for an unknown one, StoreConflict where it was decided
    otherwise: only a proposal is rejected, only an approved lesson is retired; to approve again is to renew.
    """
    with store.begin() as connection:
        next_numbers(connection, COUNTER, 0)
        lesson = read_lesson(store, lesson_id)
        if lesson is None:
            raise InputError(f"no lesson {lesson_id} is stored", remedy="`tcap lesson list CAPABILITY` has their ids.")
        if lesson.decided not in _MAY_BECOME[decision.state]:
            what = f"lesson {lesson_id} is {lesson.decided} and cannot be {decision.state}"
            raise StoreConflict(what, remedy="Propose it as a new lesson.")
        if decision.state is LessonState.APPROVED and lesson.text is None:
            raise StoreConflict(f"the words of lesson {lesson_id} were erased")
        payloads = Payloads(store.key)
        row = _row(lesson, decision.state.value, decision.at, decision.by) | {"valid_until": decision.valid_until}
        if decision.reason:
            row["text_payload"] = payloads.add(lesson_id, decision.reason)
        payloads.write(store, connection)
        _append(store, connection, [row])
        decided = read_lesson(store, lesson_id)
        assert decided is not None
        act = Act(what=_DONE[decision.state], subject=lesson_id, at=decision.at, by=decision.by)
        append_audit(store, connection, act)
    return decided


def keep_measured(store: Store, capability: str, found: Sequence[Measured]) -> None:
    """What lessons turned out to be worth is on record."""
    with store.begin() as connection:
        rows = [
            {
                "lesson": one.lessons[0] if len(one.lessons) == 1 else _PLAYBOOK,
                "capability": capability,
                "kind": _MEASURED,
                "text_payload": None,
                "body": msgspec.json.encode(one).decode(),
                "valid_until": None,
                "at": one.at,
                "by": one.by,
            }
            for one in found
        ]
        _append(store, connection, rows)


def measured(store: Store, capability: str) -> list[Measured]:
    """Every measurement of the capability's lessons, oldest first."""
    query = select(lesson_event.c.body).where(lesson_event.c.capability == capability, lesson_event.c.kind == _MEASURED)
    with store.read() as connection:
        bodies = connection.execute(query.order_by(lesson_event.c.position)).scalars()
        return [msgspec.json.decode(body, type=Measured) for body in bodies]


def lessons(store: Store, capability: str) -> list[Lesson]:
    """All lessons of a capability, oldest first, whatever was decided on them."""
    with store.read() as connection:
        return _folded(connection.execute(_EVENTS.where(lesson_event.c.capability == capability)))


def read_lesson(store: Store, lesson_id: str) -> Lesson | None:
    """The lesson as it stands; None: there is none with this id."""
    with store.read() as connection:
        return next(iter(_folded(connection.execute(_EVENTS.where(lesson_event.c.lesson == lesson_id)))), None)


def read_lessons(store: Store, ids: Iterable[str]) -> list[Lesson]:
    """The lessons with these ids, oldest first."""
    with store.read() as connection:
        return read_within(connection, ids)


def lesson_groups(store: Store, ids: Iterable[str]) -> set[str]:
    """The entity groups whose judgments are behind the lessons: none of their cases may judge them."""
    found: set[str] = set()
    with store.read() as connection:
        for some in chunks(source for lesson in read_within(connection, ids) for source in lesson.judgments):
            behind = judgment.c.case_id == work_case.c.id, judgment.c.id.in_(some)
            found |= set(connection.execute(select(work_case.c.entity_group).where(*behind).distinct()).scalars())
    return found


def lessons_resting_on(connection: Connection, judgment_ids: Iterable[str]) -> list[Lesson]:
    """The lessons, whatever was decided on them, that one of these judgments is behind."""
    wanted = set(judgment_ids)
    held: set[str] = set()
    for some in chunks(wanted):
        held |= set(
            connection.execute(select(judgment.c.capability).where(judgment.c.id.in_(some)).distinct()).scalars()
        )
    found = _folded(connection.execute(_EVENTS.where(lesson_event.c.capability.in_(sorted(held))))) if held else []
    return [one for one in found if wanted & set(one.judgments)]


def passages_there(connection: Connection, ids: Iterable[str]) -> set[str]:
    """The passages whose words were not erased."""
    found: set[str] = set()
    for some in chunks(ids):
        query = select(passage.c.id).join_from(passage, payload, passage.c.payload == payload.c.digest)
        there = query.where(passage.c.id.in_(some), payload.c.erased_at.is_(None))
        found |= set(connection.execute(there).scalars())
    return found


def _refuse_sources(connection: Connection, lesson: Lesson) -> None:
    taught: set[str] = set()
    for some in chunks(lesson.judgments):
        told = exists().where(memory_event.c.judgment_id == judgment.c.id, memory_event.c.learnable)
        query = select(judgment.c.id).where(
            judgment.c.id.in_(some), judgment.c.capability == lesson.capability, told, stands()
        )
        taught |= set(connection.execute(query).scalars())
    missing = sorted(set(lesson.judgments) - taught)
    if missing:
        what = f"judgment {missing[0]} teaches nothing in `{lesson.capability}`, so that no lesson can rest on it"
        remedy = "Name judgments that stand, of a group that is not sealed, by people who had notice."
        raise InputError(what, where="lesson", remedy=remedy)
    unknown = sorted(set(lesson.passages) - passages_there(connection, lesson.passages))
    if unknown:
        raise InputError(f"no passage {unknown[0]} is stored", where="lesson")


_EVENTS: Select[Any] = (
    select(lesson_event, payload.c.body.label("words"))
    .join_from(lesson_event, payload, lesson_event.c.text_payload == payload.c.digest, isouter=True)
    .where(lesson_event.c.kind != _MEASURED)
    .order_by(lesson_event.c.position)
)


def read_within(connection: Connection, ids: Iterable[str]) -> list[Lesson]:
    """The lessons with these ids as they stand within the connection's transaction."""
    found: list[Lesson] = []
    for some in chunks(ids):
        found += _folded(connection.execute(_EVENTS.where(lesson_event.c.lesson.in_(some))))
    return found


def _folded(rows: Iterable[Row[Any]]) -> list[Lesson]:
    """The lessons as their events, in order, leave them."""
    found: dict[str, Lesson] = {}
    for row in rows:
        state = _STATES[row.kind]
        if state is LessonState.PROPOSED:
            found[row.lesson] = _proposed(row)
        elif row.lesson in found:
            found[row.lesson] = msgspec.structs.replace(
                found[row.lesson],
                decided=state,
                decided_at=row.at,
                decided_by=row.by,
                valid_until=row.valid_until if state is LessonState.APPROVED else found[row.lesson].valid_until,
            )
    return list(found.values())


def _proposed(row: Row[Any]) -> Lesson:
    sources = msgspec.json.decode(row.body, type=_Sources)
    return Lesson(
        id=row.lesson,
        capability=row.capability,
        text=None if row.words is None else decoded(row.words),
        at=row.at,
        by=row.by,
        **msgspec.structs.asdict(sources),
    )


def _row(lesson: Lesson, kind: str, at: datetime, by: str) -> dict[str, Any]:
    return {
        "lesson": lesson.id,
        "capability": lesson.capability,
        "kind": kind,
        "text_payload": None,
        "body": "{}",
        "valid_until": None,
        "at": at,
        "by": by,
    }


def _append(store: Store, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """The events are on record, and every reader learns of it before the next request."""
    if rows:
        next_numbers(connection, COUNTER, len(rows))
        store.add_new(connection, lesson_event, rows)
