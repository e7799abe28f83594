"""What makes a house not ready, what only degrades it, and that asking it costs nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tokencapital.app.health import Health, Ready, drain_standing, spool_standing, worst
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import Settings
from tokencapital.core.errors import StoreUnavailable
from tokencapital.record.drain import DrainReport
from tokencapital.record.spool_folder import Depth

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def waits(frames: int, age_s: float, size: int = 100) -> Depth:
    return Depth(frames, size, NOW - timedelta(seconds=age_s) if frames else None)


def report(age_s: float, away: str | None = None) -> DrainReport:
    return DrainReport(pid=1, at=NOW - timedelta(seconds=age_s), away=away)


@pytest.mark.parametrize(
    ("depth", "said", "expected"),
    [
        (waits(0, 0), None, Ready.READY),
        (waits(3, 2), report(1), Ready.READY),
        (waits(3, 2), None, Ready.READY),
        (waits(3, 31), None, Ready.NOT_READY),
        (waits(3, 300), report(31), Ready.NOT_READY),
        (waits(3, 300), report(1), Ready.DEGRADED),
        (waits(3, 300), report(1, "the store is gone"), Ready.DEGRADED),
    ],
)
def test_a_drain_that_is_silent_while_something_waits_is_not_ready(
    depth: Depth, said: DrainReport | None, expected: Ready
) -> None:
    found, why = drain_standing(depth, said, NOW)
    assert found is expected
    assert (why is None) == (expected is Ready.READY)


def test_a_full_spool_is_not_ready_where_it_refuses_and_degraded_where_it_stops_recording() -> None:
    assert spool_standing(waits(1, 0, 94), 100, refuses=True) == (Ready.READY, None)
    assert spool_standing(waits(1, 0, 95), 100, refuses=True)[0] is Ready.NOT_READY
    assert spool_standing(waits(1, 0, 95), 100, refuses=False)[0] is Ready.DEGRADED


def test_a_house_stands_as_its_worst_part() -> None:
    standing = worst({"store": (Ready.DEGRADED, "away"), "spool": (Ready.READY, None), "drain": (Ready.READY, None)})
    assert standing.status is Ready.DEGRADED
    assert standing.reasons == ("store: away",)


def test_alive_and_ready_over_http(tmp_path: Path) -> None:
    with (
        Platform.open(Settings(store=str(tmp_path / "store.db"))) as platform,
        TestClient(build_app(platform)) as client,
    ):
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {
            "status": "ready", "parts": dict.fromkeys(("store", "spool", "drain"), "ready"), "reasons": [],
        }  # fmt: skip


class Away:
    """A store that is gone."""

    asked = 0

    def probe(self, statement: str) -> object:
        self.asked += 1
        raise StoreUnavailable("gone", where="/secret/place")


@pytest.mark.parametrize(("known", "expected"), [(True, Ready.DEGRADED), (False, Ready.NOT_READY)])
def test_without_its_store_a_house_goes_on_with_what_it_knows(tmp_path: Path, known: bool, expected: Ready) -> None:
    with Platform.open(Settings(store=str(tmp_path / "store.db"))) as platform:
        if known:
            platform.access.keyring.learn()
        store, platform.store = platform.store, Away()  # type: ignore[assignment]
        health = Health(platform)
        standings = [asyncio.run(health.standing()) for _ in range(3)]
        assert platform.store.asked == 1, "an answer is good for a second"  # type: ignore[attr-defined]
        platform.store = store
    assert {one.status for one in standings} == {expected}
    assert "/secret/place" not in str(standings)
