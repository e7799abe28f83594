"""Limits on what applications, capabilities and providers may take, and amounts that count towards them."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from msgspec import Struct

_NANO = Decimal(1_000_000_000)
EACH = "*"
"""In a limit: every one has the limit for itself."""


class Per(StrEnum):
    """The windows of time that a limit holds in, by UTC: each begins with a new minute, hour, day or month."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Amount(Struct, frozen=True):
    """Requests, tokens of all kinds, and billionths of a dollar, rounded up."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.requests + other.requests, self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.requests - other.requests, self.tokens - other.tokens, self.nano_usd - other.nano_usd)

    def least(self, other: Amount) -> Amount:
        """Of each kind the smaller of the two."""
        return Amount(
            min(self.requests, other.requests), min(self.tokens, other.tokens), min(self.nano_usd, other.nano_usd)
        )


NOTHING = Amount()


class Most(Struct, frozen=True):
    """How much may be taken in a window; None: of that there is no limit."""

    requests: int | None = None
    tokens: int | None = None
    nano_usd: int | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """A limit: `most` of something `per` window for what it names.

    `application`, `capability`, `provider`: None: whichever it is, all of them together; `*`: each for itself; else
    that one. `hard`: where it cannot be told whether there is room, the request is refused, and not counted later.
    """

    name: str
    per: Per
    most: Most
    application: str | None = None
    capability: str | None = None
    provider: str | None = None
    hard: bool = False

    def pot_of(self, application: str, capability: str, provider: str) -> str | None:
        """The name of what the request takes from; None: the limit is not about it. Empty names: nobody knows."""
        parts = [self.per.value]
        for wanted, found in (
            (self.application, application), (self.capability, capability), (self.provider, provider),
        ):  # fmt: skip
            if wanted not in (None, EACH, found):
                return None
            parts.append("" if wanted is None else f"={found}")
        return "|".join(parts)


class Window(Struct, frozen=True):
    """From when until when, the end not included."""

    start: datetime
    end: datetime


def nano_usd(usd: Decimal) -> int:
    """Billionths of a dollar, rounded up."""
    return int((usd * _NANO).to_integral_value(ROUND_CEILING))


def share(most: Most, others: Amount, spent: Amount, want: Amount) -> Amount:
    """What a replica may take in all, having `spent` already and wanting so much more, where `others` have theirs.

    The shares of all replicas, each asked for with nobody else asking, never add up to more than `most`, unless
    somebody has spent more than their share.
    """
    return Amount(
        _part(most.requests, others.requests, spent.requests, want.requests),
        _part(most.tokens, others.tokens, spent.tokens, want.tokens),
        _part(most.nano_usd, others.nano_usd, spent.nano_usd, want.nano_usd),
    )


def _part(most: int | None, others: int, spent: int, want: int) -> int:
    return spent + want if most is None else max(spent, min(most - others, spent + want))
