"""What was done in all, by capability and by who did it: sums that grow with the store and are never read anew.

Rows are only added, so that what was summed once stays right; each look adds what has come since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Float, Select, case, cast, exists, func, literal, null, select
from sqlalchemy.sql.elements import ColumnElement

from tokencapital.store.database import Store
from tokencapital.store.schema import open_draw, step, trajectory

TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""The kinds of tokens, in the order of `Sums.tokens`."""


class Doer(Struct, frozen=True):
    """Who did it: in which capability, at which stage (`step` for what was observed), through whom; empty: nobody.

    `currency` and `grade` are those of the cost and the energy; empty: none is known.
    """

    capability: str
    stage: str
    provider: str
    currency: str
    grade: str


class Sums(Struct):
    """How often, how long, and what it took as far as it is known. `unpriced` had no known cost."""

    count: int = 0
    seconds: float = 0.0
    tokens: tuple[int, ...] = (0, 0, 0, 0, 0)
    cost: float = 0.0
    joules: float = 0.0
    unpriced: int = 0
    ambiguous: int = 0

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(
            self.count + other.count,
            self.seconds + other.seconds,
            tuple(one + two for one, two in zip(self.tokens, other.tokens, strict=True)),
            self.cost + other.cost,
            self.joules + other.joules,
            self.unpriced + other.unpriced,
            self.ambiguous + other.ambiguous,
        )


class Totals:
    """The sums of one store. Safe for threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._settled: dict[str, tuple[int, dict[Doer, Sums]]] = {name: (0, {}) for name in _TABLES}
        self._seen: dict[str, int] = dict.fromkeys(_TABLES, 0)

    def look(self) -> dict[Doer, Sums]:
        """All sums until now. Raises StoreUnavailable.

        A row below one that is seen may still be on its way into the store, on PostgreSQL. What the look before saw
        counts as settled; what is newer is summed anew each time.
        """
        with self._lock, self._store.read() as connection:
            found: dict[Doer, Sums] = {}
            for name, table in _TABLES.items():
                before, sums = self._settled[name]
                settled = self._seen[name]
                if settled > before:
                    sums = _plus(sums, _sums(connection, name, before, settled))
                    self._settled[name] = settled, sums
                newest = connection.execute(select(func.max(table.c.position))).scalar() or 0
                found = _plus(found, _plus(sums, _sums(connection, name, settled, newest)))
                self._seen[name] = newest
            return found


def draws_waiting(store: Store) -> dict[tuple[str, str], int]:
    """How many draws wait for somebody, by capability and kind."""
    query = select(open_draw.c.capability, open_draw.c.kind, func.count()).group_by(
        open_draw.c.capability, open_draw.c.kind
    )
    with store.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


_TABLES = {"step": step, "trajectory": trajectory}


def _plus(one: Mapping[Doer, Sums], other: Mapping[Doer, Sums]) -> dict[Doer, Sums]:
    both = defaultdict(Sums, one)
    for doer, sums in other.items():
        both[doer] = both[doer].plus(sums)
    return dict(both)


def _sums(connection: Connection, name: str, after: int, until: int) -> dict[Doer, Sums]:
    """The sums of the rows of a table behind one position, up to another."""
    if until <= after:
        return {}
    table = _TABLES[name]
    query = _QUERIES[name].where(table.c.position > after, table.c.position <= until)
    found: defaultdict[Doer, Sums] = defaultdict(Sums)
    for row in connection.execute(query):
        doer = Doer(row.capability, row.stage, row.provider or "", row.currency or "", row.grade)
        tokens = tuple(int(getattr(row, kind) or 0) for kind in TOKENS)
        amounts = float(row.cost or 0), float(row.joules or 0)
        sums = Sums(row.number, float(row.seconds), tokens, *amounts, int(row.unpriced), int(row.ambiguous))
        found[doer] = found[doer].plus(sums)
    return dict(found)


def _query(
    table: Any, stage: ColumnElement[str], provider: ColumnElement[Any], ambiguous: ColumnElement[Any]
) -> Select[Any]:
    by = [table.c.capability, stage.label("stage"), provider.label("provider")]
    by += [table.c.cost_currency.label("currency"), table.c.energy_grade.label("grade")]
    tokens = [func.sum(table.c[f"{kind}_tokens"]).label(kind) for kind in TOKENS]
    return select(
        *by,
        func.count().label("number"),
        func.sum(table.c.elapsed_s).label("seconds"),
        *tokens,
        func.sum(cast(table.c.cost_amount, Float)).label("cost"),
        func.sum(table.c.joules).label("joules"),
        func.sum(case((table.c.cost_amount.is_(null()), 1), else_=0)).label("unpriced"),
        func.sum(ambiguous).label("ambiguous"),
    ).group_by(*by)


_AMBIGUOUS = case((step.c.details.like('%"ambiguous":true%'), 1), else_=0)
_ANSWERED = ~exists().where(step.c.trajectory == trajectory.c.id)
"""Heads of observed trajectories are no answers of ours: their steps say what was done."""
_QUERIES: dict[str, Select[Any]] = {
    "step": _query(step, literal("step"), step.c.provider, _AMBIGUOUS),
    "trajectory": _query(trajectory, trajectory.c.stage, trajectory.c.generalist, literal(0)).where(_ANSWERED),
}
