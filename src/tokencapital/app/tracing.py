"""Spans in the house: where they come in, how they are kept, and what makes trajectories of them."""

from __future__ import annotations

from datetime import timedelta

from tokencapital.app.platform import Platform
from tokencapital.app.recording import HouseDesks, recording_of
from tokencapital.record.otlp_routes import TraceRoutes, as_it_is
from tokencapital.record.spans import SpanKeeper
from tokencapital.record.spans_settling import Rules, Settler
from tokencapital.record.spool_frames import SpanBatch
from tokencapital.store.spans import Quiet
from tokencapital.store.steps import steps_by_response

_AT_ONCE = Quiet(timedelta(0), timedelta(0))


def trace_routes(platform: Platform) -> TraceRoutes:
    """Where spans come in: acknowledged when they are in the spool, and refused while it is full."""

    async def keep(batch: SpanBatch) -> None:
        await recording_of(platform).spool.keep(batch)

    return TraceRoutes(keep, as_it_is, platform.clock, platform.ids)


def take_spans(platform: Platform, batch: SpanBatch) -> int:
    """The spans are in the store, without a server in between; returns how many were new."""
    return SpanKeeper(platform.store, platform.clock).keep(batch)


def settle_spans(platform: Platform, quiet: Quiet = _AT_ONCE) -> int:
    """All traces with spans that are in no trajectory yet are trajectories now; returns how many were settled."""
    store = platform.store
    rules = Rules(
        platform.meter, HouseDesks(store, platform.clock).observed, seen=lambda ids: steps_by_response(store, ids)
    )
    return Settler(store, platform.clock, rules, quiet).settle_all()
