"""Langfuse over its API: traces from a time on, then scores, then what annotation queues have done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import InputError
from tokencapital.record.imports.langfuse import score_of, told_of
from tokencapital.record.imports.lines import moment, text
from tokencapital.record.imports.remote import MOST_PAGES, NotThere, Parameters, Remote, Rows, pages
from tokencapital.record.imports.told import Bunch, People, Source, Told, cursor_of, reached_in

PAGE = 50
OVERLAP = timedelta(minutes=10)
"""What may come late into the other store is read once more."""
_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics"


class Reached(Struct, kw_only=True):
    """How far the import has come: the time of the newest trace and score, and of the newest item by queue."""

    traces: datetime | None = None
    scores: datetime | None = None
    queues: dict[str, datetime] = {}


class LangfuseApi:
    """Reads what is new in a project of Langfuse. The login is that of the project: public and secret key."""

    def __init__(self, remote: Remote, people: People) -> None:
        self._remote = remote
        self._people = people

    def read(self, cursor: str | None, since: datetime | None, until: datetime) -> Source:
        """All from where the cursor stands, or else from `since` on (None: all), that began before `until`."""
        reached = reached_in(cursor, Reached)
        yield from self._traces(reached, since, until)
        yield from self._scores(reached, since)
        yield from self._queues(reached)

    def _traces(self, reached: Reached, since: datetime | None, until: datetime) -> Source:
        begin = _from(reached.traces, since)
        window = [("toTimestamp", _written(until)), ("orderBy", "timestamp.asc")]
        if begin is not None:
            window.append(("fromTimestamp", _written(begin)))
        done = 0
        for rows, total in self._pages("/api/public/traces", window):
            told = [one for row in rows for one in self._trace(row)]
            times = [at for row in rows if (at := moment(row.get("timestamp"))) is not None]
            reached.traces = max([*times, *([reached.traces] if reached.traces else [])], default=None)
            done += len(rows)
            yield Bunch(tuple(told), cursor_of(reached), done, total)

    def _trace(self, row: Mapping[str, Json]) -> Iterator[Told]:
        own = text(row.get("id"))
        where = f"{self._remote.name} trace {own}"
        if own is None:
            return
        try:
            whole = self._remote.get(f"/api/public/traces/{quote(own, safe='')}")
            trace = {**row, **whole} if isinstance(whole, Mapping) else dict(row)
            observations: Rows = []
        except NotThere:
            trace, observations = dict(row), self._observations(own)
        yield from told_of(trace, observations, where, self._people)

    def _observations(self, trace: str) -> Rows:
        """The observations of a trace from the newer endpoint, which servers have that have no whole traces."""
        found: Rows = []
        wanted = [("traceId", trace), ("fields", _FIELDS), ("limit", "1000"), ("parseIoAsJson", "true")]
        for rows in self._following("/api/public/v2/observations", wanted):
            found += rows
        return found

    def _scores(self, reached: Reached, since: datetime | None) -> Source:
        begin = _from(reached.scores, since)
        window = [("fromTimestamp", _written(begin))] if begin is not None else []
        for rows in self._any_scores(window):
            told = tuple(score_of(row, f"{self._remote.name} score {row.get('id')}", self._people) for row in rows)
            times = [at for row in rows if (at := moment(row.get("timestamp"))) is not None]
            reached.scores = max([*times, *([reached.scores] if reached.scores else [])], default=None)
            yield Bunch(told, cursor_of(reached))

    def _any_scores(self, window: Parameters) -> Iterator[Rows]:
        """Scores from whichever endpoint the server has."""
        for path in ("/api/public/v2/scores", "/api/public/scores"):
            try:
                for rows, _ in self._pages(path, window):
                    yield rows
            except NotThere:
                continue
            return
        try:
            yield from self._following("/api/public/v3/scores", [*window, ("limit", str(PAGE))])
        except NotThere:
            return

    def _queues(self, reached: Reached) -> Source:
        """The traces on which people have finished an annotation are here, however old, with their scores."""
        try:
            queues = [row for rows, _ in self._pages("/api/public/annotation-queues", ()) for row in rows]
        except NotThere:
            return
        for queue in queues:
            own = text(queue.get("id"))
            if own is None:
                continue
            path = f"/api/public/annotation-queues/{quote(own, safe='')}/items"
            before = newest = reached.queues.get(own)
            for rows, _ in self._pages(path, [("status", "COMPLETED")]):
                fresh = [row for row in rows if _is_later(row, before)]
                newest = max(
                    [*([newest] if newest else []), *(at for row in fresh if (at := _finished(row)))], default=None
                )
                objects = [row for row in fresh if row.get("objectType") == "TRACE"]
                yield Bunch(tuple(one for row in objects for one in self._trace({"id": row.get("objectId")})))
            if newest is not None:
                reached.queues[own] = newest
                yield Bunch((), cursor_of(reached))

    def _pages(self, path: str, window: Parameters) -> Iterator[tuple[Rows, int | None]]:
        for page in range(1, MOST_PAGES):
            answer = self._remote.get(path, [*window, ("page", str(page)), ("limit", str(PAGE))])
            rows, meta = _rows(answer, path)
            if rows:
                yield rows, meta.get("totalItems") if isinstance(meta.get("totalItems"), int) else None
            last = meta.get("totalPages")
            if not rows or (isinstance(last, int) and page >= last):
                return

    def _following(self, path: str, window: Parameters) -> Iterator[Rows]:
        def page(cursor: str | None) -> tuple[Rows, str | None]:
            answer = self._remote.get(path, [*window, *([("cursor", cursor)] if cursor else [])])
            rows, meta = _rows(answer, path)
            return rows, text(meta.get("cursor"))

        return pages(page)


def _rows(answer: Any, path: str) -> tuple[Rows, Mapping[str, Json]]:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, list):
        raise InputError("the server answers with no list", where=path, remedy="Is this Langfuse?")
    meta = answer.get("meta")
    return [one for one in data if isinstance(one, Mapping)], meta if isinstance(meta, Mapping) else {}


def _from(reached: datetime | None, since: datetime | None) -> datetime | None:
    return since if reached is None else reached - OVERLAP


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finished(row: Mapping[str, Json]) -> datetime | None:
    return moment(row.get("completedAt")) or moment(row.get("updatedAt"))


def _is_later(row: Mapping[str, Json], before: datetime | None) -> bool:
    at = _finished(row)
    return before is None or at is None or at > before
