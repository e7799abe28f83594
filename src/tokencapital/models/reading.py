"""A message as a reader of values sees it: words with their places, and the leaves of any JSON in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokencapital.core.case import Json, Message

_TOKEN = re.compile(
    r"(?P<half>[ap]\.\s?m\b\.?)"
    r"|(?P<number>\d+)(?P<tail>:00(?!\d)|(?:st|nd|rd|th)\b)?"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
    r"|(?P<mark>[^\w\s]|_)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'(?P<before>[^"]*)"(?P<inner>[^"]*)"[^"]*')
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_TENS = {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90"}
NUMBER_WORDS = {
    **{word: str(number) for number, word in enumerate(_UNITS.split())},
    **{word: str(number) for number, word in enumerate(_ORDINALS.split())},
    **_TENS,
}
_DEPTH = 6


class Token(NamedTuple):
    """A word or number: `norm` as it is compared, its place in the text, and whether a mark stands before it."""

    norm: str
    start: int
    end: int
    after_mark: bool


class Piece(NamedTuple):
    """A stretch of free text (`key` None), or one leaf of a JSON object under its `key`."""

    key: str | None
    text: str
    tokens: tuple[Token, ...]


class Reading(NamedTuple):
    """A message taken apart; `talk` is its free text, `structured` whether it carries a JSON object."""

    role: str
    talk: Piece
    leaves: tuple[Piece, ...]

    @property
    def structured(self) -> bool:
        """Whether the message carries a JSON object."""
        return bool(self.leaves)


def tokenize(text: str) -> tuple[Token, ...]:
    """The words and numbers of a text in order; `7:00`, `7th` and `seven` have the same norm `7`."""
    tokens: list[Token] = []
    mark = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "mark":
            mark = True
            continue
        tokens.append(Token(_norm(match), match.start(), match.end(), mark))
        mark = False
    return tuple(tokens)


def words_of(text: str) -> tuple[str, ...]:
    """The norms of a text's tokens: equal for two texts that name the same thing in other letters."""
    return tuple(token.norm for token in tokenize(text))


def read(message: Message) -> Reading:
    """The free text of a message and the leaves of the first JSON object in it, if there is one."""
    content = message.content
    at = content.find("{")
    if at >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(content, at)
        except ValueError:
            pass
        else:
            rest = f"{content[:at]} {content[end:]}".strip()
            return Reading(message.role, _piece(None, rest), tuple(_leaves(found, "", _DEPTH)))
    return Reading(message.role, _piece(None, content), ())


def inner_quote(text: str) -> tuple[str, str] | None:
    """(what stands before, what stands inside) the only pair of quotes of a text; None: not exactly one pair."""
    match = _QUOTED.fullmatch(text)
    return (match["before"], match["inner"]) if match else None


def phrase(text: str, tokens: Sequence[Token], first: int, last: int) -> str:
    """The text from token `first` up to and including token `last`."""
    return text[tokens[first].start : tokens[last].end]


def _norm(match: re.Match[str]) -> str:
    if match["half"]:
        return match["half"][0].lower() + "m"
    if match["number"]:
        return match["number"]
    word = match["word"].lower()
    return NUMBER_WORDS.get(word, word)


def _piece(key: str | None, text: str) -> Piece:
    return Piece(key, text, tokenize(text))


def _leaves(value: Json, key: str, depth: int) -> Iterator[Piece]:
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield from _leaves(inner, name, depth - 1)
    elif isinstance(value, list) and depth and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _leaves(item, key, depth - 1)
    elif value is not None:
        yield _piece(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
