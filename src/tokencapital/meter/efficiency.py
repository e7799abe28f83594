"""The two metrics: tokens per dollar per watt, and outcomes per dollar per watt, the one to decide by.

Point arithmetic only; each figure is None where nothing was generated or accepted, or where a part of
it is unknown.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tokencapital.core.quantity import Grade
from tokencapital.meter.energy import JOULES_PER_WH, worse


class Work(Struct, frozen=True, kw_only=True):
    """What a window of serving brought.

    `cases` were served, of which `accepted_share` in [0, 1] were accepted (None: not measured), with
    `output_tokens` generated, reasoning included (None: a provider did not say).
    """

    cases: int
    accepted_share: float | None
    output_tokens: int | None


class Spending(Struct, frozen=True, kw_only=True):
    """Dollars and joules that were used up; None: a part of them is unknown."""

    usd: Decimal | None = Decimal(0)
    joules: float | None = 0.0
    grade: Grade = Grade.MEASURED

    def __add__(self, other: Spending) -> Spending:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        joules = None if self.joules is None or other.joules is None else self.joules + other.joules
        return Spending(usd=usd, joules=joules, grade=worse(self.grade, other.grade))

    def share(self, part: int, whole: int) -> Spending:
        """The spending that falls on `part` of `whole` cases. Raises ValueError where there are none."""
        if part < 0 or whole <= 0:
            raise ValueError(f"cannot spread spending as {part} of {whole} cases")
        usd = None if self.usd is None else self.usd * part / whole
        joules = None if self.joules is None else self.joules * part / whole
        return Spending(usd=usd, joules=joules, grade=self.grade)


class Efficiency(Struct, frozen=True, kw_only=True):
    """The metrics with their factors, under the grade of the energy in them.

    `tpdw` = `tokens_per_usd` x `tokens_per_joule` and `opdw` = `accepted_per_usd` x
    `accepted_per_joule`. Marginal and all-in figures are never compared with each other.
    """

    tpdw: float | None
    opdw: float | None
    usd_per_accepted: float | None
    wh_per_accepted: float | None
    tokens_per_usd: float | None
    tokens_per_joule: float | None
    accepted_per_usd: float | None
    accepted_per_joule: float | None
    grade: Grade


class Efficiencies(Struct, frozen=True):
    """Serving alone, and serving with its part of all that was spent on learning."""

    marginal: Efficiency
    all_in: Efficiency


def efficiency(work: Work, spent: Spending) -> Efficiency:
    """TPDW = (N/C) x (N/E) for N output tokens, C dollars and E joules; OPDW = (a/c) x (a/e) per case.

    The first is tokens per dollar per watt at a rate of one token per second, as W/(tok/s) = J/tok: it
    does not depend on the length of the window or the size of the fleet. In the second a is the
    accepted share and c, e are dollars and joules per case, so that a/c = a n/C for n cases. A factor
    is None where nothing was generated, and where it would divide by zero.
    """
    accepted = None if work.accepted_share is None else work.accepted_share * work.cases
    usd = None if spent.usd is None else float(spent.usd)
    generated = work.output_tokens or None
    tokens_per_usd, tokens_per_joule = _ratio(generated, usd), _ratio(generated, spent.joules)
    accepted_per_usd, accepted_per_joule = _ratio(accepted, usd), _ratio(accepted, spent.joules)
    wh = None if spent.joules is None else spent.joules / JOULES_PER_WH
    return Efficiency(
        tpdw=_product(tokens_per_usd, tokens_per_joule),
        opdw=_product(accepted_per_usd, accepted_per_joule),
        usd_per_accepted=_ratio(usd, accepted),
        wh_per_accepted=_ratio(wh, accepted),
        tokens_per_usd=tokens_per_usd,
        tokens_per_joule=tokens_per_joule,
        accepted_per_usd=accepted_per_usd,
        accepted_per_joule=accepted_per_joule,
        grade=Grade.UNKNOWN if spent.joules is None else spent.grade,
    )


def efficiencies(work: Work, serving: Spending, learning: Spending, volume: int | None = None) -> Efficiencies:
    """Both views of a window of serving.

    `learning` is all that review, training and evaluation took. `volume` is the number of cases over
    which the owner declares it to be spread; None: it falls on the cases of this window alone. Tokens
    generated while learning are a cost, not work, so that N is the same in both views.
    """
    borne = learning if volume is None or work.cases == 0 else learning.share(work.cases, volume)
    return Efficiencies(efficiency(work, serving), efficiency(work, serving + borne))


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _product(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left * right
