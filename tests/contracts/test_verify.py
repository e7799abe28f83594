"""Whoever changes a store behind the house's back is found out, on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import Verified, read_head, verify, write_head
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Contract, ContractKind, Message
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.audit import Act, Done, Head, append_audit
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import append_judgments, withdraw
from tokencapital.store.releases import Artifact, save_artifact, save_policy
from tokencapital.store.schema import CHANGEABLE, metadata

AT = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def filled(store: Store, store_url: str) -> str:
    """A store with a fact of every kind that is checked; its address."""
    for number in range(6):
        case = Case(
            id=f"case-{number}", capability="triage", group=f"group-{number}", at=AT,
            messages=(Message("user", f"my card number {number} is gone"),),
        )  # fmt: skip
        record_exchanges(store, [Exchange(case, unanswered(case))])
        draw = Draw(
            id=f"draw-{number}", case=case.id, capability="triage", kind=DrawKind.UNIFORM, probability=0.1, at=AT
        )
        append_draws(store, [draw])
    append_judgments(store, [judgment(number) for number in range(4)])
    withdraw(store, "judgment-3", by="ada", at=AT, reason="a slip of mine")
    digest = save_artifact(store, Artifact(kind="specialist", recipe="r/1", body=b"numbers", lineage=[1, 2], at=AT))
    save_policy(store, Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL), specialist=digest))
    for subject in ("one", "two", "three"):
        with store.begin() as connection:
            append_audit(store, connection, Act(what=Done.RETRACTED, subject=subject, at=AT, by="ada"))
    return store_url


def unanswered(case: Case) -> Trajectory:
    return Trajectory(
        id=f"trj-{case.id}", case=case.id, capability=case.capability, at=case.at,
        answer=Answer(value="card_lost", stage=Stage.PERSON), policy="0" * 16, memory=0, seed=0, propensity=1.0,
        elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip


def judgment(number: int) -> Judgment:
    return Judgment(
        id=f"judgment-{number}", case=f"case-{number}", capability="triage", expert="ada", at=AT,
        verdict=Verdict.CORRECTED, answer="card_stolen", drawn=DrawKind.UNIFORM, probability=0.1, valid_from=AT,
        reason="so they said",
    )  # fmt: skip


def checked(url: str, kept: Head | None = None) -> Verified:
    with Platform.open(Settings(store=url)) as platform:
        return verify(platform, kept)


def findings(found: Verified, *, guards: bool = False) -> list[str]:
    """What was found, without what is said of missing guards: whoever tampers takes them away first."""
    return [one for check in found.checks for one in check.findings if guards or check.name != "guards"]


def tamper(store: Store, *statements: str) -> None:
    """Somebody who can write the database takes its guards away and changes it."""
    with store.begin() as connection:
        if store.dialect == "sqlite":
            names = list(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
            for name in names:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in metadata.tables:
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_store_that_nobody_touched_passes(filled: str) -> None:
    found = checked(filled)
    assert findings(found, guards=True) == []
    assert found.passed
    assert found.counts["work_case"] == 6
    assert found.counts["audit_event"] == found.head.count
    assert found.warning is not None and "unprotected" in found.warning


TAMPERED = {
    "an edited act": (
        "UPDATE audit_event SET by = 'mallory' WHERE subject = 'two'",
        "was changed after it was recorded",
    ),
    "a deleted act": ("DELETE FROM audit_event WHERE subject = 'two'", "missing before act"),
    "an added act": (
        """INSERT INTO audit_event SELECT number + 1, what, 'four', body, at, by, digest, digest FROM audit_event
        WHERE subject = 'three'""",
        "was changed after it was recorded",
    ),
    "a changed payload": (
        "UPDATE payload SET body = :other WHERE digest = (SELECT payload FROM work_case WHERE id = 'case-1')",
        "is not what was written",
    ),
    "a changed reason": (
        """UPDATE payload SET body = :other WHERE digest =
        (SELECT substr(reason, 9) FROM memory_event WHERE kind = 'withdrawn')""",
        "is not what was written",
    ),
    "an emptied payload": (
        "UPDATE judgment SET payload = 'nothing' WHERE id = 'judgment-1'",
        "its payload nothing is missing",
    ),
    "a memory event that is gone": ("DELETE FROM memory_event WHERE sequence = 2", "memory: number 2 is missing"),
    "a counter that was turned back": (
        "UPDATE counter SET value = 3 WHERE name = 'memory'",
        "memory: the counter says 3",
    ),
    "a queue that hides a case": ("DELETE FROM open_draw WHERE case_id = 'case-5'", "1 draws that wait are missing"),
    "another specialist": ("UPDATE artifact SET body = :other", "its content is not what its digest names"),
    "another lineage": ("UPDATE artifact_lineage SET sequence = 99 WHERE sequence = 2", "1 judgments of its lineage"),
    "a bolder policy": (
        "UPDATE policy SET body = replace(body, '\"explore\":0.02', '\"explore\":0.5')",
        "says something else than its hash names",
    ),
    "a group moved between splits": (
        """UPDATE group_manifest SET split = CASE split WHEN 'train' THEN 'sealed' ELSE 'train' END
        WHERE entity_group = 'group-1'""",
        "group group-1: its split is not the one",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_and_named(store: Store, filled: str, name: str) -> None:
    statement, said = TAMPERED[name]
    other = "X'2278797a22'" if store.dialect == "sqlite" else "'\\x2278797a22'::bytea"
    _change(store, statement.replace(":other", other))

    found = checked(filled)

    assert not found.passed
    assert any(said in one for one in findings(found)), findings(found)


def _change(store: Store, statement: str) -> None:
    """On SQLite as a program of one's own can open the file: without the checks that the house turns on."""
    if store.dialect == "postgresql":
        tamper(store, statement)
        return
    tamper(store)
    with store.read() as connection:
        path = connection.exec_driver_sql("PRAGMA database_list").one()[2]
    with closing(sqlite3.connect(path)) as lone, lone:
        lone.execute(statement)


