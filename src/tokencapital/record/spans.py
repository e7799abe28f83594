"""Spans on their way into the store: each is there at once, and a trace that is quiet becomes a trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tokencapital.core.clock import Clock
from tokencapital.record.otlp import Batch, read_protobuf, spans_of, unpacked
from tokencapital.record.spans_told import moment
from tokencapital.record.spool_frames import SpanBatch
from tokencapital.store.database import Store
from tokencapital.store.spans import Bundle, Pair, SpanRow, Told, add_spans

_Placed = list[tuple[Any, Any, Any]]
_AT_ONCE = 512


class SpanKeeper:
    """Stores batches of spans."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def __call__(self, batches: Sequence[SpanBatch]) -> None:
        """All spans of the batches are stored, each once. Raises InputError for a batch that is none."""
        for one in batches:
            self.keep(one)

    def keep(self, batch: SpanBatch) -> int:
        """The spans of the batch are stored; returns how many of them were new."""
        by_trace = _by_trace(read_protobuf(unpacked(batch.body)))
        return sum(self._keep(some, batch.application) for some in _portions(by_trace))

    def _keep(self, by_trace: dict[str, _Placed], application: str | None) -> int:
        pairs = frozenset([(trace, one[2].span_id.hex()) for trace, placed in by_trace.items() for one in placed])
        told = Told(pairs, lambda known: bundles(by_trace, known), application)
        return add_spans(self._store, told, self._clock.now())


def bundles(by_trace: dict[str, _Placed], known: frozenset[Pair]) -> list[Bundle]:
    """The spans of each trace but the known ones, each once, with what they say as one small batch."""
    found = []
    for trace, placed in by_trace.items():
        fresh: dict[str, tuple[Any, Any, Any]] = {}
        for one in placed:
            name = one[2].span_id.hex()
            if (trace, name) not in known:
                fresh.setdefault(name, one)
        if fresh:
            rows = tuple([_row(trace, name, one[2]) for name, one in fresh.items()])
            found.append(Bundle(trace, rows, _body(list(fresh.values()))))
    return found


def _by_trace(batch: Batch) -> dict[str, _Placed]:
    by_trace: dict[bytes, _Placed] = {}
    for placed in spans_of(batch):
        by_trace.setdefault(placed[2].trace_id, []).append(placed)
    return {trace.hex(): placed for trace, placed in by_trace.items()}


def _portions(by_trace: dict[str, _Placed]) -> Iterator[dict[str, _Placed]]:
    """The spans in portions so small that nobody else who writes waits long for one."""
    portion: dict[str, _Placed] = {}
    room = _AT_ONCE
    for trace, placed in by_trace.items():
        for start in range(0, len(placed), _AT_ONCE):
            some = placed[start : start + _AT_ONCE]
            if len(some) > room or trace in portion:
                yield portion
                portion, room = {}, _AT_ONCE
            portion[trace] = some
            room -= len(some)
    if portion:
        yield portion


def _row(trace: str, name: str, span: Any) -> SpanRow:
    parent = span.parent_span_id
    return SpanRow(trace, name, parent.hex() if any(parent) else None, moment(span.start_time_unix_nano))


def _body(placed: _Placed) -> bytes:
    """The spans with their resources and scopes, as a batch in protobuf."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    batch = TracesData()
    resource = scope = None
    into_resource: Any = None
    into_scope: Any = None
    for told_resource, told_scope, span in placed:
        if told_resource is not resource:
            resource, scope = told_resource, None
            into_resource = batch.resource_spans.add(schema_url=told_resource.schema_url)
            into_resource.resource.CopyFrom(told_resource.resource)
        if told_scope is not scope:
            scope = told_scope
            into_scope = into_resource.scope_spans.add(schema_url=told_scope.schema_url)
            into_scope.scope.CopyFrom(told_scope.scope)
        into_scope.spans.append(span)
    return bytes(batch.SerializeToString())
