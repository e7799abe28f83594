"""A store of the first schema opens at the newest with every fact as it was, and with what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect, text

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Contract, ContractKind, Value
from tokencapital.core.errors import StoreConflict
from tokencapital.core.judgment import Draw, DrawKind, Outcome
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.cases import answers_resting_on, read_trajectory, record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import latest_sequence, memory_events, withdraw
from tokencapital.store.ledger import Posting, Transaction, append_transactions, transactions
from tokencapital.store.outcomes import append_outcomes, outcomes_for
from tokencapital.store.queue import open_draws, recount
from tokencapital.store.releases import Artifact, append_release, lineage_of, live_release, save_artifact, save_policy
from tokencapital.store.schema import SCHEMA_VERSION
from tokencapital.store.turns import Turn, append_turn, turns

SEEDED = frozenset({"ledger_commodity", "alembic_version"})


def answered(desk: Any, text: str, value: Value, because: Sequence[str]) -> Exchange:
    case = desk.case(text)
    return Exchange(
        case,
        Trajectory(
            id=f"trj_{case.id}",
            case=case.id,
            capability=case.capability,
            at=case.at,
            answer=Answer(value=value, stage=Stage.RECALL, confidence=0.9, because=tuple(because)),
            policy="0" * 16,
            memory=0,
            seed=0,
            propensity=1.0,
            elapsed_s=0.0,
            energy=UNKNOWN_ENERGY,
        ),
    )


@pytest.fixture
def filled(store: Store, desk: Any) -> Store:
    """A store with some of every fact of the first schema: draws that wait, were answered, and answered in vain."""
    cases = [desk.case(f"the printer eats paper {number}", group=desk.train[number]) for number in range(6)]
    desk.record(*cases)
    drawn = [
        Draw(id=f"drw_{n}", case=case.id, capability=desk.capability, kind=kind, probability=0.5, at=desk.now)
        for n, case in enumerate(cases)
        for kind in ([DrawKind.UNIFORM, DrawKind.ACTIVE][n % 2],)
    ]
    again = Draw(
        id="drw_again",
        case=cases[0].id,
        capability=desk.capability,
        kind=DrawKind.UNIFORM,
        probability=0.5,
        at=desk.now,
    )
    append_draws(store, [*drawn, again])
    said = [desk.judge(cases[n], "printer", drawn=drawn[n].kind) for n in range(3)]
    withdraw(store, said[2].id, by="otto", at=desk.now, reason="typed in haste")
    record_exchanges(store, [answered(desk, "paper, eaten", "printer", [said[0].id, said[1].id])])
    digest = save_artifact(
        store, Artifact(kind="specialist", recipe="r/1", body=b"weights", lineage=[said[0].sequence], at=desk.now)
    )
    policy = Policy(capability=desk.capability, contract=Contract(kind=ContractKind.LABEL), specialist=digest)
    release = Release(
        id="rel_1",
        capability=desk.capability,
        policy=save_policy(store, policy),
        at=desk.now,
        lane=Lane.CHANGE,
        decision=Decision.PROMOTED,
        evidence=Evidence(n=9),
    )
    append_release(store, release)
    postings = (Posting("Expenses:Learning:Review", "USD", 5), Posting("Liabilities:Staff:Wages", "USD", -5))
    append_transactions(store, [Transaction(id="txn_1", at=desk.now, kind="review", memo="1 runs", postings=postings)])
    seen = Outcome(id="out_1", capability=desk.capability, key="k", name="solved", value=True, at=desk.now)
    append_outcomes(store, [seen])
    append_turn(
        store,
        Turn(capability=desk.capability, number=1, at=desk.now, cases=7, judgments=3, memory=4, release="rel_1"),
    )
    return store


@pytest.fixture
def old(filled: Store, tmp_path: Path) -> Path:
    """The same facts in a store of the first schema, which knows no more than its own columns."""
    path = tmp_path / "old.db"
    engine, newest = create_engine(f"sqlite:///{path}"), create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.begin() as connection, newest.connect() as source:
        settings = Config()
        settings.set_main_option("script_location", "tokencapital.store:migrations")
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        tables = MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name == "counter":
                _copy_counters(connection, source)
            elif table.name not in SEEDED:
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                rows = [dict(row._mapping) for row in source.execute(text(f"SELECT {names} FROM {table.name}"))]
                marks = ", ".join(f":{column.name}" for column in table.columns)
                if rows:
                    connection.execute(text(f"INSERT INTO {table.name} ({names}) VALUES ({marks})"), rows)
    engine.dispose()
    newest.dispose()
    return path


def _copy_counters(connection: Connection, source: Connection) -> None:
    for row in source.execute(text("SELECT name, value FROM counter")):
        connection.execute(text("UPDATE counter SET value = :value WHERE name = :name"), dict(row._mapping))


def facts(path: Path, columns: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of these columns by table, in order."""
    engine: Engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = {
            table: sorted(
                (tuple(row) for row in connection.execute(text(f"SELECT {', '.join(quoted(names))} FROM {table}"))),
                key=repr,
            )
            for table, names in columns.items()
        }
    engine.dispose()
    return found


def quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def columns_of(path: Path) -> dict[str, list[str]]:
    """What the tables of the store hold, without what tells its version and its counters."""
    engine = create_engine(f"sqlite:///{path}")
    look = inspect(engine)
    found = {
        table: [column["name"] for column in look.get_columns(table)]
        for table in look.get_table_names()
        if table not in {"alembic_version", "counter"}
    }
    engine.dispose()
    return found


def test_every_fact_stays_as_it_was(old: Path, tmp_path: Path) -> None:
    columns = columns_of(old)
    before = facts(old, columns)
    assert len(before["judgment"]) == 3
    assert "notice" not in before
    Store.open(str(old)).close()
    assert facts(old, columns) == before
    assert facts(tmp_path / "store.db", columns) == before
    assert set(columns_of(tmp_path / "store.db")) == set(columns_of(old))


def test_what_follows_from_the_facts_is_there(old: Path, filled: Store, desk: Any) -> None:
    store = Store.open(str(old))
    waiting = open_draws(store, desk.capability)
    assert [one.id for one in waiting] == ["drw_2", "drw_3", "drw_4", "drw_5", "drw_again"]
    assert waiting == open_draws(filled, desk.capability) == recount(store, desk.capability)
    count, (answer,) = answers_resting_on(store, "jdg-00007", 5)
    assert (count, answer.answer.value) == (1, "printer")
    assert answer == read_trajectory(filled, answer.id)
    assert store.key == filled.key
    assert latest_sequence(store) == latest_sequence(filled) == 4
    heard = memory_events(store, desk.capability, 0)
    assert heard == memory_events(filled, desk.capability, 0)
    live = live_release(store, desk.capability)
    assert live == live_release(filled, desk.capability)
    assert live is not None
    digest = hashlib.sha256(b"weights").hexdigest()
    assert lineage_of(store, digest) == lineage_of(filled, digest) == [1]
    assert transactions(store) == transactions(filled)
    assert turns(store, desk.capability) == turns(filled, desk.capability)
    assert outcomes_for(store, desk.capability, ["k"]) == outcomes_for(filled, desk.capability, ["k"])
    store.close()


def test_the_store_goes_on_from_there(old: Path, desk: Any) -> None:
    store = Store.open(str(old))
    with store.read() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        assert version == SCHEMA_VERSION
    desk.store = store
    desk.judge(
        desk.case_of(memory_events(store, desk.capability, 0)[0].judged.judgment), "tray", drawn=DrawKind.UNIFORM
    )
    assert "drw_again" not in {one.id for one in open_draws(store, desk.capability)}
    with pytest.raises(StoreConflict, match="append-only"), store.begin() as connection:
        connection.execute(text("DELETE FROM answer_basis"))
    store.close()
