"""How good answers and confidences are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from tokencapital.stats.distributions import normal_quantile
from tokencapital.stats.intervals import Interval

Floats = NDArray[np.float64]


class Auc(Struct, frozen=True):
    """The chance that a random positive scores above a random negative (ties count half), with its interval."""

    value: float
    interval: Interval


def accuracy(expected: Sequence[str], given: Sequence[str | None]) -> float | None:
    """The share of answers equal to what was expected; a missing answer (None) is wrong. None without cases."""
    _same_length(expected, given)
    if not expected:
        return None
    return sum(want == got for want, got in zip(expected, given, strict=True)) / len(expected)


def macro_f1(expected: Sequence[str], given: Sequence[str | None]) -> float | None:
    """The plain mean of F1 over all labels expected or given; a missing answer is no label. None without cases."""
    scores, _ = _f1_by_label(expected, given)
    return float(scores.mean()) if len(scores) else None


def weighted_f1(expected: Sequence[str], given: Sequence[str | None]) -> float | None:
    """The mean of F1 over labels, weighted by how often each was expected. None without cases."""
    scores, support = _f1_by_label(expected, given)
    return float(scores @ support / support.sum()) if len(scores) else None


def auc(scores: ArrayLike, positive: ArrayLike, level: float = 0.95) -> Auc | None:
    """Area under the ROC curve with DeLong's interval, taken on the logit. None unless both classes occur.

    `scores` and `positive` (0 or 1) have shape (n,). DeLong et al. (1988) by midranks (Sun and Xu
    2014). Where every positive stands above every negative (or below) the variance says nothing;
    the far end is then that of min(positives, negatives) independent pairs, all concordant:
    (1 - level)/2 ** (1/pairs).
    """
    data, labels = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    above, below = data[labels], data[~labels]
    if not len(above) or not len(below):
        return None
    wins_above = (_midranks(data)[labels] - _midranks(above)) / len(below)
    wins_below = 1 - (_midranks(data)[~labels] - _midranks(below)) / len(above)
    value = float(wins_above.mean())
    variance = sum(np.var(wins, ddof=1) / len(wins) if len(wins) > 1 else 0.25 for wins in (wins_above, wins_below))
    if value in (0.0, 1.0) or variance == 0.0:
        far = ((1 - level) / 2) ** (1 / min(len(above), len(below)))
        low, high = (far, 1.0) if value > 0.5 else (0.0, 1 - far)
        return Auc(value, Interval(min(low, value), max(high, value), level))
    half = normal_quantile(0.5 + level / 2) * math.sqrt(variance) / (value * (1 - value))
    logit = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-end)) for end in (logit - half, logit + half))
    return Auc(value, Interval(low, high, level))


def calibration_error(confidences: ArrayLike, right: ArrayLike, bins: int = 10) -> float | None:
    """Expected calibration error: mean over cases of |share right - mean confidence| in their bin. None without cases.

    Bins hold equal numbers of cases in order of confidence; cases of equal confidence share one.
    Both inputs have shape (n,). Naeini et al. (2015), with quantile bins.
    """
    sure, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(sure):
        return None
    order = np.argsort(sure, kind="stable")
    sure, hits = sure[order], hits[order]
    places = (np.searchsorted(sure, sure, side="left") * bins) // len(sure)
    gaps = np.abs(np.bincount(places, weights=hits - sure))
    return float(gaps.sum() / len(sure))


def _f1_by_label(expected: Sequence[str], given: Sequence[str | None]) -> tuple[Floats, Floats]:
    """F1 and number of cases expected, for each label of the union, in sorted order."""
    _same_length(expected, given)
    labels = sorted(set(expected) | {label for label in given if label is not None})
    places = {label: place for place, label in enumerate(labels)}
    wanted, got, hits = (np.zeros(len(labels)) for _ in range(3))
    for want, answer in zip(expected, given, strict=True):
        wanted[places[want]] += 1
        if answer is not None:
            got[places[answer]] += 1
            hits[places[answer]] += answer == want
    return 2 * hits / (wanted + got), wanted


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties at the mean of their ranks."""
    ordered = np.sort(values)
    first, last = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (first + 1 + last) / 2


def _same_length(expected: Sequence[object], given: Sequence[object]) -> None:
    if len(expected) != len(given):
        raise ValueError(f"{len(expected)} expected answers and {len(given)} given ones do not match")
