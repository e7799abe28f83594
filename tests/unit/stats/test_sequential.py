from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.stats.sequential import (
    BETS,
    asymptotic_sequence,
    betting_sequence,
    cluster_means,
    e_value,
)

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=40)


def paired(rng: np.random.Generator, shape: tuple[int, ...], gains: float, losses: float) -> np.ndarray:
    luck = rng.random(shape)
    return (luck < gains).astype(float) - ((luck >= gains) & (luck < gains + losses))


def plain_wealth(differences: list[float], null_mean: float) -> float:
    """The same wealth, one bet and one case at a time."""
    total = 0.0
    for bet in BETS:
        wealth = 1.0
        for difference in differences:
            wealth *= 1 + bet / (1 + null_mean) * (difference - null_mean)
        total += wealth / len(BETS)
    return total


@settings(max_examples=25, deadline=None)
@given(DIFFERENCES, st.floats(-0.9, 0.9))
def test_e_value_is_the_mean_wealth_of_constant_bets(differences: list[float], null_mean: float) -> None:
    assert e_value(differences, null_mean)[-1] == pytest.approx(plain_wealth(differences, null_mean), rel=1e-9)


@pytest.mark.parametrize("null_mean", [-0.4, 0.0, 0.3])
def test_expected_e_value_is_one_when_the_mean_is_the_null(null_mean: float) -> None:
    """Brute force over all 3^6 streams whose mean is exactly the null."""
    up, down = 0.1 + max(null_mean, 0.0), 0.1 + max(-null_mean, 0.0)
    chances = {1.0: up, -1.0: down, 0.0: 1 - up - down}
    expected = sum(
        float(np.prod([chances[value] for value in stream])) * e_value(stream, null_mean)[-1]
        for stream in itertools.product(chances, repeat=6)
    )
    assert expected == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(DIFFERENCES, st.floats(0.01, 0.4), st.floats(-0.95, 0.95))
def test_lower_bound_passes_a_mean_exactly_when_the_e_value_does(
    differences: list[float], alpha: float, null_mean: float
) -> None:
    crossed = np.maximum.accumulate(e_value(differences, null_mean)) >= 1 / alpha
    gap = betting_sequence(differences, alpha).lower - null_mean
    assert np.all(crossed[gap > 1e-6])
    assert not np.any(crossed[gap < -1e-6])


@settings(max_examples=25, deadline=None)
@given(DIFFERENCES, st.floats(0.01, 0.4))
def test_upper_bound_mirrors_the_lower(differences: list[float], alpha: float) -> None:
    bounds, mirrored = betting_sequence(differences, alpha), betting_sequence([-d for d in differences], alpha)
    np.testing.assert_allclose(bounds.upper, -mirrored.lower)
    assert np.all(np.diff(bounds.lower) >= 0)
    assert np.all(np.diff(bounds.upper) <= 0)


@settings(max_examples=25, deadline=None)
@given(DIFFERENCES, st.floats(0.02, 0.4))
def test_a_stricter_level_gives_wider_bounds(differences: list[float], alpha: float) -> None:
    loose, strict = betting_sequence(differences, alpha), betting_sequence(differences, alpha / 2)
    assert np.all(strict.lower <= loose.lower)
    assert np.all(strict.upper >= loose.upper)


@settings(max_examples=25, deadline=None)
@given(DIFFERENCES, st.randoms(use_true_random=False))
def test_final_e_value_does_not_depend_on_the_order(differences: list[float], random: object) -> None:
    shuffled = list(differences)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert e_value(shuffled, 0.0)[-1] == pytest.approx(e_value(differences, 0.0)[-1])


@pytest.mark.parametrize(("gains", "losses"), [(0.1, 0.1), (0.01, 0.01), (0.3, 0.3)])
def test_peeking_after_every_case_rarely_claims_a_gain_that_is_not_there(gains: float, losses: float) -> None:
    differences = paired(np.random.default_rng(7), (800, 1500), gains, losses)
    claimed = (e_value(differences, 0.0) >= 20).any(axis=1).mean()
    assert claimed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 800)


