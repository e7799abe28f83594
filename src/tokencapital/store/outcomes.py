"""What the business saw, joined to cases by business key, often late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, select

from tokencapital.core.judgment import Outcome
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import outcome


def append_outcomes(store: Store, outcomes: Sequence[Outcome]) -> None:
    """The outcomes are on record, each id once. A later one of the same key and name replaces it on reading."""
    with store.begin() as connection:
        store.add_new(connection, outcome, [_outcome_row(seen) for seen in outcomes])


def outcomes_for(store: Store, capability: str, keys: Iterable[str]) -> dict[tuple[str, str], Outcome]:
    """What is known by (business key, name): the outcome with the latest `at`, then the last written.

    A key that is missing was never asked for; one whose value is None is not yet known.
    """
    newest: dict[tuple[str, str], Outcome] = {}
    with store.read() as connection:
        for some in chunks(keys):
            query = select(outcome).where(outcome.c.capability == capability, outcome.c.business_key.in_(some))
            for row in connection.execute(query.order_by(outcome.c.at, outcome.c.position)):
                newest[row.business_key, row.name] = _outcome_of(row)
    return newest


def _outcome_row(seen: Outcome) -> dict[str, Any]:
    return {
        "id": seen.id,
        "capability": seen.capability,
        "business_key": seen.key,
        "name": seen.name,
        "value": msgspec.json.encode(seen.value).decode(),
        "at": seen.at,
    }


def _outcome_of(row: Row[Any]) -> Outcome:
    return Outcome(
        id=row.id,
        capability=row.capability,
        key=row.business_key,
        name=row.name,
        value=msgspec.json.decode(row.value, type=bool | float | None),
        at=row.at,
    )
