"""What a piece of work took, in the columns that every table of such pieces has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from tokencapital.core.answer import Trajectory
from tokencapital.core.call import Step
from tokencapital.core.quantity import Energy, Grade, Money, Usage


def taken_row(done: Trajectory | Step) -> dict[str, Any]:
    """Its tokens, dollars and joules as columns; what is unknown is NULL."""
    usage, cost = done.usage, done.cost
    return {
        "joules": done.energy.joules,
        "energy_grade": done.energy.grade.value,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "cost_amount": str(cost.amount) if cost else None,
        "cost_currency": cost.currency if cost else None,
        "price": done.price,
    }


def taken_of(row: Row[Any]) -> dict[str, Any]:
    """The same, read from a row: usage, cost, price and energy."""
    return {
        "energy": Energy(row.joules, Grade(row.energy_grade)),
        "usage": Usage(
            row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens, row.reasoning_tokens
        ),
        "cost": Money(Decimal(row.cost_amount), row.cost_currency) if row.cost_amount is not None else None,
        "price": row.price,
    }
