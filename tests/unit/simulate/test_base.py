from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tokencapital.core.case import Case, Message, Value
from tokencapital.core.judgment import Verdict
from tokencapital.simulate.base import (
    LEANS,
    RESISTS,
    UNDECIDED,
    Expert,
    Fact,
    Opinion,
    Organization,
    OutcomeRates,
    RuleChange,
    other_share,
)

AT = datetime(2026, 3, 2, tzinfo=UTC)
CHANGE = AT + timedelta(days=1)
PLAIN = Expert(name="a", team="t", reliability=1.0)


def many(fact: Fact, count: int = 2000, rates: OutcomeRates | None = None) -> Organization:
    cases = tuple(
        Case(id=f"c{i}", capability="sort", group="g", at=AT, messages=(Message("user", f"m{i}"),), key=f"k{i}")
        for i in range(count)
    )
    return Organization(
        seed=1,
        capabilities=(),
        experts=(PLAIN,),
        cases=cases,
        facts={case.id: fact for case in cases},
        meanings={"x": "all that is x", "y": "all that is y"},
        changes=(RuleChange(at=CHANGE, capability="sort", cases=(), reason="x is y now"),),
        rates=rates or OutcomeRates(),
    )


def success(organization: Organization, value: Value, at: datetime = AT) -> float:
    outcomes = [organization.outcome(case, value, at) for case in organization.cases]
    values = [outcome.value for outcome in outcomes if outcome is not None]
    return sum(map(bool, values)) / len(values)


def test_outcomes_follow_how_the_case_was_answered() -> None:
    desk = many(Fact(value="x", plausible="y"))
    assert success(desk, "x") == pytest.approx(0.92, abs=0.03)
    assert success(desk, "y") == pytest.approx(0.70, abs=0.04)
    assert success(desk, "z") == pytest.approx(0.35, abs=0.04)
    assert success(desk, None) == pytest.approx(0.35, abs=0.04)


def test_outcomes_come_late_and_some_never() -> None:
    desk = many(Fact(value="x"))
    outcomes = [desk.outcome(case, "x", AT) for case in desk.cases]
    delays = [outcome.at - AT for outcome in outcomes if outcome is not None]
    assert outcomes.count(None) / len(outcomes) == pytest.approx(0.12, abs=0.03)
    assert timedelta(days=1) <= min(delays) < timedelta(days=1.2)
    assert timedelta(days=4.8) < max(delays) <= timedelta(days=5)


def test_no_case_ends_better_with_a_wrong_answer() -> None:
    desk = many(Fact(value="x"), 300)
    for case in desk.cases:
        right, wrong = (desk.outcome(case, value, AT) for value in ("x", "z"))
        assert (right is None) == (wrong is None)
        assert right is None or wrong is None or bool(right.value) >= bool(wrong.value)


def test_an_outcome_is_joined_by_business_key() -> None:
    desk = many(Fact(value="x"), 1, OutcomeRates(silent=0.0))
    outcome = desk.outcome(desk.cases[0], "x", AT)
    assert outcome is not None
    assert (outcome.capability, outcome.key, outcome.name) == ("sort", "k0", "resolved_first_time")


def test_the_truth_flips_at_the_moment_of_the_change_and_outcomes_follow() -> None:
    desk = many(Fact(value="x", changed="y", changed_at=CHANGE))
    case = desk.cases[0]
    assert desk.truth(case, CHANGE - timedelta(microseconds=1)) == "x"
    assert desk.truth(case, CHANGE) == "y"
    assert success(desk, "x", CHANGE) == pytest.approx(0.35, abs=0.04)
    assert desk.opinion(case, PLAIN, CHANGE).reason == "x is y now"


@pytest.mark.parametrize(
    ("leanings", "share"), [((), UNDECIDED), (("y",), LEANS), (("x",), RESISTS), (("x", "y"), UNDECIDED)]
)
def test_leanings_decide_ambiguous_cases(leanings: tuple[str, ...], share: float) -> None:
    desk = many(Fact(value="x", plausible="y"))
    expert = Expert(name="b", team="t", reliability=1.0, leanings=leanings)
    answers = [desk.opinion(case, expert, AT).answer for case in desk.cases]
    given = [answer for answer in answers if answer is not None]
    assert other_share(expert, "x", "y") == share
    assert given.count("y") / len(given) == pytest.approx(share, abs=0.03)
    assert answers.count(None) / len(answers) == pytest.approx(0.05, abs=0.02)


def test_a_leaning_to_the_value_of_a_field_counts() -> None:
    expert = Expert(name="b", team="t", reliability=1.0, leanings=("high",))
    assert other_share(expert, {"urgency": "normal"}, {"urgency": "high"}) == LEANS


def test_an_expert_says_the_same_of_the_same_ambiguous_words() -> None:
    desk = many(Fact(value="x", plausible="y"), 40)
    same = [Case(id=c.id, capability="sort", group="g", at=AT, messages=(Message("user", "!"),)) for c in desk.cases]
    assert len({desk.opinion(case, PLAIN, AT).answer for case in same} - {None}) == 1


def test_slips_go_to_the_listed_mistakes_and_are_more_frequent_among_strangers() -> None:
    desk = many(Fact(value="x", mistakes=("y", "z")))
    insider, stranger = (
        Expert(name="b", team="t", reliability=0.9, knows=knows) for knows in (("x", "y"), ("somewhere else",))
    )
    slips = [desk.opinion(case, insider, AT).answer for case in desk.cases]
    assert slips.count("y") / len(slips) == pytest.approx(0.05, abs=0.015)
    assert slips.count("z") / len(slips) == pytest.approx(0.05, abs=0.015)
    opinions = [desk.opinion(case, stranger, AT) for case in desk.cases]
    given = [opinion.answer for opinion in opinions if opinion.declined is None]
    assert 1 - given.count("x") / len(given) == pytest.approx(0.2, abs=0.03)
    assert {opinion.declined for opinion in opinions} == {None, Verdict.NOT_MY_FIELD}


def test_a_declined_case_has_no_answer_and_keeps_its_verdict() -> None:
    opinion = Opinion(answer=None, declined=Verdict.CANNOT_TELL, minutes=0.5)
    assert opinion.verdict_on("x") is Verdict.CANNOT_TELL
    assert Opinion(answer="x", minutes=0.5).verdict_on("x") is Verdict.RIGHT


def test_ambiguous_cases_take_longer_and_come_with_a_reason() -> None:
    clear, doubtful = many(Fact(value="x"), 300), many(Fact(value="x", plausible="y"), 300)
    minutes = [sum(desk.opinion(case, PLAIN, AT).minutes for case in desk.cases) for desk in (clear, doubtful)]
    assert minutes[1] > 2 * minutes[0] > 0
    opinions = [doubtful.opinion(case, PLAIN, AT) for case in doubtful.cases]
    assert all(opinion.reason for opinion in opinions if opinion.declined is None)
