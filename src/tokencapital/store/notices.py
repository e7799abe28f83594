"""What groups of people were told and agreed to. Without a notice their judgments are kept and teach nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, func, select

from tokencapital.core.people import Notice, NoticeKind
from tokencapital.store.contributors import groups_of
from tokencapital.store.database import Store
from tokencapital.store.schema import notice


def notices(store: Store, group: str | None = None) -> list[Notice]:
    """What was recorded for a group (None: for all), in the order in which it was recorded."""
    query = select(notice).order_by(notice.c.position)
    with store.read() as connection:
        rows = connection.execute(query if group is None else query.where(notice.c.people_group == group))
        return [_notice_of(row) for row in rows]


def has_agreed(store: Store, group: str, now: datetime) -> bool:
    """Whether an agreement of the group is in force: probes and hidden repeats wait for one."""
    return any(one.kind is NoticeKind.AGREEMENT and one.given_on <= now for one in notices(store, group))


class Saying(Protocol):
    """What is known of a judgment, or of its row."""

    @property
    def id(self) -> str:
        """The judgment's id."""
        ...

    @property
    def expert(self) -> str:
        """Who gave it."""
        ...

    @property
    def at(self) -> datetime:
        """When."""
        ...


def may_teach(connection: Connection, judgments: Iterable[Saying]) -> set[str]:
    """The ids of the judgments that were given on or after the day on which their expert's group had notice."""
    said = list(judgments)
    groups = groups_of(connection, {one.expert for one in said})
    since = first_notices(connection)
    return {one.id for one in said if groups[one.expert] in since and since[groups[one.expert]] <= one.at}


def write_notice(store: Store, connection: Connection, given: Notice) -> bool:
    """Whether the notice was new; one whose id is there already changes nothing."""
    row = {
        "id": given.id,
        "people_group": given.group,
        "kind": given.kind.value,
        "text": given.text,
        "terms": given.terms,
        "given_on": given.given_on,
        "at": given.at,
        "by": given.by,
    }
    return store.add_new(connection, notice, [row]) == 1


def first_notices(connection: Connection) -> dict[str, datetime]:
    """The day on which each group first had notice; an agreement is more than a notice, and counts as one."""
    first = select(notice.c.people_group, func.min(notice.c.given_on).label("given_on")).group_by(notice.c.people_group)
    return {row.people_group: row.given_on for row in connection.execute(first)}


def _notice_of(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        group=row.people_group,
        kind=NoticeKind(row.kind),
        text=row.text,
        terms=row.terms,
        given_on=row.given_on,
        at=row.at,
        by=row.by,
    )
