"""What every store does, whichever database keeps it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import Column, Connection, DateTime, select, text

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Capability, Case, Contract, ContractKind, Goal, Message, Mode
from tokencapital.core.errors import InputError, LedgerError, StoreConflict, UnknownCapability
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Outcome, Verdict
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.core.quantity import Energy, Grade, Money, Usage
from tokencapital.core.split import Split, assign_split
from tokencapital.store import (
    capabilities,
    cases,
    draws,
    evaluations,
    judgments,
    ledger,
    outcomes,
    releases,
    sealed,
    turns,
)
from tokencapital.store.database import Store
from tokencapital.store.erasure import erase_case
from tokencapital.store.manifest import assign, split_of_cases
from tokencapital.store.schema import CHANGEABLE, Instant, metadata

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
KEY = b"k" * 32
SEALED = [f"customer-{n}" for n in range(300) if assign_split(f"customer-{n}", KEY) is Split.SEALED]
TRAIN = [f"customer-{n}" for n in range(300) if assign_split(f"customer-{n}", KEY) is Split.TRAIN]


def exchange(number: int, group: str, said: str | None = None) -> Exchange:
    at = START + timedelta(minutes=number)
    case = Case(
        id=f"case-{number}",
        capability="triage",
        group=group,
        at=at,
        messages=(Message("user", said or f"request {number}"),),
        key=f"order-{number}",
    )
    return Exchange(case, trajectory(number, at))


def trajectory(number: int, at: datetime) -> Trajectory:
    answer = Answer(
        value={"kind": "refund", "amount": 3.5},
        stage=Stage.PERSON,
        source=Stage.SPECIALIST,
        confidence=0.25,
        fields={"kind": 0.5},
        because=("judgment-1",),
    )
    return Trajectory(
        id=f"trajectory-{number}",
        case=f"case-{number}",
        capability="triage",
        at=at,
        answer=answer,
        policy="0123456789abcdef",
        memory=7,
        seed=2**40,
        propensity=0.98,
        elapsed_s=0.001,
        energy=Energy(0.5, Grade.ESTIMATED),
        usage=Usage(input=None, output=12, reasoning=3),
        cost=Money(Decimal("0.000000001")),
        release="release-1",
        generalist="scripted",
    )


def judgment(number: int, case: int, drawn: DrawKind = DrawKind.UNIFORM) -> Judgment:
    at = START + timedelta(hours=number)
    return Judgment(
        id=f"judgment-{number}",
        case=f"case-{case}",
        capability="triage",
        expert="ada",
        at=at,
        verdict=Verdict.CORRECTED,
        answer="refund",
        drawn=drawn,
        probability=None if drawn is DrawKind.VOLUNTEERED else 0.1,
        valid_from=at,
        reason="the customer asked for money",
        minutes=0.5,
    )


def record(store: Store, *exchanges: Exchange) -> None:
    cases.record_exchanges(store, exchanges)


def events(store: Store, after: int = 0) -> list[tuple[int, str, str]]:
    found = judgments.memory_events(store, "triage", after)
    return [(event.sequence, event.kind.value, event.judgment_id) for event in found]


def test_a_store_keeps_its_key_and_its_facts(open_store: Callable[..., Store], new_url: str) -> None:
    first = open_store(new_url)
    record(first, exchange(1, "a"))
    first.close()
    again = open_store(new_url)
    assert again.key == first.key
    assert len(again.key) == 32
    assert cases.read_case(again, "case-1") == exchange(1, "a").case


def test_another_key_is_refused(open_store: Callable[..., Store], store_url: str) -> None:
    assert open_store(store_url, key=KEY).key == KEY
    with pytest.raises(StoreConflict, match="another key"):
        open_store(store_url, key=b"x" * 32)


def test_the_migrations_lead_to_the_schema(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _types_differ})
        assert compare_metadata(context, metadata) == []


def _types_differ(_context: object, _seen: object, declared: Column[Any], is_type: Any, wanted: Any) -> bool | None:
    """Instants are compared as what the database keeps, everything else by alembic's own rules."""
    return not isinstance(is_type, DateTime) if isinstance(wanted, Instant) else None


