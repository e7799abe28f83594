"""Fitting the label specialist: kernel ridge regression with exact held-out predictions.

Ridge regression in the dual gives the prediction for a left-out group in closed form from the same
factor that gives the fit (Stone 1974; for blocks: An, Liu and Venkatesh 2007, *Fast cross-validation
algorithms for least squares support vector machine and kernel ridge regression*), so that calibration
needs no second fit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import spotrf, strtri
from scipy.sparse import csr_matrix, vstack

from tokencapital.core.case import Message
from tokencapital.core.errors import EvaluationError
from tokencapital.core.judgment import JudgedCase
from tokencapital.models.arrays import FloatArray
from tokencapital.models.features import FeatureSpace, label_text, learn_space
from tokencapital.models.specialist import (
    RBF_GAMMA,
    LabelSpecialist,
    Prediction,
    Specialist,
    Weights,
    predictions_of,
)

RECIPE = "label-kernel-ridge/1"
MOST_JUDGMENTS = 16_500
"""Beyond so many, whole groups are drawn to learn from: the fit takes n^2 memory and n^3 time."""
MOST_LANDMARKS = 10_000
"""Fewer serve faster and answer worse: on 9,000 messages 3,000 landmarks cost 1.4 points of accuracy."""
NAMES_UP_TO = 3_000
"""Judgments up to which the labels' own words are tried as one more example of each label."""
_RIDGE = 0.05
_JITTER = 1e-4
_COMMON_SHARE = 0.02


class Fit(Struct, frozen=True):
    """A specialist, and for each judged case what a model said that never saw the case's group."""

    specialist: Specialist
    held_out: tuple[Prediction, ...]


class Examples(Struct, frozen=True):
    """n examples: `vectors` (n, d), `sparse` (n, V), `targets` (n, C), `groups` (n,) as numbers."""

    vectors: FloatArray
    sparse: csr_matrix
    targets: FloatArray
    groups: NDArray[np.intp]


class Solution(Struct, frozen=True):
    """`dual` (n, C) weights of the examples, `held_out` (n, C) scores without the example's group."""

    dual: FloatArray
    held_out: FloatArray


def fit_label_specialist(
    judged: Sequence[JudgedCase],
    vectors: FloatArray,
    *,
    seed: int,
    label_vectors: Mapping[str, FloatArray] | None = None,
) -> Fit:
    """A specialist that has learned from the judged cases whose answer is a label.

    `vectors` (n, d) are the unit rows of the cases' texts. `label_vectors` are those of each label's
    `label_text`; with few judgments the labels' own words are then learned from too, where that makes
    the held-out predictions better. The same input gives the same bytes. Raises EvaluationError where
    there is nothing to learn from.
    """
    if not judged:
        raise EvaluationError("there is no judgment to learn from")
    answers = [str(one.judgment.answer) for one in judged]
    labels = sorted(set(answers))
    chosen = _chosen(judged, np.random.default_rng(seed))
    rounded = vectors.astype(np.float16).astype(np.float32)
    space = learn_space([judged[row].case for row in chosen])
    examples = _examples([judged[row] for row in chosen], rounded[chosen], space, labels)
    solution = solve(examples)
    if label_vectors and len(chosen) <= NAMES_UP_TO:
        named = _with_names(examples, space, labels, label_vectors, judged[0])
        rival = solve(named)
        if _held_out_right(rival, examples) > _held_out_right(solution, examples):
            examples, solution = named, rival
    specialist = LabelSpecialist(labels, space, _weights(examples, solution, seed), RECIPE)
    scores = specialist.scores([one.case for one in judged], vectors) if len(chosen) < len(judged) else None
    held_out = solution.held_out[: len(chosen)]
    if scores is not None:
        scores[chosen] = held_out
        held_out = scores
    return Fit(specialist, tuple(predictions_of(held_out, labels)))


