"""What of a capability can be carried to another store, and how it is written there.

Judged cases keep their ids and their order; their numbers in the memory are given anew. Nobody's name or
pseudonym goes along, no reason that somebody wrote, and of a judgment that was taken back only its case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Table, select

from tokencapital.core.case import Case
from tokencapital.core.errors import StoreConflict
from tokencapital.core.judgment import Draw, DrawKind, JudgedCase, Judgment
from tokencapital.core.knowledge import Document, Passage
from tokencapital.core.lesson import Lesson, LessonState, Wording
from tokencapital.store.cases import record_cases
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import (
    TAKEN_BACK_BEFORE,
    Change,
    MemoryEventKind,
    append_judgments,
    leave_sealed,
    memory_events,
    withdraw_all,
)
from tokencapital.store.knowledge import COUNTER, DocumentEvent
from tokencapital.store.manifest import Departure
from tokencapital.store.payloads import Payloads
from tokencapital.store.playbook import approved_lessons
from tokencapital.store.schema import document_event, document_passage, judgment, lesson_event, passage, work_case

_UNASKED = frozenset({DrawKind.VOLUNTEERED, DrawKind.IN_WORK})
NO_ANSWER = ""
"""Stands for the answer of a judgment that was taken back."""


class Carried(Struct, frozen=True):
    """A judged case of the memory, its judgment's validity as last decided; `taken_back`: it says nothing any more."""

    case: Case
    judgment: Judgment
    taken_back: bool = False


class CarriedLesson(Struct, frozen=True, kw_only=True):
    """A lesson that holds, with the ids of the judgments that it came from."""

    id: str
    text: str
    judgments: tuple[str, ...]
    wording: Wording
    people: int
    entities: int
    valid_until: datetime | None


def carried_memory(store: Store, capability: str) -> list[Carried]:
    """The judged cases that a memory of the capability holds, in its order; erased ones are not among them."""
    found: dict[str, Carried] = {}
    for event in memory_events(store, capability, after=0):
        known = found.get(event.judgment_id)
        if event.kind is MemoryEventKind.JUDGED:
            if known is None and event.judged is not None and event.judged.judgment.answer is not None:
                found[event.judgment_id] = Carried(event.judged.case, _without_words(event.judged.judgment))
        elif known is not None and not known.taken_back:
            found[event.judgment_id] = _changed(known, event.kind, event.valid_until)
    return list(found.values())


def carried_lessons(store: Store, capability: str, now: datetime) -> list[CarriedLesson]:
    """The lessons that hold at the time `now`."""
    return [
        CarriedLesson(
            id=one.id,
            text=one.text,
            judgments=one.judgments,
            wording=one.wording,
            people=one.people,
            entities=one.entities,
            valid_until=one.valid_until,
        )
        for one in approved_lessons(store, capability, now)
        if one.text is not None
    ]


def refuse_known(connection: Connection, carried: Sequence[Carried], lessons: Sequence[CarriedLesson]) -> None:
    """Raises StoreConflict where one of the ids is in the store already."""
    columns = [
        (work_case, "id", {one.case.id for one in carried}),
        (judgment, "id", {one.judgment.id for one in carried}),
        (lesson_event, "lesson", {one.id for one in lessons}),
    ]
    for table, column, ids in columns:
        known = _known(connection, table, column, ids)
        if known is not None:
            raise StoreConflict(
                f"{table.name} {known} is in this store already", remedy="Import the bundle into another store."
            )


def write_memory(store: Store, connection: Connection, carried: Sequence[Carried], change: Change) -> dict[int, int]:
    """The judged cases are in the memory in their order; returns the new number of each old one.

    Their groups are in `train` for good.
    """
    cases = list({one.case.id: one.case for one in carried}.values())
    places = record_cases(store, connection, cases)
    why = Departure(change.at, change.by, "carried here as learned from")
    leave_sealed(store, connection, {place.group for place in places}, why)
    said = write_judgments(store, carried)
    withdraw_all(
        store,
        [one.judgment.id for one in carried if one.taken_back],
        Change(change.by, change.at, TAKEN_BACK_BEFORE),
    )
    return {old.judgment.sequence: new.sequence for old, new in zip(carried, said, strict=True)}


