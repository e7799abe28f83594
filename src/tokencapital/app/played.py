"""Reading what was played: answers of earlier releases, what judgments brought, how a new rule was learned."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Workplace
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.answer import Answer
from tokencapital.core.case import Case, ContractKind, Value
from tokencapital.evaluate.scorers import score
from tokencapital.promote.releases import load_live
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import FixedRelease, Live, NoSink
from tokencapital.stats.intervals import Interval
from tokencapital.stats.paired import paired_difference
from tokencapital.store import releases as book
from tokencapital.store.cases import trajectories_after
from tokencapital.store.draws import all_draws
from tokencapital.store.turns import Turn

LEVEL = 0.95
_AT_ONCE = 256


class Unseen(Struct, frozen=True):
    """Cases that were never served, with their right answers and entity groups."""

    cases: Sequence[Case]
    truths: Sequence[Value]
    groups: Sequence[str]


class GainStep(Struct, frozen=True, kw_only=True):
    """What a turn's new judgments brought on unseen cases.

    `right` is the share right after the turn, `gain` its difference to the turn before with an interval
    (None at the first), `per_judgment` the gain divided by the judgments made in between (None: none were).
    """

    turn: int
    judgments: int
    right: float
    gain: float | None = None
    interval: Interval | None = None
    per_judgment: float | None = None

    @property
    def flat(self) -> bool:
        """Whether the gain cannot be told from nothing."""
        return self.interval is not None and self.interval.low <= 0 <= self.interval.high


class RuleRecovery(Struct, frozen=True, kw_only=True):
    """What happened on the cases that a rule change touches, from the change on.

    Of `cases` served, `asked` went to people and `wrong_alone` were answered alone and wrongly.
    `judgments` were made on such cases until all later answers given alone kept the tolerance; None:
    they never did.
    """

    cases: int
    asked: int
    alone: int
    wrong_alone: int
    judgments: int | None


async def answers_at(place: Workplace, turn: Turn, cases: Sequence[Case]) -> list[Answer]:
    """What the release that was live after a turn answers, from the memory as it was then."""
    live = msgspec.structs.replace(live_of(place, turn.release), memory=turn.memory)
    parts = msgspec.structs.replace(place.parts, releases=FixedRelease(live), sink=NoSink())
    engine = Engine(place.capability, parts, place.engine.memory)
    answers: list[Answer] = []
    for start in range(0, len(cases), _AT_ONCE):
        exchanges = await engine.answer_many(cases[start : start + _AT_ONCE])
        answers.extend(exchange.trajectory.answer for exchange in exchanges)
    return answers


def live_of(place: Workplace, release_id: str | None) -> Live:
    """A release as it answered; the starting policy where it is None."""
    known = next((one for one in book.releases(place.store, place.name) if one.id == release_id), None)
    return place.releases.starting(place.name) if known is None else load_live(place.store, known)


def gain_steps(
    played: Sequence[Turn], answers: Sequence[Sequence[Answer]], unseen: Unseen, kind: ContractKind
) -> list[GainStep]:
    """One step a turn, from the answers of each turn's release to the same unseen cases.

    An object counts by its share of right fields.
    """
    truths, groups = unseen.truths, unseen.groups
    steps: list[GainStep] = []
    before: list[float] | None = None
    for turn, given in zip(played, answers, strict=True):
        right = [score(kind, truth, answer.value).share for answer, truth in zip(given, truths, strict=True)]
        share = sum(right) / len(right)
        if before is None:
            steps.append(GainStep(turn=turn.number, judgments=turn.judgments, right=share))
        else:
            steps.append(_step(turn, share, before, right, groups, turn.judgments - steps[-1].judgments))
        before = right
    return steps


def _step(
    turn: Turn, share: float, before: Sequence[float], right: Sequence[float], groups: Sequence[str], judgments: int
) -> GainStep:
    gain = paired_difference(right, before, groups, LEVEL)
    estimate = gain.estimate if gain else None
    return GainStep(
        turn=turn.number,
        judgments=turn.judgments,
        right=share,
        gain=estimate,
        interval=gain.interval if gain else None,
        per_judgment=estimate / judgments if estimate is not None and judgments else None,
    )


def rule_recovery(place: Workplace, script: OrganizationScript, tolerance: float) -> RuleRecovery | None:
    """How the loop took the rule change; None where no rule changed for the capability."""
    if not script.lapses:
        return None
    changed = script.lapses[0].at
    by_id = {case.id: case for case in script.cases}
    touched = {case.id for case in script.cases if script.right(case, changed) != script.first_right(case)}
    later = [
        one for one in trajectories_after(place.store, place.name, None) if one.case in touched and one.at >= changed
    ]
    judged = [draw.at for draw in all_draws(place.store, place.name) if draw.case in touched and draw.at >= changed]
    wrong = [one.answer.sure and one.answer.value != script.right(by_id[one.case], one.at) for one in later]
    alone = [one.answer.sure for one in later]
    settled = _settled_from(alone, wrong, tolerance)
    return RuleRecovery(
        cases=len(later),
        asked=len(later) - sum(alone),
        alone=sum(alone),
        wrong_alone=sum(wrong),
        judgments=None
        if settled is None
        else sum(at < later[settled].at for at in judged)
        if settled < len(later)
        else len(judged),
    )


def _settled_from(alone: Sequence[bool], wrong: Sequence[bool], tolerance: float) -> int | None:
    """The first place from which on the error among answers given alone stays within the tolerance."""
    for start in range(len(alone) + 1):
        answered, missed = sum(alone[start:]), sum(wrong[start:])
        if missed <= tolerance * answered and (start == len(alone) or not wrong[start]):
            return start
    return None
