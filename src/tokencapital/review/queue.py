"""Which cases are put before people: uniform draws on arrival, active draws from what was seen.

About 10% of the budget goes uniformly to sealed groups (evidence for the gate), about 15% uniformly
to train groups (calibration and unbiased estimates), the rest actively to train groups. Every draw
has the probability at which it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import SEALED_SHARE, Split, unit_hash
from tokencapital.store.manifest import Assignment

SEALED_PART = 0.10
UNIFORM_PART = 0.15


class Rates(Struct, frozen=True):
    """Probability with which an arriving case of each split is drawn uniformly."""

    sealed: float
    train: float


def uniform_rates(budget: float, arrivals: float, *, active: bool = True) -> Rates:
    """Rates that spend the uniform parts of `budget` judgments evenly over `arrivals` cases.

    Without active sampling all of the budget is drawn uniformly; a budget for every case draws each
    with probability 1. Raises ValueError unless `arrivals` is positive.
    """
    if arrivals <= 0:
        raise ValueError("rates need a positive number of arrivals")
    share = budget / arrivals
    if share >= 1.0 or not active:
        return Rates(min(1.0, share), min(1.0, share))
    return Rates(min(1.0, share * SEALED_PART / SEALED_SHARE), min(1.0, share * UNIFORM_PART / (1 - SEALED_SHARE)))


def draw_uniform(
    assignments: Sequence[Assignment], rates: Rates, key: bytes, capability: str, at: datetime
) -> list[Draw]:
    """The arriving cases that chance picks, each independently of all else: a keyed hash decides."""
    chosen = []
    for one in assignments:
        rate = rates.sealed if one.split is Split.SEALED else rates.train
        if unit_hash(key, "draw", one.case_id) < rate:
            chosen.append(_draw(one.case_id, capability, DrawKind.UNIFORM, rate, at))
    return chosen


def draw_active(picks: Sequence[tuple[str, float]], capability: str, at: datetime) -> list[Draw]:
    """Draws for cases that active sampling picked, each with its probability of being picked."""
    return [_draw(case_id, capability, DrawKind.ACTIVE, probability, at) for case_id, probability in picks]


def _draw(case_id: str, capability: str, kind: DrawKind, probability: float, at: datetime) -> Draw:
    return Draw(id=f"drw_{case_id}", case=case_id, capability=capability, kind=kind, probability=probability, at=at)
