"""What an import reads, whatever it is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Trajectory
from tokencapital.core.call import Step
from tokencapital.core.case import Case, Json, Message, Value
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.quantity import Money
from tokencapital.record.spans_deeds import Trace

_PLAIN_HEX = frozenset("0123456789abcdef")
_TRACE_LENGTH, _SPAN_LENGTH = 32, 16


class Unreadable(ValueError):
    """What stands there is not what it should be; says why in words of our own."""


class Skip(Struct, frozen=True):
    """Something that was not imported: where it stands, and why, in words of our own."""

    where: str
    why: str


class Traced(Struct, frozen=True, kw_only=True):
    """A trace that another tool keeps. `costs` are what it says that its spans cost, by span."""

    where: str
    trace: Trace
    costs: Mapping[str, Money] = {}


class Worked(Struct, frozen=True, kw_only=True):
    """A piece of work as it will stand in the store, but for where it is put down.

    `capability` None: the file does not say. `said` is the answer as words where its shape depends on the
    capability's contract; None: the trajectory's own is it. `tags` are what rules that sort work may ask for.
    """

    where: str
    capability: str | None
    case: Case
    head: Trajectory
    steps: tuple[Step, ...] = ()
    said: tuple[Message, ...] | None = None
    tags: Mapping[str, Json] = {}


class Seen(Struct, frozen=True, kw_only=True):
    """An outcome: of a business `key`, or of a `trajectory` that need not be here yet."""

    where: str
    id: str
    name: str
    value: bool | float | None
    at: datetime
    capability: str | None = None
    key: str | None = None
    trajectory: str | None = None


class Judged(Struct, frozen=True, kw_only=True):
    """What a person said of a case, or of what was done in a trajectory.

    `words` is the right answer in words, whose shape depends on the capability's contract; `answer` is it as it is.
    """

    where: str
    id: str
    expert: str
    at: datetime
    case: str | None = None
    trajectory: str | None = None
    verdict: Verdict = Verdict.CORRECTED
    answer: Value = None
    words: str | None = None
    drawn: DrawKind = DrawKind.VOLUNTEERED
    probability: float | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    reason: str | None = None
    minutes: float | None = None
    blind: bool = False


Told = Traced | Worked | Seen | Judged | Skip


class Bunch(Struct, frozen=True):
    """Things that are stored together, and how far that is.

    `cursor` None: nothing is remembered of it. `done` of `total` is for whoever waits; None: nobody knows.
    """

    told: tuple[Told, ...]
    cursor: str | None = None
    done: int = 0
    total: int | None = None


Source = Iterator[Bunch]
"""Everything that is to be imported, oldest first as far as the source allows."""
People = Callable[[str], str]
"""The pseudonym of somebody whom the tool knows by an account."""
T = TypeVar("T")


def bunches(lines: Iterable[Iterable[Told]], most: int, total: int | None = None) -> Source:
    """What lines tell, in bunches of `most` things or a few more: what one line tells stays together. `total` is how
    many lines there are; None: nobody knows."""
    told: list[Told] = []
    done = 0
    for some in lines:
        told += some
        done += total is not None
        if len(told) >= most:
            yield Bunch(tuple(told), done=done, total=total)
            told = []
    yield Bunch(tuple(told), done=done, total=total)


def reached_in(cursor: str | None, kind: type[T]) -> T:
    """How far an import has come by its cursor; an empty one where there is none, or none of this kind."""
    try:
        return msgspec.json.decode(cursor, type=kind) if cursor else kind()
    except msgspec.MsgspecError:
        return kind()


def cursor_of(reached: Any) -> str:
    """The cursor that says how far an import has come."""
    return msgspec.json.encode(reached).decode()


def trace_name(kind: str, told: str) -> str:
    """The name of a trace here: OpenTelemetry's, or for one that has none of these a digest of what it is called."""
    bare = told.removeprefix("tr-").lower()
    return bare if _is_hex(bare, _TRACE_LENGTH) else digest(kind, told)


def span_name(kind: str, told: str) -> str:
    """The same for a span."""
    return told.lower() if _is_hex(told.lower(), _SPAN_LENGTH) else digest(kind, told)[:_SPAN_LENGTH]


def digest(*parts: str) -> str:
    """32 hex digits that name something by where it comes from: the same each time that it is imported."""
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _is_hex(name: str, length: int) -> bool:
    return len(name) == length and set(name) <= _PLAIN_HEX
