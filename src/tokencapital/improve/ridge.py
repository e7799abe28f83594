"""Kernel ridge regression on cases, with exact held-out predictions.

Ridge regression in the dual gives the prediction for a left-out group in closed form from the same
factor that gives the fit (Stone 1974; for blocks: An, Liu and Venkatesh 2007, *Fast cross-validation
algorithms for least squares support vector machine and kernel ridge regression*), so that calibration
needs no second fit.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.linalg.lapack import spotrf, strtri
from scipy.sparse import csr_matrix, vstack

from tokencapital.core.errors import EvaluationError
from tokencapital.models.arrays import FloatArray
from tokencapital.models.meaning import COMPONENTS, Quadratic, Radial, products, quadratic_kernel, radial_kernel
from tokencapital.models.specialist import Weights

RARITY = 0.01
"""How far a label is put ahead of one that is e times as frequent: shrinking holds rare labels back most."""

_COMMON_SHARE = 0.06
_ROWS_AT_ONCE = 1_024


class Setting(Struct, frozen=True):
    """How alike two cases are, k(v, v') + share x.x', and how far answers are trusted.

    `gamma` is the radial kernel's. Sparse rows x count as if their mean squared length were 1. `ridge`
    is the variance of the noise in an answer, in units of what the embedding explains.
    """

    gamma: float
    share: float
    ridge: float


class Examples(Struct, frozen=True):
    """n examples: `vectors` (n, d), `sparse` (n, V), `targets` (n, C), `groups` (n,) as numbers.

    `noise` (n,) is by how much the answer of each varies more than usual, as a factor; None: by none.
    """

    vectors: FloatArray
    sparse: csr_matrix
    targets: FloatArray
    groups: NDArray[np.intp]
    noise: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def at(self, rows: NDArray[np.intp]) -> Examples:
        """The examples at these rows."""
        noise = None if self.noise is None else self.noise[rows]
        return Examples(self.vectors[rows], self.sparse[rows], self.targets[rows], self.groups[rows], noise)

    def with_more(self, others: Examples) -> Examples:
        """These examples and then the others, whose groups are other ones."""
        return Examples(
            np.concatenate([self.vectors, others.vectors]),
            vstack([self.sparse, others.sparse], format="csr"),
            np.concatenate([self.targets, others.targets]),
            np.concatenate([self.groups, others.groups + self.groups.max() + 1]),
            None if self.noise is None else np.concatenate([self.noise, np.ones(len(others), np.float32)]),
        )


class Solution(Struct, frozen=True):
    """`weights` that serve, and `held_out` (n, C) scores of what was fitted without the example's group."""

    weights: Weights
    held_out: FloatArray


def solve(examples: Examples, setting: Setting, *, radial: bool) -> Solution:
    """The ridge regression of the targets, and its leave-group-out scores.

    `radial` says which form the embedding's kernel takes. With G = K + ridge I, the dual weights are
    A = G^-1 Y, and for the rows B of a group the scores without that group are Y_B - (G^-1)_BB^-1 A_B. An
    example that varies more has its part of ridge I multiplied by its `noise`: weighted least squares. Rare
    labels gain what `RARITY` says.
    Raises EvaluationError where rounding makes G singular.
    """
    vectors, scale = examples.vectors, _sparse_scale(examples.sparse, setting.share)
    mean, axes = _main_axes(vectors)
    gram = radial_kernel(vectors, vectors, setting.gamma) if radial else quadratic_kernel(vectors, mean, axes)
    _add_linear(gram, examples.sparse * np.float32(scale**0.5))
    gram[np.diag_indices_from(gram)] += setting.ridge if examples.noise is None else setting.ridge * examples.noise
    dual, held_out = _solve_dual(gram, examples)
    linear = _rounded(np.asarray(examples.sparse.T @ dual) * np.float32(scale))
    meaning = Radial(vectors, dual, setting.gamma) if radial else _quadratic(vectors, dual, mean, axes)
    bias = _bias(examples.targets)
    return Solution(Weights(meaning, linear, bias), held_out + bias)


def _main_axes(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean (d,) of the vectors and the axes (d, k) along which they differ most."""
    mean = vectors.mean(axis=0)
    apart = vectors - mean
    _, axes = np.linalg.eigh((apart.T @ apart).astype(np.float64))
    return mean, np.ascontiguousarray(axes[:, ::-1][:, :COMPONENTS], np.float32)


def _quadratic(vectors: FloatArray, dual: FloatArray, mean: FloatArray, axes: FloatArray) -> Quadratic:
    """The dual weights of examples as weights on their products of components."""
    size = vectors.shape[1] + axes.shape[1] * (axes.shape[1] + 1) // 2
    weights = np.zeros((size, dual.shape[1]), np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        weights += products(vectors[rows], mean, axes) @ dual[rows]
    return Quadratic(mean, axes, weights)


def _add_linear(gram: FloatArray, sparse: csr_matrix) -> None:
    """Adds the sparse rows' linear kernel: common columns as dense blocks, rare ones as sparse products."""
    n = len(gram)
    common = np.bincount(sparse.indices, minlength=sparse.shape[1]) > max(_COMMON_SHARE * n, 32)
    dense = sparse[:, common].toarray()
    rare = sparse[:, ~common]
    turned = rare.T.tocsr()
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        gram[rows] += dense[rows] @ dense.T
        gram[rows] += (rare[rows] @ turned).toarray()


def _solve_dual(gram: FloatArray, examples: Examples) -> tuple[FloatArray, FloatArray]:
    factor, failed = spotrf(gram.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise EvaluationError("the kernel of the judged cases is not positive definite")
    dual = cho_solve((factor, True), examples.targets, check_finite=False).astype(np.float32)
    inverse, _ = strtri(factor, lower=1, overwrite_c=1)
    held_out = examples.targets - dual / np.einsum("ij,ij->i", inverse.T, inverse.T)[:, None]
    for rows in _blocks(examples.groups):
        if len(rows) > 1:
            columns = inverse[rows[0] :, rows]
            held_out[rows] = examples.targets[rows] - np.linalg.solve(columns.T @ columns, dual[rows])
    return dual, held_out


def _bias(targets: FloatArray) -> FloatArray:
    """What rare labels gain, (C,), in the mean nothing; a label's own target is the highest of its row."""
    often = np.bincount(targets.argmax(axis=1), minlength=targets.shape[1])
    gain = -RARITY * np.log(1 + often)
    return np.asarray(gain - gain.mean(), np.float32)


def _sparse_scale(sparse: csr_matrix, share: float) -> float:
    return share / max(float(_squared_lengths(sparse).mean()), 1e-6)


def _squared_lengths(sparse: csr_matrix) -> FloatArray:
    return np.asarray(sparse.multiply(sparse).sum(axis=1), np.float32).ravel()


def _rounded(matrix: FloatArray) -> FloatArray:
    """The nearest numbers that float16 holds, which artifacts are written in."""
    return matrix.astype(np.float16).astype(np.float32)


def _blocks(groups: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each group, ascending."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
