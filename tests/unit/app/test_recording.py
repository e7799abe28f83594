"""What becomes of what cannot be kept: answers may go out and are counted, nothing else is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tokencapital.app.recording import Recording
from tokencapital.app.settings import Settings
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.clock import RecordedClock, SystemClock
from tokencapital.core.errors import SpoolFull
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import Outcome
from tokencapital.record.spool import SpoolSettings, WhenFull
from tokencapital.record.spool_frames import ExchangeBatch

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OUTCOME = Outcome(id="out_1", capability="triage", key="k" * 400_000, name="solved", value=True, at=NOW)
CALL = Call(
    id="trj_1", at=NOW, wire=Wire.CHAT, asked="m", provider="p", status=200, ending=Ending.DONE,
    request=b"x" * 400_000,
)  # fmt: skip
ANSWERS = ExchangeBatch(id="xbt_1", at=NOW, capability="triage" + "e" * 400_000, exchanges=())


class House:
    """As much of a house as its record needs before it drains."""

    def __init__(self, folder: Path, when_full: WhenFull) -> None:
        spool = SpoolSettings(folder=str(folder), max_mib=1, when_full=when_full)
        self.settings = Settings(spool=spool)
        self.clock = RecordedClock(NOW)
        self.ids = IdSource(SystemClock())
        self.closers: list[Callable[[], None]] = []


@pytest.fixture(params=list(WhenFull))
def full(request: Any, tmp_path: Path) -> Iterator[Recording]:
    """A record with no room left."""
    house: Any = House(tmp_path, request.param)
    recording = Recording(house, drains=False)
    with pytest.raises(SpoolFull):
        for _ in range(4):
            recording.spool.keep_now(CALL)
    yield recording
    recording.close()


def test_outcomes_and_calls_that_cannot_be_kept_are_never_acknowledged(full: Recording) -> None:
    with pytest.raises(SpoolFull):
        asyncio.run(full.keep_outcomes([OUTCOME]))
    with pytest.raises(SpoolFull):
        asyncio.run(full.keep(CALL))
    assert full.dropped == 0


def test_answers_of_engines_go_out_uncounted_never(full: Recording) -> None:
    if full._settings.when_full is WhenFull.REFUSE:
        with pytest.raises(SpoolFull):
            full.keep_now(ANSWERS)
        assert full.dropped == 0
    else:
        full.keep_now(ANSWERS)
        assert full.dropped == 1
