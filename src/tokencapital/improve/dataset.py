"""What there is to learn from: the judgments in memory that hold, as aligned columns."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.judgment import DrawKind, JudgedCase, Verdict
from tokencapital.store.memory import Memory, Vectors

TEACHING = frozenset({Verdict.RIGHT, Verdict.CORRECTED})
"""Verdicts that carry an answer."""


class Dataset(Struct, frozen=True):
    """n judged cases that may teach, in the order of the memory.

    `vectors` (n, d) are their unit rows, `uniform` (n,) says which were drawn uniformly and so stand
    for all cases, `sequence` is the memory's state that they come from.
    """

    judged: tuple[JudgedCase, ...]
    vectors: Vectors
    uniform: NDArray[np.bool_]
    sequence: int

    def __len__(self) -> int:
        return len(self.judged)

    @property
    def groups(self) -> list[str]:
        """The entity group of each case, (n,)."""
        return [one.case.group for one in self.judged]

    @property
    def lineage(self) -> tuple[int, ...]:
        """The memory sequences of the judgments, ascending."""
        return tuple(sorted(one.judgment.sequence for one in self.judged))

    def subset(self, rows: NDArray[np.intp]) -> Dataset:
        """The same columns at these rows."""
        return Dataset(tuple(self.judged[row] for row in rows), self.vectors[rows], self.uniform[rows], self.sequence)


def gather(memory: Memory, now: datetime) -> Dataset:
    """The judgments of the memory that hold at the time `now` and carry an answer."""
    rows = memory.valid_rows(now)
    judged = memory.judged(rows)
    kept = [
        i
        for i, one in enumerate(judged)
        if one.judgment.verdict in TEACHING and one.judgment.answer is not None
    ]
    chosen = [judged[i] for i in kept]
    return Dataset(
        tuple(chosen),
        memory.vectors([rows[i] for i in kept]),
        np.array([one.judgment.drawn is DrawKind.UNIFORM for one in chosen], bool),
        memory.sequence,
    )
