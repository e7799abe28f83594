"""MLflow: traces as files (`Trace.to_json`) and as its REST API gives them, with the assessments on them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json
from tokencapital.core.errors import InputError, MalformedLine
from tokencapital.record.imports.built import Around, Part, build, span
from tokencapital.record.imports.lines import Line, json_lines, moment, text
from tokencapital.record.imports.outcomes import value_of
from tokencapital.record.imports.remote import Remote, Rows, pages
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
    cursor_of,
    digest,
    reached_in,
    span_name,
    trace_name,
)
from tokencapital.record.spans_genai import read_genai
from tokencapital.record.spans_openinference import read_openinference
from tokencapital.record.spans_told import Event, text_of, usage_of
from tokencapital.store.spans import trajectory_of_trace

KIND = "mlflow"
_BUNCH, _PAGE, _AT_ONCE = 50, 100, 10
_KINDS = {
    "LLM": StepKind.CALL,
    "CHAT_MODEL": StepKind.CALL,
    "EMBEDDING": StepKind.CALL,
    "TOOL": StepKind.TOOL,
    "RETRIEVER": StepKind.RETRIEVAL,
    "RERANKER": StepKind.RETRIEVAL,
    "AGENT": StepKind.AGENT,
    "CHAIN": StepKind.AGENT,
    "WORKFLOW": StepKind.AGENT,
    "UNKNOWN": StepKind.AGENT,
}


def read_mlflow(path: Path, people: People) -> Source:
    """The traces of a file: one a line, or a list of them in one document."""
    return bunches((_read(line, people) for line in json_lines(path, "traces")), _BUNCH)


class MlflowApi:
    """Reads traces of a running server, experiment by experiment. `project` None: all of them."""

    def __init__(self, remote: Remote, people: People, project: str | None) -> None:
        self._remote = remote
        self._people = people
        self._project = project

    def read(self, cursor: str | None, since: datetime | None, until: datetime) -> Source:
        """All from where the cursor stands, or else from `since` on (None: all), that began before `until`."""
        reached = reached_in(cursor, dict[str, int])
        for experiment in self._experiments():
            begin = reached.get(experiment, _milliseconds(since) if since else None)
            done = 0
            for infos in self._search(experiment, begin, until):
                told: list[Told] = []
                for start in range(0, len(infos), _AT_ONCE):
                    told += self._whole(infos[start : start + _AT_ONCE])
                times = [at for one in infos if (at := moment(one.get("request_time"))) is not None]
                reached[experiment] = max([_milliseconds(at) for at in times], default=begin or 0)
                done += len(infos)
                yield Bunch(tuple(told), cursor_of(reached), done)

    def _experiments(self) -> Iterator[str]:
        for rows in self._listed("/api/2.0/mlflow/experiments/search", "experiments", {"max_results": 1000}):
            for one in rows:
                if self._project in (None, one.get("name"), one.get("experiment_id")):
                    yield str(one.get("experiment_id"))

    def _search(self, experiment: str, begin: int | None, until: datetime) -> Iterator[Rows]:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        window = f"timestamp_ms < {_milliseconds(until)}"
        window += "" if begin is None else f" AND timestamp_ms >= {begin}"
        asked: dict[str, Json] = {"locations": [place], "filter": window, "max_results": _PAGE}
        asked["order_by"] = ["timestamp_ms ASC"]
        return self._listed("/api/3.0/mlflow/traces/search", "traces", asked)

    def _listed(self, path: str, name: str, asked: Mapping[str, Json]) -> Iterator[Rows]:
        """What stands under the name on each page."""

        def page(token: str | None) -> tuple[Rows, str | None]:
            answer = self._remote.post(path, {**asked, **({"page_token": token} if token else {})})
            return _list(answer, name), text(answer.get("next_page_token"))

        return pages(page)

    def _whole(self, infos: Sequence[Mapping[str, Json]]) -> Iterator[Told]:
        named = {name: one for one in infos if (name := text(one.get("trace_id"))) is not None}
        try:
            answer = self._remote.get("/api/3.0/mlflow/traces/batchGet", [("trace_ids", name) for name in named])
            whole_ones = _list(answer, "traces")
        except InputError:
            whole_ones = [one for name in named if (one := self._alone(name))]
        found = {str(_within(one, "trace_info").get("trace_id")): one for one in whole_ones}
        for name, info in named.items():
            where = f"{self._remote.name} trace {name}"
            whole = found.get(name)
            if whole is None:
                yield Skip(where, "the server does not give its spans")
            else:
                yield from told_of(
                    {**whole, "trace_info": {**_within(whole, "trace_info"), **info}}, where, self._people
                )

    def _alone(self, name: str) -> Mapping[str, Json]:
        """One trace, where the server fails on several at once; empty: it fails on this one."""
        try:
            answer = self._remote.get("/api/3.0/mlflow/traces/get", [("trace_id", name), ("allow_partial", "true")])
        except InputError:
            return {}
        return _within(answer, "trace") if isinstance(answer, Mapping) else {}


def _read(line: Line | MalformedLine, people: People) -> Iterable[Told]:
    if isinstance(line, MalformedLine):
        return (Skip(line.where or "", line.what),)
    return told_of(line.told, line.where, people)


def told_of(told: Mapping[str, Json], where: str, people: People) -> Iterator[Told]:
    """The trace, and what people have said of it."""
    info = _within(told, "info") or _within(told, "trace_info")
    own = text(info.get("trace_id")) or text(info.get("request_id"))
    if own is None:
        yield Skip(where, "a trace has no id")
        return
    spans = _within(told, "data").get("spans") or told.get("spans")
    try:
        yield _trace(own, info, spans if isinstance(spans, list) else [], where)
    except Unreadable as error:
        yield Skip(where, str(error))
    trajectory = trajectory_of_trace(trace_name(KIND, own))
    for one in _list(info, "assessments"):
        yield _assessment(one, trajectory, where, people)


def _trace(own: str, info: Mapping[str, Json], spans: Sequence[Json], where: str) -> Any:
    name = trace_name(KIND, own)
    metadata = {**_within(info, "request_metadata"), **_within(info, "trace_metadata")}
    tags = _within(info, "tags")
    around = Around(
        key=text(info.get("client_request_id")) or own,
        group=text(metadata.get("mlflow.trace.user")) or text(metadata.get("mlflow.trace.session")),
        capability=text(tags.get("tcap.capability")),
        tags={**metadata, **tags},
    )
    return build(where, name, [_part(name, one) for one in spans if isinstance(one, Mapping)], around)


def _part(name: str, told: Mapping[str, Json]) -> Part:
    context = _within(told, "context")
    own, at = text(told.get("span_id")) or text(context.get("span_id")), _nano(told, "start_time")
    if own is None or at is None:
        raise Unreadable("a span has no id or no start")
    above = text(told.get("parent_span_id")) or text(told.get("parent_id"))
    attributes = _attributes(told.get("attributes"))
    status = told.get("status")
    code = status.get("code") if isinstance(status, Mapping) else told.get("status_code")
    one = span(
        name,
        {
            "id": span_name(KIND, _hex(own)),
            "parent": span_name(KIND, _hex(above)) if above else None,
            "name": told.get("name"),
            "at": at,
            "until": _nano(told, "end_time"),
            "failed": code in ("STATUS_CODE_ERROR", "ERROR", 2),
            "attributes": attributes,
            "scope": KIND,
        },
    )
    one = msgspec.structs.replace(one, events=_events(told.get("events")))
    known = read_openinference(one) or read_genai(one)
    if known is not None:
        return Part(span=one, deed=known)
    tokens = _within(attributes, "mlflow.chat.tokenUsage")
    kind = _KINDS.get(str(attributes.get("mlflow.spanType") or "UNKNOWN").upper(), StepKind.OTHER)
    return Part(
        span=one,
        kind=kind,
        name="chat" if kind is StepKind.CALL else one.name,
        given=attributes.get("mlflow.spanInputs"),
        came=attributes.get("mlflow.spanOutputs"),
        model=text(attributes.get("mlflow.llm.model")),
        provider=text(attributes.get("mlflow.llm.provider")),
        usage=usage_of(
            tokens.get("input_tokens"),
            tokens.get("output_tokens"),
            read=tokens.get("cache_read_input_tokens"),
            write=tokens.get("cache_creation_input_tokens"),
        ),
    )


def _assessment(told: Mapping[str, Json], trajectory: str, where: str, people: People) -> Told:
    """What was said of a trace: an expectation is a judgment, feedback of a person or a program an outcome."""
    source = _within(told, "source")
    own, name = text(told.get("assessment_id")), text(told.get("assessment_name")) or text(told.get("name"))
    at = moment(told.get("last_update_time")) or moment(told.get("create_time"))
    if own is None or name is None or at is None:
        return Skip(where, "an assessment has no id, name or time")
    kind = str(source.get("source_type") or "").upper()
    if kind.startswith(("LLM", "AI")):
        return Skip(where, "an assessment was made by a model: it is neither an outcome nor a judgment")
    marked = digest(KIND, own, at.isoformat())
    if "expectation" in told:
        if kind != "HUMAN":
            return Skip(where, "an expectation is nobody's")
        value = _within(told, "expectation").get("value")
        expert = people(text(source.get("source_id")) or "unnamed")
        words = text_of(value) or ""
        common: dict[str, Any] = {"where": where, "id": f"jdg_{marked}", "at": at, "trajectory": trajectory}
        return Judged(expert=expert, words=words, reason=text(told.get("rationale")), **common)
    try:
        seen = value_of(_within(told, "feedback").get("value"))
    except ValueError:
        return Skip(where, "feedback is words, neither yes, no nor a number")
    return Seen(where=where, id=f"out_{marked}", name=name, value=seen, at=at, trajectory=trajectory)


def _attributes(told: Json) -> dict[str, Json]:
    """Attributes by name, from a file (JSON in texts) or from OpenTelemetry's list of keys and values."""
    if isinstance(told, Mapping):
        return {name: _plain(value) for name, value in told.items()}
    listed = told if isinstance(told, list) else []
    named = ((one.get("key"), one.get("value")) for one in listed if isinstance(one, Mapping))
    return {str(name): _plain(_value(value)) for name, value in named}


