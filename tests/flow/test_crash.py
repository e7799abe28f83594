"""Real processes under load, killed without a warning: what callers were told is kept is in the store afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokencapital.app.draining import drain_once, spool_state
from tokencapital.app.settings import load_settings
from tokencapital.store.database import Store
from tokencapital.testing.served import Load, answering_house, missing, provider
from tokencapital.testing.upstream import ScriptedUpstream
from tokencapital.testing.waiting import wait_until

NOTHING = {"answers": 0, "outcomes": 0, "judgments": 0, "spans": 0}
_PATIENCE_S = 20.0


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(provider) as opened:
        yield opened


def wait_for(load: Load, more: int) -> None:
    """So many more things were acknowledged when this returns."""
    wanted = load.told.count + more
    assert wait_until(lambda: load.told.count >= wanted, _PATIENCE_S)


def test_nothing_acknowledged_is_lost_by_killing_the_drain_or_the_server(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    store = str(tmp_path / "house.sqlite")
    house = answering_house(tmp_path, store, upstream.url)
    with house:
        load = Load(house.url, 120.0)

        def play() -> None:
            wait_for(load, 60)
            house.kill("drain")
            wait_for(load, 60)
            house.kill("parent")
            house.begin()
            wait_for(load, 60)

        asyncio.run(load.during(play))
        assert house.stop() == 0
    settings = load_settings(house.config)
    drain_once(settings)
    assert load.told.count >= 180
    assert min(map(len, (load.told.trajectories, load.told.outcomes, load.told.judgments, load.told.spans))) > 0
    opened = Store.open(store)
    assert missing(opened, load.told) == NOTHING
    opened.close()
    state = spool_state(settings)
    assert (state.frames, state.dead) == (0, {})


def test_a_house_that_is_told_to_stop_finishes_what_is_on_its_way_and_leaves_nothing_behind(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    store = str(tmp_path / "house.sqlite")
    house = answering_house(tmp_path, store, upstream.url)
    with house:
        load = Load(house.url, 100.0)
        asyncio.run(load.during(lambda: wait_for(load, 80)))
        assert house.stop() == 0
    assert load.told.failed == {}
    state = spool_state(load_settings(house.config))
    assert (state.frames, state.bytes) == (0, 0)
    opened = Store.open(store)
    assert missing(opened, load.told) == NOTHING
    opened.close()
