from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.core.policy import Threshold
from tokencapital.stats.distributions import binomial_tail
from tokencapital.stats.thresholds import cases_required, learn_threshold

Cases = tuple[np.ndarray, np.ndarray, np.ndarray]


def learn(cases: Cases, seed: int = 0, tolerance: float = 0.05) -> Threshold | None:
    return learn_threshold(*cases, tolerance=tolerance, delta=0.10, seed=seed)


def rising_risk(rng: np.random.Generator, n: int) -> Cases:
    """Independent cases: at score s the risk is 0.5 * (1 - s)^2 + 0.01."""
    scores = rng.random(n)
    return scores, rng.random(n) < 0.01 + 0.5 * (1 - scores) ** 2, np.arange(n)


def selective_error(threshold: float) -> float:
    grid = np.linspace(threshold, 1, 2001)
    return float(np.mean(0.01 + 0.5 * (1 - grid) ** 2))


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 0.99))
@settings(max_examples=25, deadline=None)
def test_binomial_tail_by_summation(errors: int, n: int, share: float) -> None:
    errors = min(errors, n)
    expected = sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(errors + 1))
    assert binomial_tail(errors, n, share) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_45_right_cases_are_needed_and_suffice() -> None:
    assert cases_required(0.05, 0.10) == 45
    few = (np.linspace(0, 1, 44), np.zeros(44, bool), np.arange(44))
    enough = (np.linspace(0, 1, 45), np.zeros(45, bool), np.arange(45))
    assert learn(few) is None
    assert learn(enough) == Threshold(score=0.0, tolerance=0.05, delta=0.10, n=45, errors=0, calibrated_on=45)


def test_nothing_is_vouched_for_without_cases_or_with_errors_everywhere() -> None:
    assert learn((np.array([]), np.array([], bool), np.array([], int))) is None
    rng = np.random.default_rng(0)
    assert learn((rng.random(5000), rng.random(5000) < 0.5, np.arange(5000))) is None


@pytest.mark.parametrize("n", [150, 400, 1000])
def test_promise_holds_in_nine_of_ten_draws(n: int) -> None:
    rng = np.random.default_rng(n)
    learned = [learn(rising_risk(rng, n)) for _ in range(150)]
    broken = sum(found is not None and selective_error(found.score) > 0.05 for found in learned)
    assert broken <= 15 + 2 * np.sqrt(13.5)


def test_most_of_what_could_be_answered_is_answered() -> None:
    rng = np.random.default_rng(1)
    best = next(t for t in np.linspace(0, 1, 1001) if selective_error(t) <= 0.05)
    coverage = [1 - found.score if (found := learn(rising_risk(rng, 3000))) else 0.0 for _ in range(30)]
    assert np.mean(coverage) > 0.75 * (1 - best)


def on_the_edge(rng: np.random.Generator, _: int) -> Cases:
    """Every threshold errs at exactly the tolerance: any promise is false."""
    n = 300
    return rng.random(n), rng.random(n) < 0.0501, np.arange(n)


def dependent_pairs(rng: np.random.Generator, _: int) -> Cases:
    """Groups of 1 to 6 whose cases share one fate; large groups err more, cases err at 5.01% over all."""
    sizes = rng.integers(1, 7, 400)
    chances = 0.0501 * sizes * sizes.sum() / np.sum(sizes**2)
    labels = np.repeat(np.arange(400), sizes)
    return rng.random(len(labels)), (rng.random(400) < chances)[labels], labels


def one_giant(rng: np.random.Generator, _: int) -> Cases:
    """A few groups of 12 among single cases, all wrong at once or all right."""
    sizes = np.append(np.ones(500, int), np.full(4, 12))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return rng.random(len(labels)), (rng.random(len(sizes)) < 0.0501)[labels], labels


def shared_fate(rng: np.random.Generator, _: int) -> Cases:
    """60 groups of 8, each all wrong or all right, with one score."""
    labels = np.repeat(np.arange(60), 8)
    return rng.random(60)[labels], (rng.random(60) < 0.0501)[labels], labels


@pytest.mark.parametrize("world", [on_the_edge, dependent_pairs, one_giant, shared_fate])
def test_false_promises_stay_below_delta_at_the_edge(world: Callable[[np.random.Generator, int], Cases]) -> None:
    rng = np.random.default_rng(3)
    false = sum(learn(world(rng, seed), seed) is not None for seed in range(150))
    assert false <= 15 + 2 * np.sqrt(13.5)


def test_treating_dependent_cases_as_independent_would_break_the_promise() -> None:
    """The guard on groups is needed: without it the same world is promised far too often."""
    rng = np.random.default_rng(3)
    worlds = [shared_fate(rng, seed) for seed in range(100)]
    careless = sum(learn((scores, wrong, np.arange(len(scores)))) is not None for scores, wrong, _ in worlds)
    assert careless > 20


def test_each_group_counts_once_however_large() -> None:
    sizes = np.append(np.ones(1000, int), [8, 5])
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = learn((np.ones(len(labels)), np.zeros(len(labels), bool), labels))
    assert found is not None
    assert (found.n, found.errors, found.calibrated_on) == (1002, 0, 1013)


def test_equal_groups_lose_all_but_one_case_each() -> None:
    labels = np.repeat(np.arange(80), 5)
    found = learn((np.ones(400), np.zeros(400, bool), labels))
    assert found is not None
    assert (found.n, found.errors, found.calibrated_on) == (80, 0, 400)


def test_single_cases_leave_nothing_to_chance_and_order_does_not_matter() -> None:
    scores, wrong, groups = rising_risk(np.random.default_rng(5), 2000)
    shuffle = np.random.default_rng(6).permutation(2000)
    again = learn((scores[shuffle], wrong[shuffle], groups[shuffle]), seed=9)
    assert learn((scores, wrong, groups), seed=1) == again
    assert again is not None
    selected = scores >= again.score
    assert (again.n, again.errors) == (selected.sum(), wrong[selected].sum())


def test_tied_scores_stay_together() -> None:
    scores = np.repeat([0.9, 0.5], [100, 100])
    wrong = np.append(np.zeros(100, bool), np.ones(100, bool))
    found = learn((scores, wrong, np.arange(200)))
    assert found is not None
    assert (found.score, found.n) == (0.9, 100)


def test_a_model_right_only_at_the_top_is_used_there() -> None:
    rng = np.random.default_rng(7)
    scores = rng.random(2000)
    wrong = rng.random(2000) < np.where(scores > 0.85, 0.001, 0.4)
    found = learn((scores, wrong, np.arange(2000)))
    assert found is not None
    assert found.score > 0.8


def test_a_laxer_tolerance_answers_no_less() -> None:
    rng = np.random.default_rng(8)
    for _ in range(15):
        cases = rising_risk(rng, 800)
        strict, lax = learn(cases, tolerance=0.05), learn(cases, tolerance=0.15)
        assert lax is not None
        assert strict is None or lax.score <= strict.score


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        learn((np.ones(3), np.ones(2, bool), np.arange(3)))
    with pytest.raises(ValueError, match="not a number"):
        learn((np.array([np.nan]), np.ones(1, bool), np.arange(1)))
