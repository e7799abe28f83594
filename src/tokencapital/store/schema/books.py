"""The ledger."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from tokencapital.store.schema.base import Instant, Number, metadata, position

ledger_commodity = Table(
    "ledger_commodity",
    metadata,
    Column("commodity", String, primary_key=True),
    Column("scale", Integer, nullable=False),
)

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("memo", String, nullable=False),
    Column("capability", String),
    Column("release", String),
    Column("reference", String, unique=True),
    Column("reverses", String, ForeignKey("ledger_transaction.id"), unique=True),
    Index(None, "capability", "position"),
)

ledger_posting = Table(
    "ledger_posting",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("transaction_id", String, ForeignKey("ledger_transaction.id"), nullable=False, index=True),
    Column("account", String, nullable=False),
    Column("commodity", String, ForeignKey("ledger_commodity.commodity"), nullable=False),
    Column("quantity", BigInteger, nullable=False),
)

COMMODITY_SCALES = {"USD": 9, "TOK": 0, "JOULE": 3, "MINUTE": 3}
"""Decimal places of a minor unit: a USD quantity of 1 is a billionth of a dollar."""
