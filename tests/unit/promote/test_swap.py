"""What a swap test says of given answers: uplifts, portable shares, and when they are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from tokencapital.core.answer import Stage
from tokencapital.core.case import Capability, Contract, ContractKind
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import Energy, Grade, Money, Usage
from tokencapital.evaluate.runner import Result
from tokencapital.evaluate.scorers import Score
from tokencapital.promote.releases import observing_policy
from tokencapital.promote.swap import LEVEL, Answered, PortableShare, SwapReport, least, plain_policy, report_of, weigh
from tokencapital.stats.intervals import Interval

CASES = 80
ALPHA = 0.03


def results(right: Sequence[bool], **more: object) -> tuple[Result, ...]:
    plain = Result(
        case="", group="", stage=Stage.PERSON, source=Stage.GENERALIST, confidence=None, score=Score(right=False),
        usage=Usage(5, 1), cost=Money(Decimal("0.002")), energy=Energy(3.0, Grade.ESTIMATED), elapsed_s=0.5,
        asked_generalist=True,
    )  # fmt: skip
    made = (
        msgspec.structs.replace(plain, case=f"case-{n}", group=f"entity-{n}", score=Score(right=bool(one)), **more)
        for n, one in enumerate(right)
    )
    return tuple(made)


def shares(right: int, cases: int = CASES) -> list[bool]:
    """So many cases right, spread evenly, so that two ways of answering agree as by chance."""
    return [bool(one) for one in np.random.default_rng(right).permutation([True] * right + [False] * (cases - right))]


def answered(name: str, ran: int, without: int | None) -> Answered:
    return Answered(name, results(shares(ran)), None if without is None else results(shares(without)))


def test_the_portable_share_is_the_ratio_of_the_uplifts() -> None:
    found = weigh([answered("home", 70, 30), answered("other", 72, 52)], ALPHA)
    assert (found.cases, found.entities, found.failed) == (CASES, CASES, 0)
    home, other = found.uplifts
    assert (home.home, other.home) == (True, False)
    assert home.uplift == pytest.approx(40 / CASES)
    assert home.ran.right == 70 / CASES
    assert home.without.right == 30 / CASES
    assert home.portable is None
    assert other.portable is not None and found.portable == other.portable
    assert other.portable.share == pytest.approx(20 / 40)
    assert other.portable.interval.low < 0.5 < other.portable.interval.high
    assert other.portable.interval.level == LEVEL
    assert home.evidence.detectable is not None and home.evidence.alpha == ALPHA / 2
    assert found.unknown is None


def test_more_than_all_of_it_is_all_of_it_and_less_than_nothing_is_nothing() -> None:
    found = weigh([answered("home", 60, 30), answered("weaker", 60, 10), answered("spoilt", 30, 60)], ALPHA)
    _, weaker, spoilt = (one.portable for one in found.uplifts)
    assert weaker is not None and spoilt is not None
    assert (weaker.share, weaker.ratio) == (1.0, pytest.approx(50 / 30))
    assert (spoilt.share, spoilt.interval.high) == (0.0, 0.0)
    assert spoilt.bounds.high < 0
    assert found.portable is not None
    assert found.portable.share == 0.0


def test_the_least_of_several_has_an_interval_that_holds_together() -> None:
    alone = weigh([answered("home", 70, 30), answered("other", 72, 52)], ALPHA).portable
    both = weigh([answered("home", 70, 30), answered("other", 72, 52), answered("third", 71, 40)], ALPHA)
    first, second = both.uplifts[1].portable, both.uplifts[2].portable
    assert alone is not None and first is not None and second is not None and both.portable is not None
    assert first.interval.level == pytest.approx(1 - (1 - LEVEL) / 2)
    assert first.interval.low < alone.interval.low
    assert first.interval.high > alone.interval.high
    assert both.portable.ratio == min(first.ratio, second.ratio)
    assert both.portable.bounds == Interval(
        min(first.bounds.low, second.bounds.low), min(first.bounds.high, second.bounds.high), LEVEL
    )


def test_the_least_lies_between_the_least_bounds() -> None:
    def made(low: float, ratio: float, high: float) -> PortableShare:
        bounds = Interval(low, high, 0.95)
        return PortableShare(share=ratio, interval=bounds, ratio=ratio, bounds=bounds)

    found = least([made(0.1, 0.5, 0.9), made(0.3, 0.4, 0.6)], 0.9)
    assert (found.ratio, found.bounds) == (0.4, Interval(0.1, 0.6, 0.9))


def test_it_is_unknown_where_the_home_uplift_may_be_nothing() -> None:
    found = weigh([answered("home", 42, 40), answered("other", 72, 40)], ALPHA)
    assert found.portable is None
    assert found.uplifts[1].portable is None
    assert found.unknown is not None and "the uplift with home cannot be told from nothing" in found.unknown
    assert found.uplifts[1].uplift == pytest.approx(0.4)
    harmed = weigh([answered("home", 20, 60), answered("other", 72, 40)], ALPHA)
    assert harmed.portable is None


def test_nothing_is_known_without_cases_or_without_another() -> None:
    empty = weigh([Answered("home", (), ()), Answered("other", (), ())], ALPHA)
    assert (empty.cases, empty.uplifts, empty.portable) == (0, (), None)
    assert empty.unknown == "no sealed case was judged yet"
    assert weigh([answered("home", 70, 30)], ALPHA).unknown == "no other generalist was asked"
    one = [Answered(name, results([True]), results([False])) for name in ("home", "other")]
    assert weigh(one, ALPHA).unknown == "all sealed cases that were judged are of one entity"


def test_without_any_generalist_nothing_answers_and_nothing_is_spent() -> None:
    found = weigh([answered("none", 60, None), answered("other", 70, 50)], ALPHA)
    home, other = found.uplifts
    assert home.uplift == pytest.approx(60 / CASES)
    assert (home.without.right, home.without.usd, home.without.joules) == (0.0, 0.0, 0.0)
    assert other.portable is not None
    assert other.portable.share == pytest.approx(20 / 60)


def test_costs_are_means_and_unknown_where_one_is() -> None:
    known = weigh([answered("home", 70, 30), answered("other", 72, 52)], ALPHA).uplifts[0].ran
    assert (known.usd, known.joules, known.grade) == (pytest.approx(0.002), pytest.approx(3.0), Grade.ESTIMATED)
    assert (known.seconds, known.asked) == (pytest.approx(0.5), 1.0)
    (first, *rest) = results(shares(70))
    unpriced = msgspec.structs.replace(first, cost=None, energy=Energy(None, Grade.UNKNOWN))
    home = Answered("home", (unpriced, *rest), results(shares(30)))
    way = weigh([home, answered("other", 72, 52)], ALPHA).uplifts[0].ran
    assert (way.usd, way.joules, way.grade) == (None, None, Grade.UNKNOWN)


def test_a_case_that_was_lost_for_one_is_left_out_for_all() -> None:
    lost = results(shares(72))
    lost = (msgspec.structs.replace(lost[0], failed=True), *lost[1:])
    plain = results(shares(52))
    plain = (*plain[:-1], msgspec.structs.replace(plain[-1], failed=True))
    found = weigh([answered("home", 70, 30), Answered("other", lost, plain)], ALPHA)
    assert (found.cases, found.failed) == (CASES - 2, 2)
    assert found.uplifts[0].evidence.n == CASES - 2


def test_fields_count_by_their_share() -> None:
    half = Score(right=False, fields=4, fields_right=2)
    ran = tuple(msgspec.structs.replace(one, score=half) for one in results(shares(0)))
    found = weigh([Answered("home", ran, results(shares(0))), answered("other", 72, 52)], ALPHA)
    assert found.uplifts[0].ran.right == 0.5
    assert found.uplifts[0].ran.interval == Interval(0.5, 0.5, LEVEL)


def test_a_report_comes_back_as_it_was_kept() -> None:
    found = weigh([answered("none", 60, None), answered("other", 70, 50)], ALPHA)
    body = {
        "id": "swp_1", "capability": "triage", "at": "2026-01-05T09:00:00Z", "level": LEVEL,
        "reading": {"policy": "p", "plain": "q", "release": None, "memory": 3, "batch": "triage/1",
                    "comparison": 1, "alpha": ALPHA},
        **msgspec.to_builtins(found),
    }  # fmt: skip
    report = report_of(body)
    assert report.home == found.uplifts[0]
    assert report_of(msgspec.json.decode(msgspec.json.encode(report))) == report
    assert isinstance(report, SwapReport)


def test_the_plain_way_has_the_contract_and_nothing_that_was_learned() -> None:
    labels = Contract(kind=ContractKind.LABEL, labels=("a", "b"))
    wanted = Capability(name="triage", contract=labels, instructions="Sort it.")
    assert plain_policy(wanted, ["a"]) == observing_policy(wanted)
    policy = plain_policy(wanted, [])
    assert (policy.exemplars, policy.lessons, policy.passages, policy.specialist) == (0, (), 0, None)
    assert not policy.identical
    assert policy.generalist


def test_fields_that_nobody_declared_are_named_as_labels_are() -> None:
    free = Capability(name="ticket", contract=Contract(kind=ContractKind.FIELDS))
    policy: Policy = plain_policy(free, [{"device": "phone", "urgency": "low"}, {"urgency": "high"}])
    assert policy.contract.schema == {
        "type": "object",
        "properties": {"device": {"type": "string"}, "urgency": {"type": "string"}},
    }
    declared = Capability(name="ticket", contract=Contract(kind=ContractKind.FIELDS, schema={"type": "object"}))
    assert plain_policy(declared, [{"device": "phone"}]).contract == declared.contract
