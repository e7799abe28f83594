"""Streams: what may not be kept can be spread over many pieces, none of which looks like anything."""

from __future__ import annotations

import re
from collections import defaultdict

from tokencapital.record.redaction import Redaction, read_quoted

_PIECE = re.compile(
    rb'"(content|text|delta|arguments|partial_json|thinking|reasoning|reasoning_content|refusal|transcript|input)"'
    rb'\s*:\s*"((?:[^"\\]++|\\.)*+)"'
)
_PLACE = re.compile(rb'"(index|output_index|content_index|summary_index|item_id)"\s*:\s*("?[\w-]*)')


def hidden_in_pieces(stream: bytes, redaction: Redaction) -> bool:
    """Whether the pieces of a stream of events, put together, hold more than each of them does by itself.

    Then the pieces cannot be cleaned one by one: what they say together has to be.
    """
    return any(_hides(pieces, redaction) for pieces in _channels(stream) if len(pieces) > 1)


def _hides(pieces: list[bytes], redaction: Redaction) -> bool:
    together = redaction.text(read_quoted(b"".join(pieces)))[0]
    return _marked(together) and together != "".join(redaction.text(read_quoted(piece))[0] for piece in pieces)


def _marked(text: str) -> bool:
    return "[redacted:" in text


def _channels(stream: bytes) -> list[list[bytes]]:
    """The pieces of each text, by the field that they stand in; of several texts at once by their place, too."""
    found: defaultdict[tuple[bytes, ...], list[bytes]] = defaultdict(list)
    places = set(_PLACE.findall(stream))
    if len({place for _, place in places}) <= 1:
        for field, piece in _PIECE.findall(stream):
            found[(field,)].append(piece)
        return list(found.values())
    for line in stream.splitlines():
        place = tuple(value for _, value in _PLACE.findall(line))
        for field, piece in _PIECE.findall(line):
            found[(field, *place)].append(piece)
    return list(found.values())
