"""Intervals for shares and means, with and without entity clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from tokencapital.stats.distributions import beta_quantile, normal_quantile, t_quantile

Floats = NDArray[np.float64]
Groups = Sequence[str] | Sequence[int] | NDArray[np.generic]
"""The entity group of each value; values of one group may depend on each other in any way."""


class Interval(Struct, frozen=True):
    """`low` <= truth <= `high` in a share `level` of repetitions."""

    low: float
    high: float
    level: float


def wilson(successes: float, n: float, level: float) -> Interval | None:
    """Wilson's score interval for a share of `n` independent cases. None when n is 0.

    Fractional counts are welcome: they come from effective sample sizes. Wilson (1927).
    """
    if n <= 0:
        return None
    z = normal_quantile(0.5 + level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return Interval(low, high, level)


def clopper_pearson(successes: float, n: float, level: float) -> Interval | None:
    """The exact interval for a share of `n` independent cases: covers at `level` or more, never less.

    None when n is 0. Fractional counts use the same beta quantiles. Clopper and Pearson (1934).
    """
    if n <= 0:
        return None
    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else beta_quantile(successes, n - successes + 1, tail)
    high = 1.0 if successes >= n else beta_quantile(successes + 1, n - successes, 1 - tail)
    return Interval(low, high, level)


def cluster_interval(values: ArrayLike, groups: Groups, level: float) -> Interval | None:
    """Interval for the mean over cases, each case counting once, when cases of a group depend on each other.

    The mean of `values` (shape (n,)) is linearized as a ratio over G groups; its variance is the CR1
    sandwich G/(G-1) * sum over groups of (sum of residuals)^2 / n^2, with Student's t on G - 1
    degrees. Cameron and Miller (2015). None with fewer than 2 groups: nothing then tells how groups
    differ. Asymptotic in the number of groups; a share of right answers is better served by
    `share_interval`, which stays honest near 0 and 1.
    """
    data = np.asarray(values, dtype=np.float64)
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    half = t_quantile(level, count - 1) * math.sqrt(cluster_variance(data - data.mean(), labels))
    return Interval(float(data.mean() - half), float(data.mean() + half), level)


def share_interval(successes: ArrayLike, groups: Groups, level: float) -> Interval | None:
    """Interval for a share of cases (values 0 or 1, shape (n,)) when cases of a group depend on each other.

    Korn and Graubard (1998) with Wilson's interval: the n cases count as n / deff independent ones,
    where deff is the clustered over the independent variance, at least 1, times the squared ratio of
    Student's to the normal quantile. Where all cases agree the data cannot tell deff, and the groups
    count as one case each. None with fewer than 2 groups.
    """
    data = np.asarray(successes, dtype=np.float64)
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    share = float(data.mean())
    independent = share * (1 - share) / len(data)
    if independent == 0.0:
        return wilson(share * count, count, level)
    design_effect = max(1.0, cluster_variance(data - share, labels) / independent)
    penalty = (t_quantile(level, count - 1) / normal_quantile(0.5 + level / 2)) ** 2
    effective = len(data) / (design_effect * penalty)
    return wilson(share * effective, effective, level)


def cluster_variance(residuals: Floats, labels: NDArray[np.int64]) -> float:
    """CR1 variance of a mean over n cases from its `residuals` (they sum to 0) and group numbers 0..G-1, G >= 2."""
    sums = np.bincount(labels, weights=residuals)
    return float(len(sums) / (len(sums) - 1) * np.sum(sums**2) / len(residuals) ** 2)


def group_numbers(groups: Groups) -> NDArray[np.int64]:
    """Groups as numbers 0..G-1 in order of first appearance, shape (n,)."""
    _, first, codes = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]