def test_two_who_open_a_new_store_at_once_share_it(open_store: Callable[..., Store], new_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: open_store(new_url), range(2))
    assert first.key == second.key


def test_readers_never_skip_a_number(open_store: Callable[..., Store], store: Store, store_url: str) -> None:
    """Writer A takes a number and lingers; writer B comes after it and must not be seen before."""
    other = open_store(store_url)
    record(store, exchange(1, TRAIN[0]))
    lingering, finish = threading.Event(), threading.Event()

    def linger() -> None:
        with store.begin():
            judgments.append_judgments(store, [judgment(1, 1)])
            lingering.set()
            finish.wait(10)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(linger)
        assert lingering.wait(10)
        quick = pool.submit(judgments.append_judgments, other, [judgment(2, 1)])
        with pytest.raises(FutureTimeout):
            quick.result(0.3)
        assert judgments.memory_events(other, "triage", 0) == []
        assert judgments.latest_sequence(other) == 0
        finish.set()
        slow.result(10)
        assert [said.sequence for said in quick.result(10)] == [2]
    assert events(other) == [(1, "judged", "judgment-1"), (2, "judged", "judgment-2")]


def test_a_reader_beside_two_writers_sees_numbers_without_gaps(
    open_store: Callable[..., Store], store: Store, store_url: str
) -> None:
    record(store, exchange(1, TRAIN[0]))

    def write(writer: int) -> None:
        mine = open_store(store_url)
        for number in range(20):
            judgments.append_judgments(mine, [judgment(100 * writer + number, 1)])

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, writer) for writer in (1, 2)]
        seen: list[int] = []
        while not all(writer.done() for writer in writers) or len(seen) < 40:
            for writer in writers:
                assert not writer.done() or writer.exception() is None
            seen += [number for number, _, _ in events(store, after=seen[-1] if seen else 0)]
    assert seen == list(range(1, 41))


def test_exchanges_are_read_as_they_were_recorded(store: Store) -> None:
    given = exchange(1, "a")
    record(store, given)
    assert cases.read_case(store, "case-1") == given.case
    assert cases.read_trajectory(store, "trajectory-1") == given.trajectory
    assert cases.read_case(store, "case-2") is None
    assert cases.read_trajectory(store, "trajectory-2") is None


def test_exchanges_are_recorded_once(store: Store) -> None:
    record(store, exchange(1, "a"), exchange(1, "a"), exchange(2, "b"))
    record(store, exchange(2, "b"))
    assert cases.count_cases(store, "triage") == 2
    assert cases.count_cases(store, "other") == 0
    assert [done.id for done in cases.recent_trajectories(store, "triage", 5)] == ["trajectory-2", "trajectory-1"]
    assert [done.id for done in cases.recent_trajectories(store, "triage", 1)] == ["trajectory-2"]
    assert [done.id for done in cases.trajectories_of_case(store, "case-1")] == ["trajectory-1"]


def test_many_cases_are_read_at_once(store: Store) -> None:
    given = [exchange(number, f"group-{number}") for number in range(1200)]
    record(store, *given)
    wanted = [one.case.id for one in given]
    assert cases.read_cases(store, [*wanted, "nobody"]) == {one.case.id: one.case for one in given}


def test_groups_are_assigned_by_hash_and_stay(store: Store) -> None:
    given = [exchange(number, group) for number, group in enumerate([SEALED[0], TRAIN[0]])]
    foreseen = assign(store, [one.case for one in given])
    recorded = cases.record_exchanges(store, given)
    assert foreseen == recorded
    assert [place.split for place in recorded] == [Split.SEALED, Split.TRAIN]
    assert split_of_cases(store, ["case-0", "case-1", "case-2"]) == {"case-0": Split.SEALED, "case-1": Split.TRAIN}


def test_identical_stand_alone_inputs_share_the_earlier_group(store: Store) -> None:
    first, same = exchange(1, TRAIN[0], "Where is my card?"), exchange(2, SEALED[0], " where is  my CARD? ")
    assert [place.group for place in assign(store, [first.case, same.case])] == [TRAIN[0], TRAIN[0]]
    record(store, first)
    record(store, same, exchange(3, SEALED[0], "Another question"))
    groups = {name: case.group for name, case in cases.read_cases(store, ["case-1", "case-2", "case-3"]).items()}
    assert groups == {"case-1": TRAIN[0], "case-2": TRAIN[0], "case-3": SEALED[0]}


