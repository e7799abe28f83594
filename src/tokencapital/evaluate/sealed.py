"""The only door to sealed cases: tasks for the gate, with every look counted."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from tokencapital.core.judgment import JudgedCase, Judgment
from tokencapital.evaluate.tasks import Task, tasks_from
from tokencapital.stats.spending import look_alpha
from tokencapital.store import sealed
from tokencapital.store.database import Store
from tokencapital.store.sealed import Look

ALPHA = 0.05
"""What all comparisons on one batch may spend together."""
BATCH = 75
"""Entities of a sealed batch."""


def judgments_of_sealed(store: Store, case_id: str) -> list[Judgment]:
    """All that people said of a case in a sealed group, for whoever waits for its answer and for nobody else."""
    return sealed.judgments_of(store, case_id)


def sealed_for_bundle(store: Store, capability: str) -> list[JudgedCase]:
    """All sealed judged cases of a capability, for a bundle that carries its evals to another store."""
    return sealed.sealed_judged(store, capability)


class OpenBatch(Struct, frozen=True):
    """The sealed cases that may be compared on now, each with the answer that people agree on."""

    id: str
    full: bool
    tasks: tuple[Task, ...]


class Gathered(Struct, frozen=True):
    """How many sealed entities the batch in use holds, of how many, and how often it was looked at."""

    entities: int
    size: int
    looks: int


class SealedCases:
    """The sealed cases of one capability, in batches of `size` entities."""

    def __init__(self, store: Store, capability: str, size: int = BATCH) -> None:
        self._store = store
        self._capability = capability
        self._size = size

    def open(self, now: datetime) -> OpenBatch:
        """The batch in use with its tasks: judgments that hold at the time `now`, without conflicts."""
        batch = sealed.current_batch(self._store, self._capability, self._size)
        judged = sealed.sealed_judged(self._store, self._capability, batch.id)
        holding = [one for one in judged if one.judgment.holds_at(now)]
        groups = {one.case.id: one.case.group for one in holding}
        return OpenBatch(batch.id, batch.full, tuple(tasks_from(holding, groups)))

    def gathered(self) -> Gathered:
        """How far the batch in use was filled when the gate last asked for it; writes nothing."""
        batch = sealed.newest_batch(self._store, self._capability)
        if batch is None:
            return Gathered(0, self._size, 0)
        return Gathered(len(batch.groups), batch.size, len(sealed.looks(self._store, batch.id)))

    def look(self, batch: OpenBatch, candidate: str, live: str, at: datetime) -> Look:
        """The next comparison on the batch, on record before its result is known, at the level that is left.

        Growing the batch between two looks makes them two comparisons, also of the same policies. Asked
        again for the same time, as after a crash, the last look is given once more.
        """
        earlier = self.looks(batch)
        if earlier and (earlier[-1].candidate, earlier[-1].live, earlier[-1].at) == (candidate, live, at):
            return earlier[-1]
        number = len(earlier) + 1
        look = Look(
            batch=batch.id,
            comparison=number,
            candidate=candidate,
            live=live,
            alpha=look_alpha(ALPHA, number),
            at=at,
        )
        sealed.record_look(self._store, look)
        return look

    def looks(self, batch: OpenBatch) -> list[Look]:
        """The comparisons made on the batch, first to last."""
        return sealed.looks(self._store, batch.id)

    def retire_if_spent(self, now: datetime, by: str) -> bool:
        """Whether the batch left `sealed`: it was looked at, is full, and as many entities wait behind it.

        What was judged in it teaches from then on, and later candidates are judged on later batches.
        """
        batch = sealed.current_batch(self._store, self._capability, self._size)
        waiting = sealed.count_waiting(self._store, self._capability)
        if not batch.full or waiting < self._size or not sealed.looks(self._store, batch.id):
            return False
        sealed.retire_batch(self._store, batch.id, at=now, by=by)
        return True
