"""The sparse rows that a model reads: tf-idf of the tokens of a case, block by block.

Each block of a case is weighted by tf-idf and scaled to unit length; block weights say how much a block
counts in the similarity of two cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Case
from tokencapital.models.arrays import FloatArray
from tokencapital.models.tokens import BLOCKS, MOST_COUNTED, TOKEN_NUMBERS, CaseTokens, tokens_of, with_told
from tokencapital.models.told import NO_GAZETTEER, Gazetteer, learn_gazetteer

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_WEIGHTS: Mapping[str, float] = {
    "word": 0.35,
    "char": 0.65,
    "prev": 0.5,
    "turn": 1.0,
    "cross": 1.0,
    "said": 1.0,
    "tool": 2.0,
    "past_tool": 1.0,
    "past": 0.5,
    "context": 1.0,
    "told": 2.5,
}
"""How much each block counts in the similarity of two cases."""

_WEIGHTS = np.array([BLOCK_WEIGHTS[name] for name in BLOCKS], np.float32)
_COUNT_WEIGHTS = (1 + np.log(np.maximum(np.arange(MOST_COUNTED + 1), 1))).astype(np.float32)


class Rows(Struct, frozen=True):
    """Rows of a sparse matrix: row i has `values` at `columns` from `starts[i]` up to `starts[i + 1]`."""

    columns: NDArray[np.int32]
    values: FloatArray
    starts: NDArray[np.intp]


class FeatureSpace:
    """The columns that tokens map to: learned once from cases, then only read.

    `numbers` (columns,) uint32 ascending are the tokens that have a column, `idf` (columns,) float32 is
    what a rare token counts more, `gazetteer` the phrases by which fields are told.
    """

    def __init__(self, numbers: NDArray[np.uint32], idf: FloatArray, gazetteer: Gazetteer = NO_GAZETTEER) -> None:
        self.numbers = numbers
        self.idf = idf
        self.gazetteer = gazetteer

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, cases: Sequence[Case]) -> Rows:
        """The rows of the cases; tokens that the space does not know are left out.

        Within a block the value of a token is (1 + ln tf) idf; the block's vector is then scaled to the
        square root of its weight.
        """
        tokens = _tokens(cases, self.gazetteer)
        sizes = np.frombuffer(b"".join([one.sizes for one in tokens]), np.uint16)
        columns = self._column_of[np.frombuffer(b"".join([one.numbers for one in tokens]), np.uint32)]
        counts = np.frombuffer(b"".join([one.counts for one in tokens]), np.uint8)
        known = columns >= 0
        columns, block = columns[known], np.repeat(np.arange(len(sizes)), sizes)[known]
        raw = self.idf[columns] * _COUNT_WEIGHTS[counts[known]]
        squares = np.bincount(block, raw * raw, minlength=len(sizes)).reshape(-1, len(BLOCKS))
        scales = np.sqrt(_WEIGHTS / np.maximum(squares, np.finfo(np.float32).tiny)).astype(np.float32)
        ends = np.cumsum(sizes.reshape(-1, len(BLOCKS)).sum(axis=1, dtype=np.intp))
        starts = np.append(0, np.append(0, np.cumsum(known))[ends])
        return Rows(columns, raw * scales.ravel()[block], starts)

    def matrix(self, cases: Sequence[Case]) -> csr_matrix:
        """The rows of many cases, (n, columns) float32."""
        from scipy.sparse import csr_matrix

        rows = self.rows(cases)
        return csr_matrix((rows.values, rows.columns, rows.starts), shape=(len(cases), len(self)))

    @cached_property
    def _column_of(self) -> NDArray[np.int32]:
        column_of = np.full(TOKEN_NUMBERS, -1, np.int32)
        column_of[self.numbers] = np.arange(len(self.numbers), dtype=np.int32)
        return column_of


def learn_space(cases: Sequence[Case], *, least_cases: int = 2) -> FeatureSpace:
    """The space of all tokens that at least `least_cases` of the cases hold.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn's TfidfVectorizer with smoothing.
    """
    gazetteer = learn_gazetteer(cases)
    seen = np.frombuffer(b"".join([one.numbers for one in _tokens(cases, gazetteer)]), np.uint32)
    frequency = np.bincount(seen, minlength=TOKEN_NUMBERS)
    numbers = np.flatnonzero(frequency >= least_cases).astype(np.uint32)
    idf = np.log((1 + len(cases)) / (1 + np.minimum(frequency[numbers], len(cases)))) + 1
    return FeatureSpace(numbers, idf.astype(np.float32), gazetteer)


def _tokens(cases: Sequence[Case], gazetteer: Gazetteer) -> list[CaseTokens]:
    if not len(gazetteer):
        return [tokens_of(case) for case in cases]
    return [with_told(tokens_of(case), gazetteer.told(case)) for case in cases]
