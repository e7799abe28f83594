"""When a call is tried again, when it goes elsewhere, and when a provider is left alone for a while. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.call import Wire
from tokencapital.core.clock import utc


class Failure(StrEnum):
    """How a try failed, before a byte went to the caller."""

    UNCONNECTED = "unconnected"
    """Nothing of the request was sent."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """It was sent, and the answer broke off or is no HTTP."""
    BUSY = "busy"
    """The provider refused to work on it now: 429, 503, 529."""
    GATEWAY = "gateway"
    """Something before the provider failed; it may have worked on it: 502, 504, 520 to 524."""
    INTERNAL = "internal"
    """The provider failed itself: other statuses from 500 on."""


_BUSY = frozenset({429, 503, 529})
_GATEWAY = frozenset({502, 504, *range(520, 525)})
ALWAYS_SAFE = frozenset({Failure.UNCONNECTED, Failure.BUSY})
"""The provider has done nothing yet, so that the call may be made again, there or elsewhere."""
_SAFE_WHERE_REPEATABLE = frozenset({Failure.BROKEN, Failure.GATEWAY})


class Retrying(Struct, frozen=True, kw_only=True):
    """How often a provider is tried again, and with what pauses: at most `first_s` before the first, doubling.

    A provider that asks for a pause longer than `most_s` is not waited for.
    """

    retries: int = 2
    first_s: float = 0.25
    most_s: float = 8.0


def failure_of(status: int) -> Failure | None:
    """What an answer's status says of the try; None: the provider did its part, whatever it answers."""
    if status in _BUSY:
        return Failure.BUSY
    if status in _GATEWAY:
        return Failure.GATEWAY
    return Failure.INTERNAL if status >= 500 else None


def is_repeatable(wire: Wire, *, keyed: bool) -> bool:
    """Whether the same call twice does no more than once: `keyed` is one with an idempotency key.

    A model that is asked twice costs twice. A response of OpenAI's newer API is also kept there, and may run on in
    the background, so that it is not asked for twice without a key.
    """
    return keyed or wire is not Wire.RESPONSES


def next_pause(
    retrying: Retrying, tried: int, failure: Failure, *, repeatable: bool, asked_s: float | None, draw: float
) -> float | None:
    """Seconds until the same provider is tried again, after `tried` tries; None: it is not.

    `asked_s` is what the provider asked to wait (None: it did not), `draw` a number in [0, 1) that spreads callers
    ("full jitter", Brooker 2015: a uniform draw below the exponential bound).
    """
    safe = failure in ALWAYS_SAFE or (repeatable and failure in _SAFE_WHERE_REPEATABLE)
    if not safe or tried > retrying.retries:
        return None
    bound = min(retrying.most_s, retrying.first_s * 2.0 ** (tried - 1))
    if asked_s is None:
        return bound * draw
    return asked_s + retrying.first_s * draw if asked_s <= retrying.most_s else None


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks to wait, in either of its forms; None: it says nothing that can be read."""
    if value is None:
        return None
    text = value.strip()
    if text.replace(".", "", 1).isdecimal():
        return float(text) if len(text) < 12 else None
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (utc(moment) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


class Breaker:
    """Leaves a provider alone for `pause_s` after `failures` in a row; then one call tries whether it is back.

    Being busy is no failure. `ticks` gives seconds that never run backwards.
    """

    def __init__(self, failures: int, pause_s: float, ticks: Callable[[], float]) -> None:
        self._failures = failures
        self._pause_s = pause_s
        self._ticks = ticks
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._trying_since: float | None = None

    @property
    def in_a_row(self) -> int:
        """How many calls failed in a row."""
        return self._in_a_row

    def closed_for(self) -> float | None:
        """Seconds until the provider is tried again; None: it may be asked now. Asks for nothing."""
        if self._opened_at is None:
            return None
        since = self._opened_at if self._trying_since is None else self._trying_since
        left = since + self._pause_s - self._ticks()
        return left if left > 0 else None

    def admit(self) -> bool:
        """Whether a call may go there now; in a pause that is over, the one that asks first."""
        if self._opened_at is None:
            return True
        if self.closed_for() is not None:
            return False
        self._trying_since = self._ticks()
        return True

    def succeeded(self) -> None:
        """The provider did its part."""
        self._in_a_row = 0
        self._opened_at = self._trying_since = None

    def failed(self, failure: Failure) -> None:
        """It did not."""
        if failure is Failure.BUSY:
            self._trying_since = None if self._opened_at is None else self._ticks()
            return
        self._in_a_row += 1
        if self._in_a_row >= self._failures:
            self._opened_at = self._ticks()
            self._trying_since = None
