"""Which lessons hold, for each request.

A lesson that came from judgments holds while at least one of them does: once all were withdrawn, have
lapsed or were erased it is shown to nobody from the next request on, and is marked to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, select

from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.lesson import Lesson, LessonState
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.lessons import COUNTER, lessons, lessons_resting_on, passages_there, read_within
from tokencapital.store.marks import Mark, Subject, raise_marks
from tokencapital.store.rows import ends, stands
from tokencapital.store.schema import judgment, payload, work_case


def approved_lessons(store: Store, capability: str, now: datetime) -> list[Lesson]:
    """The lessons that hold at the time `now`: approved, not expired, and resting on something that stands."""
    known = {one.id: one for one in lessons(store, capability) if one.decided is LessonState.APPROVED}
    return [known[name] for name in lesson_texts(store, list(known), now)]


def lesson_texts(store: Store, ids: Sequence[str], now: datetime) -> dict[str, str]:
    """The sentences by id of those lessons that hold at the time `now`, in the order of `ids`."""
    return LessonTexts(store).texts(ids, now)


def knowledge_state(store: Store) -> int:
    """A number that grows with whatever changes what the company knows in words. Fit for every request."""
    return int(store.probe("SELECT value FROM counter WHERE name = 'knowledge'"))


def judgments_changed(store: Store, connection: Connection, ids: Sequence[str], *, by: str, at: datetime) -> None:
    """Readers look again at the lessons behind which these judgments are; a lesson that has lost all is marked."""
    resting = lessons_resting_on(connection, ids)
    if not resting:
        return
    next_numbers(connection, COUNTER, len(resting))
    held = _spans(connection, (source for one in resting for source in one.judgments))
    open_ones = [one for one in resting if one.decided in (LessonState.PROPOSED, LessonState.APPROVED)]
    lost = [one for one in open_ones if not any(span.holds_at(at) for span in _of(held, one.judgments))]
    changed = set(ids)
    because = {one.id: next(source for source in one.judgments if source in changed) for one in lost}
    raise_marks(
        store,
        connection,
        [
            Mark(subject=one.id, kind=Subject.LESSON, capability=one.capability, because=because[one.id], at=at, by=by)
            for one in lost
        ],
    )


class LessonTexts:
    """The sentences of lessons for each request; they are read again only when something has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: int | None = None
        self._known: dict[str, _Standing] = {}

    def texts(self, ids: Sequence[str], now: datetime) -> dict[str, str]:
        """The sentences by id of those lessons that hold at the time `now`, in the order of `ids`.

        While the store is away those that were read before are taken as they were.
        """
        state = knowledge_state(self._store)
        known = self._known if state == self._seen else {}
        unread = [name for name in ids if name not in known]
        try:
            self._known = known | _standing(self._store, unread) if unread else known
            self._seen = state
        except StoreUnavailable:
            if self._seen is None:
                raise
        known = self._known
        return {name: known[name].text for name in ids if name in known and known[name].holds_at(now)}


class _Span(Struct, frozen=True):
    """From when until when a judgment holds."""

    start: datetime
    end: datetime | None

    def holds_at(self, now: datetime) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


class _Standing(Struct, frozen=True):
    """Until when a lesson holds, and while which of its judgments; `end` None: never. No spans: no judgments."""

    text: str
    end: datetime | None
    spans: tuple[_Span, ...]
    by_hand: bool

    def holds_at(self, now: datetime) -> bool:
        if self.end is None or self.end <= now:
            return False
        return self.by_hand or any(span.holds_at(now) for span in self.spans)


_NOTHING = _Standing("", None, (), by_hand=False)


def _standing(store: Store, ids: Sequence[str]) -> dict[str, _Standing]:
    found = dict.fromkeys(ids, _NOTHING)
    with store.read() as connection:
        held = [one for one in read_within(connection, ids) if one.decided is LessonState.APPROVED and one.text]
        spans = _spans(connection, (source for one in held for source in one.judgments))
        passages = passages_there(connection, (source for one in held for source in one.passages))
    for one in held:
        by_hand = not one.judgments and (not one.passages or bool(passages & set(one.passages)))
        found[one.id] = _Standing(one.text or "", one.valid_until, _of(spans, one.judgments), by_hand)
    return found


def _of(spans: Mapping[str, _Span], ids: Sequence[str]) -> tuple[_Span, ...]:
    return tuple(spans[name] for name in ids if name in spans)


def _spans(connection: Connection, ids: Iterable[str]) -> dict[str, _Span]:
    """When each judgment holds; withdrawn ones and those whose case was erased are left out."""
    found: dict[str, _Span] = {}
    for some in chunks(ids):
        query = (
            select(judgment.c.id, judgment.c.valid_from, ends().label("ends_at"))
            .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
            .join(payload, work_case.c.payload == payload.c.digest)
            .where(judgment.c.id.in_(some), stands(), payload.c.erased_at.is_(None))
        )
        found.update((row.id, _Span(row.valid_from, row.ends_at)) for row in connection.execute(query))
    return found
