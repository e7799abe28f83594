"""Spans as they were told, each once, and which traces have some that are in no trajectory yet.

The spans of a trace that come in one batch are one payload, which belongs to the trace; the trajectory that is made of
a trace is found by its id, so that erasing the trajectory's case erases the trace's payloads and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, func, or_, select, tuple_

from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store, chunks, next_numbers, there
from tokencapital.store.schema import payload, span, trace_state

COUNTER = "span"
_AT_ONCE = 200
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = {sign: number for number, sign in enumerate(_ALPHABET)}
_OWN, _ID_LENGTH, _TRACE_LENGTH = "7463617", 20, 32
_PREFIX = "trj_"

Pair = tuple[str, str]
"""The ids of a trace and of a span in it, in hexadecimal digits."""


class SpanRow(Struct, frozen=True):
    """A span as the store finds it. `parent` None: it is the root of its trace."""

    trace: str
    span: str
    parent: str | None
    at: datetime


class Bundle(Struct, frozen=True):
    """Spans of one trace that came together, with all of what they say as `body`."""

    trace: str
    rows: tuple[SpanRow, ...]
    body: bytes


class Waiting(Struct, frozen=True):
    """A trace with spans that are in no trajectory yet. `made`: a trajectory was made of it before."""

    trace: str
    seen_at: datetime
    made: bool


class Quiet(Struct, frozen=True):
    """How long a trace is waited for after its last span: with its root there, and without."""

    rooted: timedelta = timedelta(seconds=2)
    unrooted: timedelta = timedelta(seconds=30)


class Told(Struct, frozen=True):
    """A batch of spans with their senders: `pairs` are those in it, `bundles` makes bundles of all but some of them."""

    pairs: frozenset[Pair]
    bundles: Callable[[frozenset[Pair]], Sequence[Bundle]]
    application: str | None


def add_spans(store: Store, told: Told, now: datetime) -> int:
    """The spans of the batch are stored, each once, and their traces wait; returns how many were new.

    A payload is written only where a span names it: no copy of what somebody wrote is left without one.
    """
    with store.read() as connection:
        known = _known(connection, told.pairs)
    bundles = told.bundles(known)
    with store.begin() as connection:
        next_numbers(connection, COUNTER, 1)
        again = _known(connection, told.pairs)
        if again != known:
            bundles = told.bundles(again)
        return _add(store, connection, bundles, (told.application, now))


def waiting_traces(store: Store, now: datetime, quiet: Quiet, most: int) -> list[Waiting]:
    """At most so many traces with spans that are in no trajectory, and to which none came for long enough."""
    rooted = and_(trace_state.c.rooted == 1, trace_state.c.seen_at <= now - quiet.rooted)
    calm = or_(rooted, trace_state.c.seen_at <= now - quiet.unrooted)
    query = select(trace_state.c.trace, trace_state.c.seen_at, trace_state.c.made)
    query = query.where(trace_state.c.waiting == 1, calm).order_by(trace_state.c.seen_at, trace_state.c.trace)
    with store.read() as connection:
        return [Waiting(row.trace, row.seen_at, bool(row.made)) for row in connection.execute(query.limit(most))]


def count_waiting(store: Store) -> int:
    """How many traces have spans that are in no trajectory yet."""
    query = select(func.count()).select_from(trace_state).where(trace_state.c.waiting == 1)
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def spans_of_traces(store: Store, traces: Iterable[str]) -> dict[str, list[tuple[str | None, bytes]]]:
    """What was told of each trace, batch by batch, with the application that told it; what was erased is left out."""
    found: dict[str, list[tuple[str | None, bytes]]] = {}
    with store.read() as connection:
        for some in chunks(traces):
            named = (
                select(span.c.trace, span.c.payload, func.min(span.c.application).label("application"))
                .where(span.c.trace.in_(some))
                .group_by(span.c.trace, span.c.payload)
                .subquery()
            )
            query = select(named.c.trace, named.c.application, payload.c.body).join_from(
                named, payload, named.c.payload == payload.c.digest
            )
            for row in connection.execute(query.where(payload.c.body.is_not(None))):
                found.setdefault(row.trace, []).append((row.application, row.body))
    return found


def mark_settled(connection: Connection, done: Sequence[Waiting], made: Iterable[str]) -> None:
    """The traces wait no longer, unless spans came to one meanwhile; of those in `made` there is a trajectory."""
    grown = set(made)
    fresh = [{"own": one.trace} for one in done if one.trace in grown and not one.made]
    if fresh:
        connection.execute(_MADE, fresh)
    if done:
        connection.execute(_CALM, [{"own": one.trace, "seen": one.seen_at} for one in done])


_OWN_TRACE = trace_state.c.trace == bindparam("own")
_MADE = trace_state.update().where(_OWN_TRACE).values(made=1)
_CALM = trace_state.update().where(_OWN_TRACE, trace_state.c.seen_at == bindparam("seen")).values(waiting=0)


def trajectory_of_trace(trace: str) -> str:
    """The id of the trajectory that is made of a trace: a pure function, one to one."""
    if not trace.startswith(_OWN):
        return f"{_PREFIX}{trace}"
    number = int(trace[len(_OWN) :], 16)
    return _PREFIX + "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_ID_LENGTH - 1, -1, -1))


def trace_of_trajectory(name: str) -> str | None:
    """The trace of which the trajectory with this id is made, or as which it goes out; None: its id is no own one."""
    rest = name.removeprefix(_PREFIX)
    if len(rest) == _TRACE_LENGTH and not rest.startswith(_OWN):
        return rest if all(sign in "0123456789abcdef" for sign in rest) else None
    if len(rest) != _ID_LENGTH or rest == name or any(sign not in _DIGITS for sign in rest):
        return None
    number = 0
    for sign in rest:
        number = number << 5 | _DIGITS[sign]
    return f"{_OWN}{number:025x}"


def payloads_of_runs(connection: Connection, trajectories: Iterable[str]) -> list[str]:
    """The payloads of all spans in the traces of which these trajectories are made."""
    found: list[str] = []
    for traces in chunks(trace for trace in map(trace_of_trajectory, trajectories) if trace):
        found += connection.execute(select(span.c.payload).where(span.c.trace.in_(traces)).distinct()).scalars()
    return found


def _known(connection: Connection, pairs: frozenset[Pair]) -> frozenset[Pair]:
    """Those of the pairs that are stored."""
    old = there(connection, trace_state.c.trace, (trace for trace, _ in pairs))
    asked = sorted(pair for pair in pairs if pair[0] in old) if old else []
    found: set[Pair] = set()
    for start in range(0, len(asked), _AT_ONCE):
        some_pairs = asked[start : start + _AT_ONCE]
        query = select(span.c.trace, span.c.span).where(tuple_(span.c.trace, span.c.span).in_(some_pairs))
        found.update((row.trace, row.span) for row in connection.execute(query))
    return frozenset(found)


def _add(store: Store, connection: Connection, bundles: Sequence[Bundle], told: tuple[str | None, datetime]) -> int:
    application, now = told
    payloads, rows = [], []
    for one in bundles:
        digest = keyed_digest(store.key, one.trace.encode() + b"\x1f" + one.body)
        payloads.append({"digest": digest, "body": one.body, "erased_at": None})
        rows += [_row(row, digest, application) for row in one.rows]
    if not rows:
        return 0
    store.add_new(connection, payload, sorted(payloads, key=lambda row: str(row["digest"])))
    rows.sort(key=lambda row: (row["trace"], row["span"]))
    new = store.add_new(connection, span, rows)
    connection.execute(_upsert(store.dialect), _states(bundles, now))
    return new


def _row(one: SpanRow, digest: str, application: str | None) -> dict[str, Any]:
    return {
        "trace": one.trace,
        "span": one.span,
        "parent": one.parent,
        "at": one.at,
        "application": application,
        "payload": digest,
    }


def _states(bundles: Sequence[Bundle], now: datetime) -> list[dict[str, Any]]:
    rooted: dict[str, int] = {}
    for one in bundles:
        has_root = int(any(row.parent is None for row in one.rows))
        rooted[one.trace] = rooted.get(one.trace, 0) | has_root
    return [
        {"trace": trace, "seen_at": now, "rooted": rooted[trace], "waiting": 1, "made": 0} for trace in sorted(rooted)
    ]


def _upsert(dialect: str) -> Any:
    """Adds the state of a trace, or says that something came to it."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    fresh = insert(trace_state)
    changed = {
        "seen_at": fresh.excluded.seen_at,
        "rooted": trace_state.c.rooted.bitwise_or(fresh.excluded.rooted),
        "waiting": 1,
    }
    return fresh.on_conflict_do_update(index_elements=["trace"], set_=changed)
