"""Candidates of each field of a case as rows of hashed features, scored by one linear ranker.

Every group of rows is one field of one case. Beside the values found in the conversation it holds the
field's commonest values, ABSENT (the field is left out) and OTHER (the value is none of these), so
that the softmax over a group is a probability over everything that can be the case.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokencapital.core.case import Case, Json, Message
from tokencapital.models.arrays import FloatArray
from tokencapital.models.candidates import ASKED, TALK, USER, FieldKnowledge, Finder, Finding, feature
from tokencapital.models.reading import Reading, read
from tokencapital.models.writing import canonical

ABSENT = ""
"""The candidate that leaves the field out; no JSON text is empty."""
OTHER = "?"
"""The candidate that stands for every value not offered; no JSON text."""

BITS = 20
WORD_SCALE = 0.4
"""Features of words against values are many; a smaller scale holds them back as a larger penalty would."""

_MOST_MESSAGES = 64
_MOST_CANDIDATES = 24
_NEVER = 9
_CHUNK = 256
_KEPT_MESSAGES = 2_000


class Rows(NamedTuple):
    """Candidates of a batch. Row r: `values[r]`, in group `group[r]`; groups are consecutive.

    `fields` and `cases` give each group's field number and place in the batch. Features of row r are
    `ids[starts[r]:starts[r+1]]`, in [0, 2**BITS), with `weights` alike.
    """

    values: list[str]
    first: NDArray[np.int64]
    fields: list[int]
    cases: list[int]
    ids: NDArray[np.int32]
    weights: FloatArray
    starts: NDArray[np.int64]


Mention = tuple[str, int, tuple[int, ...]]
"""A value, the source of its mention, and features of the places where a message has it."""


class _Seen(NamedTuple):
    reading: Reading
    mentions: dict[int, list[Mention]]
    words: tuple[int, ...]
    signature: tuple[int, ...]


class Ranker:
    """Lays out the candidates of cases for given fields. Messages once read are kept for the next case.

    `readings` spares reading the messages in it.
    """

    def __init__(
        self,
        fields: tuple[FieldKnowledge, ...],
        contexts: Mapping[str, Sequence[int]],
        readings: Mapping[Message, Reading] | None = None,
    ) -> None:
        self._fields = fields
        self._readings = readings or {}
        self._contexts = {item: frozenset(numbers) for item, numbers in contexts.items()}
        self._marks = [feature("field", *field.path) for field in fields]
        self._common = [{value: feature("value", value) for value in field.common} for field in fields]
        self._scopes: dict[tuple[int, ...], _Scope] = {}
        self._relevant: dict[frozenset[str], tuple[int, ...]] = {}

    def _relevant_to(self, items: frozenset[str]) -> tuple[int, ...]:
        """Numbers of the fields that were ever judged present under every known item of a context."""
        numbers = self._relevant.get(items)
        if numbers is None:
            kept = frozenset(range(len(self._fields)))
            for item in items:
                kept &= self._contexts.get(item, kept)
            numbers = self._relevant[items] = tuple(sorted(kept))
        return numbers

    def rows(self, cases: Sequence[Case]) -> Rows:
        """The candidates of every relevant field of the cases."""
        parts = [self._part(cases, begin) for begin in range(0, len(cases), _CHUNK)]
        return _join(parts) if len(parts) != 1 else parts[0]

    def _part(self, cases: Sequence[Case], begin: int) -> Rows:
        layout = _Layout()
        for place in range(begin, min(begin + _CHUNK, len(cases))):
            case = cases[place]
            items = context_items(case.context)
            numbers = self._relevant_to(frozenset(items))
            scope = self._scopes.get(numbers)
            if scope is None:
                scope = self._scopes[numbers] = _Scope(Finder(self._fields, numbers), self._readings)
            seen = [scope.see(message) for message in reversed(case.messages[-_MOST_MESSAGES:])]
            layout.open_case(_case_words(items, seen))
            history = _History(seen, items)
            for number in numbers:
                self._lay(layout, place, number, history)
        return layout.close()

    def _lay(self, layout: _Layout, place: int, number: int, history: _History) -> None:
        common = self._common[number]
        field = self._fields[number]
        values = field.values
        candidates, state = _gather(number, values, history)
        layout.open_group(place, number, self._marks[number])
        for value, features in candidates.items():
            groups = values.get(value, 0)
            features.append(_LEVEL[min(groups.bit_length(), 10)])
            layout.row(value, features, common.get(value, 0))
        for value, against in common.items():
            if value not in candidates:
                layout.row(value, [_UNMENTIONED], against)
        optional = not any(item in field.required for item in history.items)
        layout.row(ABSENT, [_ABSENT_BIAS, *(s ^ _ABSENT_BIAS for s in state)], _ABSENT_BIAS if optional else 0)
        layout.row(OTHER, [_OTHER_BIAS, *(s ^ _OTHER_BIAS for s in state)], 0)


class _Scope:
    """Messages as they were seen when looking for values of certain fields; kept for the next case that has them."""

    def __init__(self, finder: Finder, readings: Mapping[Message, Reading]) -> None:
        self._finder = finder
        self._readings = readings
        self._seen: dict[Message, _Seen] = {}

    def see(self, message: Message) -> _Seen:
        seen = self._seen.get(message)
        if seen is None:
            if len(self._seen) >= _KEPT_MESSAGES:
                self._seen.clear()
            reading = self._readings.get(message) or read(message)
            mentions = _merge(self._finder.find(reading))
            words = tuple(word_mark(token.norm) for token in reading.talk.tokens)
            seen = self._seen[message] = _Seen(reading, mentions, words, _signature(reading))
        return seen


@lru_cache(maxsize=50_000)
def word_mark(norm: str) -> int:
    """The feature of a word."""
    return feature("w", norm)


_UNMENTIONED = feature("unmentioned")
_ABSENT_BIAS = feature("absent")
_OTHER_BIAS = feature("other")
_LEVEL = [feature("level", level) for level in range(11)]
_AGES = [[feature("age", source, age) for age in range(8)] for source in range(4)]
_RANKS = [[[feature("rank", s, rank, after) for after in range(3)] for rank in range(4)] for s in range(4)]
_SOURCES = [feature("sources", mask) for mask in range(16)]
_TIMES = [feature("times", count) for count in range(6)]
_RIVAL = [[feature("rival", rival, mask) for mask in range(16)] for rival in range(4)]
_STATE = [[feature("state", kind, level) for level in range(10)] for kind in range(4)]


class _History:
    """A conversation, latest message first, and where its latest JSON by the assistant stands; its context's items."""

    def __init__(self, seen: list[_Seen], items: Sequence[str]) -> None:
        self.seen = seen
        self.items = items
        self.asked_at = next(
            (age for age, s in enumerate(seen) if s.reading.structured and s.reading.role == "assistant"), -1
        )


