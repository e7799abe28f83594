"""LiteLLM's spend logs: one call each, joined by session. Its running proxy is better told by its OpenTelemetry
callback, which goes to `/v1/traces`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json
from tokencapital.core.errors import MalformedLine
from tokencapital.record.imports.built import Around, Part, build, span
from tokencapital.record.imports.langfuse import cost_of
from tokencapital.record.imports.lines import json_lines, moment, text
from tokencapital.record.imports.told import Bunch, Skip, Source, Told, Unreadable, bunches, span_name, trace_name
from tokencapital.record.spans_told import read_json, usage_of

KIND = "litellm"
_BUNCH = 50
_REMOVED = "redacted-by-litellm"


def read_litellm(path: Path) -> Source:
    """The calls of a file of spend logs; those of one session are one trajectory. They are put together in memory."""
    by_session: defaultdict[str, list[tuple[str, Mapping[str, Json]]]] = defaultdict(list)
    skipped: list[Told] = []
    for line in json_lines(path, "spend_logs", "logs"):
        if isinstance(line, MalformedLine):
            skipped.append(Skip(line.where or "", line.what))
            continue
        own = text(line.told.get("request_id")) or text(line.told.get("id"))
        if own is None:
            skipped.append(Skip(line.where, "a call has no request_id"))
        else:
            by_session[text(line.told.get("session_id")) or own].append((line.where, {**line.told, "request_id": own}))
    yield Bunch(tuple(skipped))
    yield from bunches(((_session(name, rows),) for name, rows in by_session.items()), _BUNCH, len(by_session))


def _session(own: str, rows: list[tuple[str, Mapping[str, Json]]]) -> Told:
    name, (where, first) = trace_name(KIND, own), rows[0]
    group = text(first.get("end_user")) or text(first.get("user")) or own
    try:
        around = Around(key=own, group=group, tags=_tags(first))
        return build(where, name, [_part(name, row) for _, row in rows], around)
    except Unreadable as error:
        return Skip(where, str(error))


def _tags(row: Mapping[str, Json]) -> Mapping[str, Json]:
    metadata = read_json(row.get("metadata"))
    return metadata if isinstance(metadata, Mapping) else {}


def _part(name: str, row: Mapping[str, Json]) -> Part:
    at = moment(row.get("startTime"))
    if at is None:
        raise Unreadable("a call has no startTime")
    own = str(row["request_id"])
    first = moment(row.get("completionStartTime"))
    failed = str(row.get("status") or "success").lower() not in ("success", "")
    told = {"id": span_name(KIND, own), "name": row.get("call_type"), "at": at, "until": moment(row.get("endTime"))}
    return Part(
        span=span(name, {**told, "failed": failed, "scope": KIND}),
        kind=StepKind.CALL,
        name="embeddings" if "embedding" in str(row.get("call_type")) else "chat",
        given=_words(row.get("messages")) or _request(row),
        came=_words(row.get("response")),
        model=text(row.get("model")),
        provider=text(row.get("custom_llm_provider")),
        response=own,
        usage=usage_of(row.get("prompt_tokens"), row.get("completion_tokens")),
        cost=cost_of(row.get("spend")),
        first_s=max(0.0, (first - at).total_seconds()) if first else None,
    )


def _request(row: Mapping[str, Json]) -> Json:
    asked = read_json(row.get("proxy_server_request"))
    return asked if isinstance(asked, Mapping) and "messages" in asked else None


def _words(told: Json) -> Json:
    """What was said, where it was kept: by default the proxy keeps none of it."""
    found = read_json(told)
    return None if found in ({}, [], "", None, _REMOVED) else found
