"""In which way a person's answer differs from the machine's, so that like corrections can be put together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json, Value
from tokencapital.core.judgment import JudgedCase

FEWEST_ENTITIES = 3
"""What fewer entities show may be a customer's own affair; what so many share is a habit."""
_MOST_KINDS = 24
_LONGEST_NAME = 40
_DIGIT = re.compile(r"\d")
_SIGNS = re.compile(r"[\W_]+")
_NUMBER_SPACED = re.compile(r"\d\s+[^\W\d]|[^\W\d]\s+\d")
_NUMBER_JOINED = re.compile(r"\d[^\W\d]|[^\W\d]\d")


class Kind(StrEnum):
    """How an answer differs."""

    SAME = "same"
    ANSWER = "answer"
    MISSING = "missing"
    EXTRA = "extra"
    INSTEAD = "instead"
    COPY = "copy"
    PART = "part"
    WHOLE = "whole"
    LETTERS = "letters"
    SPACES = "spaces"


class About(Struct, frozen=True, kw_only=True):
    """What like corrections have in common.

    `field` is empty but for objects. `given` and `right` are the two answers or values where these are what
    recurs, or the style that `right` shows. `where` is the kind of work, by name and value of its context.
    """

    kind: Kind
    field: str = ""
    given: str = ""
    right: str = ""
    where: tuple[tuple[str, str], ...] = ()


class Answered(Struct, frozen=True):
    """A judged case with what the machine had answered; None: nothing."""

    judged: JudgedCase
    given: Value

    @property
    def heard(self) -> str:
        """All that came in, in one text."""
        case = self.judged.case
        return "\n".join([*(message.content for message in case.messages), *map(str, case.context.values())])


class Finding(Struct, frozen=True):
    """One way in which a case was corrected."""

    about: About
    case: Answered

    @property
    def reason(self) -> str | None:
        """Why, as the person said; None: nothing was said."""
        return self.case.judged.judgment.reason or None


def kinds_of_work(answered: Sequence[Answered]) -> tuple[str, ...]:
    """The names in the context that tell kinds of work apart: few values, each a name. One of several that say
    the same is enough."""
    values: dict[str, list[Json]] = defaultdict(list)
    for one in answered:
        for name, value in one.judged.case.context.items():
            values[name].append(value)
    found: dict[tuple[Json, ...], str] = {}
    for name, seen in sorted(values.items()):
        if len(seen) == len(answered) and all(map(_is_name, seen)) and 1 < len(set(seen)) <= _MOST_KINDS:
            found.setdefault(tuple(seen), name)
    return tuple(sorted(found.values()))


def findings(answered: Sequence[Answered]) -> list[Finding]:
    """Every way in which a case was corrected, and every case that was said to be right with a reason."""
    names = kinds_of_work(answered)
    return [finding for one in answered for finding in _findings(one, where_of(one, names))]


def where_of(one: Answered, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The kind of work that a case is of."""
    return tuple((name, str(one.judged.case.context[name])) for name in names)


def _findings(one: Answered, where: tuple[tuple[str, str], ...]) -> Iterator[Finding]:
    given, judgment = one.given, one.judged.judgment
    right = judgment.answer
    if given == right or right is None:
        if judgment.reason and right is not None:
            yield Finding(About(kind=Kind.SAME, right=right if isinstance(right, str) else "", where=where), one)
    elif isinstance(right, dict) and isinstance(given, dict):
        for about in _fields(given, right, one.heard):
            yield Finding(msgspec.structs.replace(about, where=where), one)
    elif isinstance(right, str) and isinstance(given, str):
        yield Finding(About(kind=Kind.ANSWER, given=given, right=right, where=where), one)
    elif judgment.reason:
        yield Finding(About(kind=Kind.ANSWER, right=right if isinstance(right, str) else "", where=where), one)


def _fields(given: Mapping[str, Json], right: Mapping[str, Json], heard: str) -> Iterator[About]:
    for name in sorted({*given, *right}):
        if name not in given:
            yield About(kind=Kind.MISSING, field=name)
        elif name not in right:
            yield About(kind=Kind.EXTRA, field=name)
        elif given[name] != right[name]:
            yield value_difference(name, given[name], right[name], heard)


def value_difference(field: str, given: Json, right: Json, heard: str) -> About:
    """In which way a field's value was corrected; `heard` is what came in."""
    if not isinstance(given, str) or not isinstance(right, str):
        return About(kind=Kind.INSTEAD, field=field, given=_label(given), right=_label(right))
    ours, theirs, said = given.casefold(), right.casefold(), heard.casefold()
    differences = (
        (ours == theirs, About(kind=Kind.LETTERS, field=field, right=letters_of(right))),
        (_bare(ours) == _bare(theirs), About(kind=Kind.SPACES, field=field, right=spaces_of(right))),
        (bool(theirs) and theirs in ours, About(kind=Kind.PART, field=field, right=shape_of(right))),
        (bool(ours) and ours in theirs, About(kind=Kind.WHOLE, field=field)),
        (theirs in said and ours not in said, About(kind=Kind.COPY, field=field)),
    )
    other = About(kind=Kind.INSTEAD, field=field, given=given, right=right)
    return next((about for differs, about in differences if differs), other)


def letters_of(value: str) -> str:
    """How a value is written: `lower`, `upper`, `title`, or empty for anything else."""
    styles = {"lower": value.islower(), "upper": value.isupper(), "title": value.istitle()}
    return next((name for name, has in styles.items() if has), "")


def spaces_of(value: str) -> str:
    """Whether a number stands `apart` from letters or is `joined` to them; empty: neither or both."""
    apart, joined = bool(_NUMBER_SPACED.search(value)), bool(_NUMBER_JOINED.search(value))
    return "" if apart == joined else "apart" if apart else "joined"


def shape_of(value: str) -> str:
    """`number`, `word` or `words`."""
    return "number" if value.isdigit() else "words" if " " in value.strip() else "word"


def _bare(value: str) -> str:
    return _SIGNS.sub("", value)


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and not _DIGIT.search(value)


def _label(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
