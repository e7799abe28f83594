"""What was done in a trace: its spans as steps, in the same way in whatever order they came."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b

import msgspec
from msgspec import Struct

from tokencapital.core.call import UNSORTED, Step, StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import UNKNOWN_ENERGY, Money, Usage
from tokencapital.meter.meter import Meter, Spent
from tokencapital.record.otlp import read_protobuf, spans_of
from tokencapital.record.spans_genai import read_genai
from tokencapital.record.spans_openinference import read_openinference
from tokencapital.record.spans_own import read_own, step_told
from tokencapital.record.spans_told import Deed, Span, attributes_of, span_of
from tokencapital.store.spans import trajectory_of_trace

STEP_PREFIX = "stp_"
_LONGEST_NAME = 200
_CAPABILITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_encode = msgspec.json.Encoder().encode


class Trace(Struct, frozen=True):
    """The spans of one trace in the order of their beginnings, and what was done in those that say so."""

    id: str
    spans: tuple[Span, ...]
    deeds: tuple[Deed, ...]

    @property
    def roots_first(self) -> list[Span]:
        """The spans, those without a parent first."""
        return sorted(self.spans, key=lambda one: one.parent is not None)

    def told(self, *names: str) -> Json:
        """The first value that an attribute of a span, or else of a resource, has under one of the names."""
        ordered = self.roots_first
        for told in [one.attributes for one in ordered], [one.resource for one in ordered]:
            for name in names:
                found = next((one[name] for one in told if one.get(name) not in (None, "")), None)
                if found is not None:
                    return found
        return None

    def said_so(self, *names: str) -> str | None:
        """The same, where it is a text or a number; None: nobody said."""
        value = self.told(*names)
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


class Service(Struct, frozen=True):
    """Who sent a trace, as far as rules that sort it may ask: its resource, its application, and its first call.

    `model` None and `messages` empty: there was none, or it does not say.
    """

    resource: Mapping[str, Json]
    application: str | None
    model: str | None
    messages: tuple[Message, ...]


def read_trace(trace: str, told: Iterable[tuple[str | None, bytes]]) -> Trace:
    """The trace in the batches that were told of it, each with its application."""
    spans: dict[str, Span] = {}
    for application, body in told:
        for one in _spans(body, application):
            spans.setdefault(one.id, one)
    ordered = tuple(sorted(spans.values(), key=lambda one: (one.at, one.id)))
    return Trace(trace, ordered, tuple(_deeds(ordered)))


def capability_of(trace: Trace, sort: Callable[[Service], str | None]) -> str:
    """The capability that the trace names itself, or else the one that a rule does, or `unsorted`."""
    named = trace.said_so("tcap.capability")
    if named is not None and _CAPABILITY.fullmatch(named):
        return named
    first = trace.roots_first[0]
    call = next((one for one in trace.deeds if one.kind is StepKind.CALL), None)
    asked = (call.asked or ()) if call is not None else ()
    model = call.model if call is not None else None
    return sort(Service(first.resource, first.application, model, asked)) or UNSORTED


def steps_in(trace: Trace, meter: Meter, seen: Mapping[str, str]) -> list[Step]:
    """The steps of the trajectory that the trace is. `seen` are calls that are on record already: by the id of the
    provider's answer, the step; what such a call took is counted there and not again."""
    parents = {one.id: one.parent for one in trace.spans}
    names = {one.span.id: step_id(one.span) for one in trace.deeds}
    inner = _within_calls(trace.deeds, parents)
    counted = dict(seen)
    known = _Conversations()
    above: dict[str, str | None] = {}
    steps = []
    for deed in trace.deeds:
        outer = deed.kind is StepKind.CALL and deed.span.id in inner
        kept = msgspec.structs.replace(deed, kind=StepKind.AGENT, usage=Usage()) if outer else deed
        elsewhere = _counted(kept, counted, names)
        parent = _nearest(deed.span, parents, names, above)
        step = _step(kept, known.added(kept), elsewhere, meter)
        step = msgspec.structs.replace(step, trajectory=trajectory_of_trace(trace.id), parent=parent)
        steps.append(step_told(deed.span, step) or step)
    return steps


def step_id(span: Span) -> str:
    """The id of the step that a span is."""
    return f"{STEP_PREFIX}{span.trace}{span.id}"


def responses_in(trace: Trace) -> set[str]:
    """The ids of the answers that providers gave in the trace."""
    return {one.response for one in trace.deeds if one.response and one.kind is StepKind.CALL}


