"""Published prices that are plain: so many dollars for a million tokens of each kind, whatever the hour and the amount.

The library works its rules out anew for each call, which costs more than all else that is done to put a call down.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tokencapital.core.quantity import Usage

_KINDS = frozenset({"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"})
_MILLION, _MANY = 1_000_000, 4_096


class Plain(Struct, frozen=True):
    """Prices in USD per million tokens, and where they come from. None: this kind has no price of its own."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    source: str

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Tokens times prices; None where a kind was used that has no price of its own, or a count is unknown."""
        if usage.input is None or usage.output is None:
            return None
        total = usage.input * self.input + usage.output * self.output
        for tokens, price in ((usage.cache_read, self.cache_read), (usage.cache_write, self.cache_write)):
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return total / _MILLION


class Known:
    """What was found under each name, looked up once. Safe for threads; a name may be looked up twice."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Plain | None] = {}

    def __call__(self, name: Hashable, look: Callable[[], Plain | None]) -> Plain | None:
        """The plain prices under this name; None: they are not plain."""
        if name not in self._found:
            if len(self._found) >= _MANY:
                self._found.clear()
            self._found[name] = look()
        return self._found[name]


def plain(found: Any, source: str) -> Plain | None:
    """The prices of a model of `genai-prices`; None where they have tiers or dates.

    What it asks for other things than tokens, such as searches, plays no part: they are in no usage that we know.
    """
    prices = found.model.prices
    if isinstance(prices, list):
        return None
    told = {name: value for name, value in vars(prices).items() if value is not None and name in _KINDS}
    if not all(isinstance(value, Decimal) for value in told.values()):
        return None
    if "input_mtok" not in told or "output_mtok" not in told:
        return None
    return Plain(
        told["input_mtok"], told["output_mtok"], told.get("cache_read_mtok"), told.get("cache_write_mtok"), source
    )
