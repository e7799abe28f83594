"""By what calls find the conversation that they go on with: keyed digests, which tell nothing by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import IntEnum

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select

from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import join_key

_LOCK = 0x7463_6A6E


class Standing(IntEnum):
    """Whether a conversation still stands where a key says."""

    MOVED = 0
    """It went on from here."""
    STANDS = 1
    PERHAPS = 2
    """It or another that stood in the same place went on; nobody can tell which."""


class JoinKey(Struct, frozen=True, kw_only=True):
    """A digest by which a trajectory is found: of a case, of a provider's answer, of where its conversation stands.

    `around` is a digest of what stood around the conversation, to tell apart two that read the same.
    """

    key: str
    trajectory: str
    at: datetime
    around: str = ""
    standing: Standing = Standing.STANDS


def one_joins_at_a_time(store: Store, connection: Connection) -> None:
    """Other replicas that join calls wait from here until this transaction ends, and see what it has joined."""
    if store.dialect == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def find_joins(connection: Connection, keys: Iterable[str]) -> dict[str, list[JoinKey]]:
    """What is known under each of the keys, oldest first; keys that nothing is known of are left out."""
    found: defaultdict[str, list[JoinKey]] = defaultdict(list)
    for some in chunks(keys):
        query = select(join_key).where(join_key.c.key.in_(some)).order_by(join_key.c.at, join_key.c.trajectory)
        for row in connection.execute(query):
            one = JoinKey(
                key=row.key,
                trajectory=row.trajectory,
                at=row.at,
                around=row.around,
                standing=Standing(row.standing),
            )
            found[row.key].append(one)
    return dict(found)


def add_joins(store: Store, connection: Connection, joins: Sequence[JoinKey]) -> int:
    """How many of the keys were new; the others are left as they are."""
    rows = [
        {
            "key": one.key,
            "trajectory": one.trajectory,
            "at": one.at,
            "around": one.around,
            "standing": int(one.standing),
        }
        for one in sorted(joins, key=lambda one: (one.key, one.trajectory))
    ]
    return store.add_new(connection, join_key, rows)


def move_joins(connection: Connection, joins: Sequence[JoinKey]) -> None:
    """Each key of a trajectory stands as it is given here."""
    if joins:
        changes = [
            {"of_key": one.key, "of_trajectory": one.trajectory, "now": int(one.standing)}
            for one in sorted(joins, key=lambda one: (one.key, one.trajectory))
        ]
        connection.execute(_MOVE, changes)


def drop_joins(connection: Connection, joins: Sequence[JoinKey]) -> None:
    """These keys lead to these trajectories no more."""
    if joins:
        connection.execute(_DROP, [{"of_key": one.key, "of_trajectory": one.trajectory} for one in joins])


def forget_joins(connection: Connection, trajectories: Collection[str]) -> None:
    """Nothing leads to these trajectories any more."""
    for some in chunks(trajectories):
        connection.execute(delete(join_key).where(join_key.c.trajectory.in_(some)))


_OWN = (join_key.c.key == bindparam("of_key")) & (join_key.c.trajectory == bindparam("of_trajectory"))
_DROP = delete(join_key).where(_OWN)
_MOVE = join_key.update().where(_OWN).values(standing=bindparam("now"))
