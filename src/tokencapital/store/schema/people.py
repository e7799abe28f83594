"""Who works here: contributors by pseudonym, their names apart, accounts, and what they were told."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, LargeBinary, String, Table, Text

from tokencapital.store.schema.base import Instant, Number, metadata, position

contributor_event = Table(
    "contributor_event",
    metadata,
    position(),
    Column("contributor", String, nullable=False, index=True),
    Column("people_group", String, nullable=False, index=True),
    Column("team", String, nullable=False),
    Column("fields", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

contributor_name = Table(
    "contributor_name",
    metadata,
    Column("contributor", String, primary_key=True),
    Column("name", String, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("login", String, primary_key=True),
    Column("contributor", String, nullable=False, index=True),
    Column("roles", Text, nullable=False),
    Column("secret", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

web_session = Table(
    "web_session",
    metadata,
    Column("digest", String, primary_key=True),
    Column("login", String, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

notice = Table(
    "notice",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("people_group", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("given_on", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("what", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index(None, "subject"),
)