def test_identical_inputs_with_context_keep_their_own_group(store: Store) -> None:
    given = [exchange(number, f"customer {number}", "yes") for number in (1, 2)]
    with_context = [
        Exchange(msgspec.structs.replace(one.case, context={"thread": "t"}), one.trajectory) for one in given
    ]
    record(store, *with_context)
    found = cases.read_cases(store, ["case-1", "case-2"])
    assert [found["case-1"].group, found["case-2"].group] == ["customer 1", "customer 2"]


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(InputError), store.begin():
        record(store, exchange(1, "a"))
        judgments.append_judgments(store, [judgment(1, 99)])
    assert cases.count_cases(store, "triage") == 0
    assert judgments.latest_sequence(store) == 0


def test_judgments_take_numbers_in_order_and_once(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]), exchange(2, TRAIN[1]))
    kept = judgments.append_judgments(store, [judgment(1, 1), judgment(2, 2)])
    again = judgments.append_judgments(store, [judgment(2, 2), judgment(3, 1)])
    assert [said.sequence for said in kept] == [1, 2]
    assert [said.sequence for said in again] == [2, 3]
    assert again[0] == kept[1]
    assert judgments.latest_sequence(store) == 3
    assert events(store) == [(1, "judged", "judgment-1"), (2, "judged", "judgment-2"), (3, "judged", "judgment-3")]
    assert events(store, after=2) == [(3, "judged", "judgment-3")]


def test_memory_hears_whole_judged_cases(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]))
    (kept,) = judgments.append_judgments(store, [judgment(1, 1)])
    (event,) = judgments.memory_events(store, "triage", 0)
    assert event.judged is not None
    assert event.judged.case == exchange(1, TRAIN[0]).case
    assert event.judged.judgment == kept
    assert judgments.memory_events(store, "other", 0) == []
    assert judgments.memory_events(store, "triage", 0, until=0) == []


def test_withdrawals_and_expiries_are_events(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]))
    judgments.append_judgments(store, [judgment(1, 1)])
    until = START + timedelta(days=3)
    judgments.expire(store, ["judgment-1"], until, by="bob", at=until)
    judgments.withdraw(store, "judgment-1", by="ada", at=until, reason="a slip")
    _, expired, withdrawn = judgments.memory_events(store, "triage", 0)
    assert (expired.kind.value, expired.judgment_id, expired.valid_until) == ("expired", "judgment-1", until)
    assert (withdrawn.kind.value, withdrawn.judged) == ("withdrawn", None)
    assert judgments.read_judgments(store, "case-1") == []
    with pytest.raises(InputError):
        judgments.withdraw(store, "nobody", by="ada", at=until)


def test_memory_hears_nothing_of_sealed_groups(store: Store) -> None:
    record(store, exchange(1, SEALED[0]))
    judgments.append_judgments(store, [judgment(1, 1)])
    judgments.expire(store, ["judgment-1"], START, by="bob", at=START)
    assert events(store) == []
    assert judgments.read_judgments(store, "case-1") == []
    assert judgments.latest_sequence(store) == 2


def test_a_volunteered_judgment_takes_its_group_out_of_sealed(store: Store) -> None:
    record(store, exchange(1, SEALED[0]), exchange(2, SEALED[0]), exchange(3, SEALED[1]))
    judgments.append_judgments(store, [judgment(1, 1), judgment(3, 3)])
    judgments.append_judgments(store, [judgment(2, 2, DrawKind.VOLUNTEERED)])
    assert events(store) == [(3, "judged", "judgment-1"), (4, "judged", "judgment-2")]
    assert split_of_cases(store, ["case-1", "case-2"]) == {"case-1": Split.TRAIN, "case-2": Split.TRAIN}
    assert [one.judgment.id for one in sealed.sealed_judged(store, "triage")] == ["judgment-3"]
    (later,) = cases.record_exchanges(store, [exchange(4, SEALED[0])])
    assert later.split is Split.TRAIN


