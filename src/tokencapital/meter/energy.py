"""Joules, always with the grade of how they came to be known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Usage

JOULES_PER_WH = 3600.0

_ORDER = list(Grade)


class EnergyMeter(Protocol):
    """Anything that tells the energy of work on this machine and of calls to others."""

    def machine(self, busy_s: float) -> Energy:
        """What this machine used up in `busy_s` seconds of work, at the boundary of the facility."""
        ...

    def remote(self, model: str, usage: Usage) -> Energy:
        """What a call to somebody else's model used up, at the boundary of their facility."""
        ...

    def explain(self) -> str:
        """In one sentence, where the figures come from and which ones are missing for what reason."""
        ...


class LocalEstimate:
    """Joules of this machine as `watts` x busy seconds x `pue`, graded `estimated`; remote calls stay unknown.

    `watts` is what the busy machine draws from the wall. Two pieces of work that run at the same time
    on the machine are both charged in full, so that the sum is an upper estimate.
    """

    def __init__(self, watts: float, pue: float) -> None:
        self._watts = watts
        self._pue = pue

    def machine(self, busy_s: float) -> Energy:
        """Watts times seconds times PUE."""
        return Energy(self._watts * busy_s * self._pue, Grade.ESTIMATED)

    def remote(self, model: str, usage: Usage) -> Energy:
        """Unknown: nothing here tells the load or the hardware of somebody else's machine."""
        return UNKNOWN_ENERGY

    def explain(self) -> str:
        """The formula with its declared figures."""
        return (
            f"{self._watts:g} W declared for the busy machine, times busy seconds, times a PUE of {self._pue:g}; "
            "the energy of remote models is unknown."
        )


class NoMeter:
    """Knows no energy at all, and says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def machine(self, busy_s: float) -> Energy:
        """Unknown."""
        return UNKNOWN_ENERGY

    def remote(self, model: str, usage: Usage) -> Energy:
        """Unknown."""
        return UNKNOWN_ENERGY

    def explain(self) -> str:
        """The reason why nothing is known."""
        return f"Energy is unknown: {self._reason}."


def combine(parts: Iterable[Energy]) -> Energy:
    """The energy of one piece of work out of its parts, under the worst of their grades.

    Unknown when a part is unknown; zero joules under the best grade when there are no parts.
    """
    joules, grade = 0.0, Grade.MEASURED
    for part in parts:
        if part.joules is None:
            return UNKNOWN_ENERGY
        joules += part.joules
        grade = worse(grade, part.grade)
    return Energy(joules, grade)


def worse(left: Grade, right: Grade) -> Grade:
    """The grade under which two figures may be shown as one."""
    return max(left, right, key=_ORDER.index)
