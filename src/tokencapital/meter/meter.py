"""One instrument for both: what a piece of work cost and how much energy it took."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from tokencapital.core.quantity import Energy, Money, Usage
from tokencapital.meter.energy import EnergyMeter, combine
from tokencapital.meter.prices import PriceBook, Quote


class Spent(Struct, frozen=True):
    """Dollars (None: no price is known), where their price comes from, and joules with their grade."""

    cost: Money | None
    price: str | None
    energy: Energy

    def __add__(self, other: Spent) -> Spent:
        energy = combine((self.energy, other.energy))
        if self.cost is None or other.cost is None:
            return Spent(None, None, energy)
        sources = dict.fromkeys(price for price in (self.price, other.price) if price)
        return Spent(self.cost + other.cost, "; ".join(sources), energy)


class Meter(Struct, frozen=True):
    """Prices and energy of work on this machine and of calls to models."""

    prices: PriceBook
    energy: EnergyMeter

    def machine(self, busy_s: float) -> Spent:
        """What `busy_s` seconds of this machine took."""
        return _spent(self.prices.machine(busy_s), self.energy.machine(busy_s))

    def call(self, model: str, usage: Usage, at: datetime, elapsed_s: float) -> Spent:
        """What a call took that lasted `elapsed_s` seconds; a model on this machine keeps it busy as long."""
        local = model in self.prices.local
        energy = self.energy.machine(elapsed_s) if local else self.energy.remote(model, usage)
        return _spent(self.prices.cost(model, usage, at, elapsed_s), energy)


def _spent(quote: Quote | None, energy: Energy) -> Spent:
    if quote is None:
        return Spent(None, None, energy)
    since = f" since {quote.dated.isoformat()}" if quote.dated else ""
    return Spent(quote.amount, f"{quote.source}{since}", energy)
