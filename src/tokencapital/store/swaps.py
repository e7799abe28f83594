"""Swap tests on record: what each of them found, as one body that whoever made it can read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, select

from tokencapital.core.case import Json
from tokencapital.store.database import Store
from tokencapital.store.schema import swap_test


class SwapTest(Struct, frozen=True, kw_only=True):
    """One swap test of a capability. `body` is its whole report, without what anybody wrote."""

    id: str
    capability: str
    at: datetime
    by: str
    body: Mapping[str, Json]


def append_swap(store: Store, test: SwapTest) -> None:
    """The test is on record, once."""
    row = msgspec.structs.asdict(test) | {"body": msgspec.json.encode(test.body).decode()}
    with store.begin() as connection:
        store.add_new(connection, swap_test, [row])


def swap_tests(store: Store, capability: str) -> list[SwapTest]:
    """All swap tests of a capability, oldest first."""
    query = select(swap_test).where(swap_test.c.capability == capability).order_by(swap_test.c.position)
    with store.read() as connection:
        return [_test_of(row) for row in connection.execute(query)]


def newest_swap(store: Store, capability: str) -> SwapTest | None:
    """The newest swap test of a capability; None: none has run, so that its portable share is unknown."""
    query = select(swap_test).where(swap_test.c.capability == capability).order_by(swap_test.c.position.desc()).limit(1)
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _test_of(row)


def _test_of(row: Row[Any]) -> SwapTest:
    return SwapTest(id=row.id, capability=row.capability, at=row.at, by=row.by, body=msgspec.json.decode(row.body))
