"""The names of contributors, apart from all else: they may be changed and erased, and nothing else refers to them."""

from __future__ import annotations

from sqlalchemy import select

from tokencapital.core.errors import InputError
from tokencapital.store.database import Store
from tokencapital.store.schema import contributor_name


def name_contributor(store: Store, pseudonym: str, name: str) -> None:
    """The contributor is called this; what they were called before is not kept. Raises InputError for no name."""
    if not pseudonym.strip() or not name.strip():
        raise InputError("a name needs a pseudonym to stand for, and a letter or more")
    with store.begin() as connection:
        connection.execute(contributor_name.delete().where(contributor_name.c.contributor == pseudonym))
        connection.execute(contributor_name.insert(), {"contributor": pseudonym, "name": name.strip()})


def erase_name(store: Store, pseudonym: str) -> bool:
    """Whether there was a name; there is none now."""
    with store.begin() as connection:
        gone = connection.execute(contributor_name.delete().where(contributor_name.c.contributor == pseudonym))
        return gone.rowcount > 0


def name_of(store: Store, pseudonym: str) -> str | None:
    """What the contributor is called; None: not known, or erased. For their own eyes and an admin's."""
    query = select(contributor_name.c.name).where(contributor_name.c.contributor == pseudonym)
    with store.read() as connection:
        return connection.execute(query).scalar()


def names(store: Store) -> dict[str, str]:
    """All names by pseudonym. For an admin's eyes."""
    with store.read() as connection:
        rows = connection.execute(select(contributor_name).order_by(contributor_name.c.contributor))
        return {row.contributor: row.name for row in rows}
