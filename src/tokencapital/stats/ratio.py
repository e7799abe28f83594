"""A ratio of two means, with its interval: dollars per accepted answer, or how much of one uplift another is."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from tokencapital.stats.distributions import t_quantile
from tokencapital.stats.intervals import Floats, Groups, Interval, cluster_variance, group_numbers

_RESAMPLES = 2_000


class Ratio(Struct, frozen=True):
    """`value` = mean of the numerators / mean of the denominators. `interval` None: a single entity."""

    value: float
    interval: Interval | None


def ratio_of_means(numerators: ArrayLike, denominators: ArrayLike, groups: Groups, level: float) -> Ratio | None:
    """The ratio over n cases in entity groups; inputs of shape (n,), not negative. None where a mean is not positive.

    The interval is the delta method on the logarithm (Cochran 1977, section 6.4): ln R has the variance of
    the mean of x / mean(x) - y / mean(y), taken over groups (CR1) with Student's t.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if not len(above) or not (above.mean() > 0 and below.mean() > 0):
        return None
    value = float(above.mean() / below.mean())
    labels = group_numbers(groups)
    entities = int(labels.max()) + 1
    if entities == 1:
        return Ratio(value, None)
    error = math.sqrt(cluster_variance(above / above.mean() - below / below.mean(), labels))
    factor = math.exp(t_quantile(level, entities - 1) * error)
    return Ratio(value, Interval(value / factor, value * factor, level))


def ratio_of_paired_differences(after: ArrayLike, before: ArrayLike, groups: Groups, level: float) -> Ratio | None:
    """mean(after) / mean(before), both differences in [-1, 1] on the same n cases, for ONE look.

    Fieller (1954): the interval holds every r that the data do not refute, that is with
    (Y - r X)^2 <= t^2 (S_yy - 2 r S_xy + r^2 S_xx), X and Y the sums of `before` and `after`, S their CR1
    sums of squares and products over G entity groups, t Student's quantile on G - 1 degrees. As in
    `paired_difference` half a group of mean size s is added at +1 and at -1 of either difference, which adds
    s^2 to S_xx and S_yy, so that few disagreements do not read as certainty. None with fewer than 2 groups,
    and where X is not above t sqrt(S_xx): `paired_difference` of the denominator then includes 0 at this
    level, and no interval of the ratio is bounded.
    """
    above, below = np.asarray(after, float), np.asarray(before, float)
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    squares = _cluster_products(np.stack([above, below]), labels) + (len(above) / count) ** 2 * np.eye(2)
    (upper, cross), (_, lower) = t_quantile(level, count - 1) ** 2 * squares
    y, x = float(above.sum()), float(below.sum())
    a, b, c = x * x - lower, x * y - cross, y * y - upper
    if x <= 0 or a <= 0:
        return None
    half = math.sqrt(max(0.0, b * b - a * c))
    return Ratio(y / x, Interval(float(b - half) / float(a), float(b + half) / float(a), level))


def bootstrap_ratio(
    after: ArrayLike, before: ArrayLike, groups: Groups, level: float, rng: np.random.Generator
) -> Interval | None:
    """The percentile interval of mean(after) / mean(before) over 2,000 resamples of whole entity groups.

    Efron (1979), for comparison with Fieller's: it covers less where the denominator is small. None with
    fewer than 2 groups, and where the denominator of any resample is not positive.
    """
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    below = drawn @ np.bincount(labels, weights=np.asarray(before, float))
    if not (below > 0).all():
        return None
    ratios = drawn @ np.bincount(labels, weights=np.asarray(after, float)) / below
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def _cluster_products(columns: Floats, labels: NDArray[np.int64]) -> Floats:
    """CR1 sums of squares and products (k, k) of k columns (k, n) over their groups, 0..G-1."""
    residuals = columns - columns.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(labels, weights=column) for column in residuals])
    return np.asarray(sums.shape[1] / (sums.shape[1] - 1) * sums @ sums.T)
