"""What there is to learn from: the judgments in memory that hold, as aligned columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.judgment import DrawKind, JudgedCase
from tokencapital.core.split import unit_hash
from tokencapital.store.memory import Memory, Vectors

PLENTY = 1_000
"""Uniform draws from which on some of them are left to choose settings by."""
CHOOSING_SHARE = 0.2
IN_WORK_WEIGHT = 0.5
"""What somebody made of a draft in their work counts for a learner, beside a review: decision 0024."""


class Dataset(Struct, frozen=True):
    """n judged cases that may teach, in the order of the memory.

    `vectors` (n, d) are their unit rows, `uniform` (n,) says which were drawn uniformly and so stand
    for all cases, `sequence` is the memory's state that they come from. `weights` (n,) say what each
    judgment counts for a learner; None: all the same.
    """

    judged: tuple[JudgedCase, ...]
    vectors: Vectors
    uniform: NDArray[np.bool_]
    sequence: int
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.judged)

    @property
    def groups(self) -> list[str]:
        """The entity group of each case, (n,)."""
        return [one.case.group for one in self.judged]

    @property
    def calibration(self) -> NDArray[np.bool_]:
        """The uniform draws (n,) that thresholds and confidences are set by, and nothing is chosen by.

        Where there are plenty, a fifth of the entities, by hash, is left to choose settings by.
        """
        if self.uniform.sum() < PLENTY:
            return self.uniform
        chooses = {group: unit_hash(b"", "choose", group) < CHOOSING_SHARE for group in set(self.groups)}
        chosen = np.array([chooses[group] for group in self.groups], bool)
        return np.asarray(self.uniform & ~chosen, bool)

    @property
    def lineage(self) -> tuple[int, ...]:
        """The memory sequences of the judgments, ascending."""
        return tuple(sorted(one.judgment.sequence for one in self.judged))

    def subset(self, rows: NDArray[np.intp]) -> Dataset:
        """The same columns at these rows."""
        weights = None if self.weights is None else self.weights[rows]
        judged = tuple(self.judged[row] for row in rows)
        return Dataset(judged, self.vectors[rows], self.uniform[rows], self.sequence, weights)


Weigh = Callable[[Sequence[JudgedCase]], Sequence[float] | None]
"""What each judgment counts for a learner; None: all the same."""


def gather(memory: Memory, now: datetime, weigh: Weigh | None = None) -> Dataset:
    """The judgments of the memory that hold at the time `now`; all of them carry an answer."""
    rows = memory.valid_rows(now)
    judged = tuple(memory.judged(rows))
    uniform = np.array([one.judgment.drawn is DrawKind.UNIFORM for one in judged], bool)
    weights = weigh(judged) if weigh else None
    counted = None if weights is None else np.asarray(weights, np.float64)
    in_work = np.array([one.judgment.drawn is DrawKind.IN_WORK for one in judged], bool)
    if in_work.any():
        counted = (np.ones(len(judged)) if counted is None else counted) * np.where(in_work, IN_WORK_WEIGHT, 1.0)
    return Dataset(judged, memory.vectors(rows), uniform, memory.sequence, counted)
