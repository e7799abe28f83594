"""What holds a store together: its key, its counters, and what people wrote."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary, String, Table

from tokencapital.store.schema.base import Instant, metadata

meta = Table("meta", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False))

counter = Table(
    "counter", metadata, Column("name", String, primary_key=True), Column("value", BigInteger, nullable=False)
)

payload = Table(
    "payload",
    metadata,
    Column("digest", String, primary_key=True),
    Column("body", LargeBinary),
    Column("erased_at", Instant),
    CheckConstraint("(body IS NULL) = (erased_at IS NOT NULL)", name="erased"),
    sqlite_with_rowid=False,
)
