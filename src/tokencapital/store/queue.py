"""Which draws wait for a person, kept beside the facts that decide it.

A draw waits while fewer standing judgments of its case and kind are there than draws up to it: the n-th
judgment answers the n-th draw. One that was withdrawn answers none, and the draw by which it passed the
case on counts no longer. Of a case whose words were erased nobody is asked. Whoever adds draws or judgments,
takes judgments back or erases words brings the queue up to date in the same transaction; `recount` says what
it has to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, bindparam, exists, func, or_, select

from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.store.database import Store, chunks
from tokencapital.store.rows import stands
from tokencapital.store.schema import draw, judgment, memory_event, open_draw, payload, work_case

_SOME: BindParameter[str] = bindparam("some", expanding=True)
_DRAWN = (
    select(
        draw.c.id, draw.c.position, draw.c.case_id, draw.c.capability, draw.c.kind, draw.c.asked_of, draw.c.passed_by
    )
    .join_from(draw, work_case, draw.c.case_id == work_case.c.id)
    .join(payload, work_case.c.payload == payload.c.digest)
    .where(draw.c.case_id.in_(_SOME), payload.c.erased_at.is_(None))
    .order_by(draw.c.position)
)
_STANDING = select(judgment.c.id, judgment.c.case_id, judgment.c.drawn).where(judgment.c.case_id.in_(_SOME), stands())
_OPEN = select(func.count()).select_from(open_draw)
_THERE = select(open_draw.c.draw).where(open_draw.c.case_id.in_(_SOME))


def bring_up_to_date(store: Store, connection: Connection, case_ids: Iterable[str]) -> None:
    """The queue holds exactly the waiting draws of these cases."""
    for some in chunks(case_ids):
        wanted = _waiting(connection, some)
        there = set(connection.execute(_THERE, {"some": some}).scalars())
        for gone in chunks(there - set(wanted)):
            connection.execute(open_draw.delete().where(open_draw.c.draw.in_(gone)))
        store.add_new(connection, open_draw, [_open_row(wanted[new]) for new in sorted(set(wanted) - there)])


def count_open(store: Store, capability: str, expert: str | None = None) -> int:
    """How many draws wait for anybody, and for this expert alone."""
    mine = open_draw.c.asked_of == expert
    with store.read() as connection:
        # Counted apart, each out of one index: `or` would read every row.
        return sum(
            int(connection.execute(_OPEN.where(open_draw.c.capability == capability, of)).scalar_one())
            for of in ((open_draw.c.asked_of.is_(None), mine) if expert else (open_draw.c.asked_of.is_(None),))
        )


def open_draws(store: Store, capability: str, limit: int | None = None) -> list[Draw]:
    """The draws that wait for a person, oldest first, at most `limit`."""
    return _read(store, _opened(capability).limit(limit))


def draws_for(store: Store, capability: str, expert: str | None, limit: int) -> list[Draw]:
    """Of the draws that wait for anybody, or for this expert alone (None: for anybody), the `limit` oldest."""
    return _read(store, _opened(capability).where(_for(expert)).limit(limit))


def repeats_for(store: Store, capability: str, expert: str) -> list[Draw]:
    """The draws that wait for this expert alone, oldest first."""
    return _read(store, _opened(capability).where(open_draw.c.asked_of == expert))


def find_open(store: Store, draw_id: str) -> Draw | None:
    """The draw, if it waits; None: it was answered, or there is none."""
    query = select(draw).join_from(draw, open_draw, open_draw.c.draw == draw.c.id).where(draw.c.id == draw_id)
    found = _read(store, query)
    return found[0] if found else None


def find_draw(store: Store, draw_id: str) -> Draw | None:
    """The draw, answered or not; None: there is none with this id."""
    found = _read(store, select(draw).where(draw.c.id == draw_id))
    return found[0] if found else None


def draws_of_case(store: Store, case_id: str) -> list[Draw]:
    """Every draw of a case, oldest first."""
    return _read(store, select(draw).where(draw.c.case_id == case_id).order_by(draw.c.position))


def recount(store: Store, capability: str) -> list[Draw]:
    """The draws that wait by the facts alone, oldest first: what the queue has to hold. Takes its time."""
    earlier = draw.alias("earlier")
    asked = (
        select(func.count())
        .where(
            earlier.c.case_id == draw.c.case_id,
            earlier.c.kind == draw.c.kind,
            earlier.c.position <= draw.c.position,
            _counts(earlier.c.passed_by),
        )
        .correlate(draw)
        .scalar_subquery()
    )
    answered = (
        select(func.count())
        .where(judgment.c.case_id == draw.c.case_id, judgment.c.drawn == draw.c.kind, stands())
        .correlate(draw)
        .scalar_subquery()
    )
    query = (
        select(draw)
        .join_from(draw, work_case, draw.c.case_id == work_case.c.id)
        .join(payload, work_case.c.payload == payload.c.digest)
        .where(draw.c.capability == capability, payload.c.erased_at.is_(None))
        .where(_counts(draw.c.passed_by), asked > answered)
    )
    return _read(store, query.order_by(draw.c.position))


def draw_of(row: Row[Any]) -> Draw:
    """The draw in a row of the table."""
    return Draw(
        id=row.id,
        case=row.case_id,
        capability=row.capability,
        kind=DrawKind(row.kind),
        probability=row.probability,
        at=row.at,
        asked_of=row.asked_of,
        passed_by=row.passed_by,
    )


def _opened(capability: str) -> Select[Any]:
    return (
        select(draw)
        .join_from(open_draw, draw, open_draw.c.draw == draw.c.id)
        .where(open_draw.c.capability == capability)
        .order_by(open_draw.c.position)
    )


def _for(expert: str | None) -> ColumnElement[bool]:
    return or_(open_draw.c.asked_of.is_(None), open_draw.c.asked_of == expert)


def _counts(passed_by: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a draw counts: the judgment that passed its case on was not withdrawn."""
    return ~exists().where(memory_event.c.judgment_id == passed_by, memory_event.c.kind == "withdrawn")


def _read(store: Store, query: Select[Any]) -> list[Draw]:
    with store.read() as connection:
        return [draw_of(row) for row in connection.execute(query)]


def _waiting(connection: Connection, case_ids: list[str]) -> dict[str, Any]:
    """The draws of these cases that wait by the facts, by id."""
    standing = list(connection.execute(_STANDING, {"some": case_ids}))
    known = {row.id for row in standing}
    answered = Counter((row.case_id, row.drawn) for row in standing)
    asked: Counter[tuple[str, str]] = Counter()
    waiting: dict[str, Any] = {}
    for row in connection.execute(_DRAWN, {"some": case_ids}):
        if row.passed_by is not None and row.passed_by not in known:
            continue
        of = (row.case_id, row.kind)
        asked[of] += 1
        if asked[of] > answered[of]:
            waiting[row.id] = row
    return waiting


def _open_row(row: Row[Any]) -> dict[str, Any]:
    return {
        "draw": row.id,
        "position": row.position,
        "case_id": row.case_id,
        "capability": row.capability,
        "kind": row.kind,
        "asked_of": row.asked_of,
    }
