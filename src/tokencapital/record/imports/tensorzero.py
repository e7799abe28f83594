"""TensorZero's PostgreSQL database: inferences, and the feedback on them.

https://github.com/tensorzero/tensorzero/tree/main/crates/tensorzero-core/src/db/postgres/migrations
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, create_engine, exc, inspect, make_url, text
from sqlalchemy.pool import NullPool

from tokencapital.core.call import StepKind
from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind
from tokencapital.core.quantity import Money, Usage
from tokencapital.record.imports.built import Around, Part, build, span
from tokencapital.record.imports.told import (
    Bunch,
    Judged,
    People,
    Seen,
    Skip,
    Source,
    Told,
    Traced,
    Unreadable,
    cursor_of,
    digest,
    reached_in,
    span_name,
    trace_name,
)
from tokencapital.record.spans_told import Deed, text_of
from tokencapital.store.spans import trajectory_of_trace

KIND = "tensorzero"
_SCHEMA = "tensorzero"
_PAGE = 100
_FIRST = "00000000-0000-0000-0000-000000000000"
_INFERENCES = {"chat": "chat_inferences", "json": "json_inferences"}
_DATA = {"chat": "chat_inference_data", "json": "json_inference_data"}
_METRICS = ("boolean_metric_feedback", "float_metric_feedback")

_Rows = Sequence[Row[Any]]


class Reached(Struct, kw_only=True):
    """How far the import has come: by table the time and the id of the last row."""

    at: dict[str, tuple[datetime, str]] = {}


class TensorZero:
    """Reads a database of TensorZero, without writing to it. `people` gives pseudonyms."""

    def __init__(self, url: str, people: People) -> None:
        self._url = url
        self._people = people
        self.name = _name_of(url)

    def read(self, cursor: str | None, since: datetime | None) -> Source:
        """All from where the cursor stands, or else from `since` on (None: all): inferences first, then feedback."""
        reached = reached_in(cursor, Reached)
        with self._opened() as connection:
            tables = set(inspect(connection).get_table_names(schema=_SCHEMA))
            if not tables & set(_INFERENCES.values()):
                raise InputError("this database holds no inferences of TensorZero", where=self.name)
            for kind, table in _INFERENCES.items():
                for rows in self._pages(connection, table, reached, since, tables):
                    yield Bunch(tuple(self._episodes(connection, kind, rows, tables)), cursor_of(reached))
            for table in (*_METRICS, "comment_feedback", "demonstration_feedback"):
                for rows in self._pages(connection, table, reached, since, tables):
                    told = tuple(one for row in rows for one in self._feedback(connection, table, row, tables))
                    yield Bunch(told, cursor_of(reached))

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        try:
            engine = create_engine(
                make_url(self._url).set(drivername="postgresql+psycopg"),
                poolclass=NullPool,
                hide_parameters=True,
                connect_args={"options": "-c default_transaction_read_only=on -c timezone=UTC"},
            )
            with engine.connect() as connection:
                yield connection
        except ImportError:
            raise InputError("PostgreSQL needs its driver", remedy="pip install 'tokencapital[postgres]'") from None
        except exc.SQLAlchemyError as error:
            said = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
            raise InputError(f"the database cannot be read: {said}", where=self.name) from None

    def _pages(
        self, connection: Connection, table: str, reached: Reached, since: datetime | None, tables: set[str]
    ) -> Iterator[_Rows]:
        """The rows of a table from where it was left, oldest first; the cursor stands behind each page."""
        if table not in tables:
            return
        at, own = reached.at.get(table, (since, _FIRST))
        while True:
            window = "" if at is None else "WHERE (created_at, id) > (:at, CAST(:own AS uuid))"
            query = text(
                f"SELECT * FROM {_SCHEMA}.{table} {window} ORDER BY created_at, id LIMIT {_PAGE}"  # noqa: S608
            )
            rows = list(connection.execute(query, {} if at is None else {"at": at, "own": own}))
            if not rows:
                return
            at, own = rows[-1].created_at, str(rows[-1].id)
            reached.at[table] = (at, own)
            yield rows

    def _episodes(self, connection: Connection, kind: str, rows: _Rows, tables: set[str]) -> Iterator[Told]:
        """All inferences of the episodes and functions that are among the rows: each such pair is a trajectory."""
        wanted = {(str(row.episode_id), row.function_name) for row in rows}
        found: defaultdict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
        query = f"SELECT * FROM {_SCHEMA}.{_INFERENCES[kind]} WHERE episode_id = ANY(CAST(:some AS uuid[]))"  # noqa: S608
        some = {"some": sorted({episode for episode, _ in wanted})}
        for row in connection.execute(text(f"{query} ORDER BY created_at, id"), some):
            if (str(row.episode_id), row.function_name) in wanted:
                found[str(row.episode_id), row.function_name].append(row)
        ids = [str(row.id) for rows in found.values() for row in rows]
        data = self._by_id(connection, _DATA[kind], "id", ids) if _DATA[kind] in tables else {}
        calls = self._by_id(connection, "model_inferences", "inference_id", ids) if "model_inferences" in tables else {}
        for (episode, function), of in found.items():
            yield self._trajectory(episode, function, of, data, calls)

    def _by_id(self, connection: Connection, table: str, column: str, ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
        query = f"SELECT * FROM {_SCHEMA}.{table} WHERE {column} = ANY(CAST(:some AS uuid[])) ORDER BY created_at, id"  # noqa: S608
        found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
        for row in connection.execute(text(query), {"some": list(ids)}):
            found[str(getattr(row, column))].append(row)
        return dict(found)

    def _trajectory(
        self, episode: str, function: str, rows: _Rows, data: Mapping[str, _Rows], calls: Mapping[str, _Rows]
    ) -> Traced | Skip:
        where, name = f"{self.name} episode {episode}", _trace(episode, function)
        try:
            parts = [_part(name, row, data.get(str(row.id), (row,))[0], calls.get(str(row.id), ())) for row in rows]
            return build(where, name, parts, Around(key=episode, group=episode, capability=function))
        except Unreadable as error:
            return Skip(where, str(error))

    def _feedback(self, connection: Connection, table: str, row: Row[Any], tables: set[str]) -> Iterator[Told]:
        where, marked = f"{self.name} {table} {row.id}", digest(KIND, str(row.id))
        if table == "comment_feedback":
            yield Skip(where, "a comment is neither an outcome nor a judgment")
        elif table == "demonstration_feedback":
            yield self._demonstrated(connection, row, where, tables)
        else:
            for place, trajectory in enumerate(self._targets(connection, str(row.target_id), tables)):
                name = f"out_{marked}{place or ''}"
                at = row.created_at
                yield Seen(where=where, id=name, name=row.metric_name, value=row.value, at=at, trajectory=trajectory)

    def _targets(self, connection: Connection, target: str, tables: set[str]) -> list[str]:
        """The trajectories that feedback is on: that of an inference, or those of an episode."""
        found: dict[str, None] = {}
        for table in sorted(tables & set(_INFERENCES.values())):
            query = (
                f"SELECT DISTINCT episode_id, function_name FROM {_SCHEMA}.{table} "  # noqa: S608
                "WHERE id = CAST(:target AS uuid) OR episode_id = CAST(:target AS uuid) ORDER BY function_name"
            )
            for row in connection.execute(text(query), {"target": target}):
                found[trajectory_of_trace(_trace(str(row.episode_id), row.function_name))] = None
        return list(found) or [trajectory_of_trace(_trace(target, ""))]

    def _demonstrated(self, connection: Connection, row: Row[Any], where: str, tables: set[str]) -> Told:
        """What somebody showed to be right. It counts as said in work: nobody was asked for a judgment."""
        target = str(row.inference_id)
        for table in sorted(tables & set(_INFERENCES.values())):
            query = (
                f"SELECT a.episode_id, a.function_name, count(*) AS calls FROM {_SCHEMA}.{table} a "  # noqa: S608
                f"JOIN {_SCHEMA}.{table} b ON b.episode_id = a.episode_id AND b.function_name = a.function_name "
                "WHERE a.id = CAST(:target AS uuid) GROUP BY a.episode_id, a.function_name"
            )
            found = connection.execute(text(query), {"target": target}).first()
            if found is not None:
                break
        else:
            return Skip(where, "its inference is not there")
        if found.calls > 1:
            return Skip(where, "a demonstration is of one inference among several in its episode")
        words = "".join(one.content for one in _said(row.value)) or text_of(_parsed(row.value)) or ""
        return Judged(
            where=where,
            id=f"jdg_{digest(KIND, str(row.id))}",
            expert=self._people(str((row.tags or {}).get("tensorzero::author") or "unnamed")),
            at=row.created_at,
            trajectory=trajectory_of_trace(_trace(str(found.episode_id), found.function_name)),
            words=words,
            drawn=DrawKind.IN_WORK,
        )


def _trace(episode: str, function: str) -> str:
    return trace_name(KIND, digest(KIND, episode, function))


def _part(name: str, row: Row[Any], data: Row[Any], calls: _Rows) -> Part:
    last = calls[-1] if calls else None
    took = timedelta(milliseconds=row.processing_time_ms or 0)
    told = {"id": span_name(KIND, str(row.id)), "name": row.function_name, "scope": KIND}
    one = span(name, {**told, "at": row.created_at - took, "until": row.created_at})
    return Part(
        span=one,
        cost=_cost(calls),
        deed=Deed(
            span=one,
            kind=StepKind.CALL,
            name="chat",
            provider=last.model_provider_name if last else None,
            model=last.model_name if last else None,
            asked=_asked(data.input) or None,
            said=_said(data.output) or None,
            usage=_usage(calls),
            first_s=row.ttft_ms / 1000 if row.ttft_ms is not None else None,
            finish=getattr(last, "finish_reason", None),
            details={"variant": row.variant_name},
        ),
    )


def _usage(calls: _Rows) -> Usage:
    """Tokens of all the calls that an inference took; what one of them does not say is unknown of all."""
    total = Usage() if calls else Usage(None, None)
    for one in calls:
        read = getattr(one, "provider_cache_read_input_tokens", None) or 0
        write = getattr(one, "provider_cache_write_input_tokens", None) or 0
        given = None if one.input_tokens is None else max(0, one.input_tokens - read - write)
        total += Usage(given, one.output_tokens, read, write)
    return total


def _cost(calls: _Rows) -> Money | None:
    costs = [getattr(one, "cost", None) for one in calls]
    known = [Decimal(one) for one in costs if one is not None]
    return Money(sum(known, Decimal(0))) if known and len(known) == len(costs) else None


def _asked(told: Json) -> tuple[Message, ...]:
    """The input of an inference: `system`, and `messages` of blocks."""
    if not isinstance(told, Mapping):
        return ()
    system = told.get("system")
    found = [Message("system", text_of(system) or "")] if system else []
    for one in told.get("messages") or ():
        if isinstance(one, Mapping):
            found += _blocks(str(one.get("role") or "user"), one.get("content"))
    return tuple(found)


def _said(told: Json) -> tuple[Message, ...]:
    """The output of an inference: blocks, or `raw` and `parsed`."""
    if isinstance(told, Mapping) and ("raw" in told or "parsed" in told):
        words = told.get("raw") or text_of(told.get("parsed"))
        return (Message("assistant", str(words)),) if words else ()
    return tuple(_blocks("assistant", told))


def _parsed(told: Json) -> Json:
    return told.get("parsed") if isinstance(told, Mapping) else None


def _blocks(role: str, told: Json) -> list[Message]:
    if isinstance(told, str):
        return [Message(role, told)]
    texts: list[str] = []
    calls: list[ToolCall] = []
    others: list[Json] = []
    answers: list[Message] = []
    for one in told if isinstance(told, list) else ():
        kind = one.get("type") if isinstance(one, Mapping) else None
        match kind:
            case "text" | "raw_text" | "template":
                given = next((one[name] for name in ("text", "value", "arguments") if one.get(name) is not None), "")
                texts.append(text_of(given) or "")
            case "tool_call":
                arguments = text_of(one.get("raw_arguments") or one.get("arguments")) or "{}"
                named = str(one.get("name") or one.get("raw_name") or "")
                calls.append(ToolCall(str(one.get("id") or ""), named, arguments))
            case "tool_result":
                result = text_of(one.get("result")) or ""
                name = text_of(one.get("name"))
                answers.append(Message("tool", result, name=name, tool_call_id=text_of(one.get("id"))))
            case None:
                continue
            case _:
                others.append(one)
    message = Message(role, "\n".join(texts), tool_calls=tuple(calls), parts=tuple(others))
    said = message.content or message.tool_calls or message.parts
    return [*answers, *([message] if said else [])]


def _name_of(url: str) -> str:
    """The database's address without a password. Raises InputError where it is no address of PostgreSQL."""
    try:
        at = make_url(url)
    except exc.ArgumentError:
        at = None
    if at is None or at.get_backend_name() not in ("postgresql", "postgres"):
        raise InputError("this is no address of a PostgreSQL database", remedy="postgresql://user@host/database")
    return f"postgresql://{at.host or ''}{f':{at.port}' if at.port else ''}/{at.database or ''}"
