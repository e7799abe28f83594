"""Values that a message offers to a field: known ones that it names, and spans written as the field writes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from tokencapital.models.reading import Piece, Reading, inner_quote, phrase, words_of
from tokencapital.models.spans import Span, open_spans
from tokencapital.models.writing import Shape, kind_of, plain_text, unwrap, write

USER, TALK, ASKED, FOUND = range(4)
"""Where a value was met: a user's words, other words, JSON that the assistant wrote, JSON of a tool."""

_SHORTEST_ALIAS = 4


class FieldKnowledge(Struct, frozen=True):
    """What judgments tell of one field; a field inside an object has a longer `path`.

    `values` are the values (as JSON text) that more than one group was judged to have, with the number
    of those groups; `common` are those to offer even where nobody says them. `shapes` say how spans are
    written as values, commonest first. `kinds` are the kinds of span that were copied, at most
    `longest` words of them; empty: the field takes only values seen before. `keys` are the keys of
    JSON in the conversation that held its value, `triggers` the words that stood before it, and
    `required` the items of context under which it was hardly ever left out.
    """

    path: tuple[str, ...]
    values: dict[str, int]
    common: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    kinds: tuple[str, ...] = ()
    longest: int = 0
    keys: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


class Finding(NamedTuple):
    """A value (JSON text) that field number `field` could take, where it was met, and features of that place."""

    field: int
    value: str
    source: int
    features: tuple[int, ...]


class _Entry(NamedTuple):
    field: int
    value: str
    core: str
    shape: int


@lru_cache(maxsize=50_000)
def feature(*parts: str | int) -> int:
    """A 32-bit number for what the parts say together."""
    return zlib.crc32("\x1f".join(map(str, parts)).encode())


class Finder:
    """Finds, in a message, values for the fields with the given numbers. What it finds depends on nothing else."""

    def __init__(self, every: tuple[FieldKnowledge, ...], numbers: Iterable[int]) -> None:
        fields = {number: every[number] for number in numbers}
        self._fields = fields
        self._index: dict[tuple[str, ...], list[_Entry]] = {}
        self._longest: dict[str, int] = {}
        for number, field in fields.items():
            for entry in _entries(number, field):
                self._add(words_of(entry.core), entry)
            self._add_aliases(number, field)
        self._open = [(number, field) for number, field in fields.items() if field.kinds]
        self._by_key = _fields_by_key(fields)
        self._triggers = _fields_by_trigger(fields)

    def find(self, reading: Reading) -> list[Finding]:
        """Every value that the message offers to a field, in no promised order, possibly more than once."""
        source = USER if reading.role == "user" else TALK
        found = list(self._named(reading.talk, source))
        found.extend(self._copied(reading.talk, source))
        held = ASKED if reading.role == "assistant" else FOUND
        for leaf in reading.leaves:
            found.extend(self._held(leaf, held))
        return found

    def _add(self, key: tuple[str, ...], entry: _Entry) -> None:
        if key:
            self._index.setdefault(key, []).append(entry)
            self._longest[key[0]] = max(self._longest.get(key[0], 0), len(key))

    def _add_aliases(self, number: int, field: FieldKnowledge) -> None:
        """A word that only one of the field's values has stands for that value."""
        holders: dict[str, set[str]] = {}
        for value in field.values:
            for word in set(words_of(plain_text(value))):
                holders.setdefault(word, set()).add(value)
        for word, values in holders.items():
            if len(values) == 1 and len(word) >= _SHORTEST_ALIAS and not word.isdigit():
                (value,) = values
                if len(words_of(plain_text(value))) > 1:
                    self._add((word,), _Entry(number, value, word, -1))

    def _named(self, piece: Piece, source: int) -> Iterator[Finding]:
        tokens = piece.tokens
        norms = tuple(token.norm for token in tokens)
        for first, norm in enumerate(norms):
            for length in range(1, min(self._longest.get(norm, 0), len(norms) - first) + 1):
                entries = self._index.get(norms[first : first + length])
                if entries:
                    text = phrase(piece.text, tokens, first, first + length - 1)
                    around = surroundings(piece, Span(first, first + length - 1), source)
                    for entry in entries:
                        yield Finding(entry.field, entry.value, source, (*around, _match(entry, text, source)))

    def _copied(self, piece: Piece, source: int) -> Iterator[Finding]:
        if not self._open:
            return
        for span in open_spans(piece, self._triggers, numbers_only=source != USER):
            text = phrase(piece.text, piece.tokens, span.first, span.last)
            kind = kind_of(text)
            length = span.last - span.first + 1
            around: tuple[int, ...] = ()
            wanted = self._triggers.get(span.trigger) if span.trigger else None
            for number, field in self._open:
                if kind not in field.kinds or length > field.longest or (wanted is not None and number not in wanted):
                    continue
                around = around or surroundings(piece, span, source)
                for value, mark in _written(field.shapes, text):
                    yield Finding(number, value, source, (*around, feature(source, "copied", span.why, kind, mark)))

    def _held(self, leaf: Piece, source: int) -> Iterator[Finding]:
        inner = inner_quote(leaf.text)
        texts = [("", leaf.text)] if inner is None else [("", leaf.text), inner]
        for number, same in self._by_key.get(leaf.key or "", ()):
            for before, text in texts:
                for value, mark in _written(self._fields[number].shapes, text):
                    place = feature(source, "key", same or leaf.key, inner is not None, bool(before), mark)
                    yield Finding(number, value, source, (place, feature(source, "before", same, before)))


def surroundings(piece: Piece, span: Span, source: int) -> tuple[int, ...]:
    """Features of the words around a span of free text."""
    tokens, first, last = piece.tokens, span.first, span.last
    left = tokens[first - 1].norm if first else "^"
    left2 = tokens[first - 2].norm if first > 1 else "^"
    right = tokens[last + 1].norm if last + 1 < len(tokens) else "$"
    length = last - first + 1
    whole = length == len(tokens)
    return (
        feature(source, "left", left),
        feature(source, "left2", left2, left),
        feature(source, "right", right),
        feature(source, "size", min(length, 6), whole, min(len(tokens) - length, 3)),
    )


def _entries(number: int, field: FieldKnowledge) -> Iterator[_Entry]:
    for value in field.values:
        plain = plain_text(value)
        yield _Entry(number, value, plain, 0)
        for place, shape in enumerate(field.shapes):
            core = unwrap(value, shape)
            if core and core != plain:
                yield _Entry(number, value, core, place + 1)


def _match(entry: _Entry, text: str, source: int) -> int:
    """How the text names the value: to the letter, in other letters, in other words, or by an alias."""
    if entry.shape < 0:
        return feature(source, "alias", entry.core)
    how = "same" if text == entry.core else "case" if text.lower() == entry.core.lower() else "norm"
    return feature(source, "named", how, entry.shape)


def _written(shapes: Iterable[Shape], text: str) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for place, shape in enumerate(shapes):
        value = write(text, shape)
        if value is not None and value not in seen:
            seen.add(value)
            yield value, place


def _fields_by_key(fields: Mapping[int, FieldKnowledge]) -> Mapping[str, list[tuple[int, bool]]]:
    found: dict[str, list[tuple[int, bool]]] = {}
    for number, field in fields.items():
        for key in dict.fromkeys((field.path[-1], *field.keys)):
            found.setdefault(key, []).append((number, key == field.path[-1]))
    return found


def _fields_by_trigger(fields: Mapping[int, FieldKnowledge]) -> Mapping[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, field in fields.items():
        for word in field.triggers:
            found.setdefault(word, set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}
