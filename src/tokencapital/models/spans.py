"""Spans of free text that look like values although nobody has seen them before."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import NamedTuple

from tokencapital.models.reading import Piece

_STOP = re.compile(r"[.?!;\n](?:\s|$)|\n|[,]\s")
_MOST_WORDS = 12
_TRIGGERED_WORDS = 4
_RUN_WORDS = 5


class Span(NamedTuple):
    """Tokens `first` to `last` of a piece, why they were taken and the word before them that was the reason."""

    first: int
    last: int
    why: str = ""
    trigger: str = ""


def open_spans(piece: Piece, triggers: Container[str], *, numbers_only: bool) -> Iterator[Span]:
    """Spans of a piece worth copying, each once: with digits, capitalized, after a trigger, clauses, the whole."""
    seen: set[tuple[int, int]] = set()
    for span in _all_spans(piece, triggers, numbers_only=numbers_only):
        if (span.first, span.last) not in seen:
            seen.add((span.first, span.last))
            yield span


def _all_spans(piece: Piece, triggers: Container[str], *, numbers_only: bool) -> Iterator[Span]:
    tokens = piece.tokens
    if not tokens:
        return
    yield from _numbers(piece)
    if numbers_only:
        return
    if len(tokens) <= _MOST_WORDS:
        yield Span(0, len(tokens) - 1, "whole")
    yield from _clauses(piece)
    yield from _capitalized(piece)
    for at, token in enumerate(tokens[:-1]):
        if token.norm in triggers:
            for last in range(at + 1, min(at + 1 + _TRIGGERED_WORDS, len(tokens))):
                if last > at + 1 and tokens[last].after_mark:
                    break
                yield Span(at + 1, last, "after", token.norm)


def _numbers(piece: Piece) -> Iterator[Span]:
    tokens, text = piece.tokens, piece.text
    at = 0
    while at < len(tokens):
        last = at
        while last + 1 < len(tokens) and not text[tokens[last].end : tokens[last + 1].start].count(" "):
            last += 1
        if any(token.norm[0].isdigit() for token in tokens[at : last + 1]):
            yield Span(at, last, "number")
            for inner in range(at, last + 1):
                if tokens[inner].norm[0].isdigit():
                    yield Span(inner, inner, "number")
            if last + 1 < len(tokens) and tokens[last + 1].norm in {"am", "pm"}:
                yield Span(at, last + 1, "number")
        at = last + 1


def _clauses(piece: Piece) -> Iterator[Span]:
    tokens = piece.tokens
    first = 0
    for at in range(1, len(tokens) + 1):
        ends = at == len(tokens) or _STOP.search(piece.text, tokens[at - 1].end, tokens[at].start + 1) is not None
        if ends:
            if at - first <= _MOST_WORDS:
                yield Span(first, at - 1, "clause")
            first = at


def _capitalized(piece: Piece) -> Iterator[Span]:
    tokens, text = piece.tokens, piece.text
    at = 0
    while at < len(tokens):
        if not text[tokens[at].start].isupper():
            at += 1
            continue
        last = at
        while last + 1 < len(tokens) and last - at + 1 < _RUN_WORDS and _continues(piece, last):
            last += 1
        yield Span(at, last, "name")
        if last > at:
            yield Span(at + 1, last, "name")
        at = last + 1


def _continues(piece: Piece, at: int) -> bool:
    following = piece.tokens[at + 1]
    return piece.text[following.start].isupper() and not following.after_mark
