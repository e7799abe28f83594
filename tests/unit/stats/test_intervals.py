from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tokencapital.stats.intervals import clopper_pearson, cluster_interval, share_interval, wilson

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@settings(max_examples=25, deadline=None)
@given(COUNTS, LEVELS)
def test_wilson_agrees_with_scipy(counts: tuple[int, int], level: float) -> None:
    interval, expected = wilson(*counts, level), stats.binomtest(*counts).proportion_ci(level, method="wilson")
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(COUNTS, LEVELS)
def test_clopper_pearson_agrees_with_scipy(counts: tuple[int, int], level: float) -> None:
    interval, expected = clopper_pearson(*counts, level), stats.binomtest(*counts).proportion_ci(level, method="exact")
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(COUNTS)
def test_a_higher_level_is_wider_and_holds_the_share(counts: tuple[int, int]) -> None:
    for method in (wilson, clopper_pearson):
        narrow, wide = method(*counts, 0.8), method(*counts, 0.99)
        assert narrow is not None
        assert wide is not None
        assert wide.low <= narrow.low <= counts[0] / counts[1] <= narrow.high <= wide.high


def test_nothing_seen_gives_no_interval() -> None:
    assert wilson(0, 0, 0.95) is None
    assert clopper_pearson(0, 0, 0.95) is None
    assert cluster_interval([], [], 0.95) is None
    assert cluster_interval([1.0, 2.0], ["a", "a"], 0.95) is None
    assert share_interval([1, 0], ["a", "a"], 0.95) is None


def test_groups_of_one_give_the_interval_of_student() -> None:
    values = np.random.default_rng(0).normal(size=25)
    interval = cluster_interval(values, range(25), 0.9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_repeating_each_case_tells_nothing_new() -> None:
    values = np.random.default_rng(1).normal(size=30)
    once, thrice = (cluster_interval(np.repeat(values, k), np.repeat(np.arange(30), k), 0.95) for k in (1, 3))
    assert once is not None
    assert thrice is not None
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


def clustered_shares(rng: np.random.Generator, groups: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    sizes = 1 + rng.poisson(2, groups)
    labels = np.repeat(np.arange(groups), sizes)
    chances = rng.beta(share * 2, (1 - share) * 2, groups)
    return (rng.random(len(labels)) < chances[labels]).astype(float), labels


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_clustered_intervals_cover(share: float) -> None:
    rng = np.random.default_rng(2)
    covered = {cluster_interval: 0, share_interval: 0}
    for _ in range(600):
        values, labels = clustered_shares(rng, 60, share)
        for method in covered:
            interval = method(values, labels, 0.9)
            assert interval is not None
            covered[method] += interval.low <= share <= interval.high
    for hits in covered.values():
        assert 0.86 <= hits / 600 <= 0.95


def test_a_share_of_one_is_not_certainty() -> None:
    interval = share_interval(np.ones(40), np.repeat(np.arange(20), 2), 0.95)
    expected = wilson(20, 20, 0.95)
    assert interval == expected
    assert interval is not None
    assert interval.low < 0.9