def _spans(body: bytes, application: str | None) -> Iterator[Span]:
    last, resource = None, {}
    for told, scope, span in spans_of(read_protobuf(body)):
        if told is not last:
            last, resource = told, attributes_of(told.resource.attributes)
        yield span_of(resource, scope.scope.name, span, application)


def _deeds(spans: Sequence[Span]) -> Iterator[Deed]:
    for one in spans:
        found = read_own(one) or read_openinference(one) or read_genai(one)
        if found is not None:
            yield found


def _ancestors(span: Span, parents: Mapping[str, str | None]) -> Iterator[str]:
    """The spans that this one is in, the nearest first; a ring ends where it began."""
    seen, place = {span.id}, span.parent
    while place is not None and place not in seen:
        yield place
        seen.add(place)
        place = parents.get(place)


def _within_calls(deeds: Sequence[Deed], parents: Mapping[str, str | None]) -> set[str]:
    """The spans of calls that have another call within: the inner one is the call, whatever stands around it."""
    calls = {one.span.id for one in deeds if one.kind is StepKind.CALL}
    around: set[str] = set()
    for one in deeds:
        if one.span.id in calls:
            for above in _ancestors(one.span, parents):
                if above in around:
                    break
                around.add(above)
    return around & calls


def _nearest(
    span: Span, parents: Mapping[str, str | None], names: Mapping[str, str], known: dict[str, str | None]
) -> str | None:
    """The step that the span is in. `known` has what was found above spans that are none, so that each is passed once,
    however deep they lie."""
    found, passed = None, []
    for above in _ancestors(span, parents):
        if above in names or above in known:
            found = names.get(above) or known[above]
            break
        passed.append(above)
    known.update(dict.fromkeys(passed, found))
    return found


def _counted(deed: Deed, counted: dict[str, str], names: Mapping[str, str]) -> str | None:
    """The step where the same call is counted; None: it is counted here, from now on."""
    if deed.kind is not StepKind.CALL or not deed.response:
        return None
    own = names[deed.span.id]
    first = counted.setdefault(deed.response, own)
    return None if first == own else first


def _step(deed: Deed, messages: tuple[Message, ...] | None, elsewhere: str | None, meter: Meter) -> Step:
    span = deed.span
    usage, spent = deed.usage, Spent(None, None, UNKNOWN_ENERGY)
    if elsewhere is not None or deed.kind is not StepKind.CALL:
        usage, spent = Usage(), Spent(Money(Decimal(0)), None, UNKNOWN_ENERGY)
    elif deed.model is not None:
        spent = meter.call(deed.model, usage, span.at, span.elapsed_s)
    return Step(
        id=step_id(span),
        trajectory="",
        at=span.at,
        kind=deed.kind,
        name=deed.name[:_LONGEST_NAME],
        source="otlp",
        application=span.application,
        provider=deed.provider,
        model=deed.model,
        ending=deed.ending,
        elapsed_s=span.elapsed_s,
        first_s=deed.first_s,
        usage=usage,
        cost=spent.cost,
        price=spent.price,
        energy=spent.energy,
        failure=deed.failure,
        messages=messages,
        details=_details(deed, elsewhere),
    )


def _details(deed: Deed, elsewhere: str | None) -> dict[str, Json]:
    found = {
        "span": deed.span.id,
        "scope": deed.span.scope,
        "response": deed.response,
        "finish": deed.finish,
        "counted": elsewhere,
    }
    return {name: value for name, value in found.items() if value} | dict(deed.details)


class _Conversations:
    """The conversations of a trace as they grow, so that a step holds what it adds and no more."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def added(self, deed: Deed) -> tuple[Message, ...] | None:
        """The messages that the step adds, what came back included; None: the span does not say."""
        asked, said = deed.asked or (), deed.said or ()
        if deed.asked is None and deed.said is None:
            return None
        if deed.kind is not StepKind.CALL:
            return (*asked, *said)
        digests = _chain((*asked, *said))
        known = next((n for n in range(len(asked), 0, -1) if digests[n - 1] in self._known), 0)
        self._known.update(digests[max(0, len(asked) - 1) :])
        return (*asked[known:], *said)


def _chain(messages: Sequence[Message]) -> list[bytes]:
    """A digest of the messages up to each of them."""
    found, last = [], b""
    for one in messages:
        last = blake2b(last + _encode(one), digest_size=16).digest()
        found.append(last)
    return found
