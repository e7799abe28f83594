"""What is lost when a process of the house is killed under load, and when its database is away.

A house is served by real processes before a scripted provider. Callers send 500 requests a second: calls that are
passed on, streamed and whole, answers of a capability, outcomes, judgments and spans. Each that was answered is
looked up in the store at the end.

- `kills`: 20 times the worker, the drain or the parent is killed with SIGKILL, and the house begun anew where the
  parent is gone. On SQLite with one worker, on PostgreSQL with two.
- `outages`: PostgreSQL hangs for 60 s (SIGSTOP), and is stopped for 60 s, under load of passed-on calls and answers.

Each kill takes at least 1.5 s, each outage 66 s: all of it more than three minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.app.draining import drain_once, spool_state
from tokencapital.app.recording import spool_folder
from tokencapital.app.settings import load_settings
from tokencapital.record.drain import read_report
from tokencapital.store.database import Store
from tokencapital.testing.postgres import Postgres
from tokencapital.testing.served import Load, ServedHouse, answering_house, missing, provider
from tokencapital.testing.upstream import ScriptedUpstream

RATE = 500.0


class Kills(Struct, frozen=True, kw_only=True):
    """What became of what was acknowledged while processes were killed. `failed` requests were told so."""

    store: str
    workers: int
    rounds: int
    acknowledged: int
    missing: dict[str, int]
    left_in_spool: int
    set_aside: dict[str, int]
    torn_bytes: int
    failed: dict[str, int]
    exit_code: int


class Outage(Struct, frozen=True, kw_only=True):
    """What became of callers while the database was away. `aside` answers came without it.

    `caught_up_s` None: what was kept meanwhile was not in the store after 300 s.
    """

    how: str
    away_s: float
    acknowledged: int
    aside: int
    failed: dict[str, int]
    missing: dict[str, int]
    slowest_s: float
    caught_up_s: float | None


def kills(house: ServedHouse, store: str, workers: int, rounds: int) -> Kills:
    """The processes are killed by turns under load, and what was acknowledged is looked up."""
    load, torn, settings = Load(house.url, RATE), [0], load_settings(house.config)
    victims = islice(cycle(("worker", "drain") if workers == 1 else ("worker", "drain", "parent")), rounds)

    def play() -> None:
        for victim in victims:
            time.sleep(1.5)
            house.kill(victim)
            if victim == "parent" or (victim == "worker" and workers == 1):
                house.begin()
            report = read_report(spool_folder(settings))
            torn[0] = max(torn[0], report.torn_bytes if report else 0)
            print(f"  killed the {victim}: {load.told.count} acknowledged", file=sys.stderr)
        time.sleep(1.5)

    with house:
        asyncio.run(load.during(play))
        code = house.stop()
    drain_once(settings)
    state, opened = spool_state(settings), Store.open(store)
    try:
        return Kills(
            store=opened.dialect, workers=workers, rounds=rounds, acknowledged=load.told.count,
            missing=missing(opened, load.told), left_in_spool=state.frames, set_aside=state.dead,
            torn_bytes=max(torn[0], state.drain.torn_bytes if state.drain else 0), failed=load.told.failed,
            exit_code=code,
        )  # fmt: skip
    finally:
        opened.close()


def outage(house: ServedHouse, postgres: Postgres, how: str, away_s: float, rate: float = RATE) -> Outage:
    """The database is away for a while under load, and what was acknowledged is looked up when it is back."""
    load = Load(house.url, rate, judges=False)

    def play() -> None:
        time.sleep(2.0)
        postgres.hang() if how == "hangs" else postgres.stop()
        time.sleep(away_s)
        postgres.go_on() if how == "hangs" else postgres.start()
        time.sleep(4.0)

    asyncio.run(load.during(play))
    began, settings = time.monotonic(), load_settings(house.config)
    while (waits := spool_state(settings).frames) and time.monotonic() - began < 300:
        time.sleep(0.2)
    caught_up_s = None if waits else time.monotonic() - began
    with closing(Store.open(postgres.url)) as opened:
        lost = missing(opened, load.told)
    return Outage(
        how=how, away_s=away_s, acknowledged=load.told.count, aside=load.told.aside, failed=load.told.failed,
        missing=lost, slowest_s=load.told.slowest_s, caught_up_s=caught_up_s,
    )  # fmt: skip


def on_sqlite(upstream: str, rounds: int) -> Kills:
    """The kills with one worker on a file."""
    with tempfile.TemporaryDirectory() as name:
        store = f"{name}/house.sqlite"
        return kills(answering_house(Path(name), store, upstream), store, 1, rounds)


def on_postgres(upstream: str, rounds: int) -> Kills:
    """The kills with two workers on a server."""
    postgres = Postgres()
    try:
        with tempfile.TemporaryDirectory() as name:
            return kills(answering_house(Path(name), postgres.url, upstream, workers=2), postgres.url, 2, rounds)
    finally:
        postgres.end()


def all_outages(upstream: str, away_s: float) -> list[Outage]:
    """The server hangs, and is stopped."""
    postgres = Postgres()
    found = []
    try:
        for how in ("hangs", "stops"):
            with tempfile.TemporaryDirectory() as name, answering_house(Path(name), postgres.url, upstream) as house:
                found.append(outage(house, postgres, how, away_s))
        return found
    finally:
        postgres.end()


def main() -> None:
    """Plays all of it and says what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the results here; `-` is standard output")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--away-s", type=float, default=60.0)
    parser.add_argument("--only", choices=("sqlite", "postgresql", "outages"))
    asked = parser.parse_args()
    results: dict[str, Any] = {"rate": RATE, "kills": [], "outages": []}
    with ScriptedUpstream(provider, keeps=False) as upstream:
        if asked.only in (None, "sqlite"):
            results["kills"].append(on_sqlite(upstream.url, asked.rounds))
        if asked.only in (None, "postgresql"):
            results["kills"].append(on_postgres(upstream.url, asked.rounds))
        if asked.only in (None, "outages"):
            results["outages"] = all_outages(upstream.url, asked.away_s)
    text = json.dumps(msgspec.to_builtins(results), indent=2)
    print(text) if asked.json in (None, "-") else Path(asked.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
