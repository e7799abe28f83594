"""Passing an answer on while it comes, with a copy kept beside it: pieces go out at once, only the last one waits."""

from __future__ import annotations

import re

from tokencapital.core.call import Wire

_ENDS: dict[Wire, re.Pattern[bytes]] = {
    Wire.CHAT: re.compile(rb"\ndata: ?\[DONE\]"),
    Wire.RESPONSES: re.compile(
        rb"\n(?:event: ?response\.(?:completed|failed|incomplete)|data: ?\{\"type\": ?\"response\.(?:completed|"
        rb"failed|incomplete)\"|data: ?\[DONE\])"
    ),
    Wire.MESSAGES: re.compile(rb"\n(?:event: ?message_stop|data: ?\{\"type\": ?\"message_stop\")"),
}
"""What the event that ends a stream begins with. A line break within a text is written as \\n in JSON, so that only
the provider can write these at the beginning of a line."""
_TAIL = 64
"""An event's beginning is at most so long."""


class LastPiece:
    """Tells where the last event of a stream begins, so that it can wait until what came before is kept."""

    __slots__ = ("_end", "_tail")

    def __init__(self, wire: Wire) -> None:
        self._end = _ENDS.get(wire)
        self._tail = b"\n"

    def begins_at(self, piece: bytes) -> int | None:
        """Where in this piece the last event begins; 0 where it began in one before; None: it does not."""
        if self._end is None:
            return None
        before = self._tail
        found = self._end.search(before + piece)
        self._tail = (before + piece)[-_TAIL:] if len(piece) < _TAIL else piece[-_TAIL:]
        return None if found is None else max(0, found.start() + 1 - len(before))


class Copy:
    """A copy of what passes, of at most `most` bytes; `cut` says that more came."""

    __slots__ = ("_most", "_pieces", "_size", "cut")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []
        self.cut = False

    def add(self, piece: bytes) -> None:
        """The piece is in the copy, as far as there is room."""
        room = self._most - self._size
        if len(piece) > room:
            self.cut = True
            piece = piece[:room]
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)

    def whole(self) -> bytes:
        """All that was copied."""
        return b"".join(self._pieces)
