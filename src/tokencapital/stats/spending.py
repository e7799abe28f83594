"""How much of the error budget each look at a sealed batch may spend."""

from __future__ import annotations

import math


def look_alpha(alpha: float, look: int) -> float:
    """The level of comparison `look` (1, 2, ...) on one batch: alpha * 6 / (pi^2 * look^2).

    Over any number of looks the levels sum to less than `alpha`, so that by the union bound the
    chance of any false claim on the batch stays below it. Raises ValueError for a look before the first.
    """
    if look < 1:
        raise ValueError(f"look {look} does not exist: the first comparison on a batch is look 1")
    return alpha * 6 / (math.pi**2 * look**2)
