"""How often each of several people is right, from what they said of the same cases, without knowing the truth.

Dawid and Skene 1979, *Maximum likelihood estimation of observer error-rates using the EM algorithm*
(Applied Statistics 28, 20-28): the truth of a case is hidden, each person has an error rate of their own,
and both are found by turns. With few judgments a person the estimate is held back by a Dirichlet prior;
what each step raises is then the logarithm of likelihood times prior.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import betaincinv, logsumexp, ndtri

from tokencapital.stats.intervals import Interval

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float64]

EXPECTED = 0.85
"""How often somebody is taken to be right of whom nothing is known yet."""
STRENGTH = 4.0
"""That counts as much as so many judgments."""
CLASS_STRENGTH = 2.0
"""The same for one label of one person, and for each label's share of the cases."""

FEWEST_PAIRS = 8
"""Below so many cases judged together with others nothing is said of a person."""

_MOST_STEPS = 200
_ENOUGH = 1e-8


class Votes(Struct, frozen=True):
    """n judgments: of which `case` (n,), by which `rater` (n,), saying which `answer` (n,), each numbered from 0.

    For `dawid_skene` the answers are numbers of classes that all cases share, for `one_coin` numbers of
    the different answers that one case was given.
    """

    case: IntArray
    rater: IntArray
    answer: IntArray

    def __len__(self) -> int:
        return len(self.case)

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return int(self.case.max()) + 1 if len(self.case) else 0

    @property
    def raters(self) -> int:
        """How many people."""
        return int(self.rater.max()) + 1 if len(self.rater) else 0


class Estimate(Struct, frozen=True):
    """What the votes tell.

    `posterior` (cases, classes) is the probability of each answer being the true one, `right` (n,) that of
    each judgment, `accuracy` (raters,) how often each person is right, `objective` the logarithm of what was
    maximized after each step: it never falls.
    """

    posterior: FloatArray
    right: FloatArray
    accuracy: FloatArray
    objective: tuple[float, ...]


class Ability(Struct, frozen=True):
    """How often one person is right: `estimate` with its interval, from `n` judgments on cases that others judged."""

    estimate: float
    interval: Interval
    n: int


def dawid_skene(votes: Votes, classes: int, strength: float = CLASS_STRENGTH) -> Estimate:
    """The estimate with a confusion matrix for each person, pi[j, k, l] = P(says l | truth k).

    By turns p(k | case) ~ share[k] * prod of pi[j, k, answer], and pi and share are the expected counts plus
    the prior's: `strength` times `EXPECTED` for the true class, the rest evenly for the others. Strength 0
    gives the maximum of the likelihood alone.
    """
    n, raters = votes.cases, votes.raters
    lean = _lean(classes, strength)
    posterior = _shares_of_votes(votes, n, classes)
    objective: list[float] = []
    while True:
        pi = _confusion(votes, posterior, raters) + lean
        pi = pi / np.maximum(pi.sum(axis=2, keepdims=True), 1e-300)
        share = posterior.sum(axis=0) + strength / classes
        share = share / share.sum()
        log_pi, log_share = _log(pi), _log(share)
        joint = np.tile(log_share, (n, 1))
        np.add.at(joint, votes.case, log_pi[votes.rater, :, votes.answer])
        evidence = logsumexp(joint, axis=1)
        posterior = np.exp(joint - evidence[:, None])
        prior = float((lean * log_pi).sum()) + strength / classes * float(log_share.sum()) if strength else 0.0
        objective.append(float(evidence.sum()) + prior)
        if _settled(objective):
            break
    right = posterior[votes.case, votes.answer]
    return Estimate(posterior, right, _shares_right(votes, right), tuple(objective))


def one_coin(votes: Votes, strength: float = STRENGTH) -> Estimate:
    """The estimate where answers are as good as unlimited: each person is right with one probability r[j].

    The truth of a case is one of its m different answers or something nobody said, all m + 1 as likely;
    who is wrong says each of the others as often. So P(says a | truth t) is r if a = t, (1 - r) / m else.
    The prior counts as `strength` judgments, `EXPECTED` of them right.
    """
    n, raters = votes.cases, votes.raters
    different = np.zeros(n, np.intp)
    np.maximum.at(different, votes.case, votes.answer + 1)
    classes = int(different.max(initial=0)) + 1
    possible = np.arange(classes)[None, :] <= different[:, None]
    given = np.bincount(votes.rater, minlength=raters)
    right = np.full(len(votes), EXPECTED)
    objective: list[float] = []
    while True:
        ability = np.bincount(votes.rater, right, raters) + strength * EXPECTED
        ability = np.clip(ability / np.maximum(given + strength, 1e-300), 1e-9, 1 - 1e-9)
        hit, miss = np.log(ability[votes.rater]), np.log((1 - ability[votes.rater]) / different[votes.case])
        joint = np.where(possible, -np.log(different + 1.0)[:, None], -np.inf)
        np.add.at(joint, votes.case, miss[:, None])
        np.add.at(joint, (votes.case, votes.answer), hit - miss)
        evidence = logsumexp(joint, axis=1)
        posterior = np.exp(joint - evidence[:, None])
        right = posterior[votes.case, votes.answer]
        prior = strength * (EXPECTED * np.log(ability) + (1 - EXPECTED) * np.log(1 - ability)).sum()
        objective.append(float(evidence.sum()) + float(prior))
        if _settled(objective):
            break
    return Estimate(posterior, right, _shares_right(votes, right), tuple(objective))


