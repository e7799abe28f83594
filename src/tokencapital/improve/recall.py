"""When a near-duplicate may answer: how often the nearest judged case of another entity agreed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokencapital.improve.calibrate import HeldOut
from tokencapital.improve.dataset import Dataset

MOST_CASES = 2_000
"""Uniform draws that are looked at; more would narrow nothing."""
_BLOCK = 256


def nearest_elsewhere(dataset: Dataset) -> HeldOut:
    """For each uniform draw the cosine to its nearest judged case of another group, and whether both agree.

    Cases with no judged case in another group are left out.
    """
    rows = np.flatnonzero(dataset.uniform)[-MOST_CASES:]
    numbers = np.unique(np.array(dataset.groups, dtype=object).astype(str), return_inverse=True)[1]
    nearest, similarity = _nearest(dataset, rows, numbers)
    found = similarity > -1.0
    answers = [one.judgment.answer for one in dataset.judged]
    right = [answers[row] == answers[near] for row, near in zip(rows[found], nearest[found], strict=True)]
    groups = dataset.groups
    return HeldOut(similarity[found], np.array(right, bool), tuple(groups[row] for row in rows[found]))


def _nearest(
    dataset: Dataset, rows: NDArray[np.intp], numbers: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    nearest = np.zeros(len(rows), np.intp)
    similarity = np.full(len(rows), -1.0)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        cosines = dataset.vectors[block] @ dataset.vectors.T
        cosines[numbers[block][:, None] == numbers[None, :]] = -1.0
        best = cosines.argmax(axis=1)
        nearest[start : start + _BLOCK] = best
        similarity[start : start + _BLOCK] = cosines[np.arange(len(block)), best]
    return nearest, similarity
