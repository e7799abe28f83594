"""Counts of tables that only grow: each row is counted once, however often somebody asks."""

from __future__ import annotations

from sqlalchemy import Table, func, select

from tokencapital.store.database import Store
from tokencapital.store.schema import judgment

SETTLED = 10_000
"""Rows that are as old as this many others are there for good. On PostgreSQL a transaction that began early may
still add a row behind newer ones, but not so far behind them."""


def tally(store: Store, table: Table, capability: str, settled_after: int = SETTLED) -> int:
    """How many rows of the table are about the capability.

    The table has the columns `capability` and `position` with an index on both, and its rows are never
    taken away.
    """
    name = ("tally", table.name, capability)
    upto, counted = store.kept.get(name, (0, 0))
    mine, position = table.c.capability == capability, table.c.position
    with store.read() as connection:
        newest = connection.execute(select(func.max(position)).where(mine)).scalar() or 0
        count = select(func.count()).select_from(table).where(mine)
        if newest - upto > 2 * settled_after:
            settled = newest - settled_after
            counted += connection.execute(count.where(position > upto, position <= settled)).scalar_one()
            upto = settled
            store.keep(name, (upto, counted))
        return int(counted + connection.execute(count.where(position > upto)).scalar_one())


def count_judgments(store: Store, capability: str) -> int:
    """How many judgments were made on the capability, withdrawn ones included."""
    query = select(func.count()).select_from(judgment).where(judgment.c.capability == capability)
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())
