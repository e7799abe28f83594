"""Artifacts that rest on what was erased: which wait to be made anew, and which have lost their content.

An artifact that waits serves until the loop's next turn has tried to make it anew; then its content is erased,
whatever came of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, exists, select

from tokencapital.store.database import Store, chunks
from tokencapital.store.releases import is_erased
from tokencapital.store.schema import artifact, artifact_lineage, memory_event, rebuild_event

QUEUED, DONE = "queued", "done"
REBUILT = "rebuilt"
NOT_REBUILT = "nothing was released in its place"
NOT_LIVE = "not live"


class Rebuild(Struct, frozen=True, kw_only=True):
    """An artifact that waits to be made anew. `because` names the erasure."""

    artifact: str
    capability: str
    because: str
    at: datetime
    by: str


def artifacts_resting_on(connection: Connection, judgment_ids: Iterable[str]) -> list[str]:
    """The digests of the artifacts that were built from one of the judgments and still have content."""
    found: set[str] = set()
    for some in chunks(judgment_ids):
        sequences = list(
            connection.execute(select(memory_event.c.sequence).where(memory_event.c.judgment_id.in_(some))).scalars()
        )
        query = (
            select(artifact_lineage.c.digest)
            .join_from(artifact_lineage, artifact, artifact_lineage.c.digest == artifact.c.digest)
            .where(artifact_lineage.c.sequence.in_(sequences), artifact.c.erased_at.is_(None))
        )
        found |= set(connection.execute(query.distinct()).scalars())
    return sorted(found)


def erase_artifact(connection: Connection, digest: str, at: datetime) -> None:
    """The artifact's content is gone; that it was made, how and from what stays."""
    there = artifact.update().where(artifact.c.digest == digest, artifact.c.erased_at.is_(None))
    connection.execute(there.values(body=b"", erased_at=at))


def queue_rebuild(connection: Connection, asked: Rebuild) -> None:
    """The artifact waits to be made anew; one that waits already is not queued twice."""
    if all(one.artifact != asked.artifact for one in _waiting(connection, asked.capability)):
        _append(connection, asked, QUEUED)


def mark_done(connection: Connection, asked: Rebuild) -> None:
    """The artifact waits no longer."""
    _append(connection, asked, DONE)


def rests_on_erased(store: Store, digest: str) -> bool:
    """Whether an artifact waits to be made anew, or has lost its content already."""
    return is_erased(store, digest) or any(one.artifact == digest for one in waiting_rebuilds(store))


def waiting_rebuilds(store: Store, capability: str | None = None) -> list[Rebuild]:
    """What waits to be made anew, of one capability or of all, oldest first."""
    with store.read() as connection:
        return _waiting(connection, capability)


def finish_rebuilds(store: Store, capability: str, live: str | None, *, at: datetime, by: str) -> list[Rebuild]:
    """What waited has no content any more; to be called when the loop has tried to make it anew.

    `live` is the digest of the live specialist. Returns what was finished, each with how.
    """
    with store.begin() as connection:
        finished = [
            Rebuild(
                artifact=one.artifact,
                capability=capability,
                because=NOT_REBUILT if one.artifact == live else REBUILT,
                at=at,
                by=by,
            )
            for one in _waiting(connection, capability)
        ]
        for one in finished:
            erase_artifact(connection, one.artifact, at)
            mark_done(connection, one)
    return finished


def _waiting(connection: Connection, capability: str | None) -> list[Rebuild]:
    later = rebuild_event.alias("later")
    done = exists().where(
        later.c.artifact == rebuild_event.c.artifact,
        later.c.kind == DONE,
        later.c.position > rebuild_event.c.position,
    )
    query = select(rebuild_event).where(rebuild_event.c.kind == QUEUED, ~done.correlate(rebuild_event))
    if capability is not None:
        query = query.where(rebuild_event.c.capability == capability)
    return [_rebuild_of(row) for row in connection.execute(query.order_by(rebuild_event.c.position))]


def _append(connection: Connection, asked: Rebuild, kind: str) -> None:
    row = {
        "artifact": asked.artifact,
        "capability": asked.capability,
        "kind": kind,
        "because": asked.because,
        "at": asked.at,
        "by": asked.by,
    }
    connection.execute(rebuild_event.insert(), row)


def _rebuild_of(row: Row[Any]) -> Rebuild:
    return Rebuild(artifact=row.artifact, capability=row.capability, because=row.because, at=row.at, by=row.by)
