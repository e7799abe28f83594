"""What the company knows in words: documents by version, their passages, lessons, and marks to look again."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from tokencapital.store.schema.base import Instant, metadata, payload_reference, position

document_event = Table(
    "document_event",
    metadata,
    position(),
    Column("document", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("title", String, nullable=False),
    Column("source", String, nullable=False),
    Column("media", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Index(None, "document", "version"),
)

passage = Table(
    "passage",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("document", String, nullable=False, index=True),
    payload_reference(),
)

document_passage = Table(
    "document_passage",
    metadata,
    Column("document", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("passage", String, ForeignKey("passage.id"), nullable=False, index=True),
    Column("heading", String, nullable=False),
)

lesson_event = Table(
    "lesson_event",
    metadata,
    position(),
    Column("lesson", String, nullable=False, index=True),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("text_payload", String, ForeignKey("payload.digest")),
    Column("body", Text, nullable=False),
    Column("valid_until", Instant),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Index(None, "capability", "position"),
)

mark_event = Table(
    "mark_event",
    metadata,
    position(),
    Column("subject", String, nullable=False, index=True),
    Column("subject_kind", String, nullable=False),
    Column("capability", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("because", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Index(None, "capability", "position"),
)
