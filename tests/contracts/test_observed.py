"""Calls become observed trajectories on both databases: each once, however often and in whatever order they come."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tokencapital.app.recording import handlers
from tokencapital.core.call import UNSORTED, Call, Ending, Reading, Wire
from tokencapital.core.case import Capability, Contract, ContractKind, Goal, Message
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.judgment import Outcome
from tokencapital.core.quantity import Money, Usage
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import Price, PriceBook
from tokencapital.record.drain import Drain, read_report
from tokencapital.record.spool import Spool, SpoolSettings
from tokencapital.record.spool_dead import dead_letters
from tokencapital.record.spool_folder import depth
from tokencapital.record.spool_frames import FrameKind, OutcomeBatch, SpanBatch
from tokencapital.store.capabilities import declare_capability, declare_goal
from tokencapital.store.cases import read_case, read_trajectory, recent_trajectories
from tokencapital.store.database import Store
from tokencapital.store.draws import count_drawn
from tokencapital.store.durability import settle
from tokencapital.store.outcomes import outcomes_for
from tokencapital.store.steps import steps_of, trajectory_named
from tokencapital.testing.waiting import wait_until

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CLOCK = RecordedClock(NOW)
METER = Meter(
    PriceBook(contracts={"known": Price(input=Decimal(1), output=Decimal(2))}), LocalEstimate(watts=10.0, pue=1.0)
)


def a_call(name: str, said: str = "billing", **more: object) -> Call:
    """A call with what it says beside it, as where bodies are not kept."""
    asked = Message("user", f"What is {name}?")
    reading = Reading(
        messages=(Message("system", "Sort mail."), asked),
        answer=(Message("assistant", said),) if said else (),
        usage=Usage(100, 10),
        model="known",
    )
    given = {
        "id": f"trj_{name}", "at": NOW + timedelta(seconds=len(name)), "wire": Wire.CHAT, "asked": "known",
        "provider": "openai", "status": 200, "ending": Ending.DONE, "reading": reading, **more,
    }  # fmt: skip
    return Call(**given)  # type: ignore[arg-type]


def an_outcome(key: str = "T-1") -> Outcome:
    return Outcome(id="out_1", capability="triage", key=key, name="solved", value=True, at=NOW)


def a_drain(root: Path, store: Store) -> Drain:
    return Drain(root, handlers(store, METER, CLOCK), CLOCK, lambda: settle(store))


def drained(root: Path, store: Store) -> None:
    drain = a_drain(root, store)
    while drain.turn():
        pass
    drain.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    opened = Spool(tmp_path / "spool", "spl_1", SpoolSettings())
    yield opened
    opened.close()


def declared(store: Store, kind: ContractKind, goal: bool = False) -> None:
    declare_capability(store, Capability(name="triage", contract=Contract(kind=kind)), by="test", at=NOW)
    if goal:
        wanted = Goal(capability="triage", purpose="p", owner="o", metric="m", tolerance=0.1, judged_share=1.0)
        declare_goal(store, wanted, by="test", at=NOW)


def test_a_call_becomes_a_case_an_answer_and_a_step_with_its_price(store: Store, spool: Spool) -> None:
    declared(store, ContractKind.LABEL)
    spool.keep_now(a_call("one", " billing\n", capability="triage", group="acme", key="T-1", application="crm"))
    drained(spool.root, store)
    done = read_trajectory(store, "trj_one")
    assert done is not None
    assert (done.answer.value, done.cost, done.usage) == ("billing", None, Usage(None, None))
    case = read_case(store, done.case)
    assert case is not None
    assert (case.messages, case.group, case.key) == ((Message("user", "What is one?"),), "acme", "T-1")
    (step,) = steps_of(store, ["trj_one"])["trj_one"]
    assert step.cost == Money(Decimal("0.00012"))
    assert (step.application, step.provider, step.model, step.usage) == ("crm", "openai", "known", Usage(100, 10))
    assert step.messages is not None
    assert [one.role for one in step.messages] == ["system", "user", "assistant"]
    assert depth(spool.root).frames == 0


def test_what_no_rule_named_or_nobody_declared_is_unsorted(store: Store, spool: Spool) -> None:
    spool.keep_now(a_call("one"))
    spool.keep_now(a_call("three", capability="never-declared"))
    drained(spool.root, store)
    assert {one.id for one in recent_trajectories(store, UNSORTED, 5)} == {"trj_one", "trj_three"}


def test_a_model_without_a_price_costs_what_nobody_knows(store: Store, spool: Spool) -> None:
    spool.keep_now(a_call("one", reading=Reading(answer=(Message("assistant", "x"),), usage=Usage(1, 1), model="odd")))
    drained(spool.root, store)
    (step,) = steps_of(store, ["trj_one"])["trj_one"]
    assert (step.cost, step.price) == (None, None)


@pytest.mark.parametrize("ending", [Ending.DISCONNECTED, Ending.REFUSED, Ending.BROKEN, Ending.UNREACHABLE])
def test_a_call_that_failed_is_a_step_and_no_answer_and_nobody_is_asked_about_it(
    store: Store, spool: Spool, ending: Ending
) -> None:
    declared(store, ContractKind.TEXT, goal=True)
    spool.keep_now(a_call("one", "half of an ans", capability="triage", ending=ending))
    drained(spool.root, store)
    done = read_trajectory(store, "trj_one")
    assert done is not None
    assert done.answer.value is None
    assert done.failure is not None
    assert steps_of(store, ["trj_one"])["trj_one"][0].ending is ending
    assert count_drawn(store, "triage") == 0


def test_answers_of_a_capability_with_a_goal_are_drawn_for_review(store: Store, spool: Spool) -> None:
    declared(store, ContractKind.TEXT, goal=True)
    for number in range(60):
        spool.keep_now(a_call(f"n{number}", capability="triage", group=f"g{number}"))
    drained(spool.root, store)
    assert count_drawn(store, "triage") > 0


def test_calls_that_come_again_in_another_order_change_nothing(store: Store, tmp_path: Path) -> None:
    calls = [a_call(f"n{number}", group=f"g{number % 3}") for number in range(20)]
    record = handlers(store, METER, CLOCK)[FrameKind.CALL]
    record(calls[:12])
    before = recent_trajectories(store, UNSORTED, 50)
    record(list(reversed(calls)))
    after = recent_trajectories(store, UNSORTED, 50)
    assert len(before) == 12
    assert len(after) == 20
    assert all(one in after for one in before)
    assert sum(len(steps) for steps in steps_of(store, [one.id for one in calls]).values()) == 20
    assert all(trajectory_named(store, one.id) == one.id for one in calls)


def test_a_crash_between_the_store_and_the_cursor_repeats_harmlessly(store: Store, spool: Spool) -> None:
    for number in range(10):
        spool.keep_now(a_call(f"n{number}"))

    def crash() -> None:
        raise KeyboardInterrupt

    cut = Drain(spool.root, handlers(store, METER, CLOCK), CLOCK, crash)
    with pytest.raises(KeyboardInterrupt):
        cut.turn()
    cut.close()
    assert len(recent_trajectories(store, UNSORTED, 50)) == 10
    assert depth(spool.root).frames == 10
    drained(spool.root, store)
    assert len(recent_trajectories(store, UNSORTED, 50)) == 10
    assert depth(spool.root).frames == 0


def test_a_frame_that_cannot_be_stored_is_set_aside_with_its_reason_and_blocks_nothing(
    store: Store, spool: Spool
) -> None:
    spool.keep_now(a_call("before"))
    spool.keep_now(SpanBatch(id="odd", at=NOW, body=b"no spans"))
    spool.keep_now(OutcomeBatch(id="nul", at=NOW, outcomes=(an_outcome(key="T\0"),)))
    spool.keep_now(a_call("nul", group="g\0", asked="\0", reading=Reading(model="\0")))
    spool.keep_now(a_call("after"))
    drained(spool.root, store)
    assert {one.id for one in recent_trajectories(store, UNSORTED, 5)} == {
        "trj_before", "trj_nul", "trj_after",
    }  # fmt: skip
    aside = 2 if store.dialect == "postgresql" else 1
    assert len(dead_letters(spool.root)) == aside
    report = read_report(spool.root)
    assert report is not None
    assert (report.dead, report.stored, report.away) == (aside, 5, None)


def test_outcomes_that_waited_are_in_the_store_each_once(store: Store, spool: Spool) -> None:
    seen = an_outcome()
    for batch in ("a", "b"):
        spool.keep_now(OutcomeBatch(id=batch, at=NOW, outcomes=(seen,)))
    drained(spool.root, store)
    assert outcomes_for(store, "triage", ["T-1"]) == {("T-1", "solved"): seen}


def test_while_the_store_is_away_the_drain_waits_and_says_why(store: Store, spool: Spool) -> None:
    there = threading.Event()
    inner = handlers(store, METER, CLOCK)[FrameKind.CALL]

    def record(calls: list[Call]) -> None:
        if not there.is_set():
            raise StoreUnavailable("the database is away")
        inner(calls)

    spool.keep_now(a_call("one"))
    drain = Drain(spool.root, {FrameKind.CALL: record}, CLOCK, lambda: None)
    stop = threading.Event()
    thread = threading.Thread(target=drain.run, args=(stop, 5.0))
    thread.start()

    def told() -> bool:
        report = read_report(spool.root)
        return report is not None and report.away is not None

    assert wait_until(told)
    assert depth(spool.root).frames == 1
    there.set()
    stop.set()
    thread.join()
    assert read_trajectory(store, "trj_one") is not None
    assert depth(spool.root).frames == 0


def test_frames_of_several_writers_come_in_the_order_of_their_times_and_none_is_passed_over(tmp_path: Path) -> None:
    draw = random.Random(11)
    for trial in range(20):
        seen: list[str] = []
        root = tmp_path / str(trial)
        writers = [Spool(root, f"spl_{number}", SpoolSettings(fsync=False)) for number in range(3)]
        times = sorted(draw.sample(range(10_000), 60))
        for number, at in enumerate(times):
            call = a_call(f"{number:02}", said="x" * draw.randrange(3_000), at=NOW + timedelta(seconds=at))
            draw.choices(writers, (1, 3, 9))[0].keep_now(call)
        for writer in draw.sample(writers, trial % 4):
            writer.close()
        drain = a_drain_to(root, lambda calls, seen=seen: seen.extend(one.id for one in calls))
        while drain.turn(10_000):
            pass
        drain.close()
        for writer in writers:
            writer.close()
        assert seen == [f"trj_{number:02}" for number in range(60)]


def a_drain_to(root: Path, record: Callable[[list[Call]], None]) -> Drain:
    return Drain(root, {FrameKind.CALL: record}, CLOCK, lambda: None)
