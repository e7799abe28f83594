"""Which of two ways of answering the same cases is right more often: one look, for benches and reports."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from tokencapital.stats.distributions import normal_quantile, t_quantile
from tokencapital.stats.intervals import Groups, Interval, cluster_variance, group_numbers

POWER = 0.8
"""With which the smallest visible difference would have been seen."""


class PairedDifference(Struct, frozen=True):
    """The share of cases that the first gets right minus that of the second, in [-1, 1], with its interval.

    `visible` is the smallest true difference whose interval, at this size and spread, leaves out 0 with
    probability POWER.
    """

    estimate: float
    interval: Interval
    visible: float


def paired_difference(
    first_right: ArrayLike, second_right: ArrayLike, groups: Groups, level: float
) -> PairedDifference | None:
    """The difference in accuracy on the same cases, for ONE look at a number of cases fixed beforehand.

    Inputs have shape (n,), values 0 or 1 (or scores in [0, 1]). Cluster-robust: CR1 variance of the
    differences over entity groups with Student's t on G - 1 degrees, adjusted as by Agresti and Min
    (2005): half a group of mean size s = n / G is added to each cell of the paired table, which adds s^2
    to the sum of squares and 2 s to n, so that few or no disagreements do not read as certainty. None
    with fewer than 2 groups. To look repeatedly use `sequential.betting_sequence`.
    """
    differences = np.asarray(first_right, dtype=np.float64) - np.asarray(second_right, dtype=np.float64)
    labels = group_numbers(groups)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    n = len(differences)
    size = n / count
    centre = float(differences.sum()) / (n + 2 * size)
    squares = cluster_variance(differences - differences.mean(), labels) * n**2 + size**2
    error = math.sqrt(squares) / (n + 2 * size)
    half = t_quantile(level, count - 1) * error
    interval = Interval(max(-1.0, centre - half), min(1.0, centre + half), level)
    visible = (half + normal_quantile(POWER) * error) * (n + 2 * size) / n
    return PairedDifference(float(differences.mean()), interval, visible)
