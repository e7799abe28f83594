"""The only reader of sealed rows: judged cases that may judge a policy and must never teach one.

They are used in batches. A batch fills with uniformly drawn, judged cases in the order in which their
judgments came; it is spent by looking, and then retires: its groups leave `sealed` for `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, exists, func, select

from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment
from tokencapital.core.split import Split
from tokencapital.store.database import Store, next_numbers
from tokencapital.store.judgments import leave_sealed
from tokencapital.store.manifest import Departure
from tokencapital.store.rows import ends, judged_of, judgment_of, judgments_with_words, stands
from tokencapital.store.schema import (
    group_manifest,
    judgment,
    sealed_batch,
    sealed_look,
    sealed_member,
    sealed_retirement,
    work_case,
)


class SealedBatch(Struct, frozen=True, kw_only=True):
    """Sealed cases that comparisons share. `cases` are those whose group is still sealed, in order.

    They are of `groups` entities; no further entity joins when there are `size`, but the later cases of
    those that are in it do.
    """

    id: str
    capability: str
    ordinal: int
    size: int
    cases: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()

    @property
    def full(self) -> bool:
        """Whether no further entity may join."""
        return len(self.groups) >= self.size


class Look(Struct, frozen=True, kw_only=True):
    """Comparison number `comparison` (from 1) on a batch: `candidate` against `live` at level `alpha`.

    Both are policy hashes; `live` None: there was none.
    """

    batch: str
    comparison: int
    candidate: str
    live: str | None
    alpha: float
    at: datetime


def sealed_judged(store: Store, capability: str, batch: str | None = None) -> list[JudgedCase]:
    """Uniformly drawn judgments on sealed groups in order of arrival, of one batch or all.

    Withdrawn and erased ones are left out; `valid_until` is what was last decided, and whether it holds
    now is for the caller's clock.
    """
    query = (
        judgments_with_words()
        .add_columns(ends().label("ends_at"))
        .where(judgment.c.capability == capability, judgment.c.drawn == DrawKind.UNIFORM.value)
        .where(stands(), _is_sealed())
        .order_by(judgment.c.sequence)
    )
    if batch is not None:
        query = query.join(sealed_member, sealed_member.c.case_id == judgment.c.case_id)
        query = query.where(sealed_member.c.batch == batch)
    with store.read() as connection:
        rows = [(judged_of(row), row.ends_at) for row in connection.execute(query)]
    return [
        JudgedCase(judged.case, msgspec.structs.replace(judged.judgment, valid_until=ends_at))
        for judged, ends_at in rows
        if judged is not None
    ]


def judgments_of(store: Store, case_id: str) -> list[Judgment]:
    """All that people said of a case in a sealed group, oldest first, withdrawn ones left out."""
    query = judgments_with_words().where(judgment.c.case_id == case_id, stands(), _is_sealed())
    with store.read() as connection:
        return [judgment_of(row) for row in connection.execute(query.order_by(judgment.c.sequence))]


def current_batch(store: Store, capability: str, size: int) -> SealedBatch:
    """The batch in use, filled up with what was judged since; a new one of `size` entities after a retirement."""
    with store.begin() as connection:
        next_numbers(connection, "memory", 0)
        batch = _newest(connection, capability)
        if batch is None or _is_retired(connection, batch.id):
            batch = _open(store, connection, capability, 1 if batch is None else batch.ordinal + 1, size)
        joining = _joining(batch, _waiting(connection, capability))
        rows = [{"case_id": one.case_id, "batch": batch.id, "sequence": one.sequence} for one in joining]
        store.add_new(connection, sealed_member, rows)
        return _with_members(connection, batch)


def newest_batch(store: Store, capability: str) -> SealedBatch | None:
    """The newest batch as it was last filled, retired or not; None: none was opened. Writes nothing."""
    with store.read() as connection:
        return _newest(connection, capability)


def record_look(store: Store, look: Look) -> None:
    """The comparison is on record before its result is known.

    Recording it again changes nothing. Raises StoreConflict where its number was given to another pair
    of policies, or the batch has retired.
    """
    row = msgspec.structs.asdict(look)
    with store.begin() as connection:
        if _is_retired(connection, look.batch):
            raise StoreConflict("a retired batch judges nothing", where=look.batch)
        store.add_new(connection, sealed_look, [row])
        kept = next(known for known in looks(store, look.batch) if known.comparison == look.comparison)
    if (kept.candidate, kept.live) != (look.candidate, look.live):
        raise StoreConflict(f"comparison {look.comparison} was between other policies", where=look.batch)


def looks(store: Store, batch: str) -> list[Look]:
    """The comparisons on a batch, first to last."""
    query = select(sealed_look).where(sealed_look.c.batch == batch).order_by(sealed_look.c.comparison)
    with store.read() as connection:
        return [Look(**row._mapping) for row in connection.execute(query)]


def count_waiting(store: Store, capability: str) -> int:
    """How many sealed entities have judged cases that are in no batch yet."""
    with store.read() as connection:
        return len({one.entity_group for one in _waiting(connection, capability)})


def retire_batch(store: Store, batch: str, *, at: datetime, by: str) -> None:
    """The batch's groups are in `train` for good and their judgments teach, under new numbers.

    Raises InputError where there is no such batch. Retiring twice changes nothing.
    """
    with store.begin() as connection:
        next_numbers(connection, "memory", 0)
        if connection.execute(select(sealed_batch.c.id).where(sealed_batch.c.id == batch)).first() is None:
            raise InputError(f"no sealed batch {batch} was opened")
        if _is_retired(connection, batch):
            return
        count = len(looks(store, batch))
        groups = _groups(connection, batch)
        store.add_new(connection, sealed_retirement, [{"batch": batch, "looks": count, "at": at, "by": by}])
        leave_sealed(store, connection, groups, Departure(at, by, f"batch {batch} retired", count))


def _is_sealed() -> ColumnElement[bool]:
    """Whether the group of a row's case is sealed: it was by its first event, and no event followed."""
    left = group_manifest.alias("left_sealed")
    first = exists().where(
        group_manifest.c.entity_group == work_case.c.entity_group,
        group_manifest.c.ordinal == 0,
        group_manifest.c.split == Split.SEALED.value,
    )
    later = exists().where(left.c.entity_group == work_case.c.entity_group, left.c.ordinal > 0)
    return first.correlate(work_case) & ~later.correlate(work_case)


