"""Who is logged in. Of a session's token only a digest is kept, so that a copy of the store opens no door."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import or_, select

from tokencapital.core.people import Role
from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store
from tokencapital.store.schema import account, web_session


class Held(Struct, frozen=True, kw_only=True):
    """A session of an active account: whose it is, what they may do, and when it was last seen and ends."""

    login: str
    contributor: str
    roles: frozenset[Role]
    seen_at: datetime
    expires_at: datetime


def start_session(store: Store, token: str, login: str, at: datetime, expires_at: datetime) -> None:
    """Whoever holds the token is logged in."""
    row = {
        "digest": _digest(store, token),
        "login": login,
        "at": at,
        "seen_at": at,
        "expires_at": expires_at,
    }
    with store.begin() as connection:
        connection.execute(web_session.insert(), row)


def read_session(store: Store, token: str) -> Held | None:
    """The session of a token; None: there is none, or its account is disabled. It may be over: see its times."""
    query = (
        select(web_session, account.c.contributor, account.c.roles)
        .join_from(web_session, account, web_session.c.login == account.c.login)
        .where(web_session.c.digest == _digest(store, token), account.c.active)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Held(
        login=row.login,
        contributor=row.contributor,
        roles=frozenset(msgspec.json.decode(row.roles, type=list[Role])),
        seen_at=row.seen_at,
        expires_at=row.expires_at,
    )


def see_session(store: Store, token: str, at: datetime) -> None:
    """The session was in use at this time."""
    with store.begin() as connection:
        which = web_session.c.digest == _digest(store, token)
        connection.execute(web_session.update().where(which).values(seen_at=at))


def end_session(store: Store, token: str) -> None:
    """Nobody is logged in by this token any more."""
    with store.begin() as connection:
        connection.execute(web_session.delete().where(web_session.c.digest == _digest(store, token)))


def end_sessions(store: Store, login: str) -> None:
    """Nobody is logged in under this login any more."""
    with store.begin() as connection:
        connection.execute(web_session.delete().where(web_session.c.login == login))


def forget_sessions(store: Store, seen_before: datetime, now: datetime) -> None:
    """Sessions that are over leave no row behind."""
    over = or_(web_session.c.expires_at <= now, web_session.c.seen_at <= seen_before)
    with store.begin() as connection:
        connection.execute(web_session.delete().where(over))


def _digest(store: Store, token: str) -> str:
    return keyed_digest(store.key, b"session\0" + token.encode())
