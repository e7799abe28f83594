"""What judged answers tell of each field: its values, how they are written, and where they stood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from tokencapital.core.case import Json, Message
from tokencapital.core.judgment import JudgedCase
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.evidence import context_items
from tokencapital.models.reading import Piece, Reading, Token, inner_quote, phrase, read, tokenize
from tokencapital.models.writing import CHANGES, Shape, canonical, kind_of, plain_text, write

Path = tuple[str, ...]
_Name = TypeVar("_Name")

_MOST_SHAPES = 6
_MOST_KEYS = 6
_MOST_COMMON = 8
_SMALL_SET = 4
_MOST_TRIGGERS = 12
_NOVEL_SHARE = 0.03
_KIND_SHARE = 0.05
_KNOWN_ITEM = 5
_MANY = 30
_ALWAYS = 0.99
_FEW = 6
"""Below this many groups a single one is enough to believe in a value or a shape."""


class Origin(NamedTuple):
    """Where a value came from: the piece, the span's text and first token, and the shape that writes it."""

    role: str
    piece: Piece
    text: str
    first: int
    shape: Shape


class Observation(NamedTuple):
    """One field of one judged answer, with how its conversation could have given the value.

    `shapes` holds each shape with the core that it wraps, `keys` the JSON keys that held the value,
    `before` the words that a user said before it, `copied` the kind and number of words of a span
    that is the whole value; None: there is none.
    """

    path: Path
    value: str
    group: str
    items: tuple[str, ...]
    shapes: tuple[tuple[Shape, str], ...]
    keys: frozenset[str]
    before: frozenset[str]
    copied: tuple[str, int] | None

    @property
    def said(self) -> bool:
        """Whether the conversation holds words of the value."""
        return bool(self.shapes)


