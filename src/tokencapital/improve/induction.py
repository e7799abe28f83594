"""What judged answers tell of each field: its values, how they are written, and where in the conversation they stood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokencapital.core.case import Json, Message
from tokencapital.core.judgment import JudgedCase
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.ranking import context_items
from tokencapital.models.reading import Piece, Reading, Token, inner_quote, phrase, read, tokenize
from tokencapital.models.writing import CHANGES, Shape, canonical, kind_of, plain_text, write

Path = tuple[str, ...]

_MOST_SHAPES = 6
_MOST_KEYS = 6
_MOST_TRIGGERS = 12
_NOVEL_SHARE = 0.03
_KIND_SHARE = 0.05
_KNOWN_ITEM = 3
_FEW = 6
"""Below this many groups a single one is enough to believe in a value or a shape."""


class Origin(NamedTuple):
    """Where a value came from: the piece, the span's text and first token, and the shape that writes it."""

    role: str
    piece: Piece
    text: str
    first: int
    shape: Shape


class _Tally:
    """Counts over the groups in which a field was judged present."""

    def __init__(self) -> None:
        self.groups: set[str] = set()
        self.values: dict[str, set[str]] = {}
        self.shapes: dict[Shape, set[str]] = {}
        self.cores: dict[Shape, set[str]] = {}
        self.keys: dict[str, set[str]] = {}
        self.origins: list[tuple[str, str, list[Origin]]] = []


