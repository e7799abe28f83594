"""Steps of trajectories on either database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokencapital.app.observing import in_all
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Ending, Step, StepKind
from tokencapital.core.case import Case, Message, ToolCall
from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage
from tokencapital.store.cases import read_trajectory, record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.steps import append_steps, steps_after, steps_of, trajectory_named, with_steps

AT = datetime(2026, 2, 1, tzinfo=UTC)


def recorded(store: Store, name: str) -> str:
    case = Case(id=f"cas_{name}", capability="triage", group=name, at=AT, messages=(Message("user", name),))
    done = Trajectory(
        id=f"trj_{name}", case=case.id, capability="triage", at=AT, answer=Answer(value="x", stage=Stage.GENERALIST),
        policy="0" * 16, memory=0, seed=0, propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY,
        usage=Usage(None, None),
    )  # fmt: skip
    record_exchanges(store, [Exchange(case, done)])
    return done.id


def step(number: int, trajectory: str, cost: str | None = "0.5") -> Step:
    return Step(
        id=f"stp_{number}", trajectory=trajectory, at=AT + timedelta(seconds=number), kind=StepKind.CALL, name="chat",
        source="gateway", provider="acme", model="big", ending=Ending.DONE, elapsed_s=0.25, first_s=0.1,
        usage=Usage(10, 5, 3, 2, 1), cost=None if cost is None else Money(Decimal(cost)), price="list",
        energy=Energy(2.0, Grade.ESTIMATED),
        messages=(
            Message("assistant", "", tool_calls=(ToolCall("c1", "look_up", '{"a": 1}'),)),
            Message("tool", "found", tool_call_id="c1"),
        ),
        details={"finish": "tool_calls"},
    )  # fmt: skip


def add(store: Store, *steps: Step) -> int:
    with store.begin() as connection:
        return append_steps(store, connection, steps)


def test_steps_come_back_as_they_were_given_and_are_stored_once(store: Store) -> None:
    name = recorded(store, "a")
    second, first = step(2, name), step(1, name)
    assert add(store, second, first) == 2
    assert add(store, first, second) == 0
    assert steps_of(store, [name]) == {name: [first, second]}


def test_a_trajectory_is_found_by_its_own_id_and_by_those_of_its_steps(store: Store) -> None:
    name = recorded(store, "a")
    add(store, step(1, name))
    assert trajectory_named(store, name) == trajectory_named(store, "stp_1") == name
    assert trajectory_named(store, "stp_2") is None
    found = read_trajectory(store, "stp_1")
    assert found is not None and found.id == name


def test_steps_are_read_on_from_a_place_without_their_words(store: Store) -> None:
    name, other = recorded(store, "a"), recorded(store, "b")
    add(store, step(1, name), step(2, name), step(3, other))
    (first, _), (place, second), _ = steps_after(store, "triage", 0)
    assert [one.id for _, one in steps_after(store, "triage", first)] == ["stp_2", "stp_3"]
    assert (place > first, second.id, second.messages) == (True, "stp_2", None)
    assert with_steps(store, [name, "trj_c"]) == {name}


def test_a_trajectory_took_what_its_steps_took(store: Store) -> None:
    name = recorded(store, "a")
    done = read_trajectory(store, name)
    assert done is not None
    whole = in_all(done, [step(1, name), step(2, name, "0.25")])
    assert (whole.usage, whole.cost) == (Usage(20, 10, 6, 4, 2), Money(Decimal("0.75")))
    assert (whole.energy, whole.elapsed_s) == (Energy(4.0, Grade.ESTIMATED), 0.5)
    assert in_all(done, [step(1, name), step(2, name, None)]).cost is None
    assert in_all(done, []) is done
