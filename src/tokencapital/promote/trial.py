"""A candidate against the live policy on the sealed cases, every look counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from tokencapital.core.policy import Evidence
from tokencapital.evaluate.runner import Result, Runner, Trial
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.promote.gate import compare


class Comparison(Struct, frozen=True):
    """What a trial showed, and the answers that were given for it."""

    evidence: Evidence
    results: tuple[Result, ...]


async def compare_on_sealed(
    runner: Runner, sealed: SealedCases, candidate: Trial, live: Trial, at: datetime, fewest: int = 1
) -> Comparison:
    """The candidate's paired difference to the live policy on the sealed batch in use.

    It is the batch's next look: number k may spend alpha * 6 / (pi^2 k^2). With fewer judged entities
    than `fewest` nothing is run, looked at or spent.
    """
    batch = sealed.open(at)
    entities = len({task.group for task in batch.tasks})
    if entities < fewest:
        return Comparison(Evidence(n=entities, reason=f"not looked at: {entities} of {fewest} sealed entities"), ())
    look = sealed.look(batch, candidate.live.policy.hash, live.live.policy.hash, at)
    ran = await runner.run(candidate, batch.tasks)
    stood = await runner.run(live, batch.tasks)
    evidence = compare(_shares(ran), _shares(stood), [task.group for task in batch.tasks], look.alpha)
    details = {"batch": batch.id, "comparison": look.comparison, "cases": len(batch.tasks)}
    return Comparison(msgspec.structs.replace(evidence, details=details), (*ran, *stood))


def _shares(results: Sequence[Result]) -> list[float]:
    return [result.score.share for result in results]
