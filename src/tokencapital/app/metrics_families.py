"""The families of metrics: their names, what their labels mean, and rows of numbers that can be added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric


class Kind(StrEnum):
    """How a family's numbers behave."""

    COUNTER = "counter"
    GAUGE = "gauge"
    TIMES = "times"


class Family(Struct, frozen=True):
    """A family of metrics. Its name carries its unit; `labels` are those of each of its rows, in order."""

    kind: Kind
    told: str
    labels: tuple[str, ...] = ()


class Row(NamedTuple):
    """A number of a family under its labels; of times the buckets, each alone, and the sum in seconds, last."""

    family: str
    labels: tuple[str, ...]
    numbers: tuple[float, ...]


_C, _G, _T = Kind.COUNTER, Kind.GAUGE, Kind.TIMES
_WHO = ("capability", "provider", "stage")
FAMILIES: Mapping[str, Family] = {
    "tcap_requests": Family(_C, "Requests; status 0: the caller hung up.", ("method", "route", "status")),
    "tcap_request_seconds": Family(_T, "Time until the head of the answer.", ("route",)),
    "tcap_requests_in_flight": Family(_G, "Requests in work."),
    "tcap_request_body_bytes": Family(_G, "Bytes of large bodies in work."),
    "tcap_turned_away": Family(_C, "What was refused before any route saw it.", ("reason",)),
    "tcap_faults": Family(_C, "Errors that nobody foresaw; the log has each under its id."),
    "tcap_relayed": Family(_C, "Calls of providers; status 0xx: no answer.", ("wire", "provider", "status")),
    "tcap_relay_refused": Family(_C, "Calls that we refused, by error.", ("error",)),
    "tcap_relay_seconds": Family(_T, "Time of a whole call."),
    "tcap_upstream_seconds": Family(_T, "Time until the head of a provider's answer.", ("provider",)),
    "tcap_keep_seconds": Family(_T, "Time until a call was durable."),
    "tcap_relay_in_flight": Family(_G, "Calls in work."),
    "tcap_retries": Family(_C, "Tries of a provider after the first."),
    "tcap_fallbacks": Family(_C, "Calls that went on to another provider."),
    "tcap_disconnected": Family(_C, "Callers that hung up before their answer ended."),
    "tcap_unrecorded": Family(_C, "Answers that nothing was kept of."),
    "tcap_own_answers": Family(_C, "What became of capabilities' own answers to calls that a rule named.", ("became",)),
    "tcap_process_resident_bytes": Family(_G, "Memory of each worker.", ("pid",)),
    "tcap_up": Family(_G, "1 for each part that stands as it should: store, spool, drain.", ("part",)),
    "tcap_ready": Family(_G, "1: ready or degraded; 0: not ready."),
    "tcap_knowledge_age_seconds": Family(_G, "How long ago the store was last heard of who may come in."),
    "tcap_spool_frames": Family(_G, "What is acknowledged and waits for the store."),
    "tcap_spool_bytes": Family(_G, "The same in bytes."),
    "tcap_spool_oldest_seconds": Family(_G, "The age of the oldest that waits; 0: nothing does."),
    "tcap_drained": Family(_C, "Frames that the drain carried into the store since it began."),
    "tcap_spool_lost_bytes": Family(_C, "Bytes passed over; `torn` ones were never acknowledged.", ("why",)),
    "tcap_dead_letters": Family(_G, "Frames that the store would not take."),
    "tcap_open_draws": Family(_G, "Cases that wait for a person.", ("capability", "kind")),
    "tcap_done": Family(_C, "What was done, of the whole store: answers by stage, observed steps as `step`.", _WHO),
    "tcap_done_seconds": Family(_C, "How long it took.", _WHO),
    "tcap_tokens": Family(_C, "Tokens, as far as they are known.", (*_WHO, "kind")),
    "tcap_cost": Family(_C, "Money, as far as it is known.", (*_WHO, "currency")),
    "tcap_unpriced": Family(_C, "What was done at an unknown cost.", _WHO),
    "tcap_joules": Family(_C, "Energy at the facility boundary, as far as it is known.", (*_WHO, "grade")),
    "tcap_ambiguous_joins": Family(_C, "Calls that fit several conversations and stay apart.", ("capability",)),
    "tcap_limit_left": Family(_G, "What is left of a limit in its window, of the whole house.", ("limit", "pot", "of")),
}  # fmt: skip


def added(rows: Iterable[Row]) -> list[Row]:
    """Rows of one family under the same labels as one."""
    found: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
    for family, labels, numbers in rows:
        before = found.get((family, labels))
        found[family, labels] = numbers if before is None else tuple(map(sum, zip(before, numbers, strict=True)))
    return [Row(family, labels, numbers) for (family, labels), numbers in sorted(found.items())]


def as_metrics(rows: Sequence[Row], bounds_s: Mapping[str, Sequence[float]]) -> Iterator[Metric]:
    """The rows as prometheus-client writes them, family by family; `bounds_s` are the buckets of families of times."""
    for name, family in FAMILIES.items():
        own = [row for row in rows if row.family == name]
        if not own:
            continue
        match family.kind:
            case Kind.COUNTER:
                counter = CounterMetricFamily(name, family.told, labels=family.labels)
                for row in own:
                    counter.add_metric(row.labels, row.numbers[0])
                yield counter
            case Kind.GAUGE:
                gauge = GaugeMetricFamily(name, family.told, labels=family.labels)
                for row in own:
                    gauge.add_metric(row.labels, row.numbers[0])
                yield gauge
            case Kind.TIMES:
                times = HistogramMetricFamily(name, family.told, labels=family.labels)
                for row in own:
                    times.add_metric(row.labels, _heaped(row.numbers[:-1], bounds_s[name]), row.numbers[-1])
                yield times


def _heaped(buckets: Sequence[float], bounds_s: Sequence[float]) -> list[tuple[str, float]]:
    """Each bucket with all below it, as Prometheus wants them."""
    total, found = 0.0, []
    for bound, number in zip([*map(str, bounds_s), "+Inf"], buckets, strict=True):
        total += number
        found.append((bound, total))
    return found
