"""Lessons that nobody gave a reason for: a pattern put into words, where nearly all judged cases keep to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.improve.corrections import (
    FEWEST_ENTITIES,
    About,
    Answered,
    Finding,
    Kind,
    letters_of,
    shape_of,
    spaces_of,
)

KEPT_BY = 0.8
"""The share of judged cases of the same kind whose answers keep to a lesson, from which on it is proposed."""
_OFTEN = 0.3
"""The share of cases answered X by the machine that are Y, from which on the two are worth telling apart."""
_MOST_WORDS = 3
_LONGEST_VALUE = 40
_WORD = re.compile(r"[^\W\d_]{3,}")
_SAID = {
    Kind.EXTRA: {"": "leave out `{field}`"},
    Kind.COPY: {"": "copy `{field}` word for word from the conversation"},
    Kind.WHOLE: {"": "write `{field}` in full, with all the words that belong to it"},
    Kind.LETTERS: {
        "lower": "write `{field}` in lower case",
        "upper": "write `{field}` in capital letters",
        "title": "begin each word of `{field}` with a capital letter",
    },
    Kind.SPACES: {
        "apart": "put a space between the number and the letters of `{field}`",
        "joined": "put no space between the number and the letters of `{field}`",
    },
    Kind.PART: {
        "number": "write only the number for `{field}`, without the words around it",
        "word": "write `{field}` as one word, without the words around it",
        "words": "write only the name itself for `{field}`, without the words around it",
    },
}
"""What to do, by the kind of correction and the style that right answers show."""


class Pattern(Struct, frozen=True):
    """A lesson in the words of the house (None: it has none), and the share of judged cases that keep to it."""

    text: str | None
    kept: float


def pattern(about: About, found: Sequence[Finding], peers: Sequence[Answered]) -> Pattern | None:
    """The lesson in like corrections; None where too few judged cases of the kind, `peers`, keep to it.

    Values are named only where FEWEST_ENTITIES entities have them, and words of customers only where so many
    use them.
    """
    said = _answer(about, found, peers) if about.kind is Kind.ANSWER else _field(about, found)
    kept = kept_by(about, peers)
    if kept is None or kept < (_OFTEN if about.kind is Kind.ANSWER else KEPT_BY):
        return None
    if said is None:
        return Pattern(None, kept)
    where = " and ".join(f"`{name}` is `{value}`" for name, value in about.where)
    text = f"Where {where}, {said}." if where else f"{said[0].upper()}{said[1:]}."
    return Pattern(text, kept)


def kept_by(about: About, peers: Sequence[Answered]) -> float | None:
    """The share of judged cases whose right answer keeps to the lesson, of those that it speaks of; None: of none."""
    kept = [keeps for one in peers if (keeps := _keeps(about, one)) is not None]
    return sum(kept) / len(kept) if kept else None


def telling_words(found: Sequence[Finding], others: Sequence[Answered]) -> list[str]:
    """Words that several entities among the corrected cases use, and far fewer of the others; most telling first."""
    ours, theirs = _entities_by_word([one.case for one in found]), _entities_by_word(others)
    own = len({one.case.judged.case.group for one in found})
    rest = max(1, len({one.judged.case.group for one in others}))
    enough = max(FEWEST_ENTITIES, own / 2)
    telling = {word: count / own - theirs[word] / rest for word, count in ours.items() if count >= enough}
    best = sorted((word for word, lead in telling.items() if lead >= _OFTEN), key=lambda word: (-telling[word], word))
    return best[:_MOST_WORDS]


def _answer(about: About, found: Sequence[Finding], peers: Sequence[Answered]) -> str | None:
    stayed = [one for one in peers if one.given == about.given == one.judged.judgment.answer]
    words = telling_words(found, stayed)
    if not about.given or not words or max(len(about.given), len(about.right)) > _LONGEST_VALUE:
        return None
    listed = " or ".join(f"*{word}*" for word in words)
    return f"what speaks of {listed} is `{about.right}`, not `{about.given}`"


def _field(about: About, found: Sequence[Finding]) -> str | None:
    if about.kind is Kind.MISSING:
        value = _shared_value(about.field, found)
        return f"give `{about.field}` too" + (f", as `{value}`" if value else "")
    if about.kind is Kind.INSTEAD:
        return f"write `{about.right}` for `{about.field}`, not `{about.given}`" if _nameable(about) else None
    said = _SAID.get(about.kind, {}).get(about.right)
    return said.format(field=about.field) if said else None


def _keeps(about: About, one: Answered) -> bool | None:
    """Whether the right answer of a case keeps to the lesson; None: the lesson does not speak of it."""
    right = one.judged.judgment.answer
    if about.kind is Kind.ANSWER:
        return right == about.right if one.given == about.given else None
    if not isinstance(right, dict):
        return None
    if about.kind in (Kind.MISSING, Kind.EXTRA):
        return (about.field in right) == (about.kind is Kind.MISSING)
    value = right.get(about.field)
    return _value_keeps(about, value, one) if isinstance(value, str) else None


def _value_keeps(about: About, value: str, one: Answered) -> bool | None:
    given = one.given.get(about.field) if isinstance(one.given, dict) else None
    if about.kind is Kind.INSTEAD:
        return value == about.right if given == about.given else None
    if about.kind is Kind.SPACES and not spaces_of(value):
        return None
    return {
        Kind.COPY: value.casefold() in one.heard.casefold(),
        Kind.LETTERS: letters_of(value) == about.right,
        Kind.SPACES: spaces_of(value) == about.right,
        Kind.PART: shape_of(value) == about.right,
        Kind.WHOLE: not _is_shorter(value, given),
    }.get(about.kind)


def _is_shorter(value: str, given: Json) -> bool:
    return isinstance(given, str) and value != given and value.casefold() in given.casefold()


def _shared_value(field: str, found: Sequence[Finding]) -> str | None:
    """The one value that people gave to a field, where all gave the same and it is nobody's own."""
    answers = [one.case.judged.judgment.answer for one in found]
    values = {
        value if isinstance(value := answer[field], str) else "" for answer in answers if isinstance(answer, dict)
    }
    alone = next(iter(values)) if len(values) == 1 else ""
    return alone if 0 < len(alone) <= _LONGEST_VALUE and not any(map(str.isdigit, alone)) else None


def _nameable(about: About) -> bool:
    """Whether both values may stand in a lesson: short, and without a number that could be somebody's."""
    both = (about.given, about.right)
    return all(0 < len(value) <= _LONGEST_VALUE and not any(map(str.isdigit, value)) for value in both)


def _entities_by_word(cases: Sequence[Answered]) -> Counter[str]:
    """How many entities use each word; what is written with a capital may be a name and is left out."""
    users = {(one.judged.case.group, word) for one in cases for word in _WORD.findall(one.heard) if word.islower()}
    return Counter(word for _, word in users)
