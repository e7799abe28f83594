"""API keys of applications, of which only digests are kept. Each change is an act in the audit chain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select

from tokencapital.core.access import ApiKey, Scope
from tokencapital.core.case import Json
from tokencapital.core.errors import InputError
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.database import Store
from tokencapital.store.schema import account, api_key

_STATE = "SELECT value FROM counter WHERE name = 'audit'"


class Entry(Struct, frozen=True):
    """All that decides who may come in: the `keys` that were ever made, by digest, and whether there are `accounts`."""

    keys: Mapping[str, ApiKey]
    accounts: bool


def entry_state(store: Store) -> int:
    """A number that is another one after any change of keys or accounts: fit for many times a second."""
    return int(store.probe(_STATE) or 0)


def read_entry(store: Store) -> Entry:
    """All keys, and whether any account was ever made."""
    with store.read() as connection:
        keys = {row.digest: _key_of(row) for row in connection.execute(select(api_key))}
        accounts = connection.execute(select(account.c.login).limit(1)).first() is not None
    return Entry(keys, accounts)


def keys_made(store: Store, application: str | None = None) -> list[ApiKey]:
    """All keys that were ever made, of one application or of all, oldest first within each."""
    query = select(api_key).order_by(api_key.c.application, api_key.c.at, api_key.c.id)
    if application is not None:
        query = query.where(api_key.c.application == application)
    with store.read() as connection:
        return [_key_of(row) for row in connection.execute(query)]


def add_key(store: Store, key: ApiKey, digest: str) -> None:
    """The key opens what its scopes name to whoever has the secret with this digest."""
    with store.begin() as connection:
        _insert(connection, key, digest)
        _act(store, connection, key, Done.KEY_ADDED, {"scopes": sorted(key.scopes)})


def rotate_key(store: Store, old: str, key: ApiKey, digest: str, until: datetime) -> ApiKey:
    """The new key is there, and the old one ends `until` at the latest; returns the old one as it is now.

    Raises InputError where there is no such key, or it opens nothing any more.
    """
    with store.begin() as connection:
        known = _known(connection, old)
        reason = known.why_refused(key.at)
        if reason is not None:
            raise InputError(f"{reason}, there is nothing to rotate", where=old, remedy="Make one: `tcap key add`.")
        _insert(connection, key, digest)
        ends = until if known.expires_at is None else min(until, known.expires_at)
        connection.execute(api_key.update().where(api_key.c.id == old).values(expires_at=ends))
        _act(store, connection, key, Done.KEY_ROTATED, {"rotated": old, "scopes": sorted(key.scopes)})
        return _known(connection, old)


def revoke_key(store: Store, key: str, at: datetime, by: str) -> ApiKey:
    """The key opens nothing any more; revoking twice changes nothing. Raises InputError where there is none."""
    with store.begin() as connection:
        known = _known(connection, key)
        if known.revoked_at is not None:
            return known
        connection.execute(api_key.update().where(api_key.c.id == key).values(revoked_at=at))
        _act(store, connection, msgspec.structs.replace(known, at=at, by=by), Done.KEY_REVOKED, {})
        return _known(connection, key)


def _insert(connection: Connection, key: ApiKey, digest: str) -> None:
    scopes = msgspec.json.encode(sorted(key.scopes)).decode()
    connection.execute(api_key.insert(), msgspec.structs.asdict(key) | {"digest": digest, "scopes": scopes})


def _act(store: Store, connection: Connection, key: ApiKey, what: Done, body: Mapping[str, Json]) -> None:
    append_audit(store, connection, Act(what=what, subject=key.id, at=key.at, by=key.by, body=body))


def _known(connection: Connection, key: str) -> ApiKey:
    row = connection.execute(select(api_key).where(api_key.c.id == key)).first()
    if row is None:
        raise InputError("there is no such key", where=key, remedy="See `tcap key list`; a key is named by its id.")
    return _key_of(row)


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        application=row.application,
        scopes=frozenset(msgspec.json.decode(row.scopes, type=list[Scope])),
        at=row.at,
        by=row.by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
