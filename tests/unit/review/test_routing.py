"""Cases go to whoever most likely knows, the oldest first where that is the same, and none waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest

from tokencapital.review.routing import (
    DECLARED,
    OVERDUE,
    STRANGE,
    UNSAID,
    Candidate,
    Knower,
    Results,
    barred_from,
    knows,
    order,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def waiting(name: str, label: str | None, hours: float = 1.0, barred: frozenset[str] = frozenset()) -> Candidate:
    return Candidate(draw=name, capability="triage", label=label, at=NOW - timedelta(hours=hours), barred=barred)


def test_what_people_declare_and_what_came_of_it_say_what_they_know() -> None:
    case = waiting("d", "refund")
    assert knows(Knower(pseudonym="a"), case) == UNSAID
    assert knows(Knower(pseudonym="a", fields=("refund",)), case) == DECLARED
    assert knows(Knower(pseudonym="a", fields=("triage",)), case) == DECLARED
    assert knows(Knower(pseudonym="a", fields=("delivery",)), case) == STRANGE
    assert knows(Knower(pseudonym="a", fields=("delivery",)), waiting("d", None)) == UNSAID
    failed = Knower(pseudonym="a", fields=("refund",), results={"refund": Results(0, 12)})
    proven = Knower(pseudonym="a", fields=("delivery",), results={"refund": Results(12, 12)})
    assert knows(failed, case) == pytest.approx(4 * DECLARED / 16)
    assert knows(proven, case) == pytest.approx((4 * STRANGE + 12) / 16)


def test_each_expert_gets_their_own_kind_first() -> None:
    cases = [waiting("first", "refund"), waiting("second", "delivery")]
    ines, otto = Knower(pseudonym="ines", fields=("refund",)), Knower(pseudonym="otto", fields=("delivery",))
    assert order(cases, ines, [otto], NOW) == ["first", "second"]
    assert order(cases, otto, [ines], NOW) == ["second", "first"]


def test_a_case_is_left_to_who_knows_it_better_and_is_there() -> None:
    cases = [waiting("first", "refund"), waiting("second", "other")]
    me = Knower(pseudonym="me")
    knower = Knower(pseudonym="ines", fields=("refund",))
    assert order(cases, me, [], NOW) == ["first", "second"]
    assert order(cases, me, [knower], NOW) == ["second", "first"]
    barred = [waiting("first", "refund", barred=frozenset({"ines"})), cases[1]]
    assert order(barred, me, [knower], NOW) == ["first", "second"]


def test_the_oldest_comes_first_where_all_else_is_the_same_and_an_overdue_one_always() -> None:
    me = Knower(pseudonym="me", fields=("refund",))
    cases = [waiting("old", "refund", 3), waiting("new", "refund", 1)]
    assert order(cases, me, [], NOW) == ["old", "new"]
    late = waiting("late", "strange", OVERDUE.total_seconds() / 3600)
    assert order([late, *cases], me, [Knower(pseudonym="you", fields=("strange",))], NOW)[0] == "late"


def test_who_has_judged_a_case_is_not_asked_again() -> None:
    cases = [waiting("mine", "refund", barred=frozenset({"me"})), waiting("other", "refund")]
    assert order(cases, Knower(pseudonym="me"), [], NOW) == ["other"]


def test_second_opinions_come_from_another_team_where_there_is_one() -> None:
    people = [Knower(pseudonym=name, team=team) for name, team in (("a", "north"), ("b", "north"), ("c", "south"))]
    assert barred_from({"a": "north"}, "a", people) == {"a", "b"}
    assert barred_from({"a": "north"}, None, people) == {"a"}
    assert barred_from({"a": "north"}, "a", people[:2]) == {"a"}
    assert barred_from({"a": "north", "c": "south"}, "a", people) == {"a", "c"}
    assert barred_from({"z": ""}, "z", people) == {"z"}


def test_an_order_takes_a_few_milliseconds() -> None:
    cases = [waiting(f"d{n}", f"label-{n % 30}") for n in range(200)]
    people = [Knower(pseudonym=f"p{n}", fields=(f"label-{n}",)) for n in range(20)]
    started = perf_counter()
    for _ in range(20):
        order(cases, people[0], people[1:], NOW)
    assert (perf_counter() - started) / 20 < 0.01
