"""Words as a search compares them: folded, stemmed lightly, and kept as numbers only, so that none can be read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from zlib import crc32

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_VOWEL = re.compile(r"[aeiouy]")
_SHORTEST_STEM = 3
_ENDINGS = ("ations", "ation", "ments", "ment", "ingly", "edly", "ings", "ing", "ed", "ly", "ers", "er")

_STOP_WORDS = (
    "a about after all also am an and any are as at be been before but by can could did do does done for from get had "
    "has have he her here him his how i if in into is it its just know let may me might must my no not of on one or "
    "our out shall she should so some such than that the their them then there these they this those to too up us was "
    "we were what when where which while who whom whose why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that say nothing of what is looked for."""


def counted(said: Iterable[str]) -> Counter[int]:
    """Words by number, with how often each occurs; stop words are left out."""
    return Counter(number for number in map(_number, said) if number is not None)


def others(number: int) -> tuple[int, ...]:
    """The numbers of the words that people use for the same thing as this one."""
    return _synonyms().get(number, ())


def words(text: str) -> list[str]:
    """The words of a text as they are written, folded; what is joined by humps or lines below counts as several.

    Scripts without spaces between words give pairs of neighbouring signs.
    """
    folded = unicodedata.normalize("NFKD", _HUMP.sub(" ", text)).casefold()
    plain = "".join(sign for sign in folded if not unicodedata.combining(sign)) if not folded.isascii() else folded
    found: list[str] = []
    for word in _WORD.findall(plain):
        if not word.isascii() and _UNSPACED.search(word):
            found += [left + right for left, right in pairwise(word)] or [word]
        else:
            found.append(word)
    return found


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without the endings that English bends it by. Too much is cut rather than too little."""
    word = word.partition("'")[0].partition("’")[0]
    if len(word) <= _SHORTEST_STEM or not word.isalpha() or not word.isascii():
        return word
    word = _singular(word)
    for ending in _ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= _SHORTEST_STEM and _VOWEL.search(rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    word = word.removesuffix("e")
    return f"{word[:-1]}i" if word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=1)
def _synonyms() -> dict[int, tuple[int, ...]]:
    """The words of `synonyms.txt` by number: for each the others of its groups."""
    found: dict[int, dict[int, None]] = {}
    text = files("tokencapital.store").joinpath("synonyms.txt").read_text("utf-8")
    for line in text.splitlines():
        group = list(counted(words(line))) if not line.startswith("#") else []
        for number in group:
            found.setdefault(number, {}).update(dict.fromkeys(other for other in group if other != number))
    return {number: tuple(same) for number, same in found.items()}


@lru_cache(maxsize=65_536)
def _number(word: str) -> int | None:
    return None if word in STOP_WORDS else crc32(stem(word).encode("utf-8", "surrogatepass"))
