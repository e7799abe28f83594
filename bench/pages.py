"""How long each page takes on the server with a year of work in the store: 1,000,000 trajectories by default.

The store is built once, into the cache folder, and again when its schema has changed. The pages are those
that the site mounts. Before each look at a page something happens, as it would in a house at work: a case is
answered, and every second time somebody judges one, so that nothing is served out of an untouched cache.
Times are those of the head `server-timing`; the first look at each page is told apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2
import msgspec
import numpy as np
from platformdirs import user_cache_path
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from tokencapital.app.guard import SESSION_COOKIE
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import AccessSettings
from tokencapital.core.judgment import Verdict
from tokencapital.simulate.organization import CAPABILITY
from tokencapital.store.queue import open_draws
from tokencapital.store.schema import metadata
from tokencapital.testing.pages import addresses
from tokencapital.testing.people import log_in
from tokencapital.testing.scale import Scale, build_store, settings_at
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

TARGET_MS = 100.0
EXPERT = "expert-03"
KEY_ENV = "TCAP_BENCH_KEY"
CHAT = "POST /v1/chat/completions"


def cached_store(scale: Scale) -> Path:
    """The store of this scale and of today's schema, built where it is not there yet."""
    tables = metadata.sorted_tables
    dialect = sqlite.dialect()
    ddl = [str(CreateTable(table).compile(dialect=dialect)) for table in tables]
    ddl += [
        str(CreateIndex(one).compile(dialect=dialect)) for table in tables for one in sorted(table.indexes, key=str)
    ]
    name = hashlib.sha256(f"{scale}{''.join(ddl)}".encode()).hexdigest()[:12]
    path = user_cache_path("tokencapital", ensure_exists=True) / f"pages-{name}.sqlite"
    if not path.exists():
        building = path.with_suffix(".building")
        for old in path.parent.glob("pages-*"):
            old.unlink()
        started = perf_counter()
        build_store(building, scale, _tell)
        building.rename(path)
        print(f"\nbuilt in {perf_counter() - started:.0f} s", file=sys.stderr)
    return path


def _tell(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} trajectories", end="", file=sys.stderr)


@contextmanager
def house_on(path: Path) -> Iterator[tuple[Platform, float]]:
    """The house on a copy of the store, and how many seconds it took until it had read what may be recalled."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(folder) / "store.sqlite"
        shutil.copy(path, copy)
        started = perf_counter()
        os.environ[KEY_ENV] = secrets.token_hex()
        settings = msgspec.structs.replace(settings_at(copy), access=AccessSettings(key_env=KEY_ENV))
        with Platform.open(settings) as platform:
            platform.workplace(CAPABILITY).engine.memory.refresh()
            yield platform, perf_counter() - started


class Visits:
    """Looks at pages of a house at work, and the server's time for each."""

    def __init__(self, platform: Platform, client: httpx2.Client) -> None:
        self.first: dict[str, float] = {}
        self.later: dict[str, list[float]] = {}
        self._platform = platform
        self._client = client
        self._key = {"authorization": f"Bearer {os.environ[KEY_ENV]}"}
        self._number = 0

    def look(self, path: str) -> None:
        """Something happens, then the page is looked at."""
        self._number += 1
        self.chat(f"the {self._number}th thing that came in just now")
        if self._number % 2:
            self.judge()
        self._keep(path, self._client.get(path))

    def chat(self, text: str) -> None:
        """A case is answered."""
        body = {"model": CAPABILITY, "messages": [{"role": "user", "content": text}], "user": text}
        self._keep(CHAT, self._client.post("/v1/chat/completions", json=body, headers=self._key))

    def judge(self) -> None:
        """The case that waits longest is judged."""
        (asked,) = open_draws(self._platform.store, CAPABILITY, 1)
        said = {
            "case": asked.case,
            "draw": asked.id,
            "expert": EXPERT,
            "verdict": Verdict.CORRECTED,
            "answer": "kind_01",
        }
        answered = self._client.post("/v1/judgments", json=said, headers=self._key)
        if answered.status_code >= 300:
            raise RuntimeError(answered.text)
        self._keep("POST /v1/judgments", answered)

    def _keep(self, name: str, answered: httpx2.Response) -> None:
        if answered.status_code >= 400:
            raise RuntimeError(f"{name}: {answered.status_code} {answered.text[:300]}")
        took = float(answered.headers["server-timing"].partition("dur=")[2])
        if name in self.first:
            self.later.setdefault(name, []).append(took)
        else:
            self.first[name] = took


def measure(path: Path, rounds: int) -> dict[str, Any]:
    """The server's times of each page in milliseconds."""
    with house_on(path) as (platform, start_s):
        site = Site(platform)
        pages = addresses(site.routes(), platform.store, pages_only=False)
        with (
            served(build_app(platform, site)) as address,
            httpx2.Client(base_url=address, cookies={SESSION_COOKIE: log_in(platform, EXPERT)}, timeout=60) as client,
        ):
            visits = Visits(platform, client)
            for _ in range(rounds + 1):
                for page in pages:
                    visits.look(page)
    times = {
        name: {
            "first_ms": round(visits.first[name], 1),
            "p50_ms": round(float(np.percentile(taken, 50)), 1),
            "p95_ms": round(float(np.percentile(taken, 95)), 1),
            "n": len(taken),
        }
        for name, taken in sorted(visits.later.items())
    }
    return {"start_s": round(start_s, 1), "times": times}


def main() -> None:
    """Builds the store where it has to, measures, and tells each page that is slower than it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", metavar="PATH", help="`-` is standard output")
    asked = parser.parse_args()
    scale = Scale(trajectories=asked.trajectories, draws=asked.trajectories // 5, judgments=asked.trajectories // 20)
    path = cached_store(scale)
    found = measure(path, asked.rounds)
    slow = [name for name, one in found["times"].items() if one["p95_ms"] >= TARGET_MS]
    result = {
        "trajectories": scale.trajectories,
        "draws": scale.draws,
        "judgments": scale.judgments,
        "store_mb": round(path.stat().st_size / 1e6),
        "target_p95_ms": TARGET_MS,
        "slower": slow,
        **found,
    }
    for name, one in found["times"].items():
        print(f"{one['p50_ms']:8.1f} {one['p95_ms']:8.1f} {one['first_ms']:9.1f}  {name}", file=sys.stderr)
    print(
        f"p50, p95, first look in ms; start {found['start_s']} s; slower than {TARGET_MS:.0f}: {slow}", file=sys.stderr
    )
    if asked.json == "-":
        print(json.dumps(result, indent=2))
    elif asked.json:
        Path(asked.json).write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