def flatten(answer: dict[str, Json], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The fields of an object as (path, JSON text of the value); objects within are opened, lists are not."""
    for name, value in answer.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, (*path, name))
        else:
            yield (*path, name), canonical(value)


def observe(judged: Sequence[JudgedCase], readings: dict[Message, Reading]) -> list[list[Observation]]:
    """The fields of each judged answer; none where the answer is no object. `readings` gets every message read."""
    return [_observe(one, readings) for one in judged]


def learn_fields(
    observed: Sequence[Sequence[Observation]],
) -> tuple[tuple[FieldKnowledge, ...], dict[str, tuple[int, ...]]]:
    """The fields of observed answers, and for each known item of context the numbers of those seen under it."""
    by_path: dict[Path, list[Observation]] = {}
    under: dict[str, set[Path]] = {}
    times: Counter[str] = Counter()
    for answer in observed:
        if answer:
            times.update(answer[0].items)
        for one in answer:
            by_path.setdefault(one.path, []).append(one)
            for item in one.items:
                under.setdefault(item, set()).add(one.path)
    paths = sorted(by_path)
    number = {path: place for place, path in enumerate(paths)}
    contexts = {
        item: tuple(sorted(number[path] for path in found))
        for item, found in sorted(under.items())
        if times[item] >= _KNOWN_ITEM
    }
    return tuple(_conclude(path, by_path[path], times) for path in paths), contexts


def _observe(one: JudgedCase, readings: dict[Message, Reading]) -> list[Observation]:
    answer = one.judgment.answer
    if not isinstance(answer, dict):
        return []
    items = tuple(context_items(one.case.context))
    words = _Words(one.case.messages, readings)
    return [_field(path, value, one.case.group, items, words) for path, value in flatten(answer)]


def _field(path: Path, value: str, group: str, items: tuple[str, ...], words: _Words) -> Observation:
    origins = list(_origins(value, words))
    bare = [origin for origin in origins if _is_bare(origin.shape)]
    shapes = {(origin.shape, origin.text.lower()) for origin in origins}
    shapes.update(_step(value, words, path[-1]))
    return Observation(
        path=path,
        value=value,
        group=group,
        items=items,
        shapes=tuple(shapes),
        keys=frozenset(words.holders.get(plain_text(value), ())),
        before=frozenset(o.piece.tokens[o.first - 1].norm for o in bare if o.role == "user" and o.first),
        copied=(kind_of(bare[0].text), len(tokenize(bare[0].text))) if bare else None,
    )


class _Words:
    """Every word of a conversation with the pieces and places where it stands; what JSON keys hold, latest last."""

    def __init__(self, messages: Sequence[Message], readings: dict[Message, Reading]) -> None:
        self.latest: dict[str, str] = {}
        self.holders: dict[str, set[str]] = {}
        self.places: dict[str, list[tuple[str, Piece, int]]] = {}
        for message in messages:
            reading = readings.get(message)
            if reading is None:
                reading = readings[message] = read(message)
            for leaf in reading.leaves:
                self._hold(leaf)
            for piece in (reading.talk, *reading.leaves):
                for at, token in enumerate(piece.tokens):
                    self.places.setdefault(token.norm, []).append((reading.role, piece, at))

    def _hold(self, leaf: Piece) -> None:
        key = leaf.key or ""
        self.latest[key] = leaf.text
        self.holders.setdefault(leaf.text, set()).add(key)
        inner = inner_quote(leaf.text)
        if inner is not None:
            self.holders.setdefault(inner[1], set()).add(key)


def _step(value: str, words: _Words, key: str) -> list[tuple[Shape, str]]:
    """Whether the value is the one after that of the latest JSON with the field's own key."""
    latest = words.latest.get(key)
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


def _conclude(path: Path, seen: list[Observation], times: Mapping[str, int]) -> FieldKnowledge:
    groups = _by_group((one.value, one.group) for one in seen)
    total = len({one.group for one in seen})
    least = 1 if total < _FEW else 2
    novel = [one for one in seen if len(groups[one.value]) < 2]
    kinds, longest = _open_kinds(novel) if len(novel) > _NOVEL_SHARE * len(seen) else ((), 0)
    keys = _by_group((key, one.group) for one in seen for key in one.keys)
    before = _by_group((word, one.group) for one in seen for word in one.before)
    return FieldKnowledge(
        path=path,
        values={value: len(found) for value, found in sorted(groups.items()) if len(found) >= least},
        shapes=_shapes(seen, total),
        kinds=kinds,
        common=_common(seen, total),
        longest=longest,
        keys=_frequent(keys, max(2, 0.05 * total), _MOST_KEYS),
        triggers=_frequent(before, max(2, 0.01 * total), _MOST_TRIGGERS) if kinds else (),
        required=_required(seen, times),
    )


def _required(seen: list[Observation], times: Mapping[str, int]) -> tuple[str, ...]:
    """Items of context under which the field was present nearly every one of the `times` that they were met."""
    present = Counter(item for one in seen for item in one.items)
    enough = {item: count for item, count in present.items() if times[item] >= _MANY}
    return tuple(sorted(item for item, count in enough.items() if count >= _ALWAYS * times[item]))


def _common(seen: list[Observation], total: int) -> tuple[str, ...]:
    """Values to offer always: all of a small set, else those often right although nobody said them."""
    values = sorted({one.value for one in seen})
    if len(values) <= _SMALL_SET:
        return tuple(values)
    unsaid = _by_group((one.value, one.group) for one in seen if not one.said)
    return _frequent(unsaid, 1 if total < _FEW else max(2, 0.01 * total), _MOST_COMMON)


def _by_group(pairs: Iterable[tuple[_Name, str]]) -> dict[_Name, set[str]]:
    found: dict[_Name, set[str]] = {}
    for name, group in pairs:
        found.setdefault(name, set()).add(group)
    return found


def _shapes(seen: list[Observation], total: int) -> tuple[Shape, ...]:
    least = 1 if total < _FEW else max(2, 0.005 * total)
    groups = _by_group((shape, one.group) for one in seen for shape, _ in one.shapes)
    cores = _by_group((shape, core) for one in seen for shape, core in one.shapes)
    kept = [
        shape for shape, found in groups.items() if len(found) >= least and (_is_bare(shape) or len(cores[shape]) >= 2)
    ]
    kept.sort(key=lambda shape: (-len(groups[shape]), shape.change, shape.prefix, shape.suffix))
    return tuple(kept[:_MOST_SHAPES])


def _is_bare(shape: Shape) -> bool:
    return shape.prefix == shape.suffix and shape.prefix in {"", '"'}


def _open_kinds(novel: list[Observation]) -> tuple[tuple[str, ...], int]:
    """The kinds of span that unseen values were copied from, and the words that nearly all stay within."""
    copied = [one.copied for one in novel if one.copied is not None]
    if not copied:
        return (), 0
    kinds = Counter(kind for kind, _ in copied)
    lengths = sorted(length for _, length in copied)
    kept = tuple(sorted(kind for kind, times in kinds.items() if times >= _KIND_SHARE * len(copied)))
    return kept, lengths[min(len(lengths) - 1, int(0.97 * len(lengths)))]


def _frequent(found: dict[str, set[str]], least: float, most: int) -> tuple[str, ...]:
    kept = sorted((name for name in found if len(found[name]) >= least), key=lambda name: (-len(found[name]), name))
    return tuple(kept[:most])
