"""Judged cases that may be recalled or shown to a model, searched in process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Case, Value
from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.judgment import JudgedCase, Judgment
from tokencapital.core.split import input_key
from tokencapital.store.database import Store
from tokencapital.store.judgments import MemoryEvent, MemoryEventKind, latest_sequence, memory_events

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[Case]], Vectors]
"""Cases to their unit vectors, one row each."""

DOUBT_NEIGHBOURS = 5
"""How many nearest judgments decide whether a changed rule reaches a case."""
DOUBT_SIMILARITY = 0.5
"""Neighbours below this cosine say nothing about a case."""

_FOREVER = np.inf
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Recollection(Struct, frozen=True):
    """What people said of an identical input. `value` is None where they disagree."""

    value: Value
    judgments: tuple[str, ...]

    @property
    def conflict(self) -> bool:
        """Whether people who hold a judgment of this input disagree."""
        return self.value is None


class Neighbours(Struct, frozen=True):
    """The nearest judged cases of m cases: `rows` (m, k) index the memory, -1 where there are fewer
    than k; `similarities` (m, k) are cosines, descending, -1 where there is none."""

    rows: NDArray[np.intp]
    similarities: Vectors


def _alone(method: Callable[Concatenate[Memory, _Given], _Result]) -> Callable[Concatenate[Memory, _Given], _Result]:
    """The method is carried out by one thread at a time: rows are added in many places."""

    @wraps(method)
    def alone(self: Memory, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with self.lock:
            return method(self, *args, **kwargs)

    return alone


class Memory:
    """The cases of one capability that people gave an answer to, kept current without rereading. Safe for threads."""

    def __init__(self, store: Store, capability: str, encode: Encode) -> None:
        self.sequence = 0
        self.lock = threading.RLock()
        self._store = store
        self._capability = capability
        self._encode = encode
        self._judged: list[JudgedCase] = []
        self._rows_of_input: dict[str, list[int]] = {}
        self._row_of_judgment: dict[str, int] = {}
        self._vectors: Vectors = np.empty((0, 0), np.float32)
        self._sequences = np.empty(0, np.int64)
        self._starts = np.empty(0, np.float64)
        self._ends = np.empty(0, np.float64)
        self._given = np.empty(0, np.float64)
        self._label_of = np.empty(0, np.int64)
        self._labels: dict[str, int] = {}
        self._changed_rules = False

    def __len__(self) -> int:
        return len(self._judged)

    @_alone
    def refresh(self) -> int:
        """Every fact committed before the call is in the memory; returns its sequence.

        While the store is away the memory stays as it was.
        """
        latest = latest_sequence(self._store)
        if latest > self.sequence:
            with suppress(StoreUnavailable):
                self._apply(memory_events(self._store, self._capability, after=self.sequence, until=latest))
                self.sequence = latest
        return self.sequence

    def judged(self, rows: Sequence[int]) -> list[JudgedCase]:
        """The judged cases at these rows."""
        return [self._judged[row] for row in rows]

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """The unit vectors of the judged cases at these rows, one row each."""
        return self._vectors[np.asarray(rows, np.intp)]

    @_alone
    def valid_rows(self, now: datetime) -> list[int]:
        """Rows whose judgment may answer and teach at the time `now`, in the order of the memory."""
        return [int(row) for row in np.flatnonzero(self._valid(now))]

    @_alone
    def any_lapsed(self, sequences: Sequence[int], now: datetime) -> bool:
        """Whether one of the judgments with these memory sequences holds no longer at the time `now`."""
        held = np.isin(self._sequences, np.asarray(sequences, np.int64))
        return bool((held & (self._ends <= now.timestamp())).any())

    @_alone
    def labels(self, now: datetime) -> tuple[str, ...]:
        """Every label in a judgment that holds at the time `now`, sorted."""
        said = self._label_of[self._valid(now)]
        used = np.bincount(said[said >= 0], minlength=len(self._labels))
        return tuple(sorted(label for label, number in self._labels.items() if used[number]))

    def given_since(self, moment: datetime) -> Iterator[JudgedCase]:
        """Judged cases whose judgment was given at `moment` or later and not withdrawn, the newest first."""
        stands = self._ends != -_FOREVER
        for row in np.flatnonzero(stands & (self._given >= moment.timestamp()))[::-1]:
            yield self._judged[row]

    @_alone
    def recall(self, case: Case, now: datetime, upto: int) -> Recollection | None:
        """What people held of exactly this input at the time `now`, judged up to the sequence `upto`.

        None: nobody judged it. What was only edited in somebody's work is no judgment to answer by.
        """
        rows = self._rows_of_input.get(input_key(case, self._store.key), [])
        found = [self._judged[row].judgment for row in rows if self._sequences[row] <= upto and self._holds(row, now)]
        held = [judgment for judgment in found if judgment.drawn.is_review]
        if not held:
            return None
        agreed = all(judgment.answer == held[0].answer for judgment in held)
        return Recollection(held[0].answer if agreed else None, tuple(judgment.id for judgment in held))

    @_alone
    def nearest(self, vectors: Vectors, k: int, *, upto: int, now: datetime) -> Neighbours:
        """The k nearest judged cases that hold at `now` and were judged up to the sequence `upto`."""
        return self._search(vectors, k, self._valid(now) & (self._sequences <= upto))

    @_alone
    def doubtful(self, vectors: Vectors, now: datetime) -> NDArray[np.bool_]:
        """Cases (m,) near which at least a third of the judgments have lapsed or were withdrawn.

        A rule changed there: what was learned from those judgments is not to be trusted until people
        have said enough anew.
        """
        if not self._changed_rules or not len(self._judged):
            return np.zeros(len(vectors), bool)
        near = self._search(vectors, DOUBT_NEIGHBOURS, np.ones(len(self._judged), bool))
        counts = near.similarities >= DOUBT_SIMILARITY
        lapsed = (self._ends <= now.timestamp())[near.rows] & counts
        return np.asarray(lapsed.any(axis=1) & (3 * lapsed.sum(axis=1) >= counts.sum(axis=1)))

    def _valid(self, now: datetime) -> NDArray[np.bool_]:
        moment = now.timestamp()
        return np.asarray((self._starts <= moment) & (moment < self._ends))

    def _holds(self, row: int, now: datetime) -> bool:
        moment = now.timestamp()
        return bool(self._starts[row] <= moment < self._ends[row])

    def _search(self, vectors: Vectors, k: int, allowed: NDArray[np.bool_]) -> Neighbours:
        rows = np.full((len(vectors), k), -1, np.intp)
        similarities = np.full((len(vectors), k), -1, np.float32)
        candidates = np.flatnonzero(allowed)
        found = min(k, len(candidates))
        if found and len(vectors):
            # Most rows are allowed as a rule: leaving a few out costs less than copying the others.
            few = 2 * len(candidates) < len(self._judged)
            cosines = vectors @ (self._vectors[candidates] if few else self._vectors[: len(self._judged)]).T
            if not few:
                candidates = np.arange(len(self._judged))
                cosines[:, ~allowed] = -np.inf
            top = np.argpartition(-cosines, found - 1, axis=1)[:, :found]
            order = np.argsort(-np.take_along_axis(cosines, top, axis=1), axis=1, kind="stable")
            top = np.take_along_axis(top, order, axis=1)
            rows[:, :found] = candidates[top]
            similarities[:, :found] = np.take_along_axis(cosines, top, axis=1)
        return Neighbours(rows, similarities)

    def _apply(self, events: Sequence[MemoryEvent]) -> None:
        answered = [event for event in events if event.judged is not None and event.judged.judgment.answer is not None]
        self._append([event for event in answered if event.judgment_id not in self._row_of_judgment])
        for event in events:
            row = self._row_of_judgment.get(event.judgment_id)
            if row is None or event.kind is MemoryEventKind.JUDGED or self._ends[row] == -_FOREVER:
                continue
            withdrawn = event.kind is MemoryEventKind.WITHDRAWN
            self._ends[row] = -_FOREVER if withdrawn else _timestamp(event.valid_until)
            if withdrawn:
                self._judged[row] = _without_words(self._judged[row])
            self._changed_rules = True

    def _append(self, events: Sequence[MemoryEvent]) -> None:
        if not events:
            return
        judged = [event.judged for event in events if event.judged is not None]
        self._vectors = _grown(self._vectors, len(self._judged), self._encode([one.case for one in judged]))
        for event, one in zip(events, judged, strict=True):
            row = len(self._judged)
            self._judged.append(one)
            self._row_of_judgment[event.judgment_id] = row
            self._rows_of_input.setdefault(input_key(one.case, self._store.key), []).append(row)
        self._sequences = np.append(self._sequences, [event.sequence for event in events])
        self._given = np.append(self._given, [one.judgment.at.timestamp() for one in judged])
        self._label_of = np.append(self._label_of, [self._label_number(one.judgment.answer) for one in judged])
        self._starts = np.append(self._starts, [one.judgment.valid_from.timestamp() for one in judged])
        self._ends = np.append(self._ends, [_end_of(one.judgment) for one in judged])
        self._changed_rules |= bool(np.isfinite(self._ends[-len(events) :]).any())

    def _label_number(self, answer: Value) -> int:
        """The number of an answer that is a label or text; -1 for any other."""
        return self._labels.setdefault(answer, len(self._labels)) if isinstance(answer, str) else -1


def _without_words(one: JudgedCase) -> JudgedCase:
    """What is left of a judgment that was taken back: that it was there."""
    return JudgedCase(
        msgspec.structs.replace(one.case, messages=(), context={}),
        msgspec.structs.replace(one.judgment, answer=None, reason=None),
    )


def _end_of(judgment: Judgment) -> float:
    return _timestamp(judgment.valid_until)


def _timestamp(moment: datetime | None) -> float:
    return _FOREVER if moment is None else moment.timestamp()


def _grown(matrix: Vectors, used: int, rows: Vectors) -> Vectors:
    """`matrix` with `rows` written behind its first `used` ones, its room doubled where it is too small."""
    needed = used + len(rows)
    if matrix.shape[0] < needed:
        roomier = np.zeros((max(needed, 2 * matrix.shape[0], 256), rows.shape[1]), np.float32)
        if used:
            roomier[:used] = matrix[:used]
        matrix = roomier
    matrix[used:needed] = rows
    return matrix
