"""Tokens, money and energy. Unknown is a value: None, never zero."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens of one or more model calls, counted apart; `output` includes `reasoning`.

    `input` counts the uncached tokens only. None means that the provider did not say.
    """

    input: int | None = 0
    output: int | None = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=_sum_or_unknown(self.input, other.input),
            output=_sum_or_unknown(self.output, other.output),
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            reasoning=self.reasoning + other.reasoning,
        )


class Money(Struct, frozen=True):
    """An amount in one currency."""

    amount: Decimal
    currency: str = "USD"

    def __add__(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}: no exchange rate is declared")
        return Money(self.amount + other.amount, self.currency)


class Grade(StrEnum):
    """How a figure came to be known, best first."""

    MEASURED = "measured"
    ATTRIBUTED = "attributed"
    ESTIMATED = "estimated"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


class Energy(Struct, frozen=True):
    """Joules at the boundary of the facility. `joules` is None exactly when the grade is unknown."""

    joules: float | None
    grade: Grade

    def __post_init__(self) -> None:
        if (self.joules is None) != (self.grade is Grade.UNKNOWN):
            raise ValueError(f"joules {self.joules!r} cannot have the grade {self.grade}")


UNKNOWN_ENERGY = Energy(None, Grade.UNKNOWN)


def _sum_or_unknown(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
