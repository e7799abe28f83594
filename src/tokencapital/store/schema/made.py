"""What the company wants, and what was made, proven and released for it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from tokencapital.store.schema.base import Instant, metadata, position

capability_event = Table(
    "capability_event",
    metadata,
    position(),
    Column("capability", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

goal_event = Table(
    "goal_event",
    metadata,
    position(),
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
    Column("erased_at", Instant),
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
    position(),
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

rebuild_event = Table(
    "rebuild_event",
    metadata,
    position(),
    Column("artifact", String, ForeignKey("artifact.digest"), nullable=False, index=True),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("because", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

swap_test = Table(
    "swap_test",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Index(None, "capability", "position"),
)
