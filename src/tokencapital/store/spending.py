"""Shares of limits: which replica may take how much of each in a window, so that all together take no more."""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select, text

from tokencapital.core.limit import NOTHING, Amount, Most, share
from tokencapital.store.database import Store
from tokencapital.store.schema import spending


class ShareAsked(Struct, frozen=True, kw_only=True):
    """What a replica asks for: `want` more than it has `spent` of a pot in the window that begins then.

    `until` is when it will ask again at the latest. Wanting nothing gives back what is not spent. Windows that began
    before `forget_before` are over.
    """

    pot: str
    window_start: datetime
    replica: str
    most: Most
    spent: Amount
    want: Amount
    until: datetime
    forget_before: datetime


def take_share(store: Store, asked: ShareAsked) -> Amount:
    """What the replica may take in all in this window, as the store has it now. Raises StoreError.

    What a replica that is gone has not given back stays taken until the window ends: nobody knows what of it was
    spent.
    """
    with store.begin() as connection:
        if store.dialect == "postgresql":
            connection.execute(_LOCK, {"pot": asked.pot})
        here = (spending.c.limit == asked.pot) & (spending.c.window_start == asked.window_start)
        rows = {row.replica: row for row in connection.execute(select(spending).where(here))}
        others = reduce(add, (_taken(row) for name, row in rows.items() if name != asked.replica), NOTHING)
        granted = share(asked.most, others, asked.spent, asked.want)
        _write(connection, asked, granted, new=asked.replica not in rows)
        if not rows:
            _forget(connection, asked)
    return granted


def shares_taken(store: Store, pot: str, window_start: datetime) -> dict[str, Amount]:
    """What each replica has of a pot, by its name."""
    query = select(spending).where(spending.c.limit == pot, spending.c.window_start == window_start)
    with store.read() as connection:
        return {row.replica: _taken(row) for row in connection.execute(query)}


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:pot, 0))")


def _taken(row: Row[Any]) -> Amount:
    leased, spent = _amount(row.leased), _amount(row.spent)
    return Amount(
        max(leased.requests, spent.requests), max(leased.tokens, spent.tokens), max(leased.nano_usd, spent.nano_usd)
    )


def _write(connection: Connection, asked: ShareAsked, granted: Amount, *, new: bool) -> None:
    values = {"leased": _text(granted), "spent": _text(asked.spent), "until": asked.until}
    mine = {"limit": asked.pot, "window_start": asked.window_start, "replica": asked.replica}
    if new:
        connection.execute(spending.insert(), mine | values)
        return
    where = [spending.c[name] == value for name, value in mine.items()]
    connection.execute(spending.update().where(*where).values(values))


def _forget(connection: Connection, asked: ShareAsked) -> None:
    old = (spending.c.limit == asked.pot) & (spending.c.window_start < asked.forget_before)
    connection.execute(spending.delete().where(old))


def _text(amount: Amount) -> str:
    return msgspec.json.encode(msgspec.structs.astuple(amount)).decode()


def _amount(kept: str) -> Amount:
    return Amount(*msgspec.json.decode(kept, type=tuple[int, int, int]))
