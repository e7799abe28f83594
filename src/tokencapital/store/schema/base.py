"""What all tables share: types, names of constraints, columns that recur."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    TypeDecorator,
)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, whatever the database thinks of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment as it is stored. Raises ValueError for one without a zone."""
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment as it was given, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Number = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both; SQLite counts by itself only in a column that is called INTEGER."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def position() -> Column[int]:
    """A number that orders the rows of a table as they were written."""
    return Column("position", Number, primary_key=True, autoincrement=True)


def case_reference() -> Column[str]:
    """The case that a row is about."""
    return Column("case_id", String, ForeignKey("work_case.id"), nullable=False, index=True)


def payload_reference(name: str = "payload") -> Column[str]:
    """The digest of what was written, kept apart so that it can be erased."""
    return Column(name, String, ForeignKey("payload.digest"), nullable=False)


def taken() -> tuple[Column[Any], ...]:
    """What the work in a row took: joules, tokens, dollars and where their price comes from; NULL: unknown."""
    return (
        Column("joules", Float),
        Column("energy_grade", String, nullable=False),
        Column("input_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("cache_read_tokens", BigInteger, nullable=False),
        Column("cache_write_tokens", BigInteger, nullable=False),
        Column("reasoning_tokens", BigInteger, nullable=False),
        Column("cost_amount", String),
        Column("cost_currency", String),
        Column("price", String),
    )