def abilities(votes: Votes, estimate: Estimate, level: float) -> list[Ability]:
    """How often each person is right, with an interval at `level` from the Beta posterior.

    The expected number of right judgments c of n and the prior give Beta(c + s e, n - c + s (1 - e)), with
    the pooled share e counting as s = `STRENGTH` judgments: who has judged little is near everybody.
    """
    n = np.bincount(votes.rater, minlength=votes.raters)
    right = np.bincount(votes.rater, estimate.right, votes.raters)
    pooled = float(estimate.right.mean()) if len(votes) else EXPECTED
    good, bad = right + STRENGTH * pooled, n - right + STRENGTH * (1 - pooled)
    low, high = betaincinv(good, bad, (1 - level) / 2), betaincinv(good, bad, (1 + level) / 2)
    return [
        Ability(float(good[j] / (good[j] + bad[j])), Interval(float(low[j]), float(high[j]), level), int(n[j]))
        for j in range(votes.raters)
    ]


def differ(votes: Votes, level: float = 0.99) -> bool:
    """Whether somebody certainly agrees with the others less, or more, than these do among themselves.

    For each person the agreement of pairs of judgments of one case with theirs among them is held against
    that of the pairs without (Welch's test on one mean a case, normal approximation), at `level` for all
    people together (Bonferroni). No estimate of anybody is used, so that equal people are rarely told apart.
    """
    first, second = _pairs(votes)
    agree = (votes.answer[first] == votes.answer[second]).astype(float)
    case, cases = votes.case[first], votes.cases
    bound = float(ndtri(1 - (1 - level) / (2 * max(votes.raters, 1))))
    for rater in range(votes.raters):
        theirs = (votes.rater[first] == rater) | (votes.rater[second] == rater)
        with_them, without = _means(case[theirs], agree[theirs], cases), _means(case[~theirs], agree[~theirs], cases)
        if min(len(with_them), len(without)) < FEWEST_PAIRS:
            continue
        spread = np.sqrt(_variance(with_them) / len(with_them) + _variance(without) / len(without))
        if abs(float(with_them.mean() - without.mean())) > bound * float(spread):
            return True
    return False


def _pairs(votes: Votes) -> tuple[IntArray, IntArray]:
    """The places of any two judgments of one case by two people."""
    order = np.argsort(votes.case, kind="stable")
    first: list[int] = []
    second: list[int] = []
    for rows in np.split(order, np.flatnonzero(np.diff(votes.case[order])) + 1):
        for place, one in enumerate(rows.tolist()):
            for other in rows[place + 1 :].tolist():
                if votes.rater[one] != votes.rater[other]:
                    first.append(one)
                    second.append(other)
    return np.array(first, np.intp), np.array(second, np.intp)


def _means(case: IntArray, values: FloatArray, cases: int) -> FloatArray:
    """The mean value of each case that has one."""
    n = np.bincount(case, minlength=cases)
    return np.asarray(np.bincount(case, values, cases)[n > 0] / n[n > 0])


def _variance(values: FloatArray) -> float:
    """The variance, as if one more value had been a half: a few that are all the same are not certain."""
    return float(np.append(values, 0.5).var(ddof=1))


def _lean(classes: int, strength: float) -> FloatArray:
    """Pseudo-counts (classes, classes): most of each row on the diagonal."""
    elsewhere = strength * (1 - EXPECTED) / max(classes - 1, 1)
    lean = np.full((classes, classes), elsewhere)
    lean[np.diag_indices(classes)] = strength * EXPECTED
    return lean


def _shares_of_votes(votes: Votes, cases: int, classes: int) -> FloatArray:
    """Where the turns begin: each case's votes by class, as shares."""
    shares = np.zeros((cases, classes))
    np.add.at(shares, (votes.case, votes.answer), 1.0)
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0))


def _confusion(votes: Votes, posterior: FloatArray, raters: int) -> FloatArray:
    """Expected counts (raters, classes, classes): how often each said l where k was true."""
    counts = np.zeros((raters, posterior.shape[1], posterior.shape[1]))
    np.add.at(counts.swapaxes(1, 2), (votes.rater, votes.answer), posterior[votes.case])
    return counts


def _shares_right(votes: Votes, right: FloatArray) -> FloatArray:
    given = np.bincount(votes.rater, minlength=votes.raters)
    return np.asarray(np.bincount(votes.rater, right, votes.raters) / np.maximum(given, 1), np.float64)


def _log(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(values, 1e-300)))


def _settled(objective: list[float]) -> bool:
    if len(objective) < 2:
        return False
    gained = objective[-1] - objective[-2]
    return len(objective) >= _MOST_STEPS or gained <= _ENOUGH * (1 + abs(objective[-1]))
