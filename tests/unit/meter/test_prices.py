from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.quantity import Money, Usage
from tokencapital.meter.prices import Price, PriceBook, Quote, published_cost

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
CONTRACT = Price(input=Decimal(2), output=Decimal(10), cache_read=Decimal("0.5"), source="frame contract")

tokens = st.integers(0, 10**9)
rates = st.decimals(0, 10_000, places=6)


@given(tokens, tokens, tokens, tokens, rates, rates, rates)
def test_contract_costs_are_exact(
    uncached: int, output: int, read: int, written: int, ask: Decimal, bid: Decimal, cached: Decimal
) -> None:
    price = Price(input=ask, output=bid, cache_read=cached)

    found = price.cost_usd(Usage(uncached, output, read, written))

    micro = 10**6
    in_integers = (
        uncached * int(ask * micro)
        + output * int(bid * micro)
        + read * int(cached * micro)
        + written * int(ask * micro)
    )
    assert found == Decimal(in_integers).scaleb(-12)


def test_a_contract_comes_before_our_machine_and_both_before_published_prices() -> None:
    usage = Usage(1_000_000, 1_000_000)
    both = PriceBook(contracts={"gpt-4o": CONTRACT}, local=frozenset({"gpt-4o"}), machine_usd_per_hour=Decimal(36))
    ours = PriceBook(local=frozenset({"gpt-4o"}), machine_usd_per_hour=Decimal(36))

    assert both.cost("gpt-4o", usage, AT, 2.0) == Quote(Money(Decimal(12)), "frame contract", None)
    assert ours.cost("gpt-4o", usage, AT, 2.0) == Quote(Money(Decimal("0.02")), "declared", None)
    listed = PriceBook().cost("gpt-4o", usage, AT, 2.0)
    assert listed is not None
    assert listed.amount == Money(Decimal("12.5"))
    assert listed.source.startswith("genai-prices ")
    assert listed.source.endswith(": openai gpt-4o")


def test_a_contract_says_nothing_of_the_time_before_it() -> None:
    price = Price(input=Decimal(1), output=Decimal(1), dated=date(2026, 11, 2))
    book = PriceBook(contracts={"house-model": price})

    assert book.cost("house-model", Usage(10, 10), AT - timedelta(days=1), 0.0) is None
    assert book.cost("house-model", Usage(10, 10), AT, 0.0) is not None
    still_the_first = datetime(2026, 11, 2, 1, tzinfo=timezone(timedelta(hours=9)))
    assert not price.holds_at(still_the_first)


@pytest.mark.parametrize("usage", [Usage(None, 5), Usage(5, None), Usage(None, None)])
def test_an_unknown_count_makes_the_cost_unknown(usage: Usage) -> None:
    assert PriceBook(contracts={"gpt-4o": CONTRACT}).cost("gpt-4o", usage, AT, 1.0) is None
    assert PriceBook().cost("gpt-4o", usage, AT, 1.0) is None


def test_tokens_of_a_kind_without_a_price_make_the_cost_unknown() -> None:
    inbound = Price(input=Decimal(1))

    assert inbound.cost_usd(Usage(1_000_000, 0)) == 1
    assert inbound.cost_usd(Usage(1_000_000, 1)) is None


def test_a_model_that_nobody_prices_is_unknown_and_never_free() -> None:
    book = PriceBook(local=frozenset({"specialist"}))

    assert book.cost("nobody-knows-this", Usage(10, 10), AT, 1.0) is None
    assert book.cost("specialist", Usage(), AT, 1.0) is None


def test_a_listed_model_without_a_listed_price_is_unknown() -> None:
    address = "https://team.openai.azure.com"

    listed = genai_prices.calc_price(genai_prices.Usage(), "phi-4-reasoning:free", provider_api_url=address)
    assert listed.model_price.output_mtok is None
    assert published_cost("phi-4-reasoning:free", Usage(1000, 1000), AT, address) is None


def test_a_listed_model_is_unknown_for_the_kinds_of_tokens_that_are_not_priced() -> None:
    address = "https://api.openai.com/v1"
    read = published_cost("text-embedding-3-small", Usage(1000, 0), AT, address)

    assert read is not None
    assert read.amount == Money(Decimal("0.00002"))
    assert published_cost("text-embedding-3-small", Usage(1000, 1), AT, address) is None


def test_cached_tokens_are_charged_once_and_at_their_own_price() -> None:
    plain = published_cost("gpt-4o-mini", Usage(1000, 0), AT)
    cached = published_cost("gpt-4o-mini", Usage(0, 0, cache_read=1000), AT)

    assert plain is not None
    assert cached is not None
    assert plain.amount.amount == Decimal("0.00015")
    assert cached.amount.amount == Decimal("0.000075")


def test_a_model_at_an_address_without_published_prices_is_not_mistaken_for_its_namesake() -> None:
    at_home = PriceBook(endpoints={"gpt-4o-mini": "http://127.0.0.1:8080/v1"})
    rented = PriceBook(endpoints={"gpt-4o-mini": "https://api.openai.com/v1"})

    assert at_home.cost("gpt-4o-mini", Usage(10, 10), AT, 1.0) is None
    assert rented.cost("gpt-4o-mini", Usage(10, 10), AT, 1.0) is not None


def test_a_price_that_changed_is_taken_as_of_its_day_and_carries_that_day() -> None:
    old = published_cost("o3", Usage(1_000_000, 0), datetime(2025, 6, 1, tzinfo=UTC))
    new = published_cost("o3", Usage(1_000_000, 0), datetime(2025, 7, 1, tzinfo=UTC))

    assert old is not None
    assert new is not None
    assert (old.amount, old.dated) == (Money(Decimal(10)), None)
    assert (new.amount, new.dated) == (Money(Decimal(2)), date(2025, 6, 10))


@given(st.floats(0, 1e6), st.integers(1, 1000))
def test_machine_time_is_charged_without_float_drift(elapsed_s: float, pieces: int) -> None:
    book = PriceBook(machine_usd_per_hour=Decimal(3600))

    one = book.machine(elapsed_s)

    assert one is not None
    total = sum((one.amount for _ in range(pieces - 1)), start=one.amount)
    assert total.amount == Decimal(str(elapsed_s)) * pieces


def test_the_price_list_is_read_only_when_it_is_asked_for() -> None:
    code = "import sys, tokencapital.meter.prices; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
