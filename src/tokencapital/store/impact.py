"""What became of one expert's judgments: the answers that rest on them, and the releases that learned from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import exists, select

from tokencapital.core.judgment import Verdict
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import answer_basis, artifact, artifact_lineage, judgment, memory_event


class Resting(Struct, frozen=True):
    """An answer that rests on a judgment of the expert; `corrected` where that corrected the machine."""

    trajectory: str
    capability: str
    at: datetime
    corrected: bool


def answers_resting_on(store: Store, expert: str, since: datetime) -> list[Resting]:
    """Answers given from `since` on that rest on a judgment of this expert, each once, the newest first."""
    query = (
        select(answer_basis.c.trajectory, answer_basis.c.at, judgment.c.capability, judgment.c.verdict)
        .join_from(judgment, answer_basis, answer_basis.c.basis == judgment.c.id)
        .where(judgment.c.expert == expert, answer_basis.c.at >= since)
        .where(judgment.c.verdict.in_([Verdict.RIGHT.value, Verdict.CORRECTED.value]))
    )
    found: dict[str, Resting] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            known = found.get(row.trajectory)
            corrected = row.verdict == Verdict.CORRECTED.value or (known is not None and known.corrected)
            found[row.trajectory] = Resting(row.trajectory, row.capability, row.at, corrected)
    return sorted(found.values(), key=lambda one: (one.at, one.trajectory), reverse=True)


def taught(store: Store, artifacts: Iterable[str], expert: str) -> set[str]:
    """Those of the artifacts that were built from a judgment of this expert."""
    theirs = (
        exists()
        .where(
            artifact_lineage.c.digest == artifact.c.digest,
            artifact_lineage.c.sequence == memory_event.c.sequence,
            memory_event.c.judgment_id == judgment.c.id,
            judgment.c.expert == expert,
        )
        .correlate(artifact)
    )
    found: set[str] = set()
    with store.read() as connection:
        for some in chunks(artifacts):
            query = select(artifact.c.digest).where(artifact.c.digest.in_(some), theirs)
            found.update(connection.execute(query).scalars())
    return found