def _newest(connection: Connection, capability: str) -> SealedBatch | None:
    query = select(sealed_batch).where(sealed_batch.c.capability == capability)
    row = connection.execute(query.order_by(sealed_batch.c.ordinal.desc()).limit(1)).first()
    if row is None:
        return None
    batch = SealedBatch(id=row.id, capability=row.capability, ordinal=row.ordinal, size=row.size)
    return _with_members(connection, batch)


def _open(store: Store, connection: Connection, capability: str, ordinal: int, size: int) -> SealedBatch:
    batch = SealedBatch(id=f"{capability}/{ordinal}", capability=capability, ordinal=ordinal, size=size)
    row = {"id": batch.id, "capability": capability, "ordinal": ordinal, "size": size}
    store.add_new(connection, sealed_batch, [row])
    return batch


def _is_retired(connection: Connection, batch: str) -> bool:
    query = select(sealed_retirement.c.batch).where(sealed_retirement.c.batch == batch)
    return connection.execute(query).first() is not None


def _with_members(connection: Connection, batch: SealedBatch) -> SealedBatch:
    query = (
        select(sealed_member.c.case_id, work_case.c.entity_group)
        .join_from(sealed_member, work_case, sealed_member.c.case_id == work_case.c.id)
        .where(sealed_member.c.batch == batch.id, _is_sealed())
        .order_by(sealed_member.c.sequence)
    )
    rows = list(connection.execute(query))
    return msgspec.structs.replace(
        batch, cases=tuple(row.case_id for row in rows), groups=frozenset(row.entity_group for row in rows)
    )


def _joining(batch: SealedBatch, waiting: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Those of the waiting cases, in order, whose entity is in the batch or still finds room in it."""
    inside, joining = set(batch.groups), []
    for one in waiting:
        if one.entity_group in inside or len(inside) < batch.size:
            inside.add(one.entity_group)
            joining.append(one)
    return joining


def _groups(connection: Connection, batch: str) -> Sequence[str]:
    query = (
        select(work_case.c.entity_group)
        .join_from(sealed_member, work_case, sealed_member.c.case_id == work_case.c.id)
        .where(sealed_member.c.batch == batch)
        .distinct()
    )
    return connection.execute(query).scalars().all()


def _waiting(connection: Connection, capability: str) -> list[Row[Any]]:
    """Sealed cases with a uniformly drawn judgment that stands and that are in no batch, by its arrival.

    Each row has the case's id, its entity group and the first `sequence`.
    """
    first = func.min(judgment.c.sequence).label("sequence")
    query = (
        select(judgment.c.case_id, work_case.c.entity_group, first)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .where(judgment.c.capability == capability, judgment.c.drawn == DrawKind.UNIFORM.value)
        .where(judgment.c.case_id.not_in(select(sealed_member.c.case_id)), stands(), _is_sealed())
        .group_by(judgment.c.case_id, work_case.c.entity_group)
        .order_by(first)
    )
    return list(connection.execute(query))
