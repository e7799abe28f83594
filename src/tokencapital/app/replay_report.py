"""What a replay brought, scored on test cases that nothing read before the stream had closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from tokencapital.account.statements import Statement, check_balanced, draw_up
from tokencapital.app.platform import Workplace
from tokencapital.app.played import answers_at
from tokencapital.app.scorecard import Promise, Scorecard, realized_promise, score_answers
from tokencapital.core.answer import Answer, Trajectory
from tokencapital.core.case import Json
from tokencapital.core.judgment import DrawKind
from tokencapital.core.policy import Release
from tokencapital.core.quantity import Grade
from tokencapital.core.split import Split, assign_split
from tokencapital.meter.efficiency import Efficiency
from tokencapital.record.importers import RecordedCase
from tokencapital.store import releases as book
from tokencapital.store.cases import trajectories_after
from tokencapital.store.draws import all_draws
from tokencapital.store.ledger import transactions
from tokencapital.store.manifest import assign
from tokencapital.store.turns import Turn, turns

_Number = TypeVar("_Number", int, float)


class CurvePoint(Struct, frozen=True):
    """A turn: the accuracy over the last stream cases before it, and on all test cases of what it made live.

    `test_accuracy` None: that release was not scored on the test cases.
    """

    turn: int
    cases: int
    judgments: int
    accuracy: float | None
    test_accuracy: float | None


class JudgmentCounts(Struct, frozen=True):
    """Judgments by how they were drawn; `uniform` and `active` are those on train groups."""

    total: int
    sealed: int
    uniform: int
    active: int


class UsageTotal(Struct, frozen=True):
    """Tokens, dollars and joules of serving the stream; None: a part is unknown."""

    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    joules: float | None
    joules_grade: str


class EfficiencyFigures(Struct, frozen=True):
    """The figures of one view, marginal or all-in, that the replay prints."""

    tpdw: float | None
    opdw: float | None
    usd_per_accepted: float | None
    wh_per_accepted: float | None


class ReplayReport(Struct, frozen=True, kw_only=True):
    """All that `tcap replay --json` writes; unknown is null.

    `failures` counts the stream cases on which the generalist was asked and gave nothing usable.
    """

    cases: Mapping[str, int]
    judgments: JudgmentCounts
    curve: tuple[CurvePoint, ...]
    test: Scorecard | None
    promise: Promise | None
    usage: UsageTotal
    failures: int
    timing: Mapping[str, float] = {}
    efficiency: Mapping[str, EfficiencyFigures | None]
    releases: tuple[Release, ...]
    ledger: Mapping[str, Json]


async def report_on(place: Workplace, stream: Sequence[RecordedCase], test: Sequence[RecordedCase]) -> ReplayReport:
    """The report of a replay whose stream has closed, its timing still to be filled in by whoever held the watch."""
    played, done = turns(place.store, place.name), trajectories_after(place.store, place.name, None)
    answers = await _test_answers(place, played, test)
    last = answers.get(played[-1].release) if played else None
    kind = place.capability.contract.kind
    card = score_answers(kind, test, last) if last is not None and test else None
    statement = draw_up(transactions(place.store, place.name), _accepted_share(done, stream))
    promise = None
    if place.goal is not None and last is not None:
        promise = realized_promise(place.goal.tolerance, kind, test, last)
    return ReplayReport(
        cases={"stream": len(stream), "test": len(test)},
        judgments=_judgment_counts(place, stream),
        curve=tuple(_point(turn, place, test, answers) for turn in played),
        test=card,
        promise=promise,
        usage=_usage(done),
        failures=sum(one.failure is not None for one in trajectories_after(place.store, place.name, None)),
        efficiency=_efficiency(statement),
        releases=tuple(book.releases(place.store, place.name)),
        ledger={"balanced": check_balanced(place.store)},
    )


async def _test_answers(
    place: Workplace, played: Sequence[Turn], test: Sequence[RecordedCase]
) -> dict[str | None, list[Answer]]:
    """Answers to the test cases by release, each from the memory as it was when the release came.

    Where a generalist is asked only the last release is scored: each case costs a call.
    """
    if not test or not played:
        return {}
    newest = {turn.release: turn for turn in played}
    scored = list(newest.values()) if place.parts.generalist is None else [played[-1]]
    return {turn.release: await answers_at(place, turn, [one.case for one in test]) for turn in scored}


def _point(
    turn: Turn, place: Workplace, test: Sequence[RecordedCase], answers: Mapping[str | None, list[Answer]]
) -> CurvePoint:
    given = answers.get(turn.release)
    card = None if given is None else score_answers(place.capability.contract.kind, test, given)
    accuracy = turn.facts.get("accuracy")
    return CurvePoint(turn.number, turn.cases, turn.judgments, accuracy, card.accuracy if card else None)


def _judgment_counts(place: Workplace, stream: Sequence[RecordedCase]) -> JudgmentCounts:
    """Counted by the split at the time of the draw: a batch that retired was sealed when it was judged."""
    draws = all_draws(place.store, place.name)
    groups = {one.case_id: one.group for one in assign(place.store, [recorded.case for recorded in stream])}
    sealed = sum(assign_split(groups[one.case], place.store.key) is Split.SEALED for one in draws)
    active = sum(one.kind is DrawKind.ACTIVE for one in draws)
    return JudgmentCounts(total=len(draws), sealed=sealed, uniform=len(draws) - sealed - active, active=active)


def _accepted_share(done: Sequence[Trajectory], stream: Sequence[RecordedCase]) -> float | None:
    truth = {one.id: one.answer for one in stream}
    return sum(one.answer.value == truth[one.case] for one in done) / len(done) if done else None


def _usage(done: Sequence[Trajectory]) -> UsageTotal:
    costs = [one.cost for one in done]
    joules = [one.energy.joules for one in done]
    grades = {one.energy.grade for one in done}
    return UsageTotal(
        input_tokens=_total([one.usage.input for one in done]),
        output_tokens=_total([one.usage.output for one in done]),
        usd=_total([None if cost is None else float(cost.amount) for cost in costs]),
        joules=_total(joules),
        joules_grade=str(grades.pop()) if len(grades) == 1 else str(Grade.UNKNOWN),
    )


def _total(values: Sequence[_Number | None]) -> _Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _efficiency(statement: Statement) -> dict[str, EfficiencyFigures | None]:
    both = statement.efficiency
    return {
        "marginal": None if both is None else _figures(both.marginal),
        "all_in": None if both is None else _figures(both.all_in),
    }


def _figures(one: Efficiency) -> EfficiencyFigures:
    return EfficiencyFigures(one.tpdw, one.opdw, one.usd_per_accepted, one.wh_per_accepted)
