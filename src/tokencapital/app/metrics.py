"""`/metrics`: what an operator watches, in Prometheus' text, put together only when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokencapital.app.health import Health, Ready, Standing
from tokencapital.app.metrics_families import Row, added, as_metrics
from tokencapital.app.metrics_process import BOUNDS_S, process_rows
from tokencapital.app.platform import Platform
from tokencapital.app.recording import spool_folder
from tokencapital.app.shares import Share
from tokencapital.core.errors import StoreError
from tokencapital.core.limit import NOTHING
from tokencapital.record.drain import read_report
from tokencapital.record.spool_dead import dead_letters
from tokencapital.record.spool_folder import depth
from tokencapital.store.database import Store
from tokencapital.store.spending import shares_taken
from tokencapital.store.totals import TOKENS, Doer, Sums, Totals, draws_waiting

_PATIENCE_S = 10.0
_MOST_POTS = 200
_NANO = 1e9


class Metrics:
    """The metrics of one house."""

    def __init__(self, platform: Platform, health: Health) -> None:
        self._platform = platform
        self._health = health
        self._totals = Totals(platform.store)
        self._lock = asyncio.Lock()

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/metrics", self.metrics)]

    async def metrics(self, request: Request) -> Response:
        """Numbers in Prometheus' text: requests, times, spool, tokens, money, energy, limits.

        What the store would have to tell is left out while the store is away.
        """
        standing = await self._health.standing()
        watched = self._platform.watched
        rows = [*process_rows(watched), *watched.others(), *self._standing(standing)]
        rows += self._spool(self._platform.clock.now())
        if standing.parts["store"] is Ready.READY:
            async with self._lock:
                rows += await self._of_store()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Rows(added(rows)))
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": media_type, "cache-control": "no-store"})

    async def _of_store(self) -> list[Row]:
        """The rows that the store knows; none where it fails or takes too long."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._read), _PATIENCE_S)
        except (StoreError, TimeoutError):
            return []

    def _read(self) -> list[Row]:
        store = self._platform.store
        draws = [Row("tcap_open_draws", names, (number,)) for names, number in draws_waiting(store).items()]
        return [*draws, *done_rows(self._totals.look().items()), *limit_rows(store, self._platform.watched.limits())]

    def _standing(self, standing: Standing) -> Iterator[Row]:
        yield Row("tcap_ready", (), (standing.status is not Ready.NOT_READY,))
        for part, ready in standing.parts.items():
            yield Row("tcap_up", (part,), (ready is Ready.READY,))
        yield Row("tcap_knowledge_age_seconds", (), (self._platform.access.keyring.age_s,))

    def _spool(self, now: datetime) -> Iterator[Row]:
        root = spool_folder(self._platform.settings)
        waits, report = depth(root), read_report(root)
        age_s = 0.0 if waits.oldest is None else max(0.0, (now - waits.oldest).total_seconds())
        yield Row("tcap_spool_frames", (), (waits.frames,))
        yield Row("tcap_spool_bytes", (), (waits.bytes,))
        yield Row("tcap_spool_oldest_seconds", (), (age_s,))
        yield Row("tcap_dead_letters", (), (len(dead_letters(root)),))
        if report is not None:
            yield Row("tcap_drained", (), (report.stored,))
            yield Row("tcap_spool_lost_bytes", ("torn",), (report.torn_bytes,))
            yield Row("tcap_spool_lost_bytes", ("damaged",), (report.damaged_bytes,))


class _Rows(Collector):
    """Rows as a collector."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return as_metrics(self._rows, BOUNDS_S)


def done_rows(done: Iterable[tuple[Doer, Sums]]) -> Iterator[Row]:
    """What was done in all, and what it took. What is not known has no row."""
    for doer, sums in done:
        who = (doer.capability, doer.provider, doer.stage)
        yield Row("tcap_done", who, (sums.count,))
        yield Row("tcap_done_seconds", who, (sums.seconds,))
        yield Row("tcap_unpriced", who, (sums.unpriced,))
        yield Row("tcap_ambiguous_joins", (doer.capability,), (sums.ambiguous,))
        for kind, number in zip(TOKENS, sums.tokens, strict=True):
            yield Row("tcap_tokens", (*who, kind), (number,))
        if doer.currency:
            yield Row("tcap_cost", (*who, doer.currency), (sums.cost,))
        if sums.joules:
            yield Row("tcap_joules", (*who, doer.grade), (sums.joules,))


def limit_rows(store: Store, shares: Iterable[Share]) -> Iterator[Row]:
    """What is left of each limit that this process has used lately, by what the store says all have taken of it."""
    for share in list(shares)[:_MOST_POTS]:
        taken = sum(shares_taken(store, share.name, share.window.start).values(), NOTHING)
        most: Any = share.limit.most
        for kind, unit in (("requests", 1.0), ("tokens", 1.0), ("nano_usd", _NANO)):
            limit = getattr(most, kind)
            if limit is not None:
                left = max(0, limit - getattr(taken, kind)) / unit
                yield Row("tcap_limit_left", (share.limit.name, share.name, kind.removeprefix("nano_")), (left,))
