"""What a paired comparison of a given size could have seen."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from tokencapital.stats.distributions import normal_quantile
from tokencapital.stats.sequential import BETS

_MOST_CASES = 10_000_000


class PairedDesign(Struct, frozen=True, kw_only=True):
    """A comparison by the betting e-process at level `alpha`, found with probability `power` where true.

    `discordant` is the share of cases on which just one of the two is right; `null_mean` is the
    difference to be exceeded: 0, or minus the margin that a cheaper candidate is allowed.
    """

    alpha: float
    discordant: float
    null_mean: float = 0.0
    power: float = 0.8


def smallest_detectable(n: int, design: PairedDesign) -> float | None:
    """The smallest true difference, in (null_mean, discordant], that `n` cases show; None where none would.

    Found by bisection on `is_detectable`, which grows with the effect.
    """
    low, high = max(design.null_mean, -design.discordant), design.discordant
    if low >= high or not is_detectable(n, high, design):
        return None
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if is_detectable(n, middle, design) else (middle, high)
    return high


def cases_needed(effect: float, design: PairedDesign) -> int | None:
    """The fewest cases that show a true difference of `effect`; None where ten million would not."""
    if not is_detectable(_MOST_CASES, effect, design):
        return None
    low, high = 0, _MOST_CASES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_detectable(middle, effect, design) else (middle, high)
    return high


def is_detectable(n: int, effect: float, design: PairedDesign) -> bool:
    """Whether n independent cases with a true difference of `effect` lift the e-value to 1/alpha at that power.

    After n cases the log of the wealth on bet b is near normal with mean n*g and variance n*v, where
    g and v are those of ln(1 + b (d - m) / (1 + m)) for d = +1, -1, 0 with chances (discordant +-
    effect)/2 and the rest. One bet alone suffices if n*g - z*sqrt(n*v) >= ln(bets / alpha); that the
    other bets and earlier looks help too is left out, so the answer errs on the side of more cases.
    """
    if n <= 0 or effect > design.discordant or effect <= design.null_mean:
        return False
    chances = np.array([design.discordant + effect, design.discordant - effect, 2 * (1 - design.discordant)]) / 2
    excess = (np.array([1.0, -1.0, 0.0]) - design.null_mean) / (1 + design.null_mean)
    logs = np.log1p(BETS[:, None] * excess)
    growth = logs @ chances
    spread = np.sqrt(np.maximum(logs**2 @ chances - growth**2, 0.0))
    surely = n * growth - normal_quantile(design.power) * math.sqrt(n) * spread
    return bool(np.max(surely) >= math.log(len(BETS) / design.alpha))
