"""By hand: what a server left behind is drained, what was set aside is tried again, and SQLite has one worker."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokencapital.app.draining import drain_once, put_back, spool_state
from tokencapital.app.recording import spool_folder
from tokencapital.app.serving import check_workers
from tokencapital.app.settings import Settings
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.errors import SettingsError
from tokencapital.record.spool import Spool
from tokencapital.record.spool_dead import bury, dead_letters, exhumed
from tokencapital.record.spool_frames import DeadLetter, FrameKind, write_frame
from tokencapital.store.cases import read_trajectory
from tokencapital.store.database import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CALL = Call(
    id="trj_1", at=NOW, wire=Wire.CHAT, asked="m", provider="p", status=200, ending=Ending.DONE, request=b"{}",
    response=b"{}",
)  # fmt: skip


def test_what_a_server_left_behind_is_in_the_store(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "house.db"))
    spool = Spool(spool_folder(settings), "spl_1", settings.spool)
    spool.keep_now(CALL)
    spool.close()
    assert spool_state(settings).frames == 1
    assert spool_state(settings).oldest == NOW
    drain_once(settings)
    assert spool_state(settings).frames == 0
    store = Store.open(settings.store)
    assert read_trajectory(store, "trj_1") is not None
    store.close()


def test_a_dead_letter_is_kept_once_and_stored_when_it_is_put_back(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "house.db"))
    root, body = spool_folder(settings), write_frame(CALL, b"saltsalt")[21:]
    letter = DeadLetter(at=NOW, kind=FrameKind.CALL, reason="KeyError", body=body)
    bury(root, [letter])
    bury(root, [letter])
    assert dead_letters(root) == [letter]
    assert spool_state(settings).dead == {"KeyError": 1}
    assert put_back(settings, "spl_9") == 1
    assert dead_letters(root) == []
    drain_once(settings)
    store = Store.open(settings.store)
    assert read_trajectory(store, "trj_1") is not None
    store.close()


def test_nobody_buries_while_letters_are_put_back(tmp_path: Path) -> None:
    """What a drain sets aside meanwhile is not thrown away with the letters that were read before."""
    late = threading.Thread(target=bury, args=(tmp_path, [a_letter(2)]))
    bury(tmp_path, [a_letter(1)])
    with exhumed(tmp_path) as letters:
        late.start()
        late.join(0.05)
        assert (len(letters), late.is_alive()) == (1, True)
    late.join()
    assert [one.body for one in dead_letters(tmp_path)] == [a_letter(2).body]


def a_letter(number: int) -> DeadLetter:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return DeadLetter(at=at, kind=FrameKind.CALL, reason="refused", body=b"%d" % number)


def test_several_workers_on_sqlite_are_refused_with_the_reason() -> None:
    check_workers(1, "house.db")
    check_workers(4, "postgresql://user@host/house")
    with pytest.raises(SettingsError, match="SQLite's lock"):
        check_workers(2, "house.db")


def test_houses_on_servers_have_spools_of_their_own() -> None:
    first, second = (Settings(store=f"postgresql://user:pw@host/{name}") for name in ("one", "two"))
    assert spool_folder(first) != spool_folder(second)
    assert "pw" not in str(spool_folder(first))
