"""What the overview pages read, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tokencapital.account.books import books_of
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Contract, ContractKind, Message
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.store.cases import (
    answers_resting_on,
    count_cases,
    newest_stages,
    record_exchanges,
    trajectories_of_cases,
)
from tokencapital.store.database import Store
from tokencapital.store.judgments import append_judgments, withdraw
from tokencapital.store.ledger import Posting, Transaction, append_transactions, booked_after, reverse
from tokencapital.store.lineage import releases_taught, teaching
from tokencapital.store.releases import Artifact, append_release, save_artifact, save_policy
from tokencapital.store.schema import work_case
from tokencapital.store.tally import count_judgments, tally

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
OF = "triage"


def exchange(number: int, stage: Stage = Stage.PERSON, because: tuple[str, ...] = (), of: str = OF) -> Exchange:
    at = START + timedelta(hours=number)
    message = Message("user", f"this is request {number}")
    case = Case(id=f"case-{number}", capability=of, group=f"group-{number}", at=at, messages=(message,), key="")
    done = Trajectory(
        id=f"trj-{number}",
        case=case.id,
        capability=of,
        at=at,
        answer=Answer(value="refund", stage=stage, because=because),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    return Exchange(case, done)


def said(number: int) -> Judgment:
    at = START + timedelta(days=1, hours=number)
    return Judgment(
        id=f"jdg-{number}",
        case=f"case-{number}",
        capability=OF,
        expert="ada",
        at=at,
        verdict=Verdict.CORRECTED,
        answer="refund",
        drawn=DrawKind.VOLUNTEERED,
        probability=None,
        valid_from=at,
    )


def booked(number: int, usd: int, kind: str = "review") -> Transaction:
    postings = (Posting("Expenses:Learning:Review", "USD", usd), Posting("Liabilities:Staff:Wages", "USD", -usd))
    return Transaction(id=f"txn-{number}", at=START, kind=kind, memo="1 runs", postings=postings, capability=OF)


def test_cases_are_counted_a_part_at_a_time(store: Store) -> None:
    for number in range(12):
        record_exchanges(store, [exchange(number), exchange(100 + number, of="other")])
        assert tally(store, work_case, OF, settled_after=2) == number + 1
    assert count_cases(store, OF) == count_cases(store, "other") == 12
    assert count_cases(store, "nothing") == 0


def test_stages_and_runs_of_many_cases(store: Store) -> None:
    stages = [Stage.RECALL, Stage.PERSON, Stage.PERSON, Stage.SPECIALIST]
    record_exchanges(store, [exchange(number, stage) for number, stage in enumerate(stages)])
    assert newest_stages(store, OF, 3) == {Stage.SPECIALIST: 1, Stage.PERSON: 2}
    assert newest_stages(store, "other", 3) == {}
    found = trajectories_of_cases(store, ["case-1", "case-3", "case-9"])
    assert {case: [one.id for one in done] for case, done in found.items()} == {
        "case-1": ["trj-1"],
        "case-3": ["trj-3"],
    }


def test_answers_that_rest_on_a_judgment(store: Store) -> None:
    record_exchanges(store, [exchange(number, Stage.RECALL, ("jdg-1", "jdg-2")) for number in range(5)])
    count, newest = answers_resting_on(store, "jdg-1", 2)
    assert (count, [one.id for one in newest]) == (5, ["trj-4", "trj-3"])
    assert answers_resting_on(store, "jdg-9", 2) == (0, [])


def test_releases_that_learned_from_a_judgment(store: Store) -> None:
    record_exchanges(store, [exchange(number) for number in range(3)])
    kept = append_judgments(store, [said(number) for number in range(3)])
    assert count_judgments(store, OF) == 3
    assert teaching(store, ["jdg-0", "jdg-9"]) == {"jdg-0": (kept[0].sequence,)}
    for number, lineage in enumerate(([0], [0, 1])):
        sequences = [kept[one].sequence for one in lineage]
        made = Artifact(kind="specialist", recipe="r/1", body=b"%d" % number, lineage=sequences, at=START)
        contract = Contract(kind=ContractKind.LABEL)
        policy = Policy(capability=OF, contract=contract, specialist=save_artifact(store, made))
        decision = Decision.PROMOTED if number else Decision.HELD
        release = Release(
            id=f"rel-{number}",
            capability=OF,
            policy=save_policy(store, policy),
            at=START,
            lane=Lane.CHANGE,
            decision=decision,
            evidence=Evidence(n=1),
        )
        append_release(store, release)
    withdraw(store, "jdg-1", by="ada", at=START)
    found = releases_taught(store, OF, ["jdg-0", "jdg-1", "jdg-2"])
    assert found == {"jdg-0": ("rel-1",), "jdg-1": ("rel-1",)}


def test_books_are_summed_a_part_at_a_time(store: Store) -> None:
    books = books_of(store, OF)
    assert books.standing().learning_usd == 0
    append_transactions(store, [booked(1, 5_000_000_000), booked(2, 3_000_000_000, "train")])
    assert books.standing().learning_usd == 8
    reverse(store, "txn-1", reversal_id="back", at=START, reason="twice")
    found = booked_after(store, OF, 2)
    assert {one.kind for one in found.movements} == {"review"}
    assert found.memos == (("review", "1 runs", -1),)
    assert books.standing().learning_usd == 3
    assert books.standing().counts["review"]["runs"] == 0


def test_what_is_booked_behind_the_newest_is_not_missed(
    store: Store, backend: str, store_url: str, open_store: Callable[..., Store]
) -> None:
    """On PostgreSQL a transaction that began earlier may end later; on SQLite it cannot."""
    if backend == "sqlite":
        pytest.skip("one writer at a time")
    other = open_store(store_url)
    with store.begin():
        append_transactions(store, [booked(1, 5_000_000_000)])
        append_transactions(other, [booked(2, 3_000_000_000)])
        assert books_of(other, OF).standing().learning_usd == 3
    assert books_of(other, OF).standing().learning_usd == 8


def test_nothing_is_gathered_before_the_gate_asks(store: Store) -> None:
    found = SealedCases(store, OF).gathered()
    assert (found.entities, found.looks) == (0, 0)
    assert found.size == 75
