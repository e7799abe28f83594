"""The swap test: what the live policy is worth to one generalist and to another, on the same sealed cases.

`with` is the policy as it serves, drafts for people counted as its answers. `without` is the best that the
generalist does un-augmented: the contract's instructions and labels or schema, and nothing that was learned.
Where no generalist is asked at all nothing answers without the policy, so that `without` is 0 right, and `with`
is recall and the specialist. The *uplift* is with minus without; the *portable share* of another generalist is
how much of the uplift measured with the home generalist (the configured one) is there with that one.

All arms answer the same cases, so that every figure is paired by case and clustered by entity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Capability, ContractKind, Json, Value
from tokencapital.core.policy import Evidence, Policy
from tokencapital.core.quantity import Grade, Money
from tokencapital.evaluate.runner import Result
from tokencapital.meter.energy import combine
from tokencapital.promote.gate import compare
from tokencapital.promote.releases import observing_policy
from tokencapital.serve.prompt import learned_schema
from tokencapital.stats.intervals import Interval, cluster_interval, share_interval
from tokencapital.stats.paired import paired_difference
from tokencapital.stats.ratio import ratio_of_paired_differences

LEVEL = 0.90
"""Of every interval, and of all portable shares of a test together."""
MOST_FAILED = 0.05
"""A test of which a larger share of cases was lost to calls that failed says nothing."""

Floats = NDArray[np.float64]


class Answered(Struct, frozen=True):
    """How one generalist did on the same cases, in the same order. `without` None: no generalist, nothing answers."""

    name: str
    ran: tuple[Result, ...]
    without: tuple[Result, ...] | None

    @property
    def failed(self) -> list[bool]:
        """On which cases a call failed, in either way of answering."""
        plain = self.without or self.ran
        return [one.failed or other.failed for one, other in zip(self.ran, plain, strict=True)]


class Way(Struct, frozen=True, kw_only=True):
    """One way of answering: the share right, and what a case took.

    `right` counts an object by its share of right fields. `usd` and `joules` are means per case; None: unknown
    for some case. `grade` is that of the joules. `asked` is the share of cases that reached the generalist.
    """

    right: float
    interval: Interval | None
    usd: float | None
    joules: float | None
    grade: Grade
    seconds: float
    asked: float


class PortableShare(Struct, frozen=True, kw_only=True):
    """How much of the home uplift is there, in [0, 1], with its interval; `ratio` and `bounds` are as measured."""

    share: float
    interval: Interval
    ratio: float
    bounds: Interval


class Uplift(Struct, frozen=True, kw_only=True):
    """What the policy is worth to one generalist.

    `interval` is for one reading; `visible` is the smallest uplift that such a reading shows with power 0.8 (None:
    a single entity). The bounds in `evidence` hold at every look at the batch. `portable` None: it is the home
    generalist's, or unknown.
    """

    generalist: str
    home: bool
    ran: Way
    without: Way
    uplift: float
    interval: Interval | None
    visible: float | None
    evidence: Evidence
    portable: PortableShare | None = None


class Reading(Struct, frozen=True, kw_only=True):
    """Which sealed cases were read under what: `comparison` is the number of the look at `batch`."""

    policy: str
    plain: str
    release: str | None
    memory: int
    batch: str
    comparison: int
    alpha: float


class SwapReport(Struct, frozen=True, kw_only=True):
    """A swap test. `uplifts` begin with the home generalist's.

    `portable` is the least of the portable shares, and its interval that of the least; None: unknown, for the
    reason in `unknown`. All intervals of portable shares hold together at `level`. `failed` of the cases read are
    left out because a call for them failed; `cases` and `entities` count what is left.
    """

    id: str
    capability: str
    at: datetime
    reading: Reading
    level: float
    cases: int
    entities: int
    failed: int
    uplifts: tuple[Uplift, ...]
    portable: PortableShare | None
    unknown: str | None = None

    @property
    def home(self) -> Uplift:
        """What the policy is worth to the home generalist."""
        return self.uplifts[0]


class Found(Struct, frozen=True):
    """What the cases said: the part of a report that the answers alone decide."""

    cases: int
    entities: int
    failed: int
    uplifts: tuple[Uplift, ...]
    portable: PortableShare | None
    unknown: str | None


def weigh(answered: Sequence[Answered], alpha: float, level: float = LEVEL) -> Found:
    """What the policy is worth to each generalist, the first of which is the home one.

    `alpha` is the level of the look at the batch; the generalists share it evenly. Of m other generalists each
    portable share has an interval at 1 - (1 - level) / m (Bonferroni), so that all of them hold together at
    `level`. Cases for which a call failed are left out for all.
    """
    kept = [not any(lost) for lost in zip(*(one.failed for one in answered), strict=True)]
    sides = [_Side.of(one, kept) for one in answered]
    home, others = sides[0], sides[1:]
    groups = home.groups
    each = 1 - (1 - level) / max(1, len(others))
    shares = [_portable(one, home, each) for one in others]
    uplifts = [_uplift(one, alpha / len(sides), level, home=one is home) for one in sides] if groups else []
    measured = [share for share in shares if share is not None]
    known = len(measured) == len(others) > 0
    return Found(
        cases=len(groups),
        entities=len(set(groups)),
        failed=len(kept) - len(groups),
        uplifts=tuple(
            msgspec.structs.replace(one, portable=share) for one, share in zip(uplifts, [None, *shares], strict=False)
        ),
        portable=least(measured, level) if known else None,
        unknown=None if known else _why_unknown(home, others, each),
    )


def plain_policy(capability: Capability, answers: Sequence[Value]) -> Policy:
    """The best un-augmented way: the contract's instructions and labels or schema, and nothing that was learned.

    Where no schema is declared the names of the fields that people's `answers` have stand in for it, as labels
    that people use stand in for undeclared ones; nothing says then which are required.
    """
    policy, contract = observing_policy(capability), capability.contract
    if contract.kind not in {ContractKind.FIELDS, ContractKind.TOOLS} or contract.schema is not None:
        return policy
    schema = {name: part for name, part in learned_schema(answers).items() if name in {"type", "properties"}}
    return msgspec.structs.replace(policy, contract=msgspec.structs.replace(contract, schema=schema))


def least(shares: Sequence[PortableShare], level: float) -> PortableShare:
    """The least of portable shares whose intervals hold together at `level`: it lies between their least bounds."""
    low, high = min(one.bounds.low for one in shares), min(one.bounds.high for one in shares)
    return _clipped(min(one.ratio for one in shares), Interval(low, high, level))


def report_of(body: Mapping[str, Json]) -> SwapReport:
    """The report in the body of a swap test on record."""
    return msgspec.convert(body, SwapReport)


class _Side(Struct, frozen=True):
    """One generalist's answers to the cases that are kept."""

    name: str
    ran: list[Result]
    without: list[Result] | None
    groups: list[str]

    @staticmethod
    def of(answered: Answered, kept: Sequence[bool]) -> _Side:
        ran = [one for one, keep in zip(answered.ran, kept, strict=True) if keep]
        plain = answered.without
        without = None if plain is None else [one for one, keep in zip(plain, kept, strict=True) if keep]
        return _Side(answered.name, ran, without, [one.group for one in ran])

    @property
    def scores(self) -> tuple[Floats, Floats]:
        """How right each case is with the policy and without it."""
        ran = np.array([one.score.share for one in self.ran], np.float64)
        return ran, np.zeros(len(ran)) if self.without is None else np.array([one.score.share for one in self.without])

    @property
    def gains(self) -> Floats:
        ran, without = self.scores
        return ran - without