def _value(told: Json) -> Json:
    """A value of OpenTelemetry's protocol as JSON has it."""
    if not isinstance(told, Mapping):
        return told
    for name, value in told.items():
        if value is None:
            continue
        kind = name.replace("_value", "").replace("Value", "")
        if kind in ("array", "kvlist"):
            listed = _list(value, "values") if isinstance(value, Mapping) else []
            if kind == "kvlist":
                return {str(one.get("key")): _value(one.get("value")) for one in listed}
            return [_value(one) for one in listed]
        return int(value) if kind == "int" and str(value).lstrip("-").isdigit() else value
    return None


def _events(told: Json) -> tuple[Event, ...]:
    listed = told if isinstance(told, list) else []
    found = (one for one in listed if isinstance(one, Mapping))
    return tuple(Event(str(one.get("name") or ""), _attributes(one.get("attributes"))) for one in found)


def _plain(told: Json) -> Json:
    """What a text says that holds JSON, as MLflow writes its attributes."""
    if not isinstance(told, str) or told[:1] not in ('"', "{", "["):
        return told
    try:
        return msgspec.json.decode(told)
    except (msgspec.MsgspecError, RecursionError):
        return told


def _hex(told: str) -> str:
    """A span's id in hex digits, which stands in base 64 or after `0x` as well."""
    if told.startswith("0x"):
        return told[2:]
    if len(told) == 12 and told.endswith("="):
        try:
            return base64.b64decode(told, validate=True).hex()
        except binascii.Error:
            return told
    return told


def _nano(told: Mapping[str, Json], name: str) -> datetime | None:
    return moment(told.get(f"{name}_unix_nano")) or moment(told.get(name))


def _within(told: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(told: Json, name: str) -> Rows:
    if not isinstance(told, Mapping):
        raise InputError("the server answers with no object", remedy="Is this MLflow?")
    found = told.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
