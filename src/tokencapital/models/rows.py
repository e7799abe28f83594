"""Rows of hashed features for a linear ranker: written down as flat lists, kept as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokencapital.models.arrays import FloatArray

BITS = 20
"""Features are hashed to 2**BITS ids."""

WORD_SCALE = 0.4
"""Features of words against values are many; a smaller scale holds them back as a larger penalty would."""


class Rows(NamedTuple):
    """Candidates of a batch, those of one field of one case (a group) one after another.

    Row r offers `values[r]`; its features are `ids[starts[r]:starts[r+1]]`, in [0, 2**BITS), with
    `weights` alike. Group g starts at row `first[g]` and belongs to field number `fields[g]` of the
    case at place `cases[g]` of the batch.
    """

    values: list[str]
    first: NDArray[np.int64]
    fields: list[int]
    cases: list[int]
    ids: NDArray[np.int32]
    weights: FloatArray
    starts: NDArray[np.int64]

    @property
    def ends(self) -> list[int]:
        """For each group the row after its last."""
        return [*self.first[1:].tolist(), len(self.values)] if len(self.first) else []


class Layout:
    """Rows being written down: cases, in each of them groups, in each of them rows."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.first: list[int] = []
        self.fields: list[int] = []
        self.cases: list[int] = []
        self._flat: list[int] = []
        self._counts: list[int] = []
        self._marks: list[int] = []
        self._against: list[int] = []
        self._case_of_row: list[int] = []
        self._words: list[NDArray[np.int64]] = []
        self._mark = 0

    def open_case(self, words: Sequence[int]) -> None:
        """What follows belongs to the next case, whose conversation has these words."""
        self._words.append(np.array(words, dtype=np.int64))

    def open_group(self, case: int, field: int, mark: int) -> None:
        """What follows are candidates of a field, whose own features get its `mark`."""
        self.first.append(len(self.values))
        self.fields.append(field)
        self.cases.append(case)
        self._mark = mark

    def row(self, value: str, features: list[int], against: int) -> None:
        """One candidate; `against` marks it towards the words of the case, 0: they do not bear on it."""
        self.values.append(value)
        self._flat.extend(features)
        self._counts.append(len(features))
        self._marks.append(self._mark)
        self._against.append(against)
        self._case_of_row.append(len(self._words) - 1)

    def close(self) -> Rows:
        """All that was written down. Each feature counts twice: for every field and for its own."""
        flat = np.array(self._flat, dtype=np.uint64)
        counts = np.array(self._counts, dtype=np.int64)
        marks = np.array(self._marks, dtype=np.uint64)
        own = _mix(flat, np.repeat(marks, counts))
        shared = _mix(flat, np.zeros(1, dtype=np.uint64))
        word_counts = np.array([len(words) for words in self._words], dtype=np.int64)
        against = np.array(self._against, dtype=np.uint64)
        rows_words = word_counts[np.array(self._case_of_row, dtype=np.int64)] if self.values else counts
        rows_words[against == 0] = 0
        words = self._row_words(word_counts, rows_words)
        pair = marks ^ (against << np.uint64(1))
        crossed = _mix(words, np.repeat(pair, rows_words))
        lengths = np.stack([counts, counts, rows_words], axis=1)
        ids, weights = _interleave((own, shared, crossed), lengths)
        starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths.sum(axis=1))])
        return Rows(self.values, np.array(self.first, dtype=np.int64), self.fields, self.cases, ids, weights, starts)

    def _row_words(self, word_counts: NDArray[np.int64], rows_words: NDArray[np.int64]) -> NDArray[np.uint64]:
        if not self._words:
            return np.zeros(0, dtype=np.uint64)
        every = np.concatenate(self._words)
        offset = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(word_counts)])[:-1]
        begin = offset[np.array(self._case_of_row, dtype=np.int64)]
        return np.asarray(every[_ranges(begin, rows_words)], dtype=np.uint64)


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of batches one after another."""
    if not parts:
        return Layout().close()
    sizes = np.cumsum([0, *(len(part.values) for part in parts)])
    features = np.cumsum([0, *(len(part.ids) for part in parts)])
    return Rows(
        [value for part in parts for value in part.values],
        np.concatenate([part.first + size for part, size in zip(parts, sizes, strict=False)]),
        [field for part in parts for field in part.fields],
        [case for part in parts for case in part.cases],
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([[0], *(part.starts[1:] + size for part, size in zip(parts, features, strict=False))]),
    )


def _ranges(begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integers begin[r], begin[r]+1, ... (lengths[r] of them), rows one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total, dtype=np.int64) + np.repeat(begin - (ends - lengths), lengths))


def _interleave(
    parts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int32], FloatArray]:
    """The three parts of each row side by side, rows one after another, with their weights."""
    total = int(lengths.sum())
    ids = np.empty(total, dtype=np.int32)
    weights = np.ones(total, dtype=np.float32)
    row_start = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths.sum(axis=1))])[:-1]
    at = row_start
    for column, part in enumerate(parts):
        places = _ranges(at, lengths[:, column])
        ids[places] = part
        if column == 2:
            weights[places] = WORD_SCALE
        at = at + lengths[:, column]
    return ids, weights


def _mix(features: NDArray[np.uint64], marks: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Features under a mark as ids in [0, 2**BITS): a multiplicative hash (Knuth, TAOCP 3, 6.4)."""
    mixed = (features ^ (marks * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(mixed >> np.uint64(64 - BITS), dtype=np.int64)


def group_probabilities(scores: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """The softmax of scores (rows,) within groups that start at `first`."""
    if not len(scores):
        return scores
    lengths = np.diff(np.append(first, len(scores)))
    powers = np.exp(scores - np.repeat(np.maximum.reduceat(scores, first), lengths))
    return np.asarray(powers / np.repeat(np.add.reduceat(powers, first), lengths))
