"""What waits on disk, or to be put together, is reached by an erasure, and nothing of it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokencapital.app.draining import put_back
from tokencapital.app.erasing import Erasure, carry_over, erase
from tokencapital.app.erasure_report import report
from tokencapital.app.platform import Platform
from tokencapital.app.recording import spool_folder
from tokencapital.app.settings import Settings
from tokencapital.app.tracing import settle_spans, take_spans
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.errors import InputError, StoreUnavailable
from tokencapital.record.spool import Spool
from tokencapital.record.spool_dead import bury
from tokencapital.record.spool_folder import DRAIN, try_lock
from tokencapital.record.spool_frames import DeadLetter, FrameKind, write_frame
from tokencapital.testing.spans import ScriptedSpan, batch_of
from tokencapital.testing.traces import payload_bodies, traces

AT = datetime(2026, 11, 1, tzinfo=UTC)
WORDS = "my card was stolen in the harbour of Bremen"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(Settings(store=str(tmp_path / "s.db"))) as platform:
        yield platform


def call(name: str, *before: dict[str, str]) -> Call:
    asked = [*before, {"role": "user", "content": f"{WORDS}, {name}"}]
    answer = {"role": "assistant", "content": f"sorry, {name}"}
    reply = {"id": f"chatcmpl-{name}", "model": "m", "choices": [{"index": 0, "message": answer}]}
    return Call(
        id=name, at=AT, wire=Wire.CHAT, asked="m", provider="p", status=200, ending=Ending.DONE, group="customer-1",
        request=msgspec.json.encode({"model": "m", "messages": asked}), response=msgspec.json.encode(reply),
    )  # fmt: skip


def kept(house: Platform, *calls: Call) -> None:
    """They are acknowledged and wait on disk."""
    with Spool(spool_folder(house.settings), house.ids.new("spl"), house.settings.spool) as spool:
        for one in calls:
            spool.keep_now(one)


def left(house: Platform) -> list[str]:
    return traces([WORDS], *payload_bodies(house.store).values())


def count(house: Platform, table: str) -> Any:
    return house.store.probe(f"SELECT count(*) FROM {table}")


ASKED = Erasure(by="dpo-1", group="customer-1")


def test_what_waits_on_disk_is_erased_with_the_rest(house: Platform) -> None:
    kept(house, call("trj_1"))
    done = erase(house, ASKED)
    assert done.wiped.cases == 1
    carry_over(house)
    assert left(house) == []
    assert count(house, "trajectory") == 1


def test_no_call_goes_on_with_an_erased_conversation(house: Platform) -> None:
    kept(house, call("trj_1"))
    carry_over(house)
    assert left(house)
    assert count(house, "join_key") > 0
    erase(house, ASKED)
    assert count(house, "join_key") == 0


def test_nothing_is_erased_while_something_cannot_be_carried_over(house: Platform) -> None:
    kept(house, call("trj_1"))
    held = try_lock(spool_folder(house.settings) / DRAIN)
    assert held is not None
    with pytest.raises(StoreUnavailable, match="would come back"):
        carry_over(house, wait_s=0.05)
    assert count(house, "trajectory") == 0


def test_spans_that_wait_for_more_are_erased_too(house: Platform) -> None:
    spans = [
        ScriptedSpan(attributes={"gen_ai.operation.name": "chat", "gen_ai.prompt": WORDS, "tcap.group": "customer-1"})
    ]
    take_spans(house, batch_of(spans, {}))
    assert left(house)
    assert count(house, "trajectory") == 0
    erase(house, ASKED)
    assert left(house) == []
    settle_spans(house)
    assert (count(house, "trajectory"), left(house)) == (1, [])


def test_what_was_set_aside_is_told(house: Platform) -> None:
    root, body = spool_folder(house.settings), write_frame(call("trj_2"), b"saltsalt")[21:]
    kept(house, call("trj_1"))
    bury(root, [DeadLetter(at=AT, kind=FrameKind.CALL, reason="KeyError", body=body)])
    done = erase(house, ASKED)
    assert done.set_aside == 1
    assert "1 records that the store would not take" in report(done)
    put_back(house.settings, "spl_9")
    assert erase(house, ASKED).set_aside == 0
    assert left(house) == []


def test_whoever_is_not_known_is_told_so_all_the_same(house: Platform) -> None:
    with pytest.raises(InputError, match="no case of group"):
        erase(house, Erasure(by="dpo-1", group="nobody"))
