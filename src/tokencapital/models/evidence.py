"""What a conversation says of a field's candidates, as features: by whom, how lately, in reply to what."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from tokencapital.core.case import Json, Message
from tokencapital.models.candidates import ASKED, TALK, USER, Finder, Finding, feature
from tokencapital.models.reading import Reading, read
from tokencapital.models.writing import canonical

_AGES = [[feature("age", source, age) for age in range(8)] for source in range(4)]
_RANKS = [[[feature("rank", s, rank, after) for after in range(3)] for rank in range(4)] for s in range(4)]
_SOURCES = [feature("sources", mask) for mask in range(16)]
_TIMES = [feature("times", count) for count in range(6)]
_RIVAL = [[feature("rival", rival, mask) for mask in range(16)] for rival in range(4)]
_STATE = [[feature("state", kind, level) for level in range(10)] for kind in range(4)]
_MOST_CANDIDATES = 24
_NEVER = 9
_WORDY_TURNS = 5
_KEPT_MESSAGES = 2_000

Mention = tuple[str, int, tuple[int, ...]]
"""A value, the source of its mention, and features of the places where a message has it."""


class Seen(NamedTuple):
    """A message with what it offers to each field, its words and what it is as a question, as features."""

    reading: Reading
    mentions: dict[int, list[Mention]]
    words: tuple[int, ...]
    signature: tuple[int, ...]


@lru_cache(maxsize=50_000)
def _word(norm: str) -> int:
    """The feature of a word."""
    return feature("w", norm)


class Scope:
    """Messages as they were seen when looking for values of certain fields; kept for the next case that has them."""

    def __init__(self, finder: Finder, readings: Mapping[Message, Reading]) -> None:
        self._finder = finder
        self._readings = readings
        self._seen: dict[Message, Seen] = {}

    def see(self, message: Message) -> Seen:
        """What the message says, from memory where it was seen before."""
        seen = self._seen.get(message)
        if seen is None:
            if len(self._seen) >= _KEPT_MESSAGES:
                self._seen.clear()
            reading = self._readings.get(message) or read(message)
            mentions = _merge(self._finder.find(reading))
            words = tuple(_word(token.norm) for token in reading.talk.tokens)
            seen = self._seen[message] = Seen(reading, mentions, words, _signature(reading))
        return seen


class History:
    """A conversation, latest message first, and where its latest JSON by the assistant stands; its context's items."""

    def __init__(self, seen: list[Seen], items: Sequence[str]) -> None:
        self.seen = seen
        self.items = items
        self.asked_at = next(
            (age for age, s in enumerate(seen) if s.reading.structured and s.reading.role == "assistant"), -1
        )


class Gathered(NamedTuple):
    """Values that a conversation offers to one field with their features; `state` says what bears on leaving it out."""

    candidates: dict[str, list[int]]
    state: tuple[int, ...]


def gather(number: int, known: Container[str], history: History) -> Gathered:
    """What each source said of a field most lately; of older mentions of the same value only the number counts."""
    gathering = _Gathering(known, history)
    for age, seen in enumerate(history.seen):
        mentions = seen.mentions.get(number)
        if mentions:
            gathering.add(age, mentions)
    return Gathered(gathering.candidates(), gathering.state())


class _Gathering:
    """Mentions of one field's values, taken in from the latest message back."""

    def __init__(self, known: Container[str], history: History) -> None:
        self._known = known
        self._history = history
        self._found: dict[str, list[int]] = {}
        self._masks: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._ranks = [0, 0, 0, 0]
        self._newest = ""
        self._newest_age = _NEVER
        self._asked = 0 if history.asked_at < 0 else 1

    def add(self, age: int, mentions: list[Mention]) -> None:
        """The mentions of a message count; new spans are passed over once there are candidates enough."""
        found, masks, times = self._found, self._masks, self._times
        seen = self._history.seen
        asked_at = self._history.asked_at
        after = 0 if asked_at < 0 else 1 if age < asked_at else 2
        question = seen[age + 1].signature if age + 1 < len(seen) else ()
        met = 0
        for value, source, features in mentions:
            mask = masks.get(value, 0)
            if mask == 0 and len(found) >= _MOST_CANDIDATES and source <= TALK and value not in self._known:
                continue
            times[value] = times.get(value, 0) + 1
            if mask & (1 << source):
                continue
            masks[value] = mask | 1 << source
            met |= 1 << source
            features_of = found.setdefault(value, [])
            features_of += features
            features_of += (_AGES[source][min(age, 7)], _RANKS[source][self._ranks[source]][after])
            if source == USER:
                features_of += question
        self._close(age, mentions, met)

    def _close(self, age: int, mentions: list[Mention], met: int) -> None:
        if met & 1 << USER and self._newest_age == _NEVER:
            self._newest = next(value for value, source, _ in mentions if source == USER)
            self._newest_age = min(age, _NEVER)
        if met & 1 << ASKED and age == self._history.asked_at:
            self._asked = 2
        self._ranks = [min(rank + (met >> source & 1), 3) for source, rank in enumerate(self._ranks)]

    def candidates(self) -> dict[str, list[int]]:
        """The values found, with all their features."""
        for value, features in self._found.items():
            rival = 0 if self._newest_age == _NEVER else 1 if self._newest == value else 2
            mask = self._masks[value]
            features.extend((_SOURCES[mask], _TIMES[min(self._times[value], 5)], _RIVAL[rival][mask]))
        return self._found

    def state(self) -> tuple[int, ...]:
        """Features of the field as a whole: was it in the latest JSON, did the user speak of it since."""
        newer = 0 if self._newest_age == _NEVER else 1 if self._newest_age < self._history.asked_at else 2
        return (
            _STATE[0][self._asked],
            _STATE[1][self._newest_age],
            _STATE[2][min(len(self._found), 9)],
            _STATE[3][self._asked * 3 + newer],
        )


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


def case_words(items: Sequence[str], seen: list[Seen]) -> list[int]:
    """What the conversation and its context say, as numbers: each word under who said it and how lately."""
    found: dict[int, None] = {feature("bias"): None}
    for item in items:
        found[feature("context", item)] = None
    users = 0
    for age, one in enumerate(seen):
        if one.reading.role == "user":
            users += 1
            if users > _WORDY_TURNS:
                continue
            turn = "now" if users == 1 else "before"
        elif age < 3:
            turn = one.reading.role
            found[one.signature[0] ^ 1] = None
        else:
            continue
        mark = _TURNS[turn] if turn in _TURNS else feature("turn", turn)
        found.update(dict.fromkeys([word ^ mark for word in one.words]))
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
