"""Whether a pattern that somebody wrote can take very long: it is tried on texts made to slow it down.

Python's regular expressions may go back and try again, for some patterns twice as often with each further letter. A
text that slows one down looks right for long and then is not: what leads up to a repetition, the repetition many times
over, and an end that does not fit. Such texts are made from the pattern itself and grow until they are long enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from time import perf_counter
from typing import Any

_LENGTHS = (*range(4, 32, 2), *(2**power for power in range(5, 15)))
_SLOW_S = 0.05
"""So long at most a text of 16,384 letters may take: a call's text is seldom longer, and there may be many."""
_ENDS = ("\0", "")
_LETTERS = {op.CATEGORY_DIGIT: "0", op.CATEGORY_SPACE: " ", op.CATEGORY_WORD: "a"}
_MOST_TEXTS = 64


def check_pattern(name: str, pattern: str) -> None:
    """Returns where the pattern can be used. Raises ValueError where it is none, finds nothing, or can take long."""
    try:
        compiled = re.compile(pattern)
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern `{name}` is no regular expression: {error}") from error
    if compiled.search("") is not None:
        raise ValueError(f"the pattern `{name}` also fits where there is nothing: let it ask for a letter at least")
    for before, pump in _texts(tree):
        if _slows(compiled, before, pump):
            raise ValueError(
                f"the pattern `{name}` can take very long on some text, such as `{pump}` many times over: let it begin "
                "with `\\b`, say how often at most (`{1,40}` for `+`), and repeat nothing that repeats itself"
            )


def _slows(pattern: re.Pattern[str], before: str, pump: str) -> bool:
    for end in _ENDS:
        for length in _LENGTHS:
            text = before + pump * (length // len(pump) + 1) + end
            started = perf_counter()
            pattern.search(text)
            if perf_counter() - started > _SLOW_S and _takes_long(pattern, text):
                return True
    return False


def _takes_long(pattern: re.Pattern[str], text: str) -> bool:
    """Whether it was the pattern and not a busy machine."""
    times = []
    for _ in range(2):
        started = perf_counter()
        pattern.search(text)
        times.append(perf_counter() - started)
    return min(times) > _SLOW_S


def _texts(tree: Any) -> list[tuple[str, str]]:
    """What leads up to each repetition, and what it repeats; the pattern's own beginning many times over, too."""
    found = dict.fromkeys(_pumps(tree, ""))
    whole = _example(tree)
    more = [("", whole), *(("", pump) for _, pump in found), *(("", before + pump) for before, pump in found)]
    found |= dict.fromkeys(more)
    return [(before, pump) for before, pump in found if pump][:_MOST_TEXTS]


def _pumps(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    for kind, value in tree:
        for body in _bodies(kind, value):
            if kind in _REPEATS:
                for letter in _choices(body):
                    yield before, letter
            yield from _pumps(body, before)
        before += _example([(kind, value)])


_REPEATS = frozenset({op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT})


def _bodies(kind: Any, value: Any) -> list[Any]:
    """The parts that a node of a pattern is made of."""
    if kind in _REPEATS:
        return [value[2]]
    if kind is op.SUBPATTERN:
        return [value[3]]
    if kind is op.BRANCH:
        return list(value[1])
    if kind is op.ATOMIC_GROUP:
        return [value]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [value[1]]
    return []


def _choices(tree: Any) -> list[str]:
    """Some texts that fit, different ones where there are several kinds."""
    found = [_example(tree)]
    for kind, value in tree:
        if kind is op.IN:
            found += [_letter([one]) for one in value if one[0] is not op.NEGATE]
        elif kind is op.BRANCH:
            found += [_example(one) for one in value[1]]
        elif kind is op.SUBPATTERN:
            found += _choices(value[3])
    return list(dict.fromkeys(one for one in found if one))


def _example(tree: Any) -> str:
    """A text that most likely fits; what looks around adds nothing."""
    return "".join(_piece(kind, value) for kind, value in tree)


def _piece(kind: Any, value: Any) -> str:
    made = _PIECES.get(kind)
    return made(value) if made else ""


def _letter(choices: Any) -> str:
    """A letter that is one of the choices."""
    if choices[0][0] is op.NEGATE:
        excluded = re.compile("[" + "".join(map(re.escape, _written(choices[1:]))) + "]")
        return next((letter for letter in "aA0 -_.,\n\t~" if not excluded.match(letter)), "é")
    return next(iter(_written(choices)), "")


def _written(choices: Any) -> Iterator[str]:
    for kind, value in choices:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.RANGE:
            yield chr(value[0])
            yield chr(value[1])
        elif kind is op.CATEGORY:
            yield _LETTERS.get(value, "-")


_PIECES: dict[Any, Callable[[Any], str]] = {
    op.LITERAL: chr,
    op.NOT_LITERAL: lambda value: "b" if chr(value) == "a" else "a",
    op.ANY: lambda _: "a",
    op.IN: _letter,
    op.BRANCH: lambda value: _example(value[1][0]),
    op.SUBPATTERN: lambda value: _example(value[3]),
    op.ATOMIC_GROUP: _example,
    **dict.fromkeys(_REPEATS, lambda value: _example(value[2]) * min(max(int(value[0]), 1), 64)),
}
