"""Plain prices say to the last digit what the library works out."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import genai_prices
import pytest
from genai_prices.data import providers

from tokencapital.core.quantity import Usage
from tokencapital.meter.prices import _plain, _worked_out, published_cost

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODELS = sorted({(provider.id, model.id) for provider in providers for model in provider.models})


def test_for_every_listed_model_the_cost_is_that_of_the_library() -> None:
    draw, plain = random.Random(7), 0
    for _, model in draw.sample(MODELS, 500):
        for usage in (
            Usage(draw.randrange(300_000), draw.randrange(5_000)),
            Usage(draw.randrange(1_000), draw.randrange(50), cache_read=draw.randrange(5_000)),
            Usage(10, 1, cache_write=draw.randrange(3), reasoning=1),
        ):
            assert published_cost(model, usage, NOW) == _worked_out(model, usage, NOW, None), model
        plain += _plain(model, None, NOW) is not None
    assert plain > 80


@pytest.mark.parametrize("model", ["never-heard-of", ""])
def test_what_is_unknown_stays_unknown(model: str) -> None:
    assert [published_cost(model, Usage(1_000, 10), NOW) for _ in range(2)] == [None, None]


def test_prices_of_hours_of_the_day_are_worked_out_each_time() -> None:
    usage = Usage(1_000, 10)
    worked_out = _worked_out("deepseek-chat", usage, NOW, None)
    assert worked_out is not None
    assert [published_cost("deepseek-chat", usage, NOW) for _ in range(2)] == [worked_out] * 2


def test_the_library_is_the_one_that_is_named_as_the_source() -> None:
    quote = published_cost("gpt-4o-mini", Usage(1, 1), NOW)
    assert quote is not None
    assert quote.source.startswith(f"genai-prices {genai_prices.__version__}: openai gpt-4o-mini")
