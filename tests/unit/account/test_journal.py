from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.account import accounts
from tokencapital.account.entries import Kind, read_counts
from tokencapital.account.journal import (
    LearningRun,
    book_learning,
    book_review,
    book_serving,
    book_steps,
    booked_until,
    steps_booked_until,
)
from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.call import Step, StepKind
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import LedgerError
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage
from tokencapital.meter.assumptions import Assumptions
from tokencapital.store.ledger import Transaction, check_balance

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE_JOULE = Energy(1.0, Grade.ESTIMATED)
NO_TOKENS = Usage()


def ids() -> IdSource:
    return IdSource(RecordedClock(AT), entropy=lambda bits: 0)


def answer(
    number: int,
    *,
    capability: str = "triage",
    stage: Stage = Stage.SPECIALIST,
    at: datetime = AT,
    cost: Money | None = None,
    energy: Energy = ONE_JOULE,
    usage: Usage = NO_TOKENS,
    release: str | None = None,
) -> Trajectory:
    return Trajectory(
        id=f"trj_{number:03}",
        case=f"case_{number}",
        capability=capability,
        at=at,
        answer=Answer(value="refund", stage=stage),
        policy="p",
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.1,
        energy=energy,
        usage=usage,
        cost=cost,
        release=release,
        generalist="big-model",
    )


def judgment(number: int, *, minutes: float | None = None, expert: str = "e1") -> Judgment:
    return Judgment(
        id=f"jdg_{number:03}",
        case=f"case_{number}",
        capability="triage",
        expert=expert,
        at=AT,
        verdict=Verdict.RIGHT,
        answer="refund",
        drawn=DrawKind.UNIFORM,
        probability=0.1,
        valid_from=AT,
        minutes=minutes,
    )


def postings(booked: Transaction, commodity: str) -> dict[str, int]:
    return {post.account: post.quantity for post in booked.postings if post.commodity == commodity}


costs = st.one_of(st.none(), st.decimals(0, 100, places=12).map(Money))
energies = st.one_of(
    st.just(UNKNOWN_ENERGY),
    st.builds(Energy, st.floats(0, 1e6), st.sampled_from([Grade.MEASURED, Grade.ATTRIBUTED, Grade.ESTIMATED])),
)
maybe = st.one_of(st.none(), st.integers(0, 10**6))
usages = st.builds(Usage, maybe, maybe, st.integers(0, 10**6), st.integers(0, 10**6))
answers = st.builds(
    answer,
    st.integers(1, 99),
    stage=st.sampled_from(Stage),
    cost=costs,
    energy=energies,
    usage=usages,
)


@given(st.lists(answers, min_size=1, max_size=30))
def test_serving_balances_for_any_trajectories_and_counts_what_is_unknown(done: list[Trajectory]) -> None:
    (booked,) = book_serving(done, {"big-model": "acme"}, ids())

    check_balance(booked)
    counts = read_counts(booked.memo)
    assert counts["answers"] == len(done)
    assert counts.get("unpriced", 0) == sum(each.cost is None for each in done)
    assert counts.get("without energy", 0) == sum(each.energy.joules is None for each in done)


def test_a_rented_call_is_owed_to_its_provider_and_local_work_to_our_machine() -> None:
    rented = answer(1, stage=Stage.GENERALIST, cost=Money(Decimal("0.25")), usage=Usage(100, 20, 30, 5, 8))
    ours = answer(2, stage=Stage.SPECIALIST, cost=Money(Decimal("0.001")), usage=Usage())

    (booked,) = book_serving([rented, ours], {"big-model": "acme"}, ids())

    assert postings(booked, "USD") == {
        "Expenses:Inference:Spend:Generalist": 250_000_000,
        "Expenses:Inference:Spend:Specialist": 1_000_000,
        "Liabilities:Providers:Acme": -250_000_000,
        "Assets:Machine:Time": -1_000_000,
    }
    assert postings(booked, "TOK") == {
        "Expenses:Inference:Tokens:Input": 100,
        "Expenses:Inference:Tokens:CacheRead": 30,
        "Expenses:Inference:Tokens:CacheWrite": 5,
        "Expenses:Inference:Tokens:Output": 20,
        "Equity:Supply:Tokens": -155,
    }


def test_a_generalist_without_provider_runs_on_our_machine() -> None:
    embedded = answer(1, stage=Stage.GENERALIST, cost=Money(Decimal(1)), usage=Usage(1, 1))

    (booked,) = book_serving([embedded], {}, ids())

    assert postings(booked, "USD")["Assets:Machine:Time"] == -1_000_000_000


def test_joules_stand_apart_by_grade() -> None:
    done = [
        answer(1, energy=Energy(1.5, Grade.MEASURED)),
        answer(2, energy=Energy(2.0, Grade.ESTIMATED)),
        answer(3, energy=UNKNOWN_ENERGY),
    ]

    (booked,) = book_serving(done, {}, ids())

    assert postings(booked, "JOULE") == {
        "Expenses:Energy:Measured": 1_500,
        "Expenses:Energy:Estimated": 2_000,
        "Equity:Supply:Energy": -3_500,
    }
    assert booked.memo == "3 answers, 3 unpriced, 1 without energy"


def test_all_that_is_unknown_is_counted_and_not_booked() -> None:
    dark = answer(1, cost=None, energy=UNKNOWN_ENERGY, usage=Usage(None, None))

    (booked,) = book_serving([dark], {}, ids())

    assert all(post.quantity == 0 for post in booked.postings)
    assert booked.memo == "1 answers, 1 unpriced, 1 without energy, 1 without tokens"


