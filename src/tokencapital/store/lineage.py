"""What judgments went into: the memory that heard of them, and the releases whose specialist learned from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from msgspec import Struct
from sqlalchemy import select

from tokencapital.core.policy import Decision
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import artifact_lineage, memory_event, policy, release


class _Made(Struct):
    """Of a policy's body what its specialist is."""

    specialist: str | None


def teaching(store: Store, judgment_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The sequences under which memory heard of these judgments; those that teach nothing are left out."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    table = memory_event.c
    with store.read() as connection:
        for some in chunks(judgment_ids):
            query = select(table.judgment_id, table.sequence).where(
                table.judgment_id.in_(some), table.learnable, table.kind == "judged"
            )
            for judgment_id, sequence in connection.execute(query.order_by(table.sequence)):
                found[judgment_id].append(sequence)
    return {judgment_id: tuple(sequences) for judgment_id, sequences in found.items()}


def releases_taught(store: Store, capability: str, judgment_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The releases that went live with a specialist that learned from each judgment, oldest first."""
    sequences = teaching(store, judgment_ids)
    of = {sequence: judgment_id for judgment_id, some in sequences.items() for sequence in some}
    if not of:
        return {}
    went_live = (
        select(release.c.id, policy.c.body)
        .join_from(release, policy, release.c.policy == policy.c.hash)
        .where(release.c.capability == capability, release.c.decision == Decision.PROMOTED.value)
        .order_by(release.c.position)
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    with store.read() as connection:
        rows = list(connection.execute(went_live))
        made = [(name, msgspec.json.decode(body, type=_Made).specialist) for name, body in rows]
        lineage = select(artifact_lineage.c.digest, artifact_lineage.c.sequence).where(
            artifact_lineage.c.digest.in_({digest for _, digest in made if digest}),
            artifact_lineage.c.sequence.in_(list(of)),
        )
        learned: defaultdict[str, set[str]] = defaultdict(set)
        for digest, sequence in connection.execute(lineage):
            learned[digest].add(of[sequence])
    for name, digest in made:
        for judgment_id in learned.get(digest or "", ()):
            found[judgment_id].append(name)
    return {judgment_id: tuple(names) for judgment_id, names in found.items()}
