"""The arithmetic of limits: windows, what a request will take at most, and pots that never give more than they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from tokencapital.core.limit import NOTHING, Amount, Most, Per, Window

BYTES_PER_TOKEN = 2
"""Text has three or four bytes for each token; this errs towards holding too much, until the real count is known."""
OUTPUT_TOKENS = 4096
"""So many tokens an answer is taken to have at most where the request does not say."""
_LONG, _LONG_TOKENS = 20_000, 2_000
"""A string of so many bytes without a space is an image or a sound, which counts for so many tokens."""
_SPANS = {Per.MINUTE: timedelta(minutes=1), Per.HOUR: timedelta(hours=1), Per.DAY: timedelta(days=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Bounds(Struct):
    """What a request says of the length of its answer, in any wire."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None


_bounds = msgspec.json.Decoder(_Bounds).decode


def window_at(per: Per, at: datetime) -> Window:
    """The window that the moment is in."""
    if per is Per.MONTH:
        start = datetime(at.year, at.month, 1, tzinfo=UTC)
        return Window(start, datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC))
    span = _SPANS[per]
    start = at - (at - _EPOCH) % span
    return Window(start, start + span)


def input_tokens(body: bytes) -> int:
    """About how many tokens a request has, rather too many than too few."""
    if len(body) < _LONG:
        return len(body) // BYTES_PER_TOKEN + 1
    parts = body.split(b'"')
    data = [part for part in parts if len(part) >= _LONG and b" " not in part]
    return (len(body) - sum(map(len, data))) // BYTES_PER_TOKEN + 1 + _LONG_TOKENS * len(data)


def output_tokens(body: bytes, unless_said: int = OUTPUT_TOKENS) -> int:
    """How many tokens the answers to a request have at most."""
    try:
        said = _bounds(body)
    except msgspec.MsgspecError:
        return unless_said
    most = said.max_completion_tokens or said.max_output_tokens or said.max_tokens or unless_said
    return max(most, 1) * min(max(said.n or 1, 1), 1000)


class Pot:
    """What one replica may take of a limit in one window: `granted` in all, `used` for good, `held` by requests on
    their way. Only what is limited counts. Not safe for threads by itself."""

    __slots__ = ("granted", "held", "most", "used")

    def __init__(self, most: Most) -> None:
        self.most = most
        self.granted = self.used = self.held = NOTHING

    @property
    def spent(self) -> Amount:
        """What is used or held."""
        return self.used + self.held

    def room(self, wanted: Amount) -> bool:
        """Whether so much can be taken."""
        most, granted, used, held = self.most, self.granted, self.used, self.held
        return (
            (most.requests is None or used.requests + held.requests + wanted.requests <= granted.requests)
            and (most.tokens is None or used.tokens + held.tokens + wanted.tokens <= granted.tokens)
            and (most.nano_usd is None or used.nano_usd + held.nano_usd + wanted.nano_usd <= granted.nano_usd)
        )

    def take(self, held: Amount) -> None:
        """So much is held, whether there is room or not."""
        self.held += held

    def settle(self, held: Amount, used: Amount) -> None:
        """What was held is free again, and so much is used for good."""
        self.held -= held
        self.used += used
