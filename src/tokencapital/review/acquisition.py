"""Which cases teach most: scores for the active part of the review budget, and honest draws from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokencapital.models.arrays import FloatArray
from tokencapital.models.specialist import Prediction

UNSURE_WEIGHT = 6.0
"""Nats between the least and the most sure case of the pool."""
NOVELTY_WEIGHT = 2.0
"""Nats between a case that stands as far from all judged ones as the pool's farthest, and a repeated one."""
_CHUNK = 1_024


def acquisition_scores(
    predictions: Sequence[Prediction], vectors: FloatArray, judged_vectors: FloatArray
) -> NDArray[np.float64]:
    """How much each of n cases would teach, (n,) float64, in nats: the logarithm of its weight in a draw.

    `predictions` are the live specialist's (empty: there is none), `vectors` (n, d) the cases' unit
    rows, `judged_vectors` (k, d) those of the cases already judged. A case teaches much where the
    specialist is unsure (margin sampling, Scheffer et al. 2001) and where nothing near it was judged,
    both by rank in the pool, so that no scale has to be known; with neither all cases count the same.
    """
    n = len(vectors)
    scores = np.zeros(n)
    if len(judged_vectors):
        scores += NOVELTY_WEIGHT * _ranks(-_nearest(vectors, judged_vectors))
    if len(predictions):
        scores += UNSURE_WEIGHT * _ranks(np.array([-one.score for one in predictions]))
    return scores


def draw(scores: NDArray[np.float64], count: int, rng: np.random.Generator) -> list[tuple[int, float]]:
    """`count` different cases in the order drawn, each with its probability of being picked.

    One after another, each pick has probability exp(score) / sum of exp(scores) over the cases that
    were left (Plackett-Luce, drawn at once with Gumbel noise: Kool et al. 2019); that is the number
    given. All are drawn where there are fewer than `count`; a score of minus infinity is never drawn.
    """
    noisy = scores + rng.gumbel(size=len(scores))
    possible = int(np.isfinite(scores).sum())
    order = np.argsort(-noisy, kind="stable")[: min(count, possible)]
    if not len(order):
        return []
    weights = np.exp(scores - scores.max())
    left = _left_before_each(weights, order)
    return [(int(case), float(min(weights[case] / total, 1.0))) for case, total in zip(order, left, strict=True)]


def _left_before_each(weights: NDArray[np.float64], order: NDArray[np.intp]) -> NDArray[np.float64]:
    """The summed weight of all cases not picked before each pick, (picks,): no subtraction, no cancellation."""
    unpicked = np.ones(len(weights), bool)
    unpicked[order] = False
    after = float(weights[unpicked].sum())
    return after + np.cumsum(weights[order][::-1])[::-1]


def _nearest(vectors: FloatArray, judged: FloatArray) -> NDArray[np.float64]:
    """The greatest cosine of each case to any judged one, (n,)."""
    return np.concatenate(
        [
            (vectors[start : start + _CHUNK] @ judged.T).max(axis=1).astype(np.float64)
            for start in range(0, len(vectors), _CHUNK)
        ]
        or [np.empty(0)]
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value's rank as a share in [0, 1], equal values alike, (n,)."""
    unique, place = np.unique(values, return_inverse=True)
    return np.asarray(place / max(len(unique) - 1, 1), np.float64)
