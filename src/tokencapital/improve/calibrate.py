"""When a stage may answer alone: thresholds and confidence from out-of-fold scores of uniform draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.policy import StageRule
from tokencapital.improve.dataset import Dataset
from tokencapital.models.specialist import Prediction
from tokencapital.stats.calibration import fit_calibration
from tokencapital.stats.thresholds import learn_threshold

DELTA = 0.10
"""Probability with which a promise may fail to hold."""


class HeldOut(Struct, frozen=True):
    """m calibration cases, drawn uniformly, each scored by a model that never saw its group."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    groups: tuple[str, ...]

    @property
    def accuracy(self) -> float | None:
        """The share that is right; None where there is no case."""
        return float(self.right.mean()) if len(self.right) else None


def held_out_uniform(dataset: Dataset, predictions: Sequence[Prediction]) -> HeldOut:
    """The calibration cases of the dataset with what was predicted for them out of fold."""
    rows = np.flatnonzero(dataset.calibration).tolist()
    return HeldOut(
        np.array([predictions[row].score for row in rows], np.float64),
        np.array([predictions[row].value == dataset.judged[row].judgment.answer for row in rows], np.bool_),
        tuple(dataset.judged[row].case.group for row in rows),
    )


def stage_rule(held_out: HeldOut, tolerance: float, seed: int) -> StageRule:
    """A threshold that keeps the selective error at or below `tolerance`, and what scores are worth."""
    return StageRule(
        threshold=learn_threshold(
            held_out.scores, ~held_out.right, held_out.groups, tolerance=tolerance, delta=DELTA, seed=seed
        ),
        calibration=fit_calibration(held_out.scores, held_out.right),
    )