def test_peeking_at_a_margin_is_valid_on_its_boundary() -> None:
    differences = paired(np.random.default_rng(8), (800, 1500), 0.05, 0.08)
    claimed = (e_value(differences, -0.03) >= 20).any(axis=1).mean()
    assert claimed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 800)


def test_both_bounds_hold_at_every_case_at_once() -> None:
    rng = np.random.default_rng(9)
    missed_low = missed_high = 0
    for _ in range(100):
        bounds = betting_sequence(paired(rng, (150,), 0.12, 0.07), 0.1)
        missed_low += bool(np.any(bounds.lower > 0.05))
        missed_high += bool(np.any(bounds.upper < 0.05))
    assert missed_low <= 16
    assert missed_high <= 16


def test_bounds_close_in_on_the_truth() -> None:
    bounds = betting_sequence(paired(np.random.default_rng(3), (5000,), 0.15, 0.10), 0.05)
    assert 0 < bounds.lower[-1] < 0.05 < bounds.upper[-1] < 0.09


@pytest.mark.parametrize(("gains", "losses", "cases"), [(0.15, 0.10, 2500), (0.10, 0.05, 1600), (0.05, 0.0, 260)])
def test_five_points_are_found(gains: float, losses: float, cases: int) -> None:
    differences = paired(np.random.default_rng(4), (200, cases), gains, losses)
    assert (e_value(differences, 0.0) >= 20).any(axis=1).mean() > 0.9


def test_extreme_streams_stay_finite_and_ordered() -> None:
    for value in (-1.0, 0.0, 1.0):
        bounds = betting_sequence(np.full(50, value), 0.05)
        assert np.isfinite(bounds.lower).all()
        assert -1 <= bounds.lower[-1] <= value <= bounds.upper[-1] <= 1
    assert betting_sequence([], 0.05).lower.shape == (0,)


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="differences"):
        e_value([0.0, 1.5], 0.0)
    with pytest.raises(ValueError, match="differences"):
        e_value([float("nan")], 0.0)
    with pytest.raises(ValueError, match="null mean"):
        e_value([0.0], -1.0)


def test_asymptotic_sequence_rarely_misses_and_is_silent_at_first() -> None:
    rng = np.random.default_rng(5)
    missed_low = missed_high = 0
    for _ in range(400):
        bounds = asymptotic_sequence(rng.exponential(1.0, 2000), 0.05, 1000)
        missed_low += bool(np.any(bounds.lower > 1.0))
        missed_high += bool(np.any(bounds.upper < 1.0))
    assert np.isinf(bounds.lower[98])
    assert np.isfinite(bounds.lower[99])
    assert missed_low <= 33
    assert missed_high <= 33
    assert bounds.lower[-1] > 0.85


def test_asymptotic_width_follows_the_published_formula() -> None:
    values = np.random.default_rng(6).normal(size=300)
    r2 = (-2 * np.log(0.1) + np.log(1 - 2 * np.log(0.1))) / 200
    uppers = []
    for t in range(100, 301):
        boundary = np.sqrt(2 * (t * r2 + 1) / (t**2 * r2) * np.log(1 + np.sqrt(t * r2 + 1) / 0.1))
        uppers.append(values[:t].mean() + values[:t].std() * boundary)
    np.testing.assert_allclose(asymptotic_sequence(values, 0.05, 200).upper[99:], np.minimum.accumulate(uppers))


def test_cluster_means_stand_in_order_of_first_appearance() -> None:
    differences, groups = [1.0, 0.0, -1.0, 0.0, 1.0], ["b", "a", "b", "c", "a"]
    np.testing.assert_allclose(cluster_means(differences, groups), [0.0, 0.5, 0.0])
    np.testing.assert_allclose(cluster_means(differences, groups, order=[5, 4, 3, 2, 1]), [0.5, 0.0, 0.0])
