"""A ratio of means with its interval, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tokencapital.stats.ratio import ratio_of_means


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
