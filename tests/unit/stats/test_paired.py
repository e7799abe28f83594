from __future__ import annotations

import numpy as np
import pytest

from tokencapital.stats.paired import paired_difference


def test_formula_of_agresti_and_min_with_single_cases() -> None:
    gains, losses, n = 12, 5, 100
    first = np.repeat([1, 0, 1], [gains, losses, n - gains - losses])
    second = np.repeat([0, 1, 1], [gains, losses, n - gains - losses])
    found = paired_difference(first, second, range(n), 0.95)
    assert found is not None
    assert found.estimate == pytest.approx(0.07)
    variance = ((gains + losses - 49 / n) * n / (n - 1) + 1) / (n + 2) ** 2
    assert (found.interval.low + found.interval.high) / 2 == pytest.approx(7 / (n + 2))
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(1.98422 * np.sqrt(variance), rel=1e-4)


@pytest.mark.parametrize(("gains", "losses"), [(0.1, 0.05), (0.01, 0.01), (0.02, 0.0)])
def test_interval_covers_with_clusters(gains: float, losses: float) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        labels = np.repeat(np.arange(100), rng.integers(1, 5, 100))
        luck = rng.random(100)[labels]
        found = paired_difference(luck < gains, (luck >= gains) & (luck < gains + losses), labels, 0.9)
        assert found is not None
        covered += found.interval.low <= gains - losses <= found.interval.high
    assert covered / 400 >= 0.86


def test_no_disagreement_is_not_certainty() -> None:
    found = paired_difference(np.ones(50), np.ones(50), range(50), 0.95)
    assert found is not None
    assert found.estimate == 0.0
    assert found.interval.low < -0.02
    assert found.interval.high > 0.02


def test_one_group_tells_nothing() -> None:
    assert paired_difference([1, 0], [0, 0], ["a", "a"], 0.95) is None
    assert paired_difference([], [], [], 0.95) is None


def test_the_smallest_visible_difference_is_seen_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)

    def drawn(effect: float) -> tuple[np.ndarray, np.ndarray]:
        luck = rng.random(75)
        return luck < 0.3 + effect, luck >= 0.7 + effect

    told = [paired_difference(*drawn(0.1), range(75), 0.9) for _ in range(300)]
    visible = float(np.median([one.visible for one in told if one is not None]))
    effect = visible / 2  # the first gains as much as the second loses
    found = [paired_difference(*drawn(effect), range(75), 0.9) for _ in range(2000)]
    seen = np.mean([one is not None and one.interval.low > 0 for one in found])
    assert seen == pytest.approx(0.8, abs=0.05)
