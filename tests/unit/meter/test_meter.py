from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import PriceBook

AT = datetime(2026, 11, 2, tzinfo=UTC)
METER = Meter(PriceBook(local=frozenset({"embedded"}), machine_usd_per_hour=Decimal(3600)), LocalEstimate(10.0, 1.5))


def test_a_call_on_this_machine_takes_its_time_and_its_power() -> None:
    spent = METER.call("embedded", Usage(100, 10), AT, 2.0)

    assert spent.cost == Money(Decimal(2))
    assert spent.energy == Energy(30.0, Grade.ESTIMATED)
    assert spent.price == "declared"


def test_a_rented_call_has_a_price_and_no_energy() -> None:
    spent = METER.machine(1.0) + METER.call("gpt-4o", Usage(1_000_000, 0), AT, 2.0)

    assert spent.cost == Money(Decimal("3.5"))
    assert spent.energy == UNKNOWN_ENERGY
    assert spent.price is not None
    assert spent.price.startswith("declared; genai-prices")


def test_a_part_of_unknown_price_makes_the_whole_unknown() -> None:
    spent = METER.machine(1.0) + METER.call("nobody-knows-this", Usage(1, 1), AT, 2.0)

    assert (spent.cost, spent.price) == (None, None)
