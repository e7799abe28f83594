"""What people did, as a chain: each act names the one before it, so that none can be changed, dropped or moved unseen.

Bodies hold ids and counts, never names or words. The end of the chain is unprotected against whoever can
write the store, until its head is kept elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select

from tokencapital.core.case import Json
from tokencapital.core.clock import utc
from tokencapital.core.errors import InputError
from tokencapital.store.database import Store, next_numbers
from tokencapital.store.schema import audit_event

COUNTER = "audit"
_BYTES = 32
BEGINNING = bytes(_BYTES)
"""What the first act names as the one before it."""


class Done(StrEnum):
    """What a person did."""

    NOTICE_RECORDED = "notice recorded"
    CONTRIBUTOR_DECLARED = "contributor declared"
    RETRACTED = "retracted"
    ERASED = "erased"
    CONFLICT_SETTLED = "conflict settled"
    LESSON_APPROVED = "lesson approved"
    LESSON_REJECTED = "lesson rejected"
    LESSON_RETIRED = "lesson retired"
    CAPABILITY_DECLARED = "capability declared"
    GOAL_DECLARED = "goal declared"
    MODE_RAISED = "mode raised"
    MODE_LOWERED = "mode lowered"
    ROLLED_BACK = "rolled back"
    SWAP_TEST_RUN = "swap test run"
    BUNDLE_EXPORTED = "bundle exported"
    BUNDLE_IMPORTED = "bundle imported"
    ACCOUNT_ADDED = "account added"
    ACCOUNT_CHANGED = "account changed"
    ACCOUNT_DISABLED = "account disabled"
    KEY_ADDED = "key added"
    KEY_ROTATED = "key rotated"
    KEY_REVOKED = "key revoked"
    DOCUMENT_ADDED = "document added"
    DOCUMENT_RETIRED = "document retired"


class Act(Struct, frozen=True, kw_only=True):
    """Something that the person `by` did to `subject`, an id. `body` holds further ids and counts."""

    what: Done
    subject: str
    at: datetime
    by: str
    body: Mapping[str, Json] = {}


class Head(Struct, frozen=True):
    """The end of the chain: how many acts it has, and the digest of the last in hex (of none: zeros)."""

    count: int
    digest: str


class Link(Struct, frozen=True, kw_only=True):
    """An act as it stands in the chain."""

    number: int
    what: str
    subject: str
    body: str
    at: datetime
    by: str
    previous: bytes
    digest: bytes


def append_audit(store: Store, connection: Connection, act: Act) -> int:
    """The act's number: it is in the chain if the transaction of the connection is kept.

    Call it last in a transaction: others who act wait from here until it ends. Raises InputError where
    nobody is named.
    """
    if not act.by.strip():
        raise InputError("an act on record needs the name of who did it", where=act.what.value)
    number = next_numbers(connection, COUNTER, 1)
    previous = _digest_before(connection, number)
    link = Link(
        number=number,
        what=act.what.value,
        subject=act.subject,
        body=msgspec.json.encode(act.body, order="sorted").decode(),
        at=utc(act.at),
        by=act.by,
        previous=previous,
        digest=b"",
    )
    row = msgspec.structs.asdict(link) | {"digest": digest_of(link)}
    store.add_new(connection, audit_event, [row])
    return number


def digest_of(link: Link) -> bytes:
    """BLAKE2b over the digest before it and the canonical JSON of what the act says."""
    said = [link.number, link.what, link.subject, link.body, link.at.isoformat(), link.by]
    return hashlib.blake2b(link.previous + msgspec.json.encode(said), digest_size=_BYTES).digest()


def links(store: Store) -> list[Link]:
    """The whole chain, first to last."""
    with store.read() as connection:
        return [_link_of(row) for row in connection.execute(select(audit_event).order_by(audit_event.c.number))]


def acts_on(store: Store, subject: str) -> list[Link]:
    """What was done to a subject, first to last."""
    query = select(audit_event).where(audit_event.c.subject == subject).order_by(audit_event.c.number)
    with store.read() as connection:
        return [_link_of(row) for row in connection.execute(query)]


def head_of(chain: Sequence[Link]) -> Head:
    """The end of a chain."""
    return Head(chain[-1].number, chain[-1].digest.hex()) if chain else Head(0, BEGINNING.hex())


def broken_links(chain: Sequence[Link]) -> list[str]:
    """What is wrong with the chain, one sentence for each act that was changed, moved or is missing."""
    found: list[str] = []
    before, expected = BEGINNING, 1
    for link in chain:
        if link.number != expected:
            found.append(f"audit: {_missing(expected, link.number)} missing before act {link.number}")
        elif link.previous != before:
            found.append(f"audit: act {link.number} does not follow act {link.number - 1} as that one stands")
        if digest_of(link) != link.digest:
            found.append(f"audit: act {link.number} ({link.what}) was changed after it was recorded")
        before, expected = link.digest, link.number + 1
    return found


def _missing(first: int, stop: int) -> str:
    return f"act {first} is" if stop == first + 1 else f"acts {first} to {stop - 1} are"


def _digest_before(connection: Connection, number: int) -> bytes:
    """The digest that act `number` names; where the one before it is missing, that of nothing."""
    query = select(audit_event.c.digest).where(audit_event.c.number == number - 1)
    before: bytes | None = connection.execute(query).scalar()
    return BEGINNING if before is None else bytes(before)


def _link_of(row: Row[Any]) -> Link:
    return Link(
        number=row.number,
        what=row.what,
        subject=row.subject,
        body=row.body,
        at=row.at,
        by=row.by,
        previous=bytes(row.previous),
        digest=bytes(row.digest),
    )