def test_sealed_batches_fill_in_order_of_judgment(store: Store) -> None:
    record(store, *[exchange(number, SEALED[number]) for number in range(4)], exchange(9, TRAIN[0]))
    judgments.append_judgments(store, [judgment(9, 9), judgment(2, 2), judgment(1, 1)])
    assert sealed.current_batch(store, "triage", 3).cases == ("case-2", "case-1")
    judgments.append_judgments(store, [judgment(0, 0), judgment(3, 3)])
    batch = sealed.current_batch(store, "triage", 3)
    assert batch.cases == ("case-2", "case-1", "case-0")
    assert batch.full
    judged = [one.judgment.id for one in sealed.sealed_judged(store, "triage", batch.id)]
    assert judged == ["judgment-2", "judgment-1", "judgment-0"]
    assert len(sealed.sealed_judged(store, "triage")) == 4


def test_a_retired_batch_teaches_and_the_next_one_opens(store: Store) -> None:
    record(store, *[exchange(number, SEALED[number]) for number in range(3)])
    judgments.append_judgments(store, [judgment(number, number) for number in range(3)])
    first = sealed.current_batch(store, "triage", 2)
    look = sealed.Look(batch=first.id, comparison=1, candidate="b", live="a", alpha=0.03, at=START)
    sealed.record_look(store, look)
    sealed.record_look(store, look)
    assert sealed.looks(store, first.id) == [look]
    with pytest.raises(StoreConflict, match="other policies"):
        sealed.record_look(store, msgspec.structs.replace(look, candidate="c"))
    sealed.retire_batch(store, first.id, at=START, by="gate")
    sealed.retire_batch(store, first.id, at=START, by="gate")
    assert events(store) == [(4, "judged", "judgment-0"), (5, "judged", "judgment-1")]
    assert sealed.current_batch(store, "triage", 2).cases == ("case-2",)
    assert sealed.current_batch(store, "triage", 2).ordinal == 2
    with pytest.raises(StoreConflict, match="retired"):
        sealed.record_look(store, msgspec.structs.replace(look, comparison=2))
    with pytest.raises(InputError):
        sealed.retire_batch(store, "triage/9", at=START, by="gate")


def test_sealed_judgments_follow_withdrawal_and_expiry(store: Store) -> None:
    record(store, exchange(1, SEALED[0]), exchange(2, SEALED[1]))
    judgments.append_judgments(store, [judgment(1, 1), judgment(2, 2)])
    judgments.withdraw(store, "judgment-1", by="ada", at=START)
    until = START + timedelta(days=1)
    judgments.expire(store, ["judgment-2"], until, by="ada", at=START)
    (left,) = sealed.sealed_judged(store, "triage")
    assert (left.judgment.id, left.judgment.valid_until) == ("judgment-2", until)


def test_draws_wait_until_they_are_judged(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]), exchange(2, SEALED[0]))
    asked = [
        Draw(id=f"draw-{n}", case=f"case-{n}", capability="triage", kind=kind, probability=0.1, at=START)
        for n, kind in ((1, DrawKind.ACTIVE), (2, DrawKind.UNIFORM))
    ]
    draws.append_draws(store, asked)
    draws.append_draws(store, asked)
    assert draws.open_draws(store, "triage") == asked
    judgments.append_judgments(store, [judgment(1, 1, DrawKind.VOLUNTEERED)])
    assert draws.open_draws(store, "triage") == asked
    judgments.append_judgments(store, [judgment(2, 1, DrawKind.ACTIVE)])
    assert draws.open_draws(store, "triage") == asked[1:]
    assert draws.draw_counts(store, "triage") == {
        (DrawKind.ACTIVE, Split.TRAIN): 1,
        (DrawKind.UNIFORM, Split.SEALED): 1,
    }
    assert draws.drawn_cases(store, "triage") == {"case-1", "case-2"}


def test_sealed_cases_are_never_drawn_actively(store: Store) -> None:
    record(store, exchange(1, SEALED[0]))
    drawn = Draw(id="d", case="case-1", capability="triage", kind=DrawKind.ACTIVE, probability=0.5, at=START)
    with pytest.raises(StoreConflict, match="sealed"):
        draws.append_draws(store, [drawn])
    assert draws.open_draws(store, "triage") == []


