"""Adding many rows quickly: the statement is compiled once, and rows go to the driver as they are.

SQLAlchemy's own executemany spends more on the parameters of a row than SQLite does on storing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Table

from tokencapital.store.schema import Instant

_TEXT_LENGTH = len("2026-01-31 09:30:00.000000")


class Insertion:
    """Adds rows to one table and leaves alone those whose key is there already."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        statement = _insert_new(table, dialect.name)
        columns = [column.name for column in table.columns if column is not table.autoincrement_column]
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup if dialect.positional else None
        instants = [column.name for column in table.columns if isinstance(column.type, Instant)]
        self._text_instants = instants if dialect.name == "sqlite" else []
        self._together = None if dialect.name == "sqlite" else _insert_together(table, dialect, columns)
        self._columns = columns

    def add(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
        """How many of the rows were new. Each row names every column that the database does not count."""
        if not rows:
            return 0
        for name in self._text_instants:
            for row in rows:
                row[name] = _text(row[name])
        if self._together is not None and len(rows) > 1:
            arrays = {name: [row[name] for row in rows] for name in self._columns}
            return connection.exec_driver_sql(self._together, arrays).rowcount
        order = self._order
        values = list(rows) if order is None else [tuple([row[name] for name in order]) for row in rows]
        return connection.exec_driver_sql(self._sql, values).rowcount


def _insert_together(table: Table, dialect: Dialect, columns: Sequence[str]) -> str:
    """One statement for all rows, each column an array: PostgreSQL's driver would send each row by itself."""
    quote = dialect.identifier_preparer.quote
    arrays = (f"%({name})s::{table.c[name].type.compile(dialect)}[]" for name in columns)
    return (
        f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, columns))}) "  # noqa: S608 (names from our own schema)
        f"SELECT * FROM unnest({', '.join(arrays)}) ON CONFLICT DO NOTHING"
    )


def _insert_new(table: Table, dialect: str) -> Insert:
    """Only the dialect in use is loaded: each costs time at the start."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


def _text(moment: datetime | None) -> str | None:
    """A moment as SQLAlchemy writes it on SQLite: in UTC, without saying so."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(" ", "microseconds")[:_TEXT_LENGTH]
