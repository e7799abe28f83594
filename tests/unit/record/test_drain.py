"""The drain gives way to callers while the disk has room, and rests where it can do nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import StoreUnavailable
from tokencapital.record.drain import Drain
from tokencapital.record.spool import Spool, SpoolSettings
from tokencapital.record.spool_frames import FrameKind

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def a_call(number: int) -> Call:
    return Call(
        id=f"trj_{number}", at=AT, wire=Wire.CHAT, asked="gpt", provider="up", status=200, ending=Ending.DONE,
        request=b"q", response=b"a",
    )  # fmt: skip


@pytest.mark.parametrize(("room", "gives_way"), [(1 << 20, True), (0, False)])
def test_callers_who_bring_more_come_first_while_there_is_room(tmp_path: Path, room: int, gives_way: bool) -> None:
    with Spool(tmp_path, "spl_1", SpoolSettings()) as spool:
        brings = iter([4, 0, 0])
        numbers = iter(range(100))

        def store(calls: Sequence[Any]) -> None:
            for _ in range(next(brings, 0)):
                spool.keep_now(a_call(next(numbers)))

        drain = Drain(tmp_path, {FrameKind.CALL: store}, RecordedClock(AT), lambda: None)
        drain.ease_below_bytes = room
        spool.keep_now(a_call(next(numbers)))
        assert drain.turn() == 1
        assert bool(drain._ease) is gives_way
        while drain.turn():
            pass
        assert drain._ease == 0.0
        drain.close()


def test_a_drain_that_is_told_to_stop_while_the_store_is_away_rests_between_its_tries(tmp_path: Path) -> None:
    tries = []

    def store(calls: Sequence[Any]) -> None:
        tries.append(len(calls))
        raise StoreUnavailable("away")

    with Spool(tmp_path, "spl_1", SpoolSettings()) as spool:
        spool.keep_now(a_call(1))
        stopped = threading.Event()
        stopped.set()
        Drain(tmp_path, {FrameKind.CALL: store}, RecordedClock(AT), lambda: None).run(stopped, grace_s=0.2)
    assert 1 <= len(tries) <= 11
