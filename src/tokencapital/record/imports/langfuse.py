"""Langfuse: traces with their observations, and scores, as its API and its exports write them.

https://github.com/langfuse/langfuse/tree/main/fern/apis/server/definition
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import Any

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json
from tokencapital.core.errors import MalformedLine
from tokencapital.core.quantity import Money, Usage
from tokencapital.record.imports.built import Around, Part, build, span
from tokencapital.record.imports.lines import Line, moment, named_lines, text
from tokencapital.record.imports.told import (
    Bunch,
    Judged,
    People,
    Seen,
    Skip,
    Source,
    Told,
    Unreadable,
    bunches,
    digest,
    span_name,
    trace_name,
)
from tokencapital.record.spans_told import read_json, whole
from tokencapital.store.spans import trajectory_of_trace

KIND = "langfuse"
_BUNCH = 50
_KINDS = {
    "GENERATION": StepKind.CALL,
    "EMBEDDING": StepKind.CALL,
    "TOOL": StepKind.TOOL,
    "RETRIEVER": StepKind.RETRIEVAL,
    "AGENT": StepKind.AGENT,
    "CHAIN": StepKind.AGENT,
    "SPAN": StepKind.AGENT,
}
_NUMBERS = {"NUMERIC", "BOOLEAN", "CATEGORICAL"}


def read_langfuse(path: Path, people: People) -> Source:
    """The traces and scores of an export: objects as its API gives them, or rows of its tables of traces,
    observations and scores, in one file in any order. They are put together in memory."""
    traces: dict[str, tuple[str, Mapping[str, Json]]] = {}
    observations: defaultdict[str, list[Mapping[str, Json]]] = defaultdict(list)
    scores: list[tuple[str, Mapping[str, Json]]] = []
    for line in named_lines(path, "traces", "observations", "scores"):
        if isinstance(line, MalformedLine):
            yield Bunch((Skip(line.where or "", line.what),))
            continue
        _sort(line, traces, observations, scores)
    for own in observations:
        traces.setdefault(own, (str(path), {"id": own}))
    told = (told_of(trace, observations.pop(own, []), where, people) for own, (where, trace) in traces.items())
    yield from bunches(told, _BUNCH, len(traces))
    yield Bunch(tuple(score_of(one, where, people) for where, one in scores))


def told_of(
    trace: Mapping[str, Json], observations: Sequence[Mapping[str, Json]], where: str, people: People
) -> Iterator[Told]:
    """The trace and the scores that stand in it."""
    found = [*observations, *(one for one in _each(trace.get("observations")) if isinstance(one, Mapping))]
    try:
        yield _trace(trace, found, where)
    except Unreadable as error:
        yield Skip(where, str(error))
    for one in _each(trace.get("scores")):
        if isinstance(one, Mapping):
            yield score_of({"traceId": trace.get("id"), **one}, where, people)


def score_of(told: Mapping[str, Json], where: str, people: People) -> Told:
    """A score: a person's correction is a judgment, a number or yes and no an outcome, a model's opinion neither."""
    own, trace, name = text(told.get("id")), text(told.get("traceId")), text(told.get("name"))
    at = moment(told.get("updatedAt")) or moment(told.get("timestamp")) or moment(told.get("createdAt"))
    if own is None or name is None or at is None:
        return Skip(where, "a score has no id, name or time")
    if trace is None:
        return Skip(where, "a score is of no trace")
    if str(told.get("source", "")).upper() == "EVAL":
        return Skip(where, "a score was given by a model: it is neither an outcome nor a judgment")
    trajectory = trajectory_of_trace(trace_name(KIND, trace))
    named, value = str(told.get("dataType") or "NUMERIC").upper(), told.get("value")
    marked = digest(KIND, own, at.isoformat())
    if named == "CORRECTION":
        words = text(told.get("stringValue")) or text(value)
        expert = people(text(told.get("authorUserId")) or "unnamed")
        common: dict[str, Any] = {"where": where, "id": f"jdg_{marked}", "at": at, "trajectory": trajectory}
        return Judged(expert=expert, words=words or "", reason=text(told.get("comment")), **common)
    number = _number(value)
    if named not in _NUMBERS or number is None:
        return Skip(where, "a score is words, neither yes, no nor a number")
    seen = number != 0 if named == "BOOLEAN" else number
    return Seen(where=where, id=f"out_{marked}", name=name, value=seen, at=at, trajectory=trajectory)


def _sort(
    line: Line,
    traces: dict[str, tuple[str, Mapping[str, Json]]],
    observations: defaultdict[str, list[Mapping[str, Json]]],
    scores: list[tuple[str, Mapping[str, Json]]],
) -> None:
    told = {name: value for name, value in line.told.items() if value not in ("", None)}
    trace = text(told.get("traceId"))
    if trace is not None and "startTime" in told:
        observations[trace].append(told)
    elif "dataType" in told or ("value" in told and "source" in told):
        scores.append((line.where, told))
    else:
        traces[text(told.get("id")) or line.where] = (line.where, told)


def _trace(trace: Mapping[str, Json], observations: Sequence[Mapping[str, Json]], where: str) -> Any:
    own = text(trace.get("id"))
    if own is None:
        raise Unreadable("a trace has no id")
    name = trace_name(KIND, own)
    metadata = read_json(trace.get("metadata"))
    named = metadata if isinstance(metadata, Mapping) else {}
    around = Around(
        key=own,
        group=text(trace.get("userId")) or text(trace.get("sessionId")),
        capability=text(named.get("tcap.capability")),
        tags=named,
    )
    parts = [_part(name, one) for one in observations]
    if not any(one.kind for one in parts):
        parts.append(_whole(name, trace))
    return build(where, name, parts, around)


def _whole(name: str, trace: Mapping[str, Json]) -> Part:
    """A trace without observations, or none in which something was done, as one span."""
    at = moment(trace.get("timestamp"))
    if at is None:
        raise Unreadable("a trace has no time")
    if trace.get("input") is None and trace.get("output") is None:
        raise Unreadable("nothing was done in it")
    elapsed = _number(trace.get("latency")) or 0.0
    around = {
        "id": span_name(KIND, name),
        "name": trace.get("name"),
        "at": at,
        "until": at + timedelta(seconds=elapsed),
    }
    return Part(
        span=span(name, {**around, "scope": KIND}),
        kind=StepKind.CALL,
        name="trace",
        given=trace.get("input"),
        came=trace.get("output"),
        cost=cost_of(trace.get("totalCost")),
    )


def _part(name: str, told: Mapping[str, Json]) -> Part:
    own, at = text(told.get("id")), moment(told.get("startTime"))
    if own is None or at is None:
        raise Unreadable("an observation has no id or no start")
    above = text(told.get("parentObservationId"))
    first = moment(told.get("completionStartTime"))
    kind = _KINDS.get(str(told.get("type", "")).upper(), StepKind.OTHER)
    model = text(told.get("model")) or text(told.get("providedModelName"))
    told_span = {
        "id": span_name(KIND, own),
        "parent": span_name(KIND, above) if above else None,
        "name": told.get("name"),
        "at": at,
        "until": moment(told.get("endTime")),
        "failed": told.get("level") == "ERROR",
        "scope": KIND,
    }
    return Part(
        span=span(name, told_span),
        kind=StepKind.CALL if kind is StepKind.AGENT and model else kind,
        name="chat" if kind is StepKind.CALL else text(told.get("name")) or "",
        given=told.get("input"),
        came=told.get("output"),
        model=model,
        usage=_usage(told),
        cost=cost_of(told.get("calculatedTotalCost"), told.get("totalCost"), _within(told, "costDetails").get("total")),
        first_s=max(0.0, (first - at).total_seconds()) if first else None,
        details={"version": prompt} if (prompt := text(told.get("promptVersion"))) else {},
    )


def _usage(told: Mapping[str, Json]) -> Usage:
    """Tokens: in `usageDetails` what was cached stands apart from `input` already."""
    details, plain = _within(told, "usageDetails"), _within(told, "usage")
    if not details and not plain:
        return Usage(whole(told.get("promptTokens")), whole(told.get("completionTokens")))
    if str(plain.get("unit") or "TOKENS").upper() != "TOKENS" and not details:
        return Usage(None, None)

    def first(*names: str) -> int | None:
        return next((found for one in names if (found := whole(details.get(one, plain.get(one)))) is not None), None)

    return Usage(
        input=first("input", "prompt_tokens", "input_tokens"),
        output=first("output", "completion_tokens", "output_tokens"),
        cache_read=first("input_cached_tokens", "cache_read_input_tokens", "input_cache_read") or 0,
        cache_write=first("cache_creation_input_tokens", "input_cache_creation") or 0,
        reasoning=first("output_reasoning_tokens", "reasoning_tokens") or 0,
    )


def _within(told: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = read_json(told.get(name))
    return found if isinstance(found, Mapping) else {}


def _each(told: Json) -> Sequence[Json]:
    return told if isinstance(told, Sequence) and not isinstance(told, str) else ()


def cost_of(*told: Json) -> Money | None:
    """The first cost that is told; a zero may be a model that the tool has no price of, and is none."""
    for one in told:
        try:
            amount = Decimal(str(one))
        except InvalidOperation:
            continue
        if amount.is_finite() and amount > 0:
            return Money(amount)
    return None


def _number(told: Json) -> float | None:
    if isinstance(told, bool):
        return float(told)
    try:
        found = float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isfinite(found) else None
