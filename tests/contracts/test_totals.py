"""Sums of what was done, on either database: right at every look, each row once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Ending, Step, StepKind
from tokencapital.core.case import Case, Message
from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.steps import append_steps
from tokencapital.store.totals import Doer, Sums, Totals, draws_waiting

AT = datetime(2026, 2, 1, tzinfo=UTC)
OBSERVED = Doer("triage", "step", "acme", "USD", "estimated")
ANSWERED = Doer("triage", "recall", "", "", "unknown")


def record(store: Store, number: int, stage: Stage = Stage.GENERALIST) -> str:
    case = Case(id=f"cas_{number}", capability="triage", group="g", at=AT, messages=(Message("user", "x"),))
    done = Trajectory(
        id=f"trj_{number}", case=case.id, capability="triage", at=AT, answer=Answer(value="x", stage=stage),
        policy="0" * 16, memory=0, seed=0, propensity=1.0, elapsed_s=0.5, energy=UNKNOWN_ENERGY,
        usage=Usage(None, None),
    )  # fmt: skip
    record_exchanges(store, [Exchange(case, done)])
    return done.id


def observe(store: Store, number: int, cost: str | None = "0.5", ambiguous: bool = False) -> None:
    step = Step(
        id=f"stp_{number}", trajectory=record(store, number), at=AT + timedelta(seconds=number), kind=StepKind.CALL,
        name="chat", source="gateway", provider="acme", model="big", ending=Ending.DONE, elapsed_s=0.25,
        usage=Usage(10, 5, 3, 2, 1), cost=None if cost is None else Money(Decimal(cost)),
        energy=Energy(2.0, Grade.ESTIMATED), details={"ambiguous": True} if ambiguous else {},
    )  # fmt: skip
    with store.begin() as connection:
        append_steps(store, connection, [step])


def test_sums_are_right_at_every_look(store: Store) -> None:
    totals = Totals(store)
    assert totals.look() == {}
    for number in range(1, 6):
        observe(store, number, ambiguous=number == 3)
        found = totals.look()[OBSERVED]
        assert (found.count, found.tokens, found.cost) == (
            number,
            (10 * number, 5 * number, 3 * number, 2 * number, number),
            0.5 * number,
        )
        assert found.ambiguous == (number >= 3)
    assert totals.look() == totals.look() == Totals(store).look()


def test_heads_of_what_was_observed_are_no_answers_of_ours(store: Store) -> None:
    observe(store, 1)
    record(store, 2, Stage.RECALL)
    assert Totals(store).look() == {
        OBSERVED: Sums(1, 0.25, (10, 5, 3, 2, 1), 0.5, 2.0, 0, 0),
        ANSWERED: Sums(1, 0.5, (0, 0, 0, 0, 0), 0.0, 0.0, 1, 0),
    }


def test_what_has_no_price_is_counted_apart(store: Store) -> None:
    observe(store, 1, cost=None)
    (found,) = Totals(store).look().values()
    assert (found.count, found.cost, found.unpriced) == (1, 0.0, 1)


def test_nothing_waits_in_an_empty_store(store: Store) -> None:
    assert draws_waiting(store) == {}
