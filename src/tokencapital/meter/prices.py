"""Dollars of a model call, with the source and the date of the price. Unknown is None, never free."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec import Struct

from tokencapital.core.quantity import Money, Usage
from tokencapital.meter.assumptions import SECONDS_PER_HOUR
from tokencapital.meter.published import Known, Plain, plain

_MILLION = 1_000_000
_KNOWN = Known()


class Price(Struct, frozen=True, kw_only=True):
    """What a provider asks, in USD per million tokens of each kind.

    None: no price is known for that kind. `input` stands in for a cache price that is None, as
    providers charge cached tokens like others unless they say otherwise. `output` is the price of
    reasoning tokens too. `dated` is the day since when it holds; None: the source does not say.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    source: str = "contract"
    dated: date | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether the price was in force on the day of `moment`, in UTC."""
        return self.dated is None or self.dated <= moment.astimezone(UTC).date()

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Tokens times prices, exact. None: a token count or the price of a kind that was used is unknown."""
        kinds = (
            (usage.input, self.input),
            (usage.output, self.output),
            (usage.cache_read, self.input if self.cache_read is None else self.cache_read),
            (usage.cache_write, self.input if self.cache_write is None else self.cache_write),
        )
        total = Decimal(0)
        for tokens, per_million in kinds:
            if tokens == 0:
                continue
            if tokens is None or per_million is None:
                return None
            total += tokens * per_million
        return total / _MILLION


class Quote(Struct, frozen=True):
    """What a call cost, where the price comes from, and since when it holds (None: not said)."""

    amount: Money
    source: str
    dated: date | None


class PriceBook(Struct, frozen=True, kw_only=True):
    """The prices in force, looked up in this order: contracts, our own machine, published prices.

    `contracts`: what was agreed with providers, by model. `local`: the models that run on this
    machine, the specialist included; they cost `machine_usd_per_hour` for each hour that they work
    (None: not declared, hence unknown), and idle hours are in no answer's cost. `endpoints`: the address
    that serves a model, so that a model at an address that publishes no prices is not mistaken for the
    rented one of the same name.
    """

    contracts: Mapping[str, Price] = {}
    local: frozenset[str] = frozenset()
    machine_usd_per_hour: Decimal | None = None
    endpoints: Mapping[str, str] = {}

    def cost(self, model: str, usage: Usage, at: datetime, elapsed_s: float) -> Quote | None:
        """What a call to `model` cost at the time `at`, having lasted `elapsed_s` seconds. None: unknown."""
        contract = self.contracts.get(model)
        if contract is not None and contract.holds_at(at):
            usd = contract.cost_usd(usage)
            return None if usd is None else Quote(Money(usd), contract.source, contract.dated)
        if model in self.local:
            return self.machine(elapsed_s)
        return published_cost(model, usage, at, self.endpoints.get(model))

    def machine(self, elapsed_s: float) -> Quote | None:
        """What `elapsed_s` seconds of this machine cost, at the declared hourly price. None: none is declared."""
        if self.machine_usd_per_hour is None:
            return None
        usd = Decimal(str(elapsed_s)) * self.machine_usd_per_hour / SECONDS_PER_HOUR
        return Quote(Money(usd), "declared", None)


def published_cost(model: str, usage: Usage, at: datetime, endpoint: str | None = None) -> Quote | None:
    """What `model` cost at the list price of its provider, from the snapshot inside `genai-prices`.

    Without `endpoint` the provider is taken to be the one that the model's name suggests. None: the
    model is not listed, a token count is unknown, or tokens of a kind were used that the list does not
    price; the library would charge nothing for those.
    """
    if usage.input is None or usage.output is None:
        return None
    known = _KNOWN((model, endpoint), lambda: _plain(model, endpoint, at))
    usd = None if known is None else known.cost_usd(usage)
    if known is not None and usd is not None:
        return Quote(Money(usd), known.source, None)
    return _worked_out(model, usage, at, endpoint)


def _plain(model: str, endpoint: str | None, at: datetime) -> Plain | None:
    """The model's prices where they are the same at all times and for all amounts."""
    import genai_prices

    counts = genai_prices.Usage(input_tokens=0, output_tokens=0)
    try:
        found = genai_prices.calc_price(
            counts, model, provider_api_url=endpoint, genai_request_timestamp=at.astimezone(UTC)
        )
    except LookupError:
        return None
    return plain(found, f"genai-prices {genai_prices.__version__}: {found.provider.id} {found.model.id}")


def _worked_out(model: str, usage: Usage, at: datetime, endpoint: str | None) -> Quote | None:
    import genai_prices

    if usage.input is None or usage.output is None:
        return None
    read = usage.input + usage.cache_read + usage.cache_write
    counts = genai_prices.Usage(
        input_tokens=read,
        output_tokens=usage.output,
        output_reasoning_tokens=usage.reasoning,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
    )
    moment = at.astimezone(UTC)
    try:
        found = genai_prices.calc_price(counts, model, provider_api_url=endpoint, genai_request_timestamp=moment)
    except LookupError:
        return None
    if (read and found.model_price.input_mtok is None) or (usage.output and found.model_price.output_mtok is None):
        return None
    source = f"genai-prices {genai_prices.__version__}: {found.provider.id} {found.model.id}"
    return Quote(Money(found.total_price), source, _in_force_since(found.model.prices, found.model_price))


def _in_force_since(prices: object, chosen: object) -> date | None:
    """The day on which the chosen of several dated prices began; None: it was always so, or is not said."""
    if not isinstance(prices, list):
        return None
    for dated in prices:
        if dated.prices is chosen:
            return getattr(dated.constraint, "start_date", None)
    return None
