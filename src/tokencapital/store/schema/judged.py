"""What people were asked and said, what memory hears of it, and what is kept for the gate."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from tokencapital.store.schema.base import Instant, case_reference, metadata, payload_reference, position

judgment = Table(
    "judgment",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),
    case_reference(),
    Column("capability", String, nullable=False),
    Column("expert", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("verdict", String, nullable=False),
    payload_reference(),
    Column("drawn", String, nullable=False),
    Column("probability", Float),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant),
    Column("reason_payload", String, ForeignKey("payload.digest")),
    Column("minutes", Float),
    Column("blind", Boolean, nullable=False, server_default=false()),
    Index(None, "expert", "at"),
    Index(None, "capability", "sequence"),
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

draw = Table(
    "draw",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    case_reference(),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("probability", Float),
    Column("at", Instant, nullable=False),
    Column("asked_of", String),
    Column("passed_by", String),
    Index(None, "capability", "position"),
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

open_draw = Table(
    "open_draw",
    metadata,
    Column("draw", String, ForeignKey("draw.id"), primary_key=True),
    Column("position", BigInteger, nullable=False),
    case_reference(),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("asked_of", String, index=True),
    Index(None, "capability", "position"),
    Index(None, "capability", "asked_of"),
)

lease = Table(
    "lease",
    metadata,
    Column("draw", String, ForeignKey("draw.id"), primary_key=True),
    Column("holder", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
)

conflict_event = Table(
    "conflict_event",
    metadata,
    position(),
    Column("conflict", String, nullable=False, index=True),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason_payload", String, ForeignKey("payload.digest")),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Index(None, "capability", "position"),
)

judgment_basis = Table(
    "judgment_basis",
    metadata,
    Column("judgment_id", String, ForeignKey("judgment.id"), primary_key=True),
    Column("passage", String, ForeignKey("passage.id"), primary_key=True, index=True),
)