def test_the_newest_outcome_wins(store: Store) -> None:
    def seen(number: int, value: bool | float | None, day: int) -> Outcome:
        at = START + timedelta(days=day)
        return Outcome(id=f"o{number}", capability="triage", key="k", name="reopened", value=value, at=at)

    outcomes.append_outcomes(store, [seen(1, None, 0), seen(2, True, 5), seen(3, 2.5, 3)])
    outcomes.append_outcomes(store, [seen(1, False, 9)])
    assert outcomes.outcomes_for(store, "triage", ["k", "unheard"]) == {("k", "reopened"): seen(2, True, 5)}
    assert outcomes.outcomes_for(store, "other", ["k"]) == {}


def test_capabilities_and_goals_keep_who_declared_them(store: Store) -> None:
    declared = Capability(name="triage", contract=Contract(kind=ContractKind.LABEL, labels=("a", "b")))
    goal = Goal(
        capability="triage",
        purpose="p",
        owner="ada",
        metric="m",
        tolerance=0.05,
        limit_usd=Decimal("3.10"),
        expires_at=START,
    )
    assert capabilities.read_capability(store, "triage") is None
    capabilities.declare_capability(store, declared, by="ada", at=START)
    capabilities.declare_goal(store, goal, by="ada", at=START)
    raised = capabilities.set_mode(store, "triage", Mode.SUGGEST, by="bob", at=START)
    assert raised.mode is Mode.SUGGEST
    assert capabilities.read_capability(store, "triage") == raised
    assert capabilities.list_capabilities(store) == [raised]
    assert capabilities.read_goal(store, "triage") == goal
    assert capabilities.read_goal(store, "other") is None
    with pytest.raises(InputError):
        capabilities.set_mode(store, "triage", Mode.ANSWER, by=" ", at=START)
    with pytest.raises(UnknownCapability):
        capabilities.set_mode(store, "other", Mode.ANSWER, by="bob", at=START)


def test_artifacts_know_what_they_were_built_from(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]), exchange(2, TRAIN[1]))
    judgments.append_judgments(store, [judgment(1, 1), judgment(2, 2)])
    made = releases.Artifact(kind="specialist", recipe="linear/1", body=b"weights", lineage=(2, 1), at=START)
    digest = releases.save_artifact(store, made)
    assert releases.save_artifact(store, made) == digest
    assert releases.load_artifact(store, digest) == b"weights"
    assert releases.load_artifact(store, "nothing") is None
    assert releases.lineage_of(store, digest) == [1, 2]
    assert releases.lineage_groups(store, digest) == {TRAIN[0], TRAIN[1]}


def test_a_lineage_that_memory_never_gave_is_refused(store: Store) -> None:
    made = releases.Artifact(kind="specialist", recipe="linear/1", body=b"weights", lineage=(5,), at=START)
    with pytest.raises(StoreConflict):
        releases.save_artifact(store, made)
    assert releases.lineage_groups(store, "any") == set()


def test_the_newest_promoted_release_is_live(store: Store) -> None:
    frozen = Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL))
    hashed = releases.save_policy(store, frozen)
    assert releases.save_policy(store, frozen) == hashed
    assert releases.read_policy(store, hashed) == frozen
    assert releases.read_policy(store, "none") is None
    decisions = (Decision.PROMOTED, Decision.PROMOTED, Decision.HELD)
    decided = [
        Release(
            id=f"release-{n}",
            capability="triage",
            policy=hashed,
            at=START,
            lane=Lane.CHANGE,
            decision=decision,
            evidence=Evidence(n=10, effect=0.1, details={"looks": 2}),
        )
        for n, decision in enumerate(decisions)
    ]
    assert releases.live_release(store, "triage") is None
    for one in decided:
        releases.append_release(store, one)
    assert releases.releases(store, "triage") == decided
    assert releases.live_release(store, "triage") == decided[1]


