"""Contributors by pseudonym: their groups, teams and fields. Their names stand in a table of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from tokencapital.core.errors import InputError
from tokencapital.core.people import EVERYONE, Contributor
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import contributor_event

_NEWEST = select(func.max(contributor_event.c.position)).group_by(contributor_event.c.contributor)


def add_contributor(store: Store, declared: Contributor, *, by: str, at: datetime) -> None:
    """The contributor is as declared from now on. Raises InputError where a name is empty."""
    if not declared.pseudonym.strip() or not declared.group.strip() or not by.strip():
        raise InputError("a contributor needs a pseudonym, a group, and who declares them")
    row = {
        "contributor": declared.pseudonym,
        "people_group": declared.group,
        "team": declared.team,
        "fields": msgspec.json.encode(declared.fields).decode(),
        "at": at,
        "by": by,
    }
    with store.begin() as connection:
        connection.execute(contributor_event.insert(), row)


def contributors(store: Store) -> list[Contributor]:
    """Everybody who was declared, as last declared, by pseudonym."""
    query = select(contributor_event).where(contributor_event.c.position.in_(_NEWEST))
    with store.read() as connection:
        found = [_contributor_of(row) for row in connection.execute(query)]
    return sorted(found, key=lambda one: one.pseudonym)


def read_contributor(store: Store, pseudonym: str) -> Contributor:
    """The contributor as last declared; of the group `everyone` where they never were."""
    with store.read() as connection:
        return declared_contributors(connection, [pseudonym]).get(pseudonym) or Contributor(pseudonym=pseudonym)


def declared_contributors(connection: Connection, pseudonyms: Iterable[str]) -> dict[str, Contributor]:
    """Those of the contributors who were declared, as last declared."""
    found: dict[str, Contributor] = {}
    for some in chunks(pseudonyms):
        query = select(contributor_event).where(contributor_event.c.contributor.in_(some))
        for row in connection.execute(query.order_by(contributor_event.c.position)):
            found[row.contributor] = _contributor_of(row)
    return found


def groups_of(connection: Connection, pseudonyms: Iterable[str]) -> dict[str, str]:
    """The group of each contributor; `everyone` where nobody declared them."""
    asked = set(pseudonyms)
    declared = declared_contributors(connection, asked)
    return {one: declared[one].group if one in declared else EVERYONE for one in asked}


def _contributor_of(row: Row[Any]) -> Contributor:
    return Contributor(
        pseudonym=row.contributor,
        group=row.people_group,
        team=row.team,
        fields=tuple(msgspec.json.decode(row.fields, type=list[str])),
    )
