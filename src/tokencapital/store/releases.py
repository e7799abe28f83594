"""What was built, what was frozen as a policy, and what the gate let through."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, select

from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.store.database import Store
from tokencapital.store.schema import (
    artifact,
    artifact_lineage,
    judgment,
    memory_event,
    policy,
    release,
    work_case,
)


class Artifact(Struct, frozen=True, kw_only=True):
    """Something trained. `lineage` holds the memory sequences of the judgments that it was built from."""

    kind: str
    recipe: str
    body: bytes
    lineage: Sequence[int]
    at: datetime


def save_artifact(store: Store, made: Artifact) -> str:
    """The SHA-256 of the body, by which it is found again.

    The same bytes made again keep their first row; their lineage is all that either was made from.
    Raises StoreConflict where the lineage names a sequence that memory never gave.
    """
    digest = hashlib.sha256(made.body).hexdigest()
    row = {
        "digest": digest,
        "kind": made.kind,
        "recipe": made.recipe,
        "at": made.at,
        "body": made.body,
        "erased_at": None,
    }
    lineage = [{"digest": digest, "sequence": sequence} for sequence in sorted(set(made.lineage))]
    with store.begin() as connection:
        store.add_new(connection, artifact, [row])
        store.add_new(connection, artifact_lineage, lineage)
    return digest


def load_artifact(store: Store, digest: str) -> bytes | None:
    """The body of an artifact; None where there is none, or it was erased."""
    with store.read() as connection:
        return connection.execute(select(artifact.c.body).where(artifact.c.digest == digest)).scalar() or None


def is_erased(store: Store, digest: str) -> bool:
    """Whether the content of an artifact was erased."""
    query = select(artifact.c.erased_at).where(artifact.c.digest == digest)
    with store.read() as connection:
        return connection.execute(query).scalar() is not None


def lineage_of(store: Store, digest: str) -> list[int]:
    """The memory sequences that an artifact was built from, ascending."""
    table = artifact_lineage.c
    query = select(table.sequence).where(table.digest == digest).order_by(table.sequence)
    with store.read() as connection:
        return list(connection.execute(query).scalars())


def lineage_groups(store: Store, digest: str) -> set[str]:
    """The entity groups whose judgments are in an artifact: none of their cases may judge it."""
    query = (
        select(work_case.c.entity_group)
        .join_from(artifact_lineage, memory_event, artifact_lineage.c.sequence == memory_event.c.sequence)
        .join(judgment, memory_event.c.judgment_id == judgment.c.id)
        .join(work_case, judgment.c.case_id == work_case.c.id)
        .where(artifact_lineage.c.digest == digest)
        .distinct()
    )
    with store.read() as connection:
        return set(connection.execute(query).scalars())


def save_policy(store: Store, frozen: Policy) -> str:
    """The hash by which the policy is found again."""
    body = msgspec.json.encode(frozen, order="sorted").decode()
    with store.begin() as connection:
        store.add_new(connection, policy, [{"hash": frozen.hash, "capability": frozen.capability, "body": body}])
    return frozen.hash


def read_policy(store: Store, policy_hash: str) -> Policy | None:
    """The policy with this hash; None where there is none."""
    with store.read() as connection:
        body = connection.execute(select(policy.c.body).where(policy.c.hash == policy_hash)).scalar()
    return None if body is None else msgspec.json.decode(body, type=Policy)


def policies_with(store: Store, digest: str) -> list[Policy]:
    """The policies whose specialist is this artifact."""
    holding = policy.c.body.contains(f'"specialist":"{digest}"')
    with store.read() as connection:
        bodies = connection.execute(select(policy.c.body).where(holding).order_by(policy.c.hash)).scalars()
        return [msgspec.json.decode(body, type=Policy) for body in bodies]


def append_release(store: Store, decided: Release) -> None:
    """The decision is on record, once. Raises StoreConflict where its policy is not stored."""
    row = {
        "id": decided.id,
        "capability": decided.capability,
        "policy": decided.policy,
        "at": decided.at,
        "lane": decided.lane.value,
        "decision": decided.decision.value,
        "evidence": msgspec.json.encode(decided.evidence).decode(),
        "parent": decided.parent,
        "decided_by": decided.decided_by,
    }
    with store.begin() as connection:
        store.add_new(connection, release, [row])


def releases(store: Store, capability: str) -> list[Release]:
    """All decisions on a capability, promoted or not, oldest first."""
    query = select(release).where(release.c.capability == capability).order_by(release.c.position)
    with store.read() as connection:
        return [_release_of(row) for row in connection.execute(query)]


def decisions_made(store: Store) -> int:
    """A number that grows with every decision on record and every erased artifact, over all capabilities.

    Fit for every request.
    """
    return int(store.probe(_DECISIONS))


_DECISIONS = (
    'SELECT (SELECT COALESCE(MAX("position"), 0) FROM "release")'
    ' + (SELECT COALESCE(MAX("position"), 0) FROM rebuild_event)'
)


def live_release(store: Store, capability: str) -> Release | None:
    """The newest promoted release; None before the first."""
    promoted = select(release).where(release.c.capability == capability, release.c.decision == Decision.PROMOTED.value)
    with store.read() as connection:
        row = connection.execute(promoted.order_by(release.c.position.desc()).limit(1)).first()
    return _release_of(row) if row else None


def _release_of(row: Row[Any]) -> Release:
    return Release(
        id=row.id,
        capability=row.capability,
        policy=row.policy,
        at=row.at,
        lane=Lane(row.lane),
        decision=Decision(row.decision),
        evidence=msgspec.json.decode(row.evidence, type=Evidence),
        parent=row.parent,
        decided_by=row.decided_by,
    )
