from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from tokencapital.stats.scores import accuracy, auc, calibration_error, macro_f1, weighted_f1

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=40)


@given(PAIRS)
@settings(max_examples=25, deadline=None)
def test_label_scores_agree_with_sklearn(pairs: list[tuple[str, str]]) -> None:
    expected, answers = [want for want, _ in pairs], [got for _, got in pairs]
    assert accuracy(expected, answers) == pytest.approx(accuracy_score(expected, answers))
    assert macro_f1(expected, answers) == pytest.approx(f1_score(expected, answers, average="macro", zero_division=0))
    weighted = f1_score(expected, answers, average="weighted", zero_division=0)
    assert weighted_f1(expected, answers) == pytest.approx(weighted)


def test_a_missing_answer_is_wrong_and_adds_no_label() -> None:
    assert accuracy(["a", "b"], ["a", None]) == 0.5
    assert macro_f1(["a", "b"], ["a", None]) == 0.5
    assert weighted_f1(["a", "a", "b"], ["a", "a", None]) == pytest.approx(2 / 3)
    assert accuracy([], []) is None
    assert macro_f1([], []) is None
    assert weighted_f1([], []) is None
    with pytest.raises(ValueError, match="do not match"):
        accuracy(["a"], [])


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40))
@settings(max_examples=25, deadline=None)
def test_auc_agrees_with_sklearn_and_lies_in_its_interval(cases: list[tuple[int, bool]]) -> None:
    scores, positive = [float(score) for score, _ in cases], [flag for _, flag in cases]
    found = auc(scores, positive)
    if len(set(positive)) < 2:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(positive, scores))
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert found.interval.low < found.interval.high


def test_auc_interval_covers() -> None:
    rng = np.random.default_rng(0)
    truth, covered = 0.7602499, 0
    for _ in range(400):
        positive = np.arange(120) < 40
        found = auc(rng.normal(size=120) + positive, positive, 0.9)
        assert found is not None
        covered += found.interval.low <= truth <= found.interval.high
    assert 0.86 <= covered / 400 <= 0.94


def test_perfect_separation_is_not_certainty() -> None:
    found = auc([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1])
    assert found is not None
    assert found.value == 1.0
    assert (found.interval.low, found.interval.high) == pytest.approx((0.025 ** (1 / 3), 1.0))


def test_calibration_error_counts_gaps_by_bin() -> None:
    assert calibration_error([], []) is None
    assert calibration_error([0.8] * 10, [1] * 8 + [0] * 2) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error([0.9] * 5 + [0.1] * 5, [0] * 5 + [1] * 5, bins=2) == pytest.approx(0.9)
    assert calibration_error([0.3, 0.5], [0, 1], bins=2) == pytest.approx((0.3 + 0.5) / 2)
