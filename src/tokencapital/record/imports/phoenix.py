"""Phoenix: spans in OpenInference's names, as its exports and its REST API give them, and annotations on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json
from tokencapital.core.errors import InputError, MalformedLine
from tokencapital.record.imports.built import Around, Part, build, span
from tokencapital.record.imports.lines import moment, named_lines, text
from tokencapital.record.imports.outcomes import value_of
from tokencapital.record.imports.remote import NotThere, Parameters, Remote, Rows, pages
from tokencapital.record.imports.told import (
    Bunch,
    Seen,
    Skip,
    Source,
    Told,
    Traced,
    Unreadable,
    bunches,
    cursor_of,
    digest,
    reached_in,
    span_name,
    trace_name,
)
from tokencapital.record.spans_deeds import STEP_PREFIX
from tokencapital.record.spans_genai import read_genai
from tokencapital.record.spans_openinference import read_openinference
from tokencapital.record.spans_told import Event, read_json
from tokencapital.store.spans import trajectory_of_trace

KIND = "phoenix"
_BUNCH, _PAGE, _AT_ONCE = 50, 200, 25
_KIND, _ATTRIBUTES = "openinference.span.kind", "attributes."


def read_phoenix(path: Path) -> Source:
    """The spans of an export: objects as the API gives them, or rows of a table with names such as
    `context.trace_id` and `attributes.llm.model_name`, in any order. They are put together in memory."""
    by_trace: defaultdict[str, Rows] = defaultdict(list)
    skipped: list[Told] = []
    for line in named_lines(path, "spans"):
        if isinstance(line, MalformedLine):
            skipped.append(Skip(line.where or "", line.what))
            continue
        trace = text(_context(line.told).get("trace_id"))
        if trace is None:
            skipped.append(Skip(line.where, "a span is of no trace"))
        else:
            by_trace[trace].append(line.told)
    yield Bunch(tuple(skipped))
    traces = ((trace_of(name, rows, f"{path} trace {name}"),) for name, rows in by_trace.items())
    yield from bunches(traces, _BUNCH, len(by_trace))


class PhoenixApi:
    """Reads the spans of a running server, project by project. `project` None: all of them."""

    def __init__(self, remote: Remote, project: str | None) -> None:
        self._remote = remote
        self._project = project

    def read(self, cursor: str | None, since: datetime | None, until: datetime) -> Source:
        """All from where the cursor stands, or else from `since` on (None: all), that began before `until`."""
        reached = reached_in(cursor, dict[str, datetime])
        for project in self._projects():
            path = f"/v1/projects/{quote(project, safe='')}"
            begin = reached.get(project, since)
            window = [("sort", "start_time"), ("order", "asc"), ("limit", str(_PAGE)), ("end_time", until.isoformat())]
            if begin is not None:
                window.append(("start_time", begin.isoformat()))
            seen: set[str] = set()
            for rows in self._pages(f"{path}/spans", window):
                names = [name for row in rows if (name := text(_context(row).get("trace_id"))) and name not in seen]
                fresh = list(dict.fromkeys(names))
                seen.update(fresh)
                told: list[Told] = []
                for start in range(0, len(fresh), _AT_ONCE):
                    told += self._traces(path, fresh[start : start + _AT_ONCE])
                times = [at for row in rows if (at := moment(row.get("start_time"))) is not None]
                reached[project] = max(times, default=begin or until)
                yield Bunch(tuple(told), cursor_of(reached), len(seen))

    def _projects(self) -> list[str]:
        if self._project is not None:
            return [self._project]
        rows = [row for page in self._pages("/v1/projects", [("limit", "100")]) for row in page]
        return [name for row in rows if (name := text(row.get("id"))) is not None]

    def _traces(self, path: str, names: Sequence[str]) -> Iterator[Told]:
        wanted = [*(("trace_id", name) for name in names), ("limit", "1000")]
        by_trace: defaultdict[str, Rows] = defaultdict(list)
        for rows in self._pages(f"{path}/spans", wanted):
            for row in rows:
                by_trace[str(_context(row).get("trace_id"))].append(row)
        for name, rows in by_trace.items():
            yield trace_of(name, rows, f"{self._remote.name} trace {name}")
        yield from self._annotations(path, by_trace)

    def _annotations(self, path: str, by_trace: Mapping[str, Rows]) -> Iterator[Told]:
        of_span = {str(_context(row).get("span_id")): trace for trace, rows in by_trace.items() for row in rows}
        spans = list(of_span)
        for start in range(0, len(spans), 4 * _AT_ONCE):
            asked = [("span_ids", name) for name in spans[start : start + 4 * _AT_ONCE]]
            for row in self._every(f"{path}/span_annotations", [*asked, ("limit", "1000")]):
                own = str(row.get("span_id"))
                yield annotation(row, _step(of_span.get(own, ""), own), f"{self._remote.name} span {own}")
        for row in self._every(f"{path}/trace_annotations", [("trace_ids", name) for name in by_trace]):
            trace = str(row.get("trace_id"))
            whole = trajectory_of_trace(trace_name(KIND, trace))
            yield annotation(row, whole, f"{self._remote.name} trace {trace}")

    def _every(self, path: str, window: Parameters) -> Iterator[Mapping[str, Json]]:
        """The rows on all pages; none where an older server has no such thing."""
        try:
            for rows in self._pages(path, window):
                yield from rows
        except NotThere:
            return

    def _pages(self, path: str, window: Parameters) -> Iterator[Rows]:
        def page(cursor: str | None) -> tuple[Rows, str | None]:
            answer = self._remote.get(path, [*window, *([("cursor", cursor)] if cursor else [])])
            data = answer.get("data") if isinstance(answer, Mapping) else None
            if not isinstance(data, list):
                raise InputError("the server answers with no list", where=path, remedy="Is this Phoenix?")
            return [one for one in data if isinstance(one, Mapping)], text(answer.get("next_cursor"))

        return pages(page)


def trace_of(own: str, rows: Sequence[Mapping[str, Json]], where: str) -> Traced | Skip:
    """The trace in its spans."""
    name = trace_name(KIND, own)
    try:
        parts = [_part(name, row) for row in rows]
        said = [part.span.attributes for part in parts]
        group = next(
            (found for one in said for key in ("user.id", "session.id") if (found := text(one.get(key)))), None
        )
        return build(where, name, parts, Around(key=own, group=group))
    except Unreadable as error:
        return Skip(where, str(error))


def annotation(told: Mapping[str, Json], name: str, where: str) -> Told:
    """What somebody noted on a span or trace: a person's or a program's number is an outcome, a model's is nothing."""
    own, called = text(told.get("id")), text(told.get("name"))
    at = moment(told.get("updated_at")) or moment(told.get("created_at"))
    if own is None or called is None or at is None:
        return Skip(where, "an annotation has no id, name or time")
    if str(told.get("annotator_kind", "")).upper() == "LLM":
        return Skip(where, "an annotation was made by a model: it is neither an outcome nor a judgment")
    result = told.get("result")
    result = result if isinstance(result, Mapping) else {}
    given = result.get("label") if result.get("score") is None else result["score"]
    try:
        value = value_of(given)
    except ValueError:
        return Skip(where, "an annotation is words, neither yes, no nor a number")
    marked = f"out_{digest(KIND, own, at.isoformat())}"
    return Seen(where=where, id=marked, name=called, value=value, at=at, trajectory=name)


