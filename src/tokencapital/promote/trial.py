"""A candidate against the live policy on the sealed cases, every look counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from tokencapital.core.policy import Evidence
from tokencapital.evaluate.runner import Result, Runner, Trial
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.promote.gate import ALPHA, compare
from tokencapital.stats.spending import look_alpha


class Comparison(Struct, frozen=True):
    """What a trial showed, and what running it took."""

    evidence: Evidence
    results: tuple[Result, ...]


async def compare_on_sealed(
    runner: Runner, sealed: SealedCases, candidate: Trial, live: Trial, at: datetime
) -> Comparison:
    """The candidate's paired difference to the live policy on the open sealed batch.

    Counts as the batch's next look: its bounds hold at the level that comparison number k may spend.
    """
    look = sealed.look(candidate.live.policy.hash, live.live.policy.hash, at)
    ran = await runner.run(candidate, look.tasks)
    stood = await runner.run(live, look.tasks)
    groups = [task.group for task in look.tasks]
    evidence = compare(_shares(ran), _shares(stood), groups, look_alpha(ALPHA, look.comparison))
    return Comparison(evidence, (*ran, *stood))


def _shares(results: Sequence[Result]) -> list[float]:
    return [result.score.share for result in results]
