"""What people have told in a conversation so far: fields of which they said a usual value.

Calls and results name fields with their values. A phrase that people had said before it became the value
of a field, in more than one conversation, is one of the field's usual values. Whoever says it again has
told the field, in whatever words around it: that is the state that forms and flowcharts ask for.

Phrases and fields are kept as numbers only: neither an artifact nor a cache holds a customer's words.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Case, Json, Message
from tokencapital.models.case_cache import CaseCache
from tokencapital.models.reading import inner_quote

Numbers = NDArray[np.uint32]

FEWEST_CONVERSATIONS = 2
"""Conversations in which a phrase must have become a field's value."""
MOST_COUNTED = 3
"""Of a field told more often, so many values count."""

_WORD = re.compile(r"\d+|[^\W\d_]+")
_PHRASE_WORDS = 4
_BREAK = crc32(b"\n")
_BASE = np.uint32(0x01000193)
_MESSAGE_CHARS = 2_000
_MESSAGES = 40
_PAIRS = 60


class Telling(Struct, frozen=True):
    """A case as numbers: `phrases` that its users said, and which `values` of which `fields` were among them.

    Bytes of uint32: `phrases` ascending; `values` and `fields` aligned, each pair once.
    """

    phrases: bytes
    values: bytes
    fields: bytes


class Gazetteer(Struct, frozen=True):
    """Usual `values` (k,) of `fields` (k,), aligned, as numbers."""

    values: Numbers
    fields: Numbers

    def __len__(self) -> int:
        return len(self.values)

    def told(self, case: Case) -> list[tuple[int, int]]:
        """The fields told in a case, ascending, each with how many of its usual values: 1 to `MOST_COUNTED`."""
        if not len(self):
            return []
        phrases = np.frombuffer(telling_of(case).phrases, np.uint32)
        fields = self.fields[np.isin(self.values, phrases)]
        return sorted((field, min(count, MOST_COUNTED)) for field, count in Counter(fields.tolist()).items())


NO_GAZETTEER = Gazetteer(np.empty(0, np.uint32), np.empty(0, np.uint32))


def learn_gazetteer(cases: Sequence[Case]) -> Gazetteer:
    """The usual values of all fields that the calls and results in these cases name."""
    seen = {(*pair, case.group) for case in cases if _has_structure(case) for pair in _pairs(telling_of(case))}
    uses = Counter((value, field) for value, field, _ in seen)
    usual = sorted(pair for pair, conversations in uses.items() if conversations >= FEWEST_CONVERSATIONS)
    columns = np.array(usual, np.uint32).reshape(-1, 2)
    return Gazetteer(np.ascontiguousarray(columns[:, 0]), np.ascontiguousarray(columns[:, 1]))


def field_number(name: str) -> int:
    """The number of a field, the same in every process."""
    return crc32(name.encode("utf-8", "surrogatepass"))


def _work_out(case: Case) -> Telling:
    messages = case.messages[-_MESSAGES:]
    phrases, first_said = _phrases_said(messages)
    named = [
        (value, field, place)
        for place, message in enumerate(messages)
        if message.role != "user"
        for value, field in _named(message)
    ]
    values, fields, places = np.array(named, np.uint32).reshape(-1, 3).T
    told = np.isin(values, phrases)
    told[told] = first_said[np.searchsorted(phrases, values[told])] < places[told]
    pairs = np.unique(np.stack([values[told], fields[told]]), axis=1)
    return Telling(phrases.tobytes(), pairs[0].tobytes(), pairs[1].tobytes())


telling_of = CaseCache(_work_out)
"""What was told in a case, from the cache where it is. May be called from several threads."""


def _pairs(telling: Telling) -> Iterator[tuple[int, int]]:
    return zip(array("I", telling.values), array("I", telling.fields), strict=True)


def _has_structure(case: Case) -> bool:
    return any("{" in message.content for message in case.messages if message.role != "user")


def _phrases_said(messages: Sequence[Message]) -> tuple[Numbers, NDArray[np.intp]]:
    """All phrases of up to `_PHRASE_WORDS` words within one message of a user, ascending, and which message was first.

    The numbers of both are aligned.
    """
    words: list[int] = []
    places: list[int] = []
    for place, message in enumerate(messages):
        if message.role == "user":
            said = [_BREAK, *_word_numbers(message.content[:_MESSAGE_CHARS])]
            words += said
            places += [place] * len(said)
    numbers, where = np.array(words, np.uint32), np.array(places, np.intp)
    phrases = [numbers]
    for length in range(2, min(_PHRASE_WORDS, len(words)) + 1):
        phrases.append(phrases[-1][:-1] * _BASE + numbers[length - 1 :])
    unique, first = np.unique(np.concatenate(phrases), return_index=True)
    return unique, np.concatenate([where[: len(one)] for one in phrases])[first]


def _named(message: Message) -> Iterator[tuple[int, int]]:
    """(value, field) for each leaf of the JSON object in a message that a phrase can be."""
    start = message.content.find("{")
    if start < 0:
        return
    try:
        found = msgspec.json.decode(message.content[start:])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return
    for name, value in list(_leaves("", found))[:_PAIRS]:
        quoted = inner_quote(value)
        words = _word_numbers(quoted[1] if quoted else value)
        if 0 < len(words) <= _PHRASE_WORDS:
            yield _phrase_number(words), field_number(name)


def _leaves(name: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, str(value)


def _phrase_number(words: Sequence[int]) -> int:
    number = words[0]
    for word in words[1:]:
        number = (number * int(_BASE) + word) & 0xFFFFFFFF
    return number


def _word_numbers(text: str) -> list[int]:
    return [_word_number(word) for word in _WORD.findall(text.lower())]


def _word_number(word: str) -> int:
    """Any number counts as the same word: which one was told says less than that one was."""
    return crc32(b"#" if word[0].isdigit() else word.encode("utf-8", "surrogatepass"))
