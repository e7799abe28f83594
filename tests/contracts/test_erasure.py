"""What is erased is gone from the files of either database."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tokencapital.app.erasing import Erased, Erasure, erase
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Capability, Case, Contract, ContractKind, Message
from tokencapital.core.errors import StoreConflict
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.capabilities import declare_capability
from tokencapital.store.cases import read_case, record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.erasure import compact
from tokencapital.store.judgments import append_judgments, latest_sequence, memory_events, withdraw
from tokencapital.store.releases import Artifact, append_release, load_artifact, save_artifact, save_policy
from tokencapital.store.schema import payload
from tokencapital.store.steps import append_steps
from tokencapital.testing.traces import file_bytes, payload_bodies, traces

AT = datetime(2026, 2, 1, tzinfo=UTC)
FIELDS = Contract(kind=ContractKind.FIELDS)


@pytest.fixture
def filled(store: Store, store_url: str) -> str:
    """Two customers and two contributors whose words are all their own; the address of the store."""
    declare_capability(store, Capability(name="ticket", contract=FIELDS), by="mira", at=AT)
    for customer in ("quartz", "jasper"):
        case = Case(
            id=f"case-{customer}", capability="ticket", group=customer, at=AT,
            messages=(Message("user", f"Customer words of {customer}: the kaleidoscope of {customer} leaks"),),
            context={"note": f"context words of {customer}"},
        )  # fmt: skip
        record_exchanges(store, [Exchange(case, answered(case))])
        called = Step(
            id=f"step-{customer}", trajectory=f"trj-{case.id}", at=AT, kind=StepKind.TOOL, name="look_up",
            source="gateway", messages=(Message("tool", f"step words of {customer}", tool_call_id="c1"),),
        )  # fmt: skip
        with store.begin() as connection:
            append_steps(store, connection, [called])
    said = [
        judgment("ada", "quartz", 1),
        judgment("bob", "quartz", 2),
        judgment("bob", "jasper", 3),
    ]
    append_judgments(store, said)
    withdraw(store, "judgment-2", by="bob", at=AT, reason="Retraction words of bob")
    events = memory_events(store, "ticket", after=0)
    learned = [event.sequence for event in events if event.judged is not None]
    body = b"values of judgment-1: " + msgspec.json.encode(said[0].answer)
    digest = save_artifact(store, Artifact(kind="specialist", recipe="r/1", body=body, lineage=learned, at=AT))
    frozen = Policy(capability="ticket", contract=FIELDS, specialist=digest)
    save_policy(store, frozen)
    release = Release(
        id="release-1", capability="ticket", policy=frozen.hash, at=AT, lane=Lane.CHANGE,
        decision=Decision.PROMOTED, evidence=Evidence(n=0),
    )  # fmt: skip
    append_release(store, release)
    return store_url


def answered(case: Case) -> Trajectory:
    return Trajectory(
        id=f"trj-{case.id}", case=case.id, capability=case.capability, at=case.at,
        answer=Answer(value={"what": f"machine words for {case.group}"}, stage=Stage.PERSON), policy="0" * 16,
        memory=0, seed=0, propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip


def judgment(expert: str, customer: str, number: int) -> Judgment:
    return Judgment(
        id=f"judgment-{number}", case=f"case-{customer}", capability="ticket", expert=expert, at=AT,
        verdict=Verdict.CORRECTED, answer={"what": f"Judged words {number} of {expert}"}, drawn=DrawKind.VOLUNTEERED,
        probability=None, valid_from=AT, reason=f"Reason words {number} of {expert}",
    )  # fmt: skip


def erased(url: str, **asked: str) -> Erased:
    with Platform.open(Settings(store=url)) as platform:
        done = erase(platform, Erasure(by="dpo-1", **asked))
        assert compact(platform.store)
        found = verify(platform)
        assert [one for check in found.checks for one in check.findings] == []
    return done


def bytes_of(store: Store, url: str) -> bytes:
    """The files in which the database keeps its tables. PostgreSQL's log of changes is not among them: it is
    overwritten in time, and docs/how-to/erase.md says so."""
    if store.dialect == "sqlite":
        return file_bytes(url)
    with store.read() as connection:
        folder = connection.exec_driver_sql("SHOW data_directory").scalar_one()
        number = connection.exec_driver_sql(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).scalar_one()
    store.run_alone("CHECKPOINT")
    return b"\0".join(path.read_bytes() for path in Path(folder, "base", str(number)).iterdir() if path.is_file())


GROUP = [
    "Customer words of quartz",
    "kaleidoscope of quartz",
    "context words of quartz",
    "machine words for quartz",
    "step words of quartz",
    "Judged words 1 of ada",
    "Judged words 2 of bob",
    "Reason words 1 of ada",
    "Reason words 2 of bob",
    "Retraction words of bob",
]
BOB = [
    "Judged words 2 of bob",
    "Judged words 3 of bob",
    "Reason words 2 of bob",
    "Reason words 3 of bob",
    "Retraction words of bob",
]
EVERYTHING = [*GROUP, *BOB, "Customer words of jasper", "machine words for jasper", "step words of jasper"]


@pytest.mark.parametrize(("asked", "gone"), [({"group": "quartz"}, GROUP), ({"contributor": "bob"}, BOB)])
def test_no_byte_is_left_in_the_files(store: Store, filled: str, asked: dict[str, str], gone: list[str]) -> None:
    if store.dialect == "postgresql":
        store.run_alone("CHECKPOINT")
    assert traces(EVERYTHING, bytes_of(store, filled)) == EVERYTHING

    erased(filled, **asked)

    left = [words for words in dict.fromkeys(EVERYTHING) if words not in gone]
    assert traces(dict.fromkeys(EVERYTHING), bytes_of(store, filled)) == left


def test_erasing_a_customer_takes_what_was_built_and_leaves_the_others(store: Store, filled: str) -> None:
    before = latest_sequence(store)
    done = erased(filled, group="quartz")
    assert done.wiped.steps == 1
    assert (done.wiped.cases, done.wiped.answers, done.wiped.judgments, done.wiped.reasons) == (1, 1, 2, 3)
    assert done.wiped.withdrawn == ("judgment-1",)
    assert latest_sequence(store) == before + 1
    (fate,) = done.artifacts
    assert fate.erased and fate.live and fate.due is not None
    assert load_artifact(store, fate.artifact) is None
    assert read_case(store, "case-quartz") is None
    assert read_case(store, "case-jasper") is not None
    assert done.facts == {"cases": 1, "runs": 1, "steps": 1, "draws": 0, "judgments": 2}


def test_what_two_people_said_in_the_same_words_stays_the_others(store: Store, filled: str) -> None:
    same = msgspec.structs.replace(judgment("cy", "quartz", 4), answer={"what": "Judged words 1 of ada"}, reason=None)
    append_judgments(store, [same])
    done = erased(filled, contributor="ada")
    assert done.wiped.judgments == 0
    assert done.wiped.reasons == 1
    assert any(b"Judged words 1 of ada" in body for body in payload_bodies(store).values())


def test_a_case_alone_can_be_erased(store: Store, filled: str) -> None:
    done = erased(filled, case="case-jasper")
    assert (done.kind, done.wiped.cases, done.wiped.judgments) == ("case", 1, 1)
    again = erased(filled, case="case-jasper")
    assert again.wiped.payloads == 0


def test_no_error_repeats_what_was_to_be_stored(store: Store) -> None:
    """A traceback in a log would outlive the erasure of what it quotes."""
    row = {"digest": "d", "body": b"quiltwork".upper(), "erased_at": None}
    with pytest.raises(StoreConflict) as caught, store.begin() as connection:
        for _ in range(2):
            connection.execute(payload.insert(), row)
    assert "QUILTWORK" not in "".join(traceback.format_exception(caught.value))
