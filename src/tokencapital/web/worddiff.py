"""What changed between two texts, word by word: what the page's script shows while somebody types."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from msgspec import Struct

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4_000


class Piece(Struct, frozen=True):
    """A stretch of text that was `kept`, `added` or `removed`."""

    change: str
    text: str


def word_diff(before: str, after: str) -> list[Piece]:
    """The pieces in reading order: those kept and removed make up `before`, those kept and added `after`.

    Texts of more than 4,000 words are compared line by line.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    pieces: list[Piece] = []
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("kept", "".join(old[a0:a1])))
            continue
        if a1 > a0:
            pieces.append(Piece("removed", "".join(old[a0:a1])))
        if b1 > b0:
            pieces.append(Piece("added", "".join(new[b0:b1])))
    return pieces
