"""Which cases were asked of people, how and with which probability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import Split
from tokencapital.store.database import Store
from tokencapital.store.manifest import groups_of_cases, splits_of
from tokencapital.store.queue import bring_up_to_date, count_open, draw_of, open_draws
from tokencapital.store.schema import draw, work_case

__all__ = [
    "all_draws",
    "append_draws",
    "count_drawn",
    "count_open",
    "draw_counts",
    "drawn_cases",
    "open_draws",
    "undrawn_train_cases",
]


def append_draws(store: Store, draws: Sequence[Draw]) -> None:
    """The draws are on record, each id once.

    Raises InputError where a case is not stored, StoreConflict where a case of a sealed group was drawn
    actively: only uniform draws may say how good a policy is.
    """
    with store.begin() as connection:
        groups = groups_of_cases(connection, [drawn.case for drawn in draws])
        splits = splits_of(connection, groups.values())
        for drawn in draws:
            if drawn.case not in groups:
                raise InputError(f"no case {drawn.case} is stored", where=f"draw {drawn.id}")
            if drawn.kind is DrawKind.ACTIVE and splits[groups[drawn.case]] is Split.SEALED:
                raise StoreConflict(
                    f"case {drawn.case} is sealed and was drawn actively",
                    where=f"draw {drawn.id}",
                    remedy="Draw sealed cases uniformly.",
                )
        store.add_new(connection, draw, [_draw_row(drawn) for drawn in draws])
        bring_up_to_date(store, connection, groups)


def all_draws(store: Store, capability: str) -> list[Draw]:
    """Every draw of a capability, oldest first."""
    query = select(draw).where(draw.c.capability == capability).order_by(draw.c.position)
    with store.read() as connection:
        return [draw_of(row) for row in connection.execute(query)]


def draw_counts(store: Store, capability: str) -> dict[tuple[DrawKind, Split], int]:
    """How many draws there were by kind, and by the split that their groups are in now."""
    query = (
        select(draw.c.kind, work_case.c.entity_group)
        .join_from(draw, work_case, draw.c.case_id == work_case.c.id)
        .where(draw.c.capability == capability)
    )
    with store.read() as connection:
        rows = list(connection.execute(query))
        splits = splits_of(connection, {group for _, group in rows})
    return dict(Counter((DrawKind(kind), splits[group]) for kind, group in rows))


def undrawn_train_cases(store: Store, capability: str, limit: int) -> list[str]:
    """Of the newest `limit` cases that nobody was asked about, those in `train` groups, newest first."""
    query = (
        select(work_case.c.id, work_case.c.entity_group)
        .where(work_case.c.capability == capability, work_case.c.id.not_in(select(draw.c.case_id)))
        .order_by(work_case.c.position.desc())
        .limit(limit)
    )
    with store.read() as connection:
        rows = list(connection.execute(query))
        splits = splits_of(connection, {row.entity_group for row in rows})
    return [row.id for row in rows if splits[row.entity_group] is Split.TRAIN]


def count_drawn(store: Store, capability: str) -> int:
    """How many cases were drawn at least once."""
    query = select(func.count(draw.c.case_id.distinct())).where(draw.c.capability == capability)
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def drawn_cases(store: Store, capability: str) -> set[str]:
    """The cases that were drawn at least once."""
    with store.read() as connection:
        return set(connection.execute(select(draw.c.case_id).where(draw.c.capability == capability)).scalars())


def _draw_row(drawn: Draw) -> dict[str, Any]:
    return {
        "id": drawn.id,
        "case_id": drawn.case,
        "capability": drawn.capability,
        "kind": drawn.kind.value,
        "probability": drawn.probability,
        "at": drawn.at,
        "asked_of": drawn.asked_of,
        "passed_by": drawn.passed_by,
    }
