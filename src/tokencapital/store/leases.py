"""Who has which draw in hand: what one person looks at is offered to nobody else for a while.

Taking is one statement that the database carries out for one holder at a time, whatever thread, process
or machine asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import lease, open_draw

LEASE = timedelta(minutes=5)
"""So long a draw that was shown to one person is shown to nobody else."""


class Lease(Struct, frozen=True):
    """A draw in somebody's hand, `since` it was first shown to them, `until` it is anybody's again."""

    draw: str
    holder: str
    since: datetime
    until: datetime


def take(store: Store, draws: Sequence[str], holder: str, now: datetime) -> Lease | None:
    """The first of the draws, at most some hundreds, that waits and that nobody else has in hand, now in hand.

    None: all were answered or are in others' hands.
    """
    with store.begin() as connection:
        connection.execute(lease.delete().where(lease.c.until <= now))
        waiting = set(connection.execute(select(open_draw.c.draw).where(open_draw.c.draw.in_(draws))).scalars())
        for one in (one for one in draws if one in waiting):
            row = {"draw": one, "holder": holder, "since": now, "until": now + LEASE}
            mine = connection.execute(_upsert(connection, row, holder)).first()
            if mine is not None:
                return _lease_of(mine)
    return None


def leases_held(store: Store, now: datetime) -> dict[str, Lease]:
    """The leases that are in force, by draw."""
    with store.read() as connection:
        rows = connection.execute(select(lease).where(lease.c.until > now))
        return {row.draw: _lease_of(row) for row in rows}


def lease_in_hand(store: Store, capability: str, holder: str, now: datetime) -> Lease | None:
    """The lease that the holder has on an open draw of the capability; None: their hands are empty."""
    held = (
        select(lease).where(lease.c.holder == holder, lease.c.until > now).order_by(lease.c.since.desc(), lease.c.draw)
    )
    with store.read() as connection:
        mine = {row.draw: row for row in connection.execute(held)}
        there = select(open_draw.c.draw).where(open_draw.c.draw.in_(mine), open_draw.c.capability == capability)
        waiting = set(connection.execute(there).scalars()) if mine else set()
    return next((_lease_of(row) for draw, row in mine.items() if draw in waiting), None)


def find_lease(connection: Connection, draw: str, now: datetime) -> Lease | None:
    """The lease that is in force on a draw; None: nobody has it in hand."""
    row = connection.execute(select(lease).where(lease.c.draw == draw, lease.c.until > now)).first()
    return _lease_of(row) if row else None


def give_back(connection: Connection, draws: Iterable[str]) -> None:
    """Nobody has the draws in hand any more."""
    for some in chunks(draws):
        connection.execute(lease.delete().where(lease.c.draw.in_(some)))


def empty_hands(connection: Connection, holder: str, capability: str) -> None:
    """The holder has no draw of the capability in hand any more."""
    mine = connection.execute(select(lease.c.draw).where(lease.c.holder == holder)).scalars().all()
    there = select(open_draw.c.draw).where(open_draw.c.draw.in_(mine), open_draw.c.capability == capability)
    give_back(connection, connection.execute(there).scalars().all() if mine else [])


def _upsert(connection: Connection, row: dict[str, Any], holder: str) -> Any:
    """Puts the draw into the holder's hand unless it is in another's; who has it already keeps its beginning."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        mine = sqlite.insert(lease).values(row)
        return mine.on_conflict_do_update(
            index_elements=[lease.c.draw], set_={"until": mine.excluded.until}, where=lease.c.holder == holder
        ).returning(lease)
    from sqlalchemy.dialects import postgresql

    ours = postgresql.insert(lease).values(row)
    return ours.on_conflict_do_update(
        index_elements=[lease.c.draw], set_={"until": ours.excluded.until}, where=lease.c.holder == holder
    ).returning(lease)


def _lease_of(row: Row[Any]) -> Lease:
    return Lease(row.draw, row.holder, row.since, row.until)
