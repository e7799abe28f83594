"""Blocks of a document packed into passages: of one heading, of a size to read, and nothing cut in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from tokencapital.core.knowledge import Piece

FEWEST_WORDS, MOST_WORDS = 80, 200
"""A passage is closed once it has so many words, and before it would have more than that."""

_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\W_])|(?<=[。！？])")
_SHORTENED = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|etc|cf|vs|approx|no|nr|mr|mrs|ms|dr|prof|st|fig|p|pp|z\.b|[a-z])\.$", re.IGNORECASE
)


class Block(Struct, frozen=True):
    """A paragraph, a list item or a row, under the headings in `path`. A `whole` one is never split."""

    path: tuple[str, ...]
    text: str
    whole: bool = False


def pack(blocks: Iterable[Block]) -> Iterator[Piece]:
    """The words of the blocks in order, in passages that each stand under one heading.

    A passage ends between blocks, or between the sentences of a long paragraph. One sentence, row or list
    item with more than `MOST_WORDS` words stands alone.
    """
    path: tuple[str, ...] = ()
    held: list[str] = []
    words = 0
    for block in blocks:
        if block.path != path:
            yield from _closed(path, held)
            path, held, words = block.path, [], 0
        for part in _parts(block):
            more = len(part.split())
            if held and (words + more > MOST_WORDS or words >= FEWEST_WORDS):
                led = held.pop() if held[-1].endswith(":") and len(held) > 1 else None
                yield from _closed(path, held)
                held = [led] if led else []
                words = len(led.split()) if led else 0
            held.append(part)
            words += more
    yield from _closed(path, held)


def sentences(text: str) -> list[str]:
    """The sentences of a text, none of them cut after an abbreviation."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE.finditer(text):
        if not _SHORTENED.search(text[start : match.start()]):
            found.append(text[start : match.end()].strip())
            start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _parts(block: Block) -> Sequence[str]:
    """The block itself, or its sentences gathered into parts of a good size where it is too long for one passage."""
    if block.whole or len(block.text.split()) <= MOST_WORDS:
        return [block.text] if block.text.strip() else []
    parts: list[str] = []
    held: list[str] = []
    for sentence in sentences(block.text):
        if held and len(" ".join([*held, sentence]).split()) > FEWEST_WORDS:
            parts.append(" ".join(held))
            held = []
        held.append(sentence)
    return [*parts, " ".join(held)]


def _closed(path: tuple[str, ...], held: Sequence[str]) -> Iterator[Piece]:
    if held:
        yield Piece(path, "\n".join(held))
