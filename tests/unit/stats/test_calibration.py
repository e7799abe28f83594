from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tokencapital.core.policy import Calibration
from tokencapital.stats.calibration import _pooled, confidence, confidences, fit_calibration

CASES = st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=80)


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, verdicts and the true probability, which no logistic curve follows."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    truth = np.where(scores < 0.5, 0.2 + 0.2 * scores, 0.7 + 0.3 * (scores - 0.5) / 0.5 * 0.9)
    return scores, (rng.random(n) < truth).astype(float), truth


@given(CASES)
@settings(max_examples=25, deadline=None)
def test_map_is_monotone_and_strictly_inside_zero_and_one(cases: list[tuple[float, bool]]) -> None:
    calibration = fit_calibration([score for score, _ in cases], [right for _, right in cases])
    assert calibration is not None
    assert all(np.diff(calibration.scores) > 0)
    assert all(np.diff(calibration.probabilities) >= -1e-12)
    assert 0 < calibration.probabilities[0] <= calibration.probabilities[-1] < 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 5)), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_pooling_agrees_with_sklearn(points: list[tuple[float, float]]) -> None:
    values, mass = (np.array(column) for column in zip(*points, strict=True))
    expected = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=mass)
    np.testing.assert_allclose(_pooled(values, mass), expected, atol=1e-6)


def test_many_cases_recover_the_truth() -> None:
    scores, right, _ = drawn(20_000)
    calibration = fit_calibration(scores, right)
    assert calibration is not None
    fresh, _, truth = drawn(5000, seed=1)
    assert np.mean(np.abs(confidences(calibration, fresh) - truth)) < 0.03


def test_few_cases_follow_the_logistic_curve() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=40)
    right = rng.random(40) < 1 / (1 + np.exp(-scores))
    calibration = fit_calibration(scores, right)
    assert calibration is not None
    curve = LogisticRegression(C=10).fit(scores[:, None], right).predict_proba(scores[:, None])[:, 1]
    assert np.mean(np.abs(confidences(calibration, scores) - curve)) < 0.1


def test_all_right_is_not_certainty_and_misleading_scores_are_flat() -> None:
    sure = fit_calibration(np.linspace(0, 1, 20), np.ones(20))
    assert sure is not None
    assert 0.85 < min(sure.probabilities) <= max(sure.probabilities) < 1
    reversed_scores = fit_calibration(np.linspace(0, 1, 200), np.linspace(0, 1, 200) < 0.5)
    assert reversed_scores is not None
    assert np.ptp(reversed_scores.probabilities) < 1e-9
    assert reversed_scores.probabilities[0] == pytest.approx(0.5, abs=0.02)


def test_weights_correct_a_draw_that_favoured_wrong_cases() -> None:
    rng = np.random.default_rng(3)
    right = rng.random(8000) < 0.8
    chance = np.where(right, 0.2, 0.8)
    drawn_cases = rng.random(8000) < chance
    plain = fit_calibration(np.zeros(drawn_cases.sum()), right[drawn_cases])
    weighted = fit_calibration(np.zeros(drawn_cases.sum()), right[drawn_cases], 1 / chance[drawn_cases])
    assert plain is not None
    assert weighted is not None
    assert plain.probabilities[0] < 0.6
    assert weighted.probabilities[0] == pytest.approx(0.8, abs=0.03)


def test_scale_of_weights_does_not_matter_and_weightless_cases_do_not_count() -> None:
    scores, right, _ = drawn(200)
    once, tenfold = (fit_calibration(scores, right, np.full(200, weight)) for weight in (1.0, 10.0))
    assert once is not None
    assert tenfold is not None
    np.testing.assert_allclose(once.probabilities, tenfold.probabilities)
    assert fit_calibration(scores, right, np.zeros(200)) is None
    assert fit_calibration([], []) is None
    with pytest.raises(ValueError, match="finite"):
        fit_calibration([np.inf], [1.0])


@given(st.floats(-1, 2))
@settings(deadline=None)
def test_one_and_many_agree(score: float) -> None:
    calibration = Calibration((0.0, 0.25, 1.0), (0.1, 0.6, 0.9))
    assert confidence(calibration, score) == pytest.approx(float(confidences(calibration, score)))


def test_confidence_interpolates_clamps_and_admits_ignorance() -> None:
    calibration = Calibration((0.0, 1.0), (0.2, 0.8))
    assert confidence(calibration, 0.5) == pytest.approx(0.5)
    assert confidence(calibration, -3.0) == 0.2
    assert confidence(calibration, 3.0) == 0.8
    assert confidence(calibration, float("nan")) is None
    assert confidence(None, 0.5) is None
