"""Fitting the specialist for `fields`: one conditional logit over the candidates of every field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tokencapital.core.case import Message
from tokencapital.core.judgment import JudgedCase
from tokencapital.improve.descent import descend
from tokencapital.improve.induction import Observation, learn_fields, observe
from tokencapital.improve.specialist import Fit
from tokencapital.models.arrays import FloatArray
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.extraction import FieldsSpecialist
from tokencapital.models.ranking import ABSENT, OTHER, Ranker
from tokencapital.models.reading import Reading
from tokencapital.models.rows import BITS, Rows, group_probabilities
from tokencapital.models.specialist import Prediction

FOLDS, FEWER_FOLDS, MANY = 4, 2, 2_000
"""Held-out predictions come from `FOLDS` folds, from fewer above `MANY` judgments, where half teach enough."""
PENALTY = 1.0
"""Half of this times the squared length of the weights is added to the summed loss."""

_ITERATIONS = 25


def fit_fields_specialist(
    judged: Sequence[JudgedCase], vectors: FloatArray, *, seed: int, weights: NDArray[np.float64] | None = None
) -> Fit:
    """The specialist that all judgments make, and for each of them what one made without its group says.

    `vectors` are rows aligned with `judged`, `weights` (n,) say what each counts (None: all the same). Raises
    nothing for want of data: with a single group the held-out predictions are empty.
    """
    readings: dict[Message, Reading] = {}
    observed = observe(judged, readings)
    count = FOLDS if len(judged) <= MANY else FEWER_FOLDS
    folds = assign_folds([one.case.group for one in judged], count, seed)
    held_out: list[Prediction] = [Prediction(value=None, score=0.0)] * len(judged)
    for fold in range(count):
        out = np.flatnonzero(folds == fold).tolist()
        rest = np.flatnonzero(folds != fold).tolist()
        if not out or not rest:
            continue
        counted = None if weights is None else weights[rest]
        part = _fit([judged[i] for i in rest], [observed[i] for i in rest], readings, counted)
        for place, prediction in zip(out, part.predict([judged[i].case for i in out], vectors[out]), strict=True):
            held_out[place] = prediction
    return Fit(specialist=_fit(judged, observed, readings, weights), held_out=tuple(held_out))


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for each entry, the same within a group; groups are dealt evenly in an order that the seed decides."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    dealt = {names[place]: at % folds for at, place in enumerate(order)}
    return np.array([dealt[group] for group in groups], dtype=np.int64)


def _fit(
    judged: Sequence[JudgedCase],
    observed: Sequence[Sequence[Observation]],
    readings: Mapping[Message, Reading],
    weights: NDArray[np.float64] | None,
) -> FieldsSpecialist:
    fields, contexts = learn_fields(observed)
    rows = Ranker(fields, contexts, readings).rows([one.case for one in judged])
    return FieldsSpecialist(fields, contexts, _weights(rows, _targets(rows, fields, observed), weights))


def _targets(
    rows: Rows, fields: tuple[FieldKnowledge, ...], observed: Sequence[Sequence[Observation]]
) -> NDArray[np.int64]:
    """For each group the row that the judged answer makes right: its value, ABSENT, or else OTHER."""
    truths = [{one.path: one.value for one in answer} for answer in observed]
    targets: list[int] = []
    for case, field, first, end in zip(rows.cases, rows.fields, rows.first.tolist(), rows.ends, strict=True):
        truth = truths[case].get(fields[field].path, ABSENT)
        values = rows.values[first:end]
        targets.append(first + values.index(truth if truth in values else OTHER))
    return np.array(targets, dtype=np.int64)


class _Problem(NamedTuple):
    matrix: csr_matrix
    first: NDArray[np.int64]
    targets: NDArray[np.int64]
    counted: NDArray[np.float64] | None


def _weights(rows: Rows, targets: NDArray[np.int64], counted: NDArray[np.float64] | None) -> FloatArray:
    """The weights that minimize the summed log loss of the groups plus the penalty, by L-BFGS.

    `counted` (cases,) is what the groups of each case count; None: all the same.
    """
    weights = np.zeros(2**BITS, dtype=np.float32)
    if not len(targets):
        return weights
    used = np.flatnonzero(np.bincount(rows.ids, minlength=2**BITS))
    column = np.zeros(2**BITS, dtype=np.int32)
    column[used] = np.arange(len(used), dtype=np.int32)
    parts = (rows.weights, column[rows.ids], rows.starts.astype(np.int32))
    matrix = csr_matrix(parts, shape=(len(rows.values), len(used)))
    problem = _Problem(matrix, rows.first, targets, None if counted is None else counted[rows.cases])
    weights[used] = descend(partial(_loss, problem), np.zeros(len(used), dtype=np.float32), iterations=_ITERATIONS)
    return weights


def _loss(problem: _Problem, weights: FloatArray) -> tuple[float, FloatArray]:
    scores = np.asarray(problem.matrix @ weights, dtype=np.float64)
    residual = group_probabilities(scores, problem.first)
    losses = np.log(np.maximum(residual[problem.targets], 1e-300))
    loss = -float(losses.sum() if problem.counted is None else losses @ problem.counted)
    residual[problem.targets] -= 1.0
    if problem.counted is not None:
        residual *= np.repeat(problem.counted, np.diff(np.append(problem.first, len(scores))))
    gradient = problem.matrix.T @ residual.astype(np.float32) + np.float32(PENALTY) * weights
    return loss + 0.5 * PENALTY * float(weights @ weights), np.asarray(gradient, dtype=np.float32)
