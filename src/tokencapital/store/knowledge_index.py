"""Passages, lessons and judgments in one search, in this process, as fresh as the store.

Of what people wrote only numbers are kept here: words by hash, meanings as vectors. The words of a hit are
read from the store, so that what was erased can never be shown. What was taken back or replaced is masked
from the next search on, and swept out once it is a tenth of all rows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from tokencapital.core.knowledge import HitKind
from tokencapital.core.lesson import LessonState
from tokencapital.store.database import Store
from tokencapital.store.judgments import MemoryEvent, MemoryEventKind, latest_sequence, memory_events
from tokencapital.store.knowledge import searchable
from tokencapital.store.knowledge_rows import Row, judgment_row, lesson_row, passage_rows, timestamp
from tokencapital.store.lessons import lessons
from tokencapital.store.ranking import Embed, Meanings, MeaningScores, WordScores, best
from tokencapital.store.schema import lesson_event, memory_event
from tokencapital.store.words import counted, words

WORD_PART = 0.65
"""What words count for, beside the meaning."""
HEADING_TIMES = 2
"""A word in a heading counts as if it stood so often in the text."""
WORTH = {HitKind.PASSAGE: 1.0, HitKind.LESSON: 1.0, HitKind.JUDGMENT: 0.6}
"""What somebody answers for as a rule counts for more than what was said of one case."""
LEAST_LIKE = 0.1
"""What fits less is no hit."""

_KINDS = tuple(HitKind)
_WORTHS = np.array([WORTH[kind] for kind in _KINDS], np.float32)
_COUNTED = "SELECT SUM(value) FROM counter WHERE name IN ('knowledge', 'memory')"
"""Both only grow, so that their sum changes with either."""
_SWEPT_SHARE = 0.1
_ROWS_AT_ONCE, _EVENTS_AT_ONCE = 1_000, 4_000
_GONE = -np.inf


class Query(Struct, frozen=True, kw_only=True):
    """What is looked for, among which kinds, and at which time it must hold."""

    text: str
    now: datetime
    most: int = 10
    kinds: frozenset[HitKind] = frozenset(HitKind)


class Found(Struct, frozen=True):
    """A hit by its id."""

    kind: HitKind
    id: str
    score: float


class KnowledgeIndex:
    """What can be searched. May be used from several threads.

    `fewest_swept` is how many rows must be gone before they are swept out.
    """

    def __init__(self, store: Store, embed: Embed, *, fewest_swept: int = 64) -> None:
        self._fewest_swept = fewest_swept
        self._store = store
        self._vectors = Meanings(embed)
        self._lock = threading.RLock()
        self._counted: int | None = None
        self._document_position = 0
        self._memory_sequence = 0
        self._words = WordScores()
        self._meanings = MeaningScores()
        self._ids: list[str] = []
        self._kinds = np.empty(0, np.int8)
        self._starts = np.empty(0, np.float64)
        self._ends = np.empty(0, np.float64)
        self._rows_of: dict[tuple[HitKind, str], list[int]] = {}
        self._lessons: set[str] = set()

    def __len__(self) -> int:
        return int((self._ends != _GONE).sum())

    @property
    def size_bytes(self) -> int:
        """The memory that postings, vectors and dates take, without Python's own part."""
        dates = self._kinds.nbytes + self._starts.nbytes + self._ends.nbytes
        return self._words.size_bytes + self._meanings.size_bytes + dates

    def refresh(self) -> None:
        """Everything committed before the call can be found, and what was taken back cannot."""
        with self._lock:
            newest = int(self._store.probe(_COUNTED) or 0)
            if newest == self._counted:
                return
            with self._store.read() as connection:
                self._hear_documents(connection)
                self._hear_lessons(connection)
                self._hear_judgments(connection)
            self._sweep()
            self._counted = newest

    def search(self, query: Query) -> list[Found]:
        """What fits best and holds at the query's time, best first, as of the last refresh."""
        with self._lock:
            if not self._ids or not query.text.strip():
                return []
            said = words(query.text)
            fits = WORD_PART * self._words.scores(counted(said))
            fits += (1 - WORD_PART) * np.maximum(self._meanings.scores(self._vectors.of([said])[0]), 0)
            scores = (fits * _WORTHS[self._kinds]).astype(np.float32, copy=False)
            rows = best(scores, self._holding(query) & (scores >= LEAST_LIKE), query.most)
            return [Found(_KINDS[self._kinds[row]], self._ids[row], float(scores[row])) for row in rows.tolist()]

    def _holding(self, query: Query) -> NDArray[np.bool_]:
        moment = query.now.timestamp()
        holding = (self._starts <= moment) & (moment < self._ends)
        if len(query.kinds) < len(_KINDS):
            holding &= np.isin(self._kinds, [_KINDS.index(kind) for kind in query.kinds])
        return np.asarray(holding)

    def _hear_documents(self, connection: Connection) -> None:
        changed, self._document_position = searchable(connection, self._document_position)
        for document in changed:
            self._remove(HitKind.PASSAGE, document)
        self._add(row for versions in changed.values() for row in passage_rows(connection, versions))

    def _hear_lessons(self, connection: Connection) -> None:
        capabilities = connection.execute(select(lesson_event.c.capability).distinct()).scalars().all()
        known = [one for capability in sorted(capabilities) for one in lessons(self._store, capability)]
        approved = {one.id: one for one in known if one.decided is LessonState.APPROVED and one.text is not None}
        for gone in sorted(self._lessons - set(approved)):
            self._remove(HitKind.LESSON, gone)
        for one in approved.values():
            self._end(HitKind.LESSON, one.id, timestamp(one.valid_until))
        self._add(lesson_row(one) for one in approved.values() if (HitKind.LESSON, one.id) not in self._rows_of)
        self._lessons = set(approved)

    def _hear_judgments(self, connection: Connection) -> None:
        latest, after = latest_sequence(self._store), self._memory_sequence
        told = select(memory_event.c.capability).where(memory_event.c.sequence > after).distinct()
        for capability in sorted(connection.execute(told).scalars()):
            for start in range(after, latest, _EVENTS_AT_ONCE):
                until = min(start + _EVENTS_AT_ONCE, latest)
                self._apply(memory_events(self._store, capability, after=start, until=until))
        self._memory_sequence = max(latest, after)

    def _apply(self, events: Sequence[MemoryEvent]) -> None:
        told = {one.judgment_id: one.judged for one in events if one.kind is MemoryEventKind.JUDGED and one.judged}
        answered = [one for one in told.values() if one is not None and one.judgment.answer is not None]
        self._add(judgment_row(one) for one in answered if (HitKind.JUDGMENT, one.judgment.id) not in self._rows_of)
        for event in events:
            if event.kind is MemoryEventKind.WITHDRAWN:
                self._remove(HitKind.JUDGMENT, event.judgment_id)
            elif event.kind is MemoryEventKind.EXPIRED:
                self._end(HitKind.JUDGMENT, event.judgment_id, timestamp(event.valid_until))

    def _add(self, rows: Iterable[Row]) -> None:
        coming = iter(rows)
        while added := list(islice(coming, _ROWS_AT_ONCE)):
            headings, texts = [words(row.heading) for row in added], [words(row.text) for row in added]
            self._meanings.add(
                self._vectors.of([[*above, *below] for above, below in zip(headings, texts, strict=True)])
            )
            for row, above, below in zip(added, headings, texts, strict=True):
                counts = counted(below)
                for number, times in counted(above).items():
                    counts[number] += HEADING_TIMES * times
                self._words.add(counts)
                self._rows_of.setdefault((row.kind, row.owner), []).append(len(self._ids))
                self._ids.append(row.id)
            self._kinds = np.append(self._kinds, np.array([_KINDS.index(row.kind) for row in added], np.int8))
            self._starts = np.append(self._starts, [row.starts for row in added])
            self._ends = np.append(self._ends, [row.ends for row in added])

    def _remove(self, kind: HitKind, owner: str) -> None:
        for row in self._rows_of.pop((kind, owner), ()):
            self._ends[row] = _GONE
            self._meanings.forget(row)

    def _end(self, kind: HitKind, owner: str, end: float) -> None:
        for row in self._rows_of.get((kind, owner), ()):
            self._ends[row] = end

    def _sweep(self) -> None:
        """Rows that are gone leave nothing behind, once there are enough of them."""
        kept = self._ends != _GONE
        gone = len(kept) - int(kept.sum())
        if gone < self._fewest_swept or gone < _SWEPT_SHARE * len(kept):
            return
        numbers = np.cumsum(kept) - 1
        self._words.compact(kept)
        self._meanings.compact(kept)
        self._ids = [identity for identity, stays in zip(self._ids, kept.tolist(), strict=True) if stays]
        self._kinds, self._starts, self._ends = self._kinds[kept], self._starts[kept], self._ends[kept]
        self._rows_of = {owner: [int(numbers[row]) for row in rows] for owner, rows in self._rows_of.items()}
