"""The tables. Rows are facts and only ever added; `payload` can be erased and `counter` counts."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_VERSION = "0001"
"""The newest migration: what `Store.open` brings a store up to."""


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


def _position() -> Column[int]:
    """A number that orders the rows of a table as they were written."""
    return Column("position", Number, primary_key=True, autoincrement=True)


def _case() -> Column[str]:
    return Column("case_id", String, ForeignKey("work_case.id"), nullable=False, index=True)


def _payload(name: str = "payload") -> Column[str]:
    return Column(name, String, ForeignKey("payload.digest"), nullable=False)


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

group_manifest = Table(
    "group_manifest",
    metadata,
    Column("entity_group", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("split", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("looks", Integer, nullable=False),
    CheckConstraint("ordinal = 0 OR (ordinal = 1 AND split = 'train')", name="leaves_once"),
    sqlite_with_rowid=False,
)

input_group = Table(
    "input_group",
    metadata,
    Column("input_key", String, primary_key=True),
    Column("entity_group", String, nullable=False),
    sqlite_with_rowid=False,
)

work_case = Table(
    "work_case",
    metadata,
    _position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("given_group", String, nullable=False),
    Column("entity_group", String, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("business_key", String, nullable=False),
    Column("input_key", String, nullable=False),
    _payload(),
    Index(None, "capability", "position"),
)

trajectory = Table(
    "trajectory",
    metadata,
    _position(),
    Column("id", String, nullable=False, unique=True),
    _case(),
    Column("capability", String, nullable=False),
    Column("at", Instant, nullable=False),
    _payload(),
    Column("stage", String, nullable=False),
    Column("source", String),
    Column("confidence", Float),
    Column("fields", Text),
    Column("because", Text, nullable=False),
    Column("policy", String, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("elapsed_s", Float, nullable=False),
    Column("joules", Float),
    Column("energy_grade", String, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_amount", String),
    Column("cost_currency", String),
    Column("release", String),
    Column("generalist", String),
    Column("price", String),
    Column("failure", String),
    Index(None, "capability", "position"),
)

judgment = Table(
    "judgment",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),
    _case(),
    Column("capability", String, nullable=False, index=True),
    Column("expert", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("verdict", String, nullable=False),
    _payload(),
    Column("drawn", String, nullable=False),
    Column("probability", Float),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant),
    Column("reason_payload", String, ForeignKey("payload.digest")),
    Column("minutes", Float),
)

memory_event = Table(
    "memory_event",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("judgment_id", String, ForeignKey("judgment.id"), nullable=False, index=True),
    Column("capability", String, nullable=False),
    Column("learnable", Boolean, nullable=False),
    Column("valid_until", Instant),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String),
    Index(None, "capability", "sequence"),
)

sealed_batch = Table(
    "sealed_batch",
    metadata,
    Column("id", String, primary_key=True),
    Column("capability", String, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    UniqueConstraint("capability", "ordinal"),
)

sealed_member = Table(
    "sealed_member",
    metadata,
    Column("case_id", String, ForeignKey("work_case.id"), primary_key=True),
    Column("batch", String, ForeignKey("sealed_batch.id"), nullable=False, index=True),
    Column("sequence", BigInteger, nullable=False),
)

sealed_look = Table(
    "sealed_look",
    metadata,
    Column("batch", String, ForeignKey("sealed_batch.id"), primary_key=True),
    Column("comparison", Integer, primary_key=True, autoincrement=False),
    Column("candidate", String, nullable=False),
    Column("live", String),
    Column("alpha", Float, nullable=False),
    Column("at", Instant, nullable=False),
)

sealed_retirement = Table(
    "sealed_retirement",
    metadata,
    Column("batch", String, ForeignKey("sealed_batch.id"), primary_key=True),
    Column("looks", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

draw = Table(
    "draw",
    metadata,
    _position(),
    Column("id", String, nullable=False, unique=True),
    _case(),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("probability", Float),
    Column("at", Instant, nullable=False),
    Index(None, "capability", "position"),
)

outcome = Table(
    "outcome",
    metadata,
    _position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("business_key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("value", String, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "capability", "business_key"),
)

capability_event = Table(
    "capability_event",
    metadata,
    _position(),
    Column("capability", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

goal_event = Table(
    "goal_event",
    metadata,
    _position(),
    Column("capability", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

artifact = Table(
    "artifact",
    metadata,
    Column("digest", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("recipe", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

artifact_lineage = Table(
    "artifact_lineage",
    metadata,
    Column("digest", String, ForeignKey("artifact.digest"), primary_key=True),
    Column("sequence", BigInteger, ForeignKey("memory_event.sequence"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

policy = Table(
    "policy",
    metadata,
    Column("hash", String, primary_key=True),
    Column("capability", String, nullable=False),
    Column("body", Text, nullable=False),
)

release = Table(
    "release",
    metadata,
    _position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("policy", String, ForeignKey("policy.hash"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("lane", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("parent", String),
    Column("decided_by", String, nullable=False),
    Index(None, "capability", "position"),
)

loop_turn = Table(
    "loop_turn",
    metadata,
    Column("capability", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("judgments", Integer, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("release", String),
    Column("facts", Text, nullable=False),
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("policy", String, primary_key=True),
    Column("memory", BigInteger, primary_key=True, autoincrement=False),
    Column("generalist", String, primary_key=True),
    Column("seed", BigInteger, primary_key=True, autoincrement=False),
    Column("scorer", String, primary_key=True),
    Column("case_id", String, primary_key=True),
    Column("result", Text, nullable=False),
    sqlite_with_rowid=False,
)

ledger_commodity = Table(
    "ledger_commodity",
    metadata,
    Column("commodity", String, primary_key=True),
    Column("scale", Integer, nullable=False),
)

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    _position(),
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

CHANGEABLE = frozenset({"payload", "counter"})
"""Tables whose rows may change: payloads by erasure alone (never back), counters upwards."""
