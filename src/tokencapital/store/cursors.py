"""How far imports have come, each under the name of its source."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from tokencapital.store.database import Store
from tokencapital.store.schema import import_cursor


def read_cursor(store: Store, source: str) -> str | None:
    """How far the import of the source has come, in its own words; None: it never began."""
    with store.read() as connection:
        found: str | None = connection.execute(
            select(import_cursor.c.cursor).where(import_cursor.c.source == source)
        ).scalar()
    return found


def set_cursor(connection: Connection, source: str, cursor: str, at: datetime) -> None:
    """The import of the source has come so far, if the transaction that stored what it brought is kept."""
    connection.execute(delete(import_cursor).where(import_cursor.c.source == source))
    connection.execute(import_cursor.insert(), {"source": source, "cursor": cursor, "at": at})
