"""Citations in an answer's words: each is checked to name a passage that was shown and holds, or it is taken out.

A generalist may write `[1]`, by the number that a passage had in its prompt, or the passage's id; what goes
out has ids only, as `[psg_…]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Json, Value
from tokencapital.core.knowledge import PASSAGE_ID, Citation, PassageHit
from tokencapital.serve.ports import PassageReader

_ID = rf"{PASSAGE_ID}_\w*+"
_ITEM = rf"(?:(?:passages?|sources?)\s*+:?\s*+)?[#^]?(?:\d{{1,3}}(?!\d)|{_ID})"
_BETWEEN = r"(?:\s*+[,;&]\s*+(?:and\s++)?|\s++and\s++|\s++)"


def _pattern(item: str) -> re.Pattern[str]:
    """Items in brackets, one bracket or several in a row, or an id alone; with the blanks before them.

    Repeats are possessive, so that no text takes long, whatever is in it.
    """
    group = rf"[\[【]\s*+{item}(?:{_BETWEEN}{item})*+\s*+[\]】]"
    return re.compile(rf"(?<![ \t])[ \t]*+(?:{group}(?:[ \t]*+{group})*+|{_ID})", re.IGNORECASE)


_WITH_NUMBERS, _WITHOUT_NUMBERS = _pattern(_ITEM), _pattern(_ID)
_NAMED = re.compile(rf"{_ID}|\d+", re.IGNORECASE)
_MENTIONED = re.compile(_ID, re.IGNORECASE)
_MOST_PASSES = 50


class Cited(Struct, frozen=True):
    """Words whose every citation is real: the ids cited, by first mention, and how many others were taken out."""

    text: str
    passages: tuple[str, ...] = ()
    removed: int = 0


class Checked(Struct, frozen=True):
    """An answer that cites nothing that does not exist."""

    answer: Answer
    citations: tuple[Citation, ...] = ()
    removed: int = 0


def check_answer(answer: Answer, shown: Sequence[PassageHit], reader: PassageReader | None, now: datetime) -> Checked:
    """The answer with its real citations among what it rests on, and without the others.

    What the generalist wrote may cite what it was shown, anything else what holds at the time `now`. Where
    nothing is left of a text, nobody has answered.
    """
    by_generalist = answer.source is Stage.GENERALIST
    numbered = [one.id for one in shown] if by_generalist else []
    citable = set(numbered) if by_generalist else mentioned(answer.value)
    standing = reader.standing(sorted(citable), now) if reader is not None and citable else {}
    value, cited, removed = _cited_value(answer.value, numbered, standing)
    if value == "" and removed:
        return Checked(Answer(value=None, stage=Stage.PERSON), removed=removed)
    because = (*answer.because, *(one for one in cited if one not in answer.because))
    checked = msgspec.structs.replace(answer, value=value, because=because)
    return Checked(checked, tuple(standing[one] for one in cited), removed)


def cite(text: str, numbered: Sequence[str], standing: Mapping[str, Citation]) -> Cited:
    """The text with every citation of a passage in `standing` as `[psg_…]`, and every other one taken out.

    `[n]` names the n-th of `numbered`; where that is empty, numbers in brackets are no citations.
    """
    pattern = _WITH_NUMBERS if numbered else _WITHOUT_NUMBERS
    cited: dict[str, None] = {}
    removed = 0

    def write(found: re.Match[str]) -> str:
        nonlocal removed
        names = [_id_of(one, numbered) for one in _NAMED.findall(found.group())]
        real = [one for one in names if one is not None and one in standing]
        removed += len(names) - len(real)
        space = found.group()[: len(found.group()) - len(found.group().lstrip(" \t"))]
        return space + "".join(f"[{one}]" for one in dict.fromkeys(real)) if real else ""

    for _ in range(_MOST_PASSES):
        written = pattern.sub(write, text)
        if written == text:
            break
        text = written
    else:  # brackets within brackets without end: no citation of such a text is to be trusted
        text, removed = re.sub(rf"{PASSAGE_ID}_|[\[\]【】]", "", text, flags=re.IGNORECASE), removed + 1
    for one in _MENTIONED.findall(text):
        cited[one] = None
    return Cited(text, tuple(cited), removed)


def mentioned(value: Value | Json) -> set[str]:
    """Whatever looks like the id of a passage in an answer."""
    if isinstance(value, str):
        return {one.lower() for one in _MENTIONED.findall(value)}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {one for part in parts for one in mentioned(part)}


def _cited_value(
    value: Json, numbered: Sequence[str], standing: Mapping[str, Citation]
) -> tuple[Json, tuple[str, ...], int]:
    """A text with its citations checked; of an object every text in it, where numbers are no citations."""
    if isinstance(value, str):
        found = cite(value, numbered, standing)
        return found.text.strip() if found.removed else found.text, found.passages, found.removed
    if isinstance(value, dict):
        parts = {name: _cited_value(part, (), standing) for name, part in value.items()}
        return {name: part[0] for name, part in parts.items()}, *_joined(list(parts.values()))
    if isinstance(value, list):
        items = [_cited_value(part, (), standing) for part in value]
        return [item[0] for item in items], *_joined(items)
    return value, (), 0


def _joined(parts: Sequence[tuple[Json, tuple[str, ...], int]]) -> tuple[tuple[str, ...], int]:
    ids = dict.fromkeys(one for part in parts for one in part[1])
    return tuple(ids), sum(part[2] for part in parts)


def _id_of(name: str, numbered: Sequence[str]) -> str | None:
    if not name.isdigit():
        return name.lower()
    place = int(name) - 1
    return numbered[place] if 0 <= place < len(numbered) else None
