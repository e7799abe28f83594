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
    """Calibration cases from the highest score down, with the random numbers that thinning uses.

    `by_group` lists the cases group by group, in random order within each.
    """

    scores: Floats
    wrong: NDArray[np.bool_]
    groups: NDArray[np.int64]
    group_draws: Floats
    surplus_draws: Floats
    by_group: NDArray[np.int64]


class _Sample(Struct, frozen=True):
    """Independent draws among the selected cases, and how many of them were wrong."""

    n: int
    errors: int


def learn_threshold(
    scores: ArrayLike, wrong: ArrayLike, groups: Groups, *, tolerance: float, delta: float, seed: int
) -> Threshold | None:
    """The lowest score from which the share of wrong answers is at most `tolerance`, or None.

    `scores`, `wrong` and `groups` (shape (n,)) are of calibration cases drawn uniformly, scored by a
    model that did not learn from them. With probability at least 1 - `delta` over their draw, the
    *selective* error P(wrong | score >= threshold) of a random case is at most `tolerance`. None:
    no threshold can be vouched for, and the stage answers nothing. In the result `n` and `errors`
    are those of the independent sample that was tested, `calibrated_on` counts all cases given.

    Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052). Candidates are fixed by the scores
    and groups alone. Each has the exact p-value P(Binomial(n, tolerance) <= errors), valid also for
    independent cases of unequal risk (Hoeffding 1956). They are tested from the highest down, each
    at the level that the rejections before it pass on, so that the chance of any false one stays
    below `delta` (Bretz et al. 2009). See `_levels` for where the tests start, `_independent` for
    dependent cases. With one case per group nothing is random and `seed` has no effect. Raises
    ValueError for inputs of unequal length or a score that is not a number.
    """
    ranked = _ranked(scores, wrong, groups, seed)
    best: Threshold | None = None
    level = 0.0
    samples = {count: _independent(ranked, count, tolerance) for count in _candidates(ranked.scores)}
    for count, granted in _levels(samples, len(ranked.scores), tolerance, delta).items():
        level += granted
        sample = samples[count]
        if level > 0 and binomial_tail(sample.errors, sample.n, tolerance) <= level:
            best = Threshold(
                score=float(ranked.scores[count - 1]),
                tolerance=tolerance,
                delta=delta,
                n=sample.n,
                errors=sample.errors,
                calibrated_on=len(ranked.scores),
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
    rng = np.random.default_rng(seed)
    order = np.argsort(-values, kind="stable")
    return _Ranked(
        scores=values[order],
        wrong=errors[order],
        groups=labels[order],
        group_draws=rng.random(int(labels.max(initial=-1)) + 1),
        surplus_draws=rng.random(len(values)),
        by_group=np.lexsort((rng.random(len(values)), labels[order])),
    )


def _candidates(scores: Floats) -> list[int]:
    """Numbers of top cases to try, fewest first; cases of equal score stand or fall together."""
    total = len(scores)
    marks = {math.ceil(total * step / _STEPS) for step in range(1, _STEPS + 1)}
    marks |= {math.ceil(total * _MAIN_START), math.ceil(total * _PILOT_START)}
    return sorted({int(np.searchsorted(-scores, -scores[mark - 1], side="right")) for mark in marks if mark})


def _levels(samples: dict[int, _Sample], total: int, tolerance: float, delta: float) -> dict[int, float]:
    """The part of `delta` granted at each candidate from the first that is tested down.

    Tests start at the top third of the cases and go down in steps of a twentieth: the highest
    candidates hold too few cases to survive one unlucky error, and each test on the way is one more
    hurdle. With few cases the start moves down to where enough of them could pass at all. With many,
    a quarter of `delta` starts at the top ninth, for a model that is only right there; what it wins
    is passed on. In simulation this kept more coverage than starting from the top or splitting evenly.
    """
    pilot = _start(samples, total * _PILOT_START, cases_required(tolerance, delta * _PILOT_SHARE))
    main = _start(samples, total * _MAIN_START, cases_required(tolerance, delta))
    if main is None:
        return {}
    granted = {main: delta}
    if pilot is not None and pilot < main:
        granted = {pilot: delta * _PILOT_SHARE, main: delta * (1 - _PILOT_SHARE)}
    return {count: granted.get(count, 0.0) for count in samples if count >= min(granted)}


def _start(samples: dict[int, _Sample], mark: float, required: int) -> int | None:
    """The first candidate at or below `mark` whose independent sample could pass."""
    return next((count for count, sample in samples.items() if count >= mark and sample.n >= required), None)


def _independent(ranked: _Ranked, count: int, tolerance: float) -> _Sample:
    """An independent sample of the top `count` cases in which each has the same chance to stand.

    A group with k selected cases keeps one of them, drawn at random, with probability k / cap, so
    that each case is kept with probability 1 / cap and no two of a group are. Where a group holds
    more than `cap`, the cases beyond are counted as wrong without looking: certain, hence independent,
    and never in the stage's favour. That spares thinning everyone to the rate of the largest group.
    """
    groups = ranked.groups[:count]
    sizes = np.bincount(groups, minlength=len(ranked.group_draws))
    cap = _cap(sizes[sizes > 0], tolerance)
    order = ranked.by_group[ranked.by_group < count]
    starts = np.append(True, groups[order][1:] != groups[order][:-1])
    places = np.arange(count) - np.maximum.accumulate(np.where(starts, np.arange(count), 0))
    chosen, beyond = order[starts], order[places >= cap]
    kept = chosen[ranked.group_draws[groups[chosen]] < sizes[groups[chosen]] / cap]
    surplus = int(np.sum(ranked.surplus_draws[beyond] < 1 / cap))
    return _Sample(n=len(kept) + surplus, errors=int(ranked.wrong[kept].sum()) + surplus)


def _cap(sizes: NDArray[np.int64], tolerance: float) -> int:
    """The cap that leaves most evidence, from group sizes alone; the largest size where none is exceeded.

    Planning for a third of the tolerated errors, a sample of N / cap cases stands
    (2/3 * tolerance * N - surplus) / sqrt(cap * N) standard deviations, up to a constant, from the null.
    """
    caps = np.unique(sizes)
    surplus = np.array([np.maximum(sizes - cap, 0).sum() for cap in caps])
    evidence = (2 / 3 * tolerance * sizes.sum() - surplus) / np.sqrt(caps)
    return int(caps[int(np.argmax(evidence))])
