from __future__ import annotations

import numpy as np
import pytest

from tokencapital.stats.efficiency import outcome_efficiency


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost and energy move together, and accepted cases are cheaper."""
    accepted = rng.random(n) < 0.8
    effort = rng.lognormal(0.0, 0.6, n) * np.where(accepted, 1.0, 1.5)
    return accepted.astype(float), 0.002 * effort, 30 * effort * rng.lognormal(0, 0.2, n)


def truth() -> float:
    accepted, cost, energy = drawn(np.random.default_rng(99), 2_000_000)
    return float(accepted.mean() ** 2 / cost.mean() / energy.mean())


def test_point_is_the_product_of_both_factors() -> None:
    found = outcome_efficiency([1, 0, 1, 1], [0.1, 0.3, 0.2, 0.2], [10, 20, 30, 20], range(4), 0.9)
    assert found is not None
    assert found.accepted_per_usd == pytest.approx(0.75 / 0.2)
    assert found.accepted_per_joule == pytest.approx(0.75 / 20)
    assert found.opdw == pytest.approx(found.accepted_per_usd * found.accepted_per_joule)
    assert found.interval.low < found.opdw < found.interval.high


def test_interval_is_the_delta_method_with_full_covariance() -> None:
    columns = np.stack(drawn(np.random.default_rng(0), 50))
    found = outcome_efficiency(*columns, range(50), 0.9)
    assert found is not None
    pull = np.array([2.0, -1.0, -1.0]) / columns.mean(axis=1)
    deviation = np.sqrt(pull @ np.cov(columns) @ pull / 50)
    assert np.log(found.interval.high / found.opdw) == pytest.approx(1.676551 * deviation, rel=1e-5)


@pytest.mark.parametrize("copies", [1, 3])
def test_interval_covers_also_with_repeated_cases(copies: int) -> None:
    rng, expected, covered = np.random.default_rng(1), truth(), 0
    for _ in range(600):
        columns = [np.repeat(column, copies) for column in drawn(rng, 60)]
        found = outcome_efficiency(*columns, np.repeat(np.arange(60), copies), 0.9)
        assert found is not None
        covered += found.interval.low <= expected <= found.interval.high
    assert 0.86 <= covered / 600 <= 0.94


def test_undefined_is_none_never_zero() -> None:
    assert outcome_efficiency([0, 0], [1, 2], [1, 2], [0, 1], 0.9) is None
    assert outcome_efficiency([1, 1], [0, 0], [1, 2], [0, 1], 0.9) is None
    assert outcome_efficiency([1, 1], [1, 2], [1, float("nan")], [0, 1], 0.9) is None
    assert outcome_efficiency([1], [1], [1], [0], 0.9) is None
    assert outcome_efficiency([], [], [], [], 0.9) is None