def test_evaluations_are_kept_by_all_that_decides_them(store: Store) -> None:
    key = evaluations.EvaluationKey(policy="p", memory=3, seed=0, scorer="exact")
    evaluations.save_evaluations(store, key, {"case-1": {"score": 1.0}})
    evaluations.save_evaluations(store, key, {"case-1": {"score": 0.0}, "case-2": None})
    assert evaluations.cached_evaluations(store, key, ["case-1", "case-2", "case-3"]) == {
        "case-1": {"score": 1.0},
        "case-2": None,
    }
    other = evaluations.EvaluationKey(policy="p", memory=3, seed=0, scorer="exact", generalist="big")
    assert evaluations.cached_evaluations(store, other, ["case-1"]) == {}


def booking(number: int, *postings: tuple[str, str, int], reference: str | None = None) -> ledger.Transaction:
    return ledger.Transaction(
        id=f"tx-{number}",
        at=START + timedelta(days=number),
        kind="serving",
        memo="tokens",
        capability="triage",
        reference=reference,
        postings=tuple(ledger.Posting(*posting) for posting in postings),
    )


def test_the_ledger_keeps_balanced_transactions_once(store: Store) -> None:
    paid = booking(1, ("expense:serving", "USD", 10**12), ("asset:cash", "USD", -(10**12)), reference="exchange-1")
    same = booking(2, ("expense:serving", "USD", 5), ("asset:cash", "USD", -5), reference="exchange-1")
    used = booking(3, ("use:tokens", "TOK", 70), ("source:tokens", "TOK", -70))
    assert ledger.append_transactions(store, [paid, used]) == 2
    assert ledger.append_transactions(store, [paid, same, used]) == 0
    assert ledger.transactions(store) == [paid, used]
    assert ledger.balances(store, "triage", until=START + timedelta(days=2)) == {
        ("asset:cash", "USD"): -(10**12),
        ("expense:serving", "USD"): 10**12,
    }
    assert ledger.balances(store, "other") == {}


@pytest.mark.parametrize(
    "postings",
    [
        (),
        (("a", "USD", 1),),
        (("a", "USD", 1), ("b", "TOK", -1)),
        (("a", "EUR", 1), ("b", "EUR", -1)),
        (("a", "USD", 2**63), ("b", "USD", -(2**63))),
    ],
)
def test_the_ledger_refuses_what_does_not_balance(store: Store, postings: tuple[tuple[str, str, int], ...]) -> None:
    good = booking(1, ("a", "USD", 1), ("b", "USD", -1))
    with pytest.raises(LedgerError):
        ledger.append_transactions(store, [good, booking(2, *postings)])
    assert ledger.transactions(store) == []


def test_corrections_are_reversals(store: Store) -> None:
    ledger.append_transactions(store, [booking(1, ("a", "USD", 7), ("b", "USD", -7))])
    undone = ledger.reverse(store, "tx-1", reversal_id="tx-2", at=START, reason="booked twice")
    assert ledger.transactions(store)[1] == undone
    assert set(ledger.balances(store).values()) == {0}
    with pytest.raises(LedgerError, match="before"):
        ledger.reverse(store, "tx-1", reversal_id="tx-3", at=START, reason="again")
    with pytest.raises(LedgerError, match="no transaction"):
        ledger.reverse(store, "tx-9", reversal_id="tx-4", at=START, reason="which?")


def test_turns_are_kept_in_order_and_once(store: Store) -> None:
    given = [
        turns.Turn(
            capability="triage", number=number, at=START, cases=9, judgments=2, memory=3, release="r", facts={"a": 0.5}
        )
        for number in (2, 1)
    ]
    for turn in [*given, given[0]]:
        turns.append_turn(store, turn)
    assert turns.turns(store, "triage") == [given[1], given[0]]
    assert turns.turns(store, "other") == []


def test_trajectories_after_one_are_those_that_followed(store: Store) -> None:
    record(store, *[exchange(number, "a") for number in (1, 2, 3)])
    assert [done.id for done in cases.trajectories_after(store, "triage", "trajectory-1")] == [
        "trajectory-2",
        "trajectory-3",
    ]
    assert len(cases.trajectories_after(store, "triage", None)) == 3


