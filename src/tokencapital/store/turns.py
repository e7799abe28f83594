"""The turns of the loop: what each of them saw and did, in order. They are the curve."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import select

from tokencapital.core.case import Json
from tokencapital.store.database import Store
from tokencapital.store.schema import loop_turn


class Turn(Struct, frozen=True, kw_only=True):
    """Turn `number` (from 1) of a capability's loop.

    `cases` came in and `judgments` were made up to it; `release` is live after it (None: none is).
    `memory` is the state of the memory that it ended with, `facts` what else was measured.
    """

    capability: str
    number: int
    at: datetime
    cases: int
    judgments: int
    memory: int
    release: str | None
    facts: Mapping[str, Json] = {}


def append_turn(store: Store, turn: Turn) -> None:
    """The turn is on record, once."""
    row = msgspec.structs.asdict(turn) | {"facts": msgspec.json.encode(turn.facts).decode()}
    with store.begin() as connection:
        store.add_new(connection, loop_turn, [row])


def turns(store: Store, capability: str) -> list[Turn]:
    """All turns of a capability, first to last."""
    query = select(loop_turn).where(loop_turn.c.capability == capability).order_by(loop_turn.c.number)
    with store.read() as connection:
        rows = list(connection.execute(query))
    return [Turn(**{**row._mapping, "facts": msgspec.json.decode(row.facts)}) for row in rows]
