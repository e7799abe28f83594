"""Draws that say at which probability they were made."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.models.specialist import Prediction
from tokencapital.review.acquisition import acquisition_scores, draw


def test_picks_are_as_frequent_as_their_probability_says() -> None:
    scores = np.log(np.array([1.0, 2.0, 7.0]))
    rng = np.random.default_rng(0)
    pairs = Counter(tuple(case for case, _ in draw(scores, 2, rng)) for _ in range(20_000))
    assert pairs[(2, 1)] / 20_000 == pytest.approx(0.7 * 2 / 3, abs=0.015)
    assert pairs[(0, 1)] / 20_000 == pytest.approx(0.1 * 2 / 9, abs=0.006)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=12), st.integers(0, 15), st.integers(0, 99))
def test_each_pick_has_its_share_of_what_was_left(scores: list[float], count: int, seed: int) -> None:
    weights = np.exp(scores)
    left = set(range(len(scores)))
    picks = draw(np.array(scores), count, np.random.default_rng(seed))
    assert len(picks) == min(count, len(scores))
    for case, probability in picks:
        assert probability == pytest.approx(weights[case] / weights[sorted(left)].sum(), rel=1e-6)
        left.remove(case)


def test_a_case_without_weight_is_never_drawn() -> None:
    picks = draw(np.array([-np.inf, 0.0, -np.inf]), 3, np.random.default_rng(0))
    assert picks == [(1, 1.0)]


def test_an_empty_pool_gives_nothing() -> None:
    nothing = np.empty((0, 4), np.float32)
    assert draw(acquisition_scores([], nothing, nothing), 5, np.random.default_rng(0)) == []


def test_the_unsure_and_the_new_teach_most() -> None:
    vectors = np.eye(3, dtype=np.float32)
    predictions = [Prediction("a", score) for score in (0.9, 0.1, 0.9)]
    scores = acquisition_scores(predictions, vectors, vectors[:1])
    assert scores[1] > scores[2] > scores[0]


def test_before_the_first_judgment_all_cases_count_the_same() -> None:
    scores = acquisition_scores([], np.eye(3, dtype=np.float32), np.empty((0, 3), np.float32))
    assert len(set(scores)) == 1
