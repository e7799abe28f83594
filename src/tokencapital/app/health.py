"""Whether the house is alive, and whether it is ready: what a supervisor and a load balancer ask.

Alive is a process that answers; its store may be away. Ready is one that serves callers as promised. A store that is
away makes a house *degraded*: it goes on from what it last knew, and what it acknowledges waits in the spool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from time import monotonic

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.app.platform import Platform
from tokencapital.app.recording import spool_folder
from tokencapital.core.errors import StoreError
from tokencapital.record.drain import DrainReport, read_report
from tokencapital.record.spool import WhenFull
from tokencapital.record.spool_folder import Depth, depth

_FRESH_S = 1.0
"""So long an answer is given again: asking often costs nothing."""
_PATIENCE_S = 2.0
_SILENT_S, _LATE_S = 30.0, 120.0
"""After so long without a word a drain counts as stuck; from this age of what waits on it is late."""
_FULL = 0.95


class Ready(StrEnum):
    """How ready a house is."""

    READY = "ready"
    DEGRADED = "degraded"
    """It serves, but something needs somebody."""
    NOT_READY = "not ready"


class Standing(Struct, frozen=True, kw_only=True):
    """How a house stands: the worst of its `parts`, and why, without places and names. No reasons: all is well."""

    status: Ready
    parts: Mapping[str, Ready]
    reasons: tuple[str, ...] = ()


class Alive(Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Health:
    """Looks how the house stands, at most once a second."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._root = spool_folder(platform.settings)
        self._asking: threading.Thread | None = None
        self._lock = asyncio.Lock()
        self._known: tuple[float, Standing] | None = None

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/healthz", self.alive), Route("/readyz", self.ready)]

    async def alive(self, request: Request) -> Response:
        """That the process answers. A supervisor that hears nothing restarts it."""
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    async def ready(self, request: Request) -> Response:
        """Whether callers are served as promised: store, spool and drain, with what is wrong; 503 where not."""
        standing = await self.standing()
        body = {"status": standing.status, "parts": dict(standing.parts), "reasons": list(standing.reasons)}
        status = 503 if standing.status is Ready.NOT_READY else 200
        return JSONResponse(body, status, headers={"cache-control": "no-store"})

    async def standing(self) -> Standing:
        """How the house stands, no older than a second."""
        async with self._lock:
            if self._known is None or monotonic() - self._known[0] > _FRESH_S:
                self._known = monotonic(), await self._look()
            return self._known[1]

    async def _look(self) -> Standing:
        store = await self._store()
        settings, now = self._platform.settings.spool, self._platform.clock.now()
        waits = depth(self._root)
        full = spool_standing(waits, settings.max_bytes, refuses=settings.when_full is WhenFull.REFUSE)
        drain = drain_standing(waits, read_report(self._root), now)
        return worst({"store": store, "spool": full, "drain": drain})

    async def _store(self) -> tuple[Ready, str | None]:
        """How the store stands. It is asked in a thread that nobody waits for longer than a moment."""
        if self._asking is None or not self._asking.is_alive():
            heard: list[bool] = []
            self._asking = threading.Thread(target=self._probe, args=(heard,), name="tcap-health", daemon=True)
            self._asking.start()
            await asyncio.to_thread(self._asking.join, _PATIENCE_S)
            if heard:
                return (Ready.READY, None) if heard[0] else self._away("the store cannot be reached")
        return self._away("the store does not answer")

    def _probe(self, heard: list[bool]) -> None:
        try:
            self._platform.store.probe("SELECT 1")
            heard.append(True)
        except StoreError:
            heard.append(False)

    def _away(self, what: str) -> tuple[Ready, str | None]:
        """The house goes on without its store where it knows who may come in."""
        known = self._platform.access.keyring.known
        onward = "what is acknowledged waits in the spool" if known else "nothing is known yet of who may come in"
        return Ready.DEGRADED if known else Ready.NOT_READY, f"{what}; {onward}"


def spool_standing(waits: Depth, most: int, *, refuses: bool) -> tuple[Ready, str | None]:
    """How a spool stands that holds so much of at most `most` bytes, and refuses more or stops recording."""
    if waits.bytes < _FULL * most:
        return Ready.READY, None
    if refuses:
        return Ready.NOT_READY, "the spool is full: calls are refused until the store takes what waits"
    return Ready.DEGRADED, "the spool is full: answers are given and not recorded"


def drain_standing(waits: Depth, report: DrainReport | None, now: datetime) -> tuple[Ready, str | None]:
    """How the drain of a spool stands in which so much waits."""
    if waits.oldest is None:
        return Ready.READY, None
    age_s = (now - waits.oldest).total_seconds()
    silent_s = age_s if report is None else (now - report.at).total_seconds()
    if silent_s > _SILENT_S:
        return Ready.NOT_READY, f"{waits.frames} frames wait, and no drain has said anything for {silent_s:.0f} s"
    if report is not None and report.away is not None:
        return Ready.DEGRADED, f"{waits.frames} frames wait for the store"
    if age_s > _LATE_S:
        return Ready.DEGRADED, f"{waits.frames} frames wait, the oldest for {age_s:.0f} s"
    return Ready.READY, None


def worst(parts: Mapping[str, tuple[Ready, str | None]]) -> Standing:
    """The standing of a house with these parts."""
    order = list(Ready)
    found = {name: ready for name, (ready, _) in parts.items()}
    reasons = tuple(f"{name}: {why}" for name, (_, why) in parts.items() if why)
    return Standing(status=max(found.values(), key=order.index), parts=found, reasons=reasons)
