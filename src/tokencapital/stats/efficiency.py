"""Accepted outcomes per dollar and per joule, and their product, with an interval."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from tokencapital.stats.distributions import t_quantile
from tokencapital.stats.intervals import Groups, Interval, group_numbers


class OutcomeEfficiency(Struct, frozen=True):
    """OPDW = `accepted_per_usd` * `accepted_per_joule`, with the interval of OPDW."""

    opdw: float
    accepted_per_usd: float
    accepted_per_joule: float
    interval: Interval


def outcome_efficiency(
    accepted: ArrayLike, cost_usd: ArrayLike, energy_joules: ArrayLike, groups: Groups, level: float
) -> OutcomeEfficiency | None:
    """OPDW = (a/c) * (a/e), a the accepted share, c dollars per case, e joules per case.

    Inputs are per case, shape (n,); `accepted` is 0 or 1. The interval is the delta method on
    ln OPDW = 2 ln a - ln c - ln e: variance w' Sigma w / n with w = (2/a, -1/c, -1/e) and the full
    covariance Sigma, here as the CR1 sum over entity groups, with Student's t on G - 1 degrees. None
    where it is undefined: fewer than 2 groups, nothing accepted, or a mean cost or energy of 0 or
    unknown (NaN in any case). Where costs do not vary and every case is accepted the interval is a point.
    """
    columns = np.stack([np.asarray(column, dtype=np.float64) for column in (accepted, cost_usd, energy_joules)])
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2 or not np.isfinite(columns).all():
        return None
    means = columns.mean(axis=1)
    if not (means > 0).all():
        return None
    share, usd, joules = (float(mean) for mean in means)
    pulls = (np.array([2.0, -1.0, -1.0]) / means) @ (columns - means[:, None])
    sums = np.bincount(labels, weights=pulls)
    deviation = math.sqrt(count / (count - 1) * float(sums @ sums)) / columns.shape[1]
    factor = math.exp(t_quantile(level, count - 1) * deviation)
    opdw = (share / usd) * (share / joules)
    return OutcomeEfficiency(opdw, share / usd, share / joules, Interval(opdw / factor, opdw * factor, level))