def test_guards_that_are_gone_are_missed(store: Store, filled: str) -> None:
    tamper(store)
    missing = {one.split(":")[0].removeprefix("table ") for one in findings(checked(filled), guards=True)}
    assert missing == set(metadata.tables) - CHANGEABLE


def test_a_cut_off_tail_is_seen_only_against_a_head_kept_elsewhere(store: Store, filled: str, tmp_path: Path) -> None:
    kept = tmp_path / "head.json"
    write_head(kept, checked(filled))
    number = read_head(kept).count
    tamper(
        store,
        f"DELETE FROM audit_event WHERE number = {number}",
        f"UPDATE counter SET value = {number - 1} WHERE name = 'audit'",
    )

    assert findings(checked(filled)) == []
    against = checked(filled, read_head(kept))
    (said,) = findings(against)
    assert f"the head that was kept is act {number}" in said
    assert against.warning is None


def test_a_chain_written_anew_is_seen_against_a_head_kept_elsewhere(store: Store, filled: str, tmp_path: Path) -> None:
    head = checked(filled).head
    with store.begin() as connection:
        append_audit(store, connection, Act(what=Done.RETRACTED, subject="four", at=AT, by="ada"))
    assert findings(checked(filled, head)) == []
    other = Head(head.count, "0" * len(head.digest))
    assert findings(checked(filled, other)) == [f"audit: act {head.count} is not the one whose digest was kept"]


def test_a_broken_chain_keeps_no_head(store: Store, filled: str, tmp_path: Path) -> None:
    tamper(store, "UPDATE audit_event SET by = 'mallory' WHERE subject = 'two'")
    with pytest.raises(InputError, match="broken"):
        write_head(tmp_path / "head.json", checked(filled))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InputError, match="no head"):
        read_head(tmp_path / "other.json")


def test_a_late_rebuild_is_found(store: Store, filled: str) -> None:
    from tokencapital.store.rebuilds import Rebuild, queue_rebuild

    with store.begin() as connection:
        digest = connection.execute(text("SELECT digest FROM artifact")).scalar_one()
        queue_rebuild(connection, Rebuild(artifact=digest, capability="triage", because="erasure", at=AT, by="dpo-1"))
    assert any("was not made anew" in one for one in findings(checked(filled)))
