"""What answers turned out to be: held against what people said of cases that chance alone put before them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct

from tokencapital.app.platform import Workplace
from tokencapital.core.answer import Stage, Trajectory
from tokencapital.core.case import ContractKind
from tokencapital.core.judgment import DrawKind, JudgedCase
from tokencapital.evaluate.scorers import score
from tokencapital.stats.intervals import Interval, share_interval
from tokencapital.store.cases import trajectories_of_cases

LEVEL = 0.95
MOST = 2_000
"""So many of the newest judgments are looked at, which bounds what a page costs."""
_KINDS = (ContractKind.LABEL, ContractKind.FIELDS, ContractKind.TEXT)


class Judged(Struct, frozen=True):
    """An answer that somebody judged: the stage that stood for it under which release, and whether it was wrong."""

    stage: Stage
    release: str | None
    group: str
    wrong: bool


class Share(Struct, frozen=True):
    """A share of `n` judged cases with its interval; None: fewer than two entities, nothing tells how they differ."""

    n: int
    count: int
    share: float
    interval: Interval | None


class Realized:
    """How the answers of one capability turned out, by the uniform draws of `train` groups.

    Each answer was given before the judgment, so that none was learned from it. Sealed groups are left to
    the gate, and people who had no notice are not read.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._known: dict[str, Judged | None] = {}

    def right_since(self, moment: datetime) -> Share | None:
        """The share of right best answers, sure or not, among those judged since; None: none was."""
        judged = self._judged(moment)
        return share_of([not one.wrong for one in judged], [one.group for one in judged])

    def errors_of(self, release: str, since: datetime) -> dict[Stage, Share]:
        """The share of wrong answers among those that each stage gave alone under the release."""
        mine = [one for one in self._judged(since) if one.release == release and one.stage is not Stage.PERSON]
        found = {}
        for stage in Stage:
            chosen = [one for one in mine if one.stage is stage]
            share = share_of([one.wrong for one in chosen], [one.group for one in chosen])
            if share is not None:
                found[stage] = share
        return found

    def _judged(self, since: datetime) -> list[Judged]:
        memory = self._place.engine.memory
        memory.refresh()
        drawn = (one for one in memory.given_since(since) if one.judgment.drawn is DrawKind.UNIFORM)
        newest = list(islice(drawn, MOST))
        self._learn([one for one in newest if one.judgment.id not in self._known])
        found = (self._known[one.judgment.id] for one in newest)
        return [one for one in found if one is not None]

    def _learn(self, unknown: Sequence[JudgedCase]) -> None:
        done = trajectories_of_cases(self._place.store, (one.case.id for one in unknown))
        for one in unknown:
            self._known[one.judgment.id] = self._held_against(one, done.get(one.case.id, ()))

    def _held_against(self, one: JudgedCase, done: Iterable[Trajectory]) -> Judged | None:
        kind = self._place.capability.contract.kind
        before = [each for each in done if each.at <= one.judgment.at]
        if not before or kind not in _KINDS:
            return None
        answered = before[-1]
        right = score(kind, one.judgment.answer, answered.answer.value).right
        return Judged(answered.answer.stage, answered.release, one.case.group, not right)


def share_of(hits: Sequence[bool], groups: Sequence[str]) -> Share | None:
    """The share of hits with its interval, clustered by entity; None where there is no case."""
    if not hits:
        return None
    return Share(len(hits), sum(hits), sum(hits) / len(hits), share_interval(hits, groups, LEVEL))
