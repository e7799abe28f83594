"""Comparisons that may be looked at after each case.

The unit is a bounded difference d in [-1, 1]: candidate right (1 or 0) minus live right, on the same
case. Everything here is valid at every sample size at once, whatever rule says when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from tokencapital.stats.intervals import Floats, Groups, group_numbers

BETS: Floats = np.geomspace(0.015, 0.9, 10)
"""Fractions of the largest safe stake, each held all along by an equal part of the wealth.

The best fraction is about effect / variance: 0.2 where 15% of cases gain and 10% lose, near 1 where
nothing is lost, 0.02 for half a point over ten thousand cases. Ten bets cost at most a factor 10.
"""

_BISECTIONS = 32
_CELLS = 200_000


class BoundSequence(Struct, frozen=True):
    """Bounds on the mean after each case: `lower` and `upper` of shape (n,), never loosening.

    Each bound alone is wrong at any time with probability at most `alpha`; both together 2 * `alpha`.
    """

    lower: Floats
    upper: Floats
    alpha: float


def e_value(differences: ArrayLike, null_mean: float) -> Floats:
    """Evidence after each case that the mean exceeds `null_mean`, in (-1, 1); same shape as `differences`.

    Time runs along the last axis. If the mean of each difference given its past is at most
    `null_mean`, the chance that the path ever reaches 1/alpha is at most alpha (Ville 1939); so the
    claim "mean > null_mean" may be made at the first case where it does. For the opposite claim
    negate both arguments.

    Wealth of a gambler who starts with 1 and splits it over BETS b: mean over b of
    prod_i (1 + b (d_i - m) / (1 + m)), m the null mean; 1/(1 + m) is the largest stake that cannot
    ruin. Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
    with a grid of constant bets. The final value does not depend on the order of the cases. Raises
    ValueError for a difference outside [-1, 1] or a null mean outside (-1, 1).
    """
    data = _checked(differences)
    if not -1 < null_mean < 1:
        raise ValueError(f"a null mean of {null_mean} leaves nothing to test: it must lie inside (-1, 1)")
    excess = (data - null_mean) / (1 + null_mean)
    wealth = np.zeros(data.shape)
    with np.errstate(over="ignore", under="ignore"):
        for bet in BETS:
            wealth += np.exp(np.cumsum(np.log1p(bet * excess), axis=-1))
    return wealth / len(BETS)


def betting_sequence(differences: ArrayLike, alpha: float) -> BoundSequence:
    """Bounds on the mean of `differences` (shape (n,), in [-1, 1]) after each case, from a betting e-process.

    The lower bound is the largest m whose `e_value` has reached 1/alpha by then, found by bisection
    (the e-value falls in m) and rounded outwards; so `lower[i] > m` exactly when the path of
    `e_value(differences, m)` has reached 1/alpha by case i. The upper bound mirrors it. The cost is
    about n * (distinct differences) * 320 logarithms.
    """
    data = _checked(differences)
    lower = np.maximum.accumulate(_lower_path(data, alpha))
    upper = -np.maximum.accumulate(_lower_path(-data, alpha))
    return BoundSequence(lower, upper, alpha)


def asymptotic_sequence(values: ArrayLike, alpha: float, tightest_at: int) -> BoundSequence:
    """Bounds on the mean of `values` (shape (n,)) after each case, for large samples of any finite variance.

    mean -+ s * sqrt(2 (t r^2 + 1) / (t^2 r^2) * ln(1 + sqrt(t r^2 + 1) / (2 alpha))), s the running
    standard deviation, r^2 = (-2 ln(2 alpha) + ln(1 - 2 ln(2 alpha))) / `tightest_at`. Waudby-Smith,
    Arbour, Sinha, Kennedy and Ramdas (2024), one-sided form. Coverage is asymptotic in time: nothing
    is said before max(100, `tightest_at` / 10) cases or while the values do not vary (bounds of
    infinity), and below a few hundred cases `betting_sequence` is the one to use.
    """
    data = np.asarray(values, dtype=np.float64)
    times = np.arange(1, len(data) + 1)
    mean = np.cumsum(data) / times
    centred = data - (data[0] if len(data) else 0.0)
    variance = np.cumsum(centred**2) / times - (np.cumsum(centred) / times) ** 2
    log_level = -2 * math.log(min(2 * alpha, 0.5))
    spread = (log_level + math.log(1 + log_level)) / tightest_at
    scaled = times * spread + 1
    width = np.sqrt(2 * scaled / (times**2 * spread) * np.log1p(np.sqrt(scaled) / (2 * alpha)))
    half = np.sqrt(np.maximum(variance, 0.0)) * width
    half[(times < max(100, tightest_at // 10)) | (variance <= 1e-15)] = np.inf
    return BoundSequence(np.maximum.accumulate(mean - half), np.minimum.accumulate(mean + half), alpha)


def cluster_means(differences: ArrayLike, groups: Groups, order: Sequence[float] | None = None) -> Floats:
    """The mean difference of each entity group, shape (G,), groups in order of first appearance.

    Cases of one group depend on each other, groups do not: the groups' means are what the sequences
    of this module may take as their units. What is then estimated is the effect on the average
    *group*, each group counting once however many cases it has; it differs from the effect on the
    average case where large groups fare differently from small ones. `order` gives each case's place
    in time (None: as listed). A group must be complete when it is first looked at, as it is in a
    sealed batch; to change a unit after a look would break the guarantee.
    """
    data = _checked(differences)
    labels = np.asarray(groups)
    if order is not None:
        places = np.argsort(np.asarray(order), kind="stable")
        data, labels = data[places], labels[places]
    numbers = group_numbers(labels)
    return np.bincount(numbers, weights=data) / np.bincount(numbers)


def _lower_path(data: Floats, alpha: float) -> Floats:
    """The largest m excluded by each prefix alone, shape (n,); -1 where none is."""
    values, codes = np.unique(data, return_inverse=True)
    counts = np.zeros((len(data), len(values)))
    counts[np.arange(len(data)), codes] = 1
    counts = np.cumsum(counts, axis=0)
    step = max(1, _CELLS // max(1, len(values)))
    parts = [_largest_excluded(counts[at : at + step], values, alpha) for at in range(0, len(data), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _largest_excluded(counts: Floats, values: Floats, alpha: float) -> Floats:
    low = np.full(len(counts), -1.0)
    high = counts @ values / counts.sum(axis=1)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        excluded = _wealth_of_counts(counts, values, middle) >= 1 / alpha
        low, high = np.where(excluded, middle, low), np.where(excluded, high, middle)
    return low


def _wealth_of_counts(counts: Floats, values: Floats, means: Floats) -> Floats:
    """The e-value of each row of counts of `values` against its own null mean; both of shape (t,)."""
    null_means = np.maximum(means, -1 + 1e-12)[:, None]
    excess = (values - null_means) / (1 + null_means)
    growth = np.einsum("tv,tvb->tb", counts, np.log1p(excess[:, :, None] * BETS))
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(growth).mean(axis=1))


def _checked(differences: ArrayLike) -> Floats:
    data = np.asarray(differences, dtype=np.float64)
    if data.size and not np.all(np.abs(data) <= 1):
        raise ValueError("differences must lie in [-1, 1]: a share right minus a share right")
    return data