def _uplift(side: _Side, alpha: float, level: float, *, home: bool) -> Uplift:
    ran, without = side.scores
    found = paired_difference(ran, without, side.groups, level)
    return Uplift(
        generalist=side.name,
        home=home,
        ran=_way(side.ran, side.groups, level),
        without=_nothing(level, side.groups) if side.without is None else _way(side.without, side.groups, level),
        uplift=float(side.gains.mean()),
        interval=found.interval if found else None,
        visible=found.visible if found else None,
        evidence=compare(ran.tolist(), without.tolist(), side.groups, alpha),
    )


def _way(results: Sequence[Result], groups: Sequence[str], level: float) -> Way:
    right = [one.score.share for one in results]
    energy = combine(one.energy for one in results)
    n = len(results)
    return Way(
        right=sum(right) / n,
        interval=_share_interval(right, groups, level),
        usd=_mean_usd([one.cost for one in results]),
        joules=None if energy.joules is None else energy.joules / n,
        grade=energy.grade,
        seconds=sum(one.elapsed_s for one in results) / n,
        asked=sum(one.asked_generalist for one in results) / n,
    )


def _nothing(level: float, groups: Sequence[str]) -> Way:
    """Nobody answers: nothing is right, by definition, and nothing is spent."""
    point = Interval(0.0, 0.0, level) if len(set(groups)) > 1 else None
    return Way(right=0.0, interval=point, usd=0.0, joules=0.0, grade=Grade.MEASURED, seconds=0.0, asked=0.0)


def _share_interval(right: Sequence[float], groups: Sequence[str], level: float) -> Interval | None:
    if all(share in {0.0, 1.0} for share in right):
        return share_interval(right, groups, level)
    found = cluster_interval(right, groups, level)
    return None if found is None else Interval(max(0.0, found.low), min(1.0, found.high), level)


def _mean_usd(costs: Sequence[Money | None]) -> float | None:
    known = [float(cost.amount) for cost in costs if cost is not None]
    return sum(known) / len(costs) if len(known) == len(costs) else None


def _portable(other: _Side, home: _Side, level: float) -> PortableShare | None:
    found = ratio_of_paired_differences(other.gains, home.gains, home.groups, level)
    if found is None or found.interval is None:
        return None
    return _clipped(found.value, found.interval)


def _clipped(ratio: float, bounds: Interval) -> PortableShare:
    low, share, high = (min(1.0, max(0.0, one)) for one in (bounds.low, ratio, bounds.high))
    return PortableShare(share=share, interval=Interval(low, high, bounds.level), ratio=ratio, bounds=bounds)


def _why_unknown(home: _Side, others: Sequence[_Side], level: float) -> str:
    if not others:
        return "no other generalist was asked"
    if not home.groups:
        return "no sealed case was judged yet"
    if len(set(home.groups)) < 2:
        return "all sealed cases that were judged are of one entity"
    found = paired_difference(*home.scores, home.groups, level)
    bounds = f" ({found.interval.low:+.3f} to {found.interval.high:+.3f} at {level:.0%})" if found else ""
    return f"the uplift with {home.name} cannot be told from nothing at this size{bounds}"
