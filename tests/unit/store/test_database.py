"""Opening a store: what goes wrong is said, and what was acknowledged is there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.errors import StoreConflict, StoreUnavailable
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.cases import count_cases, record_exchanges
from tokencapital.store.database import Store, chunks
from tokencapital.store.erasure import erase_case
from tokencapital.store.judgments import latest_sequence

_WRITER = """
import sys
from datetime import UTC, datetime
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store

store = Store.open(sys.argv[1])
at = datetime(2026, 1, 1, tzinfo=UTC)
answer = Answer(value="a", stage=Stage.RECALL)
for n in range(1_000_000):
    case = Case(id=f"c{n}", capability="t", group=f"g{n}", at=at, messages=(Message("user", str(n)),))
    done = Trajectory(
        id=f"t{n}", case=case.id, capability="t", at=at, answer=answer, policy="p", memory=0, seed=0,
        propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )
    record_exchanges(store, [Exchange(case, done)])
    print(n + 1, flush=True)
"""


def test_what_was_acknowledged_survives_a_killed_process(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    with subprocess.Popen([sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 50:
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    store = Store.open(path)
    assert acknowledged <= count_cases(store, "t") <= acknowledged + 1
    with store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    store.close()


def test_the_file_is_made_with_its_folders_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "store.db"
    Store.open(str(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_url_and_a_path_name_the_same_store(tmp_path: Path) -> None:
    first = Store.open(str(tmp_path / "store.db"))
    second = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    assert first.key == second.key
    first.close()
    second.close()


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is a file") as caught:
        Store.open(str(tmp_path))
    assert caught.value.where == str(tmp_path)
    assert caught.value.remedy


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="folder"):
        Store.open(str(tmp_path / "file" / "store.db"))


@pytest.mark.parametrize("protected", ["store.db", "."])
def test_a_read_only_store_is_refused(tmp_path: Path, protected: str) -> None:
    folder = tmp_path / "kept"
    Store.open(str(folder / "store.db")).close()
    mode = (folder / protected).stat().st_mode
    (folder / protected).chmod(mode & ~0o222)
    try:
        with pytest.raises(StoreUnavailable, match="read-only") as caught:
            Store.open(str(folder / "store.db"))
    finally:
        (folder / protected).chmod(mode)
    assert caught.value.where == str((folder / protected).resolve())
    assert caught.value.remedy


def test_any_other_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer, " * 100)
    with pytest.raises(StoreUnavailable, match="no store"):
        Store.open(str(path))
    assert path.read_text() == "Dear customer, " * 100


def test_a_foreign_sqlite_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE book (title TEXT)")
    foreign.close()
    with pytest.raises(StoreUnavailable, match="other tables"):
        Store.open(str(path))
    with sqlite3.connect(path) as foreign:
        assert foreign.execute("SELECT name FROM sqlite_master").fetchall() == [("book",)]
    foreign.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(str(path)).close()
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(StoreUnavailable, match="schema") as caught:
        Store.open(str(path))
    assert caught.value.remedy == "Upgrade tokencapital."


@pytest.mark.parametrize("url", ["mysql://user@host/database", "nothing://", "://", ":memory:", "sqlite://"])
def test_what_is_no_address_of_a_store_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailable):
        Store.open(url)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable, match="reached") as caught:
        Store.open("postgresql://tcap:secret@127.0.0.1:1/tcap")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_store_is_busy_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}?timeout=0.05")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process"), store.begin():
        pass
    other.close()
    store.close()


def test_transactions_nest_and_read_their_own_writes(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store.db"))
    with store.begin() as outer:
        outer.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
        with store.begin() as inner, store.read() as reader:
            assert inner is outer
            assert reader is outer
    with store.read() as reader, store.read() as again:
        assert again is reader
        assert reader.exec_driver_sql("SELECT value FROM meta WHERE name = 'a'").scalar() == "b"
    store.close()


def test_a_conflict_names_the_store(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store.db"))
    with pytest.raises(StoreConflict) as caught, store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO meta VALUES ('key', 'again')")
    assert caught.value.where == str(tmp_path / "store.db")
    store.close()


def test_other_processes_are_heard_of(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    first, second = Store.open(path), Store.open(path)
    assert latest_sequence(second) == 0
    with first.begin() as connection:
        connection.exec_driver_sql("UPDATE counter SET value = 5 WHERE name = 'memory'")
    assert latest_sequence(second) == 5
    first.close()
    second.close()


def test_chunks_hold_each_value_once_in_order() -> None:
    values = [f"{n:05d}" for n in range(1201)]
    lists = list(chunks([*reversed(values), "00000"]))
    assert [value for some in lists for value in some] == values
    assert max(map(len, lists)) == 500
    assert list(chunks([])) == []


def test_alembic_is_loaded_only_to_migrate(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    program = "import sys; from tokencapital.store.database import Store; Store.open(sys.argv[1]).close(); "
    program += "print('alembic' in sys.modules, 'psycopg' in sys.modules)"
    said = [
        subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True False", "False False"]


def test_erased_words_are_not_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(str(path))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    words = "my secret is a yellow submarine"
    case = Case(id="c", capability="t", group="g", at=at, messages=(Message("user", words),))
    done = Trajectory(
        id="t",
        case="c",
        capability="t",
        at=at,
        answer=Answer(value="a", stage=Stage.RECALL),
        policy="p",
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    record_exchanges(store, [Exchange(case, done)])
    store.close()
    assert words.encode() in path.read_bytes()
    store = Store.open(str(path))
    erase_case(store, "c", by="dpo", at=at)
    store.close()
    assert words.encode() not in path.read_bytes()
