"""What waits on disk for the store, and how it is written there so that damage shows.

A segment is a file: a head of 16 bytes (`TCSPOOL1` and a salt of 8 that its writer drew), then frames. A frame is a
mark of 4 bytes (from the salt), a CRC-32 (begun with the salt) of all that follows, the length of the body, its kind,
its time, and the body in MessagePack. As nobody else knows the salt, no body can hold what looks like a frame.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Exchange
from tokencapital.core.call import Call
from tokencapital.core.judgment import Outcome

MAGIC = b"TCSPOOL1"
SALT_BYTES = 8
HEAD_BYTES = len(MAGIC) + SALT_BYTES
_MARK, _CHECK = 4, struct.Struct("<4sI")
_REST = struct.Struct("<IBd")
FRAME_HEAD_BYTES = _CHECK.size + _REST.size
LONGEST_FRAME = 1 << 30
"""No frame is longer; a length beyond is damage."""


class SpanBatch(Struct, frozen=True, kw_only=True):
    """Spans as they were told in one request. `body` is theirs as the handler of spans wrote it."""

    id: str
    at: datetime
    body: bytes
    application: str | None = None


class OutcomeBatch(Struct, frozen=True, kw_only=True):
    """Outcomes that were told while the store was away."""

    id: str
    at: datetime
    outcomes: tuple[Outcome, ...]


class ExchangeBatch(Struct, frozen=True, kw_only=True):
    """Answers of one capability's engine that were given while the store was away."""

    id: str
    at: datetime
    capability: str
    exchanges: tuple[Exchange, ...]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A frame that could not be stored, with the reason, which repeats nobody's words."""

    at: datetime
    kind: int
    reason: str
    body: bytes


Frame = Call | SpanBatch | OutcomeBatch | ExchangeBatch
"""What may be acknowledged before it is in the store."""


class FrameKind(IntEnum):
    """The number of a frame's kind on disk; numbers are never given anew."""

    CALL = 1
    SPANS = 2
    OUTCOMES = 3
    EXCHANGES = 4
    DEAD = 99


_KINDS: dict[type, FrameKind] = {
    Call: FrameKind.CALL,
    SpanBatch: FrameKind.SPANS,
    OutcomeBatch: FrameKind.OUTCOMES,
    ExchangeBatch: FrameKind.EXCHANGES,
    DeadLetter: FrameKind.DEAD,
}
_DECODERS: dict[int, msgspec.msgpack.Decoder[Any]] = {
    int(kind): msgspec.msgpack.Decoder(form) for form, kind in _KINDS.items()
}
_encode = msgspec.msgpack.Encoder().encode


class Raw(Struct, frozen=True):
    """A frame as it lies on disk, whole and undamaged. `end` is the offset behind it in its segment."""

    kind: int
    at: float
    body: bytes
    end: int

    @property
    def when(self) -> datetime:
        """The frame's time."""
        return datetime.fromtimestamp(self.at, UTC)


class Parsed(Struct, frozen=True):
    """What a piece of a segment holds: whole frames, up to the offset `end`, having passed over `damaged` bytes.

    `whole`: nothing is left behind `end`; otherwise what is left is no whole frame, or not yet.
    """

    frames: list[Raw]
    end: int
    damaged: int
    whole: bool


def write_frame(frame: Frame | DeadLetter, salt: bytes) -> bytes:
    """The frame as it lies on disk."""
    return write_raw(_KINDS[type(frame)], frame.at.timestamp(), _encode(frame), salt)


def write_raw(kind: int, at: float, body: bytes, salt: bytes) -> bytes:
    """A body of this kind as it lies on disk."""
    rest = _REST.pack(len(body), kind, at)
    return b"".join((_CHECK.pack(salt[:_MARK], crc32(body, crc32(rest, crc32(salt)))), rest, body))


def read_frame(raw: Raw) -> Any:
    """The frame of these bytes. Raises msgspec.MsgspecError, or KeyError for a kind from a newer version."""
    return _DECODERS[raw.kind].decode(raw.body)


def parse(piece: memoryview | bytes, salt: bytes, start: int = 0) -> Parsed:
    """The frames in a piece of a segment that begins at its offset `start`; what is damaged is passed over.

    Nothing is passed over unless a whole frame follows: an unfinished tail stays in place.
    """
    data, place, damaged = bytes(piece), 0, 0
    frames: list[Raw] = []
    seed = crc32(salt)
    while place < len(data):
        size = _whole_at(data, place, salt, seed)
        if size == 0:
            onward = _next_whole(data, place + 1, salt, seed)
            if onward < 0:
                return Parsed(frames, start + place, damaged, whole=False)
            damaged += onward - place
            place = onward
            continue
        _, kind, at = _REST.unpack_from(data, place + _CHECK.size)
        frames.append(Raw(kind, at, data[place + FRAME_HEAD_BYTES : place + size], start + place + size))
        place += size
    return Parsed(frames, start + place, damaged, whole=True)


def needed(piece: bytes, salt: bytes) -> int:
    """How many bytes the frame at the begin of the piece takes, as far as its head says; 0: that is no head."""
    if len(piece) < FRAME_HEAD_BYTES or not piece.startswith(salt[:_MARK]):
        return 0
    length: int = _REST.unpack_from(piece, _CHECK.size)[0]
    return FRAME_HEAD_BYTES + length if length <= LONGEST_FRAME else 0


def _whole_at(data: bytes, place: int, salt: bytes, seed: int) -> int:
    """The size of the whole frame at this place; 0: there is none."""
    if len(data) - place < FRAME_HEAD_BYTES:
        return 0
    mark, check = _CHECK.unpack_from(data, place)
    if mark != salt[:_MARK]:
        return 0
    length: int = _REST.unpack_from(data, place + _CHECK.size)[0]
    end = place + FRAME_HEAD_BYTES + length
    if end > len(data):
        return 0
    return end - place if crc32(memoryview(data)[place + _CHECK.size : end], seed) == check else 0


def _next_whole(data: bytes, place: int, salt: bytes, seed: int) -> int:
    """Where the next whole frame begins; -1: none does."""
    while (place := data.find(salt[:_MARK], place)) >= 0:
        if _whole_at(data, place, salt, seed):
            return place
        place += 1
    return -1