def test_serving_is_rolled_up_by_capability_release_and_day_under_a_reference_of_its_own() -> None:
    done = [
        answer(1),
        answer(2, release="rel_1"),
        answer(3, at=AT + timedelta(days=1)),
        answer(4),
        answer(5, capability="refund"),
    ]

    booked = book_serving(done, {}, ids())

    assert [each.reference for each in booked] == [
        "serve:triage:none:trj_001..trj_004",
        "serve:triage:rel_1:trj_002..trj_002",
        "serve:triage:none:trj_003..trj_003",
        "serve:refund:none:trj_005..trj_005",
    ]
    assert [each.release for each in booked] == [None, "rel_1", None, None]
    assert booked_until(booked, Kind.SERVE, "triage") == "trj_004"
    assert booked_until(booked, Kind.SERVE, "refund") == "trj_005"
    assert booked_until(booked, Kind.REVIEW, "triage") is None


def test_steps_are_owed_to_their_providers_and_known_by_their_place_in_the_record() -> None:
    def called(provider: str | None, usd: str | None, at: datetime = AT) -> Step:
        cost = None if usd is None else Money(Decimal(usd))
        return Step(
            id="s", trajectory="t", at=at, kind=StepKind.CALL, name="chat", source="gateway", provider=provider,
            usage=Usage(10, 5), cost=cost, energy=ONE_JOULE,
        )  # fmt: skip

    steps = [(7, called("acme", "0.5")), (9, called(None, "0.25")), (11, called("acme", None))]
    (booked,) = book_steps("triage", steps, ids())

    assert check_balance(booked) is None
    dollars = postings(booked, "USD")
    assert len(dollars) == 3 and sum(dollars.values()) == 0
    assert read_counts(booked.memo) == {"steps": 3, "unpriced": 1}
    assert steps_booked_until([booked], "triage") == 11
    assert steps_booked_until([booked], "refund") == 0
    assert booked_until([booked], Kind.SERVE, "triage") is None


def test_days_are_those_of_utc() -> None:
    late, early = datetime(2026, 3, 1, 23, 59, tzinfo=UTC), datetime(2026, 3, 2, 0, 1, tzinfo=UTC)

    assert len(book_serving([answer(1, at=late), answer(2, at=early)], {}, ids())) == 2


def test_review_books_minutes_measured_and_assumed_apart_and_wages_for_both() -> None:
    declared = Assumptions(wage_usd_per_hour=Decimal(60), minutes_per_judgment=0.5)

    (booked,) = book_review([judgment(1, minutes=2.0), judgment(2), judgment(3)], declared, ids())

    assert postings(booked, "MINUTE") == {
        "Expenses:Learning:Review": 3_000,
        "Equity:Supply:Minutes:Measured": -2_000,
        "Equity:Supply:Minutes:Assumed": -1_000,
    }
    assert postings(booked, "USD") == {
        "Expenses:Learning:Review": 3_000_000_000,
        "Liabilities:Staff:Wages": -3_000_000_000,
    }
    assert booked.memo == "3 judgments, 2 of assumed minutes"
    assert booked.reference == "review:triage:jdg_001..jdg_003"


def test_the_books_name_no_expert() -> None:
    (booked,) = book_review([judgment(1, expert="ada-lovelace")], Assumptions(), ids())

    assert "ada" not in repr(booked)


@given(st.lists(st.one_of(st.none(), st.floats(0, 600)), min_size=1, max_size=50), st.decimals(0, 500, places=2))
def test_review_balances_for_any_minutes_and_wage(minutes: list[float | None], wage: Decimal) -> None:
    said = [judgment(number, minutes=each) for number, each in enumerate(minutes, start=1)]

    (booked,) = book_review(said, Assumptions(wage_usd_per_hour=wage), ids())

    check_balance(booked)


def test_learning_runs_are_booked_by_what_they_were_for() -> None:
    trained = LearningRun(
        id="run_1",
        kind=Kind.TRAIN,
        capability="triage",
        at=AT,
        cost=Money(Decimal("0.5")),
        energy=Energy(10.0, Grade.ESTIMATED),
    )
    evaluated = LearningRun(
        id="run_2",
        kind=Kind.EVALUATE,
        capability="triage",
        at=AT,
        cost=None,
        energy=UNKNOWN_ENERGY,
        usage=Usage(10, 5),
        provider="acme",
        release="rel_1",
    )

    training, evaluation = book_learning(trained, ids()), book_learning(evaluated, ids())

    assert postings(training, "USD") == {"Expenses:Learning:Training": 500_000_000, "Assets:Machine:Time": -500_000_000}
    assert (training.kind, training.reference, training.memo) == ("train", "train:triage:run_1", "1 runs")
    assert postings(evaluation, "USD") == {}
    assert postings(evaluation, "TOK")["Expenses:Inference:Tokens:Output"] == 5
    assert evaluation.memo == "1 runs, 1 unpriced, 1 without energy"


def test_serving_is_no_learning_and_other_currencies_are_refused() -> None:
    with pytest.raises(LedgerError, match="serve"):
        book_learning(
            LearningRun(id="r", kind=Kind.SERVE, capability="c", at=AT, cost=None, energy=UNKNOWN_ENERGY), ids()
        )
    with pytest.raises(LedgerError, match="EUR"):
        book_serving([answer(1, cost=Money(Decimal(1), "EUR"))], {}, ids())


def test_every_account_that_is_booked_on_is_in_the_chart() -> None:
    done = [answer(number, stage=stage, cost=Money(Decimal(1))) for number, stage in enumerate(Stage, start=1)]

    for booked in book_serving(done, {"big-model": "acme"}, ids()):
        assert all(accounts.find_account(post.account) for post in booked.postings)