def write_judgments(store: Store, carried: Sequence[Carried]) -> list[Judgment]:
    """The judgments of cases that are stored, with their new numbers; each drawn one answers a draw of its own."""
    append_draws(store, [_draw(one) for one in carried if one.judgment.drawn not in _UNASKED])
    return append_judgments(store, [msgspec.structs.replace(one.judgment, sequence=0) for one in carried])


def as_lesson(carried: CarriedLesson, capability: str, change: Change) -> Lesson:
    """The lesson as it is proposed in the store that it comes to."""
    return Lesson(
        id=carried.id,
        capability=capability,
        text=carried.text,
        at=change.at,
        by=change.by,
        judgments=carried.judgments,
        wording=carried.wording,
        people=carried.people,
        entities=carried.entities,
        decided=LessonState.PROPOSED,
    )


def write_document(
    store: Store, connection: Connection, document: Document, passages: Sequence[Passage], change: Change
) -> None:
    """The document is on record as it stood, under its id and those of its passages; who imports it owns it."""
    next_numbers(connection, COUNTER, 1)
    payloads = Payloads(store.key)
    words = [
        {"id": one.id, "document": document.id, "payload": payloads.add(document.id, one.text)} for one in passages
    ]
    payloads.write(store, connection)
    store.add_new(connection, passage, list({row["id"]: row for row in words}.values()))
    placed = [
        {"document": document.id, "version": document.version, "ordinal": one.ordinal}
        | {"passage": one.id, "heading": one.heading}
        for one in passages
    ]
    store.add_new(connection, document_passage, placed)
    said = msgspec.structs.asdict(document) | {"owner": change.by, "at": change.at, "by": change.by}
    row = {column.name: said.get(column.name) for column in document_event.columns if column.name != "position"}
    row |= {"document": document.id, "kind": DocumentEvent.ADDED.value, "media": document.media.value}
    store.add_new(connection, document_event, [row])


def known_passages(connection: Connection, ids: Iterable[str]) -> str | None:
    """One of the passages that is in the store already; None: none is."""
    return _known(connection, passage, "id", set(ids))


def renumbered(sequence: int, numbers: Mapping[int, int]) -> int:
    """The state of the new memory that answers as the old one did at `sequence`."""
    earlier = [new for old, new in numbers.items() if old <= sequence]
    return max(earlier, default=min(numbers.values(), default=1) - 1)


def carried_sealed(judged: Iterable[JudgedCase]) -> list[Carried]:
    """Sealed judged cases as they are carried where their words are to go along."""
    return [Carried(one.case, _without_words(one.judgment)) for one in judged]


def _without_words(said: Judgment) -> Judgment:
    return msgspec.structs.replace(said, reason=None)


def _changed(known: Carried, kind: MemoryEventKind, valid_until: datetime | None) -> Carried:
    if kind is MemoryEventKind.WITHDRAWN:
        return Carried(known.case, msgspec.structs.replace(known.judgment, answer=NO_ANSWER), taken_back=True)
    return Carried(known.case, msgspec.structs.replace(known.judgment, valid_until=valid_until))


def _draw(one: Carried) -> Draw:
    return Draw(
        id=f"{one.judgment.id}-draw",
        case=one.case.id,
        capability=one.judgment.capability,
        kind=one.judgment.drawn,
        probability=one.judgment.probability,
        at=one.judgment.at,
    )


def _known(connection: Connection, table: Table, column: str, ids: Iterable[str]) -> str | None:
    for some in chunks(ids):
        query = select(table.c[column]).where(table.c[column].in_(some)).limit(1)
        found: str | None = connection.execute(query).scalar()
        if found is not None:
            return found
    return None
