"""Finding out who is right without knowing the truth, against brute force and against known reliabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from tokencapital.stats.raters import EXPECTED, Votes, abilities, dawid_skene, differ, one_coin


def votes_of(rows: list[tuple[int, int, int]]) -> Votes:
    case, rater, answer = (np.array(column, np.intp) for column in zip(*rows, strict=True))
    return Votes(case, rater, answer)


def simulated(
    seed: int, cases: int, reliabilities: list[float], classes: int, per_case: int = 2
) -> tuple[Votes, np.ndarray]:
    """Each case judged by some of the people, who slip to another class as often as they are unreliable."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=cases)
    rows = []
    for case in range(cases):
        for rater in rng.permutation(len(reliabilities))[:per_case].tolist():
            slip = rng.random() > reliabilities[rater]
            answer = (truth[case] + rng.integers(1, classes)) % classes if slip else truth[case]
            rows.append((case, rater, int(answer)))
    return votes_of(rows), truth


def local(votes: Votes) -> Votes:
    """The same votes with the answers of each case numbered by themselves, as `one_coin` takes them."""
    numbers: dict[int, dict[int, int]] = {}
    answer = [
        numbers.setdefault(case, {}).setdefault(said, len(numbers[case]))
        for case, said in zip(votes.case.tolist(), votes.answer.tolist(), strict=True)
    ]
    return Votes(votes.case, votes.rater, np.array(answer, np.intp))


def likelihood_by_hand(votes: Votes, share: np.ndarray, pi: np.ndarray) -> float:
    """The likelihood summed over every way the truths of all cases can be."""
    total = -np.inf
    for truths in itertools.product(range(len(share)), repeat=votes.cases):
        one = sum(np.log(share[truth]) for truth in truths)
        for case, rater, answer in zip(votes.case, votes.rater, votes.answer, strict=True):
            one += np.log(pi[rater, truths[case], answer])
        total = np.logaddexp(total, one)
    return float(total)


TINY = votes_of([(0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 0), (2, 0, 1), (2, 1, 1), (3, 0, 0), (3, 1, 0), (3, 2, 1)])


def test_without_a_prior_it_finds_the_highest_likelihood_that_a_plain_search_finds() -> None:
    found = dawid_skene(TINY, 2, strength=0.0).objective[-1]

    def minus(parameters: np.ndarray) -> float:
        share = np.array([1, np.exp(parameters[0])]) / (1 + np.exp(parameters[0]))
        said = 1 / (1 + np.exp(-parameters[1:].reshape(3, 2)))
        pi = np.stack([1 - said, said], axis=2).clip(1e-12, 1 - 1e-12)
        return -likelihood_by_hand(TINY, share, pi)

    rng = np.random.default_rng(0)
    best = max(-minimize(minus, rng.normal(0, 2, 7), method="L-BFGS-B", bounds=[(-12, 12)] * 7).fun for _ in range(15))
    assert found <= best + 1e-3
    assert found == pytest.approx(best, abs=0.02)


def test_the_objective_is_the_likelihood_and_never_falls() -> None:
    for seed in range(5):
        votes, _ = simulated(seed, 60, [0.95, 0.8, 0.6, 0.5], 4, per_case=3)
        mine = local(votes)
        for found in (dawid_skene(votes, 4, 0.0), dawid_skene(votes, 4), one_coin(mine), one_coin(mine, 0.0)):
            assert all(after >= before - 1e-9 for before, after in itertools.pairwise(found.objective))
            assert found.posterior.sum(axis=1) == pytest.approx(1.0)


def test_one_coin_posteriors_are_those_of_bayes_by_hand() -> None:
    votes = votes_of([(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
    found = one_coin(votes, strength=1e9)
    r = EXPECTED
    agreed = np.array([r * r, (1 - r) ** 2])
    apart = np.array([r * (1 - r) / 2, (1 - r) / 2 * r, ((1 - r) / 2) ** 2])
    assert found.posterior[0, :2] == pytest.approx(agreed / agreed.sum(), rel=1e-6)
    assert found.posterior[1] == pytest.approx(apart / apart.sum(), rel=1e-6)
    assert found.right == pytest.approx([*agreed[[0, 0]] / agreed.sum(), *apart[[0, 1]] / apart.sum()], rel=1e-6)


@pytest.mark.parametrize("classes", [3, 8])
def test_known_reliabilities_are_found_again(classes: int) -> None:
    known = [0.98, 0.95, 0.9, 0.6]
    votes, truth = simulated(7, 600, known, classes, per_case=3)
    for found in (dawid_skene(votes, classes), one_coin(local(votes))):
        assert found.accuracy == pytest.approx(known, abs=0.04)
    estimate = dawid_skene(votes, classes)
    assert (estimate.posterior.argmax(axis=1) == truth).mean() > 0.95


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    known = [0.95, 0.9, 0.85, 0.6]
    inside = []
    for seed in range(60):
        votes, _ = simulated(seed, 150, known, 6, per_case=3)
        found = abilities(votes, one_coin(local(votes)), 0.9)
        inside += [one.interval.low <= truth <= one.interval.high for one, truth in zip(found, known, strict=True)]
    assert 0.8 <= np.mean(inside) <= 0.99


def test_who_judged_little_is_near_everybody_with_a_wide_interval() -> None:
    votes, _ = simulated(1, 200, [0.95, 0.9], 5)
    more = Votes(np.append(votes.case, 0), np.append(votes.rater, 2), np.append(votes.answer, votes.answer[0]))
    *_, newcomer = abilities(more, one_coin(local(more)), 0.9)
    assert newcomer.n == 1
    assert newcomer.interval.high - newcomer.interval.low > 0.2
    assert 0.8 < newcomer.estimate < 0.99


def test_equal_people_are_told_apart_rarely_and_a_bad_one_nearly_always() -> None:
    equal = [differ(votes) for votes in (local(simulated(seed, 200, [0.9] * 5, 8)[0]) for seed in range(100))]
    bad = [differ(votes) for votes in (local(simulated(seed, 200, [0.9] * 4 + [0.5], 8)[0]) for seed in range(40))]
    assert np.mean(equal) <= 0.08
    assert np.mean(bad) >= 0.9


def test_no_votes_tell_nothing() -> None:
    nothing = Votes(*(np.empty(0, np.intp) for _ in range(3)))
    assert abilities(nothing, one_coin(nothing), 0.9) == []
    assert not differ(nothing)
    assert dawid_skene(nothing, 3).posterior.shape == (0, 3)


def test_the_evidence_of_a_case_is_summed_over_its_possible_truths() -> None:
    votes = votes_of([(0, 0, 0), (0, 1, 1)])
    found = dawid_skene(votes, 2, strength=1e9)
    joint = np.log(0.5) + np.array([np.log(EXPECTED) + np.log(1 - EXPECTED)] * 2)
    assert np.exp(joint - logsumexp(joint)) == pytest.approx(found.posterior[0], rel=1e-6)
