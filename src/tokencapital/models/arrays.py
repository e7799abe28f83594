"""Arrays as the models room hands them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""An array of float32; its shape is said where it is used."""


def unit_rows(matrix: FloatArray) -> FloatArray:
    """The rows of an (n, d) matrix scaled to length 1; a row of zeros stays as it is."""
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    lengths[lengths == 0.0] = 1.0
    return np.asarray(matrix / lengths[:, None], dtype=np.float32)
