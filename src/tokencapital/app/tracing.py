"""Spans in the house: where they come in, how they are kept, and what makes trajectories of them."""

from __future__ import annotations

from datetime import timedelta

from tokencapital.app.access_settings import Payloads
from tokencapital.app.cleaning import payloads_of
from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of, span_rules
from tokencapital.record.otlp import read_protobuf, unpacked
from tokencapital.record.otlp_routes import TraceRoutes
from tokencapital.record.spans import SpanKeeper
from tokencapital.record.spans_cleaning import SpanCleaner
from tokencapital.record.spans_settling import Settler
from tokencapital.record.spool_frames import SpanBatch
from tokencapital.store.spans import Quiet

_AT_ONCE = Quiet(timedelta(0), timedelta(0))


def trace_routes(platform: Platform) -> TraceRoutes:
    """Where spans come in: acknowledged when they are in the spool, and refused while it is full."""
    return TraceRoutes(recording_of(platform).keep, span_cleaner(platform), platform.clock, platform.ids)


def span_cleaner(platform: Platform) -> SpanCleaner:
    """What takes out of spans what the settings say may not be kept."""
    payloads = payloads_of(platform.settings)
    return SpanCleaner(platform.redaction, lambda capability: payloads(capability) is Payloads.FULL)


def take_spans(platform: Platform, body: bytes, application: str | None = None) -> int:
    """The spans of a batch in protobuf are in the store, without a server in between; returns how many were new.

    Raises InputError for what is no batch.
    """
    plain = unpacked(body)
    cleaned = span_cleaner(platform)(plain, read_protobuf(plain))
    batch = SpanBatch(id=platform.ids.new("spb"), at=platform.clock.now(), body=cleaned, application=application)
    return SpanKeeper(platform.store, platform.clock).keep(batch)


def settle_spans(platform: Platform, quiet: Quiet = _AT_ONCE) -> int:
    """All traces with spans that are in no trajectory yet are trajectories now; returns how many were settled."""
    rules = span_rules(platform.store, platform.meter, platform.clock, platform.settings.rules)
    return Settler(platform.store, platform.clock, rules, quiet).settle_all()


class LocalHouse:
    """A house in this process, for the SDK: `connect(LocalHouse(platform))`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def take(self, batch: bytes) -> None:
        """The spans are in the store when this returns."""
        take_spans(self._platform, batch)

    def close(self) -> None:
        """All that was told is trajectories."""
        settle_spans(self._platform)
