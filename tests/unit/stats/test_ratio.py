"""A ratio of means with its interval, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tokencapital.stats.paired import paired_difference
from tokencapital.stats.ratio import bootstrap_ratio, ratio_of_means, ratio_of_paired_differences


def test_the_value_is_the_ratio_of_the_sums() -> None:
    found = ratio_of_means([1.0, 3.0], [1.0, 1.0], ["a", "b"], 0.95)
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.interval is not None
    assert found.interval.low < 2.0 < found.interval.high


def test_nothing_is_said_without_cases_or_where_a_mean_is_zero() -> None:
    assert ratio_of_means([], [], [], 0.95) is None
    assert ratio_of_means([1.0, 1.0], [0.0, 0.0], ["a", "b"], 0.95) is None
    single = ratio_of_means([1.0, 2.0], [1.0, 1.0], ["a", "a"], 0.95)
    assert single is not None
    assert single.interval is None


@pytest.mark.parametrize("members", [1, 4])
def test_the_interval_covers_the_truth_as_often_as_it_says(members: int) -> None:
    rng = np.random.default_rng(members)
    covered = 0
    for _ in range(400):
        luck = rng.random((80, 1)).repeat(members, axis=1)
        accepted = (luck < 0.7).astype(float).ravel()
        costs = rng.gamma(2.0, 1.0, 80 * members) * (1.0 + luck.ravel())
        found = ratio_of_means(costs, accepted, np.repeat(np.arange(80), members), 0.9)
        assert found is not None and found.interval is not None
        covered += found.interval.low <= 3.0 / 0.7 <= found.interval.high
    assert 0.85 <= covered / 400 <= 0.95


def differences(rng: np.random.Generator, groups: int, members: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both uplifts of a policy that is right on 85%, over models right on 70% and 50%; 0.15 and 0.35 in truth."""
    n = groups * members
    shared = rng.random(groups).repeat(members)
    luck = np.where(rng.random(n) < 0.5, shared, rng.random(n))
    policy = (luck < 0.85).astype(float)
    return policy - (rng.random(n) < 0.7), policy - (rng.random(n) < 0.5), np.repeat(np.arange(groups), members)


@pytest.mark.parametrize(("groups", "members"), [(75, 1), (60, 3)])
def test_the_ratio_of_two_uplifts_is_covered_as_often_as_it_says(groups: int, members: int) -> None:
    rng = np.random.default_rng(groups)
    covered = []
    for _ in range(2000):
        found = ratio_of_paired_differences(*differences(rng, groups, members), 0.9)
        if found is not None and found.interval is not None:
            covered.append(found.interval.low <= 0.15 / 0.35 <= found.interval.high)
    assert len(covered) >= 1990
    assert 0.89 <= np.mean(covered) <= 0.94


def test_fiellers_interval_holds_what_a_test_of_each_ratio_does_not_refute() -> None:
    """The oracle: for each r the t-test of mean(after - r * before) = 0, with the half groups as further groups."""
    after, before, groups = differences(np.random.default_rng(5), 40, 1)
    found = ratio_of_paired_differences(after, before, groups, 0.9)
    assert found is not None and found.interval is not None
    assert found.value == pytest.approx(after.mean() / before.mean())
    t = 1.684875  # the 95% point of Student's t on 39 degrees, from a table
    for r, inside in [(found.interval.low - 1e-3, False), (found.interval.low + 1e-3, True),
                      (found.interval.high - 1e-3, True), (found.interval.high + 1e-3, False)]:  # fmt: skip
        tested = after - r * before
        squares = 40 * np.var(tested, ddof=1) + 1 + r * r
        assert (tested.sum() ** 2 <= t * t * squares) == inside


def test_no_ratio_is_told_exactly_where_the_denominator_may_be_nothing() -> None:
    rng = np.random.default_rng(8)
    told = set()
    for _ in range(200):
        before, after = rng.choice([-1.0, 0.0, 1.0], (2, 30), p=[0.2, 0.4, 0.4])
        denominator = paired_difference(before, np.zeros(30), range(30), 0.9)
        assert denominator is not None
        shown = denominator.interval.low > 0
        assert (ratio_of_paired_differences(after, before, range(30), 0.9) is not None) == shown
        told.add(shown)
    assert told == {True, False}
    assert ratio_of_paired_differences([1.0, 0.0], [1.0, 1.0], ["a", "a"], 0.9) is None
    assert ratio_of_paired_differences([], [], [], 0.9) is None
    assert ratio_of_paired_differences(-np.ones(30), -np.ones(30), range(30), 0.9) is None


def test_equal_uplifts_are_not_certainly_equal() -> None:
    uplift = np.ones(50)
    found = ratio_of_paired_differences(uplift, uplift, range(50), 0.9)
    assert found is not None and found.interval is not None
    assert found.value == 1.0
    assert found.interval.low < 0.98
    assert found.interval.high > 1.02


def test_the_bootstrap_agrees_where_there_is_plenty() -> None:
    rng = np.random.default_rng(3)
    after, before, groups = differences(rng, 800, 2)
    fieller = ratio_of_paired_differences(after, before, groups, 0.9)
    resampled = bootstrap_ratio(after, before, groups, 0.9, rng)
    assert fieller is not None and fieller.interval is not None and resampled is not None
    assert resampled.low == pytest.approx(fieller.interval.low, abs=0.02)
    assert resampled.high == pytest.approx(fieller.interval.high, abs=0.02)
    assert bootstrap_ratio([1.0, 1.0], [0.0, 1.0], [0, 1], 0.9, rng) is None
