"""What a goal may cost: its limits held against the books."""

from __future__ import annotations

from decimal import Decimal

from tokencapital.account.accounts import MINUTE, REVIEW, USD
from tokencapital.account.entries import natural
from tokencapital.core.case import Goal
from tokencapital.store.database import Store
from tokencapital.store.ledger import balances

LEARNING = "Expenses:Learning:"


def limit_reached(store: Store, goal: Goal) -> str | None:
    """Which limit of the goal is used up, in words; None: learning may go on."""
    if goal.limit_usd is None and goal.limit_minutes is None:
        return None
    spent = balances(store, goal.capability)
    minutes = natural(spent.get((REVIEW, MINUTE), 0), MINUTE)
    usd = sum(
        (
            natural(quantity, USD)
            for (account, unit), quantity in spent.items()
            if unit == USD and account.startswith(LEARNING)
        ),
        Decimal(0),
    )
    if goal.limit_usd is not None and usd >= goal.limit_usd:
        return f"{usd:.2f} of {goal.limit_usd} USD are spent on learning"
    if goal.limit_minutes is not None and minutes >= Decimal(str(goal.limit_minutes)):
        return f"{minutes:.0f} of {goal.limit_minutes:g} minutes of people are spent"
    return None