def test_erased_words_are_gone_and_facts_stay(store: Store) -> None:
    record(store, exchange(1, TRAIN[0]), exchange(2, TRAIN[1]))
    judgments.append_judgments(store, [judgment(1, 1), judgment(2, 2)])
    assert erase_case(store, "case-1", by="dpo", at=START) == 4
    assert erase_case(store, "case-1", by="dpo", at=START) == 0
    assert cases.read_case(store, "case-1") is None
    assert cases.read_case(store, "case-2") is not None
    erased = cases.read_trajectory(store, "trajectory-1")
    assert erased is not None
    assert erased.answer.value is None
    assert cases.count_cases(store, "triage") == 2
    assert events(store) == [(2, "judged", "judgment-2"), (3, "withdrawn", "judgment-1")]


def test_facts_are_only_ever_added(store: Store) -> None:
    _fill(store)
    for name in sorted(set(metadata.tables) - CHANGEABLE):
        column = next(iter(metadata.tables[name].columns)).name
        for statement in (f'UPDATE {name} SET "{column}" = "{column}"', f"DELETE FROM {name}"):
            _is_refused(store, statement)


def test_payloads_are_only_erased_and_counters_only_grow(store: Store) -> None:
    _fill(store)
    _is_refused(store, "DELETE FROM payload")
    _is_refused(store, "UPDATE payload SET digest = 'x'")
    _is_refused(store, "UPDATE payload SET body = '1', erased_at = NULL")
    _is_refused(store, "DELETE FROM counter")
    _is_refused(store, "UPDATE counter SET value = value - 1")


def _is_refused(store: Store, statement: str) -> None:
    with pytest.raises(StoreConflict, match="append-only"), store.begin() as connection:
        connection.execute(text(statement))


def _fill(store: Store) -> None:
    """At least one row in every table."""
    record(store, exchange(1, SEALED[0]), exchange(2, TRAIN[0]))
    judgments.append_judgments(store, [judgment(1, 1), judgment(2, 2)])
    batch = sealed.current_batch(store, "triage", 5)
    sealed.record_look(store, sealed.Look(batch=batch.id, comparison=1, candidate="b", live="a", alpha=0.1, at=START))
    sealed.retire_batch(store, batch.id, at=START, by="gate")
    drawn = Draw(id="d", case="case-2", capability="triage", kind=DrawKind.ACTIVE, probability=0.5, at=START)
    draws.append_draws(store, [drawn])
    seen = Outcome(id="o", capability="triage", key="k", name="n", value=None, at=START)
    outcomes.append_outcomes(store, [seen])
    declared = Capability(name="triage", contract=Contract(kind=ContractKind.LABEL))
    capabilities.declare_capability(store, declared, by="ada", at=START)
    goal = Goal(capability="triage", purpose="p", owner="ada", metric="m", tolerance=0.05)
    capabilities.declare_goal(store, goal, by="ada", at=START)
    made = releases.Artifact(kind="specialist", recipe="linear/1", body=b"w", lineage=(2,), at=START)
    releases.save_artifact(store, made)
    hashed = releases.save_policy(store, Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL)))
    releases.append_release(
        store,
        Release(
            id="r",
            capability="triage",
            policy=hashed,
            at=START,
            lane=Lane.CHANGE,
            decision=Decision.HELD,
            evidence=Evidence(n=0),
        ),
    )
    evaluations.save_evaluations(
        store, evaluations.EvaluationKey(policy=hashed, memory=1, seed=0, scorer="s"), {"case-1": 1.0}
    )
    turns.append_turn(
        store, turns.Turn(capability="triage", number=1, at=START, cases=2, judgments=2, memory=3, release=None)
    )
    ledger.append_transactions(store, [booking(1, ("a", "USD", 1), ("b", "USD", -1))])
    _fill_empty(store)


def _fill_empty(store: Store) -> None:
    """One made-up row in each table of facts that has none yet, its references pointing at rows that are there."""
    with store.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name in CHANGEABLE or connection.execute(table.select().limit(1)).first() is not None:
                continue
            connection.execute(
                table.insert(), {column.name: _any_value(connection, column) for column in table.columns}
            )


def _any_value(connection: Connection, column: Column[Any]) -> object:
    for key in column.foreign_keys:
        return connection.execute(select(key.column).limit(1)).scalar()
    if isinstance(column.type, Instant):
        return START
    return {str: "x", int: 1, float: 1.0, bytes: b"x", bool: True}[column.type.python_type]