def flatten(answer: dict[str, Json], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The fields of an object as (path, JSON text of the value); objects within are opened, lists are not."""
    for name, value in answer.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, (*path, name))
        else:
            yield (*path, name), canonical(value)


def learn_fields(
    judged: Sequence[JudgedCase], readings: dict[Message, Reading]
) -> tuple[tuple[FieldKnowledge, ...], dict[str, tuple[int, ...]]]:
    """The fields of the judged answers, and for each known item of context the numbers of those seen under it.

    `readings` keeps messages already read between calls.
    """
    tallies: dict[Path, _Tally] = {}
    under: dict[str, set[Path]] = {}
    times: Counter[str] = Counter()
    for one in judged:
        answer = one.judgment.answer
        if not isinstance(answer, dict):
            continue
        items = context_items(one.case.context)
        times.update(items)
        words = _Words(one.case.messages, readings)
        for path, value in flatten(answer):
            _count(tallies.setdefault(path, _Tally()), value, one.case.group, words, path[-1])
            for item in items:
                under.setdefault(item, set()).add(path)
    paths = sorted(tallies)
    number = {path: place for place, path in enumerate(paths)}
    contexts = {
        item: tuple(sorted(number[path] for path in found)) for item, found in sorted(under.items()) if times[item] >= _KNOWN_ITEM
    }
    return tuple(_conclude(path, tallies[path]) for path in paths), contexts


class _Words:
    """Every word of a conversation with the pieces and places where it stands."""

    def __init__(self, messages: Sequence[Message], readings: dict[Message, Reading]) -> None:
        self.leaves: list[Piece] = []
        self.places: dict[str, list[tuple[str, Piece, int]]] = {}
        for message in messages:
            reading = readings.get(message)
            if reading is None:
                reading = readings[message] = read(message)
            self.leaves.extend(reading.leaves)
            for piece in (reading.talk, *reading.leaves):
                for at, token in enumerate(piece.tokens):
                    self.places.setdefault(token.norm, []).append((reading.role, piece, at))


def _count(tally: _Tally, value: str, group: str, words: _Words, key: str) -> None:
    tally.groups.add(group)
    tally.values.setdefault(value, set()).add(group)
    origins = list(_origins(value, words))
    step = _step(value, words, key)
    for shape, core in [*((o.shape, o.text) for o in origins), *step]:
        tally.shapes.setdefault(shape, set()).add(group)
        tally.cores.setdefault(shape, set()).add(core.lower())
    for leaf in words.leaves:
        if leaf.key is not None and _holds(leaf, value):
            tally.keys.setdefault(leaf.key, set()).add(group)
    tally.origins.append((value, group, origins))


def _holds(leaf: Piece, value: str) -> bool:
    plain = plain_text(value)
    inner = inner_quote(leaf.text)
    return leaf.text == plain or (inner is not None and inner[1] == plain)


def _step(value: str, words: _Words, key: str) -> list[tuple[Shape, str]]:
    """Whether the value is the one after that of the latest JSON with the field's own key."""
    latest = next((leaf.text for leaf in reversed(words.leaves) if leaf.key == key), None)
    quote = '"' if value.startswith('"') else ""
    shape = Shape("next", quote, quote)
    return [(shape, latest)] if latest is not None and write(latest, shape) == value else []


def _origins(value: str, words: _Words) -> Iterator[Origin]:
    """The longest runs of words that a value shares with the conversation, where a known change writes them."""
    tokens = tokenize(value)
    best = 0
    found: list[tuple[str, Piece, int, int, int]] = []
    for start in range(len(tokens)):
        for role, piece, at in words.places.get(tokens[start].norm, ()):
            length = _run(tokens, start, piece.tokens, at)
            if length > best:
                best, found = length, []
            if length == best:
                found.append((role, piece, at, start, length))
    for role, piece, at, start, length in found:
        text = phrase(piece.text, piece.tokens, at, at + length - 1)
        shape = _shape(value, tokens[start].start, tokens[start + length - 1].end, text)
        if shape is not None:
            yield Origin(role, piece, text, at, shape)


def _run(left: Sequence[Token], start: int, right: Sequence[Token], at: int) -> int:
    length = 0
    while (
        start + length < len(left) and at + length < len(right) and left[start + length].norm == right[at + length].norm
    ):
        length += 1
    return length


def _shape(value: str, begin: int, end: int, text: str) -> Shape | None:
    core = value[begin:end]
    for change in CHANGES:
        if change != "next" and CHANGES[change](text) == core:
            return Shape(change, value[:begin], value[end:])
    return None


def _conclude(path: Path, tally: _Tally) -> FieldKnowledge:
    total = len(tally.groups)
    least = 1 if total < _FEW else 2
    values = {value: len(groups) for value, groups in sorted(tally.values.items()) if len(groups) >= least}
    novel = [(value, origins) for value, _, origins in tally.origins if len(tally.values[value]) < 2]
    kinds, longest = _open_kinds(novel) if len(novel) > _NOVEL_SHARE * len(tally.origins) else ((), 0)
    return FieldKnowledge(
        path=path,
        values=values,
        shapes=_shapes(tally, total),
        kinds=kinds,
        longest=longest,
        keys=_frequent(tally.keys, max(2, 0.05 * total), _MOST_KEYS),
        triggers=_triggers(tally) if kinds else (),
    )


def _shapes(tally: _Tally, total: int) -> tuple[Shape, ...]:
    least = 1 if total < _FEW else max(2, 0.005 * total)
    kept = [
        shape
        for shape, groups in tally.shapes.items()
        if len(groups) >= least and (_is_bare(shape) or len(tally.cores[shape]) >= 2)
    ]
    kept.sort(key=lambda shape: (-len(tally.shapes[shape]), shape.change, shape.prefix, shape.suffix))
    return tuple(kept[:_MOST_SHAPES])


def _is_bare(shape: Shape) -> bool:
    return shape.prefix == shape.suffix and shape.prefix in {"", '"'}


def _open_kinds(novel: list[tuple[str, list[Origin]]]) -> tuple[tuple[str, ...], int]:
    kinds: Counter[str] = Counter()
    lengths: list[int] = []
    for _, origins in novel:
        whole = [origin for origin in origins if _is_bare(origin.shape)]
        if whole:
            kinds[kind_of(whole[0].text)] += 1
            lengths.append(len(tokenize(whole[0].text)))
    if not lengths:
        return (), 0
    total = sum(kinds.values())
    lengths.sort()
    kept = tuple(sorted(kind for kind, times in kinds.items() if times >= _KIND_SHARE * total))
    return kept, lengths[min(len(lengths) - 1, int(0.97 * len(lengths)))]


def _triggers(tally: _Tally) -> tuple[str, ...]:
    before: dict[str, set[str]] = {}
    for _, group, origins in tally.origins:
        for origin in origins:
            if origin.role == "user" and origin.first and _is_bare(origin.shape):
                before.setdefault(origin.piece.tokens[origin.first - 1].norm, set()).add(group)
    return _frequent(before, max(2, 0.01 * len(tally.groups)), _MOST_TRIGGERS)


def _frequent(found: dict[str, set[str]], least: float, most: int) -> tuple[str, ...]:
    kept = sorted((name for name in found if len(found[name]) >= least), key=lambda name: (-len(found[name]), name))
    return tuple(kept[:most])
