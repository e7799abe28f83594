"""What people did, as far as reports of people may count it, and whose judgments teach nothing yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from tokencapital.core.people import Contributor
from tokencapital.store.contributors import groups_of
from tokencapital.store.database import Store, chunks
from tokencapital.store.notices import first_notices
from tokencapital.store.rows import stands
from tokencapital.store.schema import contributor_event, judgment, memory_event

_BATCH = 10_000
_STATE = (
    "SELECT value FROM counter WHERE name = 'memory'",
    "SELECT max(position) FROM notice",
    "SELECT max(position) FROM contributor_event",
)
"""What changes whenever somebody judges, takes back, is told or is declared."""


class Did(Struct, frozen=True):
    """A judgment without its words: its place in the memory, whose it is, when, and the minutes if measured."""

    sequence: int
    expert: str
    at: datetime
    minutes: float | None


class Untaught(Struct, frozen=True):
    """The standing judgments of one expert that teach nothing because the group had no notice when they were given."""

    capability: str
    expert: str
    group: str
    count: int


def judged_after(store: Store, sequence: int) -> Iterator[Did]:
    """All judgments after a place in the memory, in order, taken back or not."""
    columns = (judgment.c.sequence, judgment.c.expert, judgment.c.at, judgment.c.minutes)
    while True:
        query = select(*columns).where(judgment.c.sequence > sequence).order_by(judgment.c.sequence).limit(_BATCH)
        with store.read() as connection:
            rows = list(connection.execute(query))
        yield from (Did(*row) for row in rows)
        if len(rows) < _BATCH:
            return
        sequence = rows[-1].sequence


def declared_over_time(store: Store) -> dict[str, list[tuple[datetime, Contributor]]]:
    """For each declared contributor what they were declared as, and when, first to last."""
    found: dict[str, list[tuple[datetime, Contributor]]] = {}
    with store.read() as connection:
        for row in connection.execute(select(contributor_event).order_by(contributor_event.c.position)):
            declared = Contributor(
                pseudonym=row.contributor,
                group=row.people_group,
                team=row.team,
                fields=tuple(msgspec.json.decode(row.fields, type=list[str])),
            )
            found.setdefault(row.contributor, []).append((row.at, declared))
    return found


def all_experts(connection: Connection) -> list[str]:
    """Everybody who ever judged, by pseudonym; it costs as many look-ups as there are people."""
    least = select(func.min(judgment.c.expert).label("expert")).cte("experts", recursive=True)
    later = select(func.min(judgment.c.expert)).where(judgment.c.expert > least.c.expert).scalar_subquery()
    walked = least.union_all(select(later).where(least.c.expert.is_not(None)))
    return list(connection.execute(select(walked.c.expert).where(walked.c.expert.is_not(None))).scalars())


class UntaughtJudgments:
    """Whose judgments teach nothing for want of a notice; counted again only where that may have changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state: tuple[int, ...] = ()
        self._found: list[Untaught] = []

    def count(self) -> list[Untaught]:
        """The counts as they are now, by capability and expert. Fit for every page."""
        state = tuple(int(self._store.probe(one) or 0) for one in _STATE)
        if state != self._state:
            self._found, self._state = untaught(self._store), state
        return self._found


def untaught(store: Store) -> list[Untaught]:
    """Whose judgments are kept and teach nothing for want of a notice, by capability and expert.

    What memory has heard of all the same, before notices were asked for, is not among them.
    """
    heard = exists().where(
        memory_event.c.judgment_id == judgment.c.id, memory_event.c.kind == "judged", memory_event.c.learnable
    )
    found = []
    with store.read() as connection:
        groups = groups_of(connection, all_experts(connection))
        since = first_notices(connection)
        for some in chunks(groups):
            early = _early({one: since.get(groups[one]) for one in some})
            query = (
                select(judgment.c.capability, judgment.c.expert, func.count().label("judgments"))
                .where(early, stands(), ~heard.correlate(judgment))
                .group_by(judgment.c.capability, judgment.c.expert)
                .order_by(judgment.c.capability, judgment.c.expert)
            )
            found += [
                Untaught(row.capability, row.expert, groups[row.expert], row.judgments)
                for row in connection.execute(query)
            ]
    return found


def _early(noticed: Mapping[str, datetime | None]) -> ColumnElement[bool]:
    """Whether a judgment is older than the notice of its expert's group; where there was none, all are."""
    by_notice: dict[datetime | None, list[str]] = {}
    for expert, since in noticed.items():
        by_notice.setdefault(since, []).append(expert)
    theirs = [
        judgment.c.expert.in_(some) if since is None else and_(judgment.c.expert.in_(some), judgment.c.at < since)
        for since, some in by_notice.items()
    ]
    return or_(*theirs)
