"""Ways of answering, compared on the same cases: the cascade and each of its stages alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Workplace
from tokencapital.core.answer import Trajectory
from tokencapital.core.case import Case, Value
from tokencapital.core.policy import Policy, StageRule
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import FixedRelease, Live, NoSink
from tokencapital.stats.intervals import Interval, share_interval
from tokencapital.stats.ratio import Ratio, ratio_of_means

LEVEL = 0.95
EXEMPLARS = 4
"""Shown where the loop has not yet chosen how many."""


class Arm(Struct, frozen=True):
    """One way of answering: a policy with what it needs."""

    name: str
    live: Live


class ArmResult(Struct, frozen=True, kw_only=True):
    """How an arm did on n cases, and what an accepted answer cost; None: unknown or nothing accepted.

    `asked` is the share of cases that reached the generalist.
    """

    name: str
    cases: int
    right: float
    interval: Interval | None
    usd_per_accepted: Ratio | None
    wh_per_accepted: Ratio | None
    seconds_per_case: float
    asked: float


def arms(live: Live) -> tuple[Arm, Arm, Arm]:
    """The live cascade, exemplars through the generalist on every case, and the generalist with a plain prompt."""
    exemplars = live.policy.exemplars or EXEMPLARS
    cascade = msgspec.structs.replace(live.policy, generalist=True, exemplars=exemplars)
    return (
        Arm("cascade", msgspec.structs.replace(live, policy=cascade)),
        Arm("exemplars on every case", Live(_alone(cascade, exemplars), live.release)),
        Arm("plain prompt", Live(_alone(cascade, 0), live.release)),
    )


async def run_arm(place: Workplace, arm: Arm, cases: Sequence[Case], told: Callable[[int], None]) -> list[Trajectory]:
    """What the arm does on each case, recorded nowhere. `told` hears after each case how many are done."""
    parts = msgspec.structs.replace(place.parts, releases=FixedRelease(arm.live), sink=NoSink())
    engine = Engine(place.capability, parts, place.engine.memory)
    done: list[Trajectory] = []
    for case in cases:
        done.append((await engine.answer(case)).trajectory)
        told(len(done))
    return done


def score_arm(name: str, done: Sequence[Trajectory], truths: Sequence[Value], groups: Sequence[str]) -> ArmResult:
    """The arm's result, with intervals over entity groups."""
    right = [float(one.answer.value == truth) for one, truth in zip(done, truths, strict=True)]
    costs = [None if one.cost is None else float(one.cost.amount) for one in done]
    joules = [one.energy.joules for one in done]
    return ArmResult(
        name=name,
        cases=len(done),
        right=sum(right) / len(right),
        interval=share_interval(right, groups, LEVEL),
        usd_per_accepted=_per_accepted(costs, right, groups),
        wh_per_accepted=_per_accepted([None if one is None else one / 3600 for one in joules], right, groups),
        seconds_per_case=sum(one.elapsed_s for one in done) / len(done),
        asked=sum(one.generalist is not None for one in done) / len(done),
    )


def _alone(policy: Policy, exemplars: int) -> Policy:
    return msgspec.structs.replace(
        policy, specialist=None, specialist_rule=StageRule(), recall=StageRule(), identical=False, exemplars=exemplars
    )


def _per_accepted(amounts: Sequence[float | None], right: Sequence[float], groups: Sequence[str]) -> Ratio | None:
    known = [amount for amount in amounts if amount is not None]
    return ratio_of_means(known, right, groups, LEVEL) if len(known) == len(amounts) else None
