"""Words that a store of schema 0001 kept among its facts: they become payloads, or go, so that they can be erased."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import sqlalchemy as sa

from tokencapital.core.split import keyed_digest

FIXED = ("erased", "undone")
"""Reasons of a retraction that nobody wrote."""
WORDS = "payload "
_QUOTED = re.compile(r"['\"].*", re.DOTALL)
_ENDPOINT = re.compile(r"(the endpoint answered \d+).*", re.DOTALL)
_WRONG_SHAPE = "the answer is not what was asked for"


def move_words(connection: sa.Connection) -> None:
    """Reasons of retractions are payloads of their cases; failures quote no model and no server any more."""
    key = connection.execute(sa.text("SELECT value FROM meta WHERE name = 'key'")).scalar()
    if key is None:
        return
    with _unguarded(connection, "memory_event"):
        _move_reasons(connection, bytes.fromhex(key))
    with _unguarded(connection, "trajectory"):
        _cut_failures(connection)


def without_quotes(failure: str) -> str:
    """The failure up to what it quotes."""
    told = _ENDPOINT.sub(r"\1", failure)
    kept = _QUOTED.sub("", told).rstrip(" :.")
    if kept == told.rstrip(" :."):
        return told
    return kept if len(kept.split(": ")) > 1 else f"{kept}: {_WRONG_SHAPE}".lstrip(": ")


def _move_reasons(connection: sa.Connection, key: bytes) -> None:
    rows = connection.execute(
        sa.text(
            "SELECT m.sequence, m.reason, j.case_id FROM memory_event AS m JOIN judgment AS j ON j.id = m.judgment_id "
            "WHERE m.kind = 'withdrawn' AND m.reason IS NOT NULL"
        )
    ).all()
    payload = sa.table("payload", sa.column("digest"), sa.column("body", sa.LargeBinary), sa.column("erased_at"))
    for row in rows:
        if row.reason in FIXED or row.reason.startswith(WORDS):
            continue
        body = msgspec.json.encode(row.reason)
        digest = keyed_digest(key, row.case_id.encode() + b"\x1f" + body)
        there = connection.execute(sa.select(payload.c.digest).where(payload.c.digest == digest)).first()
        if there is None:
            connection.execute(payload.insert(), {"digest": digest, "body": body, "erased_at": None})
        connection.execute(
            sa.text("UPDATE memory_event SET reason = :reason WHERE sequence = :sequence"),
            {"reason": f"{WORDS}{digest}", "sequence": row.sequence},
        )


def _cut_failures(connection: sa.Connection) -> None:
    rows = connection.execute(sa.text("SELECT id, failure FROM trajectory WHERE failure IS NOT NULL")).all()
    for row in rows:
        cut = without_quotes(row.failure)
        if cut != row.failure:
            connection.execute(
                sa.text("UPDATE trajectory SET failure = :failure WHERE id = :id"), {"failure": cut, "id": row.id}
            )


@contextmanager
def _unguarded(connection: sa.Connection, table: str) -> Iterator[None]:
    """The table may be changed within the block, as only a migration may change facts."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_update"))
        yield
        connection.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER {table}_update"))
        return
    found = sa.text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = :name")
    guard = connection.execute(found, {"name": f"{table}_update"}).scalar_one()
    connection.execute(sa.text(f"DROP TRIGGER {table}_update"))
    yield
    connection.exec_driver_sql(guard)
