"""Traces as other tools keep them, built from what they say of each span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import Money, Usage
from tokencapital.record.imports.conversation import read_answer
from tokencapital.record.imports.told import Traced, Unreadable
from tokencapital.record.spans_deeds import Trace
from tokencapital.record.spans_told import Deed, Span, messages_of, read_json, text_of


class Part(Struct, frozen=True, kw_only=True):
    """One span as its tool tells it: what it was given and what came back, in whatever shape.

    `deed` is what it says in names that are known already; None: it is told by the rest. `kind` None: nothing was done.
    """

    span: Span
    kind: StepKind | None = None
    name: str = ""
    given: Json = None
    came: Json = None
    model: str | None = None
    provider: str | None = None
    response: str | None = None
    usage: Usage = Usage(None, None)
    cost: Money | None = None
    first_s: float | None = None
    details: Mapping[str, Json] = {}
    deed: Deed | None = None


class Around(Struct, frozen=True, kw_only=True):
    """What a tool says of a whole trace. `key` is what it calls the trace, by which outcomes can find it.

    `tags` are what rules that sort work may ask for.
    """

    key: str
    group: str | None = None
    capability: str | None = None
    tags: Mapping[str, Json] = {}


def build(where: str, name: str, parts: Sequence[Part], around: Around) -> Traced:
    """The trace. Raises Unreadable where nothing was done in it."""
    ordered = sorted({one.span.id: one for one in parts}.values(), key=lambda one: (one.span.at, one.span.id))
    known = {one.span.id for one in ordered}
    told: dict[str, Json] = {"tcap.key": around.key}
    told |= {"tcap.group": around.group} if around.group else {}
    told |= {"tcap.capability": around.capability} if around.capability else {}
    spans, deeds = [], []
    for one in ordered:
        above = one.span.parent if one.span.parent in known else None
        attributes = {**one.span.attributes, **(told if above is None else {})}
        span = msgspec.structs.replace(one.span, parent=above, attributes=attributes, resource=around.tags)
        spans.append(span)
        deed = one.deed or deed_of(one)
        if deed is not None:
            deeds.append(msgspec.structs.replace(deed, span=span))
    if not deeds:
        raise Unreadable("nothing was done in it")
    costs = {one.span.id: one.cost for one in ordered if one.cost is not None}
    return Traced(where=where, trace=Trace(name, tuple(spans), tuple(deeds)), costs=costs)


def deed_of(part: Part) -> Deed | None:
    """What was done in a span; None: nothing."""
    if part.kind is None:
        return None
    call = part.kind is StepKind.CALL
    came = _tool(part.came) if part.kind is StepKind.TOOL else read_answer(read_json(part.came))
    return Deed(
        span=part.span,
        kind=part.kind,
        name=part.name or part.span.name or part.kind.value,
        provider=part.provider,
        model=part.model,
        response=part.response,
        asked=asked_in(part.given) or None,
        said=came or None,
        usage=part.usage if call else Usage(),
        first_s=part.first_s,
        failure="error" if part.span.failed else None,
        details=part.details,
    )


def asked_in(told: Json) -> tuple[Message, ...]:
    """What was asked: messages in any known shape, or words as a user's."""
    told = read_json(told)
    if isinstance(told, Mapping) and isinstance(told.get("messages"), Sequence):
        return messages_of(told) or ()
    if isinstance(told, Mapping) and isinstance(told.get("role"), str):
        return messages_of([told]) or ()
    listed = isinstance(told, Sequence) and not isinstance(told, str)
    if listed and told and all(isinstance(one, Mapping) and isinstance(one.get("role"), str) for one in told):
        return messages_of(told) or ()
    words = text_of(told)
    return (Message("user", words),) if words else ()


def span(name: str, told: Mapping[str, Any]) -> Span:
    """A span with the few things that every tool knows of one: `id`, `parent`, `name`, `at`, `until`, `failed`."""
    at: datetime = told["at"]
    until: datetime | None = told.get("until")
    return Span(
        trace=name,
        id=told["id"],
        parent=told.get("parent"),
        name=str(told.get("name") or ""),
        at=at,
        elapsed_s=max(0.0, (until - at).total_seconds()) if until else 0.0,
        attributes=told.get("attributes") or {},
        resource={},
        scope=str(told.get("scope") or ""),
        failed=bool(told.get("failed")),
    )


def _tool(told: Json) -> tuple[Message, ...]:
    words = text_of(told)
    return (Message("tool", words),) if words else ()
