"""Marks on lessons and judgments that somebody should look at again, because what they rest on has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, select

from tokencapital.store.database import Store
from tokencapital.store.schema import mark_event

RAISED, CLEARED = "raised", "cleared"


class Subject(StrEnum):
    """What can be marked."""

    LESSON = "lesson"
    JUDGMENT = "judgment"


class Mark(Struct, frozen=True, kw_only=True):
    """A lesson or a judgment to look at again. `because` is the id of what changed, such as a passage."""

    subject: str
    kind: Subject
    capability: str
    because: str
    at: datetime
    by: str


def raise_marks(store: Store, connection: Connection, marks: Iterable[Mark]) -> None:
    """The marks stand until somebody has looked."""
    store.add_new(connection, mark_event, [_row(one, RAISED) for one in marks])


def clear_mark(store: Store, mark: Mark, *, by: str, at: datetime) -> None:
    """Somebody has looked: no mark stands on the subject until another is raised."""
    with store.begin() as connection:
        store.add_new(connection, mark_event, [_row(mark, CLEARED) | {"at": at, "by": by}])


def open_marks(store: Store, capability: str, kind: Subject | None = None) -> list[Mark]:
    """The marks that stand in a capability, oldest first; one that was raised twice for one reason is given once."""
    query = select(mark_event).where(mark_event.c.capability == capability).order_by(mark_event.c.position)
    if kind is not None:
        query = query.where(mark_event.c.subject_kind == kind.value)
    standing: dict[tuple[str, str], Mark] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            if row.kind == CLEARED:
                standing = {key: mark for key, mark in standing.items() if mark.subject != row.subject}
                continue
            mark = Mark(
                subject=row.subject,
                kind=Subject(row.subject_kind),
                capability=row.capability,
                because=row.because,
                at=row.at,
                by=row.by,
            )
            standing.setdefault((mark.subject, mark.because), mark)
    return list(standing.values())


def marked(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    """The marks by what they stand on."""
    found: dict[str, list[Mark]] = {}
    for mark in marks:
        found.setdefault(mark.subject, []).append(mark)
    return found


def _row(mark: Mark, kind: str) -> dict[str, object]:
    return {
        "subject": mark.subject,
        "subject_kind": mark.kind.value,
        "capability": mark.capability,
        "kind": kind,
        "because": mark.because,
        "at": mark.at,
        "by": mark.by,
    }