def solve(examples: Examples) -> Solution:
    """Ridge regression in the dual and its leave-group-out scores.

    With G = K + ridge I, the dual weights are A = G^-1 Y, and for the rows B of a group the scores
    without that group are Y_B - (G^-1)_BB^-1 A_B. The kernel K is exp(-g |v - v'|^2) plus the linear
    kernel of the sparse rows times `_linear_share`.
    """
    kernel = _kernel(examples)
    kernel[np.diag_indices_from(kernel)] += _RIDGE
    factor, failed = spotrf(kernel.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise EvaluationError("the kernel of the judged cases is not positive definite")
    dual = cho_solve((factor, True), examples.targets, check_finite=False).astype(np.float32)
    inverse, _ = strtri(factor, lower=1, overwrite_c=1)
    held_out = np.empty_like(dual)
    for rows in _blocks(examples.groups):
        columns = inverse[rows[0] :, rows]
        held_out[rows] = examples.targets[rows] - np.linalg.solve(columns.T @ columns, dual[rows])
    return Solution(dual, held_out)


def _kernel(examples: Examples) -> FloatArray:
    kernel = examples.vectors @ examples.vectors.T
    kernel -= 1
    kernel *= 2 * RBF_GAMMA
    np.exp(kernel, out=kernel)
    _add_linear(kernel, examples.sparse)
    return kernel


def _add_linear(kernel: FloatArray, sparse: csr_matrix) -> None:
    """Adds the sparse rows' linear kernel: common columns as dense blocks, rare ones as sparse products."""
    share, n = _linear_share(sparse), len(kernel)
    common = np.diff(sparse.tocsc().indptr) > max(_COMMON_SHARE * n, 32)
    dense = sparse[:, common].toarray() * np.float32(share**0.5)
    rare = sparse[:, ~common] * np.float32(share**0.5)
    turned = rare.T.tocsr()
    for start in range(0, n, 1_024):
        rows = slice(start, start + 1_024)
        kernel[rows] += dense[rows] @ dense.T
        kernel[rows] += (rare[rows] @ turned).toarray()


def _linear_share(sparse: csr_matrix) -> float:
    """How much the n-grams count beside the embedding, for rows scaled to a mean squared length of 1.

    Wording tells more, the more examples there are.
    """
    n = int(sparse.shape[0])
    squared_length = float(sparse.multiply(sparse).sum()) / n
    share = min(max(0.3 * math.sqrt(n / 2_000), 0.1), 0.45)
    return share / max(squared_length, 1e-6)


def _weights(examples: Examples, solution: Solution, seed: int) -> Weights:
    """The dual solution as weights on landmarks and n-grams.

    Where there are more examples than landmarks, the radial part is projected on the landmarks' span
    in the kernel's own norm: radial = (K_mm + jitter I)^-1 K_mn A.
    """
    n = len(examples.vectors)
    linear = (examples.sparse.T @ solution.dual) * np.float32(_linear_share(examples.sparse))
    linear = np.asarray(linear).astype(np.float16).astype(np.float32)
    if n <= MOST_LANDMARKS:
        return Weights(examples.vectors, solution.dual, linear)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:MOST_LANDMARKS])
    landmarks = examples.vectors[rows]
    wanted = np.exp(2 * RBF_GAMMA * (landmarks @ examples.vectors.T - 1)) @ solution.dual
    among = np.exp(2 * RBF_GAMMA * (landmarks @ landmarks.T - 1)).astype(np.float64)
    among[np.diag_indices_from(among)] += _JITTER
    radial = cho_solve(cho_factor(among, overwrite_a=True, check_finite=False), wanted.astype(np.float64))
    return Weights(landmarks, radial.astype(np.float32), linear)


def _examples(
    judged: Sequence[JudgedCase], vectors: FloatArray, space: FeatureSpace, labels: Sequence[str]
) -> Examples:
    number = {label: place for place, label in enumerate(labels)}
    targets = _targets([number[str(one.judgment.answer)] for one in judged], len(labels))
    _, groups = np.unique([one.case.group for one in judged], return_inverse=True)
    return Examples(vectors, space.matrix([one.case for one in judged]), targets, groups)


def _targets(places: Sequence[int], labels: int) -> FloatArray:
    """One row per example: 1 for its label, -1 / (labels - 1) elsewhere, so that rows sum to zero."""
    targets = np.full((len(places), labels), -1 / max(labels - 1, 1), np.float32)
    targets[np.arange(len(places)), list(places)] = 1
    return targets


def _with_names(
    examples: Examples,
    space: FeatureSpace,
    labels: Sequence[str],
    label_vectors: Mapping[str, FloatArray],
    template: JudgedCase,
) -> Examples:
    """The examples with each label's own words behind them, as a message of a group of its own."""
    known = [place for place, label in enumerate(labels) if label in label_vectors]
    cases = [
        msgspec.structs.replace(template.case, messages=(Message("user", label_text(labels[place])),), context={})
        for place in known
    ]
    vectors = np.stack([label_vectors[labels[place]] for place in known]).astype(np.float16).astype(np.float32)
    groups = np.arange(len(known)) + examples.groups.max() + 1
    return Examples(
        np.concatenate([examples.vectors, vectors]),
        vstack([examples.sparse, space.matrix(cases)], format="csr"),
        np.concatenate([examples.targets, _targets(known, len(labels))]),
        np.concatenate([examples.groups, groups]),
    )


def _held_out_right(solution: Solution, examples: Examples) -> int:
    n = len(examples.targets)
    return int((solution.held_out[:n].argmax(1) == examples.targets.argmax(1)).sum())


def _blocks(groups: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each group, ascending."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _chosen(judged: Sequence[JudgedCase], rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows to learn from, ascending: all, or those of groups drawn until there are enough."""
    if len(judged) <= MOST_JUDGMENTS:
        return np.arange(len(judged))
    members: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(judged):
        members[one.case.group].append(row)
    rows: list[int] = []
    for group in rng.permutation(sorted(members)):
        if len(rows) + len(members[group]) <= MOST_JUDGMENTS:
            rows += members[group]
    return np.array(sorted(rows), np.intp)
