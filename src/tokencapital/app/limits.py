"""What a goal may cost: its limits held against the books."""

from __future__ import annotations

from decimal import Decimal

from tokencapital.account.books import Standing, books_of
from tokencapital.core.case import Goal
from tokencapital.store.database import Store


def limit_reached(store: Store, goal: Goal) -> str | None:
    """Which limit of the goal is used up, in words; None: learning may go on."""
    if goal.limit_usd is None and goal.limit_minutes is None:
        return None
    return limit_reached_in(books_of(store, goal.capability).standing(), goal)


def limit_reached_in(books: Standing, goal: Goal) -> str | None:
    """Which limit of the goal is used up by what stands in the books."""
    usd, minutes = books.learning_usd, books.review_minutes
    if goal.limit_usd is not None and usd >= goal.limit_usd:
        return f"{usd:.2f} of {goal.limit_usd} USD are spent on learning"
    if goal.limit_minutes is not None and minutes >= Decimal(str(goal.limit_minutes)):
        return f"{minutes:.0f} of {goal.limit_minutes:g} minutes of people are spent"
    return None