def _step(trace: str, own: str) -> str:
    return f"{STEP_PREFIX}{trace_name(KIND, trace)}{span_name(KIND, own)}"


def _part(name: str, row: Mapping[str, Json]) -> Part:
    context = _context(row)
    own, at = text(context.get("span_id")), moment(row.get("start_time"))
    if own is None or at is None:
        raise Unreadable("a span has no id or no start")
    above = text(row.get("parent_id"))
    attributes = _attributes(row)
    one = span(
        name,
        {
            "id": span_name(KIND, own),
            "parent": span_name(KIND, above) if above else None,
            "name": row.get("name"),
            "at": at,
            "until": moment(row.get("end_time")),
            "failed": str(row.get("status_code", "")).upper() == "ERROR",
            "attributes": attributes,
            "scope": KIND,
        },
    )
    events = read_json(row.get("events"))
    if isinstance(events, list):
        found = (event for event in events if isinstance(event, Mapping))
        one = msgspec.structs.replace(one, events=tuple(_event(event) for event in found))
    known = read_openinference(one) or read_genai(one)
    return Part(span=one, deed=known) if known else Part(span=one, kind=StepKind.OTHER)


def _event(told: Mapping[str, Json]) -> Event:
    attributes = told.get("attributes")
    return Event(str(told.get("name") or ""), attributes if isinstance(attributes, Mapping) else {})


def _attributes(row: Mapping[str, Json]) -> dict[str, Json]:
    """The attributes under their whole names, whether they came so, in columns, or one within another."""
    found: dict[str, Json] = {}
    nested = read_json(row.get("attributes"))
    if isinstance(nested, Mapping):
        _flatten("", nested, found)
    for name, value in row.items():
        if name.startswith(_ATTRIBUTES) and value not in (None, ""):
            _flatten(name.removeprefix(_ATTRIBUTES), read_json(value), found)
    kind = text(row.get("span_kind"))
    if kind is not None and kind.upper() != "UNKNOWN":
        found.setdefault(_KIND, kind)
    return found


def _flatten(name: str, told: Json, into: dict[str, Json], depth: int = 0) -> None:
    inner = list(told.items()) if isinstance(told, Mapping) else []
    if isinstance(told, list) and all(isinstance(one, Mapping) for one in told):
        inner = [(str(place), one) for place, one in enumerate(told)]
    if not inner or depth > 12:
        if name:
            into[name] = told
        return
    for key, value in inner:
        _flatten(f"{name}.{key}" if name else str(key), value, into, depth + 1)


def _context(row: Mapping[str, Json]) -> Mapping[str, Json]:
    nested = read_json(row.get("context"))
    if isinstance(nested, Mapping):
        return nested
    return {"trace_id": row.get("context.trace_id"), "span_id": row.get("context.span_id")}
