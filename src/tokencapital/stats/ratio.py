"""A ratio of two means, such as dollars per accepted answer, with its interval."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from tokencapital.stats.distributions import t_quantile
from tokencapital.stats.intervals import Groups, Interval, cluster_variance, group_numbers


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
