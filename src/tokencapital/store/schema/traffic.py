"""What went through the gateway or was told from elsewhere: steps, how they find their trajectory, spans, keys."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text

from tokencapital.store.schema.base import Instant, metadata, position, taken

step = Table(
    "step",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("trajectory", String, nullable=False, index=True),
    Column("case_id", String, ForeignKey("work_case.id"), nullable=False, index=True),
    Column("capability", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("source", String, nullable=False),
    Column("parent", String),
    Column("application", String),
    Column("provider", String),
    Column("model", String),
    Column("ending", String, nullable=False),
    Column("elapsed_s", Float, nullable=False),
    Column("first_s", Float),
    *taken(),
    Column("failure", String),
    Column("response", String, index=True),
    Column("payload", String, ForeignKey("payload.digest")),
    Column("details", Text, nullable=False),
    Index(None, "capability", "position"),
)

join_key = Table(
    "join_key",
    metadata,
    Column("key", String, primary_key=True),
    Column("trajectory", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("around", String, nullable=False),
    Column("standing", Integer, nullable=False),
    sqlite_with_rowid=False,
)

span = Table(
    "span",
    metadata,
    Column("trace", String, primary_key=True),
    Column("span", String, primary_key=True),
    Column("parent", String),
    Column("at", Instant, nullable=False),
    Column("application", String),
    Column("payload", String, ForeignKey("payload.digest"), nullable=False),
    sqlite_with_rowid=False,
)

trace_state = Table(
    "trace_state",
    metadata,
    Column("trace", String, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("rooted", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("made", Integer, nullable=False),
    Index(None, "waiting", "seen_at"),
    sqlite_with_rowid=False,
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String, primary_key=True),
    Column("application", String, nullable=False, index=True),
    Column("digest", String, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

spending = Table(
    "spending",
    metadata,
    Column("limit", String, primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("replica", String, primary_key=True),
    Column("leased", String, nullable=False),
    Column("spent", String, nullable=False),
    Column("until", Instant, nullable=False),
)

import_cursor = Table(
    "import_cursor",
    metadata,
    Column("source", String, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
