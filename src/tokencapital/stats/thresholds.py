"""From which score a stage may answer alone: Learn-then-Test for the selective error."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from tokencapital.core.policy import Threshold
from tokencapital.stats.distributions import binomial_tail
from tokencapital.stats.intervals import Floats, Groups, group_numbers

_STEPS = 20
_MAIN_START, _PILOT_START, _PILOT_SHARE = 1 / 3, 1 / 9, 0.25


class _Ranked(Struct, frozen=True):
    """One calibration case of each group, from the highest score down, with the errors counted so far."""

    scores: Floats
    errors: NDArray[np.int64]


def learn_threshold(
    scores: ArrayLike, wrong: ArrayLike, groups: Groups, *, tolerance: float, delta: float, seed: int
) -> Threshold | None:
    """The lowest score from which the share of wrong answers is at most `tolerance`, or None.

    `scores`, `wrong` and `groups` (shape (n,)) are of calibration cases drawn uniformly, scored by a
    model that did not learn from them. Cases of one entity group depend on each other, so one of each
    group, chosen at random, stands for it. With probability at least 1 - `delta` over the draw, the
    *selective* error P(wrong | score >= threshold) of a random case of a random drawn group is at most
    `tolerance`; where each group has one case, that is the error of a random case. None: no threshold
    can be vouched for, and the stage answers nothing. In the result `n` and `errors` are those of the
    independent sample that was tested, `calibrated_on` counts all cases given.

    Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052). Candidates are fixed by the scores
    alone. Each has the exact p-value P(Binomial(n, tolerance) <= errors), valid also for independent
    cases of unequal risk (Hoeffding 1956). They are tested from the highest down, each at the level
    that the rejections before it pass on, so that the chance of any false one stays below `delta`
    (Bretz et al. 2009). See `_levels` for where the tests start. With one case per group nothing is
    random and `seed` has no effect. Raises ValueError for inputs of unequal length or a score that is
    not a number.
    """
    ranked = _ranked(scores, wrong, groups, seed)
    best: Threshold | None = None
    level = 0.0
    for count, granted in _levels(ranked.scores, tolerance, delta).items():
        level += granted
        errors = int(ranked.errors[count - 1])
        if level > 0 and binomial_tail(errors, count, tolerance) <= level:
            best = Threshold(
                score=float(ranked.scores[count - 1]),
                tolerance=tolerance,
                delta=delta,
                n=count,
                errors=errors,
                calibrated_on=len(np.asarray(scores)),
            )
        else:
            level = 0.0
    return best


def cases_required(tolerance: float, delta: float) -> int:
    """The fewest independent cases, all right, that vouch for `tolerance` at `delta`: (1 - tolerance)^n <= delta."""
    return math.ceil(math.log(delta) / math.log1p(-tolerance))


def _ranked(scores: ArrayLike, wrong: ArrayLike, groups: Groups, seed: int) -> _Ranked:
    values = np.asarray(scores, dtype=np.float64)
    errors = np.asarray(wrong, dtype=np.bool_)
    labels = group_numbers(groups)
    if not len(values) == len(errors) == len(labels):
        raise ValueError(f"{len(values)} scores, {len(errors)} verdicts and {len(labels)} groups do not match")
    if np.isnan(values).any():
        raise ValueError("a score is not a number")
    shuffled = np.random.default_rng(seed).permutation(len(values))
    chosen = np.sort(shuffled[np.unique(labels[shuffled], return_index=True)[1]])
    order = chosen[np.argsort(-values[chosen], kind="stable")]
    return _Ranked(values[order], np.cumsum(errors[order]))


def _candidates(scores: Floats) -> list[int]:
    """Numbers of top cases to try, fewest first; cases of equal score stand or fall together."""
    total = len(scores)
    marks = {math.ceil(total * step / _STEPS) for step in range(1, _STEPS + 1)}
    marks |= {math.ceil(total * _MAIN_START), math.ceil(total * _PILOT_START)}
    return sorted({int(np.searchsorted(-scores, -scores[mark - 1], side="right")) for mark in marks if mark})


def _levels(scores: Floats, tolerance: float, delta: float) -> dict[int, float]:
    """The part of `delta` granted at each candidate from the first that is tested down.

    Tests start at the top third of the cases and go down in steps of a twentieth: the highest
    candidates hold too few cases to survive one unlucky error, and each test on the way is one more
    hurdle. With few cases the start moves down to where enough of them could pass at all. With many,
    a quarter of `delta` starts at the top ninth, for a model that is only right there; what it wins
    is passed on. In simulation this kept more coverage than starting from the top or splitting evenly.
    """
    candidates = _candidates(scores)
    pilot = _start(candidates, len(scores) * _PILOT_START, cases_required(tolerance, delta * _PILOT_SHARE))
    main = _start(candidates, len(scores) * _MAIN_START, cases_required(tolerance, delta))
    if main is None:
        return {}
    granted = {main: delta}
    if pilot is not None and pilot < main:
        granted = {pilot: delta * _PILOT_SHARE, main: delta * (1 - _PILOT_SHARE)}
    return {count: granted.get(count, 0.0) for count in candidates if count >= min(granted)}


def _start(candidates: list[int], mark: float, required: int) -> int | None:
    """The first candidate at or below `mark` that could pass."""
    return next((count for count in candidates if count >= mark and count >= required), None)