class _Layout:
    """Rows being written down, as flat lists that become arrays once."""

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
        self._words.append(np.array(words, dtype=np.int64))

    def open_group(self, case: int, field: int, mark: int) -> None:
        self.first.append(len(self.values))
        self.fields.append(field)
        self.cases.append(case)
        self._mark = mark

    def row(self, value: str, features: list[int], against: int) -> None:
        self.values.append(value)
        self._flat.extend(features)
        self._counts.append(len(features))
        self._marks.append(self._mark)
        self._against.append(against)
        self._case_of_row.append(len(self._words) - 1)

    def close(self) -> Rows:
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
        return every[_ranges(begin, rows_words)].astype(np.uint64)


def _join(parts: Sequence[Rows]) -> Rows:
    """Rows of batches one after another."""
    if not parts:
        return _Layout().close()
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
    return np.arange(total, dtype=np.int64) + np.repeat(begin - (ends - lengths), lengths)


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


class _Gathered(NamedTuple):
    """Values that a conversation offers to one field with their features; `state` says what bears on leaving it out."""

    candidates: dict[str, list[int]]
    state: tuple[int, ...]


def _gather(number: int, known: Container[str], history: _History) -> _Gathered:
    """What each source said of a field most lately; of older mentions of the same value only the number counts."""
    found: dict[str, list[int]] = {}
    masks: dict[str, int] = {}
    times: dict[str, int] = {}
    ranks = [0, 0, 0, 0]
    newest, newest_age, asked = "", _NEVER, 0 if history.asked_at < 0 else 1
    for age, seen in enumerate(history.seen):
        mentions = seen.mentions.get(number)
        if not mentions:
            continue
        after = 0 if history.asked_at < 0 else 1 if age < history.asked_at else 2
        met = 0
        for value, source, features in mentions:
            mask = masks.get(value, 0)
            if mask == 0 and len(found) >= _MOST_CANDIDATES and source <= TALK and value not in known:
                continue
            times[value] = times.get(value, 0) + 1
            if mask & (1 << source):
                continue
            masks[value] = mask | 1 << source
            met |= 1 << source
            row = found.setdefault(value, [])
            row += features
            row.append(_AGES[source][age if age < 7 else 7])
            row.append(_RANKS[source][ranks[source]][after])
            if source == USER and age + 1 < len(history.seen):
                row += history.seen[age + 1].signature
        if met & 1 << USER and newest_age == _NEVER:
            newest, newest_age = next(value for value, source, _ in mentions if source == USER), age
        if age == history.asked_at and met & 1 << ASKED:
            asked = 2
        for source in range(4):
            if met & 1 << source and ranks[source] < 3:
                ranks[source] += 1
    for value, row in found.items():
        rival = 0 if newest_age == _NEVER else 1 if newest == value else 2
        row += (_SOURCES[masks[value]], _TIMES[min(times[value], 5)], _RIVAL[rival][masks[value]])
    newer = 0 if newest_age == _NEVER else 1 if newest_age < history.asked_at else 2
    state = (
        _STATE[0][asked], _STATE[1][min(newest_age, _NEVER)],
        _STATE[2][min(len(found), 9)], _STATE[3][asked * 3 + newer],
    )  # fmt: skip
    return _Gathered(found, state)


