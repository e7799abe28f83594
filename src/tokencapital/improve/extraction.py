"""Fitting the specialist for `fields`: one conditional logit over the candidates of every field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from tokencapital.core.case import Message
from tokencapital.core.judgment import JudgedCase
from tokencapital.improve.induction import Observation, learn_fields, observe
from tokencapital.improve.specialist import Fit
from tokencapital.models.arrays import FloatArray
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.extraction import FieldsSpecialist
from tokencapital.models.ranking import ABSENT, BITS, OTHER, Ranker, Rows, group_probabilities
from tokencapital.models.reading import Reading
from tokencapital.models.specialist import Prediction

FOLDS = 4
PENALTY = 0.5
"""Half of this times the squared length of the weights is added to the summed loss."""

_ITERATIONS = 60


def fit_fields_specialist(judged: Sequence[JudgedCase], vectors: FloatArray, *, seed: int) -> Fit:
    """The specialist that all judgments make, and for each of them what one made without its group says.

    `vectors` are rows aligned with `judged`. Raises nothing for want of data: with a single group
    the held-out predictions are empty.
    """
    readings: dict[Message, Reading] = {}
    observed = observe(judged, readings)
    folds = assign_folds([one.case.group for one in judged], FOLDS, seed)
    held_out: list[Prediction] = [Prediction(value=None, score=0.0)] * len(judged)
    for fold in range(FOLDS):
        out = np.flatnonzero(folds == fold)
        rest = np.flatnonzero(folds != fold)
        if not len(out) or not len(rest):
            continue
        part = _fit([judged[i] for i in rest], [observed[i] for i in rest], readings)
        for place, prediction in zip(out, part.predict([judged[i].case for i in out], vectors[out]), strict=True):
            held_out[place] = prediction
    return Fit(specialist=_fit(judged, observed, readings), held_out=tuple(held_out))


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for each entry, the same within a group; groups are dealt evenly in an order that the seed decides."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    dealt = {names[place]: at % folds for at, place in enumerate(order)}
    return np.array([dealt[group] for group in groups], dtype=np.int64)


def _fit(
    judged: Sequence[JudgedCase], observed: Sequence[Sequence[Observation]], readings: Mapping[Message, Reading]
) -> FieldsSpecialist:
    fields, contexts = learn_fields(observed)
    rows = Ranker(fields, contexts, readings).rows([one.case for one in judged])
    return FieldsSpecialist(fields, contexts, _weights(rows, _targets(rows, fields, observed)))


def _targets(
    rows: Rows, fields: tuple[FieldKnowledge, ...], observed: Sequence[Sequence[Observation]]
) -> NDArray[np.int64]:
    """For each group the row that the judged answer makes right: its value, ABSENT, or else OTHER."""
    truths = [{one.path: one.value for one in answer} for answer in observed]
    targets: list[int] = []
    ends = [*rows.first[1:].tolist(), len(rows.values)]
    for case, field, first, end in zip(rows.cases, rows.fields, rows.first.tolist(), ends, strict=True):
        truth = truths[case].get(fields[field].path, ABSENT)
        values = rows.values[first:end]
        targets.append(first + values.index(truth if truth in values else OTHER))
    return np.array(targets, dtype=np.int64)


class _Problem(NamedTuple):
    matrix: csr_matrix
    first: NDArray[np.int64]
    targets: NDArray[np.int64]


def _weights(rows: Rows, targets: NDArray[np.int64]) -> FloatArray:
    """The weights that minimize the summed log loss of the groups plus the penalty, by L-BFGS."""
    weights = np.zeros(2**BITS, dtype=np.float32)
    if not len(targets):
        return weights
    used = np.flatnonzero(np.bincount(rows.ids, minlength=2**BITS))
    column = np.zeros(2**BITS, dtype=np.int32)
    column[used] = np.arange(len(used), dtype=np.int32)
    parts = (rows.weights, column[rows.ids], rows.starts.astype(np.int32))
    problem = _Problem(csr_matrix(parts, shape=(len(rows.values), len(used))), rows.first, targets)
    found = minimize(
        _loss, np.zeros(len(used)), args=(problem,), jac=True, method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "ftol": 1e-6, "maxcor": 7},
    )  # fmt: skip
    weights[used] = found.x
    return weights


def _loss(weights: NDArray[np.float64], problem: _Problem) -> tuple[float, NDArray[np.float64]]:
    scores = (problem.matrix @ weights.astype(np.float32)).astype(np.float64)
    probability = group_probabilities(scores, problem.first)
    right = probability[problem.targets]
    loss = -float(np.log(np.maximum(right, 1e-300)).sum()) + 0.5 * PENALTY * float(weights @ weights)
    residual = probability
    residual[problem.targets] -= 1.0
    gradient = (problem.matrix.T @ residual.astype(np.float32)).astype(np.float64) + PENALTY * weights
    return loss, gradient
