"""What a stage's score is worth: the probability that its answer is right.

`confidence` runs on every answer and needs numpy only.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokencapital.core.policy import Calibration

Floats = NDArray[np.float64]

_PRIOR_CASES = 10.0
_NEWTON_STEPS = 50
_MOST_KNOTS = 40


def fit_calibration(scores: ArrayLike, right: ArrayLike, weights: ArrayLike | None = None) -> Calibration | None:
    """A monotone map from score to the probability of being right. None without any case of positive weight.

    `scores` (finite), `right` (0 or 1) and `weights` (>= 0, None: equal) have shape (n,); weights are
    scaled so that they sum to Kish's effective sample size. A logistic curve (Platt 1999, with his
    smoothed targets) is the prior; cases in about n^(1/3) bins of equal count move each bin's share
    from it, the curve weighing as much as 10 cases: (right + 10 * curve) / (cases + 10). Pooling
    adjacent violators makes the result monotone. Few cases thus give Platt's curve, many the
    isotonic shares. All probabilities lie strictly inside (0, 1).
    """
    data = np.asarray(scores, dtype=np.float64)
    mass = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = mass > 0
    if not known.any():
        return None
    data, hits, mass = data[known], np.asarray(right, dtype=np.float64)[known], mass[known]
    if not np.isfinite(data).all():
        raise ValueError("a score is not a finite number")
    mass = mass * (mass.sum() / np.sum(mass**2))
    order = np.argsort(data, kind="stable")
    return _binned(data[order], hits[order], mass[order])


def confidence(calibration: Calibration | None, score: float) -> float | None:
    """The probability of being right at `score`, linear between knots, constant beyond them.

    None where no calibration is known or the score is not a number.
    """
    if calibration is None or math.isnan(score):
        return None
    knots, values = calibration.scores, calibration.probabilities
    place = bisect_right(knots, score)
    if place == 0:
        return values[0]
    if place == len(knots):
        return values[-1]
    share = (score - knots[place - 1]) / (knots[place] - knots[place - 1])
    return values[place - 1] + share * (values[place] - values[place - 1])


def confidences(calibration: Calibration, scores: ArrayLike) -> Floats:
    """`confidence` of many scores at once, same shape; NaN where the score is not a number."""
    return np.interp(np.asarray(scores, dtype=np.float64), calibration.scores, calibration.probabilities)


def _binned(scores: Floats, hits: Floats, mass: Floats) -> Calibration:
    """The calibration of cases sorted by score: one knot per bin, and the prior's values at both ends."""
    intercept, slope, centre, spread = _platt(scores, hits, mass)
    prior = _logistic(intercept + slope * (scores - centre) / spread)
    total = float(mass.sum())
    bins = max(1, min(_MOST_KNOTS, round(total ** (1 / 3))))
    places = np.minimum((np.cumsum(mass) - mass / 2) / total * bins, bins - 1).astype(np.int64)
    places = places[np.searchsorted(scores, scores, side="left")]
    cases = np.bincount(places, weights=mass, minlength=bins)
    filled = cases > 0
    cases = cases[filled]
    sums = [np.bincount(places, weights=mass * column, minlength=bins)[filled] for column in (scores, hits, prior)]
    knots, curve = sums[0] / cases, sums[2] / cases
    smoothed = np.asarray((sums[1] + _PRIOR_CASES * curve) / (cases + _PRIOR_CASES), dtype=np.float64)
    values = _pooled(smoothed, np.asarray(cases + _PRIOR_CASES, dtype=np.float64))
    return _with_ends(knots, values, scores, prior, curve)


def _with_ends(knots: Floats, values: Floats, scores: Floats, prior: Floats, curve: Floats) -> Calibration:
    """Knots at the lowest and highest score too, at the prior's odds shifted as its nearest bin's were."""
    xs, ys = list(knots), list(values)
    if scores[0] < knots[0]:
        xs.insert(0, scores[0])
        ys.insert(0, min(ys[0], _shifted(prior[0], values[0], curve[0])))
    if scores[-1] > knots[-1]:
        xs.append(scores[-1])
        ys.append(max(ys[-1], _shifted(prior[-1], values[-1], curve[-1])))
    return Calibration(tuple(float(x) for x in xs), tuple(float(y) for y in ys))


def _shifted(prior: float, value: float, curve: float) -> float:
    odds = prior / (1 - prior) * (value / (1 - value)) / (curve / (1 - curve))
    return odds / (1 + odds)


def _platt(scores: Floats, hits: Floats, mass: Floats) -> tuple[float, float, float, float]:
    """Intercept and slope (>= 0) of the logistic curve on standardized scores, and their centre and spread.

    Targets are (R + 1) / (R + 2) for right cases and 1 / (W + 2) for wrong ones, R and W their
    numbers, as in Platt (1999), so that a maximum exists; where the best slope is negative the curve is flat.
    """
    total, won = float(mass.sum()), float(mass @ hits)
    centre = float(mass @ scores) / total
    spread = math.sqrt(float(mass @ (scores - centre) ** 2) / total) or 1.0
    targets = np.where(hits > 0, (won + 1) / (won + 2), 1 / (total - won + 2))
    design = np.column_stack([np.ones(len(scores)), (scores - centre) / spread])
    start = np.array([_logit((won + 1) / (total + 2)), 0.0])
    weights = _newton(design, targets, mass, start)
    if weights[1] < 0:
        weights = start
    return float(weights[0]), float(weights[1]), centre, spread


def _newton(design: Floats, targets: Floats, mass: Floats, weights: Floats) -> Floats:
    """Logistic regression with a faint Gaussian prior on the slope (variance 100), by damped Newton steps."""
    ridge = np.diag([1e-9, 0.01])

    def loss(at: Floats) -> float:
        margins = design @ at
        return float(mass @ (np.logaddexp(0, margins) - targets * margins) + at @ ridge @ at / 2)

    for _ in range(_NEWTON_STEPS):
        fitted = _logistic(design @ weights)
        gradient = design.T @ (mass * (fitted - targets)) + ridge @ weights
        hessian = (design * (mass * fitted * (1 - fitted))[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian, gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _pooled(values: Floats, mass: Floats) -> Floats:
    """The non-decreasing sequence closest to `values` in weighted squares: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, mass, strict=True):
        block = (float(value), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, weight_before, length = blocks.pop()
            both = weight_before + block[1]
            block = ((mean * weight_before + block[0] * block[1]) / both, both, length + block[2])
        blocks.append(block)
    return np.repeat([value for value, _, _ in blocks], [length for _, _, length in blocks])


def _logistic(margins: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(margins, -20, 20)))


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