def _merge(findings: Iterable[Finding]) -> dict[int, list[Mention]]:
    """For each field the values that one message offers, each once a source, with all features of its places."""
    merged: dict[tuple[int, str, int], dict[int, None]] = {}
    for finding in findings:
        merged.setdefault(finding[:3], {}).update(dict.fromkeys(finding.features))
    by_field: dict[int, list[Mention]] = {}
    for (field, value, source), features in merged.items():
        by_field.setdefault(field, []).append((value, source, tuple(features)))
    return by_field


def _signature(reading: Reading) -> tuple[int, ...]:
    """Features of a message as the question that the next one replies to."""
    norms = [token.norm for token in reading.talk.tokens]
    if not norms:
        return (feature("reply to", reading.role),)
    return (
        feature("reply to", reading.role, *norms[:20]),
        feature("reply start", *norms[:3]),
        feature("reply end", *norms[-3:]),
    )


def _case_words(items: Sequence[str], seen: list[_Seen]) -> list[int]:
    """What the conversation and its context say, as numbers: each word under who said it and how lately."""
    found: dict[int, None] = {feature("bias"): None}
    for item in items:
        found[feature("context", item)] = None
    users = 0
    for age, one in enumerate(seen):
        if one.reading.role == "user":
            turn = "now" if users == 0 else "before"
            users += 1
        elif age < 3:
            turn = one.reading.role
            found[one.signature[0] ^ 1] = None
        else:
            continue
        mark = _TURNS[turn] if turn in _TURNS else feature(turn)
        for word in one.words:
            found[word ^ mark] = None
        if turn == "now":
            for left, right in zip(one.words, one.words[1:], strict=False):
                found[(left * 31 + right) & 0xFFFFFFFF] = None
    found[feature("asked", sum(one.reading.structured and one.reading.role == "assistant" for one in seen[:20]))] = None
    return list(found)


_TURNS = {turn: feature("turn", turn) for turn in ("now", "before", "assistant", "tool")}


def context_items(context: Mapping[str, Json]) -> list[str]:
    """The scalar items of a context, each as one text."""
    return [
        f"{name}={canonical(value)}" for name, value in sorted(context.items()) if isinstance(value, str | int | bool)
    ]


def group_probabilities(scores: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """The softmax of scores (rows,) within groups that start at `first`."""
    if not len(scores):
        return scores
    lengths = np.diff(np.append(first, len(scores)))
    powers = np.exp(scores - np.repeat(np.maximum.reduceat(scores, first), lengths))
    return np.asarray(powers / np.repeat(np.add.reduceat(powers, first), lengths))
