"""Cases, what was done on them, and what the business saw."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Index, Integer, String, Table, Text

from tokencapital.store.schema.base import Instant, case_reference, metadata, payload_reference, position, taken

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
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("given_group", String, nullable=False),
    Column("entity_group", String, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("business_key", String, nullable=False),
    Column("input_key", String, nullable=False),
    payload_reference(),
    Index(None, "capability", "position"),
    Index(None, "capability", "business_key"),
)

trajectory = Table(
    "trajectory",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    case_reference(),
    Column("capability", String, nullable=False),
    Column("at", Instant, nullable=False),
    payload_reference(),
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
    *taken(),
    Column("release", String),
    Column("generalist", String),
    Column("failure", String),
    Column("false_citations", Integer, nullable=False, server_default="0"),
    Index(None, "capability", "position"),
)

answer_basis = Table(
    "answer_basis",
    metadata,
    Column("basis", String, primary_key=True),
    Column("trajectory", String, primary_key=True),
    Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

outcome = Table(
    "outcome",
    metadata,
    position(),
    Column("id", String, nullable=False, unique=True),
    Column("capability", String, nullable=False),
    Column("business_key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("value", String, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "capability", "business_key"),
)
